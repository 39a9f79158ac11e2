package dp

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// SharesCells returns an error of kind Conflict when a definition that profile B
// answers, b, and one that profile C publishes, c, count the same cell. B's values
// and C's values have independent noises; whoever has both averages them, and C's
// ledger says nothing about that (disclosure.md 2.0, 2.10 and 2.11 line 14). The
// exchange asks before it defines a release of either profile.
//
// Definitions of one lineage always share: one profile holds for all cubes over
// the same children and all releases of a lineage. Between lineages the names of
// dimensions and cubes are the operator's choice, so what counts is where they come
// from: the same source, a node over the same leaves, and windows that overlap.
// Measures make no difference, because the children and the records of a cell give
// each other away (2.11 line 7). A set is admitted only with its parts, so the
// single dimensions decide. The total alone does not count as shared: every
// definition has one, and it tells least about any child.
func SharesCells(b, c *gateway.Definition) error {
	for _, d := range []*gateway.Definition{b, c} {
		err := validDefinition(d)
		if err != nil {
			return err
		}
	}
	if b.Lineage == c.Lineage {
		return gateway.Errorf(gateway.Conflict, "lineage %s has one profile: it cannot be answered and published with a privacy budget", b.Lineage)
	}
	if b.To < c.From || c.To < b.From {
		return nil
	}
	answered, published := singles(b), singles(c)
	for _, x := range answered {
		for _, y := range published {
			if code, ok := commonNode(x, y); ok {
				return gateway.Errorf(gateway.Conflict, "dimension %s of lineage %s and dimension %s of lineage %s count the same cell %s",
					x.dim.Name, b.Lineage, y.dim.Name, c.Lineage, code)
			}
		}
	}
	return nil
}

// single is a grouping set of one dimension at one level.
type single struct {
	dim   *gateway.Dimension
	level int
}

// singles lists what a definition counts by one dimension alone, as its cubes admit
// it: a dimension that no cube uses is not counted.
func singles(d *gateway.Definition) []single {
	var all []single
	for _, a := range d.AdmittedSets() {
		if len(a.Set) == 1 {
			all = append(all, single{d.Dimension(a.Set[0].Name), a.Set[0].Level})
		}
	}
	return all
}

// commonNode returns a node of x that holds the same leaves as one of y. Leaves are
// compared by number, which belongs to the source's code list, and by code, for
// sources whose numbers are the definition's own.
func commonNode(x, y single) (string, bool) {
	if !sameSource(x.dim.Source, y.dim.Source) {
		return "", false
	}
	for _, node := range x.dim.AtLevel(x.level) {
		numbers, codes := leaves(x.dim, node)
		for _, other := range y.dim.AtLevel(y.level) {
			n, c := leaves(y.dim, other)
			if maps.Equal(numbers, n) || maps.Equal(codes, c) {
				return node.Code, true
			}
		}
	}
	return "", false
}

// sameSource reports whether two dimensions place a child alike. A column that is
// the same on all rows of a child is the same however it is derived.
func sameSource(a, b gateway.Source) bool {
	constant := a.Kind == gateway.ChildConst || b.Kind == gateway.ChildConst
	if constant && a.Column != "" && a.Column == b.Column {
		return true
	}
	return a.Kind == b.Kind && a.Column == b.Column && a.Start == b.Start && a.Days == b.Days &&
		maps.EqualFunc(a.Targets, b.Targets, slices.Equal)
}

// leaves returns the numbers and the codes of the leaves under a node.
func leaves(d *gateway.Dimension, node gateway.Node) (numbers map[uint16]bool, codes map[string]bool) {
	numbers, codes = map[uint16]bool{}, map[string]bool{}
	for _, n := range d.Nodes {
		if d.Leaf(n) && under(d, n, node) {
			codes[n.Code] = true
			for _, number := range n.Numbers() {
				numbers[number] = true
			}
		}
	}
	return numbers, codes
}

// under reports whether a leaf is node or below it. It walks up; validNodes has
// seen to it that this ends.
func under(d *gateway.Dimension, leaf, node gateway.Node) bool {
	for at := &leaf; at != nil && at.Level >= node.Level; at = d.Node(at.Parent) {
		if at.Level == node.Level {
			return at.Code == node.Code
		}
	}
	return false
}

// validDefinition checks what this package relies on, so that a definition that
// skipped the checks of its file is an error here and not a panic.
func validDefinition(d *gateway.Definition) error {
	if d == nil || badNode(d.Lineage) || len(d.Cubes) == 0 {
		return gateway.Errorf(gateway.Invalid, "a definition has a lineage and cubes")
	}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		if badNode(dim.Name) || slices.ContainsFunc(dim.Levels, badNode) || d.Dimension(dim.Name) != dim || !validNodes(dim) {
			return gateway.Errorf(gateway.Invalid, "dimension %q: its name or nodes are not those of a dimension", dim.Name)
		}
	}
	for i := range d.Cubes {
		for _, name := range d.Cubes[i].Dimensions {
			if d.Dimension(name) == nil {
				return gateway.Errorf(gateway.Invalid, "cube %q: its dimension %q is missing", d.Cubes[i].ID, name)
			}
		}
	}
	return nil
}

// validNodes reports whether every level has nodes, every code is one and comes
// once, and every parent is one level up; a tree cannot then be circular.
func validNodes(d *gateway.Dimension) bool {
	levels, at := make([]int, len(d.Levels)), make(map[string]int, len(d.Nodes))
	for _, n := range d.Nodes {
		if _, twice := at[n.Code]; twice || badNode(n.Code) || n.Level < 0 || n.Level >= len(levels) {
			return false
		}
		if parent, ok := at[n.Parent]; n.Level == 0 && n.Parent != "" || n.Level > 0 && (!ok || parent != n.Level-1) {
			return false
		}
		at[n.Code] = n.Level
		levels[n.Level]++
	}
	return len(levels) > 0 && !slices.Contains(levels, 0)
}
