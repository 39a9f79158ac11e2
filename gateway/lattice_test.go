package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

func flat(name string, codes int) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: gateway.Partition, Levels: []string{name}}
	for i := range codes {
		d.Nodes = append(d.Nodes, gateway.Node{Code: string(rune('A' + i)), Number: uint16(i + 1)})
	}
	return d
}

func definitionOf(cubes ...gateway.Cube) *gateway.Definition {
	geography := gateway.Dimension{Name: "area", Kind: gateway.Partition, Levels: []string{"region", "district"}}
	for _, region := range []string{"R1", "R2"} {
		geography.Nodes = append(geography.Nodes, gateway.Node{Code: region})
		for _, district := range []string{"a", "b", "c"} {
			geography.Nodes = append(geography.Nodes, gateway.Node{Code: region + district, Parent: region, Level: 1})
		}
	}
	return &gateway.Definition{
		Lineage: "test", V: 50, Cubes: cubes,
		Dimensions: []gateway.Dimension{geography, flat("sex", 2), flat("age", 4), flat("huge", 26), flat("vast", 26)},
	}
}

func keys(d *gateway.Definition) []string {
	var list []string
	for _, a := range d.AdmittedSets() {
		list = append(list, a.Set.Key(d))
	}
	return list
}

func TestAdmittedSetsAreDownwardClosed(t *testing.T) {
	d := definitionOf(
		gateway.Cube{ID: "a", Grain: gateway.Children, Dimensions: []string{"area", "sex", "age"}, Cap: 3, Measures: []gateway.Measure{gateway.CountChildren}},
		gateway.Cube{ID: "b", Grain: gateway.Events, Dimensions: []string{"sex", "huge", "age"}, Cap: 2, Apart: [][]string{{"huge", "age"}}, Measures: []gateway.Measure{gateway.CountRecords}},
		gateway.Cube{ID: "c", Grain: gateway.Children, Dimensions: []string{"vast", "sex", "age", "area"}, Cap: 4, Caps: map[string]int{"vast": 2, "area": 3}},
	)
	admitted := keys(d)
	for _, a := range d.AdmittedSets() {
		for i := range a.Set {
			smaller := slices.Delete(slices.Clone(a.Set), i, i+1)
			if !slices.Contains(admitted, smaller.Key(d)) {
				t.Errorf("%s is admitted, %s is not", a.Set.Key(d), smaller.Key(d))
			}
		}
	}
	for _, refused := range []string{"age@age|huge@huge"} {
		if slices.Contains(admitted, refused) {
			t.Errorf("%s is admitted", refused)
		}
	}
}

// A set of two cubes counts once, with the measures of both, over events.
func TestAdmittedSetsAreShared(t *testing.T) {
	d := definitionOf(
		gateway.Cube{ID: "a", Grain: gateway.Children, Dimensions: []string{"sex"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren}},
		gateway.Cube{ID: "b", Grain: gateway.Events, Dimensions: []string{"sex"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords}},
	)
	sets := d.AdmittedSets()
	if len(sets) != 2 {
		t.Fatalf("got %d sets, want the total and sex", len(sets))
	}
	sex := sets[1]
	if sex.Grain != gateway.Events || len(sex.Measures) != 2 || len(sex.Cubes) != 2 {
		t.Errorf("shared set is %+v", sex)
	}
}

func TestNominalCellsCap(t *testing.T) {
	d := definitionOf(gateway.Cube{ID: "a", Grain: gateway.Children, Dimensions: []string{"huge", "vast", "age", "sex"}, Cap: 4})
	admitted := keys(d)
	if !slices.Contains(admitted, "age@age|huge@huge|vast@vast") { // 26·26·4 = 2,704
		t.Error("2,704 nominal cells are refused")
	}
	for _, key := range admitted { // 26·26·4·2 = 5,408
		if strings.Count(key, "|") == 3 {
			t.Errorf("%s has more than %d nominal cells", key, gateway.MaxNominalCells)
		}
	}
}

