package suppress

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// A shape is a small family of linked tables with counts.
type shape struct {
	tables Tables
	rows   []row
}

// small draws tables of two or three dimensions, at most 12 base cells, with a
// tree or without, with or without the finest crossing.
func small(t *rapid.T) shape {
	a := flat("a", "0", "1", "2")
	b := flat("b", "0", "1")
	if rapid.Bool().Draw(t, "wide") {
		b = flat("b", "0", "1", "2")
	}
	dims := []gateway.Dimension{a, b}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		dims[0] = tree("a", "A: 0 1", "B: 2 3")
	case 1:
		dims = []gateway.Dimension{flat("a", "0", "1"), flat("b", "0", "1"), flat("c", "0", "1", "2")}
	}
	s := shape{tables: every(dims...)}
	if rapid.Bool().Draw(t, "sparse sets") { // leave out some sets, the total never
		s.tables.Sets = slices.DeleteFunc(s.tables.Sets, func(g gateway.GroupingSet) bool {
			return len(g) > 1 && rapid.IntRange(0, 2).Draw(t, "drop") == 0
		})
	}
	sys, err := newSystem(&s.tables)
	if err != nil {
		t.Fatal(err)
	}
	n := rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 3, 4, 5, 7, 12}), sys.size, sys.size).Draw(t, "n")
	for i, count := range n {
		s.rows = append(s.rows, children(count, codesOf(sys, i)...))
	}
	return s
}

func codesOf(s *system, b int) []string {
	codes := make([]string, len(s.axes))
	for i := range s.axes {
		codes[i] = s.axes[i].codes[b/s.axes[i].stride%len(s.axes[i].codes)]
	}
	return codes
}

// testRules are rules with every part on and small numbers.
func testRules(k int64) limits {
	return limits{
		Rules: Rules{K: k, Width: k, InsiderWidth: 1, SharePercent: 95, ShareBelow: 20, DominancePercent: 85, P: 10},
		near:  1, dominantOf: 2, insidersFree: true,
	}
}

func fill(t interface {
	Helper()
	Fatal(args ...any)
}, s shape, l limits,
) *Raw {
	t.Helper()
	raw, err := newRaw(&s.tables, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.rows {
		if r.count.Children > 0 {
			if err := raw.Add(r.nodes, r.count); err != nil {
				t.Fatal(err)
			}
		}
	}
	return raw
}

// An enumeration is the attacker who tries every table there is: all whole numbers
// for the base cells that give the published values. It shares nothing with the
// audit but the columns.
type enumeration struct {
	columns [][]int32 // known
	rest    []int64
	last    [][]int // base cell → known columns that it is the last of
	in      [][]int // base cell → known columns
	most    int64   // of a base cell that nothing bounds
	x       []int64
	low     []int64 // of the targets
	high    []int64
	targets [][]int32
	found   int
	budget  int // steps left; at 0 the enumeration is given up
}

func enumerate(size int, columns [][]int32, values []int64, targets [][]int32, most int64) *enumeration {
	e := &enumeration{
		columns: columns, rest: slices.Clone(values), last: make([][]int, size), in: make([][]int, size), most: most,
		x: make([]int64, size), targets: targets, low: make([]int64, len(targets)), high: make([]int64, len(targets)),
		budget: 400_000,
	}
	for k, column := range columns {
		for _, b := range column {
			e.in[b] = append(e.in[b], k)
		}
		if len(column) > 0 {
			b := slices.Max(column)
			e.last[b] = append(e.last[b], k)
		}
	}
	for i := range targets {
		e.low[i], e.high[i] = 1<<60, -1
	}
	e.walk(0)
	return e
}

func (e *enumeration) walk(b int) {
	if e.budget--; e.budget <= 0 {
		return
	}
	if b == len(e.x) {
		e.found++
		for i, target := range e.targets {
			sum := int64(0)
			for _, c := range target {
				sum += e.x[c]
			}
			e.low[i], e.high[i] = min(e.low[i], sum), max(e.high[i], sum)
		}
		return
	}
	from, to := int64(0), e.most
	if len(e.in[b]) > 0 {
		to = 1 << 40
	}
	for _, k := range e.in[b] {
		to = min(to, e.rest[k])
	}
	for _, k := range e.last[b] {
		from = max(from, e.rest[k])
	}
	for v := from; v <= to; v++ {
		ok := true
		for _, k := range e.in[b] {
			e.rest[k] -= v
		}
		for _, k := range e.last[b] {
			ok = ok && e.rest[k] == 0
		}
		if ok {
			e.x[b] = v
			e.walk(b + 1)
		}
		for _, k := range e.in[b] {
			e.rest[k] += v
		}
	}
}

// published returns what a pattern shows, through its public face alone.
func published(t interface {
	Helper()
	Fatal(args ...any)
}, sys *system, tables Tables, p *Pattern,
) (columns [][]int32, values []int64) {
	t.Helper()
	for _, set := range tables.Sets {
		cells, err := p.Cells(set)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			if c.Status == gateway.StatusValue {
				columns = append(columns, sys.column(set, c.Nodes))
				values = append(values, *c.Value)
			}
		}
	}
	return columns, values
}

