package disclosure

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

var declares = []gateway.ContractID{"social"}

// Rule 2 by its text, on all small cells and units: at least two units, none above
// 90 %; cells without records of declared units are not looked at.
func TestOneUnit(t *testing.T) {
	for children := int64(1); children <= 220; children++ {
		for top := int64(0); top <= children; top++ {
			for units := int64(1); units <= 3; units++ {
				want := top > 0 && (units < 2 || float64(top)/float64(children) > 0.9+1e-12)
				if got := oneUnit(&tally{children: children, units: units, topUnit: top}); got != want {
					t.Fatalf("%d children, %d units, the largest %d: hidden is %v", children, units, top, got)
				}
			}
		}
	}
	if oneUnit(&tally{children: 100}) {
		t.Error("a cell without units is looked at")
	}
}

// withUnits are counts of one dimension with the units of each code: the largest unit's
// children and the number of units; the total has four units.
func withUnits(t *testing.T, d *gateway.Definition, ns []int, top, units []uint64) *Raw {
	t.Helper()
	raw := NewRaw(d)
	sum, keys, largest := 0, uint64(0), uint64(0)
	put := func(g gateway.GroupingSet, nodes []string, c Count) {
		t.Helper()
		if err := raw.Add(g, nodes, c); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range ns {
		sum += n
		keys += subjectKey(i)
		largest = max(largest, top[i])
		put(gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, Count{Children: uint64(n), Key: subjectKey(i), Units: units[i], TopUnit: top[i]})
	}
	put(total, nil, Count{Children: uint64(sum), Key: keys, Units: 4, TopUnit: largest})
	return raw
}

func unitRelease(d *gateway.Definition) Release {
	rel := release(d, 1, 1)
	rel.Units = declares
	return rel
}

// A cell of one unit is hidden like any other, with a companion so that it cannot be
// had by subtraction; the release says which contracts declare units.
func TestUnitsAreProtected(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4)}, cube("one", gateway.Children, 1, "a"))
	for name, test := range map[string]struct {
		top, units []uint64
		want       []state
	}{
		"several": {[]uint64{270, 200, 150, 100}, []uint64{2, 3, 4, 2}, []state{shown, shown, shown, shown}},
		"alone":   {[]uint64{300, 200, 150, 100}, []uint64{1, 3, 4, 2}, []state{hiddenUnit, shown, shown, shown}},
		"nearly":  {[]uint64{271, 290, 150, 100}, []uint64{2, 3, 4, 2}, []state{hiddenUnit, hiddenUnit, shown, shown}},
		"others":  {[]uint64{0, 0, 0, 0}, []uint64{1, 1, 1, 1}, []state{shown, shown, shown, shown}},
	} {
		p := inside(t, withUnits(t, d, []int{300, 300, 300, 300}, test.top, test.units), unitRelease(d))
		got := statesOf(p, "a@a")
		if hidden := slices.Contains(test.want, hiddenUnit); hidden && name == "alone" {
			// Exactly one hidden: rule 6 adds one, whichever has the least n + v1.
			n := 0
			for _, s := range got[1:] {
				if s == hiddenRest {
					n++
				}
			}
			if got[0] != hiddenUnit || n != 1 {
				t.Errorf("%s: states %v", name, got)
			}
			continue
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: states %v, want %v", name, got, test.want)
		}
	}
	open, err := Protect(withUnits(t, d, []int{300, 300, 300, 300}, []uint64{271, 290, 150, 100}, []uint64{2, 3, 4, 2}), unitRelease(d))
	if err != nil {
		t.Fatal(err)
	}
	status, value, known := open.Cell("a="+d.Dimensions[0].Nodes[0].Code, gateway.CountChildren)
	if status != gateway.StatusSuppressed || value != 0 || !known {
		t.Errorf("the cell of one unit is %s %d", status, value)
	}
	var b bytes.Buffer
	if err := open.Encode(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Decode(&b)
	if err != nil || !cmp.Equal(again.Units(), declares) {
		t.Fatalf("the release declares %v: %v", again.Units(), err)
	}
	table, err := again.Ask(gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a"}})
	if err != nil || !strings.Contains(strings.Join(table.Notes, "\n"), "declared by: social") {
		t.Errorf("no note says it: %v %v", table.Notes, err)
	}
}

// Units that are declared must be counted, in every cell, and the other way round: a
// build that forgets them publishes nothing.
func TestUnitsMustBeCounted(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	_, err := Protect(flats(t, d, 300, 300), unitRelease(d))
	if !errors.Is(err, gateway.Internal) {
		t.Errorf("declared and not counted: %v", err)
	}
	_, err = Protect(withUnits(t, d, []int{300, 300}, []uint64{100, 100}, []uint64{4, 4}), release(d, 1, 1))
	if !errors.Is(err, gateway.Internal) {
		t.Errorf("counted and not declared: %v", err)
	}
}

// Counts that contradict one another about units are refused.
func TestUnitsThatDisagree(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	for _, c := range []Count{
		{Children: 10, Units: 1, TopUnit: 11},
		{Children: 10, TopUnit: 3},
		{Children: 10, Units: 1, TopUnit: 9},
		{Children: 10, Units: 1 << 60, TopUnit: 10},
		{Children: 10, Units: 2, TopUnit: 1 << 63},
	} {
		if err := NewRaw(d).Add(total, nil, c); !errors.Is(err, gateway.Internal) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []Count{{Children: 10, Units: 1, TopUnit: 10}, {Children: 10, Units: 2, TopUnit: 10}, {Children: 10, Units: 1}} {
		if err := NewRaw(d).Add(total, nil, c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// No shown cell rests on one unit, whatever the children and their units: counted by
// brute force, a law as for the share rule. Without the rule some do.
func TestNoShownCellIsOfOneUnit(t *testing.T) {
	planted := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := definition([]gateway.Dimension{partition("a", 3), partition("b", 2)}, cube("one", gateway.Children, 2, "a", "b"))
		raw := NewRaw(d)
		cells := map[string]map[int]int{} // label → unit → children
		keys := map[string]uint64{}
		for _, a := range d.Dimensions[0].Nodes {
			for _, b := range d.Dimensions[1].Nodes {
				home := rapid.IntRange(0, 3).Draw(rt, "unit") // of most of the cell; 0 declares none
				n, other := rapid.IntRange(0, 120).Draw(rt, "children"), rapid.IntRange(0, 3).Draw(rt, "other")
				strange := rapid.IntRange(0, max(1, n/5)).Draw(rt, "strangers")
				key := subjectKey(len(cells))
				for _, label := range []string{"", "a=" + a.Code, "b=" + b.Code, "a=" + a.Code + "|b=" + b.Code} {
					if cells[label] == nil {
						cells[label] = map[int]int{}
					}
					cells[label][home] += n
					cells[label][other] += strange
					if n+strange > 0 {
						keys[label] += key
					}
				}
			}
		}
		broken := func(units map[int]int) bool {
			n, top := 0, 0
			for unit, children := range units {
				n += children
				if unit > 0 {
					top = max(top, children)
				}
			}
			return top > 0 && float64(top) > 0.9*float64(n)
		}
		counted := newLatticeOf(t, d)
		each(counted, func(s *set, _ int, at []int, label string) {
			var c Count
			for unit, children := range cells[label] {
				if children == 0 {
					continue
				}
				c.Units++
				c.Children += uint64(children)
				if unit > 0 {
					c.TopUnit = max(c.TopUnit, uint64(children))
				}
			}
			if c.Children == 0 {
				return
			}
			c.Key = keys[label]
			var nodes []string
			for i, dim := range s.dims {
				nodes = append(nodes, counted.dims[dim].levels[s.Set[i].Level][at[i]].Code)
			}
			if err := raw.Add(s.Set, nodes, c); err != nil {
				rt.Fatal(err)
			}
		})
		rel := unitRelease(d)
		p := inside(t, raw, rel)
		each(p.l, func(s *set, c int, _ []int, label string) {
			switch st := p.states[s.index][c]; {
			case st == shown && broken(cells[label]):
				rt.Fatalf("%q is shown, of units %v", label, cells[label])
			case st == hiddenUnit:
				planted++
			}
		})
	})
	if planted == 0 {
		t.Error("no cell was hidden by its units: the test proves nothing")
	}
}

func newLatticeOf(t *testing.T, d *gateway.Definition) *lattice {
	t.Helper()
	l, err := newLattice(d)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Where nobody declares units the notes say that the rule is skipped, and always that
// families are not protected.
func TestUnitNotes(t *testing.T) {
	p := protected(t, 1, 1)
	notes := strings.Join(p.Notes(), "\n")
	if len(p.Units()) != 0 || !strings.Contains(notes, "No contract declares units") || !strings.Contains(notes, "Brothers and sisters") {
		t.Errorf("units %v, notes %q", p.Units(), notes)
	}
}
