package disclosure

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// contributions is a cell's records by child, as disclosure.md 2.3 has them.
func contributions(rt *rapid.T) []int64 {
	rs := rapid.SliceOfN(rapid.Int64Range(1, 20), 10, 60).Draw(rt, "records of each child")
	slices.Sort(rs)
	slices.Reverse(rs)
	return rs
}

func tallyOf(rs []int64) *tally {
	c := &tally{children: int64(len(rs))}
	for i, r := range rs {
		c.records += r
		if i < MaxTop {
			c.top[i] = uint32(r)
		}
	}
	return c
}

// flattenedCount is flattened for a count: children beyond the top only matter by
// their sum, so one of them can hold it.
func flattenedCount(c *Count, o, t int, v1 int64) int64 {
	rs := make([]int64, c.Children)
	left := int64(c.Records)
	for i, r := range c.Top {
		rs[i] = int64(r)
		left -= int64(r)
	}
	if len(rs) > MaxTop {
		rs[MaxTop] = left
	}
	return flattened(rs, o, t, v1)
}

// flattened is the text of disclosure.md 2.3 in rational numbers, child by child.
func flattened(rs []int64, o, t int, v1 int64) int64 {
	top := new(big.Rat)
	for _, r := range rs[o : o+t] {
		top.Add(top, big.NewRat(r, int64(t)))
	}
	sum := new(big.Rat)
	for i, r := range rs {
		own := big.NewRat(r, 1)
		if i < o && own.Cmp(top) > 0 {
			own = top // outlier values by the top-group mean when larger
		}
		sum.Add(sum, own)
	}
	lambda := new(big.Rat).Mul(sum, big.NewRat(1, int64(len(rs))))
	if half := new(big.Rat).Mul(top, big.NewRat(1, 2)); half.Cmp(lambda) > 0 {
		lambda = half
	}
	x := sum.Add(sum, lambda.Mul(lambda, big.NewRat(v1, 1)))
	x.Add(x, big.NewRat(1, 2)) // half up
	q := new(big.Int).Div(x.Num(), x.Denom())
	return max(0, q.Int64())
}

// The integer formula is the text.
func TestFlattenIsTheText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rs := contributions(rt)
		o, top := rapid.IntRange(1, 2).Draw(rt, "o"), rapid.IntRange(3, 4).Draw(rt, "t")
		v1 := rapid.Int64Range(-min(14, int64(len(rs))), 14).Draw(rt, "v1")
		if got, want := tallyOf(rs).flatten(o, top, v1), flattened(rs, o, top, v1); got != want {
			rt.Fatalf("%d, want %d", got, want)
		}
	})
}

// How many records the largest contributor has beyond the top group's mean changes
// nothing that is published.
func TestFlattenHidesTheLargest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rs := contributions(rt)
		o, top := rapid.IntRange(1, 2).Draw(rt, "o"), rapid.IntRange(3, 4).Draw(rt, "t")
		v1 := rapid.Int64Range(-10, 12).Draw(rt, "v1")
		more := slices.Clone(rs)
		more[0] += rapid.Int64Range(1, 1000).Draw(rt, "more records of the largest")
		if rs[0] < rs[1] { // keep it the largest
			rt.Skip()
		}
		before, after := tallyOf(rs).flatten(o, top, v1), tallyOf(more).flatten(o, top, v1)
		mean := int64(0)
		for _, r := range rs[o : o+top] {
			mean += r
		}
		if rs[0]*int64(top) >= mean && before != after {
			rt.Fatalf("%d becomes %d", before, after)
		}
	})
}

// With one record each, records are children: same value before the release layer.
func TestFlattenOfOnes(t *testing.T) {
	for n := int64(10); n < 100; n++ {
		rs := slices.Repeat([]int64{1}, int(n))
		for v1 := int64(-10); v1 <= 12; v1++ {
			if got := tallyOf(rs).flatten(2, 3, v1); got != n+v1 {
				t.Fatalf("n %d, v1 %d: %d", n, v1, got)
			}
		}
	}
}

// The 128-bit product does not overflow at the limits of a count.
func TestFlattenAtTheLimits(t *testing.T) {
	c := &tally{children: maxChildren, records: maxRecords, top: [MaxTop]uint32{1000, 1000, 1000, 1000, 1000, 1000}}
	if got, want := c.flatten(2, 4, 14), int64(maxRecords+14*1024); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
