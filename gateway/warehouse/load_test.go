package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// contract has a column of every type.
func contract(tb testing.TB, id gateway.ContractID) *gateway.Contract {
	tb.Helper()
	return &gateway.Contract{ID: id, Version: 1, Until: gateway.NoDay, Fields: []gateway.Field{
		{Name: "child_iin", Type: gateway.TypeIIN, Column: gateway.ColumnPID},
		{Name: "record_id", Type: gateway.TypeIdentifier, Column: "record_id"},
		{Name: "event_date", Type: gateway.TypeDate, Column: gateway.ColumnDay, Event: true},
		{Name: "birth", Type: gateway.TypeBirthDate, List: list(tb, "age", 4), Column: gateway.ColumnAge},
		{Name: "sex", Type: gateway.TypeCode, List: list(tb, "sex", 2), Column: gateway.ColumnSex},
		{Name: "kato", Type: gateway.TypeCode, List: list(tb, "kato", 20), Column: gateway.ColumnRegion},
		{Name: "law", Type: gateway.TypeCode, List: list(tb, "law", 300), Column: "law"},
		{Name: "harm", Type: gateway.TypeCode, List: list(tb, "harm", 6), Multi: true, Column: "harm"},
		{Name: "closed", Type: gateway.TypeDate, Column: "closed"},
		{Name: "siblings", Type: gateway.TypeInteger, Column: "siblings"},
	}}
}

