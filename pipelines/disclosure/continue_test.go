package disclosure

import (
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// parameters are the demonstration's, changed.
func parameters(change func(*gateway.Definition, *gateway.ReleaseRules)) Parameters {
	d, rules := demo(), release(demo(), 1, 1).Rules
	rules.Threshold = slices.Clone(rules.Threshold)
	change(d, &rules)
	return Parameters{d, rules}
}

// aged is the demonstration with a value.
func aged(v gateway.Value) Parameters {
	return parameters(func(d *gateway.Definition, _ *gateway.ReleaseRules) {
		d.V = 100
		d.Values, d.Cubes[1].Values = []gateway.Value{v}, []string{v.ID}
	})
}

// A value keeps its name and its clamp: the noise of its sums is drawn by the one and
// scaled by the other.
func TestContinueValues(t *testing.T) {
	v := gateway.Value{ID: "cost", Sector: "social", Column: "cost", PerChild: gateway.PerChildSum, Max: 100, Precision: 400}
	before := aged(v)
	if err := Continue(before, before); err != nil {
		t.Fatal(err)
	}
	if err := Continue(before, parameters(func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.V = 100 })); err != nil {
		t.Fatal(err)
	}
	for why, change := range map[string]func(*gateway.Value){
		"value cost is not what it was": func(v *gateway.Value) { v.Max = 90 },
		"value price was called cost":   func(v *gateway.Value) { v.ID = "price" },
	} {
		other := v
		change(&other)
		if err := Continue(before, aged(other)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func asBefore(*gateway.Definition, *gateway.ReleaseRules) {}

// What would undo an earlier release is refused, and the text names what.
func TestContinueRefuses(t *testing.T) {
	for why, change := range map[string]func(*gateway.Definition, *gateway.ReleaseRules){
		"lineage other":  func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.Lineage = "other" },
		"V 50, for ever": func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.V = 60 },
		"law of thresholds": func(_ *gateway.Definition, r *gateway.ReleaseRules) { // nothing above 18
			r.Threshold = []float64{0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}
		},
		"share rule": func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.Share = 0.96 },
		"weaker":     func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.ShareBelow-- },
		"cap on one": func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.RecordCap++ },
		"dimension region has another tree": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			dim := d.Dimension("region")
			dim.Nodes = dim.Nodes[1:]
		},
		"dimension age_first has another tree": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			dim := d.Dimension("age_first")
			dim.Nodes = append(slices.Clone(dim.Nodes), gateway.Node{Code: "Y18", Number: 5})
		},
		"dimension event_age has another tree": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			d.Dimension("event_age").Nodes[0].Band = &gateway.Band{}
		},
		"dimension reached is not what it was": func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.Dimension("reached").Source.Days = 60 },
		"dimension sex is not what it was":     func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.Dimension("sex").Omitted = "F" },
		"dimension place was called region": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			d.Dimension("region").Name = "place"
			d.Cubes[0].Dimensions[0] = "place"
		},
		"other implications": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			d.Implied = []gateway.Implication{{If: gateway.Fact{Dimension: "first_sector", Node: "police"}, Then: gateway.Fact{Dimension: "sector", Node: "police"}}}
		},
	} {
		t.Run(why, func(t *testing.T) {
			err := Continue(parameters(asBefore), parameters(change))
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// What is the same, or stricter, or of another window, continues.
func TestContinueAllows(t *testing.T) {
	for name, change := range map[string]func(*gateway.Definition, *gateway.ReleaseRules){
		"the same":      asBefore,
		"a cube less":   func(d *gateway.Definition, _ *gateway.ReleaseRules) { d.Cubes = d.Cubes[:1] },
		"a higher law":  func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.ThresholdMin += 5 },
		"a lower share": func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.Share = 0.9 },
		"a lower cap":   func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.RecordCap-- },
		"another window": func(d *gateway.Definition, _ *gateway.ReleaseRules) {
			moved, err := d.Window(d.From+1, d.To+1)
			if err != nil {
				t.Fatal(err)
			}
			*d = *moved
		},
	} {
		if err := Continue(parameters(asBefore), parameters(change)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Continue(parameters(func(_ *gateway.Definition, r *gateway.ReleaseRules) { r.ThresholdMin += 5 }), parameters(asBefore)); err == nil {
		t.Error("the law went back")
	}
}

// Two sets of cubes that each fit the budget and not together are not published one
// after the other: whoever keeps old answers has the routes of both.
func TestContinueCountsAllRoutes(t *testing.T) {
	dims := []gateway.Dimension{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		dim := partition(name, 2)
		dim.Source.Column = name
		dims = append(dims, dim)
	}
	of := func(names ...string) Parameters {
		d := definition(dims, cube(strings.Join(names, ""), gateway.Children, 4, names...))
		if _, err := Plan(d); err != nil {
			t.Fatalf("%v alone: %v", names, err)
		}
		return Parameters{d, release(demo(), 1, 1).Rules}
	}
	first, second := of("a", "b", "c", "d"), of("a", "b", "e", "f")
	if err := Continue(first, first); err != nil {
		t.Fatal(err)
	}
	if err := Continue(first, second); err == nil || !strings.Contains(err.Error(), "together with what lineage test has published before") {
		t.Errorf("both: %v", err)
	}
}
