package warehouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// orderOfEvent is the SQL of a number that sorts a child's events: by shifted
// day, within a day by the order of the contracts; an event without a day comes
// last. The lower 24 bits are free.
const orderOfEvent = "bitShiftLeft(" + dayOrder + ", 32) + bitShiftLeft(toUInt64(Sector), 24)"

// dayOrder is the SQL of the shifted day as an unsigned number of 32 bits.
const dayOrder = "if(Day = -2147483648, toUInt64(4294967295), toUInt64(toInt64(Day) + 2147483648))"

// insertKids is the statement that makes one row a child: its subject key, its
// attributes packed into one word, and its events as an array of words. Every
// grouping set is counted from these without looking at a child id again.
func (c *counting) insertKids(from, to uint32) string {
	into, columns := []string{"rk", "attr", "ev"}, []string{"rk", "attr", "ev"}
	for _, column := range c.columns {
		if column.sets {
			into, columns = append(into, column.event()), append(columns, gathered(column))
		}
	}
	if c.marks() != nil {
		into, columns = append(into, marksColumn), append(columns, marksColumn)
	}
	for _, v := range c.valueArrays() {
		into, columns = append(into, quote(v.name)), append(columns, quote(v.name))
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM (%s)", c.table("kids"), strings.Join(into, ", "),
		strings.Join(columns, ", "), c.selectKids(fmt.Sprintf("child >= %d AND child < %d", from, to)))
}

// gathered is the array of a child's sets of codes, beside its events.
func gathered(column sourceColumn) string { return quote("S_" + column.name) }

// selectKids is the SQL of one row for each child among the events that meet a
// condition: child, rk, attr, ev, the gathered sets and, in a comparison, whether some
// of its events are late.
func (c *counting) selectKids(where string) string {
	inner := []string{"child", "any(rk) AS rk", "groupArray(to" + c.word + "(" + c.packed() + ")) AS ev"}
	outer := []string{"k.child AS child", "rk", "ev"}
	attr := []string{"toUInt64(0)"}
	for _, column := range c.columns {
		if column.sets {
			inner = append(inner, "groupArray("+column.event()+") AS "+gathered(column))
			outer = append(outer, gathered(column))
		}
	}
	for _, v := range c.valueArrays() {
		inner = append(inner, v.sql+" AS "+quote(v.name))
		outer = append(outer, quote(v.name))
	}
	joins := map[string]string{}
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		s := c.slots[d.Name]
		if s.event {
			continue
		}
		if s.marks {
			o := c.outcome(d)
			inner, outer = append(inner, o.aggregates...), append(outer, o.columns...)
			for _, column := range c.votes(d) {
				joins[column] = c.joinVote(column, where)
			}
			continue
		}
		value, aggregates := c.attribute(d, i)
		inner = append(inner, aggregates...)
		attr = append(attr, s.in(c.leafOf(s, value)))
		for _, column := range c.votes(d) {
			joins[column] = c.joinVote(column, where)
		}
	}
	if c.closed != nil {
		inner, outer = append(inner, "max("+lateColumn+" != 0) AS late"), append(outer, "late")
		if slices.Contains(c.columns, sourceColumn{name: gateway.ColumnRegion}) {
			joins[gateway.ColumnRegion] = c.joinVote(gateway.ColumnRegion, where)
			outer = append(outer, voted(gateway.ColumnRegion)+".v AS home")
		}
	}
	var tail strings.Builder
	for _, column := range slices.Sorted(maps.Keys(joins)) {
		tail.WriteString(joins[column])
	}
	return fmt.Sprintf("SELECT %s, %s AS attr FROM (SELECT %s FROM %s WHERE %s GROUP BY child) AS k%s", strings.Join(outer, ", "),
		strings.Join(attr, " + "), strings.Join(inner, ", "), c.table("events"), where, tail.String())
}

// packed is the SQL of an event as one word.
func (c *counting) packed() string {
	word := []string{"toUInt64(0)"}
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		s := c.slots[d.Name]
		if s.event && !s.many {
			word = append(word, s.in(c.leafOf(s, eventValue(d))))
		}
	}
	if c.units.counted() {
		word = append(word, fmt.Sprintf("bitShiftLeft(toUInt64(Unit), %d)", c.units.shift))
	}
	return strings.Join(word, " + ")
}

