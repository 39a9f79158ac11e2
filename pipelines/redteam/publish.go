package redteam

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A publisher turns counted cells into what an attacker sees. The key is the number
// of a noise key, the release a number from 1.
type publisher struct {
	name    string
	keyed   bool // the answers depend on the key
	publish func(p population, key, release int) (*view, error)
}

// A population is counted cells to publish.
type population struct {
	*lattice

	counts  []tally
	records []records          // by cell; nil where no cube measures records
	added   [][]disclosure.Sum // by value of the definition and cell
	rules   *gateway.ReleaseRules
	gate    *disclosure.Gate // of the first release, for those after it
}

// records are the records of a cell: their sum, and the largest numbers of single
// children, descending.
type records struct {
	sum uint64
	top []uint32
}

// A view is all that can be read off one release, and what the attacker knows about
// how it was made (only keys are secret: disclosure.md 2.11).
type view struct {
	shown []bool    // by cell
	y     []float64 // of shown cells
	// open cells are not shown for a reason that says nothing of their size: a code
	// that is never published, a set that is refused. zero cells are shown as the
	// structural zeros that they are.
	open, zero []bool
	model      model
	// ask puts a question to the release itself; nil for the simple publishers.
	ask       func(gateway.Question) (*gateway.Table, error)
	published *disclosure.Published
}

// A model is what the attacker assumes of a value: the variance of a shown one, and
// the distribution of a hidden one.
type model struct {
	v          float64
	mean, sd   float64
	most       float64 // no hidden cell is larger
	hidesLarge bool    // a hidden cell may be large, so its mean may not hold
	reach      float64 // the largest deviation of a shown value
}

// The columns of the report.
const (
	colNone = iota
	colRounded
	colSingle
	colDefault
	columns
)

// publishers are the protections that every attack is run against.
func publishers() []publisher {
	return []publisher{
		colNone:    {"none", false, publishNone},
		colRounded: {"10-5", false, publishRounded},
		colSingle:  {"single", true, publishSingle},
		colDefault: standard("default", nil),
	}
}

func newView(p population, m model) *view {
	return &view{
		shown: make([]bool, p.size), y: make([]float64, p.size), open: make([]bool, p.size), zero: make([]bool, p.size), model: m,
	}
}

func publishNone(p population, _, _ int) (*view, error) {
	v := newView(p, model{v: 1, most: math.Inf(1)})
	for c, t := range p.counts {
		v.shown[c], v.y[c] = true, float64(t.n)
	}
	return v, nil
}

// publishRounded is the ONS 10-5 rule: counts below 10 are hidden, others rounded
// to the nearest 5. The error is even over -2..2, a hidden count over 0..9.
func publishRounded(p population, _, _ int) (*view, error) {
	v := newView(p, model{v: 2, mean: 4.5, sd: 2.9, most: 9, reach: 2})
	for c, t := range p.counts {
		if t.n >= 10 {
			v.shown[c], v.y[c] = true, 5*math.Round(float64(t.n)/5)
		}
	}
	return v, nil
}

// publishSingle is a cell key of one permanent layer keyed on the members, D 5, V 3,
// never 1 or 2, and nothing hidden: what statistical offices use for censuses.
func publishSingle(p population, key, _ int) (*view, error) {
	v := newView(p, model{v: 3, most: math.Inf(1), reach: 5})
	rows, err := singleLayer()
	if err != nil {
		return nil, err
	}
	prf := noiseKey(key)
	for c, t := range p.counts {
		row := &rows[min(t.n, len(rows)-1)]
		var members [8]byte
		binary.BigEndian.PutUint64(members[:], t.key)
		v.shown[c], v.y[c] = true, float64(t.n+row.draw(prf("single", members[:])))
	}
	return v, nil
}

