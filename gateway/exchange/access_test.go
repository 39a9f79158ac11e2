package exchange_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
)

var everybody = []string{"police", "researcher", "officer", "steward", "operator"}

// Who may do what that is neither an upload nor a question: all others are told
// that there is no such thing.
func TestWhoMayDoWhat(t *testing.T) {
	g := newExchange(t)
	made := g.send(t, "police", "k1", files(t)["police"])
	r := g.build(t)
	for what, act := range map[string]struct {
		try  func(c gateway.Caller) error
		who  []string
		kind gateway.Kind // for the others
	}{
		"read policies":  {func(c gateway.Caller) error { _, err := g.PoliciesInForce(t.Context(), c); return err }, []string{"officer", "steward", "operator"}, gateway.NotFound},
		"read the log":   {func(c gateway.Caller) error { _, err := g.Leaves(t.Context(), c, 0); return err }, []string{"officer"}, gateway.NotFound},
		"checkpoint":     {func(c gateway.Caller) error { _, err := g.Checkpoint(t.Context(), c); return err }, []string{"officer"}, gateway.NotFound},
		"list agencies":  {func(c gateway.Caller) error { _, err := g.Agencies(t.Context(), c); return err }, []string{"operator"}, gateway.NotFound},
		"list keys":      {func(c gateway.Caller) error { _, err := g.APIKeys(t.Context(), c); return err }, []string{"operator"}, gateway.NotFound},
		"list contracts": {func(c gateway.Caller) error { _, err := g.Contracts(t.Context(), c); return err }, everybody, gateway.NotFound},
		"own batch":      {func(c gateway.Caller) error { _, err := g.Batch(t.Context(), c, made.Batch); return err }, []string{"police"}, gateway.NotFound},
		"read releases":  {func(c gateway.Caller) error { _, err := g.Releases(t.Context(), c); return err }, []string{"researcher", "officer", "steward"}, gateway.NotFound},
		"read a release": {func(c gateway.Caller) error { _, err := g.Release(t.Context(), c, r.ID); return err }, []string{"officer", "steward"}, gateway.NotFound},
		"read the risk":  {func(c gateway.Caller) error { _, err := g.Risk(t.Context(), c, r.ID); return err }, []string{"officer", "steward"}, gateway.NotFound},
		"close it":       {func(c gateway.Caller) error { _, err := g.CloseRelease(t.Context(), c, "small-9", ""); return err }, nil, gateway.NotFound},
	} {
		for _, who := range everybody {
			err := act.try(g.who[who])
			if slices.Contains(act.who, who) {
				if err != nil {
					t.Errorf("%s: %s may not: %v", what, who, err)
				}
				continue
			}
			is(t, err, act.kind)
		}
	}
}

func TestContractsOfACaller(t *testing.T) {
	g := newExchange(t)
	all, err := g.Contracts(t.Context(), g.who["steward"])
	ok(t, err)
	own, err := g.Contracts(t.Context(), g.who["police"])
	ok(t, err)
	if len(all) != len(g.options.Contracts) || len(own) != 1 || own[0].ID != "police" {
		t.Fatalf("the steward sees %d contracts, the police %d", len(all), len(own))
	}
	_, err = g.Contract(t.Context(), g.who["police"], "police")
	ok(t, err)
	_, err = g.Contract(t.Context(), g.who["police"], "health")
	is(t, err, gateway.NotFound)
}

// A key's token is in the answer to its making and nowhere else; a revoked key is
// no key.
func TestKeys(t *testing.T) {
	g := newExchange(t)
	made, err := g.AddAPIKey(t.Context(), g.who["operator"], exchange.KeySpec{
		Role: gateway.RoleResearcher, Subject: "second", Org: "institute", Purposes: []gateway.Purpose{purpose},
	})
	ok(t, err)
	caller, err := g.Authenticate(t.Context(), made.Token)
	ok(t, err)
	if caller.Key != made.ID || caller.Role != gateway.RoleResearcher || !slices.Equal(caller.Purposes, []gateway.Purpose{purpose}) {
		t.Fatalf("the key is %+v", caller)
	}
	known, err := g.APIKeys(t.Context(), g.who["operator"])
	ok(t, err)
	text, err := json.Marshal(known)
	ok(t, err)
	if strings.Contains(string(text), made.Token) || !strings.Contains(string(text), made.ID) {
		t.Fatal("the list of keys holds a token, or not the key")
	}
	for _, who := range []string{"officer", "steward", "researcher", "police"} {
		is(t, g.RevokeAPIKey(t.Context(), g.who[who], made.ID), gateway.NotFound)
	}
	ok(t, g.RevokeAPIKey(t.Context(), g.who["operator"], made.ID))
	_, err = g.Authenticate(t.Context(), made.Token)
	is(t, err, gateway.Unauthenticated)
	_, err = g.AddAPIKey(t.Context(), g.who["police"], exchange.KeySpec{Role: gateway.RoleOperator, Subject: "me", Org: "me"})
	is(t, err, gateway.NotFound)
	// decisions.md 9: nobody both sends and asks.
	_, err = g.AddAPIKey(t.Context(), g.who["operator"], exchange.KeySpec{
		Role: gateway.RoleResearcher, Subject: "clerk", Org: "agency-police", Purposes: []gateway.Purpose{purpose},
	})
	is(t, err, gateway.Conflict)
}

