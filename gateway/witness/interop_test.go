package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/tlog"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// tool finds a public tool, none of which is ours. .ci/run installs them and demands
// them; elsewhere a test without its tool is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("PANA_TEST_TOOLS") == "required" {
		t.Fatalf("%s is not installed; see .ci/run", name)
	}
	if err != nil {
		t.Skipf("%s is not installed; see .ci/run", name)
	}
	return path
}

// vkey is the ledger's public key as the tools read it.
func (g *gatewayLog) vkey() string { return g.keys.VerifierKey() }

// export writes the log as C2SP tlog-tiles.
func (g *gatewayLog) export(t *testing.T, checkpoint string) string {
	t.Helper()
	dir := t.TempDir()
	tree, err := ledger.OpenCheckpoint(checkpoint, g.keys.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, data []byte) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for tile := range ledger.Tiles(uint64(tree.N)) {
		data, err := g.registry.Tile(t.Context(), tile)
		if err != nil {
			t.Fatal(err)
		}
		write(tile.Path(), data)
	}
	write(ledger.CheckpointPath, []byte(checkpoint))
	return dir
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Tessera's fsck accepts an export, and finds a changed leaf, tile and checkpoint.
// v1.0.4 then hangs, so that ending by the deadline counts as finding.
func TestFsck(t *testing.T) {
	fsck := tool(t, "fsck")
	g := newGatewayLog(t)
	g.grow(300)
	checkpoint, err := g.registry.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "log.vk")
	if err := os.WriteFile(key, []byte(g.vkey()), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, dir string, patience time.Duration) (string, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, fsck, "--storage_url=file://"+dir+"/", "--public_key="+key, "--ui=false", "-v=1").CombinedOutput()
		return string(out), err
	}
	dir := g.export(t, checkpoint)
	if out, err := run(t, dir, time.Minute); err != nil || !strings.Contains(out, "Successfully fsck'd") {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"leaf":       func(t *testing.T, dir string) { t.Helper(); flip(t, dir+"/tile/entries/001.p/44", 30) },
		"tile":       func(t *testing.T, dir string) { t.Helper(); flip(t, dir+"/tile/0/000", 77) },
		"checkpoint": func(t *testing.T, dir string) { t.Helper(); flip(t, dir+"/checkpoint", len(g.keys.Origin())+20) },
	} {
		dir := g.export(t, checkpoint)
		damage(t, dir)
		if _, err := ledger.VerifyExport(os.DirFS(dir), ledger.Trust{Key: g.keys.Verifier()}); err == nil {
			t.Errorf("%s: we find nothing", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, dir, 10*time.Second)
			if err == nil && strings.Contains(out, "Successfully fsck'd") {
				t.Errorf("fsck finds nothing:\n%s", out)
			}
		})
	}
}

// L9 of trust.md 6.6: spicy, of torchwood, verifies a leaf by its proof, and finds an
// edited leaf, proof and key.
func TestSpicy(t *testing.T) {
	spicy := tool(t, "spicy")
	g := newGatewayLog(t)
	g.grow(300)
	e, err := g.registry.ProveLeaf(t.Context(), 123)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := ledger.ParseInclusion(e.Proof, e.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	run := func(key string, leaf, proof []byte) error {
		path := filepath.Join(t.TempDir(), "leaf.json")
		if err := errors.Join(os.WriteFile(path, leaf, 0o600), os.WriteFile(path+".spicy", proof, 0o600)); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), spicy, "-verify", key, path).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	good := []byte(proof.Spicy())
	if err := run(g.vkey(), e.Leaf, good); err != nil {
		t.Fatal(err)
	}
	other := newGatewayLog(t).vkey()
	edited := bytes.Replace(e.Leaf, []byte(`"k1"`), []byte(`"k2"`), 1)
	for name, err := range map[string]error{
		"leaf": run(g.vkey(), edited, good), "proof": run(g.vkey(), e.Leaf, bytes.Replace(good, []byte("index 123"), []byte("index 124"), 1)),
		"checkpoint": run(g.vkey(), e.Leaf, bytes.Replace(good, []byte("\n300\n"), []byte("\n301\n"), 1)), "key": run(other, e.Leaf, good),
	} {
		if err == nil {
			t.Errorf("spicy accepts another %s", name)
		}
	}
}

