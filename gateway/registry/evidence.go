package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// ErrEvidence means that the ledger is not what was logged, or is shorter than what
// was signed. Stop, keep all files as they are, and call the data protection officer.
var ErrEvidence = errors.New("registry: the ledger's evidence does not hold")

// startLeaves is how many of the newest leaves are checked at start (trust.md 4.2).
const startLeaves = 1000

func (r *Registry) verifyEvidence(ctx context.Context) error {
	size, err := r.verifyHead(ctx)
	if err != nil {
		return err
	}
	if err := r.verifyTail(ctx, size); err != nil {
		return err
	}
	if err := r.verifyCosigned(ctx, size); err != nil {
		return err
	}
	if size > 0 {
		signed, err := r.verifySigned(ctx, size)
		if err != nil {
			return err
		}
		r.newest, err = ledger.OpenCheckpoint(signed, r.opt.Verifier)
		return err
	}
	if _, err := r.verifySigned(ctx, 0); err != nil {
		return err
	}
	// The file must be there before the first leaf is: from then on its absence means
	// that somebody took it away.
	return r.anchor.begin(r.opt.Signer)
}

const restore = "put the files back from a copy, as a pair, and call the data protection officer"

// verifySigned holds the first size leaves against the stored checkpoint and the
// checkpoint file. Every ledger has both from its first leaf on: where one is missing,
// the history could have been rewritten without the signing key. It returns the
// stored checkpoint, which may be "" when there are no leaves.
func (r *Registry) verifySigned(ctx context.Context, size uint64) (string, error) {
	var signed string
	var covers uint64
	if err := r.read.QueryRowContext(ctx, `SELECT note, signed FROM head`).Scan(&signed, &covers); err != nil {
		return "", fmt.Errorf("reading the checkpoint: %w", err)
	}
	file, found, err := r.anchor.read(r.opt.Verifier)
	if err != nil {
		return "", err
	}
	if found {
		if err := r.verifyTree(ctx, file, size, "the checkpoint file"); err != nil {
			return "", err
		}
	} else if size > 0 {
		return "", fmt.Errorf("%w: the checkpoint file is missing; %s", ErrEvidence, restore)
	}
	if size == 0 {
		return signed, nil
	}
	if signed == "" || covers == 0 {
		return "", fmt.Errorf("%w: the ledger has %d leaves and no stored checkpoint; %s", ErrEvidence, size, restore)
	}
	tree, err := ledger.OpenCheckpoint(signed, r.opt.Verifier)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if unsigned(tree.N) != covers {
		return "", fmt.Errorf("%w: the head says that %d leaves are signed, the stored checkpoint signs %d", ErrEvidence, covers, tree.N)
	}
	return signed, r.verifyTree(ctx, tree, size, "the stored checkpoint")
}

// verifyHead holds the head against leaves and hashes: leaves == head, and
// hashes == 2n - popcount(n).
func (r *Registry) verifyHead(ctx context.Context) (uint64, error) {
	var size, leaves, hashes int64
	err := r.read.QueryRowContext(ctx, `SELECT size, (SELECT coalesce(max(seq) + 1, 0) FROM leaf),
		(SELECT coalesce(max(idx) + 1, 0) FROM hash) FROM head`).Scan(&size, &leaves, &hashes)
	if err != nil {
		return 0, fmt.Errorf("reading the ledger's head: %w", err)
	}
	if leaves != size || size < 0 || hashes != tlog.StoredHashCount(size) {
		return 0, fmt.Errorf("%w: the head says %d leaves, there are %d with %d hashes", ErrEvidence, size, leaves, hashes)
	}
	return unsigned(size), nil
}

// verifyTail recomputes the newest leaves' hashes from the leaves.
func (r *Registry) verifyTail(ctx context.Context, size uint64) error {
	next := size - min(size, startLeaves)
	stored := r.Stored(ctx)
	for data, err := range r.RawLeaves(ctx, next) {
		if err != nil {
			return fmt.Errorf("%w: leaf %d: %w", ErrEvidence, next, err)
		}
		if leaf, err := ledger.DecodeLeaf(data); err != nil || leaf.Seq != next {
			return fmt.Errorf("%w: leaf %d is not in its form or place", ErrEvidence, next)
		}
		want, err := ledger.Append(next, data, stored)
		if err != nil {
			return fmt.Errorf("%w: leaf %d: %w", ErrEvidence, next, err)
		}
		for i, h := range want {
			have, err := stored.ReadHashes([]int64{tlog.StoredHashCount(signed(next)) + int64(i)})
			if err != nil || have[0] != h {
				return fmt.Errorf("%w: leaf %d is not what was logged", ErrEvidence, next)
			}
		}
		next++
	}
	if next != size {
		return fmt.Errorf("%w: leaf %d is missing", ErrEvidence, next)
	}
	return nil
}

