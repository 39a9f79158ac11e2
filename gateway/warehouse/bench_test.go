package warehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// The size of the benchmarks' data: the published measurements used 5,000,000
// events of 1,054,192 children.
const (
	benchEvents   = 1_000_000
	benchChildren = 210_000
)

// benchWorld has the columns and dimensions of the demonstration's cubes.
func benchWorld(b *testing.B, w *warehouse.Warehouse, name string) warehouse.Build {
	b.Helper()
	contracts := []*gateway.Contract{}
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	var sectors, quarters []gateway.Node
	for i, id := range []gateway.ContractID{"police", "health", "education", "social", "justice", "helpline"} {
		c := &gateway.Contract{ID: id, Version: 1, Fields: []gateway.Field{
			{Name: "child_iin", Type: gateway.TypeIIN, Column: gateway.ColumnPID},
			{Name: "event_date", Type: gateway.TypeDate, Column: gateway.ColumnDay, Event: true},
			{Name: "birth", Type: gateway.TypeBirthDate, List: list(b, "age", 4), Column: gateway.ColumnAge},
			{Name: "sex", Type: gateway.TypeCode, List: list(b, "sex", 2), Column: gateway.ColumnSex},
			{Name: "kato", Type: gateway.TypeCode, List: list(b, "kato", 20), Column: gateway.ColumnRegion},
			{Name: "assessed", Type: gateway.TypeDate, Column: "assessed"},
		}}
		contracts = append(contracts, c)
		sectors = append(sectors, gateway.Node{Code: string(id), Number: uint16(i + 1)})
		full[id] = map[string][]gateway.Quarter{}
		for r := 1; r <= 20; r++ {
			for q := from; q < from+12; q++ {
				full[id][fmt.Sprint("kato", r)] = append(full[id][fmt.Sprint("kato", r)], q)
			}
		}
	}
	for q := from; q < from+12; q++ {
		quarters = append(quarters, gateway.Node{Code: q.String(), Number: uint16(q)})
	}
	if err := w.Prepare(b.Context(), contracts); err != nil {
		b.Fatal(err)
	}
	for i, c := range contracts {
		fillBench(b, w, name, c, i+1, from, ", assessed", fmt.Sprintf("if(%d = 4, 20000 + intHash32(e * 13) %% 1000 + 20, -2147483648)", i+1))
	}
	flat := func(name string, kind gateway.DimensionKind, nodes []gateway.Node, source gateway.Source) gateway.Dimension {
		return gateway.Dimension{Name: name, Kind: kind, Levels: []string{name}, Nodes: nodes, Source: source}
	}
	d := &gateway.Definition{
		Lineage: "bench", From: from, To: from + 11, V: 50,
		Dimensions: []gateway.Dimension{
			flat("region", gateway.Partition, leaves("kato", 0, 20, root), gateway.Source{Kind: gateway.ChildMost, Column: "region"}),
			flat("age_first", gateway.Partition, leaves("age", 0, 4, root), gateway.Source{Kind: gateway.ChildFirst, Column: "age"}),
			flat("sex", gateway.Partition, leaves("sex", 0, 2, root), gateway.Source{Kind: gateway.ChildConst, Column: "sex"}),
			flat("first_sector", gateway.Partition, sectors, gateway.Source{Kind: gateway.FirstSector}),
			flat("reached", gateway.Partition, []gateway.Node{{Code: "yes"}, {Code: "no"}, {Code: "cannot_tell"}, {Code: "no_start"}},
				gateway.Source{Kind: gateway.ReachedIn, Start: "police", Days: 30, Targets: map[gateway.ContractID][]string{"social": {"assessed"}}}),
			flat("sector", gateway.Multi, sectors, gateway.Source{Kind: gateway.EventSector}),
			flat("quarter", gateway.Multi, quarters, gateway.Source{Kind: gateway.EventQuarter}),
			flat("event_region", gateway.Multi, leaves("kato", 0, 20, root), gateway.Source{Kind: gateway.EventColumn, Column: "region"}),
			flat("event_age", gateway.Multi, leaves("age", 0, 4, root), gateway.Source{Kind: gateway.EventColumn, Column: "age"}),
		},
		Cubes: []gateway.Cube{
			{
				ID: "pathways", Grain: gateway.Children, Cap: 4, Measures: []gateway.Measure{gateway.CountChildren},
				Dimensions: []string{"region", "age_first", "sex", "first_sector", "reached", "sector"}, Apart: [][]string{{"sector", "first_sector"}, {"sector", "reached"}},
			},
			{
				ID: "volume", Grain: gateway.Events, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
				Dimensions: []string{"sector", "quarter", "event_region", "event_age", "sex"},
			},
		},
	}
	return warehouse.Build{
		Definition: d, Release: "bench-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: &gateway.Coverage{Full: full}, RecordCap: 20,
	}
}

