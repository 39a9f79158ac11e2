package registry

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// victim uploads and asks for ever, says on standard output what it was told is
// durable, and is killed. Its keys are in a file beside the registry.
func victim(path string) {
	opt, err := keysBeside(path)
	if err != nil {
		fail(err)
	}
	r, err := Open(context.Background(), opt)
	if err != nil {
		fail(err)
	}
	for {
		random, err := r.newID("c")
		if err != nil {
			fail(err)
		}
		a, err := r.BeginBatch(context.Background(), intent("police-a", random, random))
		if err != nil {
			fail(err)
		}
		receipt, seq, err := r.CommitBatch(context.Background(), a.Batch, a.Load, accepted(1))
		if err != nil {
			fail(err)
		}
		_, _ = fmt.Fprintf(os.Stdout, "batch %s %d %d\n", a.Batch, seq, len(receipt))
		seq, err = r.Append(context.Background(), ledger.Entry{Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done, Detail: 1})
		if err != nil {
			fail(err)
		}
		_, _ = fmt.Fprintf(os.Stdout, "leaf %d\n", seq)
	}
}

func fail(err error) {
	_, _ = fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

func keysBeside(path string) (Options, error) {
	data, err := os.ReadFile(path + ".keys")
	if err != nil {
		return Options{}, err
	}
	return optionsOf(path, data, time.Now)
}

// Whatever was acknowledged before kill -9 is there after it, whole, and the ledger
// verifies (trust.md L8).
func TestKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 5
	}
	path := filepath.Join(t.TempDir(), "registry.db")
	keyring, err := pseudonym.Generate(rand.Reader, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".keys", keyring, 0o600); err != nil {
		t.Fatal(err)
	}
	opt, err := keysBeside(path)
	if err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, opt)
	addAgencies(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	acked := 0
	for i := range kills {
		lines := killOne(t, path, 1+i%50)
		acked += len(lines)
		checkAfterKill(t, opt, lines)
	}
	t.Logf("%d kills, %d acknowledgements, none lost", kills, acked)
}

// killOne runs a victim until it has acknowledged something, and then a little.
func killOne(t *testing.T, path string, wait int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PANA_REGISTRY_VICTIM="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	scan := bufio.NewScanner(out)
	for scan.Scan() {
		if len(lines) == 0 {
			time.AfterFunc(time.Duration(wait)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
		lines = append(lines, scan.Text())
	}
	_ = cmd.Wait()
	if len(lines) == 0 {
		t.Fatalf("the victim did nothing: %s", stderr.String())
	}
	return lines
}

func checkAfterKill(t *testing.T, opt Options, lines []string) {
	t.Helper()
	r := mustOpen(t, opt)
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	checkTree(t, r)
	if _, err := r.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	size, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		words := strings.Fields(line)
		switch {
		case words[0] == "batch" && len(words) == 4:
			receipt, err := r.Receipt(t.Context(), "police-a", gateway.BatchID(words[1]))
			if err != nil || strconv.Itoa(len(receipt)) != words[3] {
				t.Fatalf("%s: the receipt is lost: %v", line, err)
			}
		case words[0] == "leaf" && len(words) == 2:
			if seq, err := strconv.ParseUint(words[1], 10, 64); err != nil || seq >= size {
				t.Fatalf("%s: the leaf is lost", line)
			}
		}
	}
}
