package disclosure

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// randomDefinition draws two to five dimensions, flat or trees, partition or multi,
// some with an omitted code, and up to two cubes over them.
func randomDefinition(rt *rapid.T) *gateway.Definition {
	var dims []gateway.Dimension
	var names []string
	for i := range rapid.IntRange(2, 5).Draw(rt, "dimensions") {
		name := string(rune('a' + i))
		d := partition(name, rapid.IntRange(1, 4).Draw(rt, name+" codes"))
		switch rapid.IntRange(0, 3).Draw(rt, name+" shape") {
		case 0:
			d = tree(name, rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(rt, name+" tree")...)
		case 1:
			d.Kind = gateway.Multi
		case 2:
			d.Omitted = d.Nodes[len(d.Nodes)-1].Code
		}
		dims, names = append(dims, d), append(names, name)
	}
	cubes := []gateway.Cube{randomCube(rt, "one", slices.Clone(names))}
	if rapid.Bool().Draw(rt, "two cubes") {
		cubes = append(cubes, randomCube(rt, "two", slices.Clone(names)))
		cubes[1].Grain = gateway.Events
	}
	return definition(dims, cubes...)
}

// The lattice is closed: every cell has a parent in it along each of its
// dimensions, which holds the cell, is decided before it, and has its own label.
func TestLatticeIsClosed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		place := map[*set]int{}
		for i, s := range l.sets {
			place[s] = i
			if s.index != i {
				rt.Fatalf("set %d has index %d", i, s.index)
			}
		}
		each(l, func(s *set, _ int, at []int, label string) {
			for i := range s.dims {
				p := s.parents[i]
				if p == nil || place[p] >= place[s] {
					rt.Fatalf("%s has no parent before it along %s", label, s.Set[i].Name)
				}
				above := l.nodeNames(p, p.nodes(l.above(s, at, i), nil))
				for name, code := range l.nodeNames(s, at) {
					if up, named := above[name]; named && !l.dims[l.byName[name]].under(d.Dimension(name).Node(code), up) {
						rt.Fatalf("%s is not under %v", label, above)
					}
				}
			}
		})
	})
}

// nodeNames are the codes of a cell by dimension.
func (l *lattice) nodeNames(s *set, at []int) map[string]string {
	out := map[string]string{}
	for i, dim := range s.dims {
		out[l.dims[dim].Name] = l.dims[dim].levels[s.Set[i].Level][at[i]].Code
	}
	return out
}

// Labels are the domain's, name one cell each, and find it again.
func TestLabels(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		seen := map[string]bool{}
		each(l, func(s *set, c int, at []int, label string) {
			if seen[label] {
				rt.Fatalf("two cells have the label %s", label)
			}
			seen[label] = true
			var codes []string
			for i, dim := range s.dims {
				codes = append(codes, l.dims[dim].levels[s.Set[i].Level][at[i]].Code)
			}
			if want := s.Set.Label(codes); label != want {
				rt.Fatalf("label %s, the domain says %s", label, want)
			}
			if fs, fc, ok := l.find(label); !ok || fs != s || fc != c {
				rt.Fatalf("%s finds another cell", label)
			}
			if back, ok := l.cell(s, codes); !ok || back != c {
				rt.Fatalf("%v is another cell", codes)
			}
		})
		if len(seen) != l.cells {
			rt.Fatalf("%d labels for %d cells", len(seen), l.cells)
		}
	})
}

// A label has one spelling: another order, a root, a doubled dimension, or anything
// more is not a cell.
func TestLabelsAreCanonical(t *testing.T) {
	l, err := newLattice(demo())
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{
		"sex=F|region=61", "sex=", "sex", "=F", "sex=F|", "|sex=F", "sex=F|sex=F", "sex=f", "sex=F|sex=M", "region=61|sector=police|reached=no",
		"release=1|measure=children|sex=F", "reached=no|sector=police", "age_first=Y0T4|first_sector=police|reached=no|region=61|sex=F",
	} {
		if _, _, ok := l.find(label); ok {
			t.Errorf("%q is a cell", label)
		}
	}
	for _, label := range []string{"", "sex=F", "region=61|sex=F", "age_first=Y0T4|first_sector=police|reached=yes|region=61"} {
		if _, _, ok := l.find(label); !ok {
			t.Errorf("%q is not a cell", label)
		}
	}
}

// The canonical cell of every cell is its own canonical cell, has fewer conditions
// or none less, and holds for whoever is in the cell.
func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		for range rapid.IntRange(0, 3).Draw(rt, "implications") {
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
		each(l, func(s *set, _ int, at []int, label string) {
			to, tat := l.canonical(s, at)
			again, aat := l.canonical(to, tat)
			if again != to || !slices.Equal(aat, tat) {
				rt.Fatalf("%s has a canonical cell with another canonical cell", label)
			}
			if to.height() > s.height() {
				rt.Fatalf("%s became longer", label)
			}
			for name, code := range l.nodeNames(to, tat) {
				if own := l.nodeNames(s, at)[name]; !l.dims[l.byName[name]].under(d.Dimension(name).Node(own), code) {
					rt.Fatalf("%s became a cell with %s=%s", label, name, code)
				}
			}
		})
	})
}

