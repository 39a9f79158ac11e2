package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// A PolicyInForce is a revision that two people with two roles put in force.
type PolicyInForce struct {
	Number   int // 1 is the founding one
	Revision gateway.Revision
	Content  []byte // as it was proposed; whoever loads it checks that it is of the revision
	Proposal Proposal
	Since    time.Time
}

// an enforced is a row of the table inforce.
type enforced struct {
	number           int
	digest, proposal string
	seq              uint64
}

func scanEnforced(rows *sql.Rows) (enforced, error) {
	var e enforced
	var seq int64
	err := rows.Scan(&e.number, &e.digest, &e.proposal, &seq)
	e.seq = unsigned(seq)
	return e, err
}

// newest returns what is in force of a kind.
func newest(ctx context.Context, from querier, of ProposalKind) (enforced, error) {
	list, err := query(ctx, from, scanEnforced,
		`SELECT number, digest, proposal, seq FROM inforce WHERE kind = ? ORDER BY number DESC LIMIT 1`, of)
	if err != nil {
		return enforced{}, err
	}
	if len(list) == 0 {
		return enforced{}, unfounded(ctx, from)
	}
	return list[0], nil
}

// unfounded tells a registry that was never founded from one that was emptied.
func unfounded(ctx context.Context, from querier) error {
	seqs, err := activations(ctx, from, -1)
	if err != nil {
		return err
	}
	if len(seqs) > 0 {
		return damaged(fmt.Sprintf("what leaf %d put in force", seqs[0]))
	}
	return errUnfounded
}

// activations are the leaves after one that put something in force.
func activations(ctx context.Context, from querier, after int64) ([]int64, error) {
	return query(ctx, from, func(rows *sql.Rows) (int64, error) {
		var seq int64
		return seq, rows.Scan(&seq)
	}, laterActivations, after)
}

func digestInForce(ctx context.Context, from querier, of ProposalKind) (string, error) {
	e, err := newest(ctx, from, of)
	return e.digest, err
}

// Founded reports whether a policy was ever put in force.
func (r *Registry) Founded(ctx context.Context) (bool, error) {
	_, err := newest(ctx, r.read, PolicyChange)
	if Unfounded(err) {
		return false, nil
	}
	return err == nil, err
}

// Revision returns which revision of the policies is in force, without checking why:
// a gateway asks often, and loads what [Registry.PolicyInForce] has checked.
func (r *Registry) Revision(ctx context.Context) (gateway.Revision, error) {
	digest, err := digestInForce(ctx, r.read, PolicyChange)
	return gateway.Revision(digest), err
}

// Signers returns the file of signers in force.
func (r *Registry) Signers(ctx context.Context) (*approval.Signers, error) {
	return signersInForce(ctx, r.read)
}

func signersInForce(ctx context.Context, from querier) (*approval.Signers, error) {
	digest, err := digestInForce(ctx, from, SignersChange)
	if err != nil {
		return nil, err
	}
	return signersOf(ctx, from, digest)
}

// signersOf returns a file of signers, in force or once in force, by its digest.
func signersOf(ctx context.Context, from querier, digest string) (*approval.Signers, error) {
	texts, err := query(ctx, from, func(rows *sql.Rows) ([]byte, error) {
		var text []byte
		return text, rows.Scan(&text)
	}, `SELECT text FROM signers WHERE digest = ?`, digest)
	if err != nil {
		return nil, err
	}
	if len(texts) != 1 || approval.Of(texts[0]) != digest {
		return nil, damaged("the file of signers")
	}
	return approval.ParseSigners(texts[0])
}

// activatePolicy puts a policy in force.
func activatePolicy(ctx context.Context, c *change, p *Proposal) error {
	if err := c.enforce(ctx, PolicyChange, ledger.PolicyActivate, p.Digest, p); err != nil {
		return err
	}
	return c.overtake(ctx, `kind = ? AND id <> ?`, PolicyChange, p.ID)
}

func proposableSigners(_ context.Context, c *change, p *Proposal) error {
	signers, err := approval.ParseSigners(p.Content)
	if err != nil {
		return err
	}
	if signers.Digest() != p.Digest {
		return gateway.Errorf(gateway.Invalid, "the digest is not of the file of signers")
	}
	return Enough(signers, c.now)
}

