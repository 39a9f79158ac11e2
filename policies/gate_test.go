package policies

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/pana-exchange/pana/gateway"
)

// The third gate by itself: a rule of which nothing is left for want of an
// unknown, and which the first gate did not see, is not taken for one that data
// switches off.
func TestVanishedRulesAreNotConstant(t *testing.T) {
	s, err := Compile(t.Context(), fstest.MapFS{
		"data.json":        {Data: []byte(`{"parameters": {"on": false}}`)},
		"rows/school.rego": {Data: []byte("package rows.school\n\nrefuse contains \"OFF\" if data.parameters.on\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for body, vanished := range map[string]bool{
		`input.other.kind == "A"`:                                      true,
		`input.record.days > 3; not input.othre == 1; input.other.day`: true,
		`data.parameters.on; input.record.days > 3`:                    false,
		`data.parameters.on; input.other.kind == "A"`:                  false,
		`1 == 2; input.record.days > 3`:                                false,
	} {
		m := ast.MustParseModule("package rows.school\n\nrefuse contains \"X_1#0\" if { " + body + " }")
		compiler, err := s.compile(t.Context(), map[string]*ast.Module{"rows/school.rego": m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		rule := rowRule{"X_1", "X_1#0", "rows/school.rego:3"}
		left, err := s.reduce(t.Context(), compiler, &gateway.Contract{ID: "school"}, rule)
		refused := errors.Is(err, gateway.Invalid) && strings.Contains(err.Error(), "rows/school.rego:3: row rule X_1 would never fire")
		if refused != vanished || len(left) > 0 || (!vanished && err != nil) {
			t.Errorf("%s: %v, %v", body, left, err)
		}
	}
}

// Capabilities keep what policies need and nothing that is not a function of its
// arguments.
func TestCapabilities(t *testing.T) {
	for _, b := range capabilities().Builtins {
		if b.IsNondeterministic() {
			t.Errorf("%s is not deterministic", b.Name)
		}
	}
	all := len(ast.CapabilitiesForThisVersion().Builtins)
	if left := len(capabilities().Builtins); left < 150 || left >= all {
		t.Errorf("%d of %d built-ins are left", left, all)
	}
	if net := capabilities().AllowNet; net == nil || len(net) > 0 {
		t.Errorf("hosts %v may be reached", net)
	}
}
