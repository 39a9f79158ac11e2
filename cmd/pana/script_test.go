package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// TestScripts runs the stories in testdata: what somebody types, and what comes
// back. Each starts with what it is about.
func TestScripts(t *testing.T) {
	bin := t.TempDir()
	err := os.Symlink(self(t), filepath.Join(bin, "pana"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir() // of the engine
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("PANA_TEST_COMMAND", "1")
			e.Setenv("XDG_CACHE_HOME", cache)
			e.Setenv("PANA_LIBCHDB", os.Getenv("PANA_LIBCHDB"))
			e.Setenv("POLICIES", filepath.Join(root, "policies"))
			e.Setenv("CALC", filepath.Join(root, "cmd", "pana", "testdata", "calc"))
			e.Setenv("CUBES", filepath.Join(root, "configs", "cubes"))
			return nil
		},
		Condition: publicTool,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "field": field, "freeport": freeport, "ready": ready, "mode": mode, "replace": replace, "copytree": copytree,
			"terminate": terminate,
		},
	})
}

// publicTool is the condition [tool:NAME]: that a tool which is not ours is installed.
// .ci/run installs them and demands them; elsewhere a line without its tool is skipped.
func publicTool(condition string) (bool, error) {
	name, ok := strings.CutPrefix(condition, "tool:")
	if !ok {
		return false, fmt.Errorf("there is no condition %s", condition)
	}
	_, err := exec.LookPath(name)
	if err != nil && os.Getenv("PANA_TEST_TOOLS") == "required" {
		return false, fmt.Errorf("%s is not installed; see .ci/run", name)
	}
	return err == nil, nil
}

// exits CODE PROGRAM ARGS… runs a program that must end with an exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// field NAME FILE PATH sets a variable to a value of a JSON file; the path has
// names and indexes between dots.
func field(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: field NAME FILE PATH")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	for name := range strings.SplitSeq(args[2], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(at) {
				ts.Fatalf("there is no %s in %s", args[2], args[1])
			}
			v = at[i]
		default:
			v = nil
		}
	}
	if v == nil {
		ts.Fatalf("there is no %s in %s", args[2], args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// freeport NAME sets a variable to an address of this machine that was free.
func freeport(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// ready ADDRESS waits until a gateway answers there.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		response, err := newClient("http://"+args[0], "").http.Get("http://" + args[0] + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("no gateway is ready at %s", args[0])
}

// mode OCTAL PATH… demands permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, path := range args[1:] {
		info, err := os.Stat(ts.MkAbs(path))
		ts.Check(err)
		if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
			ts.Fatalf("%s has the permissions %s, want %s", path, got, args[0])
		}
	}
}

// terminate sends SIGTERM to what runs in the background; testscript's own kill
// does not know it.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGTERM))
	}
}

// replace OLD NEW FILE changes a text that is in a file exactly once.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[2])
	if strings.Count(text, args[0]) != 1 {
		ts.Fatalf("%s does not hold %q exactly once", args[2], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Replace(text, args[0], args[1], 1)), 0o600))
}

// copytree FROM TO copies a directory.
func copytree(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(args[0])))
}
