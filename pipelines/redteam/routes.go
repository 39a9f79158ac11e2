package redteam

import (
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A5: every answer of every grouping set in one bounded least-squares problem.
func allRoutes(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	e := t.reconstruct(v, false, nil)
	return t.recovered(t.small(v, t.isBase), func(c int) float64 { return e.cells[c] }), nil
}

// carefulRoutes is A5 by an attacker who does not take every hidden cell for small.
func carefulRoutes(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	e, err := t.estimate()
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(v, t.isBase), func(c int) float64 { return e.cells[c] }), nil
}

// informedRoutes is A5 by an attacker who fits the model to the margins as well, and
// believes it where the answers are silent.
func informedRoutes(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	fit, err := t.baseline()
	if err != nil {
		return 0, err
	}
	e := t.reconstruct(v, true, fit)
	return t.recovered(t.small(v, t.isBase), func(c int) float64 { return e.cells[c] }), nil
}

// answeredRoutes is the same for the hidden cells of the grouping sets that are
// answered: those that the sparsity gate closes have no hidden cell of their own.
func answeredRoutes(t *trial) (float64, error) {
	e, err := t.estimate()
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(t.views[1], t.isAnswered), func(c int) float64 { return e.cells[c] }), nil
}

func answeredRoutesBaseline(t *trial) (float64, error) { return t.marginsOnly(t.isAnswered) }

// isAnswered reports whether a cell adds up and is of a set that is answered.
func (t *trial) isAnswered(c int) bool { return t.addsUp(c) && !t.views[1].open[c] }

func allRoutesBaseline(t *trial) (float64, error) { return t.marginsOnly(t.isBase) }

// allRoutesSpread is the standard deviation of the estimate of shown cells.
func allRoutesSpread(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	e, err := t.estimate()
	if err != nil {
		return 0, err
	}
	return t.errorOf(v, e), nil
}

func (t *trial) errorOf(v *view, e *estimate) float64 {
	var errors []float64
	for c := range t.size {
		if v.shown[c] && t.addsUp(c) {
			errors = append(errors, e.cells[c]-float64(t.truth[c].n))
		}
	}
	return spread(errors)
}

// allRoutesTargets scores the targets' outcomes by the same solution.
func allRoutesTargets(t *trial) (float64, error) {
	e, err := t.estimate()
	if err != nil {
		return 0, err
	}
	return t.scored(func(g target) float64 {
		return e.cells[t.named(g.region, g.age, g.sex, yes)] - e.cells[t.named(g.region, g.age, g.sex, no)]
	}), nil
}

// A7 with registered nodes only: for each choice of a cell's dimensions, the cell is
// its ancestor without them less all other cells of the ancestor; the mean over
// these routes by precision.
func partitionRoutes(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	return t.recovered(t.small(v, t.isBase), func(c int) float64 { return t.overRoutes(v, c).value }), nil
}

// routesAvailable is the mean number of routes to a scored cell all of whose answers
// are shown.
func routesAvailable(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	cells := t.small(v, t.isBase)
	if len(cells) == 0 {
		return math.NaN(), nil
	}
	sum := 0
	for _, c := range cells {
		for mask := 1; mask < 1<<len(t.dims); mask++ {
			if _, hidden, ok := t.route(v, c, mask); ok && hidden == 0 {
				sum++
			}
		}
	}
	return float64(sum) / float64(len(cells)), nil
}

func (t *trial) overRoutes(v *view, c int) guess {
	var all []guess
	for mask := 1; mask < 1<<len(t.dims); mask++ {
		if g, _, ok := t.route(v, c, mask); ok {
			all = append(all, g)
		}
	}
	if g, ok := join(all); ok {
		return g
	}
	return guess{v.model.mean, v.model.sd * v.model.sd}
}

// route is the guess along the dimensions of a mask, with how many answers were
// hidden. It is none where the mask names a dimension that the cell does not, or the
// ancestor is hidden.
func (t *trial) route(v *view, c, mask int) (g guess, hidden int, ok bool) {
	ancestor, others := c, []int{c}
	for d := range t.dims {
		if mask>>d&1 == 0 {
			continue
		}
		if t.nodes[c][d] == root || t.dims[d].Kind == gateway.Multi {
			return guess{}, 0, false
		}
		ancestor = t.parent(ancestor, d)
		var wider []int
		for _, o := range others {
			wider = append(wider, t.siblings(o, d)...)
		}
		others = wider
	}
	if !v.shown[ancestor] {
		return guess{}, 0, false
	}
	g = guess{v.y[ancestor], v.model.v}
	for _, o := range others {
		if o == c {
			continue
		}
		if v.open[o] {
			return guess{}, 0, false
		}
		if !v.shown[o] {
			hidden++
		}
		x := v.value(o)
		g.value -= x.value
		g.variance += x.variance
	}
	return g, hidden, true
}

// A20: five tokens in two projects ask everything and share what they get. One
// number for one cell leaves them where one token is.
const tokens = 5

var projects = [...]gateway.Purpose{"statistics", "research"}

// shared averages what the tokens are answered. A token of the simple publishers
// sees what any other sees.
func (t *trial) shared() (*view, error) {
	first, err := t.release(1)
	if err != nil || first.ask == nil {
		return first, err
	}
	sum := newView(population{lattice: t.lattice, counts: t.truth}, first.model)
	copy(sum.shown, first.shown)
	for token := range tokens {
		ask := func(q gateway.Question) (*gateway.Table, error) {
			q.Purpose = projects[token%len(projects)]
			slices.Reverse(q.GroupBy)
			return first.ask(q)
		}
		v, err := read(population{lattice: t.lattice, counts: t.truth}, first.published, ask)
		if err != nil {
			return nil, err
		}
		for c, shown := range v.shown {
			sum.shown[c] = sum.shown[c] && shown
			sum.y[c] += v.y[c]
		}
	}
	for c := range sum.y {
		sum.y[c] /= tokens
	}
	return sum, nil
}

// collusionRecovery is by how much five tokens recover more than one (A1, A5, A7:
// the least-squares problem holds the routes of all three).
func collusionRecovery(t *trial) (float64, error) {
	alone, err := carefulRoutes(t)
	if err != nil {
		return 0, err
	}
	v, err := t.shared()
	if err != nil || slices.Equal(v.shown, t.views[1].shown) && slices.Equal(v.y, t.views[1].y) {
		return 0, err // one and the same problem
	}
	e := t.reconstruct(v, true, nil)
	return t.recovered(t.small(v, t.isBase), func(c int) float64 { return e.cells[c] }) - alone, nil
}

// collusionSpread is by how much the error of what five tokens are answered, on
// average, is less than the error of what one is answered.
func collusionSpread(t *trial) (float64, error) {
	one, err := t.release(1)
	if err != nil {
		return 0, err
	}
	v, err := t.shared()
	if err != nil {
		return 0, err
	}
	var alone, together []float64
	for c := range t.size {
		if v.shown[c] {
			n := float64(t.truth[c].n)
			alone, together = append(alone, one.y[c]-n), append(together, v.y[c]-n)
		}
	}
	return spread(alone) - spread(together), nil
}
