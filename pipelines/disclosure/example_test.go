package disclosure_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// clinics is a release definition of two dimensions.
func clinics() *gateway.Definition {
	dim := func(name string, codes ...string) gateway.Dimension {
		d := gateway.Dimension{Name: name, Kind: gateway.Partition, Levels: []string{name}, Source: gateway.Source{Kind: gateway.ChildConst}}
		for i, code := range codes {
			d.Nodes = append(d.Nodes, gateway.Node{Code: code, Number: uint16(i + 1)})
		}
		return d
	}
	return &gateway.Definition{
		Lineage: "clinics", From: 2025 * 4, To: 2025*4 + 3, V: 50,
		Dimensions: []gateway.Dimension{dim("sex", "F", "M"), dim("age", "Y0T4", "Y5T9", "Y10T14", "Y15T17")},
		Cubes: []gateway.Cube{{
			ID: "visits", Grain: gateway.Children, Dimensions: []string{"sex", "age"}, Cap: 2,
			Measures: []gateway.Measure{gateway.CountChildren},
		}},
	}
}

// noise is a PRF under a key; a gateway gets one from its keyring.
func noise(label string, parts ...[]byte) uint64 {
	h := hmac.New(sha256.New, []byte("an example's key of thirty-two b"))
	h.Write([]byte(label))
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// Whether a definition's noise carries its cubes is known before anything is
// counted.
func ExamplePlan() {
	budget, err := disclosure.Plan(clinics())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(budget)
	// Output:
	// A 1.875, V needed 14.6, V declared 50; deviations up to 12 + 14; 15 cells in 4 grouping sets
	//   cube visits       A alone 1.875 (children only 1.875), adds 1.875
	//   cells of 0 dimensions: A 1.875, V needed 14.6
	//   cells of 1 dimensions: A 1.875, V needed 14.6
	//   cells of 2 dimensions: A 1.875, V needed 14.6
}

// A release from its counts to a table. The count of 4 and the zero look alike,
// and so does the cell that is hidden beside one of them.
func Example() {
	raw := disclosure.NewRaw(clinics())
	counts := map[string]map[string]uint64{
		"F": {"Y0T4": 210, "Y5T9": 330, "Y10T14": 4, "Y15T17": 190},
		"M": {"Y0T4": 240, "Y5T9": 310, "Y10T14": 290, "Y15T17": 0},
	}
	add := func(set gateway.GroupingSet, nodes []string, n uint64) {
		if n == 0 {
			return // only cells that are not empty are counted
		}
		err := raw.Add(set, nodes, disclosure.Count{Children: n, Key: n * 0x9e3779b97f4a7c15})
		if err != nil {
			log.Fatal(err)
		}
	}
	age, sex := gateway.SetDimension{Name: "age"}, gateway.SetDimension{Name: "sex"}
	bySex, byAge, total := map[string]uint64{}, map[string]uint64{}, uint64(0)
	for s, ages := range counts {
		for a, n := range ages {
			add(gateway.GroupingSet{age, sex}, []string{a, s}, n)
			bySex[s] += n
			byAge[a] += n
			total += n
		}
	}
	for s, n := range bySex {
		add(gateway.GroupingSet{sex}, []string{s}, n)
	}
	for a, n := range byAge {
		add(gateway.GroupingSet{age}, []string{a}, n)
	}
	add(gateway.GroupingSet{}, nil, total)

	published, err := disclosure.Protect(raw, disclosure.Release{
		ID: "clinics-1", Number: 1, Lineage: "clinics", Coverage: &gateway.Coverage{}, Noise: noise,
		Rules: gateway.ReleaseRules{
			Threshold: []float64{.15, .1, .1, .1, .1, .1, .1, .1, .1, .05}, ThresholdMin: 10,
			Share: 0.95, ShareBelow: 200, RecordCap: 20,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = disclosure.Protect(raw, disclosure.Release{})
	fmt.Println("again:", err)

	var stored bytes.Buffer
	err = published.Encode(&stored)
	if err != nil {
		log.Fatal(err)
	}
	served, err := disclosure.Decode(&stored)
	if err != nil {
		log.Fatal(err)
	}
	table, err := served.Ask(gateway.Question{Cube: "visits", Measure: gateway.CountChildren, GroupBy: []string{"age"}, Filter: map[string]string{"sex": "F"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(table.Label)
	for _, c := range table.Cells {
		if c.Value != nil {
			fmt.Println(c.Nodes[0], *c.Value)
		} else {
			fmt.Println(c.Nodes[0], c.Status)
		}
	}
	// Output:
	// again: the counted cells are used up: they are protected once
	// release=1|measure=children|age@age|sex=F
	// Y0T4 225
	// Y5T9 335
	// Y10T14 suppressed
	// Y15T17 suppressed
}
