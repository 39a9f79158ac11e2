package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
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

var (
	errNoRoute  = gateway.Errorf(gateway.NotFound, "there is nothing at this address; the routes are listed in the README")
	errNoMethod = gateway.Errorf(gateway.NotFound, "this address does not take this method")
)

// an event is the one log line of a request.
type event struct {
	request string
	caller  gateway.Caller
	start   time.Time
}

// handle runs a handler for an authenticated caller.
func (s *server) handle(h func(r *http.Request, caller gateway.Caller) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := event{request: rand.Text()[:12], start: s.Now()}
		a, err := s.guard(r, func() (answer, error) {
			caller, err := s.authenticate(r)
			if err != nil {
				return answer{}, err
			}
			e.caller = caller
			return h(withDeadline(w, r), caller)
		})
		s.respond(w, r, e, a, err)
	}
}

type deadlineKey struct{}

// withDeadline lets a handler move the read deadline of its connection.
func withDeadline(w http.ResponseWriter, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), deadlineKey{}, http.NewResponseController(w).SetReadDeadline))
}

func deadlineOf(r *http.Request) func(time.Time) error {
	return r.Context().Value(deadlineKey{}).(func(time.Time) error)
}

// public runs a handler that anybody may call.
func (s *server) public(h func(r *http.Request) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := event{request: rand.Text()[:12], start: s.Now()}
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
		a = problem(err, e.request)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	h := w.Header()
	for name, value := range a.header {
		h.Set(name, value)
	}
	h.Set("Content-Type", a.media)
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Request-Id", e.request)
	if a.location != "" {
		h.Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	n, writeErr := w.Write(a.body)
	level := slog.LevelInfo
	if a.status >= http.StatusInternalServerError {
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

// kinds maps a kind of error to its status and its problem type.
var kinds = map[gateway.Kind]struct {
	status int
	slug   string
	title  string
}{
	gateway.Internal:        {http.StatusInternalServerError, "internal", "The gateway failed"},
	gateway.Invalid:         {http.StatusBadRequest, "invalid", "The request is not valid"},
	gateway.Unauthenticated: {http.StatusUnauthorized, "unauthenticated", "A valid key is needed"},
	gateway.NotFound:        {http.StatusNotFound, "not-found", "Not found"},
	gateway.Forbidden:       {http.StatusForbidden, "forbidden", "Not allowed"},
	gateway.Conflict:        {http.StatusConflict, "conflict", "Not now"},
	gateway.Mismatch:        {http.StatusUnprocessableEntity, "idempotency-mismatch", "The key was used for other content"},
	gateway.Overloaded:      {http.StatusServiceUnavailable, "overloaded", "Try again later"},
	gateway.TooLarge:        {http.StatusRequestEntityTooLarge, "too-large", "Too large"},
	gateway.Unsupported:     {http.StatusUnsupportedMediaType, "unsupported", "Not a form we read"},
	gateway.Withheld:        {http.StatusConflict, "withheld", "The release does not answer"},
}

// document is an RFC 9457 problem document.
type document struct {
	Type     string             `json:"type"`
	Title    string             `json:"title"`
	Status   int                `json:"status"`
	Detail   string             `json:"detail,omitempty"`
	Instance string             `json:"instance"`
	Errors   []gateway.RowError `json:"errors,omitempty"`
	Omitted  int                `json:"errors_omitted,omitempty"`
	Rows     int                `json:"rows_refused,omitempty"`
}

// problem is the one place where errors become answers. What nobody classified
// is internal and says nothing.
func problem(err error, request string) answer {
	kind, e := classify(err)
	k := kinds[kind]
	d := document{
		Type: "urn:pana:problem:" + k.slug, Title: k.title, Status: k.status,
		Instance: "urn:pana:request:" + request,
	}
	if e != nil {
		d.Detail = e.Detail
		if e.Problems != nil {
			d.Status, d.Type, d.Title = http.StatusUnprocessableEntity, "urn:pana:problem:refused-batch", "The batch was refused"
			d.Errors, d.Omitted, d.Rows = e.Problems.First, e.Problems.Omitted, e.Problems.Rows
		}
	}
	body, encodeErr := json.Marshal(d)
	if encodeErr != nil {
		body = []byte(`{"type":"urn:pana:problem:internal","status":500}`)
	}
	a := answer{status: d.Status, media: "application/problem+json", body: append(body, '\n'), header: map[string]string{}}
	switch kind {
	case gateway.Unauthenticated:
		a.header["WWW-Authenticate"] = `Bearer realm="pana"`
	case gateway.Overloaded, gateway.Conflict:
		a.header["Retry-After"] = "5"
	default:
	}
	return a
}

// classify returns the kind of an error, and the error whose detail the caller
// may read. An internal error has none.
func classify(err error) (gateway.Kind, *gateway.Error) {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		if e.Kind == gateway.Internal {
			return gateway.Internal, nil
		}
		return e.Kind, e
	}
	if k, ok := errors.AsType[gateway.Kind](err); ok {
		return k, nil
	}
	return gateway.Internal, nil
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

// decode reads a JSON body strictly into v.
func (s *server) decode(r *http.Request, v any) error {
	if !mediaIs(r.Header.Get("Content-Type"), "application/json") {
		return gateway.Errorf(gateway.Unsupported, "send the body as application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, s.Limits.JSONBytes))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err != nil || d.More() {
		// The decoder's text may quote the body, so it is not repeated.
		return gateway.Errorf(gateway.Invalid, "the body is not the JSON object that this address takes; see the README")
	}
	return nil
}