// noiseKey is the PRF of disclosure.md 2.2 under the key of a number. It is for one
// goroutine: it keeps its state.
func noiseKey(number int) gateway.PRF {
	key := sha256.Sum256(fmt.Appendf(nil, "redteam noise key %d", number))
	h := hmac.New(sha256.New, key[:])
	var text, sum []byte
	return func(label string, parts ...[]byte) uint64 {
		text = append(text[:0], label...)
		for _, part := range parts {
			text = binary.BigEndian.AppendUint32(text, uint32(len(part))) //nolint:gosec // parts are labels
			text = append(text, part...)
		}
		h.Reset()
		_, _ = h.Write(text) // never fails
		sum = h.Sum(sum[:0])
		return binary.BigEndian.Uint64(sum)
	}
}

// A deviation is a row of a p-table: deviations with their cumulative probabilities.
type deviation struct {
	v   []int
	cum []float64
}

func (d *deviation) draw(u uint64) int {
	x := math.Ldexp(float64(u), -64)
	for i, cum := range d.cum {
		if x < cum {
			return d.v[i]
		}
	}
	return d.v[len(d.v)-1]
}

// singleLayer solves the rows of D 5, V 3, js 2; those of 7 and more are alike.
func singleLayer() ([]deviation, error) {
	var rows []deviation
	for n := range 8 {
		row, err := disclosure.Solve(n, disclosure.PTableParams{D: 5, V: 3, JS: 2})
		if err != nil {
			return nil, fmt.Errorf("solving the single layer: %w", err)
		}
		d := deviation{}
		sum := 0.0
		for i, p := range row.P {
			sum += p
			d.v, d.cum = append(d.v, row.J[i]-row.I), append(d.cum, sum)
		}
		rows = append(rows, d)
	}
	return rows, nil
}

// lawful are the rules of disclosure.md 2.12.
func lawful() gateway.ReleaseRules {
	return gateway.ReleaseRules{
		Threshold: []float64{.15, .1, .1, .1, .1, .1, .1, .1, .1, .05}, ThresholdMin: 10,
		Share: 0.95, ShareBelow: 200, RecordCap: 20, Revision: "redteam",
	}
}

