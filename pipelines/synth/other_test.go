package synth

import (
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// A pool of codes (disclosure.md 2.4 rule 8) counts the children of its members: of a
// partition their sum, of events at most that.
func TestTruthOfOther(t *testing.T) {
	d := definition(t)
	c := country(t, Options{Children: 400, Seed: 5})
	plain, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	pooled := *d
	pooled.Dimensions = slices.Clone(d.Dimensions)
	var members []gateway.Member
	for i := range pooled.Dimensions {
		dim := &pooled.Dimensions[i]
		if dim.Name != "age_first" && dim.Name != "event_age" {
			continue
		}
		members = nil
		for _, n := range dim.Nodes[1:3] {
			members = append(members, gateway.Member{Code: n.Code, Number: n.Number})
		}
		dim.Nodes = append(slices.Delete(slices.Clone(dim.Nodes), 1, 3), gateway.Node{Code: "OTHER", Members: members})
	}
	truth, err := c.Truth(&pooled, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(dim string) (n int) {
		for _, m := range members {
			n += plain.Cells[dim+"="+m.Code].Children
		}
		return n
	}
	if got := truth.Cells["age_first=OTHER"].Children; got != sum("age_first") || got == 0 {
		t.Errorf("%d children in the pool, %d in its members", got, sum("age_first"))
	}
	if got := truth.Cells["event_age=OTHER"].Children; got >= sum("event_age") || got == 0 {
		t.Errorf("%d children in the pool of events, %d in its members: some are in both", got, sum("event_age"))
	}
}
