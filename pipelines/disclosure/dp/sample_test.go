package dp

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"math/big"
	"testing"
	"testing/iotest"

	"github.com/pana-exchange/pana/gateway"
)

// Every possible input of one byte is tried: each accepted value must come from
// equally many bytes, and the values must be those of the range. That is exactness,
// not statistics.
func TestBelowIsUniformByExhaustion(t *testing.T) {
	for n := int64(2); n <= 256; n++ {
		hits := make([]int, n)
		for b := range 256 {
			s := newSampler(bytes.NewReader([]byte{byte(b)}))
			v, err := s.below(big.NewInt(n))
			if err != nil {
				continue // rejected, and the source has no second byte
			}
			hits[v.Int64()]++
		}
		for v, h := range hits {
			if h != hits[0] || h == 0 {
				t.Fatalf("below(%d): %d came from %d bytes, 0 from %d", n, v, h, hits[0])
			}
		}
	}
}

func TestBelowOneNeedsNoRandomness(t *testing.T) {
	v, err := newSampler(iotest.ErrReader(io.ErrUnexpectedEOF)).below(one)
	if err != nil || v.Sign() != 0 {
		t.Errorf("below(1) = %v, %v", v, err)
	}
}

func TestBelowSpansManyBytes(t *testing.T) {
	n := new(big.Int).Lsh(one, 1024)
	v, err := newSampler(bytes.NewReader(bytes.Repeat([]byte{0xff}, 128))).below(n)
	if err != nil || v.Cmp(new(big.Int).Sub(n, one)) != 0 {
		t.Errorf("the largest draw below 2^1024 is wrong: %v", err)
	}
	const draws = 20000
	s, odd := newSampler(seeded(1)), new(big.Int).SetInt64(1<<40+12345)
	var sum float64
	for range draws {
		v, err := s.below(odd)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := new(big.Rat).SetFrac(v, odd).Float64()
		sum += f
	}
	// The mean of uniforms is within 5 standard errors but for 6e-7.
	if off := math.Abs(sum/draws-0.5) * math.Sqrt(12*draws); off > 5 {
		t.Errorf("the mean of below is off by %.1f standard errors", off)
	}
}

// A coins reader feeds bernoulliExpUnit the outcomes that a test wants. It is read
// through a bufio.Reader of 4096 bytes, so it is given as bytes ready made: for
// num/den = 1/2 and coin k, the draw is below 2k, and falls when it is 0.
func coins(fall int, num, den int64) []byte {
	script := []byte{}
	for k := int64(1); ; k++ {
		bits := new(big.Int).SetInt64(den*k - 1).BitLen()
		size := (bits + 7) / 8
		draw := make([]byte, size)
		if int(k) > fall {
			if den*k-1 < num {
				return nil // this coin always falls
			}
			// The draw den*k-1 is not below num, with the unused bits of its first byte at the end.
			big.NewInt(den*k - 1).FillBytes(draw)
			if size > 0 {
				draw[0] <<= 8*size - bits
			}
			return append(script, draw...)
		}
		script = append(script, draw...)
	}
}

// exp(-x) is the sum over paths: j coins fall and the next does not, with chance
// x^j/j!·(1 - x/(j+1)). Every path is played and weighed with exact rationals; the
// weight of those that end in true must be exp(-x), here to 1e-30.
func TestBernoulliExpUnitExactly(t *testing.T) {
	for _, x := range []struct{ num, den int64 }{{0, 1}, {1, 1}, {1, 2}, {2, 3}, {1, 7}, {5, 8}, {99, 100}, {1, 1000}} {
		ratio := big.NewRat(x.num, x.den)
		truth, weight := new(big.Rat), big.NewRat(1, 1) // weight of "at least j fell"
		for j := range 40 {
			next := new(big.Rat).Mul(weight, new(big.Rat).Quo(ratio, new(big.Rat).SetInt64(int64(j+1))))
			ends := new(big.Rat).Sub(weight, next)
			if script := coins(j, x.num, x.den); script != nil && weight.Sign() > 0 {
				got, err := newSampler(bytes.NewReader(script)).bernoulliExpUnit(big.NewInt(x.num), big.NewInt(x.den))
				if err != nil {
					t.Fatalf("x = %v, %d coins: %v", ratio, j, err)
				}
				if got {
					truth.Add(truth, ends)
				}
			}
			weight = next
		}
		if off := new(big.Rat).Sub(truth, expSeries(ratio)); off.Abs(off).Cmp(tiny(30)) > 0 {
			f, _ := off.Float64()
			t.Errorf("x = %v: the chance of true is off by %g", ratio, f)
		}
	}
}

func tiny(places int64) *big.Rat {
	return new(big.Rat).SetFrac(one, new(big.Int).Exp(big.NewInt(10), big.NewInt(places), nil))
}

// expSeries returns exp(-x) by its alternating series.
func expSeries(x *big.Rat) *big.Rat {
	sum, term := new(big.Rat), big.NewRat(1, 1)
	for k := int64(1); k < 60; k++ {
		sum.Add(sum, term)
		term = new(big.Rat).Mul(term, new(big.Rat).Quo(x, big.NewRat(-k, 1)))
	}
	return sum
}

