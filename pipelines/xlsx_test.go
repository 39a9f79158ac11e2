package pipelines

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// A book is a workbook as a test writes it: parts by name.
type book map[string]string

func (b book) bytes(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range b {
		part, err := w.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err = io.WriteString(part, text); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

var escapeXML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// workbook is a workbook of two sheets, the second of which holds the records: text
// as shared and inline strings in turn, days as numbers with the style of days.
func workbook(columns []gateway.FieldName, records ...record) book {
	var sheet, shared strings.Builder
	strings := 0
	text := func(at, value string) {
		if strings%3 == 2 {
			fmt.Fprintf(&sheet, `<c r="%s" t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, at, escapeXML.Replace(value))
		} else {
			fmt.Fprintf(&sheet, `<c r="%s" s="0" t="s"><v>%d</v></c>`, at, strings-strings/3)
			half := len([]rune(value)) / 2
			fmt.Fprintf(&shared, `<si><r><t>%s</t></r><r><rPr><b/></rPr><t xml:space="preserve">%s</t></r><rPh sb="0"><t>x</t></rPh></si>`,
				escapeXML.Replace(string([]rune(value)[:half])), escapeXML.Replace(string([]rune(value)[half:])))
		}
		strings++
	}
	sheet.WriteString(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n" + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><!-- a > b --><sheetData><row r="2"><c r="A2"/></row><row r="3">`)
	for i, name := range columns {
		text(letters(i)+"3", string(name))
	}
	sheet.WriteString("</row>")
	for n, r := range records {
		fmt.Fprintf(&sheet, `<row r="%d">`, n+5)
		for i, name := range columns {
			at := fmt.Sprintf("%s%d", letters(i), n+5)
			day, isDay := gateway.ParseDay([]byte(r[name]))
			switch {
			case r[name] == "":
			case isDay && n%2 == 0:
				fmt.Fprintf(&sheet, `<c r="%s" s="%d"><v>%d</v></c>`, at, 1+i%2, day-serialEpoch)
			case isDay:
				fmt.Fprintf(&sheet, `<c r="%s" t="str"><f>TEXT(1,"x")</f><v>%s</v></c>`, at, r[name])
			case name == "days_absent":
				fmt.Fprintf(&sheet, `<c r="%s"><v>%s</v></c>`, at, r[name]+".0")
			default:
				text(at, r[name])
			}
		}
		sheet.WriteString("</row>")
	}
	sheet.WriteString(`</sheetData><mergeCells/></worksheet>`)
	return book{
		"xl/workbook.xml":            `<workbook xmlns:r="r"><workbookPr/><sheets><sheet name="Титул" sheetId="1" r:id="rId1"/><sheet name="A &amp; B" sheetId="7" r:id="rId2"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>`,
		"xl/worksheets/sheet1.xml":   `<worksheet><sheetData/></worksheet>`,
		"xl/worksheets/sheet2.xml":   sheet.String(),
		"xl/styles.xml":              `<styleSheet><numFmts count="1"><numFmt numFmtId="170" formatCode="[$-419]dd\.mm\.yyyy;@"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"><alignment/></xf><xf numFmtId="170"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml":       `<sst>` + shared.String() + `</sst>`,
	}
}

func sheetOptions(t *testing.T) Options {
	t.Helper()
	o := testOptions(t)
	o.Said = gateway.Said{Format: gateway.FormatXLSX, Sheet: "A & B"}
	o.Dir = t.TempDir()
	return o
}

// A workbook gives the blocks that CSV gives; lines are rows of the sheet.
func TestWorkbook(t *testing.T) {
	o := sheetOptions(t)
	names := header(o.Contract)
	records := sampleRecords()
	want := readFile(t, testOptions(t), records...)
	got := read(t, o, bytes.NewReader(workbook(names, records...).bytes(t)))
	if got.err != nil {
		t.Fatal(got.err)
	}
	if diff := cmp.Diff(want.rows, got.rows); diff != "" {
		t.Error(diff)
	}
	wantProblems(t, got, "7:icd:CODE_UNKNOWN", "10:child_iin:IIN_CHECK_DIGIT")
	if d := got.reader.Dialect(); d.Sheet != 2 || len(d.Columns) != len(names) {
		t.Errorf("dialect %+v", d)
	}
}

func TestWorkbooksThatAreRefused(t *testing.T) {
	names := header(testOptions(t).Contract)
	good := func() book { return workbook(names, good()) }
	with := func(part, from, to string) []byte {
		b := good()
		if !strings.Contains(b[part], from) {
			t.Fatalf("%s has no %s", part, from)
		}
		b[part] = strings.Replace(b[part], from, to, 1)
		return b.bytes(t)
	}
	const sheet = "xl/worksheets/sheet2.xml"
	whole := good().bytes(t)
	long := good()
	long["xl/sharedStrings.xml"] = strings.Repeat("x", 3<<20)
	for _, c := range []struct {
		name string
		code gateway.ProblemCode
		body []byte
	}{
		{"no such sheet", tabular.SheetUnknown, with("xl/workbook.xml", "A &amp; B", "B")},
		{"no part of the sheet", tabular.WorkbookForm, with("xl/_rels/workbook.xml.rels", "sheet2", "sheet3")},
		{"document type", tabular.WorkbookForm, with(sheet, "<worksheet", "<!DOCTYPE x [<!ENTITY e 'x'>]><worksheet")},
		{"a string that is not there", tabular.WorkbookForm, with(sheet, "<v>1</v>", "<v>100000</v>")},
		{"a cell before another", tabular.WorkbookForm, with(sheet, `r="C3"`, `r="A3"`)},
		{"a cell beyond the sheet", tabular.WorkbookForm, with(sheet, `r="C3"`, `r="XFE3"`)},
		{"a row before another", tabular.WorkbookForm, with(sheet, `<row r="5">`, `<row r="2">`)},
		{"an endless row", tabular.WorkbookForm, with(sheet, "</sheetData>", "")},
		{"text of 3 MB", tabular.WorkbookForm, long.bytes(t)},
		{"cut off", tabular.WorkbookForm, whole[:len(whole)-10]},
		{"something else", tabular.WorkbookForm, []byte("record_id,child_sex\n")},
		{"a sheet of nothing", codeEmptyFile, with("xl/_rels/workbook.xml.rels", "/xl/worksheets/sheet2.xml", "worksheets/sheet1.xml")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, sheetOptions(t), bytes.NewReader(c.body))
			e := wantKind(t, got.err, gateway.Invalid)
			if e.Problems == nil || e.Problems.First[0].Code != c.code {
				t.Errorf("%v, want %s", e, c.code)
			}
		})
	}
	bomb := good()
	bomb[sheet] = strings.Replace(bomb[sheet], "<mergeCells/>", "", 1)
	bomb["xl/sharedStrings.xml"] = "<sst>" + strings.Repeat("<si/>"+strings.Repeat(" ", 4096), 8<<10) + "</sst>"
	_ = wantKind(t, read(t, sheetOptions(t), bytes.NewReader(bomb.bytes(t))).err, gateway.TooLarge)
	o := sheetOptions(t)
	o.Limits.HeldBytes = 100
	_ = wantKind(t, read(t, o, bytes.NewReader(whole)).err, gateway.TooLarge)
	for _, c := range []gateway.Compression{gateway.Gzip, gateway.Zstd} {
		o := sheetOptions(t)
		o.Said.Compression = c
		_ = wantKind(t, read(t, o, bytes.NewReader(compressed(t, whole, c))).err, gateway.Unsupported)
	}
}
