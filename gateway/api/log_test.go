package api_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// pull copies the log as anybody may, and its leaves with a key.
func (s *stack) pull(t *testing.T, who string) fstest.MapFS {
	t.Helper()
	get := func(path, who string) reply {
		r := must(s.try(t.Context(), getting(who, "/log/"+path)))(t)
		if r.status != http.StatusOK {
			t.Fatalf("%s got %d: %s", path, r.status, r.body)
		}
		return r
	}
	checkpoint := get("checkpoint", "")
	if got := checkpoint.header.Get("Content-Type") + checkpoint.header.Get("Cache-Control"); got != "text/plain; charset=utf-8no-cache" {
		t.Errorf("the checkpoint comes as %s", got)
	}
	dir := fstest.MapFS{"checkpoint": {Data: checkpoint.body}}
	for tile := range ledger.Tiles(uint64(must(ledger.OpenCheckpoint(string(checkpoint.body), s.verifier))(t).N)) {
		key, cache := "", "public, max-age=31536000, immutable"
		if tile.Entries() {
			key, cache = who, "private, max-age=31536000, immutable"
		}
		r := get(tile.Path(), key)
		if r.header.Get("Cache-Control") != cache || r.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s comes as %v", tile.Path(), r.header)
		}
		dir[tile.Path()] = &fstest.MapFile{Data: r.body}
	}
	return dir
}

// TestLog pulls the log as C2SP tlog-tiles and verifies it; leaves are for officers
// alone, and each reading of them is a leaf.
func TestLog(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits.Public = 1000 })
	for i := range 300 {
		must(s.registry.Append(t.Context(), ledger.Entry{Event: ledger.FsckFinding, Actor: "test", Object: fmt.Sprint("f", i), Outcome: ledger.Done}))(t)
	}
	v := must(ledger.VerifyExport(s.pull(t, "officer"), ledger.Trust{Key: s.verifier}))(t)
	if v.Leaves < 300 {
		t.Errorf("%d leaves", v.Leaves)
	}
	exports := 0
	for leaf, err := range s.registry.Leaves(t.Context(), v.Leaves) {
		if err == nil && leaf.Event == ledger.AuditExport && leaf.Actor == s.ids["officer"] {
			exports++
		}
	}
	if exports != 2 {
		t.Errorf("%d leaves of two readings", exports)
	}
	for _, who := range []string{"", "police", "researcher", "steward", "operator"} {
		want := http.StatusNotFound
		if who == "" {
			want = http.StatusUnauthorized
		}
		s.want(t, want, getting(who, "/log/tile/entries/000"))
	}
	for _, path := range []string{"tile/0/001", "tile/0/7", "tile/0/000.p/0", "tile/2/000.p/1", "tile/data/000", "tile/0/", "tile/", "", "tile/entries", "leaves"} {
		s.want(t, http.StatusNotFound, getting("", "/log/"+path))
	}
	s.want(t, http.StatusNotFound, getting("officer", "/log/tile/entries/999"))
}

// TestPublicLogIsPaced answers a burst, and then so many a second.
func TestPublicLogIsPaced(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits.Public = 1 })
	for range 10 {
		must(s.try(t.Context(), getting("", "/log/checkpoint")))(t)
	}
	r := s.want(t, http.StatusTooManyRequests, getting("", "/log/checkpoint"))
	r.golden(t)
	if r.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
	s.want(t, http.StatusOK, getting("officer", "/v1/audit/checkpoint"))
}

// TestUnavailable says of a disk that fails that the request may be made again, and
// nothing of what failed.
func TestUnavailable(t *testing.T) {
	s := newStack(t, func(p parts) {
		p.exchange.Witnessed = func() error {
			return &gateway.Error{Kind: gateway.Unavailable, Detail: "the gateway's state cannot be written now; try again later", Err: errors.New("a secret")}
		}
	})
	r := s.want(t, http.StatusServiceUnavailable, sending("police", "police", small(t, 3)))
	r.golden(t)
	if r.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
}

