package configs_test

import (
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
)

// What the evaluation asked for by name has a code of its own, and can be crossed with
// the place; services and their costs can be asked for each region.
func TestEvaluationLattice(t *testing.T) {
	d, err := configs.Definition("evaluation")
	if err != nil {
		t.Fatal(err)
	}
	b := budget(t, d)
	if !near(b.A, 5.318, 0.001) || b.Needed > d.V {
		t.Errorf("A is %.4f and needs V %.2f, which is a change of what a release gives away", b.A, b.Needed)
	}
	for dimension, codes := range map[string][]string{
		"harm_form": {"CORPORAL_PUNISHMENT", "PSYCHOLOGICAL", "BULLYING", "SELF_HARM"},
		"setting":   {"HOME", "KINDERGARTEN", "DAY_CARE", "SCHOOL"},
	} {
		for _, code := range codes {
			if d.Dimension(dimension).Node(code) == nil {
				t.Errorf("%s has no %s", dimension, code)
			}
		}
	}
	sets := map[string]gateway.AdmittedSet{}
	for _, a := range d.AdmittedSets() {
		sets[a.Set.Key(d)] = a
	}
	for _, key := range []string{
		"harm_form@form|setting@setting", "event_region@region|harm_form@form|setting@setting", "harm_form@form|setting@setting|year@year",
	} {
		if sets[key].Set == nil {
			t.Errorf("%s cannot be asked", key)
		}
	}
	if set := sets["event_region@region|sector@sector|service@service"]; len(set.Values) != 1 || set.Values[0] != "service_cost" {
		t.Errorf("costs by service and region: %+v", set)
	}
}

// A service is of social protection alone: with the sector or without, it is one label.
func TestServicesImplyTheirSector(t *testing.T) {
	d, err := configs.Definition("evaluation")
	if err != nil {
		t.Fatal(err)
	}
	services := d.Dimension("service").Nodes
	if len(services) == 0 || len(d.Implied) != len(services) {
		t.Fatalf("%d services, %d implications", len(services), len(d.Implied))
	}
	for i, m := range d.Implied {
		want := gateway.Implication{If: gateway.Fact{Dimension: "service", Node: services[i].Code}, Then: gateway.Fact{Dimension: "sector", Node: "social"}}
		if m != want {
			t.Errorf("%+v", m)
		}
	}
}
