package dp

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// other is a definition of another lineage that shares nothing with pilot: its
// only dimension comes from a source of its own.
func other() *gateway.Definition {
	d := pilot()
	d.Lineage = "web"
	d.Dimensions = []gateway.Dimension{{
		Name: "region", Kind: gateway.Partition, Levels: []string{"part", "region"},
		Nodes: []gateway.Node{
			{Code: "north"},
			{Code: "south"},
			{Code: "11", Parent: "north", Level: 1, Number: 1},
			{Code: "15", Parent: "north", Level: 1, Number: 2},
			{Code: "61", Parent: "south", Level: 1, Number: 3},
		},
		Source: gateway.Source{Kind: gateway.ChildMost, Column: "region"},
	}}
	d.Cubes = []gateway.Cube{{ID: "web", Grain: gateway.Children, Dimensions: []string{"region"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren}}}
	return d
}

// with adds a dimension to the only cube of other.
func with(dim gateway.Dimension) *gateway.Definition {
	d := other()
	d.Dimensions = append(d.Dimensions, dim)
	d.Cubes[0].Dimensions = append(d.Cubes[0].Dimensions, dim.Name)
	return d
}

// disclosure.md 2.11 line 14: DP and keyed answers for the same cube.
func TestProfilesDoNotShareCells(t *testing.T) {
	sex := gateway.Dimension{
		Name: "gender", Kind: gateway.Partition, Levels: []string{"gender"},
		Nodes:  []gateway.Node{{Code: "girl", Number: 1}, {Code: "boy", Number: 2}},
		Source: gateway.Source{Kind: gateway.ChildConst, Column: "sex"},
	}
	ages := gateway.Dimension{
		Name: "grown", Kind: gateway.Partition, Levels: []string{"grown"},
		Nodes:  []gateway.Node{{Code: "a", Number: 3}, {Code: "b", Number: 9}},
		Source: gateway.Source{Kind: gateway.ChildFirst, Column: "age"},
	}
	event := sex
	event.Source.Kind = gateway.EventColumn
	elsewhere := ages
	elsewhere.Nodes = []gateway.Node{{Code: "a", Number: 7}, {Code: "b", Number: 9}}
	byCode := elsewhere
	byCode.Nodes = []gateway.Node{{Code: "Y0T4", Number: 70}, {Code: "b", Number: 9}}
	anyAge := ages
	anyAge.Source.Kind = gateway.EventColumn
	coarse := ages
	coarse.Levels = []string{"wide", "fine"}
	coarse.Nodes = []gateway.Node{{Code: "kids"}, {Code: "1", Parent: "kids", Level: 1, Number: 1}, {Code: "2", Parent: "kids", Level: 1, Number: 2}}
	for name, c := range map[string]struct {
		c      *gateway.Definition
		shares bool
	}{
		"another source":                    {other(), false},
		"the same column by another name":   {with(sex), true},
		"a constant column, of events":      {with(event), true},
		"a band in common":                  {with(ages), true},
		"no band in common":                 {with(elsewhere), false},
		"a band in common by code":          {with(byCode), true},
		"the same column, otherwise placed": {with(anyAge), false},
		"a group of the same bands":         {with(coarse), true},
		"the same dimensions":               {func() *gateway.Definition { d := pilot(); d.Lineage = "web"; return d }(), true},
		"one lineage":                       {func() *gateway.Definition { d := other(); d.Lineage = "pilot"; return d }(), true},
	} {
		for _, pair := range [][2]*gateway.Definition{{pilot(), c.c}, {c.c, pilot()}} {
			err := SharesCells(pair[0], pair[1])
			if c.shares != errors.Is(err, gateway.Conflict) || !c.shares && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The cell of one leaf and that of its group differ; a group counts as its leaves.
func TestLeavesOfNodes(t *testing.T) {
	d := &other().Dimensions[0]
	for code, want := range map[string]int{"north": 2, "south": 1, "11": 1, "61": 1} {
		numbers, codes := leaves(d, *d.Node(code))
		if len(numbers) != want || len(codes) != want {
			t.Errorf("%s has %d leaves, want %d", code, len(numbers), want)
		}
	}
}

func TestWindowsThatDoNotMeet(t *testing.T) {
	c := with(gateway.Dimension{
		Name: "sex", Kind: gateway.Partition, Levels: []string{"sex"}, Nodes: []gateway.Node{{Code: "F", Number: 1}},
		Source: gateway.Source{Kind: gateway.ChildConst, Column: "sex"},
	})
	b := pilot()
	for name, w := range map[string]struct {
		from, to gateway.Quarter
		shares   bool
	}{
		"before": {b.From - 8, b.From - 1, false}, "after": {b.To + 1, b.To + 4, false}, "touching": {b.To, b.To + 4, true}, "around": {b.From - 4, b.To + 4, true},
	} {
		c.From, c.To = w.from, w.to
		if err := SharesCells(b, c); w.shares != errors.Is(err, gateway.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Lineage, c.From, c.To = b.Lineage, b.To+1, b.To+4
	if err := SharesCells(b, c); !errors.Is(err, gateway.Conflict) {
		t.Errorf("other quarters of one lineage: %v", err)
	}
}

// A dimension that no cube uses, or a cube that asks for no dimension, shares
// nothing: what is not counted is not published.
func TestOnlyWhatIsCountedIsShared(t *testing.T) {
	c := with(pilot().Dimensions[0])
	c.Cubes[0].Dimensions = []string{"region"}
	if err := SharesCells(pilot(), c); err != nil {
		t.Errorf("a dimension without a cube: %v", err)
	}
	c.Cubes[0].Dimensions, c.Cubes[0].Cap = []string{"region", "sex"}, 0
	if err := SharesCells(pilot(), c); err != nil {
		t.Errorf("a cube of totals: %v", err)
	}
}

func TestDifferentReachedDaysAreDifferent(t *testing.T) {
	reached := gateway.Dimension{
		Name: "reached", Kind: gateway.Partition, Levels: []string{"status"},
		Nodes: []gateway.Node{{Code: gateway.ReachedYes, Number: 1}, {Code: gateway.ReachedNo, Number: 2}},
		Source: gateway.Source{
			Kind: gateway.ReachedIn, Start: "police", Days: 30,
			Targets: map[gateway.ContractID][]string{"social": {"assessment_date"}},
		},
	}
	b := pilot()
	b.Dimensions = append(b.Dimensions, reached)
	b.Cubes[0].Dimensions = append(b.Cubes[0].Dimensions, "reached")
	if err := SharesCells(b, with(reached)); !errors.Is(err, gateway.Conflict) {
		t.Errorf("the same derivation: %v", err)
	}
	other := reached
	other.Source.Targets = map[gateway.ContractID][]string{"social": {"service_start_date"}}
	if err := SharesCells(b, with(other)); err != nil {
		t.Errorf("another target: %v", err)
	}
	other = reached
	other.Source.Days = 60
	if err := SharesCells(b, with(other)); err != nil {
		t.Errorf("other days: %v", err)
	}
}

// A definition that skipped the checks of its file is an error, never a panic.
func TestBrokenDefinitionsAreErrors(t *testing.T) {
	for name, change := range map[string]func(*gateway.Definition){
		"no lineage":         func(d *gateway.Definition) { d.Lineage = "" },
		"no cubes":           func(d *gateway.Definition) { d.Cubes = nil },
		"missing dimension":  func(d *gateway.Definition) { d.Cubes[0].Dimensions[0] = "nobody" },
		"circular":           func(d *gateway.Definition) { d.Dimensions[2].Nodes[0].Parent = "Y0T4" },
		"parent after child": func(d *gateway.Definition) { n := d.Dimensions[2].Nodes; n[0], n[2] = n[2], n[0] },
		"no levels":          func(d *gateway.Definition) { d.Dimensions[0].Levels, d.Dimensions[0].Nodes = nil, nil },
		"level with a bar":   func(d *gateway.Definition) { d.Dimensions[0].Levels[0] = "a|b" },
		"name with an at":    func(d *gateway.Definition) { d.Dimensions[0].Name = "a@b" },
	} {
		d := pilot()
		change(d)
		for _, err := range []error{SharesCells(d, other()), SharesCells(other(), d)} {
			if !errors.Is(err, gateway.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := Shadow(d); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: shadow: %v", name, err)
		}
	}
	if err := SharesCells(nil, other()); !errors.Is(err, gateway.Invalid) {
		t.Errorf("nil: %v", err)
	}
}

// By hand: V = 50; one cell of a child costs 0.01, the four sectors 0.04.
func TestShadow(t *testing.T) {
	e, err := Shadow(pilot())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"": 0.01, "sex@sex": 0.01, "age@wide": 0.01, "age@band": 0.01, "sector@sector": 0.04,
		"age@wide|sex@sex": 0.01, "age@band|sex@sex": 0.01, "sector@sector|sex@sex": 0.04,
		"age@wide|sector@sector": 0.04, "age@band|sector@sector": 0.04, "age@wide|sector@sector|sex@sex": 0.04, "age@band|sector@sector|sex@sex": 0.04,
	}
	total := 0.0
	for _, s := range e.Sets {
		if math.Abs(float64(s.Exposed)-want[s.Set]) > 1e-12 || float64(s.Cells) != math.Round(want[s.Set]*100) {
			t.Errorf("%q: %v with %d cells, want %v", s.Set, s.Exposed, s.Cells, want[s.Set])
		}
		total += want[s.Set]
		delete(want, s.Set)
	}
	if len(want) != 0 || math.Abs(float64(e.Total)-total) > 1e-12 || e.Note != IndicatorNote {
		t.Errorf("missing %v, total %v, want %v, note %q", want, e.Total, total, e.Note)
	}
	for _, v := range []float64{0, -1, math.NaN()} {
		d := pilot()
		d.V = v
		if _, err := Shadow(d); !errors.Is(err, gateway.Invalid) {
			t.Errorf("V = %v: %v", v, err)
		}
	}
}

// The note goes wherever the number goes.
func TestIndicatorIsLabelled(t *testing.T) {
	text, err := Indicator(0.34).MarshalText()
	if err != nil || string(text) != "0.34 (indicator, not a guarantee)" || !strings.Contains(Indicator(1).String(), IndicatorNote) {
		t.Errorf("%s, %v", text, err)
	}
}
