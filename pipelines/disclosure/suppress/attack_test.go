package suppress

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Two small cells in one column: no primary is computed, and still both are at most
// 7. The interval must reach K, so that a third cell is hidden (disclosure.md 2.6
// step 3: max >= k).
func TestIntervalsReachTheThreshold(t *testing.T) {
	raw, err := NewRaw(every(flat("a", "0", "1", "2", "3")), Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	for code, n := range map[string]int64{"0": 3, "1": 4, "2": 93, "3": 60} {
		if err := raw.Add([]string{code}, Count{Children: n}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Hidden{
		"a=0": {"a=0", RuleThreshold, true, Interval{Low: 0, High: 67}},
		"a=1": {"a=1", RuleThreshold, true, Interval{Low: 0, High: 67}},
		"a=3": {"a=3", RuleRepair, false, Interval{}},
	}
	if len(p.Hidden) != len(want) {
		t.Errorf("hidden: %v", p.Hidden)
	}
	for _, h := range p.Hidden {
		if h != want[h.Label] {
			t.Errorf("%v, want %v", h, want[h.Label])
		}
	}
}

func TestNeeds(t *testing.T) {
	l, err := Rules{K: 10, Width: 12, InsiderWidth: 4}.limits()
	if err != nil {
		t.Fatal(err)
	}
	c := counts(t, every(flat("a", "0", "1")), l, []row{children(3, "0"), children(300, "1")})
	if v := c.judge(&c.s.cells[c.s.label["a=0"]]); v.need != (need{12, 10}) {
		t.Errorf("a small cell needs %v", v.need)
	}
	if n := l.inside(need{12, 10}); n != (need{4, 4}) {
		t.Errorf("against insiders it needs %v", n)
	}
	for _, test := range []struct {
		i    Interval
		want bool
	}{
		{Interval{Low: 0, High: 12}, true},
		{Interval{Low: 0, High: 11}, false},
		{Interval{Low: 30, High: 41}, false},
		{Interval{Low: 30, High: 42}, true},
		{Interval{Low: -3, High: 9}, false},
		{Interval{Low: 30, Open: true}, true},
	} {
		if test.i.meets(need{12, 10}) != test.want {
			t.Errorf("%v meets width 12, top 10: %v", test.i, !test.want)
		}
	}
}

// hideSome hides random cells of a small family of tables.
func hideSome(t *rapid.T) (*counted, *plan) {
	c, err := fill(t, small(t), testRules(0)).take()
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{rule: make([]Rule, len(c.s.cells)), value: make([]int64, len(c.s.cells)), verdict: map[int]verdict{}}
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "hide"), 1))
	for i := range c.s.cells {
		p.value[i] = c.sum(c.s.cells[i].column)
		if r.IntN(2) == 0 {
			p.hide(i, RuleWithheld)
		}
	}
	return c, p
}

// The prices of all equations, those that were solved without a program included,
// prove the end of an interval: they add up to it, and they are feasible. So a cell
// without a price need not be tried in a repair.
func TestPricesProveTheEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := hideSome(t)
		a, err := c.attack(c.knowledge(p))
		if err != nil {
			t.Fatal(err)
		}
		column := c.s.cells[rapid.IntRange(0, len(c.s.cells)-1).Draw(t, "cell")].column
		for _, sign := range []int64{-1, 1} {
			end, err := a.end(column, sign, nil)
			if err != nil {
				t.Fatal(err)
			}
			if end == nil {
				continue
			}
			y, err := a.prices(column, sign)
			if err != nil {
				t.Fatal(err)
			}
			proved := new(big.Rat)
			charged := make([]*big.Rat, c.s.size)
			for b := range charged {
				charged[b] = new(big.Rat)
			}
			for e, price := range y {
				if price == nil {
					continue
				}
				proved.Add(proved, new(big.Rat).Mul(price, big.NewRat(a.eqs[e].rhs, 1)))
				add(charged, a.eqs[e].column, price)
			}
			if want := new(big.Rat).Mul(end, big.NewRat(sign, 1)); proved.Cmp(want) != 0 {
				t.Fatalf("prices add up to %s, the end is %s", proved, want)
			}
			for _, b := range column {
				charged[b].Sub(charged[b], big.NewRat(sign, 1))
			}
			for b := range charged {
				if charged[b].Sign() < 0 {
					t.Fatalf("base cell %d is charged too little", b)
				}
			}
		}
	})
}

