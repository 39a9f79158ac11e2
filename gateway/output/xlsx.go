package output

import (
	"archive/zip"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A sheet of a workbook: its name and its rows.
type sheet struct {
	name string
	rows [][]entry
}

// An entry is what stands in one place of a sheet.
type entry struct {
	text   string
	number bool
}

// writeXLSX writes a workbook (ECMA-376) of three sheets: the table, its citation and
// the titles of its codes. It holds text in the cells, numbers as they are spelt and
// nothing else: no formula, style, date or link, so a library of workbooks would be a
// dependency for a hundred lines. Text in a cell is never a formula, whatever it
// begins with. The parts are stored without compression, because their bytes must be
// the same whichever version of Go compresses.
func writeXLSX(w io.Writer, d *Document) error {
	sheets := []sheet{{"Table", d.tableRows()}, {"Citation", d.citationRows()}, {"Codes", d.codeRows()}}
	z := zip.NewWriter(w)
	err := writeParts(z, sheets)
	if err != nil {
		return fmt.Errorf("writing a workbook: %w", err)
	}
	return z.Close()
}

func texts(values ...string) []entry {
	row := make([]entry, len(values))
	for i, v := range values {
		row[i].text = v
	}
	return row
}

func (d *Document) tableRows() [][]entry {
	rows := [][]entry{texts(append(append([]string{}, d.Table.Dimensions...), "status", "value", "noise_sd")...)}
	for _, c := range d.Table.Cells {
		row := append(texts(c.Nodes...), entry{text: string(c.Status)},
			entry{d.figure(c).value, true}, entry{d.deviation(c), true})
		rows = append(rows, row)
	}
	return rows
}

func (d *Document) citationRows() [][]entry {
	rows := [][]entry{texts("question", d.Table.Label)}
	for _, c := range d.citation() {
		rows = append(rows, texts(strings.ToLower(c.id), c.value))
	}
	for _, note := range d.Table.Notes {
		rows = append(rows, texts("note", note))
	}
	return rows
}

func (d *Document) codeRows() [][]entry {
	rows := [][]entry{texts("dimension", "code", "kk", "ru", "en")}
	line := func(dimension, code string, t gateway.Text) {
		rows = append(rows, texts(dimension, code, t.KK, t.RU, t.EN))
	}
	for _, name := range d.Definition.Cube(d.Table.Cube).Dimensions {
		dim := d.Definition.Dimension(name)
		if dim == nil {
			continue
		}
		line(name, "", dim.Title)
		for _, n := range dim.Nodes {
			line(name, n.Code, n.Title)
		}
	}
	return rows
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// writeParts writes the parts that a reader needs (ECMA-376 part 1, 12.3) and a sheet
// each.
func writeParts(z *zip.Writer, sheets []sheet) error {
	var types, list, relations strings.Builder
	for i, s := range sheets {
		n := i + 1
		_, _ = fmt.Fprintf(&types, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>`, n)
		_, _ = fmt.Fprintf(&list, `<sheet name="%s" sheetId="%d" r:id="rId%d"/>`, s.name, n, n)
		_, _ = fmt.Fprintf(&relations, `<Relationship Id="rId%d" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet%d.xml"/>`, n, n)
	}
	const rels = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	parts := [][2]string{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
			types.String() + `</Types>`},
		{"_rels/.rels", rels + `<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>` +
			list.String() + `</sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", rels + relations.String() + `</Relationships>`},
	}
	for i, s := range sheets {
		parts = append(parts, [2]string{fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1), s.xml()})
	}
	for _, part := range parts {
		w, err := z.CreateHeader(&zip.FileHeader{Name: part[0], Method: zip.Store})
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, xmlHead+part[1])
		if err != nil {
			return err
		}
	}
	return nil
}

// xml writes text inline: nothing is shared between the sheets. Characters that XML
// cannot hold become U+FFFD.
func (s sheet) xml() string {
	var b strings.Builder
	b.WriteString(`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
	for _, row := range s.rows {
		b.WriteString("<row>")
		for _, e := range row {
			switch {
			case e.number && e.text != "":
				b.WriteString("<c><v>" + e.text + "</v></c>")
			case e.text == "":
				b.WriteString("<c/>")
			default:
				b.WriteString(`<c t="inlineStr"><is><t xml:space="preserve">`)
				_ = xml.EscapeText(&b, []byte(e.text)) // a strings.Builder takes everything
				b.WriteString(`</t></is></c>`)
			}
		}
		b.WriteString("</row>")
	}
	b.WriteString(`</sheetData></worksheet>`)
	return b.String()
}
