package synth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
)

func national(tb testing.TB) *gateway.Definition {
	tb.Helper()
	d, err := configs.Definition("national")
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// Three children and ten events that count, worked out by hand.
//
//	A, girl: two reports to the police, one of two types of violence, and social protection
//	B, boy: all sectors but justice, in two years
//	C, girl: school alone, with neither type, violence nor setting
const harmfulEvents = `
police    080229690004 2023-03-01 61 event_type=REPORT violence_type=02|04 setting=HOME
police    080229690004 2023-03-20 61 event_type=REPORT violence_type=02 setting=STREET
social    080229690004 2023-03-10 61 event_type=ASSESSMENT
police    090715590001 2024-05-01 75 event_type=REFERRAL violence_type=03 setting=ONLINE
health    090715590001 2024-06-01 75 event_type=REFERRAL violence_type=03 setting=UNKNOWN
education 090715590001 2024-07-02 75 event_type=INCIDENT violence_type=04
social    090715590001 2025-01-20 75 event_type=ASSESSMENT
helpline  090715590001 2025-01-21 75 event_type=CONTACT
helpline  -            2024-01-15 75 event_type=CONTACT
education 101231690004 2025-12-31 71
health    101231690004 2022-12-31 71 event_type=CONTACT
`

func TestNationalTruthByHand(t *testing.T) {
	c := country(t, Options{Children: 1})
	truth, err := newTruth(national(t), c.Coverage(), c.options.Contracts, handmade(t, harmfulEvents))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Count{
		"":                              {3, 9},
		"sector_count=1":                {1, 0},
		"sector_count=2":                {1, 0},
		"sector_count=4+":               {1, 0},
		"pair=police+social":            {2, 0},
		"pair=health+police":            {1, 0},
		"pair=education+police":         {1, 0},
		"pair=helpline+police":          {1, 0},
		"pair=education+health":         {1, 0},
		"pair=health+social":            {1, 0},
		"pair=health+helpline":          {1, 0},
		"pair=education+social":         {1, 0},
		"pair=education+helpline":       {1, 0},
		"pair=helpline+social":          {1, 0},
		"year=2023":                     {1, 0},
		"year=2024":                     {1, 0},
		"year=2025":                     {2, 0},
		"violence=02":                   {1, 0},
		"violence=03":                   {1, 0},
		"violence=04":                   {2, 0},
		"setting=HOME":                  {1, 0},
		"setting=STREET":                {1, 0},
		"setting=ONLINE":                {1, 0},
		"setting=UNKNOWN":               {1, 0},
		"event_type=police.REPORT":      {1, 0},
		"event_type=police.REFERRAL":    {1, 0},
		"event_type=health.REFERRAL":    {1, 0},
		"event_type=education.INCIDENT": {1, 0},
		"event_type=social.ASSESSMENT":  {2, 0},
		"event_type=helpline.CONTACT":   {1, 0},
		"outcome=sign_seen":             {2, 0}, // A, and B, whose referrals are none
		"outcome=again_half":            {1, 0}, // A, after 19 days
		"outcome=again_year":            {2, 0}, // B, after 203 days
		"outcome=home_incident":         {1, 0},
		"outcome=health_not_reached":    {1, 0},
		"outcome=education_not_reached": {1, 0},
		"outcome=helpline_not_reached":  {1, 0},
		"outcome=education_cannot_tell": {1, 0}, // C
	}
	got := map[string]Count{}
	for label, count := range truth.Cells {
		name, _, _ := strings.Cut(label, "=")
		if _, demo := map[string]bool{
			"region": true, "age_first": true, "sex": true, "first_sector": true, "reached": true, "sector": true,
			"quarter": true, "event_region": true, "event_age": true,
		}[name]; !demo && strings.Count(label, "=") < 2 {
			got[label] = count
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	for label, count := range map[string]Count{
		"sector=education":                                 {2, 2}, // with a type or without
		"region=61|sector_count=2|sex=F":                   {1, 0},
		"age_first=Y10T14|region=75|sector_count=4+":       {1, 0},
		"pair=police+social|sex=F":                         {1, 0},
		"pair=police+social|region=75":                     {1, 0},
		"sector=police|violence=04":                        {1, 0},
		"setting=STREET|violence=02":                       {1, 0},
		"setting=STREET|violence=04":                       {},
		"setting=HOME|violence=04":                         {1, 0},
		"sector=police|year=2025":                          {},
		"event_type=social.ASSESSMENT|year=2025":           {1, 0},
		"event_age=Y10T14|quarter=2024Q3|sector=education": {1, 1},
		"sex=M|violence=03":                                {1, 0},
		"pair=justice+police":                              {},
	} {
		if truth.Cells[label] != count {
			t.Errorf("%s: got %v, want %v", label, truth.Cells[label], count)
		}
	}
}

// A year of which the window holds a part is no node; its events are in the rest.
func TestPartOfAYear(t *testing.T) {
	from, _ := gateway.ParseQuarter("2023Q1")
	d, err := national(t).Window(from, from+8)
	if err != nil {
		t.Fatal(err)
	}
	c := country(t, Options{Children: 1})
	truth, err := newTruth(d, c.Coverage(), c.options.Contracts, handmade(t, harmfulEvents))
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]int{"": 2, "year=2023": 1, "year=2024": 1, "year=2025": 0, "quarter=2025Q1": 1, "sector_count=4+": 1} {
		if got := truth.Cells[label].Children; got != want {
			t.Errorf("%q: %d children, want %d", label, got, want)
		}
	}
}

// Of three nodes the last is open; where every sector has its own number, none is.
func TestOpenNumber(t *testing.T) {
	for _, test := range []struct {
		n, codes int
		want     string
	}{{1, 4, "1"}, {3, 4, "3"}, {4, 4, "4+"}, {6, 4, "4+"}, {6, 6, "6"}, {5, 6, "5"}, {6, 5, "5+"}} {
		if got := howMany(test.n, test.codes); got != test.want {
			t.Errorf("%d sectors of %d codes: %s, want %s", test.n, test.codes, got, test.want)
		}
	}
}

// Laws that hold for any country: numbers of sectors partition the children, and
// everyone of a pair has been seen by both of it.
func TestNationalLaws(t *testing.T) {
	d := national(t)
	c := country(t, Options{Children: 500, Seed: 3})
	truth, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	children := func(label string) int { return truth.Cells[label].Children }
	counted, pairs, least := 0, 0, 0
	for i, n := range d.Dimension("sector_count").Nodes {
		counted += children("sector_count=" + n.Code)
		least += (i + 1) * i / 2 * children("sector_count="+n.Code)
	}
	if counted != truth.Children || counted == 0 {
		t.Errorf("%d children by number of sectors, %d in all", counted, truth.Children)
	}
	for _, n := range d.Dimension("pair").Nodes {
		both := children("pair=" + n.Code)
		pairs += both
		for sector := range strings.SplitSeq(n.Code, "+") {
			if both > children("sector="+sector) {
				t.Errorf("more children of %s than of %s", n.Code, sector)
			}
		}
		if both != children("pair="+n.Code+"|sex=F")+children("pair="+n.Code+"|sex=M") {
			t.Errorf("%s is not the sum of its sexes", n.Code)
		}
	}
	if pairs < least {
		t.Errorf("%d children of pairs, at least %d by the numbers of sectors", pairs, least)
	}
	for _, n := range d.Dimension("event_type").Nodes {
		if sector, _, _ := strings.Cut(n.Code, "."); children("event_type="+n.Code) > children("sector="+sector) {
			t.Errorf("more children of %s than of %s", n.Code, sector)
		}
	}
}
