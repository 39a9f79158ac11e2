package disclosure

import (
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// Whatever the propagation concludes, the truth is within it: else it would promise an
// attacker's error where there is none. The population fills every dimension, so that
// sums hold.
func TestFencesHoldTheTruth(t *testing.T) {
	w, counts := small()
	p := protected(t, 1, 1)
	f := p.newFence()
	wide := 0
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
		if cell := counts[s.key][label]; cell != nil {
			n = int64(cell.Children)
		}
		lo, hi := f.lo[s.index][c], f.hi[s.index][c]
		if n < lo || n > hi {
			t.Errorf("%q: %d children are fenced in by %d and %d", label, n, lo, hi)
		}
		if hi-lo >= noBound {
			wide++
		}
	})
	if wide > p.l.cells/10 {
		t.Errorf("%d of %d cells have no bound at all", wide, p.l.cells)
	}
	_ = w
}

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
