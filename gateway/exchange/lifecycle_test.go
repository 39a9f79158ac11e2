package exchange_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
)

// rows is a file of the police with the lines from one to another under ids of their own.
func rows(tb testing.TB, from, to int) []byte {
	tb.Helper()
	lines := bytes.SplitAfter(files(tb)["police"], []byte("\n"))
	file := bytes.Clone(lines[0])
	for i := from; i < to; i++ {
		file = append(file, renamed(lines[1+i], "x"+string(rune('a'+i)))...)
	}
	return file
}

// as is an upload of the police of another kind.
func as(kind gateway.BatchKind, key string, file []byte) exchange.Upload {
	u := sending("police", key, file)
	u.Manifest.Kind = kind
	return u
}

// problems are the codes of a refused batch.
func problems(tb testing.TB, err error) map[gateway.ProblemCode]int {
	tb.Helper()
	e, is := errors.AsType[*gateway.Error](err)
	if !is || e.Problems == nil || e.Report == nil {
		tb.Fatalf("got %v", err)
	}
	codes := map[gateway.ProblemCode]int{}
	for _, g := range e.Report.Errors {
		codes[g.Code] = g.Count
	}
	return codes
}

// total is how many records of children the police have in the newest snapshot.
func (g *gate) total(tb testing.TB) uint64 {
	tb.Helper()
	snapshot, err := g.registry.Snapshot(tb.Context())
	ok(tb, err)
	batches, err := g.registry.Published(tb.Context(), snapshot)
	ok(tb, err)
	d := small(tb)
	coverage, err := g.registry.Coverage(tb.Context(), snapshot, d.From, d.To)
	ok(tb, err)
	raw, err := g.house.Count(tb.Context(), warehouse.Build{
		Definition: d, Release: "small-1", Snapshot: snapshot, Contracts: g.options.Contracts, Coverage: coverage,
		SubjectKey: g.keys.SubjectKey("small"), RecordCap: 1000, Order: exchange.Order(batches),
	})
	ok(tb, err)
	n, _ := raw.Count(tb, "sector=police")
	return n.Records
}

// What an agency sends counts each record once: a record that was sent before is refused
// in an original and replaces in a correction; a correction that is withdrawn gives the
// record back as it was; the same bytes are one batch, but for the kind.
func TestLifeOfRecords(t *testing.T) {
	g := newExchange(t)
	send := func(u exchange.Upload) (exchange.Uploaded, error) { return g.Upload(t.Context(), g.who["police"], u) }
	counts := func(doing string, want uint64) {
		t.Helper()
		if got := g.total(t); got != want {
			t.Errorf("%s: %d records, want %d", doing, got, want)
		}
	}
	first, err := send(as(gateway.Original, "1", rows(t, 0, 10)))
	ok(t, err)
	base := g.total(t)
	if base == 0 {
		t.Fatal("no records")
	}
	_, err = send(as(gateway.Original, "2", rows(t, 5, 12)))
	if diff := cmp.Diff(map[gateway.ProblemCode]int{pipelines.SentBefore: 5}, problems(t, err)); diff != "" {
		t.Error(diff)
	}
	counts("an original that repeats", base)
	correction := rows(t, 5, 10)
	made, err := send(as(gateway.Correction, "3", correction))
	ok(t, err)
	counts("a correction that changes nothing", base)
	again, err := send(as(gateway.Correction, "4", correction))
	ok(t, err)
	if !again.Repeated || again.Batch != made.Batch {
		t.Error("the same correction twice is two batches")
	}
	_, err = send(as(gateway.Correction, "1", rows(t, 0, 10)))
	is(t, err, gateway.Mismatch)
	back, err := send(as(gateway.Correction, "5", rows(t, 0, 10)))
	ok(t, err)
	if back.Repeated {
		t.Error("a correction back to the original was taken for the original")
	}
	counts("back to the original", base)
	_, err = g.Withdraw(t.Context(), g.who["police"], first.Batch)
	ok(t, err)
	counts("the original is withdrawn, its corrections are not", base)
	for _, id := range []gateway.BatchID{made.Batch, back.Batch} {
		_, err = g.Withdraw(t.Context(), g.who["police"], id)
		ok(t, err)
	}
	counts("all is withdrawn", 0)
	findings, _ := g.check(t)
	delete(findings, exchange.FindingLeftover) // of what was refused
	if len(findings) != 0 {
		t.Errorf("fsck found %v", findings)
	}
}

// Doubled records are found however many records lie between them: those that reading has
// forgotten by then, where the rows are stored.
func TestDoublesFarApart(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.File.Unique = 4 })
	_, repeated, _ := bytes.Cut(rows(t, 7, 9), []byte("\n"))
	doubled := append(rows(t, 0, 10), repeated...)
	for _, reject := range []gateway.Reject{gateway.RejectBatch, gateway.RejectRows} {
		u := as(gateway.Original, "1"+string(reject), doubled)
		u.Manifest.Reject = reject
		_, err := g.Upload(t.Context(), g.who["police"], u)
		if diff := cmp.Diff(map[gateway.ProblemCode]int{pipelines.DuplicateRecord: 2}, problems(t, err)); diff != "" {
			t.Error(diff)
		}
	}
	made, err := g.Upload(t.Context(), g.who["police"], as(gateway.Original, "2", rows(t, 0, 10)))
	ok(t, err)
	var r gateway.Receipt
	ok(t, json.Unmarshal(made.Receipt, &r))
	if r.Stored != 10 {
		t.Errorf("%d of 10 records were stored", r.Stored)
	}
}

// A manifest is held to: the number of records that it announces, and its period in a
// correction. A report of nothing is a batch like another, and an empty quarter.
func TestManifests(t *testing.T) {
	g := newExchange(t)
	u := sending("police", "1", rows(t, 0, 10))
	u.Manifest.Records = 11
	_, err := g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Invalid)
	u = sending("police", "1", rows(t, 0, 10))
	u.Manifest.Records = 10
	made, err := g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
	nothing := exchange.Upload{
		Contract: "health", Key: "n", Digest: sha256.Sum256(nil), Body: bytes.NewReader(nil),
		Manifest: gateway.Manifest{PeriodFrom: u.Manifest.PeriodFrom, PeriodTo: u.Manifest.PeriodTo, Kind: gateway.Nothing, Reject: gateway.RejectBatch},
	}
	for want := range 2 {
		empty, err := g.Upload(t.Context(), g.who["health"], nothing)
		ok(t, err)
		if empty.Repeated != (want == 1) {
			t.Errorf("sending %d of nothing", want)
		}
	}
	full := nothing
	full.Key, full.Body, full.Digest = "m", bytes.NewReader([]byte("x")), sha256.Sum256([]byte("x"))
	full.Manifest.PeriodTo--
	_, err = g.Upload(t.Context(), g.who["health"], full)
	is(t, err, gateway.Invalid)
	c, err := g.Coverage(t.Context(), g.who["health"])
	ok(t, err)
	if len(c.Reports) != 1 || c.Reports[0].Through.String() != "2025Q4" || len(c.Horizons) != 0 {
		t.Errorf("the agency is told %+v", c)
	}
	findings, batches := g.check(t)
	delete(findings, exchange.FindingLeftover)
	if len(findings) != 0 || batches != 2 {
		t.Errorf("fsck compared %d batches and found %v", batches, findings)
	}
	status, err := g.Batch(t.Context(), g.who["police"], made.Batch)
	ok(t, err)
	if status.Completeness != "whole" || status.Announced != 10 || status.Accepted.IsZero() {
		t.Errorf("the batch is %+v", status)
	}
}
