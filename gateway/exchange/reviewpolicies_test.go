package exchange_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
)

// Of two loads of what is in force the later one read later: a load that waits for
// another reads only when that one has stored.
func TestLoadsOfPoliciesKeepTheirOrder(t *testing.T) {
	g := newExchange(t)
	set := finer(t)
	p := g.propose(t, set)
	release := g.HoldLoads()
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := g.Load(t.Context()); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(time.Second) // a load that did not wait has read, and stored
	for _, who := range []string{"officer", "steward"} {
		_, err := g.registry.Approve(t.Context(), p.ID, g.people.Sign(t, approval.Policy, who+"/"+who, []byte(p.Statement)), g.who[who], "read")
		ok(t, err)
	}
	release()
	wait.Wait()
	if g.Policies().Revision() != set.Revision() {
		t.Error("a load stored what was read before it was its turn")
	}
}

// A signature that took effect is told so, also when another gateway has put policies in
// force meanwhile that this one cannot load: whoever hears of an error signs again.
func TestApprovalTookEffect(t *testing.T) {
	var log bytes.Buffer
	g := newExchange(t, func(o *exchange.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	asked := g.request(t, unheard)
	p := g.propose(t, finer(t))
	for _, who := range []string{"officer", "steward"} {
		_, err := g.registry.Approve(t.Context(), p.ID, g.people.Sign(t, approval.Policy, who+"/"+who, []byte(p.Statement)), g.who[who], "read")
		ok(t, err)
	}
	police := *g.police(t)
	police.Fields = nil // no policy admits it
	g.Options.Contracts = append(slices.Clone(g.Options.Contracts), &police)
	before := g.Policies().Revision()
	g.signErasure(t, asked)
	stored, err := g.registry.Proposal(t.Context(), asked.ID)
	ok(t, err)
	if stored.State != registry.Active || g.Policies().Revision() != before || !strings.Contains(log.String(), "policies in force not loaded") {
		t.Errorf("the request is %s, in force %s, the log says %q", stored.State, g.Policies().Revision(), log.String())
	}
}

// Whoever signs finds every proposal without being told its id.
func TestProposalsOfKeysAreListed(t *testing.T) {
	g, _ := rotatable(t)
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	made, err := g.ProposeKeys(t.Context(), g.who["operator"], registry.RotateKeys, 2, "for a test")
	ok(t, err)
	list, err := g.Proposals(t.Context(), g.who["officer"])
	ok(t, err)
	if !slices.ContainsFunc(list, func(p exchange.Proposal) bool { return p.ID == made.ID && p.Kind == registry.KeyChange }) {
		t.Errorf("the proposal of a rotation is not among %d", len(list))
	}
}
