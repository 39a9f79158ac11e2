package synth

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
)

func contracts(tb testing.TB) []*gateway.Contract {
	tb.Helper()
	list, err := configs.Contracts()
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func definition(tb testing.TB) *gateway.Definition {
	tb.Helper()
	d, err := configs.Definition("demo")
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func country(tb testing.TB, o Options) *Country {
	tb.Helper()
	o.Contracts = contracts(tb)
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// handmade turns "sector iin day region field=value …" into records.
func handmade(t *testing.T, lines string) func(func(*record) error) error {
	t.Helper()
	c := country(t, Options{Children: 1})
	return func(do func(*record) error) error {
		for line := range strings.Lines(lines) {
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			sector := slices.Index(sectorNames[:], gateway.ContractID(words[0]))
			r := &record{form: &c.forms[sector], sector: sector, cells: make([]string, len(c.forms[sector].contract.Fields))}
			r.set("child_iin", strings.Trim(words[1], "-"))
			r.set(r.form.event, words[2])
			r.set("residence_kato", words[3]+"1010000")
			for _, word := range words[4:] {
				field, value, _ := strings.Cut(word, "=")
				r.set(gateway.FieldName(field), value)
			}
			if err := do(r); err != nil {
				return err
			}
		}
		return nil
	}
}

// Five children and ten events that count, worked out by hand.
//
//	A, girl of 2008-02-29: police and social in Q1, in time (day 30); 15 on the first day
//	B, boy of 2009-07-15: police first and social a day too late; three sectors
//	   name region 61, one of them 75 as well
//	C, girl of 2010-12-31: school and helpline on one day, two regions: unknown; 13, school first by the order
//	D, boy of 2020-04-05, police in the last quarter: nobody can tell
//	E, girl, only outside the window; and a call without a number
const fewEvents = `
police    080229690004 2023-03-01 61
social    080229690004 2023-03-10 61 assessment_date=2023-03-31 service_start_date=2023-06-01
police    090715590001 2024-05-01 75
social    090715590001 2024-05-20 61 assessment_date=2024-06-01
health    090715590001 2024-07-02 61
police    090715590001 2024-07-02 61
education 101231690004 2024-01-15 71
helpline  101231690004 2024-01-15 75
helpline  -            2024-01-15 75 child_sex=F child_age_years=12
police    200405590009 2025-12-30 19
social    200405590009 2025-12-31 19 assessment_date=2025-12-31
police    130509690008 2022-12-31 19
`

func TestTruthByHand(t *testing.T) {
	c := country(t, Options{Children: 1})
	truth, err := newTruth(definition(t), c.Coverage(), c.options.Contracts, handmade(t, fewEvents))
	if err != nil {
		t.Fatal(err)
	}
	if truth.Children != 4 || truth.Records != 10 || truth.Contacts != 1 {
		t.Errorf("%d children, %d records, %d contacts", truth.Children, truth.Records, truth.Contacts)
	}
	// Every cell of one dimension, and the total. Records are those of cubes that
	// count them.
	want := map[string]Count{
		"":                       {4, 10},
		"sex=F":                  {2, 4},
		"sex=M":                  {2, 6},
		"age_first=Y15T17":       {1, 0},
		"age_first=Y10T14":       {2, 0},
		"age_first=Y5T9":         {1, 0},
		"region=61":              {2, 0},
		"region=19":              {1, 0},
		"first_sector=police":    {3, 0},
		"first_sector=education": {1, 0},
		"reached=yes":            {1, 0},
		"reached=no":             {1, 0},
		"reached=cannot_tell":    {1, 0},
		"reached=no_start":       {1, 0},
		"sector=police":          {3, 4},
		"sector=social":          {3, 3},
		"sector=health":          {1, 1},
		"sector=education":       {1, 1},
		"sector=helpline":        {1, 1},
		"quarter=2023Q1":         {1, 2},
		"quarter=2024Q1":         {1, 2},
		"quarter=2024Q2":         {1, 2},
		"quarter=2024Q3":         {1, 2},
		"quarter=2025Q4":         {1, 2},
		"event_region=61":        {2, 5},
		"event_region=75":        {2, 2},
		"event_region=71":        {1, 1},
		"event_region=19":        {1, 2},
		"event_age=Y15T17":       {1, 2},
		"event_age=Y10T14":       {2, 6},
		"event_age=Y5T9":         {1, 2},

		"sector_count=2":          {3, 0},
		"sector_count=3":          {1, 0},
		"pair=police+social":      {3, 0},
		"pair=health+police":      {1, 0},
		"pair=health+social":      {1, 0},
		"pair=education+helpline": {1, 0},

		"outcome=service_31_180":        {1, 0}, // A, after 92 days
		"outcome=health_not_reached":    {1, 0}, // B, whose social records are before
		"outcome=education_not_reached": {1, 0}, // C, wherever it lives: all have reported
		"outcome=helpline_not_reached":  {1, 0},
		"outcome=call_elsewhere":        {1, 0}, // C, on the same day
		"outcome=support_cannot_tell":   {1, 0}, // D
		"outcome=court_cannot_tell":     {1, 0},
	}
	got := map[string]Count{}
	for label, count := range truth.Cells {
		if strings.Count(label, "=") < 2 {
			got[label] = count
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	for label, count := range map[string]Count{
		"age_first=Y15T17|reached=yes|region=61|sex=F":    {1, 0},
		"age_first=Y10T14|reached=no|region=61|sex=M":     {1, 0},
		"reached=cannot_tell|region=19":                   {1, 0},
		"first_sector=education|reached=no_start|sex=F":   {1, 0},
		"quarter=2024Q3|sector=police|sex=M":              {1, 1},
		"event_age=Y10T14|event_region=61|quarter=2024Q3": {1, 2},
		"event_age=Y10T14|quarter=2024Q2|sector=police":   {1, 1},
		"region=75":                      {},
		"quarter=2024Q2|sector=health":   {},
		"event_region=75|quarter=2024Q3": {},
		"reached=no_start|region=71":     {},
	} {
		if truth.Cells[label] != count {
			t.Errorf("%s: got %v, want %v", label, truth.Cells[label], count)
		}
	}
}

// A cell's members are the children that it counts, and its sum that of their
// keys.
func TestMembersAndSums(t *testing.T) {
	c := country(t, Options{Children: 1})
	truth, err := newTruth(definition(t), c.Coverage(), c.options.Contracts, handmade(t, fewEvents))
	if err != nil {
		t.Fatal(err)
	}
	members, err := truth.Members("region=61")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"080229690004", "090715590001"}; !slices.Equal(members, want) {
		t.Errorf("members of region 61: %d", len(members))
	}
	if none, err := truth.Members("region=75"); err != nil || none != nil {
		t.Error("an empty cell has members")
	}
	sums, err := truth.Sums(func(iin string) uint64 { return 1<<63 + uint64(iin[3]) })
	if err != nil {
		t.Fatal(err)
	}
	if len(sums) != len(truth.Cells) {
		t.Errorf("%d sums for %d cells", len(sums), len(truth.Cells))
	}
	if want := uint64('2' + '7'); sums["region=61"] != want { // 2 · 2^63 is 0
		t.Errorf("sum of region 61: %d, want %d", sums["region=61"], want)
	}
	for label, count := range truth.Cells {
		if ones, err := truth.Sums(func(string) uint64 { return 1 }); err != nil || ones[label] != uint64(count.Children) {
			t.Fatalf("%s: %d keys for %d children", label, ones[label], count.Children)
		}
		break
	}
}

// Region: one vote a sector and region; ties to the earliest record; a tie on
// that day is no region at all.
func TestRegionOfMost(t *testing.T) {
	for _, test := range []struct{ events, want string }{
		{"police A 2024-01-01 10, police A 2024-01-02 10, social A 2024-01-03 11, health A 2024-01-04 11", "11"},
		{"police A 2024-01-05 10, social A 2024-01-03 11", "11"},
		{"police A 2024-01-03 10, social A 2024-01-03 11", ""},
		{"police A 2024-01-03 10, social A 2024-01-03 11, health A 2024-01-09 11", "11"},
		{"police A 2024-01-01 15, police A 2024-01-03 10, health A 2024-01-04 10, social A 2024-01-03 11, justice A 2024-01-05 11", ""},
		{"police A 2024-01-01 15, police A 2024-01-02 10, health A 2024-01-04 10, social A 2024-01-03 11, justice A 2024-01-05 11", "10"},
		{"police A 2024-01-01 10, police A 2024-02-01 11", "10"},
	} {
		c := country(t, Options{Children: 1})
		lines := strings.ReplaceAll(strings.ReplaceAll(test.events, " A ", " 080229690004 "), ", ", "\n")
		truth, err := newTruth(definition(t), c.Coverage(), c.options.Contracts, handmade(t, lines))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for label := range truth.Cells {
			if code, ok := strings.CutPrefix(label, "region="); ok && !strings.Contains(code, "|") {
				got += code
			}
		}
		if got != test.want {
			t.Errorf("%s: region %q, want %q", test.events, got, test.want)
		}
	}
}

// Whether the police and social protection of the child's region have reported
// long enough decides before what they reported.
func TestReachedNeedsHorizon(t *testing.T) {
	child := "police 080229690004 2024-03-15 61\nsocial 080229690004 2024-03-16 61 assessment_date=2024-03-16"
	unknown := "police 080229690004 2024-03-15 61\nsocial 080229690004 2024-03-15 19 assessment_date=2024-03-16"
	gap := gateway.Quarter(2023*4 + 2)
	for _, test := range []struct {
		name, events string
		drop         func(*gateway.Coverage)
		want         string
	}{
		{"all", child, func(*gateway.Coverage) {}, "reached=yes"},
		{"no report of Q2 by social", child, func(c *gateway.Coverage) { cut(c, "social", "61", 2024*4) }, "reached=cannot_tell"},
		{"no report of Q3 by social", child, func(c *gateway.Coverage) { cut(c, "social", "61", 2024*4+1) }, "reached=yes"},
		{"no report of Q2 by police", child, func(c *gateway.Coverage) { cut(c, "police", "61", 2024*4) }, "reached=cannot_tell"},
		{"no report of Q2 by health", child, func(c *gateway.Coverage) { cut(c, "health", "61", 2024*4) }, "reached=yes"},
		{"no report of Q2 elsewhere", child, func(c *gateway.Coverage) { cut(c, "social", "19", 2024*4) }, "reached=yes"},
		{"unknown region", unknown, func(*gateway.Coverage) {}, "reached=yes"},
		{"unknown region, one missing", unknown, func(c *gateway.Coverage) { cut(c, "social", "71", 2024*4) }, "reached=cannot_tell"},
		{"a gap before", child, func(c *gateway.Coverage) {
			c.Full["social"]["61"] = slices.DeleteFunc(c.Full["social"]["61"], func(q gateway.Quarter) bool { return q == gap })
		}, "reached=cannot_tell"},
	} {
		c := country(t, Options{Children: 1})
		cov := c.Coverage()
		for _, byRegion := range cov.Full {
			for region := range byRegion {
				byRegion[region] = slices.Clone(byRegion[region])
			}
		}
		test.drop(cov)
		truth, err := newTruth(definition(t), cov, c.options.Contracts, handmade(t, test.events))
		if err != nil {
			t.Fatal(err)
		}
		if truth.Cells[test.want].Children != 1 {
			t.Errorf("%s: not %s", test.name, test.want)
		}
	}
}

// From the day of the report to the thirtieth after it, either date counts.
func TestReachedWindow(t *testing.T) {
	for _, test := range []struct{ dates, want string }{
		{"assessment_date=2024-03-14", "no"},
		{"assessment_date=2024-03-15", "yes"},
		{"assessment_date=2024-04-14", "yes"},
		{"assessment_date=2024-04-15", "no"},
		{"service_start_date=2024-04-14", "yes"},
		{"assessment_date=2024-03-14 service_start_date=2024-03-20", "yes"},
		{"assessment_date=2024-03-14 service_start_date=2024-04-15", "no"},
		{"closure_date=2024-03-20", "no"},
	} {
		c := country(t, Options{Children: 1})
		lines := "police 080229690004 2024-03-15 61\nsocial 080229690004 2024-03-10 61 " + test.dates
		truth, err := newTruth(definition(t), c.Coverage(), c.options.Contracts, handmade(t, lines))
		if err != nil {
			t.Fatal(err)
		}
		if truth.Cells["reached="+test.want].Children != 1 {
			t.Errorf("%s: not %s", test.dates, test.want)
		}
	}
}

// cut ends a sector's coverage of a region after a quarter.
func cut(c *gateway.Coverage, sector gateway.ContractID, region string, last gateway.Quarter) {
	c.Full[sector][region] = slices.DeleteFunc(c.Full[sector][region], func(q gateway.Quarter) bool { return q > last })
}

// At most twenty records of a child count in a cell.
func TestRecordCap(t *testing.T) {
	c := country(t, Options{Children: 1})
	lines := strings.Repeat("helpline 080229690004 2024-03-15 61\n", 25) + strings.Repeat("police 080229690004 2024-05-15 61\n", 3)
	truth, err := newTruth(definition(t), c.Coverage(), c.options.Contracts, handmade(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]int{"": 20, "sector=helpline": 20, "sector=police": 3, "quarter=2024Q1|sector=helpline": 20} {
		if got := truth.Cells[label].Records; got != want {
			t.Errorf("%q: %d records, want %d", label, got, want)
		}
	}
	if truth.Records != 28 {
		t.Errorf("%d records in all", truth.Records)
	}
}
