package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// settle writes every marker that the registry is ahead of: the registry is the
// truth, the marker its mirror (loading.md 3.1). One that fails does not hold up
// the others.
func (x *Exchange) settle(ctx context.Context) error {
	x.keys.flip.RLock() // what is read here is written before a rotation changes it
	defer x.keys.flip.RUnlock()
	pending, err := x.Registry.Pending(ctx)
	if err != nil {
		return fmt.Errorf("looking for unfinished batches: %w", err)
	}
	var errs []error
	for _, b := range pending {
		if b.State == gateway.BatchWithdrawn {
			err = x.hide(ctx, b)
		} else {
			err = x.publish(ctx, b)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("writing the marker of batch %s: %w", b.ID, err))
		}
	}
	return errors.Join(errs...)
}

// erasePending removes the rows of withdrawn batches that are not gone yet.
func (x *Exchange) erasePending(ctx context.Context) error {
	pending, err := x.Registry.Pending(ctx)
	if err != nil {
		return fmt.Errorf("looking for withdrawn batches: %w", err)
	}
	var errs []error
	for _, b := range pending {
		if b.State != gateway.BatchWithdrawn {
			continue
		}
		err = x.erase(ctx, b)
		if err != nil {
			errs = append(errs, fmt.Errorf("erasing batch %s: %w", b.ID, err))
		}
	}
	return errors.Join(errs...)
}

// publish writes the marker that makes a committed batch visible.
func (x *Exchange) publish(ctx context.Context, b gateway.Batch) error {
	m := marker(b, gateway.BatchPublished)
	m.Generation = x.keys.generation()
	err := x.Warehouse.Publish(ctx, m)
	if err != nil {
		return err
	}
	return x.Registry.PublishedBatch(ctx, b.ID)
}

// hide writes the marker that makes a withdrawn batch invisible.
func (x *Exchange) hide(ctx context.Context, b gateway.Batch) error {
	return x.Warehouse.Publish(ctx, marker(b, gateway.BatchWithdrawn))
}

// erase removes the rows of a hidden batch, in whatever load they are: a rotation that
// is under way may have copied them. It may be repeated.
func (x *Exchange) erase(ctx context.Context, b gateway.Batch) error {
	x.keys.copying.Lock()
	defer x.keys.copying.Unlock()
	loads, err := x.Registry.LoadsOf(ctx, b.ID)
	if err != nil {
		return err
	}
	ids := make([]gateway.LoadID, len(loads))
	for i, l := range loads {
		ids[i] = l.ID
	}
	err = x.Warehouse.Erase(ctx, b.Contract, ids...)
	if err != nil {
		return err
	}
	return x.Registry.ErasedBatch(ctx, b.ID)
}

func marker(b gateway.Batch, state gateway.BatchState) warehouse.Marker {
	return warehouse.Marker{Seq: b.Seq, Batch: b.ID, Load: b.Load, Contract: b.Contract, State: state}
}

// sweep erases the rows of loads that can never become visible: their attempt
// ended long ago and the registry names another load, or none, for the batch.
func (x *Exchange) sweep(ctx context.Context) error {
	before := x.Now().Add(-x.Limits.SweepAfter)
	_, err := x.Registry.ExpireBatches(ctx, before)
	if err != nil {
		return fmt.Errorf("expiring silent attempts: %w", err)
	}
	dead, err := x.Registry.DeadLoads(ctx, before)
	if err != nil {
		return fmt.Errorf("looking for dead loads: %w", err)
	}
	var errs []error
	for _, d := range dead {
		err := x.Warehouse.Erase(ctx, d.Contract, d.ID)
		if err == nil {
			err = x.Registry.SweptLoad(ctx, d.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweeping: %w", err))
		}
	}
	return errors.Join(errs...)
}

const levelWarn = slog.LevelWarn

func attrBatch(id gateway.BatchID) slog.Attr { return slog.String("batch", string(id)) }

func attrError(err error) slog.Attr { return slog.String("error", errorText(err)) }

// outcome is what the ledger says about an attempt that ended without a result.
func outcome(err error) ledger.Outcome {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ledger.Cancelled
	case errors.Is(err, gateway.Invalid), errors.Is(err, gateway.TooLarge):
		return ledger.Refused
	}
	return ledger.Failed
}
