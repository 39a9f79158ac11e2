package disclosure

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// valued is a definition with two values of the courts: days, which few may not
// dominate, and hearings.
func valued() *gateway.Definition {
	age := flat("age", gateway.Partition, gateway.ChildFirst, demoAges...)
	for i, band := range []gateway.Band{{From: 0, Below: 5}, {From: 5, Below: 10}, {From: 10, Below: 15}, {From: 15, Below: 18}} {
		age.Nodes[i].Band = &band
	}
	d := definition([]gateway.Dimension{
		flat("sector", gateway.Multi, gateway.EventSector, "police", "justice"),
		flat("region", gateway.Partition, gateway.ChildMost, "north", "east", "south", "west", "far"),
		age, flat("sex", gateway.Partition, gateway.ChildConst, "F", "M"),
	}, cube("volume", gateway.Events, 3, "sector", "region", "age", "sex"))
	d.Values = []gateway.Value{
		{ID: "days", Sector: "justice", Column: "days", PerChild: gateway.PerChildSum, Max: 60, Precision: 200, Dominance: true},
		{ID: "hearings", Sector: "justice", Column: "hearings", PerChild: gateway.PerChildSum, Min: 1, Max: 10, Precision: 50},
	}
	d.Cubes[0].Values = []string{"days", "hearings"}
	d.V = 80
	return d
}

// A numbered population is a truth whose events carry the numbers of values.
type numberedTruth struct {
	truth

	numbers map[string][]int64 // value → one an event
}

// courts draws children of whom half come before a court, up to three times. Few
// have long days, and those in the last region are few.
func courts(d *gateway.Definition, children int, seed uint64) numberedTruth {
	r := rand.New(rand.NewPCG(seed, 9))
	w := numberedTruth{truth{def: d}, map[string][]int64{}}
	for child := range children {
		codes := map[string]string{
			"region": d.Dimension("region").Nodes[pick(r, 40, 30, 20, 9, 1)].Code,
			"age":    demoAges[pick(r, 10, 20, 40, 30)], "sex": []string{"F", "M"}[r.IntN(2)],
		}
		for range 1 + r.IntN(3) {
			own := map[string]string{"sector": []string{"police", "justice"}[r.IntN(2)]}
			maps.Copy(own, codes)
			w.events = append(w.events, event{child, own})
			days := int64(0)
			if r.IntN(40) == 0 {
				days = int64(r.IntN(60))
			}
			w.numbers["days"] = append(w.numbers["days"], days)
			w.numbers["hearings"] = append(w.numbers["hearings"], int64(r.IntN(4)))
		}
	}
	return w
}

// each child's own number in each cell of a set, by brute force.
func (w numberedTruth) own(set gateway.GroupingSet, v *gateway.Value) map[string]map[int]int64 {
	paths := w.paths()
	out := map[string]map[int]int64{}
	for i, e := range w.events {
		if e.codes["sector"] != string(v.Sector) {
			continue
		}
		nodes := make([]string, len(set))
		for k, sd := range set {
			nodes[k] = paths[sd.Name][e.codes[sd.Name]][sd.Level]
		}
		label := set.Label(nodes)
		if out[label] == nil {
			out[label] = map[int]int64{}
		}
		out[label][e.child] += w.numbers[v.ID][i]
	}
	for _, children := range out {
		for child, z := range children {
			children[child] = min(max(z, v.Min), v.Max)
		}
	}
	return out
}

func sumOf(children map[int]int64) Sum {
	var s Sum
	for _, z := range children {
		s.Children++
		s.Sum += uint64(z)
		switch z := uint64(z); {
		case z > s.Top[0]:
			s.Top = [2]uint64{z, s.Top[0]}
		case z > s.Top[1]:
			s.Top[1] = z
		}
	}
	return s
}

// raw counts the population and adds its sums up.
func (w numberedTruth) raw(tb testing.TB) *Raw {
	tb.Helper()
	raw := fill(tb, w.def, w.counts())
	for _, a := range w.def.AdmittedSets() {
		for _, id := range a.Values {
			for label, children := range w.own(a.Set, w.def.Value(id)) {
				if err := raw.AddSum(a.Set, codesOf(label), id, sumOf(children)); err != nil {
					tb.Fatalf("%s: %v", label, err)
				}
			}
		}
	}
	return raw
}

// court is a population of 3,000, counted once.
var court = sync.OnceValue(func() numberedTruth { return courts(valued(), 3000, 5) })

