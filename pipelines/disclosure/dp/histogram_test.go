package dp

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// A row is a child of a test population with its contributions.
type row struct {
	key   uint64
	cells []Contribution
}

var sectors = []string{"police", "health", "education", "social"}

// populations draws children by sector; a child may name a cell several times.
func populations(measure gateway.Measure) *rapid.Generator[[]row] {
	return rapid.Custom(func(t *rapid.T) []row {
		keys := rapid.SliceOfNDistinct(rapid.Uint64(), 1, 12, rapid.ID[uint64]).Draw(t, "keys")
		slices.Sort(keys)
		rows := make([]row, len(keys))
		for i, key := range keys {
			rows[i].key = key
			for _, s := range rapid.SliceOfN(rapid.SampledFrom(sectors), 0, 6).Draw(t, "sectors") {
				c := Contribution{Nodes: []string{s}}
				if measure == gateway.CountRecords {
					c.Value = rapid.OneOf(rapid.Int64Range(-30, 30), rapid.Int64()).Draw(t, "value")
				}
				rows[i].cells = append(rows[i].cells, c)
			}
		}
		return rows
	})
}

// counted fills a histogram and returns its true counts, which only a test in the
// package can do.
func counted(tb rapid.TB, o *HistogramOptions, rows []row) *counts {
	tb.Helper()
	h := filled(tb, o, rows)
	c, err := h.take()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func filled(tb rapid.TB, o *HistogramOptions, rows []row) *Histogram {
	tb.Helper()
	h, err := NewHistogram(o)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rows {
		if err := h.Add(ChildKey(r.key), r.cells); err != nil {
			tb.Fatal(err)
		}
	}
	return h
}

// The heart of the proof (disclosure.md 2.10): all rows of any one child taken
// away, the clamped histogram moves by at most u·sqrt(c) in L2 and c·u in L1, no
// cell by more than u, and the numbers of children by at most 1 in at most c cells.
func TestSensitivity(t *testing.T) {
	for _, measure := range []gateway.Measure{gateway.CountChildren, gateway.CountRecords} {
		rapid.Check(t, func(t *rapid.T) {
			terms := Terms{Cells: rapid.IntRange(1, 4).Draw(t, "c"), Rho: SuggestedRho}
			if measure == gateway.CountRecords {
				terms.Low = rapid.Int64Range(-9, 5).Draw(t, "low")
				terms.High = rapid.Int64Range(max(terms.Low, 1), 20).Draw(t, "high")
			}
			o := bySector(terms)
			o.Measure = measure
			rows := populations(measure).Draw(t, "children")
			gone := rapid.IntRange(0, len(rows)-1).Draw(t, "gone")
			checkNeighbours(t, terms, counted(t, o, rows), counted(t, o, slices.Delete(slices.Clone(rows), gone, gone+1)))
		})
	}
}

func checkNeighbours(tb rapid.TB, terms Terms, with, without *counts) {
	tb.Helper()
	unit, c := terms.unit(), int64(terms.Cells)
	var l1, l2, l0, cells int64
	for i := range with.sums {
		d := with.sums[i] - without.sums[i]
		l1, l2 = l1+max(d, -d), l2+d*d
		if d > unit || d < -unit {
			tb.Errorf("a cell moved by more than %d", unit)
		}
		if d != 0 {
			l0++
		}
		moved := with.children[i] - without.children[i]
		if moved != 0 && moved != 1 {
			tb.Errorf("a cell lost %d children", moved)
		}
		cells += moved
	}
	if l2 > c*unit*unit || l1 > c*unit || l0 > c || cells > c {
		tb.Errorf("c = %d, u = %d: L2² %d, L1 %d, L0 %d, children %d", c, unit, l2, l1, l0, cells)
	}
}

// The bounds are reached: a bound that is never reached wastes noise.
func TestSensitivityIsTight(t *testing.T) {
	everywhere := make([]Contribution, len(sectors))
	for i, s := range sectors {
		everywhere[i] = Contribution{Nodes: []string{s}}
	}
	for c := 1; c <= 4; c++ {
		n := counted(t, bySector(Terms{Cells: c, Rho: SuggestedRho}), []row{{7, everywhere}})
		sum := int64(0)
		for _, v := range n.sums {
			sum += v * v
		}
		if sum != int64(c) {
			t.Errorf("c = %d: L2² is %d", c, sum)
		}
	}
}

// Which cells of a child are kept depends on the child, its cells and the key, on
// nobody else and not on the order of its rows; and every cell gets its share: of
// 2,000 children in all four sectors with c = 1, each keeps about a quarter (5.5
// standard errors: 4e-8 each).
func TestBoundingDependsOnTheChildAlone(t *testing.T) {
	o := bySector(Terms{Cells: 2, Rho: SuggestedRho})
	rapid.Check(t, func(t *rapid.T) {
		rows := populations(gateway.CountChildren).Draw(t, "children")
		together := counted(t, o, rows)
		sums := make([]int64, len(sectors))
		for _, r := range rows {
			r.cells = rapid.Permutation(r.cells).Draw(t, "order")
			for i, v := range counted(t, o, []row{r}).sums {
				sums[i] += v
			}
		}
		if !slices.Equal(sums, together.sums) {
			t.Errorf("alone %v, together %v", sums, together.sums)
		}
	})
	const children = 2000
	var rows []row
	for i := range uint64(children) {
		r := row{key: i}
		for _, s := range sectors {
			r.cells = append(r.cells, Contribution{Nodes: []string{s}})
		}
		rows = append(rows, r)
	}
	for _, v := range counted(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}), rows).sums {
		if off := math.Abs(float64(v) - children/4); off > 5.5*math.Sqrt(children*3/16) {
			t.Errorf("a cell kept %d of %d children", v, children)
		}
	}
}

