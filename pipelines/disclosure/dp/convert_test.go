package dp

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference holds the published test values of google/differential-privacy.
type reference struct {
	KeepPartition []struct {
		L0    int64              `json:"l0"`
		Eps   any                `json:"eps"`
		Delta float64            `json:"delta"`
		Want  map[string]float64 `json:"want"`
	} `json:"keep_partition_probability"`
	GaussianDelta []struct {
		Sigma float64 `json:"sigma"`
		Eps   any     `json:"eps"`
		L0    float64 `json:"l0"`
		Linf  float64 `json:"linf"`
		Want  float64 `json:"want"`
	} `json:"gaussian_delta"`
	GaussianVariance []struct {
		L0       float64 `json:"l0"`
		Linf     float64 `json:"linf"`
		Eps      any     `json:"eps"`
		Delta    float64 `json:"delta"`
		Variance float64 `json:"variance"`
	} `json:"gaussian_variance"`
}

func references(tb testing.TB) reference {
	tb.Helper()
	b, err := os.ReadFile("testdata/google-reference-values.json")
	if err != nil {
		tb.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// epsilon reads "ln 2", "2 ln 3" or a number.
func epsilon(tb testing.TB, v any) float64 {
	tb.Helper()
	text, ok := v.(string)
	if !ok {
		return v.(float64)
	}
	times, arg, ok := strings.Cut(text, "ln ")
	factor, err := 1.0, error(nil)
	if strings.TrimSpace(times) != "" {
		factor, err = strconv.ParseFloat(strings.TrimSpace(times), 64)
	}
	x, err2 := strconv.ParseFloat(arg, 64)
	if !ok || err != nil || err2 != nil {
		tb.Fatalf("epsilon %q", text)
	}
	return factor * math.Log(x)
}

// The three figures of disclosure.md 2.10.
func TestEpsilonOfTheSpecification(t *testing.T) {
	for text, want := range map[string]float64{"0.05": 1.47, "0.1": 2.14, "0.5": 5.22} {
		if got := EpsilonAt(rho(t, text), ReportDelta); math.Abs(got-want) > 0.005 {
			t.Errorf("rho %s at delta %g: epsilon %.4f, want %.2f", text, ReportDelta, got, want)
		}
	}
	if got := (Cost{Rho: SuggestedRho}).Epsilon(ReportDelta); math.Abs(got-2.14) > 0.005 {
		t.Errorf("the suggested budget is epsilon %.4f", got)
	}
}

// gaussianDelta is the exact delta of the Gaussian mechanism (Balle and Wang 2018,
// theorem 8), a test for whoever claims a bound on it.
func gaussianDelta(sigma, sensitivity, eps float64) float64 {
	phi := func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
	a, b := sensitivity/(2*sigma), eps*sigma/sensitivity
	return phi(a-b) - math.Exp(eps)*phi(-a-b)
}

// Concentrated privacy forgets which mechanism it came from, so its delta is never
// below the exact one, and not far above: within a factor of 20 where it matters.
func TestDeltaBoundsTheExactGaussian(t *testing.T) {
	for _, c := range references(t).GaussianDelta {
		eps, sensitivity := epsilon(t, c.Eps), c.Linf*math.Sqrt(c.L0)
		if got := gaussianDelta(c.Sigma, sensitivity, eps); math.Abs(got-c.Want) > 1e-9*c.Want {
			t.Errorf("exact delta of sigma %v at %v: %v, published %v", c.Sigma, eps, got, c.Want)
		}
		if got := deltaOf(sensitivity*sensitivity/(2*c.Sigma*c.Sigma), eps); got < c.Want {
			t.Errorf("sigma %v at epsilon %v: delta %v is below the exact %v", c.Sigma, eps, got, c.Want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		sigma := rapid.Float64Range(0.3, 50).Draw(t, "sigma")
		eps := rapid.Float64Range(0.01, 8).Draw(t, "eps")
		exact, bound := gaussianDelta(sigma, 1, eps), deltaOf(1/(2*sigma*sigma), eps)
		if bound < exact*(1-1e-9) {
			t.Errorf("delta %v is below the exact %v", bound, exact)
		}
		if exact > 1e-12 && bound > 20*exact {
			t.Errorf("delta %v is far above the exact %v", bound, exact)
		}
	})
}

func TestEpsilonBoundsGooglesCalibration(t *testing.T) {
	for _, c := range references(t).GaussianVariance {
		eps := epsilon(t, c.Eps)
		got := epsilonAt(c.Linf*c.Linf*c.L0/(2*c.Variance), c.Delta)
		if got < eps*0.999 || got > 1.2*eps { // their sigma is right to 1e-3
			t.Errorf("variance %v: epsilon %v, Google calibrates it to %v", c.Variance, got, eps)
		}
	}
}

func TestConversionIsMonotoneAndInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.Float64Range(1e-6, 20).Draw(t, "rho")
		delta := math.Pow(10, rapid.Float64Range(-15, -1).Draw(t, "log delta"))
		eps := epsilonAt(r, delta)
		if back := deltaOf(r, eps); back > delta || eps > 1e-9 && back < delta*(1-1e-6) {
			t.Errorf("delta %g came back as %g", delta, back)
		}
		if epsilonAt(r*1.01, delta) < eps || epsilonAt(r, delta*1.01) > eps*(1+1e-12) {
			t.Error("epsilon is not monotone")
		}
		// Bun and Steinke 2016, proposition 1.3, is the older and weaker bound.
		if older := r + 2*math.Sqrt(r*math.Log(1/delta)); eps > older {
			t.Errorf("epsilon %v is above %v", eps, older)
		}
	})
}

