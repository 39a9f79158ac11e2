package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Event columns of a comparison, which tell rows apart: Late is 0 where the closed
// quarters count the row before and after, else the load that brought it or, of a row
// that is Gone, the load that replaced it.
const (
	lateColumn = "Late"
	goneColumn = "Gone"
)

// compared reports whether rows of a contract may be gone in this comparison.
func (c *counting) compared(contract *gateway.Contract) bool {
	return c.closed != nil && c.corrected(contract)
}

func (c *counting) lateBy(contract *gateway.Contract) string {
	still := "toUInt64(0)"
	if c.compared(contract) {
		still = fmt.Sprintf("if(%s, toUInt64(0), By)", c.seen(contract, c.views))
	}
	return fmt.Sprintf("if(%s, %s, %s)", c.seen(contract, c.closed), still, loadColumn)
}

func (c *counting) gone(contract *gateway.Contract) string {
	if !c.compared(contract) {
		return "toUInt8(0)"
	}
	return fmt.Sprintf("toUInt8(NOT (%s))", c.seen(contract, c.views))
}

// joinReplaced is the SQL that joins to the rows of a contract what replaced them since.
func (c *counting) joinReplaced(contract *gateway.Contract) string {
	return fmt.Sprintf(" LEFT ANY JOIN (%s) AS replacing ON load_id = ReplacedLoad AND %s = Record",
		c.replacedAt(contract, c.Snapshot, "load_id AS ReplacedLoad, Record, By"), recordColumn(contract))
}

