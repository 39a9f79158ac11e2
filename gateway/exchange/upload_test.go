package exchange_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// What the ledger says of an upload by how it ended.
const (
	intended  = "batch.intent intended"
	committed = "batch.commit done"
	refused   = "batch.abort refused"
	cancelled = "batch.abort cancelled"
	fenced    = "batch.abort fenced"
)

func TestUploadIsOnce(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	first := g.send(t, "police", "k1", file)
	receipt, err := ledger.VerifyReceipt(first.Receipt, g.keys.Verifier())
	ok(t, err)
	records := bytes.Count(file, []byte("\n")) - 1
	if first.Repeated || receipt.Batch != first.Batch || receipt.Records != records || receipt.Stored != records || receipt.Refused != 0 || receipt.Agency != "agency-police" {
		t.Fatalf("receipt of %d records: %+v", records, receipt)
	}
	digest := sha256.Sum256(file)
	if content := sha256.Sum256(append(slices.Clone(receipt.Salt), digest[:]...)); !bytes.Equal(content[:], receipt.Content) {
		t.Fatal("the receipt does not commit to the file")
	}
	before := g.size(t)
	for _, key := range []string{"k1", "k1", "k2"} {
		again := g.send(t, "police", key, file)
		if !again.Repeated || again.Batch != first.Batch || !bytes.Equal(again.Receipt, first.Receipt) {
			t.Fatalf("key %s: the same content is batch %s, repeated %v", key, again.Batch, again.Repeated)
		}
	}
	if g.size(t) != before {
		t.Fatal("a repeated receipt was logged as if something had happened")
	}
	other := append(slices.Clone(file), file[bytes.IndexByte(file, '\n')+1:][:0]...)
	other = other[:bytes.LastIndexByte(other[:len(other)-1], '\n')+1] // one record less
	_, err = g.Upload(t.Context(), g.who["police"], sending("police", "k1", other))
	is(t, err, gateway.Mismatch)
	lie := sending("police", "k1", file)
	lie.Body = bytes.NewReader(other)
	_, err = g.Upload(t.Context(), g.who["police"], lie)
	is(t, err, gateway.Invalid)
	if g.visible(t, "police") != 1 {
		t.Fatalf("%d loads are visible", g.visible(t, "police"))
	}
	same(t, g.story(t, string(first.Batch)), intended, committed)
}

func TestUploadOfOtherKeyAndContentIsAnother(t *testing.T) {
	g := newExchange(t)
	a, b := g.send(t, "police", "k1", files(t)["police"]), g.send(t, "health", "k1", files(t)["health"])
	if a.Batch == b.Batch || g.visible(t, "police") != 1 || g.visible(t, "health") != 1 {
		t.Fatal("the same key of two agencies is one batch")
	}
	_, err := g.Batch(t.Context(), g.who["health"], a.Batch)
	is(t, err, gateway.NotFound)
	_, err = g.Withdraw(t.Context(), g.who["health"], a.Batch)
	is(t, err, gateway.NotFound)
}

func TestUploadInFlight(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	body := hold(file, len(file)/2)
	done := g.start(t.Context(), "k1", file, body)
	<-body.reached
	for _, key := range []string{"k1", "k2"} {
		_, err := g.Upload(t.Context(), g.who["police"], sending("police", key, file))
		is(t, err, gateway.Conflict)
	}
	close(body.letGo)
	ended := <-done
	ok(t, ended.err)
	again := g.send(t, "police", "k1", file)
	if !again.Repeated || !bytes.Equal(again.Receipt, ended.Receipt) {
		t.Fatal("after the first has ended, its key does not give its receipt")
	}
	same(t, g.story(t, string(ended.Batch)), intended, committed)
}

func TestUploadsThatRace(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.OfAgency = 6 })
	file := files(t)["police"]
	var all []ended
	var mu sync.Mutex
	var wait sync.WaitGroup
	for i := range 6 {
		wait.Go(func() {
			e := <-g.start(t.Context(), fmt.Sprint("k", i%2), file, bytes.NewReader(file))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
		})
	}
	wait.Wait()
	won := 0
	var receipt []byte
	for _, e := range all {
		switch {
		case e.err != nil:
			is(t, e.err, gateway.Conflict)
			continue
		case !e.Repeated:
			won++
		}
		if receipt == nil {
			receipt = e.Receipt
		}
		if !bytes.Equal(e.Receipt, receipt) {
			t.Fatal("two receipts for one file")
		}
	}
	if won != 1 || g.visible(t, "police") != 1 {
		t.Fatalf("%d uploads won, %d loads are visible", won, g.visible(t, "police"))
	}
}