func protectedCourt(tb testing.TB) *Published {
	tb.Helper()
	w := court()
	p, err := Protect(w.raw(tb), release(w.def, 1, 1))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// insideCourt runs the rules, sums too.
func insideCourt(tb testing.TB, w numberedTruth, rel Release) *protector {
	tb.Helper()
	p := inside(tb, w.raw(tb), rel)
	if err := p.protectSums(); err != nil {
		tb.Fatal(err)
	}
	return p
}

// A value is in the sets that name its sector, at its leaf, and in no other.
func TestValuesAreWhereTheirSectorIs(t *testing.T) {
	l, err := newLattice(valued())
	if err != nil {
		t.Fatal(err)
	}
	with := 0
	for _, s := range l.sets {
		want := 0
		if slices.ContainsFunc(s.Set, func(sd gateway.SetDimension) bool { return sd.Name == "sector" }) {
			want = 2
			with++
		}
		if len(s.values) != want {
			t.Errorf("set %q carries %d values, want %d", s.key, len(s.values), want)
		}
		for c := range s.cells {
			label := string(l.label(s, s.nodes(c, nil), nil))
			for v := range s.values {
				if s.values[v].in(s, c) != strings.Contains(label, "sector=justice") {
					t.Errorf("%s: whether it carries %s is wrong", label, s.values[v].ID)
				}
			}
		}
	}
	if with != 7 {
		t.Errorf("%d sets name the sector, want 7", with)
	}
}

// What makes sums that would not be protected is refused before anything is counted.
func TestValuesRefused(t *testing.T) {
	for name, spoil := range map[string]func(d *gateway.Definition){
		"no id":                func(d *gateway.Definition) { d.Values[0].ID = "" },
		"a point in the id":    func(d *gateway.Definition) { d.Values[0].ID = "a.b" },
		"doubled id":           func(d *gateway.Definition) { d.Values[1].ID = "days" },
		"id of a dimension":    func(d *gateway.Definition) { d.Values[0].ID = "sex" },
		"id of a count":        func(d *gateway.Definition) { d.Values[0].ID = "children" },
		"no way":               func(d *gateway.Definition) { d.Values[0].PerChild = "largest" },
		"negative":             func(d *gateway.Definition) { d.Values[0].Min = -1 },
		"empty clamps":         func(d *gateway.Definition) { d.Values[0].Min = 60 },
		"wide clamps":          func(d *gateway.Definition) { d.Values[0].Max, d.Values[0].Precision = 1<<21, 1<<25 },
		"fine precision":       func(d *gateway.Definition) { d.Values[0].Precision = 178 }, // 60 sqrt(80)/3 = 178.9
		"absurd precision":     func(d *gateway.Definition) { d.Values[0].Precision = 60_001 },
		"unknown value":        func(d *gateway.Definition) { d.Cubes[0].Values[0] = "costs" },
		"doubled value":        func(d *gateway.Definition) { d.Cubes[0].Values[0] = "hearings" },
		"cube of children":     func(d *gateway.Definition) { d.Cubes[0].Grain = gateway.Children },
		"no sector":            func(d *gateway.Definition) { d.Cubes[0].Dimensions = d.Cubes[0].Dimensions[1:] },
		"unknown sector":       func(d *gateway.Definition) { d.Values[0].Sector = "health" },
		"sector not published": func(d *gateway.Definition) { d.Dimensions[0].Omitted = "justice" },
		"two sectors": func(d *gateway.Definition) {
			d.Dimensions = append(d.Dimensions, flat("again", gateway.Multi, gateway.EventSector, "justice"))
			d.Cubes[0].Dimensions = append(d.Cubes[0].Dimensions, "again")
		},
		"no band in a band": func(d *gateway.Definition) { d.Dimensions[2].Nodes[0].Band.Below = 0 },
		"bands overlap":     func(d *gateway.Definition) { d.Dimensions[2].Nodes[0].Band.Below = 6 },
	} {
		d := valued()
		spoil(d)
		if _, err := Plan(d); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: Plan says %v", name, err)
		}
	}
	d := valued()
	d.Values[0].Precision = 179
	if _, err := Plan(d); err != nil {
		t.Errorf("the finest precision: %v", err)
	}
}

