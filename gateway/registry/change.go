package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// signEvery is how often a checkpoint is signed when nothing else asks for one
// (trust.md 4.1).
const signEvery = time.Second

// A change is one write transaction: state and its leaves.
type change struct {
	*sql.Tx
	r      *Registry
	now    time.Time
	size   uint64    // of the log, with the leaves of this change
	before uint64    // of the log, without
	signed uint64    // size of note
	note   string    // a checkpoint signed by this change, or ""
	tree   tlog.Tree // of note
}

// change runs f in one durable write transaction. When f fails, nothing happened.
// A transaction that has begun is not cut short by the caller's going away.
func (r *Registry) change(ctx context.Context, f func(context.Context, *change) error) error {
	if err := r.anchor.ready(); err != nil {
		return internal("writing the checkpoint file", err)
	}
	conn, err := r.write.Conn(ctx)
	if err != nil {
		return internal("waiting for the registry", err)
	}
	c, err := r.commit(context.WithoutCancel(ctx), conn, f)
	if err != nil {
		return err
	}
	// The connection is given back by now: nobody waits for the checkpoint file.
	if c.note != "" {
		r.anchor.put(c.signed, c.note)
	}
	return nil
}

func (r *Registry) commit(ctx context.Context, conn *sql.Conn, f func(context.Context, *change) error) (*change, error) {
	defer func() { _ = conn.Close() }() // gives it back
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, internal("beginning a change", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	c := &change{Tx: tx, r: r, now: r.opt.Now().UTC().Truncate(time.Millisecond)}
	if err := tx.StmtContext(ctx, r.st.head).QueryRowContext(ctx).Scan(&c.size); err != nil {
		return nil, internal("reading the ledger's head", err)
	}
	c.before = c.size
	if err := f(ctx, c); err != nil {
		return nil, err
	}
	if err := c.finish(ctx); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, internal("committing a change", err)
	}
	if c.note != "" {
		r.signedAt, r.newest = c.now, c.tree
	}
	return c, nil
}

// finish stores the head, and a checkpoint when one is due.
func (c *change) finish(ctx context.Context) error {
	if c.size == c.before && c.note == "" {
		return nil
	}
	// The first leaves are signed in the transaction that stores them: see verifySigned.
	if age := c.now.Sub(c.r.signedAt); c.note == "" && (age >= signEvery || age < 0 || c.before == 0) {
		if err := c.sign(ctx); err != nil {
			return err
		}
	}
	_, err := c.StmtContext(ctx, c.r.st.setHead).ExecContext(ctx, c.size, c.note, c.signed, c.note)
	if err != nil {
		return internal("storing the ledger's head", err)
	}
	return nil
}

// sign makes the checkpoint of the log as it will be when the change is committed, and
// has it stored with the change.
func (c *change) sign(ctx context.Context) error {
	tree, note, err := c.checkpoint(ctx)
	if err != nil {
		return err
	}
	c.tree, c.note, c.signed = tree, note, c.size
	return nil
}

// checkpoint signs the log as it will be when the change is committed. It refuses a log
// that does not continue what was signed before: somebody rewrote the file under us, and
// our signature would make that evidence.
func (c *change) checkpoint(ctx context.Context) (tlog.Tree, string, error) {
	before, err := tlog.TreeHash(c.r.newest.N, c.hashes(ctx))
	if err != nil || c.r.newest.N > 0 && before != c.r.newest.Hash {
		return tlog.Tree{}, "", internal("signing the ledger", fmt.Errorf("%w: it is not what was signed before", ErrEvidence))
	}
	root, err := tlog.TreeHash(signed(c.size), c.hashes(ctx))
	if err != nil {
		return tlog.Tree{}, "", internal("hashing the ledger", err)
	}
	tree := tlog.Tree{N: signed(c.size), Hash: root}
	note, err := ledger.SignCheckpoint(tree, c.r.opt.Signer)
	if err != nil {
		return tlog.Tree{}, "", internal("signing the ledger", err)
	}
	return tree, note, nil
}

// log appends a leaf, its hashes and its detail, which is JSON-encoded under a fresh
// salt.
func (c *change) log(ctx context.Context, e ledger.Entry) (uint64, error) {
	l, err := c.logDetail(ctx, e)
	return l.seq, err
}

// logged is a leaf as it was logged, and what it commits to.
type logged struct {
	seq        uint64
	data       []byte
	salt, body []byte // nil where it commits to nothing
}

