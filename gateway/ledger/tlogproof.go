package ledger

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// maxProof bounds what is parsed: 64 hashes and a checkpoint.
const maxProof = maxCheckpoint + 64*64

var errTlogProof = errors.New("ledger: not a tlog-proof")

// Text returns the proof as a C2SP tlog-proof, which public tools verify beside the
// leaf.
func (p Inclusion) Text() string { return proofHeader + "\n" + p.Spicy() }

// Spicy returns the proof as spicy v0.9.0 and before read it from FILE.spicy: a
// tlog-proof without its first line.
func (p Inclusion) Spicy() string {
	var b strings.Builder
	b.WriteString("index " + strconv.FormatUint(p.Index, 10) + "\n")
	for _, h := range p.Proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
	}
	b.WriteString("\n" + p.Checkpoint)
	return b.String()
}

// ParseInclusion reads a proof that [Inclusion.Text] or [Inclusion.Spicy] wrote for a
// leaf. It proves nothing until it is verified.
func ParseInclusion(text string, leaf []byte) (Inclusion, error) {
	if len(text) > maxProof {
		return Inclusion{}, errTlogProof
	}
	bare := strings.TrimPrefix(text, proofHeader+"\n")
	head, checkpoint, found := strings.Cut(bare, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) > 1+64 {
		return Inclusion{}, errTlogProof
	}
	number, found := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil || index > maxInteger {
		return Inclusion{}, errTlogProof
	}
	p := Inclusion{Leaf: leaf, Index: index, Checkpoint: checkpoint}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return Inclusion{}, errTlogProof
		}
		p.Proof = append(p.Proof, h)
	}
	if p.Spicy() != bare {
		return Inclusion{}, errTlogProof
	}
	return p, nil
}
