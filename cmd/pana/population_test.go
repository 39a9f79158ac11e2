package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

func populationFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "population.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPopulationAddsUp(t *testing.T) {
	p, err := readPopulation(populationFile(t, "population,region,sex\n100,10,F\n110,10,M\n0,11,F\n7,11,M\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		by, group string
		want      float64
	}{{"", "", 217}, {"region", "10", 210}, {"region", "11", 7}, {"sex", "F", 100}, {"region", "99", 0}, {"age", "Y0T4", 0}} {
		if got := p.children(c.by, c.group); got != c.want {
			t.Errorf("%s %s: %v children, want %v", c.by, c.group, got, c.want)
		}
	}
	if p.checked("sex") != nil || p.checked("") != nil || p.checked("age") == nil || p.checked("population") == nil {
		t.Error("a population knows its own columns, and no others")
	}
}

// A population that is not one is a wrong use, which says where.
func TestPopulationRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "is no CSV",
		"region,population\n":                "is no CSV",
		"region,population\n10\n":            "is no CSV",
		"region,population\n\"10,5\n":        "is no CSV",
		"region,people\n10,5\n":              "has no column population",
		"region,population\n10,5\n11,many\n": "line 3: the population is not a whole number",
		"region,population\n10,-5\n":         "line 2: the population is not a whole number",
		"region,population\n10,5.5\n":        "line 2: the population is not a whole number",
		"region,population\n10,\n":           "line 2: the population is not a whole number",
		"region,population\n10,5000000000\n": "line 2: the population is not a whole number",
		"region,population\n10,5\n10,5\n":    "line 3: the same codes are there twice",
		"population\n5\n5\n":                 "line 3: the same codes are there twice",
	} {
		_, err := readPopulation(populationFile(t, text))
		if _, usage := errors.AsType[usageError](err); !usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	_, err := readPopulation(filepath.Join(t.TempDir(), "none.csv"))
	if _, usage := errors.AsType[usageError](err); !usage {
		t.Errorf("no file: %v", err)
	}
}

// Rates are of published values: what is hidden has none, and neither has a group that
// the population does not know.
func TestRates(t *testing.T) {
	five, ten := int64(5), int64(10)
	table := gateway.IndicatorTable{By: "region", Rows: []gateway.IndicatorRow{
		{Group: "10", Parts: []gateway.Cell{{Status: gateway.StatusValue, Value: &five}, {Status: gateway.StatusValue, Value: &ten}}},
		{Group: "11", Parts: []gateway.Cell{{Status: gateway.StatusSuppressed}, {Status: gateway.StatusValue, Value: &ten}}},
		{Group: "12", Parts: []gateway.Cell{{Status: gateway.StatusValue, Value: &five}, {Status: gateway.StatusValue, Value: &ten}}},
		{Group: "13", Parts: []gateway.Cell{{Status: gateway.StatusValue, Value: &five}, {Status: gateway.StatusValue, Value: &ten}}},
	}}
	file := populationFile(t, "region,sex,population\n10,F,15000\n10,M,5000\n11,F,1000\n13,F,0\n")
	if err := rate(&table, file); err != nil {
		t.Fatal(err)
	}
	want := [][]float64{{25, 50}, {-1, 1000}, {-1, -1}, {-1, -1}} // -1 is none
	for i, row := range table.Rows {
		if len(row.Rates) != len(want[i]) {
			t.Fatalf("row %d has %d rates", i, len(row.Rates))
		}
		for j, r := range row.Rates {
			if r == nil && want[i][j] >= 0 || r != nil && *r != want[i][j] {
				t.Errorf("region %s, part %d: %v, want %v", row.Group, j, r, want[i][j])
			}
		}
	}
	if table.Population == nil || table.Population.Per != 100_000 || table.Population.Source != file {
		t.Errorf("the note is %+v", table.Population)
	}
	all := gateway.IndicatorTable{Rows: []gateway.IndicatorRow{{Parts: []gateway.Cell{{Status: gateway.StatusValue, Value: &ten}}}}}
	if err := rate(&all, file); err != nil || *all.Rows[0].Rates[0] != 10.0*100_000/21_000 {
		t.Errorf("in all: %v, %v", all.Rows[0].Rates, err)
	}
	age := gateway.IndicatorTable{By: "age"}
	if _, usage := errors.AsType[usageError](rate(&age, file)); !usage || age.Population != nil {
		t.Error("a rate by ages was made of a population that has none")
	}
}
