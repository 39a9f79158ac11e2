package warehouse_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A delivery is a batch of a contract's rows.
type delivery struct {
	seq      uint64
	contract int
	agency   gateway.AgencyID
	rows     []row
}

func (d delivery) load() gateway.LoadID { return gateway.LoadID(d.seq) * 7919 }

// deliver stores and publishes batches.
func deliver(t *testing.T, w *warehouse.Warehouse, contracts []*gateway.Contract, all []delivery) {
	t.Helper()
	prepare(t, w, contracts...)
	for _, d := range all {
		c := contracts[d.contract]
		load(t, w, c, d.load(), blockOf(c, d.contract, d.rows))
		publish(t, w, warehouse.Marker{
			Seq: d.seq, Batch: gateway.BatchID(fmt.Sprint("b", d.seq)), Load: d.load(), Contract: c.ID, State: gateway.BatchPublished,
		})
	}
}

// deliveries splits a world into batches of its sectors: of every row the first ones
// have most, late ones a few. Agency a1 sends two batches of each sector.
func deliveries(rng *rand.Rand, rows []row) []delivery {
	all := []delivery{}
	for seq := range uint64(24) {
		all = append(all, delivery{seq: seq + 1, contract: int(seq) % 3, agency: gateway.AgencyID(fmt.Sprint("a", seq/6))})
	}
	for _, r := range rows {
		at := r.contract + 3*rng.IntN(3)
		if rng.IntN(12) == 0 {
			at = r.contract + 3*rng.IntN(8)
		}
		all[at].rows = append(all[at].rows, r)
	}
	return all
}

// The first three quarters were closed when 12 batches were there, the fourth when 16
// were; the last two are open.
var closedQuarters = map[gateway.Quarter]uint64{from: 12, from + 1: 12, from + 2: 12, from + 3: 16}

// counts reports whether a row counted in a closed quarter.
func (d delivery) counts(r row) bool {
	snapshot, closed := closedQuarters[r.quarter]
	return closed && d.seq <= snapshot
}

// A build counts, in closed quarters, what was there when they closed, and in the
// others everything.
func TestCountOfClosedQuarters(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 9))
	contracts, d := worldContracts(t), worldDefinition()
	all := deliveries(rng, world(rng, 150, 1500))
	w, name := open(t)
	deliver(t, w, contracts, all)
	var rows []row
	for _, b := range all {
		for _, r := range b.rows {
			if _, closed := closedQuarters[r.quarter]; b.counts(r) || !closed {
				rows = append(rows, r)
			}
		}
	}
	raw, err := w.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "test-1", Snapshot: 100, Closed: closedQuarters, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: worldCoverage(), RecordCap: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := cells{}
	for label := range labels(d) {
		if n, ok := raw.Count(t, label); ok {
			got[label] = n
		}
	}
	compare(t, "Count", truth(d, rows, worldCoverage(), contracts, 2), got)
	noTables(t, name)
}

// Of each region the changes are those that plain Go finds: which children are another
// child to some cube, and in which batches and of which agencies their late rows are.
func TestChangesAgree(t *testing.T) {
	for _, c := range []struct {
		name    string
		records bool
		voted   bool // regions are those of events alone
		rows    int
	}{
		{"records", true, false, 1500},
		{"few", true, false, 300},
		{"distinct", false, false, 1500},
		{"regions of events", true, true, 1500},
		{"values", false, false, 1501},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(c.rows), 4))
			contracts, d := worldContracts(t), worldDefinition()
			if c.name == "values" {
				contracts, d = numbered(t), withValues()
			}
			if !c.records {
				for i := range d.Cubes {
					d.Cubes[i].Measures = []gateway.Measure{gateway.CountChildren}
				}
			}
			whole := d
			if c.voted {
				d = withoutRegion(d)
			}
			all := deliveries(rng, world(rng, 150, c.rows))
			for i := range 12 { // the same records again
				all[12+i].rows = append(all[12+i].rows, all[i].rows[:len(all[i].rows)/8]...)
			}
			w, name := open(t)
			deliver(t, w, contracts, all)
			uploaders := map[gateway.LoadID]gateway.AgencyID{}
			for _, b := range all {
				uploaders[b.load()] = b.agency
			}
			build := warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 100, Closed: closedQuarters, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 3,
			}
			changes, err := w.Changes(t.Context(), build, uploaders)
			if err != nil {
				t.Fatal(err)
			}
			want, got := changesOf(t, d, whole, all, contracts, c.records), sorted(changes.Told(t))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if len(want) != regions+1 || want[0].Changed == 0 || want[0].Changed == want[0].Children {
				t.Errorf("the world decides nothing: %+v", want)
			}
			noTables(t, name)
			delete(uploaders, all[20].load())
			_, err = w.Changes(t.Context(), build, uploaders)
			if err == nil {
				t.Error("rows of an unknown agency were compared")
			}
		})
	}
}

// withoutRegion is the definition without the region of children.
func withoutRegion(d *gateway.Definition) *gateway.Definition {
	w := *d
	w.Dimensions = slices.DeleteFunc(slices.Clone(d.Dimensions), func(x gateway.Dimension) bool { return x.Name == "region" })
	w.Cubes = slices.Clone(d.Cubes)
	for i := range w.Cubes {
		w.Cubes[i].Dimensions = slices.DeleteFunc(slices.Clone(w.Cubes[i].Dimensions), func(name string) bool { return name == "region" })
	}
	return &w
}

func sorted(all []disclosure.Change) []disclosure.Change {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b disclosure.Change) int { return strings.Compare(a.Region, b.Region) })
	for i := range all {
		slices.Sort(all[i].Batches)
		slices.Sort(all[i].Uploaders)
	}
	return all
}

