package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A meddler counts the system calls by which a process changes what is durable, and
// meddles with one of them. strace counts by thread, and goroutines wander among
// threads, so that its "when=N" names no moment of a Go program; this one counts by
// process.
type meddler struct {
	Pid   int
	Below string // files in this directory count, and all renames
	Not   string // but those in this directory do not; may be ""
	At    int    // the call that is meddled with, from 1; 0: none
	Until int    // and all calls until this one; 0: it alone
	Errno int    // what the call returns; 0: the process is killed instead
}

// What a meddler prints at its end.
type meddled struct {
	Calls int    // seen
	Hit   string // name of the first call that was meddled with
	Path  string // of the file that it was about, where it has a descriptor
}

var errNoTracing = errors.New("this machine does not let us trace a process")

// start starts a meddler, a process of its own: tracers wait for whatever child they
// have. It has begun when start returns; end it by end.
func (m meddler) start(t *testing.T) (end func() meddled) {
	t.Helper()
	order, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self(t))
	c.Env = append(os.Environ(), "PANA_TEST_MEDDLE="+string(order))
	var stderr syncBuffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	begun := make([]byte, 6)
	_, err = out.Read(begun)
	if err != nil || string(begun) != "begun\n" {
		_ = c.Wait()
		if strings.Contains(stderr.String(), errNoTracing.Error()) {
			t.Skip("skipped: " + errNoTracing.Error() + " (ptrace)")
		}
		t.Fatalf("the meddler did not begin: %v\n%s", err, stderr.String())
	}
	return func() meddled {
		_ = c.Process.Signal(syscall.SIGTERM)
		var said bytes.Buffer
		_, _ = said.ReadFrom(out)
		err := c.Wait()
		var result meddled
		if err == nil {
			err = json.Unmarshal(said.Bytes(), &result)
		}
		if err != nil {
			t.Fatalf("the meddler: %v\n%s", err, stderr.String())
		}
		return result
	}
}

// meddle is the process of a meddler.
func meddle(order string) error {
	runtime.LockOSThread() // a tracer is a thread
	var m meddler
	err := json.Unmarshal([]byte(order), &m)
	if err != nil {
		return err
	}
	r := &tracing{meddler: m, within: map[int]bool{}, failing: map[int]bool{}}
	err = r.attach()
	if err != nil {
		return err
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		os.Exit(r.say()) // which lets the threads go
	}()
	fmt.Println("begun")
	err = r.loop()
	if err == nil {
		os.Exit(r.say())
	}
	return err
}

type tracing struct {
	meddler
	within  map[int]bool // threads in a system call
	failing map[int]bool // threads whose call is to fail

	mu     sync.Mutex // guards result
	result meddled
}

func (r *tracing) attach() error {
	for range 3 { // threads may come while we look
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.Pid))
		if err != nil {
			return err
		}
		for _, thread := range threads {
			tid, _ := strconv.Atoi(thread.Name())
			if _, known := r.within[tid]; known {
				continue
			}
			_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE, 0, 0)
			if errno == unix.EPERM && len(r.within) == 0 {
				return errNoTracing
			}
			if errno != 0 {
				continue // ended, or traced already as a clone of one of ours
			}
			r.within[tid] = false
			err = unix.PtraceInterrupt(tid)
			if err != nil {
				return fmt.Errorf("interrupting: %w", err)
			}
		}
	}
	return nil
}

// say prints the result once, and nothing is counted after it.
func (r *tracing) say() int {
	r.mu.Lock() // for good
	err := json.NewEncoder(os.Stdout).Encode(r.result)
	if err != nil {
		return 3
	}
	return 0
}

func (r *tracing) loop() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil // all have ended
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("waiting: %w", err)
		case status.Stopped():
			r.stopped(tid, status)
		default:
			delete(r.within, tid)
		}
	}
}

// stopped lets a thread that stopped go on.
func (r *tracing) stopped(tid int, status unix.WaitStatus) {
	sig := status.StopSignal()
	event := int(status) >> 16
	switch {
	case sig == unix.SIGTRAP|0x80:
		if r.within[tid] = !r.within[tid]; r.within[tid] {
			r.entered(tid)
		} else if r.failing[tid] {
			r.fail(tid)
		}
		sig = 0
	case event == unix.PTRACE_EVENT_STOP && (sig == unix.SIGSTOP || sig == unix.SIGTSTP):
		_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_LISTEN, uintptr(tid), 0, 0, 0, 0)
		return
	case event != 0:
		sig = 0
	}
	_ = unix.PtraceSyscall(tid, int(sig))
}

// durable are the calls that count, by number.
var durable = map[uint64]string{
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
	unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_RENAME: "rename", unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename",
	unix.SYS_MKDIR: "mkdir", unix.SYS_MKDIRAT: "mkdir", unix.SYS_UNLINK: "unlink", unix.SYS_UNLINKAT: "unlink",
}

func (r *tracing) entered(tid int) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	name, counts := durable[regs.Orig_rax]
	if !counts || !r.ours(name, regs.Rdi) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Calls++
	n := r.result.Calls
	if r.At == 0 || n < r.At || n > max(r.At, r.Until) {
		return
	}
	if r.result.Hit == "" {
		r.result.Hit = name
		r.result.Path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.Pid, int32(regs.Rdi)))
	}
	if r.Errno == 0 {
		_ = syscall.Kill(r.Pid, syscall.SIGKILL)
		return
	}
	regs.Orig_rax = ^uint64(0) // no call: it fails without having been made
	r.failing[tid] = unix.PtraceSetRegs(tid, &regs) == nil
}

func (r *tracing) fail(tid int) {
	delete(r.failing, tid)
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) == nil {
		regs.Rax = uint64(-int64(r.Errno))
		_ = unix.PtraceSetRegs(tid, &regs)
	}
}

// ours tells whether a call is about the state.
func (r *tracing) ours(name string, fd uint64) bool {
	switch name {
	case "rename", "mkdir", "unlink":
		return true
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.Pid, int32(fd)))
	if err != nil {
		return false
	}
	below := func(dir string) bool { return strings.HasPrefix(path, dir+string(filepath.Separator)) }
	return below(r.Below) && (r.Not == "" || !below(r.Not))
}
