package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/approval/approvaltest"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/inbox"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/policies"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { enginetest.Main(m) }

// canary stands wherever a caller can put something; no answer and no log may
// repeat it.
const canary = "canary-zolotinka-871231300019"

// A stack is everything below the API, and the API behind a real server: an
// engine, a registry on disk, keys, and the contracts and policies that ship.
type stack struct {
	verifier note.Verifier // of the ledger
	server   *http.Server
	handler  http.Handler // of the API
	url      string
	addr     string // of its listener
	log      *logged
	registry *registry.Registry
	house    *warehouse.Warehouse
	later    atomic.Int64      // added to the clock
	inbox    string            // its directory
	keys     map[string]string // tokens, by who holds them
	ids      map[string]string // ids of the keys
	people   *approvaltest.People
}

// A parts is what a test may alter before the stack is opened.
type parts struct {
	exchange *exchange.Options
	api      *api.Options
	inbox    *inbox.Options
	policies **policies.Set // that are in force; else those that ship
}

// logged is what a gateway logged.
type logged struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// requests are the events of requests.
func (l *logged) requests(t *testing.T) []map[string]any {
	t.Helper()
	var events []map[string]any
	for line := range strings.Lines(l.String()) {
		var e map[string]any
		err := json.Unmarshal([]byte(line), &e)
		if err != nil {
			t.Fatalf("a line of the log is not JSON: %v", err)
		}
		if e["msg"] == "request" {
			events = append(events, e)
		}
	}
	return events
}

var embedded = sync.OnceValues(func() (*policies.Set, error) { return policies.Embedded(context.Background()) })

// newStack opens a gateway of the test's own.
func newStack(t *testing.T, change ...func(parts)) *stack {
	t.Helper()
	s := &stack{log: &logged{}, keys: map[string]string{}, ids: map[string]string{}}
	now := func() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ring := must(pseudonym.Ephemeral(rand.Reader))(t)
	s.verifier = ring.Verifier()
	receipts := ring.Envelope(rand.Reader, "receipts")
	s.registry = must(registry.Open(t.Context(), registry.Options{
		Path: filepath.Join(t.TempDir(), "registry.db"), Now: now, Rand: rand.Reader,
		Signer: ring.Signer(), Verifier: ring.Verifier(), Origin: ring.Origin(),
		Seal: receipts.Seal, Unseal: receipts.Open,
	}))(t)
	t.Cleanup(func() { _ = s.registry.Close() })
	e := enginetest.Start(t)
	s.house = must(warehouse.Open(t.Context(), warehouse.Options{
		Addresses: []string{e.Addr()}, Name: enginetest.Name(t),
		Password: func(user string) string { return e.Password(engine.User(user)) },
	}))(t)
	t.Cleanup(func() { _ = s.house.Close() })
	eo := exchange.Options{
		Registry: s.registry, Warehouse: s.house, Keys: ring,
		Contracts: must(configs.Contracts())(t), Definitions: map[string]*gateway.Definition{"demo": must(configs.Definition("demo"))(t)},
		Now: now, Rand: rand.Reader, Log: log,
	}
	ao := api.Options{Describe: func(code gateway.ProblemCode, _ string) string { return "message of " + string(code) }, Log: log, Now: now, TableSchema: configs.TableSchema, Template: configs.Template}
	held := ring.Envelope(rand.Reader, "inbox")
	io := inbox.Options{Dir: filepath.Join(t.TempDir(), "inbox"), Seal: held.Seal, Open: held.Open, Now: now}
	set := must(embedded())(t)
	for _, c := range change {
		c(parts{&eo, &ao, &io, &set})
	}
	s.found(t, ring.Origin(), set)
	eo.Inbox = must(inbox.New(io))(t)
	s.inbox = io.Dir
	ao.Exchange = must(exchange.New(t.Context(), eo))(t)
	s.handler = must(api.New(ao))(t)
	s.serve(t, s.handler, log)
	s.register(t)
	return s
}

// found puts policies in force, signed by two.
func (s *stack) found(t *testing.T, origin string, set *policies.Set) {
	t.Helper()
	s.people = approvaltest.New(t, "officer/officer", "officer/officer2", "steward/steward", "operator/operator")
	f := registry.Founding{Signers: s.people.Signers, Revision: set.Revision(), Content: must(set.Bundle())(t), Effects: []byte("{}")}
	statement := must(f.Statement(origin))(t)
	err := s.registry.Found(t.Context(), f, "install",
		s.people.Sign(t, approval.Policy, "officer/officer", statement), s.people.Sign(t, approval.Policy, "steward/steward", statement))
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) serve(t *testing.T, handler http.Handler, log *slog.Logger) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.Server(handler, log, api.Heads{})
	server.Start()
	t.Cleanup(server.Close)
	s.server = server.Config
	s.url, s.addr = server.URL, server.Listener.Addr().String()
}

// register adds two agencies of the police and one of each other sector, and the
// people.
func (s *stack) register(t *testing.T) {
	t.Helper()
	var regions []string
	for _, node := range must(configs.Definition("demo"))(t).Dimension("region").Nodes {
		regions = append(regions, node.Code)
	}
	for _, c := range append(must(configs.Contracts())(t), &gateway.Contract{ID: "police"}) {
		id := string(c.ID)
		if s.keys[id] != "" {
			id = "other-" + id
		}
		err := s.registry.AddAgency(t.Context(), "test", registry.Agency{
			ID: gateway.AgencyID(id), Contract: c.ID, Regions: regions, From: quarter(t, "2023Q1"), To: quarter(t, "2025Q4"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.grant(t, id, registry.KeySpec{Role: gateway.RoleAgency, Agency: gateway.AgencyID(id)})
	}
	for who, role := range map[string]gateway.Role{
		"steward": gateway.RoleSteward, "officer": gateway.RoleOfficer, "operator": gateway.RoleOperator, "researcher": gateway.RoleResearcher,
	} {
		spec := registry.KeySpec{Role: role, Subject: who, Org: "org-of-" + who}
		if role == gateway.RoleResearcher {
			spec.Purposes = []gateway.Purpose{"evaluation"}
		}
		s.grant(t, who, spec)
	}
}

func (s *stack) grant(t *testing.T, who string, spec registry.KeySpec) {
	t.Helper()
	token, id, err := s.registry.AddKey(t.Context(), "test", spec)
	if err != nil {
		t.Fatal(err)
	}
	s.keys[who], s.ids[who] = token, id
}

// must is for what cannot fail in a sound test.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func quarter(t *testing.T, text string) gateway.Quarter {
	t.Helper()
	return must(gateway.ParseQuarter(text))(t)
}
