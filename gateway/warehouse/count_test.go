package warehouse_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A row is a stored row of the small world in which counts are checked.
type row struct {
	contract         int
	pid              [16]byte
	day              gateway.Day
	quarter          gateway.Quarter
	age, sex, region uint8
	harm             uint64
	kind             uint8 // by the contract's own list
	assessed, began  gateway.Day
	record           int // where the contract stores it
}

const (
	regions = 5
	ages    = 3
	harms   = 6
	from    = gateway.Quarter(2024 * 4)
	to      = from + 5
)

// worldContracts are three sectors that store different columns: police harm as
// sets of codes, health one code, social its two dates; police has no age.
func worldContracts(t *testing.T) []*gateway.Contract {
	t.Helper()
	common := []gateway.Field{
		{Name: "child_iin", Type: gateway.TypeIIN, Column: gateway.ColumnPID},
		{Name: "event_date", Type: gateway.TypeDate, Column: gateway.ColumnDay, Event: true},
		{Name: "sex", Type: gateway.TypeCode, List: list(t, "sex", 2), Column: gateway.ColumnSex},
		{Name: "kato", Type: gateway.TypeCode, List: regionList(t), Column: gateway.ColumnRegion},
	}
	age := gateway.Field{Name: "birth", Type: gateway.TypeBirthDate, List: list(t, "age", ages), Column: gateway.ColumnAge}
	harm := gateway.Field{Name: "harm", Type: gateway.TypeCode, List: list(t, "harm", harms), Column: "harm"}
	many := harm
	many.Multi = true
	kind := func(l *gateway.CodeList) gateway.Field {
		return gateway.Field{Name: "kind", Type: gateway.TypeCode, List: l, Column: "kind"}
	}
	return []*gateway.Contract{
		{ID: "police", Version: 1, Fields: slices.Concat(common, []gateway.Field{many, kind(succeeded(t, list(t, "pk", 4), 3, "pk2"))})},
		{ID: "health", Version: 1, Fields: slices.Concat(common, []gateway.Field{age, harm, kind(list(t, "hk", 2))})},
		{ID: "social", Version: 1, Fields: slices.Concat(common, []gateway.Field{
			age, {Name: "assessed", Type: gateway.TypeDate, Column: "assessed"}, {Name: "began", Type: gateway.TypeDate, Column: "began"},
		})},
	}
}

// regionList is five regions, and a sixth that the fifth replaced.
func regionList(t *testing.T) *gateway.CodeList {
	t.Helper()
	return succeeded(t, list(t, "kato", regions+1), regions, "kato5")
}