// activateSigners puts a file of signers in force. Proposals that were made under
// another file would be signed by whoever may not any more.
func activateSigners(ctx context.Context, c *change, p *Proposal) error {
	signers, err := approval.ParseSigners(p.Content)
	if err != nil || signers.Digest() != p.Digest {
		return damaged(p.ID)
	}
	if err := c.storeSigners(ctx, signers); err != nil {
		return err
	}
	if err := c.enforce(ctx, SignersChange, ledger.SignersActivate, p.Digest, p); err != nil {
		return err
	}
	return c.overtake(ctx, `id <> ?`, p.ID)
}

func (c *change) storeSigners(ctx context.Context, s *approval.Signers) error {
	_, err := c.ExecContext(ctx, `INSERT INTO signers VALUES (?, ?) ON CONFLICT (digest) DO NOTHING`, s.Digest(), s.Text())
	if err != nil {
		return internal("storing the signers", err)
	}
	return nil
}

// enforce makes something the newest of its kind, by a leaf that commits to the
// statement and to each signature of it.
func (c *change) enforce(ctx context.Context, of ProposalKind, event ledger.Event, digest string, p *Proposal) error {
	seq, err := c.log(ctx, ledger.Entry{
		Event: event, Actor: "gateway", Object: p.object(), Policy: p.revision(), Outcome: ledger.Done, Detail: evidenceOf(p, digest),
	})
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, `INSERT INTO inforce SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM inforce WHERE kind = ?`,
		of, digest, p.ID, signed(seq), of)
	if err != nil {
		return internal("putting "+string(of)+" in force", err)
	}
	// Signed in the same transaction, so that whoever reads the leaf back can prove it.
	return c.sign(ctx)
}

// activation is the detail of the leaf that puts something in force.
type activation struct {
	Digest    string   `json:"digest"`
	Statement string   `json:"statement"` // SHA-256
	Approvals []string `json:"approvals"` // signer, and SHA-256 of the signature, in order
}

func evidenceOf(p *Proposal, digest string) activation {
	a := activation{Digest: digest, Statement: approval.Of(p.Statement)}
	for _, one := range p.Approvals {
		a.Approvals = append(a.Approvals, one.String()+" "+approval.Of(one.Signature))
	}
	slices.Sort(a.Approvals)
	return a
}

// PolicyInForce returns the policy that is in force after checking, anew each time,
// that two people with two roles signed it: their signatures under the file of signers
// of that time, the line of such files back to the founding one, and the leaves that
// say so. What does not hold is [ErrEvidence], and nothing is returned (trust.md 6.4,
// B77). Before a founding it reports Conflict: see [Unfounded].
func (r *Registry) PolicyInForce(ctx context.Context) (PolicyInForce, error) {
	before := r.enforced.Load()
	tx, err := r.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return PolicyInForce{}, internal("reading what is in force", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := verifyActivations(ctx, tx); err != nil {
		return PolicyInForce{}, err
	}
	if err := verifyDecided(ctx, tx); err != nil {
		return PolicyInForce{}, err
	}
	if err := r.verifyRosters(ctx, tx); err != nil {
		return PolicyInForce{}, err
	}
	e, err := newest(ctx, tx, PolicyChange)
	if err != nil {
		return PolicyInForce{}, err
	}
	p, at, err := r.verifyEnforced(ctx, tx, e, ledger.PolicyActivate)
	if err != nil {
		return PolicyInForce{}, err
	}
	if p.Digest != e.digest || !r.forward(e.number, before) {
		return PolicyInForce{}, damaged(p.ID)
	}
	return PolicyInForce{Number: e.number, Revision: gateway.Revision(e.digest), Content: p.Content, Proposal: p, Since: at}, nil
}

// verifyActivations demands that the ledger put in force what the table has, in the
// table's order: a row that was deleted, or copied to the end, would bring an older
// policy back.
func verifyActivations(ctx context.Context, from querier) error {
	logged, err := activations(ctx, from, -1)
	if err != nil {
		return err
	}
	var listed []int64
	for _, of := range []ProposalKind{PolicyChange, SignersChange} {
		all, err := query(ctx, from, scanEnforced, `SELECT number, digest, proposal, seq FROM inforce WHERE kind = ? ORDER BY number`, of)
		if err != nil {
			return err
		}
		for i, e := range all {
			if e.number != i+1 || i > 0 && e.seq <= all[i-1].seq {
				return damaged(e.proposal)
			}
			listed = append(listed, signed(e.seq))
		}
	}
	slices.Sort(listed)
	if !slices.Equal(logged, listed) {
		return damaged("the list of what was put in force")
	}
	return nil
}

// verifyRosters checks every file of signers since the founding: each was signed under
// the one before it.
func (r *Registry) verifyRosters(ctx context.Context, from *sql.Tx) error {
	all, err := query(ctx, from, scanEnforced, `SELECT number, digest, proposal, seq FROM inforce WHERE kind = ? ORDER BY number`, SignersChange)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return unfounded(ctx, from)
	}
	under := all[0].digest // the first is signed by its own
	for i, e := range all {
		p, _, err := r.verifyEnforced(ctx, from, e, ledger.SignersActivate)
		if err != nil {
			return err
		}
		s, err := approval.ParseStatement(p.Statement)
		if err != nil || s.Signers != under || (p.Kind == founding) != (i == 0) || i > 0 && p.Digest != e.digest {
			return damaged(p.ID)
		}
		under = e.digest
	}
	return nil
}

