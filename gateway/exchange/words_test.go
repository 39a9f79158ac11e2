package exchange_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// Indicators are counted here once more, from the files as agencies send them and from
// the words of domain.md 3.1: nothing here knows of paths, outcomes, SQL or the truth of
// the synthetic country, so all of those can be contradicted.

// A told record is a line of a file.
type toldRecord struct {
	sector string
	day    gateway.Day
	cells  map[string]string
}

// date is a date of a record, if it has it.
func (r *toldRecord) date(field string) (gateway.Day, bool) {
	return gateway.ParseDay([]byte(r.cells[field]))
}

func (r *toldRecord) sentTo(sector string) bool {
	return slices.Contains(strings.Split(r.cells["referred_to"], "|"), sector)
}

// A listener counts indicators by their words.
type listener struct {
	children map[string][]toldRecord // by number
	slips    map[string][]toldRecord // records that bear a number of a slip
	coverage *gateway.Coverage
	regions  []string
	counts   map[string]int
}

// dayFields are the fields of the event's day.
var dayFields = map[string]string{
	"police": "report_date", "health": "encounter_date", "education": "report_date",
	"social": "referral_received_date", "justice": "stage_date", "helpline": "contact_date",
}

// listen counts every indicator, by the label of its cells.
func listen(t *testing.T, files map[gateway.ContractID][]byte, coverage *gateway.Coverage) map[string]int {
	t.Helper()
	l := &listener{children: map[string][]toldRecord{}, slips: map[string][]toldRecord{}, coverage: coverage, regions: regions(t), counts: map[string]int{}}
	first, _ := gateway.ParseDay([]byte("2023-01-01"))
	last, _ := gateway.ParseDay([]byte("2025-12-31"))
	for sector, file := range files {
		lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
		ok(t, err)
		for _, line := range lines[1:] {
			r := toldRecord{sector: string(sector), cells: map[string]string{}}
			for i, name := range lines[0] {
				r.cells[name] = line[i]
			}
			r.day, _ = r.date(dayFields[r.sector])
			if r.day < first || r.day > last {
				continue
			}
			if slip := r.cells["referral_key"]; slip != "" {
				l.slips[slip] = append(l.slips[slip], r)
			}
			if iin := r.cells["child_iin"]; iin != "" {
				l.children[iin] = append(l.children[iin], r)
			}
		}
	}
	for _, records := range l.children {
		l.child(records)
	}
	return l.counts
}

// child counts one child in all indicators, in all and in its region.
func (l *listener) child(records []toldRecord) {
	region := regionBy(records)
	count := func(label string) {
		l.counts[label]++
		if region != "" {
			l.counts[label+"|region="+region]++
		}
	}
	l.doors(records, region, count)
	l.cascade(records, region, count)
	l.handOver(records, region, "social", count)
	l.handOver(records, region, "police", count)
	l.home(records, region, count)
	l.call(records, region, count)
	seen := map[string]bool{}
	for _, r := range records {
		seen[r.sector] = true
	}
	sectors := slices.Sorted(maps.Keys(seen))
	for _, s := range sectors { // the denominators
		count("sector=" + s)
	}
	if len(sectors) == 1 { // I6
		count("sector_count=1")
	}
	for i, a := range sectors { // I5
		for _, b := range sectors[i+1:] {
			count("pair=" + a + "+" + b)
		}
	}
}

// regionBy is the region named by most sectors, ties to the earliest record in the
// window, any remaining tie unknown.
func regionBy(records []toldRecord) string {
	by := map[string]map[string]bool{}
	since := map[string]gateway.Day{}
	for _, r := range records {
		if len(r.cells["residence_kato"]) < 2 {
			continue
		}
		region := r.cells["residence_kato"][:2]
		if by[region] == nil {
			by[region], since[region] = map[string]bool{}, r.day
		}
		by[region][r.sector] = true
		since[region] = min(since[region], r.day)
	}
	winner, tied := "", false
	for region := range by {
		switch {
		case winner == "" || len(by[region]) > len(by[winner]) || len(by[region]) == len(by[winner]) && since[region] < since[winner]:
			winner, tied = region, false
		case len(by[region]) == len(by[winner]) && since[region] == since[winner]:
			tied = true
		}
	}
	if tied {
		return ""
	}
	return winner
}

// told reports whether the horizon of sectors in a region is at the end of a cohort's
// quarter and some days; of a child whose region is unknown, in all regions.
func (l *listener) told(region string, start gateway.Day, days int, sectors ...string) bool {
	places := []string{region}
	if region == "" {
		places = l.regions
	}
	until := int(start.Quarter().Last()) + days
	for _, sector := range sectors {
		for _, place := range places {
			horizon := -1 << 30 // quarters from the first on, without a gap
			for q := gateway.Quarter(2023 * 4); slices.Contains(l.coverage.Full[gateway.ContractID(sector)][place], q); q++ {
				horizon = int(q.Last())
			}
			if horizon < until {
				return false
			}
		}
	}
	return true
}

