package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A gatewayProcess is "pana serve" as a process of its own, started again
// whenever it ends.
type gatewayProcess struct {
	binary string // a pana, or this test binary
	data   string
	flags  []string
	listen string
	output *syncBuffer // standard output and error of all its lives

	mu       sync.Mutex // guards what follows
	command  *exec.Cmd
	stopping bool
	done     chan struct{}
}

// syncBuffer is a bytes.Buffer for several writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// self is this test binary, which TestMain turns into the pana command.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func command(binary string, args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env = append(os.Environ(), "PANA_TEST_COMMAND=1")
	return c
}

// initialise makes a data directory with policies signed by throw-away keys, and returns the operator's key.
func initialise(t *testing.T, binary, data string) initialised {
	t.Helper()
	var stderr bytes.Buffer
	c := command(binary, "keys", "init", "--json", "--data", data, "--installation", "test")
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("keys init: %v\n%s", err, stderr.String())
	}
	var made initialised
	err = json.Unmarshal(out, &made)
	if err != nil {
		t.Fatal(err)
	}
	found := command(binary, "policy", "found", "--data", data, "--demonstration")
	if out, err := found.CombinedOutput(); err != nil {
		t.Fatalf("policy found: %v\n%s", err, out)
	}
	return made
}

// startGateway starts the process on a free port and keeps it up until the test
// ends.
func startGateway(t *testing.T, binary, data string) *gatewayProcess {
	t.Helper()
	return startGatewayWith(t, binary, data)
}

// startGatewayWith is startGateway with more flags.
func startGatewayWith(t *testing.T, binary, data string, flags ...string) *gatewayProcess {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gatewayProcess{
		binary: binary, data: data, flags: flags, listen: l.Addr().String(), output: &syncBuffer{}, done: make(chan struct{}),
	}
	_ = l.Close()
	go g.keepUp()
	t.Cleanup(func() { _ = g.stop(syscall.SIGKILL) })
	return g
}

func (g *gatewayProcess) keepUp() {
	defer close(g.done)
	for {
		g.mu.Lock()
		if g.stopping {
			g.mu.Unlock()
			return
		}
		c := command(g.binary, append([]string{"serve", "--data", g.data, "--listen", g.listen}, g.flags...)...)
		c.Stdout, c.Stderr = g.output, g.output
		err := c.Start()
		g.command = c
		g.mu.Unlock()
		if err != nil {
			_, _ = fmt.Fprintf(g.output, "starting: %v\n", err)
			return
		}
		_ = c.Wait()
	}
}

func (g *gatewayProcess) base() string { return "http://" + g.listen }

// pid is the process now, or 0.
func (g *gatewayProcess) pid() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.command == nil || g.command.Process == nil {
		return 0
	}
	return g.command.Process.Pid
}

// enginePid is the engine, a child of the process, or 0.
func (g *gatewayProcess) enginePid() int {
	parent := g.pid()
	if parent == 0 {
		return 0
	}
	return engineOf(parent)
}

// stop ends the process for good and waits for it.
func (g *gatewayProcess) stop(signal syscall.Signal) error {
	g.mu.Lock()
	g.stopping = true
	if g.command != nil && g.command.Process != nil {
		_ = g.command.Process.Signal(signal)
	}
	g.mu.Unlock()
	select {
	case <-g.done:
		return nil
	case <-time.After(60 * time.Second):
		return errors.New("the gateway did not end")
	}
}

// ready waits until the gateway answers.
func (g *gatewayProcess) ready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	err := newClient(g.base(), "").waitReady(ctx)
	if err != nil {
		t.Fatalf("the gateway is not ready: %v\n%s", err, g.output.String())
	}
}

// plant builds a pana whose source was changed: a fault that a test must find. The
// tree itself is not touched.
func plant(t *testing.T, file string, changes ...[2]string) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, filepath.FromSlash(file))
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(source)
	for _, c := range changes {
		if strings.Count(changed, c[0]) != 1 {
			t.Fatalf("%s does not hold the place for the fault exactly once", file)
		}
		changed = strings.Replace(changed, c[0], c[1], 1)
	}
	dir := t.TempDir()
	faulty := filepath.Join(dir, "faulty.go")
	err = os.WriteFile(faulty, []byte(changed), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: faulty}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	err = os.WriteFile(list, overlay, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "pana")
	out, err := exec.Command("go", "build", "-overlay", list, "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("building with the fault: %v\n%s", err, out)
	}
	return binary
}
