package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// How records replace one another. A correction's row replaces, from its own commitment
// on, the rows of the same record of earlier batches of its unit, in the quarters of its
// period. A view of a build counts the world as it was at the view's snapshot, so a
// quarter that is closed goes on counting what was replaced later.

// An Ordered is where a load stands among the others: what a build must know to count
// corrections.
type Ordered struct {
	Load     gateway.LoadID
	Seq      uint64 // order of commitment
	Unit     int
	From, To gateway.Quarter // of a correction: the quarters in which it replaces; else 0
}

// A Repetition says how many of a load's records the other loads have.
type Repetition struct {
	Inside  uint64 // in the quarters that were asked about
	Outside uint64 // in others, and not inside
}

// repeatedRows is how many record ids are held at once to be looked for.
const repeatedRows = 4 << 20

// Repeated compares the records of a load with those of others of the agency, by the
// first half of their keys: two of n different records are taken for one with a chance
// of n²/2^65.
func (w *Warehouse) Repeated(
	ctx context.Context, c *gateway.Contract, load gateway.LoadID, others []gateway.LoadID, from, to gateway.Quarter,
) (Repetition, error) {
	column := recordColumn(c)
	if column == "" || len(others) == 0 {
		return Repetition{}, nil
	}
	doing := "comparing a load of " + string(c.ID)
	key := "reinterpretAsUInt64(substring(" + column + ", 1, 8))"
	var rows uint64
	own := fmt.Sprintf("FROM %s WHERE load_id = %d AND %s != 0", w.rowsTable(c.ID), uint64(load), key)
	err := w.loader.QueryRow(ctx, "SELECT count() "+own).Scan(&rows)
	if err != nil {
		return Repetition{}, internal(doing, orContext(ctx, err))
	}
	var all Repetition
	parts := 1 + rows/repeatedRows
	for part := range parts {
		some := fmt.Sprintf(" AND %s %% %d = %d", key, parts, part)
		var found Repetition
		err = w.loader.QueryRow(ctx, fmt.Sprintf(`SELECT countIf(inside), countIf(NOT inside) FROM (
			SELECT max(%[1]s BETWEEN %[2]d AND %[3]d) AS inside FROM %[4]s
			WHERE load_id IN (%[5]s)%[6]s AND %[7]s IN (SELECT %[7]s %[8]s%[6]s) GROUP BY %[7]s)`,
			gateway.ColumnQuarter, from, to, w.rowsTable(c.ID), loadList(others), some, key, own)).Scan(&found.Inside, &found.Outside)
		if err != nil {
			return Repetition{}, internal(doing, orContext(ctx, err))
		}
		all.Inside += found.Inside
		all.Outside += found.Outside
	}
	return all, nil
}

// Doubled returns how many rows of a load have a record key that another row of the load
// has, by the first half of the keys, not counting one row of each record.
func (w *Warehouse) Doubled(ctx context.Context, c *gateway.Contract, load gateway.LoadID) (uint64, error) {
	column := recordColumn(c)
	if column == "" {
		return 0, nil
	}
	doing := "looking for doubled records of " + string(c.ID)
	key := "reinterpretAsUInt64(substring(" + column + ", 1, 8))"
	own := fmt.Sprintf("FROM %s WHERE load_id = %d AND %s != 0", w.rowsTable(c.ID), uint64(load), key)
	var rows, doubled uint64
	err := w.loader.QueryRow(ctx, "SELECT count() "+own).Scan(&rows)
	parts := 1 + rows/repeatedRows
	for part := uint64(0); part < parts && err == nil; part++ {
		var found uint64
		err = w.loader.QueryRow(ctx, fmt.Sprintf("SELECT toUInt64(count() - uniqExact(%s)) %s AND %s %% %d = %d", key, own, key, parts, part)).Scan(&found)
		doubled += found
	}
	if err != nil {
		return 0, internal(doing, orContext(ctx, err))
	}
	return doubled, nil
}

// recordColumn is the stored column of the agency's record id, quoted, or "".
func recordColumn(c *gateway.Contract) string {
	f := c.RecordID()
	if f == nil || f.Column == "" {
		return ""
	}
	return quote(f.Column)
}

func loadList(loads []gateway.LoadID) string {
	var list []string
	for _, id := range loads {
		list = append(list, fmt.Sprint(uint64(id)))
	}
	return strings.Join(list, ", ")
}

