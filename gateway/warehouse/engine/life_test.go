package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

// gatewayVariable makes this test binary a program that owns an engine on the
// directory it names, so that the tests can kill it.
const gatewayVariable = "PANA_TEST_GATEWAY"

func gateway() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT)
	e, err := engine.Start(context.Background(), engine.Options{Dir: os.Getenv(gatewayVariable), MaxMemory: 512 << 20})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("pid", e.Pid())
	<-interrupted
	time.Sleep(200 * time.Millisecond) // the signal has reached whom it reaches
	fmt.Println("alive", answers(e))
	fmt.Println("stop", e.Stop())
	os.Exit(0)
}

func answers(e *engine.Engine) bool {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()},
		Auth: clickhouse.Auth{Username: string(engine.Admin), Password: e.Password(engine.Admin)},
	})
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	return conn.Ping(context.Background()) == nil
}

// another runs a gateway in a process group of its own, until its engine runs.
func another(t *testing.T, dir string) (cmd *osexec.Cmd, out *bufio.Reader, enginePid int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = osexec.Command(self)
	cmd.Env = append(os.Environ(), gatewayVariable+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	out = bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "pid ") {
		t.Fatalf("the other gateway says %q, error %v", line, err)
	}
	if enginePid, err = strconv.Atoi(strings.TrimSpace(line[4:])); err != nil {
		t.Fatal(err)
	}
	return cmd, out, enginePid
}

// gone waits for a process that is not ours to have ended. A zombie has.
func gone(t *testing.T, pid int, limit time.Duration) {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			t.Logf("gone after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("process %d lives", pid)
}

func TestItDiesWithItsParent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	for range 3 { // the same directory again: the lock of the dead must not last
		cmd, _, pid := another(t, dir)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		gone(t, pid, 5*time.Second)
		_ = cmd.Wait()
	}
	// At once, while the old child may still hold ClickHouse's own lock.
	cmd, _, _ := another(t, dir)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	another(t, dir)
}

func TestInterruptReachesTheGatewayFirst(t *testing.T) {
	cmd, out, pid := another(t, filepath.Join(t.TempDir(), "engine"))
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	if err != nil || string(rest) != "alive true\nstop <nil>\n" {
		t.Errorf("the gateway says %q, error %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	gone(t, pid, time.Second)
}

func TestStopEndsItAndKeepsTheData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	began := time.Now()
	first, err := engine.Start(t.Context(), engine.Options{Dir: dir, MaxMemory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v, %s", time.Since(began).Round(time.Millisecond), resident(first.Pid()))
	old := first.Password(engine.Admin)
	admin := open(t, first, engine.Admin, "")
	exec(t, admin, "CREATE DATABASE rows_x ENGINE = Atomic")
	exec(t, admin, "CREATE TABLE rows_x.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	exec(t, admin, "INSERT INTO rows_x.t SELECT number FROM numbers(1000)")
	for range 2 {
		if err := first.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-first.Done():
	default:
		t.Fatal("stopped, and Done is open")
	}
	gone(t, first.Pid(), time.Second)

	second, err := engine.Start(t.Context(), engine.Options{Dir: dir, MaxMemory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Stop() }()
	if second.Password(engine.Admin) == old {
		t.Error("the same password after a restart")
	}
	if n := scalar[uint64](t, open(t, second, engine.Admin, ""), "SELECT count() FROM rows_x.t"); n != 1000 {
		t.Errorf("%d rows after a restart, want 1000", n)
	}
}

func resident(pid int) string {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "VmRSS") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return "no VmRSS"
}

func TestACrashIsNoticed(t *testing.T) {
	e, err := engine.Start(t.Context(), engine.Options{Dir: filepath.Join(t.TempDir(), "engine"), MaxMemory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(e.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("killed, and Done is open")
	}
	if err := e.Stop(); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestTwoGatewaysSideBySide(t *testing.T) {
	_, _, one := another(t, filepath.Join(t.TempDir(), "engine"))
	_, _, two := another(t, filepath.Join(t.TempDir(), "engine"))
	if one == two {
		t.Error("one engine for two gateways")
	}
}

func TestSecondEngineOnADirectoryIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	cmd, _, _ := another(t, dir)
	e, err := engine.Start(t.Context(), engine.Options{Dir: dir, MaxMemory: 512 << 20})
	if err == nil {
		_ = e.Stop()
		t.Fatal("started")
	}
	f, ok := errors.AsType[*engine.StartError](err)
	if !ok || f.Code != 76 || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("%v; want code 76 and process %d", err, cmd.Process.Pid)
	}
}

// BenchmarkStart measures how long an engine takes to answer on an empty
// directory, and what it occupies then.
func BenchmarkStart(b *testing.B) {
	var kib float64
	for b.Loop() {
		e, err := engine.Start(b.Context(), engine.Options{Dir: filepath.Join(b.TempDir(), "engine"), MaxMemory: 512 << 20})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		n, _ := strconv.ParseFloat(strings.Fields(resident(e.Pid()))[1], 64)
		kib += n
		if err := e.Stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(kib/1024/float64(b.N), "MiB-RSS")
}
