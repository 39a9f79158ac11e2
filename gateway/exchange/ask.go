package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
)

// Ask answers a question from the published cells of an approved release. It
// touches no data, and one leaf is durable before it returns: the decision and
// the digest of what is answered. The same question gives the same table.
func (x *Exchange) Ask(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, q gateway.Question) (*gateway.Table, error) {
	release, err := x.Registry.Release(ctx, id)
	if err != nil {
		return nil, err
	}
	grant, err := x.decide(ctx, caller, gateway.ActAsk, q.Purpose, &release)
	if err != nil {
		return nil, x.denied(ctx, caller, release, q, err)
	}
	if release.State != gateway.ReleaseApproved {
		return nil, gateway.Errorf(gateway.Withheld, "release %s is %s; it does not answer", id, release.State)
	}
	published, err := x.cells(ctx, release)
	if err != nil {
		return nil, err
	}
	table, err := published.Ask(q)
	if err != nil {
		return nil, x.denied(ctx, caller, release, q, err)
	}
	table.Policy = grant.Revision
	table.Decision = decisionID(grant.Revision, table)
	table.Notes = append(table.Notes, x.Notice)
	answer, err := json.Marshal(table)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer: %w", err)
	}
	err = x.Registry.Ask(ctx, registry.Asked{
		Caller: caller, Release: id, Purpose: q.Purpose, Policy: grant.Revision, Snapshot: release.Snapshot,
		Decision: table.Decision, Allowed: true, Response: sha256.Sum256(answer),
	})
	if err != nil {
		return nil, fmt.Errorf("logging the question: %w", err)
	}
	return table, nil
}

// denied logs a question that policy or the lattice refuses, and returns why.
func (x *Exchange) denied(ctx context.Context, caller gateway.Caller, r gateway.Release, q gateway.Question, why error) error {
	err := x.Registry.Ask(ctx, registry.Asked{
		Caller: caller, Release: r.ID, Purpose: q.Purpose, Policy: x.Policies().Revision(), Snapshot: r.Snapshot,
	})
	if err != nil {
		return fmt.Errorf("logging a refusal: %w", err)
	}
	return why
}

// decisionID identifies a decision so that an officer can replay it: the policy
// revision, the canonical question, the release and its p-tables
// (disclosure.md 2.9).
func decisionID(revision gateway.Revision, t *gateway.Table) string {
	h := sha256.New()
	for _, part := range []string{string(revision), t.Label, string(t.Release), t.PTables} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
