package redteam

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/suppress"
)

// Standing tables are profile A: exact values beside hidden cells. Who reads them
// places each hidden cell in an interval, by linear programming over everything that
// is shown; its width is W (disclosure.md 4). W must reach k for every cell that is
// hidden because of what it holds.

// A family is a few linked tables: one crossing and all its margins. Larger ones are
// beyond what suppression audits in seconds.
type family struct {
	base   *cellSet
	sets   []cellSet
	before []cellSet // what an earlier release of the same period published
}

// families are the standing tables of a population.
func (l *lattice) families() []family {
	return []family{l.family([]int{dimAge, dimRegion, dimSex}, 0), l.family([]int{dimOutcome, dimRegion, dimSex}, 1), l.family([]int{dimAge, dimRegion}, 1)}
}

// family crosses some dimensions, regions to a level.
func (l *lattice) family(dims []int, level int) family {
	var f family
	for i := range l.sets {
		s := &l.sets[i]
		all := true
		for d, at := range s.levels {
			all = all && (at < 0 || slices.Contains(dims, d) && (d != dimRegion || at <= level))
		}
		if !all {
			continue
		}
		f.sets = append(f.sets, *s)
		if len(s.Set) < len(dims) {
			f.before = append(f.before, *s)
		}
		if f.base == nil || s.cells > f.base.cells {
			f.base = s
		}
	}
	return f
}

// A table is what standing tables show of a population, as sums of base cells.
type table struct {
	base    *cellSet
	columns map[int][]int32 // by cell
	shown   []int           // cells
	hidden  []int
}

// columnsOf are the base cells of every cell of the sets.
func (l *lattice) columnsOf(base *cellSet, sets []cellSet) map[int][]int32 {
	in := make([]bool, len(l.sets))
	for _, s := range sets {
		in[l.byLevels[levelsKey(s.levels)]] = true
	}
	columns := map[int][]int32{}
	for j := range base.cells {
		l.holds(l.leavesOf(base.first+j), func(c int) {
			if in[l.set[c]] {
				columns[c] = append(columns[c], int32(j)) //nolint:gosec // a few hundred
			}
		})
	}
	return columns
}

// suppressed publishes sets by profile A. earlier are labels of cells that were
// published before.
func (w *world) suppressed(base *cellSet, sets []cellSet, earlier []string) (*table, error) {
	t := &table{base: base, columns: w.columnsOf(base, sets)}
	tables := suppress.Tables{Definition: w.def, Earlier: earlier}
	for _, s := range sets {
		tables.Sets = append(tables.Sets, s.Set)
	}
	raw, err := suppress.NewRaw(tables, suppress.Rules{K: suppress.MinK})
	if err != nil {
		return nil, err
	}
	if key := raw.Base().Key(w.def); key != t.base.key {
		return nil, fmt.Errorf("standing tables are sums over %q, not over %q", key, t.base.key)
	}
	for c := t.base.first; c < t.base.first+t.base.cells; c++ {
		if n := w.truth[c].n; n > 0 {
			err = raw.Add(w.code[c], suppress.Count{Children: int64(n)})
			if err != nil {
				return nil, err
			}
		}
	}
	pattern, err := suppress.Protect(raw)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		cells, err := pattern.Cells(s.Set)
		if err != nil {
			return nil, err
		}
		for i, cell := range cells {
			c := s.first + i
			switch {
			case !slices.Equal(cell.Nodes, w.code[c]):
				return nil, fmt.Errorf("standing table %q is not in the order of codes", s.key)
			case cell.Status != gateway.StatusValue:
				t.hidden = append(t.hidden, c)
			case int(*cell.Value) != w.truth[c].n:
				return nil, fmt.Errorf("standing table %q shows what was not counted", s.key)
			default:
				t.shown = append(t.shown, c)
			}
		}
	}
	return t, nil
}

// primaryOnly hides the cells below k and no other: what the attack must break.
func (w *world) primaryOnly(f *family) *table {
	t := &table{base: f.base, columns: w.columnsOf(f.base, f.sets)}
	for _, s := range f.sets {
		for c := s.first; c < s.first+s.cells; c++ {
			if w.truth[c].n < narrow {
				t.hidden = append(t.hidden, c)
			} else {
				t.shown = append(t.shown, c)
			}
		}
	}
	return t
}

// small are the hidden cells below k: those that must not be placed.
func (t *table) small(w *world) []int {
	return slices.DeleteFunc(slices.Clone(t.hidden), func(c int) bool { return w.truth[c].n >= narrow })
}

// open is what the tables leave open to somebody who knows some hidden cells.
func (t *table) open(w *world, known ...int) *polytope {
	var totals []total
	for _, c := range append(slices.Clone(t.shown), known...) {
		totals = append(totals, total{t.columns[c], float64(w.truth[c].n)})
	}
	return newPolytope(t.base.cells, totals)
}

// narrowShare is the share of some cells that are placed more narrowly than k, or
// below k for certain.
func (t *table) narrowShare(p *polytope, cells []int) (float64, error) {
	if p == nil {
		return 0, fmt.Errorf("%w: no population fits the tables", errBroken)
	}
	n := 0
	for _, c := range cells {
		if at := p.interval(t.columns[c]); at.high-at.low < narrow-slack || at.high < narrow-slack {
			n++
		}
	}
	return share(n, len(cells)), nil
}

