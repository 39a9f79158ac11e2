package suppress

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Limits on what tables may ask of memory, checked before anything is enumerated.
const (
	maxBase  = 200_000
	maxCells = 100_000
)

// Tables says what is to be published, before any data is looked at.
type Tables struct {
	Definition *gateway.Definition   // Required: the dimensions and the structural zeros
	Sets       []gateway.GroupingSet // Required: the tables, protected jointly; the empty set is the total
	// Covered names the multi dimensions of which every child is in one node or
	// more, so that a margin is at most the sum of its cells. Elsewhere only
	// max(cells) <= margin is assumed (disclosure.md 2.1).
	Covered []string
	Force   []string // labels of cells that are published before all others; an error when a rule hides one
	Hide    []string // labels of cells that are hidden whatever they hold
	// Earlier are the labels of cells that earlier releases of the same period
	// published (disclosure.md 2.6 step 6).
	Earlier []string
}

// A system is the tables as linear algebra: every cell a sum of base cells.
type system struct {
	axes  []axis
	size  int    // base cells
	void  []bool // base cells that are structural zeros
	cells []cell
	label map[string]int // of the cells
	above []bound
	early [][]int32 // columns that earlier releases published
}

// An axis is one dimension of the base: the leaves at the finest level that any
// table uses or, for a multi dimension, the root and all nodes, because its margins
// are no sums.
type axis struct {
	dim    *gateway.Dimension
	level  int
	multi  bool
	rest   bool     // the dimension has one node; children outside it are under ""
	codes  []string // of the positions
	place  map[string]int
	under  map[string][]int // node → positions; "" is the root
	stride int
}

// A cell is one cell of a table.
type cell struct {
	label  string
	set    gateway.GroupingSet
	nodes  []string
	height int
	column []int32 // base cells, ascending; structural zeros left out
	// omitted cells are never published, but who subtracts can compute them: the
	// one code that an outcome dimension leaves out (disclosure.md 2.1).
	omitted bool
	force   bool
	hide    bool
	early   bool // an earlier release published it
}

// A bound says that the sum of less is at most the sum of more.
type bound struct{ less, more []int32 }

func newSystem(t *Tables) (*system, error) {
	if t.Definition == nil || len(t.Sets) == 0 {
		return nil, gateway.Errorf(gateway.Invalid, "tables to suppress need a definition and at least one grouping set")
	}
	s := &system{label: map[string]int{}}
	if err := s.addAxes(t); err != nil {
		return nil, err
	}
	s.markVoid(t.Definition)
	sets := slices.Clone(t.Sets)
	slices.SortFunc(sets, func(a, b gateway.GroupingSet) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(setKey(a), setKey(b)))
	})
	for _, set := range sets {
		if err := s.addSet(set, t.Definition); err != nil {
			return nil, err
		}
	}
	s.addBounds(t.Covered)
	return s, s.mark(t)
}

// addAxes finds the dimensions that the sets use, and the finest level of each.
func (s *system) addAxes(t *Tables) error {
	finest := map[string]int{}
	for _, set := range t.Sets {
		for i, sd := range set {
			dim := t.Definition.Dimension(sd.Name)
			if dim == nil || sd.Level < 0 || sd.Level >= len(dim.Levels) || i > 0 && set[i-1].Name >= sd.Name {
				return gateway.Errorf(gateway.Invalid, "a grouping set names dimension %q, which is unknown, out of order or has no such level", sd.Name)
			}
			finest[sd.Name] = max(finest[sd.Name], sd.Level)
		}
	}
	for name, level := range finest {
		s.axes = append(s.axes, newAxis(t.Definition.Dimension(name), level))
	}
	slices.SortFunc(s.axes, func(a, b axis) int { return cmp.Compare(a.dim.Name, b.dim.Name) })
	s.size = 1
	for i := len(s.axes) - 1; i >= 0; i-- {
		s.axes[i].stride = s.size
		if s.size *= len(s.axes[i].codes); s.size > maxBase {
			return gateway.Errorf(gateway.Invalid, "the tables cross to more than %d base cells; publish fewer dimensions or coarser codes together", maxBase)
		}
	}
	s.void = make([]bool, s.size)
	return nil
}