// corrected reports whether rows of a contract may have been replaced.
func (c *counting) corrected(contract *gateway.Contract) bool {
	return recordColumn(contract) != "" && slices.ContainsFunc(c.Order, func(o Ordered) bool { return o.From != 0 })
}

func (c *counting) createReplaced() []string {
	return []string{
		"CREATE TABLE " + c.table("ordered") + ` (load_id UInt64, seq UInt64, unit UInt32, first UInt16, last UInt16)
			ENGINE = MergeTree ORDER BY load_id` + unsafeSettings,
		"CREATE TABLE " + c.table("replaced") + ` (Contract UInt8, Snapshot UInt64, load_id UInt64, Record FixedString(16), By UInt64)
			ENGINE = MergeTree ORDER BY (Contract, Snapshot, load_id)` + unsafeSettings,
	}
}

// findReplaced lists what is replaced in each view.
func (c *counting) findReplaced(ctx context.Context) error {
	err := c.insertOrder(ctx)
	if err != nil {
		return err
	}
	for i, contract := range c.contracts {
		if !c.corrected(contract) {
			continue
		}
		for _, snapshot := range c.snapshots() {
			err = c.exec(ctx, "looking for replaced records", c.insertReplaced(contract, i+1, snapshot))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *counting) insertOrder(ctx context.Context) error {
	if !slices.ContainsFunc(c.Order, func(o Ordered) bool { return o.From != 0 }) {
		return nil
	}
	doing := "counting " + string(c.Release) + ": the order of loads"
	return insert(ctx, c.w.builder, doing, "INSERT INTO "+c.table("ordered")+" (load_id, seq, unit, first, last)", func(batch driver.Batch) error {
		for _, o := range c.Order {
			err := batch.Append(uint64(o.Load), o.Seq, uint32(o.Unit), uint16(o.From), uint16(o.To)) //nolint:gosec // a number of the registry
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// snapshots are those of all views, of what is counted and of what it is compared with.
func (c *counting) snapshots() []uint64 {
	var all []uint64
	for _, v := range append(slices.Clone(c.views), c.closed...) {
		all = append(all, v.snapshot)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// insertReplaced finds the rows of a contract that a correction of a snapshot replaces,
// and the newest load that does.
func (c *counting) insertReplaced(contract *gateway.Contract, sector int, snapshot uint64) string {
	rows, key, visible := c.w.rowsTable(contract.ID), recordColumn(contract), c.w.visible(contract.ID, Snapshot{snapshot, c.Generation})
	fixed := fmt.Sprintf("SELECT load_id FROM %s WHERE first != 0 AND load_id IN (%s)", c.table("ordered"), visible)
	return fmt.Sprintf(`INSERT INTO %[1]s (Contract, Snapshot, load_id, Record, By)
		SELECT %[2]d, %[3]d, r.load_id, r.k, argMax(n.load_id, n.seq) FROM (
			SELECT load_id, %[4]s AS k, %[5]s AS q, seq, unit FROM %[6]s AS a INNER JOIN %[7]s AS o USING (load_id)
			WHERE load_id IN (%[8]s) AND %[4]s != toFixedString('', 16) AND %[4]s IN (SELECT %[4]s FROM %[6]s WHERE load_id IN (%[9]s))) AS r
		INNER JOIN (
			SELECT load_id, %[4]s AS k, seq, unit, first, last FROM %[6]s AS a INNER JOIN %[7]s AS o USING (load_id)
			WHERE load_id IN (%[9]s)) AS n ON r.k = n.k
		WHERE n.seq > r.seq AND n.unit = r.unit AND r.q BETWEEN n.first AND n.last
		GROUP BY r.load_id, r.k`,
		c.table("replaced"), sector, snapshot, key, gateway.ColumnQuarter, rows, c.table("ordered"), visible, fixed)
}

// replacedAt is the SQL of the rows of a contract that are replaced in a snapshot.
func (c *counting) replacedAt(contract *gateway.Contract, snapshot uint64, columns string) string {
	return fmt.Sprintf("SELECT %s FROM %s WHERE Contract = %d AND Snapshot = %d", columns, c.table("replaced"), c.order[contract.ID], snapshot)
}

// notReplaced is the SQL of whether a row still counts in a snapshot, with AND before
// it, or nothing where no correction is.
func (c *counting) notReplaced(contract *gateway.Contract, snapshot uint64) string {
	if !c.corrected(contract) {
		return ""
	}
	return fmt.Sprintf(" AND (load_id, %s) NOT IN (%s)", recordColumn(contract), c.replacedAt(contract, snapshot, "load_id, Record"))
}
