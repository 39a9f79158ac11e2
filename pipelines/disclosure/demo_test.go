package disclosure

import (
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// flat returns a dimension of one level with n codes.
func flat(name string, kind gateway.DimensionKind, source gateway.SourceKind, codes ...string) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: kind, Levels: []string{name}, Source: gateway.Source{Kind: source}}
	for i, code := range codes {
		d.Nodes = append(d.Nodes, gateway.Node{Code: code, Number: uint16(i + 1)})
	}
	return d
}

var (
	demoSectors = []string{"police", "health", "education", "social", "justice", "helpline"}
	demoAges    = []string{"Y0T4", "Y5T9", "Y10T14", "Y15T17"}
	// KATO's 20 regions with the number of children in thousands, roughly as the
	// Bureau of National Statistics has them for 2024; only the proportions matter.
	demoRegions = []string{"10", "11", "15", "19", "23", "27", "31", "33", "35", "39", "43", "47", "55", "59", "61", "62", "63", "71", "75", "79"}
	demoWeights = []int{180, 230, 330, 560, 270, 230, 470, 250, 330, 200, 340, 330, 200, 120, 950, 75, 180, 460, 600, 480}
)

// demo returns the two cubes of the demonstration.
func demo() *gateway.Definition {
	region := flat("region", gateway.Partition, gateway.ChildMost, demoRegions...)
	region.Source.Column = gateway.ColumnRegion
	eventRegion := flat("event_region", gateway.Multi, gateway.EventColumn, demoRegions...)
	eventRegion.Source.Column = gateway.ColumnRegion
	reached := flat("reached", gateway.Partition, gateway.ReachedIn, gateway.ReachedYes, gateway.ReachedNo, gateway.ReachedCannotTell, gateway.ReachedNoStart)
	reached.Omitted = gateway.ReachedYes
	var quarters []string
	for y := range 3 {
		for q := range 4 {
			quarters = append(quarters, fmt.Sprintf("%dQ%d", 2023+y, q+1))
		}
	}
	from, _ := gateway.ParseQuarter("2023Q1")
	to, _ := gateway.ParseQuarter("2025Q4")
	return &gateway.Definition{
		Lineage: "demo", From: from, To: to, V: 50,
		Dimensions: []gateway.Dimension{
			region,
			flat("age_first", gateway.Partition, gateway.ChildFirst, demoAges...),
			flat("sex", gateway.Partition, gateway.ChildConst, "F", "M"),
			flat("first_sector", gateway.Partition, gateway.FirstSector, demoSectors...),
			reached,
			flat("sector", gateway.Multi, gateway.EventSector, demoSectors...),
			flat("quarter", gateway.Multi, gateway.EventQuarter, quarters...),
			eventRegion,
			flat("event_age", gateway.Multi, gateway.EventColumn, demoAges...),
		},
		Cubes: []gateway.Cube{
			{
				ID: "pathways", Grain: gateway.Children, Cap: 4,
				Dimensions: []string{"region", "age_first", "sex", "first_sector", "reached", "sector"},
				Apart:      [][]string{{"sector", "first_sector"}, {"sector", "reached"}},
				Measures:   []gateway.Measure{gateway.CountChildren},
			},
			{
				ID: "volume", Grain: gateway.Events, Cap: 3,
				Dimensions: []string{"sector", "quarter", "event_region", "event_age", "sex"},
				Measures:   []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
			},
		},
	}
}
