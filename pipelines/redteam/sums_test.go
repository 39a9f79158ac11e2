package redteam

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Sums do not let the error of a count be averaged below what the budget allows, and
// means do not tell it, while exact means would.
func TestSums(t *testing.T) {
	twin, err := Twin(t.Context(), sumsDefinition(), TwinOptions{Mean: sumsMean, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range twin.Findings {
		t.Logf("%-24s %-45s none %v, default %v, baseline %v, bar %s %s", f.Attack, f.Measure, f.None, f.Default, f.Baseline, f.Bar, f.controls())
		if slices.ContainsFunc(ofValues(), func(p probe) bool { return p.attack == f.Attack }) {
			seen++
		}
	}
	if !twin.Passed || seen != len(ofValues()) {
		t.Errorf("%d findings of values; missed %v, broken %v", seen, twin.Missed, twin.Broken)
	}
}

// A count is told from an exact mean when no other count near it gives a whole sum:
// 2.7 is that of 10 children and of 20, not of 11 to 19 (Handbook 5.7).
func TestFitting(t *testing.T) {
	for _, c := range []struct{ mean, count, reach, want float64 }{
		{2.7, 12, 3, 10}, {2.7, 15, 6, 15}, {2.7, 15, 4, 15}, {2.71, 60, 26, 60}, {100.0 / 61, 50, 26, 61}, {math.Pi, 50, 26, 50},
	} {
		if got := fitting(c.mean, c.count, c.reach); got != c.want {
			t.Errorf("a mean of %g beside %g within %g gives %g, want %g", c.mean, c.count, c.reach, got, c.want)
		}
	}
}

// A cell's sum is what its children's numbers make, whatever their order.
func TestSumsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Uint64Range(0, 50), 1, 20).Draw(rt, "numbers")
		var s disclosure.Sum
		total := uint64(0)
		for _, n := range numbers {
			addTo(&s, n)
			total += n
		}
		slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(b, a) })
		want := disclosure.Sum{Children: uint64(len(numbers)), Sum: total, Top: [2]uint64{numbers[0]}}
		if len(numbers) > 1 {
			want.Top[1] = numbers[1]
		}
		if s != want {
			rt.Errorf("%v add up to %+v, want %+v", numbers, s, want)
		}
	})
}
