package disclosure

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// A synonymous is a release of a random definition with random implications and
// children, under a random key, to ask random questions of.
type synonymous struct {
	p *Published
	l *lattice
	d *gateway.Definition
}

func randomRelease(t *testing.T, rt *rapid.T) synonymous {
	t.Helper()
	d := randomDefinition(rt)
	d.V = 400
	for range rapid.IntRange(0, 2).Draw(rt, "implications") {
		pair := rapid.Permutation(d.Dimensions).Draw(rt, "of")[:2]
		fact := func(dim gateway.Dimension) gateway.Fact {
			return gateway.Fact{Dimension: dim.Name, Node: rapid.SampledFrom(dim.Nodes).Draw(rt, "node").Code}
		}
		d.Implied = append(d.Implied, gateway.Implication{If: fact(pair[0]), Then: fact(pair[1])})
	}
	if _, err := Plan(d); err != nil {
		rt.Skip(err.Error()) // the budget, or implications that go round
	}
	rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
	p, err := inside(t, fill(t, d, randomTruth(rt, d).counts()), rel).publish(rel) // Protect, with the tables solved once
	if err != nil {
		rt.Fatal(err)
	}
	return synonymous{p, p.l, d}
}

// question draws a question of the lattice: a set, and for each of its dimensions a
// filter, a grouping or both.
func (r synonymous) question(rt *rapid.T) gateway.Question {
	s := rapid.SampledFrom(r.l.sets).Draw(rt, "set")
	id := rapid.SampledFrom(s.Cubes).Draw(rt, "cube")
	q := gateway.Question{Cube: id, Measure: rapid.SampledFrom(r.p.Measures(r.d.Cube(id))).Draw(rt, "measure"), Filter: map[string]string{}}
	for i, dim := range s.dims {
		n, level := &r.l.dims[dim], s.Set[i].Level
		how := rapid.IntRange(0, 2).Draw(rt, "how to name "+n.Name)
		if how != 1 {
			from := level
			if how == 2 { // both: the filter at this level or one above
				from = rapid.IntRange(0, level).Draw(rt, "filtered at")
			}
			node := rapid.SampledFrom(n.levels[from]).Draw(rt, "code of "+n.Name)
			if node.Code == n.Omitted {
				rt.Skip("an omitted code cannot be asked for")
			}
			q.Filter[n.Name] = node.Code
		}
		if how != 0 {
			q.GroupBy = append(q.GroupBy, n.Name+"@"+n.Levels[level])
		}
	}
	return q
}

// respelt draws another spelling of a question: groupings in another order, the level
// left out where there is one, conditions added that others imply, an only child named
// for its parent, another purpose.
func (r synonymous) respelt(rt *rapid.T, q gateway.Question) gateway.Question {
	again := gateway.Question{Cube: q.Cube, Measure: q.Measure, Filter: maps.Clone(q.Filter), Purpose: "another"}
	for _, g := range rapid.Permutation(q.GroupBy).Draw(rt, "order") {
		name, _, _ := strings.Cut(g, "@")
		if len(r.d.Dimension(name).Levels) == 1 && rapid.Bool().Draw(rt, "without level") {
			g = name
		}
		again.GroupBy = append(again.GroupBy, g)
	}
	grouped := func(name string) bool {
		return slices.ContainsFunc(q.GroupBy, func(g string) bool { return strings.HasPrefix(g, name+"@") })
	}
	about, _, _ := strings.Cut(string(q.Measure), ".") // the dimension of a share, whose code is not only a condition
	for _, m := range r.d.Implied {
		then := r.d.Dimension(m.Then.Dimension)
		_, named := again.Filter[then.Name]
		given := r.d.Dimension(m.If.Dimension)
		code, holds := q.Filter[given.Name]
		if holds && !named && then.Name != about && !grouped(then.Name) && then.Omitted != m.Then.Node && r.l.dims[r.l.byName[given.Name]].under(given.Node(code), m.If.Node) {
			again.Filter[then.Name] = m.Then.Node
		}
	}
	for name, code := range again.Filter {
		n := &r.l.dims[r.l.byName[name]]
		node := n.Node(code)
		if node.Level+1 < len(n.levels) && name != about && !grouped(name) {
			if below := n.groups[node.Level+1][n.place[node.Level][code]]; len(below) == 1 {
				again.Filter[name] = n.levels[node.Level+1][below[0]].Code
			}
		}
	}
	if len(again.Filter) == 0 && rapid.Bool().Draw(rt, "no filter at all") {
		again.Filter = nil
	}
	return again
}

// Every synonym of a question has one answer, to the byte, label and decision and all:
// over random questions to random definitions (disclosure.md 2.1; attack A6).
func TestSynonymsHaveOneAnswer(t *testing.T) {
	asked, implied := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := randomRelease(t, rt)
		for range 10 {
			q := r.question(rt)
			again := r.respelt(rt, q)
			table, err := r.p.Ask(again)
			first, refused := r.p.Ask(q)
			if err != nil || refused != nil {
				continue // a condition more than the cube's cap admits, or a share of what is not named
			}
			asked++
			if len(again.Filter) > len(q.Filter) {
				implied++
			}
			if a, b := bytesOf(rt, first), bytesOf(rt, table); a != b {
				rt.Fatalf("two spellings, two answers:\n%+v %s\n%+v %s\n%+v", q, a, again, b, r.d.Implied)
			}
		}
	})
	t.Logf("%d questions asked twice, %d with implied conditions", asked, implied)
}

