package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// TestSnippets runs the programs of the documentation against a demonstration, and
// compares what they print with what pana query says. A language that is not installed
// is left out, by name.
func TestSnippets(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a demonstration")
	}
	t.Parallel()
	dir, within := t.TempDir(), t // one demonstration for all
	var setting []string
	var want string
	for language, run := range map[string][2]string{"python": {"python3", "ask.py"}, "r": {"Rscript", "ask.R"}} {
		t.Run(language, func(t *testing.T) {
			if missing := unable(language, run[0]); missing != "" {
				t.Skip(missing)
			}
			path := filepath.Join(t.TempDir(), run[1])
			err := os.WriteFile(path, []byte(snippet(t, language)), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if setting == nil {
				setting = demonstration(t, within, filepath.Join(dir, "demo"))
				want = printed(t, setting)
			}
			c := exec.CommandContext(t.Context(), run[0], path)
			c.Env = append(os.Environ(), setting...)
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got := strings.ReplaceAll(string(out), "\r", ""); got != want {
				t.Errorf("it prints\n%s\nand pana query says\n%s", got, want)
			}
		})
	}
}

// unable says why a language's snippet cannot be run here, or nothing.
func unable(language, program string) string {
	path, err := exec.LookPath(program)
	if err != nil {
		return program + " is not installed"
	}
	if language == "r" && exec.Command(path, "-e", "library(httr2)").Run() != nil {
		return "R has no package httr2"
	}
	return ""
}

// snippet is the program in a language that the documentation has.
func snippet(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "gateway", "api", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(text), "```"+language+"\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !found || !ended {
		t.Fatalf("the documentation has no program in %s", language)
	}
	return code
}

// demonstration runs pana demo --serve until the test ends, and returns the settings
// that the documentation tells of;
// within is the test that it serves.
func demonstration(t, within *testing.T, dir string) []string {
	t.Helper()
	c := command(self(t), "demo", "--serve", "--children", "1500", "--dir", dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said syncBuffer
	c.Stderr = &said
	err = c.Start()
	if err != nil {
		t.Fatal(err)
	}
	within.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		err := c.Wait()
		if err != nil {
			within.Errorf("the demonstration ended with %v: %.500s", err, said.String())
		}
	})
	ctx, cancel := context.WithTimeout(within.Context(), 8*time.Minute)
	context.AfterFunc(ctx, func() { _ = out.Close() })
	within.Cleanup(cancel)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, address, found := strings.Cut(lines.Text(), "export PANA_GATEWAY=")
		if !found {
			continue
		}
		address, _, _ = strings.Cut(address, " ")
		return []string{"PANA_GATEWAY=" + address, "PANA_RELEASE=demo-1", "PANA_KEY_FILE=" + filepath.Join(dir, "researcher.key")}
	}
	t.Fatalf("the demonstration says no address: %.500s", said.String())
	return nil
}

// printed is what the snippets have to print, of what pana query says.
func printed(t *testing.T, setting []string) string {
	t.Helper()
	c := command(self(t), "query", "--json", "--release", "demo-1", "--cube", "pathways", "--by", "sector", "--purpose", "policy-evaluation")
	c.Env = append(c.Env, setting...)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var table gateway.Table
	err = json.Unmarshal(out, &table)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	values := 0
	for _, cell := range table.Cells {
		value := ""
		if cell.Value != nil {
			value, values = fmt.Sprint(*cell.Value), values+1
		}
		_, _ = fmt.Fprintf(&b, "%s\t%s\t%s\n", cell.Nodes[0], cell.Status, value)
	}
	if values == 0 {
		t.Error("no sector has a value")
	}
	_, _ = fmt.Fprintf(&b, "noise: standard deviation %.1f; cite %s, %s\n", math.Sqrt(table.Variance), table.Release, table.Decision)
	return b.String()
}
