package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// Proposal returns a proposal with its approvals, by its id.
func (r *Registry) Proposal(ctx context.Context, id string) (Proposal, error) {
	return oneProposal(ctx, r.read, id)
}

// Proposals returns all proposals of a kind, the newest first. A policy's founding is
// among those of [PolicyChange]. What has expired since is told so.
func (r *Registry) Proposals(ctx context.Context, of ProposalKind) ([]Proposal, error) {
	kinds := []any{of, of}
	if of == PolicyChange {
		kinds[1] = founding
	}
	list, err := queryProposals(ctx, r.read, `kind IN (?, ?) ORDER BY created DESC, id`, kinds...)
	for i := range list {
		if list[i].State == Proposed && !r.opt.Now().Before(list[i].Expires) {
			list[i].State = Expired
		}
	}
	return list, err
}

func oneProposal(ctx context.Context, from querier, id string) (Proposal, error) {
	list, err := queryProposals(ctx, from, `id = ?`, id)
	if err != nil {
		return Proposal{}, err
	}
	if len(list) == 0 {
		return Proposal{}, gateway.Errorf(gateway.NotFound, "there is no such proposal")
	}
	return list[0], nil
}

func queryProposals(ctx context.Context, from querier, where string, args ...any) ([]Proposal, error) {
	list, err := query(ctx, from, scanProposal, `SELECT id, kind, object, digest, base, statement, effects, content, actor, person, reason,
		created, expires, state FROM proposal WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Approvals, err = query(ctx, from, scanApproval,
			`SELECT role, person, signature, actor, reason, at FROM approval WHERE proposal = ? ORDER BY at, person`, list[i].ID)
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func scanProposal(rows *sql.Rows) (Proposal, error) {
	var p Proposal
	var created, expires int64
	err := rows.Scan(&p.ID, &p.Kind, &p.Object, &p.Digest, &p.Base, &p.Statement, &p.Effects, &p.Content, &p.By.Key, &p.By.Subject, &p.Reason,
		&created, &expires, &p.State)
	p.Created, p.Expires = fromMillis(created), fromMillis(expires)
	return p, err
}

func scanApproval(rows *sql.Rows) (Approval, error) {
	var a Approval
	var at int64
	err := rows.Scan(&a.Role, &a.Person, &a.Signature, &a.Key, &a.Reason, &at)
	a.At = fromMillis(at)
	return a, err
}

// query returns all rows of a query of this package's own text.
func query[T any](ctx context.Context, from querier, scan func(*sql.Rows) (T, error), text string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, internal("reading proposals", err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, internal("reading proposals", err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading proposals", err)
	}
	return all, nil
}

// damaged is what a file that was written past this program looks like.
func damaged(what string) error {
	return internal("reading what is in force", fmt.Errorf("%w: %s is not what was approved", ErrEvidence, what))
}

var errUnfounded = gateway.Errorf(gateway.Conflict,
	"no policy was ever put in force here: two people with two roles sign the first one; see: pana policy found --help")

// Unfounded reports whether an error says that nothing was ever put in force.
func Unfounded(err error) bool { return errors.Is(err, errUnfounded) }
