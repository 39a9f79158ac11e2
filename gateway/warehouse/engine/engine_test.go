package engine_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(gatewayVariable) != "" {
		engine.Child()
		gateway()
	}
	enginetest.Main(m)
}

// open connects as a user; an empty password means the user's own.
func open(t *testing.T, e *engine.Engine, user engine.User, password string) clickhouse.Conn {
	t.Helper()
	if password == "" && user != "default" {
		password = e.Password(user)
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        []string{e.Addr()},
		Auth:        clickhouse.Auth{Database: "system", Username: string(user), Password: password},
		DialTimeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func exec(t *testing.T, conn clickhouse.Conn, statement string) {
	t.Helper()
	if err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func scalar[T any](t *testing.T, conn clickhouse.Conn, query string) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// code is ClickHouse's error code, 0 for success, -1 for anything else.
func code(err error) int32 {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*clickhouse.Exception](err); ok {
		return e.Code
	}
	return -1
}

func refused(t *testing.T, conn clickhouse.Conn, want int32, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if got := code(conn.Exec(t.Context(), s)); got != want {
			t.Errorf("%s: code %d, want %d", s, got, want)
		}
	}
}

func TestItAnswers(t *testing.T) {
	e := enginetest.Start(t)
	admin := open(t, e, engine.Admin, "")
	if v := scalar[string](t, admin, "SELECT version()"); !strings.HasPrefix(v, "26.7.") {
		t.Errorf("version %q, want 26.7", v)
	}
	if e != enginetest.Start(t) {
		t.Error("a second engine in one test process")
	}
	if z := scalar[string](t, admin, "SELECT timezone()"); z != "UTC" {
		t.Errorf("time zone %q, want UTC", z)
	}
	// A query log would keep the text of queries.
	if n := scalar[uint64](t, admin, "SELECT count() FROM system.tables WHERE database = 'system' AND endsWith(name, '_log')"); n != 0 {
		t.Errorf("%d log tables, want none", n)
	}
}

// An insert must never be acknowledged before it is stored nor dropped as a
// duplicate: loading.md 2.1.
func TestInsertsAreNeitherDeferredNorDeduplicated(t *testing.T) {
	e := enginetest.Start(t)
	for _, user := range []engine.User{engine.Admin, engine.Loader, engine.Builder} {
		conn := open(t, e, user, "")
		if v := scalar[bool](t, conn, "SELECT getSetting('async_insert')"); v {
			t.Errorf("%s: async_insert is on", user)
		}
		for _, s := range []string{"deduplicate_insert", "deduplicate_insert_select"} {
			if v := scalar[string](t, conn, "SELECT toString(getSetting('"+s+"'))"); v != "disable" {
				t.Errorf("%s: %s = %q, want disable", user, s, v)
			}
		}
	}
	admin := open(t, e, engine.Admin, "")
	for _, s := range []string{"fsync_after_insert", "fsync_part_directory", "min_rows_to_fsync_after_merge"} {
		if v := scalar[string](t, admin, "SELECT value FROM system.merge_tree_settings WHERE name = '"+s+"'"); v != "1" {
			t.Errorf("merge_tree %s = %q, want 1", s, v)
		}
	}
}

// triple makes a warehouse's databases, each with a table t of one row.
func triple(t *testing.T, e *engine.Engine) (rows, build, cells string) {
	t.Helper()
	name := enginetest.Name(t)
	admin := open(t, e, engine.Admin, "")
	for _, prefix := range []string{"rows_", "build_", "cells_"} {
		exec(t, admin, "CREATE DATABASE "+prefix+name+" ENGINE = Atomic")
		exec(t, admin, "CREATE TABLE "+prefix+name+".t (n UInt64) ENGINE = MergeTree ORDER BY n")
		exec(t, admin, "INSERT INTO "+prefix+name+".t VALUES (1)")
	}
	return "rows_" + name, "build_" + name, "cells_" + name
}

const (
	accessDenied = 497
	readOnly     = 164
	constraint   = 452
)

func TestLoaderLoadsAndErasesRowsOnly(t *testing.T) {
	e := enginetest.Start(t)
	rows, build, cells := triple(t, e)
	conn := open(t, e, engine.Loader, "")
	//nolint:clickhouselint // aborted instead: Close would commit what was flushed (loading.md 2.5)
	batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO "+rows+".t")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = batch.Abort() }() // refused once it is sent
	if err := errors.Join(batch.Column(0).Append([]uint64{2}), batch.Send()); err != nil {
		t.Fatal(err)
	}
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+rows+".t"); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	exec(t, conn, "DELETE FROM "+rows+".t WHERE n = 2")
	exec(t, conn, "ALTER TABLE "+rows+".t APPLY DELETED MASK SETTINGS mutations_sync = 1")
	exec(t, conn, "ALTER TABLE "+rows+".t DELETE WHERE n = 5 SETTINGS mutations_sync = 1")
	exec(t, conn, "OPTIMIZE TABLE "+rows+".t FINAL")
	if n := scalar[uint64](t, conn, "SELECT sum(rows) FROM system.parts WHERE active AND database = '"+rows+"'"); n != 1 {
		t.Errorf("%d rows in active parts, want 1", n)
	}
	refused(t, conn, accessDenied,
		"SELECT n FROM "+build+".t", "SELECT n FROM "+cells+".t", "INSERT INTO "+cells+".t VALUES (1)",
		"CREATE TABLE "+rows+".u (n UInt64) ENGINE = MergeTree ORDER BY n", "DROP TABLE "+rows+".t", "TRUNCATE TABLE "+rows+".t",
		"ALTER TABLE "+rows+".t UPDATE n = 1 WHERE 1", "ALTER TABLE "+rows+".t ADD COLUMN m UInt8",
		"SELECT name FROM system.users", "SELECT query FROM system.processes", "CREATE DATABASE rows_x",
		"SELECT line FROM file('/etc/passwd', 'LineAsString')", "SELECT line FROM url('http://127.0.0.1/', 'LineAsString')")
}