func newAxis(dim *gateway.Dimension, level int) axis {
	a := axis{
		dim: dim, level: level, multi: dim.Kind == gateway.Multi, rest: len(dim.AtLevel(0)) == 1 && dim.Kind == gateway.Partition,
		place: map[string]int{}, under: map[string][]int{},
	}
	if a.multi || a.rest {
		a.codes = append(a.codes, "")
	}
	for _, n := range dim.Nodes {
		if n.Level == level || a.multi && n.Level < level {
			a.codes = append(a.codes, n.Code)
		}
	}
	for i, code := range a.codes {
		a.place[code] = i
		if a.multi {
			a.under[code] = []int{i}
			continue
		}
		for at := code; at != ""; at = dim.Node(at).Parent {
			a.under[at] = append(a.under[at], i)
		}
		a.under[""] = append(a.under[""], i)
	}
	return a
}

// within tells whether a position lies in a node for certain, and whether it lies
// outside for certain. Where the node is finer than the axis neither is known.
func (a *axis) within(position int, node string) (in, out bool) {
	if slices.Contains(a.under[node], position) {
		return true, false
	}
	if a.multi || a.dim.Node(node) == nil || a.dim.Node(node).Level > a.level {
		return false, false
	}
	return false, true
}

// markVoid finds the structural zeros: what the definition declares impossible, and
// what an implication excludes. Neither looks at data (disclosure.md 2.4 rule 3).
func (s *system) markVoid(d *gateway.Definition) {
	holds := func(b int, f gateway.Fact) (in, out bool) {
		i := slices.IndexFunc(s.axes, func(a axis) bool { return a.dim.Name == f.Dimension })
		if i < 0 {
			return false, false
		}
		return s.axes[i].within(b/s.axes[i].stride%len(s.axes[i].codes), f.Node)
	}
	for b := range s.size {
		for _, entry := range d.Impossible {
			all := len(entry) > 0
			for _, f := range entry {
				in, _ := holds(b, f)
				all = all && in
			}
			s.void[b] = s.void[b] || all
		}
		for _, imp := range d.Implied {
			in, _ := holds(b, imp.If)
			_, out := holds(b, imp.Then)
			s.void[b] = s.void[b] || in && out
		}
	}
}

// addSet adds the cells of one table, in the order of the codes.
func (s *system) addSet(set gateway.GroupingSet, d *gateway.Definition) error {
	if set.NominalCells(d) > maxCells-len(s.cells) {
		return gateway.Errorf(gateway.Invalid, "the tables have more than %d cells", maxCells)
	}
	nodes := make([]string, len(set))
	var each func(i int)
	each = func(i int) {
		if i < len(set) {
			for _, n := range d.Dimension(set[i].Name).AtLevel(set[i].Level) {
				nodes[i] = n.Code
				each(i + 1)
			}
			return
		}
		label := set.Label(nodes)
		if _, ok := s.label[label]; !ok { // a set that is named twice is one table
			s.label[label] = len(s.cells)
			s.cells = append(s.cells, s.newCell(set, slices.Clone(nodes)))
		}
	}
	each(0)
	return nil
}

func (s *system) newCell(set gateway.GroupingSet, nodes []string) cell {
	c := cell{label: set.Label(nodes), set: set, nodes: nodes}
	c.column = s.column(set, nodes)
	for i, sd := range set {
		c.height += sd.Level + 1
		c.omitted = c.omitted || s.axis(sd.Name).dim.Omitted == nodes[i]
	}
	return c
}

func (s *system) axis(name string) *axis {
	i := slices.IndexFunc(s.axes, func(a axis) bool { return a.dim.Name == name })
	if i < 0 {
		return nil
	}
	return &s.axes[i]
}

// column returns the base cells that sum to a cell. Dimensions that the set leaves
// out are at their root.
func (s *system) column(set gateway.GroupingSet, nodes []string) []int32 {
	column := []int32{0}
	for i := range s.axes {
		a := &s.axes[i]
		node := ""
		if j := slices.IndexFunc(set, func(sd gateway.SetDimension) bool { return sd.Name == a.dim.Name }); j >= 0 {
			node = nodes[j]
		}
		longer := make([]int32, 0, len(column)*len(a.under[node]))
		for _, b := range column {
			for _, at := range a.under[node] {
				longer = append(longer, b+int32(at*a.stride)) //nolint:gosec // below maxBase
			}
		}
		column = longer
	}
	return slices.DeleteFunc(column, func(b int32) bool { return s.void[b] })
}