// firstOf is the first day of a sector's records of a kind.
func firstOf(records []toldRecord, is func(*toldRecord) bool) (gateway.Day, bool) {
	var day gateway.Day
	found := false
	for i := range records {
		if is(&records[i]) && (!found || records[i].day < day) {
			day, found = records[i].day, true
		}
	}
	return day, found
}

func of(sector string) func(*toldRecord) bool {
	return func(r *toldRecord) bool { return r.sector == sector }
}

// doors are I1 and I2: children that one sector knows whom social protection did not
// reach, by an assessment or a start of a service, 0 to 30 days after their first record.
func (l *listener) doors(records []toldRecord, region string, count func(string)) {
	labels := map[string][2]string{"police": {"reached=no", "reached=cannot_tell"}}
	for _, door := range []string{"health", "education", "helpline", "justice"} {
		labels[door] = [2]string{"outcome=" + door + "_not_reached", "outcome=" + door + "_cannot_tell"}
	}
	for door, label := range labels {
		start, known := firstOf(records, of(door))
		if !known {
			continue
		}
		reached := false
		for _, r := range records {
			for _, field := range []string{"assessment_date", "service_start_date"} {
				if day, has := r.date(field); r.sector == "social" && has && day >= start && day <= start+30 {
					reached = true
				}
			}
		}
		switch {
		case !l.told(region, start, 30, door, "social"):
			count(label[1])
		case !reached:
			count(label[0])
		}
	}
}

// cascade is I3 and I7: what follows the first report to the police in 180 days, each
// stage on the day of the one before or later; and the days to the first service.
func (l *listener) cascade(records []toldRecord, region string, count func(string)) {
	start, known := firstOf(records, of("police"))
	switch {
	case !known:
		return
	case !l.told(region, start, 180, "police", "social"):
		count("outcome=support_cannot_tell")
		return
	}
	stages := []struct {
		node string
		day  func(r *toldRecord) (gateway.Day, bool)
	}{
		{"referral_sent", func(r *toldRecord) (gateway.Day, bool) { return r.day, r.sector == "police" && r.sentTo("social") }},
		{"referral_received", func(r *toldRecord) (gateway.Day, bool) {
			return r.day, r.sector == "social" && r.cells["event_type"] == "REFERRAL_RECEIVED"
		}},
		{"assessed", func(r *toldRecord) (gateway.Day, bool) { return r.date("assessment_date") }},
		{"service_started", func(r *toldRecord) (gateway.Day, bool) { return r.date("service_start_date") }},
		{"plan_completed", func(r *toldRecord) (gateway.Day, bool) {
			day, closed := r.date("closure_date")
			return day, closed && (r.cells["closure_reason"] == "COMPLETED" || r.cells["closure_reason"] == "SAFE")
		}},
	}
	earliest := func(from gateway.Day, on func(*toldRecord) (gateway.Day, bool)) (gateway.Day, bool) {
		best, found := gateway.Day(0), false
		for i := range records {
			if day, is := on(&records[i]); is && day >= from && day <= start+180 && (!found || day < best) {
				best, found = day, true
			}
		}
		return best, found
	}
	from := start
	for _, s := range stages {
		day, found := earliest(from, s.day)
		if !found {
			break
		}
		count("outcome=" + s.node)
		from = day
	}
	if day, found := earliest(start, stages[3].day); found {
		switch waited := day - start; {
		case waited <= 1:
			count("outcome=service_0_1")
		case waited <= 7:
			count("outcome=service_2_7")
		case waited <= 30:
			count("outcome=service_8_30")
		default:
			count("outcome=service_31_180")
		}
	}
}

// handOver is I4: the child's first referral to a sector, which has no record of it
// within 14 days by the number on the slip; without one, none of the child 3 days before
// or after. Two things are so that the words do not say: with the number too, the child's
// record counts from 3 days before, as it does without one; and of somebody else's record that bears the number it arrived,
// on any day, because days of two children are not comparable once they are stored.
func (l *listener) handOver(records []toldRecord, region, to string, count func(string)) {
	sent := map[gateway.Day][]toldRecord{}
	for _, r := range records {
		if r.sector == to || !r.sentTo(to) {
			continue
		}
		day, has := r.date("referral_date")
		if !has {
			day = r.day
		}
		sent[day] = append(sent[day], r)
	}
	if len(sent) == 0 {
		return
	}
	day := slices.Min(slices.Collect(maps.Keys(sent)))
	count("outcome=" + to + "_sent")
	// The cohort is the quarter of the earliest record that says so.
	cohort := sent[day][0].day
	for _, r := range sent[day] {
		cohort = min(cohort, r.day)
	}
	if !l.told(region, cohort, 14+int(max(0, day-cohort)), "police", "health", "education", "social", "justice", "helpline") {
		count("outcome=" + to + "_sent_cannot_tell")
		return
	}
	for _, r := range sent[day] {
		slip := r.cells["referral_key"]
		for _, got := range l.slips[slip] {
			if slip != "" && got.sector == to && (got.cells["child_iin"] != r.cells["child_iin"] || got.day >= day-3 && got.day <= day+14) {
				return
			}
		}
		for _, got := range records {
			if slip == "" && got.sector == to && got.day >= day-3 && got.day <= day+3 {
				return
			}
		}
	}
	count("outcome=" + to + "_lost")
}

