package pipelines

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// sampleRecords are good and bad records whose text is Russian.
func sampleRecords() []record {
	return []record{
		good(), good().with("record_id", "2").with("setting", "SCHOOL"), good().with("record_id", "3").with("icd", "?"),
		good().with("record_id", "4").with("family_name", `Иванова "Аня", дочь`), good().with("record_id", "Дело № 5"),
		good().with("record_id", "6").with("child_iin", "130509690009"),
	}
}

// inForm writes dates in another form, and codes and texts as they are.
func inForm(r record, form string) record {
	r = r.with("record_id", r["record_id"])
	for _, name := range []gateway.FieldName{"birth_date", "report_date", "incident_date", "referral_date"} {
		d, ok := gateway.ParseDay([]byte(r[name]))
		switch {
		case !ok:
		case form == "DD.MM.YYYY":
			r[name] = d.Time().Format("02.01.2006")
		case form == "DD.MM.YY":
			r[name] = d.Time().Format("02.01.06")
		case form == "serial":
			r[name] = itoa(int(d - serialEpoch))
		}
	}
	return r
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// encoded writes text in an encoding, with a mark or without one.
func encoded(tb interface{ Fatal(...any) }, text, encoding string, mark bool) []byte {
	if mark && encoding != "windows-1251" {
		text = "\ufeff" + text
	}
	switch encoding {
	case "windows-1251":
		out, err := charmap.Windows1251.NewEncoder().String(text)
		if err != nil {
			tb.Fatal(err)
		}
		return []byte(out)
	case "utf-16le", "utf-16be":
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			if encoding == "utf-16le" {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return b
	}
	return []byte(text)
}

// The dialect makes no difference to what is stored, and is reported: the order
// and the names of columns, separator, encoding, line ends, quotation marks, and
// the form of dates.
func TestOnlyTheCellsMatterInAnyDialect(t *testing.T) {
	o := testOptions(t)
	names := header(o.Contract)
	records := sampleRecords()
	want := readFile(t, o, records...)
	rapid.Check(t, func(rt *rapid.T) {
		columns := rapid.Permutation(names).Draw(rt, "columns")
		sep := rapid.SampledFrom([]string{"comma", "semicolon", "tab"}).Draw(rt, "separator")
		encoding := rapid.SampledFrom([]string{"utf-8", "utf-16le", "utf-16be", "windows-1251"}).Draw(rt, "encoding")
		lines := rapid.SampledFrom([]string{"LF", "CRLF", "CR"}).Draw(rt, "lines")
		mark := rapid.Bool().Draw(rt, "mark") && encoding != "windows-1251"
		form := rapid.SampledFrom([]string{"YYYY-MM-DD", "DD.MM.YYYY", "DD.MM.YY", "serial"}).Draw(rt, "dates")
		titles := rapid.Bool().Draw(rt, "titles")
		said := rapid.Bool().Draw(rt, "said")

		var b strings.Builder
		w := csv.NewWriter(&b)
		w.Comma = separators[sep]
		line := make([]string, len(columns))
		for i, name := range columns {
			line[i] = string(name)
			if ru := o.Contract.Field(name).Title.RU; titles && ru != "" {
				line[i] = "  " + strings.ToUpper(ru)
			}
		}
		_ = w.Write(line)
		for _, r := range records {
			for i, name := range columns {
				line[i] = inForm(r, form)[name]
			}
			_ = w.Write(line)
		}
		w.Flush()
		text := strings.ReplaceAll(b.String(), "\n", map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"}[lines])
		if rapid.Bool().Draw(rt, "sep=") {
			text = "sep=" + string(w.Comma) + map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"}[lines] + text
		}
		o := o
		o.Rand = newChance(2)
		if said {
			o.Said = gateway.Said{Encoding: encoding, Separator: sep}
		}
		got := read(t, o, bytes.NewReader(encoded(t, text, encoding, mark)))
		if got.err != nil {
			rt.Fatal(got.err)
		}
		if diff := cmp.Diff(want.rows, got.rows); diff != "" {
			rt.Fatal(diff)
		}
		d := got.reader.Dialect()
		named := slices.ContainsFunc(d.Columns, func(c gateway.ReadColumn) bool { return c.Named == "title-ru" })
		d.Columns = nil
		wantDialect := gateway.Dialect{Format: "csv", Encoding: encoding, BOM: mark, Separator: sep, Lines: lines, Dates: []string{form}}
		if diff := cmp.Diff(wantDialect, d); diff != "" || named != titles {
			rt.Errorf("%s titles %v", diff, named)
		}
	})
}

// A mapping puts an agency's columns and codes in the place of the contract's; its
// digest is reported, and what it does not name keeps its meaning.
func TestMapping(t *testing.T) {
	o := testOptions(t)
	want := readFile(t, o, good())
	text := file(header(o.Contract), good().with("setting", "Дома, у родителей").with("basis", "1").with("child_sex", "Ж").with("violence", "ii|04"))
	text = strings.Replace(strings.Replace(text, "record_id", "Номер дела", 1), "setting", "Где", 1)
	o.Rand = newChance(2)
	o.Said.Mapping = &gateway.Mapping{
		Columns: map[string]gateway.FieldName{"номер дела": "record_id", "ГДЕ": "setting"},
		Codes: map[gateway.FieldName]map[string]string{
			"setting": {"Дома, у родителей": "HOME"}, "basis": {"1": "LAW", "STAT": "VITAL"}, "child_sex": {"Ж": "F", "М": "M"}, "violence": {"ii": "02"},
		},
	}
	got := read(t, o, strings.NewReader(text))
	if got.err != nil {
		t.Fatal(got.err)
	}
	wantProblems(t, got)
	if diff := cmp.Diff(want.rows, got.rows); diff != "" || len(got.reader.Dialect().Mapping) != 64 {
		t.Errorf("%s mapping %q", diff, got.reader.Dialect().Mapping)
	}
	o.Rand = newChance(2)
	again := readFile(t, o, good().with("basis", "STAT"))
	if len(again.rows) != 1 || again.rows[0].code(o.Contract, "basis") != "VITAL" {
		t.Errorf("a value of the mapping does not go before the list: %v, %v", again.problem, again.err)
	}
	for name, m := range map[string]gateway.Mapping{
		"unknown field":          {Columns: map[string]gateway.FieldName{"x": "none"}},
		"two headers of a name":  {Columns: map[string]gateway.FieldName{"x": "setting", "X": "basis"}},
		"codes of no field":      {Codes: map[gateway.FieldName]map[string]string{"none": {"1": "LAW"}}},
		"codes of a date":        {Codes: map[gateway.FieldName]map[string]string{"report_date": {"1": "2"}}},
		"a code not in the list": {Codes: map[gateway.FieldName]map[string]string{"basis": {"1": "LAWS"}}},
		"an empty value":         {Codes: map[gateway.FieldName]map[string]string{"basis": {"": "LAW"}}},
	} {
		o.Said.Mapping = &m
		if _, err := Open(t.Context(), strings.NewReader(text), o); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			_ = wantKind(t, err, gateway.Invalid)
		}
	}
}

// An unknown column is told by its place; by its name only where another contract
// has that name, in that one's writing, and the line is a header beyond doubt.
func TestUnknownColumnsAreNamedWhereSafe(t *testing.T) {
	o := testOptions(t)
	o.Others = []*gateway.Contract{o.Contract, {Fields: []gateway.Field{{Name: "case_worker", Title: gateway.Text{RU: "Вид услуги"}}}}}
	for _, c := range []struct{ header, named string }{
		{"case_worker," + shortHeader, "case_worker"},
		{" Case_Worker," + shortHeader, "case_worker"},
		{"вид  УСЛУГИ," + shortHeader, "Вид услуги"},
		{"aigerim_nurlanova," + shortHeader, ""},
		{"aliya," + shortHeader, ""},
		{"Иванов Иван," + shortHeader, ""},
		{"130509690008," + shortHeader, ""},
		{"case_worker,x,y,child_sex,basis,z\n", ""},
	} {
		e := wantKind(t, read(t, o, strings.NewReader(c.header)).err, gateway.Invalid)
		want := "column 1 (A) is not in the contract"
		if c.named != "" {
			want = "column 1 (A), " + c.named + ", is not in the contract"
		}
		if !strings.Contains(e.Detail, want) {
			t.Errorf("%q: %s", c.header, e.Detail)
		}
	}
}

// A year of two digits is the last that has begun: nobody is made a hundred years
// younger, and a day later this year is in the future.
func TestShortYears(t *testing.T) {
	o := testOptions(t)
	for report, want := range map[string]string{
		"04.03.25": "", "04.03.99": "DATE_TOO_OLD", "31.12." + o.Today.Time().Format("06"): "DATE_FUTURE", "29.02.23": "DATE_FORM", "4.3.25": "DATE_FORM",
		"04/03/25": "DATE_FORM", "04.03.2x": "DATE_FORM",
	} {
		got := readFile(t, o, good().with("report_date", report))
		codes := codesOf(got)
		if want == "" && len(codes) > 0 || want != "" && !slices.Contains(codes, "report_date:"+want) {
			t.Errorf("%s: %v, want %s", report, got.problem, want)
		}
	}
}
