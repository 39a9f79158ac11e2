package configs

import (
	"encoding/csv"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

var update = flag.Bool("update", false, "write testdata/codes.txt anew")

func contracts(tb testing.TB) []*gateway.Contract {
	tb.Helper()
	all, err := Contracts()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func readCSV(t *testing.T, file string) []map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var records []map[string]string
	for _, row := range rows[1:] {
		record := map[string]string{}
		for i, name := range rows[0] {
			record[name] = row[i]
		}
		records = append(records, record)
	}
	return records
}

// The order of the contracts is fixed: it numbers the sectors of a release.
func TestContractsInOrder(t *testing.T) {
	var ids []gateway.ContractID
	for _, c := range contracts(t) {
		ids = append(ids, c.ID)
	}
	if want := []gateway.ContractID{"police", "health", "education", "social", "justice", "helpline"}; !slices.Equal(ids, want) {
		t.Errorf("contracts %v, want %v", ids, want)
	}
	// The codes of sectors in referrals are the ids of contracts.
	lists, err := CodeLists()
	if err != nil {
		t.Fatal(err)
	}
	for i, code := range lists["sector"].Codes {
		if code.Code != string(ids[i]) {
			t.Errorf("sector %d is %s, want %s", i, code.Code, ids[i])
		}
	}
}

var referenceRoles = map[string]gateway.FieldRole{
	"direct identifier": gateway.RoleDirect, "direct identifier (organisation)": gateway.RoleDirect,
	// A birth date is stored as its band, which is what its role speaks of.
	"direct/quasi-identifier": gateway.RoleQuasi, "quasi-identifier": gateway.RoleQuasi,
	"sensitive attribute": gateway.RoleSensitive, "measure": gateway.RoleMeasure, "admin": gateway.RoleAdmin,
}

// sinceReference are fields that the evaluation asked for and the reference lacks.
var sinceReference = map[gateway.FieldName]bool{"harm_form": true, "service_cost": true}

// testdata/sector-contracts.csv was written for this project from the systems
// that its column grounded_in names. Every one of its 75 fields is in the
// contracts as it says, and nothing else is but what came since.
func TestContractsAreTheReference(t *testing.T) {
	rows := readCSV(t, "testdata/sector-contracts.csv")
	if len(rows) != 75 {
		t.Fatalf("%d fields in the reference", len(rows))
	}
	for _, c := range contracts(t) {
		expected := map[gateway.FieldName]bool{}
		for _, row := range rows {
			if row["sector"] != "common" && row["sector"] != string(c.ID) {
				continue
			}
			name := gateway.FieldName(row["field"])
			if name == "event_date" {
				continue // decisions.md 3: the sector's own date is the date of the event
			}
			if name == "child_age_years" && c.ID != "helpline" {
				continue // only where the birth date may be missing
			}
			expected[name] = true
			f := c.Field(name)
			if f == nil {
				t.Errorf("%s has no %s", c.ID, name)
				continue
			}
			checkReference(t, c, f, row)
		}
		for _, f := range c.Fields {
			if !expected[f.Name] && !sinceReference[f.Name] {
				t.Errorf("%s has %s, which the reference does not", c.ID, f.Name)
			}
		}
	}
}

func checkReference(t *testing.T, c *gateway.Contract, f *gateway.Field, row map[string]string) {
	t.Helper()
	if role, ok := referenceRoles[row["role"]]; !ok || f.Role != role {
		t.Errorf("%s.%s has role %d, want %s", c.ID, f.Name, f.Role, row["role"])
	}
	multi := row["type"] == "code[]" || row["note"] == "multi-valued"
	if f.Multi != multi {
		t.Errorf("%s.%s: several codes %v, want %v", c.ID, f.Name, f.Multi, multi)
	}
	if strings.HasPrefix(row["type"], "code") != (f.Type == gateway.TypeCode) && f.Class != "area" && f.Class != "diagnosis" {
		t.Errorf("%s.%s has type %d, want %s", c.ID, f.Name, f.Type, row["type"])
	}
	switch required := row["required"]; {
	case f.Name == "child_birth_date":
		if f.Required != (c.ID != "helpline") {
			t.Errorf("%s.%s: required %v", c.ID, f.Name, f.Required)
		}
	case f.Name == "child_age_years", f.Name == "violence_type" && c.ID == "social":
		if f.Required || f.When != nil {
			t.Errorf("%s.%s is required", c.ID, f.Name)
		}
	default:
		if f.Required != (required == "yes") || (f.When != nil) != (required == "cond.") || f.Refused != (required == "never") {
			t.Errorf("%s.%s: required %v, when %v, refused %v; want %s", c.ID, f.Name, f.Required, f.When, f.Refused, required)
		}
	}
	if f.Type != gateway.TypeCode || len(f.Forms) > 0 {
		return
	}
	// The codes that the reference spells out.
	spelt := regexp.MustCompile(`CL_[A-Z_]+|e\.g\.|\(.*\)|[-+:,]( |$)|^-$|ICVAC|per sector`).ReplaceAllString(row["code_list"], " ")
	for code := range strings.FieldsSeq(spelt) {
		if _, ok := f.List.Number([]byte(code)); !ok {
			t.Errorf("%s.%s: code list %s has no %q", c.ID, f.Name, f.List.ID, code)
		}
	}
}

// What is stored, by contract: the layout depends on nothing else, and tables are
// made from it.
func TestStoredColumns(t *testing.T) {
	for _, c := range contracts(t) {
		at := map[string]gateway.ColumnType{}
		for _, column := range c.Layout() {
			at[column.Name] = column.Type
		}
		want := map[string]gateway.ColumnType{
			"pid": gateway.ID, "rnd": gateway.Uint64, "chk": gateway.Uint64, "quarter": gateway.Uint16, "day": gateway.Int32,
			"age": gateway.Uint8, "sex": gateway.Uint8, "region": gateway.Uint8, "record_key": gateway.ID, "referral_key": gateway.ID,
			"violence_type": gateway.Uint64, "referred_to": gateway.Uint64,
		}
		for name, columnType := range want {
			if got, ok := at[name]; !ok || got != columnType {
				t.Errorf("%s stores %s as %d (%v), want %d", c.ID, name, got, ok, columnType)
			}
		}
		for _, f := range c.Fields {
			if f.Role == gateway.RoleDirect && f.Column != "" && at[f.Column] != gateway.ID {
				t.Errorf("%s stores the direct identifier %s as %d", c.ID, f.Name, at[f.Column])
			}
			kept := f.Class != "name" && f.Class != "organisation" && f.Class != "narrative"
			if kept != (f.Column != "") {
				t.Errorf("%s.%s of class %s is stored in %q", c.ID, f.Name, f.Class, f.Column)
			}
		}
	}
}

func TestOrderOfDates(t *testing.T) {
	want := map[gateway.ContractID]int{"police": 3, "health": 1, "education": 1, "social": 7, "justice": 1, "helpline": 1}
	for _, c := range contracts(t) {
		if len(c.Order) != want[c.ID] {
			t.Errorf("%s has order rules %v, want %d", c.ID, c.Order, want[c.ID])
		}
		if e := c.EventDate(); e == nil || e.Column != gateway.ColumnDay || !e.Required {
			t.Errorf("%s has the date of the event %v", c.ID, e)
		}
	}
}

// testdata/kato-regions.csv was written for this project from public lists.
func TestRegionsAreTheReference(t *testing.T) {
	lists, err := CodeLists()
	if err != nil {
		t.Fatal(err)
	}
	var current, want []gateway.Code
	for i, c := range lists["kato_region"].Codes {
		if c.To == gateway.NoDay {
			if len(current) != i {
				t.Errorf("region %s comes after one that has expired", c.Code)
			}
			current = append(current, c)
		}
	}
	for _, row := range readCSV(t, "testdata/kato-regions.csv") {
		from := gateway.NoDay
		if day, ok := gateway.ParseDay([]byte(row["valid_from_memory"])); ok {
			from = day
		}
		want = append(want, gateway.Code{
			Code:  row["kato2"],
			Title: gateway.Text{KK: row["name_kk"], RU: row["name_ru"], EN: row["name_en"]}, From: from, To: gateway.NoDay,
		})
	}
	if len(want) != 20 {
		t.Errorf("%d regions in the reference, want 20", len(want))
	}
	if diff := cmp.Diff(want, current); diff != "" {
		t.Error(diff)
	}
	if n := lists["kato_region"].Length(); n != 2 {
		t.Errorf("region codes are %d bytes long, want 2", n)
	}
}

func TestDiagnosesAreThreeCharacters(t *testing.T) {
	lists, err := CodeLists()
	if err != nil {
		t.Fatal(err)
	}
	codes := lists["icd10"].Codes
	if len(codes) != 2600 {
		t.Fatalf("%d codes, want 2600", len(codes))
	}
	for i, c := range codes {
		want := string([]byte{'A' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
		if c.Code != want || !strings.HasPrefix(c.Title.EN, want+": ") {
			t.Errorf("code %d is %s %q, want %s", i, c.Code, c.Title.EN, want)
		}
	}
}

// Rows hold numbers of codes, so a code never changes its place: testdata/codes.txt
// has the codes in the order in which they were first shipped. After adding codes
// at the end of a list, run the test with -update.
func TestCodesKeepTheirNumbers(t *testing.T) {
	lists, err := CodeLists()
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("testdata/codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for line := range strings.Lines(string(shipped)) {
		id, codes, _ := strings.Cut(strings.TrimSpace(line), ": ")
		known[id] = strings.Fields(codes)
	}
	var now []string
	for id, list := range lists {
		if id == "icd10" {
			continue // closed by construction; see above
		}
		var codes []string
		for _, c := range list.Codes {
			codes = append(codes, c.Code)
		}
		now = append(now, string(id)+": "+strings.Join(codes, " ")+"\n")
		before := known[string(id)]
		if len(codes) < len(before) || !slices.Equal(codes[:len(before)], before) {
			t.Errorf("code list %s no longer starts with %v", id, before)
		}
		if len(codes) != len(before) && !*update {
			t.Errorf("code list %s has new codes at its end: run with -update", id)
		}
	}
	if *update && !t.Failed() {
		slices.Sort(now)
		if err := os.WriteFile("testdata/codes.txt", []byte(strings.Join(now, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything that a person reads is there in Kazakh, Russian and English; the
// diagnoses alone, which are titles of chapters, have no Kazakh.
func TestThreeLanguages(t *testing.T) {
	complete := func(what string, text gateway.Text) {
		t.Helper()
		if text.KK == "" || text.RU == "" || text.EN == "" {
			t.Errorf("%s is not in three languages", what)
		}
	}
	for _, c := range contracts(t) {
		complete(string(c.ID), c.Title)
		for _, f := range c.Fields {
			complete(string(c.ID)+"."+string(f.Name), f.Title)
		}
	}
	lists, err := CodeLists()
	if err != nil {
		t.Fatal(err)
	}
	for id, list := range lists {
		complete(string(id), list.Title)
		for _, c := range list.Codes {
			if id == "icd10" {
				c.Title.KK = c.Title.RU
			}
			complete(string(id)+" "+c.Code, c.Title)
		}
	}
	d, err := Definition("demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, dim := range d.Dimensions {
		complete(dim.Name, dim.Title)
		for _, n := range dim.Nodes {
			complete(dim.Name+" "+n.Code, n.Title)
		}
	}
	for _, cube := range d.Cubes {
		complete(cube.ID, cube.Title)
	}
}
