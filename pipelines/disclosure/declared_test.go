package disclosure

import (
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// A sector that has reported nothing for the cell's region and quarter is told
// from registrations alone: the statuses are the same for any data.
func TestNotReported(t *testing.T) {
	w, counts := small()
	rel := release(w.def, 1, 1)
	cover := complete(w.def)
	cover.Full["justice"] = nil                                            // never
	cover.Full["helpline"]["62"] = nil                                     // not in one region
	cover.Full["social"]["61"] = cover.Full["social"]["61"][:4]            // only the first year in one
	cover.Full["police"]["10"] = []gateway.Quarter{w.def.From - 1, 1, 999} // outside the window
	rel.Coverage = cover
	full, err := Protect(fill(t, w.def, counts), rel)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Protect(NewRaw(w.def), rel)
	if err != nil {
		t.Fatal(err)
	}
	each(full.l, func(s *set, c int, _ []int, label string) {
		a, b := full.cells[s.index].status[c], empty.cells[s.index].status[c]
		if (a == statusNotReported) != (b == statusNotReported) {
			t.Fatalf("%s: %d with data, %d without", label, a, b)
		}
	})
	for label, want := range map[string]bool{
		"sector=justice": true, "first_sector=justice": true, "region=61|sector=justice|sex=F": true,
		"sector=helpline": false, "region=62|sector=helpline": true, "event_region=62|sector=helpline": true, "region=63|sector=helpline": false,
		"region=61|sector=social": false, "event_region=61|quarter=2023Q4|sector=social": false, "event_region=61|quarter=2024Q1|sector=social": true,
		"quarter=2024Q1|sector=social": false, "region=10|sector=police": true, "first_sector=police|region=10": true, "region=62": false, "quarter=2025Q1": false,
	} {
		st, _, ok := full.Cell(label, gateway.CountChildren)
		if !ok || (st == gateway.StatusNotReported) != want {
			t.Errorf("%s is %s, not reported: %v", label, st, want)
		}
	}
}

// A cell that is not reported is unknown like a hidden one: where it is the only
// unknown of its group, subtraction would give it, so rule 6 hides a companion.
func TestNotReportedIsUnknown(t *testing.T) {
	d := definition([]gateway.Dimension{flat("a", gateway.Partition, gateway.FirstSector, demoSectors[:4]...)}, cube("one", gateway.Children, 1, "a"))
	rel := release(d, 1, 1)
	rel.Coverage.Full["social"] = nil
	cover := rel.Coverage.Full
	for sector := range cover {
		if sector != "social" {
			cover[sector] = map[string][]gateway.Quarter{"61": {d.From}}
		}
	}
	want := []state{shown, hiddenRest, shown, notReported}
	if got := statesOf(inside(t, flats(t, d, 400, 100, 300, 200), rel), "a@a"); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

// A region that no registration knows of ("unknown") says nothing about reporting.
func TestUnknownRegionIsReported(t *testing.T) {
	d := demo()
	region := d.Dimension("region")
	region.Nodes = append(region.Nodes, gateway.Node{Code: "unknown", Number: 21})
	p, err := Protect(NewRaw(d), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if st, _, ok := p.Cell("region=unknown|sector=police", gateway.CountChildren); !ok || st != gateway.StatusSuppressed {
		t.Errorf("status %s", st)
	}
}

// Structural zeros and implied conditions come from the cube file. An implied
// condition is dropped before labelling: both names have one value; and what
// contradicts one is impossible.
func TestDeclaredFacts(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4), tree("b", 2, 2, 2), flat("m", gateway.Multi, gateway.ChildConst, "x", "y")},
		cube("one", gateway.Children, 3, "a", "b", "m"))
	a := func(i int) string { return d.Dimensions[0].Nodes[i].Code }
	b := d.Dimensions[1].Nodes // three nodes at 0, 3 and 6, each with two leaves after it
	d.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: a(0)}, {Dimension: "b", Node: b[6].Code}}}
	d.Implied = []gateway.Implication{
		{If: gateway.Fact{Dimension: "a", Node: a(1)}, Then: gateway.Fact{Dimension: "b", Node: b[0].Code}},
		{If: gateway.Fact{Dimension: "a", Node: a(2)}, Then: gateway.Fact{Dimension: "m", Node: "x"}},
	}
	w := truth{def: d}
	for child := range 4800 {
		leaves := [][]int{{1, 2, 4, 5}, {1, 2}, {1, 2, 4, 5, 7, 8}, {1, 2, 4, 5, 7, 8}}[child%4]
		leaf, m := b[leaves[child/4%len(leaves)]].Code, []string{"x", "y"}[child/4/6%2]
		if child%4 == 2 {
			w.events = append(w.events, event{child, map[string]string{"a": a(2), "b": leaf, "m": "x"}})
			if m == "x" && child%3 > 0 {
				continue
			}
			m = "y"
		}
		w.events = append(w.events, event{child, map[string]string{"a": a(child % 4), "b": leaf, "m": m}})
	}
	p, err := Protect(fill(t, d, w.counts()), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	status := func(label string) gateway.CellStatus {
		st, _, ok := p.Cell(label, gateway.CountChildren)
		if !ok {
			t.Fatalf("no cell %s", label)
		}
		return st
	}
	for _, label := range []string{
		"a=" + a(0) + "|b=" + b[6].Code, "a=" + a(0) + "|b=" + b[7].Code + "|m=x", // declared, and below it
		"a=" + a(1) + "|b=" + b[3].Code, "a=" + a(1) + "|b=" + b[5].Code, // beside the implied node
	} {
		if st := status(label); st != gateway.StatusImpossible {
			t.Errorf("%s is %s, want impossible", label, st)
		}
	}
	for synonym, of := range map[string]string{
		"a=" + a(1) + "|b=" + b[0].Code:          "a=" + a(1),
		"a=" + a(1) + "|b=" + b[0].Code + "|m=y": "a=" + a(1) + "|m=y",
		"a=" + a(2) + "|m=x":                     "a=" + a(2),
		"a=" + a(2) + "|b=" + b[3].Code + "|m=x": "a=" + a(2) + "|b=" + b[3].Code,
	} {
		s1, v1, _ := p.Cell(synonym, gateway.CountChildren)
		s2, v2, _ := p.Cell(of, gateway.CountChildren)
		if s1 != s2 || v1 != v2 || s1 != gateway.StatusValue {
			t.Errorf("%s is %s %d, %s is %s %d", synonym, s1, v1, of, s2, v2)
		}
	}
	if st := status("a=" + a(2) + "|m=y"); st != gateway.StatusValue {
		t.Errorf("another code of a multi dimension is %s, but a child can be in both", st)
	}
}