// eventValue is the event column that an event dimension's leaf is found by.
func eventValue(d *gateway.Dimension) string {
	switch d.Source.Kind {
	case gateway.EventSector:
		return "Sector"
	case gateway.EventQuarter, gateway.EventYear:
		return "Quarter"
	case gateway.EventSectorCode:
		return fmt.Sprintf("(bitShiftLeft(toUInt64(Sector), %d) + %s)", codeBits, codes(d.Source.Column))
	case gateway.EventColumn, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost, gateway.FirstSector,
		gateway.SectorCount, gateway.SectorPair, gateway.ReachedIn, gateway.ChildOutcome:
	}
	return codes(d.Source.Column)
}

// attribute is the SQL of a child dimension's value, over the aggregates that it
// needs of the child's events.
func (c *counting) attribute(d *gateway.Dimension, i int) (value string, aggregates []string) {
	name := fmt.Sprintf("a%d", i)
	column := codes(d.Source.Column)
	switch d.Source.Kind {
	case gateway.ChildConst:
		// Rows that contradict one another make it unknown; empty ones say nothing.
		return name, []string{fmt.Sprintf("if(minIf(%[1]s, %[1]s > 0) = max(%[1]s), max(%[1]s), 0) AS %[2]s", column, name)}
	case gateway.ChildFirst:
		// The value of the earliest event, empty or not; of several of one sector on
		// that day, one that is not empty, the smallest.
		return "bitAnd(" + name + ", 65535)", []string{fmt.Sprintf(
			"min(%s + bitShiftLeft(toUInt64(%[2]s = 0), 16) + %[2]s) AS %[3]s", orderOfEvent, column, name)}
	case gateway.FirstSector:
		return "bitAnd(bitShiftRight(" + name + ", 24), 255)", []string{"min(" + orderOfEvent + ") AS " + name}
	case gateway.ChildMost:
		return voted(d.Source.Column) + ".v", nil
	case gateway.SectorPair:
		return name, []string{"groupBitOr(bitShiftLeft(toUInt64(1), Sector - 1)) AS " + name}
	case gateway.SectorCount:
		return "bitCount(" + name + ")", []string{"groupBitOr(bitShiftLeft(toUInt64(1), Sector - 1)) AS " + name}
	case gateway.ReachedIn:
		return c.reached(d, name)
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode,
		gateway.ChildOutcome:
	}
	panic("warehouse: internal error: not an attribute of children")
}

// votes lists the columns that a dimension needs a vote on.
func (c *counting) votes(d *gateway.Dimension) []string {
	switch {
	case d.Source.Kind == gateway.ChildMost:
		return []string{d.Source.Column}
	case (d.Source.Kind == gateway.ReachedIn || d.Source.Kind == gateway.ChildOutcome) && c.regions.voted:
		return []string{gateway.ColumnRegion}
	}
	return nil
}

func (c *counting) joinVote(column, where string) string {
	return fmt.Sprintf(" LEFT JOIN (%s) AS %s ON k.child = %[2]s.child", c.vote(column, where), voted(column))
}

func voted(column string) string { return quote("Most_" + column) }

// vote is the SQL of (child, v): the code that most sectors name, one vote for
// each code that a sector names; of equal ones the code of the earliest record;
// of codes equal in that too none. One sector can never outvote two that agree
// (domain.md 3.1).
func (c *counting) vote(column, where string) string {
	return fmt.Sprintf(`SELECT child, if(length(b) > 1 AND b[1].1 = b[2].1, 0, b[1].2) AS v FROM (
		SELECT child, arraySort(groupArray((bitShiftLeft(toUInt64(64 - votes), 32) + first, code))) AS b FROM (
			SELECT child, %[1]s AS code, bitCount(groupBitOr(bitShiftLeft(toUInt64(1), Sector))) AS votes, min(%[2]s) AS first
			FROM %[3]s WHERE %[1]s > 0 AND %[4]s GROUP BY child, code) GROUP BY child)`,
		codes(column), dayOrder, c.table("events"), where)
}

