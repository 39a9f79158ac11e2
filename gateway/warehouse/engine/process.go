package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A child is the parent's view of the engine process.
type child struct {
	cmd       *exec.Cmd
	pipe      io.Closer // the only writing end of the child's standard input
	listening *watch    // standard output, until the child says that it listens
	complaint *watch    // standard error, the first of it
	done      chan struct{}
}

// announced is what the launcher prints when a statement has been done; the
// first one opens the port.
const announced = "Ok."

func spawn(ctx context.Context, library, config string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("engine: finding this program: %w", err)
	}
	// The engine outlives the context of its start: it ends with the pipe.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "engine", library, config) //nolint:gosec // this program itself
	cmd.Env = childEnvironment()
	cmd.WaitDelay = stopLimit
	detach(cmd)
	c := &child{
		cmd:       cmd,
		listening: newWatch([]byte(announced)),
		complaint: newWatch([]byte("Code: ")),
		done:      make(chan struct{}),
	}
	cmd.Stdout, cmd.Stderr = c.listening, c.complaint
	if c.pipe, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("engine: pipe to the child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("engine: starting the child: %w", err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is read from its standard error
		close(c.done)
	}()
	return c, nil
}

// childEnvironment is all the environment the child gets: nothing of the
// parent's, where somebody may have put a secret, except where libraries lie.
func childEnvironment() []string {
	env := []string{childVariable + "=1", "GOTRACEBACK=none", "TZ=UTC"}
	if p, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		env = append(env, "LD_LIBRARY_PATH="+p)
	}
	return env
}

func (c *child) awaitListening(ctx context.Context) error {
	select {
	case <-c.listening.seen:
		return nil
	case <-c.complaint.seen:
		// The launcher goes on to a prompt after an error; it is not awaited.
		return c.abandon()
	case <-c.done:
		if c.diskFailed() {
			return &StartError{hint: diskHint}
		}
		return diagnose(c.complaint.text())
	case <-ctx.Done():
		return fmt.Errorf("engine: ClickHouse did not come up: %w", context.Cause(ctx))
	}
}

// diskFailed reports whether a child that has ended did so because it could not write.
func (c *child) diskFailed() bool { return c.cmd.ProcessState.ExitCode() == exitDisk }

// abandon gives the child a moment to finish its complaint, then ends it.
func (c *child) abandon() error {
	select {
	case <-c.done:
	case <-time.After(100 * time.Millisecond):
	}
	err := c.end()
	if err != nil {
		return err
	}
	return diagnose(c.complaint.text())
}

// end closes the pipe, which ends the child, and kills it if it does not.
func (c *child) end() error {
	_ = c.pipe.Close() // already closed is as good
	select {
	case <-c.done:
		return nil
	case <-time.After(stopLimit):
	}
	_ = c.cmd.Process.Kill() // already ended is as good
	select {
	case <-c.done:
		return nil
	case <-time.After(stopLimit):
		return fmt.Errorf("engine: process %d does not end", c.cmd.Process.Pid)
	}
}

// ping asks until the engine answers as admin.
func ping(ctx context.Context, addr, password string) error {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{addr},
		Auth: clickhouse.Auth{Database: "system", Username: string(Admin), Password: password},
	})
	if err != nil {
		return fmt.Errorf("engine: connecting: %w", err)
	}
	defer func() { _ = conn.Close() }() // a ping leaves nothing behind
	for {
		if err = conn.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("engine: ClickHouse listens but does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freePort asks the kernel for a port that is free now.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("engine: finding a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("engine: finding a free port: %w", err)
	}
	return port, nil
}

// A watch keeps the beginning of what is written to it and tells when a mark
// has come. It never blocks and never grows: the child writes to it for as long
// as it lives.
type watch struct {
	mark []byte
	seen chan struct{} // closed when the mark has come

	mu   sync.Mutex // guards what follows
	kept []byte
	told bool
}

const watchLimit = 16 << 10

func newWatch(mark []byte) *watch { return &watch{mark: mark, seen: make(chan struct{})} }

// Write implements io.Writer.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p[:min(len(p), watchLimit-len(w.kept))]...)
	if !w.told && bytes.Contains(w.kept, w.mark) {
		w.told = true
		close(w.seen)
	}
	return len(p), nil
}

func (w *watch) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.kept)
}
