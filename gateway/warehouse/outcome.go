package warehouse

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Outcomes are counted from the same row a child as everything else: beside the packed
// events it has an array of the nodes that the child is in. They are derived while the
// child's events are gathered: the days of each happening of its paths become an array,
// and the steps look in those. Days are those that are stored, shifted by one secret a
// child: what is looked at is days between them, and the quarter of a record.

// marksColumn is the array of the children table; mark is its node at hand.
const marksColumn = "out"

// markBits is room for a node's number in the word of events.
const markBits = 8

// never is a day that no date reaches: of a step that was not found.
const never = int64(1) << 40

// noHorizon is before every day: of a region in which some sector has not reported.
const noHorizon = -(1 << 40)

// marks is the slot of the dimension of outcomes, or nil.
func (c *counting) marks() *slot {
	for _, s := range c.slots {
		if s.marks {
			return s
		}
	}
	return nil
}

// checkOutcomes finds fault with a dimension of outcomes, and lists the columns that
// its happenings read.
func (c *counting) checkOutcomes(d *gateway.Dimension, add func(sourceColumn)) error {
	for i := range d.Source.Paths {
		p := &d.Source.Paths[i]
		all := slices.Clone(p.Start)
		for _, s := range p.Steps {
			all = append(all, s.Any...)
			if s.Slip {
				c.slips = true
			}
		}
		for _, h := range all {
			err := c.checkHappening(d, h, add)
			if err != nil {
				return err
			}
		}
		for _, id := range p.Told {
			if c.order[id] == 0 {
				return gateway.Errorf(gateway.Invalid, "dimension %s: there is no contract %s", d.Name, id)
			}
		}
	}
	for _, n := range d.Nodes {
		if n.Outcome == nil || d.Path(n.Outcome.Path) == nil {
			return gateway.Errorf(gateway.Invalid, "dimension %s: a node without a path", d.Name)
		}
	}
	if len(d.Nodes) >= 1<<markBits {
		return gateway.Errorf(gateway.Invalid, "dimension %s: at most %d outcomes", d.Name, 1<<markBits-1)
	}
	return nil
}

func (c *counting) checkHappening(d *gateway.Dimension, h gateway.Happening, add func(sourceColumn)) error {
	if c.order[h.Sector] == 0 {
		return gateway.Errorf(gateway.Invalid, "dimension %s: there is no contract %s", d.Name, h.Sector)
	}
	contract := c.contracts[c.order[h.Sector]-1]
	for _, name := range h.Dates {
		if !slices.Contains(contract.Layout(), gateway.Column{Name: name, Type: gateway.Int32}) {
			return gateway.Errorf(gateway.Invalid, "dimension %s: contract %s stores no date %s", d.Name, h.Sector, name)
		}
		add(sourceColumn{name: name, date: true})
	}
	for _, column := range slices.Sorted(maps.Keys(h.Where)) {
		if codedField(contract, column) == nil {
			return gateway.Errorf(gateway.Invalid, "dimension %s: contract %s stores no codes in column %s", d.Name, h.Sector, column)
		}
		add(sourceColumn{name: column, sets: c.severalIn(column)})
	}
	return nil
}

// severalIn reports whether some contract holds sets of codes in a column.
func (c *counting) severalIn(column string) bool {
	return slices.ContainsFunc(c.contracts, func(k *gateway.Contract) bool {
		f := codedField(k, column)
		return f != nil && f.Multi
	})
}

// is is the SQL of the condition that an event is a happening's, of any date.
func (c *counting) is(h gateway.Happening) string {
	all := []string{fmt.Sprintf("Sector = %d", c.order[h.Sector])}
	list := func(column string) *gateway.CodeList {
		return codedField(c.contracts[c.order[h.Sector]-1], column).List
	}
	for _, column := range slices.Sorted(maps.Keys(h.Where)) {
		var numbers []int
		mask := uint64(0)
		for _, code := range h.Where[column] {
			if n, known := list(column).Number([]byte(code)); known {
				n := successor(list(column), int(n)-1) + 1
				numbers = append(numbers, n)
				mask |= 1 << (n - 1) & (1<<64 - 1)
			}
		}
		if c.severalIn(column) {
			all = append(all, fmt.Sprintf("bitAnd(%s, %d) != 0", codes(column), mask))
		} else {
			all = append(all, fmt.Sprintf("%s IN (%s)", codes(column), join(numbers)))
		}
	}
	return "(" + strings.Join(all, " AND ") + ")"
}

