package exchange_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// What a review of the whole path found, each held by a test.

// The markers only mirror the registry: while that of a withdrawal is late, the
// warehouse would count the batch, so nothing is built.
func TestNoReleaseOverALateMarker(t *testing.T) {
	g := populated(t)
	batches, err := g.registry.Batches(t.Context(), g.who["police"].Agency)
	ok(t, err)
	_, _, err = g.registry.WithdrawBatch(t.Context(), g.who["police"].Agency, g.who["police"].Key, batches[0].ID)
	ok(t, err)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	g.reopen(t) // which writes the marker
	g.build(t)
}

// A caller that hangs up does not keep its batch visible.
func TestWithdrawOutlivesItsCaller(t *testing.T) {
	g := populated(t)
	batches, err := g.registry.Batches(t.Context(), g.who["police"].Agency)
	ok(t, err)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, err = g.Withdraw(ctx, g.who["police"], batches[0].ID)
	if err == nil && g.visible(t, "police") != 0 {
		t.Fatal("a withdrawn batch is visible")
	}
	_, err = g.Withdraw(t.Context(), g.who["police"], batches[0].ID)
	ok(t, err)
	if g.visible(t, "police") != 0 {
		t.Fatal("a withdrawn batch is visible")
	}
}

// What has not happened yet was not reported: else every child whose days have not
// passed would be one that nobody reached.
func TestUploadOfTheFuture(t *testing.T) {
	g := newExchange(t)
	u := sending("police", "future", files(t)["police"])
	u.Manifest.PeriodTo = gateway.DayOf(today) + 1
	before := g.size(t)
	_, err := g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Invalid)
	if g.size(t) != before {
		t.Fatal("it left a leaf")
	}
	u.Manifest.PeriodTo--
	u.Body = bytes.NewReader(files(t)["police"])
	_, err = g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
}

// panics panics after the first bytes, with a value that must go nowhere.
type panics struct{ r io.Reader }

func (p panics) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if errors.Is(err, io.EOF) {
		panic("CANARY 890101300123")
	}
	return n, err
}

func TestPanicEndsAnUploadAlone(t *testing.T) {
	g := newExchange(t)
	u := sending("police", "panic", files(t)["police"])
	u.Body = panics{u.Body}
	_, err := g.Upload(t.Context(), g.who["police"], u)
	is(t, err, gateway.Internal)
	if strings.Contains(err.Error(), "CANARY") {
		t.Fatal("the panic's value is in the error")
	}
	u = sending("police", "panic", files(t)["police"])
	_, err = g.Upload(t.Context(), g.who["police"], u)
	ok(t, err)
}

func TestPanicEndsABuildAlone(t *testing.T) {
	g := populated(t)
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small", Progress: func(int, int) { panic("CANARY") }})
	is(t, err, gateway.Internal)
	g.build(t)
}

// The leaf of a question commits to exactly the bytes that leave.
func TestAnswerIsWhatWasLogged(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	g.approve(t, r)
	answer, err := g.Ask(t.Context(), g.who["researcher"], r.ID, bySector, func(table *gateway.Table) ([]byte, error) {
		text, err := asJSON(table)
		return append(text, " and a last word\n"...), err
	})
	ok(t, err)
	sum := sha256.Sum256(answer)
	leaves := g.leaves(t, g.size(t)-1)
	detail, err := g.registry.Detail(t.Context(), leaves[0].Seq)
	ok(t, err)
	if leaves[0].Event != ledger.Question || !bytes.Contains(detail.Body, []byte(hex.EncodeToString(sum[:]))) {
		t.Fatalf("the leaf commits to %s, the answer has %x", detail.Body, sum)
	}
}

// A release that does not exist and one that may not be known of are the same to
// the caller, and both questions leave a leaf.
func TestUnknownReleasesAreAlike(t *testing.T) {
	g := populated(t)
	r := g.build(t) // not approved
	var said []string
	for _, id := range []gateway.ReleaseID{r.ID, "small-99", "nothing"} {
		_, err := g.Release(t.Context(), g.who["researcher"], id)
		is(t, err, gateway.NotFound)
		before := g.size(t)
		_, askErr := g.Ask(t.Context(), g.who["researcher"], id, bySector, asJSON)
		is(t, askErr, gateway.NotFound)
		if g.size(t) != before+1 || g.last(t) != "question denied" {
			t.Errorf("the question to %s left %d leaves", id, g.size(t)-before)
		}
		said = append(said, err.Error(), askErr.Error())
	}
	for _, s := range said {
		if s != said[0] {
			t.Errorf("%q and %q tell what exists", s, said[0])
		}
	}
}

// One agency cannot take every place.
func TestPlacesOfOneAgency(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Limits.Uploads = 4 })
	var ends []*io.PipeWriter
	done := make(chan struct{}, 2)
	for i, key := range []string{"a", "b"} {
		r, w := io.Pipe()
		ends = append(ends, w)
		u := sending("police", key, append(files(t)["police"], bytes.Repeat([]byte("\n"), i+1)...))
		u.Body = r
		go func() {
			_, _ = g.Upload(t.Context(), g.who["police"], u)
			done <- struct{}{}
		}()
		_, err := w.Write([]byte("record_id")) // it is under way when this was read
		ok(t, err)
	}
	_, err := g.Upload(t.Context(), g.who["police"], sending("police", "c", files(t)["police"]))
	is(t, err, gateway.Overloaded)
	_, err = g.Upload(t.Context(), g.who["health"], sending("health", "d", files(t)["health"]))
	ok(t, err)
	for _, w := range ends {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
		<-done
	}
}

// Start and stop, and whose policies decide, are leaves.
func TestStartAndStopAreLogged(t *testing.T) {
	g := newExchange(t)
	seen := map[ledger.Event]int{}
	for _, leaf := range g.leaves(t, 0) {
		seen[leaf.Event]++
		if leaf.Event == ledger.PolicyInForce && leaf.Policy != shipped(t).Revision() {
			t.Error("another policy is logged as in force")
		}
	}
	if seen[ledger.ConfigStart] != 1 || seen[ledger.PolicyInForce] != 1 {
		t.Errorf("logged: %v", seen)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	g.Run(ctx)
	if g.last(t) != "gateway.stop done" {
		t.Errorf("the last leaf is %q", g.last(t))
	}
}
