package engine_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
)

// What an engine acknowledged while its disk was filled is there when it starts again:
// whatever it was writing, parts of inserts or of merges (trust.md 6.2, F9). Each round
// leaves another number of pages, so that each ends in another file.
func TestAFullDiskLosesNothing(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	dir := filepath.Join(t.TempDir(), "engine")
	disk := enginetest.NewDisk(t, dir, 128<<20)
	f := &filling{t: t, dir: dir}
	f.start()
	for _, statement := range []string{
		"CREATE DATABASE rows_x ENGINE = Atomic",
		"CREATE TABLE rows_x.t (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS old_parts_lifetime = 1, cleanup_delay_period = 1",
	} {
		exec(t, f.conn, statement)
	}
	filled := map[string]int{}
	for i := range rounds {
		kind := []string{"tmp_insert", "tmp_merge"}[i%2]
		pages := i / 2
		stop := disk.LeaveAt(t, kind, pages)
		f.insert(6)
		if stop() {
			filled[kind]++
		}
		time.Sleep(1500 * time.Millisecond) // until parts that were merged are removed
		if err := disk.Restore(); err != nil {
			t.Fatal(err)
		}
		f.check(fmt.Sprintf("%s, %d pages left", kind, pages))
	}
	t.Logf("the disk was filled %v, the engine ended %d times, %d inserts were acknowledged, %d were not", filled, f.ended, f.acknowledged, f.refused)
	if filled["tmp_insert"] < rounds/4 || filled["tmp_merge"] < rounds/8 || f.ended < rounds/8 {
		t.Error("the disk was hardly ever full: the test says little")
	}
}

// filling is an engine whose disk fills up.
type filling struct {
	t                            *testing.T
	dir                          string
	engine                       *engine.Engine
	conn                         clickhouse.Conn
	batches                      uint64
	known                        []uint64 // batches that were acknowledged
	ended, acknowledged, refused int
}

func (f *filling) start() {
	f.t.Helper()
	e, err := engine.Start(f.t.Context(), engine.Options{Dir: f.dir, MaxMemory: 512 << 20})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = e.Stop() })
	f.engine, f.conn = e, open(f.t, e, engine.Admin, "")
}

func (f *filling) insert(n int) {
	for range n {
		f.batches++
		err := f.conn.Exec(f.t.Context(), fmt.Sprintf("INSERT INTO rows_x.t SELECT %d, number FROM numbers(100)", f.batches))
		if err != nil {
			f.refused++
			return
		}
		f.acknowledged++
		f.known = append(f.known, f.batches)
	}
}

// check starts the engine again and looks for what was acknowledged.
func (f *filling) check(round string) {
	f.t.Helper()
	select {
	case <-f.engine.Done():
		f.ended++
		if f.engine.Err() == nil {
			f.t.Errorf("%s: the engine does not say why it ended", round)
		}
	default:
	}
	if err := f.engine.Stop(); err != nil {
		f.t.Fatal(err)
	}
	f.start()
	rows, err := f.conn.Query(f.t.Context(), "SELECT batch, count() FROM rows_x.t GROUP BY batch")
	if err != nil {
		f.t.Fatal(err)
	}
	stored := map[uint64]uint64{}
	for rows.Next() {
		var batch, count uint64
		if err := rows.Scan(&batch, &count); err != nil {
			f.t.Fatal(err)
		}
		stored[batch] = count
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	for _, batch := range f.known {
		if stored[batch] != 100 {
			f.t.Fatalf("%s: insert %d was acknowledged, and %d of its 100 rows are there", round, batch, stored[batch])
		}
	}
}
