package redteam

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Every cell of the lattice has the label of the domain, its parents are the sums of
// their children where dimensions are partitions, and a whole set is answered in the
// lattice's order.
func TestLattice(t *testing.T) {
	w := newWorld(newLattice(theDefinition()), "sparse", 5, 2)
	for c := range w.size {
		s := &w.sets[w.set[c]]
		for d, dim := range w.dims {
			parent := w.parent(c, d)
			if (parent < 0) != (s.levels[d] < 0) {
				t.Fatalf("%s has parent %d along %s", w.label(c), parent, dim.Name)
			}
			if parent < 0 || dim.Kind == gateway.Multi {
				continue
			}
			sum := tally{}
			for _, o := range w.siblings(c, d) {
				if w.parent(o, d) != parent {
					t.Fatalf("%s is no sibling of %s along %s", w.label(o), w.label(c), dim.Name)
				}
				sum.n += w.truth[o].n
				sum.key += w.truth[o].key
			}
			if sum != w.truth[parent] {
				t.Fatalf("the children of %s along %s add up to %d, not %d", w.label(parent), dim.Name, sum.n, w.truth[parent].n)
			}
		}
	}
	trial := newTrial(w, publishers()[colDefault], 1)
	v, err := trial.release(1)
	if err != nil {
		t.Fatal(err)
	}
	for c := range w.size {
		status, value, known := v.published.Cell(w.label(c), gateway.CountChildren)
		if !known && !v.shown[c] {
			continue // in a grouping set that the sparsity gate closes
		}
		if !known || v.shown[c] != (status == gateway.StatusValue) || v.shown[c] && v.y[c] != float64(value) {
			t.Fatalf("%s is read as %v %v, the release has %s %d", w.label(c), v.shown[c], v.y[c], status, value)
		}
	}
}

// The deviations that attackers are told of are those of the definition's budget.
func TestModelIsPublic(t *testing.T) {
	b, err := disclosure.Plan(theDefinition())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(newLattice(theDefinition()), "dense", 28, 1)
	v, err := publishers()[colDefault].publish(population{lattice: w.lattice, counts: w.truth}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if v.model.v != b.V || v.model.reach != float64(b.D1+b.D2) {
		t.Errorf("the attacker assumes %+v, the budget is V %g, D %d + %d", v.model, b.V, b.D1, b.D2)
	}
	for c, shown := range v.shown {
		if d := math.Abs(v.y[c] - float64(w.truth[c].n)); shown && d > v.model.reach {
			t.Errorf("%s is off by %g", w.label(c), d)
		}
	}
}

// The simple publishers do what their names say.
func TestSimplePublishers(t *testing.T) {
	w := newWorld(newLattice(theDefinition()), "sparse", 5, 1)
	p := population{lattice: w.lattice, counts: w.truth}
	rounded, err := publishRounded(p, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	single, err := publishSingle(p, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	sum, sq, large := 0.0, 0.0, 0.0
	for c, cell := range w.truth {
		n := float64(cell.n)
		if rounded.shown[c] != (cell.n >= 10) || rounded.shown[c] && (math.Mod(rounded.y[c], 5) != 0 || math.Abs(rounded.y[c]-n) > 2) {
			t.Errorf("10-5 shows %v %g for %d", rounded.shown[c], rounded.y[c], cell.n)
		}
		y := single.y[c]
		if !single.shown[c] || y == 1 || y == 2 || y < 0 || math.Abs(y-n) > 5 || (n == 0) != (y == 0) && n == 0 {
			t.Errorf("the single layer shows %g for %d", y, cell.n)
		}
		if cell.n >= 10 {
			sum += y - n
			sq += (y - n) * (y - n)
			large++
		}
	}
	if mean, variance := sum/large, sq/large; math.Abs(mean) > 0.2 || math.Abs(variance-3) > 0.5 {
		t.Errorf("the single layer has mean %.2f and variance %.2f, want 0 and 3", mean, variance)
	}
}

// AUC by its definition; intervals by published quantiles of Student's t.
func TestScores(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		few := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 20)
		var a, b []float64
		for _, x := range few.Draw(rt, "controls") {
			a = append(a, float64(x))
		}
		for _, x := range few.Draw(rt, "victims") {
			b = append(b, float64(x))
		}
		want := 0.0
		for _, x := range a {
			for _, y := range b {
				switch {
				case y > x:
					want++
				case y == x:
					want += 0.5
				}
			}
		}
		want /= float64(len(a) * len(b))
		if got := auc(a, b); math.Abs(got-want) > 1e-12 || math.Abs(got+auc(b, a)-1) > 1e-12 {
			rt.Errorf("AUC %g, want %g", got, want)
		}
	})
	for df, want := range map[int]float64{9: 2.262, 19: 2.093, 29: 2.045, 99: 1.984} {
		if got := student(df); math.Abs(got-want) > 0.002 {
			t.Errorf("t(%d) is %.4f, want %.3f", df, got, want)
		}
	}
	if f := figure([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}); f.Mean != 5.5 || math.Abs(f.High-7.666) > 0.005 || f.Keys != 10 {
		t.Errorf("figure %+v, want 5.5 from 3.334 to 7.666", *f)
	}
	if figure([]float64{math.NaN()}) != nil {
		t.Error("a figure of nothing")
	}
	if p := welch([]float64{1, 2, 3, 4}, []float64{1, 2, 3, 4}); p != 1 {
		t.Errorf("equal samples differ with p %g", p)
	}
	if p := welch([]float64{1, 2, 1, 2, 1}, []float64{9, 8, 9, 8, 9}); p > 0.01 {
		t.Errorf("samples that differ have p %g", p)
	}
}