// A sum that contradicts its cell's count, or comes where none can be, is a fault
// of the build and refused; so is a cell without one.
func TestSumsRefused(t *testing.T) {
	justice := gateway.GroupingSet{{Name: "sector"}}
	good := Sum{Children: 12, Sum: 40, Top: [2]uint64{9, 5}}
	for name, c := range map[string]struct {
		set   gateway.GroupingSet
		nodes []string
		value string
		sum   Sum
		kind  gateway.Kind
	}{
		"another sector":     {justice, []string{"police"}, "hearings", good, gateway.Invalid},
		"unknown node":       {justice, []string{"nobody"}, "hearings", good, gateway.Invalid},
		"unknown value":      {justice, []string{"justice"}, "costs", good, gateway.Invalid},
		"no sector":          {total, nil, "hearings", good, gateway.Invalid},
		"unknown set":        {gateway.GroupingSet{{Name: "moon"}}, []string{"x"}, "hearings", good, gateway.Invalid},
		"fewer children":     {justice, []string{"justice"}, "hearings", Sum{Children: 11, Sum: 40, Top: [2]uint64{9, 5}}, gateway.Internal},
		"above the clamp":    {justice, []string{"justice"}, "hearings", Sum{Children: 12, Sum: 40, Top: [2]uint64{11, 5}}, gateway.Internal},
		"below the clamp":    {justice, []string{"justice"}, "hearings", Sum{Children: 12, Sum: 12, Top: [2]uint64{9, 0}}, gateway.Internal},
		"rising":             {justice, []string{"justice"}, "hearings", Sum{Children: 12, Sum: 40, Top: [2]uint64{5, 9}}, gateway.Internal},
		"more than possible": {justice, []string{"justice"}, "hearings", Sum{Children: 12, Sum: 65, Top: [2]uint64{9, 5}}, gateway.Internal},
		"less than possible": {justice, []string{"justice"}, "hearings", Sum{Children: 12, Sum: 23, Top: [2]uint64{9, 5}}, gateway.Internal},
		"two of one child":   {justice, []string{"justice"}, "days", Sum{Children: 1, Sum: 40, Top: [2]uint64{30, 10}}, gateway.Internal},
		"nobody":             {justice, []string{"justice"}, "days", Sum{}, gateway.Internal},
	} {
		raw := NewRaw(valued())
		if err := raw.Add(justice, []string{"justice"}, Count{Children: 12}); err != nil {
			t.Fatal(err)
		}
		if err := raw.AddSum(c.set, c.nodes, c.value, c.sum); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	raw := NewRaw(valued())
	if err := raw.AddSum(justice, []string{"justice"}, "hearings", good); !errors.Is(err, gateway.Internal) {
		t.Errorf("a sum before its count: %v", err)
	}
	w := court()
	raw = fill(t, w.def, w.counts())
	if _, err := Protect(raw, release(w.def, 1, 1)); !errors.Is(err, gateway.Internal) {
		t.Errorf("cells without sums: %v", err)
	}
	if err := raw.AddSum(justice, []string{"justice"}, "hearings", good); !errors.Is(err, gateway.Conflict) {
		t.Errorf("a sum after protection: %v", err)
	}
	if err := NewRaw(nil).AddSum(justice, []string{"justice"}, "hearings", good); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a sum of no definition: %v", err)
	}
}

// The budget counts what a value tells about the number of children: where every
// child has the same number, the sum divided by it is the count with noise of its
// own. The attacker here takes every count and every such sum and solves by linear
// algebra; no cell is known better to him than A says, and better than A would say
// without the values. (With the values left out of the budget this test fails.)
func TestBudgetCountsValues(t *testing.T) {
	for _, values := range [][]string{{"days"}, {"days", "hearings"}} {
		d := valued()
		d.Cubes[0].Values = values
		l, err := newLattice(d)
		if err != nil {
			t.Fatal(err)
		}
		a := newFamily(l).largest()
		without := routesOf(oneMeasure(d, "volume"))
		g := newGLS(l)
		info := inverse(g.inv)
		for x := range info {
			for y := range info {
				for _, s := range l.sets {
					for _, v := range s.values {
						// Both base cells lie in one cell, at the contract.
						if g.base[x][s.dims[v.place]] == string(v.Sector) && g.together(s, x, y) {
							info[x][y]++
						}
					}
				}
			}
		}
		g.inv = inverse(info)
		best := 0.0
		for _, s := range l.sets {
			for c := range s.cells {
				best = max(best, g.precision(s, s.nodes(c, nil)))
			}
		}
		t.Logf("%v: the best attacker has %.4f, A is %.4f, without values %.4f", values, best, a, without)
		if best > a*(1+1e-6) || best <= without*1.05 {
			t.Errorf("%v: the best attacker has precision %.4f; A is %.4f, and without the values %.4f", values, best, a, without)
		}
		if best < a*0.75 {
			t.Errorf("%v: A %.4f is far above what is known, %.4f", values, a, best)
		}
	}
}

