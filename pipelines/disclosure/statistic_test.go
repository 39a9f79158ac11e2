package disclosure

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// withPairs is valued with the overlap of its sectors.
func withPairs() *gateway.Definition {
	d := valued()
	d.Dimensions = append(d.Dimensions, flat("pair", gateway.Multi, gateway.SectorPair, "justice+police"),
		flat("seen_by", gateway.Multi, gateway.EventSector, "police", "justice"))
	d.Cubes = append(d.Cubes, cube("overlap", gateway.Children, 2, "pair", "seen_by", "region"))
	d.Cubes[1].Apart = [][]string{{"pair", "seen_by"}}
	for _, sector := range []string{"police", "justice"} {
		d.Implied = append(d.Implied, gateway.Implication{
			If: gateway.Fact{Dimension: "pair", Node: "justice+police"}, Then: gateway.Fact{Dimension: "seen_by", Node: sector},
		})
	}
	return d
}

// handmade is a release of any published cells: no population is behind them.
func handmade(tb testing.TB, d *gateway.Definition) *Published {
	tb.Helper()
	l, err := newLattice(d)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Published{l: l, head: header{
		Release: "test-1", Number: 1, Lineage: "test", Rules: lawful(), Definition: *l.def, Tables: tablesOf(tb, d.V).bytes(),
	}, closed: make([]bool, len(l.sets))}
	for _, s := range l.sets {
		p.cells = append(p.cells, blank(s))
	}
	if err := p.seal(); err != nil {
		tb.Fatal(err)
	}
	return p
}

// blank are the cells of a set, all hidden.
func blank(s *set) published {
	c := published{status: make([]status, s.cells), values: map[gateway.Measure][]int64{}, sums: newSums(s)}
	for _, m := range s.Measures {
		c.values[m] = make([]int64, s.cells)
	}
	return c
}

// put shows a count.
func (p *Published) put(label string, n int64) {
	s, c, ok := p.l.find(label)
	if !ok {
		panic(label)
	}
	p.cells[s.index].status[c], p.cells[s.index].values[gateway.CountChildren][c] = statusValue, n
}

// putSum shows a sum.
func (p *Published) putSum(label, value string, sum int64) {
	s, c, _ := p.l.find(label)
	v := s.carries(gateway.SumOf(value))
	p.cells[s.index].sums[v].shown[c], p.cells[s.index].sums[v].values[c] = true, sum
}

// one asks for the one cell of a filter.
func one(tb testing.TB, p *Published, id, m string, filter ...string) gateway.Cell {
	tb.Helper()
	q := gateway.Question{Cube: id, Measure: gateway.Measure(m), Filter: map[string]string{}}
	for _, f := range filter {
		name, code, _ := strings.Cut(f, "=")
		q.Filter[name] = code
	}
	table := ask(tb, p, q)
	if len(table.Cells) != 1 {
		tb.Fatalf("%d cells", len(table.Cells))
	}
	return table.Cells[0]
}

func said(c gateway.Cell) string {
	switch {
	case c.Status != gateway.StatusValue:
		return string(c.Status)
	case c.Value != nil:
		return fmt.Sprint(*c.Value)
	}
	return c.Estimate.String() + " ± " + c.SD.String()
}

