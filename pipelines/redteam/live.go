package redteam

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A LiveRelease is a real release of a test environment: one whose records are of a
// synthetic country, so that the truth is known.
type LiveRelease struct {
	ID         gateway.ReleaseID    // Required.
	Definition *gateway.Definition  // Required: as the release pins it.
	Rules      gateway.ReleaseRules // Required: as the release pins them.
	// Truth counts the children of a cell by its canonical label.
	Truth func(label string) int
	// Ask asks as an ordinary researcher does. Refusals are errors of package gateway.
	Ask func(gateway.Question) (*gateway.Table, error)
}

// Against attacks a release by questions alone and scores by the truth. It asks for
// the total first, and refuses to go on where that is not the truth's within the
// largest deviation: then the release is not of the synthetic country, and nobody is
// to be told how its cells compare with numbers of their own.
//
// A release has one noise key. Its intervals are over cells and targets therefore,
// and an AUC misses its bar only when all of its interval does: [Run] has the keys to
// say more.
func Against(ctx context.Context, r LiveRelease) (*Report, error) {
	plan, err := newTwinPlan(r.Definition)
	if err != nil {
		return nil, err
	}
	w, err := r.world(plan)
	if err != nil {
		return nil, err
	}
	section := Section{Population: string(r.ID), Children: w.truth[0].n, Cells: plan.size}
	var trials []*twinTrial
	for _, by := range append(publishers()[:colDefault], r.publisher()) {
		trials = append(trials, &twinTrial{trial: newTrial(w.world, by, 0), twin: w, plan: plan})
	}
	for _, p := range append(plan.probes, liveProbes(plan)...) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row, err := p.live(trials)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.attack, err)
		}
		if row.Default != nil {
			section.Rows = append(section.Rows, row)
		}
	}
	report := &Report{Keys: 1, Sections: []Section{section}}
	report.judge()
	return report, nil
}

// errNotThis says that a release is not of the country whose truth is at hand.
func errNotThis() error {
	return gateway.Errorf(gateway.Invalid, "the release is not of this synthetic country: attacks are scored in test environments only, where the truth is known; give the children and the seed that filled it")
}

// world is the truth, once the total has shown that it is the release's.
func (r *LiveRelease) world(plan *twinPlan) (*twinWorld, error) {
	total := &plan.sets[0]
	table, err := r.Ask(plan.question(total))
	if err != nil {
		return nil, err
	}
	w := &twinWorld{world: &world{lattice: plan.lattice, name: string(r.ID), truth: make([]tally, plan.size)}, law: r.Rules}
	for c := range w.truth {
		label := plan.label(c)
		h := fnv.New64a()
		_, _ = h.Write([]byte(label)) // never fails
		// The single layer of the comparison is drawn by members; any number will do.
		w.truth[c] = tally{r.Truth(label), mix(h.Sum64())}
	}
	v := newView(population{lattice: plan.lattice}, model{})
	if err := v.take(plan.lattice, total, table.Cells); err != nil {
		return nil, err
	}
	if !v.shown[0] || math.Abs(v.y[0]-float64(w.truth[0].n)) > reach(r.Definition.V) {
		return nil, errNotThis()
	}
	plan.uniques(w)
	return w, nil
}

// publisher reads the release, and checks that it is of this truth: no shown value
// is further off than the noise can be.
func (r *LiveRelease) publisher() publisher {
	return publisher{"default", true, func(p population, _, release int) (*view, error) {
		if release != 1 {
			return nil, fmt.Errorf("%w: a live release is one", errBroken)
		}
		v, err := read(p, nil, r.Ask)
		if err != nil {
			return nil, err
		}
		for c, shown := range v.shown {
			most := v.model.reach
			if v.y[c] == float64(r.Rules.ThresholdMin) {
				most += v.y[c] // the bottom code
			}
			if shown && math.Abs(v.y[c]-float64(p.counts[c].n)) > most {
				return nil, errNotThis()
			}
		}
		return v, nil
	}}
}

// reach is the largest deviation of a published count, D1 + D2 (disclosure.md 2.3).
func reach(v float64) float64 {
	return math.Ceil(2.4*math.Sqrt(v/2)) + math.Ceil(2.8*math.Sqrt(v/2))
}

// uniques takes for targets the children who alone are what is known of them: all
// that a cell names but one attribute. The other code is any; of each pair of codes
// as many targets have the one as have the other, so that what is common tells
// nothing.
func (p *twinPlan) uniques(w *twinWorld) {
	byPair := map[codePair][2][]twinTarget{}
	var pairs []codePair
	r := newDice(1, 4)
	for i := range p.sets {
		s := &p.sets[i]
		for d, level := range s.levels {
			if s.multi || level < 0 || len(p.dims[d].Levels) > 1 || len(s.Set) < 3 {
				continue
			}
			for c := range p.sets[s.above[d]].cells {
				of, t, ok := p.unique(w, s, d, p.sets[s.above[d]].first+c, r)
				if !ok {
					continue
				}
				both, known := byPair[of]
				if !known {
					pairs = append(pairs, of)
				}
				both[t.is] = append(both[t.is], t)
				byPair[of] = both
			}
		}
	}
	for _, of := range pairs {
		both := byPair[of]
		n := min(len(both[0]), len(both[1]))
		w.hidden = append(append(w.hidden, both[0][:n]...), both[1][:n]...)
	}
}

