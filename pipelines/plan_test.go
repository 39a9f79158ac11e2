package pipelines

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// change returns options whose plan does something else to one field.
func change(t *testing.T, field gateway.FieldName, fp gateway.FieldPlan) Options {
	t.Helper()
	o := testOptions(t)
	fp.Field = field
	for i := range o.Plan.Fields {
		if o.Plan.Fields[i].Field == field {
			o.Plan.Fields[i] = fp
			return o
		}
	}
	t.Fatalf("no field %s", field)
	return o
}

func TestFloors(t *testing.T) {
	for name, o := range map[string]Options{
		"keep an IIN":                       change(t, "child_iin", gateway.FieldPlan{Do: gateway.Keep}),
		"generalise an IIN":                 change(t, "child_iin", gateway.FieldPlan{Do: gateway.Generalise}),
		"IIN without a domain":              change(t, "child_iin", gateway.FieldPlan{Do: gateway.Pseudonymise}),
		"IIN of another domain":             change(t, "child_iin", gateway.FieldPlan{Do: gateway.Pseudonymise, Domain: "other"}),
		"keep an identifier":                change(t, "record_id", gateway.FieldPlan{Do: gateway.Keep}),
		"keep a name":                       change(t, "family_name", gateway.FieldPlan{Do: gateway.Keep}),
		"pseudonymise a name":               change(t, "family_name", gateway.FieldPlan{Do: gateway.Pseudonymise, Domain: "name"}),
		"keep a birth date":                 change(t, "birth_date", gateway.FieldPlan{Do: gateway.Keep}),
		"keep an age":                       change(t, "age_years", gateway.FieldPlan{Do: gateway.Keep}),
		"keep a date":                       change(t, "incident_date", gateway.FieldPlan{Do: gateway.Keep}),
		"keep the event":                    change(t, "report_date", gateway.FieldPlan{Do: gateway.Keep}),
		"pseudonymise a code":               change(t, "setting", gateway.FieldPlan{Do: gateway.Pseudonymise, Domain: "x"}),
		"keep a refused column":             change(t, "narrative", gateway.FieldPlan{Do: gateway.Keep}),
		"bands above the least":             change(t, "days_absent", gateway.FieldPlan{Do: gateway.Generalise, Cuts: []int{1, 4}}),
		"bands that do not ascend":          change(t, "days_absent", gateway.FieldPlan{Do: gateway.Generalise, Cuts: []int{0, 4, 4}}),
		"no bands":                          change(t, "days_absent", gateway.FieldPlan{Do: gateway.Generalise}),
		"shorter codes that no list has":    change(t, "setting", gateway.FieldPlan{Do: gateway.Generalise, Keep: 2}),
		"less than nothing of a code":       change(t, "setting", gateway.FieldPlan{Do: gateway.Generalise, Keep: -1}),
		"an action of another field":        func() Options { o := testOptions(t); o.Plan.Fields[3].Field = "setting"; return o }(),
		"an action too few":                 func() Options { o := testOptions(t); o.Plan.Fields = o.Plan.Fields[1:]; return o }(),
		"a plan of another contract":        func() Options { o := testOptions(t); o.Plan.Contract = "health"; return o }(),
		"a plan of another version":         func() Options { o := testOptions(t); o.Plan.Version = 2; return o }(),
		"the zero plan":                     func() Options { o := testOptions(t); o.Plan = gateway.Plan{}; return o }(),
		"a direct code that is kept":        func() Options { o := testOptions(t); o.Contract.Field("law").Role = gateway.RoleDirect; return o }(),
		"two fields in one column":          func() Options { o := testOptions(t); o.Contract.Field("law").Column = "injury"; return o }(),
		"a field in a column of ours":       func() Options { o := testOptions(t); o.Contract.Field("law").Column = gateway.ColumnMAC; return o }(),
		"a code in the column of the pid":   func() Options { o := testOptions(t); o.Contract.Field("law").Column = gateway.ColumnPID; return o }(),
		"two IINs":                          func() Options { o := testOptions(t); o.Contract.Field("law").Type = gateway.TypeIIN; return o }(),
		"no event":                          func() Options { o := testOptions(t); o.Contract.Field("report_date").Event = false; return o }(),
		"a rule about an identifier":        ruleOn(t, "child_iin"),
		"a rule about a name":               ruleOn(t, "family_name"),
		"a rule about the birth date":       ruleOn(t, "birth_date"),
		"a rule about a field there is not": ruleOn(t, "nothing"),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(t.Context(), strings.NewReader(file(header(o.Contract), good())), o)
			if r != nil || err == nil {
				t.Fatal("it was opened")
			}
			if e := err.Error(); strings.Contains(e, "130509690008") {
				t.Error("the error holds data")
			}
		})
	}
}

