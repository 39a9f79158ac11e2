package disclosure

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// small is a population of 3,000 children, counted once for all tests.
var small = sync.OnceValues(func() (truth, map[string]map[string]*Count) {
	w := population(3000, 7)
	return w, w.counts()
})

// protected protects the small population.
func protected(tb testing.TB, number, key int) *Published {
	tb.Helper()
	w, counts := small()
	p, err := Protect(fill(tb, w.def, counts), release(w.def, number, key))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// inside runs the rules and returns the protector, to look at states.
func inside(tb testing.TB, raw *Raw, rel Release) *protector {
	tb.Helper()
	c, err := raw.borrow()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := newProtector(c, rel)
	if err != nil {
		tb.Fatal(err)
	}
	p.tables = tablesOf(tb, c.l.def.V)
	for _, s := range p.l.sets {
		if err := p.protect(s); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

var solved sync.Map // V → *PTables

// tablesOf solves the tables of a V once for all tests.
func tablesOf(tb testing.TB, v float64) *PTables {
	tb.Helper()
	if t, ok := solved.Load(v); ok {
		return t.(*PTables)
	}
	t, err := NewPTables(v)
	if err != nil {
		tb.Fatal(err)
	}
	solved.Store(v, t)
	return t
}

// each calls f for every cell of a lattice with its label.
func each(l *lattice, f func(s *set, c int, at []int, label string)) {
	for _, s := range l.sets {
		for c := range s.cells {
			at := s.nodes(c, nil)
			f(s, c, at, string(l.label(s, at, nil)))
		}
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// randomTruth draws up to 300 children with one event each in skewed codes.
func randomTruth(rt *rapid.T, d *gateway.Definition) truth {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
	w := truth{def: d}
	n := rapid.IntRange(0, 300).Draw(rt, "children")
	for child := range n {
		codes := map[string]string{}
		for i := range d.Dimensions {
			var leaves []string
			for _, node := range d.Dimensions[i].Nodes {
				if d.Dimensions[i].Leaf(node) {
					leaves = append(leaves, node.Code)
				}
			}
			at := r.IntN(len(leaves))
			codes[d.Dimensions[i].Name] = leaves[min(at, r.IntN(len(leaves)))]
		}
		w.events = append(w.events, event{child, codes})
	}
	return w
}

func without(label, name string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(label, "|"), func(f string) bool { return strings.HasPrefix(f, name+"=") }), "|")
}

// flats returns a Raw over one partition dimension with these counts, and one
// event each.
func flats(t *testing.T, d *gateway.Definition, ns ...int) *Raw {
	t.Helper()
	raw := NewRaw(d)
	sum, keys := 0, uint64(0)
	for i, n := range ns {
		sum += n
		keys += subjectKey(i)
		if n > 0 {
			add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, n, subjectKey(i))
		}
	}
	add(t, raw, total, nil, sum, keys)
	return raw
}

func add(t *testing.T, raw *Raw, g gateway.GroupingSet, nodes []string, n int, key uint64) {
	t.Helper()
	if err := raw.Add(g, nodes, Count{Children: uint64(n), Key: key}); err != nil {
		t.Fatal(err)
	}
}

func statesOf(p *protector, key string) []state { return p.states[p.l.byKey[key].index] }

// flatsTwo has 200 children, of whom the same twelve are outside the first code of
// both dimensions.
func flatsTwo(t *testing.T, d *gateway.Definition) *Raw {
	t.Helper()
	raw := NewRaw(d)
	major, minor := subjectKey(1), subjectKey(2)
	one := func(i int) string { return d.Dimensions[i].Nodes[0].Code }
	two := func(i int) string { return d.Dimensions[i].Nodes[1].Code }
	add(t, raw, total, nil, 200, major+minor)
	for i, name := range []string{"a", "b"} {
		add(t, raw, gateway.GroupingSet{{Name: name}}, []string{one(i)}, 188, major)
		add(t, raw, gateway.GroupingSet{{Name: name}}, []string{two(i)}, 12, minor)
	}
	both := gateway.GroupingSet{{Name: "a"}, {Name: "b"}}
	add(t, raw, both, []string{one(0), one(1)}, 188, major)
	add(t, raw, both, []string{two(0), two(1)}, 12, minor)
	return raw
}

// millions is a definition of about a million cells.
func millions() *gateway.Definition {
	var dims []gateway.Dimension
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("d%02d", i)
		dims = append(dims, partition(name, 7))
		names = append(names, name)
	}
	d := definition(dims, cube("one", gateway.Children, 4, names...))
	d.V = 80
	return d
}
