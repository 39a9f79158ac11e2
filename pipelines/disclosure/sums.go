package disclosure

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// A Sum is what a build found of one value in one non-empty cell of its contract:
// each child's own number, clamped.
type Sum struct {
	Children uint64    // as many as the cell has
	Sum      uint64    // of their numbers
	Top      [2]uint64 // the two largest, descending; the second is 0 of a single child
}

// AddSum puts in the sum of a value in a cell that [Raw.Add] has put in. Every
// non-empty cell at the value's contract needs one before the cells are protected.
// AddSum refuses what contradicts the definition or the count; the error names the
// set and the value, never the cell or a number.
func (r Raw) AddSum(set gateway.GroupingSet, nodes []string, value string, sum Sum) error {
	return r.addSum(set, nodes, value, sum)
}

func (c *counted) addSum(g gateway.GroupingSet, nodes []string, value string, sum Sum) error {
	if c.err != nil {
		return c.err
	}
	if c.used {
		return gateway.Errorf(gateway.Conflict, "the counted cells are used up")
	}
	s := c.l.lookup(g)
	v := s.carries(gateway.SumOf(value))
	if v < 0 {
		return gateway.Errorf(gateway.Invalid, "a sum is of a grouping set that does not carry the value")
	}
	at, ok := c.l.cell(s, nodes)
	if !ok || !s.values[v].in(s, at) {
		return gateway.Errorf(gateway.Invalid, "grouping set %q: a sum of %s is of a node that is not registered, or not of its contract", s.key, value)
	}
	if c.sums[s.index] == nil {
		c.sums[s.index] = make([][]Sum, len(s.values))
	}
	if c.sums[s.index][v] == nil {
		c.sums[s.index][v] = make([]Sum, s.cells)
	}
	to := &c.sums[s.index][v][at]
	if to.Children > 0 || c.cells[s.index] == nil || c.cells[s.index][at].children != int64(sum.Children) || !sum.consistent(s.values[v].Value) { //nolint:gosec // Add bounds children
		return gateway.Errorf(gateway.Internal, "grouping set %q: a sum of %s contradicts the count of its cell", s.key, value)
	}
	*to = sum
	return nil
}

// Sum returns a sum as [Raw.Count] returns a count, for the same tests.
func (r Raw) Sum(tb testing.TB, label, value string) (Sum, bool) {
	tb.Helper()
	if !testing.Testing() {
		panic("disclosure: sums are not readable outside tests")
	}
	c, err := r.borrow()
	if err != nil {
		tb.Fatal(err)
	}
	s, at, ok := c.l.find(label)
	v := s.carries(gateway.SumOf(value))
	if !ok || v < 0 || c.sums[s.index] == nil || c.sums[s.index][v] == nil {
		return Sum{}, false
	}
	sum := c.sums[s.index][v][at]
	return sum, sum.Children > 0
}

// consistent reports whether clamped numbers of that many children can add up so.
func (s *Sum) consistent(v *gateway.Value) bool {
	least, most := uint64(v.Min), uint64(v.Max) //nolint:gosec // not negative
	first, second := s.Top[0], s.Top[1]
	switch {
	case s.Children == 0 || s.Children > maxChildren || first < least || first > most || second > first || s.Sum > 1<<53:
		return false
	case s.Children == 1:
		return second == 0 && s.Sum == first
	}
	rest := s.Children - 2
	return second >= least && s.Sum >= first+second+rest*least && s.Sum <= first+second+rest*second
}

// An addition is what becomes of the sums of one value in one set. It has states of
// its own, because a sum may be hidden where the count is shown; it is never shown
// where the count is not.
type addition struct {
	states []state
	noise  []int32 // v' of the cells that are left to rule 6
}