func ruleOn(t *testing.T, field string) Options {
	t.Helper()
	o := testOptions(t)
	o.Plan.Refuse = []gateway.RowRule{{Code: "X", When: gateway.Expr{Op: gateway.Present, Left: gateway.Operand{Name: field}}}}
	return o
}

// A field that is dropped leaves its column as if its cell were empty, and every
// other column as it was. Nobody decided means dropped.
func TestDropStoresNothing(t *testing.T) {
	full := readFile(t, testOptions(t), good()).rows[0]
	for i, field := range testOptions(t).Contract.Fields {
		o := testOptions(t)
		o.Plan.Fields[i] = gateway.FieldPlan{Field: field.Name}
		got := readFile(t, o, good())
		if len(got.rows) != 1 {
			t.Fatalf("%s: %v, %v", field.Name, got.err, got.problem)
		}
		for column, value := range got.rows[0] {
			want := full[column]
			switch {
			case column == gateway.ColumnMAC:
				continue
			case column == field.Column, field.Event && column == gateway.ColumnQuarter:
				want = empty(o.Contract, column)
			case field.Type == gateway.TypeIIN && (column == gateway.ColumnDay || strings.HasSuffix(column, "_date")):
				want = int(gateway.NoDay) // without a pid there is no shift
			}
			if field.Name == "age_years" && column == gateway.ColumnAge {
				want = full[column] // it comes from the birth
			}
			if value != want {
				t.Errorf("without %s, column %s is %v, want %v", field.Name, column, value, want)
			}
		}
	}
	o := testOptions(t)
	for i := range o.Plan.Fields {
		o.Plan.Fields[i] = gateway.FieldPlan{Field: o.Plan.Fields[i].Field}
	}
	for column, value := range readFile(t, o, good()).rows[0] {
		if column != gateway.ColumnMAC && column != gateway.ColumnRandom && value != empty(o.Contract, column) {
			t.Errorf("column %s is %v though all is dropped", column, value)
		}
	}
}

// A plan that drops the IIN takes nothing from it: sex and age come from what
// else the row says.
func TestDroppedIINIsNoSource(t *testing.T) {
	o := change(t, "child_iin", gateway.FieldPlan{})
	got := readFile(t, o, good().with("child_sex", "_U").with("birth_date", "").with("age_years", "3"))
	if len(got.rows) != 1 {
		t.Fatalf("%v %v", got.err, got.problem)
	}
	if sex, band := got.rows[0].code(o.Contract, "child_sex"), got.rows[0].code(o.Contract, "birth_date"); sex != "_U" || band != "Y0T4" {
		t.Errorf("sex %s, band %s", sex, band)
	}
}

func empty(c *gateway.Contract, column string) any {
	for _, l := range c.Layout() {
		if l.Name != column {
			continue
		}
		switch l.Type {
		case gateway.Uint64:
			return uint64(0)
		case gateway.ID:
			return [16]byte{}
		case gateway.Int32:
			if column == "days_absent" {
				return -1
			}
			return int(gateway.NoDay)
		case gateway.Uint8, gateway.Uint16:
		}
	}
	return 0
}

func TestEmptyCellsAreStoredAsEmpty(t *testing.T) {
	bare := record{
		"record_id": "1", "absent_reason": "REFUSED", "age_years": "3", "child_sex": "_U", "residence": "61",
		"report_date": "2025-03-04", "event_type": "PATROL", "basis": "LAW",
	}
	o := testOptions(t)
	got := readFile(t, o, bare)
	if len(got.rows) != 1 {
		t.Fatalf("%v %v", got.err, got.problem)
	}
	for _, column := range []string{"pid", "day", "incident_date", "violence", "setting", "referred_to", "referral", "days_absent", "icd"} {
		if v := got.rows[0][column]; v != empty(o.Contract, column) {
			t.Errorf("%s is %v", column, v)
		}
	}
	if band := got.rows[0].code(o.Contract, "age_years"); band != "Y0T4" {
		t.Errorf("age band %q", band)
	}
	if got.rows[0]["quarter"] != int(day(t, "2025-03-04").Quarter()) {
		t.Error("a row without a pid has its quarter")
	}
}

// Sex and birth date come from the IIN where there is one.
func TestIINGoesBeforeOtherColumns(t *testing.T) {
	o := testOptions(t)
	r := good().with("child_sex", "_U").with("birth_date", "").with("age_years", "3")
	got := readFile(t, o, r)
	if len(got.rows) != 1 {
		t.Fatalf("%v %v", got.err, got.problem)
	}
	if sex, band := got.rows[0].code(o.Contract, "child_sex"), got.rows[0].code(o.Contract, "birth_date"); sex != "F" || band != "Y10T14" {
		t.Errorf("sex %s, band %s", sex, band)
	}
}

