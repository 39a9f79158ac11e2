package registry

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A Decision is the leaf of a question and what it commits to, as both were logged; or
// the leaf of an accepted batch, and what it was sent under.
type Decision struct {
	Seq    uint64 `json:"seq"`
	Leaf   []byte `json:"leaf"`
	Salt   []byte `json:"salt,omitempty"`
	Detail []byte `json:"detail,omitempty"` // of [ledger.Answered]; nil when it was erased
	// Of a batch. Its detail is its receipt, which has counts and stays with its agency.
	Contract gateway.ContractID `json:"contract,omitempty"`
	Version  int                `json:"version,omitempty"`
}

var (
	decisionName = regexp.MustCompile(`^[0-9a-f]{32}$`)
	batchName    = regexp.MustCompile(`^b[a-z2-7]{16}$`)
)

// Decision returns a decision by its id, by the id of an accepted batch, or by the index
// of its leaf: a denied one has no id. The same question has the same decision; the
// newest leaf of it is returned.
func (r *Registry) Decision(ctx context.Context, ref string) (Decision, error) {
	seq, err := r.decisionLeaf(ctx, ref)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Seq: seq}
	for data, err := range r.RawLeaves(ctx, seq) {
		if err != nil {
			return Decision{}, err
		}
		d.Leaf = data
		break
	}
	leaf, err := ledger.DecodeLeaf(d.Leaf)
	if err == nil && leaf.Seq == seq && leaf.Event == ledger.BatchCommit {
		row := r.read.QueryRowContext(ctx, `SELECT contract, version FROM batch WHERE id = ?`, leaf.Object)
		if err := row.Scan(&d.Contract, &d.Version); err != nil {
			return Decision{}, missing(err, "leaf %d is of no batch", seq)
		}
		return d, nil
	}
	if err != nil || leaf.Seq != seq || leaf.Event != ledger.Question {
		return Decision{}, gateway.Errorf(gateway.NotFound, "leaf %d is not that of a question, or of an accepted batch", seq)
	}
	if leaf.Commit == "" {
		return d, nil
	}
	var body []byte
	err = r.read.QueryRowContext(ctx, `SELECT salt, body FROM detail WHERE seq = ?`, seq).Scan(&d.Salt, &body)
	if err != nil {
		err = missing(err, "leaf %d has no detail", seq)
		if errors.Is(err, gateway.NotFound) {
			return d, nil
		}
		return Decision{}, err
	}
	d.Detail = body
	return d, nil
}

func (r *Registry) decisionLeaf(ctx context.Context, ref string) (uint64, error) {
	part := "/" + ref + `","outcome"`
	switch {
	case batchName.MatchString(ref):
		part = `"event":"` + string(ledger.BatchCommit) + `","object":"` + ref + `","outcome"`
	case !decisionName.MatchString(ref):
		seq, err := strconv.ParseUint(ref, 10, 53)
		if err != nil {
			return 0, gateway.Errorf(gateway.Invalid, "a decision is named by its id, that of a batch by the batch, or by the index of its leaf")
		}
		return seq, nil
	}
	var seq sql.NullInt64
	err := r.read.QueryRowContext(ctx, `SELECT max(seq) FROM leaf WHERE instr(data, ?) > 0`, part).Scan(&seq)
	if err != nil {
		return 0, internal("looking for a decision", err)
	}
	if !seq.Valid {
		return 0, gateway.Errorf(gateway.NotFound, "the ledger has no such decision")
	}
	return unsigned(seq.Int64), nil
}

// LastDecisions returns the last questions and accepted batches of the ledger, the newest
// first, at most n.
func (r *Registry) LastDecisions(ctx context.Context, n int) ([]Decision, error) {
	doing := "reading the last decisions"
	rows, err := r.read.QueryContext(ctx, `SELECT leaf.seq, leaf.data, coalesce(detail.salt, x''), coalesce(detail.body, x'')
		FROM leaf LEFT JOIN detail ON detail.seq = leaf.seq
		WHERE instr(leaf.data, ?) > 0 OR instr(leaf.data, ?) > 0 ORDER BY leaf.seq DESC LIMIT ?`,
		`"event":"`+string(ledger.Question)+`"`, `"event":"`+string(ledger.BatchCommit)+`"`, n)
	if err != nil {
		return nil, internal(doing, err)
	}
	defer rows.Close()
	var all []Decision
	for rows.Next() {
		var d Decision
		var seq int64
		if err := rows.Scan(&seq, &d.Leaf, &d.Salt, &d.Detail); err != nil {
			return nil, internal(doing, err)
		}
		d.Seq = unsigned(seq)
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, internal(doing, err)
	}
	return all, r.addContracts(ctx, all)
}

// addContracts adds to the decisions about batches what they were sent under.
func (r *Registry) addContracts(ctx context.Context, all []Decision) error {
	for i, d := range all {
		leaf, err := ledger.DecodeLeaf(d.Leaf)
		if err != nil {
			return internal("reading the last decisions", err)
		}
		if leaf.Event != ledger.BatchCommit {
			continue
		}
		row := r.read.QueryRowContext(ctx, `SELECT contract, version FROM batch WHERE id = ?`, leaf.Object)
		if err := row.Scan(&all[i].Contract, &all[i].Version); err != nil {
			return missing(err, "leaf %d is of no batch", d.Seq)
		}
	}
	return nil
}
