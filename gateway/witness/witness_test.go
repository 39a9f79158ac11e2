package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A gatewayLog is the ledger of a gateway, with a clock that is moved by hand.
type gatewayLog struct {
	t        *testing.T
	keys     *pseudonym.Keyring
	path     string
	registry *registry.Registry
	later    atomic.Int64
	lines    bytes.Buffer
}

func (g *gatewayLog) now() time.Time { return time.Now().Add(time.Duration(g.later.Load())) }

func newGatewayLog(t *testing.T) *gatewayLog {
	t.Helper()
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g := &gatewayLog{t: t, keys: keys, path: filepath.Join(t.TempDir(), "registry.db")}
	g.open()
	t.Cleanup(func() { _ = g.registry.Close() })
	return g
}

func (g *gatewayLog) open() {
	g.t.Helper()
	receipts := g.keys.Envelope(rand.Reader, "receipts")
	var err error
	g.registry, err = registry.Open(g.t.Context(), registry.Options{
		Path: g.path, Now: g.now, Rand: rand.Reader, Signer: g.keys.Signer(), Verifier: g.keys.Verifier(), Origin: g.keys.Origin(),
		Seal: receipts.Seal, Unseal: receipts.Open,
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gatewayLog) grow(n int) {
	g.t.Helper()
	for range n {
		_, err := g.registry.Append(g.t.Context(), ledger.Entry{Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done, Detail: n})
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// copies keeps the registry's files as they are, and returns what puts them back: what
// whoever has an old backup can do.
func (g *gatewayLog) copies() (putBack func()) {
	g.t.Helper()
	g.close()
	kept := map[string][]byte{}
	for _, path := range []string{g.path, g.path + ".checkpoint"} {
		data, err := os.ReadFile(path)
		if err != nil {
			g.t.Fatal(err)
		}
		kept[path] = data
	}
	g.open()
	return func() {
		g.close()
		for path, data := range kept {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				g.t.Fatal(err)
			}
			_ = os.Remove(path + "-wal")
			_ = os.Remove(path + "-shm")
		}
		g.open()
	}
}

func (g *gatewayLog) close() {
	g.t.Helper()
	if err := g.registry.Close(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gatewayLog) witnesses(policy string) *Witnesses {
	g.t.Helper()
	p, err := ledger.ParsePolicy([]byte(policy))
	if err != nil {
		g.t.Fatal(err)
	}
	w, err := New(g.t.Context(), Options{
		Registry: g.registry, Key: g.keys.Verifier(), Policy: p, Now: g.now, Timeout: 2 * time.Second,
		Log: slog.New(slog.NewJSONHandler(&g.lines, nil)),
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return w
}

func (g *gatewayLog) events(event ledger.Event) int {
	g.t.Helper()
	n := 0
	for leaf, err := range g.registry.Leaves(g.t.Context(), 0) {
		if err != nil {
			g.t.Fatal(err)
		}
		if leaf.Event == event {
			n++
		}
	}
	return n
}

// A signer is a witness of C2SP tlog-witness in the test, as the specification says.
type signer struct {
	name    string
	private ed25519.PrivateKey
	log     note.Verifier
	answer  atomic.Pointer[http.HandlerFunc] // instead of its own, or nil

	mu   sync.Mutex
	tree tlog.Tree
	asks int
}

func newSigner(t *testing.T, name string, log note.Verifier) (*signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{name: name, private: private, log: log}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, fmt.Sprintf("witness %s %s+%08x+%s %s/prefix\n", name, name, s.KeyHash(), base64.StdEncoding.EncodeToString(s.public()), server.URL)
}

func (s *signer) public() []byte { return append([]byte{4}, s.private.Public().(ed25519.PublicKey)...) }
func (s *signer) Name() string   { return s.name }
func (s *signer) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(s.name+"\n"), s.public()...))
	return binary.BigEndian.Uint32(sum[:])
}

func (s *signer) Sign(msg []byte) ([]byte, error) {
	at := uint64(time.Now().Unix())
	return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(s.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, msg))...), nil
}

func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if other := s.answer.Load(); other != nil {
		(*other)(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	head, checkpoint, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	old, oldErr := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	tree, openErr := ledger.OpenCheckpoint(checkpoint, s.log)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/prefix/add-checkpoint" || !found || oldErr != nil || openErr != nil || old > tree.N {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if old != s.tree.N {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, "%d\n", s.tree.N)
		return
	}
	if old == tree.N && old > 0 && tree.Hash != s.tree.Hash {
		w.WriteHeader(http.StatusConflict)
		return
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		proof = append(proof, h)
	}
	if old > 0 && tlog.CheckTree(proof, tree.N, tree.Hash, old, s.tree.Hash) != nil || old == 0 && len(proof) > 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, s)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.tree = tree
	_, line, _ := strings.Cut(string(signed), "\n\n")
	_, _ = io.WriteString(w, line)
}