func TestGeneraliseCodes(t *testing.T) {
	o := testOptions(t)
	list := codeList(t, "tree", "1", "11", "12", "2", "21")
	for i := range o.Contract.Fields {
		f := &o.Contract.Fields[i]
		if f.Name == "setting" || f.Name == "violence" {
			f.List = list
			o.Plan.Fields[i].Do, o.Plan.Fields[i].Keep = gateway.Generalise, 1
		}
	}
	got := readFile(t, o, good().with("setting", "21").with("violence", "12|2"), good().with("record_id", "2").with("setting", "1").with("violence", "11|12"))
	if len(got.rows) != 2 {
		t.Fatalf("%v %v", got.err, got.problem)
	}
	if a, b := got.rows[0].code(o.Contract, "setting"), got.rows[1].code(o.Contract, "setting"); a != "2" || b != "1" {
		t.Errorf("stored as %s and %s", a, b)
	}
	if a, b := got.rows[0]["violence"], got.rows[1]["violence"]; a != uint64(1<<0|1<<3) || b != uint64(1) {
		t.Errorf("stored as %b and %b", a, b)
	}
}

func TestGeneraliseCounts(t *testing.T) {
	for n, want := range map[string]int{"0": 0, "1": 1, "3": 1, "4": 4, "10": 4, "11": 11, "365": 11} {
		o := change(t, "days_absent", gateway.FieldPlan{Do: gateway.Generalise, Cuts: []int{0, 1, 4, 11}})
		if got := readFile(t, o, good().with("days_absent", n)).rows[0]["days_absent"]; got != want {
			t.Errorf("%s is stored as %v, want %d", n, got, want)
		}
	}
}

func TestDatesWithoutDays(t *testing.T) {
	o := change(t, "report_date", gateway.FieldPlan{Do: gateway.Generalise})
	row := readFile(t, o, good()).rows[0]
	if row[gateway.ColumnDay] != int(gateway.NoDay) || row[gateway.ColumnQuarter] != int(day(t, "2025-03-04").Quarter()) {
		t.Errorf("day %v, quarter %v", row[gateway.ColumnDay], row[gateway.ColumnQuarter])
	}
}

// The same child, and the same record of the same agency, have the same
// pseudonyms in every file; the record of another agency does not. Random
// numbers are each row's own.
func TestPseudonyms(t *testing.T) {
	a := readFile(t, testOptions(t), good(), good().with("record_id", "P-2")).rows
	o := testOptions(t)
	o.Agency = "agency-2"
	b := readFile(t, o, good()).rows
	if a[0]["pid"] != a[1]["pid"] || a[0]["pid"] != b[0]["pid"] || a[0]["referral"] != b[0]["referral"] || a[0]["day"] != b[0]["day"] {
		t.Error("one child, one referral: several pseudonyms or shifts")
	}
	if a[0]["record"] == a[1]["record"] || a[0]["record"] == b[0]["record"] || a[0]["rnd"] == a[1]["rnd"] {
		t.Error("several records: one pseudonym or random number")
	}
	hasher, err := o.Keys.NewHasher(pseudonym.ChildDomain, o.Agency)
	if err != nil {
		t.Fatal(err)
	}
	var want [16]byte
	if hasher.RecordKey(&want, []byte("P-1")); b[0]["record"] != want {
		t.Error("the record's pseudonym is not the agency's")
	}
	if shift := hasher.PID(&want, []byte("130509690008")); b[0]["pid"] != want || b[0]["day"] != int(day(t, "2025-03-04"))+shift {
		t.Error("the child's pseudonym or shift is not the keyring's")
	}
	if hasher.Key(&want, "referral", []byte("R-77")); b[0]["referral"] != want {
		t.Error("the referral's pseudonym is not its domain's")
	}
}

// The check sum is the MAC of the bytes that RowBytes gives, so that fsck can
// recompute it from what is stored.
func TestCheckSum(t *testing.T) {
	o := testOptions(t)
	r, err := Open(t.Context(), strings.NewReader(file(header(o.Contract), good(), good().with("record_id", "2").with("setting", ""))), o)
	if err != nil {
		t.Fatal(err)
	}
	b := gateway.NewBlock(o.Contract.Layout())
	if err := r.Next(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	hasher, err := o.Keys.NewHasher(pseudonym.ChildDomain, o.Agency)
	if err != nil {
		t.Fatal(err)
	}
	rows := [2][]byte{}
	for i := range rows {
		rows[i] = RowBytes(nil, b, i)
		if hasher.RowMAC(rows[i]) != b.Uint64s(2)[i] {
			t.Errorf("row %d has another check sum", i)
		}
	}
	if bytes.Equal(rows[0], rows[1]) {
		t.Error("two rows, the same bytes")
	}
	if err := r.Next(t.Context(), gateway.NewBlock(o.Contract.Layout()[1:])); err == nil {
		t.Error("a block of another layout was filled")
	}
}
