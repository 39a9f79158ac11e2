package policies_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

func subject(t *testing.T) policies.Subject {
	t.Helper()
	contracts, err := configs.Contracts()
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := configs.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	return policies.Subject{Contracts: contracts, Definitions: definitions, Actions: gateway.Actions()}
}

// edit returns the shipped policies with one text of their data changed.
func edit(t *testing.T, from, to string) *policies.Set {
	t.Helper()
	text := string(shipped(t, nil)["data.json"].Data)
	if strings.Count(text, from) != 1 {
		t.Fatalf("data.json does not hold %q once", from)
	}
	return compiled(t, map[string]string{"data.json": strings.Replace(text, from, to, 1)})
}

// What an officer reads of a change, and that the way back is the other way.
func TestCompare(t *testing.T) {
	about, base := subject(t), compiled(t, nil)
	for name, c := range map[string]struct {
		set       *policies.Set
		want      string // the first change
		direction policies.Direction
		back      policies.Direction
	}{
		"a diagnosis of four characters": {
			edit(t, `"diagnosis_characters": 3`, `"diagnosis_characters": 4`),
			"health.icd10_main: generalise to 3 characters → generalise to 4 characters — weaker", policies.Weaker, policies.Stronger,
		},
		"finer bands": {
			edit(t, `"days_absent_30d": [0, 1, 4, 11]`, `"days_absent_30d": [0, 1, 2, 4, 11]`),
			"education.days_absent_30d: generalise to bands from 0 1 4 11 → generalise to bands from 0 1 2 4 11 — weaker", policies.Weaker, policies.Stronger,
		},
		"keys of names": {
			edit(t, `"fallback_key": {"domain": "child_name", "contracts": []}`, `"fallback_key": {"domain": "child_name", "contracts": ["helpline"]}`),
			"helpline.child_iin: pseudonymise in the domain child → pseudonymise in the domain child, by names in the domain child_name where there is none — weaker",
			policies.Weaker, policies.Stronger,
		},
		"other bands": {
			edit(t, `"days_absent_30d": [0, 1, 4, 11]`, `"days_absent_30d": [0, 2, 4, 11]`),
			"education.days_absent_30d: generalise to bands from 0 1 4 11 → generalise to bands from 0 2 4 11 — other", policies.Other, policies.Other,
		},
		"an earlier responsibility": {
			edit(t, `"responsible_from": 14`, `"responsible_from": 12`),
			"justice: rows of IN_CONFLICT_TOO_YOUNG: ", policies.Other, policies.Other,
		},
		"a higher threshold": {
			edit(t, `"threshold_from": 10`, `"threshold_from": 11`),
			"release demo: threshold: from 10 by the law", policies.Stronger, policies.Weaker,
		},
		"a smaller share": {
			edit(t, `"share": 0.95`, `"share": 0.96`), "floor share", "", "",
		},
		"a lower cap": {
			edit(t, `"record_cap": 20`, `"record_cap": 10`),
			"release demo: record cap: 20 → 10 — stronger", policies.Stronger, policies.Weaker,
		},
		"more noise": {
			edit(t, `"variance_least": 50`, `"variance_least": 60`),
			"release demo: least variance of the noise: 50 → 60 — stronger", policies.Stronger, policies.Weaker,
		},
		"questions to what is not approved": {
			edit(t, `"readable_by_researchers": ["approved"]`, `"readable_by_researchers": ["approved", "built"]`),
			"access: researcher release.read: ", policies.Weaker, policies.Stronger,
		},
		"places in full": {
			edit(t, `"area_characters": 2`, `"area_characters": 4`), "floor area", "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			changes, err := policies.Compare(t.Context(), base, c.set, about)
			if c.direction == "" {
				if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("below a floor: %v", err)
				}
				return
			}
			if err != nil || len(changes) == 0 {
				t.Fatalf("%v, %v", changes, err)
			}
			if got := changes[0].String(); !strings.HasPrefix(got, c.want) || changes[0].Direction != c.direction {
				t.Errorf("first: %s", got)
			}
			back, err := policies.Compare(t.Context(), c.set, base, about)
			if err != nil || len(back) != len(changes) {
				t.Fatalf("back: %v, %v", back, err)
			}
			if back[0].Direction != c.back || back[0].Before != changes[0].After && len(changes) == 1 {
				t.Errorf("back: %s", back[0])
			}
		})
	}
	if none, err := policies.Compare(t.Context(), base, compiled(t, nil), about); err != nil || none != nil {
		t.Errorf("the same set: %v, %v", none, err)
	}
}

// Weakest first, whatever comes of it.
func TestCompareOrder(t *testing.T) {
	data := string(shipped(t, nil)["data.json"].Data)
	for from, to := range map[string]string{
		`"record_cap": 20`: `"record_cap": 10`, `"diagnosis_characters": 3`: `"diagnosis_characters": 4`, `"days_absent_30d": [0, 1, 4, 11]`: `"days_absent_30d": [0, 2]`,
	} {
		data = strings.Replace(data, from, to, 1)
	}
	changes, err := policies.Compare(t.Context(), compiled(t, nil), compiled(t, map[string]string{"data.json": data}), subject(t))
	if err != nil {
		t.Fatal(err)
	}
	var order []policies.Direction
	for _, c := range changes {
		order = append(order, c.Direction)
	}
	if got := slices.Compact(order); !slices.Equal(got, []policies.Direction{policies.Weaker, policies.Other, policies.Stronger}) {
		t.Errorf("%v", changes)
	}
}

// The first policies are read in full: a line for every field and every action that
// somebody may do.
func TestCompareWithNothing(t *testing.T) {
	about := subject(t)
	changes, err := policies.Compare(t.Context(), nil, compiled(t, nil), about)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.What] = true
		if c.Before != "" || c.After == "" {
			t.Errorf("%+v", c)
		}
	}
	for _, c := range about.Contracts {
		for _, f := range c.Fields {
			if !seen[string(c.ID)+"."+string(f.Name)] {
				t.Errorf("nothing is said of %s.%s", c.ID, f.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(about.Definitions)) {
		if !seen["release "+name+": threshold"] {
			t.Errorf("nothing is said of release %s", name)
		}
	}
	if !seen["access: agency batch.upload"] || !seen["access: officer audit.read"] {
		t.Error("nothing is said of access")
	}
}

// A contract that is in use stays acceptable.
func TestCompareRefusesToLoseAContract(t *testing.T) {
	set := edit(t, `"count": ["integer"],`, `"count": ["code"],`)
	_, err := policies.Compare(t.Context(), compiled(t, nil), set, subject(t))
	if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}