// Nothing of a child that stays within bounds is lost, repeated cells count once,
// and records are added up before they are clamped.
func TestCountsAreTrueWithinBounds(t *testing.T) {
	rows := []row{
		{1, []Contribution{{Nodes: []string{"police"}, Value: 3}, {Nodes: []string{"police"}, Value: 4}, {Nodes: []string{"social"}, Value: -50}}},
		{2, []Contribution{{Nodes: []string{"police"}, Value: 100}}},
		{3, nil},
		{4, []Contribution{{Nodes: []string{"health"}, Value: math.MaxInt64}, {Nodes: []string{"health"}, Value: 1}}},
	}
	o := bySector(Terms{Cells: 4, Rho: SuggestedRho})
	if got := counted(t, o, rows); !slices.Equal(got.sums, []int64{2, 1, 0, 1}) || !slices.Equal(got.children, got.sums) {
		t.Errorf("children: %v, %v", got.sums, got.children)
	}
	o.Measure, o.Terms.Low, o.Terms.High = gateway.CountRecords, -2, 20
	if got := counted(t, o, rows); !slices.Equal(got.sums, []int64{27, 20, 0, -2}) || !slices.Equal(got.children, []int64{2, 1, 0, 1}) {
		t.Errorf("records: %v, %v", got.sums, got.children)
	}
}

