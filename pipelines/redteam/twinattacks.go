package redteam

import (
	"fmt"
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A twinTrial is one protection of one twin under one key, with what its attacks
// compute once.
type twinTrial struct {
	*trial

	twin   *twinWorld
	plan   *twinPlan
	fit    []float64          // the model baseline
	models [][]float64        // by frame: of its unknowns
	solved map[bool][]float64 // by whether the model is used: NaN outside the frames
}

// first is the first release; the baseline goes with it.
func (t *twinTrial) first() (*view, error) {
	v, err := t.release(1)
	if err == nil && t.fit == nil {
		t.fitModels(v)
	}
	return v, err
}

// fitModels fits the published one-way margins: every cell of a frame by the frame's
// model, any other by the product of its shares.
func (t *twinTrial) fitModels(v *view) {
	t.fit = t.plan.fitted(v)
	margins := slices.Clone(t.fit)
	done := make([]bool, t.size)
	for i := range t.plan.frames {
		f := &t.plan.frames[i]
		x := f.model(margins)
		t.models = append(t.models, x)
		for j, y := range f.sums(x) {
			if c := f.rows[j]; !done[c] {
				t.fit[c], done[c] = y, true
			}
		}
	}
}

// summing reports whether counts of children add up along a dimension.
func (t *twinTrial) summing(d int) bool { return t.dims[d].Kind == gateway.Partition }

// summed reports whether a cell names a partition dimension: something to subtract
// along.
func (t *twinTrial) summed(c int) bool {
	for d, level := range t.sets[t.set[c]].levels {
		if level >= 0 && t.summing(d) {
			return true
		}
	}
	return false
}

// twinSubtraction is A2 over the partition dimensions of every set.
func twinSubtraction(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(v, t.summed), func(c int) float64 { return t.subtracted(v, c, t.summing).value }), nil
}

func twinSubtractionBaseline(t *twinTrial) float64 {
	return t.recovered(t.small(t.views[1], t.summed), func(c int) float64 { return t.fit[c] })
}

func subtractions(t *twinTrial) int { return len(t.small(t.views[1], t.summed)) }

// twinDifferencing is A1: what remains for either secret of a target.
func twinDifferencing(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	return t.told(func(c int) float64 { return t.subtracted(v, c, t.summing).value }), nil
}

// told is the AUC of an estimate of the cells that name either secret of a target:
// the second less the first, by which of them is true.
func (t *twinTrial) told(estimate func(c int) float64) float64 {
	var by [2][]float64
	for _, g := range t.twin.hidden {
		by[g.is] = append(by[g.is], estimate(g.cells[1])-estimate(g.cells[0]))
	}
	if len(by[0]) == 0 || len(by[1]) == 0 {
		return math.NaN()
	}
	return auc(by[0], by[1])
}

// twinVenn is A4: the children of one cell who are not in another one within it, by
// subtraction.
func twinVenn(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	x, _ := t.vennShare(func(r twinVennRegion) float64 { return v.value(r.all).value - v.value(r.within).value })
	return x, nil
}

func twinVennBaseline(t *twinTrial) float64 {
	x, _ := t.vennShare(func(r twinVennRegion) float64 { return math.Max(0, t.fit[r.all]-t.fit[r.within]) })
	return x
}

func vennsScored(t *twinTrial) int {
	_, n := t.vennShare(func(twinVennRegion) float64 { return 0 })
	return n
}

func (t *twinTrial) vennShare(guess func(r twinVennRegion) float64) (recovered float64, all int) {
	exact := 0
	for _, r := range t.plan.venns {
		n := t.truth[r.all].n - t.truth[r.within].n
		if n < 1 || n > mostHidden || t.omitted[r.within] {
			continue
		}
		all++
		if math.Round(guess(r)) == float64(n) {
			exact++
		}
	}
	return share(exact, all), all
}

// routes solves every frame. A cell of several frames takes the first's estimate.
func (t *twinTrial) routes(model bool) ([]float64, error) {
	if x := t.solved[model]; x != nil {
		return x, nil
	}
	v, err := t.first()
	if err != nil {
		return nil, err
	}
	cells := slices.Repeat([]float64{math.NaN()}, t.size)
	for i := range t.plan.frames {
		f := &t.plan.frames[i]
		for j, x := range f.solve(v, t.models[i], model) {
			if c := f.rows[j]; math.IsNaN(cells[c]) {
				cells[c] = x
			}
		}
	}
	if t.solved == nil {
		t.solved = map[bool][]float64{}
	}
	t.solved[model] = cells
	return cells, nil
}

// twinRoutes is A5 on the finest cells of every frame.
func twinRoutes(model bool) func(t *twinTrial) (float64, error) {
	return func(t *twinTrial) (float64, error) {
		x, err := t.routes(model)
		if err != nil {
			return 0, err
		}
		return t.recovered(t.small(t.views[1], t.plan.inFrames()), func(c int) float64 { return x[c] }), nil
	}
}

func twinRoutesBaseline(t *twinTrial) float64 {
	return t.recovered(t.small(t.views[1], t.plan.inFrames()), func(c int) float64 { return t.fit[c] })
}