// join adds the cells of other tables that are margins of these.
func (t *table) join(o *table) *table {
	joined := &table{base: t.base, columns: o.columns, shown: append(slices.Clone(t.shown), o.shown...)}
	slices.Sort(joined.shown)
	joined.shown = slices.Compact(joined.shown)
	joined.hidden = slices.DeleteFunc(slices.Clone(o.hidden), func(c int) bool {
		_, shown := slices.BinarySearch(joined.shown, c)
		return shown
	})
	return joined
}

// mostInsiders is how many of the children who know a cell of their own are tried,
// and mostPlaced how many cells each tries to place.
const (
	mostInsiders = 4
	mostPlaced   = 40
)

// insiders are single children of hidden cells who try to place the others: every
// one knows that its cell holds one.
func (t *table) insiders(w *world) (float64, error) {
	small := t.small(w)
	placed, all := 0.0, 0
	r := newDice(w.seed, 20)
	for _, at := range r.Perm(len(small)) {
		who := small[at]
		if w.truth[who].n != 1 {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(small), func(c int) bool { return within(t.columns[c], t.columns[who]) })
		r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		x, err := t.narrowShare(t.open(w, who), others[:min(mostPlaced, len(others))])
		if err != nil {
			return 0, err
		}
		placed += x
		if all++; all == mostInsiders {
			break
		}
	}
	if all == 0 {
		return math.NaN(), nil
	}
	return placed / float64(all), nil
}

// within reports whether all of some base cells are among others, ascending both.
func within(some, all []int32) bool {
	return !slices.ContainsFunc(some, func(j int32) bool { _, found := slices.BinarySearch(all, j); return !found })
}

// standing is what became of standing tables: of their cells below k, how many are
// placed by outsiders, by insiders, by who kept the tables of an earlier release, and
// where nothing but primary suppression was done.
type standing struct{ outside, inside, earlier, control []float64 }

// attack attacks the families of one population.
func (s *standing) attack(w *world) error {
	for _, f := range w.families() {
		t, err := w.suppressed(f.base, f.sets, nil)
		if err != nil {
			return err
		}
		if len(t.small(w)) == 0 {
			continue // nothing to protect
		}
		control := w.primaryOnly(&f)
		for _, a := range []struct {
			to   *[]float64
			take func() (float64, error)
		}{
			{&s.outside, func() (float64, error) { return t.narrowShare(t.open(w), t.small(w)) }},
			{&s.inside, func() (float64, error) { return t.insiders(w) }},
			{&s.control, func() (float64, error) { return control.narrowShare(control.open(w), control.small(w)) }},
			{&s.earlier, func() (float64, error) { return w.kept(&f) }},
		} {
			x, err := a.take()
			if err != nil {
				return err
			}
			*a.to = append(*a.to, x)
		}
	}
	return nil
}

// kept attacks two releases of one period: the first has the margins, the second
// everything, and knows of the first. Where what was shown already gives a cell away
// the second is refused, and there is nothing to attack.
func (w *world) kept(f *family) (float64, error) {
	first, err := w.suppressed(f.base, f.before, nil)
	if err != nil {
		return 0, err
	}
	var labels []string
	for _, c := range first.shown {
		labels = append(labels, w.label(c))
	}
	second, err := w.suppressed(f.base, f.sets, labels)
	if errors.Is(err, gateway.Conflict) {
		return math.NaN(), nil
	}
	if err != nil {
		return 0, err
	}
	joined := first.join(second)
	return joined.narrowShare(joined.open(w), joined.small(w))
}

// standing attacks profile A on every population, several times. Its tables are
// exact, so no noise key is in play.
func (r *runner) standing() (*Section, error) {
	section := &Section{Population: "standing tables"}
	l := newLattice(theDefinition())
	for _, name := range r.o.Populations {
		var s standing
		mean := populations[slices.Index(Populations(), name)].mean
		for n := range controlKeys {
			if r.ctx.Err() != nil {
				return nil, r.ctx.Err()
			}
			r.step("standing tables, " + name)
			err := s.attack(newWorld(l, name, mean, mix(r.o.Seed)+uint64(n)))
			if err != nil {
				return nil, fmt.Errorf("standing tables of %s: %w", name, err)
			}
		}
		section.Rows = append(section.Rows, s.rows(name)...)
	}
	return section, nil
}

func (s *standing) rows(name string) []Row {
	found := figure(s.control)
	var rows []Row
	for _, m := range []struct {
		measure string
		values  []float64
	}{
		{"share of W < 10", s.outside},
		{"share of W < 10, one contributor", s.inside},
		{"share of W < 10, with an earlier release", s.earlier},
	} {
		row := Row{Attack: "Profile A, " + name, Measure: m.measure, Default: figure(m.values), Bar: "= 0"}
		row.Met = row.Default == nil || row.Default.Mean == 0
		row.Controls = []Control{{"primary suppression alone", "≥ 0.5", found, found != nil && found.Mean >= 0.5}}
		rows = append(rows, row)
	}
	return rows
}
