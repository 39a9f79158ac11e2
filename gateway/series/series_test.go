package series_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
	"github.com/pana-exchange/pana/gateway/series"
)

func laying(t *testing.T, name string) *series.Laying {
	t.Helper()
	d, err := configs.Definition(name)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := configs.ListsOf(d)
	if err != nil {
		t.Fatal(err)
	}
	walks, err := configs.Crosswalks()
	if err != nil {
		t.Fatal(err)
	}
	return &series.Laying{Definition: d, Lists: lists, Crosswalks: walks, Vocabulary: "kazstat"}
}

// answered is what the gateway writes of a table with all codes of some dimensions, read
// back.
func answered(t *testing.T, l *series.Laying, cube string, dimensions ...string) *series.Answer {
	t.Helper()
	table := &gateway.Table{Release: "demo-1", Cube: cube, Measure: gateway.CountChildren, Dimensions: dimensions, Digest: strings.Repeat("0", 64)}
	cells := [][]string{{}}
	for _, name := range dimensions {
		var longer [][]string
		for _, nodes := range cells {
			for _, n := range l.Definition.Dimension(name).Nodes {
				longer = append(longer, append(append([]string{}, nodes...), n.Code))
			}
		}
		cells = longer
	}
	for i, nodes := range cells {
		value := int64(5 * i)
		table.Cells = append(table.Cells, gateway.Cell{Nodes: nodes, Status: gateway.StatusValue, Value: &value})
	}
	var b bytes.Buffer
	if err := output.Write(&b, output.CSV, &output.Document{Table: table, Definition: l.Definition}); err != nil {
		t.Fatal(err)
	}
	a, err := series.ReadAnswer(&b)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Cells) != len(cells) || len(a.Dimensions) != len(dimensions) {
		t.Fatalf("%d cells of %v came back", len(a.Cells), a.Dimensions)
	}
	return a
}

func official(t *testing.T, name string) *series.Series {
	t.Helper()
	file, err := os.Open("testdata/indicator_" + name + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	s, err := series.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// said lists what was laid beside what: "71 KZNS 2015 exact".
func said(lines []series.Line) map[string]string {
	all := map[string]string{}
	for _, l := range lines {
		var codes []string
		for _, code := range l.Official.Codes {
			if code != "" {
				codes = append(codes, code)
			}
		}
		key := fmt.Sprintf("%s %s %d", strings.Join(l.Cell.Nodes, "|"), strings.Join(codes, "|"), l.Official.Year)
		all[key] = string(l.Match) + " " + l.Official.Value
		for _, b := range l.Breaks {
			all[key] += " " + b.Day.String()
		}
	}
	return all
}

// The official series of 16.2.1 is laid beside the regions, sexes and ages of a release
// by code alone: what has a code of today matches exactly; what was divided since is
// broader than each of its parts, and the break is named.
func TestOfficialSeriesBesideAnAnswer(t *testing.T) {
	l, s := laying(t, "demo"), official(t, "16-2-1")
	for _, test := range []struct {
		dimension string
		lines     int
		want      map[string]string
	}{
		// 16 areas of each of two years, of which four were divided into two since.
		{"region", 40, map[string]string{
			"71 KZNS 2010": "exact 38.6", "75 KZALA 2010": "exact 27.3", "39 KZKUS 2010": "exact 72.6",
			"63 KZVOS 2015": "broader 47.1 2022-06-08", "10 KZVOS 2015": "broader 47.1 2022-06-08",
			"79 KZONT 2015": "broader 53.6 2018-06-19", "61 KZONT 2015": "broader 53.6 2018-06-19",
		}},
		{"sex", 4, map[string]string{"F F 2010": "exact 45.1", "M M 2010": "exact 53.7"}},
		{"age_first", 7, map[string]string{"Y10T14 Y10T14 2015": "exact 53.9", "Y0T4 Y2T4 2010": "narrower 47.6"}},
	} {
		lines, err := l.Beside(answered(t, l, "pathways", test.dimension), s)
		if err != nil {
			t.Fatal(err)
		}
		got := said(lines)
		if len(lines) != test.lines {
			t.Errorf("%s: %d lines: %v", test.dimension, len(lines), got)
		}
		for key, want := range test.want {
			if got[key] != want {
				t.Errorf("%s: %q is %q, want %q", test.dimension, key, got[key], want)
			}
		}
	}
}

// Years keep to their years, and dimensions that the bureau has no codes for restrict
// nothing.
func TestOtherDimensions(t *testing.T) {
	l := laying(t, "national")
	lines, err := l.Beside(answered(t, l, "harm", "year", "sex"), official(t, "16-1-1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if line.Cell.Nodes[0] != fmt.Sprint(line.Official.Year) {
			t.Errorf("%v beside %d", line.Cell.Nodes, line.Official.Year)
		}
	}
	if len(lines) == 0 {
		t.Error("16.1.1 has no number of a year of the window")
	}
	lines, err = l.Beside(answered(t, l, "harm", "sector", "sex"), official(t, "16-2-1"))
	if err != nil || len(lines) != 6*4 {
		t.Errorf("sectors by sex: %d lines, %v", len(lines), err)
	}
	for _, dimensions := range [][]string{{"sector"}, {"region"}} {
		if _, err = l.Beside(answered(t, l, "pathways", dimensions...), official(t, "16-1-1")); err == nil {
			t.Errorf("%v: 16.1.1, which has no areas, was laid beside it", dimensions)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("Year,Value\n2015,1\n", "release,measure,sex,status,value\nd-1,children,F,value,5\n")
	f.Add("\ufeffYear,UNIT_MEASURE,SEX,Value\n2015,PT,,\n", "")
	f.Fuzz(func(t *testing.T, one, other string) {
		if s, err := series.Read(strings.NewReader(one)); err == nil {
			for _, o := range s.Observations {
				if len(o.Codes) != len(s.Columns) || o.Year < 1 {
					t.Fatalf("%+v", o)
				}
			}
		}
		if a, err := series.ReadAnswer(strings.NewReader(other)); err == nil {
			for _, c := range a.Cells {
				if len(c.Nodes) != len(a.Dimensions) {
					t.Fatalf("%+v", c)
				}
			}
		}
	})
}