// Statistics worked out by hand, from published cells that no population made.
func TestStatisticsByHand(t *testing.T) {
	p := handmade(t, withPairs())
	p.put("sector=justice", 100)
	p.putSum("sector=justice", "days", 800)
	p.putSum("sector=justice", "hearings", 150)
	p.put("sector=justice|sex=F", 25)
	p.putSum("sector=justice|sex=F", "hearings", -50)
	p.put("sector=justice|sex=M", 24) // not a published value, but j < 25
	p.putSum("sector=justice|sex=M", "hearings", 50)
	p.put("", 400)
	p.put("region=north", 200)
	p.put("sex=F", 100)
	p.put("region=east|sex=F", 95)
	for i, n := range []int64{20, 80, 200, 100} {
		p.put("age="+demoAges[i], n)
	}
	for i, n := range []int64{10, 10, 30, 45} {
		p.put("age="+demoAges[i]+"|region=east|sex=F", n)
	}
	p.put("seen_by=police", 300)
	p.put("seen_by=justice", 100)
	p.put("pair=justice+police", 50)
	p.put("pair=justice+police|region=north", 20)
	p.put("region=north|seen_by=police", 90)
	for _, c := range []struct {
		m      string
		filter []string
		want   string
	}{
		// sd^2 = (60^2*80 + (60^2+200^2)/12 + 8^2*80)/100^2 = 29.675 + 5^2/12 of rounding to 2, since 5.45/3 = 1.8
		{"days.mean", []string{"sector=justice"}, "8 ± 5.5"},
		{"days.sum", []string{"sector=justice"}, "800"},
		// (10^2*80 + (10^2+50^2)/12 + 1.5^2*80)/100^2 = 0.840: unit 0.5
		{"hearings.mean", []string{"sector=justice"}, "1.5 ± 0.93"},
		{"hearings.mean", []string{"sector=justice", "sex=F"}, "2 ± 3.8"}, // -2, but no child has less than 1, in units of 2
		{"hearings.mean", []string{"sector=justice", "sex=M"}, "suppressed"},
		{"hearings.sum", []string{"sector=justice", "sex=M"}, "50"},
		{"hearings.mean", []string{"sector=police"}, "impossible"},
		{"hearings.sum", []string{"sector=police"}, "impossible"},
		{"days.mean", []string{"sector=justice", "sex=F"}, "suppressed"}, // the sum is hidden
		{"hearings.mean", []string{"sector=justice", "region=far"}, "suppressed"},
		// half of 400 is 200: 20 and 80 below, 100 of the next 200: the middle of 10 to 15;
		// sd^2 = 80 (5/200)^2 (2/4 + 1/4 + 0), and 2.5^2/12 of rounding
		{"age.median", nil, "12.5 ± 0.75"},
		{"age.p25", nil, "10.0 ± 0.96"},
		{"age.p75", nil, "15.0 ± 0.75"},
		{"age.p5", nil, "suppressed"}, // 400*0.05 is 20
		{"age.p95", nil, "suppressed"},
		{"age.median", []string{"region=east", "sex=F"}, "15.0 ± 1.7"},
		{"age.p25", []string{"region=east", "sex=F"}, "suppressed"},
		{"age.median", []string{"region=north"}, "suppressed"}, // its bands are hidden
		// sqrt(80 (1+0.25))/400 = 0.025, and 0.01/sqrt(12)
		{"region.share", []string{"region=north"}, "0.50 ± 0.026"},
		{"region.share", []string{"region=far"}, "suppressed"},
		{"region.share", []string{"region=east", "sex=F"}, "0.95 ± 0.13"},
		{"sex.share", []string{"region=east", "sex=F"}, "suppressed"}, // the parent is hidden
		{"pair.share", []string{"pair=justice+police"}, "0.13 ± 0.023"},
		// 50/(300+100-50) with sd^2 = 80 ((1+1/7)^2 + 2/49)/350^2
		{"pair.jaccard", []string{"pair=justice+police"}, "0.14 ± 0.030"},
		{"pair.jaccard", []string{"pair=justice+police", "region=north"}, "suppressed"},
		{"pair.jaccard", []string{"pair=justice+police", "region=east"}, "suppressed"},
	} {
		id := "volume"
		if strings.HasPrefix(c.m, "pair") {
			id = "overlap"
		}
		if got := said(one(t, p, id, c.m, c.filter...)); got != c.want {
			t.Errorf("%s of %v: %s, want %s", c.m, c.filter, got, c.want)
		}
	}
}

// A question that lacks what its statistic is about, or asks for what there never
// is, is refused with a reason that names what to do and depends on names alone.
func TestStatisticsRefused(t *testing.T) {
	p := handmade(t, withPairs())
	for _, c := range []struct{ cube, m, by, says string }{
		{"volume", "hearings.sum", "", "filter or group by that sector"},
		{"volume", "hearings.mean", "region", "filter or group by that sector"},
		{"volume", "hearings.min", "sector", "never a smallest"},
		{"volume", "hearings.max", "sector", "never a smallest"},
		{"volume", "hearings.mode", "sector", "never a smallest"},
		{"volume", "hearings.median", "sector", "never a smallest"},
		{"volume", "hearings.variance", "sector", "never a smallest"},
		{"volume", "hearings", "sector", "never a smallest"},
		{"volume", "age.median", "age", "do not filter or group by it"},
		{"volume", "age.p50", "", "does not measure that"},
		{"volume", "age.p0", "", "does not measure that"},
		{"volume", "age.p100", "", "does not measure that"},
		{"volume", "age.p05", "", "does not measure that"},
		{"volume", "age.p5.5", "", "does not measure that"},
		{"volume", "age.mode", "", "does not measure that"},
		{"volume", "sex.median", "", "does not measure that"},
		{"volume", "age.jaccard", "age", "does not measure that"},
		{"volume", "records", "", "hearings.mean"},
		{"volume", "moon.share", "", "does not measure that"},
		{"volume", "pair.share", "", "does not measure that"},
		{"volume", "sex.share", "region", "filter or group by it"},
		{"overlap", "pair.jaccard", "region", "filter or group by it"},
		{"overlap", "hearings.sum", "seen_by", "does not measure that"},
		{"volume", "age.median", "region sex sector", "at most 3 dimensions"},
	} {
		_, err := p.Ask(gateway.Question{Cube: c.cube, Measure: gateway.Measure(c.m), GroupBy: strings.Fields(c.by)})
		if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s by %q: %v, want %q", c.m, c.by, err, c.says)
		}
	}
}

