// Package approvaltest signs in tests: people with keys that are the same always, and
// the file that names them.
package approvaltest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway/approval"
)

// People are the signers of a test, and who they are on file.
type People struct {
	Signers *approval.Signers
	keys    map[string]ssh.Signer
}

// New returns people for principals, such as "officer/a". The keys of two calls with
// the same principals are the same.
func New(tb testing.TB, principals ...string) *People {
	tb.Helper()
	p := &People{keys: map[string]ssh.Signer{}}
	var file strings.Builder
	for _, principal := range principals {
		seed := append([]byte(principal), bytes.Repeat([]byte{1}, ed25519.SeedSize)...)[:ed25519.SeedSize]
		key, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed))
		if err != nil {
			tb.Fatal(err)
		}
		p.keys[principal] = key
		_, _ = fmt.Fprintf(&file, "%s namespaces=\"pana-policy,pana-keys,pana-erasure\" %s %s\n", principal, key.PublicKey().Type(),
			base64.StdEncoding.EncodeToString(key.PublicKey().Marshal()))
	}
	var err error
	p.Signers, err = approval.ParseSigners([]byte(file.String()))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Sign returns a principal's armored signature.
func (p *People) Sign(tb testing.TB, ns approval.Namespace, principal string, statement []byte) []byte {
	tb.Helper()
	armored, err := approval.Sign(nil, ns, statement, p.keys[principal])
	if err != nil {
		tb.Fatal(err)
	}
	return armored
}
