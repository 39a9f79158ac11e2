package suppress

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// flat is a partition dimension of one level.
func flat(name string, codes ...string) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: gateway.Partition, Levels: []string{name}}
	for _, c := range codes {
		d.Nodes = append(d.Nodes, gateway.Node{Code: c})
	}
	return d
}

// tree is a partition dimension of two levels: "EU: Portugal Spain".
func tree(name string, groups ...string) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: gateway.Partition, Levels: []string{"group", "leaf"}}
	for _, g := range groups {
		top, leaves, _ := strings.Cut(g, ": ")
		d.Nodes = append(d.Nodes, gateway.Node{Code: top})
		for leaf := range strings.FieldsSeq(leaves) {
			d.Nodes = append(d.Nodes, gateway.Node{Code: leaf, Parent: top, Level: 1})
		}
	}
	return d
}

func multi(d gateway.Dimension) gateway.Dimension {
	d.Kind = gateway.Multi
	return d
}

// every admits all grouping sets of the dimensions: the complete tables with all
// margins.
func every(dims ...gateway.Dimension) Tables {
	def := &gateway.Definition{Dimensions: dims, Cubes: []gateway.Cube{{ID: "c", Cap: gateway.MaxDepth, Measures: []gateway.Measure{gateway.CountChildren}}}}
	for _, d := range dims {
		def.Cubes[0].Dimensions = append(def.Cubes[0].Dimensions, d.Name)
	}
	t := Tables{Definition: def}
	for _, a := range def.AdmittedSets() {
		t.Sets = append(t.Sets, a.Set)
	}
	return t
}

// upTo are the rules of the published examples: cells of fewer than k are primary,
// nothing else is.
func upTo(k int64) limits {
	return limits{Rules: Rules{K: k, Width: 1, InsiderWidth: 1, SharePercent: 100, DominancePercent: 100}, insidersFree: true, dominantOf: 2, near: -1}
}

// A row is one base cell of a test: its codes in the order of Raw.Base.
type row struct {
	nodes []string
	count Count
}

func children(n int64, nodes ...string) row { return row{nodes, Count{Children: n}} }

// counts fills a Raw and opens it for tests of single stages.
func counts(t *testing.T, tables Tables, l limits, rows []row) *counted {
	t.Helper()
	raw, err := newRaw(&tables, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.count.Children == 0 {
			continue
		}
		if err := raw.Add(r.nodes, r.count); err != nil {
			t.Fatal(err)
		}
	}
	c, err := raw.take()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hiddenBy lists the labels that a plan hides, sorted; of primaries only when asked.
func hiddenBy(c *counted, p *plan, primary bool) []string {
	var labels []string
	for i, r := range p.rule {
		if _, ok := p.verdict[i]; r != "" && (ok || !primary) {
			labels = append(labels, c.s.cells[i].label)
		}
	}
	slices.Sort(labels)
	return labels
}

// bySize drops the level from the order of candidates: GaussSuppression's own
// default order is by value alone.
func bySize(c *counted) {
	for i := range c.s.cells {
		c.s.cells[i].height = 0
	}
}

func readCSV(t *testing.T, name string) []map[string]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		m := map[string]string{}
		for i, h := range lines[0] {
			m[h] = line[i]
		}
		rows = append(rows, m)
	}
	return rows
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tenths reads a decimal of at most one place as a whole number of tenths.
func tenths(t *testing.T, s string) int64 {
	t.Helper()
	whole, part, _ := strings.Cut(s, ".")
	return atoi(t, whole+(part + "0")[:1])
}

func codes(prefix string, n int) []string {
	c := make([]string, n)
	for i := range c {
		c[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return c
}
