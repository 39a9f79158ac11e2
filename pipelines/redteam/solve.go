package redteam

import (
	"cmp"
	"math"
)

// A system is a weighted, bounded least-squares problem over cells that are sums of
// unknowns: minimise sum w_i (y_i - sum of x_j over row i)^2 with 0 <= x_j <= most_j.
type system struct {
	rows []row
	cols [][]int // by unknown: the rows it is in
	most []float64
	// tolerance is how far an unknown may move in the last sweep; default 1e-3. The
	// estimates are rounded to integers.
	tolerance float64
}

// A row is one equation: an answer, or what is known of a hidden cell.
type row struct {
	y, w float64
}

const sweeps = 1000

// solve minimises by coordinate descent from x, which it changes and returns. Each
// step is exact along one unknown, so the sum never rises; the problem is convex
// with simple bounds, so the end is the minimum (Tseng 2001). Longer steps
// (over-relaxation) need more sweeps here, not fewer: they cross the bounds.
func (s *system) solve(x []float64) []float64 {
	// pull is the weighted residual of each row.
	pull := make([]float64, len(s.rows))
	for i, r := range s.rows {
		pull[i] = r.y * r.w
	}
	weights := make([]float64, len(s.rows))
	for i, r := range s.rows {
		weights[i] = r.w
	}
	curvature := make([]float64, len(s.cols))
	for j, in := range s.cols {
		for _, i := range in {
			pull[i] -= x[j] * weights[i]
			curvature[j] += weights[i]
		}
	}
	for range sweeps {
		moved := 0.0
		for j, in := range s.cols {
			if curvature[j] == 0 {
				continue
			}
			gradient := 0.0
			for _, i := range in {
				gradient += pull[i]
			}
			to := min(max(0, x[j]+gradient/curvature[j]), s.most[j])
			step := to - x[j]
			if step == 0 {
				continue
			}
			x[j] = to
			for _, i := range in {
				pull[i] -= step * weights[i]
			}
			moved = max(moved, math.Abs(step))
		}
		if moved < cmp.Or(s.tolerance, 1e-3) {
			break
		}
	}
	return x
}

// An estimate is the attacker's best guess of every cell that adds up (A5).
type estimate struct {
	cells []float64 // by cell; NaN for those that name a multi dimension
	rows  int       // equations used
}

// reconstruct estimates the base cells from every answer about partition
// dimensions, by bounded least squares. Hidden cells are an equation of their own:
// "mean, give or take sd" (disclosure.md 4, A5 detail). An attacker who is careful and
// knows that a hidden cell may be large first solves without these equations and
// keeps those of the cells that come out small.
//
// With a model, its count of each base cell is one more equation: the attacker
// believes that counts are Poisson around it, give or take 30 %.
func (l *lattice) reconstruct(v *view, careful bool, model []float64) *estimate {
	careful = careful && v.model.hidesLarge
	base := l.base()
	s, cells := l.equations(base)
	if model != nil {
		for j := range s.cols {
			fit := model[base.first+j]
			s.cols[j] = append(s.cols[j], len(s.rows))
			s.rows = append(s.rows, row{fit, 1 / (1 + fit + 0.09*fit*fit)})
		}
	}
	for i, c := range cells {
		if v.shown[c] {
			s.rows[i] = row{v.y[c], 1 / v.model.v}
		}
	}
	for j := range s.most {
		s.most[j] = math.Inf(1)
		if c := base.first + j; !v.shown[c] {
			s.most[j] = v.model.most
		}
	}
	x := l.start(v, base)
	if careful {
		x = s.solve(x)
	}
	first := l.sums(x, base)
	used := 0
	for i, c := range cells {
		if !v.shown[c] && !v.open[c] && (!careful || first[c] < v.model.mean+3*v.model.sd) {
			s.rows[i] = row{v.model.mean, 1 / (v.model.sd * v.model.sd)}
		}
		if s.rows[i].w > 0 {
			used++
		}
	}
	return &estimate{l.sums(s.solve(x), base), used}
}

// equations is a system with a row without weight for each cell that adds up.
func (l *lattice) equations(base *cellSet) (s *system, cells []int) {
	s = &system{cols: make([][]int, base.cells), most: make([]float64, base.cells)}
	place := make([]int, l.size)
	for c := range l.size {
		if place[c] = -1; !l.sets[l.set[c]].multi {
			place[c] = len(cells)
			cells = append(cells, c)
		}
	}
	for j := range s.cols {
		l.holds(l.leavesOf(base.first+j), func(c int) {
			s.cols[j] = append(s.cols[j], place[c])
		})
	}
	s.rows = make([]row, len(cells))
	return s, cells
}

// start is a first guess: what is shown of the base cells, the mean of a hidden one
// elsewhere.
func (l *lattice) start(v *view, base *cellSet) []float64 {
	x := make([]float64, base.cells)
	for j := range x {
		x[j] = v.model.mean
		if c := base.first + j; v.shown[c] {
			x[j] = v.y[c]
		}
	}
	return x
}

// sums adds base cells up to every cell that adds up.
func (l *lattice) sums(x []float64, base *cellSet) []float64 {
	cells := make([]float64, l.size)
	for c := range cells {
		if l.sets[l.set[c]].multi {
			cells[c] = math.NaN()
		}
	}
	for j := range x {
		l.holds(l.leavesOf(base.first+j), func(c int) { cells[c] += x[j] })
	}
	return cells
}

// independent is the model baseline: an attacker who has the published one-way
// margins only. The log-linear fit to them is the product of their shares, where
// iterative proportional fitting ends after one round.
func (l *lattice) independent(v *view) []float64 {
	base := l.base()
	total := l.shares(v, -1)[0]
	x := make([]float64, base.cells)
	for j := range x {
		x[j] = total
	}
	for d := range l.dims {
		if base.levels[d] < 0 {
			continue
		}
		margin := l.shares(v, d)
		sum := 0.0
		for _, y := range margin {
			sum += y
		}
		for j := range x {
			x[j] *= margin[l.nodes[base.first+j][d]] / max(1, sum)
		}
	}
	return l.sums(x, base)
}

// shares are the published values of the one-way margin of a dimension at its
// leaves, the mean of a hidden count for hidden ones; of the total for d = -1.
func (l *lattice) shares(v *view, d int) []float64 {
	levels, nodes := make([]int, len(l.dims)), make([]int, len(l.dims))
	n := 1
	for i := range levels {
		if levels[i] = -1; i == d {
			levels[i] = len(l.dims[i].Levels) - 1
			n = len(l.over[i][levels[i]])
		}
	}
	first := l.cell(levels, nodes)
	margin := make([]float64, n)
	for i := range margin {
		margin[i] = v.model.mean
		if v.shown[first+i] {
			margin[i] = v.y[first+i]
		}
	}
	return margin
}
