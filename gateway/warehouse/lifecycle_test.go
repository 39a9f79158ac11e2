package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A sent batch is a delivery with what it is to the others.
type sent struct {
	delivery
	unit        int
	first, last gateway.Quarter // of a correction: where it replaces; else 0
	withdrawn   bool
}

// replaces reports whether a batch replaces a row of another one.
func (s sent) replaces(of sent, r row) bool {
	return s.first != 0 && s.seq > of.seq && s.contract == of.contract && s.unit == of.unit && s.first <= r.quarter && r.quarter <= s.last &&
		slices.ContainsFunc(s.rows, func(own row) bool { return own.record == r.record })
}

// A history is what agencies sent, in that order.
type history []sent

// asOf is the newest batch that replaces a row in the world as it was at a snapshot, and
// whether the row was there at all.
func (h history) asOf(snapshot uint64, of sent, r row) (by uint64, there bool) {
	if of.withdrawn || of.seq > snapshot {
		return 0, false
	}
	for _, s := range h {
		if !s.withdrawn && s.seq <= snapshot && s.replaces(of, r) {
			by = s.seq
		}
	}
	return by, by == 0
}

// randomHistory is originals, corrections of what there is, and withdrawals. Record ids
// are used again by other units and sectors, and in other quarters.
func randomHistory(rng *rand.Rand, batches int) history {
	var h history
	for seq := range uint64(batches) {
		s := sent{
			delivery: delivery{seq: seq + 1, contract: rng.IntN(3), agency: gateway.AgencyID(fmt.Sprint("a", rng.IntN(4)))},
			unit:     rng.IntN(2),
		}
		if rng.IntN(3) == 0 {
			s.first = from - 1 + gateway.Quarter(rng.IntN(6))
			s.last = s.first + gateway.Quarter(rng.IntN(4))
		}
		used := map[int]bool{}
		for _, r := range world(rng, 700, 360) {
			r.record = 1 + rng.IntN(400)
			if r.contract != s.contract || used[r.record] { // DUPLICATE_RECORD
				continue
			}
			used[r.record] = true
			s.rows = append(s.rows, r)
		}
		s.withdrawn = rng.IntN(6) == 0
		h = append(h, s)
	}
	return h
}

// withRecords are the contracts of the world with record ids.
func withRecords(t *testing.T) []*gateway.Contract {
	t.Helper()
	contracts := worldContracts(t)
	for _, c := range contracts {
		c.Fields = append(c.Fields, gateway.Field{Name: "record_id", Type: gateway.TypeIdentifier, Required: true, Column: "record_key"})
	}
	return contracts
}

// deliver stores and publishes the batches, and withdraws those that were.
func (h history) deliver(t *testing.T, w *warehouse.Warehouse, contracts []*gateway.Contract) (order []warehouse.Ordered) {
	t.Helper()
	var all []delivery
	for _, s := range h {
		all = append(all, s.delivery)
	}
	deliver(t, w, contracts, all)
	for _, s := range h {
		if s.withdrawn {
			publish(t, w, warehouse.Marker{
				Seq: 1000 + s.seq, Batch: gateway.BatchID(fmt.Sprint("b", s.seq)), Load: s.load(), Contract: contracts[s.contract].ID, State: gateway.BatchWithdrawn,
			})
			continue
		}
		order = append(order, warehouse.Ordered{Load: s.load(), Seq: s.seq, Unit: s.unit, From: s.first, To: s.last})
	}
	return order
}

// Of random sequences of originals, corrections and withdrawals, whichever quarters are
// closed, every cell of a build counts the world as it was at the snapshot of its
// quarter: each record once, as its newest batch says.
func TestCorrectionsCountOnce(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 77))
			contracts, d := withRecords(t), worldDefinition()
			h := randomHistory(rng, 24)
			w, name := open(t)
			build := warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 24, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 2, Order: h.deliver(t, w, contracts),
			}
			for _, closed := range []map[gateway.Quarter]uint64{nil, closedQuarters} {
				build.Closed = closed
				raw, err := w.Count(t.Context(), build)
				if err != nil {
					t.Fatal(err)
				}
				got := cells{}
				for label := range labels(d) {
					if n, ok := raw.Count(t, label); ok {
						got[label] = n
					}
				}
				compare(t, fmt.Sprint("closed: ", closed != nil), truth(d, h.rows(closed, 24), worldCoverage(), contracts, 2), got)
			}
			noTables(t, name)
		})
	}
}

// rows are those that count when some quarters are closed.
func (h history) rows(closed map[gateway.Quarter]uint64, snapshot uint64) []row {
	var rows []row
	for _, s := range h {
		for _, r := range s.rows {
			at := snapshot
			if c, is := closed[r.quarter]; is {
				at = c
			}
			if _, there := h.asOf(at, s, r); there {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// What corrections change in closed quarters is found as what late records change: by
// the child that a record leaves, and the one that it comes to.
func TestChangesOfCorrectionsAgree(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 78))
			contracts, d := withRecords(t), worldDefinition()
			h := randomHistory(rng, 24)
			w, name := open(t)
			uploaders := map[gateway.LoadID]gateway.AgencyID{}
			for _, s := range h {
				uploaders[s.load()] = s.agency
			}
			changes, err := w.Changes(t.Context(), warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 24, Closed: closedQuarters, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 3, Order: h.deliver(t, w, contracts),
			}, uploaders)
			if err != nil {
				t.Fatal(err)
			}
			want, vanished := h.changes(d, contracts)
			if diff := cmp.Diff(want, sorted(changes.Told(t))); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if vanished == 0 || want[0].Changed == 0 {
				t.Errorf("%d children vanished, %d changed: the history decides nothing", vanished, want[0].Changed)
			}
			noTables(t, name)
		})
	}
}

// changes finds in plain Go which children of closed quarters change with everything
// that came after, and from whose batches.
func (h history) changes(d *gateway.Definition, contracts []*gateway.Contract) (all []disclosure.Change, vanished int) {
	before, now := map[[16]byte][]row{}, map[[16]byte][]row{}
	late := map[[16]byte][]delivery{}
	for _, s := range h {
		for _, r := range s.rows {
			closed, is := closedQuarters[r.quarter]
			if !is || r.pid == [16]byte{} {
				continue
			}
			_, was := h.asOf(closed, s, r)
			by, still := h.asOf(24, s, r)
			if r.region == regions+1 {
				r.region = regions
			}
			if was {
				before[r.pid] = append(before[r.pid], r)
			}
			if still {
				now[r.pid] = append(now[r.pid], r)
			}
			switch {
			case still && !was:
				late[r.pid] = append(late[r.pid], s.delivery)
			case was && !still:
				late[r.pid] = append(late[r.pid], h[by-1].delivery)
			}
		}
	}
	places := map[string]*found{}
	children := map[[16]byte]bool{}
	for pid := range before {
		children[pid] = true
	}
	for pid := range now {
		children[pid] = true
	}
	for pid := range children {
		region, is, old, was := "", "", "", ""
		if len(now[pid]) > 0 {
			region, is = childOf(d, d, now[pid], contracts, true)
		} else {
			vanished++
		}
		if len(before[pid]) > 0 {
			old, was = childOf(d, d, before[pid], contracts, true)
		}
		for _, place := range []string{"", region, old} {
			if places[place] == nil {
				places[place] = newFound()
			}
			places[place].add(pid, was != is, late[pid])
		}
	}
	return changesAt(places), vanished
}
