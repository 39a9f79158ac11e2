package redteam

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A lattice numbers every cell that a definition publishes, set by set in the order
// in which answers list them.
type lattice struct {
	def      *gateway.Definition
	dims     []*gateway.Dimension // sorted by name
	up       [][][]int            // dimension, level, leaf → node
	over     [][][]int            // dimension, level, node → node one level up; -1 is the root
	kin      [][][][]int          // dimension, level, node → the nodes with the same parent
	sets     []cellSet
	byLevels map[[maxDims]int8]int
	set      []int      // by cell
	code     [][]string // by cell: its node codes, in the order of its set
	nodes    [][]int    // by cell and dimension; -1 is the root
	omitted  []bool     // by cell: it names a code that is never published
	size     int
}

// A cellSet is one grouping set.
type cellSet struct {
	gateway.AdmittedSet

	key     string
	first   int   // its first cell
	levels  []int // by dimension; -1 is the root
	strides []int // by dimension; 0 at the root
	above   []int // by dimension: the set one level up; -1 at the root
	cells   int
	multi   bool // names a dimension whose counts do not add up
}

func newLattice(d *gateway.Definition) *lattice {
	l := &lattice{def: d, byLevels: map[[maxDims]int8]int{}}
	var dims []*gateway.Dimension
	for i := range d.Dimensions {
		dims = append(dims, &d.Dimensions[i])
	}
	slices.SortFunc(dims, func(a, b *gateway.Dimension) int { return cmp.Compare(a.Name, b.Name) })
	for _, dim := range dims {
		l.addDimension(dim)
	}
	for _, a := range d.AdmittedSets() {
		l.addSet(a)
	}
	for i := range l.sets {
		l.addParents(&l.sets[i])
	}
	return l
}

func (l *lattice) addDimension(dim *gateway.Dimension) {
	ups := make([][]int, len(dim.Levels))
	place := map[string]int{}
	for level := range dim.Levels {
		for i, n := range dim.AtLevel(level) {
			place[n.Code] = i
		}
	}
	for _, n := range dim.AtLevel(len(dim.Levels) - 1) {
		for node := &n; node != nil; node = dim.Node(node.Parent) {
			ups[node.Level] = append(ups[node.Level], place[node.Code])
		}
	}
	l.dims, l.up = append(l.dims, dim), append(l.up, ups)
	over, kin := make([][]int, len(ups)), make([][][]int, len(ups))
	for level := range ups {
		n := len(dim.AtLevel(level))
		over[level], kin[level] = make([]int, n), make([][]int, n)
		groups := map[int][]int{}
		for leaf, node := range ups[level] {
			over[level][node] = -1
			if level > 0 {
				over[level][node] = ups[level-1][leaf]
			}
		}
		for node, above := range over[level] {
			groups[above] = append(groups[above], node)
		}
		for node, above := range over[level] {
			kin[level][node] = groups[above]
		}
	}
	l.over, l.kin = append(l.over, over), append(l.kin, kin)
}

func (l *lattice) addSet(a gateway.AdmittedSet) {
	s := cellSet{
		AdmittedSet: a, key: a.Set.Key(l.def), first: l.size,
		levels: make([]int, len(l.dims)), strides: make([]int, len(l.dims)), cells: a.Set.NominalCells(l.def),
	}
	stride := s.cells
	for d, dim := range l.dims {
		s.levels[d] = -1
		for _, sd := range a.Set {
			if sd.Name == dim.Name {
				stride /= len(dim.AtLevel(sd.Level))
				s.levels[d], s.strides[d] = sd.Level, stride
				s.multi = s.multi || dim.Kind == gateway.Multi
			}
		}
	}
	var nodes [][]gateway.Node
	for _, sd := range a.Set {
		nodes = append(nodes, l.def.Dimension(sd.Name).AtLevel(sd.Level))
	}
	for c := range s.cells {
		at := make([]int, len(l.dims))
		rest := c
		var codes []string
		omitted := false
		for d, dim := range l.dims {
			at[d] = -1
			if s.levels[d] >= 0 {
				at[d], rest = rest/s.strides[d], rest%s.strides[d]
				code := nodes[len(codes)][at[d]].Code
				codes = append(codes, code)
				omitted = omitted || code == dim.Omitted
			}
		}
		l.code, l.omitted = append(l.code, codes), append(l.omitted, omitted)
		l.nodes, l.set = append(l.nodes, at), append(l.set, len(l.sets))
	}
	l.byLevels[levelsKey(s.levels)] = len(l.sets)
	l.sets = append(l.sets, s)
	l.size += s.cells
}

