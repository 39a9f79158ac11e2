package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Server returns an HTTP server for the handler of [New], with the limits that
// the handler cannot set itself: on how long a request's head may take and how
// large it may be (trust.md 6.4, B20 and B21). Bodies have no deadline of the
// server's; the handler gives each its own.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(discardText{log.Handler()}, slog.LevelDebug),
	}
}

// discardText drops the text of net/http's own complaints, which may hold parts
// of a request, and keeps that there was one.
type discardText struct{ slog.Handler }

// Handle logs that a connection failed.
func (d discardText) Handle(ctx context.Context, r slog.Record) error {
	return d.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "connection failed", 0))
}
