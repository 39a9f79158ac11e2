package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Values are added up apart from counting, by statements of their own over the
// events of their contract alone: a release without them is counted as if there were
// none. A child's row holds, for each contract with a value, its events again, and
// beside them for each value one word an event. The words are made so that adding
// them up, or taking the largest, over a child's events in a cell gives its number
// there.

// addSum takes what a cell's children have of a value.
type addSum func(gateway.GroupingSet, []string, string, disclosure.Sum) error

// checkValue finds fault with what a value is made of.
func (c *counting) checkValue(v *gateway.Value) error {
	invalid := func(why string) error { return gateway.Errorf(gateway.Invalid, "value %s: %s", v.ID, why) }
	if c.order[v.Sector] == 0 {
		return invalid("there is no contract " + string(v.Sector))
	}
	f := integer(c.contracts[c.order[v.Sector]-1], v.Column)
	switch {
	case f == nil:
		return invalid("its contract stores no integer in that column")
	case f.Max > gateway.MaxValue:
		return invalid("its field may hold numbers that are too large to be added up")
	case v.Max > gateway.MaxValue:
		return invalid("its clamp is too large")
	case v.PerChild != gateway.PerChildSum && !f.Required:
		return invalid("the mean or the latest of a field needs one that is required")
	}
	return nil
}

// integer returns the field whose numbers a column holds, or nil.
func integer(contract *gateway.Contract, column string) *gateway.Field {
	i := slices.IndexFunc(contract.Fields, func(f gateway.Field) bool {
		return column != "" && f.Column == column && f.Type == gateway.TypeInteger
	})
	if i < 0 {
		return nil
	}
	return &contract.Fields[i]
}

// number is the SQL of a contract's numbers, -1 where there is none.
func number(contract *gateway.Contract, column string) string {
	if integer(contract, column) == nil {
		return "toInt32(-1)"
	}
	return quote(column)
}

// An array is a column of the children's rows, over the events of one contract.
type array struct {
	name, sql, ddl string
}

// valueArrays lists what children's rows hold for values.
func (c *counting) valueArrays() []array { return slices.Concat(c.valueGroups()...) }

// valueGroups lists them by contract: arrays of a group are equally long, because
// they are over the same events in the same order.
func (c *counting) valueGroups() [][]array {
	var groups [][]array
	for at, contract := range c.contracts {
		var words []array
		of := func(name, sql, element string) array {
			return array{name, fmt.Sprintf("groupArrayIf(%s, Sector = %d)", sql, at+1), "Array(" + element + ")"}
		}
		for i := range c.Definition.Values {
			if v := &c.Definition.Values[i]; v.Sector == contract.ID {
				words = append(words, of(wordsOf(i), c.valueWord(v), "UInt64"))
			}
		}
		if len(words) == 0 {
			continue
		}
		group := []array{of(eventsOf(at+1, "ev"), "to"+c.word+"("+c.packed()+")", c.word)}
		for _, column := range c.columns {
			if column.sets {
				group = append(group, of(eventsOf(at+1, column.name), column.event(), "UInt64"))
			}
		}
		groups = append(groups, append(group, words...))
	}
	return groups
}

func eventsOf(sector int, what string) string { return fmt.Sprintf("E%d_%s", sector, what) }

func wordsOf(value int) string { return fmt.Sprintf("W%d", value) }

// valueColumns is the DDL of the arrays.
func (c *counting) valueColumns() string {
	var ddl strings.Builder
	for _, a := range c.valueArrays() {
		ddl.WriteString(", " + quote(a.name) + " " + a.ddl)
	}
	return ddl.String()
}

// valuesHashed is the SQL of what a comparison of children hashes besides their
// events: of each contract with values, its events with their words.
func (c *counting) valuesHashed() string {
	var all strings.Builder
	for _, group := range c.valueGroups() {
		var names []string
		for _, a := range group {
			names = append(names, quote(a.name))
		}
		all.WriteString(", arraySort(arrayZip(" + strings.Join(names, ", ") + "))")
	}
	return all.String()
}

// Bits of a word that is added up: the sum, the number of records that have one, and
// the number of records. The last keeps a word of zeros from being taken for none.
const (
	countedShift = 36
	recordShift  = 52
)

// Bits of a word of which the largest is the latest: a number (not above 2^20), the
// day in 32 bits, the quarter, and one that is always set.
const (
	dayShift     = 24
	quarterShift = 56
	alwaysShift  = 62
)

// valueWord is the SQL of an event's word. Numbers are clamped from above at once
// where that is the same in the end, so that no sum overflows. The quarter comes
// before the day, which a policy may withhold.
func (c *counting) valueWord(v *gateway.Value) string {
	column := sourceColumn{name: v.Column, number: true}.event()
	n := fmt.Sprintf("toUInt64(greatest(%s, 0))", column)
	if v.PerChild != gateway.PerChildMean {
		n = fmt.Sprintf("least(%s, %d)", n, v.Max)
	}
	if v.PerChild == gateway.PerChildLatest {
		day := "if(Day = -2147483648, toUInt64(0), toUInt64(toInt64(Day) + 2147483648))"
		return fmt.Sprintf("%s + bitShiftLeft(%s, %d) + bitShiftLeft(toUInt64(Quarter - %d), %d) + bitShiftLeft(toUInt64(1), %d)",
			n, day, dayShift, c.Definition.From, quarterShift, alwaysShift)
	}
	return fmt.Sprintf("%s + bitShiftLeft(toUInt64(%s >= 0), %d) + bitShiftLeft(toUInt64(1), %d)", n, column, countedShift, recordShift)
}