func list(tb testing.TB, id gateway.CodeListID, n int) *gateway.CodeList {
	tb.Helper()
	l := gateway.CodeList{ID: id}
	for i := range n {
		l.Codes = append(l.Codes, gateway.Code{Code: fmt.Sprintf("%s%d", id, i+1)})
	}
	made, err := gateway.NewCodeList(l)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// fill makes a block of random rows.
func fill(rng *rand.Rand, c *gateway.Contract, rows int) *gateway.Block {
	b := gateway.NewBlock(c.Layout())
	b.SetRows(rows)
	for i, column := range b.Layout {
		for r := range rows {
			switch column.Type {
			case gateway.Uint8:
				b.Uint8s(i)[r] = uint8(rng.Uint32())
			case gateway.Uint16:
				b.Uint16s(i)[r] = uint16(rng.Uint32())
			case gateway.Uint64:
				b.Uint64s(i)[r] = rng.Uint64()
			case gateway.Int32:
				b.Int32s(i)[r] = int32(rng.Uint32())
			case gateway.ID:
				for k := range 16 {
					b.IDs(i)[r][k] = byte(rng.Uint32())
				}
			}
		}
	}
	return b
}

// load stores blocks of rows and returns the load's sums.
func load(t *testing.T, w *warehouse.Warehouse, c *gateway.Contract, id gateway.LoadID, blocks ...*gateway.Block) warehouse.Sums {
	t.Helper()
	l, err := w.NewLoad(t.Context(), c, id)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Abort()
	for _, b := range blocks {
		if err := l.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := l.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func prepare(t *testing.T, w *warehouse.Warehouse, contracts ...*gateway.Contract) {
	t.Helper()
	if err := w.Prepare(t.Context(), contracts); err != nil {
		t.Fatal(err)
	}
}

func loads(t *testing.T, w *warehouse.Warehouse) map[gateway.LoadID]warehouse.Sums {
	t.Helper()
	loads, err := w.Loads(t.Context(), "police")
	if err != nil {
		t.Fatal(err)
	}
	return loads
}

func TestLoadKeepsEveryRow(t *testing.T) {
	w, name := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	rng := rand.New(rand.NewPCG(1, 1))
	b1, b2 := fill(rng, c, gateway.BlockRows), fill(rng, c, 17)
	sums := load(t, w, c, 1<<63+5, b1, b2)
	if sums.Rows != gateway.BlockRows+17 {
		t.Errorf("stored %d rows", sums.Rows)
	}
	if got := loads(t, w)[1<<63+5]; got != sums {
		t.Errorf("Loads says %v, Finish said %v", got, sums)
	}
	var mac uint64
	for _, b := range []*gateway.Block{b1, b2} {
		for _, chk := range b.Uint64s(2)[:b.Rows()] {
			mac += chk
		}
	}
	if sums.MAC != mac {
		t.Errorf("MAC = %d, want %d", sums.MAC, mac)
	}
	// Every value of one row, found by its pid.
	checkRow(t, as(t, warehouse.Loader), "rows_"+name+".police", b2, 11)
}

func checkRow(t *testing.T, conn driver.Conn, table string, b *gateway.Block, r int) {
	t.Helper()
	var names, want []string
	for i, column := range b.Layout {
		text := "toString(`" + column.Name + "`)"
		switch column.Type {
		case gateway.Uint8:
			want = append(want, fmt.Sprint(b.Uint8s(i)[r]))
		case gateway.Uint16:
			want = append(want, fmt.Sprint(b.Uint16s(i)[r]))
		case gateway.Uint64:
			want = append(want, fmt.Sprint(b.Uint64s(i)[r]))
		case gateway.Int32:
			want = append(want, fmt.Sprint(b.Int32s(i)[r]))
		case gateway.ID:
			want = append(want, fmt.Sprintf("%X", b.IDs(i)[r]))
			text = "hex(`" + column.Name + "`)"
		}
		names = append(names, text)
	}
	var got []string
	err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT [%s] FROM %s WHERE hex(pid) = '%X'",
		strings.Join(names, ", "), table, b.IDs(0)[r])).Scan(&got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("stored %v, sent %v", got, want)
	}
}

func publish(t *testing.T, w *warehouse.Warehouse, m warehouse.Marker) {
	t.Helper()
	if err := w.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func visible(t *testing.T, w *warehouse.Warehouse, c gateway.ContractID, snapshot uint64) []gateway.LoadID {
	t.Helper()
	ids, err := w.Visible(t.Context(), c, warehouse.Snapshot{Seq: snapshot})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func TestMarkersDecideWhatIsVisible(t *testing.T) {
	w, _ := open(t)
	steps := []struct {
		marker   warehouse.Marker
		snapshot uint64
		want     []gateway.LoadID
	}{
		{warehouse.Marker{Seq: 1, Batch: "a", Load: 11, Contract: "police", State: gateway.BatchPublished}, 1, []gateway.LoadID{11}},
		{warehouse.Marker{Seq: 1, Batch: "a", Load: 11, Contract: "police", State: gateway.BatchPublished}, 1, []gateway.LoadID{11}}, // repeated
		{warehouse.Marker{Seq: 2, Batch: "b", Load: 12, Contract: "police", State: gateway.BatchPublished}, 1, []gateway.LoadID{11}}, // after the snapshot
		{warehouse.Marker{Seq: 3, Batch: "c", Load: 13, Contract: "health", State: gateway.BatchPublished}, 9, []gateway.LoadID{11, 12}},
		{warehouse.Marker{Seq: 4, Batch: "b", Load: 22, Contract: "police", State: gateway.BatchPublished}, 3, []gateway.LoadID{11, 12}}, // loaded again
		{warehouse.Marker{Seq: 5, Batch: "a", Load: 11, Contract: "police", State: gateway.BatchWithdrawn}, 4, []gateway.LoadID{22}},     // gone from old snapshots
		{warehouse.Marker{Seq: 1, Batch: "a", Load: 11, Contract: "police", State: gateway.BatchPublished}, 9, []gateway.LoadID{22}},     // a late repetition
		{warehouse.Marker{Seq: 4, Batch: "b", Load: 22, Contract: "police", State: gateway.BatchWithdrawn}, 9, nil},                      // the same seq
	}
	for i, step := range steps {
		publish(t, w, step.marker)
		if got := visible(t, w, "police", step.snapshot); !slices.Equal(got, step.want) {
			t.Errorf("step %d: visible %v, want %v", i, got, step.want)
		}
	}
}

func TestEraseLeavesNothing(t *testing.T) {
	w, name := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	rng := rand.New(rand.NewPCG(2, 1))
	load(t, w, c, 7, fill(rng, c, 1000))
	other := load(t, w, c, 7+32, fill(rng, c, 1000)) // of the same partition
	for range 2 {
		if err := w.Erase(t.Context(), "police", 7); err != nil {
			t.Fatal(err)
		}
	}
	if got := loads(t, w); len(got) != 1 || got[7+32] != other {
		t.Errorf("after erasing: %v", got)
	}
	var inactive uint64
	err := as(t, warehouse.Loader).QueryRow(t.Context(),
		"SELECT count() FROM system.parts WHERE NOT active AND database = {d:String}", clickhouse.Named("d", "rows_"+name)).Scan(&inactive)
	if err != nil || inactive != 0 {
		t.Errorf("%d replaced parts are on disk: %v", inactive, err)
	}
}

func TestLargeLoadBecomesOneSortedPart(t *testing.T) {
	w, name := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	rng := rand.New(rand.NewPCG(3, 1))
	load(t, w, c, 64, fill(rng, c, 10))
	block := fill(rng, c, gateway.BlockRows)
	l, err := w.NewLoad(t.Context(), c, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Abort()
	for range 70 { // 1,146,880 rows, more than the server gathers for a part
		for i := range block.IDs(0) {
			block.IDs(0)[i][0], block.IDs(0)[i][15] = byte(rng.Uint32()), byte(rng.Uint32())
		}
		if err := l.Append(t.Context(), block); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	var parts, unsorted uint64
	err = as(t, warehouse.Loader).QueryRow(t.Context(), `SELECT uniqExact(_part), countIf(pid < before) FROM (
		SELECT _part, substring(pid, 1, 8) AS pid, lagInFrame(pid) OVER (ORDER BY _part, _part_offset) AS before FROM rows_`+name+`.police WHERE load_id = 32)`).
		Scan(&parts, &unsorted)
	if err != nil || parts != 1 || unsorted != 0 {
		t.Errorf("%d parts, %d rows out of order: %v", parts, unsorted, err)
	}
}

// What is stored is compared with what was sent: rows that somebody adds change
// the count, and a changed value the sum of its column.
func TestFinishNoticesOtherRows(t *testing.T) {
	w, name := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	rng := rand.New(rand.NewPCG(4, 1))
	loader := as(t, warehouse.Loader)
	finish := func(id gateway.LoadID, plant func(l *warehouse.Load)) error {
		l, err := w.NewLoad(t.Context(), c, id)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Abort()
		if err := l.Append(t.Context(), fill(rng, c, 100)); err != nil {
			t.Fatal(err)
		}
		plant(l)
		_, err = l.Finish(t.Context())
		return err
	}
	err := finish(1, func(*warehouse.Load) {
		if err := loader.Exec(t.Context(), "INSERT INTO rows_"+name+
			".police (load_id, day, closed, siblings) VALUES (1, 0, 0, 0)"); err != nil {
			t.Fatal(err)
		}
	})
	if err == nil {
		t.Error("a planted row was not noticed")
	}
	for i, column := range c.Layout() {
		if finish(gateway.LoadID(2+i), func(l *warehouse.Load) { l.Corrupt(i) }) == nil {
			t.Errorf("another value in %s was not noticed", column.Name)
		}
	}
	if err := finish(99, func(*warehouse.Load) {}); err != nil {
		t.Errorf("nothing was planted: %v", err)
	}
}

// An aborted, a cancelled and a killed load end with an error, and what they
// stored is in no snapshot.
func TestUnfinishedLoadIsInvisible(t *testing.T) {
	w, _ := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	block := fill(rand.New(rand.NewPCG(5, 1)), c, gateway.BlockRows)
	for id, end := range map[gateway.LoadID]func(*warehouse.Load) error{
		1: func(l *warehouse.Load) error {
			l.Abort()
			return l.Append(t.Context(), block)
		},
		2: func(l *warehouse.Load) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := l.Append(ctx, block)
			if err == nil {
				_, err = l.Finish(ctx)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled load ended with %v", err)
			}
			return err
		},
		3: func(l *warehouse.Load) error {
			kill(t, "INSERT INTO")
			for range 50 {
				if err := l.Append(t.Context(), block); err != nil {
					return err
				}
			}
			_, err := l.Finish(t.Context())
			return err
		},
	} {
		l, err := w.NewLoad(t.Context(), c, id)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Abort()
		for range 18 { // more than the server gathers before it writes a part
			if err := l.Append(t.Context(), block); err != nil {
				t.Fatal(err)
			}
		}
		if end(l) == nil {
			t.Errorf("load %d ended well", id)
		}
		if _, err := l.Finish(t.Context()); err == nil {
			t.Errorf("load %d could be finished", id)
		}
		if got := visible(t, w, "police", 1<<62); len(got) != 0 {
			t.Errorf("visible: %v", got)
		}
	}
}

// An abort ends the INSERT as failed: what the server has gathered and not yet
// written is dropped, where ending it in good order would commit it.
func TestAbortCommitsNothing(t *testing.T) {
	w, _ := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	l, err := w.NewLoad(t.Context(), c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), fill(rand.New(rand.NewPCG(10, 1)), c, 1000)); err != nil {
		t.Fatal(err)
	}
	l.Abort()
	time.Sleep(500 * time.Millisecond)
	if got := loads(t, w); len(got) != 0 {
		t.Errorf("an aborted load left %v", got)
	}
}

func kill(t *testing.T, query string) {
	t.Helper()
	err := as(t, warehouse.Admin).Exec(t.Context(), "KILL QUERY WHERE user = 'loader' AND query LIKE '"+query+"%'")
	if err != nil {
		t.Fatal(err)
	}
}

// disclosure and questions run as reader: rows and markers are out of its reach
// (fault E2 of trust.md).
func TestReaderCannotReadRows(t *testing.T) {
	w, name := open(t)
	c := contract(t, "police")
	prepare(t, w, c)
	load(t, w, c, 1, fill(rand.New(rand.NewPCG(6, 1)), c, 10))
	reader := as(t, warehouse.Reader)
	for _, table := range []string{"rows_" + name + ".police", "rows_" + name + "._commits", "system.users"} {
		var n uint64
		err := reader.QueryRow(t.Context(), "SELECT count(1) FROM "+table).Scan(&n)
		if exception, ok := errors.AsType[*clickhouse.Exception](err); !ok || exception.Code != 497 {
			t.Errorf("%s: reader got %d, %v", table, n, err)
		}
	}
	for _, statement := range []string{"INSERT INTO cells_%s._cells (release) VALUES ('x')", "DROP TABLE cells_%s._cells"} {
		if reader.Exec(t.Context(), fmt.Sprintf(statement, name)) == nil {
			t.Errorf("reader may %s", statement)
		}
	}
}

// ClickHouse's own errors print names and values; ours give a number.
func TestErrorsTellNothing(t *testing.T) {
	w, name := open(t)
	const secret = "080229690004"
	never := contract(t, "s"+secret) // never prepared: the server's error names the table
	_, err1 := w.NewLoad(t.Context(), never, 4242424242)
	_, err2 := w.Loads(t.Context(), never.ID)
	err3 := w.Erase(t.Context(), never.ID, 4242424242)
	for _, err := range []error{err1, err2, err3} {
		if err == nil {
			t.Fatal("no error")
		}
		if !errors.Is(err, gateway.Internal) {
			t.Errorf("not internal: %v", err)
		}
		for _, leak := range []string{"4242424242", name, "DB::", "UNKNOWN", "rows_"} {
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), leak) {
					t.Errorf("%q is in %q", leak, e)
				}
			}
		}
	}
}

