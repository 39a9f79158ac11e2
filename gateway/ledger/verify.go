package ledger

import (
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Log is what [VerifyLog] reads, as streams: nothing of it has to fit in memory.
type Log struct {
	Leaves iter.Seq2[[]byte, error] // every leaf as logged, from 0 on
	// Hashes are the stored hashes in the order of their indices, or nil. The
	// checkpoint alone proves the leaves; the hashes say which one is bad.
	Hashes     iter.Seq2[tlog.Hash, error]
	Checkpoint string
}

// A LeafError names the first leaf that is not what was logged.
type LeafError struct {
	Index uint64
	Why   string // never quotes the leaf
}

// Error gives the place and the reason.
func (e *LeafError) Error() string { return fmt.Sprintf("ledger: leaf %d: %s", e.Index, e.Why) }

var (
	errRoot  = errors.New("ledger: the leaves do not have the checkpoint's root")
	errShort = errors.New("ledger: fewer leaves than the checkpoint says")
)

// VerifyLog checks the form of every leaf, its place, its stored hashes, and that
// the leaves have the root that the checkpoint signed. It returns how many leaves
// there are: those after the checkpoint's size are covered by no signature yet.
// An error that can name the first bad leaf is a [*LeafError].
func VerifyLog(log Log, key note.Verifier) (uint64, error) {
	tree, err := OpenCheckpoint(log.Checkpoint, key)
	if err != nil {
		return 0, err
	}
	next, stop := noHashes, func() {}
	if log.Hashes != nil {
		next, stop = iter.Pull2(log.Hashes)
	}
	defer stop()
	var f frontier
	proved := tree.N == 0 && f.root() == tree.Hash
	for data, err := range log.Leaves {
		if err != nil {
			return f.size, fmt.Errorf("reading leaf %d: %w", f.size, err)
		}
		if err := f.check(data, next, log.Hashes != nil); err != nil {
			return f.size, err
		}
		if f.size == unsigned(tree.N) {
			if proved = f.root() == tree.Hash; !proved {
				return f.size, errRoot
			}
		}
	}
	switch {
	case f.size < unsigned(tree.N):
		return f.size, errShort
	case !proved:
		return f.size, errRoot
	}
	return f.size, nil
}

func noHashes() (tlog.Hash, error, bool) { return tlog.Hash{}, nil, false }

// check takes in the next leaf and compares it with its stored hashes.
func (f *frontier) check(data []byte, next func() (tlog.Hash, error, bool), stored bool) error {
	index := f.size
	leaf, err := DecodeLeaf(data)
	if err != nil {
		return &LeafError{index, err.Error()}
	}
	if leaf.Seq != index {
		return &LeafError{index, "it stands in another place than it says"}
	}
	for level, h := range f.add(tlog.RecordHash(data)) {
		if !stored {
			continue
		}
		have, err, ok := next()
		switch {
		case err != nil:
			return fmt.Errorf("reading the hashes of leaf %d: %w", index, err)
		case !ok:
			return &LeafError{index, "its hashes are missing"}
		case have != h && level == 0:
			return &LeafError{index, "it is not what was logged"}
		case have != h:
			return &LeafError{index + 1 - 1<<level, fmt.Sprintf("it, or one of the %d from it on, is not what was logged", 1<<level)}
		}
	}
	return nil
}

// A frontier is the right edge of a growing tree: the roots of its full subtrees,
// largest first. It holds log2(size) hashes.
type frontier struct {
	size  uint64
	edge  []tlog.Hash
	fresh []tlog.Hash
}

// add takes in a record hash and returns it and the nodes that it completes, which
// is what a log stores for the record. The slice is reused.
func (f *frontier) add(h tlog.Hash) []tlog.Hash {
	f.fresh = append(f.fresh[:0], h)
	for n := f.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(f.edge[len(f.edge)-1], h)
		f.edge = f.edge[:len(f.edge)-1]
		f.fresh = append(f.fresh, h)
	}
	f.edge = append(f.edge, h)
	f.size++
	return f.fresh
}

func (f *frontier) root() tlog.Hash {
	if f.size == 0 {
		// RFC 6962 2.1: the hash of an empty list is that of the empty string.
		root, _ := tlog.TreeHash(0, nil)
		return root
	}
	root := f.edge[len(f.edge)-1]
	for i := len(f.edge) - 2; i >= 0; i-- {
		root = tlog.NodeHash(f.edge[i], root)
	}
	return root
}
