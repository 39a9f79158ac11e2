package disclosure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// pair draws a population and the same with one more child.
func pair(rt *rapid.T, d *gateway.Definition) (before, after truth) {
	before = randomTruth(rt, d)
	after = truth{def: d, events: slices.Clone(before.events)}
	codes := map[string]string{}
	for i := range d.Dimensions {
		var leaves []string
		for _, n := range d.Dimensions[i].Nodes {
			if d.Dimensions[i].Leaf(n) {
				leaves = append(leaves, n.Code)
			}
		}
		codes[d.Dimensions[i].Name] = rapid.SampledFrom(leaves).Draw(rt, "the new child's "+d.Dimensions[i].Name)
	}
	after.events = append(after.events, event{1_000_000, codes})
	return before, after
}

// decided runs the rules over a population.
func decided(t *testing.T, rt *rapid.T, w truth, key int) *protector {
	t.Helper()
	raw := NewRaw(w.def)
	counts := w.counts()
	for _, a := range w.def.AdmittedSets() {
		for label, c := range counts[a.Set.Key(w.def)] {
			if err := raw.Add(a.Set, codesOf(label), *c); err != nil {
				rt.Fatal(err)
			}
		}
	}
	c, err := raw.borrow()
	if err != nil {
		rt.Fatal(err)
	}
	p, err := newProtector(c, release(w.def, 1, key))
	if err != nil {
		rt.Fatal(err)
	}
	p.tables = tablesOf(t, w.def.V)
	for _, s := range p.l.sets {
		if err := p.protect(s); err != nil {
			rt.Fatal(err)
		}
	}
	return p
}

// One more child changes no value of a cell that it is not in, and draws nothing
// anew in those it is in: where the permanent row no longer depends on n, v1 stays.
// So an uploader who adds children gets no second look at anybody else's cells.
func TestOneChildDrawsNothingAnew(t *testing.T) {
	d := definition([]gateway.Dimension{tree("a", 2, 2), partition("b", 3)}, cube("one", gateway.Children, 2, "a", "b"))
	rapid.Check(t, func(rt *rapid.T) {
		before, after := pair(rt, d)
		key := rapid.IntRange(0, 1000).Draw(rt, "key")
		p, q := decided(t, rt, before, key), decided(t, rt, after, key)
		each(p.l, func(s *set, c int, _ []int, label string) {
			if p.states[s.index][c] != shown || q.states[s.index][c] != shown {
				return
			}
			n, m := p.cells[s.index][c].children, q.cells[s.index][c].children
			same := p.noise[s.index][c] == q.noise[s.index][c]
			switch {
			case n == m && (!same || p.valueOf(s, c) != q.valueOf(s, c)):
				rt.Fatalf("%s does not hold the new child and is published otherwise", label)
			case n != m && n >= int64(p.tables.D1) && !same:
				rt.Fatalf("%s has another permanent draw with %d than with %d children", label, m, n)
			case m != n && m != n+1:
				rt.Fatalf("%s has %d children, then %d", label, n, m)
			}
		})
	})
}

// valueOf is the published number of children of a shown cell.
func (p *protector) valueOf(s *set, c int) int64 {
	p.label = p.l.label(s, s.nodes(c, nil), p.label[:0])
	return p.value(s, c, gateway.CountChildren)
}

// One more child changes the pattern of hidden cells only where a rule looks: in
// cells that it is in (rules 1 and 4), in cells beside it whose minority it joins
// (rule 4), and in the groups of those (rule 6).
func TestPatternChangesAreLocal(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 3), partition("b", 3), partition("c", 3)}, cube("one", gateway.Children, 1, "a", "b"))
	d.Cubes = append(d.Cubes, cube("two", gateway.Children, 1, "c"))
	rapid.Check(t, func(rt *rapid.T) {
		before, after := pair(rt, d)
		key := rapid.IntRange(0, 1000).Draw(rt, "key")
		p, q := decided(t, rt, before, key), decided(t, rt, after, key)
		changed := map[string]bool{}
		each(p.l, func(s *set, c int, _ []int, _ string) {
			if p.states[s.index][c] != q.states[s.index][c] {
				changed[s.key] = true
			}
		})
		for key := range changed {
			s := p.l.byKey[key]
			moved := false
			for c := range s.cells {
				moved = moved || p.cells[s.index][c].children != q.cells[s.index][c].children
			}
			if !moved {
				rt.Fatalf("the pattern of %q changed, and no count in it", key)
			}
		}
	})
}

