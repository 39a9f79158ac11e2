package registry

import (
	"context"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// Approve takes one signature of a proposal's statement. When it is the one that was
// missing, what was approved takes effect in the same transaction, or waits as
// [Approved] where that takes longer.
//
// It reports Forbidden for a signature that does not count: by nobody in the file of
// signers, of something else, for another namespace, or brought by a key of another
// role; and Conflict for a second one of the same person, and for a proposal that was
// rejected, has expired, or would change what is not in force any more. A refusal is
// logged too.
func (r *Registry) Approve(ctx context.Context, id string, armored []byte, by gateway.Caller, reason string) (Proposal, error) {
	if err := reasoned(reason); err != nil {
		return Proposal{}, err
	}
	var p Proposal
	var refused error
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var k kind
		var err error
		if p, k, err = c.openProposal(ctx, id); err != nil {
			return err
		}
		if refused, err = c.endProposal(ctx, k, &p); err != nil || refused != nil {
			return err
		}
		a := Approval{Key: by.Key, Reason: reason, At: c.now}
		if refused, err = c.countsAs(ctx, k, &p, armored, by, &a); err != nil {
			return err
		}
		if refused != nil {
			_, err = c.log(ctx, ledger.Entry{Event: k.approve, Actor: by.Key, Object: p.object(), Policy: p.revision(), Outcome: ledger.Denied})
			return err
		}
		if err := c.storeApproval(ctx, k, &p, a); err != nil {
			return err
		}
		return c.settle(ctx, k, &p)
	})
	if err == nil {
		err = refused
	}
	return p, err
}

// openProposal returns a proposal that can still be signed, as far as its state says.
func (c *change) openProposal(ctx context.Context, id string) (Proposal, kind, error) {
	p, err := oneProposal(ctx, c, id)
	if err != nil {
		return p, kind{}, err
	}
	if p.State != Proposed {
		return p, kind{}, gateway.Errorf(gateway.Conflict, "proposal %s is %s", p.ID, p.State)
	}
	k, err := kindOf(p.Kind)
	return p, k, err
}