// Exponents above 1 take whole coins first. The frequency of true is binomial; 5
// standard errors are left once in 1.7 million.
func TestBernoulliExpFrequencies(t *testing.T) {
	s := newSampler(seeded(2))
	const draws = 20000
	for _, x := range []struct{ num, den int64 }{{0, 5}, {1, 3}, {1, 1}, {4, 3}, {2, 1}, {7, 2}, {10, 1}} {
		hits := 0
		for range draws {
			s.left = maxDraws
			ok, err := s.bernoulliExp(big.NewInt(x.num), big.NewInt(x.den))
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				hits++
			}
		}
		p := math.Exp(-float64(x.num) / float64(x.den))
		if off := math.Abs(float64(hits) - draws*p); off > 5*math.Sqrt(draws*p*(1-p))+1 {
			t.Errorf("exp(-%d/%d): %d of %d, want about %.0f", x.num, x.den, hits, draws, draws*p)
		}
	}
}

func TestBernoulliExpLeavesItsArguments(t *testing.T) {
	num, den := big.NewInt(7), big.NewInt(2)
	_, err := newSampler(seeded(3)).bernoulliExp(num, den)
	if err != nil || num.Int64() != 7 || den.Int64() != 2 {
		t.Errorf("the arguments became %v and %v, %v", num, den, err)
	}
}

// sampled draws from a law of noise.
func sampled(tb testing.TB, draw noise, seed uint64, n int) []int64 {
	tb.Helper()
	s, values := newSampler(seeded(seed)), make([]int64, n)
	for i := range values {
		v, err := draw(s)
		if err != nil {
			tb.Fatal(err)
		}
		if !v.IsInt64() {
			tb.Fatal("noise beyond 64 bits")
		}
		values[i] = v.Int64()
	}
	return values
}

func tally(values []int64) map[int64]int {
	counts := map[int64]int{}
	for _, v := range values {
		counts[v]++
	}
	return counts
}

// The laws are those of the theorems: chi-square against the exact probabilities,
// mean and variance within 5.5 standard errors (each fails a correct sampler with
// less than 1e-7). Variances are small, large, fractional, and at the edges of
// floor(sigma)+1.
func TestGaussianFollowsItsLaw(t *testing.T) {
	const draws = 20000
	for i, variance := range []*big.Rat{
		big.NewRat(1, 10), big.NewRat(1, 2), big.NewRat(99, 100), big.NewRat(1, 1), big.NewRat(101, 100), big.NewRat(3, 1),
		big.NewRat(4, 1), big.NewRat(22, 7), big.NewRat(50, 1), big.NewRat(1000, 3),
	} {
		v, _ := variance.Float64()
		values := sampled(t, gaussianNoise(variance), uint64(100+i), draws)
		law := gaussianLaw(v)
		fits(t, tally(values), draws, law)
		checkMoments(t, values, law, int64(40*math.Sqrt(v)+40))
	}
}

func TestLaplaceFollowsItsLaw(t *testing.T) {
	const draws = 20000
	for i, scale := range []*big.Rat{big.NewRat(1, 3), big.NewRat(1, 1), big.NewRat(3, 2), big.NewRat(10, 1), big.NewRat(47, 5)} {
		b, _ := scale.Float64()
		values := sampled(t, laplaceNoise(scale), uint64(200+i), draws)
		law := laplaceLaw(b)
		fits(t, tally(values), draws, law)
		checkMoments(t, values, law, int64(60*b+60))
	}
}

func checkMoments(tb testing.TB, values []int64, law func(int64) float64, reach int64) {
	tb.Helper()
	n := float64(len(values))
	variance := moment(law, reach, func(y float64) float64 { return y * y })
	fourth := moment(law, reach, func(y float64) float64 { return y * y * y * y })
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	if off := math.Abs(sum/n) / math.Sqrt(variance/n); off > 5.5 {
		tb.Errorf("the mean is off by %.1f standard errors", off)
	}
	if off := math.Abs(squares/n-variance) / math.Sqrt((fourth-variance*variance)/n); off > 5.5 {
		tb.Errorf("the variance is off by %.1f standard errors", off)
	}
}

// Tails: how many of 60,000 values are at or beyond 3 sigma, against the exact
// binomial expectation; 5 standard errors. And none beyond 8 sigma, which a correct
// sampler passes with 1e-10.
func TestGaussianTails(t *testing.T) {
	const draws = 60000
	law := gaussianLaw(25)
	tail := 1 - moment(law, 14, func(float64) float64 { return 1 })
	far := 0
	for _, v := range sampled(t, gaussianNoise(big.NewRat(25, 1)), 300, draws) {
		if v >= 15 || v <= -15 {
			far++
		}
		if v > 40 || v < -40 {
			t.Fatalf("a value beyond 8 sigma")
		}
	}
	if off := math.Abs(float64(far) - draws*tail); off > 5*math.Sqrt(draws*tail) {
		t.Errorf("%d values beyond 3 sigma, want about %.0f", far, draws*tail)
	}
}

