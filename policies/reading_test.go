package policies_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/policies"
)

// The line that a reading names begins the rule whose words it quotes, for every field
// of every contract, every code of a row and everything that a role may do.
func TestReadingNamesTheRules(t *testing.T) {
	s := embedded(t)
	for _, c := range contracts(t) {
		reading, err := s.Read(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range reading.Fields {
			line := lineAt(t, f.Rule.Place)
			if f.Rule.Description != f.Because && !strings.HasPrefix(line, "_decision") && !strings.HasPrefix(line, "treatment") {
				t.Errorf("%s.%s: %s is said to decide: %q", c.ID, f.Field, f.Rule.Place, line)
			}
			if f.Because == "" || f.Rule.Title == "" {
				t.Errorf("%s.%s: no reason or no title: %+v", c.ID, f.Field, f)
			}
		}
		for _, r := range reading.Rows {
			if len(r.Rules) == 0 || r.When == "" {
				t.Errorf("%s: %s has no rule or no condition", c.ID, r.Code)
			}
			for _, rule := range r.Rules {
				if line := lineAt(t, rule.Place); !strings.HasPrefix(line, "refuse contains "+strconv.Quote(string(r.Code))) || rule.Description == "" {
					t.Errorf("%s %s: %s: %q", c.ID, r.Code, rule.Place, line)
				}
			}
		}
		if len(reading.Access) == 0 {
			t.Error("nobody may do anything")
		}
		for _, a := range reading.Access {
			if len(a.Rules) == 0 {
				t.Errorf("%s may %s by no rule", a.Role, a.Action)
			}
			for _, rule := range a.Rules {
				if !strings.HasPrefix(lineAt(t, rule.Place), "allow contains") || !strings.HasPrefix(rule.Place, "access/"+string(a.Role)) {
					t.Errorf("%s %s: %+v", a.Role, a.Action, rule)
				}
			}
		}
	}
}

func lineAt(t *testing.T, place string) string {
	t.Helper()
	name, row, _ := strings.Cut(place, ":")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(row)
	lines := strings.Split(string(text), "\n")
	if err != nil || n < 1 || n > len(lines) {
		t.Fatalf("there is no line %s", place)
	}
	return lines[n-1]
}

func TestReadingOfOneField(t *testing.T) {
	reading, err := planner(t, acceptAll).Read(t.Context(), school(t))
	_ = err // access is not there: planner has no access policy
	for _, f := range reading.Fields {
		if f.Field != "place" {
			continue
		}
		want := policies.FieldReading{
			Field: "place", Class: "area", Do: "generalise", Keep: 2,
			Because: "Places are cut to the region: a settlement and a birth year point to a child.",
			Rule: policies.Fired{
				Rule: `ingest.codes.treatment.area`, Place: "ingest/codes.rego:12", Title: "Codes",
				Description: "Places are cut to the region: a settlement and a birth year point to a child.",
			},
		}
		if diff := cmp.Diff(want, f); diff != "" {
			t.Error(diff)
		}
		if got := f.Done(); got != "generalise to 2 characters" {
			t.Error(got)
		}
		return
	}
	t.Error("no such field")
}