// succeeded is a list of which another code replaced one.
func succeeded(t *testing.T, from *gateway.CodeList, at int, successor string) *gateway.CodeList {
	t.Helper()
	l := *from
	l.Codes = slices.Clone(l.Codes)
	l.Codes[at].Successor = successor
	made, err := gateway.NewCodeList(l)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func leaves(prefix string, level, n int, parent func(i int) string) []gateway.Node {
	var nodes []gateway.Node
	for i := 1; i <= n; i++ {
		nodes = append(nodes, gateway.Node{Code: fmt.Sprint(prefix, i), Parent: parent(i), Level: level, Number: uint16(i)})
	}
	return nodes
}

func root(int) string { return "" }

func worldDefinition() *gateway.Definition {
	zone := func(i int) string { return fmt.Sprint("z", 1+i/3) }
	group := func(i int) string { return fmt.Sprint("g", 1+i%2) }
	sectors := []gateway.Node{{Code: "social", Number: 1}, {Code: "police", Number: 2}, {Code: "health", Number: 3}}
	var quarters []gateway.Node
	for q := from; q <= to; q++ {
		quarters = append(quarters, gateway.Node{Code: q.String(), Number: uint16(q)})
	}
	return &gateway.Definition{
		Lineage: "test", From: from, To: to, V: 50,
		Dimensions: []gateway.Dimension{
			{
				Name: "region", Kind: gateway.Partition, Levels: []string{"zone", "region"},
				Nodes:  slices.Concat(leaves("z", 0, 2, root), leaves("kato", 1, regions, zone)),
				Source: gateway.Source{Kind: gateway.ChildMost, Column: "region"},
			},
			{
				Name: "age_first", Kind: gateway.Partition, Levels: []string{"band"},
				Nodes: leaves("age", 0, ages, root), Source: gateway.Source{Kind: gateway.ChildFirst, Column: "age"},
			},
			{
				Name: "sex", Kind: gateway.Partition, Levels: []string{"sex"},
				Nodes: leaves("sex", 0, 2, root), Source: gateway.Source{Kind: gateway.ChildConst, Column: "sex"},
			},
			{Name: "first", Kind: gateway.Partition, Levels: []string{"sector"}, Nodes: sectors, Source: gateway.Source{Kind: gateway.FirstSector}},
			{
				Name: "reached", Kind: gateway.Partition, Levels: []string{"status"}, Omitted: "yes",
				Nodes: []gateway.Node{{Code: "no"}, {Code: "yes"}, {Code: "no_start"}, {Code: "cannot_tell"}},
				Source: gateway.Source{
					Kind: gateway.ReachedIn, Start: "police", Days: 30,
					Targets: map[gateway.ContractID][]string{"social": {"assessed", "began"}},
				},
			},
			{Name: "sector", Kind: gateway.Multi, Levels: []string{"sector"}, Nodes: sectors, Source: gateway.Source{Kind: gateway.EventSector}},
			{Name: "quarter", Kind: gateway.Multi, Levels: []string{"quarter"}, Nodes: quarters, Source: gateway.Source{Kind: gateway.EventQuarter}},
			{
				Name: "place", Kind: gateway.Multi, Levels: []string{"zone", "region"},
				Nodes:  slices.Concat(leaves("z", 0, 2, root), leaves("kato", 1, regions, zone)),
				Source: gateway.Source{Kind: gateway.EventColumn, Column: "region"},
			},
			{
				Name: "harm", Kind: gateway.Multi, Levels: []string{"group", "harm"},
				Nodes:  slices.Concat(leaves("g", 0, 2, root), leaves("harm", 1, harms, group)),
				Source: gateway.Source{Kind: gateway.EventColumn, Column: "harm"},
			},
			{
				Name: "year", Kind: gateway.Multi, Levels: []string{"year"}, Source: gateway.Source{Kind: gateway.EventYear},
				Nodes: []gateway.Node{{Code: "2025", Number: 2025}, {Code: "2024", Number: 2024}},
			},
			{
				Name: "kind", Kind: gateway.Multi, Levels: []string{"kind"}, Source: gateway.Source{Kind: gateway.EventSectorCode, Column: "kind"},
				Nodes: []gateway.Node{
					{Code: "health.hk2"}, {Code: "police.pk1"}, {Code: "police.pk2"}, {Code: "health.hk1"}, {Code: "police.hk1"}, {Code: "court.pk1"},
				},
			},
			{
				Name: "count", Kind: gateway.Partition, Levels: []string{"count"}, Source: gateway.Source{Kind: gateway.SectorCount},
				Nodes: []gateway.Node{{Code: "1", Number: 1}, {Code: "2+", Number: 2}},
			},
			{
				Name: "pair", Kind: gateway.Multi, Levels: []string{"pair"}, Source: gateway.Source{Kind: gateway.SectorPair},
				Nodes: []gateway.Node{{Code: "police+social"}, {Code: "court+police"}, {Code: "health+police"}, {Code: "health+social"}},
			},
		},
		Cubes: []gateway.Cube{
			{
				ID: "pathways", Grain: gateway.Children, Cap: 4, Measures: []gateway.Measure{gateway.CountChildren},
				Dimensions: []string{"region", "age_first", "sex", "first", "reached", "sector"}, Apart: [][]string{{"sector", "first"}, {"sector", "reached"}},
			},
			{
				ID: "volume", Grain: gateway.Events, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
				Dimensions: []string{"sector", "quarter", "place", "sex", "harm"},
			},
			{
				ID: "overlap", Grain: gateway.Children, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren},
				Dimensions: []string{"count", "region", "age_first", "sex", "pair"}, Caps: map[string]int{"pair": 2},
			},
			{
				ID: "harm", Grain: gateway.Events, Cap: 2, Measures: []gateway.Measure{gateway.CountChildren},
				Dimensions: []string{"sector", "harm", "year", "place", "kind", "sex"},
			},
			{
				ID: "mixed", Grain: gateway.Events, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
				Dimensions: []string{"pair", "count", "harm", "kind", "year"},
			},
		},
	}
}