func TestAgencies(t *testing.T) {
	g := newExchange(t)
	good := exchange.Agency{ID: "second-police", Contract: "police", Regions: []string{"75"}, From: "2024Q1", To: "2025Q4"}
	for _, change := range []func(*exchange.Agency){
		func(a *exchange.Agency) { a.Contract = "nowhere" },
		func(a *exchange.Agency) { a.From = "2024" },
		func(a *exchange.Agency) { a.From = "" },
		func(a *exchange.Agency) { a.To = "2024Q5" },
		func(a *exchange.Agency) { a.To = "2023Q4" },
		func(a *exchange.Agency) { a.Regions = nil },
	} {
		bad := good
		change(&bad)
		is(t, g.AddAgency(t.Context(), g.who["operator"], bad), gateway.Invalid)
	}
	is(t, g.AddAgency(t.Context(), g.who["steward"], good), gateway.NotFound)
	ok(t, g.AddAgency(t.Context(), g.who["operator"], good))
	is(t, g.AddAgency(t.Context(), g.who["operator"], good), gateway.Conflict)
	open := exchange.Agency{ID: "third-police", Contract: "police", Regions: []string{"75"}, From: "2024Q1"}
	ok(t, g.AddAgency(t.Context(), g.who["operator"], open))
	all, err := g.Agencies(t.Context(), g.who["operator"])
	ok(t, err)
	if at := slices.IndexFunc(all, func(a exchange.Agency) bool { return a.ID == open.ID }); all[at].To != "" {
		t.Fatalf("an agency that reports until further notice does so to %q", all[at].To)
	}
	at := slices.IndexFunc(all, func(a exchange.Agency) bool { return a.ID == good.ID })
	if len(all) != 8 || at < 0 || all[at].From != "2024Q1" || all[at].To != "2025Q4" || !slices.Equal(all[at].Regions, good.Regions) {
		t.Fatalf("the agencies are %+v", all)
	}
}

// The officer reads the whole log, and that is in it too.
func TestOfficerReadsTheLog(t *testing.T) {
	g := newExchange(t)
	g.send(t, "police", "k1", files(t)["police"])
	before := g.size(t)
	page, err := g.Leaves(t.Context(), g.who["officer"], 0)
	ok(t, err)
	if page.Size != before+1 || len(page.Leaves) != int(page.Size) || g.last(t) != "audit.read done" {
		t.Fatalf("%d leaves were shown of %d, after %d", len(page.Leaves), page.Size, before)
	}
	for i, text := range page.Leaves {
		leaf, err := ledger.DecodeLeaf(text)
		ok(t, err)
		if leaf.Seq != uint64(i) {
			t.Fatalf("leaf %d is shown as %d", leaf.Seq, i)
		}
	}
	rest, err := g.Leaves(t.Context(), g.who["officer"], page.Size-1)
	ok(t, err)
	if len(rest.Leaves) != 2 || string(rest.Leaves[0]) != string(page.Leaves[page.Size-1]) {
		t.Fatalf("from leaf %d on, %d were shown", page.Size-1, len(rest.Leaves))
	}
	note, err := g.Checkpoint(t.Context(), g.who["officer"])
	ok(t, err)
	tree, err := ledger.OpenCheckpoint(note, g.keys.Verifier())
	ok(t, err)
	if uint64(tree.N) != g.size(t) {
		t.Fatalf("the checkpoint is of %d leaves of %d", tree.N, g.size(t))
	}
}

// An upload that takes longer than its lease keeps it.
func TestUploadKeepsItsLease(t *testing.T) {
	lease := 600 * time.Millisecond
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Lease = lease })
	file := files(t)["police"]
	body := hold(file, len(file)/2)
	done := g.start(t.Context(), "k1", file, body)
	<-body.reached
	for range 3 {
		g.clock.move(lease / 2)
		eventually(t, "the lease is renewed", func() bool {
			a, err := g.registry.BeginBatch(t.Context(), g.intent(t, g.police(t), file))
			is(t, err, gateway.Conflict)
			return a.RetryAfter > lease*3/4
		})
	}
	close(body.letGo)
	e := <-done
	ok(t, e.err)
	same(t, g.story(t, string(e.Batch)), intended, committed)
}