// However a cell is reached, by filters, by groupings or by both, it is the cell of its
// canonical label, status and value.
func TestEveryWayToACell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := randomRelease(t, rt)
		for range 10 {
			q := r.question(rt)
			q.Measure = gateway.CountChildren
			table := ask(rt, r.p, q)
			for _, c := range table.Cells {
				label := labelOf(table, c)
				st, v, ok := r.p.Cell(label, q.Measure)
				if !ok || st != c.Status || (c.Value != nil) != (st == gateway.StatusValue) || c.Value != nil && *c.Value != v {
					rt.Fatalf("%+v: cell %s is %+v, and %s %d by its label", q, label, c, st, v)
				}
				s, at, _ := r.l.find(label)
				to, tat := r.l.canonical(s, s.nodes(at, nil))
				if r.p.cells[s.index].status[at] == statusImpossible {
					continue // a contradiction has no children to denote
				}
				other := string(r.l.label(to, tat, nil))
				if st2, v2, ok := r.p.Cell(other, q.Measure); ok && (st2 != st || v2 != v) && st != gateway.StatusImpossible {
					rt.Fatalf("%s is %s %d, and the same children as %s are %s %d", label, st, v, other, st2, v2)
				}
			}
		}
	})
}

// Conditions that imply each other would be two labels of the same children.
func TestCircularImplications(t *testing.T) {
	fact := func(dim, node string) gateway.Fact { return gateway.Fact{Dimension: dim, Node: node} }
	d := definition([]gateway.Dimension{tree("a", 1, 2), partition("b", 3), partition("c", 3)}, cube("one", gateway.Children, 3, "a", "b", "c"))
	for name, c := range map[string]struct {
		implied []gateway.Implication
		refused bool
	}{
		"a line":                {[]gateway.Implication{{If: fact("a", "aAB"), Then: fact("b", "bAA")}, {If: fact("b", "bAA"), Then: fact("c", "cAA")}}, false},
		"two that are one":      {[]gateway.Implication{{If: fact("a", "aAB"), Then: fact("b", "bAA")}, {If: fact("b", "bAA"), Then: fact("a", "aAB")}}, true},
		"round three":           {[]gateway.Implication{{If: fact("a", "aAB"), Then: fact("b", "bAA")}, {If: fact("b", "bAA"), Then: fact("c", "cAA")}, {If: fact("c", "cAA"), Then: fact("a", "aABAA")}}, true},
		"back to what is wider": {[]gateway.Implication{{If: fact("a", "aABAA"), Then: fact("b", "bAA")}, {If: fact("b", "bAA"), Then: fact("a", "aAB")}}, false},
		"by an only child":      {[]gateway.Implication{{If: fact("a", "aAAAA"), Then: fact("b", "bAA")}, {If: fact("b", "bAA"), Then: fact("a", "aAA")}}, true},
	} {
		d.Implied = c.implied
		if _, err := newLattice(d); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two cells that denote the same children, as far as anything declared says, have one
// canonical cell, and so one draw. What a cell says is written here by closure: its
// nodes, all above them, an only child below, and whatever those imply.
func TestSameChildrenSameCell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		for range rapid.IntRange(1, 3).Draw(rt, "implications") {
			pair := rapid.Permutation(d.Dimensions).Draw(rt, "of")[:2]
			fact := func(dim gateway.Dimension) gateway.Fact {
				return gateway.Fact{Dimension: dim.Name, Node: rapid.SampledFrom(dim.Nodes).Draw(rt, "node").Code}
			}
			d.Implied = append(d.Implied, gateway.Implication{If: fact(pair[0]), Then: fact(pair[1])})
		}
		l, err := newLattice(d)
		if err != nil {
			rt.Skip(err.Error()) // implications that go round
		}
		first := map[string]string{} // closure → canonical label
		each(l, func(s *set, _ int, at []int, label string) {
			if l.impossible(s, at) {
				return
			}
			to, tat := l.canonical(s, at)
			canonical, says := string(l.label(to, tat, nil)), closure(d, label)
			if other, known := first[says]; known && other != canonical {
				rt.Fatalf("%q is %q, another label of the same children %q; %v", label, canonical, other, d.Implied)
			}
			first[says] = canonical
		})
	})
}

// closure is all that a label says, sorted.
func closure(d *gateway.Definition, label string) string {
	said := map[string]bool{}
	var say func(dim, code string)
	say = func(dim, code string) {
		if code == "" || said[dim+"="+code] {
			return
		}
		said[dim+"="+code] = true
		n := d.Dimension(dim)
		say(dim, n.Node(code).Parent)
		var below []string
		for _, node := range n.Nodes {
			if node.Parent == code {
				below = append(below, node.Code)
			}
		}
		if len(below) == 1 {
			say(dim, below[0])
		}
		for _, m := range d.Implied {
			if m.If == (gateway.Fact{Dimension: dim, Node: code}) {
				say(m.Then.Dimension, m.Then.Node)
			}
		}
	}
	for _, f := range splitLabel(label) {
		say(f[0], f[1])
	}
	return strings.Join(slices.Sorted(maps.Keys(said)), "|")
}
