package exchange_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// is demands an error of a kind.
func is(tb testing.TB, err error, kind gateway.Kind) {
	tb.Helper()
	e, known := errors.AsType[*gateway.Error](err)
	if err == nil || known && e.Kind != kind || !known && kind != gateway.Internal {
		tb.Fatalf("got error %v, want one that is %q", err, kind)
	}
}

// same demands that a story is what is wanted.
func same(tb testing.TB, got []string, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatalf("the ledger's story, wanted (-) and got (+):\n%s", diff)
	}
}

// eventually waits for what happens in the background.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within 20 s", what)
		}
	}
}

// settled is how many goroutines run when those that are about to end have.
func settled() int {
	least := runtime.NumGoroutine()
	for range 10 {
		time.Sleep(10 * time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	return least
}

// An ended upload is what Upload returned.
type ended struct {
	exchange.Uploaded
	err error
}

// start uploads a file of the police in the background.
func (g *gate) start(ctx context.Context, key string, file []byte, body io.Reader) <-chan ended {
	u := sending("police", key, file)
	u.Body = body
	done := make(chan ended, 1)
	go func() {
		uploaded, err := g.Upload(ctx, g.who["police"], u)
		done <- ended{uploaded, err}
	}()
	return done
}

// newest is the batch of the last intent in the ledger.
func (g *gate) newest(tb testing.TB) gateway.BatchID {
	tb.Helper()
	var id string
	for _, leaf := range g.leaves(tb, 0) {
		if leaf.Event == ledger.BatchIntent {
			id = leaf.Object
		}
	}
	return gateway.BatchID(id)
}

// A held body stops after some bytes until it is let go: with the rest when letGo
// is closed, with an error that is sent.
type held struct {
	first, rest io.Reader
	stopped     bool
	reached     chan struct{} // closed where it stops
	letGo       chan error
}

func hold(file []byte, at int) *held {
	return &held{
		first: bytes.NewReader(file[:at]), rest: bytes.NewReader(file[at:]), reached: make(chan struct{}), letGo: make(chan error),
	}
}

func (h *held) Read(p []byte) (int, error) {
	n, err := h.first.Read(p)
	if err == nil {
		return n, nil
	}
	if !h.stopped {
		h.stopped = true
		close(h.reached)
	}
	if err := <-h.letGo; err != nil {
		return 0, err
	}
	return h.rest.Read(p)
}

// many is a file of the police with n records of one child.
func many(tb testing.TB, n int) []byte {
	tb.Helper()
	lines := bytes.SplitAfter(files(tb)["police"], []byte("\n"))
	file := bytes.Clone(lines[0])
	for i := range n {
		file = append(file, renamed(lines[1], "m"+strconv.Itoa(i))...)
	}
	return file
}

// renamed is a line under another record id, its first cell.
func renamed(line []byte, id string) []byte {
	return append([]byte(id), line[bytes.IndexByte(line, ','):]...)
}

// lock takes the write lock of a registry's file until it is given back.
func lock(tb testing.TB, path string) (unlock func()) {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	ok(tb, err)
	conn, err := db.Conn(tb.Context())
	ok(tb, err)
	_, err = conn.ExecContext(tb.Context(), "BEGIN IMMEDIATE")
	ok(tb, err)
	return func() { _, _ = conn.ExecContext(tb.Context(), "ROLLBACK"); _, _ = conn.Close(), db.Close() }
}
