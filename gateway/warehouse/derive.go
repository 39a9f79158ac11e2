package warehouse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/pana-exchange/pana/gateway"
)

// maxSectors is how many sectors fit in the vote of a child's region.
const maxSectors = 63

// A sourceColumn is a column of rows that some source names. The columns of the
// events table have capital letters, so that none is called like a stored one:
// an alias hides the column of its name.
type sourceColumn struct {
	name   string
	date   bool // a date of a reached dimension's targets; else codes
	sets   bool // sets of codes, as bits
	number bool // of a value
}

func (s sourceColumn) event() string {
	switch {
	case s.date:
		return quote("D_" + s.name)
	case s.number:
		return quote("V_" + s.name)
	}
	return quote("C_" + s.name)
}

func (s sourceColumn) ddl() string {
	switch {
	case s.date, s.number:
		return s.event() + " Int32"
	case s.sets:
		return s.event() + " UInt64"
	}
	return s.event() + " UInt16"
}

// codes is the event column of coded values under a stored name.
func codes(name string) string { return sourceColumn{name: name}.event() }

// sourceColumns lists what the definition's sources need, and refuses what no
// contract stores or what contracts code by different lists.
func (c *counting) sourceColumns() ([]sourceColumn, error) {
	var columns []sourceColumn
	add := func(column sourceColumn) {
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		switch d.Source.Kind {
		case gateway.EventColumn, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
			sets, err := c.coded(d)
			if err != nil {
				return nil, err
			}
			add(sourceColumn{name: d.Source.Column, sets: sets})
		case gateway.EventSectorCode:
			err := c.codedApart(d)
			if err != nil {
				return nil, err
			}
			add(sourceColumn{name: d.Source.Column})
		case gateway.ReachedIn:
			err := c.checkReached(d)
			if err != nil {
				return nil, err
			}
			for _, dates := range d.Source.Targets {
				for _, name := range dates {
					add(sourceColumn{name: name, date: true})
				}
			}
			if c.regionList() != nil { // the region decides the horizon
				add(sourceColumn{name: gateway.ColumnRegion})
			}
		case gateway.ChildOutcome:
			err := c.checkOutcomes(d, func(column sourceColumn) {
				if !slices.Contains(c.happened, column) {
					c.happened = append(c.happened, column)
				}
			})
			if err != nil {
				return nil, err
			}
			if c.regionList() != nil {
				add(sourceColumn{name: gateway.ColumnRegion})
			}
		case gateway.EventSector, gateway.EventQuarter, gateway.EventYear, gateway.FirstSector, gateway.SectorCount, gateway.SectorPair:
		default:
			return nil, gateway.Errorf(gateway.Invalid, "dimension %s: source %q is not known", d.Name, d.Source.Kind)
		}
	}
	for i := range c.Definition.Values {
		err := c.checkValue(&c.Definition.Values[i])
		if err != nil {
			return nil, err
		}
		add(sourceColumn{name: c.Definition.Values[i].Column, number: true})
	}
	slices.SortFunc(columns, func(a, b sourceColumn) int { return strings.Compare(a.event(), b.event()) })
	// What only happenings read is in events, and not gathered.
	c.happened = slices.DeleteFunc(c.happened, func(column sourceColumn) bool { return slices.Contains(columns, column) })
	return columns, nil
}

// coded checks the column of a dimension and reports whether it holds sets.
func (c *counting) coded(d *gateway.Dimension) (sets bool, err error) {
	var list *gateway.CodeList
	for _, contract := range c.contracts {
		f := codedField(contract, d.Source.Column)
		if f == nil {
			continue
		}
		if list != nil && f.List.ID != list.ID {
			return false, gateway.Errorf(gateway.Invalid,
				"dimension %s: contracts code column %s by lists %s and %s", d.Name, d.Source.Column, list.ID, f.List.ID)
		}
		list, sets = f.List, sets || f.Multi
	}
	if list == nil {
		return false, gateway.Errorf(gateway.Invalid, "dimension %s: no contract stores codes in column %q", d.Name, d.Source.Column)
	}
	if sets && d.Source.Kind != gateway.EventColumn {
		return false, gateway.Errorf(gateway.Invalid,
			"dimension %s: column %s holds several codes, so it is no attribute of a child", d.Name, d.Source.Column)
	}
	return sets, nil
}

// codedApart checks a column that each contract codes by a list of its own.
func (c *counting) codedApart(d *gateway.Dimension) error {
	stored := false
	for _, contract := range c.contracts {
		f := codedField(contract, d.Source.Column)
		if f != nil && f.Multi {
			return gateway.Errorf(gateway.Invalid, "dimension %s: column %s of contract %s holds several codes", d.Name, d.Source.Column, contract.ID)
		}
		stored = stored || f != nil
	}
	if !stored {
		return gateway.Errorf(gateway.Invalid, "dimension %s: no contract stores codes in column %q", d.Name, d.Source.Column)
	}
	return nil
}

