package redteam

import (
	"encoding/json"
	"os"
	"testing"
)

// The control column "10-5" is the rule that ONS publishes: what is added to counts of
// 1 to 15, by its own tool (pipelines/disclosure/testdata/16_rounding_rules.json names
// the source).
func TestControlIsTheTenFiveRule(t *testing.T) {
	data, err := os.ReadFile("../disclosure/testdata/16_rounding_rules.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Rule [][2]int `json:"ons_10_5"`
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	p := population{lattice: &lattice{size: len(ref.Rule)}}
	for _, c := range ref.Rule {
		p.counts = append(p.counts, tally{n: c[0]})
	}
	v, err := publishRounded(p, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range ref.Rule {
		n, moved := c[0], c[1]
		switch {
		case n+moved == 0 && v.shown[i]:
			t.Errorf("%d is shown as %g, the rule leaves nothing of it", n, v.y[i])
		case n+moved > 0 && (!v.shown[i] || v.y[i] != float64(n+moved)):
			t.Errorf("%d is shown: %v, as %g; the rule makes %d of it", n, v.shown[i], v.y[i], n+moved)
		}
	}
	if len(ref.Rule) < 8 {
		t.Errorf("%d counts in the reference", len(ref.Rule))
	}
}
