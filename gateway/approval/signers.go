package approval

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

const (
	maxSigners = 64 << 10 // bytes of an allowed_signers file
	maxKey     = 4 << 10  // bytes of a public key
	// minRSA is the least that NIST SP 800-131A allows a signature to be made with.
	minRSA = 2048
)

// Signers is who may sign what: an allowed_signers file. It never changes.
type Signers struct {
	text    []byte
	entries []entry
}

// ParseSigners reads an allowed_signers file (ssh-keygen(1)), one key a line:
//
//	role/person namespaces="…"[,valid-after="YYYYMMDD[HHMM[SS]]Z"][,valid-before="…"] type key [comment]
//
// Namespaces are named, without patterns, and times are in UTC. It refuses
// certificate authorities, a person with two roles and a key of two people, DSA, and
// RSA of fewer than 2,048 bits. Errors name the line.
func ParseSigners(text []byte) (*Signers, error) {
	if len(text) > maxSigners || !utf8.Valid(text) {
		return nil, gateway.Errorf(gateway.Invalid, "a file of signers is UTF-8 and has at most %d bytes", maxSigners)
	}
	s := &Signers{text: bytes.Clone(text)}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
			return nil, wrong(number, "it holds a control character; lines end with a line feed alone")
		}
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err != nil {
			return nil, wrong(number, err.Error())
		}
		if err := s.add(e); err != nil {
			return nil, wrong(number, err.Error())
		}
	}
	if len(s.entries) == 0 {
		return nil, gateway.Errorf(gateway.Invalid, "the file of signers names nobody")
	}
	return s, nil
}

func wrong(line int, why string) error {
	return gateway.Errorf(gateway.Invalid, "line %d of the signers: %s", line, why)
}

// add takes an entry unless somebody could be two people by it.
func (s *Signers) add(e entry) error {
	for _, other := range s.entries {
		switch {
		case bytes.Equal(other.key.Marshal(), e.key.Marshal()):
			return fmt.Errorf("the key is there already, as one of %s", other.signer)
		case other.signer.Person == e.signer.Person && other.signer.Role != e.signer.Role:
			return fmt.Errorf("%s is there already, with another role", other.signer)
		}
	}
	s.entries = append(s.entries, e)
	return nil
}

// Text returns the file as it was read.
func (s *Signers) Text() []byte { return bytes.Clone(s.text) }

// Digest returns the SHA-256 of the file in hexadecimal, as sha256sum prints it.
func (s *Signers) Digest() string {
	sum := sha256.Sum256(s.text)
	return hex.EncodeToString(sum[:])
}

// Encode returns the file in its one canonical spelling, without comments.
func (s *Signers) Encode() []byte {
	var out bytes.Buffer
	for _, e := range s.entries {
		names := make([]string, len(e.namespaces))
		for i, ns := range e.namespaces {
			names[i] = string(ns)
		}
		_, _ = fmt.Fprintf(&out, "%s namespaces=%q", e.signer, strings.Join(names, ","))
		if !e.after.IsZero() {
			_, _ = fmt.Fprintf(&out, ",valid-after=%q", e.after.Format(timeLayout))
		}
		if !e.before.IsZero() {
			_, _ = fmt.Fprintf(&out, ",valid-before=%q", e.before.Format(timeLayout))
		}
		_, _ = fmt.Fprintf(&out, " %s %s\n", e.key.Type(), base64.StdEncoding.EncodeToString(e.key.Marshal()))
	}
	return out.Bytes()
}

// May returns who may sign for a namespace at a time, each once, in the file's order.
func (s *Signers) May(ns Namespace, at time.Time) []Signer {
	var may []Signer
	for _, e := range s.entries {
		if e.may(ns, at) == nil && !slices.Contains(may, e.signer) {
			may = append(may, e.signer)
		}
	}
	return may
}

// Verify returns who made an armored signature of a statement for a namespace. It
// reports Invalid for what is no signature, and Forbidden for one of somebody who may
// not sign at that time, of another statement, or for another namespace.
func (s *Signers) Verify(ns Namespace, statement, armored []byte, at time.Time) (Signer, error) {
	sig, err := ParseSignature(armored)
	if err != nil {
		return Signer{}, err
	}
	i := slices.IndexFunc(s.entries, func(e entry) bool { return bytes.Equal(e.key.Marshal(), sig.blob.Key) })
	if i < 0 {
		return Signer{}, gateway.Errorf(gateway.Forbidden, "the key that signed is not among the signers")
	}
	if sig.blob.Namespace != string(ns) {
		return Signer{}, gateway.Errorf(gateway.Forbidden, "the signature is for another namespace than %s", ns)
	}
	if err := s.entries[i].may(ns, at); err != nil {
		return Signer{}, err
	}
	if !sig.by(ns, statement) {
		return Signer{}, gateway.Errorf(gateway.Forbidden, "the signature is of something else than what is to be approved")
	}
	return s.entries[i].signer, nil
}
