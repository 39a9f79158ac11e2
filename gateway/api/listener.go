package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Connections cost memory before a key is seen, so their number is bounded; and
// whoever opens many and says nothing must not keep others out (trust.md 6.4, B34).
// Where the bound is reached, the connection that has waited longest without a
// request being answered on it makes way for the new one. Where each is being
// answered, the new one is told to come back, in the clear where there is no TLS.

// Listener bounds how many connections are open at once; it defaults to 1,024. It
// needs a server of [Server]'s.
func Listener(inner net.Listener, connections int) net.Listener {
	if connections == 0 {
		connections = 1024
	}
	return &listener{Listener: inner, most: connections, open: map[*conn]struct{}{}}
}

type listener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[*conn]struct{}
	turn int64
}

// A conn is a connection that knows whether it is being answered.
type conn struct {
	net.Conn
	from    *listener
	serving atomic.Int64 // requests being answered
	since   atomic.Int64 // turn of the last change of that
}

// refusal is all that a connection beyond the bound hears.
const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\nConnection: close\r\n" +
	"Cache-Control: private, no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n" +
	`{"type":"urn:pana:problem:limit-connections","title":"Try again later","status":503,"detail":"too many connections are open"}`

// Accept returns the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, from: l}
		if l.admit(c) {
			return c, nil
		}
		_, _ = io.WriteString(inner, refusal) // it fits any socket's buffer
		_ = inner.Close()
	}
}

// admit makes room for a connection, if there is any to make.
func (l *listener) admit(c *conn) bool {
	l.mu.Lock()
	var idlest *conn
	full := len(l.open) >= l.most
	for other := range l.open {
		if !full {
			break
		}
		if other.serving.Load() == 0 && (idlest == nil || other.since.Load() < idlest.since.Load()) {
			idlest = other
		}
	}
	if full && idlest == nil {
		l.mu.Unlock()
		return false
	}
	if full {
		delete(l.open, idlest)
	}
	l.turn++
	c.since.Store(l.turn)
	l.open[c] = struct{}{}
	l.mu.Unlock()
	if full {
		_ = idlest.Conn.Close()
	}
	return true
}

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) change(by int64) {
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	c.from.turn++
	c.since.Store(c.from.turn)
	c.serving.Add(by)
}

type connKey struct{}

// mark lets the handler find its connection, below TLS too.
func mark(ctx context.Context, c net.Conn) context.Context {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = outer.NetConn()
	}
	if own, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// marked says of a connection that a request is being answered on it.
func marked(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.change(1)
			defer c.change(-1)
		}
		handler.ServeHTTP(w, r)
	})
}
