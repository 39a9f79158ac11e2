package dp

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"testing"
)

// Google's thresholds on noisy counts (Laplace, laplace_noise_test.go): with the noise
// of scale l0*linf/eps a partition of one child passes linf - scale*ln(2*(1-(1-delta)^(1/l0)))
// with a chance of delta at most. The formula gives the published numbers. This package
// compares no noisy count with anything: its selection of the same epsilon and delta
// keeps one child with at most delta too, and is better than the threshold above it:
// what stands at the threshold passes that with one half, and here with more.
func TestLaplaceThresholdsOfGoogle(t *testing.T) {
	b, err := os.ReadFile("testdata/google-reference-values.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Thresholds []struct {
			L0    int64   `json:"l0"`
			Linf  float64 `json:"linf"`
			Eps   any     `json:"eps"`
			Delta float64 `json:"delta"`
			Want  float64 `json:"want"`
		} `json:"laplace_threshold"`
	}
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	for _, c := range ref.Thresholds {
		eps := epsilon(t, c.Eps)
		scale := float64(c.L0) * c.Linf / eps
		each := -math.Expm1(math.Log1p(-c.Delta) / float64(c.L0)) // 1-(1-delta)^(1/l0)
		if got := c.Linf - scale*math.Log(2*each); math.Abs(got-c.Want) > 0.005+1e-4*c.Want {
			t.Errorf("epsilon %v, delta %g, l0 %d, linf %g: threshold %.2f, Google has %.2f", c.Eps, c.Delta, c.L0, c.Linf, got, c.Want)
		}
		if c.Linf != 1 || c.Delta < 1e-20 {
			continue // selection is of children, and has no table for so small a delta
		}
		chances, ok := keepChances(new(big.Rat).SetFloat64(eps/float64(c.L0)), new(big.Rat).SetFloat64(c.Delta/float64(c.L0)))
		if !ok {
			t.Fatalf("epsilon %v, delta %g: no table", c.Eps, c.Delta)
		}
		table := &selectable{chances: chances}
		kept := asFloat(table.chance(int64(math.Ceil(c.Want))))
		if one := asFloat(table.chance(1)); kept <= 0.5 || one > c.Delta {
			t.Errorf("epsilon %v, delta %g: one child is kept with %g, the threshold with %g", c.Eps, c.Delta, one, kept)
		}
	}
	if len(ref.Thresholds) != 5 {
		t.Errorf("%d thresholds in the reference", len(ref.Thresholds))
	}
}
