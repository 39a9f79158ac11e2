package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
)

// TestReady stops the engine of a gateway, which then is not ready though the engine
// has not ended; and it is again when the engine goes on. The same process keeps its
// memory to itself.
func TestReady(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	initialise(t, self(t), data)
	g := startGateway(t, self(t), data)
	g.ready(t)
	secluded(t, g.pid())
	engine := g.enginePid()
	err := syscall.Kill(engine, syscall.SIGSTOP)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(engine, syscall.SIGCONT) }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		begun := time.Now()
		response, err := http.Get(g.base() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if took := time.Since(begun); took > answerIn+3*time.Second {
			t.Errorf("the answer took %s", took)
		}
		if response.StatusCode == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the gateway says that it is ready, and its engine hangs")
		}
	}
	err = syscall.Kill(engine, syscall.SIGCONT)
	if err != nil {
		t.Fatal(err)
	}
	g.ready(t)
}

// secluded demands that a process can write no core file.
func secluded(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		rest, ok := strings.CutPrefix(line, "Max core file size")
		if ok && strings.Join(strings.Fields(rest), " ") != "0 0 bytes" {
			t.Errorf("core files: %s", line)
		}
	}
}

// TestLook takes the parts of a gateway away one by one.
func TestLook(t *testing.T) {
	c := &cli{out: io.Discard, err: io.Discard, now: time.Now}
	data := filepath.Join(t.TempDir(), "data")
	_, err := initKeys(t.Context(), data, "test", "", sealing{}, c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.found(t.Context(), founding{data: data, demonstration: true})
	if err != nil {
		t.Fatal(err)
	}
	config, err := configs.Load("", map[string]any{"data": data, "listen": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{owner: "test", config: config, log: slog.New(slog.DiscardHandler)}
	err = n.open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.close() })
	if err := n.look(t.Context()); err != nil {
		t.Fatalf("a whole gateway is not ready: %v", err)
	}
	dumpable(t)
	free := n.config.Data
	n.config.Data = filepath.Join(data, "gone")
	says(t, n, "the data directory cannot be looked at")
	n.config.Data = free
	if err := n.registry.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, n, "the ledger cannot be written")
	if err := n.house.Close(); err != nil {
		t.Fatal(err)
	}
	says(t, n, "the warehouse does not answer")
}

func says(t *testing.T, n *node, want string) {
	t.Helper()
	err := n.look(t.Context())
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}
