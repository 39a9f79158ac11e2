package risk

import "slices"

// Advice is the one change of what is stored that would help a set most.
type Advice struct {
	Column  string `json:"column"`
	Instead string `json:"instead"` // "year instead of quarter", or "not stored"
	Below10 int    `json:"below_10_percent"`
}

// dropped is what a column becomes that is not stored at all.
const dropped = "not stored"

// advice tries every registered coarsening of every column of a set, and leaving the
// column out, and returns the one that leaves fewest children in classes below 10,
// which is k (disclosure.md 2.4). Leaving out always helps at least as much as
// coarsening, so a coarsening that does as well in steps of 5 % goes first: it keeps
// more. It returns nil where nothing helps by a step.
func (t *Tally) advice(s *tabled) *Advice {
	before := t.census(s.counts, s.sizes)
	now := step(float64(before.below10), float64(before.children))
	var best *Advice
	try := func(column int, to string, size int, coarser []int) {
		counts, sizes := fold(s, column, size, coarser)
		c := t.census(counts, sizes)
		below := step(float64(c.below10), float64(c.children))
		if below < now && (best == nil || below < best.Below10) {
			best = &Advice{t.quasi[s.columns[column]].Name, to, below}
		}
	}
	for i, at := range s.columns {
		for _, c := range t.quasi[at].Coarser {
			try(i, c.To, slices.Max(c.Map)+1, c.Map)
		}
	}
	for i, at := range s.columns {
		try(i, dropped, 1, make([]int, t.quasi[at].Size))
	}
	return best
}

// fold adds up a set's table along one column by a map of its numbers.
func fold(s *tabled, column, size int, coarser []int) (counts []uint32, sizes []int) {
	sizes = slices.Clone(s.sizes)
	sizes[column] = size
	inner := 1 // combinations of the columns after it
	for _, n := range s.sizes[column+1:] {
		inner *= n
	}
	counts = make([]uint32, len(s.counts)/s.sizes[column]*size)
	for at, n := range s.counts {
		outer, v, rest := at/inner/s.sizes[column], at/inner%s.sizes[column], at%inner
		counts[(outer*size+coarser[v])*inner+rest] += n
	}
	return counts, sizes
}
