package disclosure

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// What is published is the truth moved by at most D1 + D2 and the bottom code, and
// no hidden or omitted cell has a value (disclosure.md 2.3).
func TestPublishedIsNearTheTruth(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	shownCells := 0
	each(p.l, func(s *set, c int, at []int, label string) {
		st, v, ok := p.Cell(label, gateway.CountChildren)
		n := counts[s.key][label]
		switch {
		case p.l.omits(s, at):
			if ok {
				t.Fatalf("%s is published although its code is omitted", label)
			}
		case st == gateway.StatusValue:
			shownCells++
			if n == nil || n.Children < 10 {
				t.Fatalf("%s is shown with fewer than 10 children", label)
			}
			if diff := v - int64(n.Children); v < 10 || v%Base != 0 || (diff > 26 || diff < -26) && v != 10 {
				t.Fatalf("%s: %d published as %d", label, n.Children, v)
			}
		case v != 0 || p.cells[s.index].values[gateway.CountChildren][c] != 0:
			t.Fatalf("%s is %s and has the value %d", label, st, v)
		}
	})
	if shownCells < 500 {
		t.Errorf("only %d cells are shown: the test says little", shownCells)
	}
}

// Every value is the text of disclosure.md 2.2 and 2.3, computed here from the PRF
// and the p-tables: children as n + v1 + v2, records as the flattened sum with the
// same v1 scaled, each under the release's draw of its own measure.
func TestValuesAreTheText(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	tables, err := NewPTables(50)
	if err != nil {
		t.Fatal(err)
	}
	draw := prf(testKey(1))
	each(p.l, func(s *set, _ int, _ []int, label string) {
		for _, m := range s.Measures {
			st, v, _ := p.Cell(label, m)
			if st != gateway.StatusValue {
				continue
			}
			c := counts[s.key][label]
			v1 := tables.l1.draw(int64(c.Children), draw("sdc/v2/L1", []byte("demo"), []byte(label)))
			n1 := int64(c.Children) + v1
			if m == gateway.CountRecords {
				u := draw("sdc/v2/O", []byte("demo"), []byte(label))
				n1 = flattenedCount(c, 1+int(u%2), 3+int(u/2%2), v1)
			}
			u2 := draw("sdc/v2/L2", []byte("1"), []byte("release=1|measure="+string(m)+"|"+label))
			if want := max(10, n1+tables.l2.draw(n1, u2)); v != want {
				t.Fatalf("%s of %s: %d, want %d", m, label, v, want)
			}
		}
	})
}

// Records are shown exactly where children are, and lie near their flattened sum.
func TestRecordsFollowChildren(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	each(p.l, func(s *set, _ int, at []int, label string) {
		if !slices.Contains(s.Measures, gateway.CountRecords) || p.l.omits(s, at) {
			return
		}
		st, _, _ := p.Cell(label, gateway.CountChildren)
		rt, v, _ := p.Cell(label, gateway.CountRecords)
		if st != rt {
			t.Fatalf("%s: children %s, records %s", label, st, rt)
		}
		if st != gateway.StatusValue {
			return
		}
		n := counts[s.key][label]
		lambda := max(float64(n.Records)/float64(n.Children), float64(n.Top[0])/2)
		if diff := float64(v) - float64(n.Records); diff > lambda*12+14+1 || v != 10 && diff < -lambda*12-14-2*float64(n.Top[0])-1 {
			t.Fatalf("%s: %d records of %d children published as %d", label, n.Records, n.Children, v)
		}
	})
}

// The order in which cells are counted changes nothing, to the byte.
func TestOrderOfCountingIsForgotten(t *testing.T) {
	d := definition([]gateway.Dimension{tree("a", 2, 3), partition("b", 3)}, cube("one", gateway.Children, 2, "a", "b"))
	rapid.Check(t, func(rt *rapid.T) {
		w := randomTruth(rt, d)
		counts := w.counts()
		var digests []string
		for range 2 {
			raw := NewRaw(d)
			type cell struct {
				set   gateway.GroupingSet
				label string
			}
			var cells []cell
			for _, a := range d.AdmittedSets() {
				for _, label := range slices.Sorted(mapKeys(counts[a.Set.Key(d)])) {
					cells = append(cells, cell{a.Set, label})
				}
			}
			for _, c := range rapid.Permutation(cells).Draw(rt, "order") {
				if err := raw.Add(c.set, codesOf(c.label), *counts[c.set.Key(d)][c.label]); err != nil {
					rt.Fatal(err)
				}
			}
			p, err := Protect(raw, release(d, 1, 1))
			if err != nil {
				rt.Fatal(err)
			}
			digests = append(digests, p.Digest())
		}
		if digests[0] != digests[1] {
			rt.Fatal("two orders of the same cells give two releases")
		}
	})
}

