package disclosure

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// What ptable refuses is refused here, with the reason (disclosure.md 2.3).
func TestSolveRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		i    int
		p    PTableParams
		says string
	}{
		{"D8 V6 js4 is feasible only at the bound", 2, PTableParams{D: 8, V: 5.9, JS: 4}, "raise V"},
		{"js9 needs 25", 5, PTableParams{D: 20, V: 24, JS: 9}, "raise V"},
		{"base 5 needs 6", 7, PTableParams{D: 14, V: 5, Base: 5}, "raise V"},
		{"nothing above within D", 3, PTableParams{D: 1, V: 9, JS: 4}, "raise D"},
		{"negative count", -1, PTableParams{D: 1, V: 1}, "not negative"},
		{"no D", 1, PTableParams{V: 1}, "at least 1"},
		{"no V", 1, PTableParams{D: 1}, "positive"},
		{"V not a number", 1, PTableParams{D: 1, V: math.NaN()}, "positive"},
		{"V infinite", 1, PTableParams{D: 1, V: math.Inf(1)}, "finite"},
		{"negative js", 1, PTableParams{D: 1, V: 1, JS: -1}, "negative"},
		{"stays always", 1, PTableParams{D: 1, V: 1, Stay: 1}, "stay"},
		{"stays too often for a mean of zero", 1, PTableParams{D: 3, V: 0.001, Stay: 0.5, JS: 2}, "raise V"},
	} {
		row, err := Solve(c.i, c.p)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (variance %.3f), want a refusal that says %q", c.name, err, row.Variance(), c.says)
		}
	}
	for _, p := range []PTableParams{{D: 8, V: 6, JS: 4, Mono: true, Stay: 0.5}, {D: 5, V: 3, JS: 3, Mono: true, Stay: 0.5}} {
		refused := false
		for i := range 2 * p.D {
			_, err := Solve(i, p)
			refused = refused || err != nil
		}
		if !refused {
			t.Errorf("D %d V %g js %d has a table here; ptable rejects it", p.D, p.V, p.JS)
		}
	}
}

// The least variance with counts 1..js kept out is i*(js+1-i): just above it a row
// exists, just below it is refused (disclosure.md 2.3: js 2: 2, js 4: 6, js 9: 25).
func TestFeasibilityIsSharp(t *testing.T) {
	for js, want := range map[int]float64{2: 2, 4: 6, 9: 25} {
		most := 0.0
		for i := 1; i <= js; i++ {
			most = max(most, float64(i*(js+1-i)))
		}
		if most != want {
			t.Fatalf("js %d: the formula gives %g, disclosure.md %g", js, most, want)
		}
		for i := 1; i <= js; i++ {
			least := float64(i * (js + 1 - i))
			if _, err := Solve(i, PTableParams{D: 3 * js, V: least * 1.001, JS: js}); err != nil {
				t.Errorf("js %d, i %d, V just above %g: %v", js, i, least, err)
			}
			if _, err := Solve(i, PTableParams{D: 3 * js, V: least * 0.999, JS: js}); err == nil {
				t.Errorf("js %d, i %d, V just below %g has a row", js, i, least)
			}
		}
	}
}

// A slack variance constraint is an answer: the two figures of disclosure.md 2.3.
func TestSlackVariance(t *testing.T) {
	for _, c := range []struct {
		p    PTableParams
		want float64
	}{
		{PTableParams{D: 2, V: 1, Mono: true}, 0.932},
		{PTableParams{D: 5, V: 2, Mono: true}, 1.302},
	} {
		row, err := Solve(1, c.p)
		if err != nil || math.Abs(row.Variance()-c.want) > 0.0005 {
			t.Errorf("D %d V %g: variance of row 1 is %.4f (%v), want %.3f", c.p.D, c.p.V, row.Variance(), err, c.want)
		}
	}
}

