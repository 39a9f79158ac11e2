package api_test

import (
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
)

// TestLimits meets each limit of an upload: each has a problem type of its own, and
// what is only full says when to come back.
func TestLimits(t *testing.T) {
	free := uint64(1) << 40
	s := newStack(t, func(p parts) {
		p.exchange.Limits.File = pipelines.Limits{Bytes: 18 << 20, HeldBytes: 1 << 20, RowBytes: 4096, Columns: 100, Rows: 30}
		p.exchange.FreeDisk = func() (uint64, error) { return free, nil }
		p.inbox.Limits.Uploads, p.inbox.Limits.Pieces = 1, 1
		p.api.Limits.BodyBytes = 4 << 20
	})
	before := s.state(t)
	wide := "a" + strings.Repeat(",a", 140)
	file := small(t, 20)
	var blanks strings.Builder // empty lines that do not compress well
	for random := mathrand.New(mathrand.NewPCG(3, 4)); blanks.Len() < 20<<20; {
		for bits := random.Uint64(); bits > 1; bits >>= 1 {
			blanks.WriteString([]string{"\n", "\r\n"}[bits&1])
		}
	}
	for name, l := range map[string]struct {
		call
		status int
	}{
		"limit-inside-bytes": {packed(t, "gzip", file+blanks.String()), http.StatusRequestEntityTooLarge},
		"limit-ratio":        {packed(t, "zstd", file+strings.Repeat("\n", 48<<20)), http.StatusRequestEntityTooLarge},
		"limit-held-bytes": {
			sending("police", "police", "PK\x03\x04"+strings.Repeat("x", 2<<20)).with("Content-Type", workbookType), http.StatusRequestEntityTooLarge,
		},
		"limit-columns":    {sending("police", "police", wide+"\n"), http.StatusBadRequest},
		"limit-row-bytes":  {sending("police", "police", file+strings.Repeat("x", 5000)+"\n"), http.StatusBadRequest},
		"limit-rows":       {sending("police", "police", small(t, 31)), http.StatusRequestEntityTooLarge},
		"limit-body-bytes": {sending("police", "police", strings.Repeat("x", 5<<20)), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.want(t, l.status, l.call)
			if r.slug(t) != name {
				t.Errorf("the problem is %s", r.slug(t))
			}
			if name != "limit-rows" && name != "limit-body-bytes" { // which TestRefusals has with other numbers
				r.golden(t)
			}
		})
	}
	busy := func(name string, c call) {
		t.Helper()
		r := s.want(t, http.StatusServiceUnavailable, c)
		if r.slug(t) != name || r.header.Get("Retry-After") == "" {
			t.Errorf("the problem is %s, want %s, Retry-After %q", r.slug(t), name, r.header.Get("Retry-After"))
		}
		r.golden(t)
	}
	free = 1000
	busy("limit-disk", sending("police", "police", file))
	free = 1 << 40
	if s.state(t) != before {
		t.Error("something that was refused was stored")
	}
	c := sending("police", "police", file)
	path := s.begun(t, c)
	busy("limit-inbox", beginning(sending("police", "police", small(t, 7))))
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 0, file[:10]))
	r := s.want(t, http.StatusRequestEntityTooLarge, sendingPiece("police", path, 10, file[10:]))
	if r.slug(t) != "limit-pieces" {
		t.Errorf("the problem is %s", r.slug(t))
	}
	r.golden(t)
}

// TestAdmission fills the places of an agency, and the bytes of all: others are told
// at once, and a question does not wait.
func TestAdmission(t *testing.T) {
	s := newStack(t, func(p parts) {
		p.exchange.Limits.Uploads, p.exchange.Limits.OfAgency, p.exchange.Limits.Bytes = 4, 1, 1<<20
	})
	file := small(t, 20)
	c := unmeasured(sending("police", "police", file)) // a quarter of the bytes
	slow := s.start(t.Context(), c)
	slow.send(t, file[:1000])
	s.underWay(t, "police", gateway.BatchLoading)
	refuse := func(name string, c call) {
		t.Helper()
		start := time.Now()
		r := s.want(t, http.StatusServiceUnavailable, c)
		if r.slug(t) != name || r.header.Get("Retry-After") == "" || time.Since(start) > 5*time.Second {
			t.Errorf("the problem is %s after %s, Retry-After %q", r.slug(t), time.Since(start), r.header.Get("Retry-After"))
		}
		r.golden(t)
	}
	refuse("limit-uploads-of-agency", sending("police", "police", small(t, 7)))
	large := sending("other-police", "police", small(t, 3)+strings.Repeat(" ", 800<<10))
	refuse("limit-bytes-at-once", large)
	s.want(t, http.StatusCreated, sending("other-police", "police", small(t, 3)))
	s.want(t, http.StatusOK, getting("researcher", "/v1/releases"))
	slow.send(t, file[1000:])
	if r := slow.end(t); r.status != http.StatusCreated {
		t.Errorf("the first got %d: %.300s", r.status, r.body)
	}
	if r := s.do(t, large); r.status == http.StatusServiceUnavailable {
		t.Errorf("alone, what weighs nearly all is told %s", r.slug(t))
	}
}
