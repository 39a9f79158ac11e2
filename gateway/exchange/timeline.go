package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// How quarters that an earlier release counted are counted by a later one
// (disclosure.md 2.8).
//
// A quarter becomes closed when a release that holds it is approved, and stays closed
// whatever happens to that release. From then on every release counts in it the
// batches that the newest approved release counted in it, and takes its completeness
// from there, unless it is a revision, which counts everything. So of two releases
// the cells of closed quarters differ by release noise, by what a whole new quarter
// adds, or by a crowd.
//
// A window may leave quarters out at either end; one that comes back is as closed as
// it was. A quarter is new when no approved release ever held it; it enters whole,
// after its last day.
//
// What is withdrawn leaves the store at once, so whether its absence would be seen as
// one child's or as a crowd's cannot be told any more: of the withdrawn rows nothing is
// left to compare. A build therefore refuses a window with a closed quarter that a
// withdrawn batch may have had rows in, by the periods that batches declare and
// without a look at data. There are two ways on: the yearly revision, or a window
// without those quarters, until the yearly revision brings them back. Exact tables have
// the second only. What was withdrawn between a build and its approval is found at the
// approval (see [registry.Registry.ApproveRelease]).

// A Revision says what becomes of records that came late, for quarters that an earlier
// release counted.
type Revision string

// The revisions. A build asks for none or for the yearly one; ripe is what it finds.
const (
	RevisionNone   Revision = ""       // there were none, or they wait
	RevisionRipe   Revision = "ripe"   // enough children changed to hide each: all are counted
	RevisionYearly Revision = "yearly" // all are counted, once in 365 days, which count from the first release
	RevisionAnew   Revision = "anew"   // of public lineages: all are counted, always
)

// Counted says which batches the quarters of a release count.
type Counted struct {
	From     gateway.Quarter `json:"from"`
	To       gateway.Quarter `json:"to"`
	Snapshot uint64          `json:"snapshot"` // batches committed up to this one
}

// History says in a line or two how a release follows those before it.
func (p *Pinned) History() string {
	switch {
	case p.After == "":
		return "the first release of its lineage\n"
	case p.Revision == RevisionAnew:
		return fmt.Sprintf("follows %s; everything that was reported is counted anew, and paid for from the privacy budget\n", p.After)
	case p.Revision == RevisionNone:
		return fmt.Sprintf("follows %s; its quarters count what they counted there, and what came late waits\n", p.After)
	}
	return fmt.Sprintf("follows %s; a revision (%s), which counts everything that came late\n", p.After, p.Revision)
}

// past is what was public before a build.
type past struct {
	last    gateway.ReleaseID
	pinned  []Pinned // of all releases that were ever approved, in that order
	current map[gateway.Quarter]closedQuarter
}

// A closedQuarter is what the newest approved release that holds it says of a quarter.
type closedQuarter struct {
	snapshot uint64
	coverage *gateway.Coverage
}

// past reads what was public. Whether a release of another lineage was is for
// [registry.Registry.BeginRelease] to find fault with.
func (x *Exchange) past(ctx context.Context, lineage string) (*past, error) {
	public, err := x.Registry.PublicReleases(ctx)
	if err != nil {
		return nil, err
	}
	p := &past{current: map[gateway.Quarter]closedQuarter{}}
	for _, r := range public {
		if r.Lineage != lineage {
			continue
		}
		var pinned Pinned
		err = json.Unmarshal(r.Definition, &pinned)
		if err != nil || pinned.Definition == nil {
			return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("what release %s pinned cannot be read", r.ID)}
		}
		p.last = r.ID
		p.pinned = append(p.pinned, pinned)
		for _, c := range pinned.Counted {
			for q := c.From; q <= c.To; q++ {
				p.current[q] = closedQuarter{c.Snapshot, pinned.Coverage}
			}
		}
	}
	return p, nil
}

// follow makes a build follow what was public: it refuses, before anything is read,
// quarters that have not ended and parameters that would undo an earlier release.
func (x *Exchange) follow(ctx context.Context, p *Pinned, asked Revision) (*past, error) {
	d := p.Definition
	if asked != RevisionNone && asked != RevisionYearly {
		return nil, gateway.Errorf(gateway.Invalid, "a build may ask for the revision %q; late records are counted by themselves when they are enough", RevisionYearly)
	}
	if asked == RevisionYearly && !d.Noisy() {
		return nil, gateway.Errorf(gateway.Invalid, "lineage %s has no yearly revision: exact tables are frozen, and public ones count everything anyway", d.Lineage)
	}
	if d.To.Last() >= gateway.DayOf(x.Now()) {
		return nil, gateway.Errorf(gateway.Invalid, "quarter %s has not ended; a quarter enters a release whole (the window is %s to %s)", d.To, d.From, d.To)
	}
	past, err := x.past(ctx, d.Lineage)
	if err != nil {
		return nil, err
	}
	for _, before := range past.pinned {
		err = disclosure.Continue(
			disclosure.Parameters{Definition: before.Definition, Rules: before.Rules}, disclosure.Parameters{Definition: d, Rules: p.Rules})
		if err == nil {
			err = p.keepUnits(before.Units)
		}
		if err != nil {
			return nil, err
		}
	}
	p.After, p.Revision = past.last, asked
	if d.Profile == gateway.Public {
		// Noise and budget are for what a release counts, whatever that is. To ask true
		// counts which records may wait would be a rule that the proof does not know
		// (disclosure.md 2.10).
		p.Revision, past.current = RevisionAnew, nil
	}
	return past, x.refuseGone(ctx, p, past)
}