// checkReached finds fault with what a reached dimension starts from and looks for.
func (c *counting) checkReached(d *gateway.Dimension) error {
	if c.order[d.Source.Start] == 0 || len(d.Source.Targets) == 0 || d.Source.Days < 0 {
		return gateway.Errorf(gateway.Invalid, "dimension %s: it needs a start, targets and days that contracts know", d.Name)
	}
	for sector, dates := range d.Source.Targets {
		if c.order[sector] == 0 {
			return gateway.Errorf(gateway.Invalid, "dimension %s: there is no contract %s", d.Name, sector)
		}
		for _, name := range dates {
			if !slices.Contains(c.contracts[c.order[sector]-1].Layout(), gateway.Column{Name: name, Type: gateway.Int32}) {
				return gateway.Errorf(gateway.Invalid, "dimension %s: contract %s stores no date %s", d.Name, sector, name)
			}
		}
	}
	return nil
}

// codedField returns the first field of a contract whose codes a column holds,
// or nil.
func codedField(contract *gateway.Contract, column string) *gateway.Field {
	for i := range contract.Fields {
		f := &contract.Fields[i]
		if f.Column != column || f.List == nil || column == "" {
			continue
		}
		if f.Type == gateway.TypeCode || f.Type == gateway.TypeBirthDate || f.Type == gateway.TypeAge {
			return f
		}
	}
	return nil
}

// regionList is the code list of the region of records, or nil.
func (c *counting) regionList() *gateway.CodeList {
	for _, contract := range c.contracts {
		if f := codedField(contract, gateway.ColumnRegion); f != nil && !f.Multi {
			return f.List
		}
	}
	return nil
}

// holdsSets reports whether a dimension's leaves lie in sets of codes.
func (c *counting) holdsSets(d *gateway.Dimension) bool {
	return d.Source.Kind == gateway.EventColumn &&
		slices.Contains(c.columns, sourceColumn{name: d.Source.Column, sets: true})
}

// union is the SQL of all visible rows of the window that have a child: pid, and
// for each selected column its value under its own name.
func (c *counting) union(selected []string) string {
	var parts []string
	for i, contract := range c.contracts {
		columns, from, where := []string{gateway.ColumnPID}, c.w.rowsTable(contract.ID), c.seen(contract, c.views)
		if c.compared(contract) {
			from, where = from+c.joinReplaced(contract), where+" OR "+c.seen(contract, c.closed)
		}
		for _, name := range selected {
			if name == "Unit" {
				join, unit := c.unitOf(contract)
				from += join
				columns = append(columns, unit)
				continue
			}
			columns = append(columns, c.column(contract, i+1, name))
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM %s WHERE pid != toFixedString('', 16) AND (%s)",
			strings.Join(columns, ", "), from, where))
	}
	return strings.Join(parts, " UNION ALL ")
}

// column is the SQL of one column of the events table, of a contract's rows.
func (c *counting) column(contract *gateway.Contract, sector int, name string) string {
	switch name {
	case "Sector":
		return fmt.Sprintf("toUInt8(%d) AS Sector", sector)
	case "Quarter":
		return gateway.ColumnQuarter + " AS Quarter"
	case "Day":
		return c.date(contract, gateway.ColumnDay) + " AS Day"
	case slipColumn:
		return slipOf(contract) + " AS " + slipColumn
	case lateColumn:
		return c.lateBy(contract) + " AS " + lateColumn
	case goneColumn:
		return c.gone(contract) + " AS " + goneColumn
	}
	for _, column := range slices.Concat(c.columns, c.happened) {
		if column.event() != name {
			continue
		}
		switch {
		case column.date:
			return c.date(contract, column.name) + " AS " + name
		case column.number:
			return number(contract, column.name) + " AS " + name
		}
		return c.code(contract, column) + " AS " + name
	}
	panic("warehouse: internal error: an unknown event column")
}

func (c *counting) date(contract *gateway.Contract, name string) string {
	if slices.Contains(contract.Layout(), gateway.Column{Name: name, Type: gateway.Int32}) {
		return quote(name)
	}
	return fmt.Sprintf("toInt32(%d)", gateway.NoDay)
}

// code is the SQL of a contract's coded column. Codes that another one replaced
// read as that one, so that a child is not in two places because a list changed
// (domain.md 3.1).
func (c *counting) code(contract *gateway.Contract, column sourceColumn) string {
	f := codedField(contract, column.name)
	switch {
	case f == nil && column.sets:
		return "toUInt64(0)"
	case f == nil:
		return "toUInt16(0)"
	case f.Multi:
		return quote(column.name)
	}
	var from, to []int
	for i := range f.List.Codes {
		if last := successor(f.List, i); last != i {
			from, to = append(from, i+1), append(to, last+1)
		}
	}
	value := fmt.Sprintf("toUInt16(%s)", quote(column.name))
	if len(from) > 0 {
		value = fmt.Sprintf("transform(%s, CAST([%s], 'Array(UInt16)'), CAST([%s], 'Array(UInt16)'), %s)",
			value, join(from), join(to), value)
	}
	if column.sets {
		return fmt.Sprintf("if(%[1]s BETWEEN 1 AND 64, bitShiftLeft(toUInt64(1), bitAnd(%[1]s - 1, 63)), toUInt64(0))", value)
	}
	return value
}

