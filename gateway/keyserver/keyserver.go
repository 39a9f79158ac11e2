// Package keyserver is the key server of blind mode, and the client that asks one
// (trust.md 5.4). It belongs on another machine than the gateway's, and to another
// owner: see package blind for what is lost where it does not.
//
// [New] makes the handler over a key, the agencies that may ask, and a directory of
// counts; [NewClient] makes what agencies, and gateways that take files in clear, ask
// it with. POST /v1/evaluate evaluates a batch, GET /v1/key shows the public key that
// all who ask have pinned, and GET /healthz (or /readyz) says that the server is there.
//
// It sees random elements of a group, who asks and how many. Of this it counts, for each
// agency and day, what was asked: the quota of an agency is what stands between it and
// the identifiers of all children, because all that are possible can be tried. The
// count is on the disk before an answer is made; where it cannot be written nothing is
// answered. From four fifths of a quota on, and at every refusal, an alarm is logged.
//
// It keeps no request, logs no address of a client's, and has no function that takes
// an identifier.
package keyserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

// An Agency is one that may ask.
type Agency struct {
	ID     gateway.AgencyID `json:"agency"`
	Digest []byte           `json:"token_sha256"` // of its token, which has 130 random bits or more
	Quota  int              `json:"quota"`        // identifiers a day, by UTC
}

// Options says what a server works with. All fields but Parallel are required.
type Options struct {
	Key      *blind.Key
	Agencies []Agency
	Dir      string // of the counts, one file a day
	Now      func() time.Time
	Log      *slog.Logger
	Parallel int // batches evaluated at once; 0: one for each processor. As many more wait
}

// waiting is how many batches may wait for each that is evaluated.
const waiting = 4

// slow is how long a request may take to come.
const slow = 30 * time.Second

type server struct {
	Options
	counts  *counts
	running chan struct{}
	queued  chan struct{}
	places  map[gateway.AgencyID]chan struct{} // of the queue, that one agency may hold
}

var agencyName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// New returns the handler of a key server.
func New(o Options) (http.Handler, error) {
	if o.Key == nil || o.Dir == "" || o.Now == nil || o.Log == nil || o.Parallel < 0 {
		return nil, errors.New("keyserver: a key, a directory, a clock and a log are required")
	}
	for _, a := range o.Agencies {
		if !agencyName.MatchString(string(a.ID)) || len(a.Digest) != sha256.Size || a.Quota < 1 {
			return nil, errors.New("keyserver: an agency has a name, the SHA-256 of its token, and a quota of 1 or more")
		}
	}
	if o.Parallel == 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	counts, err := openCounts(o.Dir, o.Now)
	if err != nil {
		return nil, err
	}
	s := &server{
		Options: o, counts: counts,
		running: make(chan struct{}, o.Parallel), queued: make(chan struct{}, o.Parallel*(1+waiting)),
	}
	s.places = map[gateway.AgencyID]chan struct{}{}
	for _, a := range o.Agencies {
		s.places[a.ID] = make(chan struct{}, max(1, cap(s.queued)/2))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/evaluate", s.evaluate)
	mux.HandleFunc("GET /v1/key", s.key)
	well := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }
	mux.HandleFunc("GET /healthz", well)
	mux.HandleFunc("GET /readyz", well) // it has nothing that it could wait for
	return mux, nil
}

// Server returns an HTTP server with limits on how long heads, requests and answers may
// take. It logs nothing by itself.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: slow / 3, ReadTimeout: slow, WriteTimeout: 4 * slow, IdleTimeout: 4 * slow,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

func (s *server) key(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"suite": "ristretto255-SHA512", "mode": "VOPRF", "key": s.Key.PublicKey().String(),
	})
}

func (s *server) evaluate(w http.ResponseWriter, r *http.Request) {
	began := s.Now()
	agency, n, response, err := s.answer(w, r)
	status := http.StatusOK
	if err != nil {
		status = s.refuse(w, err)
	} else {
		w.Header().Set("Content-Type", blind.MediaType)
		w.Header().Set("Content-Length", strconv.Itoa(len(response)))
		_, _ = w.Write(response) //nolint:gosec // random elements of a group, and no markup
	}
	name := gateway.AgencyID("-")
	if agency != nil {
		name = agency.ID
	}
	s.Log.LogAttrs(r.Context(), slog.LevelInfo, "evaluate", slog.String("agency", string(name)), slog.Int("ids", n),
		slog.Int("status", status), slog.Int64("ms", s.Now().Sub(began).Milliseconds()))
}

