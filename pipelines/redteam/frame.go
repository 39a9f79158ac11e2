package redteam

import (
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A frame is a part of a lattice that adds up, small enough to be solved: some
// partition dimensions crossed at their leaves, for all children or those of one
// node of a multi dimension. Its unknowns are the crossed leaves, published or not;
// its rows are the cells made of them.
type frame struct {
	dims   []int
	multi  int // dimension, or -1
	node   int // of its first level
	rows   []int
	finest []bool // by row: no row is finer
	// margins are, by dimension, the row of each unknown that names its leaf alone.
	margins [][]int
	zero    []bool  // by unknown: a structural zero
	cols    [][]int // by unknown: the rows it is in
}

// frameTolerance is coarser than the default: on the built-in definitions it changes
// no figure by more than 0.002.
const frameTolerance = 1e-2

// mostUnknowns bounds a frame; dimensions are left out until it fits.
const mostUnknowns = 10_000

// addFrames finds the frames of every cube: over all children, and beside each node
// of each multi dimension.
func (p *twinPlan) addFrames() {
	for _, cube := range p.def.Cubes {
		p.addFrame(&cube, -1, 0)
		for m, dim := range p.dims {
			if dim.Kind == gateway.Multi && slices.Contains(cube.Dimensions, dim.Name) {
				for node := range dim.AtLevel(0) {
					p.addFrame(&cube, m, node)
				}
			}
		}
	}
}

func (p *twinPlan) addFrame(cube *gateway.Cube, multi, node int) {
	f := frame{multi: multi, node: node}
	for d, dim := range p.dims {
		if dim.Kind == gateway.Partition && slices.Contains(cube.Dimensions, dim.Name) && p.admits(multi, d) {
			f.dims = append(f.dims, d)
		}
	}
	for p.unknowns(f.dims) > mostUnknowns {
		largest := 0
		for i, d := range f.dims {
			if len(p.leaves(d)) > len(p.leaves(f.dims[largest])) {
				largest = i
			}
		}
		f.dims = slices.Delete(f.dims, largest, largest+1)
	}
	if len(f.dims) == 0 || len(f.dims) < 2 && multi < 0 {
		return
	}
	for i, o := range p.frames {
		if o.multi != multi || o.node != node {
			continue
		}
		if contains(o.dims, f.dims) {
			return
		}
		if contains(f.dims, o.dims) {
			p.frames[i] = p.fill(f)
			return
		}
	}
	p.frames = append(p.frames, p.fill(f))
}

func contains(all, some []int) bool {
	return !slices.ContainsFunc(some, func(d int) bool { return !slices.Contains(all, d) })
}

// admits reports whether a cell may name a multi dimension and a partition one.
func (p *twinPlan) admits(multi, d int) bool {
	levels := slices.Repeat([]int{root}, len(p.dims))
	levels[d] = 0
	if multi >= 0 {
		levels[multi] = 0
	}
	_, ok := p.byLevels[levelsKey(levels)]
	return ok
}

// leaves are the leaves of a dimension: what its finest level is up from.
func (l *lattice) leaves(d int) []int { return l.up[d][len(l.up[d])-1] }

func (p *twinPlan) unknowns(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= len(p.leaves(d))
	}
	return n
}

// fill finds the rows and columns of a frame.
func (p *twinPlan) fill(f frame) frame {
	var sets []*cellSet
	for i := range p.sets {
		if s := &p.sets[i]; f.holds(s) {
			sets = append(sets, s)
		}
	}
	n := p.unknowns(f.dims)
	f.cols = make([][]int, n)
	place := map[int]int{}
	margins := map[*cellSet][]int{}
	leaf := make([]int, len(p.dims))
	for j := range n {
		rest := j
		for _, d := range slices.Backward(f.dims) {
			size := len(p.leaves(d))
			leaf[d], rest = rest%size, rest/size
		}
		for _, s := range sets {
			c := s.first
			for _, d := range f.dims {
				if s.levels[d] >= 0 {
					c += p.up[d][s.levels[d]][leaf[d]] * s.strides[d]
				}
			}
			if f.multi >= 0 {
				c += f.node * s.strides[f.multi]
			}
			i, known := place[c]
			if !known {
				i = len(f.rows)
				place[c] = i
				f.rows = append(f.rows, c)
				f.finest = append(f.finest, !slices.ContainsFunc(sets, func(o *cellSet) bool { return finer(o, s) }))
			}
			f.cols[j] = append(f.cols[j], i)
			if p.isMargin(s, f.multi) {
				margins[s] = append(margins[s], i)
			}
		}
		f.zero = append(f.zero, p.impossibleIn(&f, leaf))
	}
	for _, s := range sets {
		if margin := margins[s]; margin != nil {
			f.margins = append(f.margins, margin)
		}
	}
	return f
}

