package exchange

import (
	"context"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
)

// Decision returns what was logged of a question, so that it can be replayed. Reading
// it is itself logged.
func (x *Exchange) Decision(ctx context.Context, caller gateway.Caller, ref string) (registry.Decision, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadAudit)
	if err != nil {
		return registry.Decision{}, err
	}
	_, err = x.Registry.Append(ctx, ledger.Entry{Event: ledger.AuditRead, Actor: caller.Key, Outcome: ledger.Done})
	if err != nil {
		return registry.Decision{}, fmt.Errorf("logging the reading: %w", err)
	}
	return x.Registry.Decision(ctx, ref)
}
