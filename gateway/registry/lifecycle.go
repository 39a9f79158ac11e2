package registry

import (
	"context"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// ErrCompareAgain says that a batch of the agency was accepted for the same days since the
// records of this one were compared with those that were sent before. Compare them
// again and commit then.
var ErrCompareAgain = gateway.Errorf(gateway.Conflict, "another batch for the same days was accepted meanwhile; try again later")

// A beside is where a batch stands among its agency's own, or those of its unit: each
// part of an agency numbers its records by itself.
type beside struct {
	agency   gateway.AgencyID
	contract gateway.ContractID
	unit     int
	manifest gateway.Manifest
}

// accepted are the accepted batches of the agency or unit that report days from the
// first to the last.
func (p beside) accepted(ctx context.Context, from querier, first, last gateway.Day) ([]storedBatch, error) {
	return queryBatches(ctx, from, `agency = ? AND contract = ? AND coalesce(batch.unit, 0) = ? AND state IN ('committed', 'published')
		AND period_from <= ? AND period_to >= ? ORDER BY seq`, p.agency, p.contract, p.unit, last.String(), first.String())
}

// compared are the batches whose records the batch must be compared with. Rows tell
// their quarter and no day, so an original is compared with those that share a quarter
// of its period with it. A correction is compared with all, because a record may have
// been moved to another quarter.
func (p beside) compared(ctx context.Context, from querier) ([]storedBatch, error) {
	switch p.manifest.Kind {
	case gateway.Nothing:
		return nil, nil
	case gateway.Correction:
		return p.accepted(ctx, from, firstDay, lastDay)
	case gateway.Original:
	}
	return p.accepted(ctx, from, p.manifest.PeriodFrom.Quarter().First(), p.manifest.PeriodTo.Quarter().Last())
}

// The first and the last day that a period can have.
var (
	firstDay, _ = gateway.CivilDay(1, 1, 1)
	lastDay, _  = gateway.CivilDay(9999, 12, 31)
)

// Beside returns the accepted batches of an agency or a unit of it (0: none) under a
// contract whose records a new batch must be compared with, oldest first.
func (r *Registry) Beside(
	ctx context.Context, agency gateway.AgencyID, unit int, contract gateway.ContractID, m gateway.Manifest,
) ([]gateway.Batch, error) {
	stored, err := beside{agency, contract, unit, m}.compared(ctx, r.read)
	return batchesOf(stored), err
}

func batchesOf(stored []storedBatch) []gateway.Batch {
	all := make([]gateway.Batch, len(stored))
	for i, b := range stored {
		all[i] = b.batch()
	}
	return all
}

// unitOfKey returns the unit that a key is registered for, 0 for none.
func (c *change) unitOfKey(ctx context.Context, key string) (int, error) {
	var unit int
	err := c.QueryRowContext(ctx, `SELECT coalesce((SELECT unit FROM api_key WHERE id = ?), 0)`, key).Scan(&unit)
	if err != nil {
		return 0, internal("reading the key's unit", err)
	}
	return unit, nil
}

// mayBegin refuses an intent that contradicts what was reported before.
func (c *change) mayBegin(ctx context.Context, in Intent) error {
	unit, err := c.unitOfKey(ctx, in.Actor)
	if err != nil {
		return err
	}
	return c.fits(ctx, beside{in.Agency, in.Contract, unit, in.Manifest})
}

// fits refuses a batch that contradicts what its agency, or the same part of it,
// reported before: nothing and something for one day cannot both be true, and a
// correction needs something to correct.
func (c *change) fits(ctx context.Context, p beside) error {
	others, err := p.accepted(ctx, c, p.manifest.PeriodFrom, p.manifest.PeriodTo)
	if err != nil {
		return err
	}
	corrected, previous := false, p.manifest.Previous == ""
	for _, b := range others {
		nothing := b.manifest.Kind == gateway.Nothing
		switch {
		case nothing && p.manifest.Kind != gateway.Nothing:
			return gateway.Errorf(gateway.Conflict, "batch %s says that there was nothing to report for days of this period; withdraw it first", b.id)
		case !nothing && p.manifest.Kind == gateway.Nothing:
			return gateway.Errorf(gateway.Conflict, "batch %s reports days of this period, so there was something to report; withdraw it first", b.id)
		}
		corrected = corrected || b.manifest.Kind == gateway.Original
		previous = previous || b.id == p.manifest.Previous
	}
	switch {
	case p.manifest.Kind == gateway.Correction && !corrected:
		return gateway.Errorf(gateway.Conflict, "none of your accepted batches reports days of this period, so there is nothing to correct; send it as kind=original")
	case !previous:
		return gateway.Errorf(gateway.Conflict, "previous is not an accepted batch of yours under this contract that reports days of this period")
	}
	return nil
}

// standing returns the batch of an attempt that may still be accepted: no other attempt
// took its place, and its content was not accepted under another key.
func standing(ctx context.Context, from querier, id gateway.BatchID, load gateway.LoadID) (storedBatch, error) {
	found, err := queryBatches(ctx, from, `batch.id = ?`, id)
	if err != nil {
		return storedBatch{}, err
	}
	if len(found) == 0 || found[0].state != gateway.BatchLoading || found[0].load != load {
		return storedBatch{}, errFenced()
	}
	b := found[0]
	twins, err := queryBatches(ctx, from, `agency = ? AND contract = ? AND content = ? AND state IN ('committed', 'published')`,
		b.agency, b.contract, b.content[:])
	if err == nil && len(twins) > 0 {
		err = gateway.Errorf(gateway.Conflict, "the same content was accepted meanwhile as batch %s", twins[0].id)
	}
	return b, err
}

// Standing reports Conflict when an attempt can not be accepted any more, because
// another one was faster.
func (r *Registry) Standing(ctx context.Context, batch gateway.BatchID, load gateway.LoadID) error {
	_, err := standing(ctx, r.read, batch, load)
	return err
}

// mayCommit asks again, at the commit point, what may have changed while the body came:
// whether the key was revoked, and what the agency sent beside it.
func (c *change) mayCommit(ctx context.Context, b storedBatch, compared uint64) error {
	var revoked bool
	err := c.QueryRowContext(ctx, `SELECT count(*) FROM api_key WHERE id = ? AND revoked IS NOT NULL`, b.actor).Scan(&revoked)
	if err != nil {
		return internal("reading the key", err)
	}
	if revoked {
		return gateway.Errorf(gateway.Unauthenticated, "the key was revoked while the batch came; nothing was stored")
	}
	p := beside{b.agency, b.contract, b.unit, b.manifest}
	if err := c.fits(ctx, p); err != nil {
		return err
	}
	others, err := p.compared(ctx, c)
	if err != nil {
		return err
	}
	if n := len(others); n > 0 && others[n-1].seq > compared {
		return ErrCompareAgain
	}
	return nil
}

// lateFor returns the quarters of a period that an approved release ever held: they are
// closed, and what comes for them waits for a revision (disclosure.md 2.8). It depends
// on releases, which are public, and on nobody's batches.
func (c *change) lateFor(ctx context.Context, m gateway.Manifest) ([]gateway.Quarter, error) {
	known, err := queryReleases(ctx, c, public)
	if err != nil {
		return nil, err
	}
	var late []gateway.Quarter
	for q := m.PeriodFrom.Quarter(); q <= m.PeriodTo.Quarter(); q++ {
		for _, rel := range known {
			if rel.first <= q.First() && (q.Last() <= rel.last || rel.last == gateway.NoDay) {
				late = append(late, q)
				break
			}
		}
	}
	return late, nil
}

func quartersText(list []gateway.Quarter) string {
	var texts []string
	for _, q := range list {
		texts = append(texts, q.String())
	}
	return strings.Join(texts, " ")
}

func parseQuarters(text string) ([]gateway.Quarter, error) {
	var list []gateway.Quarter
	for word := range strings.FieldsSeq(text) {
		q, err := gateway.ParseQuarter(word)
		if err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	return list, nil
}
