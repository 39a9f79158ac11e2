package suppress

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Policy can tighten the rules and never loosen them.
func TestFloors(t *testing.T) {
	good := Rules{K: 10}
	for name, change := range map[string]func(*Rules){
		"no threshold":            func(r *Rules) { r.K = 0 },
		"a threshold of 9":        func(r *Rules) { r.K = 9 },
		"a share of 96":           func(r *Rules) { r.SharePercent = 96 },
		"a share below 199":       func(r *Rules) { r.ShareBelow = 199 },
		"a negative share":        func(r *Rules) { r.SharePercent = -1 },
		"dominance of 86":         func(r *Rules) { r.DominancePercent = 86 },
		"negative dominance":      func(r *Rules) { r.DominancePercent = -1 },
		"p of 9":                  func(r *Rules) { r.P = 9 },
		"p of 101":                func(r *Rules) { r.P = 101 },
		"narrower than k":         func(r *Rules) { r.Width = 9 },
		"insiders need nothing":   func(r *Rules) { r.InsiderWidth = -1 },
		"insiders need more":      func(r *Rules) { r.InsiderWidth = 11 },
		"a width beyond counting": func(r *Rules) { r.Width = maxCount + 1 },
	} {
		r := good
		change(&r)
		if _, err := NewRaw(every(flat("a", "0", "1")), r); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := good.limits()
	if err != nil {
		t.Fatal(err)
	}
	if l.near != 10 || l.Width != 10 || l.InsiderWidth != 10 || l.SharePercent != 95 || l.ShareBelow != 200 || l.DominancePercent != 85 || l.P != 10 || l.dominantOf != 2 || l.insidersFree {
		t.Errorf("defaults are not those of disclosure.md 2.12: %+v", l)
	}
}

// ruleOf applies the primary rules of a to one table a x b.
func ruleOf(t *testing.T, r Rules, label string, dims []gateway.Dimension, rows ...row) Rule {
	t.Helper()
	l, err := r.limits()
	if err != nil {
		t.Fatal(err)
	}
	c := counts(t, every(dims...), l, rows)
	return c.judge(&c.s.cells[c.s.label[label]]).rule
}

// Rule 1: fewer children than the threshold, which may be drawn for each cell.
func TestThreshold(t *testing.T) {
	dims := []gateway.Dimension{flat("a", "0", "1", "2")}
	draw := func(label string) int64 {
		if label == "a=0" {
			return 15
		}
		return 3 // below K counts as K
	}
	for _, test := range []struct {
		n    int64
		rule func(string) int64
		at   string
		want Rule
	}{
		{9, nil, "a=0", RuleThreshold},
		{10, nil, "a=0", ""},
		{0, nil, "a=0", RuleThreshold},
		{14, draw, "a=0", RuleThreshold},
		{15, draw, "a=0", ""},
		{9, draw, "a=1", RuleThreshold},
		{10, draw, "a=1", ""},
	} {
		got := ruleOf(t, Rules{K: 10, Threshold: test.rule}, test.at, dims, children(test.n, test.at[2:]), children(100, "2"))
		if got != test.want {
			t.Errorf("%d children in %s: %q, want %q", test.n, test.at, got, test.want)
		}
	}
}

// Rule 2: two units, and none above 90 per cent.
func TestUnits(t *testing.T) {
	dims := []gateway.Dimension{flat("a", "0", "1", "2")}
	for _, test := range []struct {
		units []Part
		want  Rule
	}{
		{nil, RuleUnits},
		{[]Part{{1, 100}}, RuleUnits},
		{[]Part{{1, 91}, {2, 9}}, RuleUnits},
		{[]Part{{1, 90}, {2, 10}}, ""},
		{[]Part{{1, 100}, {2, 100}}, RuleUnits}, // a child may be in several: the first has them all
		{[]Part{{1, 100}, {2, 0}}, RuleUnits},   // none is no report
	} {
		other := row{[]string{"1"}, Count{Children: 100, Units: []Part{{3, 50}, {4, 50}}}}
		got := ruleOf(t, Rules{K: 10, NeedUnits: true}, "a=0", dims, row{[]string{"0"}, Count{Children: 100, Units: test.units}}, other)
		if got != test.want {
			t.Errorf("units %v: %q, want %q", test.units, got, test.want)
		}
	}
}

// Units add up over the base cells of a margin.
func TestUnitsOfMargins(t *testing.T) {
	l, err := Rules{K: 10, NeedUnits: true}.limits()
	if err != nil {
		t.Fatal(err)
	}
	c := counts(t, every(flat("a", "0", "1")), l, []row{
		{[]string{"0"}, Count{Children: 50, Units: []Part{{1, 50}}}},
		{[]string{"1"}, Count{Children: 50, Units: []Part{{2, 50}}}},
	})
	if v := c.judge(&c.s.cells[c.s.label[""]]); v.rule != "" {
		t.Errorf("two units of half each: %q", v.rule)
	}
	v := c.judge(&c.s.cells[c.s.label["a=0"]])
	if v.rule != RuleUnits || !v.lone || v.sole != 1 {
		t.Errorf("one unit: %+v", v)
	}
}

// Rule 4: few children of the parent are outside the cell; along every dimension,
// and to the next level of a tree, not to the root.
func TestNearParent(t *testing.T) {
	dims := []gateway.Dimension{flat("a", "0", "1"), tree("g", "X: x y", "Y: z")}
	for _, test := range []struct {
		label string
		y     int64 // children in a=0, y
		want  Rule
	}{
		{"a=0|g=x", 9, RuleNear},
		{"a=0|g=x", 10, ""},
		{"a=1|g=z", 10, ""}, // z is the only child of Y: the same children
		{"a=0|g=X", 10, ""}, // against a=0: 60 in Y
	} {
		got := ruleOf(t, Rules{K: 10}, test.label, dims,
			children(50, "0", "x"), children(test.y, "0", "y"), children(60, "0", "z"),
			children(55, "1", "x"), children(40, "1", "y"), children(70, "1", "z"))
		if got != test.want {
			t.Errorf("%s with %d in y: %q, want %q", test.label, test.y, got, test.want)
		}
	}
}

// Rule 5: on sensitive dimensions, more than 95 per cent of a parent below 200. With
// the default near-parent rule it is implied, so that it is tested without.
func TestShare(t *testing.T) {
	for _, test := range []struct {
		in, out   int64
		sensitive bool
		want      Rule
	}{
		{96, 4, true, RuleShare},
		{95, 5, true, ""},
		{96, 4, false, ""},
		{190, 9, true, RuleShare}, // 95.5 per cent of 199
		{192, 8, true, ""},        // of 200
	} {
		harm := flat("harm", "0", "1")
		harm.Sensitive = test.sensitive
		l, err := Rules{K: 10}.limits()
		if err != nil {
			t.Fatal(err)
		}
		l.near = 0
		c := counts(t, every(harm), l, []row{children(test.in, "0"), children(test.out, "1")})
		if got := c.judge(&c.s.cells[c.s.label["harm=0"]]).rule; got != test.want {
			t.Errorf("%d beside %d: %q, want %q", test.in, test.out, got, test.want)
		}
	}
}

// Rule 4 implies rule 5 as long as K is 10 or more (disclosure.md 2.4).
func TestNearImpliesShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(1, minShareBelow-1).Draw(t, "parent")
		in := rapid.Int64Range(0, whole).Draw(t, "cell")
		if in*100 > maxShare*whole && whole-in >= MinK {
			t.Fatalf("%d of %d is a large share, but not near", in, whole)
		}
	})
}