// No hidden cell has an interval narrower than its rule: checked by trying every
// table of whole numbers that the published cells allow. The reported interval is
// never wider than what is really possible, so that the officer is not told more
// safety than there is.
func TestNoIntervalIsTooNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		l := testRules(3)
		p, err := Protect(fill(t, s, l))
		if err != nil {
			t.Fatal(err)
		}
		sys, err := newSystem(&s.tables)
		if err != nil {
			t.Fatal(err)
		}
		columns, values := published(t, sys, s.tables, p)
		var targets [][]int32
		var hidden []Hidden
		for _, h := range p.Hidden {
			if h.Primary {
				targets = append(targets, sys.cells[sys.label[h.Label]].column)
				hidden = append(hidden, h)
			}
		}
		if len(targets) == 0 {
			return
		}
		e := enumerate(sys.size, columns, values, targets, 4)
		if e.budget <= 0 {
			return // too many tables to try
		}
		if e.found == 0 {
			t.Fatal("no table at all agrees with what is published")
		}
		for i, h := range hidden {
			if e.high[i]-e.low[i] < l.Width || e.high[i] < l.K {
				t.Errorf("%s (%s) can only be in [%d, %d]", h.Label, h.Rule, e.low[i], e.high[i])
			}
			if !h.Interval.Open && (h.Interval.Low > e.low[i] || h.Interval.High < e.high[i]) {
				t.Errorf("%s: reported [%d, %d], possible [%d, %d]", h.Label, h.Interval.Low, h.Interval.High, e.low[i], e.high[i])
			}
		}
	})
}

// The order of rows changes nothing, nor does the run.
func TestOrderOfRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		first, err := Protect(fill(t, s, testRules(3)))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		r.Shuffle(len(s.rows), func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
		r.Shuffle(len(s.tables.Sets), func(i, j int) { s.tables.Sets[i], s.tables.Sets[j] = s.tables.Sets[j], s.tables.Sets[i] })
		again, err := Protect(fill(t, s, testRules(3)))
		if err != nil {
			t.Fatal(err)
		}
		if first.Digest != again.Digest {
			t.Error("another order gives another digest")
		}
		byLabel := func(a, b Hidden) int { return compareStrings(a.Label, b.Label) }
		slices.SortFunc(first.Hidden, byLabel)
		slices.SortFunc(again.Hidden, byLabel)
		if d := cmp.Diff(first.Hidden, again.Hidden); d != "" {
			t.Errorf("another order hides others:\n%s", d)
		}
	})
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Stricter rules never make fewer cells primary.
func TestStricterRulesHideMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		loose := testRules(rapid.Int64Range(1, 5).Draw(t, "k"))
		strict := loose
		strict.K += rapid.Int64Range(0, 4).Draw(t, "more")
		strict.near += rapid.Int64Range(0, 3).Draw(t, "nearer")
		strict.SharePercent -= rapid.Int64Range(0, 20).Draw(t, "share")
		strict.ShareBelow += rapid.Int64Range(0, 50).Draw(t, "below")
		for i := range s.tables.Definition.Dimensions {
			s.tables.Definition.Dimensions[i].Sensitive = true
		}
		few, many := primaries(t, s, loose), primaries(t, s, strict)
		for label := range few {
			if !many[label] {
				t.Errorf("%s is primary, but not under stricter rules", label)
			}
		}
	})
}