// says has the witness answer so until says(0).
func (s *signer) says(status int, header ...string) {
	if status == 0 {
		s.answer.Store(nil)
		return
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body := ""
		if len(header) > 0 {
			w.Header().Set("Content-Type", header[0])
			body = header[1]
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	s.answer.Store(&h)
}

// What two witnesses signed is stored and published, whatever size they knew.
func TestRounds(t *testing.T) {
	g := newGatewayLog(t)
	a, lineA := newSigner(t, "witness.example/a", g.keys.Verifier())
	b, lineB := newSigner(t, "witness.example/b", g.keys.Verifier())
	w := g.witnesses(lineA + lineB + "group both all witness.example/a witness.example/b\nquorum both\n")
	wantKind(t, w.Missing())
	if err := w.Begin(t.Context()); err != nil || w.Missing() != nil {
		t.Fatal(err, w.Missing())
	}
	for i := range 5 {
		g.grow(i)
		if i == 3 {
			b.mu.Lock()
			b.tree = tlog.Tree{} // a witness that forgot may sign from the beginning
			b.mu.Unlock()
		}
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		published, err := g.registry.Witnessed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		size, err := g.registry.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tree, signed, err := w.Policy.Open(published.Checkpoint, g.keys.Verifier())
		if err != nil || len(signed) != 2 || uint64(tree.N) != size || published.Size != size {
			t.Fatalf("round %d: %+v %v %v", i, published, signed, err)
		}
	}
	if a.asks != 7 || b.asks != 8 { // a's first and b's first and fourth round start from the wrong size
		t.Logf("%d and %d requests", a.asks, b.asks)
	}
	g.close()
	g.open() // holds the log against what is stored
	if err := g.witnesses(lineA + lineB + "quorum witness.example/a\n").Missing(); err != nil {
		t.Errorf("a new process knows when it was signed last: %v", err)
	}
}

func wantKind(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, gateway.Unwitnessed) {
		t.Fatalf("got %v", err)
	}
}

// F16 of trust.md 6.2: a witness that is down is an alarm at once, and after four
// hours what needs it stops; when it is back all is well.
func TestWitnessDown(t *testing.T) {
	g := newGatewayLog(t)
	s, line := newSigner(t, "witness.example/a", g.keys.Verifier())
	w := g.witnesses(line + "quorum witness.example/a\n")
	if err := w.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, down := range []func(){
		func() { s.says(http.StatusInternalServerError) }, func() { s.says(http.StatusNotFound) }, func() { s.says(http.StatusForbidden) },
		func() { s.says(http.StatusBadRequest) }, func() { s.says(http.StatusOK, "text/plain", "thanks\n") },
		func() { s.says(http.StatusOK, "text/plain", strings.Repeat("x", maxAnswer+1)) }, func() { s.says(http.StatusConflict, "text/x.tlog.size", "07\n") },
		func() { s.says(http.StatusFound) },
	} {
		down()
		if err := w.Round(t.Context()); !errors.Is(err, errTooFew) || w.Missing() != nil {
			t.Fatal(err, w.Missing())
		}
	}
	if n := g.events(ledger.WitnessSilent); n != 1 || strings.Count(g.lines.String(), `"level":"ERROR"`) != 1 {
		t.Errorf("%d leaves, and the log:\n%s", n, g.lines.String())
	}
	g.later.Store(int64(4*time.Hour - time.Minute))
	if err := w.Missing(); err != nil {
		t.Error(err)
	}
	for _, later := range []time.Duration{4*time.Hour + time.Minute, -5 * time.Hour} {
		g.later.Store(int64(later))
		wantKind(t, w.Missing())
	}
	g.later.Store(int64(5 * time.Hour))
	wantKind(t, g.witnesses(line+"quorum witness.example/a\n").Missing()) // nor does a new process have another four hours
	s.says(0)
	if err := w.Round(t.Context()); err != nil || w.Missing() != nil {
		t.Fatal(err, w.Missing())
	}
	if g.events(ledger.WitnessBack) != 1 {
		t.Error("it is not logged that it is back")
	}
}

// A witness that hangs costs its deadline and holds up nobody else's signature.
func TestWitnessHangs(t *testing.T) {
	g := newGatewayLog(t)
	a, lineA := newSigner(t, "witness.example/a", g.keys.Verifier())
	_, lineB := newSigner(t, "witness.example/b", g.keys.Verifier())
	w := g.witnesses(lineA + lineB + "group one any witness.example/a witness.example/b\nquorum one\n")
	w.Timeout = 50 * time.Millisecond
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a.answer.Store(&hang)
	if err := w.Round(t.Context()); err != nil || w.Missing() != nil {
		t.Fatal(err, w.Missing())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	w.Every = time.Millisecond
	go func() { defer close(done); w.Run(ctx) }()
	time.Sleep(20 * time.Millisecond)
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
}

// F17 of trust.md 6.2, and F22: what 409 and 422 mean. A fork stops at once, for good.
func TestFork(t *testing.T) {
	for name, fork := range map[string]func(s *signer){
		"422":               func(s *signer) { s.says(http.StatusUnprocessableEntity) },
		"409 without size":  func(s *signer) { s.says(http.StatusConflict) },
		"409 with ours":     func(s *signer) { s.says(http.StatusConflict, "text/x.tlog.size", fmt.Sprintf("%d\n", s.tree.N)) },
		"409 with a larger": func(s *signer) { s.says(http.StatusConflict, "text/x.tlog.size", "1000\n") },
		"another root": func(s *signer) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.tree.Hash[0] ^= 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGatewayLog(t)
			s, line := newSigner(t, "witness.example/a", g.keys.Verifier())
			w := g.witnesses(line + "quorum witness.example/a\n")
			g.grow(3)
			if err := w.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			fork(s)
			if err := w.Round(t.Context()); !errors.Is(err, ErrFork) {
				t.Fatal(err)
			}
			wantKind(t, w.Missing())
			s.says(0)
			_ = w.Round(t.Context())
			wantKind(t, w.Missing())
			if g.events(ledger.WitnessFork) != 1 || !strings.Contains(g.lines.String(), "the ledger is forked") {
				t.Errorf("no alarm:\n%s", g.lines.String())
			}
		})
	}
}

