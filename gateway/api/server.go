package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Server returns an HTTP server for the handler of [New], with the limits that
// the handler cannot set itself: on how long a request's head may take and how
// large it may be (trust.md 6.4, B20 and B21). Bodies and answers have no deadline
// of the server's; the handler gives each its own.
func Server(handler http.Handler, log *slog.Logger, heads Heads) *http.Server {
	if heads.Time == 0 {
		heads.Time = 10 * time.Second
	}
	if heads.Bytes == 0 {
		heads.Bytes = 16 << 10
	}
	return &http.Server{
		Handler:           marked(handler),
		ConnContext:       mark,
		ReadHeaderTimeout: heads.Time,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    heads.Bytes,
		ErrorLog:          slog.NewLogLogger(discardText{log.Handler()}, slog.LevelDebug),
	}
}

// Heads bound the heads of requests. Zero fields take the defaults.
type Heads struct {
	Time  time.Duration // from the connection, or the end of the last request; default 10 s
	Bytes int           // default 16 KiB; net/http adds 4 KiB
}

// discardText drops the text of net/http's own complaints, which may hold parts
// of a request, and keeps that there was one.
type discardText struct{ slog.Handler }

// Handle logs that a connection failed.
func (d discardText) Handle(ctx context.Context, r slog.Record) error {
	return d.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "connection failed", 0))
}