// A litewitness is the real one, as a process of its own.
type litewitness struct {
	policy string // one line that names it
	url    string
	stop   func()
}

// startLitewitness runs litewitness with a key in an SSH agent of the test's, and our
// log in its database, as witnessctl would write it.
func startLitewitness(t *testing.T, g *gatewayLog) litewitness {
	t.Helper()
	path := tool(t, "litewitness")
	dir := t.TempDir()
	socket, fingerprint := serveAgent(t, dir)
	registerLog(t, filepath.Join(dir, "w.db"), g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	var output lines
	cmd := exec.Command(path, "-name", "witness.example/lite", "-db", filepath.Join(dir, "w.db"), "-ssh-agent", socket, "-listen", address, "-key", fingerprint)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	for range 100 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	m := regexp.MustCompile(`vkey=(\S+)`).FindStringSubmatch(output.String())
	if m == nil {
		t.Fatalf("litewitness names no key:\n%s", output.String())
	}
	return litewitness{"witness lite " + m[1] + " http://" + address + "\nquorum lite\n", "http://" + address, stop}
}

// lines is a buffer for a process's output.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serveAgent(t *testing.T, dir string) (socket, fingerprint string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	key, keyErr := ssh.NewPublicKey(public)
	if err := errors.Join(keyErr, ring.Add(agent.AddedKey{PrivateKey: private})); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c) }()
		}
	}()
	return socket, ssh.FingerprintSHA256(key)
}

func registerLog(t *testing.T, path string, g *gatewayLog) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	empty, err := tlog.TreeHash(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		text string
		args []any
	}{
		{`CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL)`, nil},
		{`CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin))`, nil},
		{`INSERT INTO log VALUES (?, 0, ?)`, []any{g.keys.Origin(), base64.StdEncoding.EncodeToString(empty[:])}},
		{`INSERT INTO key VALUES (?, ?)`, []any{g.keys.Origin(), g.vkey()}},
	} {
		if _, err := db.Exec(s.text, s.args...); err != nil {
			t.Fatal(err)
		}
	}
}

// L5 of trust.md 6.6: litewitness signs a log from nothing on, refuses two checkpoints
// of one size, and stops a gateway whose registry was put back.
func TestLitewitness(t *testing.T) {
	g := newGatewayLog(t)
	lite := startLitewitness(t, g)
	w := g.witnesses(lite.policy)
	if err := w.Begin(t.Context()); err != nil || w.Missing() != nil {
		t.Fatal(err, w.Missing(), g.lines.String())
	}
	for _, n := range []int{1, 20, 0, 200} {
		g.grow(n)
		if err := w.Round(t.Context()); err != nil {
			t.Fatal(err, g.lines.String())
		}
	}
	published, err := g.registry.Witnessed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := g.export(t, published.Checkpoint)
	v, err := ledger.VerifyExport(os.DirFS(dir), ledger.Trust{Key: g.keys.Verifier(), Policy: w.Policy})
	if err != nil || v.Leaves != 221 || len(v.Cosignatures) != 1 {
		t.Fatal(v, err)
	}
	g.refuseSecondFace(t, lite)
	putBack := g.copies()
	g.grow(5)
	if err := g.witnesses(lite.policy).Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	putBack()
	if err := g.witnesses(lite.policy).Begin(t.Context()); !errors.Is(err, ErrFork) {
		t.Errorf("after the registry was put back: %v", err)
	}
	g.grow(9) // other leaves
	if err := g.witnesses(lite.policy).Begin(t.Context()); !errors.Is(err, ErrFork) {
		t.Errorf("after it grew again: %v", err)
	}
	lite.stop()
	down := g.witnesses(lite.policy)
	if err := down.Begin(t.Context()); err != nil || down.Missing() != nil {
		t.Errorf("a witness that is down: %v, %v", err, down.Missing())
	}
	if g.events(ledger.WitnessSilent) != 1 {
		t.Error("no alarm")
	}
}

// refuseSecondFace signs another tree of the size that the witness knows.
func (g *gatewayLog) refuseSecondFace(t *testing.T, lite litewitness) {
	t.Helper()
	other, err := ledger.SignCheckpoint(tlog.Tree{N: 221, Hash: tlog.Hash{1}}, g.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(lite.url+"/add-checkpoint", "text/plain", strings.NewReader(request(221, nil, other)))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a second face got %d", response.StatusCode)
	}
}