// Cells are in the order of the code lists, the last dimension fastest, and every
// one is there.
func TestCellsAreThoseOfTheCodeLists(t *testing.T) {
	o := bySector(Terms{Cells: 4, Rho: SuggestedRho})
	o.Set = gateway.GroupingSet{{Name: "age", Level: 1}, {Name: "sector"}, {Name: "sex"}}
	h := histogram(t, o)
	var want []string
	for _, age := range []string{"Y0T4", "Y5T9", "Y10T14", "Y15T17"} {
		for _, sector := range sectors {
			for _, sex := range []string{"F", "M"} {
				want = append(want, age+"|"+sector+"|"+sex)
			}
		}
	}
	for i := range h.plan.cells() {
		if got := strings.Join(h.plan.nodes(i), "|"); got != want[i] {
			t.Errorf("cell %d is %s, want %s", i, got, want[i])
		}
	}
	if h.Question().String() != "release=pilot-1|measure=children|age@band|sector@sector|sex@sex" || h.Terms() != o.Terms {
		t.Errorf("question %q, terms %v", h.Question(), h.Terms())
	}
	if err := h.Add(ChildKey(1), []Contribution{{Nodes: []string{"Y10T14", "social", "F"}}}); err != nil {
		t.Fatal(err)
	}
	c, err := h.take()
	if err != nil || c.sums[22] != 1 || want[22] != "Y10T14|social|F" {
		t.Errorf("the child is in the wrong cell: %v", err)
	}
}

// The total is a histogram of one cell.
func TestTotal(t *testing.T) {
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho})
	o.Set = nil
	got := counted(t, o, []row{{1, []Contribution{{}}}, {2, []Contribution{{}, {}}}, {3, nil}})
	if !slices.Equal(got.sums, []int64{2}) {
		t.Errorf("total %v", got.sums)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*HistogramOptions){
		"no definition":          func(o *HistogramOptions) { o.Definition = nil },
		"no release":             func(o *HistogramOptions) { o.Release = "" },
		"release with a bar":     func(o *HistogramOptions) { o.Release = "a|b" },
		"release not text":       func(o *HistogramOptions) { o.Release = "\xff" },
		"no key":                 func(o *HistogramOptions) { o.Bound = nil },
		"no measure":             func(o *HistogramOptions) { o.Measure = "" },
		"unknown measure":        func(o *HistogramOptions) { o.Measure = "sum" },
		"unknown dimension":      func(o *HistogramOptions) { o.Set = gateway.GroupingSet{{Name: "region"}} },
		"unknown level":          func(o *HistogramOptions) { o.Set[0].Level = 1 },
		"level below 0":          func(o *HistogramOptions) { o.Set[0].Level = -1 },
		"set not sorted":         func(o *HistogramOptions) { o.Set = gateway.GroupingSet{{Name: "sex"}, {Name: "sector"}} },
		"dimension twice":        func(o *HistogramOptions) { o.Set = append(o.Set, o.Set[0]) },
		"measure of another set": func(o *HistogramOptions) { o.Set[0].Name = "sex"; o.Measure = gateway.CountRecords; o.Terms.High = 5 },
		"no cells":               func(o *HistogramOptions) { o.Terms.Cells = 0 },
		"cells below 0":          func(o *HistogramOptions) { o.Terms.Cells = -1 },
		"cells beyond reach":     func(o *HistogramOptions) { o.Terms.Cells = 5 },
		"cells of a partition":   func(o *HistogramOptions) { o.Set[0].Name = "sex" },
		"no price":               func(o *HistogramOptions) { o.Terms.Rho = 0 },
		"two prices":             func(o *HistogramOptions) { o.Terms.Epsilon = 1 },
		"rho below 0":            func(o *HistogramOptions) { o.Terms.Rho = -1 },
		"rho below 0 and eps":    func(o *HistogramOptions) { o.Terms.Rho, o.Terms.Epsilon = -1, lossUnit },
		"rho too large":          func(o *HistogramOptions) { o.Terms.Rho = maxRho + 1 },
		"epsilon too large":      func(o *HistogramOptions) { o.Terms.Rho, o.Terms.Epsilon = 0, maxEpsilon+1 },
		"clamp for children":     func(o *HistogramOptions) { o.Terms.High = 1 },
		"records without clamp":  func(o *HistogramOptions) { o.Measure = gateway.CountRecords },
		"clamp upside down":      func(o *HistogramOptions) { o.Measure = gateway.CountRecords; o.Terms.Low, o.Terms.High = 2, 1 },
		"clamp too high":         func(o *HistogramOptions) { o.Measure = gateway.CountRecords; o.Terms.High = maxClamp + 1 },
		"clamp too low":          func(o *HistogramOptions) { o.Measure = gateway.CountRecords; o.Terms.Low = -maxClamp - 1 },
		"only noise": func(o *HistogramOptions) {
			o.Measure, o.Terms.High, o.Terms.Rho = gateway.CountRecords, maxClamp, 0
			o.Terms.Epsilon = 1
		},
		"bad selection": func(o *HistogramOptions) { o.Terms.Selection.PreThreshold = 5 },
		"lineage empty": func(o *HistogramOptions) { o.Definition.Lineage = "" },
		"no cubes":      func(o *HistogramOptions) { o.Definition.Cubes = nil },
		"cube of what":  func(o *HistogramOptions) { o.Definition.Cubes[0].Dimensions = []string{"region"} },
		"code twice":    func(o *HistogramOptions) { o.Definition.Dimensions[1].Nodes[1].Code = "police" },
		"code empty":    func(o *HistogramOptions) { o.Definition.Dimensions[1].Nodes[1].Code = "" },
		"code not text": func(o *HistogramOptions) { o.Definition.Dimensions[1].Nodes[1].Code = "\xff" },
		"node off tree": func(o *HistogramOptions) { o.Definition.Dimensions[2].Nodes[3].Parent = "nobody" },
		"node level":    func(o *HistogramOptions) { o.Definition.Dimensions[1].Nodes[1].Level = 2 },
		"level empty":   func(o *HistogramOptions) { o.Definition.Dimensions[1].Levels = []string{"sector", "fine"} },
		"name twice":    func(o *HistogramOptions) { o.Definition.Dimensions[2].Name = "sector" },
	} {
		o := bySector(Terms{Cells: 2, Rho: SuggestedRho})
		change(o)
		h, err := NewHistogram(o)
		if !errors.Is(err, gateway.Invalid) || h != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewHistogram(nil); !errors.Is(err, gateway.Invalid) {
		t.Errorf("no options: %v", err)
	}
}

