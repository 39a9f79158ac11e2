package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// keptGate returns what the sparsity gate of a lineage has decided, nil where nothing
// is decided yet. disclosure.md 2.4 rule 7 lets the first build decide. Here it is the
// first build that an officer approved: one that nobody opened has shown nothing to
// anyone, and a trial over a week's batches must not close sets for ever. Every approved
// release carries the verdicts of those before it, so the last one has them all; one
// that was withdrawn after its approval was seen, and counts.
func (x *Exchange) keptGate(ctx context.Context, lineage string) (*disclosure.Gate, error) {
	last, err := x.Registry.LastApproved(ctx, lineage)
	if errors.Is(err, gateway.NotFound) {
		return nil, nil //nolint:nilnil // nil is the gate that judges now
	}
	if err != nil {
		return nil, err
	}
	var pinned Pinned
	err = json.Unmarshal(last.Definition, &pinned)
	if err != nil || pinned.Gate == nil {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("release %s has no sparsity gate", last.ID)}
	}
	return pinned.Gate, nil
}

// continues refuses to open a release whose sparsity gate was decided without one that
// was approved meanwhile: sets would close and open without anybody's decision.
func (x *Exchange) continues(ctx context.Context, p *disclosure.Published) error {
	last, err := x.Registry.LastApproved(ctx, p.Definition().Lineage)
	if errors.Is(err, gateway.NotFound) || err == nil && last.ID == p.Release() {
		return nil
	}
	if err != nil {
		return err
	}
	kept, err := x.keptGate(ctx, last.Lineage)
	if err != nil {
		return err
	}
	if !p.Continues(kept) {
		return gateway.Errorf(gateway.Conflict, "release %s was built before %s was approved, and its sparsity gate differs; build it again", p.Release(), last.ID)
	}
	return nil
}