// contributions are amounts of one magnitude cell.
func contributions(amounts ...int64) row {
	c := Count{Children: int64(len(amounts)) + 100}
	for i, a := range amounts {
		c.Parts = append(c.Parts, Part{uint64(i) + 1, a})
	}
	return row{[]string{"0"}, c}
}

// Dominance (2, 85) and p% with p = 10, at their edges.
func TestDominance(t *testing.T) {
	l, err := Rules{K: 10, Magnitude: true}.limits()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		amounts []int64
		want    Rule
	}{
		{[]int64{50, 35, 15}, ""},
		{[]int64{51, 35, 14}, RuleDominance},
		{[]int64{86}, RuleDominance},
		{[]int64{0, 0}, ""},
		{[]int64{40, 40, 4, 4, 4, 4, 4}, ""},
	} {
		c := counts(t, every(flat("a", "0", "1")), l, []row{contributions(test.amounts...)})
		sum := c.tally(c.s.cells[c.s.label[""]].column)
		if got := l.dominated(&sum); got != test.want {
			t.Errorf("%v: %q, want %q", test.amounts, got, test.want)
		}
	}
	l.DominancePercent = 100
	for _, test := range []struct {
		amounts []int64
		want    Rule
	}{
		{[]int64{100, 50, 10}, ""},
		{[]int64{100, 50, 9}, RuleP},
		{[]int64{100, 50, 5, 4}, RuleP},
		{[]int64{100, 50, 5, 5}, ""},
	} {
		c := counts(t, every(flat("a", "0", "1")), l, []row{contributions(test.amounts...)})
		sum := c.tally(c.s.cells[c.s.label[""]].column)
		if got := l.dominated(&sum); got != test.want {
			t.Errorf("%v: %q, want %q", test.amounts, got, test.want)
		}
	}
}

