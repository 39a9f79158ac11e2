package dp_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/dp"
)

// keyed stands for the lineage's keyed function, which the key ring hands out.
func keyed(_ string, parts ...[]byte) uint64 {
	sum := uint64(0)
	for _, p := range parts {
		for _, c := range p {
			sum = sum*31 + uint64(c)
		}
	}
	return sum
}

func definition() *gateway.Definition {
	return &gateway.Definition{
		Lineage: "web", V: 50,
		Dimensions: []gateway.Dimension{{
			Name: "sector", Kind: gateway.Multi, Levels: []string{"sector"},
			Nodes:  []gateway.Node{{Code: "police"}, {Code: "health", Number: 1}, {Code: "social", Number: 2}},
			Source: gateway.Source{Kind: gateway.EventSector},
		}},
		Cubes: []gateway.Cube{{
			ID: "web", Grain: gateway.Children, Dimensions: []string{"sector"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren},
		}},
	}
}

// A yearly public release: children by sector, each counting in at most two.
func Example() {
	ledger, err := dp.NewAccountant(dp.Budget{Lineage: "web", Limit: dp.Cost{Rho: dp.SuggestedRho}})
	if err != nil {
		fmt.Println(err)
		return
	}
	price, err := dp.ParseRho("0.04")
	if err != nil {
		fmt.Println(err)
		return
	}
	terms := dp.Terms{Cells: 2, Rho: price}
	fmt.Println("costs rho", terms.Cost().Rho, "of", ledger.Remaining().Rho, "and has a variance of", terms.Variance())

	h, err := dp.NewHistogram(&dp.HistogramOptions{
		Definition: definition(), Release: "web-1", Set: gateway.GroupingSet{{Name: "sector"}},
		Measure: gateway.CountChildren, Terms: terms, Bound: keyed,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for subject := range uint64(1000) {
		err = h.Add(dp.ChildKey(subject), []dp.Contribution{{Nodes: []string{"health"}}})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(h)

	answer, err := ledger.Publish(h, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range answer.Values {
		truth := map[string]int64{"health": 1000}[v.Nodes[0]]
		fmt.Println(v.Nodes[0], "is within 60 of the truth:", v.Value > truth-60 && v.Value < truth+60)
	}
	_, err = ledger.Publish(h, rand.Reader)
	fmt.Println(err)
	fmt.Printf("epsilon %.2f at delta %g\n", ledger.Spent().Epsilon(dp.ReportDelta), dp.ReportDelta)
	// Output:
	// costs rho 0.04 of 0.1 and has a variance of 25
	// dp.Histogram(withheld)
	// police is within 60 of the truth: true
	// health is within 60 of the truth: true
	// social is within 60 of the truth: true
	// the histogram is used up: it is published once
	// epsilon 1.30 at delta 1e-06
}

// What profile B's noise would cost if it were Gaussian.
func ExampleShadow() {
	exposure, err := dp.Shadow(definition())
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = json.NewEncoder(os.Stdout).Encode(exposure)
	// Output:
	// {"note":"indicator, not a guarantee","sets":[{"set":"","cells":1,"exposed":"0.01 (indicator, not a guarantee)"},{"set":"sector@sector","cells":3,"exposed":"0.03 (indicator, not a guarantee)"}],"total":"0.04 (indicator, not a guarantee)"}
}
