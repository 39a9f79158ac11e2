package registry

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// An Agency is an organisation that uploads, as the steward registered it. What it
// is expected to report follows from it (decisions.md 4).
type Agency struct {
	ID       gateway.AgencyID
	Contract gateway.ContractID // its sector
	Title    gateway.Text
	Regions  []string        // codes of the regions it reports for
	From     gateway.Quarter // the first quarter that is expected
	To       gateway.Quarter // the last one, or 0: until further notice
}

// shortID is the form of the ids that people choose: of agencies, organisations and
// persons. Digits alone would be an identification number (see ledger.Leaf).
var shortID = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,63}$`)

var regionCode = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)

func (a *Agency) validate() error {
	switch {
	case !shortID.MatchString(string(a.ID)):
		return gateway.Errorf(gateway.Invalid, "an agency's id matches %s", shortID)
	case a.Contract == "":
		return gateway.Errorf(gateway.Invalid, "an agency is registered under a contract")
	case len(a.Regions) == 0 || !all(a.Regions, regionCode.MatchString):
		return gateway.Errorf(gateway.Invalid, "an agency reports for at least one region; codes match %s", regionCode)
	case a.From == 0 || (a.To != 0 && a.To < a.From):
		return gateway.Errorf(gateway.Invalid, "an agency's expected quarters need a first, and a last not before it")
	}
	return nil
}

func all[E any](list []E, holds func(E) bool) bool {
	return !slices.ContainsFunc(list, func(e E) bool { return !holds(e) })
}

// AddAgency registers an agency. It reports Conflict when the id is taken.
func (r *Registry) AddAgency(ctx context.Context, actor string, a Agency) error {
	return r.putAgency(ctx, actor, a, ledger.AgencyAdd)
}

// ChangeAgency replaces an agency's title, regions and expected quarters; its contract
// stays.
func (r *Registry) ChangeAgency(ctx context.Context, actor string, a Agency) error {
	return r.putAgency(ctx, actor, a, ledger.AgencyChange)
}

func (r *Registry) putAgency(ctx context.Context, actor string, a Agency, event ledger.Event) error {
	if err := a.validate(); err != nil {
		return err
	}
	title, err := json.Marshal(a.Title)
	if err != nil {
		return internal("encoding an agency", err)
	}
	return r.change(ctx, func(ctx context.Context, c *change) error {
		var taken, same int
		err := c.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(contract = ?), 0) FROM agency WHERE id = ?`,
			a.Contract, a.ID).Scan(&taken, &same)
		switch {
		case err != nil:
			return internal("reading the agency", err)
		case event == ledger.AgencyAdd && taken > 0:
			return gateway.Errorf(gateway.Conflict, "agency %s is registered already", a.ID)
		case event == ledger.AgencyChange && same == 0:
			return gateway.Errorf(gateway.NotFound, "agency %s is not registered under %s", a.ID, a.Contract)
		}
		if event == ledger.AgencyAdd {
			if err := c.apart(ctx, string(a.ID), string(a.ID), gateway.RoleAgency); err != nil {
				return err
			}
		}
		if err := c.storeAgency(ctx, a, string(title)); err != nil {
			return internal("storing the agency", err)
		}
		_, err = c.log(ctx, ledger.Entry{
			Event: event, Actor: actor, Object: string(a.ID), Outcome: ledger.Done,
			Detail: map[string]any{"contract": a.Contract, "regions": a.Regions, "from": a.From, "to": a.To},
		})
		return err
	})
}

func (c *change) storeAgency(ctx context.Context, a Agency, title string) error {
	_, err := c.ExecContext(ctx, `INSERT INTO agency VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
		title = excluded.title, expected_from = excluded.expected_from, expected_to = excluded.expected_to`,
		a.ID, a.Contract, title, int(a.From), int(a.To))
	if err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, `DELETE FROM agency_region WHERE agency = ?`, a.ID); err != nil {
		return err
	}
	for _, region := range a.Regions {
		if _, err := c.ExecContext(ctx, `INSERT OR IGNORE INTO agency_region VALUES (?, ?)`, a.ID, region); err != nil {
			return err
		}
	}
	return nil
}

// Agencies returns every registered agency, by id.
func (r *Registry) Agencies(ctx context.Context) ([]Agency, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT id, contract, title, expected_from, expected_to,
		(SELECT json_group_array(region) FROM (SELECT region FROM agency_region WHERE agency = id ORDER BY region))
		FROM agency ORDER BY id`)
	if err != nil {
		return nil, internal("reading agencies", err)
	}
	defer rows.Close()
	var list []Agency
	for rows.Next() {
		var a Agency
		var title, regions []byte
		err := rows.Scan(&a.ID, &a.Contract, &title, &a.From, &a.To, &regions)
		if err == nil {
			err = json.Unmarshal(title, &a.Title)
		}
		if err == nil {
			err = json.Unmarshal(regions, &a.Regions)
		}
		if err != nil {
			return nil, internal("reading agencies", err)
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading agencies", err)
	}
	return list, nil
}

// Coverage tells what sectors had fully reported at a snapshot, for the quarters from
// one to another. A quarter counts for a sector and a region when at least one agency
// is expected to report it there, and every one that is has published batches whose
// periods cover all its days. Silence never covers a period: an agency that had no case
// in a quarter says so by a batch of the kind [gateway.Nothing]. Corrections and batches
// of which too much was refused cover nothing ([gateway.Batch.Covers]).
func (r *Registry) Coverage(ctx context.Context, snapshot uint64, from, to gateway.Quarter) (*gateway.Coverage, error) {
	agencies, err := r.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	batches, err := r.Published(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	periods := periodsOf(batches)
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for q := from; q <= to; q++ {
		for place, complete := range reported(agencies, periods, q) {
			if !complete {
				continue
			}
			if full[place.sector] == nil {
				full[place.sector] = map[string][]gateway.Quarter{}
			}
			full[place.sector][place.region] = append(full[place.sector][place.region], q)
		}
	}
	return &gateway.Coverage{Full: full}, nil
}

type place struct {
	sector gateway.ContractID
	region string
}

// reported says for every place from which somebody is expected to report a quarter
// whether all have.
func reported(agencies []Agency, periods map[gateway.AgencyID][]gateway.Manifest, q gateway.Quarter) map[place]bool {
	complete := map[place]bool{}
	for _, a := range agencies {
		if q < a.From || (a.To != 0 && q > a.To) {
			continue
		}
		covered := covers(periods[a.ID], q.First(), q.Last())
		for _, region := range a.Regions {
			p := place{a.Contract, region}
			earlier, seen := complete[p]
			complete[p] = covered && (earlier || !seen)
		}
	}
	return complete
}

// covers reports whether periods together hold every day from first to last.
func covers(periods []gateway.Manifest, first, last gateway.Day) bool {
	sorted := slices.SortedFunc(slices.Values(periods), func(a, b gateway.Manifest) int {
		return int(a.PeriodFrom) - int(b.PeriodFrom)
	})
	next := first // the first day not known to be covered
	for _, p := range sorted {
		if p.PeriodFrom > next {
			break
		}
		next = max(next, p.PeriodTo+1)
	}
	return next > last
}
