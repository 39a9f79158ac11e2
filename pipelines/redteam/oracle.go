package redteam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// errBroken marks an attack that could not run as designed.
var errBroken = errors.New("the attack is broken")

// A6: the same cells through every synonym that the grammar has. The value is the
// largest number of distinct answers for one cell.
func synonyms(t *trial) (float64, error) { return synonymsOf(t, 40) }

func synonymsOf(t *trial, cells int) (float64, error) {
	v, err := t.release(1)
	if err != nil || v.ask == nil {
		return math.NaN(), err
	}
	r := newDice(t.seed, 6)
	worst := 0
	for range cells {
		c := t.someShown(v, r)
		answers := map[string]bool{}
		for _, q := range t.spellings(c) {
			table, err := v.ask(q.Question)
			if err != nil {
				return 0, fmt.Errorf("%w: a synonym was refused: %w", errBroken, err)
			}
			answers[q.answer(table)] = true
		}
		worst = max(worst, len(answers))
	}
	return float64(worst), nil
}

// someShown draws a cell that names a dimension, a shown one if a hundred draws find
// one.
func (t *trial) someShown(v *view, r *rand.Rand) int {
	c := 1 + r.IntN(t.size-1)
	for range 100 {
		if v.shown[c] {
			break
		}
		c = 1 + r.IntN(t.size-1)
	}
	return c
}

// A spelling is a question and the cell of its answer that is meant.
type spelling struct {
	gateway.Question

	nodes map[string]string // dimension → code
}

// spellings ask for one cell of region, age, sex and outcome, or of less, through
// filters and groupings in every split and both orders, levels named or not, an
// ancestor filtered besides, and purposes.
func (t *trial) spellings(c int) []spelling {
	s := &t.sets[t.set[c]]
	codes := map[string]string{}
	for i, sd := range s.Set {
		codes[sd.Name] = t.code[c][i]
	}
	names := slices.Sorted(maps.Keys(codes))
	var out []spelling
	for mask := range 1 << len(names) {
		q := gateway.Question{Cube: s.Cubes[0], Measure: gateway.CountChildren, Filter: map[string]string{}, Purpose: gateway.Purpose([]string{"", "research"}[mask%2])}
		for i, name := range names {
			dim := t.def.Dimension(name)
			switch {
			case mask>>i&1 == 0:
				q.Filter[name] = codes[name]
			case len(dim.Levels) > 1:
				node := dim.Node(codes[name])
				q.GroupBy = append(q.GroupBy, name+"@"+dim.Levels[node.Level])
				if node.Parent != "" {
					q.Filter[name] = node.Parent
				}
			case mask%3 == 0:
				q.GroupBy = append(q.GroupBy, name)
			default:
				q.GroupBy = append(q.GroupBy, name+"@"+dim.Levels[0])
			}
		}
		reversed := q
		reversed.GroupBy = slices.Clone(q.GroupBy)
		slices.Reverse(reversed.GroupBy)
		out = append(out, spelling{q, codes}, spelling{reversed, codes})
	}
	return out
}

// answer is what a table says of the cell.
func (s spelling) answer(table *gateway.Table) string {
	for _, cell := range table.Cells {
		here := true
		for i, name := range table.Dimensions {
			name, _, _ = strings.Cut(name, "@")
			here = here && cell.Nodes[i] == s.nodes[name]
		}
		if here {
			return facts(cell)
		}
	}
	return "no such cell"
}

// facts are everything about a cell but its name.
func facts(cell gateway.Cell) string {
	cell.Nodes = nil
	text, err := json.Marshal(cell)
	if err != nil {
		return "unreadable"
	}
	return string(text)
}

// A9: a cell tells the outcome of a group directly when all but fewer than ten of at
// least twenty children are on one side of it. The value is the share of such cells
// that are shown; shown minorities are as telling as majorities.
func groupDisclosure(t *trial) (float64, error) { return t.oneSided(0, 9) }

// softDisclosure is the same for minorities of 10 to 18, where the law of thresholds
// decides.
func softDisclosure(t *trial) (float64, error) { return t.oneSided(10, mostHidden) }

func (t *trial) oneSided(from, to int) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	all, shown := 0, 0
	for c, tally := range t.truth {
		parent := -1
		if t.nodes[c][dimOutcome] != root {
			parent = t.parent(c, dimOutcome)
		}
		if parent < 0 || t.truth[parent].n < 20 {
			continue
		}
		if m := min(tally.n, t.truth[parent].n-tally.n); m >= from && m <= to {
			all++
			if v.shown[c] {
				shown++
			}
		}
	}
	if all == 0 {
		return math.NaN(), nil
	}
	return float64(shown) / float64(all), nil
}

// A10: how much better than by the base rate an attacker tells zeros from one to
// nine children, by everything that an answer says of a cell. Rows that are absent
// are found when a release is read.
func zeroProbing(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	said, err := t.said(v)
	if err != nil {
		return 0, err
	}
	counts := map[string][2]int{}
	var totals [2]int
	for c, text := range said {
		if n := t.truth[c].n; n <= 9 {
			zero := 0
			if n == 0 {
				zero = 1
			}
			pair := counts[text]
			pair[zero]++
			counts[text] = pair
			totals[zero]++
		}
	}
	right := 0
	for _, pair := range counts {
		right += max(pair[0], pair[1])
	}
	return float64(right-max(totals[0], totals[1])) / float64(totals[0]+totals[1]), nil
}

