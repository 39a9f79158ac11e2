package exchange_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// What the ledger says of a release by what became of it.
const (
	begun      = "release.intent intended"
	built      = "release.built done"
	approved   = "release.approve done"
	superseded = "release.supersede done"
	withdrawn  = "release.withdraw done"
)

var bySector = gateway.Question{Cube: "volume", Measure: gateway.CountRecords, GroupBy: []string{"sector"}, Purpose: purpose}

// populated is a gateway that two sectors have reported to, enough for values to be
// shown.
func populated(t *testing.T) *gate {
	t.Helper()
	g := newExchange(t)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	return g
}

// populatedFiles are those of five hundred children.
func populatedFiles(t *testing.T) map[gateway.ContractID][]byte {
	t.Helper()
	_, content, err := country(synth.Options{Children: 500, Seed: 11})
	ok(t, err)
	return content
}

func (g *gate) build(t *testing.T) gateway.Release {
	t.Helper()
	r, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	ok(t, err)
	return r
}

func (g *gate) approve(t *testing.T, r gateway.Release) {
	t.Helper()
	r, err := g.Approve(t.Context(), g.who["officer"], r.ID, r.Page, "the risk page was read")
	ok(t, err)
	if r.State != gateway.ReleaseApproved {
		t.Fatalf("an approved release is %s", r.State)
	}
}

// answer asks as the researcher and returns the bytes that leave.
func (g *gate) answer(t *testing.T, id gateway.ReleaseID) []byte {
	t.Helper()
	text, err := g.Ask(t.Context(), g.who["researcher"], id, bySector, asJSON)
	ok(t, err)
	return text
}

// asJSON is how a table leaves.
func asJSON(t *gateway.Table) ([]byte, error) { return json.Marshal(t) }

// last is the newest leaf: event and outcome.
func (g *gate) last(t *testing.T) string {
	t.Helper()
	leaves := g.leaves(t, g.size(t)-1)
	return string(leaves[0].Event) + " " + string(leaves[0].Outcome)
}

func (g *gate) denied(t *testing.T, who string, id gateway.ReleaseID, q gateway.Question, kind gateway.Kind) {
	t.Helper()
	before := g.size(t)
	table, err := g.Ask(t.Context(), g.who[who], id, q, asJSON)
	is(t, err, kind)
	if table != nil || g.size(t) != before+1 || g.last(t) != "question denied" {
		t.Fatalf("%s was refused, with a table: %v; %d leaves, the last %q", who, table != nil, g.size(t)-before, g.last(t))
	}
}

func TestReleaseLife(t *testing.T) {
	g := populated(t)
	for _, who := range []string{"researcher", "officer", "operator", "police"} {
		_, err := g.BuildRelease(t.Context(), g.who[who], exchange.Build{Definition: "small"})
		is(t, err, gateway.NotFound)
	}
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "none"})
	is(t, err, gateway.NotFound)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small", From: demo(t).To, To: demo(t).From})
	is(t, err, gateway.Invalid)
	r := g.build(t)
	if r.State != gateway.ReleaseBuilt || r.ID != "small-1" || len(r.Digest) != 64 {
		t.Fatalf("built: %+v", r)
	}

	g.hidesRelease(t, r.ID)
	for _, who := range []string{"researcher", "officer", "steward", "operator", "police"} {
		g.denied(t, who, r.ID, bySector, gateway.NotFound)
	}
	for _, who := range []string{"steward", "researcher", "operator", "police"} {
		_, err = g.Approve(t.Context(), g.who[who], r.ID, r.Page, "")
		is(t, err, gateway.NotFound)
	}
	g.key(t, "steward's other self", exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "steward", Org: "ministry"})
	_, err = g.Approve(t.Context(), g.who["steward's other self"], r.ID, r.Page, "")
	is(t, err, gateway.Forbidden)
	for _, other := range []string{strings.Repeat("0", 64), r.Digest, ""} {
		_, err = g.Approve(t.Context(), g.who["officer"], r.ID, other, "")
		is(t, err, gateway.Mismatch)
	}
	_, err = g.Approve(t.Context(), g.who["officer"], "small-2", r.Page, "")
	is(t, err, gateway.NotFound)
	g.hidesRelease(t, r.ID)

	g.approve(t, r)
	before := g.size(t)
	first := g.answer(t, r.ID)
	if g.size(t) != before+1 || g.last(t) != "question allowed" {
		t.Fatalf("an answer left %d leaves, the last %q", g.size(t)-before, g.last(t))
	}
	if again := g.answer(t, r.ID); !bytes.Equal(first, again) {
		t.Fatalf("the same question was answered\n%s\nand\n%s", first, again)
	}
	checkTable(t, first, r)
	curious := bySector
	curious.Purpose = "curiosity"
	g.denied(t, "researcher", r.ID, curious, gateway.NotFound)
	g.denied(t, "officer", r.ID, bySector, gateway.NotFound)
	crossed := bySector
	crossed.GroupBy = []string{"sector", "sex", "quarter"}
	g.denied(t, "researcher", r.ID, crossed, gateway.Invalid)

	closed, err := g.CloseRelease(t.Context(), g.who["steward"], r.ID, "an error was found")
	ok(t, err)
	if closed.State != gateway.ReleaseWithdrawn {
		t.Fatalf("a closed release is %s", closed.State)
	}
	g.denied(t, "researcher", r.ID, bySector, gateway.NotFound)
	g.hidesRelease(t, r.ID)
	same(t, g.story(t, string(r.ID)), begun, built, approved, withdrawn)
	_, err = g.registry.Verify(t.Context())
	ok(t, err)
}

