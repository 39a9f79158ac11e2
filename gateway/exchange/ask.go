package exchange

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// Ask answers a question from the published cells of an approved release, as
// encode writes the table. It touches no data, and one leaf is durable before it
// returns: the decision and the digest of exactly the bytes that it returns. The
// same question gives the same bytes.
func (x *Exchange) Ask(
	ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, q gateway.Question, encode func(*gateway.Table) ([]byte, error),
) ([]byte, error) {
	answer, err := x.Answer(ctx, caller, id, q, encode)
	return answer.Body, err
}

// An Answer is a table as it was encoded, and the evidence that stays with whoever
// asked: it is of this asking, so the same question has the same body and another
// evidence.
type Answer struct {
	Body     []byte
	Evidence ledger.Evidence
}

// Answer is [Exchange.Ask] with the evidence.
func (x *Exchange) Answer(
	ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, q gateway.Question, encode func(*gateway.Table) ([]byte, error),
) (Answer, error) {
	release, grant, err := x.release(ctx, caller, gateway.ActAsk, q.Purpose, id)
	if err != nil {
		return Answer{}, x.denied(ctx, caller, release, q, grant, err)
	}
	if release.State != gateway.ReleaseApproved {
		return Answer{}, gateway.Errorf(gateway.Withheld, "release %s is %s; it does not answer", id, release.State)
	}
	published, err := x.cells(ctx, release)
	if err != nil {
		return Answer{}, err
	}
	table, err := published.Ask(q)
	if err != nil {
		return Answer{}, x.denied(ctx, caller, release, q, grant, err)
	}
	table.Linkable, err = x.linkable(release)
	if err != nil {
		return Answer{}, err
	}
	table.Policy = grant.Revision
	table.Decision = decisionID(grant.Revision, table)
	table.Notes = append(table.Notes, x.Notice())
	answer, err := encode(table)
	if err != nil {
		return Answer{}, fmt.Errorf("encoding the answer: %w", err)
	}
	evidence, err := x.Registry.Answer(ctx, registry.Asked{
		Caller: caller, Release: id, Purpose: q.Purpose, Policy: grant.Revision, Snapshot: release.Snapshot,
		Decision: table.Decision, Allowed: true, Response: sha256.Sum256(answer),
		Decided: decidedOn(caller, q.Purpose, &release, grant),
	})
	if err != nil {
		return Answer{}, fmt.Errorf("logging the question: %w", err)
	}
	return Answer{answer, evidence}, nil
}

// denied logs a question that is refused, and returns why. The name of a release
// that does not exist is the caller's own text and is not logged.
func (x *Exchange) denied(ctx context.Context, caller gateway.Caller, r gateway.Release, q gateway.Question, grant gateway.Grant, why error) error {
	if r.ID == "" {
		_, err := x.Registry.Append(ctx, ledger.Entry{
			Event: ledger.Question, Actor: caller.Key, Policy: x.Policies().Revision(), Outcome: ledger.Denied,
		})
		if err != nil {
			return fmt.Errorf("logging a refusal: %w", err)
		}
		return why
	}
	err := x.Registry.Ask(ctx, registry.Asked{
		Caller: caller, Release: r.ID, Purpose: q.Purpose, Policy: cmp.Or(grant.Revision, x.Policies().Revision()), Snapshot: r.Snapshot,
		Decided: decidedOn(caller, q.Purpose, &r, grant),
	})
	if err != nil {
		return fmt.Errorf("logging a refusal: %w", err)
	}
	return why
}

// decidedOn is what policy was asked about a question and said. Where policy failed
// there is nothing to replay.
func decidedOn(caller gateway.Caller, purpose gateway.Purpose, r *gateway.Release, grant gateway.Grant) *ledger.Decided {
	if grant.Revision == "" {
		return nil
	}
	input, redacted := policies.Logged(caller, gateway.ActAsk, purpose, r)
	return &ledger.Decided{Input: input, Redacted: redacted, Allow: grant.Allow, Rule: grant.Rule, Because: grant.Because}
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
