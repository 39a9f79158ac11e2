package registry

import (
	"context"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A ProposalKind is what sort of thing two people with two roles have to approve.
//
// Another kind is made by naming it here, in kindOf: its namespace, the roles that it
// needs beside the two, how its base is read, its leaves, and what happens when the
// second signature is there. Where that is a change of state of this registry, it
// happens in the same transaction (settled). Where it takes longer, such as a rotation,
// settled is nil: the proposal waits, approved, until a method of this registry that
// carries it out calls change.enact in its own transaction. Everything else (what is
// signed, when it dies, what is logged) is the same for all kinds.
type ProposalKind string

// The kinds.
const (
	PolicyChange  ProposalKind = "policy"  // another revision of the policies
	SignersChange ProposalKind = "signers" // another file of who may sign

	founding ProposalKind = "founding" // the first of both: see Found
)

// A kind is how the proposals of a kind are treated.
type kind struct {
	namespace approval.Namespace
	needs     []gateway.Role // among those who sign
	propose   ledger.Event
	approve   ledger.Event
	reject    ledger.Event // also of what expired or was superseded, by its outcome
	// inForce returns what a proposal changes, as its Base names it.
	inForce func(ctx context.Context, c *change) (string, error)
	// proposable refuses what must not even be proposed; may be nil.
	proposable func(ctx context.Context, c *change, p *Proposal) error
	// settled does what was approved; nil where that takes longer than a transaction.
	settled func(ctx context.Context, c *change, p *Proposal) error
}

func kindOf(k ProposalKind) (kind, error) {
	switch k {
	case PolicyChange, founding:
		return kind{
			namespace: approval.Policy, needs: []gateway.Role{gateway.RoleOfficer},
			propose: ledger.PolicyPropose, approve: ledger.PolicyApprove, reject: ledger.PolicyReject,
			inForce: func(ctx context.Context, c *change) (string, error) { return digestInForce(ctx, c, PolicyChange) },
			settled: activatePolicy,
		}, nil
	case SignersChange:
		return kind{
			namespace: approval.Policy, needs: []gateway.Role{gateway.RoleOfficer},
			propose: ledger.ProposalOpen, approve: ledger.ProposalApprove, reject: ledger.ProposalReject,
			inForce:    func(ctx context.Context, c *change) (string, error) { return digestInForce(ctx, c, SignersChange) },
			proposable: proposableSigners, settled: activateSigners,
		}, nil
	case KeyChange:
		return kind{
			namespace: approval.Keys, needs: []gateway.Role{gateway.RoleOfficer},
			propose: ledger.ProposalOpen, approve: ledger.ProposalApprove, reject: ledger.ProposalReject,
			inForce: func(ctx context.Context, c *change) (string, error) { return keysInForce(ctx, c) },
		}, nil
	case ErasureChange:
		return erasureKind(), nil
	}
	return kind{}, gateway.Errorf(gateway.Invalid, "there is no such kind of proposal")
}

// A ProposalState is where a proposal is in its life. Only the first can be signed.
type ProposalState string

// The states.
const (
	Proposed   ProposalState = "proposed"
	Approved   ProposalState = "approved" // by two; waits to be carried out
	Active     ProposalState = "active"   // carried out; of a policy: it was put in force, and may have been replaced since
	Rejected   ProposalState = "rejected"
	Expired    ProposalState = "expired"
	Superseded ProposalState = "superseded" // what it would change was changed by another
)

// proposalLife is how long a proposal can be signed when its draft does not say.
const proposalLife = 14 * 24 * time.Hour

// A Draft is what somebody proposes. All fields but Life are required.
type Draft struct {
	Kind    ProposalKind
	Object  string // what it is about: a policy's revision, the id of a key
	Digest  string // SHA-256 of what would take effect, as the kind takes it
	Base    string // what was in force when the effects were made; Conflict when it is not any more
	Effects []byte // what those who sign read; they sign its SHA-256
	Content []byte // what would take effect
	By      gateway.Caller
	Reason  string
	Life    time.Duration // how long it can be signed; by default 14 days
}

// A Proposal is a draft that was stored, and who approved it.
type Proposal struct {
	Draft
	ID        string
	Statement []byte // what is signed: an [approval.Statement]
	State     ProposalState
	Created   time.Time
	Expires   time.Time
	Approvals []Approval // in the order of their time
}

// An Approval is one signature of a proposal, after it was checked.
type Approval struct {
	approval.Signer
	Signature []byte // armored
	Key       string // API key that brought it
	Reason    string
	At        time.Time
}

// Signers are those who approved.
func (p *Proposal) Signers() []approval.Signer {
	signers := make([]approval.Signer, len(p.Approvals))
	for i, a := range p.Approvals {
		signers[i] = a.Signer
	}
	return signers
}

// Missing says which approvals are missing, or "".
func (p *Proposal) Missing() string {
	k, err := kindOf(p.Kind)
	if err == nil {
		err = approval.Settled(p.Signers(), k.needs...)
	}
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "missing: ")
}