// addBounds relates the nodes of multi dimensions to their parents, once for every
// crossing of the others: a child in a node is in its parent, and in a covered
// dimension a child in the parent is in some node.
func (s *system) addBounds(covered []string) {
	for i := range s.axes {
		a := &s.axes[i]
		if !a.multi {
			continue
		}
		children := make([][]int, len(a.codes))
		for at, code := range a.codes[1:] {
			parent := a.place[a.dim.Node(code).Parent]
			children[parent] = append(children[parent], at+1)
		}
		for b := range s.size {
			at := b / a.stride % len(a.codes)
			var parts []int32
			for _, c := range children[at] {
				part := int32(b + (c-at)*a.stride) //nolint:gosec // below maxBase
				if !s.void[part] {
					parts = append(parts, part)
					s.above = append(s.above, bound{[]int32{part}, []int32{int32(b)}})
				}
			}
			if len(children[at]) > 0 && slices.Contains(covered, a.dim.Name) {
				s.above = append(s.above, bound{[]int32{int32(b)}, parts})
			}
		}
	}
}

// mark finds the cells that the caller named.
func (s *system) mark(t *Tables) error {
	for _, label := range t.Force {
		i, ok := s.label[label]
		if !ok || s.cells[i].omitted {
			return gateway.Errorf(gateway.Invalid, "a cell to publish first, %q, is in none of the tables", label)
		}
		s.cells[i].force = true
	}
	for _, label := range t.Hide {
		i, ok := s.label[label]
		if !ok || s.cells[i].force {
			return gateway.Errorf(gateway.Invalid, "a cell to hide, %q, is in none of the tables or is to be published first", label)
		}
		s.cells[i].hide = true
	}
	for _, label := range t.Earlier {
		column, ok := s.parse(label)
		if !ok {
			return gateway.Errorf(gateway.Invalid, "a cell of an earlier release, %q, cannot be composed of the base cells of these tables", label)
		}
		s.early = append(s.early, column)
		if i, ok := s.label[label]; ok {
			s.cells[i].early = true
		}
	}
	return nil
}

// parse finds the column of a canonical label.
func (s *system) parse(label string) ([]int32, bool) {
	var set gateway.GroupingSet
	var nodes []string
	for part := range strings.SplitSeq(label, "|") {
		if label == "" {
			break
		}
		name, code, _ := strings.Cut(part, "=")
		a := s.axis(name)
		if a == nil || a.dim.Node(code) == nil || len(a.under[code]) == 0 || len(set) > 0 && set[len(set)-1].Name >= name {
			return nil, false
		}
		set = append(set, gateway.SetDimension{Name: name, Level: a.dim.Node(code).Level})
		nodes = append(nodes, code)
	}
	return s.column(set, nodes), true
}

// open counts the base cells that are no structural zeros.
func (s *system) open() int {
	n := 0
	for _, void := range s.void {
		if !void {
			n++
		}
	}
	return n
}

// auditable checks the sizes that split checks, for the case that nothing is shown
// but everything is known: as many equations as cells, in one component.
func (s *system) auditable() error {
	rows, vars := len(s.cells)+len(s.early)+len(s.above), s.open()
	if vars > MaxVariables || rows*(vars+len(s.above)+1) > maxEntries {
		return gateway.Errorf(gateway.TooLarge, "%d base cells with %d relations are more than can be audited together", vars, rows)
	}
	return nil
}

// base returns the crossing that [Raw.Add] takes.
func (s *system) base() gateway.GroupingSet {
	set := make(gateway.GroupingSet, len(s.axes))
	for i := range s.axes {
		set[i] = gateway.SetDimension{Name: s.axes[i].dim.Name, Level: s.axes[i].level}
	}
	return set
}

// at returns the base cell with these codes.
func (s *system) at(codes []string) (int32, bool) {
	if len(codes) != len(s.axes) {
		return 0, false
	}
	b := 0
	for i := range s.axes {
		at, ok := s.axes[i].place[codes[i]]
		if !ok {
			return 0, false
		}
		b += at * s.axes[i].stride
	}
	return int32(b), true
}
