package engine

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A port that is taken between being chosen and being used is reported with its
// code, and no password is shown to whoever took it.
func TestATakenPortIsNoticed(t *testing.T) {
	library, err := Fetch(t.Context(), FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Close() }()
	l, err := prepare(Options{Dir: filepath.Join(t.TempDir(), "engine"), MaxMemory: minMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.unlock() }()
	l.config.Port = thief.Addr().(*net.TCPAddr).Port
	if err := l.config.write(l.dir); err != nil {
		t.Fatal(err)
	}
	c, err := spawn(t.Context(), library, l.config.path(l.dir))
	if err != nil {
		t.Fatal(err)
	}
	err = c.awaitListening(t.Context())
	if e, ok := errors.AsType[*StartError](err); !ok || e.Code != codeNetwork {
		t.Errorf("error %v, want code %d", err, codeNetwork)
	}
	select {
	case <-c.done:
	case <-time.After(stopLimit):
		t.Error("the child of a failed start lives")
	}
}

// ClickHouse's own lock, when the gateway's is not there: retried, then reported.
func TestTheStatusLockIsRetried(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "engine")
	first, err := Start(t.Context(), Options{Dir: dir, MaxMemory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Stop() }()
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() { _ = first.child.end() })
	second, err := Start(t.Context(), Options{Dir: dir, MaxMemory: 512 << 20})
	if err != nil {
		t.Fatalf("the lock was free after a second: %v", err)
	}
	_ = second.Stop()
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "engine")
	if e, err := Start(ctx, Options{Dir: dir, MaxMemory: minMemory}); err == nil {
		_ = e.Stop()
		t.Fatal("the engine started within 20 ms: this test needs a shorter deadline")
	}
	e, err := Start(t.Context(), Options{Dir: dir, MaxMemory: minMemory})
	if err != nil {
		t.Fatalf("the directory is not free after a start that was given up: %v", err)
	}
	_ = e.Stop()
}

// Whatever ClickHouse complains, only codes and upper-case names come through.
func TestDiagnosisHoldsNoText(t *testing.T) {
	for _, c := range []struct{ stderr, want string }{
		{"", "engine: ClickHouse did not start: it gave no reason"},
		{
			"Code: 76. DB::Exception: Cannot lock file /secret/status. Another server (CANNOT_OPEN_FILE)\n",
			"engine: ClickHouse did not start: code 76 (CANNOT_OPEN_FILE): another engine runs on this data directory; stop it first",
		},
		{
			"noise secret\nReceived exception:\nCode: 27. DB::Exception: Cannot parse 'secret' (secret) (CANNOT_PARSE_INPUT)",
			"engine: ClickHouse did not start: code 27 (CANNOT_PARSE_INPUT)",
		},
		{childComplaint + "opening a pseudo-terminal: no such file\n", "engine: ClickHouse did not start: opening a pseudo-terminal: no such file"},
	} {
		if got := diagnose(c.stderr).Error(); got != c.want {
			t.Errorf("diagnose(%q) = %q, want %q", c.stderr, got, c.want)
		}
	}
}

func FuzzDiagnose(f *testing.F) {
	f.Add("Code: 76. DB::Exception: Cannot lock (CANNOT_OPEN_FILE)")
	f.Add("Code: 99999999999. (A)")
	f.Fuzz(func(t *testing.T, stderr string) {
		if strings.Contains(stderr, childComplaint) {
			t.Skip()
		}
		for _, r := range strings.TrimPrefix(diagnose(stderr).Error(), "engine: ClickHouse did not start") {
			if r > '~' || r < ' ' {
				t.Errorf("%q in the diagnosis", r)
			}
		}
	})
}

func TestAWatchIsBounded(t *testing.T) {
	w := newWatch([]byte("mark"))
	for _, part := range []string{"ma", "rk", strings.Repeat("x", 1<<20)} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Fatalf("wrote %d of %d, error %v", n, len(part), err)
		}
	}
	select {
	case <-w.seen:
	default:
		t.Error("a mark in two parts was not seen")
	}
	if len(w.text()) > watchLimit {
		t.Errorf("%d bytes kept", len(w.text()))
	}
}

// The templates stay well-formed whatever the directory is called, and a print
// of an engine shows no password.
func TestConfigurationIsWellFormedAndQuiet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a<b>&"c'`)
	if err := ownDirectory(dir); err != nil {
		t.Fatal(err)
	}
	password, err := newPasswords(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newConfiguration(dir, 1<<30, password)
	if err := c.write(dir); err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Path string `xml:"path"`
	}
	b, err := os.ReadFile(c.path(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, &parsed); err != nil || parsed.Path != c.Data+"/" {
		t.Errorf("path %q, error %v; want %q", parsed.Path, err, c.Data+"/")
	}
	if b, err = os.ReadFile(c.Users); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, &struct{}{}); err != nil {
		t.Errorf("users: %v", err)
	}
	printed := fmt.Sprintf("%v %+v %#v", &Engine{password: password}, Engine{password: password}, &launch{password: password, config: c})
	for _, u := range users {
		if strings.Contains(printed, password(u)) || strings.Contains(string(b), password(u)) {
			t.Errorf("the password of %s is readable", u)
		}
	}
}
