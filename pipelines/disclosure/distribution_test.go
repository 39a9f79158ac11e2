package disclosure

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// chiSquare is the statistic of observed counts against probabilities, and its
// degrees of freedom, with classes of an expectation below five put together.
func chiSquare(seen []int, p []float64, n int) (x float64, free int) {
	restSeen, restP := 0, 0.0
	for i, q := range p {
		if q*float64(n) < 5 {
			restSeen, restP = restSeen+seen[i], restP+q
			continue
		}
		d := float64(seen[i]) - q*float64(n)
		x += d * d / (q * float64(n))
		free++
	}
	if want := restP * float64(n); want >= 5 {
		x += (float64(restSeen) - want) * (float64(restSeen) - want) / want
		free++
	}
	return x, free - 1
}

// bound is a value that chi-square with these degrees of freedom exceeds with a
// chance of about 1e-6 (Wilson and Hilferty's cube).
func bound(free int) float64 {
	f := float64(free)
	c := 1 - 2/(9*f) + 4.75*math.Sqrt(2/(9*f))
	return f * c * c * c
}

// Over labels the draws follow the rows: PRF, look-up and table together. Each of
// the cases fails falsely with a chance of about 1e-6.
func TestDrawsFollowTheRows(t *testing.T) {
	tables := tablesOf(t, 50)
	k := newKeyed(prf(testKey(5)), "demo", 1)
	const labels = 20_000
	for _, c := range []struct {
		name string
		l    *layer
		n    int64
		u    func(label []byte) uint64
	}{
		{"permanent, n = 12", &tables.l1, 12, k.permanent},
		{"permanent, n = 4", &tables.l1, 4, k.permanent},
		{"permanent, n = 10,000", &tables.l1, 10_000, k.permanent},
		{"release, n1 = 17", &tables.l2, 17, func(l []byte) uint64 { return k.fresh(gateway.CountChildren, l) }},
		{"release, n1 = 10,003", &tables.l2, 10_003, func(l []byte) uint64 { return k.fresh(gateway.CountRecords, l) }},
	} {
		row := c.l.rows[min(c.n, int64(len(c.l.rows)-c.l.period)+(c.n-int64(len(c.l.rows)-c.l.period))%int64(c.l.period))]
		seen := make([]int, len(row.v))
		for i := range labels {
			v := c.l.draw(c.n, c.u(fmt.Appendf(nil, "region=%d", i)))
			seen[slices.Index(row.v, v)]++
		}
		p, last := make([]float64, len(row.v)), 0.0
		for a, cum := range row.cum {
			at := math.Ldexp(float64(cum), -64)
			p[a], last = at-last, at
		}
		if x, free := chiSquare(seen, p, labels); x > bound(free) {
			t.Errorf("%s: chi-square %.1f with %d degrees of freedom", c.name, x, free)
		}
	}
}

// Over labels the secret thresholds follow the law, for both rules, and the draws
// of flattening are even. Each fails falsely with a chance of about 1e-6.
func TestThresholdsFollowTheLaw(t *testing.T) {
	l, err := newLaw(lawful())
	if err != nil {
		t.Fatal(err)
	}
	k := newKeyed(prf(testKey(6)), "demo", 1)
	const labels = 20_000
	rule1, rule4, outliers := make([]int, 10), make([]int, 10), make([]int, 4)
	for i := range labels {
		label := fmt.Appendf(nil, "region=%d", i)
		rule1[l.threshold(k.threshold(label))-10]++
		rule4[l.threshold(k.edge(12, subjectKey(i)))-10]++
		o, top := k.outliers(label)
		outliers[(o-1)*2+top-3]++
	}
	for name, c := range map[string]struct {
		seen []int
		p    []float64
	}{
		"rule 1": {rule1, lawful().Threshold}, "rule 4": {rule4, lawful().Threshold}, "flattening": {outliers, []float64{.25, .25, .25, .25}},
	} {
		if x, free := chiSquare(c.seen, c.p, labels); x > bound(free) {
			t.Errorf("%s: chi-square %.1f with %d degrees of freedom: %v", name, x, free, c.seen)
		}
	}
}

// The five draws of one label are not one draw: the fraction of labels whose
// thresholds, layers and outliers agree in the top bit is a half for each pair.
// With 20,000 labels it is within 0.02 but for a chance of 1e-7.
func TestDrawsAreIndependent(t *testing.T) {
	t.Parallel()
	k := newKeyed(prf(testKey(7)), "demo", 1)
	other := newKeyed(prf(testKey(7)), "demo", 2)
	draws := map[string]func([]byte) uint64{
		"L1": k.permanent, "K": k.threshold,
		"L2 children":   func(l []byte) uint64 { return k.fresh(gateway.CountChildren, l) },
		"L2 records":    func(l []byte) uint64 { return k.fresh(gateway.CountRecords, l) },
		"L2 of another": func(l []byte) uint64 { return other.fresh(gateway.CountChildren, l) },
		"O":             func(l []byte) uint64 { return k.prf("sdc/v2/O", k.lineage, l) },
	}
	const labels = 20_000
	for a, f := range draws {
		for b, g := range draws {
			agree := 0
			for i := range labels {
				label := fmt.Appendf(nil, "region=%d", i)
				if f(label)>>63 == g(label)>>63 {
					agree++
				}
			}
			if share := float64(agree) / labels; a == b && share != 1 || a != b && !near(share, .5, .02) {
				t.Errorf("%s and %s agree with a share of %.3f", a, b, share)
			}
		}
	}
}

// expected is the exact mean of f over both layers for a count.
func expected(t *PTables, n int64, f func(j int64) float64) float64 {
	sum := 0.0
	for _, one := range t.l1.outcomes(n) {
		for _, two := range t.l2.outcomes(n + one.v) {
			sum += one.p * two.p * f(n+one.v+two.v)
		}
	}
	return sum
}