// verifyTree checks that the log continues a signed tree.
func (r *Registry) verifyTree(ctx context.Context, tree tlog.Tree, size uint64, what string) error {
	if unsigned(tree.N) > size {
		return fmt.Errorf("%w: the ledger has %d leaves, %s signs %d: the registry was put back to an earlier state",
			ErrEvidence, size, what, tree.N)
	}
	root, err := tlog.TreeHash(tree.N, r.Stored(ctx))
	if err != nil || root != tree.Hash {
		return fmt.Errorf("%w: the first %d leaves are not those that %s signs", ErrEvidence, tree.N, what)
	}
	return nil
}

// Verify checks the whole ledger, leaf by leaf, against the stored checkpoint and the
// checkpoint file, and every detail against its leaf. Only then does it sign what was
// logged since: a signature on leaves that were altered would make them evidence. It
// returns how many leaves there are.
func (r *Registry) Verify(ctx context.Context) (uint64, error) {
	size, err := r.Size(ctx)
	if err != nil {
		return 0, err
	}
	signed, err := r.verifySigned(ctx, size)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, nil
	}
	covered, tail, err := ledger.VerifyGrowing(ledger.Log{
		Leaves: r.RawLeaves(ctx, 0), Hashes: r.Hashes(ctx), Checkpoint: signed,
	}, r.opt.Verifier)
	if err != nil {
		return covered, err
	}
	if err := r.verifyDetails(ctx); err != nil {
		return covered, err
	}
	if tail > 0 {
		_, err = r.Checkpoint(ctx)
	}
	return covered + tail, err
}

// verifyDetails holds what is stored beside the leaves against what they commit to.
// What was erased is not missed.
func (r *Registry) verifyDetails(ctx context.Context) error {
	for leaf, err := range r.Leaves(ctx, 0) {
		if err != nil {
			return err
		}
		d, err := r.detail(ctx, leaf)
		switch {
		case errors.Is(err, gateway.NotFound) && leaf.Event != ledger.BatchCommit:
			continue
		case err != nil:
			return fmt.Errorf("%w: what leaf %d commits to: %w", ErrEvidence, leaf.Seq, err)
		case leaf.Commit != ledger.Commitment(d.Salt, d.Body):
			return fmt.Errorf("%w: leaf %d does not commit to the detail that is stored", ErrEvidence, leaf.Seq)
		}
	}
	return nil
}

// Size returns how many leaves the ledger has.
func (r *Registry) Size(ctx context.Context) (uint64, error) {
	var size uint64
	if err := r.read.QueryRowContext(ctx, `SELECT size FROM head`).Scan(&size); err != nil {
		return 0, internal("reading the ledger's head", err)
	}
	return size, nil
}

// Checkpoint returns a signed checkpoint of the whole ledger. It signs one when
// leaves were added since the last.
func (r *Registry) Checkpoint(ctx context.Context) (string, error) {
	var size, signed uint64
	var text string
	err := r.read.QueryRowContext(ctx, `SELECT size, signed, note FROM head`).Scan(&size, &signed, &text)
	if err != nil {
		return "", internal("reading the checkpoint", err)
	}
	if signed == size && text != "" {
		return text, nil
	}
	err = r.change(ctx, func(ctx context.Context, c *change) error {
		if err := c.sign(ctx); err != nil {
			return err
		}
		text = c.note
		return nil
	})
	return text, err
}

// Proof returns the inclusion proof of a leaf in the ledger's first size leaves.
func (r *Registry) Proof(ctx context.Context, index, size uint64) ([][]byte, error) {
	have, err := r.Size(ctx)
	if err != nil {
		return nil, err
	}
	if index >= size || size > have {
		return nil, gateway.Errorf(gateway.NotFound, "the ledger has no leaf %d in a tree of %d", index, size)
	}
	return ledger.InclusionProof(index, size, r.Stored(ctx))
}

// Stored reads the hashes of the ledger's tree by stored hash index, for proofs and
// tiles.
func (r *Registry) Stored(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		statement, err := r.read.PrepareContext(ctx, `SELECT hash FROM hash WHERE idx = ?`)
		if err != nil {
			return nil, internal("reading hashes", err)
		}
		defer statement.Close()
		return hashReader(ctx, statement).ReadHashes(indexes)
	})
}