// A new version adds columns and widens codes; rows of the old one read as empty
// there, and agencies may still send the old one.
func TestPrepareAddsColumns(t *testing.T) {
	w, name := open(t)
	old := contract(t, "police")
	prepare(t, w, old)
	rng := rand.New(rand.NewPCG(7, 1))
	load(t, w, old, 1, fill(rng, old, 10))
	next := contract(t, "police")
	next.Version = 2
	next.Fields[5].List = list(t, "kato", 256)
	next.Fields = append(next.Fields,
		gateway.Field{Name: "referred", Type: gateway.TypeDate, Column: "referred"},
		gateway.Field{Name: "visits", Type: gateway.TypeInteger, Column: "visits"})
	prepare(t, w, next, old, next)
	load(t, w, next, 2, fill(rng, next, 10))
	load(t, w, old, 3, fill(rng, old, 10))
	var empty uint64
	err := as(t, warehouse.Loader).QueryRow(t.Context(), fmt.Sprintf(
		"SELECT countIf(referred = -2147483648 AND visits = -1) FROM rows_%s.police WHERE load_id IN (1, 3)", name)).Scan(&empty)
	if err != nil || empty != 20 {
		t.Errorf("%d old rows are empty in new columns: %v", empty, err)
	}
	other := contract(t, "police")
	other.Fields[6].Type = gateway.TypeDate
	if err := w.Prepare(t.Context(), []*gateway.Contract{other}); !errors.Is(err, gateway.Conflict) {
		t.Errorf("a column changed its type: %v", err)
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	password := func(string) string { return "" }
	for _, o := range []warehouse.Options{
		{Password: password},
		{Addresses: []string{"127.0.0.1:1"}},
		{Addresses: []string{"127.0.0.1:1"}, Password: password, Name: "a`b"},
	} {
		if _, err := warehouse.Open(t.Context(), o); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%v: %v", o.Name, err)
		}
	}
}
