package policies_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/policies"
)

func findings(t *testing.T, files fstest.MapFS) []policies.Finding {
	t.Helper()
	found, err := policies.Check(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// What we ship passes our own check.
func TestShippedPoliciesHaveNoFindings(t *testing.T) {
	for _, f := range findings(t, shipped(t, nil)) {
		t.Error(f)
	}
}

// Each fault, planted alone into the shipped policies, is found where it is.
func TestFindings(t *testing.T) {
	const operator = "access/operator.rego"
	for name, c := range map[string]struct {
		changes map[string]string
		want    []string // beginnings, in order
	}{
		"syntax":       {map[string]string{"rows/x.rego": "package rows.x\n\nrefuse contains\n"}, []string{"rows/x.rego:4: SYNTAX: "}},
		"clock":        {map[string]string{"rows/x.rego": meta("rows.x") + "\n# METADATA\n# description: why\nrefuse contains \"A\" if time.now_ns() > 0\n"}, []string{"rows/x.rego:8: NONDETERMINISTIC: time.now_ns ", "rows/x.rego:8: COMPILE: "}},
		"network":      {map[string]string{"rows/x.rego": meta("rows.x") + "\n# METADATA\n# description: why\nrefuse contains \"A\" if {\n\tr := http.send({})\n\tr.x\n}\n"}, []string{"rows/x.rego:9: NONDETERMINISTIC: http.send ", "rows/x.rego:9: COMPILE: "}},
		"import":       {edited(t, operator, "package access.operator\n", "package access.operator\n\nimport data.access.agency\n"), []string{"access/operator.rego:8: COMPILE: import data.access.agency unused"}},
		"package":      {edited(t, operator, "# title: What an operator may do\n", ""), []string{"access/operator.rego:5: METADATA_PACKAGE: "}},
		"rule":         {edited(t, "ingest/identifiers.rego", "# METADATA\n# description: |\n#   Names are dropped: no count needs them.\n", ""), []string{"ingest/identifiers.rego:40: METADATA_RULE: the rule treatment.name "}},
		"default":      {edited(t, "access/decision.rego", "default decision := {\"allow\": false, ", "default decision := {\"allow\": 0 == 1, "), nil},
		"allow":        {edited(t, "access/decision.rego", "default decision := {\"allow\": false, ", "default decision := {\"allow\": true, "), []string{"access/decision.rego:19: DEFAULT_DENY: "}},
		"no default":   {edited(t, "access/decision.rego", "default decision := ", "_decision_default := "), []string{"access/decision.rego:7: DEFAULT_DENY: "}},
		"unused":       {edited(t, operator, "package access.operator\n", "package access.operator\n\n_nobody if input.role == \"operator\"\n"), []string{"access/operator.rego:8: RULE_UNTESTED: ", "access/operator.rego:8: RULE_UNUSED: "}},
		"untested":     {edited(t, operator, "package access.operator\n", "package access.operator\n\n# METADATA\n# description: why\nallow contains rego.metadata.rule().description if {\n\tinput.role == \"operator\"\n\tinput.action == \"never\"\n\tinput.purpose == \"x\"\n}\n"), []string{"access/operator.rego:10: RULE_UNTESTED: "}},
		"failing test": {map[string]string{"release/more_test.rego": "package release_test\n\ntest_no if false\n"}, []string{"release/more_test.rego:3: TEST_FAILED: "}},
		"files":        {map[string]string{"release/note.txt": "x"}, []string{"FILES: "}},
	} {
		t.Run(name, func(t *testing.T) {
			found := findings(t, shipped(t, c.changes))
			if len(c.want) == 0 {
				if len(found) == 0 {
					t.Error("nothing was found")
				}
				return
			}
			var all []string
			for _, f := range found {
				all = append(all, f.String())
				if f.What == "" || f.Remedy == "" {
					t.Errorf("no text: %v", f)
				}
			}
			for _, want := range c.want {
				at := -1
				for i, f := range all {
					if strings.HasPrefix(f, want) {
						at = i
					}
				}
				if at < 0 {
					t.Errorf("not found: %s; found:\n%s", want, strings.Join(all, "\n"))
				}
			}
		})
	}
}

func meta(pkg string) string {
	return "# METADATA\n# title: a title\n# description: why\npackage " + pkg + "\n"
}