// The choices that a refusal names leave a definition that can be planned.
func TestPlanOffersToLeaveValuesOut(t *testing.T) {
	d := valued()
	d.V = 50
	b, err := Plan(d)
	if err == nil {
		t.Skip("it fits: the test says nothing")
	}
	if !strings.Contains(b.String(), "with children as the only measure") && !strings.Contains(b.String(), "without dimension") {
		t.Errorf("the page offers nothing:\n%s", b)
	}
	for _, c := range b.Choices {
		if c.A >= b.A || c.A == 0 {
			t.Errorf("%s: A %.3f of %.3f", c.What, c.A, b.A)
		}
	}
}

// S' is S + t(v'+v"), rounded: over 1,000 keys its mean is S and its variance the
// stated one. The mean of N has standard deviation sqrt(Var/N), the variance of N at
// most sqrt(2/N) of itself (the tails are thinner than a normal law's). With 5 of
// them on either side a right program fails for fewer than 2 choices of keys in a
// million for each cell; the keys are fixed.
func TestSumsAreUnbiased(t *testing.T) {
	t.Parallel()
	const keys = 1000
	d := definition([]gateway.Dimension{flat("sector", gateway.Multi, gateway.EventSector, "justice", "police")}, cube("one", gateway.Events, 1, "sector"))
	for _, v := range []gateway.Value{
		{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 30, Precision: 90},   // a multiple of t: the worst for rounding
		{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 31, Precision: 75},   // both odd
		{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 1, Precision: 3},     // a yes or no
		{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 100, Precision: 237}, // one even, one odd
	} {
		d.Values, d.Cubes[0].Values = []gateway.Value{v}, []string{"v"}
		for _, sum := range []uint64{0, 7, 45, 60} {
			top := min(sum, uint64(v.Max))
			if v.Max == 1 {
				sum, top = sum/3, min(sum, 1)
			}
			mean, square := 0.0, 0.0
			for key := range keys {
				raw := NewRaw(d)
				g := gateway.GroupingSet{{Name: "sector"}}
				add(t, raw, total, nil, 200, 1)
				add(t, raw, g, []string{"justice"}, 60, 2)
				add(t, raw, g, []string{"police"}, 150, 3)
				if err := raw.AddSum(g, []string{"justice"}, "v", Sum{Children: 60, Sum: sum, Top: [2]uint64{top, top}}); err != nil {
					// Few children may have it all: the rest have nothing.
					if err := raw.AddSum(g, []string{"justice"}, "v", Sum{Children: 60, Sum: sum, Top: [2]uint64{top, min(top, sum-top)}}); err != nil {
						t.Fatal(err)
					}
				}
				p := inside(t, raw, release(d, 1, key))
				if err := p.protectSums(); err != nil {
					t.Fatal(err)
				}
				s := p.l.byKey["sector@sector"]
				e := float64(p.perturbSum(s, 0, 0)) - float64(sum)
				if r := math.Mod(e+float64(sum), float64(v.Precision)); r != 0 {
					t.Fatalf("max %d: %g is no multiple of the precision", v.Max, e+float64(sum))
				}
				mean += e / keys
				square += e * e / keys
			}
			want := sumVariance(&v, d.V)
			if math.Abs(mean) > 5*math.Sqrt(want/keys)+0.5 || math.Abs(square-want) > 5*want*math.Sqrt(2.0/keys) {
				t.Errorf("max %d, sum %d: mean error %.2f, variance %.1f, stated %.1f", v.Max, sum, mean, square, want)
			}
		}
	}
}

