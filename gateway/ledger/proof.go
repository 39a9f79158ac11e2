package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// An Inclusion proves that a log holds a leaf.
type Inclusion struct {
	Leaf       []byte   // as logged
	Index      uint64   // its place
	Proof      [][]byte // RFC 6962 2.1.1 audit path, from the leaf up
	Checkpoint string   // of a tree that holds it
}

var errProof = errors.New("ledger: the inclusion proof does not hold")

// InclusionProof returns the audit path of the leaf at index in the tree of the
// first size leaves.
func InclusionProof(index, size uint64, stored tlog.HashReader) ([][]byte, error) {
	if index >= size || size > maxInteger {
		return nil, fmt.Errorf("ledger: no leaf %d in a log of %d", index, size)
	}
	path, err := tlog.ProveRecord(signed(size), signed(index), stored)
	if err != nil {
		return nil, fmt.Errorf("proving leaf %d: %w", index, err)
	}
	return hashesOut(path), nil
}

// Verify checks the leaf's form, the checkpoint's signature by key and the path
// between them, and returns the leaf.
func (p Inclusion) Verify(key note.Verifier) (Leaf, error) {
	tree, err := OpenCheckpoint(p.Checkpoint, key)
	if err != nil {
		return Leaf{}, err
	}
	leaf, err := DecodeLeaf(p.Leaf)
	if err != nil {
		return Leaf{}, err
	}
	path, ok := hashesIn(p.Proof)
	if !ok || leaf.Seq != p.Index || p.Index >= unsigned(tree.N) {
		return Leaf{}, errProof
	}
	if tlog.CheckRecord(path, tree.N, tree.Hash, signed(p.Index), tlog.RecordHash(p.Leaf)) != nil {
		return Leaf{}, errProof
	}
	return leaf, nil
}

// ConsistencyProof returns the RFC 6962 2.1.2 proof that the tree of the first
// size leaves only continues the one of the first earlier leaves.
func ConsistencyProof(earlier, size uint64, stored tlog.HashReader) ([][]byte, error) {
	if earlier == 0 || earlier > size || size > maxInteger {
		return nil, fmt.Errorf("ledger: no proof from %d to %d", earlier, size)
	}
	path, err := tlog.ProveTree(signed(size), signed(earlier), stored)
	if err != nil {
		return nil, fmt.Errorf("proving that %d continues %d: %w", size, earlier, err)
	}
	return hashesOut(path), nil
}

// VerifyConsistency checks that the later tree continues the earlier one.
func VerifyConsistency(proof [][]byte, earlier, later tlog.Tree) error {
	path, ok := hashesIn(proof)
	if !ok || earlier.N < 1 || earlier.N > later.N ||
		tlog.CheckTree(path, later.N, later.Hash, earlier.N, earlier.Hash) != nil {
		return errors.New("ledger: the later log does not continue the earlier one")
	}
	return nil
}

func hashesOut(path []tlog.Hash) [][]byte {
	out := make([][]byte, len(path))
	for i, h := range path {
		out[i] = h[:]
	}
	return out
}

func hashesIn(path [][]byte) ([]tlog.Hash, bool) {
	in := make([]tlog.Hash, len(path))
	for i, h := range path {
		if len(h) != tlog.HashSize {
			return nil, false
		}
		in[i] = tlog.Hash(h)
	}
	return in, true
}