// answer evaluates one batch. It returns how many identifiers were counted.
func (s *server) answer(w http.ResponseWriter, r *http.Request) (agency *Agency, counted int, response []byte, err error) {
	agency = s.who(r)
	if agency == nil {
		return nil, 0, nil, gateway.Errorf(gateway.Unauthenticated, "send the token that the key server's owner gave you: Authorization: Bearer …")
	}
	if r.Header.Get("Content-Type") != blind.MediaType {
		return agency, 0, nil, gateway.Errorf(gateway.Unsupported, "a batch is sent as %s", blind.MediaType)
	}
	leave, err := s.enter(agency)
	if err != nil {
		return agency, 0, nil, err
	}
	defer leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, blind.MaxRequest))
	if err != nil { // too many elements, or cut off: no message either way
		return agency, 0, nil, gateway.Errorf(gateway.Invalid, "the batch is cut off, slow, or of more than %d identifiers", blind.MaxBatch)
	}
	// Only now, because whoever sends slowly must not hold a processor.
	rest, err := s.run(r)
	if err != nil {
		return agency, 0, nil, err
	}
	defer rest()
	request, err := blind.ParseRequest(body)
	if err != nil {
		return agency, 0, nil, err
	}
	total, err := s.counts.add(agency.ID, request.Len(), agency.Quota)
	s.alarm(r, agency, total, err)
	if err != nil {
		return agency, 0, nil, err
	}
	response, err = s.Key.Evaluate(request)
	return agency, request.Len(), response, err
}

// who returns the agency whose token a request has, or nil, in the same time whichever.
func (s *server) who(r *http.Request) *Agency {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	var found *Agency
	for i := range s.Agencies {
		if subtle.ConstantTimeCompare(sum[:], s.Agencies[i].Digest) == 1 {
			found = &s.Agencies[i]
		}
	}
	return found
}

// enter takes a place in the queue, of which no agency has more than half.
func (s *server) enter(a *Agency) (leave func(), err error) {
	busy := gateway.Errorf(gateway.Overloaded, "the key server is busy; try again")
	places := s.places[a.ID]
	select {
	case places <- struct{}{}:
	default:
		return nil, busy
	}
	select {
	case s.queued <- struct{}{}:
		return func() { <-s.queued; <-places }, nil
	default:
		<-places
		return nil, busy
	}
}

// run waits for a processor.
func (s *server) run(r *http.Request) (rest func(), err error) {
	select {
	case s.running <- struct{}{}:
		return func() { <-s.running }, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// alarm logs that an agency nears its quota, or met it.
func (s *server) alarm(r *http.Request, a *Agency, total int, err error) {
	switch {
	case errors.Is(err, errQuota):
		s.Log.LogAttrs(r.Context(), slog.LevelError, "quota refused", slog.String("agency", string(a.ID)), slog.Int("today", total), slog.Int("quota", a.Quota))
	case err != nil:
		s.Log.LogAttrs(r.Context(), slog.LevelError, "counts cannot be written", slog.String("agency", string(a.ID)))
	case total > a.Quota/5*4:
		s.Log.LogAttrs(r.Context(), slog.LevelWarn, "quota near", slog.String("agency", string(a.ID)), slog.Int("today", total), slog.Int("quota", a.Quota))
	}
}

var statuses = map[gateway.Kind]int{
	gateway.Invalid: http.StatusBadRequest, gateway.Unauthenticated: http.StatusUnauthorized, gateway.Unsupported: http.StatusUnsupportedMediaType,
	gateway.Forbidden: http.StatusTooManyRequests, gateway.Overloaded: http.StatusServiceUnavailable,
}

// refuse answers with a problem document (RFC 9457).
func (s *server) refuse(w http.ResponseWriter, err error) int {
	status, detail := http.StatusInternalServerError, ""
	if e, ok := errors.AsType[*gateway.Error](err); ok && statuses[e.Kind] != 0 {
		status, detail = statuses[e.Kind], e.Detail
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		left := s.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(s.Now())
		w.Header().Set("Retry-After", strconv.Itoa(int(left.Seconds())+1))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
	return status
}

// Digest returns what [Agency.Digest] holds of a token.
func Digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// String names an agency and its quota.
func (a Agency) String() string { return fmt.Sprintf("%s, %d a day", a.ID, a.Quota) }
