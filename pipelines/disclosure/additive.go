package disclosure

import (
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// Additive tables: the two layers of noise of disclosure.md 2.3, drawn for base cells
// alone; what tables show are exact sums of those (disclosure.md 2.5). Every number
// then has one route, since its parts add up to itself and to nothing else, and
// averaging finds nothing. The price is the variance of a margin: V for each part.
//
// The noise of a base cell does not depend on its count. Cut off at zero it would:
// who subtracts the shown cells from a margin would find 0 for nothing and, sometimes,
// 5 for a single child. So a noisy cell may be negative, a zero is perturbed like any
// other, and no bottom code is applied, because the sums would not hold any more.
//
// Which cells are shown is decided by the rules of profile B. Hidden ones can be found
// by subtraction, with their noise: the noise protects them, and not that they are
// hidden.

// planAdditive judges the noise as the budget of profile B does. Within a base there
// is one route to each number. Nodes of a multi dimension have noise of their own,
// and where events are counted those add up to the margin nearly, so they are routes
// like the levels of any dimension (disclosure.md 2.5).
//
// A node that another implies is refused: the same children would be base cells of two
// labels, with noise of their own each, and the tables would not add up.
func planAdditive(l *lattice, b *Budget) (*Budget, error) {
	if m := l.impliesMulti(); m != nil {
		return b, gateway.Errorf(gateway.Invalid, "dimension %s implies nodes of %s: the same children would have noise twice; publish one of them", m.If.Dimension, m.Then.Dimension)
	}
	b.A = 1
	for _, name := range usedDimensions(l.def) {
		dim := &l.dims[l.byName[name]]
		if dim.Kind != gateway.Partition && dim.summing {
			b.A *= dim.routes()
		}
	}
	b.Needed = BudgetFactor * b.A
	b.D1, b.D2 = deviations(l.def.V)
	b.Standing.Parts = l.parts(l.sets[0])
	for i, s := range l.sets {
		b.Sets[i].Variance = l.def.V * float64(l.parts(s))
	}
	switch {
	case !(b.V >= MinVariance):
		return b, gateway.Errorf(gateway.Invalid, "V %g is below %g, the least variance whose tables are known to be feasible", b.V, MinVariance)
	case b.V < b.Needed:
		return b, gateway.Errorf(gateway.Invalid, "additive tables over these multi dimensions need V >= 7.8 A: A is %.2f, so V must be at least %.1f, and %g is declared", b.A, b.Needed, b.V)
	}
	return b, nil
}

// A summing replaces the values of profile B by sums.
type summing struct{ values [][]int64 } // by set and cell

// publishAdditive runs the rules of profile B over the complete counts, and publishes
// sums of noisy base cells.
func publishAdditive(c *counted, l *lattice, rel Release) (*Published, [][]state, error) {
	w, err := l.widened()
	if err != nil {
		return nil, nil, err
	}
	p, err := newProtector(&counted{l: l, cells: w.complete(c, l)}, rel)
	if err != nil {
		return nil, nil, err
	}
	if p.tables, err = NewPTables(l.def.V); err != nil {
		return nil, nil, fmt.Errorf("solving the perturbation tables: %w", err)
	}
	for _, s := range l.sets {
		if err := p.protect(s); err != nil {
			return nil, nil, err
		}
	}
	p.summing = &summing{}
	noisy := make([][]int64, len(w.sets))
	for _, s := range l.sets {
		sums := make([]int64, s.cells)
		w.sums(s, func(base *set, from, to int) {
			if noisy[base.index] == nil {
				noisy[base.index] = w.perturb(p, base, c.cells[base.index])
			}
			sums[to] += noisy[base.index][from]
		})
		p.summing.values = append(p.summing.values, sums)
	}
	published, err := p.publish(rel)
	return published, p.states, err
}

// perturb draws the noise of a base. A structural zero is 0 for certain, and noise on
// it would be noise on every margin.
func (w wide) perturb(p *protector, base *set, counts []tally) []int64 {
	// A count this large has the full, symmetric rows of both layers; being a multiple
	// of the base it leaves the rounding as it is.
	const full = 1000 * Base
	values := make([]int64, base.cells)
	var at []int
	for c := range values {
		at = base.nodes(c, at)
		if w.impossible(base, at) {
			continue
		}
		n := int64(0)
		if counts != nil {
			n = counts[c].children
		}
		p.label = w.label(base, at, p.label[:0])
		n1 := n + p.tables.l1.draw(n+full, p.keys.permanent(p.label))
		values[c] = n1 + p.tables.l2.draw(n1+full, p.keys.fresh(gateway.CountChildren, p.label))
	}
	return values
}