// Anything that a random definition admits can be protected, empty or full, asked
// whole and read back; what is asked has the cells that the code lists have.
func TestAnyDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		if rapid.Bool().Draw(rt, "without noise to spare") {
			d.V = 400
		} else {
			d.V = 1000
		}
		if _, err := Plan(d); err != nil {
			rt.Skip(err.Error())
		}
		w := randomTruth(rt, d)
		counts := w.counts()
		raw := NewRaw(d)
		for _, a := range d.AdmittedSets() {
			for label, c := range counts[a.Set.Key(d)] {
				if err := raw.Add(a.Set, codesOf(label), *c); err != nil {
					rt.Fatal(err)
				}
			}
		}
		rel := release(d, 1, 1)
		p, err := Protect(raw, rel)
		if err != nil {
			rt.Fatal(err)
		}
		for _, a := range d.AdmittedSets() {
			q := gateway.Question{Cube: a.Cubes[0], Measure: gateway.CountChildren}
			cells := 1
			for _, sd := range a.Set {
				dim := d.Dimension(sd.Name)
				q.GroupBy = append(q.GroupBy, sd.Name+"@"+dim.Levels[sd.Level])
				n := len(dim.AtLevel(sd.Level))
				if dim.Omitted != "" {
					n--
				}
				cells *= n
			}
			table, err := p.Ask(q)
			if err != nil {
				rt.Fatal(err)
			}
			if len(table.Cells) != cells {
				rt.Fatalf("%v has %d cells, the code lists %d", q.GroupBy, len(table.Cells), cells)
			}
			for _, c := range table.Cells {
				n := trueValue(counts, d, labelOf(table, c), q.Measure)
				if c.Value != nil && n < 10 {
					rt.Fatalf("%s is shown with %g children", labelOf(table, c), n)
				}
			}
		}
	})
}

// The order of dimensions, cubes and their lists in a definition changes no value:
// the label alone decides.
func TestOrderOfDefinitionIsForgotten(t *testing.T) {
	w, counts := small()
	a := protected(t, 1, 1)
	d := demo()
	slices.Reverse(d.Dimensions)
	slices.Reverse(d.Cubes)
	for i := range d.Cubes {
		slices.Reverse(d.Cubes[i].Dimensions)
		slices.Reverse(d.Cubes[i].Measures)
	}
	b, err := Protect(fill(t, d, counts), release(w.def, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	each(a.l, func(s *set, _ int, _ []int, label string) {
		for _, m := range s.Measures {
			s1, v1, ok1 := a.Cell(label, m)
			s2, v2, ok2 := b.Cell(label, m)
			if s1 != s2 || v1 != v2 || ok1 != ok2 {
				t.Fatalf("%s: %s %d and %s %d", label, s1, v1, s2, v2)
			}
		}
	})
}

// The budget is monotone: another cube, dimension, or measure never lowers A, and
// an omitted code is counted as if it were published.
func TestBudgetIsMonotone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		a := routesOf(d)
		for _, dim := range d.Dimensions {
			if less := routesOf(withoutDimension(d, dim.Name)); less > a*(1+1e-12) {
				rt.Fatalf("without %s A is %.6f, with it %.6f", dim.Name, less, a)
			}
		}
		for _, c := range d.Cubes {
			if less := routesOf(withoutCube(d, c.ID)); less > a*(1+1e-12) {
				rt.Fatalf("without %s A is %.6f, with it %.6f", c.ID, less, a)
			}
			if less := routesOf(oneMeasure(d, c.ID)); less > a*(1+1e-12) {
				rt.Fatalf("with one measure in %s A is %.6f, with both %.6f", c.ID, less, a)
			}
		}
		for i := range d.Dimensions {
			if d.Dimensions[i].Omitted != "" && len(d.Dimensions[i].Nodes) > 2 {
				d.Dimensions[i].Omitted = ""
			}
		}
		if all := routesOf(d); !near(all, a, 1e-9) {
			rt.Fatalf("with omitted codes A is %.6f, without %.6f", a, all)
		}
	})
}

// By depth, A is never above that of the release.
func TestDepthsAreBelowA(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, err := newLattice(randomDefinition(rt))
		if err != nil {
			rt.Fatal(err)
		}
		f := newFamily(l)
		for k, a := range f.depths() {
			if a > f.largest()*(1+1e-9) || a <= 0 {
				rt.Fatalf("cells of %d dimensions have A %.6f, the release %.6f", k, a, f.largest())
			}
		}
	})
}

// A definition with very many cells is refused before they are made.
func TestTooManyCells(t *testing.T) {
	var dims []gateway.Dimension
	var names []string
	for _, name := range numbered("d", 24) {
		dims, names = append(dims, partition(name, 8)), append(names, name)
	}
	_, err := newLattice(definition(dims, cube("one", gateway.Children, 4, names...)))
	if err == nil || !strings.Contains(err.Error(), "cells") {
		t.Errorf("44 million cells: %v", err)
	}
}