// addParents finds the set one level up along each dimension: every admitted set
// has them, since a lattice is closed downward.
func (l *lattice) addParents(s *cellSet) {
	levels := slices.Clone(s.levels)
	for d, level := range s.levels {
		above := -1
		if level >= 0 {
			levels[d]--
			above = l.byLevels[levelsKey(levels)]
			levels[d] = level
		}
		s.above = append(s.above, above)
	}
}

// maxDims is the most dimensions that a definition has (disclosure.Plan).
const maxDims = 64

func levelsKey(levels []int) (key [maxDims]int8) {
	for d, level := range levels {
		key[d] = int8(level + 1) //nolint:gosec // a few levels
	}
	return key
}

// cell returns the number of the cell with these levels and nodes by dimension, or
// -1 when no cube admits it.
func (l *lattice) cell(levels, nodes []int) int {
	i, ok := l.byLevels[levelsKey(levels)]
	if !ok {
		return -1
	}
	s := &l.sets[i]
	c := s.first
	for d := range nodes {
		c += max(0, nodes[d]) * s.strides[d]
	}
	return c
}

// label is the canonical label of a cell.
func (l *lattice) label(c int) string { return l.sets[l.set[c]].Set.Label(l.code[c]) }

// parent is the cell with dimension d one level up, -1 at the root.
func (l *lattice) parent(c, d int) int {
	s := &l.sets[l.set[c]]
	if s.levels[d] < 0 {
		return -1
	}
	p := &l.sets[s.above[d]]
	up := p.first
	for o, node := range l.nodes[c] {
		if o == d {
			node = l.over[d][s.levels[d]][node]
		}
		up += max(0, node) * p.strides[o]
	}
	return up
}

// siblings are the cells with the same parent along dimension d, itself included.
func (l *lattice) siblings(c, d int) []int {
	s := &l.sets[l.set[c]]
	own := l.nodes[c][d]
	var group []int
	for _, node := range l.kin[d][s.levels[d]][own] {
		group = append(group, c+(node-own)*s.strides[d])
	}
	return group
}

// holds calls f for every cell that a child with these leaves is in. A leaf of a
// multi dimension is a set of bits.
func (l *lattice) holds(leaves []int, f func(c int)) {
	for i := range l.sets {
		s := &l.sets[i]
		c, multi := s.first, -1
		for d, level := range s.levels {
			switch {
			case level < 0:
			case l.dims[d].Kind == gateway.Multi:
				multi = d
			default:
				c += l.up[d][level][leaves[d]] * s.strides[d]
			}
		}
		if multi < 0 {
			f(c)
			continue
		}
		for node := range l.up[multi][0] {
			if in := leaves[multi]; in>>node&1 == 1 { //nolint:gosec // multi is one of the dimensions
				f(c + node*s.strides[multi])
			}
		}
	}
}

// base returns the first cell of the finest set of partition dimensions, and how
// many cells it has.
func (l *lattice) base() *cellSet {
	best := &l.sets[0]
	for i := range l.sets {
		if s := &l.sets[i]; !s.multi && s.cells >= best.cells {
			best = s
		}
	}
	return best
}

// leavesOf are the leaves of a cell of the base set; no node of a multi dimension.
func (l *lattice) leavesOf(c int) []int {
	leaves := append([]int(nil), l.nodes[c]...)
	for d := range leaves {
		leaves[d] = max(0, leaves[d])
	}
	return leaves
}

// definition puts a definition together from flat and tree dimensions.
func definition(lineage string, dims []gateway.Dimension, cubes ...gateway.Cube) *gateway.Definition {
	from, _ := gateway.ParseQuarter("2023Q1")
	return &gateway.Definition{Lineage: lineage, From: from, To: from + 11, V: 50, Dimensions: dims, Cubes: cubes}
}

func dimension(name string, kind gateway.DimensionKind, codes ...string) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: kind, Levels: []string{name}, Source: gateway.Source{Kind: gateway.ChildConst, Column: name}}
	for i, code := range codes {
		d.Nodes = append(d.Nodes, gateway.Node{Code: code, Number: uint16(i + 1)})
	}
	return d
}

// tree is a dimension of two levels: n leaves, the i-th under group parent(i).
func tree(name string, levels [2]string, groups, n int, parent func(i int) int) gateway.Dimension {
	d := gateway.Dimension{
		Name: name, Kind: gateway.Partition, Levels: levels[:], Source: gateway.Source{Kind: gateway.ChildMost, Column: gateway.ColumnRegion},
	}
	for g := range groups {
		d.Nodes = append(d.Nodes, gateway.Node{Code: fmt.Sprintf("%s%02d", levels[0][:1], g+1)})
	}
	for i := range n {
		d.Nodes = append(d.Nodes, gateway.Node{
			Code: fmt.Sprintf("%s%02d", levels[1][:1], i+1), Parent: d.Nodes[parent(i)].Code, Level: 1, Number: uint16(i + 1),
		})
	}
	return d
}
