package policies_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// Line 16 of disclosure.md 2.11: policy that echoes true counts. A policy that repeats
// all that it is asked with, in the reason that people read and the log keeps, repeats
// the caller's role and purposes and the release's state: no number of a release reaches
// it, whatever a Release holds. What decides on the rules of a release sees its shape.
func TestUndoing16PolicyHearsNoCount(t *testing.T) {
	echoing := compiled(t, edited(t, "access/decision.rego",
		`decision := {"allow": true, "rule": rule, "because": because} if {`,
		`decision := {"allow": true, "rule": rule, "because": sprintf("%s %d", [json.marshal(input), count(because)])} if {`))
	release := approved()
	numbers(reflect.ValueOf(release).Elem())
	release.State = gateway.ReleaseApproved
	grant, err := echoing.Decide(t.Context(), researcher, gateway.ActAsk, "reach", release)
	if err != nil || !grant.Allow {
		t.Fatalf("%+v, %v", grant, err)
	}
	var heard map[string]any
	err = json.Unmarshal([]byte(grant.Because[:strings.LastIndex(grant.Because, " ")]), &heard)
	if err != nil {
		t.Fatalf("the policy repeats %q: %v", grant.Because, err)
	}
	want := map[string]any{
		"role": "researcher", "action": string(gateway.ActAsk), "purpose": "reach", "purposes": heard["purposes"],
		"release": map[string]any{"state": "approved"},
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("the policy is asked with more than it needs (-want +got):\n%s", diff)
	}
	if strings.Contains(grant.Because, strconv.Itoa(canary)) {
		t.Error("a number of the release reached the policy")
	}
}

// canary stands in every number of a release.
const canary = 27_182

// numbers fills every number of a value with the canary.
func numbers(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Struct && v.NumField() > 0 && v.CanSet():
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				numbers(v.Field(i))
			}
		}
	case v.CanInt() && v.CanSet():
		v.SetInt(canary)
	case v.CanUint() && v.CanSet():
		v.SetUint(canary)
	}
}