type outcome struct {
	v int64
	p float64
}

// outcomes lists what a count can become, with probabilities.
func (l *layer) outcomes(n int64) []outcome {
	last := int64(len(l.rows) - l.period)
	if n >= last {
		n = last + (n-last)%int64(l.period)
	}
	var out []outcome
	before := 0.0
	for a, cum := range l.rows[n].cum {
		at := math.Ldexp(float64(cum), -64)
		out = append(out, outcome{l.rows[n].v[a], at - before})
		before = at
	}
	return out
}

// Both layers together are unbiased with variance V, exactly, for every count that
// can be shown and is out of reach of zero; nearer to it the variance is smaller.
func TestTwoLayersTogether(t *testing.T) {
	for _, v := range []float64{50, 100} {
		tables := tablesOf(t, v)
		for n := int64(10); n < 120; n++ {
			mean := expected(tables, n, func(j int64) float64 { return float64(j - n) })
			variance := expected(tables, n, func(j int64) float64 { return float64((j - n) * (j - n)) })
			if math.Abs(mean) > 1e-6 || variance > v+1e-5 || n > int64(tables.D1+tables.D2) && !near(variance, v, 1e-5) {
				t.Errorf("V %g, n %d: mean deviation %.2g, variance %.4f", v, n, mean, variance)
			}
		}
	}
}

// The bottom code biases cells of 10 to 19 upward, by at most k/2, and larger ones
// next to nothing: what the note beside every table says.
func TestBottomCodeBias(t *testing.T) {
	tables := tablesOf(t, 50)
	worst, beyond := 0.0, 0.0
	for n := int64(10); n < 60; n++ {
		bias := expected(tables, n, func(j int64) float64 { return float64(max(j, 10) - n) })
		if bias < -1e-6 || bias > 5 {
			t.Errorf("n %d: bias %.2f", n, bias)
		}
		if n < 20 {
			worst = max(worst, bias)
		} else {
			beyond = max(beyond, bias)
		}
	}
	t.Logf("largest bias %.2f for 10 to 19, %.2f from 20 on", worst, beyond)
	if worst < 1 || beyond > worst/2 {
		t.Errorf("largest bias %.2f for 10 to 19, %.2f from 20 on", worst, beyond)
	}
}

// The variance of a record count is what its note says, V/2 (1 + (records/children)^2),
// where contributions are even. With 3,000 keys the sample is within 15 % but for a
// chance of 1e-6.
func TestRecordsVariance(t *testing.T) {
	tables := tablesOf(t, 50)
	for _, r := range []uint32{1, 2, 5} {
		cell := tally{children: 900, records: 900 * int64(r), top: [MaxTop]uint32{r, r, r, r, r, r}}
		var values []float64
		for key := range 3000 {
			k := newKeyed(prf(testKey(key)), "demo", 1)
			label := []byte("region=61")
			n1 := cell.flatten(1, 3, tables.l1.draw(cell.children, k.permanent(label)))
			values = append(values, float64(n1+tables.l2.draw(n1, k.fresh(gateway.CountRecords, label))))
		}
		mean, sd := meanAndSD(values)
		want := 25 * (1 + float64(r*r))
		if !near(sd*sd, want, 0.15*want) || !near(mean, float64(cell.records), 5*math.Sqrt(want/3000)) {
			t.Errorf("%d records a child: mean %.1f of %d, variance %.1f, want %.1f", r, mean, cell.records, sd*sd, want)
		}
	}
}

// OpenDiffix's own example of flattening: eight subjects and two more rows, one
// outlier and a top group of one make 32 rows 30 and a noise of 30/9 a unit.
func TestDiffixFlattening(t *testing.T) {
	data, err := os.ReadFile("testdata/18_diffix.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Flattened struct {
			Rows  map[string]int64 `json:"rows_per_aid"`
			Extra []struct {
				AID  *int  `json:"aid"`
				Rows int64 `json:"rows"`
			} `json:"extra"`
			Want int64 `json:"expected_count_star"`
		} `json:"flattened_count"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	rows := v.Flattened.Rows
	for _, extra := range v.Flattened.Extra {
		if extra.AID != nil { // a row without a subject is not in a cell that shows children
			rows[fmt.Sprint(*extra.AID)] += extra.Rows
		}
	}
	var rs []int64
	for _, r := range rows {
		rs = append(rs, r)
	}
	slices.Sort(rs)
	slices.Reverse(rs)
	if got := tallyOf(rs).flatten(1, 1, 0); got != v.Flattened.Want {
		t.Errorf("flattened to %d, OpenDiffix has %d", got, v.Flattened.Want)
	}
	if got := tallyOf(rs).flatten(1, 1, 9); got != 2*v.Flattened.Want {
		t.Errorf("nine units of noise make %d, want 9 * 30/9 more", got)
	}
}

// The difference of two releases of the same cell carries twice the second half of
// V, which is why it is a half: 2 V2 = V. With 2,000 keys within 15 % but for 1e-5.
func TestReleaseDifference(t *testing.T) {
	p := oneWay(t, 500, 700)
	var differences []float64
	for key := range 2000 {
		p.rerun(t, key, 1)
		one := p.published("a@a", 0)
		p.rerun(t, key, 2)
		differences = append(differences, p.published("a@a", 0)-one)
	}
	if mean, sd := meanAndSD(differences); !near(sd*sd, 50, 7.5) || !near(mean, 0, 0.8) {
		t.Errorf("difference of releases: mean %.2f, variance %.1f, want 0 and 50", mean, sd*sd)
	}
}
