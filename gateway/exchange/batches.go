package exchange

import (
	"context"

	"github.com/pana-exchange/pana/gateway"
)

// Contracts returns the contracts that the caller may know of.
func (x *Exchange) Contracts(ctx context.Context, caller gateway.Caller) ([]*gateway.Contract, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadContract)
	if err != nil {
		return nil, err
	}
	var known []*gateway.Contract
	for _, c := range x.Options.Contracts {
		if caller.Role != gateway.RoleAgency || caller.MaySend(c.ID) {
			known = append(known, c)
		}
	}
	return known, nil
}

// Contract returns one contract that the caller may know of.
func (x *Exchange) Contract(ctx context.Context, caller gateway.Caller, id gateway.ContractID) (*gateway.Contract, error) {
	known, err := x.Contracts(ctx, caller)
	if err != nil {
		return nil, err
	}
	for _, c := range known {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, gateway.Errorf(gateway.NotFound, "there is no such contract, or your key may not know of it")
}

// Withdraw takes a batch of the caller's back: it is invisible at once, and its
// rows are erased. A release that was built with it keeps its published cells
// (disclosure.md 2.8).
func (x *Exchange) Withdraw(ctx context.Context, caller gateway.Caller, id gateway.BatchID) (gateway.Batch, error) {
	_, err := x.allow(ctx, caller, gateway.ActWithdrawBatch)
	if err != nil {
		return gateway.Batch{}, err
	}
	batch, _, err := x.Registry.WithdrawBatch(ctx, caller.Agency, caller.Key, id)
	if err != nil {
		return gateway.Batch{}, err
	}
	// It is withdrawn. Should what follows fail, or the caller hang up, Run does it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.Limits.Lease)
	defer cancel()
	err = x.hide(ctx, batch)
	if err == nil {
		err = x.erase(ctx, batch)
	}
	if err != nil {
		x.Log.LogAttrs(ctx, levelWarn, "erasure delayed", attrBatch(id), attrError(err))
	}
	return batch, nil
}
