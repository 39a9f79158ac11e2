package disclosure

import (
	"math"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// checkDefinition refuses a definition that the lattice could not be built from, or
// whose labels could be read in two ways. It looks at names and trees only. configs
// checks the same of cube files; here it holds for whatever is decoded too, and a
// definition that passes makes nothing in this package panic.
func checkDefinition(d *gateway.Definition) error {
	if d == nil || d.Lineage == "" || len(d.Cubes) == 0 {
		return gateway.Errorf(gateway.Invalid, "a release definition needs a lineage and a cube")
	}
	if err := checkProfile(d); err != nil {
		return err
	}
	if len(d.Dimensions) > maxDimensions {
		return gateway.Errorf(gateway.Invalid, "a release has at most %d dimensions", maxDimensions)
	}
	names := map[string]bool{}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		if names[dim.Name] || !word(dim.Name) {
			return gateway.Errorf(gateway.Invalid, "dimension %d has no name, a doubled one, or one with |, = or @", i+1)
		}
		names[dim.Name] = true
		if err := checkDimension(dim); err != nil {
			return err
		}
	}
	ids := map[string]bool{}
	sets := 0.0
	for i := range d.Cubes {
		c := &d.Cubes[i]
		if ids[c.ID] || c.ID == "" {
			return gateway.Errorf(gateway.Invalid, "cube %d has no id or a doubled one", i+1)
		}
		ids[c.ID] = true
		if err := checkCube(d, c); err != nil {
			return err
		}
		if sets += setsAtMost(d, c); sets > maxSets {
			return gateway.Errorf(gateway.Invalid, "the cubes have more than %d grouping sets; name fewer dimensions", maxSets)
		}
	}
	if err := checkTrees(d); err != nil {
		return err
	}
	if err := checkValues(d); err != nil {
		return err
	}
	return checkFacts(d)
}

// checkTrees refuses a second tree over what another dimension of a cube shows
// already: the differences of two that do not nest are areas of their own, which
// nobody registered (disclosure.md 2.1; geographic differencing, Handbook 5.2).
func checkTrees(d *gateway.Definition) error {
	first := map[gateway.SourceKind]map[string]*gateway.Dimension{}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		shown := slices.ContainsFunc(d.Cubes, func(c gateway.Cube) bool { return slices.Contains(c.Dimensions, dim.Name) })
		if !shown || dim.Source.Column == "" {
			continue
		}
		of := first[dim.Source.Kind]
		if of == nil {
			of = map[string]*gateway.Dimension{}
			first[dim.Source.Kind] = of
		}
		other := of[dim.Source.Column]
		if other != nil && !sameTree(other, dim) {
			return gateway.Errorf(gateway.Invalid, "dimensions %s and %s are two trees over one column; register one system of areas", other.Name, dim.Name)
		}
		of[dim.Source.Column] = dim
	}
	return nil
}

// sameTree reports whether two dimensions have the same codes under the same ones.
func sameTree(a, b *gateway.Dimension) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(x, y gateway.Node) bool {
		return x.Code == y.Code && x.Parent == y.Parent && x.Level == y.Level && slices.Equal(x.Members, y.Members)
	})
}

// checkFacts refuses structural zeros and implications about what is not defined.
func checkFacts(d *gateway.Definition) error {
	var all []gateway.Fact
	for _, zero := range d.Impossible {
		if len(zero) < 2 {
			return gateway.Errorf(gateway.Invalid, "a structural zero names fewer than two facts")
		}
		all = append(all, zero...)
	}
	for _, i := range d.Implied {
		if i.If.Dimension == i.Then.Dimension {
			return gateway.Errorf(gateway.Invalid, "an implication is within dimension %s", i.If.Dimension)
		}
		all = append(all, i.If, i.Then)
	}
	for _, f := range all {
		if dim := d.Dimension(f.Dimension); dim == nil || dim.Node(f.Node) == nil {
			return gateway.Errorf(gateway.Invalid, "a declared fact names a dimension or node that is not defined")
		}
	}
	return nil
}

// word reports whether a name or code can stand in a label without being taken for
// two (decisions.md 15).
func word(s string) bool { return s != "" && !strings.ContainsAny(s, "|=@\n") }

func checkDimension(dim *gateway.Dimension) error {
	invalid := func(why string) error {
		return gateway.Errorf(gateway.Invalid, "dimension %s: %s", dim.Name, why)
	}
	if dim.Kind != gateway.Partition && dim.Kind != gateway.Multi {
		return invalid("its kind is neither partition nor multi")
	}
	if len(dim.Levels) == 0 || len(dim.Nodes) == 0 {
		return invalid("it needs a level and a node")
	}
	levels := map[string]bool{}
	for _, level := range dim.Levels {
		if levels[level] || !word(level) {
			return invalid("a level has no name, a doubled one, or one with |, = or @")
		}
		levels[level] = true
	}
	return checkNodes(dim, invalid)
}