// home is I13: a protective order 0 to 3 days after the first police record of home.
func (l *listener) home(records []toldRecord, region string, count func(string)) {
	start, known := firstOf(records, func(r *toldRecord) bool { return r.sector == "police" && r.cells["setting"] == "HOME" })
	if !known {
		return
	}
	count("outcome=home_incident")
	if !l.told(region, start, 3, "police") {
		count("outcome=home_cannot_tell")
		return
	}
	for _, r := range records {
		day, has := r.date("protective_order_date")
		if issued := r.cells["protective_order"]; has && (issued == "ISSUED" || issued == "EXTENDED") && day >= start && day <= start+3 {
			count("outcome=home_order")
			return
		}
	}
}

// call is I14: an event elsewhere 0 to 14 days after the first contact with the helpline.
func (l *listener) call(records []toldRecord, region string, count func(string)) {
	start, known := firstOf(records, of("helpline"))
	if !known {
		return
	}
	if !l.told(region, start, 14, "police", "health", "education", "social", "justice", "helpline") {
		count("outcome=call_cannot_tell")
		return
	}
	for _, r := range records {
		if r.sector != "helpline" && r.day >= start && r.day <= start+14 {
			count("outcome=call_elsewhere")
			return
		}
	}
}

// heard are the dimensions and nodes that a listener counts.
func heard(cell map[string]string) bool {
	for dimension, code := range cell {
		switch dimension {
		case "region", "pair", "sector":
		case "sector_count":
			if code != "1" {
				return false
			}
		case "reached":
			if code != gateway.ReachedNo && code != gateway.ReachedCannotTell {
				return false
			}
		case "outcome":
			known := false
			for _, p := range []string{
				"health_", "education_", "helpline_", "justice_", "referral_", "assessed", "service_", "plan_", "support_",
				"social_", "police_", "home_", "call_",
			} {
				known = known || strings.HasPrefix(code, p)
			}
			if !known {
				return false
			}
		default:
			return false
		}
	}
	_, inRegion := cell["region"]
	return len(cell) == 1 && !inRegion || len(cell) == 2 && inRegion
}

// compareWords holds every cell of these indicators against what was heard.
func compareWords(t *testing.T, said map[string]int, cells map[string]int) {
	t.Helper()
	wrong, children, labels := 0, 0, map[string]bool{}
	for label, n := range cells {
		cell := parse(label)
		if !heard(cell) {
			continue
		}
		plain := label // the listener writes the region last
		for dimension, code := range cell {
			if dimension != "region" {
				plain = dimension + "=" + code
			}
		}
		if region, in := cell["region"]; in {
			plain += "|region=" + region
		}
		labels[plain] = true
		children += n
		if n != said[plain] {
			if wrong++; wrong < 10 {
				t.Errorf("cell %q: counted %d, by the words %d", label, n, said[plain])
			}
		}
	}
	for label, n := range said {
		if !labels[label] {
			if wrong++; wrong < 10 {
				t.Errorf("cell %q: counted nobody, by the words %d", label, n)
			}
		}
	}
	if wrong > 0 || len(labels) < 500 || children < 20_000 {
		t.Fatalf("%d cells of %d differ, of %d children", wrong, len(labels), children)
	}
	t.Logf("%d cells, %d children in them", len(labels), children)
}

// childrenIn are the children of each cell.
func childrenIn(truth *synth.Truth) map[string]int {
	cells := map[string]int{}
	for label, n := range truth.Cells {
		cells[label] = n.Children
	}
	return cells
}

// TestIndicatorsByTheWords: before protection, indicators I1 to I7, I13 and I14 of three
// countries are what their words say, with every quarter reported and with holes.
// [TestCountsAreTrue] holds the same numbers against what the warehouse counts.
func TestIndicatorsByTheWords(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed", seed+1), func(t *testing.T) {
			c, files, err := country(synth.Options{Children: 2500, Seed: seed + 1})
			ok(t, err)
			coverage := c.Coverage()
			for range 2 {
				truth, err := c.Truth(demo(t), coverage)
				ok(t, err)
				compareWords(t, listen(t, files, coverage), childrenIn(truth))
				quarter := gateway.Quarter(2024*4 + int(seed))
				gone := func(q gateway.Quarter) bool { return q == quarter }
				coverage.Full["social"]["75"] = slices.DeleteFunc(slices.Clone(coverage.Full["social"]["75"]), gone)
				coverage.Full["police"]["19"] = slices.DeleteFunc(slices.Clone(coverage.Full["police"]["19"]), gone)
				delete(coverage.Full["helpline"], "61")
			}
		})
	}
}
