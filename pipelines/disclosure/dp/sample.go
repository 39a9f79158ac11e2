package dp

import (
	"bufio"
	"io"
	"math/big"

	"github.com/pana-exchange/pana/gateway"
)

// Exact sampling, after Canonne, Kamath and Steinke, "The Discrete Gaussian for
// Differential Privacy" (2020). Only integers are drawn and compared: a float has
// holes where the theorem has none, and the low bits of a naive Laplace or
// Gaussian give the true value away (Mironov 2012). Nothing here takes a count.

// A sampler draws from a source of uniform bytes. It is for one goroutine.
type sampler struct {
	random *bufio.Reader
	left   int // draws until the source is called broken
}

// maxDraws is the most uniform integers that one noise value may take. A working
// source needs some twenty, and this many with a chance below 2^-1000; a source that
// is stuck would otherwise keep the loops below for ever.
const maxDraws = 1 << 16

var (
	one = big.NewInt(1)
	two = big.NewInt(2)
)

func newSampler(random io.Reader) *sampler {
	return &sampler{random: bufio.NewReader(random), left: maxDraws}
}

// below returns a uniform integer of 0 to n-1, by rejection: every value has
// exactly the same chance, which a remainder would not give.
func (s *sampler) below(n *big.Int) (*big.Int, error) {
	v := new(big.Int).Sub(n, one)
	bits := v.BitLen()
	if bits == 0 {
		return v, nil
	}
	buf := make([]byte, (bits+7)/8)
	for {
		s.left--
		if s.left < 0 {
			return nil, gateway.Errorf(gateway.Internal, "the source of randomness is stuck")
		}
		_, err := io.ReadFull(s.random, buf)
		if err != nil {
			return nil, &gateway.Error{Kind: gateway.Internal, Detail: "the source of randomness failed", Err: err}
		}
		buf[0] >>= 8*len(buf) - bits
		if v.SetBytes(buf).Cmp(n) < 0 {
			return v, nil
		}
	}
}

// bernoulli is true with probability num/den, for 0 <= num <= den. It compares
// integers; there is no uniform float whose last bits could be missing.
func (s *sampler) bernoulli(num, den *big.Int) (bool, error) {
	v, err := s.below(den)
	if err != nil {
		return false, err
	}
	return v.Cmp(num) < 0, nil
}

// bernoulliExpUnit is true with probability exp(-num/den), for 0 <= num <= den:
// algorithm 1, first case. The k-th coin falls with probability x/k, so that k
// coins fall with x^k/k!, and the chance of an even number is the series of exp(-x).
func (s *sampler) bernoulliExpUnit(num, den *big.Int) (bool, error) {
	scaled := new(big.Int)
	for k := int64(1); ; k++ {
		fell, err := s.bernoulli(num, scaled.Mul(den, big.NewInt(k)))
		if err != nil {
			return false, err
		}
		if !fell {
			return k%2 == 1, nil
		}
	}
}

// bernoulliExp is true with probability exp(-num/den), for num >= 0: algorithm 1,
// second case, which takes exp(-1) off as often as the whole part says.
func (s *sampler) bernoulliExp(num, den *big.Int) (bool, error) {
	rest := new(big.Int).Set(num)
	for rest.Cmp(den) > 0 {
		ok, err := s.bernoulliExpUnit(one, one)
		if err != nil || !ok {
			return false, err
		}
		rest.Sub(rest, den)
	}
	return s.bernoulliExpUnit(rest, den)
}

// laplace returns y with probability proportional to exp(-|y|·den/num): the
// discrete Laplace of scale num/den, algorithm 2.
func (s *sampler) laplace(num, den *big.Int) (*big.Int, error) {
	for {
		negative, err := s.bernoulli(one, two)
		if err != nil {
			return nil, err
		}
		y, err := s.geometric(num, den)
		if err != nil {
			return nil, err
		}
		if !negative {
			return y, nil
		}
		if y.Sign() != 0 { // or zero would come twice as often as it should
			return y.Neg(y), nil
		}
	}
}

// geometric returns y >= 0 with probability proportional to exp(-y·den/num). The
// low part u is uniform and kept with exp(-u/num), the high part is a geometric of
// exp(-1); together they are a geometric of exp(-1/num), thinned by den.
func (s *sampler) geometric(num, den *big.Int) (*big.Int, error) {
	u, err := s.lowPart(num)
	if err != nil {
		return nil, err
	}
	high := int64(0)
	for {
		ok, err := s.bernoulliExpUnit(one, one)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		high++
	}
	y := new(big.Int).Mul(num, big.NewInt(high))
	y.Add(y, u)
	return y.Quo(y, den), nil
}

func (s *sampler) lowPart(num *big.Int) (*big.Int, error) {
	for {
		u, err := s.below(num)
		if err != nil {
			return nil, err
		}
		kept, err := s.bernoulliExpUnit(u, num)
		if err != nil {
			return nil, err
		}
		if kept {
			return u, nil
		}
	}
}

// A noise draws one value. Its time depends on the value drawn, as with every
// rejection sampler, and not on the count that it is added to.
type noise func(*sampler) (*big.Int, error)

// gaussianNoise draws y with probability proportional to exp(-y²/(2·sigma²)), sigma²
// being variance: algorithm 3. Proposals are Laplace of the integer scale
// t = floor(sigma)+1, kept with exp(-(|y| - sigma²/t)²/(2·sigma²)); over num/den =
// sigma² that exponent is (|y|·t·den - num)² / (2·num·den·t²).
func gaussianNoise(variance *big.Rat) noise {
	num, den := variance.Num(), variance.Denom()
	t := new(big.Int).Quo(num, den)
	t.Sqrt(t).Add(t, one)
	step := new(big.Int).Mul(t, den)
	below := new(big.Int).Mul(two, num)
	below.Mul(below, step).Mul(below, t)
	return func(s *sampler) (*big.Int, error) {
		s.left = maxDraws
		for {
			y, err := s.laplace(t, one)
			if err != nil {
				return nil, err
			}
			off := new(big.Int).Abs(y)
			off.Mul(off, step).Sub(off, num)
			kept, err := s.bernoulliExp(off.Mul(off, off), below)
			if err != nil {
				return nil, err
			}
			if kept {
				return y, nil
			}
		}
	}
}

// laplaceNoise draws discrete Laplace noise of a scale.
func laplaceNoise(scale *big.Rat) noise {
	num, den := scale.Num(), scale.Denom()
	return func(s *sampler) (*big.Int, error) {
		s.left = maxDraws
		return s.laplace(num, den)
	}
}