// A found is what was found of one region.
type found struct {
	children, changed map[[16]byte]bool
	batches           map[uint64]map[[16]byte]bool
	agencies          map[gateway.AgencyID]map[[16]byte]bool
	sectors           map[int]bool
}

// changesOf finds the changes in plain Go.
func changesOf(t *testing.T, d, whole *gateway.Definition, all []delivery, contracts []*gateway.Contract, records bool) []disclosure.Change {
	t.Helper()
	before, now := map[[16]byte][]row{}, map[[16]byte][]row{}
	late := map[[16]byte][]delivery{}
	for _, b := range all {
		for _, r := range b.rows {
			if _, closed := closedQuarters[r.quarter]; !closed || r.pid == [16]byte{} {
				continue
			}
			if r.region == regions+1 {
				r.region = regions
			}
			now[r.pid] = append(now[r.pid], r)
			if b.counts(r) {
				before[r.pid] = append(before[r.pid], r)
			} else {
				late[r.pid] = append(late[r.pid], b)
			}
		}
	}
	places := map[string]*found{}
	for pid, events := range now {
		region, is := childOf(d, whole, events, contracts, records)
		old, was := "", ""
		if len(before[pid]) > 0 {
			old, was = childOf(d, whole, before[pid], contracts, records)
		}
		for _, place := range []string{"", region, old} {
			if places[place] == nil {
				places[place] = newFound()
			}
			places[place].add(pid, was != is, late[pid])
		}
	}
	return changesAt(places)
}

func newFound() *found {
	return &found{map[[16]byte]bool{}, map[[16]byte]bool{}, map[uint64]map[[16]byte]bool{}, map[gateway.AgencyID]map[[16]byte]bool{}, map[int]bool{}}
}

// add notes a child of the region, and what changed it.
func (f *found) add(pid [16]byte, changed bool, late []delivery) {
	f.children[pid] = true
	if !changed {
		return
	}
	f.changed[pid] = true
	for _, b := range late {
		mark(f.batches, b.seq, pid)
		mark(f.agencies, b.agency, pid)
		f.sectors[b.contract] = true
	}
}

func changesAt(places map[string]*found) []disclosure.Change {
	var changes []disclosure.Change
	for place, f := range places {
		n := disclosure.Change{Region: place, Children: uint64(len(f.children)), Changed: uint64(len(f.changed)), Sectors: len(f.sectors)}
		for _, of := range f.batches {
			n.Batches = append(n.Batches, uint64(len(of)))
		}
		for _, of := range f.agencies {
			n.Uploaders = append(n.Uploaders, uint64(len(of)))
		}
		changes = append(changes, n)
	}
	return sorted(changes)
}

func mark[K comparable](of map[K]map[[16]byte]bool, key K, pid [16]byte) {
	if of[key] == nil {
		of[key] = map[[16]byte]bool{}
	}
	of[key][pid] = true
}

// childOf is a child's region and all that cubes see of it, as a text.
func childOf(d, whole *gateway.Definition, events []row, contracts []*gateway.Contract, records bool) (region, is string) {
	attributes := attributesOf(events, worldCoverage(), contracts)
	var seen, numbers []string
	for _, r := range events {
		var codes []string
		for _, dim := range d.Dimensions {
			switch dim.Name {
			case "sector", "quarter", "place", "harm", "year", "kind":
				nodes := slices.DeleteFunc(leavesOf(dim.Name, attributes, r, contracts), func(code string) bool { return dim.Node(code) == nil })
				sort.Strings(nodes)
				codes = append(codes, fmt.Sprint(dim.Name, nodes))
			}
		}
		seen = append(seen, strings.Join(codes, " "))
		if len(d.Values) > 0 && r.contract < 2 { // whatever is added up, the same event twice counts twice
			numbers = append(numbers, strings.Join(codes, " ")+" "+numbersOf(r))
		}
	}
	sort.Strings(seen)
	if !records {
		seen = slices.Compact(seen)
	}
	sort.Strings(numbers)
	seen = append(seen, numbers...)
	var codes []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		dim := d.Dimension(name)
		if code := attributes[name]; dim != nil && (name == "pair" || dim.Node(code) != nil) {
			codes = append(codes, name+"="+code)
		}
	}
	if dim := whole.Dimension("region"); dim.Node(attributes["region"]) != nil {
		region = strings.TrimPrefix(attributes["region"], "kato")
	}
	return region, strings.Join(append(codes, seen...), "\n")
}

// numbersOf is what the values of withValues see of an event: numbers as far as the
// clamps, and of the police the latest.
func numbersOf(r row) string {
	cost, score := r.number("cost"), r.number("score")
	if r.contract == 0 {
		return fmt.Sprint(min(cost, 60), min(score, 30), r.day, r.quarter)
	}
	return fmt.Sprint(cost, score)
}

// What a comparison is not asked to do it refuses.
func TestChangesRefuse(t *testing.T) {
	w, _ := open(t)
	contracts := worldContracts(t)
	prepare(t, w, contracts...)
	for name, closed := range map[string]map[gateway.Quarter]uint64{
		"nothing closed": nil, "outside the window": {to + 1: 3}, "later than the build": {from: 101},
	} {
		_, err := w.Changes(t.Context(), warehouse.Build{
			Definition: worldDefinition(), Release: "test-1", Snapshot: 100, Closed: closed, Contracts: contracts, SubjectKey: subjectKey,
			Coverage: worldCoverage(), RecordCap: 3,
		}, nil)
		if err == nil {
			t.Errorf("%s: compared", name)
		}
	}
}