// The protection level is just enough: a cell that were larger by it would pass the
// rule, were the difference from many small contributors (Handbook 4.2.2).
func TestProtectionLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, err := Rules{K: 10, Magnitude: true}.limits()
		if err != nil {
			t.Fatal(err)
		}
		amounts := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 6).Draw(t, "amounts")
		sum := tally{children: 10}
		for i, a := range amounts {
			sum.parts = append(sum.parts, Part{uint64(i) + 1, a})
			sum.value += a
		}
		slices.SortFunc(sum.parts, func(a, b Part) int { return int(b.Amount - a.Amount) })
		up := l.protection(&sum)
		sum.value += up
		if rule := l.dominated(&sum); rule != "" {
			t.Fatalf("%v and %d more: still %s", amounts, up, rule)
		}
	})
}

// A hidden magnitude's interval reaches its protection level.
func TestMagnitudesAreProtected(t *testing.T) {
	tables, rows := magnitude1(t)
	tables.Definition.Impossible = nil
	for i := range rows {
		rows[i].count.Children += 20 // so that dominance alone decides
	}
	for _, sector := range []string{"Agriculture", "Governmental"} {
		rows = append(rows, row{[]string{"Iceland", sector}, Count{Children: 20, Parts: []Part{{101, 30}, {102, 20}, {103, 20}}}})
	}
	raw, err := NewRaw(tables, Rules{K: 10, Magnitude: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := raw.Add(r.nodes, r.count); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Rules{K: 10, Magnitude: true}.limits()
	if err != nil {
		t.Fatal(err)
	}
	c := counts(t, tables, l, rows)
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	dominated := 0
	for _, h := range p.Hidden {
		if !h.Primary {
			continue
		}
		dominated++
		sum := c.tally(c.s.cells[c.s.label[h.Label]].column)
		if up := l.protection(&sum); !h.Interval.Open && h.Interval.High < sum.value+up {
			t.Errorf("%s (%s) reaches %d tenths, its protection level is %d above %d", h.Label, h.Rule, h.Interval.High, up, sum.value)
		}
	}
	if dominated < 5 {
		t.Errorf("only %d cells are dominated", dominated)
	}
}

// A unit that reports to several hidden cells alone knows all of them together.
func TestInsidersAreJoined(t *testing.T) {
	unit := func(key uint64, n int64) Count { return Count{Children: n, Units: []Part{{key, n}}} }
	l := testRules(3)
	l.NeedUnits, l.near = true, 0
	c := counts(t, every(flat("a", "0", "1", "2", "3")), l, []row{
		{[]string{"0"}, unit(7, 20)},
		{[]string{"1"}, unit(7, 30)},
		{[]string{"2"}, unit(8, 30)},
		{[]string{"3"}, Count{Children: 1}},
	})
	p := c.begin()
	var got [][]string
	for _, who := range c.insiders(p) {
		var labels []string
		for _, i := range who {
			labels = append(labels, c.s.cells[i].label)
		}
		got = append(got, labels)
	}
	want := [][]string{
		{"a=0", "a=1"}, {"a=2"}, {"a=3"}, // each alone
		{"a=0", "a=1", "a=2"}, {"a=0", "a=1", "a=3"}, {"a=2", "a=3"}, // two in one column
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("insiders %q, want %q", got, want)
	}
}

// Insiders of the default rules: whoever subtracts a cell that is theirs leaves an
// interval of the full width.
func TestInsiderWidth(t *testing.T) {
	tables := every(flat("a", "0", "1", "2"), flat("b", "0", "1", "2"))
	rows := []row{
		children(1, "0", "0"), children(30, "0", "1"), children(40, "0", "2"),
		children(5, "1", "0"), children(25, "1", "1"), children(35, "1", "2"),
		children(44, "2", "0"), children(55, "2", "1"), children(66, "2", "2"),
	}
	l, err := Rules{K: 10}.limits()
	if err != nil {
		t.Fatal(err)
	}
	c := counts(t, tables, l, rows)
	p := protectStages(t, c)
	who := c.insiders(p)
	if len(who) == 0 {
		t.Fatal("nobody is alone in a cell")
	}
	for _, w := range who {
		var known []equation
		for _, i := range w {
			known = append(known, equation{c.s.cells[i].column, p.value[i], -1})
		}
		a, err := c.attack(append(c.knowledge(p), known...))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.primaries {
			if slices.Contains(w, i) {
				continue
			}
			x, err := a.extent(c.s.cells[i].column)
			if err != nil {
				t.Fatal(err)
			}
			if !x.inward().meets(need{10, 10}) {
				t.Errorf("an insider places %s in [%d, %d]", c.s.cells[i].label, x.inward().Low, x.inward().High)
			}
		}
	}
}
