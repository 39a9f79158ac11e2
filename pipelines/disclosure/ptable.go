package disclosure

import (
	"fmt"
	"math"
)

// PTableParams describe one perturbation table (p-table): how a count may be
// moved. The zero value is of no use; D and V are required.
type PTableParams struct {
	D    int     // Required: the largest deviation.
	V    float64 // Required: the largest variance of the deviation.
	JS   int     // Results 1 to JS never occur; default 0.
	Base int     // Results are multiples of it; default 1, no rounding.
	Stay float64 // Least probability of not moving; default 0, no demand.
	Mono bool    // Probabilities do not fall as v rises to 0.
}

// A Row is the distribution of the published count for one true count: P[a] is
// the probability of J[a], with J ascending. Its mean is I, so sums and differences
// of published counts are unbiased too.
type Row struct {
	I int
	J []int
	P []float64
}

// Mean returns the mean deviation, zero but for the residual of the solver.
func (r Row) Mean() float64 {
	m := 0.0
	for a, p := range r.P {
		m += p * float64(r.J[a]-r.I)
	}
	return m
}

// Variance returns the mean squared deviation.
func (r Row) Variance() float64 {
	m := 0.0
	for a, p := range r.P {
		m += p * float64((r.J[a]-r.I)*(r.J[a]-r.I))
	}
	return m
}

// residual is how far from its targets a row may end (disclosure.md 2.3, step 6).
const residual = 1e-7

// Solve returns the row of largest entropy for the true count i: over the allowed
// results, it maximises -sum p ln p with mean deviation 0 and mean squared
// deviation at most V (disclosure.md 2.3; Giessing and Höhne 2010). A row that
// does not exist is refused, with the reason.
//
// The variance bound is slack where the support is narrow: the row of 1 under
// D 2, V 1 has variance 0.932. That is the answer, not a failure.
func Solve(i int, p PTableParams) (Row, error) {
	if p.Base == 0 {
		p.Base = 1
	}
	if err := p.check(i); err != nil {
		return Row{}, err
	}
	if i == 0 {
		return Row{I: 0, J: []int{0}, P: []float64{1}}, nil
	}
	row := Row{I: i, J: p.support(i)}
	if err := p.feasible(row); err != nil {
		return Row{}, err
	}
	s := newEntropy(row, p)
	if err := s.solve(); err != nil {
		return Row{}, fmt.Errorf("row %d of the table with D %d, V %g: %w", i, p.D, p.V, err)
	}
	row.P = s.probabilities()
	return row, nil
}

func (p PTableParams) check(i int) error {
	switch {
	case i < 0:
		return fmt.Errorf("a count is not negative")
	case p.D < 1:
		return fmt.Errorf("the largest deviation D must be at least 1, not %d", p.D)
	case !(p.V > 0) || math.IsInf(p.V, 0):
		return fmt.Errorf("the variance V must be positive and finite")
	case p.JS < 0 || p.Base < 1:
		return fmt.Errorf("JS and Base must not be negative")
	case !(p.Stay >= 0 && p.Stay < 1):
		return fmt.Errorf("the probability to stay must be at least 0 and below 1")
	}
	return nil
}

// support lists the results that a count of i may have: never a negative one, so
// rows below D are cut and skewed, and a count of zero stays zero (which nobody sees:
// zeros are hidden).
func (p PTableParams) support(i int) []int {
	var js []int
	for j := max(0, i-p.D); j <= i+p.D; j++ {
		if (j >= 1 && j <= p.JS) || j%p.Base != 0 {
			continue
		}
		js = append(js, j)
	}
	return js
}

// feasible refuses a row that cannot have mean 0 and variance V. The smallest
// variance puts all weight on the two results beside i: with the nearest below at
// distance a and the nearest above at b it is a*b. For counts 1..JS that is
// i*(JS+1-i), for rounding r*(Base-r) (disclosure.md 2.3).
func (p PTableParams) feasible(r Row) error {
	below, above := -1, -1
	for _, j := range r.J {
		switch v := j - r.I; {
		case v == 0:
			return nil
		case v < 0:
			below = -v
		case above < 0:
			above = v
		}
	}
	if below < 0 || above < 0 {
		return fmt.Errorf("row %d: no result within D %d on both sides, so no mean of zero; raise D", r.I, p.D)
	}
	if least := float64(below * above); least >= p.V {
		return fmt.Errorf("row %d: every table with these results has variance %g or more, and V must exceed it, not be %g; raise V", r.I, least, p.V)
	}
	return nil
}
