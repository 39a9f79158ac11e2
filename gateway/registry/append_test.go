package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// answering opens the release that questions ask.
func (r *Registry) answering(tb testing.TB) {
	tb.Helper()
	ctx := context.Background()
	rel, err := r.BeginRelease(ctx, Build{Lineage: "demo", Steward: gateway.Caller{Key: "s1", Subject: "steward", Role: gateway.RoleSteward}})
	if err != nil {
		tb.Fatal(err)
	}
	officer := gateway.Caller{Key: "o1", Subject: "officer", Role: gateway.RoleOfficer}
	if err := errors.Join(
		r.FinishRelease(ctx, rel.ID, finished), r.ApproveRelease(ctx, rel.ID, page, officer, "read"),
	); err != nil {
		tb.Fatal(err)
	}
}

// An answer does not leave after its release was withdrawn, or before there is one,
// and the leaf says so.
func TestAskAfterWithdrawal(t *testing.T) {
	r, _ := start(t)
	last := func(want ledger.Outcome) {
		t.Helper()
		size, err := r.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for leaf, err := range r.Leaves(t.Context(), size-1) {
			if err != nil || leaf.Event != ledger.Question || leaf.Outcome != want {
				t.Fatal(leaf, err)
			}
		}
	}
	wantKind(t, r.Ask(t.Context(), question(1)), gateway.Withheld)
	last(ledger.Denied)
	r.answering(t)
	if err := r.Ask(t.Context(), question(1)); err != nil {
		t.Fatal(err)
	}
	last(ledger.Allowed)
	// While others ask, an officer withdraws: no answer leaves whose leaf is later.
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := r.Ask(t.Context(), question(i)); err != nil && !errors.Is(err, gateway.Withheld) {
				t.Error(err)
			}
		})
	}
	if err := r.WithdrawRelease(t.Context(), "demo-1", gateway.Caller{Key: "o1"}, "a mistake"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	wantKind(t, r.Ask(t.Context(), question(1)), gateway.Withheld)
	last(ledger.Denied)
	withdrawn := false
	for leaf, err := range r.Leaves(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		withdrawn = withdrawn || leaf.Event == ledger.ReleaseWithdraw
		if withdrawn && leaf.Outcome == ledger.Allowed {
			t.Fatal("an answer left after the withdrawal")
		}
	}
}

func question(i int) Asked {
	return Asked{
		Caller:  gateway.Caller{Key: "k1", Purposes: []gateway.Purpose{"monitoring"}},
		Release: "demo-1", Purpose: "monitoring", Decision: fmt.Sprintf("%032x", i), Snapshot: 7, Allowed: true,
	}
}

// Questions that are asked at once get one leaf each.
func TestAskTogether(t *testing.T) {
	r, _ := start(t)
	r.answering(t)
	before, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 600 {
		wg.Go(func() {
			if err := r.Ask(t.Context(), question(i)); err != nil {
				t.Error(err)
			}
		})
	}
	// One that cannot be logged must not take the others with it.
	wg.Go(func() {
		q := question(0)
		q.Caller.Key = "not an id"
		if err := r.Ask(t.Context(), q); !errors.Is(err, gateway.Internal) {
			t.Errorf("got %v", err)
		}
	})
	wg.Wait()
	seen := map[string]bool{}
	for leaf, err := range r.Leaves(t.Context(), before) {
		if err != nil || leaf.Event != ledger.Question {
			t.Fatal(leaf, err)
		}
		seen[leaf.Object] = true
	}
	if len(seen) != 600 || !seen["demo-1/monitoring/"+question(5).Decision] {
		t.Fatalf("%d different leaves", len(seen))
	}
	checkTree(t, r)
}

// A purpose that the grant does not list is the caller's own text.
func TestDeniedPurposeIsNotLogged(t *testing.T) {
	r, _ := start(t)
	q := Asked{Caller: gateway.Caller{Key: "k1", Purposes: []gateway.Purpose{"monitoring"}}, Release: "demo-1", Purpose: "find.aliya.kim"}
	if err := r.Ask(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	size, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for leaf, err := range r.Leaves(t.Context(), size-1) {
		if err != nil || leaf.Object != "demo-1/-/-" || leaf.Outcome != ledger.Denied {
			t.Fatal(leaf, err)
		}
	}
}

func TestAppendAfterLeaving(t *testing.T) {
	r, _ := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Ask(ctx, question(1)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// A checkpoint is signed for every accepted batch, otherwise at most once a second.
func TestSigningPace(t *testing.T) {
	r, c := start(t)
	r.answering(t)
	signed := func() (n int) {
		t.Helper()
		if err := r.read.QueryRowContext(t.Context(), `SELECT signed FROM head`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	c.add(time.Hour)
	ask := func() {
		t.Helper()
		if err := r.Ask(t.Context(), question(1)); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	first := signed()
	ask()
	if signed() != first {
		t.Fatal("signed twice in a second")
	}
	r.load(t, intent("police-a", "k", "c"))
	if signed() <= first {
		t.Fatal("a batch was accepted without a checkpoint")
	}
	c.add(time.Second)
	second := signed()
	ask()
	if signed() <= second {
		t.Fatal("nothing was signed after a second")
	}
}

// trust.md 4.1 and 6.7: what an event costs with full synchronisation, alone and when
// many wait; an answer is one with its evidence.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 20, 200} {
		for name, ask := range map[string]func(*Registry, context.Context, Asked) error{
			"leaf":   (*Registry).Ask,
			"answer": func(r *Registry, ctx context.Context, q Asked) error { _, err := r.Answer(ctx, q); return err },
		} {
			b.Run(fmt.Sprint(name, "/writers=", writers), func(b *testing.B) { appendFrom(b, writers, ask) })
		}
	}
}

func appendFrom(b *testing.B, writers int, ask func(*Registry, context.Context, Asked) error) {
	b.Helper()
	r := mustOpen(b, newClock().options(b))
	r.answering(b)
	work := make(chan int)
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for i := range work {
				if err := ask(r, b.Context(), question(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		work <- i
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkUpload(b *testing.B) {
	r := mustOpen(b, newClock().options(b))
	addAgencies(b, r)
	b.ResetTimer()
	for i := range b.N {
		r.load(b, intent("police-a", fmt.Sprint(i), fmt.Sprint(i)))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "uploads/s")
}

func BenchmarkAuthenticate(b *testing.B) {
	r := mustOpen(b, newClock().options(b))
	addAgencies(b, r)
	token, _, err := r.AddKey(b.Context(), "install", KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