// fillBench makes and publishes one contract's share of the events.
func fillBench(b *testing.B, w *warehouse.Warehouse, name string, c *gateway.Contract, sector int, first gateway.Quarter, columns, values string) {
	b.Helper()
	err := as(b, warehouse.Loader).Exec(b.Context(), fmt.Sprintf(`INSERT INTO rows_%s.%s (load_id, pid, rnd, chk, quarter, day, age, sex, region%s)
		SELECT %d, unhex(hex(sipHash128(child))), rand64(), rand64(), %d + intHash32(e * 11) %% 12, 20000 + intHash32(e * 13) %% 1000,
		1 + intHash32(child + 2) %% 4, 1 + intHash32(child + 3) %% 2,
		if(e %% 10 = 0, 1 + intHash32(e) %% 20, 1 + intHash32(child + 1) %% 20), %s
		FROM (SELECT number AS e, toUInt32(intHash64(number + %[4]d * 100000000) %% %[7]d) AS child FROM numbers(%[8]d))`,
		name, c.ID, columns, sector, first, values, benchChildren, benchEvents/6))
	if err == nil {
		err = w.Publish(b.Context(), warehouse.Marker{
			Seq: uint64(sector), Batch: gateway.BatchID(c.ID), Load: gateway.LoadID(sector), Contract: c.ID, State: gateway.BatchPublished,
		})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// nationalWorld has the same events, with types, settings and one or two types of
// violence in two of three, for the national definition.
func nationalWorld(b *testing.B, w *warehouse.Warehouse, name string) warehouse.Build {
	b.Helper()
	contracts, err := configs.Contracts()
	if err != nil {
		b.Fatal(err)
	}
	d, err := configs.Definition("national")
	if err != nil {
		b.Fatal(err)
	}
	if err = w.Prepare(b.Context(), contracts); err != nil {
		b.Fatal(err)
	}
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for i, c := range contracts {
		full[c.ID] = map[string][]gateway.Quarter{}
		for _, region := range d.Dimension("region").Nodes {
			for q := d.From; q <= d.To; q++ {
				full[c.ID][region.Code] = append(full[c.ID][region.Code], q)
			}
		}
		columns := ", event_type, setting, violence_type"
		values := `1 + intHash32(e * 17) % 5, intHash32(e * 19) % 9,
			if(e % 3 = 0, 0, bitOr(bitShiftLeft(toUInt64(1), intHash32(e * 23) % 6), bitShiftLeft(toUInt64(1), intHash32(e * 29) % 6)))`
		if c.ID == "social" {
			columns += ", assessment_date, service_start_date"
			values += ", 20000 + intHash32(e * 13) % 1000 + 20, -2147483648"
		}
		fillBench(b, w, name, c, i+1, d.From, columns, values)
	}
	return warehouse.Build{
		Definition: d, Release: "bench-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: &gateway.Coverage{Full: full}, RecordCap: 20,
	}
}

// BenchmarkCount compares a release build with one nested GROUP BY a grouping
// set, on the same data and with the same cells.
func BenchmarkCount(b *testing.B) {
	for name, world := range map[string]func(*testing.B, *warehouse.Warehouse, string) warehouse.Build{
		"demo": benchWorld, "national": nationalWorld,
	} {
		b.Run(name, func(b *testing.B) {
			w, name := open(b)
			benchCount(b, w, world(b, w, name))
		})
	}
}

func benchCount(b *testing.B, w *warehouse.Warehouse, build warehouse.Build) {
	b.Helper()
	for b.Loop() {
		got, want := cells{}, cells{}
		derive, count, err := w.TimedCount(b.Context(), build, got.add)
		if err != nil {
			b.Fatal(err)
		}
		nested := timed(b, func(ctx context.Context) error { return w.CountNested(ctx, build, want.add) })
		for label := range want {
			if fmt.Sprint(want[label]) != fmt.Sprint(got[label]) {
				b.Fatalf("cell %s: %v, nested %v", label, got[label], want[label])
			}
		}
		b.ReportMetric(float64(len(want)), "cells")
		b.ReportMetric(float64(len(build.Definition.AdmittedSets())), "sets")
		b.ReportMetric(derive.Seconds(), "derive-s")
		b.ReportMetric(count.Seconds(), "count-s")
		b.ReportMetric(nested.Seconds()-derive.Seconds(), "nested-s")
		b.ReportMetric(nested.Seconds()/(derive+count).Seconds(), "x-nested")
	}
}

func timed(b *testing.B, f func(context.Context) error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := f(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkLoad stores ten blocks a load, verified.
func BenchmarkLoad(b *testing.B) {
	w, _ := open(b)
	c := contract(b, "police")
	if err := w.Prepare(b.Context(), []*gateway.Contract{c}); err != nil {
		b.Fatal(err)
	}
	block := fill(rand.New(rand.NewPCG(1, 1)), c, gateway.BlockRows)
	id := gateway.LoadID(0)
	for b.Loop() {
		id++
		l, err := w.NewLoad(b.Context(), c, id)
		if err != nil {
			b.Fatal(err)
		}
		for range 10 {
			if err := l.Append(b.Context(), block); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := l.Finish(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10*gateway.BlockRows/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkChanges compares all quarters of the demonstration's world with what they
// counted before the last of six sectors sent its share.
func BenchmarkChanges(b *testing.B) {
	w, name := open(b)
	build := benchWorld(b, w, name)
	build.Closed = map[gateway.Quarter]uint64{}
	for q := build.Definition.From; q <= build.Definition.To; q++ {
		build.Closed[q] = 5
	}
	for b.Loop() {
		_, err := w.Changes(b.Context(), build, map[gateway.LoadID]gateway.AgencyID{6: "helpline"})
		if err != nil {
			b.Fatal(err)
		}
	}
}
