package warehouse

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// Sums are what the registry keeps of a load, and fsck compares.
type Sums struct {
	Rows uint64
	MAC  uint64 // of all rows' MACs, mod 2^64
}

// A Load writes the rows of one attempt to load a batch, under a load id of its
// own, in one INSERT statement. It is used by one goroutine. Defer [Load.Abort]
// right after [Warehouse.NewLoad].
//
// After any error the outcome is unknown: some rows may be stored, none is
// visible, and the caller must abandon the load id.
type Load struct {
	table    string
	contract gateway.ContractID
	id       gateway.LoadID
	layout   []gateway.Column
	conn     driver.Conn
	socket   *socket
	batch    driver.Batch
	wide     []bool // columns of Uint8 in the contract that the table holds as UInt16
	sums     []uint64
	rows     uint64
	done     bool

	loadIDs []uint64 // the load id, a block of times
	ids     [][]byte // scratch: the driver copies []byte faster than [16]byte
	wides   []uint16 // scratch
}

// NewLoad begins a load. Its connection is its own, so that an abort can drop
// it; ctx limits the beginning only.
func (w *Warehouse) NewLoad(ctx context.Context, c *gateway.Contract, id gateway.LoadID) (*Load, error) {
	err := validContract(c)
	if err != nil {
		return nil, err
	}
	l := &Load{table: w.rowsTable(c.ID), contract: c.ID, id: id, layout: c.Layout(), socket: &socket{}}
	l.sums = make([]uint64, len(l.layout))
	l.conn, err = w.connect(Loader, l.socket)
	if err != nil {
		return nil, err
	}
	defer l.dropWhenDone(ctx)()
	// The driver would end the whole INSERT at a deadline of this context.
	l.batch, err = l.conn.PrepareBatch(context.WithoutCancel(ctx), l.insert())
	if err == nil {
		err = l.compare()
	}
	if err != nil {
		l.Abort()
		return nil, internal("beginning a load of "+string(c.ID), orContext(ctx, err))
	}
	return l, nil
}

func (l *Load) insert() string {
	names := []string{loadColumn}
	for _, column := range l.layout {
		names = append(names, quote(column.Name))
	}
	return "INSERT INTO " + l.table + " (" + strings.Join(names, ", ") + ")"
}

// compare finds the columns that a newer version of the contract has widened.
func (l *Load) compare() error {
	columns := l.batch.Columns()
	if len(columns) != len(l.layout)+1 {
		return fmt.Errorf("the table has other columns")
	}
	l.wide = make([]bool, len(l.layout))
	for i, column := range l.layout {
		l.wide[i] = column.Type == gateway.Uint8 && columns[i+1].Type() == "UInt16"
	}
	return nil
}

// dropWhenDone drops the connection when ctx ends before the returned function
// is called.
func (l *Load) dropWhenDone(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, l.socket.drop)
	return func() { stop() }
}

// orContext prefers the context's error to the one that it caused.
func orContext(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}

// Append sends a block to the server, which gathers blocks into large parts.
// The block is the caller's again when Append returns.
func (l *Load) Append(ctx context.Context, b *gateway.Block) error {
	if l.done {
		return broken("a load of %s went on after its end", l.contract)
	}
	if len(b.Layout) != len(l.layout) {
		l.Abort()
		return broken("a block of %d columns for a load of %d", len(b.Layout), len(l.layout))
	}
	if b.Rows() == 0 {
		return nil
	}
	defer l.dropWhenDone(ctx)()
	err := l.fill(b)
	if err == nil {
		err = l.batch.Flush()
	}
	if err != nil {
		l.Abort()
		return internal("sending rows of "+string(l.contract), orContext(ctx, err))
	}
	l.rows += uint64(b.Rows()) //nolint:gosec // G115: a block has 0 to 65,536 rows
	return nil
}

func (l *Load) fill(b *gateway.Block) error {
	if l.loadIDs == nil {
		l.loadIDs = make([]uint64, gateway.BlockRows)
		for i := range l.loadIDs {
			l.loadIDs[i] = uint64(l.id)
		}
	}
	err := l.batch.Column(0).Append(l.loadIDs[:b.Rows()])
	for i, column := range l.layout {
		if err != nil {
			return err
		}
		if b.Layout[i] != column {
			return fmt.Errorf("the block has another layout")
		}
		err = l.fillColumn(b, i)
	}
	return err
}

// fillColumn copies one column into the driver's and adds up what it copied, so
// that the sum is of what was meant to be sent.
func (l *Load) fillColumn(b *gateway.Block, i int) error {
	n, to := b.Rows(), l.batch.Column(i+1)
	switch l.layout[i].Type {
	case gateway.Uint8:
		values := b.Uint8s(i)[:n]
		l.sums[i] += sum(values)
		if l.wide[i] {
			return to.Append(l.widen(values))
		}
		return to.Append(values)
	case gateway.Uint16:
		values := b.Uint16s(i)[:n]
		l.sums[i] += sum(values)
		return to.Append(values)
	case gateway.Uint64:
		values := b.Uint64s(i)[:n]
		l.sums[i] += sum(values)
		return to.Append(values)
	case gateway.Int32:
		values := b.Int32s(i)[:n]
		l.sums[i] += sum(values)
		return to.Append(values)
	case gateway.ID:
		values := b.IDs(i)[:n]
		l.sums[i] += sumIDs(values)
		return to.Append(l.slices(values))
	}
	panic("warehouse: internal error: column type")
}

// sum adds as ClickHouse's sum does: in 64 bits, with overflow.
func sum[T uint8 | uint16 | uint64 | int32](values []T) uint64 {
	var total uint64
	for _, v := range values {
		total += uint64(v)
	}
	return total
}

