package exchange

import (
	"context"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
)

// A BatchStatus is what may be known of a batch: what it said of itself, what became of
// it and, while it is under way, how far it is.
type BatchStatus struct {
	gateway.Batch
	PeriodFrom string            `json:"period_from"`
	PeriodTo   string            `json:"period_to"`
	Kind       gateway.BatchKind `json:"kind"`
	Reject     gateway.Reject    `json:"reject"`
	Announced  int               `json:"records_announced,omitempty"`
	Previous   gateway.BatchID   `json:"previous,omitempty"`
	Begun      time.Time         `json:"begun"`
	Accepted   time.Time         `json:"accepted,omitzero"`
	// Completeness says of an accepted batch whether its period counts as reported:
	// "whole", "correction", or "partial" and why.
	Completeness string    `json:"completeness,omitempty"`
	Progress     *Progress `json:"progress,omitempty"` // while this gateway loads it
}

// Progress is how far an upload is. Nothing of it is visible yet.
type Progress struct {
	Bytes   int64 `json:"bytes_read"`
	Size    int64 `json:"bytes,omitempty"` // of the body, where it was said
	Records int64 `json:"records_read"`
	Refused int64 `json:"records_refused"`
}

// progress is how far this gateway is with a batch, or nil when it does not load it.
func (x *Exchange) progress(id gateway.BatchID) *Progress {
	x.mu.Lock()
	defer x.mu.Unlock()
	for m := range x.meters {
		if at := m.batch.Load(); at != nil && *at == id {
			return &Progress{m.bytes.Load(), m.size, m.rows.Load() + m.refused.Load(), m.refused.Load()}
		}
	}
	return nil
}

// A BatchFilter says which batches to list, and how many.
type BatchFilter = registry.BatchFilter

// A BatchPage is a page of batches, the newest first.
type BatchPage struct {
	Batches []BatchStatus   `json:"batches"`
	Next    gateway.BatchID `json:"next,omitempty"` // ask for what is after it; "" when this is all
}

func (x *Exchange) status(b gateway.Batch) BatchStatus {
	m := b.Manifest
	s := BatchStatus{
		Batch: b, PeriodFrom: m.PeriodFrom.String(), PeriodTo: m.PeriodTo.String(), Kind: m.Kind, Reject: m.Reject,
		Announced: m.Records, Previous: m.Previous, Begun: b.Created, Accepted: b.Accepted,
	}
	switch b.State {
	case gateway.BatchCommitted, gateway.BatchPublished, gateway.BatchWithdrawn:
		s.Completeness = b.Completeness()
	case gateway.BatchLoading:
		s.Progress = x.progress(b.ID)
	case gateway.BatchAborted:
	}
	return s
}

// MaxPage is the most batches of a page.
const MaxPage = 1000

// Batches returns an agency a page of its own batches, and those who watch over all
// agencies the batches of each.
func (x *Exchange) Batches(ctx context.Context, caller gateway.Caller, f BatchFilter) (BatchPage, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadBatch)
	if err != nil {
		return BatchPage{}, err
	}
	if f.Limit < 1 || f.Limit > MaxPage {
		return BatchPage{}, gateway.Errorf(gateway.Invalid, "limit is 1 to %d", MaxPage)
	}
	f.Agency = ""
	if caller.Role == gateway.RoleAgency {
		f.Agency = caller.Agency
	}
	limit := f.Limit
	f.Limit++
	list, err := x.Registry.ListBatches(ctx, f)
	if err != nil {
		return BatchPage{}, err
	}
	page := BatchPage{Batches: []BatchStatus{}}
	for _, b := range list[:min(limit, len(list))] {
		page.Batches = append(page.Batches, x.status(b))
	}
	if len(list) > limit {
		page.Next = list[limit-1].ID
	}
	return page, nil
}

// Batch returns one of the caller's own batches.
func (x *Exchange) Batch(ctx context.Context, caller gateway.Caller, id gateway.BatchID) (BatchStatus, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadBatch)
	if err != nil {
		return BatchStatus{}, err
	}
	b, err := x.Registry.Batch(ctx, caller.Agency, id)
	if err != nil {
		return BatchStatus{}, err
	}
	return x.status(b), nil
}

// Receipt returns the receipt of an accepted batch of the caller's own, the same bytes
// as ever.
func (x *Exchange) Receipt(ctx context.Context, caller gateway.Caller, id gateway.BatchID) ([]byte, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadBatch)
	if err != nil {
		return nil, err
	}
	return x.Registry.Receipt(ctx, caller.Agency, id)
}

// A Coverage says what was reported: of an agency's own batches or, for those who watch
// over all agencies, of all, with the horizons of sectors and regions.
type Coverage struct {
	Reports  []registry.Report  `json:"reports"`
	Horizons []registry.Horizon `json:"horizons,omitempty"`
}

// Coverage returns what was reported until today. An agency learns nothing of others.
func (x *Exchange) Coverage(ctx context.Context, caller gateway.Caller) (Coverage, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadBatch)
	if err != nil {
		return Coverage{}, err
	}
	today := gateway.DayOf(x.Now())
	if caller.Role == gateway.RoleAgency {
		own, err := x.Registry.Reported(ctx, caller.Agency, today)
		return Coverage{Reports: own}, err
	}
	all, err := x.Registry.Reported(ctx, "", today)
	if err != nil {
		return Coverage{}, err
	}
	snapshot, err := x.Registry.Snapshot(ctx)
	if err != nil {
		return Coverage{}, err
	}
	horizons, err := x.Registry.Horizons(ctx, snapshot)
	return Coverage{all, horizons}, err
}
