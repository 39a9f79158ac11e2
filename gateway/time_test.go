package gateway_test

import (
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// The days of the proleptic Gregorian calendar from 1600 to 2400, one by one,
// against the standard library.
func TestCivilDayAgreesWithTime(t *testing.T) {
	for d := time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() <= 2400; d = d.AddDate(0, 0, 1) {
		day, ok := gateway.CivilDay(d.Year(), int(d.Month()), d.Day())
		if !ok || day != gateway.DayOf(d) {
			t.Fatalf("%s: got %d, %t", d.Format(time.DateOnly), day, ok)
		}
		if day.String() != d.Format(time.DateOnly) {
			t.Fatalf("%s is written %s", d.Format(time.DateOnly), day)
		}
	}
}

func FuzzParseDay(f *testing.F) {
	for _, seed := range []string{"2024-02-29", "2023-02-29", "0000-00-00", "9999-12-31", "2024-13-01", "20240101", "2024-1-01", "２０24-01-01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		day, ok := gateway.ParseDay([]byte(text))
		want, err := time.Parse(time.DateOnly, text)
		wanted := err == nil && want.Year() >= 1
		if ok != wanted {
			t.Fatalf("accepted %t, the standard library %t", ok, wanted)
		}
		if ok && day.String() != text {
			t.Fatalf("a day is not written as it was read: %s", day)
		}
	})
}

func TestYears(t *testing.T) {
	day := func(text string) gateway.Day {
		d, ok := gateway.ParseDay([]byte(text))
		if !ok {
			t.Fatalf("%s is no day", text)
		}
		return d
	}
	for _, c := range []struct {
		birth, at string
		want      int
	}{
		{"2010-06-15", "2020-06-14", 9},
		{"2010-06-15", "2020-06-15", 10},
		{"2012-02-29", "2013-02-28", 0},
		{"2012-02-29", "2013-03-01", 1},
		{"2020-01-02", "2020-01-01", -1},
	} {
		if got := day(c.at).Years(day(c.birth)); got != c.want {
			t.Errorf("born %s, on %s: %d years, want %d", c.birth, c.at, got, c.want)
		}
	}
}

func TestQuarterRoundTrip(t *testing.T) {
	first, _ := gateway.ParseQuarter("1999Q4")
	for q := first; q < first+200; q++ {
		again, err := gateway.ParseQuarter(q.String())
		if err != nil || again != q {
			t.Fatalf("%s reads as %s, %v", q, again, err)
		}
		if q.First().Quarter() != q || q.Last().Quarter() != q || (q.Last()+1).Quarter() != q+1 {
			t.Fatalf("%s has the wrong ends: %s to %s", q, q.First(), q.Last())
		}
	}
	for _, bad := range []string{"", "2025", "2025Q5", "2025Q0", "2025q1", "25Q1", "2025Q12"} {
		_, err := gateway.ParseQuarter(bad)
		if err == nil {
			t.Errorf("%q was read as a quarter", bad)
		}
	}
}
