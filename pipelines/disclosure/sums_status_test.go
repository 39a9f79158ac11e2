package disclosure

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// twofold is a definition in which some cells have two labels: an area with one
// district, and codes that only one sector has; and one code is never published.
func twofold() *gateway.Definition {
	area := tree("area", 1, 3)
	d := definition([]gateway.Dimension{
		area, flat("sector", gateway.Multi, gateway.EventSector, "justice", "police"),
		flat("type", gateway.Multi, gateway.EventSectorCode, "justice.a", "justice.b", "police.a"),
		flat("outcome", gateway.Partition, gateway.ChildConst, "good", "bad", "open"),
	}, cube("one", gateway.Events, 2, "area", "sector", "type", "outcome"))
	d.Dimensions[3].Omitted = "open"
	for _, code := range []string{"justice.a", "justice.b", "police.a"} {
		sector, _, _ := strings.Cut(code, ".")
		d.Implied = append(d.Implied, gateway.Implication{
			If: gateway.Fact{Dimension: "type", Node: code}, Then: gateway.Fact{Dimension: "sector", Node: sector},
		})
	}
	d.Impossible = [][]gateway.Fact{{{Dimension: "area", Node: area.Nodes[2].Code}, {Dimension: "outcome", Node: "bad"}}}
	d.Values = []gateway.Value{{ID: "v", Sector: "justice", Column: "v", PerChild: gateway.PerChildSum, Max: 10, Precision: 100}}
	d.Cubes[0].Values = []string{"v"}
	d.V = 100
	return d
}

// twofoldTruth has 4,000 children, each with two events.
func twofoldTruth() numberedTruth {
	d := twofold()
	r := rand.New(rand.NewPCG(8, 8))
	w := numberedTruth{truth{def: d}, map[string][]int64{}}
	var leaves []string
	for _, n := range d.Dimensions[0].AtLevel(1) {
		leaves = append(leaves, n.Code)
	}
	for child := range 4000 {
		area := leaves[r.IntN(len(leaves))]
		outcome := []string{"good", "bad", "open"}[r.IntN(3)]
		if d.Dimensions[0].Node(area).Parent == d.Dimensions[0].Nodes[2].Code && outcome == "bad" {
			outcome = "good"
		}
		for range 2 {
			kind := []string{"justice.a", "justice.b", "police.a"}[r.IntN(3)]
			sector, _, _ := strings.Cut(kind, ".")
			w.events = append(w.events, event{child, map[string]string{"area": area, "sector": sector, "type": kind, "outcome": outcome}})
			w.numbers["v"] = append(w.numbers["v"], int64(r.IntN(6)))
		}
	}
	return w
}

