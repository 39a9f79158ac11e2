package exchange

import (
	"testing"
	"time"
)

// The time of day is compared with a clock that nobody sets.
func TestClockStep(t *testing.T) {
	var day, run time.Duration
	begun := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	c := newClock(func() time.Time { return begun.Add(day) }, func() time.Duration { return run })
	for i, look := range []struct{ day, run, want time.Duration }{
		{5 * time.Second, 5 * time.Second, 0},
		{time.Hour, 5 * time.Second, time.Hour - 5*time.Second},
		{5 * time.Second, 5 * time.Second, 0},
		{-time.Hour, 0, -time.Hour},
		{5400 * time.Millisecond, 5 * time.Second, 400 * time.Millisecond}, // a slow clock that is led
		{0, time.Hour, -time.Hour},                                         // it stood still
	} {
		day += look.day
		run += look.run
		if got := c.step(); got != look.want {
			t.Errorf("look %d: a step of %s, want %s", i, got, look.want)
		}
	}
	if newClock(func() time.Time { return begun }, nil) != nil {
		t.Error("a time of day alone cannot be checked")
	}
}
