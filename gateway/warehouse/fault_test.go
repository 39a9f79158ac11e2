package warehouse_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
)

// A cancelled load ends although the server does not read: the driver's Flush
// would wait for ever.
func TestCancelInterruptsASendThatHangs(t *testing.T) {
	w, _ := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	block := fill(rand.New(rand.NewPCG(8, 1)), c, gateway.BlockRows)
	l, err := w.NewLoad(t.Context(), c, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Abort()
	pid := enginetest.Start(t).Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	go func() {
		for {
			if err := l.Append(ctx, block); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("still sending")
	}
}

// The engine dies in a load and comes back: nothing of the load is visible, its
// rows can be erased, and the batch goes in under another id.
func TestKilledEngine(t *testing.T) {
	enginetest.Start(t) // finds the library
	options := engine.Options{Dir: t.TempDir(), MaxMemory: 2 << 30}
	start := func() (*engine.Engine, *warehouse.Warehouse) {
		e, err := engine.Start(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		w, err := warehouse.Open(t.Context(), warehouse.Options{
			Addresses: []string{e.Addr()}, Password: func(user string) string { return e.Password(engine.User(user)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return e, w
	}
	e, w := start()
	c := contract(t, "police")
	prepare(t, w, c)
	block := fill(rand.New(rand.NewPCG(9, 1)), c, gateway.BlockRows)
	kept := load(t, w, c, 1, block)
	publish(t, w, warehouse.Marker{Seq: 1, Batch: "a", Load: 1, Contract: "police", State: gateway.BatchPublished})
	l, err := w.NewLoad(t.Context(), c, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Abort()
	for range 18 {
		if err := l.Append(t.Context(), block); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond) // a part is written meanwhile, or not: both are right
	if err := syscall.Kill(e.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, err = l.Finish(t.Context())
	if err == nil || strings.Contains(err.Error(), e.Addr()) {
		t.Errorf("a load over a dead engine ended with %v", err)
	}
	if w.Ping(t.Context()) == nil {
		t.Error("a dead engine answers")
	}
	_ = w.Close()
	_ = e.Stop()

	e, w = start()
	defer func() { _ = e.Stop() }()
	defer func() { _ = w.Close() }()
	if got := visible(t, w, "police", 9); len(got) != 1 || got[0] != 1 {
		t.Errorf("visible: %v", got)
	}
	if err := w.Erase(t.Context(), "police", 2); err != nil {
		t.Error(err)
	}
	if again := load(t, w, c, 3, block); again != kept {
		t.Errorf("loaded again as %v, not %v", again, kept)
	}
	if got := loads(t, w); len(got) != 2 || got[1] != kept || got[3] != kept {
		t.Errorf("stored: %v", got)
	}
}