// A codePair is two codes of a dimension.
type codePair struct{ d, a, b int }

// unique is the target of a known cell, if there is one.
func (p *twinPlan) unique(w *twinWorld, s *cellSet, d, known int, r *rand.Rand) (of codePair, t twinTarget, ok bool) {
	if w.truth[known].n != 1 || p.omitted[known] {
		return of, t, false
	}
	cells := p.codesOf(s, d, known)
	is := slices.IndexFunc(cells, func(c int) bool { return w.truth[c].n == 1 })
	other := r.IntN(len(cells))
	if is < 0 || other == is || p.declared(cells[other]) {
		return of, t, false
	}
	of = codePair{d, min(is, other), max(is, other)}
	t.cells = [2]int{cells[of.a], cells[of.b]}
	if is == of.b {
		t.is = 1
	}
	return of, t, true
}

// codesOf are the cells of a set that name a code of a dimension beside what a known
// cell names.
func (p *twinPlan) codesOf(s *cellSet, d, known int) []int {
	nodes := slices.Clone(p.nodes[known])
	var cells []int
	for node := range p.up[d][0] {
		nodes[d] = node
		cells = append(cells, p.cell(s.levels, nodes))
	}
	return cells
}

// declared reports whether a cell is a structural zero.
func (p *twinPlan) declared(c int) bool {
	s := &p.sets[p.set[c]]
	return slices.ContainsFunc(p.impossible, func(zero []fact) bool {
		return !slices.ContainsFunc(zero, func(f fact) bool {
			return s.levels[f.d] != f.level || p.nodes[c][f.d] != f.node
		})
	})
}

// live takes a probe of a release: one figure a protection.
func (p probe) live(trials []*twinTrial) (Row, error) {
	values := taken{baseline: []float64{math.NaN()}}
	for col, t := range trials {
		x := math.NaN()
		if !p.protected || col == colDefault {
			var err error
			x, err = p.value(t)
			if err != nil {
				return Row{}, err
			}
		}
		values.by[col] = []float64{x}
	}
	t := trials[colDefault]
	c := check{attack: p.attack, measure: p.measure, bar: p.bar}
	if p.baseline != nil {
		values.baseline[0] = p.baseline(t)
		c.baseline = func(*trial) (float64, error) { return 0, nil } // taken already
	}
	row := newRow(c, values)
	if row.Default == nil {
		return row, nil
	}
	switch {
	case row.Difference != nil:
		// A cell counts for one of both at most, at worst.
		a, b := row.Default.Mean, row.Baseline.Mean
		row.Difference.widen(math.Sqrt((a + b - (a-b)*(a-b)) / float64(max(1, p.scored(t)))))
		row.Met = p.bar.met(&row)
	case p.measure == "AUC" && len(t.twin.hidden) > 0:
		row.Default.widen(aucError(row.Default.Mean, len(t.twin.hidden)/2))
		row.Met = max(row.Default.Low, 1-row.Default.High) <= barOutsider
	}
	if row.None != nil && p.none.breaks != nil {
		row.Controls = []Control{{publishers()[colNone].name, p.none.found, row.None, p.none.breaks(*row.None)}}
	}
	return row, nil
}

// widen gives a figure of one key the interval of a normal error.
func (f *Figure) widen(se float64) {
	f.Low, f.High = f.Mean-1.96*se, f.Mean+1.96*se
}

// aucError is the standard error of an AUC of n against n (Hanley and McNeil 1982).
func aucError(a float64, n int) float64 {
	q1, q2 := a/(2-a), 2*a*a/(1+a)
	m := float64(n)
	return math.Sqrt((a*(1-a) + (m-1)*(q1-a*a) + (m-1)*(q2-a*a)) / (m * m))
}

// liveProbes are what only questions to a release itself can show.
func liveProbes(p *twinPlan) []probe {
	all := []probe{{
		attack: "A6 synonyms", measure: "answers a label", protected: true, bar: equals(1),
		value: func(t *twinTrial) (float64, error) { return synonymsOf(t.trial, 10) },
	}}
	for i := range p.def.Cubes {
		cube := &p.def.Cubes[i]
		dim := p.def.Dimension(cube.Dimensions[0])
		codes := dim.AtLevel(0)
		if len(codes) < 2 {
			continue
		}
		all = append(all, probe{
			attack: "A7 two partitions", measure: "unions answered, cube " + cube.ID, protected: true, bar: equals(0),
			value: func(t *twinTrial) (float64, error) {
				v, err := t.first()
				if err != nil {
					return 0, err
				}
				ask := func(code string) gateway.Question {
					return gateway.Question{Cube: cube.ID, Measure: gateway.CountChildren, Filter: map[string]string{dim.Name: code}}
				}
				var questions []gateway.Question
				for _, code := range unions(codes[0].Code, codes[1].Code) {
					questions = append(questions, ask(code))
				}
				deep := gateway.Question{Cube: cube.ID, Measure: gateway.CountChildren}
				for _, name := range cube.Dimensions {
					deep.GroupBy = append(deep.GroupBy, name+"@"+p.def.Dimension(name).Levels[0])
				}
				if len(cube.Dimensions) > cube.Cap {
					questions = append(questions, deep)
				}
				return answered(v, ask(codes[0].Code), questions)
			},
		})
	}
	return all
}