// Hiding one cell more never narrows an interval: repairs may go on where they were.
func TestHidingMoreNeverNarrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := hideSome(t)
		width := func() []*big.Rat {
			a, err := c.attack(c.knowledge(p))
			if err != nil {
				t.Fatal(err)
			}
			var all []*big.Rat
			for i := range c.s.cells {
				x, err := a.extent(c.s.cells[i].column)
				if err != nil {
					t.Fatal(err)
				}
				if v := big.NewRat(p.value[i], 1); x.low.Cmp(v) > 0 || x.high != nil && x.high.Cmp(v) < 0 {
					t.Fatalf("the truth is outside [%s, %v]", x.low, x.high)
				}
				all = append(all, x.width(1<<40))
			}
			return all
		}
		before := width()
		p.hide(rapid.IntRange(0, len(p.rule)-1).Draw(t, "also"), RuleWithheld)
		for i, w := range width() {
			if w.Cmp(before[i]) < 0 {
				t.Fatalf("%s is narrower", c.s.cells[i].label)
			}
		}
	})
}

// The ends that the audit finds are those of brute force, where the matrix is that of
// a two-way table and so every vertex is whole.
func TestEndsAreExactInTwoWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := hideSome(t)
		if len(c.s.axes) > 2 {
			return
		}
		var columns, targets [][]int32
		var values []int64
		for i, r := range p.rule {
			targets = append(targets, c.s.cells[i].column)
			if r == "" {
				columns, values = append(columns, c.s.cells[i].column), append(values, p.value[i])
			}
		}
		a, err := c.attack(c.knowledge(p))
		if err != nil {
			t.Fatal(err)
		}
		e := enumerate(c.s.size, columns, values, targets, 2)
		if e.budget <= 0 {
			return
		}
		for i, target := range targets {
			x, err := a.extent(target)
			if err != nil {
				t.Fatal(err)
			}
			if x.high == nil {
				continue
			}
			if got := x.inward(); got.Low != e.low[i] || got.High != e.high[i] {
				t.Fatalf("%s: [%d, %d], by enumeration [%d, %d]", c.s.cells[i].label, got.Low, got.High, e.low[i], e.high[i])
			}
		}
	})
}

// Three sums of two unknowns each have one solution, of halves. Sightings of
// fractions are rounded inwards, and nothing whole is inside.
func TestFractionsAreRoundedInwards(t *testing.T) {
	s := &system{size: 3, void: make([]bool, 3), cells: []cell{{column: []int32{0}}, {column: []int32{0, 1, 2}}}}
	c := &counted{s: s, base: make([]Count, 3), work: maxWork}
	a, err := c.attack([]equation{{[]int32{0, 1}, 5, -1}, {[]int32{1, 2}, 5, -1}, {[]int32{0, 2}, 5, -1}})
	if err != nil {
		t.Fatal(err)
	}
	seen := newSightings(c, a, []int{0, 1})
	x, err := seen.extent(0)
	if err != nil {
		t.Fatal(err)
	}
	if half := big.NewRat(5, 2); x.low.Cmp(half) != 0 || x.high.Cmp(half) != 0 {
		t.Errorf("[%s, %s], want 5/2", x.low, x.high)
	}
	if got := x.inward(); got != (Interval{Low: 3, High: 2}) {
		t.Errorf("whole numbers in [5/2, 5/2]: [%d, %d]", got.Low, got.High)
	}
	for target, want := range map[int]Interval{0: {Low: 3, High: 2}, 1: {Low: 8, High: 7}} {
		if got := seen.ends[sighting{target, 0}]; got != want {
			t.Errorf("target %d was seen at %v, want %v", target, got, want)
		}
	}
	if seen.meets(0, need{0, 0}) {
		t.Error("an empty interval is wide enough")
	}
}

