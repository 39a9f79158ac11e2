package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// A decision on the sparsity gate is read as it stands; without a reason or a set it is
// none.
func TestGateOfACubeFile(t *testing.T) {
	read := func(gate string) (*gateway.Definition, error) {
		files := small(t)
		files["cubes/tiny.yaml"].Data = append(files["cubes/tiny.yaml"].Data, gate...)
		all, err := LoadContracts(files)
		if err != nil {
			t.Fatal(err)
		}
		return LoadDefinition(files, "tiny", all)
	}
	d, err := read("gate: {open: [\"place@half\"], close: [\"place@place|reached@status\"], because: \"few clinics\"}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &gateway.GateDecision{Open: []string{"place@half"}, Close: []string{"place@place|reached@status"}, Because: "few clinics"}
	if diff := cmp.Diff(want, d.Gate); diff != "" {
		t.Error(diff)
	}
	if d, err = read(""); err != nil || d.Gate != nil {
		t.Errorf("without a decision: %v, %v", d.Gate, err)
	}
	for _, gate := range []string{
		"gate: {open: [\"place@half\"]}\n", "gate: {because: \"x\"}\n", "gate: {open: [\"place@half\"], because: \" \"}\n",
	} {
		if _, err := read(gate); err == nil || !strings.Contains(err.Error(), "says why in because") {
			t.Errorf("%s: %v", gate, err)
		}
	}
	if _, err := read("gate: {shut: [\"place@half\"], because: \"x\"}\n"); err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("an unknown key: %v", err)
	}
}
