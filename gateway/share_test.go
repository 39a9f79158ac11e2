package gateway

import "testing"

// Rule 4 covers rule 5 exactly where no cell that rule 5 forbids leaves as many
// children of its parent outside as the least threshold: checked by going through all
// parents and cells.
func TestShareCovered(t *testing.T) {
	for _, share := range []float64{0.5, 0.8, 0.9, 0.95, 0.96, 0.99} {
		for _, below := range []int{10, 50, 199, 200, 201, 400, 1000} {
			for _, least := range []int{5, 10, 15, 20, 40} {
				most := -1 // the largest minority that rule 5 forbids
				for parent := 1; parent < below; parent++ {
					for n := 1; n <= parent; n++ {
						if float64(n)/float64(parent) > share {
							most = max(most, parent-n)
						}
					}
				}
				r := ReleaseRules{Share: share, ShareBelow: below, ThresholdMin: least}
				if r.ShareCovered() && most >= least {
					t.Errorf("share %g below %d: rule 4 from %d leaves a minority of %d", share, below, least, most)
				}
				if !r.ShareCovered() && most < least-1 {
					t.Errorf("share %g below %d: refused, though the largest minority is %d of %d", share, below, most, least)
				}
			}
		}
	}
	for _, r := range []ReleaseRules{{}, {Share: 1, ShareBelow: 200, ThresholdMin: 10}, {Share: 0.95, ThresholdMin: 10}, {Share: -1, ShareBelow: 1, ThresholdMin: 10}} {
		if r.ShareCovered() {
			t.Errorf("%+v is no rule", r)
		}
	}
	if !(ReleaseRules{Share: 0.95, ShareBelow: 200, ThresholdMin: 10}).ShareCovered() {
		t.Error("the rule of disclosure.md 2.12 is refused")
	}
}
