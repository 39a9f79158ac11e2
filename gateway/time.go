package gateway

import (
	"fmt"
	"time"
)

// A Day is a calendar day as days since 1970-01-01. It has no zone: agencies
// report local dates, and Kazakhstan has had one zone since 2024.
type Day int32

// NoDay stands for an absent date wherever a Day is stored.
const NoDay Day = -1 << 31

// DayOf returns the day on which t falls in t's own zone.
func DayOf(t time.Time) Day {
	year, month, day := t.Date()
	d, _ := CivilDay(year, int(month), day)
	return d
}

// ParseDay reads an ISO 8601 calendar date, YYYY-MM-DD, and nothing else. It
// reports false for a day that no calendar has. It never returns an error,
// because errors echo their input.
func ParseDay(text []byte) (Day, bool) {
	if len(text) != 10 || text[4] != '-' || text[7] != '-' {
		return NoDay, false
	}
	year, ok1 := digits(text[0:4])
	month, ok2 := digits(text[5:7])
	day, ok3 := digits(text[8:10])
	if !ok1 || !ok2 || !ok3 {
		return NoDay, false
	}
	return CivilDay(year, month, day)
}

// CivilDay returns the day of a date of the Gregorian calendar, years 1 to 9999.
func CivilDay(year, month, day int) (Day, bool) {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return NoDay, false
	}
	// Days from civil, by eras of 400 years that start in March.
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yearOfEra := year % 400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return Day(era*146097 + dayOfEra - 719468), true //nolint:gosec // years 1 to 9999 fit
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

func digits(text []byte) (int, bool) {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Time returns midnight UTC of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Date returns the day's year, month and day of the month.
func (d Day) Date() (year, month, day int) {
	y, m, dd := d.Time().Date()
	return y, int(m), dd
}

// String returns the day as YYYY-MM-DD, and "" for [NoDay].
func (d Day) String() string {
	if d == NoDay {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// Quarter returns the quarter in which the day falls.
func (d Day) Quarter() Quarter {
	year, month, _ := d.Date()
	return Quarter(year*4 + (month-1)/3) //nolint:gosec // years 1 to 9999 fit
}

// Years returns the whole years from birth to d, by the calendar; negative when
// d is before birth.
func (d Day) Years(birth Day) int {
	y1, m1, d1 := birth.Date()
	y2, m2, d2 := d.Date()
	years := y2 - y1
	if m2 < m1 || (m2 == m1 && d2 < d1) {
		years--
	}
	return years
}

// A Quarter is a calendar quarter, as year*4 + 0..3. Zero means none.
type Quarter uint16

// ParseQuarter reads "2025Q3".
func ParseQuarter(text string) (Quarter, error) {
	if len(text) == 6 && text[4] == 'Q' && text[5] >= '1' && text[5] <= '4' {
		if year, ok := digits([]byte(text[:4])); ok {
			return Quarter(year*4 + int(text[5]-'1')), nil //nolint:gosec // four digits fit
		}
	}
	return 0, fmt.Errorf("a quarter is written like 2025Q3")
}

// String returns the quarter as "2025Q3", and "" for zero.
func (q Quarter) String() string {
	if q == 0 {
		return ""
	}
	return fmt.Sprintf("%04dQ%d", q/4, q%4+1)
}

// First returns the quarter's first day.
func (q Quarter) First() Day {
	day, _ := CivilDay(int(q/4), int(q%4)*3+1, 1)
	return day
}

// Last returns the quarter's last day.
func (q Quarter) Last() Day { return (q + 1).First() - 1 }

// UnmarshalText reads the quarter as [ParseQuarter] does.
func (q *Quarter) UnmarshalText(text []byte) (err error) {
	*q, err = ParseQuarter(string(text))
	return err
}

// MarshalText writes the quarter as [Quarter.String] does.
func (q Quarter) MarshalText() ([]byte, error) { return []byte(q.String()), nil }
