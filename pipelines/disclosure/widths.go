package disclosure

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Widths tells how closely the published values fence in the hidden cells: the
// officer's audit of profile B (disclosure.md 2.6, last paragraph). It is a report
// and never a refusal: refusing on data would leak.
//
// A shown cell is taken as the band [y - D, y + D], D = D1 + D2, of at least the
// lowest threshold, which everybody knows that it passed. A hidden cell starts
// without a bound. Then every sibling group is used in every direction — a cell is at most its
// parent less what its siblings have at least — again and again until nothing
// changes. An attacker who solves all relations at once (linear programming) can
// do better by what no single group shows, so these widths are upper bounds of his;
// what they prove is a narrow one.
type Widths struct {
	K int `json:"k"` // widths below the lowest threshold are narrow
	// Narrow is the share of all hidden cells whose width is below K, in steps of
	// 5 %.
	Narrow int        `json:"narrow_percent"`
	Sets   []WidthSet `json:"sets"` // of 100 hidden cells and more
	Method string     `json:"method"`
}

// A WidthSet is the share of one grouping set.
type WidthSet struct {
	Name   string `json:"name"`
	Narrow int    `json:"narrow_percent"`
}

// widthMethod says on the page what the widths are.
const widthMethod = "group by group, until nothing changes"

// maxWidthRounds bounds the propagation: each round carries a bound one level further, and
// a cell has few levels.
const maxWidthRounds = 16

// noBound is above every count.
const noBound = int64(1) << 40

// A fence holds the bounds of the cells of all sets.
type fence struct {
	p       *Published
	lo, hi  [][]int64
	changed bool
}

// Widths computes the audit. It looks at published cells only.
func (p *Published) Widths() Widths {
	if p.l.def.Profile != gateway.Interactive {
		return p.otherWidths()
	}
	f := p.newFence()
	for range maxWidthRounds {
		f.changed = false
		for _, s := range p.l.sets {
			f.tighten(s)
		}
		for _, s := range slices.Backward(p.l.sets) {
			f.tighten(s)
		}
		if !f.changed {
			break
		}
	}
	return f.widths()
}

func (p *Published) newFence() *fence {
	f := &fence{p: p, lo: make([][]int64, len(p.l.sets)), hi: make([][]int64, len(p.l.sets))}
	d1, d2 := deviations(p.l.def.V)
	k, d := int64(p.head.Rules.ThresholdMin), int64(d1+d2)
	for _, s := range p.l.sets {
		lo, hi := make([]int64, s.cells), make([]int64, s.cells)
		for c := range hi {
			hi[c] = noBound
		}
		// A set that the sparsity gate closes has no cells outside: nothing is known.
		values := p.cells[s.index].values[gateway.CountChildren]
		for c, st := range p.cells[s.index].status {
			switch {
			case st == statusImpossible:
				hi[c] = 0
			case st == statusValue && values != nil:
				// The bottom code hides how far below it the value was.
				lo[c], hi[c] = max(k, values[c]-d), values[c]+d
			case st == statusValue:
				lo[c] = k
			}
		}
		f.lo[s.index], f.hi[s.index] = lo, hi
	}
	return f
}

// tighten uses every sibling group of a set, with its parent, once.
func (f *fence) tighten(s *set) {
	var at []int
	for i, dim := range s.dims {
		n, level := &f.p.l.dims[dim], s.Set[i].Level
		adds := n.Kind == gateway.Partition
		complete := !n.oneSided || level > 0
		for c := range s.cells {
			at = s.nodes(c, at)
			group := n.groups[level][n.parent[level][at[i]]]
			if at[i] == group[0] {
				f.group(s, s.parents[i].index, f.p.l.above(s, at, i), c-at[i]*s.strides[i], s.strides[i], group, adds, complete)
			}
		}
	}
}

// group holds one parent against its children. Of a partition they add up to it; of
// a multi dimension each is at most the parent, and together they are at least it.
// Without the complement of a "yes" there is no lower bound from above.
func (f *fence) group(s *set, up, parent, origin, stride int, group []int, adds, complete bool) {
	lo, hi := f.lo[s.index], f.hi[s.index]
	var sumLo, sumHi, most int64
	for _, node := range group {
		c := origin + node*stride
		sumLo, sumHi = sumLo+lo[c], sumHi+hi[c]
		most = max(most, lo[c])
	}
	plo, phi := f.lo[up][parent], f.hi[up][parent]
	for _, node := range group {
		c := origin + node*stride
		above := phi
		if adds {
			above -= sumLo - lo[c]
		}
		f.atMost(s.index, c, above)
		if complete {
			f.atLeast(s.index, c, plo-(sumHi-hi[c]))
		}
	}
	if adds {
		most = sumLo
	}
	f.atLeast(up, parent, most)
	if complete {
		f.atMost(up, parent, sumHi)
	}
}

// atMost and atLeast tighten a bound, and leave it where the two would cross: a few
// children are in no node of a dimension, so sums fit only nearly.
func (f *fence) atMost(set, c int, bound int64) {
	if bound < f.hi[set][c] && bound >= f.lo[set][c] {
		f.hi[set][c] = bound
		f.changed = true
	}
}

func (f *fence) atLeast(set, c int, bound int64) {
	if bound > f.lo[set][c] && bound <= f.hi[set][c] {
		f.lo[set][c] = bound
		f.changed = true
	}
}

func (f *fence) widths() Widths {
	w := Widths{K: f.p.head.Rules.ThresholdMin, Sets: []WidthSet{}, Method: widthMethod}
	var all, allNarrow int
	for _, s := range f.p.l.sets {
		hidden, narrow := 0, 0
		for c, st := range f.p.cells[s.index].status {
			if st != statusSuppressed {
				continue
			}
			hidden++
			if f.hi[s.index][c]-f.lo[s.index][c] < int64(w.K) {
				narrow++
			}
		}
		all, allNarrow = all+hidden, allNarrow+narrow
		if hidden >= ruleCells {
			w.Sets = append(w.Sets, WidthSet{s.key, percent(narrow, hidden)})
		}
	}
	w.Narrow = percent(allNarrow, all)
	return w
}

// percent is a share rounded to 5 %.
func percent(n, of int) int { return (n*40/max(1, of) + 1) / 2 * 5 }
