package redteam

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
)

// knownMisses are the bars that the default misses today, each for a reason that is
// not in the protection of cells. Nothing else may be missed.
var knownMisses = []struct{ suffix, why string }{
	{"dense: A5 all routes, ER, careful", "the interval over 10 keys is too wide; see TestCarefulRoutes"},
	{"dense: A5 all routes, ER, with the model too", "the interval over 10 keys is too wide; see TestCarefulRoutes"},
}

// Every attack on the dense, medium and sparse populations, and on the grid, in
// short: ten keys. The bars are those of disclosure.md 4. Seed and keys are fixed,
// so nothing here depends on luck but the two timing runs, which fail together once
// in 10,000 times.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of attacks")
	}
	steps := 0
	report, err := Run(t.Context(), Options{Keys: MinKeys, Seed: 1, Places: 100, Now: time.Now, Progress: func(done, total int, _ string) {
		if steps++; done > total || done < 1 {
			t.Errorf("step %d of %d", done, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := report.WriteText(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	for _, missed := range report.Missed {
		known := false
		for _, k := range knownMisses {
			known = known || strings.HasSuffix(missed, k.suffix)
		}
		if !known {
			t.Errorf("bar missed: %s", missed)
		}
	}
	for _, broken := range report.Broken {
		t.Errorf("the attack is broken: %s", broken)
	}
	if steps == 0 || len(report.Sections) != len(Populations())+1 {
		t.Errorf("%d steps, %d sections", steps, len(report.Sections))
	}
	var back Report
	text, err := json.Marshal(report)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if diff := cmp.Diff(*report, back); err != nil || diff != "" {
		t.Errorf("JSON and back: %v\n%s", err, diff)
	}
}

// Exact recovery by the two stronger forms of A5 exceeds the model baseline by at
// most 0.05, with the interval over 80 keys and populations: in the dense one, where
// it exceeds it most.
func TestCarefulRoutes(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of least squares")
	}
	const keys = 80
	l := newLattice(theDefinition())
	careful, informed := make([]float64, keys), make([]float64, keys)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for key := range keys {
		g.Go(func() error {
			trial := newTrial(newWorld(l, "dense", 28, mix(1)+uint64(key)), publishers()[colDefault], key)
			base, err1 := allRoutesBaseline(trial)
			x, err2 := carefulRoutes(trial)
			y, err3 := informedRoutes(trial)
			careful[key], informed[key] = x-base, y-base
			return errors.Join(err1, err2, err3)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("careful %v, with the model %v over the baseline", figure(careful), figure(informed))
	if figure(careful).High > barRecovery || figure(informed).High > barRecovery {
		t.Errorf("careful %v, with the model %v: over %g", figure(careful), figure(informed), barRecovery)
	}
}

// Options that cannot give the intervals of disclosure.md 4, or name nothing, are
// refused, and a cancelled run ends.
func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Keys: 9}, {Keys: 10, Populations: []string{"crowded"}}} {
		if _, err := Run(t.Context(), o); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Keys: 10}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run ends with %v", err)
	}
}

// The same seed plants the same children; another plants others.
func TestPopulations(t *testing.T) {
	l := newLattice(theDefinition())
	for _, p := range populations {
		w, again, other := newWorld(l, p.name, p.mean, 3), newWorld(l, p.name, p.mean, 3), newWorld(l, p.name, p.mean, 4)
		if !slices.Equal(w.truth, again.truth) || slices.Equal(w.truth, other.truth) {
			t.Errorf("%s: the population does not follow its seed", p.name)
		}
		if got := w.base().cells; got != 720 || len(w.people) != p.mean*720 {
			t.Errorf("%s: %d children in %d base cells, want a mean of %d in 720", p.name, len(w.people), got, p.mean)
		}
		secrets := [2]int{}
		for _, g := range w.targets {
			secrets[g.secret]++
			if n := w.truth[w.named(g.region, g.age, g.sex, root)].n; n != 1 {
				t.Errorf("%s: %d children share what is known of a target", p.name, n)
			}
		}
		if secrets != [2]int{50, 50} {
			t.Errorf("%s: %v victims and controls", p.name, secrets)
		}
		for r, at := range w.minorities {
			if n := w.truth[w.named(at.region, at.age, boy, yes)].n; n != r {
				t.Errorf("%s: a minority of %d, want %d", p.name, n, r)
			}
		}
	}
}
