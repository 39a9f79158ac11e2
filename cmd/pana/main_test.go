package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

// TestMain lets the test binary be what its tests start: an engine's child
// process, or the pana command itself.
func TestMain(m *testing.M) {
	engine.Child()
	if order := os.Getenv("PANA_TEST_MEDDLE"); order != "" {
		err := meddle(order)
		if err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(3)
		}
		os.Exit(0)
	}
	if os.Getenv("PANA_TEST_COMMAND") == "1" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now}
		code := c.run(ctx, os.Args[1:])
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}
