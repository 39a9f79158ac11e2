package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// planWith plans the school contract with another decision about one field, on
// top of the shipped ones.
func planWith(t *testing.T, name, decision string) (gateway.Plan, error) {
	t.Helper()
	own := string(shipped(t, nil)["ingest/plan.rego"].Data)
	changes := map[string]string{
		"ingest/shipped.rego": strings.Replace(own, "\npackage ingest\n", "\npackage ingest.shipped\n", 1),
		"ingest/plan.rego": "package ingest\n\nimport data.ingest.shipped\n\n" +
			"plan[name] := treatment if {\n\tsome name, treatment in shipped.plan\n\tname != \"" + name + "\"\n}\n\n" +
			"plan[\"" + name + "\"] := " + decision + "\n",
	}
	return planner(t, merged(acceptAll, changes)).Plan(t.Context(), school(t))
}

func TestPlanOfEveryType(t *testing.T) {
	s := planner(t, acceptAll)
	plan, err := s.Plan(t.Context(), school(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []gateway.FieldPlan{
		{Field: "record_id", Do: gateway.Pseudonymise, Domain: "record"},
		{Field: "child_iin", Do: gateway.Pseudonymise, Domain: "child"},
		{Field: "family_name"},
		{Field: "born", Do: gateway.Generalise},
		{Field: "years", Do: gateway.Generalise},
		{Field: "happened", Do: gateway.Generalise, Day: true},
		{Field: "reported", Do: gateway.Generalise, Day: true},
		{Field: "sex", Do: gateway.Keep},
		{Field: "place", Do: gateway.Generalise, Keep: 2},
		{Field: "illness", Do: gateway.Generalise, Keep: 3},
		{Field: "kind", Do: gateway.Keep},
		{Field: "other", Do: gateway.Keep},
		{Field: "many", Do: gateway.Keep},
		{Field: "days", Do: gateway.Generalise, Cuts: []int{0, 1, 4, 11}},
		{Field: "weeks", Do: gateway.Keep},
		{Field: "legal_basis", Do: gateway.Keep},
		{Field: "consent_reporting", Do: gateway.Keep},
		{Field: "narrative"},
	}
	if diff := cmp.Diff(want, plan.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if len(plan.Because) != len(want) || plan.Because[2] != "Names are dropped: no count needs them." {
		t.Errorf("because %q", plan.Because)
	}
}

// Changing one treatment in a .rego file changes that field of the plan, the
// revision, and nothing else.
func TestChangingATreatmentChangesThePlan(t *testing.T) {
	before, err := planner(t, acceptAll).Plan(t.Context(), school(t))
	if err != nil {
		t.Fatal(err)
	}
	change := edited(t, "ingest/codes.rego", "treatment[\"sensitive\"] := {\n\t\"do\": \"keep\",", "treatment[\"sensitive\"] := {\n\t\"do\": \"drop\",")
	after, err := planner(t, merged(acceptAll, change)).Plan(t.Context(), school(t))
	if err != nil {
		t.Fatal(err)
	}
	if before.Revision == after.Revision {
		t.Error("the revision is the same")
	}
	want := before
	want.Revision = after.Revision
	want.Fields = append([]gateway.FieldPlan(nil), before.Fields...)
	for i := range want.Fields {
		if want.Fields[i].Field == "kind" {
			want.Fields[i].Do = gateway.Drop
		}
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// A number in data.json is a treatment too.
func TestChangingANumberChangesThePlan(t *testing.T) {
	change := edited(t, "data.json", `"default": [0, 1, 4, 11]`, `"default": [0, 7], "school": {"days": [0, 15]}`)
	plan, err := planner(t, merged(acceptAll, change)).Plan(t.Context(), school(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(gateway.FieldPlan{Field: "days", Do: gateway.Generalise, Cuts: []int{0, 15}}, plan.Fields[13]); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
}

func TestPlanBelowAFloorIsRefused(t *testing.T) {
	for _, c := range []struct{ field, decision, floor string }{
		{"record_id", `{"do": "keep", "because": "x"}`, "direct-identifier"},
		{"record_id", `{"do": "generalise", "keep": 3, "because": "x"}`, "direct-identifier"},
		{"child_iin", `{"do": "keep", "because": "x"}`, "direct-identifier"},
		{"child_iin", `{"do": "generalise", "keep": 6, "because": "x"}`, "direct-identifier"},
		{"family_name", `{"do": "keep", "because": "x"}`, "direct-identifier"},
		{"child_iin", `{"do": "pseudonymise", "domain": "record", "because": "x"}`, "iin"},
		{"record_id", `{"do": "pseudonymise", "domain": "child", "because": "x"}`, "iin"},
		{"child_iin", `{"do": "pseudonymise", "domain": "child", "fallback": "child", "because": "x"}`, "fallback"},
		{"child_iin", `{"do": "pseudonymise", "domain": "child", "fallback": "record", "because": "x"}`, "fallback"},
		{"record_id", `{"do": "pseudonymise", "domain": "record", "fallback": "child_name", "because": "x"}`, "fallback"},
		{"family_name", `{"do": "pseudonymise", "domain": "record", "because": "x"}`, "free-text"},
		{"narrative", `{"do": "pseudonymise", "domain": "record", "because": "x"}`, "free-text"},
		{"happened", `{"do": "keep", "because": "x"}`, "exact-date"},
		{"reported", `{"do": "pseudonymise", "domain": "record", "because": "x"}`, "exact-date"},
		{"born", `{"do": "keep", "because": "x"}`, "birth-date"},
		{"years", `{"do": "keep", "because": "x"}`, "birth-date"},
		{"place", `{"do": "keep", "because": "x"}`, "area"},
		{"place", `{"do": "generalise", "keep": 4, "because": "x"}`, "area"},
		{"place", `{"do": "generalise", "keep": 0, "because": "x"}`, "area"},
		{"place", `{"do": "generalise", "because": "x"}`, "area"},
	} {
		_, err := planWith(t, c.field, c.decision)
		refusal(t, err, "floor "+c.floor+":", "school."+c.field)
	}
}

// A contract cannot class its way past a floor.
func TestFloorsDoNotRelyOnTheClass(t *testing.T) {
	s := planner(t, acceptAll)
	for name, floor := range map[gateway.FieldName]string{
		"record_id": "direct-identifier", "child_iin": "direct-identifier", "family_name": "", "happened": "exact-date",
		"born": "birth-date", "years": "birth-date", "place": "area",
	} {
		c := school(t)
		f := c.Field(name)
		f.Class, f.Role, c.Version = "admin", gateway.RoleAdmin, 2
		if name == "family_name" {
			f.Column, floor = "family_name", "free-text"
		}
		_, err := planner(t, acceptAll).Plan(t.Context(), c)
		refusal(t, err, "floor "+floor+":")
	}
	c := school(t)
	c.Field("kind").Role = gateway.RoleDirect
	_, err := s.Plan(t.Context(), c)
	refusal(t, err, "floor direct-identifier:", "school.kind")
}

func TestFloorsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range policies.Floors() {
		if seen[f.Name] || f.Name == "" || f.Text == "" {
			t.Errorf("floor %q: %q", f.Name, f.Text)
		}
		seen[f.Name] = true
	}
	if len(seen) != 13 {
		t.Errorf("%d floors, and policies/README.md lists 13", len(seen))
	}
}

// What is not a plan is refused, whatever it is.
func TestPlanIsDistrusted(t *testing.T) {
	for _, c := range []struct{ field, decision, want string }{
		{"kind", `{"do": "keep", "because": "x", "also": 1}`, `unknown key "also"`},
		{"kind", `{"Do": "keep", "because": "x"}`, `unknown key "Do"`},
		{"kind", `{"do": "hide", "because": "x"}`, `"hide" is not an action`},
		{"kind", `{"because": "x"}`, `"" is not an action`},
		{"kind", `{"do": "keep"}`, "does not say why"},
		{"kind", `{"do": "keep", "because": " "}`, "does not say why"},
		{"kind", `{"do": 1, "because": "x"}`, "school.kind"},
		{"kind", `"keep"`, "not an object"},
		{"kind", `null`, "not an object"},
		{"kind", `{"do": "keep", "keep": 1, "because": "x"}`, "parameters"},
		{"kind", `{"do": "keep", "domain": "child", "because": "x"}`, "domain"},
		{"kind", `{"do": "drop", "day": true, "because": "x"}`, "parameters"},
		{"kind", `{"do": "generalise", "because": "x"}`, "1 to 16 characters"},
		{"kind", `{"do": "generalise", "keep": -1, "because": "x"}`, "1 to 16 characters"},
		{"kind", `{"do": "generalise", "keep": 1.5, "because": "x"}`, "school.kind"},
		{"kind", `{"do": "generalise", "keep": 2, "day": true, "because": "x"}`, "only dates"},
		{"kind", `{"do": "generalise", "keep": 2, "cuts": [0], "because": "x"}`, "only integers"},
		{"kind", `{"do": "pseudonymise", "domain": "record", "because": "x"}`, "only identifiers"},
		{"many", `{"do": "generalise", "keep": 1, "because": "x"}`, "single code"},
		{"days", `{"do": "generalise", "because": "x"}`, "bands"},
		{"days", `{"do": "generalise", "cuts": [], "because": "x"}`, "bands"},
		{"days", `{"do": "generalise", "cuts": [1, 2], "because": "x"}`, "bands"},
		{"days", `{"do": "generalise", "cuts": [0, 2, 2], "because": "x"}`, "bands"},
		{"days", `{"do": "generalise", "cuts": [0], "keep": 1, "because": "x"}`, "only codes"},
		{"record_id", `{"do": "pseudonymise", "because": "x"}`, "needs a domain"},
		{"record_id", `{"do": "pseudonymise", "domain": "Ü", "because": "x"}`, "needs a domain"},
		{"happened", `{"do": "drop", "because": "x"}`, "event's date"},
		{"unheard_of", `{"do": "drop", "because": "x"}`, "does not have"},
	} {
		_, err := planWith(t, c.field, c.decision)
		refusal(t, err, c.want)
	}
}

// A policy that gives no answer, two, or a garbled one leaves no plan.
func TestPlanNeedsOneAnswer(t *testing.T) {
	for name, c := range map[string]struct{ plan, want string }{
		"undefined": {"plan := 1 if false", "no answer"},
		"missing":   {"other := 1", "no answer"},
		"a number":  {"plan := 1", "no answer"},
		"a set":     {"plan contains 1", "no answer"},
		"empty":     {"plan := {}", "says nothing about"},
		"conflict": {
			"plan[f.name] := t if {\n\tsome f in input.contract.fields\n\tsome t in [{\"do\": \"drop\"}, {\"do\": \"keep\"}]\n}",
			"eval_conflict_error",
		},
		"built-in error": {"plan[f.name] := to_number(f.name) if some f in input.contract.fields", "to_number"},
	} {
		t.Run(name, func(t *testing.T) {
			s := planner(t, merged(acceptAll, map[string]string{
				"ingest/plan.rego": "package ingest\n\n" + c.plan + "\n",
			}))
			_, err := s.Plan(t.Context(), school(t))
			refusal(t, err, c.want)
		})
	}
}

func TestPlanHasADeadline(t *testing.T) {
	s := planner(t, merged(acceptAll, map[string]string{
		"ingest/plan.rego": "package ingest\n\nplan := count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); some c in numbers.range(1, 3000); a + b == c])\n",
	}))
	start := time.Now()
	if _, err := s.Plan(t.Context(), school(t)); err == nil {
		t.Error("a plan that takes for ever was made")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// One evaluation serves all, and who asks first may hang up.
func TestPlanIsMadeOnce(t *testing.T) {
	s := planner(t, acceptAll)
	c := school(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	first, err := s.Plan(gone, c)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			plan, err := s.Plan(t.Context(), school(t))
			if err != nil || &plan.Fields[0] != &first.Fields[0] {
				t.Errorf("the plan was made again: %v", err)
			}
		})
	}
	wait.Wait()
}

// A version of a contract is one contract.
func TestPlanRefusesAnotherContractOfTheSameVersion(t *testing.T) {
	s := planner(t, acceptAll)
	if _, err := s.Plan(t.Context(), school(t)); err != nil {
		t.Fatal(err)
	}
	changed := school(t)
	changed.Field("kind").List = codes(t, "letters", "A", "B")
	for _, c := range []*gateway.Contract{without(school(t), "kind"), changed} {
		if _, err := s.Plan(t.Context(), c); !errors.Is(err, gateway.Conflict) {
			t.Errorf("got %v", err)
		}
	}
	changed.Version = 2
	if _, err := s.Plan(t.Context(), changed); err != nil {
		t.Error(err)
	}
}

// Whatever a policy answers, what comes back is a plan above the floors: no direct
// identifier in clear, no date as it is, no text.
func FuzzPlan(f *testing.F) {
	for _, seed := range []string{
		`{"do": "keep", "because": "x"}`, `{"do": "pseudonymise", "domain": "child", "because": "x"}`,
		`{"do": "generalise", "day": true, "because": "x"}`, `{"do": "generalise", "keep": 2, "because": "x"}`,
		`{"do": "generalise", "cuts": [0, 1], "because": "x"}`, `{"do": "drop", "because": "x"}`, `[]`, `1`, `{"Do": "keep"}`,
	} {
		f.Add(seed)
	}
	ask := "package ingest\n\nplan[f.name] := data.parameters.fuzz if some f in input.contract.fields\n"
	f.Fuzz(func(t *testing.T, decision string) {
		if !json.Valid([]byte(decision)) {
			t.Skip()
		}
		s, err := policies.Compile(t.Context(), planning(t, merged(acceptAll, map[string]string{
			"ingest/plan.rego": ask,
			"data.json":        `{"parameters": {"fuzz": ` + decision + `}}`,
		})))
		if err != nil {
			t.Skip()
		}
		for _, field := range school(t).Fields {
			c := &gateway.Contract{ID: "school", Version: 1, Fields: []gateway.Field{
				field, {Name: "days", Type: gateway.TypeInteger, Max: 30, Column: "days"},
			}}
			if field.Name == "days" {
				c.Fields = c.Fields[:1]
			}
			c.Version = int(field.Name[0])<<16 + int(field.Name[len(field.Name)-1])<<8 + len(field.Name)
			plan, err := s.Plan(t.Context(), c)
			if err != nil {
				continue
			}
			do := plan.Fields[0].Do
			kept := do == gateway.Keep
			if (field.Role == gateway.RoleDirect && kept) || (field.Type == gateway.TypeText && do != gateway.Drop) ||
				(kept && field.Type != gateway.TypeCode && field.Type != gateway.TypeInteger) {
				t.Errorf("%s: %s by %s", field.Name, do, decision)
			}
		}
	})
}