// A sum has the status that its count has, under every label of the cell: copied
// where the other label carries the value, its own where only the condition on the
// sector is implied, because the label without it carries none; none of a code that is
// never published; impossible where the count is.
func TestSumsOfTwofoldCells(t *testing.T) {
	w := twofoldTruth()
	p, err := Protect(w.raw(t), release(w.def, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	top := w.def.Dimensions[0].Nodes[0].Code // its one district is the next node
	only, district := top, w.def.Dimensions[0].Nodes[1].Code
	s1, v1, ok1 := p.Cell("area="+only+"|sector=justice", "v.sum")
	s2, v2, ok2 := p.Cell("area="+district+"|sector=justice", "v.sum")
	if !ok1 || !ok2 || s1 != gateway.StatusValue || s1 != s2 || v1 != v2 {
		t.Errorf("an area and its only district: %s %d and %s %d", s1, v1, s2, v2)
	}
	own := 0
	each(p.l, func(s *set, _ int, _ []int, label string) {
		st, _, ok := p.Cell(label, "v.sum")
		count, _, counted := p.Cell(label, gateway.CountChildren)
		if ok != (counted && len(s.values) > 0) {
			t.Errorf("%s: a sum is there: %v", label, ok)
		}
		if !ok || !strings.Contains(label, "sector=justice") {
			return
		}
		if st != count && (st != gateway.StatusSuppressed || count != gateway.StatusValue) {
			t.Errorf("%s: the sum is %s, the count %s", label, st, count)
		}
		if strings.Contains(label, "type=justice") && st == gateway.StatusValue {
			own++
		}
	})
	if own == 0 {
		t.Error("no cell whose sector is implied has a sum")
	}
	far := w.def.Dimensions[0].Nodes[2].Code
	if cell := one(t, p, "one", "outcome.share", "area="+far, "outcome=bad"); cell.Status != gateway.StatusImpossible {
		t.Errorf("the share of nobody by definition: %+v", cell)
	}
}

// Where nobody reported, sums and statistics say so, as counts do.
func TestSumsWhereNobodyReported(t *testing.T) {
	w := court()
	rel := release(w.def, 1, 1)
	rel.Coverage = complete(w.def)
	delete(rel.Coverage.Full, "justice")
	p, err := Protect(w.raw(t), rel)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"children", "hearings.sum", "hearings.mean", "age.median", "sector.share"} {
		if cell := one(t, p, "volume", m, "sector=justice"); cell.Status != gateway.StatusNotReported || cell.Value != nil || cell.Estimate != nil {
			t.Errorf("%s: %+v", m, cell)
		}
	}
	h := handmade(t, valued())
	h.put("sector=police", 500)
	for i := range demoAges {
		h.put("age="+demoAges[i]+"|sector=police", 100)
	}
	s, c, _ := h.l.find("age=" + demoAges[3] + "|sector=police")
	h.cells[s.index].status[c] = statusNotReported
	if cell := one(t, h, "volume", "age.median", "sector=police"); cell.Status != gateway.StatusNotReported {
		t.Errorf("a median with a band that nobody reported: %+v", cell)
	}
	h.cells[s.index].status[c], h.cells[s.index].values[gateway.CountChildren][c] = statusImpossible, 0
	if got := said(one(t, h, "volume", "age.median", "sector=police")); !strings.HasPrefix(got, "7.5 ±") {
		t.Errorf("a median with a band that nobody can be in: %s", got)
	}
	// What is read for the tests of a build is what was put in.
	raw := w.raw(t)
	if sum, ok := raw.Sum(t, "sector=justice", "hearings"); !ok || sum.Children == 0 || sum != sumOf(w.own(gateway.GroupingSet{{Name: "sector"}}, w.def.Value("hearings"))["sector=justice"]) {
		t.Errorf("a sum is read as %+v", sum)
	}
	for _, label := range []string{"sector=police", "sex=F", "moon=1"} {
		if _, ok := raw.Sum(t, label, "hearings"); ok {
			t.Errorf("there is a sum at %s", label)
		}
	}
	unit := fmt.Sprint(ask(t, h, gateway.Question{Cube: "volume", Measure: "hearings.sum", GroupBy: []string{"sector"}}).Notes)
	if strings.Contains(unit, "%!") {
		t.Errorf("the notes are misprinted: %s", unit)
	}
}

// A test can compare sums with the truth, as it can counts.
func TestSumIsForTests(t *testing.T) {
	w := court()
	raw := w.raw(t)
	for _, a := range w.def.AdmittedSets() {
		for _, id := range a.Values {
			for label, children := range w.own(a.Set, w.def.Value(id)) {
				if got, found := raw.Sum(t, label, id); !found || got != sumOf(children) {
					t.Fatalf("%s of %s: %+v, want %+v", id, label, got, sumOf(children))
				}
			}
		}
	}
	for _, at := range [][2]string{{"", "days"}, {"sector=police", "days"}, {"sector=justice", "cost"}, {"sector=courts", "days"}} {
		if _, found := raw.Sum(t, at[0], at[1]); found {
			t.Errorf("there is a sum of %s in %q", at[1], at[0])
		}
	}
}