// Every row that Solve returns is a distribution over its support with mean zero
// and a variance within V, and no other one nearby has more entropy.
func TestSolveProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := PTableParams{
			D: rapid.IntRange(1, 15).Draw(rt, "D"), V: rapid.Float64Range(0.2, 40).Draw(rt, "V"),
			JS: rapid.IntRange(0, 3).Draw(rt, "JS"), Base: rapid.SampledFrom([]int{1, 1, 3, 5}).Draw(rt, "base"),
			Mono: rapid.Bool().Draw(rt, "mono"),
		}
		i := rapid.IntRange(0, 40).Draw(rt, "i")
		row, err := Solve(i, p)
		if err != nil {
			rt.Skip(err.Error())
		}
		sum := 0.0
		for a, q := range row.P {
			sum += q
			j := row.J[a]
			if q < 0 || j < 0 || j%max(1, p.Base) != 0 || j >= 1 && j <= p.JS || j > i+p.D || j < i-p.D {
				rt.Fatalf("p(%d → %d) = %g is outside the support", i, j, q)
			}
			if p.Mono && a > 0 && j <= i && row.P[a-1] > q*(1+1e-9) {
				rt.Fatalf("p falls from %d to %d", row.J[a-1], j)
			}
		}
		if math.Abs(sum-1) > 1e-9 || math.Abs(row.Mean()) > 1e-6 || row.Variance() > p.V+1e-6 {
			rt.Fatalf("sum %.10f, mean %.3g, variance %.6f of at most %.6f", sum, row.Mean(), row.Variance(), p.V)
		}
	})
}

// No distribution of the same mean and at most the same variance has more entropy:
// moving a little probability along any direction that keeps total and mean, and
// does not raise a binding variance, lowers it. Directions are made of three points
// for a slack variance and of four for a binding one.
func TestSolveIsTheMaximum(t *testing.T) {
	entropy := func(p []float64) float64 {
		h := 0.0
		for _, q := range p {
			if q > 0 {
				h -= q * math.Log(q)
			}
		}
		return h
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := PTableParams{
			D: rapid.IntRange(3, 14).Draw(rt, "D"), V: rapid.Float64Range(1, 30).Draw(rt, "V"),
			Base: rapid.SampledFrom([]int{1, 1, 5}).Draw(rt, "base"),
		}
		row, err := Solve(rapid.IntRange(4, 40).Draw(rt, "i"), p)
		if err != nil || len(row.P) < 4 {
			rt.Skip("no row, or one without freedom")
		}
		at := rapid.SampledFrom(combinations(len(row.P), 4)).Draw(rt, "points")
		v := make([]float64, 4)
		for k, a := range at {
			v[k] = float64(row.J[a] - row.I)
		}
		// The divided difference over four points is orthogonal to 1, v and v^2.
		move, size := append([]float64{}, row.P...), math.Inf(1)
		weight := make([]float64, 4)
		for k := range at {
			weight[k] = 1
			for o := range at {
				if o != k {
					weight[k] /= v[k] - v[o]
				}
			}
			size = min(size, row.P[at[k]]/math.Abs(weight[k]))
		}
		for _, sign := range []float64{1, -1} {
			copy(move, row.P)
			for k, a := range at {
				move[a] += sign * weight[k] * size * 0.01
			}
			if gain := entropy(move) - entropy(row.P); gain > 1e-9 {
				rt.Fatalf("moving %v at %v gains entropy %.3g", weight, at, gain)
			}
		}
	})
}

// combinations lists the increasing k-tuples below n.
func combinations(n, k int) [][]int {
	if k == 0 {
		return [][]int{nil}
	}
	var out [][]int
	for last := k - 1; last < n; last++ {
		for _, c := range combinations(last, k-1) {
			out = append(out, append(append([]int{}, c...), last))
		}
	}
	return out
}

// exact returns mean and variance of the integer form of a row, without floats:
// the probability of an entry is the difference of neighbouring cumulative values.
func exact(s steps) (mean, variance float64) {
	unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 64))
	m, v, last := new(big.Rat), new(big.Rat), new(big.Int)
	for a, cum := range s.cum {
		end := new(big.Int).SetUint64(cum)
		if a == len(s.cum)-1 {
			end.Lsh(big.NewInt(1), 64) // the last entry takes the one draw beyond too
		}
		p := new(big.Rat).SetInt(new(big.Int).Sub(end, last))
		p.Mul(p, unit)
		last = end
		d := new(big.Rat).SetInt64(s.v[a])
		m.Add(m, new(big.Rat).Mul(p, d))
		v.Add(v, new(big.Rat).Mul(p, new(big.Rat).Mul(d, d)))
	}
	mean, _ = m.Float64()
	variance, _ = v.Float64()
	return mean, variance
}

