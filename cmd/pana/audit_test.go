package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A busyLedger answers for a gateway whose ledger grows between any two requests.
type busyLedger struct {
	t        *testing.T
	registry *registry.Registry
	before   int // leaves logged before a checkpoint is signed
	pages    int // pages read
}

func (b *busyLedger) grow(n int) {
	for range n {
		_, err := b.registry.Append(b.t.Context(), ledger.Entry{Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done})
		if err != nil {
			b.t.Error(err)
		}
	}
}

func (b *busyLedger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if r.URL.Path == "/v1/audit/checkpoint" {
		b.grow(b.before)
		checkpoint, err := b.registry.Checkpoint(ctx)
		if err != nil {
			b.t.Error(err)
		}
		_, _ = w.Write([]byte(checkpoint))
		return
	}
	b.grow(1)
	b.pages++
	from, err := strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	if err != nil {
		b.t.Error(err)
	}
	page := exchange.LeafPage{From: from}
	for leaf, err := range b.registry.RawLeaves(ctx, from) {
		if err != nil {
			b.t.Error(err)
		}
		page.Leaves = append(page.Leaves, leaf)
	}
	page.Size = from + uint64(len(page.Leaves))
	_ = json.NewEncoder(w).Encode(page)
}

// What is fetched from a ledger that grows is what its checkpoint covers, no more and
// no less; a copy with an edited end does not verify, however it is edited.
func TestFetchedLog(t *testing.T) {
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	reg, err := openRegistry(t.Context(), pathsOf(dir), keys, &cli{now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reg.Close() }()
	busy := &busyLedger{t: t, registry: reg, before: 0}
	busy.grow(10)
	server := httptest.NewServer(busy)
	defer server.Close()
	fetch := func() exported {
		t.Helper()
		log, err := newClient(server.URL, "key").log(t.Context(), keys.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	log := fetch()
	if n, err := log.verify(keys.Verifier()); n != 11 || err != nil || log.newer != 0 || busy.pages != 1 {
		t.Fatalf("%d leaves and %d newer in %d pages, %v", n, log.newer, busy.pages, err)
	}
	busy.before = 3
	earlier := log
	log = fetch()
	log.since = earlier.checkpoint
	if n, err := log.verify(keys.Verifier()); n != 15 || err != nil || log.newer != 1 {
		t.Fatalf("%d leaves and %d newer, %v", n, log.newer, err)
	}
	// The forgery of a review: the last leaf edited, three invented.
	forged := exported{leaves: append([][]byte{}, log.leaves...), checkpoint: log.checkpoint}
	for _, beside := range []string{log.checkpoint, earlier.checkpoint} {
		forged.checkpoint = beside
		for cut := len(forged.leaves); cut <= len(log.leaves)+3; cut++ {
			if cut > len(log.leaves) {
				forged.leaves = append(forged.leaves, invented(t, uint64(len(forged.leaves))))
			}
			forged.leaves[len(forged.leaves)-1] = bytes.Replace(forged.leaves[len(forged.leaves)-1], []byte(`"k1"`), []byte(`"k2"`), 1)
			if n, err := forged.verify(keys.Verifier()); err == nil {
				t.Fatalf("%d leaves of %d verify", n, len(forged.leaves))
			}
		}
	}
	path := filepath.Join(dir, "earlier")
	err = os.WriteFile(path, []byte(earlier.checkpoint), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	since, err := readSince(path)
	if err != nil || since != earlier.checkpoint {
		t.Fatal(since, err)
	}
	earlier.since = log.checkpoint
	if _, err := earlier.verify(keys.Verifier()); err == nil {
		t.Fatal("an older log continues a newer checkpoint")
	}
}

func invented(t *testing.T, seq uint64) []byte {
	t.Helper()
	data, err := ledger.Leaf{Seq: seq, Time: time.Now(), Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
