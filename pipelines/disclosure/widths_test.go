package disclosure

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// One hidden sibling of shown ones is what their sum leaves: the audit sees it.
func TestNarrowCellIsSeen(t *testing.T) {
	p := protected(t, 1, 1)
	before := p.Widths()
	s := p.l.byKey["region@region"]
	if s == nil {
		t.Fatal("no such set")
	}
	total := p.l.byKey[""]
	cells := &p.cells[s.index]
	values := cells.values[gateway.CountChildren]
	d1, d2 := deviations(p.l.def.V)
	for c := range cells.status {
		cells.status[c], values[c] = statusValue, 10
	}
	cells.status[0] = statusSuppressed
	p.cells[total.index].values[gateway.CountChildren][0] = int64(10*(s.cells-1) - d1 - d2 + 5)
	f := p.newFence()
	f.tighten(s)
	if got := f.hi[s.index][0] - f.lo[s.index][0]; got != 5 {
		t.Fatalf("the sum leaves %d, not 5", got)
	}
	after := f.widths()
	if after.K != 10 || after.Method == "" || after.Narrow%5 != 0 || before.Narrow%5 != 0 {
		t.Errorf("%+v", after)
	}
}

func TestWidthsAreSharesInSteps(t *testing.T) {
	w := protected(t, 1, 1).Widths()
	for _, s := range w.Sets {
		if s.Narrow%5 != 0 || s.Narrow > 100 {
			t.Errorf("%s: %d %%", s.Name, s.Narrow)
		}
	}
	again := protected(t, 1, 1).Widths()
	if !slices.Equal(w.Sets, again.Sets) || w.Narrow != again.Narrow {
		t.Error("the same cells have two audits")
	}
}

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