// Changes compares what the closed quarters of a build counted with what they would
// count with everything up to its snapshot: region by region, how many children are
// another child to some cube, and from whose batches. Attributes are derived over the
// closed quarters alone, by the statements that [Warehouse.Count] derives them with,
// and with one coverage, so that nothing but late rows makes a change. Uploaders are
// the agencies of all loads that may hold such rows.
//
// It sees only rows that are there: of a batch that was withdrawn nothing is left to
// compare, and the caller must not ask.
func (w *Warehouse) Changes(ctx context.Context, b Build, uploaders map[gateway.LoadID]gateway.AgencyID) (*disclosure.Changes, error) {
	if len(b.Closed) == 0 {
		return nil, broken("a comparison without closed quarters")
	}
	b.SubjectKey = func([16]byte) uint64 { return 0 } // nothing is counted by key
	c, err := w.newCounting(b)
	if err != nil {
		return nil, err
	}
	c.closed, c.views = b.before()
	defer c.drop(ctx)
	err = c.link(ctx, append(c.createTables(), c.createComparison()...))
	if err != nil {
		return nil, err
	}
	for from := uint32(0); from < c.children; from += slice {
		for _, statement := range c.compare(from, from+slice) {
			err = c.exec(ctx, "comparing children", statement)
			if err != nil {
				return nil, err
			}
		}
	}
	regions, err := c.changes(ctx, uploaders)
	if err != nil {
		return nil, err
	}
	changes := disclosure.NewChanges()
	for _, r := range slices.Sorted(maps.Keys(regions)) {
		err = changes.Add(*regions[r])
		if err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// createComparison makes tables of what a child is to the cubes: its region, its
// attributes and a hash of its events; and of the children who changed with the
// regions that saw it, 0 being the country.
func (c *counting) createComparison() []string {
	child := ` (child UInt32, late UInt8, region UInt64, attr UInt64, events UInt64) ENGINE = MergeTree ORDER BY child` + unsafeSettings
	return []string{
		"CREATE TABLE " + c.table("now") + child,
		"CREATE TABLE " + c.table("was") + child,
		"CREATE TABLE " + c.table("changed") + " (child UInt32, moved UInt8, regions Array(UInt64)) ENGINE = MergeTree ORDER BY child" + unsafeSettings,
	}
}

// compare is the statements that fill those for some children. Only who has a late row,
// or lost one, can have changed; the others are derived for the size of their regions.
func (c *counting) compare(from, to uint32) []string {
	some := fmt.Sprintf("child >= %d AND child < %d", from, to)
	late := fmt.Sprintf("child IN (SELECT child FROM %s WHERE %s != 0 AND %s)", c.table("events"), lateColumn, some)
	columns := fmt.Sprintf("child, %s, %s, attr, %s", late, c.regionOf(), c.eventsHash())
	into := "INSERT INTO %s (child, late, region, attr, events) SELECT " + columns + " FROM (%s)"
	return []string{
		fmt.Sprintf(into, c.table("now"), c.selectKids(some+" AND NOT "+goneColumn)),
		fmt.Sprintf(into, c.table("was"), c.selectKids(some+" AND ("+lateColumn+" = 0 OR "+goneColumn+") AND "+late)),
		fmt.Sprintf(`INSERT INTO %s (child, moved, regions)
			SELECT child, found AND b.region != a.region, arrayDistinct(if(found, [0, b.region, a.region], [0, a.region]))
			FROM (SELECT child, region, attr, events FROM %s WHERE late AND %s) AS a
			LEFT JOIN (SELECT child, region, attr, events, true AS found FROM %s WHERE %[3]s) AS b USING (child)
			WHERE NOT found OR a.attr != b.attr OR a.events != b.events`, c.table("changed"), c.table("now"), some, c.table("was")),
		// Whose last row was replaced is in no region any more.
		fmt.Sprintf(`INSERT INTO %s (child, moved, regions) SELECT child, %d, arrayDistinct([0, region]) FROM %s
			WHERE %s AND child NOT IN (SELECT child FROM %s WHERE late AND %[4]s)`, c.table("changed"), vanished, c.table("was"), some, c.table("now")),
	}
}

// vanished is the move of a child who is in no region any more, the country included.
const vanished = 2

// regionOf is the SQL of a child's region, by the finest level of the dimension of
// children's regions; where only events have one, by the vote that such a dimension
// would take; 0 is no region, or a definition that shows none.
func (c *counting) regionOf() string {
	region := "toUInt64(0)"
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		switch {
		case d.Source.Column != gateway.ColumnRegion:
		case d.Source.Kind == gateway.ChildMost:
			return c.slots[d.Name].out("attr")
		case c.regions.voted:
			region = "toUInt64(home)"
		}
	}
	return region
}

// eventsHash is the SQL of a hash of what a child's events are to the cubes, in no
// order. Where no records are measured, the same event twice is one; not so where
// values of it are added up.
func (c *counting) eventsHash() string {
	events := "ev"
	var sets []string
	for _, column := range c.columns {
		if column.sets {
			sets = append(sets, gathered(column))
		}
	}
	if len(sets) > 0 {
		events = "arrayZip(ev, " + strings.Join(sets, ", ") + ")"
	}
	measured := slices.ContainsFunc(c.Definition.Cubes, func(cube gateway.Cube) bool {
		return slices.Contains(cube.Measures, gateway.CountRecords)
	})
	if !measured {
		events = "arrayDistinct(" + events + ")"
	}
	marked := ""
	if c.marks() != nil {
		marked = ", " + marksColumn
	}
	return "sipHash64(arraySort(" + events + ")" + c.valuesHashed() + marked + ")"
}

// changes reads the numbers, by region.
func (c *counting) changes(ctx context.Context, uploaders map[gateway.LoadID]gateway.AgencyID) (map[uint64]*disclosure.Change, error) {
	regions := map[uint64]*disclosure.Change{0: {}}
	at := func(r uint64) *disclosure.Change {
		if regions[r] == nil {
			regions[r] = &disclosure.Change{Region: fmt.Sprint(r)}
		}
		return regions[r]
	}
	err := c.triples(ctx, "SELECT region, count(), toUInt64(0) FROM "+c.table("now")+" GROUP BY region", func(r, n, _ uint64) error {
		regions[0].Children += n
		if r != 0 {
			at(r).Children += n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Who left a region is one of its children too.
	err = c.triples(ctx, fmt.Sprintf(`SELECT r, count(), countIf(moved = %d OR moved AND r != 0 AND r != n.region) FROM %s AS c ARRAY JOIN regions AS r
		LEFT JOIN (SELECT child, region FROM %s WHERE late) AS n USING (child) GROUP BY r`, vanished, c.table("changed"), c.table("now")),
		func(r, n, left uint64) error {
			at(r).Changed = n
			at(r).Children += left
			return nil
		})
	if err != nil {
		return nil, err
	}
	return regions, c.brought(ctx, uploaders, at)
}

// brought reads who brought the changes: a child's changes come from every batch with
// a late row of it.
func (c *counting) brought(ctx context.Context, uploaders map[gateway.LoadID]gateway.AgencyID, at func(uint64) *disclosure.Change) error {
	number, loads, agencies := map[gateway.AgencyID]int{}, []string{}, []int{}
	for _, load := range slices.Sorted(maps.Keys(uploaders)) {
		agency := uploaders[load]
		if number[agency] == 0 {
			number[agency] = len(number) + 1
		}
		loads, agencies = append(loads, fmt.Sprint(uint64(load))), append(agencies, number[agency])
	}
	uploader := "toUInt64(0)"
	if len(loads) > 0 {
		uploader = fmt.Sprintf("transform(%s, CAST([%s], 'Array(UInt64)'), CAST([%s], 'Array(UInt64)'), toUInt64(0))",
			lateColumn, strings.Join(loads, ", "), join(agencies))
	}
	by := func(what string) string {
		return fmt.Sprintf(`SELECT r, %s AS what, uniqExact(child) FROM %s ARRAY JOIN regions AS r
			INNER JOIN (SELECT child, Sector, %s FROM %s WHERE %[3]s != 0) AS e USING (child) GROUP BY r, what`,
			what, c.table("changed"), lateColumn, c.table("events"))
	}
	for _, q := range []struct {
		by  string
		add func(n *disclosure.Change, what, children uint64) error
	}{
		{lateColumn, func(n *disclosure.Change, _, children uint64) error {
			n.Batches = append(n.Batches, children)
			return nil
		}},
		{"toUInt64(Sector)", func(n *disclosure.Change, _, _ uint64) error { n.Sectors++; return nil }},
		{uploader, func(n *disclosure.Change, agency, children uint64) error {
			if agency == 0 {
				return broken("late rows of a load that no agency is known to have sent")
			}
			n.Uploaders = append(n.Uploaders, children)
			return nil
		}},
	} {
		err := c.triples(ctx, by(q.by), func(r, what, children uint64) error { return q.add(at(r), what, children) })
		if err != nil {
			return err
		}
	}
	return nil
}

// triples runs a query of three numbers a row. They stay in this package.
func (c *counting) triples(ctx context.Context, query string, each func(a, b, c uint64) error) error {
	doing := "counting " + string(c.Release) + ": reading changes"
	rows, err := c.w.builder.Query(ctx, query)
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var x, y, z uint64
		err = rows.Scan(&x, &y, &z)
		if err == nil {
			err = each(x, y, z)
		}
		if err != nil {
			return internal(doing, err)
		}
	}
	return internal(doing, orContext(ctx, rows.Err()))
}