// hidesRelease demands that the researcher knows nothing of a release.
func (g *gate) hidesRelease(t *testing.T, id gateway.ReleaseID) {
	t.Helper()
	_, err := g.Release(t.Context(), g.who["researcher"], id)
	is(t, err, gateway.NotFound)
	known, err := g.Releases(t.Context(), g.who["researcher"])
	ok(t, err)
	if len(known) != 0 {
		t.Fatalf("the researcher knows of %v", known)
	}
}

// checkTable demands values where two sectors reported, and nothing beside the
// status where four did not.
func checkTable(t *testing.T, answer []byte, r gateway.Release) {
	t.Helper()
	var table struct {
		Release gateway.ReleaseID
		Digest  string
		Cells   []map[string]any
		Notes   []string
	}
	ok(t, json.Unmarshal(answer, &table))
	if table.Release != r.ID || table.Digest != r.Digest || !slices.Contains(table.Notes, signedNotice) {
		t.Fatalf("the answer is of %s, %.16s…, with the notes %v", table.Release, table.Digest, table.Notes)
	}
	statuses := map[string]int{}
	for _, cell := range table.Cells {
		status := fmt.Sprint(cell["status"])
		statuses[status]++
		if _, holds := cell["value"]; holds != (status == string(gateway.StatusValue)) {
			t.Fatalf("a cell that is %s: %v", status, cell)
		}
	}
	if statuses["value"] != 2 || statuses["not_reported"] != 4 {
		t.Fatalf("statuses %v of cells by sector", statuses)
	}
}

// A batch that is taken back is gone from the rows and from the next release; the
// release that was built with it keeps its cells and answers, byte for byte, also
// after a restart. The next would differ by that batch alone, so it is not built but
// as the yearly revision. Then it supersedes the first.
func TestWithdrawnBatchAndTheNextRelease(t *testing.T) {
	g := populated(t)
	r1 := g.build(t)
	g.approve(t, r1)
	first := g.answer(t, r1.ID)
	all, err := g.registry.Batches(t.Context(), g.who["police"].Agency)
	ok(t, err)
	gone, err := g.Withdraw(t.Context(), g.who["police"], all[0].ID)
	ok(t, err)
	if gone.State != gateway.BatchWithdrawn || g.visible(t, "police") != 0 {
		t.Fatalf("a withdrawn batch is %s, %d loads are visible", gone.State, g.visible(t, "police"))
	}
	loads, err := g.house.Loads(t.Context(), "police")
	ok(t, err)
	if len(loads) != 0 {
		t.Fatalf("%d loads of a withdrawn batch have rows", len(loads))
	}
	same(t, g.story(t, string(gone.ID)), intended, committed, "batch.withdraw done", "batch.erased done")
	if again := g.answer(t, r1.ID); !bytes.Equal(again, first) {
		t.Fatal("a withdrawal changed an answer of a built release")
	}
	g.reopen(t)
	g.askAtOnce(t, r1.ID, first)

	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	g.clock.move(registry.Year)
	r2, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small", Revision: exchange.RevisionYearly})
	ok(t, err)
	if r2.ID != "small-2" || r2.Digest == r1.Digest || r2.Snapshot <= r1.Snapshot {
		t.Fatalf("the next release: %+v", r2)
	}
	d := small(t)
	raw, err := g.house.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "small-3", Snapshot: r2.Snapshot, Contracts: g.options.Contracts,
		SubjectKey: g.keys.SubjectKey(d.Lineage), Coverage: &gateway.Coverage{}, RecordCap: 20,
	})
	ok(t, err)
	_, police := raw.Count(t, "sector=police")
	if _, health := raw.Count(t, "sector=health"); police || !health {
		t.Fatalf("after police withdrew its batch, cells of police: %v, of health: %v", police, health)
	}
	if again := g.answer(t, r1.ID); !bytes.Equal(again, first) {
		t.Fatal("a release that nobody approved changed an answer")
	}
	g.approve(t, r2)
	g.denied(t, "researcher", r1.ID, bySector, gateway.NotFound)
	if second := g.answer(t, r2.ID); !bytes.Contains(second, []byte(`{"nodes":["police"],"status":"not_reported"}`)) {
		t.Fatalf("the next release answers %s", second)
	}
	_, err = g.Approve(t.Context(), g.who["officer"], r1.ID, r1.Page, "")
	is(t, err, gateway.NotFound)
	same(t, g.story(t, string(r1.ID)), begun, built, approved, superseded)
}

