package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A Cosigned checkpoint is the newest that a witness signed.
type Cosigned struct {
	ledger.Cosignature
	Size       uint64
	Checkpoint string // as we signed it
}

// A Witnessed checkpoint is the newest that enough witnesses signed; the zero value
// says that there is none yet.
type Witnessed struct {
	Size       uint64
	Checkpoint string // with the witnesses' lines
	At         time.Time
}

// Cosign stores what witnesses signed on a checkpoint of ours, and whether they were
// enough. It logs nothing: a leaf for it would need a signature again, for ever.
func (r *Registry) Cosign(ctx context.Context, checkpoint string, signed []ledger.Cosignature, enough bool) error {
	tree, err := ledger.OpenCheckpoint(checkpoint, r.opt.Verifier)
	if err != nil {
		return internal("storing cosignatures", err)
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var lines strings.Builder
		for _, s := range signed {
			lines.WriteString(s.Line)
			_, err := c.ExecContext(ctx, `INSERT INTO cosignature VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
				SET size = excluded.size, note = excluded.note, line = excluded.line, signed = excluded.signed WHERE excluded.size >= size`,
				s.Witness, int64(s.Key), tree.N, checkpoint, s.Line, millis(s.Time))
			if err != nil {
				return internal("storing a cosignature", err)
			}
		}
		if !enough {
			return nil
		}
		_, err := c.ExecContext(ctx, `INSERT INTO witnessed VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE
			SET size = excluded.size, note = excluded.note, at = excluded.at WHERE excluded.size >= size`,
			tree.N, checkpoint+lines.String(), millis(c.now))
		if err != nil {
			return internal("storing a witnessed checkpoint", err)
		}
		return nil
	})
}

// Cosigned returns the newest checkpoint of each witness.
func (r *Registry) Cosigned(ctx context.Context) ([]Cosigned, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT witness, key, size, note, line, signed FROM cosignature ORDER BY witness, key`)
	if err != nil {
		return nil, internal("reading cosignatures", err)
	}
	defer rows.Close()
	var all []Cosigned
	for rows.Next() {
		var c Cosigned
		var at int64
		if err := rows.Scan(&c.Witness, &c.Key, &c.Size, &c.Checkpoint, &c.Line, &at); err != nil {
			return nil, internal("reading cosignatures", err)
		}
		c.Time = fromMillis(at)
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading cosignatures", err)
	}
	return all, nil
}

// Witnessed returns the newest checkpoint that enough witnesses signed.
func (r *Registry) Witnessed(ctx context.Context) (Witnessed, error) {
	var w Witnessed
	var at int64
	err := r.read.QueryRowContext(ctx, `SELECT size, note, at FROM witnessed`).Scan(&w.Size, &w.Checkpoint, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Witnessed{}, nil
	}
	if err != nil {
		return Witnessed{}, internal("reading the witnessed checkpoint", err)
	}
	w.At = fromMillis(at)
	return w, nil
}

// verifyCosigned holds the log against what the witnesses signed of it.
func (r *Registry) verifyCosigned(ctx context.Context, size uint64) error {
	all, err := r.Cosigned(ctx)
	if err != nil {
		return err
	}
	last, err := r.Witnessed(ctx)
	if err != nil {
		return err
	}
	if last.Checkpoint != "" {
		all = append(all, Cosigned{Size: last.Size, Checkpoint: last.Checkpoint})
	}
	for _, c := range all {
		tree, err := ledger.OpenCheckpoint(c.Checkpoint, r.opt.Verifier)
		if err != nil || unsigned(tree.N) != c.Size {
			return fmt.Errorf("%w: a cosigned checkpoint is not one of ours", ErrEvidence)
		}
		if err := r.verifyTree(ctx, tree, size, "a cosigned checkpoint"); err != nil {
			return err
		}
	}
	return nil
}

// Continues proves that the log's first size leaves continue its first earlier ones.
func (r *Registry) Continues(ctx context.Context, earlier, size uint64) ([][]byte, error) {
	if earlier == 0 || earlier == size {
		return nil, nil
	}
	return ledger.ConsistencyProof(earlier, size, r.Stored(ctx))
}

// Tree returns the tree of the log's first leaves.
func (r *Registry) Tree(ctx context.Context, size uint64) (tlog.Tree, error) {
	root, err := tlog.TreeHash(signed(size), r.Stored(ctx))
	if err != nil {
		return tlog.Tree{}, internal("hashing the ledger", err)
	}
	return tlog.Tree{N: signed(size), Hash: root}, nil
}

// Tile returns a file of the log as C2SP tlog-tiles serves it. It is [ledger.ErrNoTile]
// when the log does not reach it yet.
func (r *Registry) Tile(ctx context.Context, t ledger.Tile) ([]byte, error) {
	size, err := r.Size(ctx)
	if err != nil {
		return nil, err
	}
	if !t.Within(size) {
		return nil, ledger.ErrNoTile
	}
	if t.Entries() {
		first, _ := t.Leaves()
		return t.Bundle(r.RawLeaves(ctx, first))
	}
	return t.Hashes(r.Stored(ctx))
}

// Probe writes a row durably, as every leaf is, and says whether that can be done. It
// leaves no leaf.
func (r *Registry) Probe(ctx context.Context) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		if _, err := c.ExecContext(ctx, `UPDATE probe SET at = ?`, millis(c.now)); err != nil {
			return internal("trying to write", err)
		}
		return nil
	})
}

// ProveLeaf returns a leaf and its place under a checkpoint: the newest that witnesses
// signed, when it holds the leaf, or else one of this moment.
func (r *Registry) ProveLeaf(ctx context.Context, index uint64) (ledger.Evidence, error) {
	w, err := r.Witnessed(ctx)
	if err != nil {
		return ledger.Evidence{}, err
	}
	if index >= w.Size {
		if w.Checkpoint, err = r.Checkpoint(ctx); err != nil {
			return ledger.Evidence{}, err
		}
		tree, err := ledger.OpenCheckpoint(w.Checkpoint, r.opt.Verifier)
		if err != nil {
			return ledger.Evidence{}, internal("proving a leaf", err)
		}
		w.Size = unsigned(tree.N)
	}
	p := ledger.Inclusion{Index: index, Checkpoint: w.Checkpoint}
	if p.Proof, err = r.Proof(ctx, index, w.Size); err != nil {
		return ledger.Evidence{}, err
	}
	for data, err := range r.RawLeaves(ctx, index) {
		return ledger.Evidence{Leaf: data, Proof: p.Text()}, err
	}
	return ledger.Evidence{}, gateway.Errorf(gateway.NotFound, "there is no leaf %d", index)
}
