package disclosure

import (
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// The rules of the release itself change nothing, higher thresholds hide more the higher
// they are, and lower ones are not replayed.
func TestStricter(t *testing.T) {
	p := protected(t, 1, 1)
	at := func(from int) gateway.ReleaseRules {
		rules := p.Rules()
		rules.ThresholdMin = from
		return rules
	}
	same, err := p.Stricter(p.Rules())
	if err != nil || len(same) == 0 {
		t.Fatal(same, err)
	}
	for _, s := range same {
		if s.Band != 0 {
			t.Errorf("set %q changes by the rules that it has", s.Set)
		}
	}
	last := make([]int, len(same))
	from := p.Rules().ThresholdMin
	for _, more := range []int{5, 50, 1 << 20} {
		sets, err := p.Stricter(at(from + more))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range sets {
			if s.Band < last[i] || s.Band > 9 {
				t.Errorf("set %q: band %d at thresholds from %d, %d below that", s.Set, s.Band, from+more, last[i])
			}
			last[i] = s.Band
		}
	}
	for i, band := range last {
		if band != 9 {
			t.Errorf("set %q: a threshold above every count leaves cells", same[i].Set)
		}
	}
	rules := p.Rules()
	rules.Threshold = append([]float64{0.15, 0.15}, rules.Threshold[2:]...)
	rules.Threshold[len(rules.Threshold)-1] -= 0.05
	if _, err := p.Stricter(rules); err == nil {
		t.Error("a law that shows some counts more often is replayed")
	}
}

// The probability that a count is shown is that of a threshold at or below it, by the
// draw itself.
func TestLawShows(t *testing.T) {
	l, err := newLaw(protected(t, 1, 1).Rules())
	if err != nil {
		t.Fatal(err)
	}
	const draws = 20_000
	for n := range int64(30) {
		shown := 0
		for i := range uint64(draws) {
			if !l.small(n, func() uint64 { return i * (1 << 63 / draws * 2) }) { // evenly over 64 bits
				shown++
			}
		}
		if got, want := l.shows(n), float64(shown)/draws; got < want-0.001 || got > want+0.001 {
			t.Errorf("%d is shown with probability %v, by draws %v", n, got, want)
		}
	}
}
