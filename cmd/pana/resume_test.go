package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A flaky line stands between a client and a gateway. It cuts connections after
// a random number of bytes of the client's, and drops answers (trust.md 6.2, F13).
type flaky struct {
	net.Listener
	to string

	mu     sync.Mutex
	random *mathrand.Rand
	cut    int     // a connection ends within so many bytes; 0: it does not
	drop   float64 // share of connections whose answers do not arrive
	cuts   int
	drops  int
}

func newFlaky(t *testing.T, to string, cut int, drop float64) *flaky {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Listener: l, to: to, random: mathrand.New(mathrand.NewPCG(5, 6)), cut: cut, drop: drop}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.carry(c)
		}
	}()
	return f
}

func (f *flaky) base() string { return "http://" + f.Addr().String() }

// limit draws how many bytes a connection carries.
func (f *flaky) limit() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut == 0 {
		return 1 << 50
	}
	return int64(f.random.IntN(f.cut))
}

// lost draws whether an answer is.
func (f *flaky) lost() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.Float64() >= f.drop {
		return false
	}
	f.drops++
	return true
}

func (f *flaky) carry(client net.Conn) {
	server, err := net.Dial("tcp", f.to)
	if err != nil {
		_ = client.Close()
		return
	}
	go func() {
		answer := make([]byte, 64<<10)
		for {
			n, err := server.Read(answer)
			if err != nil || f.lost() {
				break
			}
			_, _ = client.Write(answer[:n])
		}
		_ = client.Close()
		_ = server.Close()
	}()
	limit := f.limit()
	n, _ := io.CopyN(server, client, limit)
	if n == limit {
		f.mu.Lock()
		f.cuts++
		f.mu.Unlock()
		_ = client.Close()
		_ = server.Close()
	}
}

// uploadRun is "pana upload" in this process: what it printed, and how it ended.
func uploadRun(ctx context.Context, base, keyFile, file string, flags ...string) (out, log string, code int) {
	var stdout, stderr bytes.Buffer
	c := &cli{in: strings.NewReader(""), out: &stdout, err: &stderr, now: time.Now}
	args := append([]string{"upload", "--gateway", base, "--key-file", keyFile, "--contract", "police", "--from", "2025-07-01", "--to", "2025-09-30"}, flags...)
	code = c.run(ctx, append(args, file))
	return stdout.String(), stderr.String(), code
}

// records is a file of the police's, of some size, with records that no other has.
func records(t *testing.T, name string, lines int) string {
	t.Helper()
	rows := make([]map[string]string, lines)
	for i := range rows {
		rows[i] = with(goodRow(), "record_id", fmt.Sprintf("%s-%d", name, i))
		noise := make([]byte, 8)
		_, _ = rand.Read(noise)
		rows[i]["child_patronymic"] = hex.EncodeToString(noise)
	}
	path := filepath.Join(t.TempDir(), name+".csv")
	err := os.WriteFile(path, file(rows...), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUploadsComeThrough uploads over lines that break and drop answers, in pieces
// and in one: each comes through, and its receipt is the one that the gateway gives
// for the same content over a good line; a gateway that is killed in the middle
// costs nothing but time.
func TestUploadsComeThrough(t *testing.T) {
	temp := t.TempDir()
	made := initialise(t, self(t), filepath.Join(temp, "data"))
	g := startGateway(t, self(t), filepath.Join(temp, "data"))
	g.ready(t)
	r := &canaryRunner{t: t, base: g.base()}
	r.register(made.OperatorKey)
	keyFile := filepath.Join(temp, "key")
	err := os.WriteFile(keyFile, []byte(r.key), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	same := func(name, base, path string, flags ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		got, log, code := uploadRun(ctx, base, keyFile, path, append(flags, "--json")...)
		if code != exitDone {
			t.Fatalf("%s: exit code %d: %s", name, code, log)
		}
		again, log, code := uploadRun(ctx, g.base(), keyFile, path, "--json")
		if code != exitDone || got != again || !strings.Contains(got, `"leaf"`) {
			t.Errorf("%s: over a good line the receipt is another: code %d, %s\n%.300s\n%.300s", name, code, log, got, again)
		}
	}
	deaf := newFlaky(t, g.listen, 0, 0.5)
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for i := range rounds {
		same("half of the answers are lost, in pieces", deaf.base(), records(t, fmt.Sprint("a", i), 300), "--resume")
		same("half of the answers are lost, in one", deaf.base(), records(t, fmt.Sprint("b", i), 300))
	}
	cutting := newFlaky(t, g.listen, 400<<10, 0.1)
	same("the line is cut", cutting.base(), records(t, "c", 4000), "--resume")
	if deaf.drops == 0 && rounds > 1 || cutting.cuts == 0 {
		t.Errorf("the lines were good: %d drops, %d cuts", deaf.drops, cutting.cuts)
	}
	large := records(t, "d", 8000)
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = syscall.Kill(g.pid(), syscall.SIGKILL)
	}()
	same("the gateway is killed", newFlaky(t, g.listen, 600<<10, 0).base(), large, "--resume")

	// The client is ended in the middle and run again: it goes on.
	path := records(t, "e", 8000)
	ctx, cancel := context.WithCancel(t.Context())
	heard := newFlaky(t, g.listen, 900<<10, 0)
	go func() {
		for t.Context().Err() == nil {
			heard.mu.Lock()
			enough := heard.cuts > 1
			heard.mu.Unlock()
			if enough {
				cancel()
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, log, code := uploadRun(ctx, heard.base(), keyFile, path, "--resume")
	cancel()
	if code != exitSystem || !strings.Contains(log, "interrupted") || !strings.Contains(log, "the same command goes on") {
		t.Errorf("ended in the middle: code %d: %s", code, log)
	}
	out, log, code := uploadRun(t.Context(), g.base(), keyFile, path, "--resume")
	if code != exitDone || !strings.Contains(log, "% of it already") || !strings.Contains(out, "8000 records, 8000 stored") {
		t.Errorf("run again: code %d: %s%s", code, out, log)
	}
	err = g.stop(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(temp, "data", "inbox", "*.body"))
	if err != nil || len(left) > 0 {
		t.Errorf("%d bodies are left, %v", len(left), err)
	}
}

// TestUploadGivesUp tries no longer than it was told to, and not at all where no
// gateway ever answered or the fault is the file's.
func TestUploadGivesUp(t *testing.T) {
	dir := t.TempDir()
	keyFile, path := filepath.Join(dir, "key"), filepath.Join(dir, "x.csv")
	err := errors.Join(os.WriteFile(keyFile, []byte("key"), 0o600), os.WriteFile(path, []byte("a,b\n1,2\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	for _, flags := range [][]string{nil, {"--resume"}} {
		tries, status = 0, http.StatusServiceUnavailable
		_, _, code := uploadRun(t.Context(), server.URL, keyFile, path, append(flags, "--wait", "1s")...)
		if code != exitSystem || tries < 2 || tries > 5 {
			t.Errorf("%v: a gateway without room: code %d after %d tries", flags, code, tries)
		}
		tries, status = 0, http.StatusUnprocessableEntity
		_, _, code = uploadRun(t.Context(), server.URL, keyFile, path, flags...)
		if code != exitRefused || tries != 1 {
			t.Errorf("%v: a refused file: code %d after %d tries", flags, code, tries)
		}
	}
	server.Close()
	start := time.Now()
	_, log, code := uploadRun(t.Context(), server.URL, keyFile, path)
	if code != exitSystem || time.Since(start) > 5*time.Second || !strings.Contains(log, "is it running?") {
		t.Errorf("nobody answers: code %d: %s", code, log)
	}
}
