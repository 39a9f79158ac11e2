package configs

import (
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// gateFile is a decision on the sparsity gate: keys of grouping sets, as
// [gateway.GroupingSet.Key] writes them and pana release plan --json lists them.
type gateFile struct {
	Open    []string `yaml:"open"`
	Close   []string `yaml:"close"`
	Because string   `yaml:"because"`
}

// readGate reads the decision on the sparsity gate (disclosure.md 2.4 rule 7). Whether
// its sets exist and are closed downward is for the plan of a release, which has them
// all.
func (r *cubeReader) readGate() {
	f := r.file.Gate
	if f == nil {
		return
	}
	if strings.TrimSpace(f.Because) == "" || len(f.Open)+len(f.Close) == 0 {
		r.top.at("gate").bad("a decision on the sparsity gate names sets to open or close, and says why in because")
	}
	r.def.Gate = &gateway.GateDecision{Open: f.Open, Close: f.Close, Because: f.Because}
}