func sumIDs(values [][16]byte) uint64 {
	var total uint64
	for i := range values {
		total += binary.LittleEndian.Uint64(values[i][:8])
	}
	return total
}

func (l *Load) widen(values []uint8) []uint16 {
	l.wides = l.wides[:0]
	for _, v := range values {
		l.wides = append(l.wides, uint16(v))
	}
	return l.wides
}

func (l *Load) slices(values [][16]byte) [][]byte {
	l.ids = l.ids[:0]
	for i := range values {
		l.ids = append(l.ids, values[i][:])
	}
	return l.ids
}

// Finish ends the INSERT, makes one sorted part of the load where the server
// made several, and proves that exactly what was sent is stored: the count and
// the sum of every column, in one scan (loading.md 3.1 step 4).
func (l *Load) Finish(ctx context.Context) (Sums, error) {
	if l.done {
		return Sums{}, broken("a load of %s ended twice", l.contract)
	}
	defer l.Abort()
	defer l.dropWhenDone(ctx)()
	err := l.batch.Send()
	if err != nil {
		return Sums{}, internal("ending a load of "+string(l.contract), orContext(ctx, err))
	}
	several, err := l.verify(ctx)
	if err != nil {
		return Sums{}, err
	}
	if several {
		err = l.merge(ctx)
		if err != nil {
			return Sums{}, err
		}
	}
	sums := Sums{Rows: l.rows}
	for i, column := range l.layout {
		if column.Name == gateway.ColumnMAC {
			sums.MAC = l.sums[i]
		}
	}
	return sums, nil
}

// Abort drops the connection of a load that has not finished; the server then
// ends the INSERT as failed. It never ends the statement in good order, which
// would commit what was sent. After Finish it does nothing.
func (l *Load) Abort() {
	if l.done {
		return
	}
	l.done = true
	l.socket.drop()
	if l.batch != nil && !l.batch.IsSent() {
		_ = l.batch.Abort()
	}
	_ = l.conn.Close()
}

func (l *Load) where() string { return fmt.Sprintf("%s = %d", loadColumn, uint64(l.id)) }

// verify compares the stored rows with the sums and reports whether they are in more
// than one part.
func (l *Load) verify(ctx context.Context) (several bool, err error) {
	selected := []string{"toUInt64(min(_part_index) != max(_part_index))", "count()"}
	for _, column := range l.layout {
		selected = append(selected, sumOf(column))
	}
	stored := make([]uint64, len(selected))
	scan := make([]any, len(selected))
	for i := range scan {
		scan[i] = &stored[i]
	}
	query := "SELECT " + strings.Join(selected, ", ") + " FROM " + l.table + " WHERE " + l.where() + " SETTINGS " + scanSettings
	err = l.conn.QueryRow(ctx, query).Scan(scan...)
	if err != nil {
		return false, unverified(l.contract, orContext(ctx, err))
	}
	if stored[1] != l.rows {
		return false, broken("a load of %s holds %d rows, %d were sent", l.contract, stored[1], l.rows)
	}
	for i, column := range l.layout {
		if stored[2+i] != l.sums[i] {
			return false, broken("a load of %s does not hold what was sent in column %s", l.contract, column.Name)
		}
	}
	return stored[0] != 0, nil
}

// scanSettings let every processor take a share of one part, because an uploader
// waits. By itself the server reads so few rows with one, and also larger parts where
// it has less than some gigabytes of memory for each thread; sums need none.
const scanSettings = "max_threads_min_free_memory_per_thread = 0, " +
	"merge_tree_min_rows_for_concurrent_read = 1, merge_tree_min_bytes_for_concurrent_read = 1"

// sumOf is the SQL of what sum and sumIDs compute. ClickHouse adds up all integers in
// 64 bits, and of a text of 16 bytes reads the first 8 as a number.
func sumOf(column gateway.Column) string {
	name := quote(column.Name)
	switch column.Type {
	case gateway.ID:
		return "sum(reinterpretAsUInt64(" + name + "))"
	case gateway.Int32:
		return "reinterpretAsUInt64(sum(" + name + "))"
	case gateway.Uint8, gateway.Uint16, gateway.Uint64:
	}
	return "sum(" + name + ")"
}

// mergeTries and mergePause bound how long a load waits for other merges of its
// partition, about a minute.
const (
	mergeTries = 40
	mergePause = 1500 * time.Millisecond
)

// cannotMerge is CANNOT_ASSIGN_OPTIMIZE: parts of the partition are being merged
// already.
const cannotMerge = 388

// merge makes one part of the load. The order of several parts would tell which
// rows came early in the file, and alignment with the agency's file is a total
// break (overview.md 6).
func (l *Load) merge(ctx context.Context) error {
	optimize := fmt.Sprintf("OPTIMIZE TABLE %s PARTITION %d FINAL SETTINGS optimize_throw_if_noop = 1, alter_sync = 2",
		l.table, uint64(l.id)%loadPartitions)
	for range mergeTries {
		err := l.conn.Exec(ctx, optimize)
		if err != nil && code(err) != cannotMerge {
			return internal("merging a load of "+string(l.contract), orContext(ctx, err))
		}
		several, err := l.verify(ctx)
		if err != nil {
			return err
		}
		if !several {
			return nil
		}
		select {
		case <-ctx.Done():
			return internal("merging a load of "+string(l.contract), ctx.Err())
		case <-time.After(mergePause):
		}
	}
	return broken("a load of %s stays in several parts", l.contract)
}
