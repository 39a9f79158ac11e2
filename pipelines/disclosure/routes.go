package disclosure

import (
	"maps"
	"math/bits"
	"slices"
)

// A family is the grouping sets of some cubes as the budget sees them: which
// dimensions each names, and how much it tells. Levels of a tree fall together.
//
// For flat dimensions the information matrix of all margins is a sum of Kronecker
// products of I and J, so its eigenspaces are indexed by the sets T of dimensions
// that a contrast runs over, and everything is closed form (disclosure.md 2.5). In
// units of 1/V, with a_d = 1/m_d,
//
//	q(T)      = sum over grouping sets S that contain T of w_S * prod a_d, d in S but not T
//	1/A(node) = sum over T within the node's dimensions C of prod(1-a_d, d in T) * prod(a_d^2, d in C but not T) / q(T)
//
// which is disclosure.md's formula with the sizes cancelled. At the root it is
// q({}): the sum over grouping sets of w_S / nominal cells.
//
// That is also the largest over all nodes. For one dimension d of C, let q be q({d})
// and r the sum over the sets without d, so that q({}) = r + a q. The family is closed
// downward and w_S does not grow with S, so to every set with d there is one without
// it, of at least its weight: r >= q. Then the node's variance less the root's,
// (1-a)/q + a^2/(r+aq) - 1/(r+aq), has the sign of r - q, and is not negative. Further
// dimensions follow one by one, within the sets that hold the ones before. The tests
// check the formula and the maximum against linear algebra.
//
// For trees a_d = A_d - 1, which is conservative.
//
// A dimension whose margins are not sums (a multi dimension of children, or "yes"
// without "no") gives no equations across its codes: the sets that name it are a
// family of their own, and a subfamily of the rest, so it adds nothing. An omitted
// code is counted as if it were published: where it is known to be almost empty,
// the others do add up.
type family struct {
	a      []float64 // by dimension
	block  uint64    // dimensions whose margins are not sums
	weight map[uint64]float64
	masks  []uint64 // of weight, in one order: sums of floats depend on it
}

func newFamily(l *lattice) *family {
	f := &family{weight: map[uint64]float64{}}
	for i := range l.dims {
		dim := &l.dims[i]
		f.a = append(f.a, dim.routes()-1)
		if !dim.summing || dim.oneSided {
			f.block |= 1 << i
		}
	}
	for _, s := range l.sets {
		mask := s.mask()
		f.weight[mask] = max(f.weight[mask], coincide(len(s.Measures)))
	}
	for mask, looks := range l.looks() {
		f.weight[mask] += float64(looks)
	}
	f.masks = slices.Sorted(maps.Keys(f.weight))
	return f
}

// coincide is the gain from m measures of one cell that can have the same true
// value: they share the permanent draw and not the release's, so their mean has
// variance V1 + V2/m, with V1 = V2 = V/2 (disclosure.md 2.5).
func coincide(m int) float64 { return 1 / (0.5 + 0.5/float64(m)) }

func (s *set) mask() uint64 {
	mask := uint64(0)
	for _, d := range s.dims {
		mask |= 1 << d
	}
	return mask
}

// inner returns q(T) within the sets whose block dimensions are exactly blocks.
func (f *family) inner(t, blocks uint64) float64 {
	q := 0.0
	for _, mask := range f.masks {
		w := f.weight[mask]
		if mask&f.block != blocks || t&^mask != 0 {
			continue
		}
		for rest := mask &^ f.block &^ t; rest != 0; rest &= rest - 1 {
			w *= f.a[bits.TrailingZeros64(rest)]
		}
		q += w
	}
	return q
}

// largest returns A: the precision of the root.
func (f *family) largest() float64 { return f.inner(0, 0) }

// at returns the precision of a node that names these dimensions; for flat ones all
// nodes of a set have the same.
func (f *family) at(c uint64) float64 {
	blocks, free := c&f.block, c&^f.block
	variance := 0.0
	for t := free; ; t = (t - 1) & free {
		term := 1 / f.inner(t, blocks)
		for rest := free; rest != 0; rest &= rest - 1 {
			d := bits.TrailingZeros64(rest)
			if f.a[d] >= 1 { // a deep tree: no flat dimension is its like
				return f.inner(0, blocks)
			}
			if t&(1<<d) != 0 {
				term *= 1 - f.a[d]
			} else {
				term *= f.a[d] * f.a[d]
			}
		}
		variance += term
		if t == 0 {
			return 1 / variance
		}
	}
}

// depths returns the largest precision by number of named dimensions.
func (f *family) depths() []float64 {
	var by []float64
	for _, c := range f.masks {
		k := bits.OnesCount64(c)
		for len(by) <= k {
			by = append(by, 0)
		}
		by[k] = max(by[k], f.at(c))
	}
	return by
}

// routes returns A_d: the best precision of any node of the tree when every node
// is seen once (disclosure.md 2.5), which is 1/(1_g' M_d^-1 1_g) there. The sums form
// a tree of Gaussian variables, so two sweeps are exact, without a matrix of all
// leaves: inside(t) = 1 + 1/(sum of 1/inside over its children) is what t and its
// subtree tell of t's total, and outside(t), what the rest of the tree tells, comes
// by the parent less the siblings: variances add, 1/outside(t) = 1/(1 + outside of the
// parent) + sum of 1/inside over the siblings. One level of m codes gives 1 + 1/m.
func (n *dimension) routes() float64 {
	inside := make([][]float64, len(n.levels))   // precision from the subtree
	spread := make([][]float64, len(n.levels)+1) // by parent: sum of 1/inside of its children
	spread[0] = make([]float64, 1)
	for level := len(n.levels) - 1; level >= 0; level-- {
		inside[level] = make([]float64, len(n.levels[level]))
		if level > 0 {
			spread[level] = make([]float64, len(n.levels[level-1]))
		}
		for i := range n.levels[level] {
			inside[level][i] = 1
			if level+1 < len(n.levels) {
				inside[level][i] += 1 / spread[level+1][i]
			}
			spread[level][n.parent[level][i]] += 1 / inside[level][i]
		}
	}
	best := 1 + 1/spread[0][0]
	outside := []float64{0} // of the level above: precision from outside its subtree
	for level := range n.levels {
		next := make([]float64, len(n.levels[level]))
		for i := range n.levels[level] {
			p := n.parent[level][i]
			next[i] = 1 / (1/(1+outside[p]) + spread[level][p] - 1/inside[level][i])
			best = max(best, inside[level][i]+next[i])
		}
		outside = next
	}
	return best
}
