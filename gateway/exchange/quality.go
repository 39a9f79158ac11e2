package exchange

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// quality pins how what a release counts was reported, in bands. Of public tables nothing
// is said that depends on records: no rule on true counts may stand beside their noise
// (disclosure.md 2.10).
func (x *Exchange) quality(ctx context.Context, p *Pinned) error {
	d, counted := p.Definition, map[gateway.Quarter]uint64{}
	for _, c := range p.Counted {
		for q := c.From; q <= c.To; q++ {
			counted[q] = c.Snapshot
		}
	}
	found, err := x.Registry.Quality(ctx, counted)
	if err != nil {
		return fmt.Errorf("reading how agencies reported: %w", err)
	}
	q := &found.Quality
	for i := range q.Places {
		place := &q.Places[i]
		place.Through = p.Coverage.Horizon(place.Contract, place.Region, d.From)
	}
	if d.Profile != gateway.Public {
		err = x.linkage(ctx, d, q, found.Batches)
		if err != nil {
			return err
		}
	}
	p.Quality = q
	return nil
}

// linkage fills in the bands of linkage, of agencies with enough children and of sectors
// as far as they consist of such.
func (x *Exchange) linkage(ctx context.Context, d *gateway.Definition, q *gateway.Quality, batches map[gateway.AgencyID][]gateway.Batch) error {
	sectors := map[gateway.ContractID]gateway.Linkage{}
	for i := range q.Agencies {
		a := &q.Agencies[i]
		if x.contracts[a.Contract] == nil {
			continue
		}
		var counts gateway.Linkage
		var loads []gateway.LoadID
		for _, b := range batches[a.Agency] {
			counts, loads = counts.Plus(b.Linkage), append(loads, b.Load)
		}
		enough, err := x.Warehouse.HasChildren(ctx, a.Contract, loads, d.From, d.To, gateway.QualityChildren)
		if err != nil {
			return fmt.Errorf("looking how records of %s link: %w", a.Contract, err)
		}
		if enough {
			a.Linkage = counts.Bands()
			sectors[a.Contract] = sectors[a.Contract].Plus(counts)
		}
	}
	for i := range q.Sectors {
		q.Sectors[i].Linkage = sectors[q.Sectors[i].Contract].Bands()
	}
	return nil
}

// linkable is what every table of a release says of the records behind it. It is read
// once, because a question is a look-up.
func (x *Exchange) linkable(r gateway.Release) (map[gateway.ContractID]gateway.ShareBand, error) {
	x.mu.Lock()
	told, known := x.linkables[r.ID]
	x.mu.Unlock()
	if known {
		return told, nil
	}
	var pinned struct {
		Quality *gateway.Quality `json:"quality"`
	}
	if len(r.Definition) > 0 && json.Unmarshal(r.Definition, &pinned) != nil {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("what release %s pinned cannot be read", r.ID)}
	}
	if pinned.Quality != nil {
		told = map[gateway.ContractID]gateway.ShareBand{}
		for _, s := range pinned.Quality.Sectors {
			if band := s.Linkage.Linkable; band != "" {
				told[s.Contract] = band
			}
		}
	}
	x.mu.Lock()
	x.linkables[r.ID] = told
	x.mu.Unlock()
	return told, nil
}
