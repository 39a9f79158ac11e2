package approval_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway/approval"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seeded returns the key of a number: the same always.
func seeded(tb testing.TB, n byte) ssh.Signer {
	tb.Helper()
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func line(principal, options string, key ssh.PublicKey) string {
	return fmt.Sprintf("%s %s %s %s\n", principal, options, key.Type(), base64.StdEncoding.EncodeToString(key.Marshal()))
}

func parse(tb testing.TB, text string) *approval.Signers {
	tb.Helper()
	s, err := approval.ParseSigners([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func sign(tb testing.TB, ns approval.Namespace, by ssh.Signer) []byte {
	tb.Helper()
	armored, err := approval.Sign(nil, ns, []byte(statement), by)
	if err != nil {
		tb.Fatal(err)
	}
	return armored
}

// keygen runs the real ssh-keygen in a directory, and returns whether it succeeded.
func keygen(t *testing.T, dir, stdin string, args ...string) (string, bool) {
	t.Helper()
	path, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("there is no ssh-keygen here: its signatures cannot be compared")
	}
	c := exec.Command(path, args...)
	c.Dir, c.Stdin = dir, strings.NewReader(stdin)
	// No agent, no hardware: keys in files only. Times of keys are in UTC either way.
	c.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "TZ=Asia/Almaty")
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

// newKey makes a key with ssh-keygen, and returns its public half as a file has it.
func newKey(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, ok := keygen(t, dir, "", append([]string{"-q", "-N", "", "-C", "a comment", "-f", name}, args...)...)
	if !ok {
		t.Fatalf("ssh-keygen makes no key: %s", out)
	}
	return read(t, dir, name+".pub")
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
