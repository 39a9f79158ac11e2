package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// ErasureChange is the erasure of one child's records from every accepted batch, which
// the law may demand (disclosure.md 2.8). The agency's request is the proposal: it holds
// the child sealed, so that the two who sign approve just that child and never see who
// it is, and nobody has to hand an identifier around a second time. The digest is of the
// sealed bytes, which are others every time.
const ErasureChange ProposalKind = "erasure"

// An ErasureReason is why a child's records are to go. It is a closed list: whatever an
// agency could write instead would be about a child.
type ErasureReason string

// The reasons.
const (
	ErasureAsked     ErasureReason = "request"   // the child, or who speaks for it, asks
	ErasureOrdered   ErasureReason = "order"     // a court or an authority orders it
	ErasureUnlawful  ErasureReason = "unlawful"  // the records should never have been sent
	ErasureRetention ErasureReason = "retention" // the time for which they may be kept is over
)

func (r ErasureReason) valid() bool {
	switch r {
	case ErasureAsked, ErasureOrdered, ErasureUnlawful, ErasureRetention:
		return true
	}
	return false
}

// erasureObject names the key that the sealed pid is under, and nothing of the child.
func erasureObject(epoch int) string { return "child-epoch-" + strconv.Itoa(epoch) }

func erasureKind() kind {
	return kind{
		namespace: approval.Erasure, needs: []gateway.Role{gateway.RoleOfficer},
		propose: ledger.ProposalOpen, approve: ledger.ProposalApprove, reject: ledger.ProposalReject,
		// It changes nothing that another proposal could change before.
		inForce: func(context.Context, *change) (string, error) { return "", nil },
		proposable: func(ctx context.Context, c *change, p *Proposal) error {
			return roomForErasure(ctx, c, p.By.Agency, millis(c.now))
		},
		settled: beginErasure,
	}
}

// An ErasureRequest is what an agency asks for.
type ErasureRequest struct {
	Child  []byte // sealed
	Epoch  int    // of the outer key that the sealed pid is under
	By     gateway.Caller
	Reason ErasureReason
}

// ProposeErasure stores a request, for two people with two roles to sign. It looks for
// nothing: what is asked of a child that nobody knows is stored in the same way.
func (r *Registry) ProposeErasure(ctx context.Context, q ErasureRequest) (Proposal, error) {
	if !q.Reason.valid() {
		return Proposal{}, gateway.Errorf(gateway.Invalid, "the reason is request, order, unlawful or retention")
	}
	effects, err := json.Marshal(map[string]any{"agency": q.By.Agency, "reason": q.Reason, "changes": []map[string]string{{
		"what": "all records of one child, in the accepted batches of every agency", "before": "stored, if there are any", "after": "erased",
	}}})
	if err != nil {
		return Proposal{}, internal("encoding a proposal", err)
	}
	return r.Propose(ctx, Draft{
		Kind: ErasureChange, Object: erasureObject(q.Epoch), Digest: approval.Of(q.Child), Effects: effects, Content: q.Child,
		By: q.By, Reason: string(q.Reason),
	})
}

// MaxErasures is how many requests of an agency may be open at once: each costs a leaf, a
// proposal that two people read, and with a key server an evaluation.
const MaxErasures = 100

// RoomForErasure reports Conflict where an agency has as many open requests as it may,
// before work is done for another; ProposeErasure counts again, in its transaction.
func (r *Registry) RoomForErasure(ctx context.Context, agency gateway.AgencyID) error {
	return roomForErasure(ctx, r.read, agency, millis(r.opt.Now()))
}

// roomForErasure counts what is asked and not signed yet, and what is signed and not
// carried out. It depends on no child.
func roomForErasure(ctx context.Context, from querier, agency gateway.AgencyID, now int64) error {
	open, err := query(ctx, from, func(rows *sql.Rows) (n int, err error) { err = rows.Scan(&n); return n, err }, `SELECT count(*) FROM proposal
		WHERE kind = ? AND actor IN (SELECT id FROM api_key WHERE agency = ?)
		AND (state = 'proposed' AND expires > ? OR state = 'active' AND id IN (SELECT proposal FROM erasure WHERE done IS NULL))`,
		ErasureChange, agency, now)
	if err != nil {
		return err
	}
	if open[0] >= MaxErasures {
		return gateway.Errorf(gateway.Conflict, "%d requests of yours wait to be signed or carried out, as many as may; ask again when some of them have ended", open[0])
	}
	return nil
}

