package api_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// TestOneEventARequest sends requests of all sorts and finds one event of each,
// with the route's pattern and never what the caller sent.
func TestOneEventARequest(t *testing.T) {
	s := newStack(t)
	file := small(t, 3)
	calls := []struct {
		call
		route, role string
		status      float64
	}{
		{getting("", "/healthz"), "/healthz", "", 200},
		{getting("police", "/v1/contracts/police"), "/v1/contracts/{contract}", "agency", 200},
		{getting("police", "/v1/batches/"+canary), "/v1/batches/{batch}", "agency", 404},
		{getting("officer", "/v1/audit/leaves?from="+canary), "/v1/audit/leaves", "officer", 400},
		{getting("", "/"+canary), "none", "", 404},
		{getting("", "/v1/"+canary), "/v1/*", "", 404},
		{call{method: "FOO", path: "/v1/batches/" + canary}, "none", "", 405},
		{call{method: canary, path: "/v1/batches/" + canary}, "none", "", 405},
		{getting("", "/v1/batches").with("Authorization", "Bearer "+canary), "/v1/batches", "", 401},
		{sending("police", "police", file).with("User-Agent", canary).with("X-Forwarded-For", canary), "/v1/contracts/{contract}/batches", "agency", 201},
		{sending("police", "police", canary), "/v1/contracts/{contract}/batches", "agency", 400},
		{posting("steward", "/v1/releases", canary), "/v1/releases", "steward", 400},
		{posting("operator", "/v1/access/keys", `{"role":"steward","subject":"z","organisation":"z"}`), "/v1/access/keys", "operator", 201},
	}
	var secrets []string
	for i, c := range calls {
		r := s.do(t, c.call)
		events := s.log.requests(t)
		for end := time.Now().Add(5 * time.Second); len(events) <= i && time.Now().Before(end); time.Sleep(time.Millisecond) {
			events = s.log.requests(t) // a large answer may arrive before its event is written
		}
		if len(events) != i+1 {
			t.Fatalf("%d requests made %d events", i+1, len(events))
		}
		e := events[i]
		route, _ := e["route"].(string)
		if strings.TrimSuffix(route, "/") != c.route && route != c.route || e["status"] != c.status || e["role"] != c.role ||
			e["id"] != r.header.Get("Request-Id") || e["bytes"] != float64(len(r.body)) {
			t.Errorf("%s %s made the event %v", c.method, c.path, e)
		}
		var key exchange.KeySpec
		if c.path == "/v1/access/keys" {
			r.decode(t, &key)
			secrets = append(secrets, key.Token)
		}
	}
	for _, token := range s.keys {
		secrets = append(secrets, token)
	}
	secrets = append(secrets, canary, "police/", "period_from", "R1")
	for _, secret := range append(secrets, strings.Split(file, "\n")[1:3]...) {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %.20q", secret)
		}
	}
}

// TestPanic panics in a handler with data in the value: the caller hears of an
// internal error, the log of the place, and nobody of the value (trust.md 6.5, C3).
func TestPanic(t *testing.T) {
	s := newStack(t, func(p parts) {
		p.api.TableSchema = func(*gateway.Contract, string) ([]byte, error) { panic(canary) }
		p.api.Template = func(*gateway.Contract) []byte {
			return []byte(map[bool]string{true: canary}[true][len(canary)*2:]) // out of range
		}
	})
	for _, path := range []string{"/v1/contracts/police", "/v1/contracts/police/template.csv"} {
		r := s.want(t, http.StatusInternalServerError, getting("police", path))
		r.golden(t)
	}
	log := s.log.String()
	if strings.Contains(log, canary) || !strings.Contains(log, "operation_test.go") {
		t.Errorf("the log holds the value, or no place: %.2000s", log)
	}
	s.want(t, http.StatusOK, getting("police", "/v1/contracts"))
}

// TestCancelledBuild leaves while a release is built (B76): it fails and says so,
// and the next one has the next number.
func TestCancelledBuild(t *testing.T) {
	s := newStack(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil && len(must(s.registry.Releases(t.Context()))(t)) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	build := posting("steward", "/v1/releases", `{"definition":"demo","from":"2025Q1","to":"2025Q1"}`)
	_, err := s.try(ctx, build)
	if err == nil {
		t.Fatal("a cancelled build was answered")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		list := must(s.registry.Releases(t.Context()))(t)
		if list[0].State == gateway.ReleaseFailed {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the release is %s", list[0].State)
		}
	}
	s.want(t, http.StatusConflict, getting("officer", "/v1/releases/demo-1/risk")).golden(t)
	var next gateway.Release
	s.want(t, http.StatusCreated, build).decode(t, &next)
	if next.ID != "demo-2" {
		t.Errorf("the next release is %s", next.ID)
	}
}

// TestAccess makes agencies and keys, lists them without their secrets, and ends
// them.
func TestAccess(t *testing.T) {
	s := newStack(t)
	agency := `{"agency":"akimat","contract":"social","title":{"en":"City"},"regions":["71"],"from":"2024Q1"}`
	r := s.want(t, http.StatusCreated, posting("operator", "/v1/access/agencies", agency))
	var made exchange.Agency
	r.decode(t, &made)
	if made.ID != "akimat" || made.From != "2024Q1" {
		t.Errorf("made %+v", made)
	}
	s.want(t, http.StatusConflict, posting("operator", "/v1/access/agencies", agency))
	r = s.want(t, http.StatusOK, getting("operator", "/v1/access/agencies"))
	if !strings.Contains(string(r.body), `"akimat"`) || strings.Contains(string(r.body), `"to":"0`) {
		t.Errorf("the agencies are %.2000s", r.body)
	}
	var key exchange.KeySpec
	s.want(t, http.StatusCreated, posting("operator", "/v1/access/keys", `{"role":"agency","agency":"akimat"}`)).decode(t, &key)
	s.keys["akimat"] = key.Token
	s.want(t, http.StatusOK, getting("akimat", "/v1/contracts/social"))
	s.want(t, http.StatusNotFound, getting("akimat", "/v1/contracts/police"))
	r = s.want(t, http.StatusOK, getting("operator", "/v1/access/keys"))
	if !strings.Contains(string(r.body), key.ID) || strings.Contains(string(r.body), key.Token) || strings.Contains(string(r.body), "token") {
		t.Errorf("the keys are %.2000s", r.body)
	}
	for range 2 { // revoking may be repeated
		s.want(t, http.StatusOK, call{method: "DELETE", path: "/v1/access/keys/" + key.ID, who: "operator"})
	}
	s.want(t, http.StatusUnauthorized, getting("akimat", "/v1/contracts"))
}

// TestShutdown stops the gateway while an upload is under way: the upload comes to
// its end, and the receipt is sent.
func TestShutdown(t *testing.T) {
	s := newStack(t)
	file := small(t, 40)
	f := s.start(t.Context(), sending("police", "police", file))
	f.send(t, file[:1000])
	s.underWay(t, "police", gateway.BatchLoading)
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Shutdown(t.Context()) }()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		_, err := s.try(t.Context(), getting("", "/healthz"))
		if err != nil {
			break // no new connections
		}
	}
	_, err := io.WriteString(f, file[1000:])
	if err != nil {
		t.Fatal(err)
	}
	if r := f.end(t); r.status != http.StatusCreated {
		t.Errorf("got %d: %.300s", r.status, r.body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