// protectSums decides every sum, after every count. Parents come first, as for
// counts. What is hidden here tells nothing of a count: those are decided.
func (p *protector) protectSums() error {
	p.added = make([][]addition, len(p.l.sets))
	for _, s := range p.l.sets {
		for v := range s.values {
			a := addition{make([]state, s.cells), make([]int32, s.cells)}
			for c := range s.cells {
				var err error
				if a.states[c], err = p.decideSum(s, c, v, &a); err != nil {
					return err
				}
			}
			p.added[s.index] = append(p.added[s.index], a)
			for p.sumRemainders(s, v) {
			}
		}
	}
	return nil
}

// decideSum gives a sum its state by everything but rule 6.
func (p *protector) decideSum(s *set, c, v int, a *addition) (state, error) {
	count := p.states[s.index][c]
	switch {
	case count == omitted:
		return omitted, nil
	case !s.values[v].in(s, c):
		return impossible, nil
	case count != shown:
		return count, nil
	}
	if to, synonym := p.sumSynonym(s, c, v); synonym {
		// Where the sector is the only node of its dimension and so dropped, the cell that
		// is denoted carries no value; a second label for it is none either.
		if w := to.set.carries(gateway.SumOf(s.values[v].ID)); w >= 0 {
			return p.added[to.set.index][w].states[to.at], nil
		}
		return hiddenSmall, nil
	}
	sum := p.sum(s, c, v)
	if sum == nil || int64(sum.Children) != p.cells[s.index][c].children { //nolint:gosec // AddSum compares them
		return 0, gateway.Errorf(gateway.Internal, "grouping set %q: a cell has children and no sum of %s", s.key, s.values[v].ID)
	}
	p.label = p.l.label(s, s.nodes(c, nil), p.label[:0])
	if s.values[v].Dominance && sum.dominated(p.law.threshold(p.keys.dominance(s.values[v].ID, p.label))) {
		return hiddenNear, nil
	}
	a.noise[c] = int32(p.tables.steady(p.keys.permanentSum(s.values[v].ID, p.label))) //nolint:gosec // at most D1
	return shown, nil
}

// sumSynonym returns the cell whose sum a cell's is, if that is another. It is found as
// for counts, but the sector stays, though a code that only the value's sector has
// implies it: no cell without the sector has a sum, so that label is the only one.
func (p *protector) sumSynonym(s *set, c, v int) (cellRef, bool) {
	if _, synonym := p.alias[s.index][c]; !synonym {
		return cellRef{}, false
	}
	t, at := p.l.canonicalBut(s, s.nodes(c, nil), s.Set[s.values[v].place].Name)
	to := 0
	for i, node := range at {
		to += node * t.strides[i]
	}
	return cellRef{t, to}, t != s
}

func (p *protector) sum(s *set, c, v int) *Sum {
	if p.sums[s.index] == nil || p.sums[s.index][v] == nil {
		return nil
	}
	return &p.sums[s.index][v][c]
}

// dominated is the p% rule and the (n, k) rule of disclosure.md 2.7 on the children's
// numbers: the largest could be estimated too well by the second largest, or two
// make up nearly all. With percent = 10 they are p% = 10 and (2, 85).
//
// The percentage is not one number but a secret, permanent draw from the law of
// thresholds, 10 or more, for the reason of rule 1: an uploader who plants children
// with numbers of his choice would read off a fixed threshold how a victim's number
// compares with them. It is never laxer than the fixed one.
func (s *Sum) dominated(percent int) bool {
	p := uint64(min(percent, 95)) //nolint:gosec // from 10
	two := s.Top[0] + s.Top[1]
	return 100*(s.Sum-two) < p*s.Top[0] || 100*two > (95-p)*s.Sum
}

// sumRemainders is rule 6 again, for what dominance hides: where one sum of a group
// is hidden and the parent's is shown, the one with the smallest S + t*v' is hidden
// too, so that none is the parent less its siblings. It goes along every dimension
// but the sector's, where there is nothing beside the contract.
func (p *protector) sumRemainders(s *set, v int) bool {
	changed := false
	var at []int
	for i, dim := range s.dims {
		if i == s.values[v].place {
			continue
		}
		n, level := &p.l.dims[dim], s.Set[i].Level
		above := s.parents[i].carries(gateway.SumOf(s.values[v].ID))
		for c := range s.cells {
			at = s.nodes(c, at)
			group := n.groups[level][n.parent[level][at[i]]]
			if at[i] != group[0] || !s.values[v].in(s, c) {
				continue // each group once, at its first cell
			}
			if p.added[s.parents[i].index][above].states[p.l.above(s, at, i)] == shown && p.sumCompanion(s, v, c-at[i]*s.strides[i], s.strides[i], group) {
				changed = true
			}
		}
	}
	return changed
}

