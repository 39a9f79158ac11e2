package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway/approval"
)

// signWith signs a statement with a key in a file: a plain one here, any other (with a
// passphrase, of an agent, in hardware) by ssh-keygen, which asks for what it needs.
func (c *cli) signWith(ctx context.Context, file string, ns approval.Namespace, statement []byte) ([]byte, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the signer names the file
	if err != nil {
		return nil, usageError{errors.New("the key cannot be read: " + file)}
	}
	key, err := ssh.ParsePrivateKey(text)
	clear(text)
	if err == nil {
		return approval.Sign(rand.Reader, ns, statement, key)
	}
	command := exec.CommandContext(ctx, "ssh-keygen", "-q", "-Y", "sign", "-n", string(ns), "-f", file) //nolint:gosec // the signer's own tool and key
	command.Stdin, command.Stderr = bytes.NewReader(statement), c.err
	armored, err := command.Output()
	if err != nil {
		return nil, refusal{errors.New("ssh-keygen did not sign with " + file)}
	}
	return armored, nil
}

// signCommand is what somebody types who signs by hand.
func signCommand(ns approval.Namespace, file string) string {
	return fmt.Sprintf("ssh-keygen -Y sign -n %s -f YOUR_KEY %s", ns, file)
}

// throwAwaySigners makes keys for the people of a demonstration, and the file that
// names them: people whose names say what they are, because the names stand under
// every answer.
func throwAwaySigners(dir string) (file string, err error) {
	err = os.MkdirAll(dir, 0o700)
	if err != nil {
		return "", fmt.Errorf("making the demonstration's signers: %w", err)
	}
	var roster strings.Builder
	for _, principal := range []string{"officer/demo-officer", "officer/demo-officer2", "steward/demo-steward", "operator/demo-operator"} {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", fmt.Errorf("making a key: %w", err)
		}
		block, err := ssh.MarshalPrivateKey(private, principal)
		if err != nil {
			return "", fmt.Errorf("making a key: %w", err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("making a key: %w", err)
		}
		err = writeNew(filepath.Join(dir, strings.TrimPrefix(filepath.Base(principal), "demo-")), pem.EncodeToMemory(block))
		if err != nil {
			return "", fmt.Errorf("keeping a key: %w", err)
		}
		_, _ = fmt.Fprintf(&roster, "%s namespaces=\"pana-policy,pana-keys,pana-erasure\" %s %s throw-away\n",
			principal, key.Type(), base64.StdEncoding.EncodeToString(key.Marshal()))
	}
	file = filepath.Join(dir, "allowed_signers")
	return file, writeNew(file, []byte(roster.String()))
}
