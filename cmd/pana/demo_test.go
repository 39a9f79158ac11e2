package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pana-exchange/pana/gateway"
)

// TestDemo runs the demonstration for a program, and adds up.
func TestDemo(t *testing.T) {
	t.Parallel()
	c := command(self(t), "demo", "--json", "--children", "2000")
	temp := t.TempDir()
	c.Env = append(c.Env, "TMPDIR="+temp)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var r demoResult
	d := json.NewDecoder(bytes.NewReader(out))
	err = d.Decode(&r)
	if err != nil || d.More() {
		t.Fatalf("the result is not one JSON value: %v\n%.500s", err, out)
	}
	if r.In != r.Stored+r.Refused || r.Stored < 4000 || r.Refused < 1 || len(r.Receipts) != 6 || !r.Verified || r.Ledger < 30 {
		t.Errorf("%d in, %d stored, %d refused, %d receipts, %d leaves, verified: %t", r.In, r.Stored, r.Refused, len(r.Receipts), r.Ledger, r.Verified)
	}
	if r.Release == nil || r.Release.State != gateway.ReleaseApproved || len(r.Tables) < 2 {
		t.Errorf("release %v, %d tables", r.Release, len(r.Tables))
	}
	values := 0
	for _, table := range r.Tables {
		for _, cell := range table.Cells {
			if cell.Value != nil {
				values++
			}
		}
	}
	if values == 0 {
		t.Error("no cell has a value")
	}
	if stderr.Len() > 0 {
		t.Errorf("a program is told: %s", stderr.String())
	}
	nothingLeft(t, temp)
}

// nothingLeft finds a temporary directory empty, and no process that has a file
// in it open or as its argument.
func nothingLeft(t *testing.T, temp string) {
	t.Helper()
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left behind", entry.Name())
	}
	for _, pid := range below(temp) {
		t.Errorf("process %s is left behind", pid)
	}
}

// below are the processes that name a directory in their arguments.
func below(dir string) []string {
	var pids []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// TestInterruptedDemo presses Ctrl-C at three moments of a demonstration, as a
// terminal does it: every process of the group gets the signal. It ends soon, says
// so in one line, and leaves nothing.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"Pana: records", "Six agencies", "A release:"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			c := command(self(t), "demo", "--children", "20000")
			c.Env = append(c.Env, "TMPDIR="+temp)
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			output := &syncBuffer{}
			c.Stdout, c.Stderr = output, output
			err := c.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) })
			await(t, "the moment", func() bool { return strings.Contains(output.String(), moment) })
			time.Sleep(100 * time.Millisecond)
			err = syscall.Kill(-c.Process.Pid, syscall.SIGINT)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			err = c.Wait()
			took := time.Since(start)
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != exitSystem {
				t.Errorf("it ended with %v", err)
			}
			text := output.String()
			if !strings.HasSuffix(text, "pana: interrupted\n") || took > 20*time.Second {
				t.Errorf("after %s it said %.300q", took, text[max(0, len(text)-300):])
			}
			nothingLeft(t, temp)
		})
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// TestDrain sends SIGTERM while an upload is under way: the gateway takes nothing
// new, finishes the upload, sends its receipt, and ends with 0.
func TestDrain(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	made := initialise(t, self(t), data)
	c := command(self(t), "serve", "--data", data, "--listen", "127.0.0.1:0")
	output := &syncBuffer{}
	c.Stdout, c.Stderr = output, output
	err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	await(t, "the gateway", func() bool { return strings.Contains(output.String(), "pana serves ") })
	_, rest, _ := strings.Cut(output.String(), "pana serves ")
	address, _, _ := strings.Cut(rest, ";")
	operator := newClient(address, made.OperatorKey)
	k := &campaign{t: t, gateway: &gatewayProcess{listen: strings.TrimPrefix(address, "http://")}}
	k.register(operator)
	k.records()
	content := k.file(1)
	body, feed := io.Pipe()
	answered := make(chan error, 1)
	go func() { answered <- k.uploadFrom(body, content) }()
	_, err = feed.Write(content[:len(content)/2])
	if err != nil {
		t.Fatal(err)
	}
	err = c.Process.Signal(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the end of its listening", func() bool {
		response, err := http.Get(address + "/healthz")
		if err == nil {
			_ = response.Body.Close()
		}
		return err != nil
	})
	_, err = feed.Write(content[len(content)/2:])
	_ = feed.Close()
	err = errors.Join(err, <-answered, c.Wait())
	if err != nil {
		t.Errorf("%v\n%s", err, output.String())
	}
}

// uploadFrom sends a content whose bytes come from somewhere else.
func (k *campaign) uploadFrom(body io.Reader, content []byte) error {
	digest := sha256.Sum256(content)
	request, err := uploading{
		contract: "police", from: "2023-01-01", to: "2025-12-31", reject: string(gateway.RejectBatch), key: "drain",
	}.request(k.t.Context(), k.agency.base, body, int64(len(content)), digest[:])
	if err != nil {
		return err
	}
	receipt, err := k.agency.do(request)
	if err != nil {
		return err
	}
	var r gateway.Receipt
	err = json.Unmarshal(receipt, &r)
	if err == nil && r.Stored != len(k.lines) {
		err = fmt.Errorf("%d of %d records are stored", r.Stored, len(k.lines))
	}
	return err
}

// openTerminal returns the two ends of a new pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("no pseudo-terminals, without which no engine starts either: %v", err)
	}
	err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close(); _ = slave.Close() })
	return master, slave
}

// TestProgress draws a bar on a terminal, and nothing but its last line anywhere
// else.
func TestProgress(t *testing.T) {
	master, slave := openTerminal(t)
	drawn := &syncBuffer{}
	go func() { _, _ = io.Copy(drawn, master) }()
	clock := time.Unix(0, 0)
	draw := func(c *cli) {
		b := c.bar("police.csv", 200)
		for i := range 5 {
			clock = clock.Add(time.Second)
			b.set(int64(i) * 50)
		}
		b.end("accepted")
	}
	now := func() time.Time { return clock }
	draw(&cli{err: slave, now: now})
	await(t, "the last line", func() bool { return strings.Contains(drawn.String(), "accepted") })
	for _, want := range []string{"police.csv", "  0%", " 50%", "100%", "███████", "░░░", " 75% 50.0 B/s, 1s left", "\r"} {
		if !strings.Contains(drawn.String(), want) {
			t.Errorf("no %q in %q", want, drawn.String())
		}
	}
	if last := drawn.String(); !strings.HasSuffix(last, "\r  police.csv   accepted\r\n") {
		t.Errorf("the last line is not alone: %q", last)
	}
	var file, silent bytes.Buffer
	draw(&cli{err: &file, now: now})
	if file.String() != "  police.csv   accepted\n" {
		t.Errorf("a file gets %q", file.String())
	}
	draw(&cli{err: &silent, now: now, asJSON: true})
	draw(&cli{err: io.Discard, now: now})
	if silent.Len() > 0 {
		t.Errorf("a program gets %q", silent.String())
	}
}