func (c *change) logDetail(ctx context.Context, e ledger.Entry) (l logged, err error) {
	if e.Detail == nil {
		l.seq, l.data, err = c.logCommitted(ctx, e, "")
		return l, err
	}
	if l.body, err = json.Marshal(e.Detail); err != nil {
		return l, internal("encoding the detail of a leaf", err)
	}
	if l.salt, err = c.r.random(16); err != nil {
		return l, internal("salting a leaf", err)
	}
	if l.seq, l.data, err = c.logCommitted(ctx, e, ledger.Commitment(l.salt, l.body)); err != nil {
		return l, err
	}
	if _, err := c.StmtContext(ctx, c.r.st.putDetail).ExecContext(ctx, l.seq, l.salt, l.body); err != nil {
		return l, internal("storing a leaf's detail", err)
	}
	return l, nil
}

// logCommitted appends a leaf that commits to what the caller keeps, and its hashes.
func (c *change) logCommitted(ctx context.Context, e ledger.Entry, commit string) (uint64, []byte, error) {
	leaf := ledger.Leaf{
		Seq: c.size, Time: c.now, Event: e.Event, Actor: e.Actor, Object: e.Object,
		Policy: e.Policy, Snapshot: e.Snapshot, Outcome: e.Outcome, Commit: commit,
	}
	data, err := leaf.Encode()
	if err != nil {
		return 0, nil, internal("logging "+string(e.Event), err)
	}
	hashes, err := ledger.Append(c.size, data, c.hashes(ctx))
	if err != nil {
		return 0, nil, internal("hashing a leaf", err)
	}
	if err := c.store(ctx, data, hashes); err != nil {
		return 0, nil, internal("storing a leaf", err)
	}
	c.size++
	return leaf.Seq, data, nil
}

func (c *change) store(ctx context.Context, data []byte, hashes []tlog.Hash) error {
	if _, err := c.StmtContext(ctx, c.r.st.putLeaf).ExecContext(ctx, c.size, data); err != nil {
		return err
	}
	put := c.StmtContext(ctx, c.r.st.putHash)
	for i, h := range hashes {
		if _, err := put.ExecContext(ctx, tlog.StoredHashCount(signed(c.size))+int64(i), h[:]); err != nil {
			return err
		}
	}
	return nil
}

// hashes reads stored hashes inside the change.
func (c *change) hashes(ctx context.Context) tlog.HashReader {
	return hashReader(ctx, c.StmtContext(ctx, c.r.st.hash))
}

// remembered is hashes, each read once: the proofs of a group share most of theirs.
func (c *change) remembered(ctx context.Context) tlog.HashReader {
	known := map[int64]tlog.Hash{}
	read := c.hashes(ctx)
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			h, found := known[index]
			if !found {
				one, err := read.ReadHashes([]int64{index})
				if err != nil {
					return nil, err
				}
				h = one[0]
				known[index] = h
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

func hashReader(ctx context.Context, statement *sql.Stmt) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var h []byte
			if err := statement.QueryRowContext(ctx, index).Scan(&h); err != nil {
				return nil, fmt.Errorf("reading hash %d: %w", index, err)
			}
			if copy(hashes[i][:], h) != tlog.HashSize {
				return nil, fmt.Errorf("hash %d is cut off", index)
			}
		}
		return hashes, nil
	})
}

// statements are prepared once on the write connection: they run for every leaf.
type statements struct {
	head, setHead, hash, putLeaf, putHash, putDetail *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	for text, into := range map[string]**sql.Stmt{
		`SELECT size FROM head`:               &s.head,
		`SELECT hash FROM hash WHERE idx = ?`: &s.hash,
		`INSERT INTO leaf VALUES (?, ?)`:      &s.putLeaf,
		`INSERT INTO hash VALUES (?, ?)`:      &s.putHash,
		`INSERT INTO detail VALUES (?, ?, ?)`: &s.putDetail,
		`UPDATE head SET size = ?, signed = CASE WHEN ? = '' THEN signed ELSE ? END,
			note = coalesce(nullif(?, ''), note)`: &s.setHead,
	} {
		var err error
		if *into, err = db.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("preparing the registry: %w", err)
		}
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, statement := range []*sql.Stmt{s.head, s.setHead, s.hash, s.putLeaf, s.putHash, s.putDetail} {
		if statement != nil {
			errs = append(errs, statement.Close())
		}
	}
	return errors.Join(errs...)
}