func (p *protector) sumCompanion(s *set, v, origin, stride int, group []int) bool {
	states := p.added[s.index][v].states
	hidden, omits, best := 0, false, -1
	for _, node := range group {
		c := origin + node*stride
		switch st := states[c]; {
		case st.hidden() || st == notReported:
			hidden++
		case st == omitted:
			omits = true
		case st == shown && p.sumBefore(s, v, c, best):
			best = c
		}
	}
	if hidden != 1 || omits || best < 0 {
		return false
	}
	states[best] = hiddenRest
	return true
}

// sumBefore orders the candidates of rule 6 as before does.
func (p *protector) sumBefore(s *set, v, c, best int) bool {
	if _, synonym := p.sumSynonym(s, c, v); synonym {
		return false
	}
	if best < 0 {
		return true
	}
	a, b := p.noisySum(s, v, c), p.noisySum(s, v, best)
	if a != b {
		return a < b
	}
	return bytes.Compare(p.l.label(s, s.nodes(c, nil), nil), p.l.label(s, s.nodes(best, nil), nil)) < 0
}

// noisySum is S + t*v'.
func (p *protector) noisySum(s *set, v, c int) int64 {
	return int64(p.sums[s.index][v][c].Sum) + s.values[v].Max*int64(p.added[s.index][v].noise[c]) //nolint:gosec // AddSum bounds it
}

// sums are the published sums of one value in one set.
type sums struct {
	shown  []bool
	values []int64
}

func newSums(s *set) []sums {
	var all []sums
	for range s.values {
		all = append(all, sums{make([]bool, s.cells), make([]int64, s.cells)})
	}
	return all
}

// publishSums draws the release noise of every shown sum of a set; earlier ones are
// there to copy synonyms from.
func (p *protector) publishSums(s *set, cells *published, earlier []published) {
	out := cells.sums
	for v := range s.values {
		for c, state := range p.added[s.index][v].states {
			if state != shown {
				continue
			}
			out[v].shown[c] = true
			if to, synonym := p.sumSynonym(s, c, v); synonym {
				out[v].values[c] = earlier[to.set.index].sums[to.set.carries(gateway.SumOf(s.values[v].ID))].values[to.at]
			} else {
				out[v].values[c] = p.perturbSum(s, c, v)
			}
		}
	}
}

// perturbSum is S' = S + t*(v' + v”), rounded to the precision (disclosure.md 2.7,
// contributions-based noise in the sense of Thompson, Broadfoot and Elazar, with a
// public clamp for t in place of the largest contribution). Both draws are the
// symmetric row of the permanent layer, each with half of V, under labels of their
// own: shared with the counts they would cancel in S' - z*j.
//
// Sums of small cells may come out below zero. That is left so: cut off, they would
// not add up without bias.
//
// A number of the release, uniform over one t around zero, comes on top: noise in
// steps of t alone would show S modulo t as far as the rounding is finer, and bias
// it. Arithmetic is in halves, so that its mean is zero for an even t too.
func (p *protector) perturbSum(s *set, c, v int) int64 {
	value := s.values[v].Value
	p.label = p.l.label(s, s.nodes(c, nil), p.label[:0])
	u2, u3 := p.keys.freshSum(value.ID, p.label)
	return rounded(value, p.noisySum(s, v, c)+value.Max*p.tables.steady(u2), u3)
}

// rounded adds a uniform number to a noisy sum and rounds it.
func rounded(v *gateway.Value, sum int64, uniform uint64) int64 {
	twice := 2*sum + 2*int64(uniform%uint64(v.Max)) + 1 - v.Max //nolint:gosec // Max is small
	return floorDiv(twice+v.Precision, 2*v.Precision) * v.Precision
}

