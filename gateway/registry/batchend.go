package registry

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// PublishedBatch records that the warehouse has the marker of a committed batch. It
// may be repeated. It has no leaf: the commit's says all that was decided, and the
// marker only mirrors it.
func (r *Registry) PublishedBatch(ctx context.Context, batch gateway.BatchID) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		b, found, err := c.findBatch(ctx, `batch.id = ?`, batch)
		if err != nil {
			return err
		}
		switch {
		case found && b.state == gateway.BatchCommitted:
			return c.only(ctx, `UPDATE batch SET state = 'published' WHERE id = ? AND state = 'committed'`, batch)
		case found && (b.state == gateway.BatchPublished || b.state == gateway.BatchWithdrawn):
			return nil
		}
		return gateway.Errorf(gateway.Conflict, "the batch was not accepted")
	})
}

// abortOutcomes are the ways in which an attempt ends without a batch.
var abortOutcomes = []ledger.Outcome{ledger.Refused, ledger.Failed, ledger.Cancelled, ledger.Fenced, ledger.Expired}

// AbortBatch ends an attempt without a batch. The outcome is Refused, Failed,
// Cancelled or Fenced; the detail (counts by problem code, say) is only committed to. It reports
// Conflict when the attempt was over already, except by its own abort.
func (r *Registry) AbortBatch(
	ctx context.Context, batch gateway.BatchID, load gateway.LoadID, outcome ledger.Outcome, detail any,
) error {
	if !slices.Contains(abortOutcomes, outcome) {
		return internal("aborting a batch", fmt.Errorf("outcome %s", outcome))
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		b, found, err := c.findBatch(ctx, `batch.id = ?`, batch)
		switch {
		case err != nil:
			return err
		case !found || b.load != load:
			return errFenced()
		case b.state == gateway.BatchAborted:
			return nil
		}
		return c.abortBatch(ctx, b, outcome, detail)
	})
}

func (c *change) abortBatch(ctx context.Context, b storedBatch, outcome ledger.Outcome, detail any) error {
	err := c.only(ctx, `UPDATE batch SET state = 'aborted' WHERE id = ? AND load = ? AND state = 'loading'`, b.id, signed(b.load))
	if err != nil {
		return err
	}
	if err := c.endLoad(ctx, b.load); err != nil {
		return err
	}
	_, err = c.log(ctx, ledger.Entry{
		Event: ledger.BatchAbort, Actor: b.actor, Object: string(b.id), Policy: b.policy, Outcome: outcome,
		Detail: map[string]any{"load": loadText(b.load), "attempt": b.attempt, "detail": detail},
	})
	return err
}

func (c *change) endLoad(ctx context.Context, load gateway.LoadID) error {
	return c.only(ctx, `UPDATE load SET ended = coalesce(ended, ?) WHERE id = ?`, millis(c.now), signed(load))
}

// ExpireBatches ends the attempts whose lease ran out before a time and that nobody
// took over, so that their rows can be swept. It returns how many there were.
func (r *Registry) ExpireBatches(ctx context.Context, before time.Time) (int, error) {
	var dead []storedBatch
	// Most calls find nothing and should not take the write connection.
	if n, err := r.count(ctx, `SELECT count(*) FROM batch JOIN load ON load.id = batch.load
		WHERE state = 'loading' AND lease < ?`, millis(before)); n == 0 || err != nil {
		return 0, err
	}
	err := r.change(ctx, func(ctx context.Context, c *change) (err error) {
		if dead, err = queryBatches(ctx, c, `state = 'loading' AND lease < ?`, millis(before)); err != nil {
			return err
		}
		for _, b := range dead {
			if err := c.abortBatch(ctx, b, ledger.Expired, nil); err != nil {
				return err
			}
		}
		return nil
	})
	return len(dead), err
}

// WithdrawBatch takes an accepted batch back for its agency: it counts no longer from
// this moment on. It returns the batch, whose Seq now is that of the withdrawal. It
// may be repeated. It reports NotFound for a batch of another agency, and Conflict for
// one that was never accepted.
func (r *Registry) WithdrawBatch(
	ctx context.Context, agency gateway.AgencyID, actor string, batch gateway.BatchID,
) (gateway.Batch, uint64, error) {
	var b storedBatch
	err := r.change(ctx, func(ctx context.Context, c *change) error {
		var found bool
		var err error
		b, found, err = c.findBatch(ctx, `batch.id = ? AND agency = ?`, batch, agency)
		switch {
		case err != nil:
			return err
		case !found:
			return gateway.Errorf(gateway.NotFound, "there is no such batch")
		case b.state == gateway.BatchWithdrawn:
			return nil
		case b.state != gateway.BatchCommitted && b.state != gateway.BatchPublished:
			return gateway.Errorf(gateway.Conflict, "batch %s was not accepted; there is nothing to withdraw", batch)
		}
		b.seq, err = c.log(ctx, ledger.Entry{
			Event: ledger.BatchWithdraw, Actor: actor, Object: string(batch), Policy: b.policy, Outcome: ledger.Done,
			Detail: map[string]string{"load": loadText(b.load)},
		})
		if err != nil {
			return err
		}
		b.state = gateway.BatchWithdrawn
		err = c.only(ctx, `UPDATE batch SET state = 'withdrawn', committed = seq, seq = ? WHERE id = ? AND state IN ('committed', 'published')`,
			b.seq, batch)
		if err != nil {
			return err
		}
		return c.endLoad(ctx, b.load)
	})
	if err != nil {
		return gateway.Batch{}, 0, err
	}
	return b.batch(), b.seq, nil
}

// ErasedBatch records that the rows of a withdrawn batch are gone from the disk. It
// may be repeated.
func (r *Registry) ErasedBatch(ctx context.Context, batch gateway.BatchID) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		b, found, err := c.findBatch(ctx, `batch.id = ?`, batch)
		switch {
		case err != nil:
			return err
		case !found || b.state != gateway.BatchWithdrawn:
			return gateway.Errorf(gateway.Conflict, "the batch was not withdrawn")
		case b.erased:
			return nil
		}
		err = c.only(ctx, `UPDATE batch SET erased = ? WHERE id = ? AND erased IS NULL`, millis(c.now), batch)
		if err != nil {
			return err
		}
		_, err = c.log(ctx, ledger.Entry{
			Event: ledger.BatchErased, Actor: "gateway", Object: string(batch), Policy: b.policy, Outcome: ledger.Done,
			Detail: map[string]string{"load": loadText(b.load)},
		})
		return err
	})
}
