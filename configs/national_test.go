package configs_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

func national(t *testing.T) *gateway.Definition {
	t.Helper()
	d, err := configs.Definition("national")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func budget(t *testing.T, d *gateway.Definition) *disclosure.Budget {
	t.Helper()
	b, err := disclosure.Plan(d)
	if b == nil || err != nil && !errors.Is(err, gateway.Invalid) {
		t.Fatal(err)
	}
	return b
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by }

// The lattice is pinned: a change of it is a change of what a release gives away,
// and must be meant.
func TestNationalLattice(t *testing.T) {
	d := national(t)
	sets, cells := map[string]int{}, 0
	for _, a := range d.AdmittedSets() {
		cells += a.Set.NominalCells(d)
		for _, cube := range a.Cubes {
			sets[cube]++
		}
	}
	want := map[string]int{"pathways": 39, "overlap": 18, "volume": 26, "records": 15, "harm": 22, "types": 6, "outcomes": 4}
	if diff := cmp.Diff(want, sets); diff != "" || len(d.AdmittedSets()) != 90 || cells != 16610 {
		t.Errorf("%d grouping sets of %d cells, by cube (-want +got):\n%s", len(d.AdmittedSets()), cells, diff)
	}
}

// A pair is crossed with at most one of region and sex (disclosure.md 2.7).
func TestPairsAreCrossedOnce(t *testing.T) {
	d := national(t)
	var with []string
	for _, a := range d.AdmittedSets() {
		if key := a.Set.Key(d); strings.Contains(key, "pair@") {
			with = append(with, key)
		}
	}
	if want := []string{"pair@pair", "pair@pair|region@region", "pair@pair|sex@sex"}; !slices.Equal(with, want) {
		t.Errorf("pairs are crossed in %v, want %v", with, want)
	}
}

// The figures of the table in disclosure.md 2.5, with children as the only measure. That
// table has eight settings (harm 3.48, A 5.79, V 45.1); kindergartens and day care make ten.
func TestNationalBudget(t *testing.T) {
	d := national(t)
	for i := range d.Cubes {
		d.Cubes[i].Measures = []gateway.Measure{gateway.CountChildren}
	}
	b := budget(t, d)
	alone, adds := map[string]float64{}, map[string]float64{}
	for _, c := range b.Cubes {
		alone[c.Cube], adds[c.Cube] = c.A, c.Adds
	}
	for cube, want := range map[string]float64{"pathways": 2.87, "overlap": 2.46, "volume": 2.48, "harm": 3.42} {
		if !near(alone[cube], want, 0.005) {
			t.Errorf("%s alone has A %.4f, want %.2f", cube, alone[cube], want)
		}
	}
	if !near(adds["overlap"], 0.49, 0.005) || !near(adds["types"], 0.046, 0.0005) || !near(adds["records"], 0, 1e-9) {
		t.Errorf("added are %v", adds)
	}
	if !near(b.A, 5.725, 0.001) {
		t.Errorf("A is %.4f, want 5.725", b.A)
	}
	// The table has no equations across the sectors that saw a child; the plan takes
	// them as summing because volume counts events by them, which is conservative.
	seen := *d.Dimension("sector")
	seen.Name = "seen_by"
	d.Dimensions, d.Implied = append(d.Dimensions, seen), nil
	d.Cube("pathways").Dimensions = []string{"region", "age_first", "sex", "first_sector", "reached", "seen_by"}
	d.Cube("pathways").Apart = [][]string{{"seen_by", "first_sector"}, {"seen_by", "reached"}}
	if b = budget(t, d); !near(b.A, 5.65, 0.01) || !near(b.Needed, 44.05, 0.05) {
		t.Errorf("as the table assumes, A is %.4f and V %.2f; want 5.65 and 44.05", b.A, b.Needed)
	}
}

// The types of a sector add up to it, an equation between two dimensions that the
// plan's closed form does not have. It makes no node better known than the total,
// whose precision is exact either way: beside every condition that types are
// crossed with, the sets without a sector tell no less than those with one, where
// each set of types counts for its sector by one over the fewest types of any.
func TestTypesAreNoBetterRouteToTheirSector(t *testing.T) {
	const fewest = 4.0 // types of the helpline
	d := national(t)
	for _, beside := range []string{"", "year"} {
		with, without := 0.0, 0.0
		for _, a := range d.AdmittedSets() {
			names := map[string]bool{}
			for _, sd := range a.Set {
				names[sd.Name] = true
			}
			if beside != "" && !names[beside] || names["pair"] {
				continue
			}
			weight := 1.0
			for name := range names {
				if name != "sector" && name != "event_type" && name != beside {
					weight /= float64(len(d.Dimension(name).Nodes))
				}
			}
			if len(a.Measures) == 2 {
				weight *= 4.0 / 3
			}
			switch {
			case names["event_type"]:
				with += weight / fewest
			case names["sector"]:
				with += weight
			default:
				without += weight
			}
		}
		if without < with {
			t.Errorf("beside %q: %.3f with a sector, %.3f without", beside, with, without)
		}
		t.Logf("beside %q: %.3f with a sector, %.3f without", beside, with, without)
	}
}

// What V = 50 carries: records without sex, and not with it, nor of harm.
func TestRecordsThatTheBudgetCarries(t *testing.T) {
	both := []gateway.Measure{gateway.CountChildren, gateway.CountRecords}
	for _, test := range []struct {
		name   string
		change func(*gateway.Definition)
		a      float64
		fits   bool
	}{
		{"as it is", func(*gateway.Definition) {}, 6.278, true},
		{"records nowhere", func(d *gateway.Definition) { d.Cube("records").Measures = both[:1] }, 5.725, true},
		{"records of volume", func(d *gateway.Definition) { d.Cube("volume").Measures = both }, 6.554, false},
		{"records of types beside", func(d *gateway.Definition) { d.Cube("types").Measures = both }, 6.423, false},
		{"records of types only", func(d *gateway.Definition) {
			d.Cube("records").Measures, d.Cube("types").Measures = both[:1], both
		}, 6.259, true},
		{"records of harm only", func(d *gateway.Definition) {
			d.Cube("records").Measures, d.Cube("harm").Measures = both[:1], both
		}, 6.866, false},
	} {
		d := national(t)
		test.change(d)
		b, err := disclosure.Plan(d)
		if b == nil || !near(b.A, test.a, 0.001) || (err == nil) != test.fits {
			t.Errorf("%s: %v, %v; want A %.3f", test.name, b, err, test.a)
		}
	}
}

// A release may have another window; one that makes cells too large is refused.
func TestWindowsThatTheBudgetCarries(t *testing.T) {
	for _, test := range []struct {
		from, to string
		fits     bool
	}{{"2021Q1", "2025Q4", true}, {"2023Q1", "2026Q2", true}, {"2024Q1", "2025Q4", false}} {
		from, _ := gateway.ParseQuarter(test.from)
		to, _ := gateway.ParseQuarter(test.to)
		d, err := national(t).Window(from, to)
		if err != nil {
			t.Fatal(err)
		}
		b, err := disclosure.Plan(d)
		if (err == nil) != test.fits {
			t.Errorf("%s to %s: A %.3f, %v", test.from, test.to, b.A, err)
		}
	}
}

func TestNationalNodes(t *testing.T) {
	d := national(t)
	for _, want := range []struct {
		name        string
		nodes       int
		first, last string
		title       gateway.Text // of the last
	}{
		{"year", 3, "2023", "2025", gateway.Text{KK: "2025", RU: "2025", EN: "2025"}},
		{"sector_count", 4, "1", "4+", gateway.Text{KK: "Төрт және одан көп сектор", RU: "Четыре сектора и более", EN: "Four sectors or more"}},
		{"pair", 15, "health+police", "helpline+justice", gateway.Text{KK: "111 байланыс орталығы + Әділет, сот", RU: "Контакт-центр 111 + Юстиция, суд", EN: "Child helpline + Justice"}},
		{"violence", 6, "01", "06", gateway.Text{KK: "Балаға қатысты басқа зорлық әрекеттері", RU: "Другие акты насилия над ребёнком", EN: "Acts of violence against a child not elsewhere classified"}},
		{"setting", 10, "HOME", "DAY_CARE", gateway.Text{KK: "Күндізгі күтім орталығы", RU: "Центр дневного пребывания", EN: "Day care"}},
		{"event_type", 29, "police.REPORT", "helpline.REFERRAL", gateway.Text{
			KK: "111 байланыс орталығы: Басқа қызметке жолдау", RU: "Контакт-центр 111: Направление в другую службу", EN: "Child helpline: Referral to another service",
		}},
	} {
		dim := d.Dimension(want.name)
		last := dim.Nodes[len(dim.Nodes)-1]
		if len(dim.Nodes) != want.nodes || dim.Nodes[0].Code != want.first || last.Code != want.last || last.Title != want.title {
			t.Errorf("%s: %d nodes from %s to %+v", want.name, len(dim.Nodes), dim.Nodes[0].Code, last)
		}
	}
	for _, dim := range d.Dimensions {
		for _, n := range dim.Nodes {
			if n.Title.KK == "" || n.Title.RU == "" || n.Title.EN == "" {
				t.Errorf("%s: node %s has the titles %+v", dim.Name, n.Code, n.Title)
			}
		}
	}
	if !d.Dimension("violence").Sensitive || !d.Dimension("setting").Sensitive {
		t.Error("the share rule must apply to types of violence and settings")
	}
}

// Sectors of a pair and of a code are implied by their sources.
func TestSectorsAreImplied(t *testing.T) {
	d := national(t)
	implied := map[string][]string{}
	for _, m := range d.Implied {
		if m.Then.Dimension == "sector" {
			implied[m.If.Dimension+"="+m.If.Node] = append(implied[m.If.Dimension+"="+m.If.Node], m.Then.Node)
		}
	}
	for _, n := range d.Dimension("pair").Nodes {
		got := implied["pair="+n.Code]
		if slices.Sort(got); strings.Join(got, "+") != n.Code {
			t.Errorf("pair %s implies %v", n.Code, got)
		}
	}
	for _, n := range d.Dimension("event_type").Nodes {
		sector, _, _ := strings.Cut(n.Code, ".")
		if got := implied["event_type="+n.Code]; len(got) != 1 || got[0] != sector {
			t.Errorf("type %s implies %v", n.Code, got)
		}
	}
	if len(d.Implied) != 10+2*15+29+36 {
		t.Errorf("%d implications", len(d.Implied))
	}
}

// One name is one dimension: the demonstration's are the national ones.
func TestDefinitions(t *testing.T) {
	all, err := configs.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 || all["evaluation"] == nil || all["demo"] == nil || all["national"] == nil || all["standing"] == nil || all["public"] == nil {
		t.Fatalf("%d definitions", len(all))
	}
	for _, dim := range all["demo"].Dimensions {
		if diff := cmp.Diff(&dim, all["national"].Dimension(dim.Name)); diff != "" {
			t.Errorf("%s (-demo +national):\n%s", dim.Name, diff)
		}
	}
}