// A law with the wrong shape must be noticed by the same test on as many draws, or
// it proves nothing: a rounded normal instead of the discrete Gaussian at sigma² =
// 1/2, a variance off by 20 %, and Laplace that has zero twice.
func TestTheTestsCanFail(t *testing.T) {
	const draws = 20000
	noticed := func(counts map[int64]int, law func(int64) float64) bool {
		probe := &recorder{TB: t}
		fits(probe, counts, draws, law)
		return probe.failed
	}
	if !noticed(tally(sampled(t, gaussianNoise(big.NewRat(60, 1)), 301, draws)), gaussianLaw(50)) {
		t.Error("a variance off by 20 % is not noticed")
	}
	half := func(y int64) float64 {
		cdf := func(x float64) float64 { return 0.5 * math.Erfc(-x) } // sigma = 1/sqrt(2)
		return cdf(float64(y)+0.5) - cdf(float64(y)-0.5)
	}
	if !noticed(tally(sampled(t, gaussianNoise(big.NewRat(1, 2)), 302, draws)), half) {
		t.Error("a rounded normal is not told from the discrete Gaussian")
	}
	twice := tally(sampled(t, laplaceNoise(big.NewRat(10, 1)), 303, draws))
	twice[0] *= 2
	if !noticed(twice, laplaceLaw(10)) {
		t.Error("a Laplace with two zeros is not noticed")
	}
}

// recorder is a testing.TB that remembers failures instead of reporting them.
type recorder struct {
	testing.TB
	failed bool
}

func (*recorder) Helper()                 {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

// A huge sigma stays exact and in range, and large values are as common as they
// should be: half are beyond 0.6745 sigma.
func TestGaussianOfHugeSigma(t *testing.T) {
	const draws = 4000
	variance := new(big.Rat).SetFrac(new(big.Int).Lsh(one, 80), one)
	beyond := 0
	for _, v := range sampled(t, gaussianNoise(variance), 304, draws) {
		if math.Abs(float64(v)) > 0.6744897501960817*math.Exp2(40) {
			beyond++
		}
	}
	if off := math.Abs(float64(beyond) - draws/2); off > 5*math.Sqrt(draws)/2 {
		t.Errorf("%d of %d beyond the quartiles", beyond, draws)
	}
}

// Sources that end, fail or are stuck give an error and no value.
func TestBrokenSources(t *testing.T) {
	secret := errors.New("the cause")
	for name, source := range map[string]io.Reader{
		"empty":  bytes.NewReader(nil),
		"error":  iotest.ErrReader(secret),
		"zeros":  forever(0x00),
		"ones":   forever(0xff),
		"middle": forever(0x55),
	} {
		for law, draw := range map[string]noise{"gaussian": gaussianNoise(big.NewRat(1000, 3)), "laplace": laplaceNoise(big.NewRat(47, 5))} {
			_, err := draw(newSampler(source))
			if err == nil {
				if name == "middle" || name == "ones" {
					continue // a constant that happens to end a path is a value; it is not stuck
				}
				t.Errorf("%s, %s: a value was drawn", name, law)
				continue
			}
			if !errors.Is(err, gateway.Internal) {
				t.Errorf("%s, %s: %v", name, law, err)
			}
		}
	}
}

type forever byte

func (f forever) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(f)
	}
	return len(b), nil
}

// The limit on draws belongs to one value, not to the whole histogram.
func TestLimitIsPerValue(t *testing.T) {
	s := newSampler(seeded(305))
	for name, draw := range map[string]noise{"gaussian": gaussianNoise(big.NewRat(50, 1)), "laplace": laplaceNoise(big.NewRat(5, 1))} {
		for range 50 {
			s.left = 0
			if _, err := draw(s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if used := maxDraws - s.left; used > 2000 {
			t.Errorf("%s: a value took %d draws", name, used)
		}
	}
}

// No float may be near a draw (Mironov 2012): the files that sample and bound are
// searched for the types and for package math.
func TestNoFloatsWhereNoiseIsDrawn(t *testing.T) {
	for _, file := range []string{"sample.go", "selection.go", "histogram.go"} {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range tree.Imports {
			if p := imported.Path.Value; p == `"math"` || p == `"math/rand"` || p == `"math/rand/v2"` || p == `"crypto/rand"` {
				t.Errorf("%s imports %s", file, p)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && (id.Name == "float64" || id.Name == "float32" || id.Name == "Float64" || id.Name == "SetFloat64") {
				t.Errorf("%s uses %s", file, id.Name)
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.FLOAT {
				t.Errorf("%s has the literal %s", file, lit.Value)
			}
			return true
		})
	}
}

func BenchmarkGaussian(b *testing.B) {
	for _, c := range []struct {
		name     string
		variance *big.Rat
	}{{"sigma2=5", big.NewRat(5, 1)}, {"sigma2=500", big.NewRat(500, 1)}, {"sigma2=2e9", big.NewRat(2_000_000_000, 1)}} {
		b.Run(c.name, func(b *testing.B) {
			draw, s := gaussianNoise(c.variance), newSampler(seeded(1))
			for b.Loop() {
				if _, err := draw(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