// The minimum must be one: no a on a grid does better than 1e-6.
func TestDeltaIsTheMinimum(t *testing.T) {
	for _, c := range []struct{ rho, eps float64 }{{0.05, 1.47}, {0.1, 2.14}, {0.5, 5.22}, {0.001, 0.1}, {3, 12}, {0.1, 0.05}} {
		least := 1.0
		for a := 1.001; a < 500; a *= 1.0005 {
			least = min(least, math.Exp((a-1)*(a*c.rho-c.eps)+a*math.Log1p(-1/a))/(a-1))
		}
		if got := deltaOf(c.rho, c.eps); math.Abs(got-least) > 1e-5*least {
			t.Errorf("delta(%v, %v) = %v, the grid has %v", c.rho, c.eps, got, least)
		}
	}
}

func TestConversionAtTheEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"nothing spent", EpsilonAt(0, 1e-6), 0},
		{"delta 1", EpsilonAt(SuggestedRho, 1), 0},
		{"delta 0", EpsilonAt(SuggestedRho, 0), inf},
		{"delta below 0", EpsilonAt(SuggestedRho, -1), inf},
		{"delta not a number", EpsilonAt(SuggestedRho, math.NaN()), inf},
		{"delta of nothing", DeltaOf(0, 1), 0},
		{"selection used delta up", Cost{Rho: 1, Delta: 1e12}.Epsilon(1e-6), inf},
		{"nothing at all", Cost{}.Epsilon(1e-6), 0},
		{"delta at most 1", DeltaOf(maxRho, 0), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	with := Cost{Rho: SuggestedRho, Delta: Delta(5e11)}.Epsilon(1e-6)
	if want := EpsilonAt(SuggestedRho, 5e-7); math.Abs(with-want) > 1e-9 {
		t.Errorf("half of delta for selection: epsilon %v, want %v", with, want)
	}
}

func TestCostsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Cost {
			return Cost{Rho(rapid.Int64Range(0, math.MaxInt64).Draw(t, name)), Delta(rapid.Int64Range(0, math.MaxInt64).Draw(t, name))}
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		if a.Plus(b) != b.Plus(a) || a.Plus(b).Plus(c) != a.Plus(b.Plus(c)) || a.Plus(Cost{}) != a {
			t.Error("Plus is no sum")
		}
		if sum := a.Plus(b); sum.Rho < a.Rho || sum.Delta < b.Delta {
			t.Error("a sum turned over")
		}
	})
}

// Theorem 4 of Canonne, Kamath and Steinke: the Rényi divergence of order a between
// the discrete Gaussian and itself shifted by an integer d is at most a·d²/(2·sigma²).
// It is why terms.spread is what it is; here it is summed up for terms of one cell.
func TestRenyiDivergenceIsPaidFor(t *testing.T) {
	for _, r := range []Rho{lossUnit / 100, lossUnit / 10, lossUnit / 2, 2 * lossUnit} {
		for _, unit := range []int64{1, 3} {
			terms := Terms{Cells: 1, Rho: r}
			if unit > 1 {
				terms.High = unit
			}
			variance, _ := terms.spread().Float64()
			law := gaussianLaw(variance)
			reach := int64(20*math.Sqrt(variance)) + 20
			for _, a := range []float64{1.1, 2, 5, 10} {
				sum := 0.0
				for y := -reach; y <= reach; y++ {
					if p, q := law(y), law(y-unit); p > 1e-280 && q > 1e-280 {
						sum += math.Exp(a*math.Log(p) + (1-a)*math.Log(q))
					}
				}
				if got := math.Log(sum) / (a - 1); got > a*r.Float()*(1+1e-6)+1e-9 {
					t.Errorf("rho %v, unit %d, order %v: divergence %v, paid %v", r, unit, a, got, a*r.Float())
				}
			}
		}
	}
}