// Leaves returns the ledger from a leaf on. Those logged while it runs may or may
// not be among them.
func (r *Registry) Leaves(ctx context.Context, from uint64) iter.Seq2[ledger.Leaf, error] {
	return func(yield func(ledger.Leaf, error) bool) {
		for data, err := range r.RawLeaves(ctx, from) {
			var leaf ledger.Leaf
			if err == nil {
				leaf, err = ledger.DecodeLeaf(data)
			}
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}

// RawLeaves is [Registry.Leaves] with the bytes that were logged.
func (r *Registry) RawLeaves(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return pages(from, func(next uint64) ([][]byte, error) {
		return r.blobs(ctx, `SELECT data FROM leaf WHERE seq >= ? ORDER BY seq LIMIT 1000`, next)
	})
}

// Hashes returns all stored hashes of the tree in the order of their indices.
func (r *Registry) Hashes(ctx context.Context) iter.Seq2[tlog.Hash, error] {
	all := pages(0, func(next uint64) ([][]byte, error) {
		return r.blobs(ctx, `SELECT hash FROM hash WHERE idx >= ? ORDER BY idx LIMIT 4000`, next)
	})
	return func(yield func(tlog.Hash, error) bool) {
		for h, err := range all {
			if err == nil && len(h) != tlog.HashSize {
				err = ErrEvidence
			}
			if err != nil {
				yield(tlog.Hash{}, err)
				return
			}
			if !yield(tlog.Hash(h), nil) {
				return
			}
		}
	}
}

// pages chains short reads, because one long read would keep SQLite from folding
// its write-ahead log back into the file.
func pages(next uint64, read func(uint64) ([][]byte, error)) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			page, err := read(next)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, data := range page {
				if !yield(data, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			next += uint64(len(page))
		}
	}
}

func (r *Registry) blobs(ctx context.Context, query string, from uint64) ([][]byte, error) {
	rows, err := r.read.QueryContext(ctx, query, from)
	if err != nil {
		return nil, internal("reading the ledger", err)
	}
	defer rows.Close()
	var page [][]byte
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, internal("reading the ledger", err)
		}
		page = append(page, data)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading the ledger", err)
	}
	return page, nil
}

// A Detail is what a leaf commits to, for officers.
type Detail struct {
	Salt []byte
	Body []byte // JSON
}

// Detail returns what a leaf commits to. That of an accepted batch is its receipt,
// which is stored once, sealed. It reports NotFound when there is nothing, or it was
// erased.
func (r *Registry) Detail(ctx context.Context, seq uint64) (Detail, error) {
	for leaf, err := range r.Leaves(ctx, seq) {
		if err != nil {
			return Detail{}, err
		}
		return r.detail(ctx, leaf)
	}
	return Detail{}, gateway.Errorf(gateway.NotFound, "there is no leaf %d", seq)
}

func (r *Registry) detail(ctx context.Context, leaf ledger.Leaf) (Detail, error) {
	if leaf.Event == ledger.BatchCommit {
		return r.commitDetail(ctx, gateway.BatchID(leaf.Object))
	}
	var d Detail
	err := r.read.QueryRowContext(ctx, `SELECT salt, body FROM detail WHERE seq = ?`, leaf.Seq).Scan(&d.Salt, &d.Body)
	if err != nil {
		return Detail{}, missing(err, "leaf %d has no detail", leaf.Seq)
	}
	return d, nil
}

// commitDetail makes the detail of a batch's commit leaf from the sealed receipt.
func (r *Registry) commitDetail(ctx context.Context, id gateway.BatchID) (Detail, error) {
	b := storedBatch{id: id}
	err := r.read.QueryRowContext(ctx, `SELECT receipt FROM batch WHERE id = ? AND receipt IS NOT NULL`, id).Scan(&b.sealed)
	if err != nil {
		return Detail{}, missing(err, "batch %s has no receipt", id)
	}
	receipt, err := r.unseal(b)
	if err != nil {
		return Detail{}, err
	}
	body, err := ledger.ReceiptDetail(receipt)
	if err != nil {
		return Detail{}, internal("reading a receipt", err)
	}
	var salted struct {
		Salt []byte `json:"salt"`
	}
	if err := json.Unmarshal(receipt, &salted); err != nil {
		return Detail{}, internal("reading a receipt", err)
	}
	return Detail{salted.Salt, body}, nil
}