// beginErasure is the moment from which on the child is to be erased: what was accepted
// before goes, what is accepted later is another record. The leaf says no more than that
// there is an erasure.
func beginErasure(ctx context.Context, c *change, p *Proposal) error {
	if approval.Of(p.Content) != p.Digest {
		return damaged(p.ID)
	}
	actor := "gateway"
	if n := len(p.Approvals); n > 0 {
		actor = p.Approvals[n-1].Key
	}
	seq, err := c.log(ctx, ledger.Entry{Event: ledger.SubjectErase, Actor: actor, Object: p.ID, Outcome: ledger.Intended})
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `INSERT INTO erasure (proposal, seq) VALUES (?, ?)`, p.ID, seq)
	if err != nil {
		return internal("beginning an erasure", err)
	}
	return c.sign(ctx) // so that the leaf can be proven: see verifyBegun
}

// An Erasure is one that was decided and has not come to its end.
type Erasure struct {
	ID    string
	Child []byte // sealed
}

// Erasures returns the erasures to carry out, in their order. The signatures of each are
// checked again, and that the signed log began it: whoever can write the registry's file
// could have added it.
func (r *Registry) Erasures(ctx context.Context) ([]Erasure, error) {
	tx, err := r.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, internal("reading erasures", err)
	}
	defer func() { _ = tx.Rollback() }()
	due, err := queryProposals(ctx, tx, `id IN (SELECT proposal FROM erasure WHERE done IS NULL) ORDER BY created, id`)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	if err := r.verifyLine(ctx, tx); err != nil {
		return nil, err
	}
	var all []Erasure
	for i := range due {
		p := &due[i]
		if p.Kind != ErasureChange || p.State != Active || approval.Of(p.Content) != p.Digest {
			return nil, damaged(p.ID)
		}
		if err := errors.Join(r.verifyProposal(ctx, tx, p), r.verifyBegun(ctx, tx, p.ID)); err != nil {
			return nil, err
		}
		all = append(all, Erasure{p.ID, p.Content})
	}
	return all, nil
}

// ErasureLoads returns the loads that an erasure is about: of the batches that were
// accepted before it.
func (r *Registry) ErasureLoads(ctx context.Context, id string) ([]Load, error) {
	return r.loads(ctx, live+` AND batch.load = load.id AND batch.seq < (SELECT seq FROM erasure WHERE proposal = ?)`, id)
}

// PlanErasure records what is to go of each load, before any of it does. Repeated after
// a crash it changes nothing: some of it may be gone by then, and what there was is known
// from the first time. It needs no leaf: nothing is decided here.
func (r *Registry) PlanErasure(ctx context.Context, id string, parts []Load) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var planned bool
		err := c.QueryRowContext(ctx, `SELECT planned FROM erasure WHERE proposal = ? AND done IS NULL`, id).Scan(&planned)
		if err != nil {
			return missing(err, "there is no such erasure to carry out")
		}
		if planned {
			return nil
		}
		for _, p := range parts {
			_, err := c.ExecContext(ctx, `INSERT INTO erasing (proposal, load, rows, mac) VALUES (?, ?, ?, ?)`, id, signed(p.ID), p.Rows, signed(p.MAC))
			if err != nil {
				return internal("planning an erasure", err)
			}
		}
		return c.only(ctx, `UPDATE erasure SET planned = 1 WHERE proposal = ?`, id)
	})
}

