package configs

import (
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// The lattice of the demo is pinned: a change of it is a change of what a release
// gives away, and must be meant.
func TestDemoLattice(t *testing.T) {
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	if d.Lineage != "demo" || d.V != 50 || d.From.String() != "2023Q1" || d.To.String() != "2025Q4" {
		t.Errorf("lineage %s, V %g, window %s to %s", d.Lineage, d.V, d.From, d.To)
	}
	sets, cells := map[string]int{}, 0
	admitted := d.AdmittedSets()
	for _, s := range admitted {
		cells += s.Set.NominalCells(d)
		for _, cube := range s.Cubes {
			sets[cube]++
		}
	}
	if len(admitted) != 73 || sets["pathways"] != 39 || sets["overlap"] != 18 || sets["volume"] != 26 || sets["outcomes"] != 4 || cells != 16139 {
		t.Errorf("%d grouping sets, %v by cube, %d cells; want 73, 39 of pathways, 18 of overlap, 26 of volume, 4 of outcomes, 16139", len(admitted), sets, cells)
	}
}

func TestDemoDimensions(t *testing.T) {
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name        string
		nodes       int
		kind        gateway.DimensionKind
		first, last string
		number      uint16 // of the last
	}{
		{"region", 20, gateway.Partition, "10", "79", 20},
		{"age_first", 4, gateway.Partition, "Y0T4", "Y15T17", 4},
		{"sex", 2, gateway.Partition, "F", "M", 2},
		{"first_sector", 6, gateway.Partition, "police", "helpline", 6},
		{"reached", 4, gateway.Partition, "yes", "no_start", 4},
		{"sector", 6, gateway.Multi, "police", "helpline", 6},
		{"quarter", 12, gateway.Multi, "2023Q1", "2025Q4", 2025*4 + 3},
		{"event_region", 20, gateway.Multi, "10", "79", 20},
		{"event_age", 4, gateway.Multi, "Y0T4", "Y15T17", 4},
	} {
		dim := d.Dimension(want.name)
		if dim == nil {
			t.Errorf("no dimension %s", want.name)
			continue
		}
		last := dim.Nodes[len(dim.Nodes)-1]
		if len(dim.Nodes) != want.nodes || dim.Kind != want.kind || dim.Nodes[0].Code != want.first ||
			last.Code != want.last || last.Number != want.number {
			t.Errorf("%s: %d nodes of kind %s from %s to %v", want.name, len(dim.Nodes), dim.Kind, dim.Nodes[0].Code, last)
		}
	}
	reached := d.Dimension("reached")
	if !reached.Sensitive || reached.Omitted != gateway.ReachedYes || reached.Source.Days != 30 || reached.Source.Start != "police" ||
		!slices.Equal(reached.Source.Targets["social"], []string{"assessment_date", "service_start_date"}) {
		t.Errorf("reached is %+v", reached)
	}
}

// A number of a node is the number that rows hold.
func TestNodesHaveTheNumbersOfTheirCodes(t *testing.T) {
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, dim := range d.Dimensions {
		if dim.Source.Column == "" {
			continue
		}
		for _, c := range contracts(t) {
			list := stored(c, dim.Source.Column).List
			for _, n := range dim.Nodes {
				if list.Code(n.Number) != n.Code {
					t.Errorf("%s: node %s has the number of %s", dim.Name, n.Code, list.Code(n.Number))
				}
			}
		}
	}
}

// Coarser nodes stand before their leaves, which name them.
func TestGroupedDimension(t *testing.T) {
	all, err := LoadContracts(small(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := LoadDefinition(small(t), "tiny", all)
	if err != nil {
		t.Fatal(err)
	}
	place := d.Dimension("place")
	if len(place.AtLevel(0)) != 1 || len(place.AtLevel(1)) != 2 || place.Nodes[0].Code != "HALF" || place.Node("12").Parent != "HALF" {
		t.Errorf("nodes %+v", place.Nodes)
	}
	if place.Node("10") != nil {
		t.Error("a code that has expired is a node")
	}
	same, err := DefinitionFile("testdata/small/cubes/tiny.yaml")
	if err == nil {
		t.Errorf("a definition over other contracts was accepted: %v", same.Lineage)
	}
	demo, err := DefinitionFile("cubes/demo.yaml")
	if err != nil || demo.Lineage != "demo" {
		t.Errorf("reading the demo as a file: %v", err)
	}
}

// A child whose first sector is the police has a police report: that no report of
// it exists is impossible by definition.
func TestDemoDeclaresItsStructuralZeros(t *testing.T) {
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	want := []gateway.Fact{{Dimension: "first_sector", Node: "police"}, {Dimension: "reached", Node: gateway.ReachedNoStart}}
	if len(d.Impossible) != 1 || !slices.Equal(d.Impossible[0], want) {
		t.Errorf("structural zeros are %v, want %v", d.Impossible, want)
	}
	// Two of each pair of sectors, and one of each outcome of a path that starts in one.
	if len(d.Implied) != 10+2*15+36 {
		t.Errorf("%d implications, want 76", len(d.Implied))
	}
}
