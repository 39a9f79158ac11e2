package disclosure

import (
	"cmp"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// What the cube file declares about cells, before any data: structural zeros, and
// names that are synonyms because one condition implies another (disclosure.md 2.1).
//
// Nothing of this is ever inferred. A zero that is in the data of one release only
// would be told from a small cell by its status; and two cells that happen to hold
// the same children must not share a draw, or equality of answers would tell it.

// declare takes over what the definition declares, and what follows from it. A node that
// is the only child of its parent is raised to it: they are the same children, and what
// is declared of the one holds of the other.
func (l *lattice) declare() {
	raised := func(f gateway.Fact) gateway.Fact {
		n := &l.dims[l.byName[f.Dimension]]
		for node := n.Node(f.Node); n.only(node.Level, n.place[node.Level][f.Node]); node = n.Node(f.Node) {
			f.Node = node.Parent
		}
		return f
	}
	for _, m := range l.def.Implied {
		l.implications = append(l.implications, gateway.Implication{If: raised(m.If), Then: raised(m.Then)})
	}
	// What an implied condition implies is implied, and dropped in one step.
	for i := 0; i < len(l.implications); i++ {
		for _, m := range l.implications {
			next := gateway.Implication{If: l.implications[i].If, Then: m.Then}
			if l.within(l.implications[i].Then, m.If) && !slices.Contains(l.implications, next) {
				l.implications = append(l.implications, next)
			}
		}
	}
	for _, zero := range l.def.Impossible {
		var facts []gateway.Fact
		for _, f := range zero {
			facts = append(facts, raised(f))
		}
		l.zeros = append(l.zeros, facts)
	}
}

// circular reports whether a condition is implied by what it implies: then two labels
// denote the same children and neither is the shorter, so each would have a draw of its
// own. Such facts are one dimension.
func (l *lattice) circular() bool {
	return slices.ContainsFunc(l.implications, func(m gateway.Implication) bool { return l.within(m.Then, m.If) })
}

// within reports whether a fact is another or says more: its node is under that one's.
func (l *lattice) within(f, of gateway.Fact) bool {
	n := &l.dims[l.byName[f.Dimension]]
	return f.Dimension == of.Dimension && n.under(n.Node(f.Node), of.Node)
}

// names reports whether the cell is within a fact's node; i is the place of the
// fact's dimension in the set, -1 when the cell leaves it at the root.
func (l *lattice) names(s *set, at []int, f gateway.Fact) (i int, within bool) {
	for i, dim := range s.dims {
		if n := &l.dims[dim]; n.Name == f.Dimension {
			return i, n.under(n.levels[s.Set[i].Level][at[i]], f.Node)
		}
	}
	return -1, false
}

// omits reports whether the cell names a code that is never published.
func (l *lattice) omits(s *set, at []int) bool {
	for i, dim := range s.dims {
		if l.dims[dim].omits(s.Set[i].Level, at[i]) {
			return true
		}
	}
	return false
}

// impossible reports whether the cell is a structural zero: declared so, or a
// contradiction of a declared implication.
func (l *lattice) impossible(s *set, at []int) bool {
	for _, zero := range l.zeros {
		all := true
		for _, f := range zero {
			_, within := l.names(s, at, f)
			all = all && within
		}
		if all {
			return true
		}
	}
	for _, m := range l.implications {
		if _, holds := l.names(s, at, m.If); holds && l.contradicts(s, at, m.Then) {
			return true
		}
	}
	return false
}

// contradicts reports whether the cell names a node beside the fact's, in a
// dimension where a child is in one node only. In a multi dimension the child may be
// in both.
func (l *lattice) contradicts(s *set, at []int, f gateway.Fact) bool {
	i, within := l.names(s, at, f)
	if i < 0 || within {
		return false
	}
	n := &l.dims[s.dims[i]]
	node := n.levels[s.Set[i].Level][at[i]]
	return n.Kind == gateway.Partition && !n.under(n.Node(f.Node), node.Code)
}

// canonical returns the cell that denotes the same children with every implied
// condition dropped, and with every node that is the only child of its parent gone
// up to it: s and at themselves for most cells. Two labels of the same children
// would be two independent looks at one number.
func (l *lattice) canonical(s *set, at []int) (*set, []int) {
	return l.canonicalBut(s, at, "")
}

// canonicalBut is canonical, and keeps what is named of one dimension though another
// condition implies it: a sum has its one label where the sector is named.
func (l *lattice) canonicalBut(s *set, at []int, keep string) (*set, []int) {
	for again := true; again; {
		again = false
		for i := 0; i < len(s.dims); i++ {
			if l.dims[s.dims[i]].only(s.Set[i].Level, at[i]) {
				c := l.above(s, at, i)
				s = s.parents[i]
				at = s.nodes(c, nil)
				again = true
			}
		}
		for _, m := range l.implications {
			_, holds := l.names(s, at, m.If)
			if i := l.implied(s, at, m.Then); holds && i >= 0 && m.Then.Dimension != keep {
				s, at = l.drop(s, at, i)
				again = true
			}
		}
	}
	return s, at
}

// sectors returns the cells that hold a cell of a pair, of a sector's code or of an
// outcome by implication: the same cell with the sector in its place, or with the stage
// before it, where that is in the lattice.
func (l *lattice) sectors(s *set, at []int) []cellRef {
	var refs []cellRef
	for _, m := range l.implications {
		i, holds := l.names(s, at, m.If)
		if !holds {
			continue
		}
		kind := l.dims[s.dims[i]].Source.Kind
		if kind != gateway.SectorPair && kind != gateway.EventSectorCode && kind != gateway.ChildOutcome {
			continue
		}
		if t, c := l.instead(s, at, i, m.Then); t != nil {
			refs = append(refs, cellRef{t, c})
		}
	}
	for i, dim := range s.dims {
		// Stages lie within one another, and in their cohort (disclosure.md 2.5, 2.7).
		n := l.dims[dim].levels[s.Set[i].Level][at[i]]
		if n.Outcome == nil || n.Outcome.Within == "" {
			continue
		}
		if t, c := l.instead(s, at, i, gateway.Fact{Dimension: l.dims[dim].Name, Node: n.Outcome.Within}); t != nil {
			refs = append(refs, cellRef{t, c})
		}
	}
	return refs
}

// instead returns the cell with a fact in the place of the condition in dimension
// i, or nil.
func (l *lattice) instead(s *set, at []int, i int, f gateway.Fact) (*set, int) {
	type condition struct {
		gateway.SetDimension

		code string
	}
	all := []condition{{gateway.SetDimension{Name: f.Dimension, Level: l.def.Dimension(f.Dimension).Node(f.Node).Level}, f.Node}}
	for j, sd := range s.Set {
		if j != i {
			all = append(all, condition{sd, l.dims[s.dims[j]].levels[sd.Level][at[j]].Code})
		}
	}
	slices.SortFunc(all, func(a, b condition) int { return cmp.Compare(a.Name, b.Name) })
	var g gateway.GroupingSet
	var codes []string
	for _, c := range all {
		g, codes = append(g, c.SetDimension), append(codes, c.code)
	}
	t := l.byKey[g.Key(l.def)]
	if t == nil {
		return nil, 0
	}
	c, _ := l.cell(t, codes)
	return t, c
}

// implied returns the place of a condition that the fact makes superfluous: its
// node, or one above it.
func (l *lattice) implied(s *set, at []int, f gateway.Fact) int {
	i, _ := l.names(s, at, f)
	if i < 0 {
		return -1
	}
	n := &l.dims[s.dims[i]]
	if !n.under(n.Node(f.Node), n.levels[s.Set[i].Level][at[i]].Code) {
		return -1
	}
	return i
}

// drop takes dimension i up to its root. Every step is in the lattice, which is
// closed downward: fewer dimensions, or coarser levels, are always admitted.
func (l *lattice) drop(s *set, at []int, i int) (*set, []int) {
	name := s.Set[i].Name
	for {
		c := l.above(s, at, i)
		s = s.parents[i]
		at = s.nodes(c, nil)
		if i >= len(s.Set) || s.Set[i].Name != name {
			return s, at
		}
	}
}
