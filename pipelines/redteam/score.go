package redteam

import (
	"math"
	"slices"
)

// mostHidden is the largest count whose exact recovery is scored: the largest that
// rule 1 may hide.
const mostHidden = 18

// auc is the chance that a score of the second sample is the larger, ties halved.
func auc(controls, victims []float64) float64 {
	sorted := slices.Sorted(slices.Values(controls))
	sum := 0.0
	for _, x := range victims {
		low, _ := slices.BinarySearch(sorted, x)
		high := low
		for high < len(sorted) && sorted[high] == x {
			high++
		}
		sum += float64(low) + float64(high-low)/2
	}
	return sum / float64(len(controls)) / float64(len(victims))
}

// scored is the AUC of a score of the targets, victims (yes) against controls (no);
// targets without a score are left out.
func (w *world) scored(score func(t target) float64) float64 {
	var by [2][]float64
	for _, t := range w.targets {
		if x := score(t); !math.IsNaN(x) {
			by[t.secret] = append(by[t.secret], x)
		}
	}
	return auc(by[no], by[yes])
}

// small are the cells scored for exact recovery: those with 1 to 18 children that
// the view hides, and all such cells for a view that hides nothing.
func (w *world) small(v *view, in func(c int) bool) []int {
	var hidden, all []int
	for c, t := range w.truth {
		if t.n < 1 || t.n > mostHidden || !in(c) {
			continue
		}
		all = append(all, c)
		if !v.shown[c] {
			hidden = append(hidden, c)
		}
	}
	if slices.Contains(v.shown, false) {
		return hidden
	}
	return all
}

// recovered is the share of the cells whose count an estimate gets exactly.
func (w *world) recovered(cells []int, guess func(c int) float64) float64 {
	if len(cells) == 0 {
		return math.NaN()
	}
	exact := 0
	for _, c := range cells {
		if math.Round(guess(c)) == float64(w.truth[c].n) {
			exact++
		}
	}
	return float64(exact) / float64(len(cells))
}

// A Figure is what a measure came to: its mean over noise keys with the 95 %
// interval of the mean. Without a key in play the interval is the value itself.
type Figure struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Keys int     `json:"keys"`
}

// figure summarises values, one a key; nil when there are none.
func figure(values []float64) *Figure {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return nil
	}
	mean, sd := meanSD(values)
	half := 0.0
	if n := len(values); n > 1 {
		half = student(n-1) * sd / math.Sqrt(float64(n))
	}
	return &Figure{mean, mean - half, mean + half, len(values)}
}

func meanSD(xs []float64) (mean, sd float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	if len(xs) < 2 {
		return mean, 0
	}
	for _, x := range xs {
		sd += (x - mean) * (x - mean) / float64(len(xs)-1)
	}
	return mean, math.Sqrt(sd)
}

// student is the 97.5 % quantile of Student's t, by the expansion of Cornish and
// Fisher: within 0.2 % from 9 degrees of freedom on (t(9) = 2.262).
func student(df int) float64 {
	const z = 1.959964
	n := float64(df)
	z3, z5 := z*z*z, z*z*z*z*z
	return z + (z3+z)/(4*n) + (5*z5+16*z3+3*z)/(96*n*n) + (3*z5*z*z+19*z5+17*z3-15*z)/(384*n*n*n)
}

// spread is the root of the mean square, about zero.
func spread(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x * x
	}
	return math.Sqrt(sum / float64(len(xs)))
}
