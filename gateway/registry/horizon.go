package registry

import (
	"cmp"
	"context"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A Horizon is up to where a sector's reports of a region have no gap, at quarter grain:
// at day grain an uploader could move the end of a period by a day between two releases
// and read off one day's children (domain.md 3.1). It is made of registrations and of
// the periods of batches, never of rows.
type Horizon struct {
	Contract gateway.ContractID `json:"contract"`
	Region   string             `json:"region"`
	From     gateway.Quarter    `json:"from"`              // the first quarter that is expected of anybody
	Through  gateway.Quarter    `json:"through,omitempty"` // the last without a gap since; 0: there is none
}

// Tells reports whether everything is in that happened to a quarter's cohort within some
// days of its end: of each of them, whether or not it can be told is the same.
func (h Horizon) Tells(cohort gateway.Quarter, days int) bool {
	return h.Through != 0 && h.From <= cohort && int(cohort.Last())+days <= int(h.Through.Last())
}

// Horizons returns the horizon of every sector in every region that somebody is
// registered for, by the batches of a snapshot.
func (r *Registry) Horizons(ctx context.Context, snapshot uint64) ([]Horizon, error) {
	agencies, err := r.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	batches, err := r.Published(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	return horizons(agencies, periodsOf(batches)), nil
}

// periodsOf are the periods that batches complete, by agency.
func periodsOf(batches []gateway.Batch) map[gateway.AgencyID][]gateway.Manifest {
	periods := map[gateway.AgencyID][]gateway.Manifest{}
	for _, b := range batches {
		if b.Covers() {
			periods[b.Agency] = append(periods[b.Agency], b.Manifest)
		}
	}
	return periods
}

func horizons(agencies []Agency, periods map[gateway.AgencyID][]gateway.Manifest) []Horizon {
	at := map[place]*Horizon{}
	first, last := gateway.Quarter(0), gateway.Quarter(0)
	for _, a := range agencies {
		for _, region := range a.Regions {
			p := place{a.Contract, region}
			if at[p] == nil || a.From < at[p].From {
				at[p] = &Horizon{Contract: a.Contract, Region: region, From: a.From}
			}
		}
		if first == 0 || a.From < first {
			first = a.From
		}
		for _, m := range periods[a.ID] {
			last = max(last, m.PeriodTo.Quarter())
		}
	}
	for q := first; q != 0 && q <= last; q++ {
		for p, complete := range reported(agencies, periods, q) {
			if h := at[p]; complete && (q == h.From || h.Through == q-1) {
				h.Through = q
			}
		}
	}
	list := make([]Horizon, 0, len(at))
	for _, h := range at {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b Horizon) int {
		return cmp.Or(cmp.Compare(a.Contract, b.Contract), cmp.Compare(a.Region, b.Region))
	})
	return list
}

// A Report is what an agency has reported of what is expected of it.
type Report struct {
	Agency  gateway.AgencyID   `json:"agency"`
	From    gateway.Quarter    `json:"from"`
	To      gateway.Quarter    `json:"to,omitempty"`      // 0: until further notice
	Through gateway.Quarter    `json:"through,omitempty"` // the last quarter without a gap since From; 0: none
	Missing []gateway.Quarter  `json:"missing,omitempty"` // of those that have ended
	Sector  gateway.ContractID `json:"contract"`
}

// Reported returns what agencies have reported by a day: of one, or of all where none is
// named. Batches that are accepted count, whether their marker is written or not.
func (r *Registry) Reported(ctx context.Context, agency gateway.AgencyID, by gateway.Day) ([]Report, error) {
	agencies, err := r.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	batches, err := r.batches(ctx, `state IN ('committed', 'published') AND (? = '' OR agency = ?)`, agency, agency)
	if err != nil {
		return nil, err
	}
	periods := periodsOf(batches)
	list := []Report{}
	for _, a := range agencies {
		if agency == "" || a.ID == agency {
			list = append(list, a.report(periods[a.ID], by))
		}
	}
	return list, nil
}

func (a *Agency) report(periods []gateway.Manifest, by gateway.Day) Report {
	rep := Report{Agency: a.ID, Sector: a.Contract, From: a.From, To: a.To}
	for q := a.From; q.Last() < by && (a.To == 0 || q <= a.To); q++ {
		switch {
		case !covers(periods, q.First(), q.Last()):
			rep.Missing = append(rep.Missing, q)
		case len(rep.Missing) == 0:
			rep.Through = q
		}
	}
	return rep
}