// The mean of S' over both draws and the uniform number, added up exactly over the
// tables, is S to half a unit, whatever S is modulo t; without the uniform number it
// would be off by up to half of t. The variance is the stated one to half of a percent.
func TestSumsAreUnbiasedExactly(t *testing.T) {
	row := tablesOf(t, 50).l1.rows[12]
	chance := func(i int) float64 {
		if i == 0 {
			return math.Ldexp(float64(row.cum[0]), -64)
		}
		return math.Ldexp(float64(row.cum[i]-row.cum[i-1]), -64)
	}
	for _, v := range []gateway.Value{{Max: 30, Precision: 90}, {Max: 31, Precision: 75}, {Max: 10, Precision: 24}, {Max: 1, Precision: 3}} {
		worst := 0.0
		for sum := range 2 * v.Max {
			mean, square, plain := 0.0, 0.0, 0.0
			for i := range row.v {
				for j := range row.v {
					p := chance(i) * chance(j)
					noisy := sum + v.Max*(row.v[i]+row.v[j])
					for u := range v.Max {
						e := float64(rounded(&v, noisy, uint64(u)) - sum)
						mean += p * e / float64(v.Max)
						square += p * e * e / float64(v.Max)
					}
					plain += p * float64(floorDiv(2*noisy+v.Precision, 2*v.Precision)*v.Precision-sum)
				}
			}
			worst = max(worst, math.Abs(plain))
			if want := sumVariance(&v, 50); math.Abs(mean) > 0.5+1e-9 || math.Abs(square-want) > want/200+1 {
				t.Errorf("max %d, sum %d: mean error %.3f, variance %.2f, stated %.2f", v.Max, sum, mean, square, want)
			}
		}
		if v.Max == 30 && worst < 10 {
			t.Errorf("rounding alone is off by %.2f at most: the test says nothing", worst)
		}
	}
}

// Rule 6 takes the sum with the smallest S + t*v', the permanent noise and not the
// truth: over many keys not always the smallest, and never one far above.
func TestSumRemainderTakesTheSmallestNoisy(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4), flat("sector", gateway.Multi, gateway.EventSector, "justice", "police")},
		cube("one", gateway.Events, 2, "a", "sector"))
	d.Values = []gateway.Value{{ID: "v", Sector: "justice", PerChild: gateway.PerChildSum, Max: 60, Precision: 200, Dominance: true}}
	d.Cubes[0].Values = []string{"v"}
	both := gateway.GroupingSet{{Name: "a"}, {Name: "sector"}}
	taken := map[int]int{}
	for key := range 100 {
		raw := NewRaw(d)
		add(t, raw, total, nil, 800, 1)
		for i, sector := range []string{"justice", "police"} {
			add(t, raw, gateway.GroupingSet{{Name: "sector"}}, []string{sector}, 400+i, uint64(2+i))
		}
		sums := []Sum{{100, 60, [2]uint64{60, 0}}, {100, 1200, [2]uint64{15, 15}}, {100, 1300, [2]uint64{15, 15}}, {100, 5900, [2]uint64{60, 60}}}
		all := Sum{Children: 400, Top: [2]uint64{60, 60}}
		for i, n := range d.Dimensions[0].Nodes {
			add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{n.Code}, 200, uint64(10+i))
			for k, sector := range []string{"justice", "police"} {
				add(t, raw, both, []string{n.Code, sector}, 100, uint64(20+2*i+k))
			}
			if err := raw.AddSum(both, []string{n.Code, "justice"}, "v", sums[i]); err != nil {
				t.Fatal(err)
			}
			all.Sum += sums[i].Sum
		}
		if err := raw.AddSum(gateway.GroupingSet{{Name: "sector"}}, []string{"justice"}, "v", all); err != nil {
			t.Fatal(err)
		}
		p := inside(t, raw, release(d, 1, key))
		if err := p.protectSums(); err != nil {
			t.Fatal(err)
		}
		s := p.l.byKey["a@a|sector@sector"]
		best, which := int64(1<<40), 0
		for i := 1; i < 4; i++ {
			if noisy := p.noisySum(s, 0, 2*i); noisy < best {
				best, which = noisy, i
			}
		}
		for i := range 4 {
			want := shown
			switch i {
			case 0:
				want = hiddenNear
			case which:
				want = hiddenRest
			}
			if got := p.added[s.index][0].states[2*i]; got != want {
				t.Fatalf("key %d: sum %d has state %d, want %d", key, i, got, want)
			}
		}
		taken[which]++
	}
	if taken[1] == 0 || taken[2] == 0 || taken[3] != 0 {
		t.Errorf("hidden beside the dominated sum: %v of 100", taken)
	}
}