// verifyEnforced checks one thing that was put in force: its proposal and its leaf. It returns the proposal and the time of the leaf.
func (r *Registry) verifyEnforced(ctx context.Context, from *sql.Tx, e enforced, event ledger.Event) (Proposal, time.Time, error) {
	p, err := oneProposal(ctx, from, e.proposal)
	if err != nil {
		return p, time.Time{}, damaged(e.proposal)
	}
	if err := r.verifyProposal(ctx, from, &p); err != nil {
		return p, time.Time{}, err
	}
	leaf, detail, err := r.committed(ctx, from, e.seq)
	if err != nil {
		return p, time.Time{}, err
	}
	want, err := json.Marshal(evidenceOf(&p, e.digest))
	if err != nil {
		return p, time.Time{}, internal("encoding an activation", err)
	}
	if leaf.Event != event || leaf.Object != p.object() || leaf.Policy != p.revision() || string(detail) != string(want) {
		return p, time.Time{}, damaged(p.ID)
	}
	return p, leaf.Time, nil
}

// laterActivations is answered from the index leaf_inforce, whose condition it repeats.
const laterActivations = `SELECT seq FROM leaf
	WHERE (instr(data, '"event":"policy.activate"') > 0 OR instr(data, '"event":"signers.activate"') > 0) AND seq > ? ORDER BY seq`

// verifyProposal checks a proposal that was approved against what was signed: each
// column that the statement names, each signature at its time under the file of
// signers that the statement names, and that two people with two roles signed.
func (r *Registry) verifyProposal(ctx context.Context, from querier, p *Proposal) error {
	s, err := approval.ParseStatement(p.Statement)
	if err != nil || (p.State != Active && p.State != Approved) {
		return damaged(p.ID)
	}
	want := statementOf(p, r.opt.Signer.Name(), s.Signers)
	if p.Kind == founding {
		want.Expires = ""
	}
	if s != want {
		return damaged(p.ID)
	}
	k, err := kindOf(p.Kind)
	if err != nil {
		return damaged(p.ID)
	}
	if err := wasInForce(ctx, from, s.Signers); err != nil {
		return err
	}
	roster, err := signersOf(ctx, from, s.Signers)
	if err != nil {
		return err
	}
	for _, a := range p.Approvals {
		who, err := roster.Verify(k.namespace, p.Statement, a.Signature, a.At)
		if err != nil || who != a.Signer || s.Over(a.At) {
			return damaged(p.ID)
		}
	}
	if approval.Settled(p.Signers(), k.needs...) != nil {
		return damaged(p.ID)
	}
	return nil
}
