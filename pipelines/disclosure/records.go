package disclosure

import "math/bits"

// flatten perturbs a record count as disclosure.md 2.3 says, after Diffix Elm
// (Francis et al., arXiv 2201.04351): the o largest contributors count at most as
// the mean of the next t, and the permanent draw v1, shared with the cell's
// children, is scaled by lambda = max(flattened mean, half the top mean), so that
// it hides a child with many records as well as one with few. The result goes to
// the release layer.
//
// All in integers: with S the sum of the top group, F = t*(flattened sum) is whole,
// and the result is round((F + v1*max(F/n, S/2)) / t), half up, not below zero.
func (c *tally) flatten(o, t int, v1 int64) int64 {
	top := uint64(0) // S
	for _, r := range c.top[o : o+t] {
		top += uint64(r)
	}
	f := uint64(t) * c.records
	for _, r := range c.top[:o] {
		if own := uint64(t) * uint64(r); own > top {
			f -= own - top
		}
	}
	if hi, lo := bits.Mul64(top, c.children); hi == 0 && 2*f >= lo {
		return ratio(f, uint64(int64(c.children)+v1), uint64(t)*c.children)
	}
	return max(0, floorDiv(2*int64(f)+v1*int64(top)+int64(t), 2*int64(t)))
}

// ratio returns a*b/d rounded half up; the product may have 128 bits.
func ratio(a, b, d uint64) int64 {
	hi, lo := bits.Mul64(a, b)
	lo, carry := bits.Add64(lo, d/2, 0)
	q, _ := bits.Div64(hi+carry, lo, d)
	return int64(q)
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}