// An attempt that was silent for longer than its lease is overtaken by a retry. When
// it wakes up it must lose, and the ledger must say so.
func TestUploadThatWasOvertaken(t *testing.T) {
	for _, key := range []string{"k1", "k2"} { // of the retry: the same key, another key for the same content
		t.Run(key, func(t *testing.T) {
			g := newExchange(t)
			file := files(t)["police"]
			body := hold(file, len(file)/2)
			done := g.start(t.Context(), "k1", file, body)
			<-body.reached
			slept := g.batch(t)
			g.clock.move(31 * time.Second)
			winner := g.send(t, "police", key, file)
			close(body.letGo)
			loser := <-done
			is(t, loser.err, gateway.Conflict)
			loads, err := g.house.Visible(t.Context(), "police", warehouse.Snapshot{Seq: 1 << 62})
			ok(t, err)
			kept, err := g.Batch(t.Context(), g.who["police"], winner.Batch)
			ok(t, err)
			if len(loads) != 1 || loads[0] != kept.Load || loads[0] == slept.Load {
				t.Fatalf("%d loads are visible; the winner's is among them: %v", len(loads), slices.Contains(loads, kept.Load))
			}
			if key == "k1" {
				same(t, g.story(t, string(winner.Batch)), intended, intended, committed, fenced)
			} else {
				same(t, g.story(t, string(winner.Batch)), intended, committed)
				same(t, g.story(t, string(slept.ID)), intended, fenced)
			}
			again := g.send(t, "police", "k1", file)
			if !again.Repeated || !bytes.Equal(again.Receipt, winner.Receipt) {
				t.Fatal("the loser's key does not give the winner's receipt")
			}
		})
	}
}

func TestUploadOfAnAlteredBody(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	for name, body := range map[string][]byte{
		"cut":      file[:bytes.LastIndexByte(file[:len(file)-1], '\n')+1],
		"appended": append(slices.Clone(file), "\n"...),
		"swapped":  bytes.Replace(file, []byte(",KZ,"), []byte(",RU,"), 1),
	} {
		u := sending("police", name, file)
		u.Digest[0] ^= byte(len(name)) // of each its own content, so that none is another's retry
		u.Body = bytes.NewReader(body)
		_, err := g.Upload(t.Context(), g.who["police"], u)
		is(t, err, gateway.Invalid)
	}
	u := sending("police", "right", file)
	u.Body = bytes.NewReader(file[:len(file)-40])
	_, err := g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Invalid)
	if g.visible(t, "police") != 0 {
		t.Fatal("an altered body became visible")
	}
	made := g.send(t, "police", "right", file)
	same(t, g.story(t, string(made.Batch)), intended, refused, intended, committed)
}

// The caller goes away after more than a block was decoded, so rows are on their
// way; then the same upload is sent again. What the first left is invisible, and
// swept.
func TestUploadThatIsCancelled(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Tick = 20 * time.Millisecond })
	file := many(t, gateway.BlockRows+500)
	ctx, cancel := context.WithCancel(t.Context())
	body := hold(file, len(file)-100)
	done := g.start(ctx, "k1", file, body)
	<-body.reached
	cancel()
	body.letGo <- errors.New("connection lost")
	if e := <-done; !errors.Is(e.err, context.Canceled) {
		t.Fatalf("a cancelled upload ended with %v", e.err)
	}
	dead := g.batch(t)
	if dead.State != gateway.BatchAborted || g.visible(t, "police") != 0 {
		t.Fatalf("a cancelled batch is %s", dead.State)
	}
	made := g.send(t, "police", "k1", file)
	same(t, g.story(t, string(made.Batch)), intended, cancelled, intended, committed)
	live, err := g.Batch(t.Context(), g.who["police"], made.Batch)
	ok(t, err)
	g.clock.move(2 * time.Hour)
	running, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { g.Run(running) })
	eventually(t, "the dead load is swept", func() bool {
		dead, err := g.registry.DeadLoads(t.Context(), g.clock.now())
		ok(t, err)
		loads, err := g.house.Loads(t.Context(), "police")
		ok(t, err)
		return len(dead) == 0 && len(loads) == 1 && int(loads[live.Load].Rows) == live.Stored
	})
	stop()
	wait.Wait()
}

