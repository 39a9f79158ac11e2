// Package ledger is the tamper-evident record of everything that Pana decided:
// its leaves, its Merkle tree, its signed checkpoints and its proofs.
//
// A [Leaf] is one decision in canonical JSON (RFC 8785). Its fields are allow-listed,
// its events and outcomes are closed lists and its ids are internal, so that the
// log never has to be erased. What may have to be erased (counts, digests, reasons)
// stays outside, and the leaf holds a salted [Commitment] to it. Leaves are the
// records of an RFC 6962 tree; a checkpoint is a C2SP tlog-checkpoint, a note signed
// with Ed25519, whose first line is the name of its key: "pana/<installation id>".
//
// Whoever stores a log calls [Leaf.Encode], then [Append] for the hashes to store
// with it, and [SignCheckpoint] now and then. It serves the log as [Tiles] of C2SP
// tlog-tiles. Whoever doubts it calls [VerifyLog] over all of it, [VerifyExport] over a
// copy of its tiles, [Inclusion.Verify] for one leaf, or [VerifyReceipt] and
// [VerifyAnswer] for what an agency or a researcher was given. All of that also works
// with public tools for such logs. A [Policy] says which witnesses must have signed.
//
// The package is pure: it stores nothing, has no clock and holds no key. It will not
// log free text, file names, addresses or anything that a record holds.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
)

// An Entry is what a caller wants logged; whoever stores the log adds the place,
// the time and the commitment, and has a [Leaf].
type Entry struct {
	Event    Event
	Actor    string // id of the key that acts, or of a part of the gateway
	Object   string // internal id of what is acted on, or ""
	Policy   gateway.Revision
	Snapshot uint64
	Outcome  Outcome
	// Detail is what the leaf only commits to, or nil. It is encoded as JSON and
	// kept beside the log with its salt; it may be erased later.
	Detail any
}

// Commitment returns what a leaf holds of a detail: SHA-256(salt || detail), in hex.
func Commitment(salt, detail []byte) string {
	h := sha256.New()
	h.Write(salt)
	h.Write(detail)
	return hex.EncodeToString(h.Sum(nil))
}

// Append returns the hashes to store with a leaf when it becomes the one after the
// first size leaves: its record hash, then the nodes that it completes. They take
// the stored hash indices from tlog.StoredHashCount(size) on.
func Append(size uint64, leaf []byte, stored tlog.HashReader) ([]tlog.Hash, error) {
	return tlog.StoredHashesForRecordHash(signed(size), tlog.RecordHash(leaf), stored)
}

// signed and unsigned are between our sizes and tlog's.
func signed(n uint64) int64 { return int64(n) } //nolint:gosec // sizes are at most maxInteger

func unsigned(n int64) uint64 { return uint64(n) } //nolint:gosec // sizes are not negative
