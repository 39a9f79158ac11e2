package disclosure

import (
	"errors"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// Members are of one leaf of listed codes that are no areas, and of no other leaf; two
// pools of one column are two trees.
func TestMembers(t *testing.T) {
	listed := func(change func(dim *gateway.Dimension)) *gateway.Definition {
		dim := partition("a", 3)
		dim.Source = gateway.Source{Kind: gateway.ChildConst, Column: "kind"}
		for i := range dim.Nodes {
			dim.Nodes[i].Number = uint16(i + 1)
		}
		dim.Nodes[2].Number, dim.Nodes[2].Members = 0, []gateway.Member{{Code: "x", Number: 3}, {Code: "y", Number: 9}}
		change(&dim)
		return definition([]gateway.Dimension{dim}, cube("one", gateway.Children, 1, "a"))
	}
	for name, test := range map[string]struct {
		change func(*gateway.Dimension)
		ok     bool
	}{
		"other":        {func(*gateway.Dimension) {}, true},
		"no list":      {func(d *gateway.Dimension) { d.Source = gateway.Source{Kind: gateway.FirstSector} }, false},
		"areas":        {func(d *gateway.Dimension) { d.Source.Column = gateway.ColumnRegion }, false},
		"its own code": {func(d *gateway.Dimension) { d.Nodes[2].Number = 4 }, false},
		"two pools": {func(d *gateway.Dimension) {
			d.Nodes[1].Number, d.Nodes[1].Members = 0, []gateway.Member{{Code: "z", Number: 7}}
		}, false},
		"in two nodes": {func(d *gateway.Dimension) { d.Nodes[2].Members[1].Number = 1 }, false},
		"doubled":      {func(d *gateway.Dimension) { d.Nodes[0].Number = 9 }, false},
	} {
		if _, err := Plan(listed(test.change)); test.ok != (err == nil) || err != nil && !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := listed(func(*gateway.Dimension) {})
	again := listed(func(dim *gateway.Dimension) {
		dim.Name, dim.Nodes[2].Members[1] = "b", gateway.Member{Code: "w", Number: 8}
	})
	d.Dimensions = append(d.Dimensions, again.Dimensions[0])
	d.Cubes[0].Dimensions = []string{"a", "b"}
	if _, err := Plan(d); !errors.Is(err, gateway.Invalid) {
		t.Errorf("two pools of one column: %v", err)
	}
}
