package registry

import (
	"context"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// foundingID is the proposal of the first policy and the first file of signers. A
// registry has one.
const foundingID = "founding"

// A Founding is the first policy and who may sign the next.
type Founding struct {
	Signers  *approval.Signers
	Revision gateway.Revision
	Content  []byte // the policy
	Effects  []byte // what was read before it was signed
}

// Statement returns what two of the signers sign: the same bytes for the same
// founding of the same installation, so that each can sign at a place of their own.
func (f *Founding) Statement(installation string) ([]byte, error) {
	if f.Signers == nil {
		return nil, gateway.Errorf(gateway.Invalid, "a founding names who may sign")
	}
	return approval.Statement{
		V: 1, Installation: installation, Proposal: foundingID, Kind: string(founding), Object: string(f.Revision), Digest: string(f.Revision),
		Effects: approval.Of(f.Effects), Signers: f.Signers.Digest(),
	}.Encode()
}

// Enough reports Invalid for a file of signers in which there are not, at a time, two
// people with two roles, one of them an officer, for policies and for keys: what was in
// force then would be so for ever.
func Enough(s *approval.Signers, at time.Time) error {
	for _, ns := range []approval.Namespace{approval.Policy, approval.Keys} {
		if err := approval.Settled(s.May(ns, at), gateway.RoleOfficer); err != nil {
			return gateway.Errorf(gateway.Invalid, "the file of signers is not enough for %s; %s", ns, err)
		}
	}
	return nil
}

// Found puts the first policy and the first file of signers in force, signed by two
// people with two roles whom the file itself names, one of them an officer. It reports
// Conflict when that was done before, and Forbidden for signatures that are not enough.
func (r *Registry) Found(ctx context.Context, f Founding, actor string, signatures ...[]byte) error {
	statement, err := f.Statement(r.opt.Signer.Name())
	if err != nil {
		return err
	}
	k, err := kindOf(founding)
	if err != nil {
		return err
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		_, err := newest(ctx, c, PolicyChange)
		if err == nil {
			return gateway.Errorf(gateway.Conflict, "a policy is in force here already; the next is proposed: pana policy propose")
		}
		if !Unfounded(err) {
			return err
		}
		if err := Enough(f.Signers, c.now); err != nil {
			return err
		}
		p := Proposal{
			Draft: Draft{
				Kind: founding, Object: string(f.Revision), Digest: string(f.Revision), Effects: f.Effects, Content: f.Content,
				By: gateway.Caller{Key: actor, Subject: actor}, Reason: "the first policy of this installation",
			},
			ID: foundingID, Statement: statement, State: Active, Created: c.now, Expires: c.now,
		}
		if err := c.storeSigners(ctx, f.Signers); err != nil {
			return err
		}
		if err := c.storeProposal(ctx, k.propose, &p); err != nil {
			return err
		}
		if err := c.foundingApprovals(ctx, k, &p, f.Signers, actor, signatures); err != nil {
			return err
		}
		if err := c.enforce(ctx, SignersChange, ledger.SignersActivate, f.Signers.Digest(), &p); err != nil {
			return err
		}
		return activatePolicy(ctx, c, &p)
	})
}

func (c *change) foundingApprovals(
	ctx context.Context, k kind, p *Proposal, roster *approval.Signers, actor string, signatures [][]byte,
) error {
	for _, armored := range signatures {
		who, err := roster.Verify(k.namespace, p.Statement, armored, c.now)
		if err != nil {
			return err
		}
		for _, earlier := range p.Approvals {
			if earlier.Person == who.Person {
				return gateway.Errorf(gateway.Forbidden, "%s has signed twice; it takes two people", who)
			}
		}
		a := Approval{Signer: who, Signature: armored, Key: actor, Reason: p.Reason, At: c.now}
		if err := c.storeApproval(ctx, k, p, a); err != nil {
			return err
		}
	}
	return approval.Settled(p.Signers(), k.needs...)
}