// world makes random rows of a few children, rough enough that every rule about
// ties, empty cells and missing days decides something.
func world(rng *rand.Rand, children, rows int) []row {
	var all []row
	for range rows {
		child := rng.IntN(children)
		r := row{
			contract: rng.IntN(3), day: gateway.Day(20000 + rng.IntN(40)*10), quarter: from - 1 + gateway.Quarter(rng.IntN(8)),
			age: uint8(rng.IntN(ages + 1)), sex: uint8(1 + child%2), region: uint8(1 + (child+rng.IntN(2)*rng.IntN(3))%regions),
			assessed: gateway.NoDay, began: gateway.NoDay,
		}
		r.pid[0], r.pid[9], r.pid[15] = byte(child), byte(child>>8), 1
		switch rng.IntN(20) {
		case 0:
			r.sex = 0
		case 1:
			r.sex = 3 - r.sex
		case 2:
			r.region = 0
		case 3:
			r.region = regions + 1 // replaced by 5
		case 4:
			r.pid = [16]byte{}
		case 5:
			r.day = gateway.NoDay
		}
		switch r.contract {
		case 0:
			r.age, r.harm, r.kind = 0, uint64(rng.IntN(1<<harms)), uint8(rng.IntN(5))
		case 1:
			r.harm, r.kind = uint64(rng.IntN(harms+1)), uint8(rng.IntN(3))
		case 2:
			r.assessed, r.began = someDay(rng), someDay(rng)
		}
		all = append(all, r)
	}
	return all
}

func someDay(rng *rand.Rand) gateway.Day {
	if rng.IntN(2) == 0 {
		return gateway.NoDay
	}
	return gateway.Day(20000 + rng.IntN(40)*10)
}

// store loads the rows of each contract in two batches and publishes them, beside
// batches that must not count: never published, withdrawn, after the snapshot.
func store(t *testing.T, w *warehouse.Warehouse, contracts []*gateway.Contract, rows, noise []row) {
	t.Helper()
	prepare(t, w, contracts...)
	seq := uint64(0)
	for i, c := range contracts {
		put := func(load_ gateway.LoadID, rows []row, mark func(m warehouse.Marker)) {
			load(t, w, c, load_, blockOf(c, i, rows))
			seq++
			mark(warehouse.Marker{Seq: seq, Batch: gateway.BatchID(fmt.Sprint(load_)), Load: load_, Contract: c.ID, State: gateway.BatchPublished})
		}
		shown := func(m warehouse.Marker) { publish(t, w, m) }
		base := gateway.LoadID(i * 10)
		put(base+1, rows[:len(rows)/3], shown)
		put(base+2, rows[len(rows)/3:], shown)
		put(base+3, noise, func(warehouse.Marker) {})
		put(base+4, noise, func(m warehouse.Marker) {
			publish(t, w, m)
			seq++
			m.Seq, m.State = seq, gateway.BatchWithdrawn
			publish(t, w, m)
		})
		put(base+5, noise, func(m warehouse.Marker) {
			m.Seq += 1000
			publish(t, w, m)
		})
	}
}

// blockOf holds the rows of one contract.
func blockOf(c *gateway.Contract, contract int, rows []row) *gateway.Block {
	b := gateway.NewBlock(c.Layout())
	n := 0
	for _, r := range rows {
		if r.contract != contract {
			continue
		}
		for i, column := range b.Layout {
			switch column.Name {
			case "pid":
				b.IDs(i)[n] = r.pid
			case "record_key":
				b.IDs(i)[n] = [16]byte{byte(r.record), byte(r.record >> 8), 9}
			case "quarter":
				b.Uint16s(i)[n] = uint16(r.quarter)
			case "day":
				b.Int32s(i)[n] = int32(r.day)
			case "age":
				b.Uint8s(i)[n] = r.age
			case "kind":
				b.Uint8s(i)[n] = r.kind
			case "sex":
				b.Uint8s(i)[n] = r.sex
			case "region":
				b.Uint8s(i)[n] = r.region
			case "assessed":
				b.Int32s(i)[n] = int32(r.assessed)
			case "began":
				b.Int32s(i)[n] = int32(r.began)
			case "cost", "score":
				b.Int32s(i)[n] = r.number(column.Name)
			case "harm":
				if column.Type == gateway.Uint64 {
					b.Uint64s(i)[n] = r.harm
				} else {
					b.Uint8s(i)[n] = uint8(r.harm)
				}
			}
		}
		n++
	}
	b.SetRows(n)
	return b
}