func routesScored(t *twinTrial) int { return len(t.small(t.views[1], t.plan.inFrames())) }

// inFrames tells the finest cells of the frames.
func (p *twinPlan) inFrames() func(c int) bool {
	in := make([]bool, p.size)
	for _, f := range p.frames {
		for i, c := range f.rows {
			in[c] = in[c] || f.finest[i]
		}
	}
	return func(c int) bool { return in[c] }
}

// twinRoutesTargets scores the targets' secrets by the same solution.
func twinRoutesTargets(t *twinTrial) (float64, error) {
	x, err := t.routes(false)
	if err != nil {
		return 0, err
	}
	return t.told(func(c int) float64 { return x[c] }), nil
}

// twinEquality is A8: whether a cell holds all children of its parent, or all but
// one to nine. What the definition says is equal is left out.
func twinEquality(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	var by [2][]float64
	t.pairs(func(c, parent, _ int) {
		r := t.truth[parent].n - t.truth[c].n
		if r > 9 || t.truth[c].n == 0 {
			return
		}
		score := -100.0 // hidden: nothing to compare
		if v.shown[c] && v.shown[parent] {
			score = -math.Abs(v.y[parent] - v.y[c])
		}
		if r == 0 {
			by[1] = append(by[1], score)
		} else {
			by[0] = append(by[0], score)
		}
	})
	if len(by[0]) == 0 || len(by[1]) == 0 {
		return math.NaN(), nil
	}
	return auc(by[0], by[1]), nil
}

// pairs calls f for every cell that may be published with each of its parents, but
// for those that are equal by the definition: an only child, a node that the rest of
// the cell implies.
func (t *twinTrial) pairs(f func(c, parent, d int)) {
	for c := range t.size {
		if t.omitted[c] {
			continue
		}
		s := &t.sets[t.set[c]]
		for d, level := range s.levels {
			if level < 0 || level > 0 && len(t.kin[d][level][t.nodes[c][d]]) == 1 || t.plan.equal(s, c, d) {
				continue
			}
			f(c, t.parent(c, d), d)
		}
	}
}

// equal reports whether the other nodes of a cell imply its node of a dimension.
func (p *twinPlan) equal(s *cellSet, c, d int) bool {
	for _, m := range p.implied {
		when, then := m[0], m[1]
		if then.d == d && s.levels[when.d] == when.level && p.nodes[c][when.d] == when.node && s.levels[d] == then.level && p.nodes[c][d] == then.node {
			return true
		}
	}
	return false
}

// twinOneSided is A9 for minorities of 0 to 9 beside or in a cell, along sensitive
// dimensions, or along all where none is.
func twinOneSided(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	sensitive := slices.ContainsFunc(t.dims, func(d *gateway.Dimension) bool { return d.Sensitive })
	all, shown := 0, 0
	t.pairs(func(c, parent, d int) {
		n := t.truth[parent].n
		if n < 20 || v.zero[c] || sensitive && !t.dims[d].Sensitive {
			return
		}
		if m := min(t.truth[c].n, n-t.truth[c].n); m <= 9 {
			all++
			if v.shown[c] {
				shown++
			}
		}
	})
	return share(shown, all), nil
}

// twinZeros is A10: how much better than by the base rate zeros are told from one to
// nine children, by all that is said of a cell.
func twinZeros(t *twinTrial) (float64, error) {
	v, err := t.first()
	if err != nil {
		return 0, err
	}
	counts := map[string][2]int{}
	var totals [2]int
	for c, tally := range t.truth {
		if tally.n > 9 || v.zero[c] || t.omitted[c] {
			continue
		}
		zero := 0
		if tally.n == 0 {
			zero = 1
		}
		said := fmt.Sprint(v.shown[c], v.y[c])
		pair := counts[said]
		pair[zero]++
		counts[said] = pair
		totals[zero]++
	}
	right := 0
	for _, pair := range counts {
		right += max(pair[0], pair[1])
	}
	return share(right-max(totals[0], totals[1]), totals[0]+totals[1]), nil
}

// twinReleases is how many releases of one population are averaged.
const twinReleases = 6

// twinAveraging is A17: the standard deviation of the mean over releases as a part
// of the permanent layer's, over cells of 40 children and more that all of them show.
// The first keys are enough.
func twinAveraging(t *twinTrial) (float64, error) {
	if t.key >= controlKeys {
		return math.NaN(), nil
	}
	sums, seen := make([]float64, t.size), make([]int, t.size)
	for number := 1; number <= twinReleases; number++ {
		v, err := t.release(number)
		if err != nil {
			return 0, err
		}
		for c := range sums {
			if v.shown[c] && !v.zero[c] {
				sums[c] += v.y[c] / twinReleases
				seen[c]++
			}
		}
		if number > 1 {
			delete(t.views, number)
		}
	}
	var errors []float64
	for c, tally := range t.truth {
		if seen[c] == twinReleases && tally.n >= 40 {
			errors = append(errors, sums[c]-float64(tally.n))
		}
	}
	if len(errors) == 0 {
		return math.NaN(), nil
	}
	return spread(errors) / math.Sqrt(t.plan.def.V/2), nil
}