// on lists the SQL of a happening's days, each a number or a missing one.
func on(h gateway.Happening) []string {
	if len(h.Dates) == 0 {
		return []string{"Day"}
	}
	var days, none []string
	for _, name := range h.Dates {
		day := sourceColumn{name: name, date: true}.event()
		days, none = append(days, day), append(none, fmt.Sprintf("%s = %d", day, gateway.NoDay))
	}
	if h.Own {
		days = append(days, fmt.Sprintf("if(%s, Day, toInt32(%d))", strings.Join(none, " AND "), gateway.NoDay))
	}
	return days
}

// An outcomes writes the SQL of the nodes of one dimension.
type outcomes struct {
	c          *counting
	aggregates []string // over a child's events
	columns    []string // over those, in order: later ones may use earlier ones
	arrays     map[string]string
}

// outcome is the SQL of a child's nodes: aggregates over its events, and columns over
// those, of which the last is the array.
func (c *counting) outcome(d *gateway.Dimension) *outcomes {
	o := &outcomes{c: c, arrays: map[string]string{}}
	for i := range d.Source.Paths {
		o.path(&d.Source.Paths[i], i)
	}
	var nodes []string
	for i, n := range d.Nodes {
		at := slices.IndexFunc(d.Source.Paths, func(p gateway.Path) bool { return p.ID == n.Outcome.Path })
		nodes = append(nodes, fmt.Sprintf("if(%s, toUInt8(%d), toUInt8(0))", said(&d.Source.Paths[at], at, n.Outcome), i+1))
	}
	o.columns = append(o.columns, "arrayFilter(x -> x > 0, ["+strings.Join(nodes, ", ")+"]) AS "+marksColumn)
	return o
}

func said(p *gateway.Path, at int, o *gateway.Outcome) string {
	step := func(id string) string { return fmt.Sprintf("p%d_t%d", at, p.Step(id)) }
	switch {
	case o.Started:
		return fmt.Sprintf("p%d_n > 0", at)
	case o.CannotTell:
		return fmt.Sprintf("p%d_n > 0 AND NOT p%[1]d_told", at)
	case o.Without != "":
		return fmt.Sprintf("p%d_told AND %s = %d", at, step(o.Without), never)
	case len(o.Days) == 2:
		return fmt.Sprintf("p%d_told AND %s != %d AND %[2]s - p%[1]d_s BETWEEN %[4]d AND %[5]d", at, step(o.With), never, o.Days[0], o.Days[1])
	}
	return fmt.Sprintf("p%d_told AND %s != %d", at, step(o.With), never)
}

// path writes the start of a path, whether its cohort can be told, and its steps.
func (o *outcomes) path(p *gateway.Path, at int) {
	var starts, is []string
	slip := ""
	if slices.ContainsFunc(p.Steps, func(s gateway.Step) bool { return s.Slip }) {
		slip = ", " + slipColumn + ", " + keptColumn
	}
	for _, h := range p.Start {
		starts, is = append(starts, o.starts(h, slip)...), append(is, o.c.is(h))
	}
	if slices.ContainsFunc(p.Start, func(h gateway.Happening) bool { return len(h.Dates) > 0 && !h.Own }) {
		is = nil // one without its date is no start
		for _, h := range p.Start {
			for _, day := range on(h) {
				is = append(is, fmt.Sprintf("%s AND %s != %d", o.c.is(h), day, gateway.NoDay))
			}
		}
	}
	o.aggregates = append(o.aggregates, fmt.Sprintf("countIf(%s) AS p%d_n", strings.Join(is, " OR "), at))
	name := fmt.Sprintf("p%d", at)
	// Day, quarter of the record, days that the start is after the record's own: of the
	// earliest start, the smallest of several.
	o.columns = append(o.columns,
		fmt.Sprintf("arraySort(arrayConcat(%s)) AS %s_all", strings.Join(starts, ", "), name),
		fmt.Sprintf("%s_all[1].1 AS %[1]s_s", name),
		fmt.Sprintf("notEmpty(%[1]s_all) AND %[2]s + %[1]s_all[1].3 + %[3]d <= %[4]s AS %[1]s_told", name, o.lastDay(name+"_all[1].2"), p.Days, o.horizon(p)))
	for i := range p.Steps {
		if p.Steps[i].Slip {
			o.slip(p, at, i)
		} else {
			o.step(p, at, i)
		}
	}
}