// L6 of trust.md 6.6, F22, F23: whoever puts an old registry back with the checkpoint
// file that belongs to it deceives this machine, and not the witness; nor does it help
// to let it grow again.
func TestPutBack(t *testing.T) {
	for _, again := range []int{0, 5, 40} {
		g := newGatewayLog(t)
		_, line := newSigner(t, "witness.example/a", g.keys.Verifier())
		policy := line + "quorum witness.example/a\n"
		g.grow(10)
		if err := g.witnesses(policy).Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		putBack := g.copies()
		g.grow(20)
		if err := g.witnesses(policy).Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		putBack()
		g.grow(again)
		if err := g.witnesses(policy).Begin(t.Context()); !errors.Is(err, ErrFork) {
			t.Errorf("%d leaves after it was put back: %v", again, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	g := newGatewayLog(t)
	_, line := newSigner(t, "witness.example/a", g.keys.Verifier())
	bare := strings.Join(strings.Fields(line)[:3], " ") + "\n"
	for _, policy := range []string{
		"quorum none\n", bare + "quorum witness.example/a\n", line + "quorum none\n",
		"log sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8\n" + line + "quorum witness.example/a\n",
	} {
		p, err := ledger.ParsePolicy([]byte(policy))
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(t.Context(), Options{Registry: g.registry, Key: g.keys.Verifier(), Policy: p, Now: g.now, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, gateway.Invalid) {
			t.Errorf("%q: %v", policy, err)
		}
	}
}
