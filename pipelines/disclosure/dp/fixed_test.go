package dp

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDecimals(t *testing.T) {
	for text, want := range map[string]Rho{
		"0": 0, "0.1": 100_000_000, "1": lossUnit, "0.000000001": 1, "12.5": 12_500_000_000, "0.100": 100_000_000,
		"9223372036.854775807": math.MaxInt64,
	} {
		got, err := ParseRho(text)
		if err != nil || got != want {
			t.Errorf("ParseRho(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ".", "1.", ".5", "-1", "+1", "1e-6", " 1", "1 ", "0x1", "1_0", "١", "NaN", "Inf", "0.0000000001", "9223372036.854775808", "99999999999999999999", "1.2.3", "1,5",
	} {
		if got, err := ParseRho(text); err == nil {
			t.Errorf("ParseRho(%q) = %v", text, got)
		}
	}
	d, err := ParseDelta("0.000001")
	if err != nil || d != 1_000_000_000_000 || d.String() != "0.000001" || d.Float() != 1e-6 {
		t.Errorf("delta: %d, %v, %v", d, err, d)
	}
	e, err := ParseEpsilon("2.14")
	if err != nil || e.String() != "2.14" || e.Float() != 2.14 {
		t.Errorf("epsilon: %v, %v", e, err)
	}
}

func TestDecimalsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		r, err := ParseRho(Rho(n).String())
		d, err2 := ParseDelta(Delta(n).String())
		e, err3 := ParseEpsilon(Epsilon(n).String())
		if err != nil || err2 != nil || err3 != nil || int64(r) != n || int64(d) != n || int64(e) != n {
			t.Errorf("%d came back as %d, %d, %d", n, r, d, e)
		}
	})
	for n, want := range map[Rho]string{-1: "-0.000000001", math.MinInt64: "-9223372036.854775808", 10: "0.00000001"} {
		if got := n.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(n), got, want)
		}
	}
}

func TestSaturating(t *testing.T) {
	for _, c := range []struct{ a, b, want int64 }{
		{1, 2, 3},
		{math.MaxInt64, 1, math.MaxInt64},
		{math.MinInt64, -1, math.MinInt64},
		{math.MaxInt64, math.MinInt64, -1},
		{math.MinInt64, math.MinInt64, math.MinInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{0, math.MinInt64, math.MinInt64},
	} {
		if got := saturating(c.a, c.b); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// What is read is written the same way, but for zeros that say nothing.
func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"0.1", "1", "0.000000001", "00.10", "-1", "1e3", ".", "9223372036.854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRho(text)
		if err != nil {
			return
		}
		again, err := ParseRho(r.String())
		if r < 0 || err != nil || again != r {
			t.Errorf("%q is %v and then %v, %v", text, r, again, err)
		}
	})
}