// What Add refuses leaves the histogram as it was, and the error tells neither the
// child, nor the cell, nor the value.
func TestAddRefuses(t *testing.T) {
	h := filled(t, bySector(Terms{Cells: 4, Rho: SuggestedRho}), []row{{100, []Contribution{{Nodes: []string{"police"}}}}})
	good := []Contribution{{Nodes: []string{"health"}}}
	for name, c := range map[string]struct {
		child []byte
		cells []Contribution
		want  gateway.Kind
	}{
		"again":          {ChildKey(100), good, gateway.Internal},
		"earlier":        {ChildKey(99), good, gateway.Internal},
		"no child":       {nil, good, gateway.Internal},
		"long child":     {bytes.Repeat([]byte{255}, MaxChild+1), good, gateway.Internal},
		"unknown code":   {ChildKey(101), []Contribution{good[0], {Nodes: []string{"AIGERIM"}, Value: 424242}}, gateway.Invalid},
		"too few nodes":  {ChildKey(101), []Contribution{{}}, gateway.Invalid},
		"too many nodes": {ChildKey(101), []Contribution{{Nodes: []string{"health", "F"}}}, gateway.Invalid},
	} {
		err := h.Add(c.child, c.cells)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "AIGERIM") || strings.Contains(err.Error(), "424242")) {
			t.Errorf("%s: the error tells the data: %v", name, err)
		}
	}
	if err := h.Add(ChildKey(101), good); err != nil {
		t.Errorf("a refused child was counted: %v", err)
	}
	c, err := h.take()
	if err != nil || !slices.Equal(c.sums, []int64{1, 1, 0, 0}) {
		t.Errorf("counts %v, %v", c.sums, err)
	}
}

