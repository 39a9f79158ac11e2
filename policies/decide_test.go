package policies_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

var researcher = gateway.Caller{Key: "k", Role: gateway.RoleResearcher, Purposes: []gateway.Purpose{"reach", "overlap"}}

func approved() *gateway.Release {
	return &gateway.Release{ID: "demo-1", State: gateway.ReleaseApproved}
}

func TestDecide(t *testing.T) {
	s := embedded(t)
	got, err := s.Decide(t.Context(), researcher, gateway.ActAsk, "reach", approved())
	want := gateway.Grant{
		Allow: true, Rule: "access.researcher", Revision: s.Revision(),
		Because: "A researcher asks an approved release, for a purpose that the key's grant lists.",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, grant (-want +got):\n%s", err, diff)
	}
	got, err = s.Decide(t.Context(), researcher, gateway.ActAsk, "curiosity", approved())
	want = gateway.Grant{Rule: "access.researcher", Because: "The key's grant does not list this purpose.", Revision: s.Revision()}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, grant (-want +got):\n%s", err, diff)
	}
}

// The whole matrix of roles and actions, so that a change of it is seen here too.
func TestDecideMatrix(t *testing.T) {
	s := embedded(t)
	always := map[gateway.Role][]gateway.ActionName{
		gateway.RoleAgency:     {gateway.ActUpload, gateway.ActReadBatch, gateway.ActWithdrawBatch, gateway.ActReadContract, gateway.ActRequestErasure},
		gateway.RoleResearcher: {gateway.ActReadContract, gateway.ActReadRelease, gateway.ActAsk},
		gateway.RoleOfficer: {
			gateway.ActReadContract, gateway.ActReadPolicy, gateway.ActReadRelease, gateway.ActReadBatch,
			gateway.ActReadRisk, gateway.ActReadAudit, gateway.ActApproveRelease, gateway.ActCloseRelease, gateway.ActReadKeys,
		},
		gateway.RoleSteward: {
			gateway.ActReadContract, gateway.ActReadPolicy, gateway.ActReadRelease, gateway.ActReadBatch, gateway.ActReadRisk,
			gateway.ActBuildRelease, gateway.ActCloseRelease,
		},
		gateway.RoleOperator: {
			gateway.ActReadContract, gateway.ActReadPolicy, gateway.ActManageAccess, gateway.ActReadKeys, gateway.ActManageKeys,
		},
		"":     nil,
		"root": nil,
	}
	actions := []gateway.ActionName{
		gateway.ActUpload, gateway.ActReadBatch, gateway.ActWithdrawBatch, gateway.ActReadContract, gateway.ActBuildRelease,
		gateway.ActReadRelease, gateway.ActReadRisk, gateway.ActApproveRelease, gateway.ActCloseRelease, gateway.ActAsk, gateway.ActReadAudit,
		gateway.ActReadPolicy, gateway.ActManageAccess, gateway.ActReadKeys, gateway.ActManageKeys,
		gateway.ActRequestErasure, "", "anything",
	}
	for role, allowed := range always {
		for _, act := range actions {
			caller := gateway.Caller{Role: role, Purposes: []gateway.Purpose{"reach"}}
			grant, err := s.Decide(t.Context(), caller, act, "reach", approved())
			want := false
			for _, a := range allowed {
				want = want || a == act
			}
			if err != nil || grant.Allow != want {
				t.Errorf("%s %s of an approved release: %v, %v", role, act, grant.Allow, err)
			}
		}
	}
	built := &gateway.Release{State: gateway.ReleaseBuilt}
	if grant, err := s.Decide(t.Context(), gateway.Caller{Role: gateway.RoleOfficer}, gateway.ActApproveRelease, "", built); err != nil || !grant.Allow {
		t.Errorf("an officer approves a built release: %v, %v", grant, err)
	}
}

// No answer, a wrong one, two, a failing built-in, or none in time: denied.
func TestDecideDeniesWhatThePolicyDoesNotDecide(t *testing.T) {
	for name, body := range map[string]string{
		"undefined":       "decision := {\"allow\": true, \"rule\": \"r\", \"because\": \"b\"} if input.role == \"nobody\"",
		"missing":         "other := 1",
		"true":            "decision := true",
		"text":            "decision := {\"allow\": \"true\", \"rule\": \"r\", \"because\": \"b\"}",
		"null":            "decision := {\"allow\": null, \"rule\": \"r\", \"because\": \"b\"}",
		"without allow":   "decision := {\"rule\": \"r\", \"because\": \"b\"}",
		"without rule":    "decision := {\"allow\": true, \"because\": \"b\"}",
		"without because": "decision := {\"allow\": true, \"rule\": \"r\"}",
		"another key":     "decision := {\"allow\": true, \"rule\": \"r\", \"because\": \"b\", \"count\": 3}",
		"another case":    "decision := {\"Allow\": true, \"rule\": \"r\", \"because\": \"b\"}",
		"conflict":        "decision := {\"allow\": x, \"rule\": \"r\", \"because\": \"b\"} if some x in [true, false]",
		"built-in error":  "decision := {\"allow\": true, \"rule\": \"r\", \"because\": \"b\"} if not to_number(input.role) > 3",
		"for ever": "decision := {\"allow\": n > 0, \"rule\": \"r\", \"because\": \"b\"} if {\n" +
			"\tn := count([1 | some a in numbers.range(1, 5000); some b in numbers.range(1, 5000); some c in numbers.range(1, 5000); a + b == c])\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := compiled(t, map[string]string{"access/decision.rego": "package access\n\n" + body + "\n", "access/decision_test.rego": ""})
			start := time.Now()
			grant, err := s.Decide(t.Context(), researcher, gateway.ActAsk, "reach", approved())
			fault, ok := errors.AsType[*gateway.Error](err)
			if !ok || (fault.Kind != gateway.Internal && fault.Kind != gateway.Overloaded) || errors.Is(err, gateway.Invalid) {
				t.Errorf("the policy's fault is told as %v", err)
			}
			want := gateway.Grant{Rule: "access", Because: "The policy did not decide, which denies.", Revision: s.Revision()}
			if diff := cmp.Diff(want, grant); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A denied purpose that was made up does not stay in memory, and equal requests
// have equal answers whoever asks at the same time.
func TestDecideManyAtOnce(t *testing.T) {
	s := embedded(t)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range 200 {
				made := gateway.Purpose(fmt.Sprintf("made-up-%d-%d", g, i))
				if grant, err := s.Decide(t.Context(), researcher, gateway.ActAsk, made, approved()); err != nil || grant.Allow {
					t.Errorf("%s: %v, %v", made, grant, err)
				}
				if grant, err := s.Decide(t.Context(), researcher, gateway.ActAsk, "reach", approved()); err != nil || !grant.Allow {
					t.Errorf("reach: %v, %v", grant, err)
				}
			}
		})
	}
	wait.Wait()
	if n := policies.Remembered(s); n != 1 {
		t.Errorf("%d decisions are remembered, want 1", n)
	}
}

