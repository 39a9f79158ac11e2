package exchange_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// intent is that of an upload under the key k1.
func (g *gate) intent(t *testing.T, contract *gateway.Contract, file []byte) registry.Intent {
	t.Helper()
	plan, err := g.Policies().Plan(t.Context(), contract)
	ok(t, err)
	who := g.who[string(contract.ID)]
	return registry.Intent{
		Agency: who.Agency, Actor: who.Key, Contract: contract.ID, Version: contract.Version, Key: "k1",
		Content: g.keys.Digest(sha256.Sum256(file)), Manifest: sending(contract.ID, "k1", file).Manifest, Policy: plan.Revision,
		KCV: g.keys.KCV(), Lease: time.Minute,
	}
}

// begin does what an upload does up to its intent.
func (g *gate) begin(t *testing.T, contract *gateway.Contract, file []byte) registry.Attempt {
	t.Helper()
	a, err := g.registry.BeginBatch(t.Context(), g.intent(t, contract, file))
	ok(t, err)
	return a
}

// commit does what an upload of the police does up to its commit, and dies before
// the marker. wrong is added to the sum of MACs that the registry keeps.
func (g *gate) commit(t *testing.T, file []byte, wrong uint64) (gateway.BatchID, []byte) {
	t.Helper()
	contract := g.police(t)
	a := g.begin(t, contract, file)
	plan, err := g.Policies().Plan(t.Context(), contract)
	ok(t, err)
	reader, err := pipelines.Open(t.Context(), bytes.NewReader(file), pipelines.Options{
		Contract: contract, Plan: plan, Keys: g.keys, Agency: g.who[string(contract.ID)].Agency,
		Batch: sending(contract.ID, "k1", file).Manifest, Today: gateway.DayOf(today),
	})
	ok(t, err)
	load, err := g.house.NewLoad(t.Context(), contract, a.Load)
	ok(t, err)
	defer load.Abort()
	b := gateway.NewBlock(contract.Layout())
	for {
		err := reader.Next(t.Context(), b)
		if errors.Is(err, io.EOF) {
			break
		}
		ok(t, err)
		ok(t, load.Append(t.Context(), b))
	}
	sums, err := load.Finish(t.Context())
	ok(t, err)
	receipt, _, err := g.registry.CommitBatch(t.Context(), a.Batch, a.Load, registry.Accepted{
		Receipt: gateway.Receipt{Records: reader.Rows(), Stored: reader.Rows(), Salt: make([]byte, 16), Content: make([]byte, 32)}, MAC: sums.MAC + wrong, Compared: 1 << 62,
	})
	ok(t, err)
	return a.Batch, receipt
}

func (g *gate) police(tb testing.TB) *gateway.Contract {
	tb.Helper()
	for _, c := range g.options.Contracts {
		if c.ID == "police" {
			return c
		}
	}
	tb.Fatal("there is no contract police")
	return nil
}

// A gateway that dies between the commit and the marker has accepted the batch: the
// next one writes the marker, and the agency's retry gets the receipt.
func TestRestartRollsForward(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	id, receipt := g.commit(t, file, 0)
	if g.visible(t, "police") != 0 {
		t.Fatal("a batch is visible before its marker")
	}
	g.reopen(t)
	again := g.send(t, "police", "k1", file)
	if again.Batch != id || !again.Repeated || !bytes.Equal(again.Receipt, receipt) || g.visible(t, "police") != 1 {
		t.Fatalf("after a restart the batch is %s, repeated %v, visible %d", again.Batch, again.Repeated, g.visible(t, "police"))
	}
	b, err := g.Batch(t.Context(), g.who["police"], id)
	ok(t, err)
	if b.State != gateway.BatchPublished {
		t.Fatalf("after a restart the batch is %s", b.State)
	}
	same(t, g.story(t, string(id)), intended, committed)
}

// Run does the same without a restart.
func TestRunRollsForward(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Tick = 20 * time.Millisecond })
	g.commit(t, files(t)["police"], 0)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { g.Run(ctx) })
	eventually(t, "the marker is written", func() bool { return g.visible(t, "police") == 1 })
	stop()
	wait.Wait()
}

// An attempt that a crash ended does not block its agency until the lease is over.
func TestRestartEndsAttempts(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	a := g.begin(t, g.police(t), file)
	_, err := g.Upload(t.Context(), g.who["police"], sending("police", "k1", file))
	is(t, err, gateway.Conflict)
	g.reopen(t)
	made := g.send(t, "police", "k1", file)
	if made.Batch != a.Batch || made.Repeated {
		t.Fatalf("after a restart the attempt is batch %s, repeated %v", made.Batch, made.Repeated)
	}
	same(t, g.story(t, string(a.Batch)), intended, "batch.abort expired", intended, committed)
}

// A withdrawal holds from its leaf on, even while the rows cannot be reached.
func TestRestartErases(t *testing.T) {
	g := newExchange(t)
	made := g.send(t, "police", "k1", files(t)["police"])
	ok(t, g.house.Close())
	gone, err := g.Withdraw(t.Context(), g.who["police"], made.Batch)
	ok(t, err)
	if gone.State != gateway.BatchWithdrawn {
		t.Fatalf("the batch is %s", gone.State)
	}
	same(t, g.story(t, string(made.Batch)), intended, committed, "batch.withdraw done")
	g.options.Limits.Tick = 10 * time.Millisecond
	g.reopen(t)
	if g.visible(t, "police") != 0 {
		t.Fatal("after a restart a withdrawn batch is visible")
	}
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { g.Run(running); close(done) }()
	eventually(t, "the rows of a withdrawn batch are gone", func() bool {
		loads, err := g.house.Loads(t.Context(), "police")
		ok(t, err)
		return len(loads) == 0 && len(g.story(t, string(made.Batch))) == 4
	})
	stop()
	<-done
	same(t, g.story(t, string(made.Batch)), intended, committed, "batch.withdraw done", "batch.erased done")
	_, err = g.Upload(t.Context(), g.who["police"], sending("police", "k1", files(t)["police"]))
	is(t, err, gateway.Conflict)
	g.send(t, "police", "k2", files(t)["police"])
}

func TestOtherKeyringIsRefused(t *testing.T) {
	g := newExchange(t)
	opened, err := pseudonym.Generate(rand.Reader, "test")
	ok(t, err)
	o := g.options
	o.Keys, err = pseudonym.Parse(opened)
	ok(t, err)
	_, err = exchange.New(t.Context(), o)
	is(t, err, gateway.Conflict)
}