// FinishErasure records that the rows are off the disk: in one transaction with the leaf,
// what is expected of each load is what is left of it, and the sealed child and the list
// of its loads are gone. What receipts and the status of batches say stays. It may be
// repeated.
func (r *Registry) FinishErasure(ctx context.Context, id string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var planned, done bool
		err := c.QueryRowContext(ctx, `SELECT planned, done IS NOT NULL FROM erasure WHERE proposal = ?`, id).Scan(&planned, &done)
		switch {
		case err != nil:
			return missing(err, "there is no such erasure")
		case done:
			return nil
		case !planned:
			return gateway.Errorf(gateway.Conflict, "erasure %s is not planned yet", id)
		}
		if err := c.subtract(ctx, id); err != nil {
			return err
		}
		seq, err := c.log(ctx, ledger.Entry{Event: ledger.SubjectErase, Actor: "gateway", Object: id, Outcome: ledger.Done})
		if err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM erasing WHERE proposal = ?1`,
			`UPDATE proposal SET content = zeroblob(0) WHERE id = ?1`,
			`UPDATE erasure SET done = ?2 WHERE proposal = ?1`,
		} {
			if _, err := c.ExecContext(ctx, statement, id, seq); err != nil {
				return internal("ending an erasure", err)
			}
		}
		return nil
	})
}

// subtract takes what went from what is expected. Sums are modulo 2^64, which SQL does
// not count in.
func (c *change) subtract(ctx context.Context, id string) error {
	type part struct {
		load, mac, was int64
		rows           int
	}
	parts, err := query(ctx, c, func(rows *sql.Rows) (part, error) {
		var p part
		return p, rows.Scan(&p.load, &p.rows, &p.mac, &p.was)
	}, `SELECT load, erasing.rows, erasing.mac, load.mac FROM erasing JOIN load ON load.id = load WHERE proposal = ?`, id)
	if err != nil {
		return err
	}
	for _, p := range parts {
		err := c.only(ctx, `UPDATE load SET rows = rows - ?, mac = ? WHERE id = ?`, p.rows, signed(unsigned(p.was)-unsigned(p.mac)), p.load)
		if err != nil {
			return err
		}
	}
	return nil
}

// ForgetErasures removes the sealed child from requests that will never be carried out.
func (r *Registry) ForgetErasures(ctx context.Context) error {
	const over = `kind = 'erasure' AND length(content) > 0 AND (state IN ('rejected', 'expired', 'superseded') OR state = 'proposed' AND expires <= ?)`
	n, err := r.count(ctx, `SELECT count(*) FROM proposal WHERE `+over, millis(r.opt.Now()))
	if n == 0 || err != nil {
		return err
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		_, err := c.ExecContext(ctx, `UPDATE proposal SET content = zeroblob(0) WHERE `+over, millis(c.now))
		if err != nil {
			return internal("forgetting requests", err)
		}
		return nil
	})
}

// nothingGoes refuses a rotation while rows are going: it would copy what is about to go.
func (c *change) nothingGoes(ctx context.Context) error {
	var going bool
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM erasure WHERE planned = 1 AND done IS NULL`).Scan(&going)
	if err != nil {
		return internal("looking for erasures", err)
	}
	if going {
		return gateway.Errorf(gateway.Conflict, "an erasure is being carried out; try again in a minute")
	}
	return nil
}

// noneUnder refuses to destroy a key that the child of an open request is sealed with.
func (c *change) noneUnder(ctx context.Context, epoch int) error {
	ids, err := query(ctx, c, func(rows *sql.Rows) (id string, err error) { err = rows.Scan(&id); return id, err }, `SELECT id FROM proposal
		WHERE kind = ? AND object = ? AND (state = 'proposed' AND expires > ? OR id IN (SELECT proposal FROM erasure WHERE done IS NULL))
		ORDER BY created, id LIMIT 10`, ErasureChange, erasureObject(epoch), millis(c.now))
	if err != nil || len(ids) == 0 {
		return err
	}
	return gateway.Errorf(gateway.Conflict, "%s needs the key of epoch %d; sign or reject it first",
		fmt.Sprintf("the erasure %s", strings.Join(ids, ", ")), epoch)
}