// Nothing published, nothing known: open above.
func TestNothingKnown(t *testing.T) {
	tables := every(flat("a", "0", "1"))
	c := counts(t, tables, upTo(0), []row{children(5, "0")})
	p := c.begin()
	for i := range p.rule {
		p.hide(i, RuleWithheld)
	}
	for i := range p.rule {
		if got := intervalOf(t, c, p, i); got != (Interval{Open: true}) {
			t.Errorf("%s: %v", c.s.cells[i].label, got)
		}
	}
}

// Published cells that contradict one another are an internal fault, not an interval.
func TestContradictionsAreRefused(t *testing.T) {
	c := counts(t, every(flat("a", "0", "1"), flat("b", "0", "1")), upTo(0), []row{children(5, "0", "0"), children(6, "1", "1")})
	a, err := c.attack([]equation{{[]int32{0, 1}, 5, -1}, {[]int32{2, 3}, 5, -1}, {[]int32{0, 1, 2, 3}, 11, -1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.extent([]int32{0}); err == nil {
		t.Error("5 + 5 = 11 was solved")
	}
}

func BenchmarkProtect(b *testing.B) {
	for _, test := range []struct {
		name     string
		tables   Tables
		children int
	}{
		{"region20-age4/2k", every(flat("age", codes("a", 4)...), flat("region", codes("r", 20)...)), 2000},
		{"region20-age4-sex2/20k", every(flat("age", codes("a", 4)...), flat("region", codes("r", 20)...), flat("sex", "F", "M")), 20000},
		{"region20-age4-sex2/4k", every(flat("age", codes("a", 4)...), flat("region", codes("r", 20)...), flat("sex", "F", "M")), 4000},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				raw, err := NewRaw(test.tables, Rules{K: 10})
				if err != nil {
					b.Fatal(err)
				}
				s, err := newSystem(&test.tables)
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range population(s, test.children) {
					if err := raw.Add(r.nodes, r.count); err != nil {
						b.Fatal(err)
					}
				}
				p, err := Protect(raw)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(s.cells)), "cells")
				b.ReportMetric(float64(len(p.Hidden)), "hidden")
			}
		})
	}
}

// population spreads children over the base cells, unevenly, as regions differ.
func population(s *system, n int) []row {
	r := rand.New(rand.NewPCG(1, 7))
	weight, total := make([]float64, s.size), 0.0
	for b := range weight {
		weight[b] = r.ExpFloat64() + 0.05
		total += weight[b]
	}
	var rows []row
	for b := range weight {
		if k := int64(weight[b]/total*float64(n) + r.Float64()); k > 0 {
			rows = append(rows, children(k, codesOf(s, b)...))
		}
	}
	return rows
}

// A standing table of one dimension: the small cell is hidden, and with it the
// smallest other that keeps it from being computed.
func ExampleProtect() {
	region := gateway.Dimension{
		Name: "region", Kind: gateway.Partition, Levels: []string{"region"},
		Nodes: []gateway.Node{{Code: "10"}, {Code: "11"}, {Code: "15"}},
	}
	set := gateway.GroupingSet{{Name: "region"}}
	raw, err := NewRaw(Tables{
		Definition: &gateway.Definition{Dimensions: []gateway.Dimension{region}},
		Sets:       []gateway.GroupingSet{{}, set},
	}, Rules{K: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	for code, children := range map[string]int64{"10": 6, "11": 95, "15": 120} {
		if err := raw.Add([]string{code}, Count{Children: children}); err != nil {
			fmt.Println(err)
			return
		}
	}
	p, err := Protect(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	cells, err := p.Cells(set)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range cells {
		if c.Value != nil {
			fmt.Println(c.Nodes, c.Status, *c.Value)
			continue
		}
		fmt.Println(c.Nodes, c.Status)
	}
	for _, h := range p.Hidden {
		fmt.Println("officer:", h.Label, h.Rule, h.Interval.Low, h.Interval.High)
	}
	// Output:
	// [10] suppressed
	// [11] suppressed
	// [15] value 120
	// officer: region=10 threshold 0 101
	// officer: region=11 secondary 0 0
}
