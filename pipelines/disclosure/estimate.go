package disclosure

import (
	"math/big"

	"github.com/pana-exchange/pana/gateway"
)

// An estimate is a statistic and the variance that the noise of its parts gives it,
// to first order (the delta method: Casella and Berger, Statistical Inference, 2nd
// edition, 5.5.4). It is exact, of rational numbers: floats may come out otherwise on
// another processor, and one question has one answer.
type estimate struct {
	value    *big.Rat
	variance *big.Rat
	band     *gateway.Band // of quantiles: where it lies
}

// rounded returns the statistic to half the width of its band, or else to the
// smallest of 1, 2 and 5 times a power of ten that is at least a third of its
// standard deviation (disclosure.md 2.7); and the standard deviation, with that of
// the rounding, to two digits, upward.
func (e estimate) rounded() (value, sd gateway.Decimal) {
	var unit *big.Rat
	if e.band != nil {
		unit = big.NewRat(int64(e.band.Below-e.band.From), 2)
		inside := new(big.Rat).Sub(e.value, big.NewRat(int64(e.band.From), 1))
		halves := new(big.Int).Mul(inUnits(inside, unit), big.NewInt(int64(e.band.Below-e.band.From)))
		twice := halves.Add(halves, big.NewInt(2*int64(e.band.From)))
		value = gateway.Decimal{Digits: 5 * twice.Int64(), Scale: 1}
	} else {
		var digit, scale int64
		unit, digit, scale = e.unit()
		n := inUnits(e.value, unit)
		value = gateway.Decimal{Digits: n.Mul(n, big.NewInt(digit)).Int64(), Scale: int(scale)}
	}
	variance := new(big.Rat).Add(e.variance, mul(unit, unit, big.NewRat(1, 12)))
	return value, root(variance)
}

// maxScale bounds the digits after the point.
const maxScale = 9

// unit returns the unit of rounding, as digit/10^scale.
func (e estimate) unit() (unit *big.Rat, digit, scale int64) {
	for power := int64(maxScale); ; power-- {
		for _, digit := range []int64{1, 2, 5} {
			unit := mul(big.NewRat(digit, 1), tens(power))
			if mul(big.NewRat(9, 1), unit, unit).Cmp(e.variance) < 0 {
				continue
			}
			if power < 0 { // ten or more
				for ; power < 0; power++ {
					digit *= 10
				}
			}
			return unit, digit, power
		}
	}
}

// tens is 10^-power.
func tens(power int64) *big.Rat {
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(max(power, -power)), nil)
	if power < 0 {
		return new(big.Rat).SetInt(ten)
	}
	return new(big.Rat).SetFrac(big.NewInt(1), ten)
}

// inUnits is x in whole units, halves upward.
func inUnits(x, unit *big.Rat) *big.Int {
	q := new(big.Rat).Quo(x, unit)
	q.Add(q, big.NewRat(1, 2))
	return new(big.Int).Div(q.Num(), q.Denom()) // Euclidean: down, since the denominator is positive
}

// root is the square root to two digits or to a whole number, upward.
func root(variance *big.Rat) gateway.Decimal {
	for scale := 0; ; scale++ {
		x := mul(variance, tens(int64(-2*scale)))
		// The least whole m with m^2 >= x.
		up := new(big.Int).Div(new(big.Int).Sub(new(big.Int).Add(x.Num(), x.Denom()), big.NewInt(1)), x.Denom())
		m := new(big.Int).Sqrt(up)
		if new(big.Int).Mul(m, m).Cmp(up) < 0 {
			m.Add(m, big.NewInt(1))
		}
		if x.Cmp(big.NewRat(100, 1)) >= 0 || scale == maxScale {
			return gateway.Decimal{Digits: m.Int64(), Scale: scale}
		}
	}
}

func mul(factors ...*big.Rat) *big.Rat {
	product := big.NewRat(1, 1)
	for _, f := range factors {
		product.Mul(product, f)
	}
	return product
}

func clamp(x *big.Rat, least, most int64) *big.Rat {
	switch {
	case x.Cmp(big.NewRat(least, 1)) < 0:
		return big.NewRat(least, 1)
	case x.Cmp(big.NewRat(most, 1)) > 0:
		return big.NewRat(most, 1)
	}
	return x
}
