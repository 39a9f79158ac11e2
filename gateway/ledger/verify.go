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
	// Since is an earlier checkpoint of the same log, kept by whoever verifies it, or
	// "". A log that was rewritten and signed anew does not continue it.
	Since string
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
	errSince = errors.New("ledger: the log does not continue the earlier checkpoint: it was rewritten")
	errOlder = errors.New("ledger: the checkpoint is older than the earlier one: the log was put back or cut off")
)

const unsignedLeaf = "the checkpoint does not cover it: it has no signature"

// VerifyLog checks the form of every leaf, its place, its stored hashes, that the
// leaves have the root that the checkpoint signed, and that they continue the earlier
// checkpoint. It returns how many leaves there are, all of which the checkpoint covers:
// a leaf beyond it is refused, because nobody signed it.
// An error that can name the first bad leaf is a [*LeafError].
func VerifyLog(log Log, key note.Verifier) (uint64, error) {
	covered, tail, err := VerifyGrowing(log, key)
	if err == nil && tail > 0 {
		return covered, &LeafError{covered, unsignedLeaf}
	}
	return covered, err
}

// VerifyGrowing is [VerifyLog] of a log that grew while it was read. It returns how
// many leaves the checkpoint covers, and how many follow whose form, place and hashes
// are good but that have no signature: of these nothing is proved.
func VerifyGrowing(log Log, key note.Verifier) (covered, tail uint64, err error) {
	roots, size, err := log.signed(key)
	if err != nil {
		return 0, 0, err
	}
	next, stop := noHashes, func() {}
	if log.Hashes != nil {
		next, stop = iter.Pull2(log.Hashes)
	}
	defer stop()
	var f frontier
	if err := roots.check(&f); err != nil {
		return 0, 0, err
	}
	for data, err := range log.Leaves {
		if err != nil {
			return f.size, 0, fmt.Errorf("reading leaf %d: %w", f.size, err)
		}
		if err := f.check(data, next, log.Hashes != nil); err != nil {
			return f.size, 0, err
		}
		if err := roots.check(&f); err != nil {
			return f.size, 0, err
		}
	}
	if f.size < size {
		return f.size, 0, errShort
	}
	return size, f.size - size, nil
}

// signedRoots are the trees that the leaves must have at their sizes.
type signedRoots []struct {
	tree tlog.Tree
	err  error // when they do not
}

// signed opens the checkpoints, and returns the size of the newer one.
func (l *Log) signed(key note.Verifier) (signedRoots, uint64, error) {
	tree, err := OpenCheckpoint(l.Checkpoint, key)
	if err != nil {
		return nil, 0, err
	}
	roots := signedRoots{{tree, errRoot}}
	if l.Since != "" {
		since, err := OpenCheckpoint(l.Since, key)
		if err != nil {
			return nil, 0, fmt.Errorf("opening the earlier checkpoint: %w", err)
		}
		if since.N > tree.N {
			return nil, 0, errOlder
		}
		roots = append(signedRoots{{since, errSince}}, roots...)
	}
	return roots, unsigned(tree.N), nil
}

func (s signedRoots) check(f *frontier) error {
	for _, want := range s {
		if unsigned(want.tree.N) == f.size && f.root() != want.tree.Hash {
			return want.err
		}
	}
	return nil
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