// A pair with at most one of two other dimensions, which groups of Apart cannot say.
func TestCaps(t *testing.T) {
	d := definitionOf(gateway.Cube{
		ID: "a", Grain: gateway.Children, Dimensions: []string{"huge", "age", "sex", "area"}, Cap: 3,
		Apart: [][]string{{"huge", "area"}}, Caps: map[string]int{"huge": 2},
	})
	var named []string
	for _, key := range keys(d) {
		if strings.Contains(key, "huge") {
			named = append(named, key)
		}
	}
	if want := []string{"huge@huge", "age@age|huge@huge", "huge@huge|sex@sex"}; !slices.Equal(named, want) {
		t.Errorf("sets with huge are %v, want %v", named, want)
	}
	if !slices.Contains(keys(d), "age@age|area@region|sex@sex") {
		t.Error("the cap of one dimension limits cells that do not name it")
	}
}

func TestLabel(t *testing.T) {
	set := gateway.GroupingSet{{Name: "age"}, {Name: "region"}, {Name: "sex"}}
	if got := set.Label([]string{"10-14", "KZ-61", "F"}); got != "age=10-14|region=KZ-61|sex=F" {
		t.Errorf("label is %s", got)
	}
}

func TestWindow(t *testing.T) {
	d := definitionOf()
	d.Dimensions = append(d.Dimensions, gateway.Dimension{Name: "quarter", Source: gateway.Source{Kind: gateway.EventQuarter}})
	from, _ := gateway.ParseQuarter("2024Q3")
	w, err := d.Window(from, from+3)
	if err != nil {
		t.Fatal(err)
	}
	q := w.Dimension("quarter")
	if len(q.Nodes) != 4 || q.Nodes[3].Code != "2025Q2" || len(d.Dimension("quarter").Nodes) != 0 {
		t.Errorf("window holds %+v", q.Nodes)
	}
	for _, bad := range [][2]gateway.Quarter{{0, from}, {from, from - 1}, {from, from + 40}} {
		_, err := d.Window(bad[0], bad[1])
		if err == nil {
			t.Errorf("window %v is accepted", bad)
		}
	}
}

// Years are those that lie wholly in the window, and are never all of it.
func TestWindowOfYears(t *testing.T) {
	d := definitionOf()
	d.Dimensions = append(d.Dimensions, gateway.Dimension{Name: "year", Source: gateway.Source{Kind: gateway.EventYear}})
	for _, test := range []struct{ from, to, years string }{
		{"2023Q1", "2025Q4", "2023 2024 2025"},
		{"2023Q2", "2025Q3", "2024"},
		{"2023Q4", "2024Q4", "2024"},
		{"2024Q1", "2025Q1", "2024"},
		{"2024Q1", "2024Q4", ""},
		{"2024Q2", "2025Q3", ""},
		{"2024Q1", "2024Q3", ""},
	} {
		from, _ := gateway.ParseQuarter(test.from)
		to, _ := gateway.ParseQuarter(test.to)
		w, err := d.Window(from, to)
		if (err != nil) != (test.years == "") {
			t.Errorf("%s to %s: %v", test.from, test.to, err)
		}
		if err != nil {
			continue
		}
		var codes []string
		for _, n := range w.Dimension("year").Nodes {
			codes = append(codes, n.Code)
			if q, _ := gateway.ParseQuarter(n.Code + "Q1"); q != gateway.Quarter(n.Number)*4 {
				t.Errorf("year %s has the number %d", n.Code, n.Number)
			}
		}
		if got := strings.Join(codes, " "); got != test.years {
			t.Errorf("%s to %s: years %s, want %s", test.from, test.to, got, test.years)
		}
	}
}

func TestCodesOfSectors(t *testing.T) {
	if a, b := gateway.PairCode("health", "education"), gateway.PairCode("education", "health"); a != b || a != "education+health" {
		t.Errorf("pairs are %s and %s", a, b)
	}
	if code := gateway.SectorCode("police", "REPORT"); code != "police.REPORT" {
		t.Errorf("code is %s", code)
	}
}