// endProposal ends a proposal whose time or whose base is over, and says so.
func (c *change) endProposal(ctx context.Context, k kind, p *Proposal) (refused, err error) {
	if !c.now.Before(p.Expires) {
		refused = gateway.Errorf(gateway.Conflict, "proposal %s has expired; propose it again", p.ID)
		return refused, c.end(ctx, k, p, Expired, ledger.Expired, "gateway", "")
	}
	base, err := k.inForce(ctx, c)
	if err != nil {
		return nil, err
	}
	roster, err := signersInForce(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := approval.ParseStatement(p.Statement)
	if err != nil {
		return nil, damaged(p.ID)
	}
	if base == p.Base && roster.Digest() == s.Signers {
		return nil, nil
	}
	refused = gateway.Errorf(gateway.Conflict,
		"proposal %s would change what is not in force any more, so its effects are others than were read; propose it again", p.ID)
	return refused, c.end(ctx, k, p, Superseded, ledger.Fenced, "gateway", "")
}

// countsAs checks a signature and says whose it is, or why it does not count.
func (c *change) countsAs(ctx context.Context, k kind, p *Proposal, armored []byte, by gateway.Caller, a *Approval) (refused, err error) {
	roster, err := signersInForce(ctx, c)
	if err != nil {
		return nil, err
	}
	a.Signer, refused = roster.Verify(k.namespace, p.Statement, armored, c.now)
	if refused != nil {
		return refused, nil
	}
	parsed, err := approval.ParseSignature(armored)
	if err != nil {
		return err, nil
	}
	a.Signature = parsed.Armor()
	switch {
	case by.Role != a.Role:
		return gateway.Errorf(gateway.Forbidden, "the signature is of an %s and your key of an %s: whoever signed brings it", a.Role, by.Role), nil
	case slices.ContainsFunc(p.Approvals, func(earlier Approval) bool { return earlier.Person == a.Person }):
		return gateway.Errorf(gateway.Conflict, "%s has signed already; it takes two people", a.Signer), nil
	}
	return nil, nil
}

func (c *change) storeApproval(ctx context.Context, k kind, p *Proposal, a Approval) error {
	_, err := c.ExecContext(ctx, `INSERT INTO approval VALUES (?, ?, ?, ?, ?, ?, ?)`,
		p.ID, a.Role, a.Person, a.Signature, a.Key, a.Reason, millis(a.At))
	if err != nil {
		return internal("storing an approval", err)
	}
	p.Approvals = append(p.Approvals, a)
	_, err = c.log(ctx, ledger.Entry{
		Event: k.approve, Actor: a.Key, Object: p.object(), Policy: p.revision(), Outcome: ledger.Done,
		Detail: map[string]any{
			"statement": string(p.Statement), "signer": a.String(), "signature": string(a.Signature), "reason": a.Reason,
		},
	})
	return err
}

// settle does what was approved once two people with two roles have.
func (c *change) settle(ctx context.Context, k kind, p *Proposal) error {
	if p.Missing() != "" {
		return nil
	}
	p.State = Approved
	if k.settled == nil {
		return c.only(ctx, `UPDATE proposal SET state = 'approved' WHERE id = ?`, p.ID)
	}
	p.State = Active
	if err := c.only(ctx, `UPDATE proposal SET state = 'active' WHERE id = ?`, p.ID); err != nil {
		return err
	}
	return k.settled(ctx, c, p)
}

// enact takes an approved proposal of a kind that is carried out later, and marks it
// active; the caller carries it out and logs that in the same transaction. The
// signatures are checked again, because whoever can write this file could have marked
// it approved. It reports Conflict for one that is not approved, has expired, or would
// change what is not in force any more.
func (c *change) enact(ctx context.Context, of ProposalKind, id string) (Proposal, error) {
	p, err := oneProposal(ctx, c, id)
	if err != nil {
		return p, err
	}
	if p.Kind != of || p.State != Approved {
		return p, gateway.Errorf(gateway.Conflict, "proposal %s is %s, and not an approved one of %s", p.ID, p.State, of)
	}
	k, err := kindOf(of)
	if err != nil {
		return p, err
	}
	base, err := k.inForce(ctx, c)
	if err != nil {
		return p, err
	}
	if base != p.Base || !c.now.Before(p.Expires) {
		return p, gateway.Errorf(gateway.Conflict, "proposal %s has expired, or would change what is not in force any more; propose it again", p.ID)
	}
	if err := c.signedNow(ctx, &p); err != nil {
		return p, err
	}
	p.State = Active
	return p, c.only(ctx, `UPDATE proposal SET state = 'active' WHERE id = ?`, p.ID)
}

// signedNow checks the signatures of a proposal, under the file of signers in force and
// no other.
func (c *change) signedNow(ctx context.Context, p *Proposal) error {
	if err := c.r.verifyLine(ctx, c.Tx); err != nil {
		return err
	}
	roster, err := digestInForce(ctx, c, SignersChange)
	if err != nil {
		return err
	}
	if s, err := approval.ParseStatement(p.Statement); err != nil || s.Signers != roster {
		return damaged(p.ID)
	}
	return c.r.verifyProposal(ctx, c, p)
}

// Reject ends a proposal, signed or not; one person is enough to stop something.
func (r *Registry) Reject(ctx context.Context, id string, by gateway.Caller, reason string) (Proposal, error) {
	if err := reasoned(reason); err != nil {
		return Proposal{}, err
	}
	var p Proposal
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var err error
		p, err = oneProposal(ctx, c, id)
		if err != nil {
			return err
		}
		if p.State != Proposed && p.State != Approved {
			return gateway.Errorf(gateway.Conflict, "proposal %s is %s", p.ID, p.State)
		}
		k, err := kindOf(p.Kind)
		if err != nil {
			return err
		}
		return c.end(ctx, k, &p, Rejected, ledger.Done, by.Key, reason)
	})
	return p, err
}

// end ends a proposal that never takes effect.
func (c *change) end(ctx context.Context, k kind, p *Proposal, state ProposalState, outcome ledger.Outcome, actor, reason string) error {
	p.State = state
	if err := c.only(ctx, `UPDATE proposal SET state = ? WHERE id = ?`, state, p.ID); err != nil {
		return err
	}
	e := ledger.Entry{Event: k.reject, Actor: actor, Object: p.object(), Policy: p.revision(), Outcome: outcome}
	if reason != "" {
		e.Detail = map[string]string{"reason": reason}
	}
	_, err := c.log(ctx, e)
	return err
}

// overtake ends the open proposals whose base is over: those of a kind after another
// took effect, all of them after the signers changed.
func (c *change) overtake(ctx context.Context, where string, args ...any) error {
	open, err := queryProposals(ctx, c, `state IN ('proposed', 'approved') AND `+where, args...)
	if err != nil {
		return err
	}
	for i := range open {
		k, err := kindOf(open[i].Kind)
		if err != nil {
			return err
		}
		if err := c.end(ctx, k, &open[i], Superseded, ledger.Fenced, "gateway", ""); err != nil {
			return err
		}
	}
	return nil
}
