package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
)

// An answer is a whole response. Handlers return one or an error; only
// [server.respond] writes.
type answer struct {
	status   int // 0 is 200
	media    string
	body     []byte
	location string
	header   map[string]string
}

func text(body string) answer { return answer{media: "text/plain; charset=utf-8", body: []byte(body)} }

// jsonAnswer encodes v; the same value always gives the same bytes.
func jsonAnswer(status int, v any) (answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{}, err
	}
	return answer{status: status, media: "application/json", body: append(body, '\n')}, nil
}

// listAnswer answers with a list under a name, [] where there is nothing.
func listAnswer[T any](name string, list []T) (answer, error) {
	if list == nil {
		list = []T{}
	}
	return jsonAnswer(http.StatusOK, map[string][]T{name: list})
}

// an event is the one log line of a request.
type event struct {
	request string
	caller  gateway.Caller
	start   time.Time
}

// A handler answers an authenticated caller.
type handler func(r *http.Request, caller gateway.Caller) (answer, error)

// may lets a handler see only those callers that policy allows an action. Others
// hear that there is nothing, whatever they sent, before it is judged.
func (s *server) may(act gateway.ActionName, h handler) handler {
	return func(r *http.Request, caller gateway.Caller) (answer, error) {
		err := s.Exchange.May(r.Context(), caller, act)
		if err != nil {
			return answer{}, err
		}
		return h(r, caller)
	}
}

// mayOn is may for an action on the release that the address names: one that is not
// there, or that the caller may not know of, is not found whatever else was sent.
func (s *server) mayOn(act gateway.ActionName, h handler) handler {
	return func(r *http.Request, caller gateway.Caller) (answer, error) {
		err := s.Exchange.MayOn(r.Context(), caller, act, releaseID(r))
		if err != nil {
			return answer{}, err
		}
		return h(r, caller)
	}
}

// handle runs a handler for an authenticated caller.
func (s *server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := event{request: rand.Text()[:12], start: s.Now()}
		s.limitBody(w, r)
		a, err := s.guard(r, func() (answer, error) {
			caller, err := s.authenticate(r)
			if err != nil {
				return answer{}, err
			}
			e.caller = caller
			return h(r, caller)
		})
		s.respond(w, r, e, a, err)
	}
}

// public runs a handler that anybody may call.
func (s *server) public(h func(r *http.Request) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := event{request: rand.Text()[:12], start: s.Now()}
		s.limitBody(w, r)
		a, err := s.guard(r, func() (answer, error) { return h(r) })
		s.respond(w, r, e, a, err)
	}
}

// guard turns a panic into an internal error. The panic's value is dropped: it
// may hold data. The stack holds code only.
func (s *server) guard(r *http.Request, h func() (answer, error)) (a answer, err error) {
	defer func() {
		if recover() != nil {
			s.Log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("stack", frames(debug.Stack())))
			a, err = answer{}, gateway.Internal
		}
	}()
	return h()
}

// frames keeps the function names and positions of a stack and drops the
// arguments and the panic's value.
func frames(stack []byte) string {
	var kept []string
	for line := range strings.Lines(string(stack)) {
		if strings.HasPrefix(line, "\t") {
			position, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			kept = append(kept, position)
		}
	}
	return strings.Join(kept, " ")
}

// authenticate reads the bearer key. Every failure is the same.
func (s *server) authenticate(r *http.Request) (gateway.Caller, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return s.Exchange.Authenticate(r.Context(), token)
}

// respond writes the answer or the problem, and the request's one log event.
func (s *server) respond(w http.ResponseWriter, r *http.Request, e event, a answer, err error) {
	if err != nil {
		err = interrupted(r, err)
		lang := language(r)
		a = problem(err, e.request, func(code gateway.ProblemCode) string { return s.Describe(code, lang) })
	}
	if a.status == http.StatusMethodNotAllowed {
		a.header["Allow"] = s.allowed(r)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	for name, value := range a.header {
		h.Set(name, value)
	}
	if a.status != http.StatusNoContent { // which has neither (RFC 9110 8.6)
		h.Set("Content-Type", a.media)
		h.Set("Content-Length", strconv.Itoa(len(a.body))) // HEAD says it too
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Request-Id", e.request)
	if e.caller.Role != "" {
		h.Set("Pana-Policy", string(s.Exchange.Policies().Revision()))
		h.Set("Pana-Policy-Notice", s.Exchange.Notice())
	}
	if len(r.TransferEncoding) > 0 {
		// A Content-Length may have stood beside the chunks: net/http drops it
		// unseen. Whoever stands before us may have believed it (RFC 9112 6.1).
		h.Set("Connection", "close")
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	// Who does not read would hold the answer for ever. The server ends the deadline
	// with the request.
	_ = http.NewResponseController(w).SetWriteDeadline(s.Now().Add(s.Limits.Write))
	w.WriteHeader(a.status)
	n, writeErr := w.Write(a.body)
	level := slog.LevelInfo
	if a.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String("id", e.request), slog.String("method", method(r)), slog.String("route", route(r)),
		slog.Int("status", a.status), slog.Int("bytes", n), slog.Duration("took", s.Now().Sub(e.start)),
		slog.String("role", string(e.caller.Role)), slog.String("key", e.caller.Key),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", logText(err)))
	}
	if writeErr != nil {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	s.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attrs...)
}

// interrupted names the failure of a request that ended before its handler did:
// its body failed, its client left, or the gateway is being stopped. net/http ends
// the request's context in each of these cases. None is a fault of the system.
func interrupted(r *http.Request, err error) error {
	if kind, _ := classify(err); kind != gateway.Internal && kind != gateway.Unavailable || r.Context().Err() == nil {
		return err
	}
	if b, ok := r.Body.(*body); ok && b.failure != nil {
		return b.failure
	}
	return errInterrupted
}

// route is the pattern of the route, never the path: a path may hold anything.
func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return "none"
}

func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// logText is what the log says of an error: the operator's cause where there is
// one, else what the caller was told.
func logText(err error) string {
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