func TestRules(t *testing.T) {
	s := embedded(t)
	got, err := s.Rules(t.Context(), &gateway.Definition{Lineage: "demo", V: 50})
	want := gateway.ReleaseRules{
		Threshold:    []float64{0.15, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05},
		ThresholdMin: 10, Share: 0.95, ShareBelow: 200, RecordCap: 20, Revision: s.Revision(),
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, rules (-want +got):\n%s", err, diff)
	}
	_, err = s.Rules(t.Context(), &gateway.Definition{Lineage: "demo", V: 49.9})
	refusal(t, err, "release demo", "49.9", "at least 50")
}

func TestRulesMayBeTightened(t *testing.T) {
	s := compiled(t, edited(t, "data.json", `"siblings_are_common": false`, `"siblings_are_common": true`))
	rules, err := s.Rules(t.Context(), &gateway.Definition{V: 60})
	if err != nil || rules.ThresholdMin != 15 {
		t.Errorf("%+v, %v", rules, err)
	}
	s = compiled(t, edited(t, "data.json", `"variance_least": 50`, `"variance_least": 70`))
	_, err = s.Rules(t.Context(), &gateway.Definition{V: 60})
	refusal(t, err, "at least 70")
}

func TestRulesBelowAFloorAreRefused(t *testing.T) {
	for old, c := range map[string]struct{ text, floor string }{
		`"threshold_from": 10`:    {`"threshold_from": 9`, "floor threshold:"},
		`"threshold_law": [0.15,`: {`"threshold_law": [0.25,`, "floor soft-threshold:"},
		`"share": 0.95`:           {`"share": 0.99`, "floor share:"},
		`"share_below": 200`:      {`"share_below": 100`, "floor share:"},
		` "share": 0.95`:          {` "share": 0.94`, "floor share-implied:"},
		`"record_cap": 20`:        {`"record_cap": 21`, "floor record-cap:"},
		`"variance_least": 50`:    {`"variance_least": 49`, "floor noise:"},
		`0.1, 0.05],`:             {`0.1, 0.06],`, "floor soft-threshold:"},
	} {
		s := compiled(t, edited(t, "data.json", old, c.text))
		_, err := s.Rules(t.Context(), &gateway.Definition{V: 1000})
		refusal(t, err, c.floor)
	}
}

func TestRulesAreDistrusted(t *testing.T) {
	for _, body := range []string{
		"rules := 1", "other := 1", "rules := {}", "rules := {\"share\": \"0.95\"}",
		"rules := object.union(_good, {\"extra\": 1})", "rules := object.union(_good, {\"threshold_min\": 10.5})",
		"rules := object.union(_good, {\"threshold\": []})", "rules := object.union(_good, {\"threshold\": [1]})",
		"rules := object.union(_good, {\"share\": 0})", "rules := object.union(_good, {\"record_cap\": 0})",
	} {
		s := compiled(t, map[string]string{"release/rules_test.rego": "", "release/rules.rego": "package release\n\n" +
			"_good := {\"threshold\": data.parameters.release.threshold_law, \"threshold_min\": 10, \"share\": 0.95, " +
			"\"share_below\": 200, \"record_cap\": 20, \"variance_least\": 50}\n\n" + body + "\n"})
		_, err := s.Rules(t.Context(), &gateway.Definition{V: 50})
		refusal(t, err)
	}
}

func TestViolations(t *testing.T) {
	s := embedded(t)
	c := school(t)
	if got, err := s.Violations(t.Context(), c); err != nil || len(got) != 0 {
		t.Errorf("a good contract: %q, %v", got, err)
	}
	c.Field("kind").Class = "taste"
	c.Field("narrative").Refused = false
	got, err := s.Violations(t.Context(), c)
	want := []string{`kind: no policy knows the class "taste"`, "narrative: the column of a narrative must be refused"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, violations (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{"other := 1", "violations := true", "violations contains 1", "violations contains \"\"", "violations := to_number(\"x\")"} {
		s := compiled(t, map[string]string{
			"contract/violations.rego": "package contract\n\n" + body + "\n", "contract/violations_test.rego": "",
		})
		_, err := s.Violations(t.Context(), c)
		refusal(t, err)
	}
}