// A grammar that answers a union is found out.
func TestUnionsAreNoticed(t *testing.T) {
	open := func(gateway.Question) (*gateway.Table, error) { return &gateway.Table{}, nil }
	n, err := answered(&view{ask: open}, gateway.Question{}, make([]gateway.Question, 3))
	if err != nil || n != 3 {
		t.Errorf("%g answered, %v", n, err)
	}
	shut := func(gateway.Question) (*gateway.Table, error) { return nil, gateway.Errorf(gateway.Invalid, "no") }
	if _, err := answered(&view{ask: shut}, gateway.Question{}, nil); err == nil {
		t.Error("an attack whose registered question is refused says nothing and must fail")
	}
}

// The sparsity gate is the text: mean 20 with hidden cells as 0, at most half hidden.
func TestGate(t *testing.T) {
	for _, c := range []struct {
		y    []float64 // 0 is hidden
		want bool
	}{{[]float64{20, 20, 20, 20}, true}, {[]float64{40, 40, 0, 0}, true}, {[]float64{20, 20, 20, 15}, false}, {[]float64{500, 0, 0, 0}, false}} {
		v := &view{y: c.y}
		for _, y := range c.y {
			v.shown = append(v.shown, y > 0)
		}
		if got := v.passes(&cellSet{cells: len(c.y)}); got != c.want {
			t.Errorf("%v passes: %v", c.y, got)
		}
	}
}

// The bits of a grid do not follow its places, and both are as many.
func TestGrid(t *testing.T) {
	g := newGrid(1, 100, besideVictim(9, 60), 0)
	if n := slices.Collect(func(yield func(int) bool) {
		for _, b := range g.bits {
			if b == 1 && !yield(b) {
				return
			}
		}
	}); len(n) != 50 {
		t.Errorf("%d of 100 bits are set", len(n))
	}
	for place, bit := range g.bits {
		if got := g.truth[g.at(0, yes, place)].n; got != 9+bit {
			t.Fatalf("place %d with bit %d has %d children in the planted group", place, bit, got)
		}
		if got := g.truth[g.at(0, root, place)].n; got != 9+61 {
			t.Fatalf("place %d has %d children in the victim's group", place, got)
		}
	}
}

// A default with a planted fault misses the bar of the attack that is made for it: a
// permanent layer that is not, a hard threshold, noise keyed on members, noise per
// spelling or project.
func TestFaultsMissTheirBars(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds of attacks")
	}
	o := Options{Keys: 4, Places: 100, Seed: 1}
	w := newWorld(newLattice(theDefinition()), "dense", 28, 1)
	all := append(checks(o), gridChecks()...)
	for _, c := range []struct {
		by              publisher
		attack, measure string
	}{
		{standard("no permanent layer", freshLayer), "A17 release averaging", "sd of mean of 12"},
		{standard("hard threshold", hardThreshold), "Insider, 0-25 invented", "AUC, worst group, 60 others"},
		{standard("noise by members", memberKeyed), "A8 set equality", "AUC, cells of the same children"},
		{standard("noise by members", memberKeyed), "A16 one-record revision", "AUC, changed cells"},
		{perSpelling(), "A6 synonyms", "answers a label"},
		{perProject(), "A20 collusion", "sd less than one token's"},
	} {
		i := slices.IndexFunc(all, func(k check) bool { return k.attack == c.attack && k.measure == c.measure })
		if i < 0 {
			t.Fatalf("there is no check %s, %s", c.attack, c.measure)
		}
		var xs []float64
		var err error
		if all[i].across != nil {
			xs, err = all[i].across(t.Context(), o, c.by)
		} else {
			var x float64
			x, err = all[i].value(newTrial(w, c.by, 0))
			xs = append(xs, x)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r := (Row{Default: figure(xs)}); all[i].bar.met(&r) {
			t.Errorf("%s, %s: %v with %s meets the bar %s", c.attack, c.measure, r.Default, c.by.name, all[i].bar.text)
		}
	}
}
