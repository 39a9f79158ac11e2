package disclosure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Limits on what a definition may ask of memory, checked before anything is
// enumerated. A country's release is under a million cells.
const (
	maxDimensions = 64 // they are bits of a mask in the budget
	maxSets       = 20_000
	maxCells      = 20_000_000
)

// A lattice is a definition made ready for arithmetic: each admitted grouping set
// as a dense array of its nominal cells. Which cells exist is decided by the code
// lists alone; no data is looked at (disclosure.md 2.1).
//
// It is closed downward: with a set, every set of fewer dimensions or coarser levels
// is in it too. So each cell has all its parents, which rules 4 and 6 look at, and
// the closed form of the budget holds. (gateway enumerates the sets; a set beyond the
// nominal limit has only larger ones above it.)
type lattice struct {
	def    *gateway.Definition
	dims   []dimension     // sorted by name
	sets   []*set          // parents before children
	byKey  map[string]*set // by GroupingSet.Key
	cells  int             // of all sets
	byName map[string]int  // dimension → its place in dims

	implications []gateway.Implication // as declared, only children raised (facts.go)
	zeros        [][]gateway.Fact
}

// A dimension is one tree, its nodes numbered within each level.
type dimension struct {
	*gateway.Dimension

	levels [][]*gateway.Node
	place  []map[string]int // by level: code → number
	parent [][]int          // by level: number → number one level up, 0 for the root
	groups [][][]int        // by level: the siblings under each parent
	// oneSided: the complement of its one published node is never a cell, so the
	// group under the root is never complete (disclosure.md 2.1, "yes" without "no").
	oneSided bool
	// summing: counts of the nodes add up to the parent's, at least for records.
	// Children of a multi dimension do not add up, but events do, and most children
	// have one event: in a cube of events its margins are taken as sums.
	summing bool
}

// A set is one admitted grouping set. Cell c has node c/strides[i] % sizes[i] of
// dimension i, the last dimension running fastest: the order of codes.
type set struct {
	gateway.AdmittedSet

	index   int    // in lattice.sets
	key     string // GroupingSet.Key
	dims    []int  // into lattice.dims, ascending
	sizes   []int  // nodes of each dimension at its level
	strides []int
	cells   int    // the product of the sizes
	parents []*set // along each dimension, one level up
	values  []carried
}

// ownLattice is a lattice over a copy of the definition, as its JSON has it: what
// the release pins, whatever the caller does with the original.
func ownLattice(d *gateway.Definition) (*lattice, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("copying a release definition: %w", err)
	}
	var own gateway.Definition
	err = json.Unmarshal(text, &own)
	if err != nil {
		return nil, fmt.Errorf("copying a release definition: %w", err)
	}
	return newLattice(&own)
}

// newLattice checks a definition and enumerates it.
func newLattice(d *gateway.Definition) (*lattice, error) {
	if err := checkDefinition(d); err != nil {
		return nil, err
	}
	l := &lattice{def: d, byKey: map[string]*set{}, byName: map[string]int{}}
	for i := range d.Dimensions {
		l.dims = append(l.dims, newDimension(d, &d.Dimensions[i]))
	}
	slices.SortFunc(l.dims, func(a, b dimension) int { return cmp.Compare(a.Name, b.Name) })
	for i, dim := range l.dims {
		l.byName[dim.Name] = i
	}
	l.declare()
	if l.circular() {
		return nil, gateway.Errorf(gateway.Invalid, "the declared implications go round in a circle: conditions that imply each other are one dimension")
	}
	for _, a := range d.AdmittedSets() {
		s := l.newSet(a)
		l.sets = append(l.sets, s)
		l.byKey[s.key] = s
		if l.cells += s.cells; l.cells > maxCells {
			return nil, gateway.Errorf(gateway.Invalid, "the cubes have more than %d cells; name fewer dimensions or coarser codes", maxCells)
		}
	}
	slices.SortStableFunc(l.sets, func(a, b *set) int { return cmp.Compare(a.height(), b.height()) })
	for index, s := range l.sets {
		s.index = index
		for i := range s.dims {
			s.parents = append(s.parents, l.byKey[l.up(s.Set, i).Key(d)])
		}
	}
	return l, nil
}

func newDimension(d *gateway.Definition, dim *gateway.Dimension) dimension {
	n := dimension{Dimension: dim, summing: dim.Kind == gateway.Partition}
	for level := range dim.Levels {
		n.addLevel(level)
	}
	n.oneSided = len(n.levels[0]) == 1 || (len(dim.Levels) == 1 && len(n.levels[0]) == 2 && dim.Omitted != "")
	for _, c := range d.Cubes {
		if c.Grain == gateway.Events && slices.Contains(c.Dimensions, dim.Name) {
			n.summing = true
		}
	}
	return n
}