// statistics are all statistics of the courts, grouped in every way.
func statistics(p *Published) []gateway.Question {
	var all []gateway.Question
	for _, s := range p.l.sets {
		for _, id := range s.Cubes {
			c := p.l.def.Cube(id)
			for _, m := range p.Measures(c) {
				q := gateway.Question{Cube: id, Measure: m}
				for _, sd := range s.Set {
					q.GroupBy = append(q.GroupBy, p.l.spell(sd))
				}
				if _, err := p.Ask(q); err == nil {
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// Everything but counts and sums is a function of the published bytes (2.11 line 2):
// whoever has the bytes, and neither counts nor key, gets the same answers; and two
// populations that came out as the same bytes have the same statistics.
func TestStatisticsAreOfPublishedBytesOnly(t *testing.T) {
	p := protectedCourt(t)
	again, err := Decode(bytes.NewReader(encoded(t, p)))
	if err != nil {
		t.Fatal(err)
	}
	all := statistics(p)
	values := map[gateway.Measure]int{}
	for _, q := range all {
		a, b := ask(t, p, q), ask(t, again, q)
		if bytesOf(t, a) != bytesOf(t, b) {
			t.Fatalf("%+v: another answer from the bytes alone", q)
		}
		for _, c := range a.Cells {
			if c.Status == gateway.StatusValue {
				values[q.Measure]++
			}
		}
	}
	for _, m := range []gateway.Measure{"days.sum", "days.mean", "hearings.sum", "hearings.mean", "age.median", "age.p25", "age.share", "sex.share", "region.share", "sector.share"} {
		if values[m] == 0 {
			t.Errorf("%s was never shown: the test says nothing", m)
		}
	}
	// Another population: one more child with other numbers where nothing visible
	// changes. Keys are searched until the bytes agree.
	for key := range 4000 {
		var ps []*Published
		for _, n := range []int{60, 61} {
			ps = append(ps, twoCells(t, n, 100+n%2*7, key))
		}
		if !bytes.Equal(encoded(t, ps[0]), encoded(t, ps[1])) {
			continue
		}
		for _, q := range statistics(ps[0]) {
			if diff := cmp.Diff(ask(t, ps[0], q), ask(t, ps[1], q)); diff != "" {
				t.Fatalf("%+v: %s", q, diff)
			}
		}
		return
	}
	t.Error("no key gives both populations the same bytes: the test says nothing")
}

// twoCells is a release of two sectors, the court's with n children and a sum.
func twoCells(tb testing.TB, n, sum, key int) *Published {
	tb.Helper()
	d := definition([]gateway.Dimension{flat("sector", gateway.Multi, gateway.EventSector, "justice", "police")}, cube("one", gateway.Events, 1, "sector"))
	d.Values = []gateway.Value{{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 10, Precision: 100}}
	d.Cubes[0].Values = []string{"v"}
	raw := NewRaw(d)
	g := gateway.GroupingSet{{Name: "sector"}}
	for _, err := range []error{
		raw.Add(total, nil, Count{Children: 300, Key: 1}), raw.Add(g, []string{"justice"}, Count{Children: uint64(n), Key: 2}),
		raw.Add(g, []string{"police"}, Count{Children: 250, Key: 3}),
		raw.AddSum(g, []string{"justice"}, "v", Sum{Children: uint64(n), Sum: uint64(sum), Top: [2]uint64{9, 9}}),
	} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	rel := release(d, 1, key)
	p, err := newProtector(borrowed(tb, raw), rel)
	if err != nil {
		tb.Fatal(err)
	}
	p.tables = tablesOf(tb, d.V)
	for _, s := range p.l.sets {
		if err := p.protect(s); err != nil {
			tb.Fatal(err)
		}
	}
	if err := p.protectSums(); err != nil {
		tb.Fatal(err)
	}
	out, err := p.publish(rel)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func borrowed(tb testing.TB, raw *Raw) *counted {
	tb.Helper()
	c, err := raw.borrow()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// The Handbook's attack (5.7): an exact mean beside counts with noise of at most D
// leaves one pair of count and sum. With means made of published numbers every count
// that the published one allows is left: the mean adds nothing to it.
func TestHandbookMeanAttack(t *testing.T) {
	// The attack works on what it is against: the mean of 8 children to two digits
	// beside a count of 7 with D = 2, as the Handbook has it.
	exact := 0
	for n := int64(5); n <= 9; n++ {
		if s := math.Round(2.625 * float64(n)); math.Abs(s/float64(n)-2.625) < 0.0005 {
			exact++
		}
	}
	if exact != 1 {
		t.Fatalf("the attack leaves %d counts of an exact mean; it is broken", exact)
	}
	tables := tablesOf(t, 50)
	for key := range 20 {
		p := twoCells(t, 60, 150, key)
		j, mean := one(t, p, "one", "children", "sector=justice"), one(t, p, "one", "v.mean", "sector=justice")
		if j.Value == nil || mean.Estimate == nil {
			continue
		}
		low, high := *j.Value-int64(tables.D1+tables.D2), *j.Value+int64(tables.D1+tables.D2)
		noise := float64(2*tables.D1*10 + 5 + 50)
		m := mean.Estimate.Float()
		for n := max(10, low); n <= high; n++ {
			// S' is the mean times j, to within the rounding of the mean; S is S' to within
			// the noise. Is some sum of n numbers from 0 to 10 among them?
			slack := noise + 2*float64(*j.Value)*mean.SD.Float()
			if m*float64(*j.Value)-slack > float64(10*n) || m*float64(*j.Value)+slack < 0 {
				t.Errorf("key %d: the mean %s beside %d rules out %d children", key, mean.Estimate, *j.Value, n)
			}
		}
	}
}

// Order of adding does not matter: the same counts in any order give the same bytes.
func TestSumsInAnyOrder(t *testing.T) {
	w := court()
	want := protectedCourt(t).Digest()
	raw := fill(t, w.def, w.counts())
	type sum struct {
		set   gateway.GroupingSet
		label string
		id    string
	}
	var all []sum
	for _, a := range w.def.AdmittedSets() {
		for _, id := range a.Values {
			for label := range w.own(a.Set, w.def.Value(id)) {
				all = append(all, sum{a.Set, label, id})
			}
		}
	}
	slices.SortFunc(all, func(a, b sum) int { return strings.Compare(a.id+a.label, b.id+b.label) })
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, s := range all {
		if err := raw.AddSum(s.set, codesOf(s.label), s.id, sumOf(w.own(s.set, w.def.Value(s.id))[s.label])); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Protect(raw, release(w.def, 1, 1))
	if err != nil || p.Digest() != want {
		t.Errorf("another order gives other bytes (%v)", err)
	}
	if len(p.Summary().Sums) != 2 || p.Summary().Sums[0].Cells == 0 || p.Summary().Sums[0].Name != "days.sum" {
		t.Errorf("summary of sums: %+v", p.Summary().Sums)
	}
}

// What is read back is what was written, sums too; every byte of them matters; and
// no other spelling is read.
func TestSumsAreReadBack(t *testing.T) {
	p := protectedCourt(t)
	b := encoded(t, p)
	again, err := Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	each(p.l, func(_ *set, _ int, _ []int, label string) {
		for _, m := range []gateway.Measure{"days.sum", "hearings.sum"} {
			s1, v1, ok1 := p.Cell(label, m)
			s2, v2, ok2 := again.Cell(label, m)
			if s1 != s2 || v1 != v2 || ok1 != ok2 || ok1 != strings.Contains(label, "sector=") {
				t.Fatalf("%s of %s: %s %d %v became %s %d %v", m, label, s1, v1, ok1, s2, v2, ok2)
			}
		}
	})
	small := encoded(t, twoCells(t, 60, 150, 1))
	first, err := Decode(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	for i := len(small) - 12; i < len(small); i++ {
		for bit := range 8 {
			small[i] ^= 1 << bit
			if q, err := Decode(bytes.NewReader(small)); err == nil && q.Digest() == first.Digest() {
				t.Errorf("bit %d of byte %d does not matter", bit, i)
			} else if err == nil && !bytes.Equal(encoded(t, q), small) {
				t.Errorf("bit %d of byte %d: two encodings", bit, i)
			}
			small[i] ^= 1 << bit
		}
		if _, err := Decode(bytes.NewReader(small[:i])); err == nil {
			t.Errorf("%d bytes are a release", i)
		}
	}
}

// FuzzDecodeSums is FuzzDecode for releases with values: what is accepted is
// written back to the byte, and every statistic of it can be asked.
func FuzzDecodeSums(f *testing.F) {
	b := encoded(f, twoCells(f, 60, 150, 1))
	f.Add(b)
	f.Add(encoded(f, twoCells(f, 12, 20, 3)))
	f.Add(bytes.Replace(b, []byte(`"max":10`), []byte(`"max":90`), 1))
	f.Add(bytes.Replace(b, []byte(`"precision":100`), []byte(`"precision":999`), 1))
	f.Add(bytes.Replace(b, []byte(`"sector":"justice"`), []byte(`"sector":"police"`), 1))
	f.Add(append(bytes.Clone(b[:len(b)-2]), 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, gateway.Internal) {
				t.Fatalf("%v is not Internal", err)
			}
			return
		}
		if !bytes.Equal(encoded(t, p), data) {
			t.Fatal("two encodings of one release")
		}
		for _, q := range statistics(p) {
			for _, c := range ask(t, p, q).Cells {
				if (c.Status == gateway.StatusValue) != (c.Value != nil || c.Estimate != nil) || (c.Estimate == nil) != (c.SD == nil) {
					t.Fatalf("%+v: %+v", q, c)
				}
			}
		}
	})
}

// Estimates are rounded to 1, 2 or 5 times a power of ten, the smallest that is a
// third of the standard deviation or more; the standard deviation is never stated
// smaller than it is, nor more than a tenth larger.
func TestEstimatesAreRounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := big.NewRat(rapid.Int64Range(-1e9, 1e9).Draw(rt, "value"), rapid.Int64Range(1, 1e6).Draw(rt, "over"))
		variance := big.NewRat(rapid.Int64Range(1, 1e12).Draw(rt, "variance"), rapid.Int64Range(1, 1e9).Draw(rt, "by"))
		e := estimate{value, variance, nil}
		got, sd := e.rounded()
		unit, _, _ := e.unit()
		u, _ := unit.Float64()
		v, _ := variance.Float64()
		x, _ := value.Float64()
		if u < math.Sqrt(v)/3*(1-1e-9) || u > math.Sqrt(v)/3*2.5*(1+1e-9) && u > 1e-9 {
			rt.Fatalf("unit %g of sd %g", u, math.Sqrt(v))
		}
		if math.Abs(got.Float()-x) > u/2*(1+1e-9)+1e-12*math.Abs(x) {
			rt.Fatalf("%g was rounded to %s in units of %g", x, got, u)
		}
		if q := new(big.Rat).Quo(got.Rat(), unit); !q.IsInt() {
			rt.Fatalf("%s is no multiple of %g", got, u)
		}
		want := math.Sqrt(v + u*u/12)
		if s := sd.Float(); s < want*(1-1e-9) || s > want*1.1+1e-9 {
			rt.Fatalf("sd %g is stated as %s", want, sd)
		}
	})
}

// The stated standard deviation is that of the statistic over noise: 2,000 draws of
// normal noise on the published parts have it to within a tenth (the variance of N
// has a standard deviation of sqrt(2/N) of it, 3 %; a tenth of the sd is 6 of them;
// the delta method is to first order).
func TestDeltaMethod(t *testing.T) {
	t.Parallel()
	const draws = 2000
	d := withPairs()
	r := rand.New(rand.NewPCG(4, 4))
	noise := func() float64 { return r.NormFloat64() * math.Sqrt(d.V) }
	normal := func(n float64) int64 { return int64(math.Round((n + noise()))) }
	v := d.Value("hearings")
	for _, c := range []struct {
		m, id  string
		filter []string
		put    func(p *Published)
		want   float64
	}{
		{"hearings.mean", "volume", []string{"sector=justice"}, func(p *Published) {
			p.put("sector=justice", normal(400))
			p.putSum("sector=justice", "hearings", int64(900+r.NormFloat64()*math.Sqrt(sumVariance(v, d.V))))
		}, 2.25},
		{"region.share", "volume", []string{"region=north"}, func(p *Published) {
			p.put("", normal(900))
			p.put("region=north", normal(500))
		}, 0.556},
		{"pair.jaccard", "overlap", []string{"pair=justice+police"}, func(p *Published) {
			p.put("seen_by=police", normal(700))
			p.put("seen_by=justice", normal(500))
			p.put("pair=justice+police", normal(300))
		}, 1.0 / 3},
		{"age.median", "volume", nil, func(p *Published) {
			p.put("", 800)
			for i, n := range []float64{100, 150, 400, 150} {
				p.put("age="+demoAges[i], normal(n))
			}
		}, 11.875},
	} {
		mean, square, stated := 0.0, 0.0, 0.0
		for range draws {
			p := handmade(t, d)
			c.put(p)
			q := gateway.Question{Cube: c.id, Measure: gateway.Measure(c.m), Filter: map[string]string{}}
			for _, f := range c.filter {
				name, code, _ := strings.Cut(f, "=")
				q.Filter[name] = code
			}
			parsed, err := p.parse(q)
			if err != nil {
				t.Fatal(err)
			}
			at := 0
			for i, nodes := range parsed.nodes {
				at += nodes[0] * parsed.set.strides[i]
			}
			e, st := map[statKind]func(*query, int) (estimate, status){
				statMean: p.mean, statShare: p.share, statJaccard: p.jaccard, statQuantile: p.quantile,
			}[parsed.stat.kind](parsed, at)
			if st != statusValue {
				t.Fatalf("%s: status %d", c.m, st)
			}
			x, _ := e.value.Float64()
			va, _ := e.variance.Float64()
			mean += x / draws
			square += (x - c.want) * (x - c.want) / draws
			stated += va / draws
		}
		if math.Abs(mean-c.want) > 0.01*c.want || math.Abs(math.Sqrt(square)-math.Sqrt(stated)) > 0.1*math.Sqrt(square) {
			t.Errorf("%s: mean %.4f of %.4f, sd %.4f, stated %.4f", c.m, mean, c.want, math.Sqrt(square), math.Sqrt(stated))
		}
	}
}

// A table of a statistic says what it is made of and with which noise.
func TestStatisticsSayHowTheyAreMade(t *testing.T) {
	p := protectedCourt(t)
	sum := ask(t, p, gateway.Question{Cube: "volume", Measure: "hearings.sum", GroupBy: []string{"sector"}})
	if v := p.l.def.Value("hearings"); sum.Variance != sumVariance(v, 80) || sum.Base != 50 || sum.Bottom != 0 {
		t.Errorf("variance %g, base %d, bottom %d", sum.Variance, sum.Base, sum.Bottom)
	}
	if sum.Label != "release=1|measure=hearings.sum|sector@sector" {
		t.Errorf("label %s", sum.Label)
	}
	for m, words := range map[gateway.Measure][]string{
		"hearings.sum":  {"at least 1 and at most 10", "units of 10", "rounded to 50", "below zero"},
		"hearings.mean": {"published sum over the published number", "25 or more", "delta method", "V = 80"},
		"age.median":    {"bands of age", "half the width", "delta method"},
		"sector.share":  {"one level up", "parent^2", "delta method"},
	} {
		q := gateway.Question{Cube: "volume", Measure: m, GroupBy: []string{"sector"}}
		table := ask(t, p, q)
		notes := strings.Join(table.Notes, "\n")
		for _, word := range append(words, "which of these is never told") {
			if !strings.Contains(notes, word) {
				t.Errorf("%s: the notes do not say %q:\n%s", m, word, notes)
			}
		}
		if m != "hearings.sum" && (table.Variance != 80 || table.Base != Base || table.Bottom != 10) {
			t.Errorf("%s: variance %g, base %d, bottom %d", m, table.Variance, table.Base, table.Bottom)
		}
	}
	overlap := ask(t, handmade(t, withPairs()), gateway.Question{Cube: "overlap", Measure: "pair.jaccard", GroupBy: []string{"pair"}})
	if notes := strings.Join(overlap.Notes, "\n"); !strings.Contains(notes, "keyed hashes") {
		t.Errorf("nothing is said of linkage: %s", notes)
	}
}
