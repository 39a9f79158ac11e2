package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// Names that no contract can take: contract ids and stored columns start with a
// letter.
const (
	commitsTable = "_commits"
	cellsTable   = "_cells"
	loadColumn   = "load_id"
)

// loadPartitions is into how many partitions loads are spread: a forced merge
// for the sake of one load then touches this share of a table.
const loadPartitions = 32

// pidNumber stands for the pid in the order of a table: its first eight bytes as a
// number, which ClickHouse sorts by radix in a third of the time that it takes for
// sixteen bytes of text. Children that share them, of whom there are none in
// practice, lie at random among one another, so the order tells no more than that of
// the pid (overview.md 6).
const pidNumber = "byteSwap(reinterpretAsUInt64(" + gateway.ColumnPID + "))"

// tableSettings: every part is on disk before it is acknowledged, also where the
// server's own configuration does not say so (loading.md 2.3); no deduplication
// window (2.1); replaced parts, which still hold erased rows, go within seconds.
const tableSettings = `non_replicated_deduplication_window = 0, fsync_after_insert = 1, fsync_part_directory = 1,
	min_rows_to_fsync_after_merge = 1, old_parts_lifetime = 1, cleanup_delay_period = 1, max_cleanup_delay_period = 2,
	cleanup_delay_period_random_add = 0`

func (w *Warehouse) rowsDatabase() string  { return "rows_" + w.options.Name }
func (w *Warehouse) buildDatabase() string { return "build_" + w.options.Name }
func (w *Warehouse) cellsDatabase() string { return "cells_" + w.options.Name }

func (w *Warehouse) rowsTable(c gateway.ContractID) string {
	return quote(w.rowsDatabase()) + "." + quote(string(c))
}

func (w *Warehouse) commits() string { return quote(w.rowsDatabase()) + "." + quote(commitsTable) }
func (w *Warehouse) cells() string   { return quote(w.cellsDatabase()) + "." + quote(cellsTable) }

// quote makes an identifier of a name. Names come from contracts and releases,
// never from rows; what they may hold is checked besides.
func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func validName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return name != ""
}

func validID(name string) bool { return validName(name) && name[0] >= 'a' && name[0] <= 'z' }