// A parent that is smaller than its child is a fault of the build: nothing is
// published.
func TestProtectRefusesContradictions(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	raw := NewRaw(d)
	add(t, raw, total, nil, 20, 1)
	add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[0].Code}, 30, 1)
	if _, err := Protect(raw, release(d, 1, 1)); !errors.Is(err, gateway.Internal) {
		t.Errorf("a cell larger than its parent: %v", err)
	}
	w, counts := small()
	rel := release(w.def, 1, 1)
	rel.Rules.RecordCap = 2
	if _, err := Protect(fill(t, w.def, counts), rel); !errors.Is(err, gateway.Internal) {
		t.Errorf("records counted with a larger cap: %v", err)
	}
	for name, spoil := range map[string]func(*Release){
		"other lineage": func(r *Release) { r.Lineage = "other" },
		"other id":      func(r *Release) { r.ID = "demo-2" },
		"number zero":   func(r *Release) { r.Number, r.ID = 0, "demo-0" },
		"no key":        func(r *Release) { r.Noise = nil },
		"no coverage":   func(r *Release) { r.Coverage = nil },
		"no cap":        func(r *Release) { r.Rules.RecordCap = 0 },
		"huge cap":      func(r *Release) { r.Rules.RecordCap = 1001 },
		"low law":       func(r *Release) { r.Rules.ThresholdMin = 9 },
	} {
		rel := release(demo(), 1, 1)
		spoil(&rel)
		if _, err := Protect(NewRaw(demo()), rel); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cheap := demo()
	cheap.V = 36 // 7.8 A is 37.1
	if _, err := Protect(NewRaw(cheap), release(cheap, 1, 1)); !errors.Is(err, gateway.Invalid) {
		t.Errorf("V 36: %v", err)
	}
}

// Two releases of the same data share the permanent draw and the pattern; their
// values differ by the release layer alone.
func TestReleasesShareThePermanentLayer(t *testing.T) {
	t.Parallel()
	one, two := protected(t, 1, 1), protected(t, 2, 1)
	equal, all := 0, 0
	each(one.l, func(s *set, c int, _ []int, label string) {
		if one.cells[s.index].status[c] != two.cells[s.index].status[c] {
			t.Fatalf("%s is hidden in one release only", label)
		}
		for m, values := range one.cells[s.index].values {
			a, b := values[c], two.cells[s.index].values[m][c]
			if a-b > 28 || b-a > 28 {
				t.Fatalf("%s %s: %d and %d differ by more than twice D2", label, m, a, b)
			}
			if one.cells[s.index].status[c] == statusValue {
				all++
				if a == b {
					equal++
				}
			}
		}
	})
	if equal == all || equal == 0 {
		t.Errorf("%d of %d values are equal in both releases", equal, all)
	}
	if protected(t, 1, 1).Digest() != one.Digest() || protected(t, 1, 2).Digest() == one.Digest() {
		t.Error("the same release is not the same, or the key does not matter")
	}
}

// A grouping set that two cubes admit has one value.
func TestCubesShareCells(t *testing.T) {
	p := protected(t, 1, 1)
	q := gateway.Question{Measure: gateway.CountChildren, GroupBy: []string{"sector", "sex"}}
	var cells [][]gateway.Cell
	for _, id := range []string{"pathways", "volume"} {
		q.Cube = id
		table, err := p.Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		cells = append(cells, table.Cells)
	}
	if diff := cmp.Diff(cells[0], cells[1]); diff != "" {
		t.Error(diff)
	}
}

// The summary has shares in steps of 5, the same numbers as the published cells,
// and no share by rule for small sets.
func TestSummary(t *testing.T) {
	p := protected(t, 1, 1)
	sum := p.Summary()
	if len(sum.Sets) != len(p.l.sets) || len(sum.Cubes) != 2 {
		t.Fatalf("%d sets, %d cubes", len(sum.Sets), len(sum.Cubes))
	}
	cells := 0
	for i, s := range sum.Sets {
		hidden, visible := 0, 0
		for _, st := range p.cells[p.l.sets[i].index].status {
			if st != statusOmitted {
				visible++
			}
			if st == statusSuppressed {
				hidden++
			}
		}
		cells += visible
		exact := 100 * float64(hidden) / float64(visible)
		if s.Cells != visible || s.Hidden%5 != 0 || float64(s.Hidden) > exact+2.5 || float64(s.Hidden) < exact-2.5 {
			t.Errorf("%s: %d cells, %d %% hidden; %d and %.1f are published", s.Name, s.Cells, s.Hidden, visible, exact)
		}
		if (s.Rules != nil) != (visible >= 100) {
			t.Errorf("%s with %d cells: shares by rule %v", s.Name, visible, s.Rules)
		}
	}
	if sum.Cells != cells {
		t.Errorf("%d cells, want %d", sum.Cells, cells)
	}
}

// BenchmarkProtect protects 1.3 million cells, all counted; the target is a million
// in 10 s.
func BenchmarkProtect(b *testing.B) {
	d := millions()
	for b.Loop() {
		b.StopTimer()
		raw := NewRaw(d)
		for _, a := range d.AdmittedSets() {
			n := 1 << 20
			for range a.Set {
				n /= 7
			}
			l, _ := raw.borrow()
			s := l.l.byKey[a.Set.Key(d)]
			l.cells[s.index] = make([]tally, s.cells)
			for c := range s.cells {
				l.cells[s.index][c] = tally{children: int64(n), key: uint64(c)}
			}
		}
		rel := release(d, 1, 1)
		b.StartTimer()
		p, err := Protect(raw, rel)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(p.l.cells), "cells")
	}
}
