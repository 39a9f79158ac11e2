package dp

import (
	"math/big"

	"github.com/pana-exchange/pana/gateway"
)

// Terms are what a histogram is published under. They are decided before anybody
// counts: terms chosen after a look at the data are an unpaid release of it.
type Terms struct {
	// Cells is c, the most cells of the histogram that one child counts in.
	// Required; 1 where every dimension is a partition. More cells of a child are
	// dropped (see [Histogram.Add]).
	Cells int `json:"cells"`
	// Low and High clamp what a child adds to one cell of gateway.CountRecords.
	// Required there, with Low <= High; both 0 for gateway.CountChildren, where a
	// child adds 1. They come from the schema, as ReleaseRules.RecordCap does.
	Low  int64 `json:"low,omitempty"`
	High int64 `json:"high,omitempty"`
	// Rho is what the noise costs, with discrete Gaussian noise of
	// sigma² = c·u²/(2·Rho), u being the largest magnitude that a child adds to a
	// cell. Required, unless Epsilon is given.
	Rho Rho `json:"rho,omitempty"`
	// Epsilon asks for pure differential privacy instead, with discrete Laplace
	// noise of scale c·u/Epsilon. It costs a rho of Epsilon²/2 (Bun and Steinke
	// 2016, proposition 1.4). For the same rho the noise is far larger when c is.
	Epsilon Epsilon `json:"epsilon,omitempty"`
	// Selection hides cells by chance and at a price. The zero Selection publishes
	// every cell of the code lists, which is preferred (disclosure.md 2.10).
	Selection Selection `json:"selection,omitzero"`
}

// Limits of terms. With them a sum of any population fits in 64 bits.
const (
	maxClamp = 1 << 20
	// maxSpread bounds sigma and the scale of Laplace noise: beyond it, nothing is
	// told about any population.
	maxSpread = 1 << 40
)

// Cost returns what the terms take from the budget.
func (t Terms) Cost() Cost {
	cost := Cost{Rho: t.Rho, Delta: t.Selection.Delta}
	if t.Epsilon > 0 {
		cost.Rho = halfSquare(t.Epsilon, 1)
	}
	if t.Selection != (Selection{}) {
		cost.Rho += halfSquare(t.Selection.Epsilon, t.Cells)
	}
	return cost
}

// halfSquare returns eps²/(2·cells), the rho of a pure eps divided over the cells
// of a child, rounded up to the unit: a ledger must not lose the rest.
func halfSquare(eps Epsilon, cells int) Rho {
	square := new(big.Int).SetInt64(int64(eps))
	square.Mul(square, square)
	unit := new(big.Int).Mul(big.NewInt(2*lossUnit), big.NewInt(int64(max(cells, 1))))
	square.Add(square, new(big.Int).Sub(unit, one))
	return Rho(square.Quo(square, unit).Int64())
}

// unit is u, the per-cell sensitivity under adding or removing a child: a child that
// is not in a cell adds 0 to it, so it is the distance of the clamps from 0 and not
// from each other. It is the largest magnitude that one child adds to one cell.
func (t Terms) unit() int64 {
	if t.Low == 0 && t.High == 0 {
		return 1
	}
	return max(-t.Low, t.High)
}

// spread returns the variance parameter sigma² = c·u²/(2·rho) of Gaussian noise,
// exactly: u·sqrt(c) is the L2 sensitivity (disclosure.md 2.10).
func (t Terms) spread() *big.Rat {
	num := new(big.Int).Mul(big.NewInt(t.unit()), big.NewInt(t.unit()))
	num.Mul(num, big.NewInt(int64(t.Cells))).Mul(num, big.NewInt(lossUnit))
	return new(big.Rat).SetFrac(num, new(big.Int).Mul(two, big.NewInt(int64(t.Rho))))
}

// scale returns the scale c·u/epsilon of Laplace noise, exactly: c·u is the L1
// sensitivity.
func (t Terms) scale() *big.Rat {
	num := new(big.Int).Mul(big.NewInt(t.unit()), big.NewInt(int64(t.Cells)))
	return new(big.Rat).SetFrac(num.Mul(num, big.NewInt(lossUnit)), big.NewInt(int64(t.Epsilon)))
}

// noise returns the law of the noise of every cell. All cells have the same: noise
// that grew with the count, as of a percentage, would tell the count.
func (t Terms) noise() noise {
	if t.Epsilon > 0 {
		return laplaceNoise(t.scale())
	}
	return gaussianNoise(t.spread())
}

// Variance returns the variance of the noise of one value, to be shown beside it.
// For Gaussian noise it is sigma², which the discrete law never exceeds; for
// Laplace noise of scale b it is 2·b², likewise.
func (t Terms) Variance() float64 {
	if t.Epsilon > 0 {
		b, _ := t.scale().Float64()
		return 2 * b * b
	}
	v, _ := t.spread().Float64()
	return v
}

// validate checks the terms by themselves, so that what is read from a ledger meets
// the same rules as what is asked of a histogram; what depends on the histogram is
// checked by NewHistogram.
func (t Terms) validate(m gateway.Measure) error {
	switch {
	case t.Cells < 1 || t.Cells > gateway.MaxNominalCells:
		return gateway.Errorf(gateway.Invalid, "terms: cells is the most cells of one child: 1 to %d", gateway.MaxNominalCells)
	case (t.Rho > 0) == (t.Epsilon > 0):
		return gateway.Errorf(gateway.Invalid, "terms: exactly one of rho and epsilon is positive")
	case t.Rho < 0 || t.Rho > maxRho:
		return gateway.Errorf(gateway.Invalid, "terms: rho is above 0 and at most %v", maxRho)
	case t.Epsilon < 0 || t.Epsilon > maxEpsilon:
		return gateway.Errorf(gateway.Invalid, "terms: epsilon is above 0 and at most %v", maxEpsilon)
	}
	err := t.validateClamp(m)
	if err != nil {
		return err
	}
	widest := new(big.Rat).SetInt64(maxSpread)
	if t.Rho > 0 && t.spread().Cmp(new(big.Rat).Mul(widest, widest)) > 0 || t.Epsilon > 0 && t.scale().Cmp(widest) > 0 {
		return gateway.Errorf(gateway.Invalid, "terms: so little rho or epsilon buys nothing but noise")
	}
	return t.Selection.validate(t.Cells)
}

func (t Terms) validateClamp(m gateway.Measure) error {
	switch m {
	case gateway.CountChildren:
		if t.Low != 0 || t.High != 0 {
			return gateway.Errorf(gateway.Invalid, "terms: low and high are for records; a child counts 1")
		}
	case gateway.CountRecords:
		if t.Low > t.High || t.Low == 0 && t.High == 0 || t.Low < -maxClamp || t.High > maxClamp {
			return gateway.Errorf(gateway.Invalid, "terms: records need low <= high, not both 0, at most %d in magnitude", maxClamp)
		}
	default:
		return gateway.Errorf(gateway.Invalid, "the measure is neither %q nor %q", gateway.CountChildren, gateway.CountRecords)
	}
	return nil
}
