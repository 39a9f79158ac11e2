package approval

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/pana-exchange/pana/gateway"
)

// maxStatement bounds what is signed.
const maxStatement = 4 << 10

// A Statement is what is signed when a proposal is approved: one line of canonical
// JSON (RFC 8785), so that the same statement is always the same bytes. It holds
// digests, never what they are of.
type Statement struct {
	V            int    `json:"v"`            // 1
	Installation string `json:"installation"` // origin of its ledger: a signature for a trial is none for a ministry
	Proposal     string `json:"proposal"`     // id: a signature counts once
	Kind         string `json:"kind"`         // of the proposal
	Object       string `json:"object"`       // what it is about: a policy's revision, a key
	Digest       string `json:"digest"`       // SHA-256 of what would take effect
	Base         string `json:"base"`         // what it changes; approved for no other
	Effects      string `json:"effects"`      // SHA-256 of the effects that were read
	Signers      string `json:"signers"`      // SHA-256 of the allowed_signers file that it is signed under
	Expires      string `json:"expires,omitempty"`
}

// expiresLayout is the one way a statement writes its time: UTC, seconds.
const expiresLayout = "2006-01-02T15:04:05Z"

// Encode returns the bytes that are signed, without a line feed at the end.
func (s Statement) Encode() ([]byte, error) {
	if s.V != 1 || !statementWord.MatchString(s.Kind) {
		return nil, errStatement
	}
	for _, text := range []string{s.Installation, s.Proposal, s.Object, s.Digest, s.Base, s.Effects, s.Signers} {
		if !statementText.MatchString(text) {
			return nil, errStatement
		}
	}
	if _, err := time.Parse(expiresLayout, s.Expires); s.Expires != "" && err != nil {
		return nil, errStatement
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, errStatement
	}
	canonical, err := jcs.Transform(plain)
	if err != nil || len(canonical) > maxStatement {
		return nil, errStatement
	}
	return canonical, nil
}

// A statement holds ids and digests: nothing that two people could read in two ways.
var (
	statementWord = regexp.MustCompile(`^[a-z][a-z.-]{0,31}$`)
	statementText = regexp.MustCompile(`^[A-Za-z0-9._:/+-]{0,200}$`)
	errStatement  = gateway.Errorf(gateway.Invalid, "this is no statement of a proposal")
)

// ParseStatement reads what [Statement.Encode] wrote, and nothing else.
func ParseStatement(text []byte) (Statement, error) {
	if len(text) > maxStatement {
		return Statement{}, errStatement
	}
	var s Statement
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&s) != nil {
		return Statement{}, errStatement
	}
	again, err := s.Encode()
	if err != nil || !bytes.Equal(again, text) {
		return Statement{}, errStatement
	}
	return s, nil
}

// Until is how a statement writes when it can no longer be signed.
func Until(t time.Time) string { return t.UTC().Format(expiresLayout) }

// Over reports whether the statement's time to be signed is over.
func (s Statement) Over(at time.Time) bool {
	if s.Expires == "" {
		return false
	}
	t, err := time.Parse(expiresLayout, s.Expires)
	return err != nil || !at.Before(t)
}

// Of returns the SHA-256 of something, as statements hold it.
func Of(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
