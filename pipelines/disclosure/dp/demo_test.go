package dp

import (
	"errors"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
)

// The definition that ships: every grouping set of it can be a histogram, with the
// cells of its code lists, and it cannot be a release of profile B and of profile C.
func TestTheDemoDefinition(t *testing.T) {
	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Shadow(d)
	if err != nil {
		t.Fatal(err)
	}
	admitted := d.AdmittedSets()
	for i, a := range admitted {
		if i%7 != 0 && i != len(admitted)-1 {
			continue // each NewHistogram lists all sets; a seventh of them shows it
		}
		for _, m := range a.Measures {
			terms := Terms{Cells: min(reach(d, a.Set), 3), Rho: SuggestedRho}
			if m == gateway.CountRecords {
				terms.High = 20
			}
			h, err := NewHistogram(&HistogramOptions{Definition: d, Release: "demo-1", Set: a.Set, Measure: m, Terms: terms, Bound: bound})
			if err != nil {
				t.Fatalf("%s: %v", a.Set.Key(d), err)
			}
			if h.plan.cells() != a.Set.NominalCells(d) || h.Question().Set != e.Sets[i].Set {
				t.Errorf("%s: %d cells", a.Set.Key(d), h.plan.cells())
			}
		}
	}
	t.Logf("%d sets, %v", len(e.Sets), e.Total)
	web, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	web.Lineage = "web"
	if err := SharesCells(d, web); !errors.Is(err, gateway.Conflict) {
		t.Errorf("the same cubes under another lineage: %v", err)
	}
}
