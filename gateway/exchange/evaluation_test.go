package exchange_test

import (
	"math"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// What the evaluation asked to see can be asked: forms of violence by setting, at the
// centre and in a region by the same cube, and the cost per child served by service and
// region. Each answer is within its noise of the truth, computed in plain Go from the
// files; nine standard deviations, so a false alarm is rarer than 1e-15 a cell.
func TestWhatTheEvaluationAsked(t *testing.T) {
	d, err := configs.Definition("evaluation")
	ok(t, err)
	g := newExchange(t, func(o *exchange.Options) { o.Definitions["evaluation"] = d })
	c, content, err := country(synth.Options{Children: 24000, Seed: 9})
	ok(t, err)
	for contract, file := range content {
		g.send(t, contract, "k", file)
	}
	release, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "evaluation"})
	ok(t, err)
	g.approve(t, release)
	truth, err := c.Truth(d, c.Coverage())
	ok(t, err)
	totals, err := truth.Values(nil)
	ok(t, err)

	for _, filter := range []map[string]string{nil, {"event_region": "75"}, {"setting": "HOME"}, {"setting": "KINDERGARTEN"}} {
		table := g.tableFor(t, release.ID, gateway.Question{
			Cube: "forms", Measure: gateway.CountChildren, GroupBy: []string{"harm_form"}, Filter: filter, Purpose: purpose,
		})
		seen := 0
		for _, cell := range table.Cells {
			if cell.Value == nil {
				continue
			}
			seen++
			label := "harm_form=" + cell.Nodes[0]
			if filter["event_region"] != "" {
				label = "event_region=75|" + label
			} else if filter["setting"] != "" {
				label += "|setting=" + filter["setting"]
			}
			exact := float64(truth.Cells[label].Children)
			if math.Abs(float64(*cell.Value)-exact) > 9*math.Sqrt(table.Variance) {
				t.Errorf("%s: published %d, true %g", label, *cell.Value, exact)
			}
		}
		if seen < 3 && filter["setting"] != "KINDERGARTEN" {
			t.Errorf("%v: %d cells are shown", filter, seen)
		}
	}
	for _, region := range []string{"", "75"} {
		filter := map[string]string{"sector": "social"}
		prefix := ""
		if region != "" {
			filter["event_region"], prefix = region, "event_region="+region+"|"
		}
		table := g.tableFor(t, release.ID, gateway.Question{
			Cube: "services", Measure: "service_cost.mean", GroupBy: []string{"service"}, Filter: filter, Purpose: purpose,
		})
		seen := 0
		for _, cell := range table.Cells {
			if cell.Estimate == nil {
				continue
			}
			seen++
			total := totals["service_cost"][prefix+"sector=social|service="+cell.Nodes[0]]
			mean := float64(total.Sum) / float64(total.Children)
			if math.Abs(cell.Estimate.Float()-mean) > 9*cell.SD.Float() {
				t.Errorf("%s %s: %s ± %s a child, true %g of %d", region, cell.Nodes[0], cell.Estimate, cell.SD, mean, total.Children)
			}
			t.Logf("%s %s: %s ± %s thousand tenge a child, true %.1f of %d", region, cell.Nodes[0], cell.Estimate, cell.SD, mean, total.Children)
		}
		if seen < 3 && region == "" {
			t.Errorf("%d services have a cost", seen)
		}
	}
}