// A sum is shown where the count is and nowhere else; where dominance is on it may
// be hidden there too, and what it hides is as the text says, or rule 6's.
func TestSumsAreShownWhereCountsAre(t *testing.T) {
	w := court()
	p := insideCourt(t, w, release(w.def, 1, 1))
	hidden, rest := 0, 0
	each(p.l, func(s *set, c int, _ []int, label string) {
		for v := range s.values {
			st := p.added[s.index][v].states[c]
			count := p.states[s.index][c]
			switch {
			case !strings.Contains(label, "sector=justice"):
				if st != impossible {
					t.Fatalf("%s: a sum in another sector has state %d", label, st)
				}
				continue
			case count != shown && st == shown:
				t.Fatalf("%s: the sum of %s is shown and the count is not", label, s.values[v].ID)
			case count != shown:
				continue
			}
			children := w.own(s.Set, s.values[v].Value)[label]
			var zs []float64
			x := 0.0
			for _, z := range children {
				zs = append(zs, float64(z))
				x += float64(z)
			}
			slices.Sort(zs)
			slices.Reverse(zs)
			percent := float64(p.law.threshold(p.keys.dominance(s.values[v].ID, []byte(label))))
			dominated := s.values[v].Dominance && (x-zs[0]-zs[1] < percent/100*zs[0]-1e-9 || zs[0]+zs[1] > (0.95-percent/100)*x+1e-9)
			switch {
			case dominated != (st == hiddenNear):
				t.Fatalf("%s: sum of %s has state %d, dominated: %v", label, s.values[v].ID, st, dominated)
			case dominated:
				hidden++
			case st == hiddenRest:
				rest++
			}
		}
	})
	if hidden == 0 || rest == 0 {
		t.Errorf("dominance hid %d, rule 6 %d: the test says nothing", hidden, rest)
	}
}

// No hidden sum is its parent's less its siblings': along no dimension is exactly
// one hidden where the parent's is shown.
func TestHiddenSumsAreNotTheRemainder(t *testing.T) {
	w := court()
	for key := range 5 {
		p := insideCourt(t, w, release(w.def, 1, key))
		each(p.l, func(s *set, c int, at []int, label string) {
			for v := range s.values {
				for i, dim := range s.dims {
					if i == s.values[v].place || at[i] != 0 || !s.values[v].in(s, c) {
						continue
					}
					above := &p.added[s.parents[i].index][s.parents[i].carries(gateway.SumOf(s.values[v].ID))]
					if above.states[p.l.above(s, at, i)] != shown {
						continue
					}
					hidden, left := 0, 0
					for node := range s.sizes[i] {
						if p.added[s.index][v].states[c+node*s.strides[i]].hidden() {
							hidden++
						} else {
							left++
						}
					}
					if hidden == 1 && left > 0 {
						t.Errorf("%s and its siblings along %s: one sum of %s is hidden", label, p.l.dims[dim].Name, s.values[v].ID)
					}
				}
			}
		})
	}
}

// A stricter law hides at least the sums that a looser one hid by a count or by
// dominance.
func TestStricterLawHidesMoreSums(t *testing.T) {
	t.Parallel()
	w := court()
	more := 0
	for key := range 4 {
		rel := release(w.def, 1, key)
		loose := insideCourt(t, w, rel)
		rel.Rules.ThresholdMin = 30
		strict := insideCourt(t, w, rel)
		each(loose.l, func(s *set, c int, _ []int, label string) {
			for v := range s.values {
				a, b := loose.added[s.index][v].states[c], strict.added[s.index][v].states[c]
				if a <= hiddenNear && !b.hidden() {
					t.Fatalf("%s: the sum of %s is hidden under the law from 10 and not under the law from 30", label, s.values[v].ID)
				}
				if a == shown && b == hiddenNear && strict.states[s.index][c] == shown {
					more++
				}
			}
		})
	}
	if more == 0 {
		t.Error("the stricter law dominates nothing more: the test says nothing")
	}
}

