package redteam

import "math"

// narrow is the width below which an interval tells a count: k.
const narrow = 10

// An interval is what a count can be.
type interval struct{ low, high float64 }

// bounds are what a cell can be by the cell alone: its answer give or take the
// largest deviation, or what is known of hidden ones.
func (v *view) bounds(c int) interval {
	if v.shown[c] {
		return interval{max(0, v.y[c]-v.model.reach), v.y[c] + v.model.reach}
	}
	return interval{0, v.model.most}
}

// narrowed is the share of the scored cells (the cell's own answer aside) whose
// interval is narrower than k. Intervals are carried from parents and siblings to a
// cell and back until nothing moves, at most eight times. A linear program would
// give the same or narrower ones.
func narrowed(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	cells := t.small(v, t.isBase)
	if len(cells) == 0 {
		return math.NaN(), nil
	}
	at := make([]interval, t.size)
	for c := range at {
		at[c] = v.bounds(c)
	}
	for _, c := range cells {
		at[c] = interval{0, math.Inf(1)}
	}
	for range 8 {
		moved := false
		for c := range at {
			if t.addsUp(c) && t.tighten(at, c) {
				moved = true
			}
		}
		if !moved {
			break
		}
	}
	n := 0
	for _, c := range cells {
		if at[c].high-at[c].low < narrow {
			n++
		}
	}
	return float64(n) / float64(len(cells)), nil
}

// tighten bounds a cell by its parents less their other children, and the parents by
// all of them.
func (t *trial) tighten(at []interval, c int) bool {
	was := at[c]
	for d := range t.dims {
		parent := t.parent(c, d)
		if parent < 0 {
			continue
		}
		sum := interval{}
		for _, s := range t.siblings(c, d) {
			if s != c {
				sum.low += at[s].low
				sum.high += at[s].high
			}
		}
		at[parent].low = max(at[parent].low, sum.low+at[c].low)
		at[parent].high = min(at[parent].high, sum.high+at[c].high)
		at[c].low = max(at[c].low, at[parent].low-sum.high)
		at[c].high = min(at[c].high, at[parent].high-sum.low)
	}
	return at[c] != was
}
