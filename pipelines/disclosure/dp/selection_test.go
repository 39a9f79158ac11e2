package dp

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// The published values of Google's library, which computes the same law in closed
// form and floating point.
func TestKeepChancesOfGoogle(t *testing.T) {
	for _, c := range references(t).KeepPartition {
		l0 := new(big.Rat).SetInt64(c.L0)
		eps, delta := new(big.Rat).SetFloat64(epsilon(t, c.Eps)), new(big.Rat).SetFloat64(c.Delta)
		chances, ok := keepChances(eps.Quo(eps, l0), delta.Quo(delta, l0))
		if !ok {
			t.Fatalf("epsilon %v, delta %v: no table", c.Eps, c.Delta)
		}
		table := &selectable{chances: chances}
		for text, want := range c.Want {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if got := asFloat(table.chance(n)); math.Abs(got-want) > 1e-6*want+1e-12 {
				t.Errorf("epsilon %v, delta %v, %d children: %v, want %v", c.Eps, c.Delta, n, got, want)
			}
		}
	}
}

func asFloat(chance *big.Int) float64 {
	f, _ := new(big.Rat).SetFrac(chance, new(big.Int).Lsh(one, chanceBits)).Float64()
	return f
}

// The definition of (eps, delta)-privacy for a yes-or-no answer, for every pair of
// neighbours, in exact arithmetic: with E = e^eps and p(n) the chance to be kept,
// p(n) <= E·p(n-1) + delta, p(n-1) <= E·p(n) + delta, and both for 1-p.
func TestSelectionIsPrivateExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Selection{
			Epsilon: Epsilon(rapid.Int64Range(lossUnit/5, 5*lossUnit).Draw(t, "eps")),
			Delta:   Delta(rapid.Int64Range(1e6, deltaUnit/2).Draw(t, "delta")), PreThreshold: rapid.IntRange(0, 30).Draw(t, "k"),
		}
		cells := rapid.IntRange(1, 4).Draw(t, "c")
		table, err := s.table(cells)
		if err != nil {
			t.Fatal(err)
		}
		// Over 2^chanceBits, and times the denominator of delta/c, all are integers.
		grow := expBelow(big.NewRat(int64(s.Epsilon), lossUnit*int64(cells)))
		den := new(big.Int).Mul(big.NewInt(deltaUnit), big.NewInt(int64(cells)))
		delta := new(big.Int).Lsh(big.NewInt(int64(s.Delta)), 2*chanceBits)
		whole := new(big.Int).Lsh(one, chanceBits)
		atMost := func(x, y *big.Int) bool { // x <= E·y + delta
			left := new(big.Int).Mul(x, den)
			right := new(big.Int).Mul(y, den)
			right.Mul(right, grow).Add(right, delta)
			return left.Lsh(left, chanceBits).Cmp(right) <= 0
		}
		last := new(big.Int)
		for n := int64(1); n < int64(len(table.chances))+table.before+2; n++ {
			p := table.chance(n)
			q, lastQ := new(big.Int).Sub(whole, p), new(big.Int).Sub(whole, last)
			if !atMost(p, last) || !atMost(last, p) || !atMost(q, lastQ) || !atMost(lastQ, q) {
				t.Fatalf("%d children: the promise is broken", n)
			}
			if p.Cmp(last) < 0 {
				t.Fatalf("%d children have a smaller chance than one less", n)
			}
			last = p
		}
		if last.Cmp(whole) != 0 {
			t.Error("no number of children is certain")
		}
	})
}

// Below the pre-threshold never, at it with delta/c, and the law is the same after.
func TestPreThresholdMovesTheLaw(t *testing.T) {
	plain := Selection{Epsilon: lossUnit, Delta: deltaUnit / 1000}
	moved := plain
	moved.PreThreshold = 10
	a, err := plain.table(2)
	b, err2 := moved.table(2)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for n := range int64(60) {
		if n < 10 && b.chance(n).Sign() != 0 {
			t.Errorf("%d children have a chance below the pre-threshold", n)
		}
		if n >= 9 && b.chance(n).Cmp(a.chance(n-9)) != 0 {
			t.Errorf("%d children: the law is not that of %d", n, n-9)
		}
	}
	if got := asFloat(b.chance(10)); math.Abs(got-0.0005) > 1e-15 {
		t.Errorf("at the pre-threshold the chance is %v", got)
	}
	if a.chance(0).Sign() != 0 {
		t.Error("an empty cell has a chance")
	}
}

// expBelow is below the exponential and within 1e-290 of it.
func TestExpBelow(t *testing.T) {
	for _, x := range []*big.Rat{new(big.Rat), big.NewRat(1, 1000), big.NewRat(1, 1), big.NewRat(7, 3), big.NewRat(20, 1)} {
		got := new(big.Rat).SetFrac(expBelow(x), new(big.Int).Lsh(one, chanceBits))
		sum, term := new(big.Rat), big.NewRat(1, 1)
		for k := int64(1); k < 400; k++ {
			sum.Add(sum, term)
			term.Mul(term, x).Quo(term, big.NewRat(k, 1))
		}
		off := new(big.Rat).Sub(sum, got)
		if off.Sign() < 0 || off.Cmp(tiny(290)) > 0 {
			f, _ := off.Float64()
			t.Errorf("exp(%v) is off by %g", x, f)
		}
	}
}

// The draw follows the table: binomial, 5 standard errors, 6e-7 a cell count.
func TestKeepFollowsItsChance(t *testing.T) {
	table, err := Selection{Epsilon: lossUnit, Delta: deltaUnit / 10}.table(1)
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(seeded(400))
	const draws = 4000
	for n := range int64(8) {
		kept := 0
		for range draws {
			ok, err := table.keep(n, s)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				kept++
			}
		}
		p := asFloat(table.chance(n))
		if off := math.Abs(float64(kept) - draws*p); off > 5*math.Sqrt(draws*p*(1-p)) {
			t.Errorf("%d children: kept %d of %d, want %.0f", n, kept, draws, draws*p)
		}
	}
}

func TestSelectionIsChecked(t *testing.T) {
	good := Selection{Epsilon: lossUnit, Delta: deltaUnit / 1000, PreThreshold: 10}
	for name, change := range map[string]func(*Selection){
		"no epsilon":          func(s *Selection) { s.Epsilon = 0 },
		"epsilon below 0":     func(s *Selection) { s.Epsilon = -1 },
		"epsilon too large":   func(s *Selection) { s.Epsilon = maxEpsilon + 1 },
		"no delta":            func(s *Selection) { s.Delta = 0 },
		"delta 1":             func(s *Selection) { s.Delta = deltaUnit },
		"threshold below 0":   func(s *Selection) { s.PreThreshold = -1 },
		"threshold too large": func(s *Selection) { s.PreThreshold = maxClamp + 1 },
		"table too long":      func(s *Selection) { s.Epsilon, s.Delta = 1, 1 },
	} {
		s := good
		change(&s)
		if err := s.validate(1); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.validate(1); err != nil {
		t.Error(err)
	}
	if err := (Selection{}).validate(1); err != nil {
		t.Error(err)
	}
}
