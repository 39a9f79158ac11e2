package dp

import "math"

// DeltaOf returns a delta for which rho-zCDP implies (eps, delta)-differential
// privacy: the smallest that follows from the bound on all Rényi divergences,
//
//	min over a > 1 of exp((a-1)(a·rho - eps) + a·ln(1-1/a)) / (a-1)
//
// (Canonne, Kamath and Steinke 2020, corollary 13; disclosure.md 2.10). Every a
// gives a true statement, so stopping the search early errs to the safe side.
func DeltaOf(rho Rho, eps float64) float64 {
	return deltaOf(rho.Float(), eps)
}

// deltaOf works in floats, which is well here: it reports on the ledger and decides
// nothing that was promised. The ledger itself adds integers.
func deltaOf(rho, eps float64) float64 {
	if rho <= 0 {
		return 0
	}
	// The exponent is convex in a. Its slope, (2a-1)·rho - eps + ln(1-1/a), is
	// positive from (eps+1)/(2·rho)+2 on, as log1p(-1/a) > -1 there.
	low, high := 1.0, (eps+1)/(2*rho)+2
	for range 200 {
		a := low + (high-low)/2
		if a <= low || a >= high {
			break
		}
		if (2*a-1)*rho-eps+math.Log1p(-1/a) < 0 {
			low = a
		} else {
			high = a
		}
	}
	a := high
	return min(1, math.Exp((a-1)*(a*rho-eps)+a*math.Log1p(-1/a))/(a-1))
}

// EpsilonAt returns an epsilon for which rho-zCDP implies (epsilon, delta)-DP, the
// inverse of [DeltaOf] by bisection, rounded up. It is +Inf for delta <= 0.
func EpsilonAt(rho Rho, delta float64) float64 {
	return epsilonAt(rho.Float(), delta)
}

func epsilonAt(rho, delta float64) float64 {
	switch {
	case rho <= 0 || delta >= 1:
		return 0
	case !(delta > 0):
		return math.Inf(1)
	}
	// At high the older bound of Bun and Steinke 2016, proposition 1.3, holds, and
	// the newer one is never worse. What is returned has been tested against delta.
	low, high := 0.0, rho+2*math.Sqrt(rho*math.Log(1/delta))
	for range 200 {
		eps := low + (high-low)/2
		if eps <= low || eps >= high {
			break
		}
		if deltaOf(rho, eps) <= delta {
			high = eps
		} else {
			low = eps
		}
	}
	return high
}

// A Cost is what a release takes from a budget, or the budget itself. Both parts
// add up over releases, about the same child (Bun and Steinke 2016, lemma 2.3 and
// section 8).
type Cost struct {
	Rho   Rho   `json:"rho"`
	Delta Delta `json:"delta"` // what partition selection may leave out; 0 without it
}

// Plus returns the sum, for what several accountants have published about the same
// children over the years. It stops at the largest number instead of turning over.
func (c Cost) Plus(d Cost) Cost {
	return Cost{
		Rho:   Rho(saturating(int64(c.Rho), int64(d.Rho))),
		Delta: Delta(saturating(int64(c.Delta), int64(d.Delta))),
	}
}

// Epsilon returns an epsilon for which the cost implies (epsilon, delta)-DP: the
// approximate part is taken off delta first. It is +Inf where nothing is left.
func (c Cost) Epsilon(delta float64) float64 {
	rest := delta - c.Delta.Float()
	if c.Delta > 0 && rest <= 0 {
		return math.Inf(1)
	}
	return epsilonAt(c.Rho.Float(), rest)
}