func TestBuilderReadsRowsAndWritesCells(t *testing.T) {
	e := enginetest.Start(t)
	rows, build, cells := triple(t, e)
	conn := open(t, e, engine.Builder, "")
	for _, kind := range []string{"MergeTree ORDER BY n", "Memory", "AggregatingMergeTree ORDER BY n"} {
		exec(t, conn, "CREATE TABLE "+build+".u (n UInt64) ENGINE = "+kind)
		exec(t, conn, "INSERT INTO "+build+".u SELECT n FROM "+rows+".t")
		exec(t, conn, "TRUNCATE TABLE "+build+".u")
		exec(t, conn, "DROP TABLE "+build+".u SYNC")
	}
	exec(t, conn, "CREATE TABLE "+build+".v ENGINE = MergeTree ORDER BY n AS SELECT n FROM "+rows+".t")
	exec(t, conn, "INSERT INTO "+cells+".t SELECT n + 1 FROM "+build+".t")
	exec(t, conn, "DELETE FROM "+cells+".t WHERE n = 2")
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+cells+".t"); n != 1 {
		t.Errorf("%d cells, want 1", n)
	}
	refused(t, conn, accessDenied,
		"INSERT INTO "+rows+".t VALUES (3)", "DELETE FROM "+rows+".t WHERE 1", "DROP TABLE "+cells+".t", "TRUNCATE TABLE "+cells+".t",
		"CREATE TABLE "+build+".f (n UInt64) ENGINE = File(CSV)",
		"CREATE TABLE "+build+".f (n UInt64) ENGINE = URL('http://127.0.0.1/', CSV)",
		"CREATE TABLE "+build+".f (n UInt64) ENGINE = Log", "CREATE TABLE "+build+".f ENGINE = Merge(REGEXP('.*'), 't')",
		"CREATE DATABASE build_x",
		"SELECT name FROM system.users", "SELECT line FROM file('/etc/passwd', 'LineAsString')")
}

