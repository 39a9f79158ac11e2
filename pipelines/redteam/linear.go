package redteam

import (
	"math"
	"slices"
)

// A polytope is all x >= 0 whose sums over given unknowns are given numbers: what
// tables leave open. It is kept as a simplex tableau at a vertex. The red team has its
// own, in floating point, so that it shares nothing with the audit that it checks.
type polytope struct {
	rows  [][]float64 // the last column is the right-hand side
	basis []int       // by row: its basic unknown
	n     int         // unknowns
}

// A total is what the sum of some unknowns is.
type total struct {
	of    []int32
	value float64
}

const (
	slack = 1e-7
	// A pivot that does not move is counted; after many, the least index enters
	// (Bland 1977), which cannot cycle.
	stalls = 50
)

// newPolytope finds a vertex by the first phase of the simplex method; nil when there
// is no point at all.
func newPolytope(n int, totals []total) *polytope {
	m := len(totals)
	p := &polytope{n: n + m}
	for i, t := range totals {
		row := make([]float64, n+m+1)
		for _, j := range t.of {
			row[j] = 1
		}
		row[n+i], row[n+m] = 1, t.value
		p.rows, p.basis = append(p.rows, row), append(p.basis, n+i)
	}
	artificial := make([]float64, n+m)
	for i := range m {
		artificial[n+i] = -1
	}
	if p.maximise(artificial) < -1e-4 {
		return nil
	}
	return p.without(n)
}

// without drops the artificial unknowns from n on, and the rows that say nothing.
func (p *polytope) without(n int) *polytope {
	out := &polytope{n: n}
	for i, row := range p.rows {
		if p.basis[i] >= n {
			enter := slices.IndexFunc(row[:n], func(x float64) bool { return math.Abs(x) > slack })
			if enter < 0 {
				continue // implied by the others
			}
			p.pivot(i, enter)
		}
	}
	for i, row := range p.rows {
		if p.basis[i] < n {
			out.rows = append(out.rows, append(row[:n:n], row[p.n]))
			out.basis = append(out.basis, p.basis[i])
		}
	}
	return out
}

// maximise returns the largest value of a linear function, +Inf where there is none.
// It leaves the tableau where it is attained: the next function starts there.
func (p *polytope) maximise(c []float64) float64 {
	reduced := append(slices.Clone(c), 0)
	for i, row := range p.rows {
		if by := c[p.basis[i]]; by != 0 {
			for j, x := range row {
				reduced[j] -= by * x
			}
		}
	}
	stalled := 0
	for {
		enter := p.entering(reduced, stalled > stalls)
		if enter < 0 {
			return -reduced[p.n]
		}
		leave, step := p.leaving(enter)
		if leave < 0 {
			return math.Inf(1)
		}
		if step > slack {
			stalled = 0
		} else {
			stalled++
		}
		p.pivot(leave, enter)
		by := reduced[enter]
		for j, x := range p.rows[leave] {
			reduced[j] -= by * x
		}
	}
}

// entering is an unknown whose growth raises the function: the one that raises it
// most, or the first.
func (p *polytope) entering(reduced []float64, first bool) int {
	best, enter := slack, -1
	for j, x := range reduced[:p.n] {
		if x > best {
			best, enter = x, j
			if first {
				break
			}
		}
	}
	return enter
}

// leaving is the row whose basic unknown reaches zero first, of equals the one with
// the least unknown.
func (p *polytope) leaving(enter int) (leave int, step float64) {
	leave, step = -1, math.Inf(1)
	for i, row := range p.rows {
		if row[enter] <= slack {
			continue
		}
		ratio := math.Max(0, row[p.n]) / row[enter]
		if ratio < step-1e-9 || ratio <= step+1e-9 && leave >= 0 && p.basis[i] < p.basis[leave] {
			leave, step = i, math.Min(step, ratio)
		}
	}
	return leave, step
}

func (p *polytope) pivot(leave, enter int) {
	own := p.rows[leave]
	by := own[enter]
	for j := range own {
		own[j] /= by
	}
	for i, row := range p.rows {
		if factor := row[enter]; i != leave && factor != 0 {
			for j, x := range own {
				if x != 0 {
					row[j] -= factor * x
				}
			}
		}
	}
	p.basis[leave] = enter
}

// interval is where the sum of some unknowns can lie.
func (p *polytope) interval(sum []int32) interval {
	c := make([]float64, p.n)
	for _, j := range sum {
		c[j] = 1
	}
	high := p.maximise(c)
	for _, j := range sum {
		c[j] = -1
	}
	return interval{-p.maximise(c), high}
}
