package disclosure

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// splitLabel splits "a=x|b=y".
func splitLabel(label string) [][2]string {
	var facts [][2]string
	if label == "" {
		return nil
	}
	for part := range strings.SplitSeq(label, "|") {
		name, code, _ := strings.Cut(part, "=")
		facts = append(facts, [2]string{name, code})
	}
	return facts
}

// demoQuestions are those that the demonstration asks.
var demoQuestions = []struct {
	name string
	q    gateway.Question
	keep func(nodes []string) bool // the cells that the question is about
	demo bool                      // one of the four
}{
	{"1 not reached by social in 30 days, by region", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"region"}, Filter: map[string]string{"reached": "no"}}, nil, true},
	{"2 girls 10-14 known to police, region x reached", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"reached", "region"}, Filter: map[string]string{"sex": "F", "age_first": "Y10T14"}}, func(n []string) bool { return n[0] != "no_start" }, false},
	{"2a the same, not reached only", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"region"}, Filter: map[string]string{"sex": "F", "age_first": "Y10T14", "reached": "no"}}, nil, true},
	{"2b the same over all regions", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"reached"}, Filter: map[string]string{"sex": "F", "age_first": "Y10T14"}}, nil, false},
	{"3 seen by sector x sex x age", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"sector", "sex", "age_first"}}, nil, true},
	{"3b first sector x region", gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"first_sector", "region"}}, nil, false},
	{"4 records, sector x quarter", gateway.Question{Cube: "volume", Measure: gateway.CountRecords, GroupBy: []string{"sector", "quarter"}}, nil, true},
	{"4b records, sector x quarter x sex", gateway.Question{Cube: "volume", Measure: gateway.CountRecords, GroupBy: []string{"sector", "quarter", "sex"}}, nil, false},
	{"4c records, sector x event_region", gateway.Question{Cube: "volume", Measure: gateway.CountRecords, GroupBy: []string{"sector", "event_region"}}, nil, false},
}

// What the demonstration looks like at 20,000 children: the budget, the share of
// hidden cells, and how far shown ones are from the truth. At most 30 % of the
// cells of the four questions may be hidden.
func TestDemoShape(t *testing.T) {
	t.Parallel()
	w := population(20_000, 1)
	counts := w.counts()
	b, err := Plan(w.def)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events\n%s", len(w.events), b)
	raw := fill(t, w.def, counts)
	start := time.Now()
	p, err := Protect(raw, release(w.def, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("protected in %v", time.Since(start))
	for _, s := range p.Summary().Cubes {
		t.Logf("cube %s: %d cells, %d %% hidden, by rule %+v", s.Name, s.Cells, s.Hidden, *s.Rules)
	}
	for _, d := range demoQuestions {
		table, err := p.Ask(d.q)
		if err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		cells, hidden := 0, 0
		var relative, sizes []float64
		for _, c := range table.Cells {
			if d.keep != nil && !d.keep(c.Nodes) {
				continue
			}
			cells++
			label := labelOf(table, c)
			n := trueValue(counts, w.def, label, d.q.Measure)
			sizes = append(sizes, n)
			if c.Status != gateway.StatusValue {
				hidden++
				continue
			}
			relative = append(relative, math.Abs(float64(*c.Value)-n)/n)
		}
		if d.demo && float64(hidden) > 0.3*float64(cells) {
			t.Errorf("%s: %d of %d cells are hidden, more than 30 %%", d.name, hidden, cells)
		}
		slices.Sort(relative)
		slices.Sort(sizes)
		t.Logf("%-50s %3d cells, %2.0f %% hidden, median n %4.0f, error: median %2.0f %%, 90th %2.0f %%, sd/median n %.0f %%", d.name, cells, 100*float64(hidden)/float64(cells),
			sizes[len(sizes)/2], 100*at(relative, .5), 100*at(relative, .9), 100*math.Sqrt(50)/sizes[len(sizes)/2])
	}
}

func at(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// labelOf returns the label of a cell of a table.
func labelOf(t *gateway.Table, c gateway.Cell) string {
	var facts []string
	for i, dim := range t.Dimensions {
		name, _, _ := strings.Cut(dim, "@")
		facts = append(facts, name+"="+c.Nodes[i])
	}
	for name, code := range t.Filter {
		if !slices.ContainsFunc(facts, func(f string) bool { return strings.HasPrefix(f, name+"=") }) {
			facts = append(facts, name+"="+code)
		}
	}
	slices.SortFunc(facts, func(a, b string) int {
		x, _, _ := strings.Cut(a, "=")
		y, _, _ := strings.Cut(b, "=")
		return strings.Compare(x, y)
	})
	return strings.Join(facts, "|")
}

func trueValue(counts map[string]map[string]*Count, d *gateway.Definition, label string, m gateway.Measure) float64 {
	var g gateway.GroupingSet
	for _, f := range splitLabel(label) {
		g = append(g, gateway.SetDimension{Name: f[0], Level: d.Dimension(f[0]).Node(f[1]).Level})
	}
	c := counts[g.Key(d)][label]
	switch {
	case c == nil:
		return 0
	case m == gateway.CountRecords:
		return float64(c.Records)
	}
	return float64(c.Children)
}
