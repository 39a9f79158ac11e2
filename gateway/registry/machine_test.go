package registry

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A model is the state machine of loading.md 3.1, written a second time with maps.
type model struct {
	batches  map[gateway.BatchID]*modelBatch
	byKey    map[string]*modelBatch // agency and key
	attempts []modelAttempt         // every one that ever began
	leases   map[gateway.LoadID]time.Time
}

type modelBatch struct {
	id      gateway.BatchID
	intent  Intent
	state   gateway.BatchState
	load    gateway.LoadID
	erased  bool
	receipt []byte
}

type modelAttempt struct {
	batch gateway.BatchID
	load  gateway.LoadID
}

func (b *modelBatch) accepted() bool {
	return b.state == gateway.BatchCommitted || b.state == gateway.BatchPublished
}

// twin returns another key's batch of the same content that a new attempt must not
// double: an accepted one, else one in flight.
func (m *model) twin(in Intent, now time.Time) *modelBatch {
	var flying *modelBatch
	for _, b := range m.batches {
		if b.intent.Agency != in.Agency || b.intent.Content != in.Content || b.intent.Key == in.Key {
			continue
		}
		if b.accepted() {
			return b
		}
		if b.state == gateway.BatchLoading && m.leases[b.load].After(now) {
			flying = b
		}
	}
	return flying
}

// begin says what BeginBatch must do: an error of a kind, a receipt, or neither.
func (m *model) begin(in Intent, now time.Time) (gateway.Kind, *modelBatch) {
	if b := m.byKey[string(in.Agency)+in.Key]; b != nil {
		switch {
		case b.intent.Content != in.Content:
			return gateway.Mismatch, nil
		case b.state == gateway.BatchWithdrawn:
			return gateway.Conflict, nil
		case b.state != gateway.BatchAborted && b.intent.Manifest != in.Manifest:
			return gateway.Mismatch, nil
		case b.accepted():
			return 0, b
		case b.state == gateway.BatchLoading && m.leases[b.load].After(now):
			return gateway.Conflict, nil
		}
	}
	if b := m.twin(in, now); b != nil {
		if !b.accepted() || b.intent.Manifest != in.Manifest {
			return gateway.Conflict, nil
		}
		return 0, b
	}
	return 0, nil
}

// A machine runs a registry beside the model.
type machine struct {
	model
	t     *testing.T
	r     *Registry
	opt   Options
	clock *clock
}

func (m *machine) drawAttempt(t *rapid.T) modelAttempt {
	if len(m.attempts) == 0 {
		t.Skip("no attempt yet")
	}
	return rapid.SampledFrom(m.attempts).Draw(t, "attempt")
}

func (m *machine) want(t *rapid.T, err error, kind gateway.Kind, ok bool) {
	t.Helper()
	if ok != (err == nil) || (!ok && !errors.Is(err, kind)) {
		t.Fatalf("got error %v, want none: %v, else %v", err, ok, kind)
	}
}

func (m *machine) begin(t *rapid.T) {
	in := intent(rapid.SampledFrom([]gateway.AgencyID{"police-a", "police-b"}).Draw(t, "agency"),
		rapid.SampledFrom([]string{"k1", "k2", "k3"}).Draw(t, "key"),
		rapid.SampledFrom([]string{"x", "y"}).Draw(t, "content"))
	in.Manifest.PeriodTo -= gateway.Day(rapid.IntRange(0, 7).Draw(t, "days") / 7)
	kind, repeated := m.model.begin(in, m.clock.now())
	a, err := m.r.BeginBatch(m.t.Context(), in)
	m.want(t, err, kind, kind == 0)
	switch {
	case err != nil:
		if a.Load != 0 || a.Receipt != nil {
			t.Fatal("a refused attempt has a load or a receipt")
		}
	case repeated != nil:
		if a.Load != 0 || a.Batch != repeated.id || !bytes.Equal(a.Receipt, repeated.receipt) {
			t.Fatal("the receipt is not the same bytes")
		}
	default:
		b := m.byKey[string(in.Agency)+in.Key]
		if b == nil {
			b = &modelBatch{id: a.Batch}
			m.byKey[string(in.Agency)+in.Key], m.batches[a.Batch] = b, b
		}
		if a.Receipt != nil || a.Batch != b.id {
			t.Fatal("a new attempt has a receipt or another batch")
		}
		b.intent, b.state, b.load = in, gateway.BatchLoading, a.Load
		m.leases[a.Load] = m.clock.now().Add(in.Lease)
		m.attempts = append(m.attempts, modelAttempt{a.Batch, a.Load})
	}
}

