package redteam

import (
	"math"
)

// An imputed number has a variance.
type guess struct{ value, variance float64 }

// value is what the attacker takes a cell for: the answer, or the mean of a hidden
// count.
func (v *view) value(c int) guess {
	if v.shown[c] {
		return guess{v.y[c], v.model.v}
	}
	return guess{v.model.mean, v.model.sd * v.model.sd}
}

// join weighs independent guesses by their precision.
func join(guesses []guess) (guess, bool) {
	sum, precision := 0.0, 0.0
	for _, g := range guesses {
		sum += g.value / g.variance
		precision += 1 / g.variance
	}
	if precision == 0 {
		return guess{}, false
	}
	return guess{sum / precision, 1 / precision}, true
}

// difference is the parent of a cell less its siblings, along one dimension. It
// needs the parent; hidden siblings are imputed.
func (t *trial) difference(v *view, c, d int) (guess, bool) {
	parent := t.parent(c, d)
	if parent < 0 || !v.shown[parent] {
		return guess{}, false
	}
	g := guess{v.y[parent], v.model.v}
	for _, s := range t.siblings(c, d) {
		if s != c && v.open[s] {
			return guess{}, false
		}
		if s != c {
			o := v.value(s)
			g.value -= o.value
			g.variance += o.variance
		}
	}
	return g, true
}

// subtracted joins the differences along the dimensions that are asked for; what is
// assumed of any hidden cell where there is none.
func (t *trial) subtracted(v *view, c int, along func(d int) bool) guess {
	var all []guess
	for d := range t.dims {
		if along(d) {
			if g, ok := t.difference(v, c, d); ok {
				all = append(all, g)
			}
		}
	}
	if g, ok := join(all); ok {
		return g
	}
	return guess{v.model.mean, v.model.sd * v.model.sd}
}

func everywhere(int) bool { return true }

// A1: q(F) less q(F and d=x), where what remains is the victim: along sex for
// who is the only girl of a region and age, along every dimension otherwise.
func (t *trial) remainder(v *view, g target, outcome int) float64 {
	return t.subtracted(v, t.named(g.region, g.age, g.sex, outcome), everywhere).value
}

func filterDifferencing(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	return t.scored(func(g target) float64 { return t.remainder(v, g, yes) - t.remainder(v, g, no) }), nil
}

// filterExact is the share of targets whose outcome the differences give exactly:
// one for it, none for the other.
func filterExact(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	exact := 0
	for _, g := range t.targets {
		if math.Round(t.remainder(v, g, g.secret)) == 1 && math.Round(t.remainder(v, g, 1-g.secret)) == 0 {
			exact++
		}
	}
	return float64(exact) / float64(len(t.targets)), nil
}

// A2: a hidden cell is its parent less its siblings, over every dimension.
func parentLessSiblings(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(v, t.addsUp), func(c int) float64 { return t.subtracted(v, c, everywhere).value }), nil
}

func parentLessSiblingsBaseline(t *trial) (float64, error) { return t.marginsOnly(t.addsUp) }

// marginsOnly scores the model baseline on the cells of an attack.
func (t *trial) marginsOnly(in func(c int) bool) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	fit, err := t.baseline()
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(v, in), func(c int) float64 { return fit[c] }), nil
}

// A3: a region is its zone less the zone's other regions.
func (t *trial) hasRegion(c int) bool {
	return t.addsUp(c) && t.nodes[c][dimRegion] != root && t.sets[t.set[c]].levels[dimRegion] == 1
}

func geography(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	along := func(d int) bool { return d == dimRegion }
	return t.recovered(t.small(v, t.hasRegion), func(c int) float64 { return t.subtracted(v, c, along).value }), nil
}

func geographyBaseline(t *trial) (float64, error) { return t.marginsOnly(t.hasRegion) }

// A venn region is the children of a cell whom only one of the agencies knows, or
// both: police only, social only, both.
type venn struct {
	all, police, social int // cells
	n                   [3]int
}

// venns are the Venn regions of every cell that names no outcome.
func (t *trial) venns() []venn {
	var out []venn
	for c := range t.size {
		s := &t.sets[t.set[c]]
		if s.multi || s.levels[dimOutcome] >= 0 {
			continue
		}
		levels, nodes := append([]int(nil), s.levels...), append([]int(nil), t.nodes[c]...)
		levels[dimAgency], nodes[dimAgency] = 0, 0
		p := t.cell(levels, nodes)
		nodes[dimAgency] = 1
		q := t.cell(levels, nodes)
		n, a, b := t.truth[c].n, t.truth[p].n, t.truth[q].n
		out = append(out, venn{c, p, q, [3]int{n - b, n - a, a + b - n}})
	}
	return out
}

// A4: the regions by inclusion and exclusion. Every child is known to one agency at
// least, so the cell is the union. A region counts where some of its three answers
// are hidden, or where nothing is.
func sectorCombination(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	return t.vennScore(func(r venn) [3]float64 {
		n, a, b := v.value(r.all).value, v.value(r.police).value, v.value(r.social).value
		return [3]float64{n - b, n - a, a + b - n}
	}), nil
}

// sectorBaseline knows the cells by the model, and the agencies' shares.
func sectorBaseline(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	fit, err := t.baseline()
	if err != nil {
		return 0, err
	}
	total := t.shares(v, -1)[0]
	agencies := t.shares(v, dimAgency)
	a, b := agencies[0]/total, agencies[1]/total
	return t.vennScore(func(r venn) [3]float64 {
		n := fit[r.all]
		return [3]float64{n * (1 - b), n * (1 - a), n * (a + b - 1)}
	}), nil
}

func (t *trial) vennScore(guess func(r venn) [3]float64) float64 {
	exact, all := 0, 0
	for _, r := range t.venns() {
		values := guess(r)
		for i, n := range r.n {
			if n < 1 || n > mostHidden {
				continue
			}
			all++
			if math.Round(values[i]) == float64(n) {
				exact++
			}
		}
	}
	return float64(exact) / float64(all)
}