// sumVariance is that of a published sum: both layers, the uniform number and the
// rounding.
func sumVariance(v *gateway.Value, noise float64) float64 {
	t, p := float64(v.Max), float64(v.Precision)
	return t*t*noise + (t*t+p*p)/12
}

// steady draws from the row of large counts, which is symmetric and has all of the
// layer's variance.
func (t *PTables) steady(u uint64) int64 { return t.l1.draw(int64(t.D1), u) }

// permanentSum is v' of disclosure.md 2.7: of the lineage, the value and the cell.
func (k *keyed) permanentSum(value string, label []byte) uint64 {
	return k.prf("sdc/v2/V1", k.lineage, []byte(value), label)
}

// freshSum is v” and the uniform number, of one release and one measure.
func (k *keyed) freshSum(value string, label []byte) (noise, uniform uint64) {
	k.fullLabel(gateway.SumOf(value), label)
	return k.prf("sdc/v2/V2", k.release, k.buf), k.prf("sdc/v2/V3", k.release, k.buf)
}

// dominance draws the percentage of the dominance rules.
func (k *keyed) dominance(value string, label []byte) uint64 {
	return k.prf("sdc/v2/D", k.lineage, []byte(value), label)
}

// sumStatus is what a reader learns of a sum.
func (c *published) sumStatus(s *set, at, v int) status {
	switch {
	case c.status[at] == statusOmitted:
		return statusOmitted
	case !s.values[v].in(s, at):
		return statusImpossible
	case c.status[at] == statusValue && !c.sums[v].shown[at]:
		return statusSuppressed
	}
	return c.status[at]
}

// sumCell is [Published.Cell] of a sum.
func (p *Published) sumCell(s *set, at, v int) (gateway.CellStatus, int64, bool) {
	cells := &p.cells[s.index]
	st := cells.sumStatus(s, at, v)
	if st == statusOmitted {
		return "", 0, false
	}
	return statusNames[st], cells.sums[v].values[at], true
}

func (c *published) appendSums(s *set, at int, b []byte) []byte {
	for v := range s.values {
		switch {
		case !s.values[v].in(s, at):
		case c.sums[v].shown[at]:
			b = binary.AppendVarint(append(b, 1), c.sums[v].values[at]/s.values[v].Precision)
		default:
			b = append(b, 0)
		}
	}
	return b
}

func (c *published) decodeSums(s *set, at int, b []byte) ([]byte, bool) {
	for v := range s.values {
		if !s.values[v].in(s, at) {
			continue
		}
		if len(b) == 0 || b[0] > 1 {
			return b, false
		}
		c.sums[v].shown[at], b = b[0] == 1, b[1:]
		if !c.sums[v].shown[at] {
			continue
		}
		units, n := binary.Varint(b)
		bound := int64(1<<61) / s.values[v].Precision
		if n <= 0 || !bytes.Equal(binary.AppendVarint(nil, units), b[:n]) || units > bound || units < -bound {
			return b, false
		}
		c.sums[v].values[at], b = units*s.values[v].Precision, b[n:]
	}
	return b, true
}

// sumSummaries are the shares of hidden sums, by value, among the cells that carry it.
func (p *protector) sumSummaries() []SetSummary {
	var all []SetSummary
	for i := range p.l.def.Values {
		var t tallied
		for _, s := range p.l.sets {
			v := slices.IndexFunc(s.values, func(v carried) bool { return v.Value == &p.l.def.Values[i] })
			if v < 0 {
				continue
			}
			for c, st := range p.added[s.index][v].states {
				if s.values[v].in(s, c) {
					t.add([]state{st}, p.gate.closed[s.index])
				}
			}
		}
		summary := t.summary(string(gateway.SumOf(p.l.def.Values[i].ID)))
		summary.Rules = nil // those of counts; dominance is none of them
		all = append(all, summary)
	}
	return all
}