// successor follows the replacements of a code to the last, and gives up where
// they go in a circle.
func successor(list *gateway.CodeList, i int) int {
	for range list.Codes {
		next := list.Codes[i].Successor
		if next == "" {
			return i
		}
		number, known := list.Number([]byte(next))
		if !known {
			return i
		}
		i = int(number) - 1
	}
	return i
}

func (c *counting) eventColumns() []string {
	names := []string{"Sector", "Day", "Quarter"}
	for _, column := range slices.Concat(c.columns, c.happened) {
		names = append(names, column.event())
	}
	if c.slips {
		names = append(names, slipColumn)
	}
	if c.closed != nil {
		names = append(names, lateColumn, goneColumn)
	}
	if c.units.counted() {
		names = append(names, "Unit")
	}
	return names
}

// unsafeSettings: a table that is dropped with its build need not be on disk.
const unsafeSettings = " SETTINGS fsync_after_insert = 0, fsync_part_directory = 0, min_rows_to_fsync_after_merge = 0"

func (c *counting) createTables() []string {
	var events, sets strings.Builder
	sets.WriteString(c.valueColumns())
	for _, column := range slices.Concat(c.columns, c.happened) {
		events.WriteString(", " + column.ddl())
		if column.sets && slices.Contains(c.columns, column) {
			sets.WriteString(", " + column.event() + " Array(UInt64)")
		}
	}
	if c.marks() != nil {
		sets.WriteString(", " + marksColumn + " Array(UInt8)")
	}
	if c.slips {
		events.WriteString(", " + slipColumn + " FixedString(16), " + keptColumn + " UInt64")
	}
	if c.closed != nil {
		events.WriteString(", " + lateColumn + " UInt64, " + goneColumn + " UInt8")
	}
	if c.units.counted() {
		events.WriteString(", Unit UInt32")
	}
	return append(c.createReplaced(),
		"CREATE TABLE "+c.table("loads")+" (load_id UInt64, UnitOfLoad UInt32) ENGINE = MergeTree ORDER BY load_id"+unsafeSettings,
		"CREATE TABLE "+c.table("children")+` (pid FixedString(16), child UInt32, rk UInt64 CODEC(NONE))
			ENGINE = MergeTree ORDER BY child`+unsafeSettings,
		"CREATE TABLE "+c.table("events")+` (child UInt32, rk UInt64, Sector UInt8, Day Int32, Quarter UInt16`+events.String()+`)
			ENGINE = MergeTree ORDER BY child`+unsafeSettings,
		"CREATE TABLE "+c.table("kids")+` (rk UInt64 CODEC(NONE), attr UInt64, ev Array(`+c.word+`)`+sets.String()+`)
			ENGINE = MergeTree ORDER BY tuple()`+unsafeSettings)
}

// insertEvents gives every row its child's number. Rows of a batch that was
// withdrawn since the children were numbered fall out of the join or never come.
func (c *counting) insertEvents() string {
	columns := strings.Join(c.eventColumns(), ", ")
	if c.slips {
		return fmt.Sprintf("INSERT INTO %s (child, rk, %[2]s, %[3]s) SELECT k.child, k.rk, %[2]s, %[4]s FROM (%[5]s) AS e INNER JOIN %[6]s AS k USING (pid)"+
			" LEFT JOIN (%[7]s) AS born ON e.%[8]s = born.BornSlip", c.table("events"), columns, keptColumn, kept(), c.union(c.eventColumns()),
			c.table("children"), c.bearers(), slipColumn)
	}
	return fmt.Sprintf("INSERT INTO %s (child, rk, %[2]s) SELECT k.child, k.rk, %[2]s FROM (%s) AS e INNER JOIN %s AS k USING (pid)",
		c.table("events"), columns, c.union(c.eventColumns()), c.table("children"))
}

// A keyed numbers children and gathers them into blocks for the children table.
type keyed struct {
	batch    driver.Batch
	children uint32 // so far
	pids     [][16]byte
	ids      [][]byte
	numbers  []uint32
	rk       []uint64
}

func (k *keyed) add(pid [16]byte, rk uint64) error {
	k.pids, k.numbers, k.rk = append(k.pids, pid), append(k.numbers, k.children), append(k.rk, rk)
	k.children++
	if len(k.pids) < gateway.BlockRows {
		return nil
	}
	return k.flush()
}

func (k *keyed) flush() error {
	k.ids = k.ids[:0]
	for i := range k.pids {
		k.ids = append(k.ids, k.pids[i][:])
	}
	for i, column := range []any{k.ids, k.numbers, k.rk} {
		err := k.batch.Column(i).Append(column)
		if err != nil {
			return err
		}
	}
	k.pids, k.numbers, k.rk = k.pids[:0], k.numbers[:0], k.rk[:0]
	return k.batch.Flush()
}
