package exchange_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// check returns what Check finds, by batch ("" for rows of none), and how many
// batches it compared.
func (g *gate) check(t *testing.T) (findings map[string][]gateway.BatchID, batches int) {
	t.Helper()
	report, err := g.Check(t.Context())
	ok(t, err)
	findings = map[string][]gateway.BatchID{}
	for _, f := range report.Findings {
		findings[f.What] = append(findings[f.What], f.Batch)
	}
	logged := false
	for _, leaf := range g.leaves(t, report.Leaves) {
		logged = logged || leaf.Event == ledger.FsckFinding
	}
	if logged == report.Clean() {
		t.Fatalf("findings %v are logged: %v", report.Findings, logged)
	}
	return findings, report.Batches
}

// stray stores the file of the police under a load id that no batch has.
func (g *gate) stray(t *testing.T, id gateway.LoadID) {
	t.Helper()
	load, err := g.house.NewLoad(t.Context(), g.police(t), id)
	ok(t, err)
	defer load.Abort()
	b := gateway.NewBlock(g.police(t).Layout())
	b.SetRows(3)
	ok(t, load.Append(t.Context(), b))
	_, err = load.Finish(t.Context())
	ok(t, err)
}

// Each way in which registry and warehouse can come to disagree is found, named
// and logged, and nothing else is.
func TestCheckFindsWhatDiffers(t *testing.T) {
	g := newExchange(t)
	sent := map[string]gateway.Batch{}
	for _, id := range []gateway.ContractID{"police", "health", "education", "social"} {
		made := g.send(t, id, "k1", files(t)[id])
		b, err := g.Batch(t.Context(), g.who[string(id)], made.Batch)
		ok(t, err)
		sent[string(id)] = b.Batch
	}
	_, err := g.Withdraw(t.Context(), g.who["social"], sent["social"].ID)
	ok(t, err)
	if findings, batches := g.check(t); len(findings) != 0 || batches != 3 {
		t.Fatalf("of a sound gateway with 3 batches %d were compared, and found %v", batches, findings)
	}

	g.stray(t, 1)
	want := map[string][]gateway.BatchID{exchange.FindingLeftover: {""}}
	findings, _ := g.check(t)
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Fatal(diff)
	}

	g.stray(t, 2)
	ok(t, g.house.Publish(t.Context(), warehouse.Marker{Seq: 1, Batch: "b-of-none", Load: 2, Contract: "police", State: gateway.BatchPublished}))
	want[exchange.FindingVisible] = []gateway.BatchID{""}
	ok(t, g.house.Erase(t.Context(), "police", sent["police"].Load))
	want[exchange.FindingLost] = []gateway.BatchID{sent["police"].ID}
	b := sent["health"]
	ok(t, g.house.Publish(t.Context(), warehouse.Marker{Seq: b.Seq + 1, Batch: b.ID, Load: b.Load, Contract: b.Contract, State: gateway.BatchWithdrawn}))
	want[exchange.FindingInvisible] = []gateway.BatchID{b.ID}
	findings, _ = g.check(t)
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Fatal(diff)
	}
}

// A row that is not what was accepted shows in the sum of MACs.
func TestCheckFindsAlteredRows(t *testing.T) {
	g := newExchange(t)
	id, _ := g.commit(t, files(t)["police"], 1)
	g.reopen(t)
	findings, _ := g.check(t)
	if !slices.Equal(findings[exchange.FindingAltered], []gateway.BatchID{id}) || len(findings) != 1 {
		t.Fatalf("found %v", findings)
	}
}

// A batch whose marker is on its way is no finding, nor is one that was accepted
// after it and has its marker.
func TestCheckBesideAnUnfinishedBatch(t *testing.T) {
	g := newExchange(t)
	g.commit(t, files(t)["police"], 0)
	g.send(t, "health", "k1", files(t)["health"])
	if findings, batches := g.check(t); len(findings) != 0 || batches != 1 {
		t.Fatalf("%d batches were compared, and found %v", batches, findings)
	}
}
