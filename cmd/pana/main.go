// Command pana is the whole of Pana: the gateway, what its users type, and a
// demonstration of everything on one machine. Start with "pana demo".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

func main() {
	engine.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once what the first began to end
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now}
	code := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