// own is the SQL of a child's clamped number, from the word of all its events in a
// cell. A mean is rounded half up.
func own(v *gateway.Value) string {
	sum := fmt.Sprintf("bitAnd(w, %d)", uint64(1)<<countedShift-1)
	number := sum
	switch v.PerChild {
	case gateway.PerChildLatest:
		number = fmt.Sprintf("bitAnd(w, %d)", 1<<dayShift-1)
	case gateway.PerChildMean:
		counted := fmt.Sprintf("greatest(bitAnd(bitShiftRight(w, %d), %d), 1)", countedShift, 1<<(recordShift-countedShift)-1)
		number = fmt.Sprintf("intDiv(2 * %s + %s, 2 * %[2]s)", sum, counted)
	case gateway.PerChildSum:
	}
	return fmt.Sprintf("toUInt64(least(greatest(%s, %d), %d))", number, v.Min, v.Max)
}

// carry notes values that a set of the part carries.
func (p *part) carry(values []string) {
	for _, id := range values {
		if !slices.Contains(p.values, id) {
			p.values = append(p.values, id)
		}
	}
}

// selectValue is the SQL of a value in a part: for every combination of attributes,
// of event nodes and of a child's number there, the children.
func (c *counting) selectValue(p *part, i int) string {
	v := &c.Definition.Values[i]
	sector := c.order[v.Sector]
	columns := []string{"attr", quote(eventsOf(sector, "ev")) + " AS ev", quote(wordsOf(i)) + " AS ws"}
	for _, column := range c.columns {
		if column.sets {
			columns = append(columns, quote(eventsOf(sector, column.name))+" AS "+column.event())
		}
	}
	x, args, arrays, words := c.eventWords(p)
	keys := "arrayMap(x -> [" + x + "], ev)"
	if words != "" {
		keys = fmt.Sprintf("arrayMap((%s) -> arrayMap(y -> to%s(y), %s), %s)", args, c.word, words, arrays)
	}
	reduce := "sumMap"
	if v.PerChild == gateway.PerChildLatest {
		reduce = "maxMap"
	}
	return fmt.Sprintf(`SELECT bitAnd(attr, %d) AS a, toUInt64(e) AS e, %s AS z, count() AS n FROM (
			SELECT attr, %s AS ks, arrayReduce('%s', ks, arrayMap((k, w) -> arrayMap(y -> w, k), ks, ws)) AS m
			FROM (SELECT %s FROM %s WHERE notEmpty(%s)))
		ARRAY JOIN m.1 AS e, m.2 AS w GROUP BY a, e, z`,
		p.attrs, own(v), keys, reduce, strings.Join(columns, ", "), c.table("kids"), quote(eventsOf(sector, "ev")))
}

// addValues adds up the values that the sets of a part carry.
func (c *counting) addValues(ctx context.Context, p *part) error {
	for i := range c.Definition.Values {
		id := c.Definition.Values[i].ID
		if !slices.Contains(p.values, id) {
			continue
		}
		var carrying []*tally
		for _, t := range p.sets {
			if t.carries(id) >= 0 {
				carrying = append(carrying, t)
			}
		}
		err := c.addValue(ctx, id, c.selectValue(p, i), carrying)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *counting) addValue(ctx context.Context, id, statement string, carrying []*tally) error {
	doing := "counting " + string(c.Release) + ": adding up " + id
	rows, err := c.w.builder.Query(ctx, statement)
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var b base
		var z uint64
		err = rows.Scan(&b.attr, &b.event, &z, &b.children)
		if err != nil {
			return internal(doing, err)
		}
		for _, t := range carrying {
			t.addSums(&b, t.carries(id), z)
		}
	}
	err = rows.Err()
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	return nil
}

// carries returns the place of a value among the set's, or -1.
func (t *tally) carries(id string) int { return slices.Index(t.Values, id) }

func (t *tally) addSums(b *base, value int, z uint64) {
	if t.sums == nil {
		t.sums = make([][]disclosure.Sum, len(t.Values))
	}
	if t.sums[value] == nil {
		t.sums[value] = make([]disclosure.Sum, t.size)
	}
	for _, at := range t.locate(b) {
		s := &t.sums[value][at]
		s.Children += b.children
		s.Sum += z * b.children
		switch {
		case z > s.Top[0] && b.children > 1:
			s.Top = [2]uint64{z, z}
		case z > s.Top[0]:
			s.Top = [2]uint64{z, s.Top[0]}
		case z > s.Top[1]:
			s.Top[1] = z
		}
	}
}

func (t *tally) eachSum(at int, nodes []string, add addSum) error {
	for value, id := range t.Values {
		if t.sums == nil || t.sums[value] == nil || t.sums[value][at].Children == 0 {
			continue
		}
		err := add(t.Set, nodes, id, t.sums[value][at])
		if err != nil {
			return err
		}
	}
	return nil
}