// Test E2, and that the reader cannot raise a limit: loading.md 2.4.
func TestReaderSeesPublishedCellsOnly(t *testing.T) {
	e := enginetest.Start(t)
	rows, build, cells := triple(t, e)
	conn := open(t, e, engine.Reader, "")
	if n := scalar[uint64](t, conn, "SELECT count() FROM "+cells+".t"); n != 1 {
		t.Errorf("%d cells, want 1", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // makes the driver send max_execution_time
	defer cancel()
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT n FROM "+cells+".t WHERE n = ?", 1).Scan(&n); err != nil {
		t.Errorf("with a deadline and a parameter: %v", err)
	}
	refused(t, conn, accessDenied,
		"SELECT n FROM "+rows+".t", "SELECT n FROM "+build+".t", "SELECT count() FROM "+rows+".t",
		"SELECT name FROM system.users", "SELECT name FROM system.parts", "SELECT query FROM system.processes",
		"SELECT path FROM system.disks", "SELECT command FROM system.mutations",
		"SELECT line FROM url('http://127.0.0.1/', 'LineAsString')",
		"SELECT n FROM remote('127.0.0.1', "+rows+".t)")
	for _, statement := range []string{
		"INSERT INTO " + cells + ".t VALUES (7)", "DELETE FROM " + cells + ".t WHERE 1", "TRUNCATE TABLE " + cells + ".t",
		"CREATE TEMPORARY TABLE x (n UInt8)", "SELECT n FROM merge('rows_', 't')",
		"SELECT line FROM file('/etc/passwd', 'LineAsString')", "SELECT a FROM executable('x', 'TSV', 'a String')",
		"SYSTEM STOP LISTEN TCP", "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS",
	} {
		if code(conn.Exec(t.Context(), statement)) == 0 {
			t.Errorf("%s: done", statement)
		}
	}
	for _, name := range []string{rows, build} {
		if n := scalar[uint64](t, conn, "SELECT count() FROM system.tables WHERE database = '"+name+"'"); n != 0 {
			t.Errorf("%s is listed to the reader", name)
		}
	}
}

// Tests E6-E10: the limits of one question hold, and the engine survives them.
func TestReaderLimits(t *testing.T) {
	e := enginetest.Start(t)
	conn := open(t, e, engine.Reader, "")
	refused(t, conn, readOnly, "SET readonly = 0")
	refused(t, conn, constraint,
		"SET max_result_rows = 0", "SET skip_unavailable_shards = 1", "SET max_memory_usage = 9000000000",
		"SET max_execution_time = 100", "SET max_rows_to_read = 0", "SET allow_introspection_functions = 1",
		"SET max_concurrent_queries_for_user = 0", "SET result_overflow_mode = 'break'")
	refused(t, conn, 396, "SELECT number FROM numbers(20000)")
	refused(t, conn, 158, "SELECT count() FROM numbers(2000000000) WHERE NOT ignore(number)")
	refused(t, conn, 241, "SELECT length(groupArray(number)) FROM numbers(900000000)")
	refused(t, conn, 159, "SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1, max_block_size = 1")

	busy := make(chan error, 6)
	for range cap(busy) {
		c := open(t, e, engine.Reader, "")
		go func() { busy <- c.Exec(context.Background(), "SELECT sleep(1)") }()
	}
	full := 0
	for range cap(busy) {
		if code(<-busy) == 202 {
			full++
		}
	}
	if full == 0 {
		t.Error("six questions at a time were all answered, want four at most")
	}
	if n := scalar[uint8](t, conn, "SELECT 1"); n != 1 {
		t.Error("the engine does not answer afterwards")
	}
}

// Tests E1 and E3. The launcher by itself ends at any error of a handshake; the
// engine must outlive them all, because any local user can cause one.
func TestRefusedHandshakesDoNoHarm(t *testing.T) {
	e := enginetest.Start(t)
	for _, c := range []struct {
		user     engine.User
		password string
		want     int32
	}{
		{"default", "", 700},
		{"default", "x", 516},
		{engine.Admin, "wrong", 516},
		{engine.Loader, "wrong", 516},
		{engine.Reader, e.Password(engine.Admin), 516},
		{"nobody", "wrong", 516},
	} {
		if got := code(open(t, e, c.user, c.password).Ping(t.Context())); got != c.want {
			t.Errorf("%s: code %d, want %d", c.user, got, c.want)
		}
	}
	for _, nonsense := range []string{"", "\n", "\x00", "GET / HTTP/1.1\r\n\r\n", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01", strings.Repeat("\xff", 1<<16)} {
		k, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatalf("the engine is gone: %v", err)
		}
		_, _ = k.Write([]byte(nonsense))
		_ = k.Close()
	}
	time.Sleep(300 * time.Millisecond)
	select {
	case <-e.Done():
		t.Fatal("a handshake ended the engine")
	default:
	}
	if err := open(t, e, engine.Admin, "").Ping(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Test E4, read from the kernel: every listening socket of the child.
func TestItListensOnTheLoopbackOnly(t *testing.T) {
	e := enginetest.Start(t)
	own := sockets(t, e.Pid())
	_, port, _ := net.SplitHostPort(e.Addr())
	n, _ := strconv.ParseUint(port, 10, 16)
	want := "0100007F:" + strings.ToUpper(strconv.FormatUint(0x10000|n, 16)[1:])
	found := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(e.Pid()) + "/net/" + table)
		if err != nil {
			continue // no IPv6 here
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 10 || !own[f[9]] || (f[3] != "0A" && !strings.HasPrefix(table, "udp")) {
				continue
			}
			found++
			if f[1] != want {
				t.Errorf("%s: listens on %s, want only %s", table, f[1], want)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d listening sockets, want 1", found)
	}
}

// sockets are the inodes of a process's sockets.
func sockets(t *testing.T, pid int) map[string]bool {
	t.Helper()
	own := map[string]bool{}
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		target, _ := os.Readlink(filepath.Join(dir, entry.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own
}

// Test E5, test C4, and that nothing under the data directory holds a password.
func TestFilesAndSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	e, err := engine.Start(t.Context(), engine.Options{Dir: dir, MaxMemory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Stop() }()
	admin := open(t, e, engine.Admin, "")
	exec(t, admin, "CREATE DATABASE rows_x ENGINE = Atomic")
	exec(t, admin, "CREATE TABLE rows_x.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	exec(t, admin, "INSERT INTO rows_x.t SELECT number FROM numbers(1000)")
	var secrets []string
	for _, u := range []engine.User{engine.Admin, engine.Loader, engine.Builder, engine.Reader} {
		if len(e.Password(u)) != 64 {
			t.Fatalf("%s: a password of %d characters", u, len(e.Password(u)))
		}
		secrets = append(secrets, e.Password(u))
	}
	clean := func(name string, b []byte) {
		for i, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%s holds password %d", name, i)
			}
		}
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // merged away meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // merged away meanwhile
		}
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 { // a link has no mode of its own
			t.Errorf("%s is %v", path, info.Mode())
		}
		if info.Mode().IsRegular() {
			files++
			b, _ := os.ReadFile(path)
			clean(path, b)
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Fatalf("%d files looked at, error %v", files, err)
	}
	for _, name := range []string{"environ", "cmdline"} {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(e.Pid()) + "/" + name)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %d bytes, error %v", name, len(b), err)
		}
		clean(name, b)
	}
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(e.Pid()) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max core file size") && strings.Fields(line)[4] != "0" {
			t.Errorf("core dumps are allowed: %s", line)
		}
	}
}

func TestMemoryLimitHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	e, err := engine.Start(t.Context(), engine.Options{Dir: dir, MaxMemory: 600 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Stop() }()
	admin := open(t, e, engine.Admin, "")
	refused(t, admin, 241, "SELECT length(groupArray(number)) FROM numbers(200000000)")
	if n := scalar[uint8](t, admin, "SELECT 1"); n != 1 {
		t.Error("the engine does not answer afterwards")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"no directory":  {},
		"little memory": {Dir: t.TempDir(), MaxMemory: 1 << 20},
		"no randomness": {Dir: t.TempDir(), Rand: strings.NewReader("too short")},
	} {
		e, err := engine.Start(t.Context(), o)
		if err == nil {
			_ = e.Stop()
			t.Errorf("%s: started", name)
		}
	}
}