// protect runs the default, disclosure.Protect, under a PRF.
func protect(p population, release int, prf gateway.PRF) (*disclosure.Published, error) {
	raw := disclosure.NewRaw(p.def)
	for c, t := range p.counts {
		if t.n == 0 {
			continue
		}
		count := disclosure.Count{Children: uint64(t.n), Key: t.key} //nolint:gosec // a count
		if p.records != nil {
			count.Records, count.Top = p.records[c].sum, p.records[c].top
		}
		err := raw.Add(p.sets[p.set[c]].Set, p.code[c], count)
		for i := range p.added {
			if sum := p.added[i][c]; err == nil && sum.Children > 0 {
				err = raw.AddSum(p.sets[p.set[c]].Set, p.code[c], p.def.Values[i].ID, sum)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("counting a population: %w", err)
		}
	}
	rules := lawful()
	if p.rules != nil {
		rules = *p.rules
	}
	published, err := disclosure.Protect(raw, disclosure.Release{
		ID: gateway.ReleaseID(fmt.Sprintf("%s-%d", p.def.Lineage, release)), Number: release, Lineage: p.def.Lineage,
		Rules: rules, Coverage: everything(p.def), Noise: prf, Gate: p.gate,
	})
	if err != nil {
		return nil, fmt.Errorf("protecting a population: %w", err)
	}
	return published, nil
}

// A fault changes the draws of the default, as a planted weakness.
type fault func(prf gateway.PRF, p population, release int) gateway.PRF

// standard is the default protection, with a fault or without.
func standard(name string, f fault) publisher {
	return publisher{name, true, func(p population, key, release int) (*view, error) {
		prf := noiseKey(key)
		if f != nil {
			prf = f(prf, p, release)
		}
		published, err := protect(p, release, prf)
		if err != nil {
			return nil, err
		}
		return read(p, published, published.Ask)
	}}
}

// read asks for every cell: one question a grouping set.
func read(p population, published *disclosure.Published, ask func(gateway.Question) (*gateway.Table, error)) (*view, error) {
	// A hidden count is small with mean 6.8 and sd 4.5, by the law of thresholds, if
	// rule 1 hid it (disclosure.md 4, A5).
	v := newView(p, model{v: p.def.V, mean: 6.8, sd: 4.5, most: math.Inf(1), hidesLarge: true, reach: reach(p.def.V)})
	v.ask, v.published = ask, published
	answered := 0
	for i := range p.sets {
		s := &p.sets[i]
		table, err := ask(p.question(s))
		switch {
		case refused(err): // by the sparsity gate: no number at all
			for c := s.first; c < s.first+s.cells; c++ {
				v.open[c] = true
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("asking for a whole grouping set: %w", err)
		}
		answered++
		if err := v.take(p.lattice, s, table.Cells); err != nil {
			return nil, err
		}
	}
	if answered == 0 {
		return nil, fmt.Errorf("%w: every grouping set is refused", errBroken)
	}
	return v, nil
}

// take reads the answer to a whole grouping set: every cell of the code lists but
// those that are never published, in their order.
func (v *view) take(l *lattice, s *cellSet, cells []gateway.Cell) error {
	for c := s.first; c < s.first+s.cells; c++ {
		v.open[c] = l.omitted[c]
	}
	return l.each(s, cells, func(c int, cell *gateway.Cell) {
		switch cell.Status {
		case gateway.StatusValue:
			v.shown[c], v.y[c] = true, float64(*cell.Value)
		case gateway.StatusImpossible:
			v.shown[c], v.zero[c] = true, true
		case gateway.StatusNotReported:
			v.open[c] = true
		case gateway.StatusSuppressed:
		}
	})
}

// each goes through the answer to a whole grouping set.
func (l *lattice) each(s *cellSet, cells []gateway.Cell, do func(c int, cell *gateway.Cell)) error {
	for c := s.first; c < s.first+s.cells; c++ {
		if l.omitted[c] {
			continue
		}
		if len(cells) == 0 || !slices.Equal(cells[0].Nodes, l.code[c]) {
			return fmt.Errorf("grouping set %q: the cells answered are not those of the code lists, in their order", s.key)
		}
		do(c, &cells[0])
		cells = cells[1:]
	}
	if len(cells) > 0 {
		return fmt.Errorf("grouping set %q: more cells are answered than the code lists have", s.key)
	}
	return nil
}

// everything is the coverage of agencies that have reported all of a window.
func everything(d *gateway.Definition) *gateway.Coverage {
	var quarters []gateway.Quarter
	for q := d.From; q <= d.To; q++ {
		quarters = append(quarters, q)
	}
	regions := map[string][]gateway.Quarter{"": quarters}
	for _, dim := range d.Dimensions {
		if dim.Source.Column == gateway.ColumnRegion {
			for _, n := range dim.AtLevel(len(dim.Levels) - 1) {
				regions[n.Code] = quarters
			}
		}
	}
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for _, sector := range sectorsOf(d) {
		full[gateway.ContractID(sector)] = regions
	}
	return &gateway.Coverage{Full: full}
}

// refused reports whether a question was refused by rule: nothing that is wrong with
// the system.
func refused(err error) bool {
	e, ok := errors.AsType[*gateway.Error](err)
	return ok && e.Kind != gateway.Internal && e.Kind != gateway.Overloaded && e.Kind != gateway.Unavailable
}

// question asks for a whole grouping set.
func (l *lattice) question(s *cellSet) gateway.Question {
	q := gateway.Question{Cube: s.Cubes[0], Measure: gateway.CountChildren}
	for _, sd := range s.Set {
		q.GroupBy = append(q.GroupBy, sd.Name+"@"+l.def.Dimension(sd.Name).Levels[sd.Level])
	}
	return q
}