// worldCoverage: social has not reported the last quarters of region 2, police
// none of region 3.
func worldCoverage() *gateway.Coverage {
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for _, sector := range []gateway.ContractID{"police", "health", "social"} {
		full[sector] = map[string][]gateway.Quarter{}
		for r := 1; r <= regions; r++ {
			for q := from; q <= to; q++ {
				if sector == "social" && r == 2 && q > from+3 || sector == "police" && r == 3 {
					continue
				}
				full[sector][fmt.Sprint("kato", r)] = append(full[sector][fmt.Sprint("kato", r)], q)
			}
		}
	}
	return &gateway.Coverage{Full: full}
}

func subjectKey(pid [16]byte) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range pid {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h ^ h>>29*0x9E3779B97F4A7C15
}

type cells map[string]disclosure.Count

func (c cells) add(set gateway.GroupingSet, nodes []string, n disclosure.Count) error {
	label := set.Label(nodes)
	if _, doubled := c[label]; doubled {
		return fmt.Errorf("cell %s came twice", label)
	}
	c[label] = n
	return nil
}

func TestCountsAgree(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			rows := world(rng, 150, 1500)
			contracts, d := worldContracts(t), worldDefinition()
			if seed == 2 { // events in words of 64 bits
				for i := range 3 {
					pad := d.Dimensions[7+i]
					pad.Name, pad.Levels, pad.Nodes = fmt.Sprint("pad", i), []string{"x"}, leaves("pad", 0, 5000, root)
					d.Dimensions = slices.Insert(d.Dimensions, i, pad)
				}
			}
			w, name := open(t)
			store(t, w, contracts, rows, world(rng, 150, 100))
			calls := 0
			b := warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 3, Progress: func(int, int) { calls++ },
			}
			want := truth(d, rows, worldCoverage(), contracts, 3)
			nested := cells{}
			if err := w.CountNested(t.Context(), b, nested.add); err != nil {
				t.Fatal(err)
			}
			compare(t, "nested", want, nested)
			masks := cells{}
			if err := w.CountMasks(t.Context(), b, masks.add); err != nil {
				t.Fatal(err)
			}
			compare(t, "masks", withoutRecords(want), masks)
			got := cells{}
			raw, err := w.Count(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			for label := range labels(d) {
				if n, ok := raw.Count(t, label); ok {
					got[label] = n
				}
			}
			compare(t, "Count", want, got)
			if calls == 0 {
				t.Error("no progress was told")
			}
			noTables(t, name)
		})
	}
}

// withoutRecords are the cells as far as agreement masks count them.
func withoutRecords(all cells) cells {
	some := cells{}
	for label, n := range all {
		n.Records, n.Top = 0, nil
		some[label] = n
	}
	return some
}

func compare(t *testing.T, what string, want, got cells) {
	t.Helper()
	wrong := 0
	for _, label := range slices.Sorted(maps.Keys(want)) {
		if diff := cmp.Diff(want[label], got[label]); diff != "" {
			if wrong++; wrong < 6 {
				t.Errorf("%s: cell %q (-want +got):\n%s", what, label, diff)
			}
		}
	}
	for label := range got {
		if _, ok := want[label]; !ok {
			wrong++
			t.Errorf("%s: cell %q should be empty", what, label)
		}
	}
	t.Logf("%s: %d of %d cells wrong", what, wrong, len(want))
}

// labels yields the label of every nominal cell.
func labels(d *gateway.Definition) map[string]bool {
	all := map[string]bool{}
	for _, a := range d.AdmittedSets() {
		nodes := [][]string{nil}
		for _, sd := range a.Set {
			var longer [][]string
			for _, n := range nodes {
				for _, node := range d.Dimension(sd.Name).AtLevel(sd.Level) {
					longer = append(longer, append(slices.Clone(n), node.Code))
				}
			}
			nodes = longer
		}
		for _, n := range nodes {
			all[a.Set.Label(n)] = true
		}
	}
	return all
}

func noTables(t *testing.T, name string) {
	t.Helper()
	var n uint64
	err := as(t, warehouse.Builder).QueryRow(t.Context(), "SELECT count() FROM system.tables WHERE database = 'build_"+name+"'").Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d tables of the build are left: %v", n, err)
	}
}
