package registry

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// committed returns a leaf and what it commits to, after proving that the leaf is in the
// log that was signed: the start checks the newest leaves only, and whoever can write
// this file could have written an older one anew.
func (r *Registry) committed(ctx context.Context, from *sql.Tx, seq uint64) (ledger.Leaf, []byte, error) {
	type stored struct{ data, salt, body []byte }
	found, err := query(ctx, from, func(rows *sql.Rows) (stored, error) {
		var s stored
		return s, rows.Scan(&s.data, &s.salt, &s.body)
	}, `SELECT data, salt, body FROM leaf JOIN detail USING (seq) WHERE seq = ?`, signed(seq))
	if err != nil {
		return ledger.Leaf{}, nil, err
	}
	if len(found) != 1 {
		return ledger.Leaf{}, nil, damaged(fmt.Sprintf("leaf %d", seq))
	}
	leaf, err := r.proven(ctx, from, seq, found[0].data)
	if err != nil || leaf.Commit != ledger.Commitment(found[0].salt, found[0].body) {
		return ledger.Leaf{}, nil, damaged(fmt.Sprintf("leaf %d", seq))
	}
	return leaf, found[0].body, nil
}

// proven decodes a leaf that the stored checkpoint covers.
func (r *Registry) proven(ctx context.Context, from *sql.Tx, seq uint64, data []byte) (ledger.Leaf, error) {
	var note string
	if err := from.QueryRowContext(ctx, `SELECT note FROM head`).Scan(&note); err != nil {
		return ledger.Leaf{}, internal("reading the checkpoint", err)
	}
	tree, err := ledger.OpenCheckpoint(note, r.opt.Verifier)
	if err != nil {
		return ledger.Leaf{}, err
	}
	statement, err := from.PrepareContext(ctx, `SELECT hash FROM hash WHERE idx = ?`)
	if err != nil {
		return ledger.Leaf{}, internal("reading hashes", err)
	}
	defer statement.Close()
	path, err := ledger.InclusionProof(seq, unsigned(tree.N), hashReader(ctx, statement))
	if err != nil {
		return ledger.Leaf{}, err
	}
	return ledger.Inclusion{Leaf: data, Index: seq, Proof: path, Checkpoint: note}.Verify(r.opt.Verifier)
}

// decided are the leaves whose policy is one that was in force when they were logged.
var decided = map[ledger.Event]bool{
	ledger.PolicyInForce: true, ledger.Question: true, ledger.BatchIntent: true, ledger.BatchCommit: true,
}

// verifyDecided demands that whatever the newest leaves, which the start has checked, were
// decided by is on the list of what was put in force: an activation that was taken off
// the list and rewritten in the log leaves those who were decided by it behind.
func verifyDecided(ctx context.Context, from querier) error {
	all, err := query(ctx, from, scanEnforced, `SELECT number, digest, proposal, seq FROM inforce WHERE kind = ?`, PolicyChange)
	if err != nil {
		return err
	}
	listed := map[gateway.Revision]bool{"": true}
	for _, e := range all {
		listed[gateway.Revision(e.digest)] = true
	}
	newest, err := query(ctx, from, func(rows *sql.Rows) (data []byte, err error) { return data, rows.Scan(&data) },
		`SELECT data FROM leaf WHERE seq >= (SELECT size FROM head) - ?`, startLeaves)
	if err != nil {
		return err
	}
	for _, data := range newest {
		leaf, err := ledger.DecodeLeaf(data)
		if err != nil {
			return damaged("a leaf")
		}
		if decided[leaf.Event] && !listed[leaf.Policy] {
			return damaged(fmt.Sprintf("what decided leaf %d", leaf.Seq))
		}
	}
	return nil
}

// forward notes the number of the policy that was found in force, and reports false when
// a newer one had been found before the reading began: numbers never fall.
func (r *Registry) forward(number int, before int64) bool {
	n := int64(number)
	for seen := r.enforced.Load(); n > seen && !r.enforced.CompareAndSwap(seen, n); seen = r.enforced.Load() {
	}
	return n >= before
}

// verifyLine checks the whole line of files of signers, from the founding one on: what
// somebody signed counts under no other.
func (r *Registry) verifyLine(ctx context.Context, from *sql.Tx) error {
	if err := verifyActivations(ctx, from); err != nil {
		return err
	}
	return r.verifyRosters(ctx, from)
}

// wasInForce reports damage for a file of signers that was never put in force.
func wasInForce(ctx context.Context, from querier, digest string) error {
	all, err := query(ctx, from, scanEnforced, `SELECT number, digest, proposal, seq FROM inforce WHERE kind = ? AND digest = ?`, SignersChange, digest)
	if err == nil && len(all) == 0 {
		err = damaged("the file of signers")
	}
	return err
}

// verifyBegun proves that the log began an erasure.
func (r *Registry) verifyBegun(ctx context.Context, from *sql.Tx, id string) error {
	type begun struct {
		seq  int64
		data []byte
	}
	found, err := query(ctx, from, func(rows *sql.Rows) (begun, error) {
		var b begun
		return b, rows.Scan(&b.seq, &b.data)
	}, `SELECT seq, data FROM leaf JOIN erasure USING (seq) WHERE proposal = ?`, id)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return damaged(id)
	}
	leaf, err := r.proven(ctx, from, unsigned(found[0].seq), found[0].data)
	if err != nil || leaf.Event != ledger.SubjectErase || leaf.Outcome != ledger.Intended || leaf.Object != id {
		return damaged(id)
	}
	return nil
}
