package disclosure

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Profile A: tables that add up. All of them are sums of one finest crossing, the
// base: the leaves of every partition dimension that a cube uses. A child whose leaf
// is not known in one of them is in none of the tables, because a total that held
// more children than its parts would be one more number to subtract from, and one
// that no audit sees. The nodes of a multi dimension do not add up; each of them, and
// the root beside them, has a base of its own.

// baseCube is the id of the cube that counts the base of standing tables. No cube
// file can name it, and nothing of it is published.
const baseCube = "(base)"

// Counting returns the definition to count with: that of a release, and for
// standing tables the crossing beside it that all of them are sums of.
func Counting(d *gateway.Definition) *gateway.Definition {
	if d.Profile != gateway.Standing {
		return d
	}
	names := usedDimensions(d)
	wide := *d
	wide.Cubes = append(slices.Clone(d.Cubes), gateway.Cube{
		ID: baseCube, Grain: d.Cubes[0].Grain, Dimensions: names, Cap: min(len(names), gateway.MaxDepth),
		Measures: []gateway.Measure{gateway.CountChildren},
	})
	return &wide
}

// publicDefinition is the definition without the cube that Counting added.
func publicDefinition(d *gateway.Definition) *gateway.Definition {
	return withCubes(d, func(c gateway.Cube) (gateway.Cube, bool) { return c, c.ID != baseCube })
}

