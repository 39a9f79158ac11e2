package risk

import "math"

// The figures here are those of sdcMicro and ARX, on counts instead of records: the
// records with one combination of values are one number.

// matching turns the counts of a dense table into sizes of classes, in place: the
// size at a combination is how many records agree with it where both have a value.
// Value 0 of a dimension is "missing", which could be anything and so agrees with
// everything, as in sdcMicro's freqCalc. The sum splits over the dimensions: a
// value's class is its own and the missing, the missing one's is all.
func matching(counts []uint32, sizes []int) {
	stride := len(counts)
	for _, size := range sizes {
		stride /= size
		for start := range counts {
			if start/stride%size != 0 {
				continue
			}
			missing, all := counts[start], uint32(0)
			for v := range size {
				at := start + v*stride
				all += counts[at]
				if v > 0 {
					counts[at] += missing
				}
			}
			counts[start] = all
		}
	}
}

// A census is what is asked of the classes of one table.
type census struct {
	children  int
	smallest  int // class with a child in it
	single    int // children alone in their class
	below3    int
	below10   int
	reidentif float64 // sum of 1/size: expected right guesses (sdcMicro's global risk)
}

// judge tells from the counts of combinations and the sizes of their classes.
func judge(counts, sizes []uint32) census {
	var c census
	for i, n := range counts {
		if n == 0 {
			continue
		}
		c.add(int(n), int(sizes[i]))
	}
	return c
}

func (c *census) add(n, size int) {
	c.children += n
	if c.smallest == 0 || size < c.smallest {
		c.smallest = size
	}
	if size == 1 {
		c.single += n
	}
	if size < 3 {
		c.below3 += n
	}
	if size < 10 {
		c.below10 += n
	}
	c.reidentif += float64(n) / float64(size)
}

// diversity is the l of one class from the counts of a sensitive field's values in
// it: how many values there are, and how many equally frequent ones would leave as
// much doubt, exp of Shannon's entropy (Machanavajjhala et al., l-diversity, 2007).
func diversity(values []uint32) (distinct int, entropy float64) {
	n := 0.0
	for _, v := range values {
		n += float64(v)
	}
	h := 0.0
	for _, v := range values {
		if v > 0 {
			distinct++
			h -= float64(v) / n * math.Log(float64(v)/n)
		}
	}
	return distinct, math.Exp(h)
}

// step rounds a share to the nearest 5 %: finer ones would tell a single child's
// presence in a small gateway.
func step(part, whole float64) int {
	if whole <= 0 {
		return 0
	}
	return int(math.Floor(part/whole*20+0.5)) * 5
}
