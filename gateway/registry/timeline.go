package registry

import (
	"context"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// MaxReleases is how many releases of a lineage may become public within a [Year]:
// each is another look at every cell (disclosure.md 2.8).
const MaxReleases = 4

// Year is the span of [MaxReleases], and the least between a lineage's first release and
// its yearly revision, and between two of those.
const Year = 365 * 24 * time.Hour

// PublicReleases returns the releases that were ever approved, in the order of their
// approval: those that were superseded or withdrawn since too, because what was
// public stays known.
func (r *Registry) PublicReleases(ctx context.Context) ([]gateway.Release, error) {
	return r.releases(ctx, public)
}

// public orders by number within a lineage, which is the order of approval whatever
// the clock did: an older release is never approved after a newer one.
const public = `approved IS NOT NULL ORDER BY lineage, number`

// A Withdrawal is a batch that counted, and was then taken back.
type Withdrawal struct {
	Manifest  gateway.Manifest
	Committed uint64 // releases of snapshots from this one on counted it
	Withdrawn uint64 // until this one
}

// Withdrawals returns every batch that was accepted and taken back. Its rows are gone,
// so this is all that is known of what a release counted of it. An erasure is among
// them, as one of unknown days until it is done: whether it found any row is not asked.
func (r *Registry) Withdrawals(ctx context.Context) ([]Withdrawal, error) {
	return queryWithdrawals(ctx, r.read)
}

func queryWithdrawals(ctx context.Context, from querier) ([]Withdrawal, error) {
	rows, err := from.QueryContext(ctx, `SELECT period_from, period_to, committed, seq AS gone FROM batch WHERE state = 'withdrawn'
		UNION ALL SELECT '', '', 0, coalesce(done, 9223372036854775807) FROM erasure ORDER BY gone`)
	if err != nil {
		return nil, internal("reading withdrawals", err)
	}
	defer rows.Close()
	var all []Withdrawal
	for rows.Next() {
		var w Withdrawal
		var first, last string
		err = rows.Scan(&first, &last, &w.Committed, &w.Withdrawn)
		if err != nil {
			return nil, internal("reading withdrawals", err)
		}
		// A period that cannot be read is open, and so touches every quarter.
		w.Manifest.PeriodFrom, _ = gateway.ParseDay([]byte(first))
		w.Manifest.PeriodTo, _ = gateway.ParseDay([]byte(last))
		all = append(all, w)
	}
	if err := rows.Err(); err != nil {
		return nil, internal("reading withdrawals", err)
	}
	return all, nil
}

// stillThere refuses the approval of a release that counted a batch which was withdrawn
// since: its quarters would be closed with rows that are gone, and the release after it
// could differ by that batch alone.
func (c *change) stillThere(ctx context.Context, rel storedRelease) error {
	gone, err := queryWithdrawals(ctx, c)
	if err != nil {
		return err
	}
	for _, w := range gone {
		if w.Committed <= rel.Snapshot && rel.Snapshot < w.Withdrawn && w.Manifest.Touches(rel.first, rel.last) {
			return gateway.Errorf(gateway.Conflict, "a batch that release %s may have counted was withdrawn, or records erased, since it was built; build again", rel.ID)
		}
	}
	return nil
}

// mayFollow refuses a release that does not fit behind those that were public: of
// another lineage, made after another release than the last, or too soon. It is asked
// when a build begins and again when it is approved, in the same transaction.
func (c *change) mayFollow(ctx context.Context, rel gateway.Release, after gateway.ReleaseID, yearly bool) error {
	known, err := queryReleases(ctx, c, public)
	if err != nil {
		return err
	}
	last := gateway.ReleaseID("")
	for _, k := range known {
		if k.Lineage != rel.Lineage {
			return anotherLineage(k.Release, rel.Lineage)
		}
		last = k.ID
	}
	if last != after {
		return gateway.Errorf(gateway.Conflict,
			"release %s was approved since the build of %s began, so its closed quarters are those of an older release; build again", last, rel.Lineage)
	}
	return c.inTime(known, rel.Lineage, yearly)
}

// anotherLineage says why a gateway has one (disclosure.md 2.0): the permanent layer
// is drawn by lineage and label.
func anotherLineage(k gateway.Release, lineage string) error {
	return gateway.Errorf(gateway.Conflict,
		"release %s of lineage %s was approved here, also if it is closed by now; %s would be a second, independent noise on the same children, "+
			"and the mean of two tells more than either. A gateway has one lineage: another is for children of whom nothing else is released, in a gateway of their own",
		k.ID, k.Lineage, lineage)
}

func (c *change) inTime(known []storedRelease, lineage string, yearly bool) error {
	since := c.now.Add(-Year)
	var recent []time.Time
	for _, k := range known {
		if k.Approved.After(since) {
			recent = append(recent, k.Approved)
		}
	}
	if yearly {
		if err := inYear(known, lineage, since); err != nil {
			return err
		}
	}
	if n := len(recent); n >= MaxReleases {
		return gateway.Errorf(gateway.Conflict, "%d releases of %s were approved within 365 days, which is the most; the next may follow from %s on",
			n, lineage, dayAfter(recent[n-MaxReleases]))
	}
	return nil
}

// inYear refuses a yearly revision within a [Year] of the last one or, before there is
// one, of the lineage's first release: it counts everything, also one late record, and
// so a first one that came a day later would isolate a child.
func inYear(known []storedRelease, lineage string, since time.Time) error {
	if len(known) == 0 {
		return nil
	}
	last, what := known[0], "the first release"
	for _, k := range known {
		if k.yearly {
			last, what = k, "a yearly revision"
		}
	}
	if !last.Approved.After(since) {
		return nil
	}
	return gateway.Errorf(gateway.Conflict, "release %s is %s of %s; a yearly revision may follow 365 days later, from %s on",
		last.ID, what, lineage, dayAfter(last.Approved))
}

// dayAfter is the first whole day on which an approval is no longer of the last year.
func dayAfter(approved time.Time) string {
	return approved.Add(Year).AddDate(0, 0, 1).UTC().Format(time.DateOnly)
}