// asAdmin runs f with a connection of the user that may change the schema. None
// is kept open.
func (w *Warehouse) asAdmin(f func(driver.Conn) error) error {
	conn, err := w.connect(Admin, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return f(conn)
}

func (w *Warehouse) createDatabases(ctx context.Context) error {
	statements := []string{
		"CREATE DATABASE IF NOT EXISTS " + quote(w.rowsDatabase()),
		"CREATE DATABASE IF NOT EXISTS " + quote(w.buildDatabase()),
		"CREATE DATABASE IF NOT EXISTS " + quote(w.cellsDatabase()),
		"CREATE TABLE IF NOT EXISTS " + w.commits() + ` (
			contract LowCardinality(String), batch String, seq UInt64, load_id UInt64,
			state Enum8('published' = 1, 'withdrawn' = 2), generation UInt32)
			ENGINE = ReplacingMergeTree ORDER BY (contract, batch, seq, state, generation) SETTINGS ` + tableSettings,
		"CREATE TABLE IF NOT EXISTS " + w.cells() + ` (
			release String, digest String, chunk UInt32, chunks UInt32, data String CODEC(ZSTD(3)))
			ENGINE = MergeTree ORDER BY (release, digest, chunk) SETTINGS index_granularity = 16, ` + tableSettings,
	}
	return w.asAdmin(func(conn driver.Conn) error {
		err := confirmSettings(ctx, conn, Admin)
		if err != nil {
			return err
		}
		for _, statement := range statements {
			err = conn.Exec(ctx, statement)
			if err != nil {
				return internal("creating databases", err)
			}
		}
		return nil
	})
}

// Prepare makes the table of each contract, and adds the columns that a newer
// version has. It never removes a column or a row. Call it before loads and
// counts of a contract, again when contracts change.
func (w *Warehouse) Prepare(ctx context.Context, contracts []*gateway.Contract) error {
	return w.asAdmin(func(conn driver.Conn) error {
		for _, c := range contracts {
			err := w.prepare(ctx, conn, c)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *Warehouse) prepare(ctx context.Context, conn driver.Conn, c *gateway.Contract) error {
	err := validContract(c)
	if err != nil {
		return err
	}
	err = conn.Exec(ctx, w.createRows(c))
	if err != nil {
		return internal("creating the table of "+string(c.ID), err)
	}
	have, err := w.columns(ctx, conn, c.ID)
	if err != nil {
		return err
	}
	for _, column := range c.Layout() {
		alter, err := alteration(c, column, have[column.Name])
		if err != nil {
			return err
		}
		if alter == "" {
			continue
		}
		err = conn.Exec(ctx, "ALTER TABLE "+w.rowsTable(c.ID)+" "+alter+" SETTINGS mutations_sync = 2")
		if err != nil {
			return internal("adding columns to the table of "+string(c.ID), err)
		}
	}
	return nil
}

func validContract(c *gateway.Contract) error {
	if !validID(string(c.ID)) {
		return gateway.Errorf(gateway.Invalid, "contract id %q must match [a-z][a-z0-9_]*", c.ID)
	}
	for _, column := range c.Layout() {
		if !validID(column.Name) || column.Name == loadColumn {
			return gateway.Errorf(gateway.Invalid, "contract %s: column %q must match [a-z][a-z0-9_]* and not be %s",
				c.ID, column.Name, loadColumn)
		}
	}
	return nil
}

func (w *Warehouse) createRows(c *gateway.Contract) string {
	var columns strings.Builder
	for _, column := range c.Layout() {
		columns.WriteString(", " + definition(c, column))
	}
	return fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %[1]s (%[2]s UInt64%[3]s) ENGINE = MergeTree
		PARTITION BY %[2]s %% %[4]d ORDER BY (%[2]s, %[5]s, %[6]s) SETTINGS %[7]s`,
		w.rowsTable(c.ID), loadColumn, columns.String(), loadPartitions, pidNumber, gateway.ColumnRandom, tableSettings)
}

// definition is the DDL of a column. Rows of an older version of the contract
// read as empty in columns that a newer one adds: that is 0, but for Int32.
func definition(c *gateway.Contract, column gateway.Column) string {
	ddl := quote(column.Name) + " " + typeName(column.Type)
	switch {
	case column.Type == gateway.Int32:
		ddl += fmt.Sprintf(" DEFAULT %d", emptyInt32(c, column.Name))
	case column.Type == gateway.ID, column.Name == gateway.ColumnRandom, column.Name == gateway.ColumnMAC:
		ddl += " CODEC(NONE)" // random bytes do not compress
	}
	return ddl
}

func emptyInt32(c *gateway.Contract, column string) int32 {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Column == column && f.Type == gateway.TypeInteger {
			return -1
		}
	}
	return int32(gateway.NoDay)
}

func typeName(t gateway.ColumnType) string {
	switch t {
	case gateway.Uint8:
		return "UInt8"
	case gateway.Uint16:
		return "UInt16"
	case gateway.Uint64:
		return "UInt64"
	case gateway.Int32:
		return "Int32"
	case gateway.ID:
		return "FixedString(16)"
	}
	panic(fmt.Sprintf("warehouse: internal error: column type %d", t))
}

// alteration is what brings a stored column of type have ("" for none) to the
// contract's, or "". A code list that outgrew UInt8 is widened; nothing else
// about a column can change.
func alteration(c *gateway.Contract, column gateway.Column, have string) (string, error) {
	want := typeName(column.Type)
	switch {
	case have == want:
		return "", nil
	case have == "":
		return "ADD COLUMN IF NOT EXISTS " + definition(c, column), nil
	case have == "UInt8" && want == "UInt16":
		return "MODIFY COLUMN " + definition(c, column), nil
	case have == "UInt16" && want == "UInt8":
		return "", nil // an older version of the contract: its numbers fit
	}
	return "", gateway.Errorf(gateway.Conflict,
		"contract %s: column %s is stored as %s and cannot become %s; use another column name", c.ID, column.Name, have, want)
}

func (w *Warehouse) columns(ctx context.Context, conn driver.Conn, c gateway.ContractID) (map[string]string, error) {
	rows, err := conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String}",
		named("d", w.rowsDatabase()), named("t", string(c)))
	if err != nil {
		return nil, internal("reading the columns of "+string(c), err)
	}
	defer func() { _ = rows.Close() }()
	have := map[string]string{}
	for rows.Next() {
		var name, kind string
		err = rows.Scan(&name, &kind)
		if err != nil {
			return nil, internal("reading the columns of "+string(c), err)
		}
		have[name] = kind
	}
	return have, internal("reading the columns of "+string(c), rows.Err())
}
