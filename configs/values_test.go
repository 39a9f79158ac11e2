package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// valuesFile is a definition with every key of values.
const valuesFile = `lineage: courts
window: {from: 2023Q1, to: 2025Q4}
v: 50
values:
  - id: hearings
    title: {en: "Hearings with the child"}
    unit: {en: "hearings"}
    sector: justice
    column: hearings_with_child
    per_child: sum
    min: 0
    max: 10
    precision: 25
    dominance: true
dimensions:
  - name: sector
    title: {en: "Sector"}
    kind: multi
    levels: [sector]
    source: {kind: event_sector}
  - name: age_first
    title: {en: "Age"}
    kind: partition
    levels: [band]
    source: {kind: child_first, column: age}
  - name: sex
    title: {en: "Sex"}
    kind: partition
    levels: [sex]
    source: {kind: child_const, column: sex}
    codes: [F, M]
    bands: {F: [0, 1], M: [1, 2]}
cubes:
  - id: hearings
    title: {en: "Hearings"}
    grain: events
    dimensions: [sector, age_first, sex]
    cap: 2
    measures: [children]
    values: [hearings]
`

func readValuesFile(t *testing.T, text string) (*gateway.Definition, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "courts.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return DefinitionFile(file)
}

func TestValuesAreRead(t *testing.T) {
	d, err := readValuesFile(t, valuesFile)
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Value{
		ID: "hearings", Title: gateway.Text{EN: "Hearings with the child"}, Unit: gateway.Text{EN: "hearings"}, Sector: "justice",
		Column: "hearings_with_child", PerChild: gateway.PerChildSum, Max: 10, Precision: 25, Dominance: true,
	}
	if len(d.Values) != 1 || d.Values[0] != want || len(d.Cubes[0].Values) != 1 {
		t.Errorf("values %+v", d.Values)
	}
	if b := d.Dimension("sex").Node("M").Band; b == nil || *b != (gateway.Band{From: 1, Below: 2}) {
		t.Errorf("the band of a code is %v", b)
	}
	if _, err := disclosure.Plan(d); err != nil {
		t.Errorf("it does not fit: %v", err)
	}
}

// Ages have the bands of their codes, and nothing else has any.
func TestAgesHaveBands(t *testing.T) {
	for _, name := range []string{"demo", "national"} {
		d, err := Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]gateway.Band{"Y0T4": {From: 0, Below: 5}, "Y5T9": {From: 5, Below: 10}, "Y10T14": {From: 10, Below: 15}, "Y15T17": {From: 15, Below: 18}}
		ages := 0
		for _, dim := range d.Dimensions {
			for _, n := range dim.Nodes {
				band, isAge := want[n.Code]
				if isAge {
					ages++
				}
				if isAge != (n.Band != nil) || isAge && *n.Band != band {
					t.Errorf("%s: code %s of %s has band %v", name, n.Code, dim.Name, n.Band)
				}
			}
		}
		if ages < 4 {
			t.Errorf("%s: %d bands of ages", name, ages)
		}
	}
	for _, code := range []string{"", "Y5", "Y5T", "YT4", "Y10T5", "Y05T9", "Y5T9X", "y5T9", "Y5T9 "} {
		if b := ageBand(code); b != nil {
			t.Errorf("%q is read as %v", code, *b)
		}
	}
}

// What is wrong with a value is said at its line.
func TestBrokenValues(t *testing.T) {
	for _, c := range []struct{ old, new, says string }{
		{"id: hearings\n    title: {en: \"Hearings with", "id: Hearings.1\n    title: {en: \"Hearings with", "does not match"},
		{"id: hearings\n    title: {en: \"Hearings with", "id: sex\n    title: {en: \"Hearings with", "no cube uses value sex"},
		{"unit: {en: \"hearings\"}", "unit: {kk: \"x\"}", "no English title or unit"},
		{"max: 10", "max: 0", "0 <= min < max"},
		{"min: 0", "min: -1", "0 <= min < max"},
		{"precision: 25", "precision: 23", "is 24 or more"},
		{"sector: justice", "sector: navy", "there is no contract"},
		{"column: hearings_with_child", "column: outcome", "stores no integer"},
		{"column: hearings_with_child", "column: days_absent_30d", "stores no integer"},
		{"per_child: sum", "per_child: mean", "needs a field that is required"},
		{"per_child: sum", "per_child: latest", "needs a field that is required"},
		{"per_child: sum", "per_child: largest", "per_child is"},
		{"grain: events", "grain: children", "cube of events"},
		{"dimensions: [sector, age_first", "dimensions: [age_first", "cube of events"},
		{"values: [hearings]", "values: [hearings, hearings]", "given twice"},
		{"values: [hearings]", "values: [costs]", "not defined"},
		{"    values: [hearings]\n", "", "no cube uses value"},
		{"F: [0, 1]", "X: [0, 1]", "not a leaf"},
		{"F: [0, 1]", "F: [1, 1]", "empty"},
		{"F: [0, 1]", "F: [0, 2]", "overlap"},
		{"per_child: sum", "per_child: sum\n    cap: 3", "cap"},
	} {
		text := strings.Replace(valuesFile, c.old, c.new, 1)
		if text == valuesFile {
			t.Fatalf("%q is not in the file", c.old)
		}
		_, err := readValuesFile(t, text)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.new, err, c.says)
		}
	}
}
