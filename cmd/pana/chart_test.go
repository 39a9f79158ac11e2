package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// charted is a table of one dimension: a number below zero is a hidden cell.
func charted(codes string, values ...int64) *gateway.Table {
	t := &gateway.Table{Measure: gateway.CountChildren, Dimensions: []string{"d"}, Variance: 49, Base: 5}
	for i, code := range strings.Fields(codes) {
		c := gateway.Cell{Nodes: []string{code}, Status: gateway.StatusSuppressed}
		if values[i] >= 0 {
			c.Status, c.Value = gateway.StatusValue, &values[i]
		}
		t.Cells = append(t.Cells, c)
	}
	return t
}

// TestCharts draws a funnel and an overlap. Of a hidden cell there is no bar, and no
// share; hidden combinations come last, whatever they are.
func TestCharts(t *testing.T) {
	scale := "  children; standard deviation of a value 7.0; values are multiples of 5; ·· = hidden (small, zero or near its total)\n"
	pairs := charted("education+health education+police health+police police+social", 40, -1, 400, 120)
	for name, c := range map[string]struct {
		chart chart
		table *gateway.Table
		want  string
	}{
		"funnel": {
			chart{"funnel", nil},
			charted("reported sent received assessed started", 600, 400, -1, 200, 5),
			`
                                                 of the first  of the one before
  reported  600  ██████████████████████████████
  sent      400       ████████████████████       67 ± 1 %      67 ± 1 %
  received  ··                                   ··            ··
  assessed  200            ██████████            33 ± 1 %      ··
  started   5                                    1 ± 1 %       2 ± 4 %
`,
		},
		"stages": {
			chart{"funnel", []string{"b", "a"}},
			charted("a b c", 10, 20, 30),
			`
                                         of the first  of the one before
  b  20  ██████████████████████████████
  a  10         ███████████████          50 ± 39 %     50 ± 39 %
`,
		},
		"overlap": {
			chart{"", nil},
			pairs,
			`
  education  health  police  social
             ●───────●               400  ██████████████████████████████
                     ●───────●       120  █████████
  ●──────────●                       40   ███
  ●──────────────────●               ··
`,
		},
		"bars": {
			chart{"bars", nil},
			pairs,
			`
  education+health  40   ███
  education+police  ··
  health+police     400  ██████████████████████████████
  police+social     120  █████████
`,
		},
	} {
		var b strings.Builder
		if err := c.chart.write(&b, c.table); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for line := range strings.Lines(b.String()) {
			got = append(got, strings.TrimRight(line, " \n"))
		}
		want := strings.Split(strings.TrimPrefix(c.want, "\n")+strings.TrimSuffix(scale, "\n"), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestChartsRefused says what a chart cannot be of.
func TestChartsRefused(t *testing.T) {
	two := charted("a b", 1, 2)
	two.Dimensions = append(two.Dimensions, "e")
	for want, c := range map[string]struct {
		chart   chart
		table   *gateway.Table
		undrawn bool
	}{
		"--chart is bars":         {chart: chart{"pie", nil}},
		"are of --chart":          {chart: chart{"bars", []string{"a"}}},
		"on the screen":           {chart: chart{"bars", nil}, undrawn: true},
		"of one dimension":        {chart: chart{"funnel", nil}, table: two},
		"joined by +":             {chart: chart{"overlap", nil}, table: charted("a b", 1, 2)},
		`no code "c" for`:         {chart: chart{"funnel", []string{"c"}}, table: charted("a b", 1, 2)},
		"chart overlap is of one": {chart: chart{"overlap", nil}, table: two},
	} {
		err := c.chart.check(c.undrawn)
		if c.table != nil && err == nil {
			err = c.chart.write(&strings.Builder{}, c.table)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", c.chart, err)
		}
	}
}
