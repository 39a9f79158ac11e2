package disclosure

import "math/bits"

// flatten perturbs a record count as disclosure.md 2.3 says, after Diffix Elm
// (Francis et al., arXiv 2201.04351): the o largest contributors count at most as
// the mean of the next t, and the permanent draw v1, shared with the cell's
// children, is scaled by lambda = max(flattened mean, half the top mean), so that
// it hides a child with many records as well as one with few. The result goes to
// the release layer.
//
// Why: the permanent draw is a number of children. If one child can be ten of a
// cell's records, noise of some children's size must be of ten times as many records,
// or that child's presence shows. The flattening bounds how far a single one can
// raise the scale itself: the largest one or two contributors count no more than
// those below them. How many are taken is drawn by label and not stated, so that
// nobody can tell how much a cell was flattened.
//
// All in integers: with S the sum of the top group, F = t*(flattened sum) is whole,
// and the result is round((F + v1*max(F/n, S/2)) / t), half up, not below zero.
func (c *tally) flatten(o, t int, v1 int64) int64 {
	top := int64(0) // S
	for _, r := range c.top[o : o+t] {
		top += int64(r)
	}
	group := int64(t)
	f := group * c.records
	for _, r := range c.top[:o] {
		f -= max(0, group*int64(r)-top)
	}
	if 2*f/c.children >= top {
		return ratio(f, c.children+v1, group*c.children)
	}
	return max(0, floorDiv(2*f+v1*top+group, 2*group))
}

// ratio returns a*b/d rounded half up, for none of them negative; the product may
// need 128 bits, so no float is near it and every processor agrees.
func ratio(a, b, d int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))  //nolint:gosec // not negative
	lo, carry := bits.Add64(lo, uint64(d)/2, 0) //nolint:gosec // not negative
	q, _ := bits.Div64(hi+carry, lo, uint64(d)) //nolint:gosec // not negative
	return int64(q)                             //nolint:gosec // below a*(b+1)/d
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}
