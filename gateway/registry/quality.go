package registry

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A QualityOf is what registrations and batches say of the reports that a release is made
// from. The linkage of its quality is left for whoever can count children.
type QualityOf struct {
	gateway.Quality

	Batches map[gateway.AgencyID][]gateway.Batch // that some quarter counts
}

// Quality returns how agencies have reported some quarters, each of which counts the
// batches committed up to a snapshot of its own. It is made of the periods and times of
// batches and never of rows. A batch a quarter is expected of an agency, so what is
// accepted of what is expected is counted in quarters of agencies, whole ones only
// ([Registry.Coverage]).
func (r *Registry) Quality(ctx context.Context, counted map[gateway.Quarter]uint64) (QualityOf, error) {
	agencies, err := r.Agencies(ctx)
	if err != nil {
		return QualityOf{}, err
	}
	newest := uint64(0)
	for _, snapshot := range counted {
		newest = max(newest, snapshot)
	}
	batches, err := r.Published(ctx, newest)
	if err != nil {
		return QualityOf{}, err
	}
	of := map[gateway.AgencyID][]gateway.Batch{}
	for _, b := range batches {
		of[b.Agency] = append(of[b.Agency], b)
	}
	return qualityOf(agencies, of, counted), nil
}

// A delivery is what one agency, or several, have delivered of what is expected.
type delivery struct {
	expected, accepted int   // quarters
	late               []int // days from the end of a period to its acceptance
}

func (d *delivery) plus(o delivery) {
	d.expected, d.accepted = d.expected+o.expected, d.accepted+o.accepted
	d.late = append(d.late, o.late...)
}

func (d *delivery) bands() (gateway.ReportedBand, gateway.TimelyBand) {
	reported := gateway.ReportedBandOf(d.accepted, d.expected)
	if len(d.late) == 0 {
		return reported, ""
	}
	slices.Sort(d.late)
	return reported, gateway.TimelyBandOf(d.late[(len(d.late)-1)/2])
}

func qualityOf(agencies []Agency, batches map[gateway.AgencyID][]gateway.Batch, counted map[gateway.Quarter]uint64) QualityOf {
	q := QualityOf{Batches: map[gateway.AgencyID][]gateway.Batch{}}
	places, sectors := map[place]*delivery{}, map[gateway.ContractID]*delivery{}
	for _, a := range agencies {
		d, of := a.delivered(batches[a.ID], counted)
		q.Batches[a.ID] = of
		own := gateway.AgencyQuality{Agency: a.ID, Contract: a.Contract, Title: a.Title, Regions: a.Regions}
		own.Reported, own.Timely = d.bands()
		q.Agencies = append(q.Agencies, own)
		add(sectors, a.Contract, d)
		for _, region := range a.Regions {
			add(places, place{a.Contract, region}, d)
		}
	}
	for p, d := range places {
		of := gateway.PlaceQuality{Contract: p.sector, Region: p.region}
		of.Reported, of.Timely = d.bands()
		q.Places = append(q.Places, of)
	}
	for _, id := range slices.Sorted(maps.Keys(sectors)) {
		of := gateway.SectorQuality{Contract: id}
		of.Reported, of.Timely = sectors[id].bands()
		q.Sectors = append(q.Sectors, of)
	}
	slices.SortFunc(q.Agencies, func(a, b gateway.AgencyQuality) int {
		return cmp.Or(cmp.Compare(a.Contract, b.Contract), cmp.Compare(a.Agency, b.Agency))
	})
	slices.SortFunc(q.Places, func(a, b gateway.PlaceQuality) int {
		return cmp.Or(cmp.Compare(a.Contract, b.Contract), cmp.Compare(a.Region, b.Region))
	})
	return q
}

func add[K comparable](to map[K]*delivery, key K, d delivery) {
	if to[key] == nil {
		to[key] = &delivery{}
	}
	to[key].plus(d)
}

// delivered is what an agency has delivered of some quarters, and the batches that they
// count of it.
func (a *Agency) delivered(batches []gateway.Batch, counted map[gateway.Quarter]uint64) (delivery, []gateway.Batch) {
	var d delivery
	var of []gateway.Batch
	for _, b := range batches {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(counted)), func(q gateway.Quarter) bool {
			return b.Seq <= counted[q] && b.Manifest.Touches(q.First(), q.Last())
		}) {
			continue
		}
		of = append(of, b)
		if b.Manifest.Kind != gateway.Correction {
			d.late = append(d.late, max(0, int(gateway.DayOf(b.Accepted))-int(b.Manifest.PeriodTo)))
		}
	}
	for q, snapshot := range counted {
		if q < a.From || a.To != 0 && q > a.To {
			continue
		}
		d.expected++
		var periods []gateway.Manifest
		for _, b := range of {
			if b.Seq <= snapshot && b.Covers() {
				periods = append(periods, b.Manifest)
			}
		}
		if covers(periods, q.First(), q.Last()) {
			d.accepted++
		}
	}
	return d, of
}