func (n *dimension) addLevel(level int) {
	place := map[string]int{}
	var nodes []*gateway.Node
	var parent []int
	groups := make([][]int, 1)
	if level > 0 {
		groups = make([][]int, len(n.levels[level-1]))
	}
	for i := range n.Nodes {
		node := &n.Nodes[i]
		if node.Level != level {
			continue
		}
		above := 0
		if level > 0 {
			above = n.place[level-1][node.Parent]
		}
		place[node.Code] = len(nodes)
		groups[above] = append(groups[above], len(nodes))
		nodes, parent = append(nodes, node), append(parent, above)
	}
	n.levels, n.place = append(n.levels, nodes), append(n.place, place)
	n.parent, n.groups = append(n.parent, parent), append(n.groups, groups)
}

// only reports whether a node is the only child of its parent, and so denotes the
// same children. A single node under the root does not: its complement is the code
// that is never published (disclosure.md 2.1).
func (n *dimension) only(level, node int) bool {
	return level > 0 && len(n.groups[level][n.parent[level][node]]) == 1
}

// under reports whether a node is b or lies under it.
func (n *dimension) under(node *gateway.Node, b string) bool {
	for node != nil && node.Code != b {
		node = n.Node(node.Parent)
	}
	return node != nil
}

// omits reports whether a node is the one that is never published.
func (n *dimension) omits(level, node int) bool {
	return n.Omitted != "" && n.levels[level][node].Code == n.Omitted
}

func (l *lattice) newSet(a gateway.AdmittedSet) *set {
	s := &set{AdmittedSet: a, key: a.Set.Key(l.def), cells: 1}
	for _, sd := range a.Set {
		dim := l.byName[sd.Name]
		s.dims = append(s.dims, dim)
		s.sizes = append(s.sizes, len(l.dims[dim].levels[sd.Level]))
	}
	s.strides = make([]int, len(s.sizes))
	for i := len(s.sizes) - 1; i >= 0; i-- {
		s.strides[i] = s.cells
		s.cells *= s.sizes[i]
	}
	s.values = l.carriedBy(s)
	return s
}

// height is the number of steps from the set up to the total: parents are one lower,
// so sets in the order of height have their parents before them.
func (s *set) height() int {
	h := 0
	for _, sd := range s.Set {
		h += sd.Level + 1
	}
	return h
}

// up returns the grouping set with dimension i one level up.
func (l *lattice) up(g gateway.GroupingSet, i int) gateway.GroupingSet {
	if g[i].Level == 0 {
		return slices.Delete(slices.Clone(g), i, i+1)
	}
	p := slices.Clone(g)
	p[i].Level--
	return p
}

// nodes writes the node numbers of cell c into at.
func (s *set) nodes(c int, at []int) []int {
	at = at[:0]
	for i, stride := range s.strides {
		at = append(at, c/stride%s.sizes[i])
	}
	return at
}

// above returns the cell of s.parents[i] that holds the cell with these nodes.
func (l *lattice) above(s *set, at []int, i int) int {
	p, c := s.parents[i], 0
	for j, k := 0, 0; j < len(at); j++ {
		node := at[j]
		if j == i {
			if s.Set[i].Level == 0 {
				continue
			}
			node = l.dims[s.dims[i]].parent[s.Set[i].Level][node]
		}
		c += node * p.strides[k]
		k++
	}
	return c
}

// label appends the cell's label, without release and measure: roots left out,
// sorted by name, the cube not part of it (disclosure.md 2.1). The caller has
// dropped what is implied.
func (l *lattice) label(s *set, at []int, b []byte) []byte {
	for i, dim := range s.dims {
		if i > 0 {
			b = append(b, '|')
		}
		b = append(b, l.dims[dim].Name...)
		b = append(b, '=')
		b = append(b, l.dims[dim].levels[s.Set[i].Level][at[i]].Code...)
	}
	return b
}

// cell finds a cell of a set by its codes, exactly as they are registered.
func (l *lattice) cell(s *set, codes []string) (int, bool) {
	if len(codes) != len(s.dims) {
		return 0, false
	}
	c := 0
	for i, code := range codes {
		node, ok := l.dims[s.dims[i]].place[s.Set[i].Level][code]
		if !ok {
			return 0, false
		}
		c += node * s.strides[i]
	}
	return c, true
}

// find returns the set and cell of a canonical label, and nothing for any other
// spelling: facts out of order make a set that is not there.
func (l *lattice) find(label string) (*set, int, bool) {
	var g gateway.GroupingSet
	var codes []string
	for part := range strings.SplitSeq(label, "|") {
		if label == "" {
			break
		}
		name, code, _ := strings.Cut(part, "=")
		i, ok := l.byName[name]
		if !ok {
			return nil, 0, false
		}
		node := l.dims[i].Node(code)
		if node == nil {
			return nil, 0, false
		}
		g = append(g, gateway.SetDimension{Name: name, Level: node.Level})
		codes = append(codes, code)
	}
	s := l.byKey[g.Key(l.def)]
	if s == nil {
		return nil, 0, false
	}
	c, ok := l.cell(s, codes)
	return s, c, ok
}
