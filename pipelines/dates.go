package pipelines

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// dateForms is a set of forms of dates.
type dateForms uint8

const (
	dateISO dateForms = 1 << iota
	dateDotted
	dateSlashed
	dateSerial
	dateShort
)

// dateForms returns the forms that the contract allows; ISO 8601 always.
func (s *schema) dateForms() dateForms {
	forms := dateISO
	for _, form := range s.contract.Dates {
		switch form {
		case gateway.DateDotted:
			forms |= dateDotted
		case gateway.DateShort:
			forms |= dateShort
		case gateway.DateSlashed:
			forms |= dateSlashed
		case gateway.DateSerial:
			forms |= dateSerial
		}
	}
	return forms
}

// names names the forms.
func (seen dateForms) names() []string {
	var names []string
	for form, name := range map[dateForms]string{dateISO: "YYYY-MM-DD", dateDotted: string(gateway.DateDotted), dateSlashed: string(gateway.DateSlashed), dateSerial: string(gateway.DateSerial), dateShort: string(gateway.DateShort)} {
		if seen&form != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// decodeDate reads an ISO 8601 date, as gateway.ParseDay does, or one in another
// form that the contract allows. A form is told by the cell alone, and no cell is a
// date in two of them.
func (c *column) decodeDate(s *slot, cell []byte, oldest, today gateway.Day) gateway.ProblemCode {
	if len(cell) != 10 || cell[4] != '-' || cell[7] != '-' {
		return c.decodeOtherDate(s, cell, oldest, today)
	}
	ymd := 0
	for i, b := range cell {
		if i == 4 || i == 7 {
			continue
		}
		d := int(b) - '0'
		if d < 0 || d > 9 {
			return codeDateForm
		}
		ymd = ymd*10 + d
	}
	c.seen |= dateISO
	return s.putDate(ymd, oldest, today)
}

// putDate checks a date and puts it into the slot.
func (s *slot) putDate(ymd int, oldest, today gateway.Day) gateway.ProblemCode {
	day, ok := gateway.CivilDay(ymd/10000, ymd/100%100, ymd%100)
	switch {
	case !ok:
		return codeDateForm
	case day > today:
		return codeDateFuture
	case day < oldest:
		return codeDateTooOld
	}
	s.v, s.ymd, s.ok = int64(day), int32(ymd), true //nolint:gosec // eight digits
	return ""
}

// dayFirst are the forms that start with the day, by what stands between the parts.
var dayFirst = [256]dateForms{'.': dateDotted, '/': dateSlashed}

func (c *column) decodeOtherDate(s *slot, cell []byte, oldest, today gateway.Day) gateway.ProblemCode {
	switch {
	case len(cell) == 10 && cell[2] == cell[5] && c.dates&dayFirst[cell[2]] != 0:
		year, ok1 := digits(cell[6:])
		month, ok2 := digits(cell[3:5])
		date, ok3 := digits(cell[:2])
		if !ok1 || !ok2 || !ok3 {
			return codeDateForm
		}
		c.seen |= dayFirst[cell[2]]
		return s.putDate(year*10000+month*100+date, oldest, today)
	case len(cell) == 8 && cell[2] == '.' && cell[5] == '.' && c.dates&dateShort != 0:
		return c.decodeShortDate(s, cell, oldest, today)
	case c.dates&dateSerial != 0 && len(cell) == 5 && cell[0] != '0':
		n, ok := digits(cell)
		if !ok {
			return codeDateForm
		}
		c.seen |= dateSerial
		year, month, date := (serialEpoch + gateway.Day(n)).Date() //nolint:gosec // five digits
		return s.putDate(year*10000+month*100+date, oldest, today)
	}
	return codeDateForm
}

// decodeShortDate reads DD.MM.YY, which LibreOffice saves where nothing else was
// chosen. Of the years that end so it is the last that has begun: a child of an event
// since 2000 was not born in the century before, and is refused for its age if that is
// what was meant.
func (c *column) decodeShortDate(s *slot, cell []byte, oldest, today gateway.Day) gateway.ProblemCode {
	year, ok1 := digits(cell[6:])
	month, ok2 := digits(cell[3:5])
	date, ok3 := digits(cell[:2])
	if !ok1 || !ok2 || !ok3 {
		return codeDateForm
	}
	c.seen |= dateShort
	thisYear, _, _ := today.Date()
	if year += 2000; year > thisYear {
		year -= 100
	}
	return s.putDate(year*10000+month*100+date, oldest, today)
}

// serialEpoch is the day that spreadsheets count from. It is two days before 1900
// begins because they count 1900-02-29, which never was; of later days the count is
// right, and a serial of five digits is from 1927 on.
var serialEpoch = mustDay("1899-12-30")

// digits reads digits and nothing else.
func digits(cell []byte) (int, bool) {
	n := 0
	for _, b := range cell {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, true
}
