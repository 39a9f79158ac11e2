package synth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/pipelines/synth"
	"github.com/pana-exchange/pana/policies"
)

func contracts(tb testing.TB) []*gateway.Contract {
	tb.Helper()
	list, err := configs.Contracts()
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func country(tb testing.TB, o synth.Options) *synth.Country {
	tb.Helper()
	o.Contracts = contracts(tb)
	c, err := synth.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// files returns the files of a country.
func files(tb testing.TB, c *synth.Country) map[gateway.ContractID]*bytes.Buffer {
	tb.Helper()
	out := map[gateway.ContractID]*bytes.Buffer{}
	err := c.Write(func(id gateway.ContractID) (io.Writer, error) {
		out[id] = &bytes.Buffer{}
		return out[id], nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// rows parses a file with the header as keys.
func rows(tb testing.TB, file *bytes.Buffer) []map[string]string {
	tb.Helper()
	all, err := csv.NewReader(bytes.NewReader(file.Bytes())).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var parsed []map[string]string
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = cells[i]
		}
		parsed = append(parsed, row)
	}
	return parsed
}

func TestSameSeedSameBytes(t *testing.T) {
	o := synth.Options{Children: 500, Seed: 7, Dirty: 0.02}
	a, b := files(t, country(t, o)), files(t, country(t, o))
	o.Seed = 8
	other := files(t, country(t, o))
	for id := range a {
		if !bytes.Equal(a[id].Bytes(), b[id].Bytes()) {
			t.Errorf("%s: two files of one seed differ", id)
		}
		if bytes.Equal(a[id].Bytes(), other[id].Bytes()) {
			t.Errorf("%s: the files of two seeds are equal", id)
		}
	}
}

// A larger country of a seed starts with the smaller one's children, but for the
// unnumbered contacts, and dirt changes only what is dirty.
func TestDirtChangesNothingElse(t *testing.T) {
	clean, dirty := country(t, synth.Options{Children: 2000, Seed: 3}), country(t, synth.Options{Children: 2000, Seed: 3, Dirty: 0.05})
	n, err := dirty.Counts()
	if err != nil {
		t.Fatal(err)
	}
	a, b := files(t, clean), files(t, dirty)
	for id := range a {
		spoilt := map[int]gateway.ProblemCode{}
		for _, d := range n.Dirty {
			if d.File == id {
				spoilt[d.Line] = d.Code
			}
		}
		want, got := bytes.Split(a[id].Bytes(), []byte("\n")), bytes.Split(b[id].Bytes(), []byte("\n"))
		at := 0
		for i, line := range got {
			if spoilt[i+1] == "DUPLICATE_RECORD" {
				if !bytes.Equal(line, got[i-1]) {
					t.Fatalf("%s line %d is not the double of the line before", id, i+1)
				}
				continue
			}
			if same := bytes.Equal(line, want[at]); same == (spoilt[i+1] != "") {
				t.Fatalf("%s line %d: same %v, dirt %q", id, i+1, same, spoilt[i+1])
			}
			at++
		}
	}
}

// validIIN is a check of its own: the two weighted sums of the published rule.
func validIIN(iin string) bool {
	if len(iin) != 12 {
		return false
	}
	for _, first := range []int{1, 3} {
		sum := 0
		for i := range 11 {
			weight := first + i
			if weight > 11 {
				weight -= 11
			}
			sum += int(iin[i]-'0') * weight
		}
		if sum%11 != 10 {
			return sum%11 == int(iin[11]-'0')
		}
	}
	return false
}

func TestNumbersAreValidAndTrue(t *testing.T) {
	owners := map[string]string{}
	children := map[string]bool{}
	for id, file := range files(t, country(t, synth.Options{Children: 3000, Seed: 1})) {
		for i, row := range rows(t, file) {
			iin := row["child_iin"]
			if iin == "" {
				if row["child_id_absent_reason"] == "" {
					t.Errorf("%s line %d: no number and no reason", id, i+2)
				}
				continue
			}
			children[iin] = true
			birth := row["child_birth_date"]
			sex := map[byte]string{'5': "M", '6': "F"}[iin[6]]
			if !validIIN(iin) || iin[7] != '9' || birth[2:4]+birth[5:7]+birth[8:10] != iin[:6] || sex != row["child_sex"] {
				t.Errorf("%s line %d: the number is not valid, or not the child's", id, i+2)
			}
			if owner, ok := owners[row["record_id"]]; ok {
				t.Errorf("%s line %d: record id also in %s", id, i+2, owner)
			}
			owners[row["record_id"]] = string(id)
		}
	}
	if len(children) != 3000 {
		t.Errorf("%d children", len(children))
	}
	for _, iin := range []string{"080229690005", "821214240092", "15032269060"} {
		if validIIN(iin) {
			t.Error("the check of this test accepts a number that is not valid")
		}
	}
}

// A clean file has no problem under the policies that ship, and a dirty one has
// exactly the problems that the truth says.
func TestFilesPassTheGate(t *testing.T) {
	for _, dirty := range []float64{0, 0.03} {
		c := country(t, synth.Options{Children: 4000, Seed: 11, Dirty: dirty})
		n, err := c.Counts()
		if err != nil {
			t.Fatal(err)
		}
		if (len(n.Dirty) > 0) != (dirty > 0) {
			t.Errorf("%d dirty lines at a share of %v", len(n.Dirty), dirty)
		}
		var found []synth.Dirt
		written := files(t, c)
		for _, contract := range contracts(t) {
			if records := bytes.Count(written[contract.ID].Bytes(), []byte("\n")) - 1; records != n.Records[contract.ID] {
				t.Errorf("%s: %d records counted, %d written", contract.ID, n.Records[contract.ID], records)
			}
			for _, p := range check(t, contract, written[contract.ID]) {
				found = append(found, synth.Dirt{File: contract.ID, Line: p.Line, Column: p.Field, Code: p.Code})
			}
		}
		if diff := cmp.Diff(n.Dirty, found); diff != "" && len(n.Dirty)+len(found) > 0 {
			t.Errorf("dirty %v (-expected +found):\n%.2000s", dirty, diff)
		}
	}
}

// check reads a file as the gateway does.
func check(t *testing.T, c *gateway.Contract, file io.Reader) []gateway.RowError {
	t.Helper()
	set, err := policies.Embedded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := set.Plan(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	today, _ := gateway.CivilDay(2025, 12, 31)
	r, err := pipelines.Open(t.Context(), file, pipelines.Options{
		Contract: c, Plan: plan, Keys: keys, Agency: "synthetic", Today: today, MaxProblems: 1 << 20,
		Batch: gateway.Manifest{PeriodFrom: gateway.Quarter(2023 * 4).First(), PeriodTo: today, Reject: gateway.RejectRows},
	})
	if err != nil {
		t.Fatal(err)
	}
	block := gateway.NewBlock(c.Layout())
	for err == nil {
		err = r.Next(t.Context(), block)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return r.Problems().First
}

// The tables look like a country: rates are given with room for 4 standard
// errors and more, at a fixed seed.
func TestDistributions(t *testing.T) {
	const children = 20000
	c := country(t, synth.Options{Children: children, Seed: 5})
	n, err := c.Counts()
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for id, records := range n.Records {
		all += records
		if records < children/10 {
			t.Errorf("%s has only %d records", id, records)
		}
	}
	within := func(what string, got, low, high float64) {
		t.Helper()
		if !(got >= low && got <= high) {
			t.Errorf("%s: %.3f is not between %v and %v", what, got, low, high)
		}
	}
	within("records a child", float64(all)/children, 2.7, 3.4)
	unnamed := 0
	for _, row := range rows(t, files(t, c)["helpline"]) {
		if row["child_iin"] == "" && row["child_family_name"] == "" {
			unnamed++
		}
	}
	within("contacts without a name", float64(unnamed)/float64(n.Records["helpline"]), 0.09, 0.15)

	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	truth, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	cell := func(label string) float64 { return float64(truth.Cells[label].Children) }
	if truth.Children != children {
		t.Errorf("%d children in the truth", truth.Children)
	}
	share := func(region string) float64 {
		yes, no := cell("reached=yes|region="+region), cell("reached=no|region="+region)
		return yes / (yes + no)
	}
	within("reached in Turkistan", share("61"), 0.35, 0.50)
	within("reached in Astana", share("71"), 0.78, 0.92)
	within("girls", cell("sex=F")/children, 0.47, 0.57)
	within("girls at the helpline", cell("sector=helpline|sex=F")/cell("sector=helpline"), 0.53, 0.64)
	within("adolescents first at the police", cell("age_first=Y10T14|first_sector=police")/cell("age_first=Y0T4|first_sector=police"), 2, 4)
	within("seen by the police", cell("sector=police")/children, 0.45, 0.70)
	within("no region", 1-sumOf(truth, "region=")/children, 0, 0.02)
	within("first sector justice", cell("first_sector=justice"), 0, 0)
	var cohort float64
	for _, q := range []string{"2023Q1", "2024Q2", "2025Q3"} {
		cohort = cell("quarter=" + q + "|sector=police")
		within("police in "+q, cohort/children, 0.02, 0.12)
	}
	within("cannot tell", cell("reached=cannot_tell")/children, 0.02, 0.10)
}

func sumOf(truth *synth.Truth, prefix string) (sum float64) {
	for _, label := range truth.Labels() {
		if len(label) == len(prefix)+2 && label[:len(prefix)] == prefix {
			sum += float64(truth.Cells[label].Children)
		}
	}
	return sum
}

// Siblings share a family name and a place, and some of them one day.
func TestSiblings(t *testing.T) {
	together := map[[2]string]map[string]bool{}
	for _, row := range rows(t, files(t, country(t, synth.Options{Children: 3000, Seed: 2}))["police"]) {
		key := [2]string{row["report_date"], row["residence_kato"]}
		if row["child_iin"] == "" || row["residence_kato"][2:] == "1010000" { // towns have one code
			continue
		}
		if together[key] == nil {
			together[key] = map[string]bool{}
		}
		together[key][row["child_iin"]] = true
	}
	several := 0
	for _, iins := range together {
		if len(iins) > 1 {
			several++
		}
	}
	if several < 20 {
		t.Errorf("%d reports of several children of one village on one day", several)
	}
}

// Truth by another way: from the CSV files, with the plainest code there is.
func TestTruthAgainstFiles(t *testing.T) {
	c := country(t, synth.Options{Children: 3000, Seed: 9, Dirty: 0.02})
	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	if d, err = d.Window(gateway.Quarter(2024*4), gateway.Quarter(2025*4+1)); err != nil {
		t.Fatal(err)
	}
	truth, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Counts()
	if err != nil {
		t.Fatal(err)
	}
	dates := map[gateway.ContractID]string{
		"police": "report_date", "health": "encounter_date", "education": "report_date", "social": "referral_received_date",
		"justice": "stage_date", "helpline": "contact_date",
	}
	children, records := map[string]map[string]bool{}, map[string]int{}
	for id, file := range files(t, c) {
		for i, row := range rows(t, file) {
			day := row[dates[id]]
			dirty := slices.ContainsFunc(n.Dirty, func(x synth.Dirt) bool { return x.File == id && x.Line == i+2 })
			if dirty || row["child_iin"] == "" || day < "2024-01-01" || day > "2025-06-30" {
				continue
			}
			month, _ := strconv.Atoi(day[5:7])
			quarter := day[:4] + "Q" + strconv.Itoa((month+2)/3)
			for _, label := range []string{
				"", "sex=" + row["child_sex"], "sector=" + string(id), "event_region=" + row["residence_kato"][:2],
				"quarter=" + quarter + "|sector=" + string(id) + "|sex=" + row["child_sex"],
				"event_region=" + row["residence_kato"][:2] + "|quarter=" + quarter,
			} {
				if children[label] == nil {
					children[label] = map[string]bool{}
				}
				children[label][row["child_iin"]] = true
				records[label]++
			}
		}
	}
	for label, members := range children {
		if truth.Cells[label].Children != len(members) {
			t.Errorf("%q: %d children, %d in the files", label, truth.Cells[label].Children, len(members))
		}
		// Only a child of more than 20 records in a cell makes a difference.
		if got := truth.Cells[label].Records; got > records[label] || got < records[label]-200 {
			t.Errorf("%q: %d records, %d in the files", label, got, records[label])
		}
	}
	if truth.Records != records[""] || len(children) < 100 {
		t.Errorf("%d records in the truth, %d in the files", truth.Records, records[""])
	}
}

func TestTruthJSON(t *testing.T) {
	c := country(t, synth.Options{Children: 300, Seed: 9, Dirty: 0.05})
	d, err := configs.Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	truth, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := truth.WriteJSON(&a); err != nil {
		t.Fatal(err)
	}
	again, err := c.Truth(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the truth changed its mind")
	}
	var read struct {
		Seed     uint64
		Children int
		Cells    map[string]synth.Count
		Dirty    []synth.Dirt
	}
	if err := json.Unmarshal(a.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Seed != 9 || read.Cells[""].Children != read.Children || len(read.Dirty) == 0 || len(read.Cells) != len(truth.Cells) {
		t.Error("the truth lost something on its way to JSON")
	}
}

func TestNewRefuses(t *testing.T) {
	good := contracts(t)
	for what, o := range map[string]synth.Options{
		"no children":      {Contracts: good},
		"too many":         {Contracts: good, Children: synth.MaxChildren + 1},
		"too early":        {Contracts: good, Children: 1, From: 2022 * 4},
		"ends early":       {Contracts: good, Children: 1, From: 2024 * 4, To: 2023 * 4},
		"all dirty":        {Contracts: good, Children: 1, Dirty: 0.9},
		"no contracts":     {Children: 1},
		"five contracts":   {Contracts: good[:5], Children: 1},
		"drifted":          {Contracts: drifted(good, func(f *gateway.Field) { f.Required = true; f.Name = "new_field" }), Children: 1},
		"a code is gone":   {Contracts: drifted(good, func(f *gateway.Field) { f.List = &gateway.CodeList{ID: "empty"} }), Children: 1},
		"no date of event": {Contracts: drifted(good, func(f *gateway.Field) { f.Event = false }), Children: 1},
	} {
		if _, err := synth.New(o); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// drifted returns the contracts with a change to the coded fields and the event
// date of the first.
func drifted(list []*gateway.Contract, change func(*gateway.Field)) []*gateway.Contract {
	changed := slices.Clone(list)
	c := *list[0]
	c.Fields = slices.Clone(c.Fields)
	for i := range c.Fields {
		if c.Fields[i].Event || c.Fields[i].Name == "report_channel" {
			change(&c.Fields[i])
		}
	}
	changed[0] = &c
	return changed
}

func BenchmarkWrite(b *testing.B) {
	const children = 20000
	c := country(b, synth.Options{Children: children, Seed: 1})
	n, err := c.Counts()
	if err != nil {
		b.Fatal(err)
	}
	records := 0
	for _, r := range n.Records {
		records += r
	}
	for b.Loop() {
		if err := c.Write(func(gateway.ContractID) (io.Writer, error) { return io.Discard, nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkTruth(b *testing.B) {
	const children = 20000
	c := country(b, synth.Options{Children: children, Seed: 1})
	d, err := configs.Definition("demo")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Truth(d, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(children)*float64(b.N)/b.Elapsed().Seconds(), "children/s")
}