// closed returns the quarters of a window that an earlier release counted.
func (p *past) closed(from, to gateway.Quarter) map[gateway.Quarter]uint64 {
	closed := map[gateway.Quarter]uint64{}
	for q := from; q <= to; q++ {
		if c, is := p.current[q]; is {
			closed[q] = c.snapshot
		}
	}
	return closed
}

// refuseGone refuses to count closed quarters of which a withdrawn batch may have had
// rows.
func (x *Exchange) refuseGone(ctx context.Context, p *Pinned, past *past) error {
	if p.Revision == RevisionYearly {
		return nil
	}
	gone, err := x.Registry.Withdrawals(ctx)
	if err != nil {
		return err
	}
	for q, snapshot := range past.closed(p.Definition.From, p.Definition.To) {
		for _, w := range gone {
			if w.Committed <= snapshot && snapshot < w.Withdrawn && w.Manifest.Touches(q.First(), q.Last()) {
				if p.Definition.Frozen() {
					return gateway.Errorf(gateway.Conflict,
						"what an approved release counted was withdrawn or erased since, and exact tables would change by that alone. "+
							"They are never revised: leave the quarters out that were withdrawn from")
				}
				return gateway.Errorf(gateway.Conflict,
					"the revision is too small: what an approved release counted was withdrawn or erased since, and its quarters would change by that alone. "+
						"Build the yearly revision, or a window without the quarters that were withdrawn from")
			}
		}
	}
	return nil
}

// revise decides which batches each quarter of a build counts, and takes the
// completeness of reports from where they are counted. Batches are those of the
// build's snapshot.
func (x *Exchange) revise(
	ctx context.Context, r gateway.Release, p *Pinned, past *past, batches []gateway.Batch,
) (closed map[gateway.Quarter]uint64, err error) {
	d := p.Definition
	p.Coverage, err = x.Registry.Coverage(ctx, r.Snapshot, d.From, d.To)
	if err != nil {
		return nil, fmt.Errorf("reading the completeness of reports: %w", err)
	}
	closed = past.closed(d.From, d.To)
	if p.Revision == RevisionYearly {
		closed = nil
	}
	if len(closed) > 0 {
		for _, snapshot := range snapshots(closed) { // here too markers must be what the registry says
			_, err = x.visible(ctx, snapshot)
			if err != nil {
				return nil, err
			}
		}
		coverage := past.coverage(p.Coverage, closed)
		ripe, err := x.ripe(ctx, warehouse.Build{
			Definition: d, Release: r.ID, Snapshot: r.Snapshot, Closed: closed, Contracts: x.Options.Contracts,
			Coverage: coverage, RecordCap: p.Rules.RecordCap, SubjectKey: x.keys.ring().SubjectKey(r.Lineage),
			Order: order(batches), Generation: x.keys.generation(),
		}, batches)
		if err != nil {
			return nil, err
		}
		if ripe {
			p.Revision, closed = RevisionRipe, nil
		} else {
			p.Coverage = coverage
		}
	}
	p.Counted = counted(d, r.Snapshot, closed)
	return closed, nil
}

// coverage is today's for new quarters and, for closed ones, what the release that
// closed them said: reports that came since are not counted, so they do not complete
// anything.
func (p *past) coverage(today *gateway.Coverage, closed map[gateway.Quarter]uint64) *gateway.Coverage {
	merged := &gateway.Coverage{Full: map[gateway.ContractID]map[string][]gateway.Quarter{}}
	merge := func(of *gateway.Coverage, holds func(gateway.Quarter) bool) {
		for sector, regions := range of.Full {
			for region, quarters := range regions {
				for _, q := range quarters {
					if !holds(q) {
						continue
					}
					if merged.Full[sector] == nil {
						merged.Full[sector] = map[string][]gateway.Quarter{}
					}
					merged.Full[sector][region] = append(merged.Full[sector][region], q)
				}
			}
		}
	}
	merge(today, func(q gateway.Quarter) bool { _, is := closed[q]; return !is })
	for q := range closed {
		if c := p.current[q].coverage; c != nil {
			merge(c, func(other gateway.Quarter) bool { return other == q })
		}
	}
	for _, regions := range merged.Full {
		for _, quarters := range regions {
			slices.Sort(quarters)
		}
	}
	return merged
}

// ripe decides whether what came late for closed quarters is counted now. Where, by
// the periods that they declare, no batch can have brought anything, nothing is read.
// For exact tables it never is: the difference of two of them tells who changed.
func (x *Exchange) ripe(ctx context.Context, b warehouse.Build, batches []gateway.Batch) (bool, error) {
	late := map[gateway.LoadID]gateway.AgencyID{}
	for _, batch := range batches {
		for q, snapshot := range b.Closed {
			if batch.Seq > snapshot && batch.Manifest.Touches(q.First(), q.Last()) {
				late[batch.Load] = batch.Agency
			}
		}
	}
	if len(late) == 0 || b.Definition.Frozen() {
		return false, nil
	}
	changes, err := x.Warehouse.Changes(ctx, b, late)
	if err != nil {
		return false, fmt.Errorf("comparing release %s with what its closed quarters counted: %w", b.Release, err)
	}
	return disclosure.Ripe(changes)
}

// snapshots are the different ones, oldest first.
func snapshots(closed map[gateway.Quarter]uint64) []uint64 {
	return slices.Compact(slices.Sorted(maps.Values(closed)))
}

// counted describes what a build counts, in runs of quarters.
func counted(d *gateway.Definition, snapshot uint64, closed map[gateway.Quarter]uint64) []Counted {
	var runs []Counted
	for q := d.From; q <= d.To; q++ {
		of := snapshot
		if s, is := closed[q]; is {
			of = s
		}
		if n := len(runs); n > 0 && runs[n-1].Snapshot == of {
			runs[n-1].To = q
		} else {
			runs = append(runs, Counted{q, q, of})
		}
	}
	return runs
}
