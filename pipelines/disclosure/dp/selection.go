package dp

import (
	"math/big"

	"github.com/pana-exchange/pana/gateway"
)

// Selection publishes a cell with a chance that grows with its children, so that
// the mere presence of a cell is private too (Desfontaines, Voss, Gipson and
// Mandayam, "Differentially private partition selection", 2020). It is for code
// lists so long that most cells are empty; elsewhere it wastes budget.
//
// It is (Epsilon, Delta)-differentially private over all cells of a child, an
// equal part to each, as in Google's library. In the ledger that is Delta and a
// rho of c·(Epsilon/c)²/2: each cell is approximately (Epsilon/c)²/2-zCDP with
// Delta/c, and c of them add up (Bun and Steinke 2016, section 8).
type Selection struct {
	Epsilon Epsilon `json:"epsilon"` // Required.
	Delta   Delta   `json:"delta"`   // Required, below 1.
	// PreThreshold is the least number of children of a cell that has any chance:
	// below it the chance is 0, at it Delta/c. It moves the law to the right and
	// costs nothing; the cut is part of a private law, not a rule beside one
	// (Google's common_docs/pre_thresholding). Default 1.
	PreThreshold int `json:"pre_threshold,omitempty"`
}

// The chances are integers over 2^chanceBits. Fine enough for a delta of 1e-300,
// so that rounding down is never felt.
const chanceBits = 1024

// maxChances bounds the table of chances, and so the time to make it.
const maxChances = 1 << 14

// selectable are the chances of a cell by its number of children, from 0 on, as
// numerators over 2^chanceBits. Beyond the last entry, and there only, a cell is
// certain.
type selectable struct {
	chances []*big.Int
	before  int64 // children that are taken off first: PreThreshold - 1
}

func (s Selection) validate(cells int) error {
	if s == (Selection{}) {
		return nil
	}
	switch {
	case s.Epsilon <= 0 || s.Epsilon > maxEpsilon:
		return gateway.Errorf(gateway.Invalid, "selection: epsilon is above 0 and at most %v", maxEpsilon)
	case s.Delta <= 0 || s.Delta >= deltaUnit:
		return gateway.Errorf(gateway.Invalid, "selection: delta is above 0 and below 1")
	case s.PreThreshold < 0 || s.PreThreshold > maxClamp:
		return gateway.Errorf(gateway.Invalid, "selection: the pre-threshold is 1 to %d", maxClamp)
	}
	_, err := s.table(cells)
	return err
}

// table solves the recurrence for one cell of c.
func (s Selection) table(cells int) (*selectable, error) {
	c := big.NewInt(int64(cells))
	eps := new(big.Rat).SetFrac(big.NewInt(int64(s.Epsilon)), new(big.Int).Mul(c, big.NewInt(lossUnit)))
	delta := new(big.Rat).SetFrac(big.NewInt(int64(s.Delta)), new(big.Int).Mul(c, big.NewInt(deltaUnit)))
	chances, ok := keepChances(eps, delta)
	if !ok {
		return nil, gateway.Errorf(gateway.Invalid, "selection: so little epsilon and delta a cell select nothing")
	}
	return &selectable{chances: chances, before: int64(max(s.PreThreshold, 1) - 1)}, nil
}

// keepChances returns p(0), p(1), … up to the last below 1, of the recurrence
//
//	p(n) = min(e^eps·p(n-1) + delta, 1 - e^-eps·(1 - p(n-1) - delta), 1), p(0) = 0
//
// (theorem 1 of the paper). It is exact for an eps that is smaller by less than
// 2^-1000: e^eps is replaced by a rational E below it, and p(n) is rounded down.
// Rounding down keeps both promises, p(n) <= E·p(n-1) + delta and
// 1-p(n-1) <= E·(1-p(n)) + delta, because each bounds p(n) from above given the
// p(n-1) that is really used. ok is false when the table would be too long.
func keepChances(eps, delta *big.Rat) (chances []*big.Int, ok bool) {
	whole := new(big.Int).Lsh(one, chanceBits)
	growth, d := expBelow(eps), scaled(delta)
	p := new(big.Int)
	for p.Cmp(whole) < 0 {
		if len(chances) == maxChances {
			return nil, false
		}
		chances = append(chances, p)
		rise := new(big.Int).Mul(p, growth)
		rise.Rsh(rise, chanceBits).Add(rise, d)
		// 1 - (1-p-delta)/E, the quotient rounded up; it is above 1 where 1-p < delta.
		rest := new(big.Int).Sub(whole, p)
		rest.Sub(rest, d).Lsh(rest, chanceBits)
		fall := new(big.Int).Sub(whole, ceilQuo(rest, growth))
		p = rise
		if fall.Cmp(p) < 0 {
			p = fall
		}
	}
	return chances, true
}

// scaled returns floor(x·2^chanceBits).
func scaled(x *big.Rat) *big.Int {
	v := new(big.Int).Lsh(x.Num(), chanceBits)
	return v.Quo(v, x.Denom())
}

// expBelow returns a number just below e^x·2^chanceBits, for x >= 0: partial sums
// of positive terms, each rounded down.
func expBelow(x *big.Rat) *big.Int {
	sum := new(big.Int)
	term := new(big.Int).Lsh(one, chanceBits)
	for k := int64(1); term.Sign() > 0; k++ {
		sum.Add(sum, term)
		term = new(big.Int).Mul(term, x.Num())
		term.Quo(term, new(big.Int).Mul(x.Denom(), big.NewInt(k)))
	}
	return sum
}

// ceilQuo returns a/b rounded up, for b > 0.
func ceilQuo(a, b *big.Int) *big.Int {
	q, r := new(big.Int).DivMod(a, b, new(big.Int)) // Euclidean: r >= 0, q rounded down
	if r.Sign() > 0 {
		q.Add(q, one)
	}
	return q
}

// keep decides by a fresh draw whether a cell of n children is published. A draw
// is made for every cell, also where the chance is 0 or 1, so that the noise of
// later cells does not depend on n through the position in the stream.
func (t *selectable) keep(n int64, s *sampler) (bool, error) {
	s.left = maxDraws
	v, err := s.below(new(big.Int).Lsh(one, chanceBits))
	if err != nil {
		return false, err
	}
	return v.Cmp(t.chance(n)) < 0, nil
}

func (t *selectable) chance(n int64) *big.Int {
	n = max(n-t.before, 0)
	if n >= int64(len(t.chances)) {
		return new(big.Int).Lsh(one, chanceBits)
	}
	return t.chances[n]
}
