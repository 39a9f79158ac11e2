// Package enginetest gives the tests of a package one real ClickHouse.
//
// Write a TestMain that calls [Main]; in a test, [Start] returns the engine,
// which is started on first use and shared by all tests of the process, and
// [Name] a suffix for the test's own databases. There is no double of
// ClickHouse: what a test proves, it proves about the engine that runs.
package enginetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

// fetchReserve is left of a test's time when a fetch of the library gives up,
// so that the reason is printed instead of a dump of goroutines.
const fetchReserve = 60 * time.Second

// memory is enough for tests, and lets several test processes run side by side.
const memory = 2 << 30

// shared is the engine of this process.
var shared struct {
	mu     sync.Mutex // guards what follows
	engine *engine.Engine
	dir    string
	err    error
}

// Main is the body of a TestMain. It does not return.
func Main(m *testing.M) {
	engine.Child()
	code := m.Run()
	if err := stop(); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = max(code, 1)
	}
	os.Exit(code)
}

// Start returns the engine of this test process. The first call starts it; if
// it cannot be started, every test that wants it fails.
func Start(tb testing.TB) *engine.Engine {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.engine == nil && shared.err == nil {
		shared.engine, shared.err = start(tb)
	}
	if shared.err != nil {
		tb.Fatalf("no engine (does `pana engine fetch` work?): %v", shared.err)
	}
	return shared.engine
}

func start(tb testing.TB) (*engine.Engine, error) {
	tb.Helper()
	if err := fetch(tb); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pana-engine-") //nolint:usetesting // outlives the test that is first
	if err != nil {
		return nil, err
	}
	shared.dir = dir
	return engine.Start(tb.Context(), engine.Options{Dir: dir, MaxMemory: memory})
}

// fetch finds or fetches the library, and gives up while there is still time to
// say why.
func fetch(tb testing.TB) error {
	tb.Helper()
	ctx := tb.Context()
	if d, ok := tb.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadlineCause(ctx, deadline.Add(-fetchReserve),
				errors.New("the test's time is nearly over; run `pana engine fetch` first"))
			defer cancel()
		}
	}
	_, err := engine.Fetch(ctx, engine.FetchOptions{Progress: os.Stderr})
	return err
}

func stop() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var err error
	if shared.engine != nil {
		err = shared.engine.Stop()
	}
	if shared.dir != "" {
		err = errors.Join(err, os.RemoveAll(shared.dir))
	}
	return err
}

// Name returns a suffix no other test has. The databases rows_, build_ and
// cells_ with this suffix are the test's own to create; they are dropped when it ends.
func Name(tb testing.TB) string {
	tb.Helper()
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "t" + hex.EncodeToString(b[:])
	e := Start(tb)
	tb.Cleanup(func() { drop(tb, e, name) })
	return name
}

// drop is best effort: a test that killed the engine has nothing to drop.
func drop(tb testing.TB, e *engine.Engine, name string) {
	tb.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()},
		Auth: clickhouse.Auth{Database: "system", Username: string(engine.Admin), Password: e.Password(engine.Admin)},
	})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }() // nothing is left in it
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, prefix := range []string{"rows_", "build_", "cells_"} {
		_ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+prefix+name+" SYNC")
	}
}
