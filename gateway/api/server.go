package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Server returns an HTTP server for the handler of [New], with the limits that
// the handler cannot set itself: on how long a request's head may take and how
// large it may be (trust.md 6.4, B20 and B21). Bodies and answers have no deadline
// of the server's; the handler gives each its own.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(discardText{log.Handler()}, slog.LevelDebug),
	}
}

// Listener bounds how many connections are served at once: whoever comes later
// waits until one ends. It defaults to 1,024. A connection costs memory before a
// key is seen.
func Listener(inner net.Listener, connections int) net.Listener {
	if connections == 0 {
		connections = 1024
	}
	return netutil.LimitListener(inner, connections)
}

// discardText drops the text of net/http's own complaints, which may hold parts
// of a request, and keeps that there was one.
type discardText struct{ slog.Handler }

// Handle logs that a connection failed.
func (d discardText) Handle(ctx context.Context, r slog.Record) error {
	return d.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "connection failed", 0))
}
