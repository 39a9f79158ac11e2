package disclosure

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// What officers read of hidden cells: the fence around them and the reasons.

// The fence is true: every count lies within the bounds that group by group can be had
// from published values, for any definition, population and key. Else an officer would
// read that a cell is wide where an attacker has it narrow.
func TestFenceHoldsTheTruth(t *testing.T) {
	cells, bounded := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		d := randomDefinition(rt)
		d.V = 400
		if _, err := Plan(d); err != nil {
			rt.Skip(err.Error())
		}
		w := randomTruth(rt, d)
		counts := w.counts()
		rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
		inner := inside(t, fill(t, d, counts), rel)
		p, err := inner.publish(rel)
		if err != nil {
			rt.Fatal(err)
		}
		f := p.newFence()
		for range maxWidthRounds {
			for _, s := range p.l.sets {
				f.tighten(s)
			}
			for _, s := range slices.Backward(p.l.sets) {
				f.tighten(s)
			}
		}
		each(p.l, func(s *set, c int, _ []int, label string) {
			n := int64(0)
			if own := counts[s.key][label]; own != nil {
				n = int64(own.Children)
			}
			lo, hi := f.lo[s.index][c], f.hi[s.index][c]
			cells++
			if hi < noBound {
				bounded++
			}
			if n < lo || n > hi {
				rt.Fatalf("%s has %d children, the fence says %d to %d", label, n, lo, hi)
			}
		})
		page := p.Widths()
		if page.K != 10 || page.Narrow < 0 || page.Narrow > 100 || page.Narrow%5 != 0 {
			rt.Fatalf("the page says %+v", page)
		}
	})
	t.Logf("%d of %d cells have an upper bound", bounded, cells)
	if bounded == 0 {
		t.Error("no cell is bounded: the test says nothing")
	}
}

// A fence around a cell that is all but told is narrow: the page would show a release in
// which hidden cells have little room, and does not show this package's.
func TestWidthsSeeANarrowCell(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	page := p.Widths()
	if page.Narrow > 10 || len(page.Sets) == 0 || page.Method == "" {
		t.Errorf("of the demonstration the page says %+v", page)
	}
	if len(counts) == 0 {
		t.Fatal("nothing was counted")
	}
	// The fault: values without noise. Then the cell that rule 1 hides alone is exact.
	f := &fence{p: p}
	for _, s := range p.l.sets {
		lo, hi := make([]int64, s.cells), make([]int64, s.cells)
		for c := range hi {
			n := counts[s.key][string(p.l.label(s, s.nodes(c, nil), nil))]
			switch {
			case n == nil:
				hi[c] = noBound
			case n.Children < 10:
				hi[c] = noBound
			default:
				lo[c], hi[c] = int64(n.Children), int64(n.Children)
			}
		}
		f.lo, f.hi = append(f.lo, lo), append(f.hi, hi)
	}
	for range 3 {
		for _, s := range p.l.sets {
			f.tighten(s)
		}
	}
	if bad := f.widths(); bad.Narrow < page.Narrow+20 {
		t.Errorf("beside exact values %d %% of hidden cells are narrow, beside noisy ones %d %%: the audit is broken", bad.Narrow, page.Narrow)
	}
}

// The reasons are those of the rules, cell by cell, and are not in what is published: a
// release says one word for all of them. They are bytes to be sealed, nothing else.
func TestReasonsAreTheRules(t *testing.T) {
	w, counts := small()
	p := inside(t, fill(t, w.def, counts), release(w.def, 1, 1))
	kept, err := p.reasons()
	if err != nil {
		t.Fatal(err)
	}
	packed := kept.Bytes()
	seen := map[Reason]int{}
	n := 0
	each(p.l, func(s *set, c int, _ []int, label string) {
		if n++; n%97 > 0 {
			return // each look-up makes a lattice
		}
		why, err := Why(w.def, packed, label)
		if want := p.states[s.index][c].reason(); err != nil || why != want {
			t.Fatalf("%s: %q, %v; the rules say %q", label, why, err, want)
		}
		seen[why]++
	})
	if seen[ReasonSmall] == 0 || seen[ReasonShown] == 0 || len(seen) < 3 {
		t.Errorf("reasons %v: the test says nothing of some", seen)
	}
	for label, want := range map[string]bool{"": true, "sex=F": true, "region=61|sex=F": true, "sex=F|region=61": false, "sex=X": false} {
		if HasCell(w.def, label) != want {
			t.Errorf("%q is a cell: %v", label, !want)
		}
		if _, err := Why(w.def, packed, label); (err == nil) != want || err != nil && !errors.Is(err, gateway.NotFound) {
			t.Errorf("%q: %v", label, err)
		}
	}
	if HasCell(&gateway.Definition{}, "") {
		t.Error("a definition that is refused has a cell")
	}
	for name, spoilt := range map[string][]byte{
		"empty": nil, "other magic": append([]byte("x"), packed...), "cut": packed[:len(packed)-8], "only the magic": []byte(reasonsMagic),
		"of another release": squeezed(t, []byte{1, 2, 3}), "an unknown reason": squeezed(t, bytes.Repeat([]byte{200}, p.l.cells)),
	} {
		if _, err := Why(w.def, spoilt, "sex=F"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Why(&gateway.Definition{}, packed, ""); err == nil {
		t.Error("a definition that is refused has reasons")
	}
	printed := fmt.Sprintf("%v %+v %#v", kept, kept, *kept)
	for _, why := range names {
		if strings.Contains(printed, string(why)) {
			t.Errorf("printed reasons say %q", why)
		}
	}
	if bytes.Contains([]byte(printed), packed[len(reasonsMagic):]) {
		t.Error("reasons are printed")
	}
}

// squeezed are cells in the form of reasons.
func squeezed(t *testing.T, cells []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(reasonsMagic)
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(cells); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
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
