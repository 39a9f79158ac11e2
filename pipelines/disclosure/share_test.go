package disclosure

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// breaksShare lists the shown cells that rule 5 of disclosure.md 2.4 forbids: more than
// 0.95 of a parent of fewer than 200 children, along a sensitive dimension. A synonym
// is its parent and tells nothing about it.
func breaksShare(p *protector, isShown func(state) bool) []string {
	var broken []string
	each(p.l, func(s *set, c int, at []int, label string) {
		if !isShown(p.states[s.index][c]) {
			return
		}
		if t, _ := p.l.canonical(s, at); t != s {
			return
		}
		n := p.cells[s.index][c].children
		for i, dim := range s.dims {
			if !p.l.dims[dim].Sensitive {
				continue
			}
			parent := p.cells[s.parents[i].index][p.l.above(s, at, i)].children
			if parent < 200 && float64(n) > 0.95*float64(parent) {
				broken = append(broken, fmt.Sprintf("%s: %d of %d", label, n, parent))
			}
		}
	})
	return broken
}

// No shown cell breaks rule 5, whatever the children: rule 4 implies it. The law is
// checked on populations in which one code of a sensitive dimension has nearly
// everybody. Were rule 4 switched off, its cells shown, the check would find breaches:
// that is the plant, and it must be seen.
func TestShareRuleIsImplied(t *testing.T) {
	planted := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := definition([]gateway.Dimension{partition("harm", 3), partition("place", 2), partition("sex", 2)}, cube("one", gateway.Children, 3, "harm", "place", "sex"))
		d.Dimensions[0].Sensitive = true
		if rapid.Bool().Draw(rt, "omitted") {
			d.Dimensions[0].Omitted = d.Dimensions[0].Nodes[2].Code
		}
		w := truth{def: d}
		place, sex := d.Dimensions[1].Nodes, d.Dimensions[2].Nodes
		for _, pl := range place {
			for _, sx := range sex {
				major, minor := rapid.IntRange(0, 260).Draw(rt, "majority"), rapid.IntRange(0, 14).Draw(rt, "minority")
				for i := range major + minor {
					code := d.Dimensions[0].Nodes[0].Code
					if i >= major {
						code = d.Dimensions[0].Nodes[1+i%2].Code
					}
					w.events = append(w.events, event{len(w.events), map[string]string{"harm": code, "place": pl.Code, "sex": sx.Code}})
				}
			}
		}
		p := inside(t, fill(t, d, w.counts()), release(d, 1, rapid.IntRange(0, 50).Draw(rt, "key")))
		if broken := breaksShare(p, func(s state) bool { return s == shown }); len(broken) > 0 {
			rt.Fatalf("shown, and more than the share: %v", broken)
		}
		planted += len(breaksShare(p, func(s state) bool { return s == shown || s == hiddenNear }))
	})
	if planted == 0 {
		t.Error("without rule 4 nothing breaks the share rule: the test proves nothing")
	}
}

// The same on the children of the demonstration, where outcomes are sensitive.
func TestShareRuleOfTheDemo(t *testing.T) {
	w, counts := small()
	p := inside(t, fill(t, w.def, counts), release(w.def, 1, 1))
	if broken := breaksShare(p, func(s state) bool { return s == shown }); len(broken) > 0 {
		t.Errorf("shown, and more than the share: %v", broken)
	}
}

// Shares that rule 4 does not imply, or that lower the floor, are refused before any
// count is looked at.
func TestSharesThatRule4DoesNotImply(t *testing.T) {
	w, counts := small()
	for _, test := range []struct {
		share        float64
		below, least int
		ok           bool
	}{
		{0.95, 200, 10, true},
		{0.95, 300, 15, true},
		{0.925, 200, 15, true},
		{0.94, 200, 10, false},
		{0.95, 201, 10, false},
		{0.96, 200, 10, false},
		{0.95, 199, 10, false},
		{0, 0, 10, false},
		{1, 200, 10, false},
	} {
		rel := release(w.def, 1, 1)
		rel.Rules.Share, rel.Rules.ShareBelow, rel.Rules.ThresholdMin = test.share, test.below, test.least
		_, err := Protect(fill(t, w.def, counts), rel)
		if test.ok != (err == nil) || err != nil && !errors.Is(err, gateway.Invalid) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}