// Propose stores a draft and logs it. It reports Conflict when its base is not in
// force, or when the same was proposed already and can still be signed.
func (r *Registry) Propose(ctx context.Context, d Draft) (Proposal, error) {
	k, err := kindOf(d.Kind)
	if err != nil || d.Kind == founding {
		return Proposal{}, gateway.Errorf(gateway.Invalid, "there is no such kind of proposal")
	}
	if err := reasoned(d.Reason); err != nil {
		return Proposal{}, err
	}
	if d.Life <= 0 {
		d.Life = proposalLife
	}
	id, err := r.newID("p")
	if err != nil {
		return Proposal{}, err
	}
	p := Proposal{Draft: d, ID: id, State: Proposed}
	err = r.change(ctx, func(ctx context.Context, c *change) error {
		p.Created, p.Expires = c.now, c.now.Add(d.Life).Truncate(time.Second)
		if err := c.mayPropose(ctx, k, &p); err != nil {
			return err
		}
		roster, err := signersInForce(ctx, c)
		if err != nil {
			return err
		}
		p.Statement, err = statementOf(&p, r.opt.Signer.Name(), roster.Digest()).Encode()
		if err != nil {
			return err
		}
		return c.storeProposal(ctx, k.propose, &p)
	})
	if err != nil {
		return Proposal{}, err
	}
	return p, nil
}

func reasoned(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return gateway.Errorf(gateway.Invalid, "say why, for the record, in at most %d bytes", maxReason)
	}
	return nil
}

func (c *change) mayPropose(ctx context.Context, k kind, p *Proposal) error {
	base, err := k.inForce(ctx, c)
	if err != nil {
		return err
	}
	if base != p.Base {
		return gateway.Errorf(gateway.Conflict, "what it would change is not in force any more; look at what is, and propose again")
	}
	if k.proposable != nil {
		if err := k.proposable(ctx, c, p); err != nil {
			return err
		}
	}
	open, err := queryProposals(ctx, c, `kind = ? AND object = ? AND digest = ? AND state IN ('proposed', 'approved') AND expires > ?`,
		p.Kind, p.Object, p.Digest, millis(c.now))
	if err != nil {
		return err
	}
	if len(open) > 0 {
		return gateway.Errorf(gateway.Conflict, "the same is proposed already, as %s", open[0].ID)
	}
	return nil
}

func statementOf(p *Proposal, installation, roster string) approval.Statement {
	return approval.Statement{
		V: 1, Installation: installation, Proposal: p.ID, Kind: string(p.Kind), Object: p.Object, Digest: p.Digest,
		Base: p.Base, Effects: approval.Of(p.Effects), Signers: roster, Expires: approval.Until(p.Expires),
	}
}

func (c *change) storeProposal(ctx context.Context, event ledger.Event, p *Proposal) error {
	seq, err := c.log(ctx, ledger.Entry{
		Event: event, Actor: p.By.Key, Object: p.object(), Policy: p.revision(), Outcome: ledger.Done,
		Detail: map[string]any{"statement": string(p.Statement), "person": p.By.Subject, "reason": p.Reason},
	})
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `INSERT INTO proposal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.ID, p.Kind, p.Object, p.Digest, p.Base, p.Statement, p.Effects, p.Content, p.By.Key, p.By.Subject, p.Reason,
		millis(p.Created), millis(p.Expires), p.State, seq)
	if err != nil {
		return internal("storing a proposal", err)
	}
	return nil
}

// object is what a proposal is called in the ledger.
func (p *Proposal) object() string { return string(p.Kind) + "/" + p.ID }

// revision is the policy that a leaf about the proposal names.
func (p *Proposal) revision() gateway.Revision {
	if p.Kind == PolicyChange || p.Kind == founding {
		return gateway.Revision(p.Digest)
	}
	return ""
}
