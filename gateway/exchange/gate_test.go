package exchange_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// closedBy lists what the gate of a release closes, from its catalogue, as a researcher
// or the steward reads it.
func (g *gate) closedBy(t *testing.T, who string, id gateway.ReleaseID) []string {
	t.Helper()
	c, err := g.Release(t.Context(), g.who[who], id)
	ok(t, err)
	if c.Pinned.Gate == nil {
		t.Fatal("the catalogue has no gate")
	}
	return c.Pinned.Gate.Closed
}

// A build that nobody approved decides nothing; the gate of the first approved release
// is that of the next, whatever it counts; and the catalogue tells everybody.
func TestGateOfALineage(t *testing.T) {
	g := newExchange(t)
	g.send(t, "police", "k1", files(t)["police"]) // a hundred children: nearly all is sparse
	trial := g.build(t)
	sparse := g.closedBy(t, "steward", trial.ID)
	if len(sparse) == 0 {
		t.Fatal("nothing is sparse: the test proves nothing")
	}
	g = populated(t)
	first := g.build(t)
	dense := g.closedBy(t, "steward", first.ID)
	if len(dense) >= len(sparse) {
		t.Fatalf("%v closed of few children, %v of many: the test proves nothing", sparse, dense)
	}
	g.approve(t, first)
	if diff := cmp.Diff(dense, g.closedBy(t, "researcher", first.ID)); diff != "" {
		t.Errorf("the catalogue tells a researcher otherwise: %s", diff)
	}
	second := g.build(t)
	if diff := cmp.Diff(dense, g.closedBy(t, "steward", second.ID)); diff != "" {
		t.Errorf("the gate is not kept: %s", diff)
	}
}

// A trial build closes sets for nobody: after one with few children, which nobody
// approved, the release with many is judged by itself.
func TestTrialBuildClosesNothing(t *testing.T) {
	g := newExchange(t)
	g.send(t, "police", "k1", files(t)["police"])
	trial := g.closedBy(t, "steward", g.build(t).ID)
	more := populatedFiles(t)
	g.send(t, "health", "k2", more["health"])
	g.send(t, "social", "k2", more["social"])
	later := g.closedBy(t, "steward", g.build(t).ID)
	if slices.Equal(trial, later) || len(later) >= len(trial) {
		t.Errorf("closed by the trial %v, by the release after it %v", trial, later)
	}
}

// A decision in the definition opens and closes sets, and is refused before anything is
// counted where it names what is not there.
func TestDecidedGateOfALineage(t *testing.T) {
	decided := small(t)
	decided.Gate = &gateway.GateDecision{Close: []string{"sex@sex"}, Because: "a test"}
	wrong := small(t)
	wrong.Gate = &gateway.GateDecision{Close: []string{"sex@elsewhere"}, Because: "a test"}
	g := newExchange(t, func(o *exchange.Options) {
		o.Definitions = map[string]*gateway.Definition{"small": decided, "wrong": wrong}
	})
	more := populatedFiles(t)
	g.send(t, "police", "k1", more["police"])
	g.send(t, "health", "k1", more["health"])
	size := g.size(t)
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "wrong"})
	is(t, err, gateway.Invalid)
	if g.size(t) != size {
		t.Error("a refused decision left a leaf")
	}
	r := g.build(t)
	if closed := g.closedBy(t, "steward", r.ID); !slices.Contains(closed, "sex@sex") || !slices.Contains(closed, "sector@sector|sex@sex") {
		t.Errorf("closed: %v", closed)
	}
	g.approve(t, r)
	g.denied(t, "researcher", r.ID, gateway.Question{
		Cube: "volume", Measure: gateway.CountChildren, GroupBy: []string{"sex"}, Purpose: purpose,
	}, gateway.Withheld)
}
