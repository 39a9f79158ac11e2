package redteam

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
)

// The twin of every built-in definition meets the bars, its attacks break what is
// unprotected, and the same seed gives the same twin.
func TestTwin(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of attacks")
	}
	for _, name := range []string{"demo", "national"} {
		d, err := configs.Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		steps := 0
		twin, err := Twin(t.Context(), d, TwinOptions{Seed: 1, Progress: func(done, total int) {
			if steps++; done != steps || total != MinKeys {
				t.Errorf("step %d of %d after %d", done, total, steps-1)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s in %v: %d children, %d cells", name, time.Since(start).Round(time.Millisecond), twin.Children, twin.Cells)
		for _, f := range twin.Findings {
			t.Logf("%-24s %-30s none %v, default %v, baseline %v, difference %v, bar %s\n    %s", f.Attack, f.Measure, f.None, f.Default, f.Baseline, f.Difference, f.Bar, f.Verdict)
			if f.Verdict == "" || f.Rounded != nil || f.Single != nil {
				t.Errorf("%s: a finding without a line, or with columns that a twin has not", f.Attack)
			}
		}
		if !twin.Passed || len(twin.Findings) != len(probes())+1 {
			t.Errorf("%s: %d of %d findings; missed %v, broken %v", name, len(twin.Findings), len(probes())+1, twin.Missed, twin.Broken)
		}
	}
}

// The twin follows its seed, and survives JSON.
func TestTwinFollowsSeed(t *testing.T) {
	var text []string
	for _, seed := range []uint64{1, 1, 2} {
		twin, err := Twin(t.Context(), theDefinition(), TwinOptions{Seed: seed, Mean: 2})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(twin)
		if err != nil {
			t.Fatal(err)
		}
		var back TwinReport
		if err := json.Unmarshal(b, &back); err != nil || cmp.Diff(*twin, back) != "" {
			t.Errorf("JSON and back: %v\n%s", err, cmp.Diff(*twin, back))
		}
		text = append(text, strings.Replace(string(b), `"seed":2`, `"seed":1`, 1))
	}
	if text[0] != text[1] || text[0] == text[2] {
		t.Error("the twin does not follow its seed")
	}
}

// Invented children contradict nothing that the definition declares, and every
// dimension's leaves occur.
func TestInventedChildren(t *testing.T) {
	for _, name := range []string{"demo", "national"} {
		d, err := configs.Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		l := newLattice(d)
		v := newInventor(l, 7)
		n := newCensus(l)
		for i := range 20_000 {
			c, err := v.child(7, i)
			if err != nil {
				t.Fatal(err)
			}
			n.add(c, 20)
		}
		plan := &twinPlan{lattice: l, implied: v.implied}
		for c := range l.size {
			s := &l.sets[l.set[c]]
			for dim, level := range s.levels {
				if level < 0 {
					continue
				}
				parent := n.counts[l.parent(c, dim)]
				if n.counts[c].n > parent.n || plan.equal(s, c, dim) && n.counts[c] != parent {
					t.Fatalf("%s has %d children, its parent along %s %d", l.label(c), n.counts[c].n, l.dims[dim].Name, parent.n)
				}
			}
			if len(s.Set) == 1 && n.counts[c].n == 0 {
				t.Errorf("no invented child is in %s", l.label(c))
			}
			if r := n.records[c]; r.sum < uint64(n.counts[c].n) || len(r.top) != min(n.counts[c].n, 6) {
				t.Errorf("%s: %d records, %d top counts of %d children", l.label(c), r.sum, len(r.top), n.counts[c].n)
			}
		}
	}
}

// A definition whose declared facts no child can satisfy is refused, not looped over.
func TestInventInVain(t *testing.T) {
	d := theDefinition()
	for _, sex := range []string{"F", "M"} {
		d.Impossible = append(d.Impossible, []gateway.Fact{{Dimension: "sex", Node: sex}, {Dimension: "sex", Node: sex}})
	}
	if _, err := Twin(t.Context(), d, TwinOptions{}); err == nil {
		t.Error("a definition without a possible child has a twin")
	}
	if _, err := Twin(t.Context(), theDefinition(), TwinOptions{Keys: 3}); err == nil {
		t.Error("three keys make no interval")
	}
}

// A definition with values has a twin that has them too, under the V that carries
// them.
func TestTwinOfValues(t *testing.T) {
	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	d.V = 80
	d.Values = []gateway.Value{{ID: "hearings", Sector: "justice", Column: "hearings_with_child", PerChild: gateway.PerChildSum, Max: 8, Precision: 30}}
	d.Cubes[1].Values = []string{"hearings"}
	twin, err := Twin(t.Context(), d, TwinOptions{Seed: 1, Mean: 2})
	if err != nil || len(twin.Findings) == 0 {
		t.Fatalf("no twin: %v", err)
	}
	if !slices.ContainsFunc(twin.Findings, func(f Finding) bool { return f.Attack == "Sums beside counts" }) {
		t.Error("the values of the twin are not attacked")
	}
	if len(d.Values) != 1 || len(d.Cubes[1].Values) != 1 {
		t.Error("the definition lost its values")
	}
}
