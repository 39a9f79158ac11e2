package pipelines

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// The report says what was read as what: days that a workbook holds as numbers, titles
// in each language, the agency's own names, and the fields whose codes are its own.
func TestReportSaysWhatWasReadAsWhat(t *testing.T) {
	o := sheetOptions(t)
	names := header(o.Contract)
	got := read(t, o, bytes.NewReader(workbook(names, sampleRecords()...).bytes(t)))
	if d := got.reader.Dialect(); !slices.Contains(d.Dates, string(gateway.DateSerial)) {
		t.Errorf("days as numbers are reported as %v", d.Dates)
	}
	o = testOptions(t)
	c := *o.Contract
	c.Fields = slices.Clone(c.Fields)
	o.Contract = &c
	text := file(names, good().with("child_sex", "дев"))
	own := map[string]string{}
	for i, by := range map[int]string{0: "title-kk", 2: "title-ru", 3: "title-en", 4: "mapping"} {
		f := &c.Fields[i]
		called := "Имя " + by
		switch by {
		case "title-kk":
			f.Title.KK = called
		case "title-ru":
			f.Title.RU = called
		case "title-en":
			f.Title.EN = called
		}
		own[string(f.Name)] = by
		text = strings.Replace(text, string(f.Name)+",", strings.ToUpper(called)+",", 1)
	}
	mapped := c.Fields[4].Name
	o.Said.Mapping = &gateway.Mapping{
		Columns: map[string]gateway.FieldName{"имя mapping": mapped}, Codes: map[gateway.FieldName]map[string]string{"child_sex": {"дев": "F"}},
	}
	got = read(t, o, strings.NewReader(text))
	if got.err != nil || len(got.problem) > 0 {
		t.Fatal(got.err, got.problem)
	}
	d := got.reader.Report().ReadAs
	by := map[string]string{}
	for _, column := range d.Columns {
		if column.Named != "field" {
			by[string(column.Field)] = column.Named
		}
	}
	if !maps.Equal(by, own) || !slices.Equal(d.Mapped, []gateway.FieldName{"child_sex"}) || len(d.Mapping) != 64 {
		t.Errorf("%+v, want %v", d, own)
	}
}

// A decimal comma is no separator of columns, and no number of a contract has one: it
// is named by its code (trust.md 6.4, B54).
func TestDecimalComma(t *testing.T) {
	o := testOptions(t)
	names := header(o.Contract)
	text := strings.NewReplacer(",", ";", "1.5", "1,5").Replace(file(names, good().with("days_absent", "1.5")))
	got := read(t, o, strings.NewReader(text))
	wantProblems(t, got, "2:days_absent:NUMBER_FORM")
	if d := got.reader.Dialect(); d.Separator != "semicolon" {
		t.Errorf("%+v", d)
	}
}
