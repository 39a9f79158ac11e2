// Package api speaks HTTP for Pana: it authenticates a request, hands it to
// package exchange, and turns what comes back into an answer. It decides nothing.
//
// Call [New] and serve the handler with [Server]. Every failure is an RFC 9457 problem document
// with a stable type; what the caller may not know of is 404. Each request is one
// log event, which holds the route's pattern and never the path, the query, a
// header or a body.
package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// Options says what the handler serves. Exchange, Log, Now and the two contract
// functions are required.
type Options struct {
	Exchange    *exchange.Exchange
	Log         *slog.Logger
	Now         func() time.Time
	TableSchema func(c *gateway.Contract, lang string) ([]byte, error) // Frictionless Table Schema
	Template    func(c *gateway.Contract) []byte                       // an empty file with the right header
	Describe    func(code gateway.ProblemCode, lang string) string     // what a problem of a row means; default: nothing
	Ready       func() error                                           // nil when uploads and questions can be served
	Limits      Limits
}

// Limits bound what one request may take. Zero fields take the defaults.
type Limits struct {
	BodyBytes int64 // of an upload; default 16 GiB
	Rows      int   // of an upload; default 10,000,000
	// Of a body, Pace bytes must come in each Idle of waiting for it, unless it ends
	// before: a sender of one byte a second would hold a place among the uploads for
	// years (trust.md 6.4, B22). They default to 16 KiB and 10 s.
	Idle      time.Duration
	Pace      int
	JSONBytes int64         // of any other body; default 1 MiB
	Write     time.Duration // of taking an answer, from its first byte on; default 30 s
	Public    int           // requests a second of one address for the public log; default 20
}

type server struct {
	Options
	router  chi.Router
	limiter limiter // of requests that need no key
}

// New returns the handler.
func New(o Options) (http.Handler, error) {
	if o.Exchange == nil || o.Log == nil || o.Now == nil || o.TableSchema == nil || o.Template == nil {
		return nil, errors.New("api: Exchange, Log, Now, TableSchema and Template are required")
	}
	if o.Describe == nil {
		o.Describe = func(gateway.ProblemCode, string) string { return "" }
	}
	o.Limits = o.Limits.withDefaults()
	r := chi.NewRouter()
	s := &server{Options: o, router: r, limiter: newLimiter(o.Limits.Public, o.Now)}
	r.Use(middleware.GetHead)
	r.NotFound(s.public(func(*http.Request) (answer, error) { return answer{}, errNoRoute }))
	r.MethodNotAllowed(s.public(func(*http.Request) (answer, error) { return answer{}, errNoMethod }))
	r.Get("/healthz", s.public(func(*http.Request) (answer, error) { return text("ok\n"), nil }))
	r.Get("/readyz", s.public(s.ready))
	r.Get("/openapi.json", s.public(s.openapi))
	r.Route("/v1", s.routes)
	r.Get("/log/checkpoint", s.public(s.paced(s.logCheckpoint)))
	r.Get("/log/tile/entries/*", s.handle(s.may(gateway.ActReadAudit, s.logEntries)))
	r.Get("/log/tile/*", s.public(s.paced(s.logTile)))
	return r, nil
}

func (l Limits) withDefaults() Limits {
	if l.BodyBytes == 0 {
		l.BodyBytes = 16 << 30
	}
	if l.Rows == 0 {
		l.Rows = 10_000_000
	}
	if l.Idle == 0 {
		l.Idle = 10 * time.Second
	}
	if l.Pace == 0 {
		l.Pace = 16 << 10
	}
	if l.JSONBytes == 0 {
		l.JSONBytes = 1 << 20
	}
	if l.Public == 0 {
		l.Public = 20
	}
	if l.Write == 0 {
		l.Write = 30 * time.Second
	}
	return l
}

// routes are in openapi.yaml too, where a test looks for them, and in the README. What a route reads of a request is read
// only after the caller may try the act at all; where policy wants to see the
// release first, the act is the nearest that needs none.
func (s *server) routes(r chi.Router) {
	r.Get("/contracts", s.handle(s.contracts))
	r.Get("/contracts/{contract}", s.handle(s.contract))
	r.Get("/contracts/{contract}/template.csv", s.handle(s.template))
	r.Post("/contracts/{contract}/batches", s.handle(s.may(gateway.ActUpload, s.upload)))

	s.uploadRoutes(r)

	r.Get("/batches", s.handle(s.may(gateway.ActReadBatch, s.batches)))
	r.Get("/batches/{batch}", s.handle(s.batch))
	r.Get("/batches/{batch}/receipt", s.handle(s.receipt))
	r.Get("/coverage", s.handle(s.coverage))
	r.Delete("/batches/{batch}", s.handle(s.withdraw))

	r.Get("/releases", s.handle(s.releases))
	r.Post("/releases", s.handle(s.may(gateway.ActBuildRelease, s.build)))
	r.Get("/releases/{release}", s.handle(s.release))
	r.Delete("/releases/{release}", s.handle(s.mayOn(gateway.ActReadRisk, s.closeRelease)))
	r.Get("/releases/{release}/risk", s.handle(s.risk))
	r.Post("/releases/{release}/cells", s.handle(s.mayOn(gateway.ActReadRisk, s.cell)))
	r.Post("/releases/{release}/approval", s.handle(s.mayOn(gateway.ActReadRisk, s.approve)))
	r.Post("/releases/{release}/cubes/{cube}/table", s.handle(s.may(gateway.ActReadRelease, s.table)))

	s.policyRoutes(r)
	r.Get("/audit/leaves", s.handle(s.may(gateway.ActReadAudit, s.leaves)))
	r.Get("/audit/decisions/{decision}", s.handle(s.may(gateway.ActReadAudit, s.decision)))
	r.Get("/audit/checkpoint", s.handle(s.checkpoint))
	r.Get("/audit/leaves/{leaf}/proof", s.handle(s.may(gateway.ActReadAudit, s.leafProof)))

	r.Post("/erasures", s.handle(s.may(gateway.ActRequestErasure, s.requestErasure)))
	s.keyRoutes(r)
	r.Get("/access/agencies", s.handle(s.agencies))
	r.Post("/access/agencies", s.handle(s.may(gateway.ActManageAccess, s.addAgency)))
	r.Get("/access/keys", s.handle(s.keys))
	r.Post("/access/keys", s.handle(s.may(gateway.ActManageAccess, s.addKey)))
	r.Delete("/access/keys/{key}", s.handle(s.revokeKey))
}

// allowed is which methods the request's address takes.
func (s *server) allowed(r *http.Request) string {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
		if !s.router.Match(chi.NewRouteContext(), method, path) {
			continue
		}
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(methods, ", ")
}

func (s *server) ready(*http.Request) (answer, error) {
	if s.Ready != nil {
		err := s.Ready()
		if err != nil {
			return answer{}, &gateway.Error{Kind: gateway.Overloaded, Detail: "the gateway is not ready", Err: err}
		}
	}
	return text("ready\n"), nil
}