func TestHistogramIsUsedOnce(t *testing.T) {
	h := filled(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}), nil)
	if _, err := h.take(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.take(); !errors.Is(err, gateway.Conflict) {
		t.Errorf("a second take: %v", err)
	}
	if err := h.Add(ChildKey(1), nil); !errors.Is(err, gateway.Conflict) {
		t.Errorf("Add after take: %v", err)
	}
	if err := (Histogram{}).Add(ChildKey(1), nil); !errors.Is(err, gateway.Internal) {
		t.Errorf("Add to a histogram that was not made: %v", err)
	}
}

// No verb, encoder or reflection shows a count: 7,654 children are in one cell.
func TestCountsCannotBeShown(t *testing.T) {
	const secret = 7654
	h := histogram(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}))
	for i := range uint64(secret) {
		if err := h.Add(ChildKey(i), []Contribution{{Nodes: []string{"health"}}}); err != nil {
			t.Fatal(err)
		}
	}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q", "%T"} {
		shown = append(shown, fmt.Sprintf(verb, h), fmt.Sprintf(verb, *h), fmt.Sprintf(verb, struct{ H *Histogram }{h}), fmt.Sprintf(verb, []Histogram{*h}))
	}
	for _, s := range shown {
		if strings.Contains(s, "7654") || strings.Contains(s, "1de6") {
			t.Errorf("the count is shown: %s", s)
		}
	}
	for _, v := range []any{h, *h, struct{ H *Histogram }{h}, map[string]any{"h": h}} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("JSON: %s", b)
		}
	}
	if _, err := h.MarshalText(); err == nil {
		t.Error("MarshalText succeeded")
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(h); err == nil {
		t.Error("gob succeeded")
	}
}

// Counts are overwritten when they have been used.
func TestWipe(t *testing.T) {
	c := counted(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}), []row{{1, []Contribution{{Nodes: []string{"health"}}}}})
	c.wipe()
	if !slices.Equal(c.sums, make([]int64, 4)) || !slices.Equal(c.children, make([]int64, 4)) {
		t.Error("counts survive")
	}
}

// Costs and spreads of terms, by hand.
func TestTerms(t *testing.T) {
	for _, c := range []struct {
		name   string
		terms  Terms
		cost   Cost
		spread float64
	}{
		{"one cell", Terms{Cells: 1, Rho: SuggestedRho}, Cost{Rho: SuggestedRho}, 5},
		{"four cells", Terms{Cells: 4, Rho: SuggestedRho}, Cost{Rho: SuggestedRho}, 20},
		{"records to 20", Terms{Cells: 2, High: 20, Rho: SuggestedRho}, Cost{Rho: SuggestedRho}, 4000},
		{"records from -30", Terms{Cells: 1, Low: -30, High: 20, Rho: lossUnit / 2}, Cost{Rho: lossUnit / 2}, 900},
		{"only negative", Terms{Cells: 1, Low: -30, High: -20, Rho: lossUnit / 2}, Cost{Rho: lossUnit / 2}, 900},
		{"laplace", Terms{Cells: 2, Epsilon: lossUnit}, Cost{Rho: lossUnit / 2}, 8},
		{"laplace of little", Terms{Cells: 1, Epsilon: 1000}, Cost{Rho: 1}, 2e12},
		{
			"selected",
			Terms{Cells: 2, Rho: SuggestedRho, Selection: Selection{Epsilon: lossUnit, Delta: 77}},
			Cost{Rho: SuggestedRho + lossUnit/4, Delta: 77},
			10,
		},
		{
			"rounded up",
			Terms{Cells: 3, Rho: 1, Selection: Selection{Epsilon: lossUnit, Delta: 1}},
			Cost{Rho: 1 + 166_666_667, Delta: 1},
			1.5e9,
		},
	} {
		if got := c.terms.Cost(); got != c.cost {
			t.Errorf("%s: costs %v, want %v", c.name, got, c.cost)
		}
		if got := c.terms.Variance(); math.Abs(got-c.spread) > 1e-9*c.spread {
			t.Errorf("%s: variance %v, want %v", c.name, got, c.spread)
		}
	}
}
