package dp

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// falseAlarm is the chance with which each statistical test below would fail a
// correct sampler on fresh randomness. Seeds are fixed, so a test that passes once
// passes always; the figure says how surprising a failure after a change is.
const falseAlarm = 1e-6

// seeded returns a stream of bytes that is the same every time.
func seeded(n uint64) io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	return rand.NewChaCha8(seed)
}

// upperGamma returns Q(a, x), the regularised upper incomplete gamma function
// (Abramowitz and Stegun 6.5.29 below a+1, the continued fraction 6.5.31 above).
func upperGamma(a, x float64) float64 {
	if x <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(a)
	front := math.Exp(-x + a*math.Log(x) - lg)
	if x < a+1 {
		sum, term := 1/a, 1/a
		for n := 1; n < 10000; n++ {
			term *= x / (a + float64(n))
			sum += term
		}
		return 1 - front*sum
	}
	f := 0.0
	for n := 10000; n >= 1; n-- {
		f = float64(n) * (float64(n) - a) / (x + float64(2*n) + 1 - a - f)
	}
	return front / (x + 1 - a - f)
}

// chiSquare returns the chance of a statistic at least this large with so many
// degrees of freedom.
func chiSquare(statistic float64, freedom int) float64 {
	return upperGamma(float64(freedom)/2, statistic/2)
}

func TestChiSquareAgainstTables(t *testing.T) {
	// NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.4.
	for _, c := range []struct {
		statistic float64
		freedom   int
		want      float64
	}{{3.841, 1, 0.05}, {18.307, 10, 0.05}, {23.209, 10, 0.01}, {149.449, 100, 0.001}, {2.706, 1, 0.10}, {124.342, 100, 0.05}} {
		got := chiSquare(c.statistic, c.freedom)
		if math.Abs(got-c.want) > 2e-4*c.want+1e-5 {
			t.Errorf("chiSquare(%v, %d) = %v, want %v", c.statistic, c.freedom, got, c.want)
		}
	}
}

// fits compares counts of integers with a law by chi-square; values whose expected
// count is below 10 are pooled at each end.
func fits(tb testing.TB, counts map[int64]int, n int, law func(int64) float64) {
	tb.Helper()
	low, high := int64(0), int64(0)
	for law(low-1)*float64(n) >= 10 {
		low--
	}
	for law(high+1)*float64(n) >= 10 {
		high++
	}
	inside, statistic := 0, 0.0
	mass := 0.0
	for v := low; v <= high; v++ {
		p := law(v)
		mass += p
		inside += counts[v]
		d := float64(counts[v]) - p*float64(n)
		statistic += d * d / (p * float64(n))
	}
	freedom := int(high - low) // cells - 1
	if rest := (1 - mass) * float64(n); rest >= 5 {
		d := float64(n-inside) - rest
		statistic += d * d / rest
		freedom++
	}
	if p := chiSquare(statistic, freedom); p < falseAlarm {
		tb.Errorf("chi-square %.1f with %d degrees of freedom: p = %.2g < %.0g", statistic, freedom, p, falseAlarm)
	}
}

// gaussianLaw returns the exact probabilities of the discrete Gaussian.
func gaussianLaw(variance float64) func(int64) float64 {
	norm := 0.0
	for y := -int64(40*math.Sqrt(variance) + 40); y <= int64(40*math.Sqrt(variance)+40); y++ {
		norm += math.Exp(-float64(y*y) / (2 * variance))
	}
	return func(y int64) float64 { return math.Exp(-float64(y*y)/(2*variance)) / norm }
}

// laplaceLaw returns the exact probabilities of the discrete Laplace.
func laplaceLaw(scale float64) func(int64) float64 {
	return func(y int64) float64 {
		return math.Tanh(1/(2*scale)) * math.Exp(-math.Abs(float64(y))/scale)
	}
}

// moment returns the sum of f over a law's support.
func moment(law func(int64) float64, reach int64, f func(float64) float64) float64 {
	sum := 0.0
	for y := -reach; y <= reach; y++ {
		sum += law(y) * f(float64(y))
	}
	return sum
}

// pilot is a small definition with a partition and a multi dimension, and a tree.
func pilot() *gateway.Definition {
	title := gateway.Text{EN: "title"}
	return &gateway.Definition{
		Lineage: "pilot", From: 8092, To: 8095, V: 50,
		Dimensions: []gateway.Dimension{
			{
				Name: "sex", Title: title, Kind: gateway.Partition, Levels: []string{"sex"},
				Nodes:  []gateway.Node{{Code: "F", Number: 1}, {Code: "M", Number: 2}},
				Source: gateway.Source{Kind: gateway.ChildConst, Column: "sex"},
			},
			{
				Name: "sector", Title: title, Kind: gateway.Multi, Levels: []string{"sector"},
				Nodes: []gateway.Node{
					{Code: "police", Number: 1}, {Code: "health", Number: 2}, {Code: "education", Number: 3}, {Code: "social", Number: 4},
				},
				Source: gateway.Source{Kind: gateway.EventSector},
			},
			{
				Name: "age", Title: title, Kind: gateway.Partition, Levels: []string{"wide", "band"},
				Nodes: []gateway.Node{
					{Code: "young"},
					{Code: "old"},
					{Code: "Y0T4", Parent: "young", Level: 1, Number: 1},
					{Code: "Y5T9", Parent: "young", Level: 1, Number: 2},
					{Code: "Y10T14", Parent: "old", Level: 1, Number: 3},
					{Code: "Y15T17", Parent: "old", Level: 1, Number: 4},
				},
				Source: gateway.Source{Kind: gateway.ChildFirst, Column: "age"},
			},
		},
		Cubes: []gateway.Cube{
			{ID: "main", Title: title, Grain: gateway.Children, Dimensions: []string{"sex", "sector", "age"}, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren}},
			{ID: "volume", Title: title, Grain: gateway.Events, Dimensions: []string{"sector"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords}},
		},
	}
}

// bound is a keyed function for tests: FNV-1a over length-prefixed parts, mixed.
func bound(label string, parts ...[]byte) uint64 {
	h := uint64(14695981039346656037)
	mix := func(b []byte) {
		for _, c := range binary.BigEndian.AppendUint32(nil, uint32(len(b))) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		for _, c := range b {
			h = (h ^ uint64(c)) * 1099511628211
		}
	}
	mix([]byte(label))
	for _, p := range parts {
		mix(p)
	}
	h ^= h >> 31
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// bySector are options for children by sector, where a child may be in several cells.
func bySector(terms Terms) *HistogramOptions {
	return &HistogramOptions{
		Definition: pilot(), Release: "pilot-1", Set: gateway.GroupingSet{{Name: "sector"}},
		Measure: gateway.CountChildren, Terms: terms, Bound: bound,
	}
}

func histogram(tb testing.TB, o *HistogramOptions) *Histogram {
	tb.Helper()
	h, err := NewHistogram(o)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func accountant(tb testing.TB, limit Cost) *Accountant {
	tb.Helper()
	a, err := NewAccountant(Budget{Lineage: "pilot", Limit: limit})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func rho(tb testing.TB, text string) Rho {
	tb.Helper()
	r, err := ParseRho(text)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