// Sums, counts and the sums of another value share no draw: every PRF call that a
// sum makes has a name or parts that no count's call has (disclosure.md 2.7, "own
// labels").
func TestSumsShareNoDraw(t *testing.T) {
	w := court()
	rel := release(w.def, 1, 1)
	inner, calls := rel.Noise, map[string]int{}
	rel.Noise = func(label string, parts ...[]byte) uint64 {
		key := label
		for _, part := range parts {
			key += "\x00" + string(part)
		}
		calls[key]++
		return inner(label, parts...)
	}
	if _, err := Protect(w.raw(t), rel); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for key, n := range calls {
		kind, _, _ := strings.Cut(key, "\x00")
		kinds[kind]++
		if kind != "sdc/v2/E" && n > 1 { // a minority may be that of several cells
			t.Fatalf("%d draws of one %s", n, kind)
		}
		ofSum := strings.HasPrefix(kind, "sdc/v2/V") || kind == "sdc/v2/D"
		if named := strings.Contains(key, "hearings") || strings.Contains(key, "days"); named != ofSum {
			t.Fatalf("a draw %s names a value: %v", kind, named)
		}
	}
	for _, kind := range []string{"sdc/v2/V1", "sdc/v2/V2", "sdc/v2/V3", "sdc/v2/D", "sdc/v2/L1", "sdc/v2/L2"} {
		if kinds[kind] == 0 {
			t.Errorf("no draw %s: the test says nothing", kind)
		}
	}
}

// The permanent draw is the same in every release and the release's is not: the
// mean over releases keeps the permanent half of V (attack A17).
func TestSumsOverReleases(t *testing.T) {
	const releases = 400
	w := court()
	d := w.def
	raw := w.raw(t)
	c, err := raw.borrow()
	if err != nil {
		t.Fatal(err)
	}
	v := d.Value("hearings")
	between, within, n := 0.0, 0.0, 0.0
	// Of 40 keys: the variance of a mean square of 40 normal draws is 2/40 of its
	// square, so 5 standard deviations are a factor of about 2.
	s := c.l.byKey["region@region|sector@sector"]
	for key := range 40 {
		mean, square := 0.0, 0.0
		p := inside(t, raw, release(d, 1, key))
		if err := p.protectSums(); err != nil {
			t.Fatal(err)
		}
		true1 := float64(p.sums[s.index][1][1].Sum)
		for number := range releases {
			p.keys = newKeyed(prf(testKey(key)), d.Lineage, number+1)
			e := float64(p.perturbSum(s, 1, 1)) - true1
			mean += e / releases
			square += e * e / releases
		}
		between += mean * mean
		within += square - mean*mean
		n++
	}
	t2 := float64(v.Max * v.Max)
	if got, want := between/n, t2*d.V/2; got < want/3 || got > 2.2*want {
		t.Errorf("means over releases have variance %.0f, the permanent half is %.0f", got, want)
	}
	if got, want := within/n, sumVariance(v, d.V)-t2*d.V/2; math.Abs(got-want) > 0.1*want {
		t.Errorf("releases differ with variance %.0f, want %.0f", got, want)
	}
}

// A lineage keeps its values: other clamps would cancel the permanent draw between
// two releases, another name would draw it again. New ones may come while the budget
// of all that was published together carries them.
func TestLineageKeepsItsValues(t *testing.T) {
	before := Parameters{valued(), lawful()}
	if err := Continue(before, Parameters{valued(), lawful()}); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	for name, c := range map[string]struct {
		change func(d *gateway.Definition)
		fails  bool
	}{
		"another clamp":     {func(d *gateway.Definition) { d.Values[0].Max = 61 }, true},
		"a lower clamp":     {func(d *gateway.Definition) { d.Values[1].Min = 0 }, true},
		"another precision": {func(d *gateway.Definition) { d.Values[0].Precision = 210 }, true},
		"another way":       {func(d *gateway.Definition) { d.Values[0].PerChild = gateway.PerChildMean }, true},
		"another column":    {func(d *gateway.Definition) { d.Values[0].Column = "costs" }, true},
		"no dominance":      {func(d *gateway.Definition) { d.Values[0].Dominance = false }, true},
		"another name": {func(d *gateway.Definition) {
			d.Values[0].ID, d.Cubes[0].Values[0] = "time", "time"
		}, true},
		"more dominance": {func(d *gateway.Definition) { d.Values[1].Dominance = true }, false},
		"another title":  {func(d *gateway.Definition) { d.Values[1].Title.EN = "x" }, false},
		"one fewer":      {func(d *gateway.Definition) { d.Values, d.Cubes[0].Values = d.Values[:1], d.Cubes[0].Values[:1] }, false},
		"too many together": {func(d *gateway.Definition) {
			d.Values[0].ID, d.Values[0].Column, d.Cubes[0].Values[0] = "costs", "costs", "costs"
		}, true},
	} {
		d := valued()
		c.change(d)
		if err := Continue(before, Parameters{d, lawful()}); c.fails != errors.Is(err, gateway.Conflict) || !c.fails && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
