package pipelines

import (
	"bytes"
	"math/bits"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// problem reports what is wrong with a field of the current row, -1 for the row.
func (st *stream) problem(field int, code gateway.ProblemCode) {
	st.bad = true
	st.lot.events = append(st.lot.events, event{record: int32(len(st.lot.records) - 1), field: int16(field), code: code}) //nolint:gosec // of a lot
}

// warn reports what is unlikely of a field of the current row, which is kept.
func (st *stream) warn(field int, code gateway.ProblemCode) {
	st.lot.events = append(st.lot.events, event{record: int32(len(st.lot.records) - 1), field: int16(field), warn: true, code: code}) //nolint:gosec // of a lot
}

// row decodes and checks the current record, and reports whether it may be kept.
func (st *stream) row() bool {
	st.bad = false
	switch n := len(st.cells.Cells); {
	case n < st.width:
		st.problem(-1, codeTooFewCells)
		return false
	case n > st.width:
		st.problem(-1, codeTooManyCells)
		return false
	}
	st.decode()
	st.checkConditions()
	st.checkPerson()
	st.checkEvent()
	st.checkOrder()
	st.checkAge()
	st.checkRecord()
	if !st.bad {
		st.checkRules()
	}
	return !st.bad
}

// decode fills the slots, and says of every cell alone what is wrong with it.
func (st *stream) decode() {
	broken := st.cells.After-st.cells.Line > 1 || st.cells.Breaks
	for i := range st.schema.columns {
		c, slot := &st.schema.columns[i], &st.slots[i]
		*slot = noSlot
		if c.place < 0 {
			continue
		}
		at := st.cells.Cells[c.place]
		if at.Start == at.End {
			if c.required {
				st.problem(i, codeRequired)
			}
			continue
		}
		cell := st.cells.Buf[at.Start:at.End]
		slot.given = true
		var code gateway.ProblemCode
		switch {
		case at.Form == tabular.Bare:
			code = codeBareQuote
		case c.kind == gateway.TypeIIN:
			if st.blind {
				code = parseInner(cell)
			} else {
				st.iin, code = st.parseIIN(cell)
			}
			slot.ok = code == ""
		case c.kind == gateway.TypeText:
			code = c.checkText(cell, broken)
		default:
			code = c.decode(slot, cell, st.today)
		}
		if code != "" {
			st.problem(i, code)
		}
	}
}

func (st *stream) parseIIN(cell []byte) (iinFacts, gateway.ProblemCode) {
	facts, code := parseIIN(cell, st.today)
	if code != "" && placeholder(cell) {
		code = codePlaceholder // zeros pass the check
	}
	return facts, code
}

// checkConditions demands the fields that are required under a condition.
func (st *stream) checkConditions() {
	for _, i := range st.conditional {
		if c := &st.schema.columns[i]; !st.slots[i].given && c.when.holds(st.schema, st.slots) {
			st.problem(i, codeRequired)
		}
	}
}

// checkPerson holds birth date and sex against the IIN, warns, and then takes both from
// the IIN where there is a valid one, never from the other columns (domain.md
// 3.1). A plan that drops the IIN takes nothing from it.
func (st *stream) checkPerson() {
	s := st.schema
	st.birth, st.disagrees = noSlot, false
	if s.birth >= 0 {
		st.birth = st.slots[s.birth]
	}
	if s.iin < 0 || !st.slots[s.iin].ok || st.blind { // who made the file took them from the IIN
		return
	}
	if st.birth.ok && st.birth.v != st.iin.birth.v {
		st.warn(s.birth, codeIINDateMismatch)
		st.disagrees = true
	}
	sex := s.female
	if st.iin.male {
		sex = s.male
	}
	if s.sex >= 0 {
		if said := &st.slots[s.sex]; said.ok && said.v != sex && (said.v == s.male || said.v == s.female) {
			st.warn(s.sex, codeIINSexMismatch)
			st.disagrees = true
		}
	}
	if !st.program.pid {
		return
	}
	st.birth = st.iin.birth
	if s.birth >= 0 {
		st.slots[s.birth] = st.birth
	}
	if s.sex >= 0 {
		st.slots[s.sex] = slot{v: sex, given: true, ok: true}
	}
}

// checkEvent holds the date of the event against the period of the batch, and the
// codes against that date.
func (st *stream) checkEvent() {
	event := &st.slots[st.schema.event]
	if !event.ok {
		return
	}
	day := gateway.Day(event.v) //nolint:gosec // a day
	if st.from != gateway.NoDay && day < st.from || st.to != gateway.NoDay && day > st.to {
		st.problem(st.schema.event, codeDateOutside)
	}
	for _, i := range st.dated {
		c, slot := &st.schema.columns[i], &st.slots[i]
		switch {
		case !slot.ok:
		case c.multi:
			for set := uint64(slot.v); set != 0; set &= set - 1 { //nolint:gosec // bits
				if !c.validity[bits.TrailingZeros64(set)+1].holds(day) {
					st.problem(i, codeCodeNotValid)
					break
				}
			}
		case !c.validity[slot.v].holds(day):
			st.problem(i, codeCodeNotValid)
		}
	}
}

// The distances from the event at which another date of the row is unlikely: five
// years before it, one year behind it.
const (
	longBefore = 5 * 366
	longBehind = 366
)

// checkOrder refuses dates out of order, and warns of those far from the event.
func (st *stream) checkOrder() {
	event := &st.slots[st.schema.event]
	for _, i := range st.schema.dates {
		if d := &st.slots[i]; d.ok && event.ok && (d.v < event.v-longBefore || d.v > event.v+longBehind) {
			st.warn(i, codeDateUnlikely)
		}
	}
	for _, pair := range st.schema.order {
		earlier, later := &st.slots[pair[0]], &st.slots[pair[1]]
		if earlier.ok && later.ok && earlier.v > later.v {
			st.problem(pair[1], codeDateOrder)
		}
	}
}

// checkAge derives the age at the event, from the birth where it is known, and
// refuses what is no child's.
func (st *stream) checkAge() {
	s := st.schema
	st.age, st.days, st.ageFromBirth = noSlot, noSlot, false
	event := &st.slots[s.event]
	switch {
	case st.birth.ok && event.ok:
		st.ageFromBirth = true
		blame := s.birth
		if blame < 0 {
			blame = s.iin
		}
		if event.v < st.birth.v {
			st.problem(s.event, codeDateBeforeBirth)
			return
		}
		st.age = slot{v: int64((event.ymd - st.birth.ymd) / 10000), given: true, ok: true}
		st.days = slot{v: event.v - st.birth.v, given: true, ok: true}
		st.checkChild(blame)
	case s.age >= 0 && st.slots[s.age].ok && !st.birth.ok:
		st.age = st.slots[s.age]
		st.checkChild(s.age)
	}
	st.slots[len(s.columns)], st.slots[len(s.columns)+1] = st.age, st.days
}

// checkChild refuses an age that is no child's or that no band holds.
func (st *stream) checkChild(field int) {
	if st.age.v >= adult || st.schema.bands != nil && st.schema.bands[st.age.v] == 0 {
		st.problem(field, codeAgeRange)
		st.age, st.days = noSlot, noSlot
	}
}

// checkRecord keeps the record's identifier: the second record with one identifier
// is refused when the lot is entered.
func (st *stream) checkRecord() {
	if i := st.schema.record; i >= 0 && st.slots[i].ok {
		st.lot.recordIDs[len(st.lot.recordIDs)-1] = st.lot.keep(st.cell(i))
	}
}

// checkRules asks the row rules of the policy.
func (st *stream) checkRules() {
	for i := range st.rules.rules {
		if r := &st.rules.rules[i]; r.holds(&st.facts) {
			st.problem(-1, r.code)
		}
	}
}

// wrongCell returns the field of the first cell of the current record that holds
// what ends the reading.
func (st *stream) wrongCell(code gateway.ProblemCode) gateway.FieldName {
	good := validUTF8
	if code == tabular.NUL {
		good = func(cell []byte) bool { return bytes.IndexByte(cell, 0) < 0 }
	}
	at := st.cells.Find(good)
	for i := range st.schema.columns {
		if at >= 0 && st.schema.columns[i].place == at {
			return st.schema.columns[i].field.Name
		}
	}
	return ""
}