// said is what a release says of each base cell.
func (t *trial) said(v *view) (map[int]string, error) {
	base := t.base()
	said := map[int]string{}
	for at := range base.cells {
		c := base.first + at
		said[c] = fmt.Sprint(v.shown[c], v.y[c])
	}
	if v.ask == nil {
		return said, nil
	}
	table, err := v.ask(t.question(base))
	if refused(err) {
		return said, nil
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the base cells: %w", err)
	}
	for at, cell := range table.Cells {
		if !slices.Equal(cell.Nodes, t.code[base.first+at]) {
			return nil, fmt.Errorf("row %d of an answer is not in the order of codes", at)
		}
		said[base.first+at] = facts(cell)
	}
	return said, nil
}

// zeroTiming is the p-value of a difference in the time to ask for a zero and for a
// cell of one to nine children, whichever of two runs has the larger: a difference
// counts when it shows twice, so chance alone fails it once in 10,000 times.
func zeroTiming(clock func() time.Time) func(t *trial) (float64, error) {
	return func(t *trial) (float64, error) {
		v, err := t.release(1)
		if err != nil || v.ask == nil || clock == nil {
			return math.NaN(), err
		}
		best := 0.0
		for run := range 2 {
			p, err := t.timing(v, clock, uint64(run))
			if err != nil {
				return 0, err
			}
			best = max(best, p)
		}
		return best, nil
	}
}

// timing asks for 4,000 cells in a random order.
func (t *trial) timing(v *view, clock func() time.Time, run uint64) (float64, error) {
	r := newDice(t.seed+run, 10)
	var by [2][]float64
	base := t.base()
	for len(by[0])+len(by[1]) < 4000 {
		c := base.first + r.IntN(base.cells)
		n := t.truth[c].n
		if n > 9 {
			continue
		}
		q := t.spellings(c)[0].Question
		start := clock()
		_, err := v.ask(q)
		took := clock().Sub(start)
		if err != nil && !refused(err) {
			return 0, fmt.Errorf("asking for one cell: %w", err)
		}
		kind := min(n, 1)
		by[kind] = append(by[kind], math.Log(float64(took)+1))
	}
	return welch(trim(by[0]), trim(by[1])), nil
}

// trim drops the tenth that took longest: pauses of the machine.
func trim(xs []float64) []float64 {
	slices.Sort(xs)
	return xs[:len(xs)*9/10]
}

// welch is the two-sided p-value of Welch's test, by the normal distribution: the
// samples are in the hundreds.
func welch(a, b []float64) float64 {
	ma, sa := meanSD(a)
	mb, sb := meanSD(b)
	se := math.Sqrt(sa*sa/float64(len(a)) + sb*sb/float64(len(b)))
	if se == 0 {
		return 1
	}
	return math.Erfc(math.Abs(ma-mb) / se / math.Sqrt2)
}

// A15: re-uploads with one row changed, doubled or deleted. The value is how many
// answers of the first release are others afterwards.
func reupload(t *trial) (float64, error) {
	before, err := t.release(1)
	if err != nil {
		return 0, err
	}
	changed := 0
	for i, counts := range t.reuploads() {
		next, err := t.publish(counts, i+2)
		if err != nil {
			return 0, err
		}
		after := next
		if before.published != nil {
			after, err = t.restored(before)
			if err != nil {
				return 0, err
			}
		}
		for c := range t.size {
			if before.shown[c] != after.shown[c] || before.y[c] != after.y[c] {
				changed++
			}
		}
	}
	return float64(changed), nil
}

// restored reads a release again from its bytes.
func (t *trial) restored(v *view) (*view, error) {
	var b bytes.Buffer
	err := v.published.Encode(&b)
	if err != nil {
		return nil, fmt.Errorf("encoding a release: %w", err)
	}
	published, err := disclosure.Decode(&b)
	if err != nil {
		return nil, fmt.Errorf("decoding a release: %w", err)
	}
	return read(population{lattice: t.lattice, counts: t.truth}, published, published.Ask)
}

// reuploads are the counts with the first victim's row changed, doubled (the same
// child twice counts once; with a slip of the key it is another child), deleted.
func (t *trial) reuploads() [][]tally {
	victim := t.people[:1]
	changed := person{slices.Clone(victim[0].leaves), victim[0].key}
	changed.leaves[dimOutcome] = 1 - changed.leaves[dimOutcome]
	doubled := person{victim[0].leaves, mix(victim[0].key)}
	deleted := t.counted(t.truth, victim, -1)
	return [][]tally{t.counted(deleted, []person{changed}, 1), t.counted(t.truth, []person{doubled}, 1), deleted}
}

// containment compares a cell of boys with its parent, which holds one girl more of
// the same outcome or does not: the victim (A8: a cell and the cell with an extra
// condition, equal or not).
func containment(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	return t.scored(func(g target) float64 {
		if g.sex != girl {
			return math.NaN()
		}
		all, boys := t.named(g.region, g.age, root, yes), t.named(g.region, g.age, boy, yes)
		switch {
		case v.shown[all] && v.shown[boys]:
			return math.Min(1, math.Abs(v.y[all]-v.y[boys]))
		case v.shown[all] != v.shown[boys]:
			return 1
		default:
			return 0
		}
	}), nil
}