// With no other knowledge the chance to tell one child's presence from a number
// with variance V/A is AUC Phi(1/(s sqrt 2)): 0.60 where V = 7.8 A, 0.611 at 6.25,
// as disclosure.md 2.5 has them.
func TestBudgetFactor(t *testing.T) {
	for factor, want := range map[float64]float64{BudgetFactor: 0.600, 6.25: 0.611} {
		got := 0.5 * (1 + math.Erf(1/(2*math.Sqrt(factor))))
		if !near(got, want, 0.0005) {
			t.Errorf("V = %.2f A: AUC %.4f, want %.3f", factor, got, want)
		}
	}
}

// A refused budget says on its page what would help, and each choice is what a
// definition changed so would plan to.
func TestChoicesAreTrue(t *testing.T) {
	t.Parallel()
	d := demo()
	d.Cubes[1].Cap = 4
	d.V = 50
	for i := range d.Cubes {
		d.Cubes[i].Measures = []gateway.Measure{gateway.CountChildren, gateway.CountRecords}
	}
	d.Dimensions = append(d.Dimensions, partition("flag", 2), partition("other", 2))
	d.Cubes[0].Dimensions = append(d.Cubes[0].Dimensions, "flag", "other")
	b, err := Plan(d)
	if err == nil {
		t.Fatalf("A %.2f fits V 50: the test needs a larger definition", b.A)
	}
	page := b.String()
	for _, c := range b.Choices {
		if !strings.Contains(page, fmt.Sprintf("%s: A %.3f", c.What, c.A)) || !near(c.Needed, BudgetFactor*c.A, 1e-9) {
			t.Errorf("the page does not hold %+v", c)
		}
		var variant *gateway.Definition
		what := strings.Fields(c.What)
		switch what[1] {
		case "dimension":
			variant = withoutDimension(d, what[2])
		case "cube":
			variant = withoutCube(d, what[2])
		default:
			variant = oneMeasure(d, what[len(what)-1])
		}
		again, _ := Plan(variant)
		if again == nil || !near(again.A, c.A, 1e-9) {
			t.Errorf("%s: planned, A is %v", c.What, again)
		}
	}
	for i := 1; i < len(b.Choices); i++ {
		if b.Choices[i].A < b.Choices[i-1].A {
			t.Error("the strongest choice is not first")
		}
	}
}

// FuzzCell looks anything up: only canonical labels are cells, and a cell's label
// is what was asked for.
func FuzzCell(f *testing.F) {
	for _, label := range []string{"", "sex=F", "region=61|sex=F", "sex=F|region=61", "sex=F|sex=F", "reached=yes", "=", "|", "sex=F|", "release=1|measure=children|sex=F"} {
		f.Add(label, "children")
	}
	f.Add("sex=F", "records")
	f.Add("region=61", "records")
	p := protected(f, 1, 1)
	labels := map[string]bool{}
	each(p.l, func(s *set, _ int, at []int, label string) {
		if !p.l.omits(s, at) {
			labels[label] = slices.Contains(s.Measures, gateway.CountRecords)
		}
	})
	f.Fuzz(func(t *testing.T, label, measure string) {
		st, v, ok := p.Cell(label, gateway.Measure(measure))
		records, known := labels[label]
		if want := known && (measure == "children" || measure == "records" && records); ok != want {
			t.Fatalf("%q of %q: %v", measure, label, ok)
		}
		if ok && (st == gateway.StatusValue) != (v >= 10) {
			t.Fatalf("%q: %s with the value %d", label, st, v)
		}
	})
}