// TestUnwitnessed stops what needs a witness, and answers questions.
func TestUnwitnessed(t *testing.T) {
	s := newStack(t, func(p parts) {
		p.exchange.Witnessed = func() error {
			return gateway.Errorf(gateway.Unwitnessed, "no witness has signed the ledger for 4h0m0s; nothing was done")
		}
	})
	s.want(t, http.StatusServiceUnavailable, sending("police", "police", small(t, 3))).golden(t)
	s.want(t, http.StatusServiceUnavailable, posting("steward", "/v1/releases", `{"definition":"demo"}`))
	s.want(t, http.StatusNotFound, posting("researcher", "/v1/releases/demo-1/cubes/pathways/table", `{"measure":"children","purpose":"evaluation"}`))
	if got := must(s.registry.Pending(t.Context()))(t); len(got) > 0 {
		t.Errorf("something was begun: %v", got)
	}
	// A checkpoint that nobody cosigned is shown to officers, and to nobody else.
	if r := s.want(t, http.StatusServiceUnavailable, getting("", "/log/checkpoint")); r.slug(t) != "audit-evidence-missing" {
		t.Errorf("the public checkpoint is %s", r.slug(t))
	}
	s.want(t, http.StatusOK, getting("officer", "/v1/audit/checkpoint"))
}

// TestEvidenceOfAnswers verifies an answer by what came with it, in both forms; the
// body of the same question is the same bytes whenever it is asked.
func TestEvidenceOfAnswers(t *testing.T) {
	s, _ := released(t)
	question := posting("researcher", "/v1/releases/demo-1/cubes/pathways/table", `{"measure":"children","purpose":"evaluation"}`)
	var leaves []uint64
	for _, accept := range []string{"application/json", "text/csv", "application/vnd.sdmx.data+csv", "application/vnd.sdmx.data+json"} {
		r := s.want(t, http.StatusOK, question.with("Accept", accept))
		again := s.want(t, http.StatusOK, question.with("Accept", accept))
		if string(r.body) != string(again.body) {
			t.Error("another answer")
		}
		for _, r := range []reply{r, again} {
			leaf := must(ledger.VerifyAnswer(r.body, r.evidence(t), s.verifier))(t)
			if leaf.Actor != s.ids["researcher"] {
				t.Errorf("another's leaf: %+v", leaf)
			}
			leaves = append(leaves, leaf.Seq)
			if _, err := ledger.VerifyAnswer(append(r.body, ' '), r.evidence(t), s.verifier); err == nil {
				t.Error("an altered answer verifies")
			}
		}
		if _, err := ledger.VerifyAnswer(r.body, again.evidence(t), s.verifier); err != nil {
			t.Errorf("the same answer, asked again: %v", err)
		}
	}
	var proof ledger.Evidence
	s.want(t, http.StatusOK, getting("officer", fmt.Sprintf("/v1/audit/leaves/%d/proof", leaves[0]))).decode(t, &proof)
	leaf := must(must(ledger.ParseInclusion(proof.Proof, proof.Leaf))(t).Verify(s.verifier))(t)
	if leaf.Seq != leaves[0] || leaf.Event != ledger.Question {
		t.Errorf("%+v", leaf)
	}
	s.want(t, http.StatusNotFound, getting("officer", "/v1/audit/leaves/999999/proof"))
	s.want(t, http.StatusBadRequest, getting("officer", "/v1/audit/leaves/x/proof"))
	s.want(t, http.StatusNotFound, getting("researcher", "/v1/audit/leaves/x/proof"))
}

// evidence is what the header Pana-Evidence holds.
func (r reply) evidence(t *testing.T) ledger.Evidence {
	t.Helper()
	var e ledger.Evidence
	raw := must(base64.StdEncoding.DecodeString(strings.Trim(r.header.Get("Pana-Evidence"), ":")))(t)
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}