// Both layers are unbiased for every count, keep within their deviation and their
// half of V, and use all of it where zero is out of reach: by exact computation,
// for the default and for other V.
func TestLayersAreUnbiased(t *testing.T) {
	for _, v := range []float64{50, 64.5, 100, 200} {
		tables, err := NewPTables(v)
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range map[string]struct {
			layer
			most int
		}{"L1": {tables.l1, tables.D1}, "L2": {tables.l2, tables.D2}} {
			for n, row := range l.rows {
				mean, variance := exact(row)
				if math.Abs(mean) > 2e-7 || variance > v/2+1e-6 {
					t.Errorf("V %g %s row %d: mean %.2g, variance %.6f", v, name, n, mean, variance)
				}
				if n >= l.most && math.Abs(variance-v/2) > 1e-6 {
					t.Errorf("V %g %s row %d: variance %.6f, want all of %g", v, name, n, variance, v/2)
				}
				for _, d := range row.v {
					if d < int64(-l.most) || d > int64(l.most) || int64(n)+d < 0 {
						t.Errorf("V %g %s row %d moves by %d", v, name, n, d)
					}
				}
			}
		}
	}
}

// A look-up takes the first entry with u < cum, rows beyond the table repeat with
// the base, and the release layer always ends on a multiple of it.
func TestDraw(t *testing.T) {
	tables, err := NewPTables(50)
	if err != nil {
		t.Fatal(err)
	}
	row := tables.l1.rows[12] // of all counts from 12 on
	for a, cum := range row.cum {
		for _, u := range []uint64{cum - 1, cum, cum + 1} {
			want := a
			if a == len(row.cum)-1 {
				u = math.MaxUint64 // also this one draws the last
			} else if u >= cum {
				want = a + 1
			}
			if got := tables.l1.draw(13, u); got != row.v[want] {
				t.Errorf("u %d: %d, want %d", u, got, row.v[want])
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n, u := rapid.Int64Range(0, 1<<40).Draw(rt, "n"), rapid.Uint64().Draw(rt, "u")
		if j := n + tables.l2.draw(n, u); j < 0 || j%Base != 0 {
			rt.Fatalf("%d rounds to %d", n, j)
		}
		if n >= 20 && tables.l2.draw(n, u) != tables.l2.draw(20+n%5, u) {
			rt.Fatalf("%d is not drawn as %d", n, 20+n%5)
		}
		if n >= 13 && tables.l1.draw(n, u) != tables.l1.draw(13, u) {
			rt.Fatalf("%d is not drawn as 13", n)
		}
	})
}

// The digest names the tables: equal for equal V, and different for another V or
// a single probability.
func TestTablesDigest(t *testing.T) {
	a, _ := NewPTables(50)
	b, _ := NewPTables(50)
	c, _ := NewPTables(51)
	if a.Digest() != b.Digest() || a.Digest() == c.Digest() || len(a.Digest()) != 64 {
		t.Errorf("digests %s, %s, %s", a.Digest(), b.Digest(), c.Digest())
	}
	b.l2.rows[3].cum[0]++
	if a.Digest() == b.Digest() {
		t.Error("a changed probability does not change the digest")
	}
	for _, v := range []float64{0, -1, 11, math.NaN(), math.Inf(1), 1e7} {
		if _, err := NewPTables(v); err == nil {
			t.Errorf("V %g has tables", v)
		}
	}
}

// The vector of the key derivation, to the bit, from the PRF to the published
// value (disclosure.md 2.2).
func TestKeyVector(t *testing.T) {
	data, err := os.ReadFile("testdata/91_key_derivation_vector_derived.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		KeyHex  string   `json:"key_hex"`
		Lineage string   `json:"lineage"`
		Label   string   `json:"label"`
		Release string   `json:"release"`
		U1      string   `json:"u1_uint64"`
		U2      string   `json:"u2_uint64"`
		K       string   `json:"k_uint64"`
		RK      []string `json:"rk_uint64"`
		CK      string   `json:"ck_sum_mod_2_64"`
		R       int64    `json:"minority_r"`
		E       string   `json:"e_uint64"`
		T1      int      `json:"threshold_from_k"`
		T2      int      `json:"threshold_from_e"`
		N       int64    `json:"n"`
		V1      int64    `json:"v1"`
		N1      int64    `json:"n1"`
		V2      int64    `json:"v2"`
		J       int64    `json:"published"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	key, _ := new(big.Int).SetString(v.KeyHex, 16)
	raw := make([]byte, 32)
	key.FillBytes(raw)
	k := &keyed{prf: prf(raw), lineage: []byte(v.Lineage), release: []byte(v.Release)}
	ck := uint64(0)
	for _, rk := range v.RK {
		x, _ := strconv.ParseUint(rk, 10, 64)
		ck += x
	}
	u1, u2 := k.permanent([]byte(v.Label)), k.fresh(gateway.CountChildren, []byte(v.Label))
	for name, c := range map[string]struct {
		got  uint64
		want string
	}{
		"u1": {u1, v.U1}, "u2": {u2, v.U2}, "k": {k.threshold([]byte(v.Label)), v.K},
		"ck": {ck, v.CK}, "e": {k.edge(v.R, ck), v.E},
	} {
		if strconv.FormatUint(c.got, 10) != c.want {
			t.Errorf("%s = %d, want %s", name, c.got, c.want)
		}
	}
	l, err := newLaw(lawful())
	if err != nil {
		t.Fatal(err)
	}
	if got := l.threshold(k.threshold([]byte(v.Label))); got != v.T1 {
		t.Errorf("T = %d, want %d", got, v.T1)
	}
	if got := l.threshold(k.edge(v.R, ck)); got != v.T2 {
		t.Errorf("T' = %d, want %d", got, v.T2)
	}
	tables, err := NewPTables(50)
	if err != nil {
		t.Fatal(err)
	}
	v1 := tables.l1.draw(v.N, u1)
	v2 := tables.l2.draw(v.N+v1, u2)
	if v1 != v.V1 || v.N+v1 != v.N1 || v2 != v.V2 || v.N1+v2 != v.J {
		t.Errorf("v1 %d, v2 %d, published %d", v1, v2, v.N+v1+v2)
	}
	other := newKeyed(prf(raw), v.Lineage, 2)
	if other.permanent([]byte(v.Label)) != u1 {
		t.Error("the permanent draw depends on the release")
	}
	if other.fresh(gateway.CountChildren, []byte(v.Label)) == u2 || k.fresh(gateway.CountRecords, []byte(v.Label)) == u2 {
		t.Error("the release draw does not depend on release and measure")
	}
}

// The law of thresholds has the chances that the rules say, and its floors hold.
func TestLaw(t *testing.T) {
	l, err := newLaw(lawful())
	if err != nil {
		t.Fatal(err)
	}
	if l.from != 10 || l.most() != 19 {
		t.Fatalf("the law runs from %d to %d", l.from, l.most())
	}
	for i, want := range []float64{.15, .25, .35, .45, .55, .65, .75, .85, .95, 1} {
		if got := math.Ldexp(float64(l.cum[i]), -64); math.Abs(got-want) > 1e-12 {
			t.Errorf("chance of at most %d: %.15f, want %g", 10+i, got, want)
		}
	}
	draws := 0
	draw := func() uint64 { draws++; return math.MaxUint64 }
	if !l.small(9, draw) || l.small(19, draw) || draws != 0 {
		t.Error("a threshold is drawn where none can decide")
	}
	if !l.small(18, draw) || l.small(18, func() uint64 { return 0 }) {
		t.Error("18 children are not judged by the draw")
	}
	for name, spoil := range map[string]func(*gateway.ReleaseRules){
		"starts at 9":    func(r *gateway.ReleaseRules) { r.ThresholdMin = 9 },
		"one number":     func(r *gateway.ReleaseRules) { r.Threshold = []float64{1} },
		"guessable":      func(r *gateway.ReleaseRules) { r.Threshold = []float64{.3, .1, .1, .1, .1, .1, .1, .1} },
		"sums to less":   func(r *gateway.ReleaseRules) { r.Threshold[9] = .01 },
		"sums to more":   func(r *gateway.ReleaseRules) { r.Threshold[9] = .1 },
		"no chance":      func(r *gateway.ReleaseRules) { r.Threshold[3], r.Threshold[4] = 0, .2 },
		"negative":       func(r *gateway.ReleaseRules) { r.Threshold[3] = -.1 },
		"not a number":   func(r *gateway.ReleaseRules) { r.Threshold[3] = math.NaN() },
		"no probability": func(r *gateway.ReleaseRules) { r.Threshold = nil },
	} {
		r := lawful()
		spoil(&r)
		if _, err := newLaw(r); err == nil {
			t.Errorf("a law that %s is accepted", name)
		}
	}
}
