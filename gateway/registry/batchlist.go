package registry

import (
	"context"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A BatchFilter says which batches to list. Zero fields do not filter.
type BatchFilter struct {
	Agency   gateway.AgencyID
	Contract gateway.ContractID
	State    gateway.BatchState
	From, To gateway.Quarter // those that report days of these quarters
	After    gateway.BatchID // of the page before, the last
	Limit    int             // Required
}

// ListBatches returns a page of batches, the newest first. It reports Invalid when After
// is no batch of the agency.
func (r *Registry) ListBatches(ctx context.Context, f BatchFilter) ([]gateway.Batch, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Agency != "" {
		add(`agency = ?`, f.Agency)
	}
	if f.After != "" {
		n, err := r.count(ctx, `SELECT count(*) FROM batch WHERE id = ? AND (? = '' OR agency = ?)`, f.After, f.Agency, f.Agency)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, gateway.Errorf(gateway.Invalid, "after is the last batch of the page before")
		}
		add(`(created, batch.rowid) < (SELECT created, rowid FROM batch WHERE id = ?)`, f.After)
	}
	if f.Contract != "" {
		add(`contract = ?`, f.Contract)
	}
	if f.State != "" {
		add(`state = ?`, f.State)
	}
	if f.From != 0 {
		add(`period_to >= ?`, f.From.First().String())
	}
	if f.To != 0 {
		add(`period_from <= ?`, f.To.Last().String())
	}
	add(`true ORDER BY created DESC, batch.rowid DESC LIMIT ?`, f.Limit)
	return r.batches(ctx, strings.Join(where, ` AND `), args...)
}