// A sender that fails while it sends is no cancellation: the batch is refused and
// can be sent again.
func TestUploadWhoseBodyEndsEarly(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	body := hold(file, len(file)/2)
	done := g.start(t.Context(), "k1", file, body)
	<-body.reached
	body.letGo <- io.ErrUnexpectedEOF
	e := <-done
	is(t, e.err, gateway.Invalid)
	made := g.send(t, "police", "k1", file)
	same(t, g.story(t, string(made.Batch)), intended, refused, intended, committed)
}

func TestUploadsThatEndEarlyLeaveNoGoroutine(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Lease = time.Hour }) // so that what keeps it alive does not end by itself
	file := files(t)["police"]
	cut := func(key string, cancelled bool) {
		ctx := t.Context()
		cancel := func() {}
		if cancelled {
			ctx, cancel = context.WithCancel(ctx)
		}
		body := hold(file, len(file)/2)
		done := g.start(ctx, key, file, body)
		<-body.reached
		cancel()
		body.letGo <- io.ErrUnexpectedEOF
		e := <-done
		if cancelled != errors.Is(e.err, context.Canceled) || !cancelled && !errors.Is(e.err, gateway.Invalid) {
			t.Fatalf("an upload that was cancelled (%v) or lost its sender ended with %v", cancelled, e.err)
		}
	}
	cut("warm", true) // connections of pools stay
	before := settled()
	for i := range 20 {
		cut(fmt.Sprint("k", i), i%2 == 0)
	}
	eventually(t, "goroutines end", func() bool { return settled() <= before })
}

func TestUploadWithBadRecords(t *testing.T) {
	g := newExchange(t)
	made, content, err := country(synth.Options{Children: 200, Seed: 3, Dirty: 0.05})
	ok(t, err)
	file := content["police"]
	counts, err := made.Counts()
	ok(t, err)
	var want []gateway.RowError
	for _, d := range counts.Dirty {
		if d.File == "police" {
			want = append(want, gateway.RowError{Line: d.Line, Field: d.Column, Code: d.Code})
		}
	}
	records := counts.Records["police"]
	if len(want) < 5 {
		t.Fatalf("%d records of %d are dirty: the test proves nothing", len(want), records)
	}

	_, err = g.Upload(t.Context(), g.who["police"], sending("police", "whole", file))
	is(t, err, gateway.Invalid)
	e, _ := errors.AsType[*gateway.Error](err)
	if diff := cmp.Diff(want, e.Problems.First); diff != "" || !strings.Contains(e.Detail, fmt.Sprintf("%d of %d records", len(want), records)) {
		t.Fatalf("%s: problems, in truth (-) and found (+):\n%s", e.Detail, diff)
	}
	dead := g.batch(t)
	if dead.State != gateway.BatchAborted || g.visible(t, "police") != 0 {
		t.Fatalf("a refused batch is %s", dead.State)
	}
	same(t, g.story(t, string(dead.ID)), intended, refused)

	u := sending("police", "rows", file)
	u.Manifest.Reject = gateway.RejectRows
	sent, err := g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
	receipt, err := ledger.VerifyReceipt(sent.Receipt, g.keys.Verifier())
	ok(t, err)
	if receipt.Records != records || receipt.Refused != len(want) || receipt.Stored != records-len(want) {
		t.Fatalf("of %d records %d are dirty; the receipt says %d, stored %d, refused %d", records, len(want), receipt.Records, receipt.Stored, receipt.Refused)
	}
	if diff := cmp.Diff(want, receipt.Problems.First); diff != "" {
		t.Fatalf("problems, in truth (-) and in the receipt (+):\n%s", diff)
	}
	b := g.batch(t)
	loads, err := g.house.Loads(t.Context(), "police")
	ok(t, err)
	if int(loads[b.Load].Rows) != receipt.Stored || b.Stored != receipt.Stored || g.visible(t, "police") != 1 {
		t.Fatalf("%d rows are stored, the receipt says %d, the registry %d", loads[b.Load].Rows, receipt.Stored, b.Stored)
	}
}

// More than half of the records may be bad when bad ones are left out.
func TestUploadWithMoreBadThanGoodRecords(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	lines := bytes.SplitAfter(file, []byte("\n"))
	bad := bytes.Replace(lines[1], []byte(",KZ,"), []byte(",ZZZZ,"), 1)
	mixed := slices.Concat(lines[0], lines[1], renamed(bad, "x1"), renamed(bad, "x2"), renamed(bad, "x3"))
	u := sending("police", "k1", mixed)
	u.Manifest.Reject = gateway.RejectRows
	sent, err := g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
	var receipt gateway.Receipt
	ok(t, json.Unmarshal(sent.Receipt, &receipt))
	if receipt.Records != 4 || receipt.Stored != 1 || receipt.Refused != 3 {
		t.Fatalf("a file of one good and three bad records: %+v", receipt)
	}
	all := slices.Concat(lines[0], bad, renamed(bad, "x1"))
	u = sending("police", "k2", all)
	u.Manifest.Reject = gateway.RejectRows
	_, err = g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Invalid)
	if e, _ := errors.AsType[*gateway.Error](err); e.Problems == nil || e.Problems.Rows != 2 {
		t.Fatalf("a file of two bad records: %v, problems %+v", err, e.Problems)
	}
	if g.visible(t, "police") != 1 {
		t.Fatal("a batch of bad records became visible")
	}
}