func (m *machine) commit(t *rapid.T) {
	a := m.drawAttempt(t)
	b := m.batches[a.batch]
	ok := b.state == gateway.BatchLoading && b.load == a.load
	for _, other := range m.batches {
		if other != b && other.accepted() && other.intent.Agency == b.intent.Agency && other.intent.Content == b.intent.Content {
			ok = false
		}
	}
	receipt, _, err := m.r.CommitBatch(m.t.Context(), a.batch, a.load, accepted(3))
	m.want(t, err, gateway.Conflict, ok)
	if ok {
		b.state, b.receipt = gateway.BatchCommitted, receipt
		if _, err := ledger.VerifyReceipt(receipt, m.opt.Verifier); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) renew(t *rapid.T) {
	a := m.drawAttempt(t)
	b := m.batches[a.batch]
	ok := b.state == gateway.BatchLoading && b.load == a.load
	m.want(t, m.r.RenewLease(m.t.Context(), a.load, time.Minute), gateway.Conflict, ok)
	if ok {
		m.leases[a.load] = m.clock.now().Add(time.Minute)
	}
}

func (m *machine) abort(t *rapid.T) {
	a := m.drawAttempt(t)
	b := m.batches[a.batch]
	ok := b.load == a.load && (b.state == gateway.BatchLoading || b.state == gateway.BatchAborted)
	m.want(t, m.r.AbortBatch(m.t.Context(), a.batch, a.load, ledger.Refused, nil), gateway.Conflict, ok)
	if ok {
		b.state = gateway.BatchAborted
	}
}

func (m *machine) expire(t *rapid.T) {
	before := m.clock.now().Add(-time.Minute)
	n := 0
	for _, b := range m.batches {
		if b.state == gateway.BatchLoading && m.leases[b.load].Before(before) {
			b.state = gateway.BatchAborted
			n++
		}
	}
	if got, err := m.r.ExpireBatches(m.t.Context(), before); got != n || err != nil {
		t.Fatalf("%d expired, %v; want %d", got, err, n)
	}
}

func (m *machine) publish(t *rapid.T) {
	b := m.batches[m.drawAttempt(t).batch]
	ok := b.accepted() || b.state == gateway.BatchWithdrawn
	m.want(t, m.r.PublishedBatch(m.t.Context(), b.id), gateway.Conflict, ok)
	if b.state == gateway.BatchCommitted {
		b.state = gateway.BatchPublished
	}
}

func (m *machine) withdraw(t *rapid.T) {
	b := m.batches[m.drawAttempt(t).batch]
	_, _, err := m.r.WithdrawBatch(m.t.Context(), "health-a", "k1", b.id)
	m.want(t, err, gateway.NotFound, false)
	ok := b.accepted() || b.state == gateway.BatchWithdrawn
	_, _, err = m.r.WithdrawBatch(m.t.Context(), b.intent.Agency, "k1", b.id)
	m.want(t, err, gateway.Conflict, ok)
	if ok {
		b.state = gateway.BatchWithdrawn
	}
}

func (m *machine) erase(t *rapid.T) {
	b := m.batches[m.drawAttempt(t).batch]
	ok := b.state == gateway.BatchWithdrawn
	m.want(t, m.r.ErasedBatch(m.t.Context(), b.id), gateway.Conflict, ok)
	b.erased = b.erased || ok
}

func (m *machine) wait(t *rapid.T) {
	m.clock.add(time.Duration(rapid.IntRange(1, 50).Draw(t, "seconds")) * time.Second)
}

func (m *machine) reopen(t *rapid.T) {
	if err := m.r.Close(); err != nil {
		t.Fatal(err)
	}
	m.r = mustOpen(m.t, m.opt)
}

// check holds everything that can be read against the model.
func (m *machine) check(t *rapid.T) {
	checkTree(m.t, m.r)
	got, want := map[gateway.BatchID]gateway.BatchState{}, map[gateway.BatchID]gateway.BatchState{}
	for _, agency := range []gateway.AgencyID{"police-a", "police-b", "health-a"} {
		all, err := m.r.Batches(m.t.Context(), agency)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range all {
			got[b.ID] = b.State
		}
	}
	pending := map[gateway.BatchID]bool{}
	for id, b := range m.batches {
		want[id] = b.state
		if b.state == gateway.BatchCommitted || (b.state == gateway.BatchWithdrawn && !b.erased) {
			pending[id] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("states of batches (-want +got):\n%s", diff)
	}
	todo, err := m.r.Pending(m.t.Context())
	if err != nil || len(todo) != len(pending) {
		t.Fatalf("%d pending, %v; want %d", len(todo), err, len(pending))
	}
	m.checkLoads(t)
	m.checkSnapshot(t)
}

// checkLoads holds that every load is live or, once over, dead: never both, and none
// forgotten.
func (m *machine) checkLoads(t *rapid.T) {
	live, err1 := m.r.LiveLoads(m.t.Context())
	dead, err2 := m.r.DeadLoads(m.t.Context(), m.clock.now().Add(time.Hour))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	got := map[gateway.LoadID]bool{}
	for _, l := range live {
		got[l.ID] = true
	}
	for _, l := range dead {
		if got[l.ID] {
			t.Fatal("a load is live and dead")
		}
		got[l.ID] = false
	}
	want := map[gateway.LoadID]bool{}
	for _, a := range m.attempts {
		b := m.batches[a.batch]
		want[a.load] = b.load == a.load && (b.accepted() || b.state == gateway.BatchLoading)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("live loads (-want +got):\n%s", diff)
	}
}

func (m *machine) checkSnapshot(t *rapid.T) {
	snapshot, err := m.r.Snapshot(m.t.Context())
	if err != nil {
		t.Fatal(err)
	}
	published, err := m.r.Published(m.t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	held := map[gateway.BatchID]bool{}
	for _, b := range published {
		held[b.ID] = true
	}
	todo, err := m.r.Pending(m.t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range todo {
		if b.State == gateway.BatchCommitted && (b.Seq <= snapshot || held[b.ID]) {
			t.Fatalf("snapshot %d holds batch %s of seq %d before its marker", snapshot, b.ID, b.Seq)
		}
	}
}

func TestStateMachine(t *testing.T) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		c := newClock()
		opt := c.options(t)
		opt.Path += fmt.Sprint(run)
		m := &machine{
			model: model{batches: map[gateway.BatchID]*modelBatch{}, byKey: map[string]*modelBatch{}, leases: map[gateway.LoadID]time.Time{}},
			t:     t, r: mustOpen(t, opt), opt: opt, clock: c,
		}
		addAgencies(t, m.r)
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "begin again": m.begin, "commit": m.commit, "renew": m.renew, "abort": m.abort, "expire": m.expire,
			"publish": m.publish, "withdraw": m.withdraw, "erase": m.erase, "wait": m.wait, "reopen": m.reopen, "": m.check,
		})
		if _, err := m.r.Verify(t.Context()); err != nil {
			rt.Fatal(err)
		}
		if err := m.r.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}