// usedDimensions lists the dimensions of the cubes, sorted.
func usedDimensions(d *gateway.Definition) []string {
	var names []string
	for _, c := range d.Cubes {
		names = append(names, c.Dimensions...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A StandingBudget is what standing tables ask of the audit or of the noise.
type StandingBudget struct {
	Mode  gateway.StandingMode `json:"mode"`
	Base  string               `json:"base"`                 // the finest crossing
	Cells int                  `json:"base_cells"`           // of it, for every node of a multi dimension and for its root
	Most  int                  `json:"most_cells,omitempty"` // of exact tables: what the audit takes
	Parts int                  `json:"parts,omitempty"`      // of additive ones: base cells in the total, whose variance is that many V
}

// planStanding refuses tables that are no sums of one base, exact ones that the audit
// could not take whatever is in them, and additive ones with too little noise.
func planStanding(l *lattice, b *Budget) (*Budget, error) {
	wide, err := l.widened()
	if err != nil {
		return nil, err
	}
	b.Standing = &StandingBudget{Mode: l.def.Standing.Mode, Base: wide.finest().Key(l.def), Cells: 1}
	for _, dim := range wide.dimensions() {
		n := len(dim.levels[len(dim.levels)-1])
		if dim.Kind != gateway.Partition {
			n = 1 + len(dim.Nodes)
		}
		b.Standing.Cells *= n
	}
	if l.def.Standing.Mode == gateway.Additive {
		return planAdditive(l, b)
	}
	return planExact(l, b)
}

// A wide lattice is that of Counting: with the base.
type wide struct{ *lattice }

// widened checks that the tables have a base.
func (l *lattice) widened() (wide, error) {
	for _, c := range l.def.Cubes {
		if len(c.Measures) > 1 {
			return wide{}, gateway.Errorf(gateway.Invalid, "cube %s measures records: standing tables are of children", c.ID)
		}
	}
	names := usedDimensions(l.def)
	for _, name := range names {
		dim := &l.dims[l.byName[name]]
		if dim.Kind == gateway.Partition && len(dim.levels[0]) == 1 {
			return wide{}, gateway.Errorf(gateway.Invalid, "dimension %s has one code: name the others too, or what is left of a total cannot be placed", name)
		}
	}
	if len(names) > gateway.MaxDepth {
		return wide{}, gateway.Errorf(gateway.Invalid, "standing tables cross at most %d dimensions in all, and these %d; take some out, or publish them in a lineage of disjoint children",
			gateway.MaxDepth, len(names))
	}
	w := wide{}
	var err error
	if w.lattice, err = newLattice(Counting(l.def)); err != nil {
		return wide{}, err
	}
	if g := w.finest(); w.byKey[g.Key(l.def)] == nil {
		return wide{}, gateway.Errorf(gateway.Invalid, "the finest crossing of these tables, %s, has %d cells by its code lists; at most %d are counted: take a dimension out, or name coarser codes",
			g.Key(l.def), g.NominalCells(l.def), gateway.MaxNominalCells)
	}
	return w, nil
}

// dimensions are those that the cubes use.
func (w wide) dimensions() []*dimension {
	var used []*dimension
	for _, name := range usedDimensions(w.def) {
		used = append(used, &w.dims[w.byName[name]])
	}
	return used
}

// finest is the crossing of all leaves.
func (w wide) finest() gateway.GroupingSet {
	var g gateway.GroupingSet
	for _, dim := range w.dimensions() {
		g = append(g, gateway.SetDimension{Name: dim.Name, Level: len(dim.levels) - 1})
	}
	return g
}

// under returns the base that a set adds up: all partition dimensions at their
// leaves, and the multi ones as the set has them.
func (w wide) under(g gateway.GroupingSet) *set {
	var base gateway.GroupingSet
	for _, dim := range w.dimensions() {
		i := slices.IndexFunc(g, func(sd gateway.SetDimension) bool { return sd.Name == dim.Name })
		switch {
		case dim.Kind == gateway.Partition:
			base = append(base, gateway.SetDimension{Name: dim.Name, Level: len(dim.levels) - 1})
		case i >= 0:
			base = append(base, g[i])
		}
	}
	return w.byKey[base.Key(w.def)]
}

// sums calls add for every base cell of a set of another lattice over the same
// dimensions, with the cell of the set that it is a part of.
func (w wide) sums(s *set, add func(base *set, from, to int)) {
	base := w.under(s.Set)
	place := make([][]int, len(base.dims)) // node of the base → its share of a cell's number
	for i, d := range base.dims {
		place[i] = make([]int, base.sizes[i])
		j := slices.IndexFunc(s.Set, func(sd gateway.SetDimension) bool { return sd.Name == base.Set[i].Name })
		if j < 0 {
			continue
		}
		for node := range place[i] {
			place[i][node] = w.dims[d].above(base.Set[i].Level, node, s.Set[j].Level) * s.strides[j]
		}
	}
	var at []int
	for from := range base.cells {
		at = base.nodes(from, at)
		to := 0
		for i, node := range at {
			to += place[i][node]
		}
		add(base, from, to)
	}
}

// above returns the node of a higher level that holds a node.
func (n *dimension) above(level, node, to int) int {
	for ; level > to; level-- {
		node = n.parent[level][node]
	}
	return node
}

// complete counts the sets of a lattice over children all of whose partition
// dimensions are known: what the tables show.
func (w wide) complete(c *counted, l *lattice) [][]tally {
	cells := make([][]tally, len(l.sets))
	for _, s := range l.sets {
		sums := make([]tally, s.cells)
		w.sums(s, func(base *set, from, to int) {
			if counts := c.cells[base.index]; counts != nil {
				sums[to].children += counts[from].children
				sums[to].key += counts[from].key
			}
		})
		cells[s.index] = sums
	}
	return cells
}

// parts is how many base cells a cell of a set is the sum of, the most where cells
// differ.
func (l *lattice) parts(s *set) int {
	n := 1
	for _, name := range usedDimensions(l.def) {
		dim := &l.dims[l.byName[name]]
		if dim.Kind != gateway.Partition {
			continue
		}
		leaf, most := len(dim.levels)-1, 0
		under := map[int]int{}
		i := slices.IndexFunc(s.Set, func(sd gateway.SetDimension) bool { return sd.Name == name })
		for node := range dim.levels[leaf] {
			top := 0
			if i >= 0 {
				top = dim.above(leaf, node, s.Set[i].Level)
			}
			under[top]++
			most = max(most, under[top])
		}
		n *= most
	}
	return n
}

// declared is the status of a cell that shows a value wherever the definition and
// the registrations allow one.
func (l *lattice) declared(s *set, c int, report *reporting) status {
	at := s.nodes(c, nil)
	switch {
	case l.omits(s, at):
		return statusOmitted
	case l.impossible(s, at):
		return statusImpossible
	case report.missing(s, at):
		return statusNotReported
	}
	return statusValue
}

// codes are the codes of a cell.
func (l *lattice) codes(s *set, at []int) []string {
	codes := make([]string, len(at))
	for i, node := range at {
		codes[i] = l.dims[s.dims[i]].levels[s.Set[i].Level][node].Code
	}
	return codes
}

// place is the number of the cell with these nodes.
func (s *set) place(at []int) int {
	c := 0
	for i, node := range at {
		c += node * s.strides[i]
	}
	return c
}