// askAtOnce asks from many goroutines when nothing is in memory yet.
func (g *gate) askAtOnce(t *testing.T, id gateway.ReleaseID, want []byte) {
	t.Helper()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			got, err := g.Ask(t.Context(), g.who["researcher"], id, bySector, asJSON)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("after a restart the answer is %s, %v", got, err)
			}
		})
	}
	wait.Wait()
}

// No leaf, no answer: another process holds the registry's write lock, so that
// everything can be read and nothing logged.
func TestAskWithoutALedger(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	g.approve(t, r)
	want := g.answer(t, r.ID)
	unlock := lock(t, g.path)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	table, err := g.Ask(ctx, g.who["researcher"], r.ID, bySector, asJSON)
	if table != nil || err == nil {
		t.Fatalf("without a ledger the answer is %v, %v", table, err)
	}
	unlock()
	if again := g.answer(t, r.ID); !bytes.Equal(again, want) {
		t.Fatal("with the ledger back the answer is another")
	}
	ok(t, g.registry.Close())
	table, err = g.Ask(t.Context(), g.who["researcher"], r.ID, bySector, asJSON)
	if table != nil || err == nil {
		t.Fatalf("without a registry the answer is %v, %v", table, err)
	}
}

func TestOneBuildAtATime(t *testing.T) {
	g := populated(t)
	var second error
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small", Progress: func(int, int) {
		if second == nil {
			_, second = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
		}
	}})
	ok(t, err)
	is(t, second, gateway.Conflict)
}

func TestBuildThatIsCancelled(t *testing.T) {
	g := populated(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := g.BuildRelease(ctx, g.who["steward"], exchange.Build{Definition: "small", Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled build ended with %v", err)
	}
	same(t, g.story(t, "small-1"), begun, "release.failed cancelled")
	failed, err := g.registry.Release(t.Context(), "small-1")
	ok(t, err)
	_, err = g.Approve(t.Context(), g.who["officer"], failed.ID, failed.Page, "")
	is(t, err, gateway.NotFound)
	_, err = g.Risk(t.Context(), g.who["officer"], failed.ID)
	is(t, err, gateway.Withheld)
	if r := g.build(t); r.ID != "small-2" {
		t.Fatalf("the build after a failed one is %s", r.ID)
	}
}

// A release says who had reported. A batch that is taken back while it is built
// would make that untrue, so the build fails.
func TestBuildDuringAWithdrawal(t *testing.T) {
	g := populated(t)
	all, err := g.registry.Batches(t.Context(), g.who["police"].Agency)
	ok(t, err)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small", Progress: func(int, int) {
		_, err := g.Withdraw(t.Context(), g.who["police"], all[0].ID)
		ok(t, err)
	}})
	is(t, err, gateway.Conflict)
	same(t, g.story(t, "small-1"), begun, "release.failed failed")
	g.build(t)
}