func primaries(t *rapid.T, s shape, l limits) map[string]bool {
	raw := fill(t, s, l)
	c, err := raw.take()
	if err != nil {
		t.Fatal(err)
	}
	p := c.begin()
	labels := map[string]bool{}
	for _, i := range p.primaries {
		labels[c.s.cells[i].label] = true
	}
	return labels
}

// Insiders who know the cells they alone contribute to cannot place another hidden
// cell exactly, alone or with one in the same row or column: by trying every table.
func TestInsidersDeriveNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		l := testRules(3)
		l.insidersFree = false
		c, err := fill(t, s, l).take()
		if err != nil {
			t.Fatal(err)
		}
		p := c.begin()
		if !c.eliminate(p) {
			t.Fatal("a primary is given away")
		}
		if err := c.audit(p, audition{p.primaries, p.needs, nil, RuleRepair, nil}); err != nil {
			t.Fatal(err)
		}
		if err := c.auditInsiders(p, newWorlds(p)); err != nil {
			t.Fatal(err)
		}
		var columns [][]int32
		var values []int64
		for i, r := range p.rule {
			if r == "" {
				columns, values = append(columns, c.s.cells[i].column), append(values, p.value[i])
			}
		}
		var ones []int
		for _, i := range p.primaries {
			if p.value[i] == 1 {
				ones = append(ones, i)
			}
		}
		for _, i := range ones {
			for _, j := range ones {
				if i > j || i != j && !siblings(&c.s.cells[i], &c.s.cells[j]) {
					continue
				}
				var targets [][]int32
				var labels []string
				for _, k := range p.primaries {
					if !covers(c, k, i, j) {
						targets, labels = append(targets, c.s.cells[k].column), append(labels, c.s.cells[k].label)
					}
				}
				e := enumerate(c.s.size, append(slices.Clone(columns), c.s.cells[i].column, c.s.cells[j].column), append(slices.Clone(values), 1, 1), targets, 4)
				if e.budget <= 0 {
					continue
				}
				for k := range targets {
					if e.high[k] <= e.low[k] {
						t.Errorf("who is in %s and %s derives %s", c.s.cells[i].label, c.s.cells[j].label, labels[k])
					}
				}
			}
		}
	})
}

// covers reports whether cell k lies inside cells i and j.
func covers(c *counted, k, i, j int) bool {
	for _, b := range c.s.cells[k].column {
		if !slices.Contains(c.s.cells[i].column, b) && !slices.Contains(c.s.cells[j].column, b) {
			return false
		}
	}
	return true
}

// Primary cells are never shown, whatever the shape; shown cells show the truth.
func TestShownCellsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		p, err := Protect(fill(t, s, testRules(3)))
		if err != nil {
			t.Fatal(err)
		}
		sys, err := newSystem(&s.tables)
		if err != nil {
			t.Fatal(err)
		}
		truth := make([]int64, sys.size)
		for _, r := range s.rows {
			b, _ := sys.at(r.nodes)
			truth[b] = r.count.Children
		}
		columns, values := published(t, sys, s.tables, p)
		for i, column := range columns {
			sum := int64(0)
			for _, b := range column {
				sum += truth[b]
			}
			if sum != values[i] || sum < 3 {
				t.Errorf("a cell of %d children is shown as %d", sum, values[i])
			}
		}
		hidden := 0
		for _, set := range s.tables.Sets {
			cells, _ := p.Cells(set)
			for _, c := range cells {
				if c.Status == gateway.StatusSuppressed {
					hidden++
					if c.Value != nil {
						t.Error("a hidden cell has a value")
					}
				}
			}
		}
		if hidden != len(p.Hidden) {
			t.Errorf("%d cells are hidden, %d are listed: %s", hidden, len(p.Hidden), fmt.Sprint(p.Hidden))
		}
	})
}