func TestUploadOfNothing(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	header := file[:bytes.IndexByte(file, '\n')+1]
	for key, body := range map[string][]byte{"nothing": {}, "header": header, "blank": []byte("\n\n"), "other": files(t)["health"]} {
		for _, reject := range []gateway.Reject{gateway.RejectBatch, gateway.RejectRows} {
			u := sending("police", key+string(reject), body)
			u.Manifest.Reject = reject
			_, err := g.Upload(t.Context(), g.who["police"], u)
			is(t, err, gateway.Invalid)
			same(t, g.story(t, string(g.newest(t))), intended, refused)
		}
	}
	if g.visible(t, "police") != 0 {
		t.Fatal("a file without records became visible")
	}
}

func TestUploadLimitOfRows(t *testing.T) {
	g := newExchange(t)
	file := files(t)["police"]
	records := bytes.Count(file, []byte("\n")) - 1
	u := sending("police", "k1", file)
	u.MaxRows = records - 1
	_, err := g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.TooLarge)
	u = sending("police", "k1", file)
	u.MaxRows = records
	_, err = g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
}

// What is refused for want of room is refused before anything is logged.
func TestUploadWithoutRoom(t *testing.T) {
	free := uint64(1 << 40)
	g := newExchange(t, func(o *exchange.Options) {
		o.FreeDisk = func() (uint64, error) { return free, nil }
		o.Limits.Uploads = 1
	})
	file := files(t)["police"]
	before := g.size(t)
	free = 1<<30 - 1
	_, err := g.Upload(t.Context(), g.who["police"], sending("police", "k1", file))
	is(t, err, gateway.Overloaded)
	if g.size(t) != before {
		t.Fatal("an upload was logged though the disk is nearly full")
	}
	free = 1 << 30
	body := hold(file, len(file)/2)
	done := g.start(t.Context(), "k1", file, body)
	<-body.reached
	before = g.size(t)
	_, err = g.Upload(t.Context(), g.who["health"], sending("health", "k1", files(t)["health"]))
	is(t, err, gateway.Overloaded)
	if g.size(t) != before {
		t.Fatal("an upload was logged though there are too many")
	}
	close(body.letGo)
	ok(t, (<-done).err)
	g.send(t, "health", "k1", files(t)["health"])
}

func TestUploadByWhoMayNot(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) {
		for i, c := range o.Contracts {
			if c.ID == "helpline" {
				ended := *c
				ended.Until = gateway.DayOf(today) - 1
				o.Contracts = slices.Clone(o.Contracts)
				o.Contracts[i] = &ended
			}
		}
	})
	before := g.size(t)
	for who, u := range map[string]exchange.Upload{
		"researcher": sending("police", "k", files(t)["police"]),
		"steward":    sending("police", "k", files(t)["police"]),
		"operator":   sending("police", "k", files(t)["police"]),
		"health":     sending("police", "k", files(t)["police"]),
		"police":     sending("nowhere", "k", files(t)["police"]),
	} {
		_, err := g.Upload(t.Context(), g.who[who], u)
		is(t, err, gateway.NotFound)
	}
	_, err := g.Upload(t.Context(), g.who["helpline"], sending("helpline", "k", files(t)["helpline"]))
	is(t, err, gateway.Conflict)
	if g.size(t) != before {
		t.Fatal("an upload was logged that the caller may not begin")
	}
}

// No leaf, no action: while nothing can be logged nothing is read of the body.
func TestUploadWithoutALedger(t *testing.T) {
	g := newExchange(t)
	unlock := lock(t, g.path)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	u := sending("police", "k1", files(t)["police"])
	u.Body = unread{t}
	_, err := g.Upload(ctx, g.who["police"], u)
	if err == nil {
		t.Fatal("an upload without a ledger succeeded")
	}
	unlock()
	g.send(t, "police", "k1", files(t)["police"])
	ok(t, g.registry.Close())
	_, err = g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Internal)
}

type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}
