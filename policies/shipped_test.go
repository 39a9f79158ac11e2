package policies_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

func embedded(t *testing.T) *policies.Set {
	t.Helper()
	s, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func contracts(t *testing.T) []*gateway.Contract {
	t.Helper()
	all, err := configs.Contracts()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 {
		t.Fatalf("%d contracts, want six sectors", len(all))
	}
	return all
}

// The folder that officers read is the set that the binary carries.
func TestFolderIsEmbeddedSet(t *testing.T) {
	folder, err := policies.Compile(t.Context(), os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := folder.Revision(), embedded(t).Revision(); got != want {
		t.Errorf("the folder's revision is %s, the embedded one %s", got, want)
	}
}

func TestShippedPoliciesPassTheirTests(t *testing.T) {
	report, err := embedded(t).Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Files {
		if f.Failed > 0 {
			t.Errorf("%s: %d tests failed: %s", f.Name, f.Failed, strings.Join(f.Failures, ", "))
		}
		if len(f.Uncovered) > 0 {
			t.Errorf("%s: no test reaches lines %v", f.Name, f.Uncovered)
		}
	}
	if !report.OK() || report.Coverage != 100 {
		t.Errorf("%d passed, %d failed, coverage %.1f %%", report.Passed, report.Failed, report.Coverage)
	}
}

// An officer can read why each rule is there: packages and public rules have prose.
func TestShippedPoliciesHaveProse(t *testing.T) {
	tested := map[string]bool{}
	for _, f := range embedded(t).Files() {
		if f.Test {
			tested[strings.Replace(f.Name, "_test.rego", ".rego", 1)] = true
		}
	}
	for _, f := range embedded(t).Files() {
		if f.Test || f.Name == "data.json" {
			continue
		}
		if f.Title == "" || len(f.Description) < 40 {
			t.Errorf("%s: the package has no title or no description", f.Name)
		}
		if len(f.Rules) == 0 && f.Name != "access/decision.rego" {
			t.Errorf("%s: no public rule", f.Name)
		}
		described := map[string]bool{}
		for _, r := range f.Rules {
			described[r.Name] = described[r.Name] || r.Description != ""
		}
		for name, ok := range described {
			if !ok {
				t.Errorf("%s: %s has no description", f.Name, name)
			}
		}
	}
}

// No shipped contract is objected to, and each gets a plan that stores what the
// domain says.
func TestShippedContractsArePlanned(t *testing.T) {
	s := embedded(t)
	for _, c := range contracts(t) {
		if violations, err := s.Violations(t.Context(), c); err != nil || len(violations) > 0 {
			t.Errorf("%s: violations %q, error %v", c.ID, violations, err)
		}
		plan, err := s.Plan(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		if plan.Contract != c.ID || plan.Version != c.Version || plan.Revision != s.Revision() {
			t.Errorf("%s: the plan is for %s %d at %s", c.ID, plan.Contract, plan.Version, plan.Revision)
		}
		for i, f := range c.Fields {
			checkShippedField(t, c, &f, plan.Fields[i], plan.Because[i])
		}
	}
}

func checkShippedField(t *testing.T, c *gateway.Contract, f *gateway.Field, p gateway.FieldPlan, because string) {
	t.Helper()
	want := gateway.FieldPlan{Field: f.Name, Do: gateway.Keep}
	switch f.Class {
	case "child_id":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Pseudonymise, Domain: "child"}
	case "record_id":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Pseudonymise, Domain: "record"}
	case "referral_key":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Pseudonymise, Domain: "referral"}
	case "name", "organisation", "narrative":
		want.Do = gateway.Drop
	case "birth_date", "age":
		want.Do = gateway.Generalise
	case "event_date", "date":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Generalise, Day: true}
	case "area":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Generalise, Keep: 2}
	case "diagnosis":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Generalise, Keep: 3}
	case "count":
		want = gateway.FieldPlan{Field: f.Name, Do: gateway.Generalise, Cuts: p.Cuts}
		if len(p.Cuts) < 3 {
			t.Errorf("%s.%s: bands %v", c.ID, f.Name, p.Cuts)
		}
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("%s.%s (-want +got):\n%s", c.ID, f.Name, diff)
	}
	if len(because) < 20 {
		t.Errorf("%s.%s: the plan says why as %q", c.ID, f.Name, because)
	}
}

// The codes under which each sector's rows are refused, and that consent withheld
// means the same in all.
func TestShippedRowRules(t *testing.T) {
	s := embedded(t)
	want := map[gateway.ContractID][]gateway.ProblemCode{
		"police":    {"CONSENT_WITHHELD", "PROTECTIVE_ORDER_CONTRADICTED"},
		"health":    {"CONSENT_WITHHELD"},
		"education": {"CONSENT_WITHHELD"},
		"social":    {"CONSENT_WITHHELD"},
		"justice":   {"CONSENT_WITHHELD", "IN_CONFLICT_TOO_YOUNG"},
		"helpline":  {"CONSENT_WITHHELD", "CONTACT_WITHOUT_DATA"},
	}
	withheld := gateway.Expr{Op: gateway.And, Args: []gateway.Expr{
		equal("legal_basis", "CONSENT"), equal("consent_reporting", "N"),
	}}
	for _, c := range contracts(t) {
		plan, err := s.Plan(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		var got []gateway.ProblemCode
		for _, r := range plan.Refuse {
			got = append(got, r.Code)
		}
		if !slices.Equal(got, want[c.ID]) {
			t.Errorf("%s refuses %v, want %v", c.ID, got, want[c.ID])
			continue
		}
		if diff := cmp.Diff(withheld, plan.Refuse[0].When); diff != "" {
			t.Errorf("%s: consent withheld (-want +got):\n%s", c.ID, diff)
		}
	}
}

func field(name string) gateway.Operand {
	return gateway.Operand{Kind: gateway.FieldOperand, Name: name}
}

func literal(text string) gateway.Operand {
	return gateway.Operand{Kind: gateway.TextOperand, Text: text}
}

func equal(name, text string) gateway.Expr {
	return gateway.Expr{Op: gateway.Equal, Left: field(name), Right: []gateway.Operand{literal(text)}}
}

// The officer's page lists every floor in the words of the code.
func TestReadmeListsTheFloors(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range policies.Floors() {
		if !strings.Contains(string(text), "| `"+f.Name+"` | ") {
			t.Errorf("README.md does not list the floor %s", f.Name)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	all, err := configs.Contracts()
	if err != nil {
		b.Fatal(err)
	}
	s, err := policies.Embedded(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Plan(b.Context(), all[0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	s, err := policies.Embedded(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			if grant, err := s.Decide(b.Context(), researcher, gateway.ActAsk, "reach", approved()); err != nil || !grant.Allow {
				b.Fatal(grant, err)
			}
		}
	})
	b.Run("evaluated", func(b *testing.B) {
		for b.Loop() {
			if grant, err := s.Decide(b.Context(), researcher, gateway.ActAsk, "made up", approved()); err != nil || grant.Allow {
				b.Fatal(grant, err)
			}
		}
	})
}
