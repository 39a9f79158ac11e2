package warehouse_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// loadsEach is in how many loads each contract of the world comes.
const loadsEach = 5

// storeLoads spreads the rows over loads: row i of the world is in load i%5 of its
// contract.
func storeLoads(t *testing.T, w *warehouse.Warehouse, contracts []*gateway.Contract, rows []row) {
	t.Helper()
	prepare(t, w, contracts...)
	for i, c := range contracts {
		for part := range loadsEach {
			var some []row
			for at := part; at < len(rows); at += loadsEach {
				some = append(some, rows[at])
			}
			id := worldLoad(i, part)
			load(t, w, c, id, blockOf(c, i, some))
			publish(t, w, warehouse.Marker{
				Seq: uint64(id), Batch: gateway.BatchID(fmt.Sprint(id)), Load: id, Contract: c.ID, State: gateway.BatchPublished,
			})
		}
	}
}

func worldLoad(contract, part int) gateway.LoadID { return gateway.LoadID(10*contract + part + 1) }

// A source is who sent a record, for the truth: a unit, or all contracts without.
type source struct {
	unit     int
	declared bool
}

// unitTruth counts units in plain Go: of every cell, the sources that have records in
// it, and the children of the largest unit.
func unitTruth(d *gateway.Definition, rows []row, coverage *gateway.Coverage, contracts []*gateway.Contract, units map[gateway.LoadID]int) map[string][2]uint64 {
	type event struct {
		row
		source
	}
	byChild := map[[16]byte][]event{}
	for i, r := range rows {
		if r.region == regions+1 {
			r.region = regions
		}
		if r.pid != [16]byte{} && r.quarter >= from && r.quarter <= to {
			e := event{r, source{declared: contracts[r.contract].Unit}}
			if e.declared {
				e.unit = units[worldLoad(r.contract, i%loadsEach)]
			}
			byChild[r.pid] = append(byChild[r.pid], e)
		}
	}
	in := map[string]map[source]map[[16]byte]bool{}
	for pid, events := range byChild {
		var plain []row
		for _, e := range events {
			plain = append(plain, e.row)
		}
		attributes := attributesOf(plain, coverage, contracts)
		for _, a := range d.AdmittedSets() {
			for _, e := range events {
				for _, label := range labelsOf(d, a.Set, attributes, e.row, contracts) {
					if in[label] == nil {
						in[label] = map[source]map[[16]byte]bool{}
					}
					if in[label][e.source] == nil {
						in[label][e.source] = map[[16]byte]bool{}
					}
					in[label][e.source][pid] = true
				}
			}
		}
	}
	found := map[string][2]uint64{}
	for label, sources := range in {
		n := [2]uint64{uint64(len(sources)), 0}
		for s, children := range sources {
			if s.declared {
				n[1] = max(n[1], uint64(len(children)))
			}
		}
		found[label] = n
	}
	return found
}

// Units are counted as plain Go counts them, in every cell: those of two contracts that
// declare them, one of which shares a number with the other's and one of which has a
// load without a unit, beside a contract that declares none. All other numbers are those
// of a build without units.
func TestUnitsAgree(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 77))
			rows := world(rng, 120, 700)
			contracts, d := worldContracts(t), worldDefinition()
			contracts[0].Unit, contracts[1].Unit = true, true
			units := map[gateway.LoadID]int{
				worldLoad(0, 0): 4, worldLoad(0, 1): 4, worldLoad(0, 2): 900, worldLoad(0, 3): 31, worldLoad(0, 4): 2,
				worldLoad(1, 0): 5, worldLoad(1, 1): 4, worldLoad(1, 2): 0, worldLoad(1, 3): 6, // the last is not told: none
			}
			w, name := open(t)
			storeLoads(t, w, contracts, rows)
			want, numbers := truth(d, rows, worldCoverage(), contracts, 3), unitTruth(d, rows, worldCoverage(), contracts, units)
			alone, top := 0, 0
			for label, n := range want {
				n.Units, n.TopUnit = numbers[label][0], numbers[label][1]
				want[label] = n
				if n.Units == 1 {
					alone++
				}
				if n.TopUnit > 0 && n.TopUnit < n.Children {
					top++
				}
			}
			raw, err := w.Count(t.Context(), warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 3, Units: units,
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
			compare(t, "with units", want, got)
			if alone == 0 || top == 0 {
				t.Errorf("%d cells of one unit, %d of several: the test proves nothing", alone, top)
			}
			noTables(t, name)
		})
	}
}

// Where no contract declares units, what is told of loads changes nothing.
func TestUndeclaredUnits(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 77))
	rows := world(rng, 60, 300)
	contracts, d := worldContracts(t), worldDefinition()
	w, _ := open(t)
	storeLoads(t, w, contracts, rows)
	raw, err := w.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: worldCoverage(), RecordCap: 3, Units: map[gateway.LoadID]int{worldLoad(0, 0): 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for label := range labels(d) {
		n, ok := raw.Count(t, label)
		if ok {
			counted++
		}
		if n.Units != 0 || n.TopUnit != 0 {
			t.Fatalf("cell %q counts units that nobody declares: %+v", label, n)
		}
	}
	if counted == 0 {
		t.Error("nothing was counted")
	}
}