// impossibleIn reports whether the leaves of an unknown are declared a structural
// zero.
func (p *twinPlan) impossibleIn(f *frame, leaf []int) bool {
	return slices.ContainsFunc(p.impossible, func(zero []fact) bool {
		return !slices.ContainsFunc(zero, func(x fact) bool {
			if x.d == f.multi {
				return x.node != f.node
			}
			return !slices.Contains(f.dims, x.d) || p.up[x.d][x.level][leaf[x.d]] != x.node
		})
	})
}

// isMargin reports whether a set names one dimension beside the frame's multi one,
// at its leaves.
func (l *lattice) isMargin(s *cellSet, multi int) bool {
	named, leaf := 0, true
	for d, level := range s.levels {
		if level >= 0 && d != multi {
			named++
			leaf = level == len(l.up[d])-1
		}
	}
	return named == 1 && leaf
}

// holds reports whether a set names dimensions of the frame only, and its multi
// dimension.
func (f *frame) holds(s *cellSet) bool {
	for d, level := range s.levels {
		switch {
		case d == f.multi && level != 0:
			return false
		case d != f.multi && level >= 0 && !slices.Contains(f.dims, d):
			return false
		}
	}
	return true
}

// finer reports whether a set refines another one.
func finer(a, b *cellSet) bool {
	strictly := false
	for d := range a.levels {
		if a.levels[d] < b.levels[d] {
			return false
		}
		strictly = strictly || a.levels[d] > b.levels[d]
	}
	return strictly
}

// solve estimates every row of the frame by bounded least squares, as
// [lattice.reconstruct] does: first without the hidden cells, then with those that
// came out small. It starts at the model, whose count of each unknown is one more
// equation if asked for.
func (f *frame) solve(v *view, fit []float64, model bool) []float64 {
	s := &system{cols: f.cols, most: make([]float64, len(f.cols)), rows: make([]row, len(f.rows)), tolerance: frameTolerance}
	x := slices.Clone(fit)
	if model {
		s.cols = make([][]int, len(f.cols))
		for j, x := range x {
			s.cols[j] = append(slices.Clip(f.cols[j]), len(s.rows))
			s.rows = append(s.rows, row{x, 1 / (1 + x + 0.09*x*x)})
		}
	}
	for j := range s.most {
		s.most[j] = math.Inf(1)
		if f.zero[j] {
			s.most[j] = 0
		}
	}
	for i, c := range f.rows {
		if v.shown[c] {
			s.rows[i] = row{v.y[c], 1 / v.model.v}
		}
	}
	if v.model.hidesLarge {
		x = s.solve(x)
	}
	first := f.sums(x)
	for i, c := range f.rows {
		if !v.shown[c] && !v.open[c] && (!v.model.hidesLarge || first[i] < v.model.mean+3*v.model.sd) {
			s.rows[i] = row{v.model.mean, 1 / (v.model.sd * v.model.sd)}
		}
	}
	return f.sums(s.solve(x))
}

// rounds of iterative proportional fitting; without structural zeros one is enough.
const rounds = 20

// model fits the frame's one-way margins, as they are published, with the declared
// zeros left out: the log-linear model that needs nothing else (disclosure.md 4, the
// model baseline), by iterative proportional fitting (Deming and Stephan 1940).
func (f *frame) model(fit []float64) []float64 {
	total := math.Max(1e-9, fit[f.rows[0]])
	x := make([]float64, len(f.cols))
	for j := range x {
		if !f.zero[j] {
			x[j] = total / float64(len(x))
		}
	}
	sums := make([]float64, len(f.rows))
	for range rounds {
		for _, margin := range f.margins {
			clear(sums)
			for j, i := range margin {
				sums[i] += x[j]
			}
			for j, i := range margin {
				if sums[i] > 0 {
					x[j] *= fit[f.rows[i]] / sums[i]
				}
			}
		}
	}
	return x
}

// sums adds the unknowns up to the rows.
func (f *frame) sums(x []float64) []float64 {
	sums := make([]float64, len(f.rows))
	for j, in := range f.cols {
		for _, i := range in {
			sums[i] += x[j]
		}
	}
	return sums
}