// reached is the SQL of a child's status: no start; cannot tell while reports may
// be missing, for the whole cohort of a quarter and region alike; else whether a
// target date lies within the days after the first start.
func (c *counting) reached(d *gateway.Dimension, name string) (value string, aggregates []string) {
	// The start: its day in 32 bits, its true quarter in 16.
	start := fmt.Sprintf("minIf(bitShiftLeft(%s, 16) + Quarter, Sector = %d) AS %s", dayOrder, c.order[d.Source.Start], name)
	aggregates = append(aggregates, start)
	var dates []string
	for _, sector := range slices.Sorted(maps.Keys(d.Source.Targets)) {
		for _, date := range d.Source.Targets[sector] {
			array := fmt.Sprintf("%s_%d", name, len(dates))
			column := sourceColumn{name: date, date: true}.event()
			aggregates = append(aggregates, fmt.Sprintf("groupArrayIf(%[1]s, Sector = %[2]d AND %[1]s != %[3]d) AS %[4]s",
				column, c.order[sector], gateway.NoDay, array))
			dates = append(dates, array)
		}
	}
	region := "0"
	if c.regions.voted {
		region = voted(gateway.ColumnRegion) + ".v"
	}
	value = fmt.Sprintf(`multiIf(%[1]s = 0, 4, bitShiftRight(%[1]s, 16) = 4294967295, 3, bitAnd(%[1]s, 65535) > %[2]s, 3,
		arrayExists(x -> toInt64(x) - (toInt64(bitShiftRight(%[1]s, 16)) - 2147483648) BETWEEN 0 AND %[3]d, arrayConcat(%[4]s)), 1, 2)`,
		name, c.regions.told(c, d, region), d.Source.Days, strings.Join(dates, ", "))
	return value, aggregates
}

// regions are the codes over which horizons are looked up.
type regions struct {
	voted   bool // some contract stores the region, so that a child may have one
	numbers []int
	codes   []string // by number
	all     []string // those of which every one must have reported for an unknown region
}

func (c *counting) newRegions() *regions {
	r := &regions{}
	list := c.regionList()
	if list == nil {
		return r
	}
	r.voted = true
	for i, code := range list.Codes {
		r.numbers, r.codes = append(r.numbers, i+1), append(r.codes, code.Code)
		if code.Successor == "" {
			r.all = append(r.all, code.Code)
		}
	}
	for i := range c.Definition.Dimensions {
		d := &c.Definition.Dimensions[i]
		if d.Source.Kind == gateway.ChildMost && d.Source.Column == gateway.ColumnRegion {
			s := c.slots[d.Name]
			r.all = s.codes[len(s.codes)-1]
		}
	}
	return r
}

// told is the SQL of the last quarter of which a cohort's status can be told: the
// horizon of every sector concerned, in the child's region, has passed the
// cohort's quarter by the days that reaching takes.
func (r *regions) told(c *counting, d *gateway.Dimension, region string) string {
	unknown := gateway.Quarter(0)
	quarters := make([]int, len(r.codes))
	for i, code := range r.codes {
		quarters[i] = int(c.toldIn(d, code))
	}
	for i, code := range r.all {
		if q := c.toldIn(d, code); i == 0 || q < unknown {
			unknown = q
		}
	}
	if len(r.codes) == 0 {
		return "0"
	}
	return fmt.Sprintf("if(%[1]s = 0, toUInt64(%d), %s)", region, unknown, transform(region, r.numbers, quarters))
}

func (c *counting) toldIn(d *gateway.Dimension, region string) gateway.Quarter {
	horizon := c.Coverage.Horizon(d.Source.Start, region, c.Definition.From)
	for sector := range d.Source.Targets {
		horizon = min(horizon, c.Coverage.Horizon(sector, region, c.Definition.From))
	}
	if horizon == 0 {
		return 0
	}
	for q := horizon; q >= c.Definition.From; q-- {
		if int(q.Last())+d.Source.Days <= int(horizon.Last()) {
			return q
		}
	}
	return 0
}