// starts gathers the days of a happening with the quarter of their record and how long
// after the record they are.
func (o *outcomes) starts(h gateway.Happening, slip string) []string {
	var arrays []string
	for _, day := range on(h) {
		arrays = append(arrays, o.array(fmt.Sprintf(
			"groupArrayIf((toInt64(%[1]s), toInt64(Quarter), if(Day = %[2]d, toInt64(0), greatest(toInt64(%[1]s) - toInt64(Day), toInt64(0)))%[4]s), %[3]s AND %[1]s != %[2]d)",
			day, gateway.NoDay, o.c.is(h), slip)))
	}
	return arrays
}

// days gathers the days of a happening.
func (o *outcomes) days(h gateway.Happening) []string {
	var arrays []string
	for _, day := range on(h) {
		arrays = append(arrays, o.array(fmt.Sprintf("groupArrayIf(toInt64(%s), %s AND %[1]s != %[3]d)", day, o.c.is(h), gateway.NoDay)))
	}
	return arrays
}

// array gives an aggregate a name, the same to the same.
func (o *outcomes) array(aggregate string) string {
	name, known := o.arrays[aggregate]
	if !known {
		name = fmt.Sprintf("h%d", len(o.arrays))
		o.arrays[aggregate] = name
		o.aggregates = append(o.aggregates, aggregate+" AS "+name)
	}
	return name
}

// step is the day of a step, or never: the earliest of its happenings in its span.
func (o *outcomes) step(p *gateway.Path, at, i int) {
	s := &p.Steps[i]
	var arrays []string
	for _, h := range s.Any {
		arrays = append(arrays, o.days(h)...)
	}
	from := fmt.Sprintf("p%d_s", at)
	if s.After != "" {
		from = fmt.Sprintf("p%d_t%d", at, p.Step(s.After))
	}
	span := fmt.Sprintf("x -> x >= %[1]s + (%[2]d) AND x <= least(%[1]s + (%[3]d), p%[4]d_s + %[5]d)", from, s.From, s.To, at, p.Days)
	o.columns = append(o.columns, fmt.Sprintf("if(%[1]s = %[2]d, toInt64(%[2]d), arrayMin(arrayPushBack(arrayFilter(%[3]s, arrayConcat(%[4]s)), toInt64(%[2]d)))) AS p%[5]d_t%[6]d",
		from, never, span, strings.Join(arrays, ", "), at, i))
}

// lastDay is the SQL of the last day of a quarter of the window.
func (o *outcomes) lastDay(quarter string) string {
	var quarters, days []int
	for q := o.c.Definition.From; q <= o.c.Definition.To; q++ {
		quarters, days = append(quarters, int(q)), append(days, int(q.Last()))
	}
	return fmt.Sprintf("toInt64(%s)", transform(quarter, quarters, days))
}

// horizon is the SQL of the last day that all sectors of a path have reported in the
// child's region.
func (o *outcomes) horizon(p *gateway.Path) string {
	r := o.c.regions
	if !r.voted || len(r.codes) == 0 {
		return fmt.Sprintf("toInt64(%d)", noHorizon)
	}
	in := func(region string) int {
		last := 0
		for i, sector := range p.Told {
			h := o.c.Coverage.Horizon(sector, region, o.c.Definition.From)
			if h == 0 {
				return noHorizon
			}
			if day := int(h.Last()); i == 0 || day < last {
				last = day
			}
		}
		return last
	}
	days, unknown := make([]int, len(r.codes)), 0
	for i, code := range r.codes {
		days[i] = in(code)
	}
	for i, code := range r.all {
		if day := in(code); i == 0 || day < unknown {
			unknown = day
		}
	}
	return fmt.Sprintf("transform(toUInt64(%s), CAST([%s], 'Array(UInt64)'), CAST([%s], 'Array(Int64)'), toInt64(%d))",
		voted(gateway.ColumnRegion)+".v", join(r.numbers), join(days), unknown)
}

// checkCrossed refuses outcomes beside what is of single records: an outcome is of a
// child, and its cells would be of records that have nothing to do with it.
func (c *counting) checkCrossed() error {
	for _, a := range c.Definition.AdmittedSets() {
		marks, others := 0, 0
		for _, sd := range a.Set {
			switch s := c.slots[sd.Name]; {
			case s.marks:
				marks++
			case s.event, s.pairs:
				others++
			}
		}
		if marks > 1 || marks == 1 && (others > 0 || slices.Contains(a.Measures, gateway.CountRecords) || len(a.Values) > 0) {
			return gateway.Errorf(gateway.Invalid, "outcomes are crossed with attributes of children, and only children are counted there")
		}
	}
	return nil
}
