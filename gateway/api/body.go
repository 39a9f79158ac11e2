package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// A body is the body of a request: bounded in bytes, and given up when it comes
// too slowly or its request ends. Only the time spent waiting for bytes counts, so
// that a busy gateway does not blame the sender.
type body struct {
	io.ReadCloser
	ctx      func() context.Context
	limit    int64 // in bytes
	read     int64
	idle     time.Duration
	left     time.Duration // of idle, in this window
	pace     int           // bytes that must come in each idle
	window   int           // bytes that came in this one
	now      func() time.Time
	deadline func(time.Time) error
	failure  error      // what ended the reading before the body's end, if anything did
	mu       sync.Mutex // guards what follows, and the order of deadlines
	stopped  bool
	ended    bool
}

// limitBody puts a [body] in the place of the request's own. The deadline that it
// sets also ends the server's wait for a body that no handler wants.
func (s *server) limitBody(w http.ResponseWriter, r *http.Request) {
	b := &body{
		ReadCloser: r.Body, ctx: r.Context, limit: s.Limits.JSONBytes, idle: s.Limits.Idle, left: s.Limits.Idle, pace: s.Limits.Pace,
		now: s.Now, deadline: http.NewResponseController(w).SetReadDeadline,
	}
	if r.Body != http.NoBody {
		b.wait()
	}
	r.Body = b
}

// wait lets the next read take what is left of the window. Where the connection
// has no deadlines the server's own timeouts stand.
func (b *body) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.deadline(b.now().Add(b.left))
	if b.stopped {
		_ = b.deadline(longAgo)
	}
}

// stop ends the reading, from another goroutine: the sender has come again. Behind
// the end of the body it does nothing: the connection is for other requests then.
func (b *body) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.stopped = true
		_ = b.deadline(longAgo)
	}
}

// end takes the deadline away: the server goes on to watch for the client's leaving.
func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	_ = b.deadline(time.Time{})
}

func (b *body) wasStopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

// Read reads into p. Its errors hold nothing of the body or of the connection.
func (b *body) Read(p []byte) (int, error) {
	err := b.ctx().Err()
	if err != nil {
		return 0, err
	}
	n, err := b.next(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failure = err
	}
	return n, err
}

func (b *body) next(p []byte) (int, error) {
	p = p[:min(int64(len(p)), b.limit-b.read+1)]
	start := b.now()
	b.wait()
	n, err := b.ReadCloser.Read(p)
	b.left -= b.now().Sub(start)
	b.read += int64(n)
	b.window += n
	if b.window >= b.pace {
		b.left, b.window = b.idle, 0
	}
	switch {
	case b.read > b.limit:
		return 0, bodyTooLarge(b.limit)
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.end()
		return n, io.EOF
	case b.wasStopped():
		return n, errCut
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlow
	}
	return n, errCut
}

func bodyTooLarge(limit int64) error {
	e := gateway.Errorf(gateway.TooLarge, "the body has more than %d bytes; split it", limit)
	e.Limit = "body-bytes"
	return e
}

// mediaIs reports whether a header names a media type; parameters but a UTF-8
// charset are refused.
func mediaIs(header, want string) bool {
	media, params, err := mime.ParseMediaType(header)
	if err != nil || media != want {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// decode reads a JSON body strictly into v: one value, no name that v has not,
// and none twice.
func decode(r *http.Request, v any) error {
	if !mediaIs(r.Header.Get("Content-Type"), "application/json") {
		return gateway.Errorf(gateway.Unsupported, "send the body as application/json")
	}
	// The decoder's text may quote the body, so it is not repeated.
	bad := gateway.Errorf(gateway.Invalid, "the body is one JSON object that takes %s, each once", names(v))
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if err != nil {
		return bad
	}
	_, err = d.Token()
	if !errors.Is(err, io.EOF) || doubled(json.NewDecoder(bytes.NewReader(text))) {
		return bad
	}
	return nil
}

// names lists the names that a request takes, for whoever sent others.
func names(v any) string {
	var list []string
	for field := range reflect.TypeOf(v).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// doubled reports whether an object in the next JSON value has a name twice:
// which of the two is meant would be a guess.
func doubled(d *json.Decoder) bool {
	token, err := d.Token()
	open, ok := token.(json.Delim)
	if err != nil || !ok {
		return false
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, _ := d.Token()
			key, _ := name.(string)
			key = strings.ToLower(key) // encoding/json does not tell them apart either
			if seen[key] {
				return true
			}
			seen[key] = true
		}
		if doubled(d) {
			return true
		}
	}
	_, _ = d.Token() // the closing one
	return false
}