func checkNodes(dim *gateway.Dimension, invalid func(string) error) error {
	level := map[string]int{}
	children := map[string]int{}
	for _, n := range dim.Nodes {
		_, doubled := level[n.Code]
		parent, known := level[n.Parent]
		switch {
		case doubled || !word(n.Code):
			return invalid("a node has no code, a doubled one, or one with |, = or @")
		case n.Level < 0 || n.Level >= len(dim.Levels):
			return invalid("a node is of no level")
		case (n.Level == 0) != (n.Parent == "") || n.Level > 0 && (!known || parent != n.Level-1):
			return invalid("a node's parent is not a node of the level above that stands before it")
		}
		level[n.Code] = n.Level
		children[n.Parent]++
	}
	if !bandsApart(dim.AtLevel(len(dim.Levels) - 1)) {
		return invalid("its bands are empty, or they overlap")
	}
	for _, n := range dim.Nodes {
		if !dim.Leaf(n) && children[n.Code] == 0 {
			return invalid("a node above the finest level has no children")
		}
	}
	if err := checkOther(dim, invalid); err != nil {
		return err
	}
	if err := checkOutcomes(dim, invalid); err != nil {
		return err
	}
	if at, known := level[dim.Omitted]; dim.Omitted != "" && (!known || at != len(dim.Levels)-1 || len(dim.Levels) > 1) {
		return invalid("the omitted code is not a code of its only level")
	}
	return nil
}

// checkOther refuses members of what is no leaf of listed codes, of areas, and codes
// that are in two leaves: a child would be in both, under one condition
// (disclosure.md 2.4 rule 8).
func checkOther(dim *gateway.Dimension, invalid func(string) error) error {
	kind, others := dim.Source.Kind, 0
	in := map[uint16]bool{}
	for i := range dim.Nodes {
		n := &dim.Nodes[i]
		if len(n.Members) > 0 {
			others++
		}
		if dim.Leaf(*n) && others > 0 && slices.ContainsFunc(n.Numbers(), func(number uint16) bool { return in[number] }) {
			return invalid("a code of the list is in two nodes")
		}
		for _, number := range n.Numbers() {
			in[number] = in[number] || dim.Leaf(*n)
		}
		listed := kind == gateway.EventColumn || kind == gateway.ChildConst || kind == gateway.ChildFirst || kind == gateway.ChildMost
		if len(n.Members) > 0 && (others > 1 || !dim.Leaf(*n) || n.Number != 0 || !listed || dim.Source.Column == gateway.ColumnRegion) {
			return invalid("members are of one leaf, of a column of listed codes that are no areas")
		}
	}
	return nil
}

// checkOutcomes refuses nodes of outcomes without a path, or in a circle of stages.
func checkOutcomes(dim *gateway.Dimension, invalid func(string) error) error {
	for i := range dim.Nodes {
		o := dim.Nodes[i].Outcome
		switch {
		case (o != nil) != (dim.Source.Kind == gateway.ChildOutcome):
			return invalid("a node of outcomes has none, or another node has one")
		case o == nil:
			continue
		case dim.Path(o.Path) == nil || len(dim.Path(o.Path).Start) == 0:
			return invalid("an outcome names no path, or one without a start")
		}
		at := &dim.Nodes[i]
		for range dim.Nodes {
			if at.Outcome == nil || at.Outcome.Within == "" {
				break
			}
			if at = dim.Node(at.Outcome.Within); at == nil || at.Code == dim.Nodes[i].Code {
				return invalid("an outcome lies within none, or within itself")
			}
		}
	}
	return nil
}

func checkCube(d *gateway.Definition, c *gateway.Cube) error {
	invalid := func(why string) error { return gateway.Errorf(gateway.Invalid, "cube %s: %s", c.ID, why) }
	if c.Cap < 1 || c.Cap > gateway.MaxDepth {
		return invalid("its cap is not from 1 to 4")
	}
	if c.Grain != gateway.Children && c.Grain != gateway.Events {
		return invalid("its grain is neither children nor events")
	}
	seen := map[string]bool{}
	for _, name := range c.Dimensions {
		if seen[name] || d.Dimension(name) == nil {
			return invalid("it names a dimension twice, or one that is not defined")
		}
		seen[name] = true
	}
	measures := map[gateway.Measure]bool{}
	for _, m := range c.Measures {
		if measures[m] || m != gateway.CountChildren && m != gateway.CountRecords {
			return invalid("a measure is doubled or is neither children nor records")
		}
		measures[m] = true
	}
	if !measures[gateway.CountChildren] {
		return invalid("it must measure children: whether a cell is shown is decided on them")
	}
	return nil
}

// setsAtMost bounds the grouping sets of a cube, before they are enumerated: the
// sum of the elementary symmetric polynomials of its numbers of levels.
func setsAtMost(d *gateway.Definition, c *gateway.Cube) float64 {
	e := make([]float64, c.Cap+1)
	e[0] = 1
	for _, name := range c.Dimensions {
		for k := c.Cap; k > 0; k-- {
			e[k] += e[k-1] * float64(len(d.Dimension(name).Levels))
		}
	}
	sum := 0.0
	for _, x := range e {
		sum += x
	}
	return math.Min(sum, math.MaxFloat64)
}
