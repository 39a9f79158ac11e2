package tabular

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// workbook is a ZIP archive of a small workbook, in which some parts are others.
func workbook(t *testing.T, parts map[string]string) []byte {
	t.Helper()
	all := map[string]string{
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>`,
		"xl/workbook.xml":            `<workbook><sheets><sheet name="a" r:id="r1"/></sheets></workbook>`,
		"xl/worksheets/s.xml":        `<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>`,
	}
	maps.Copy(all, parts)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range all {
		part, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(part, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// first opens a workbook and reads its first row.
func first(ctx context.Context, t *testing.T, content []byte) (*XLSX, gateway.ProblemCode, error) {
	t.Helper()
	x, _, err := OpenXLSX(ctx, bytes.NewReader(content), FileOptions{
		RowBytes: 64 << 10, Columns: 256, Dir: t.TempDir(), Bytes: 256 << 20, Inside: EnvelopeLimits{Bytes: 2 << 30, Ratio: 2000},
	})
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(x.Close)
	code, err := x.Next(ctx)
	return x, code, err
}

func wantForm(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*FileError](err); !ok || e.Code != WorkbookForm {
		t.Errorf("%v, want %s", err, WorkbookForm)
	}
}

func sheetOf(row string) map[string]string {
	return map[string]string{"xl/worksheets/s.xml": `<worksheet><sheetData>` + row + `</sheetData></worksheet>`}
}

// A tag of brackets inside a value costs its length once, and is short.
func TestTagOfBrackets(t *testing.T) {
	tag := func(n int) map[string]string {
		return sheetOf(`<row r="1" a="` + strings.Repeat(">", n) + `"><c r="A1"><v>1</v></c></row>`)
	}
	if _, code, err := first(t.Context(), t, workbook(t, tag(maxTag-100))); code != "" || err != nil {
		t.Error(code, err)
	}
	_, _, err := first(t.Context(), t, workbook(t, tag(maxTag)))
	wantForm(t, err)
}

// Whoever hangs up ends the reading, also where no row comes.
func TestHangingUpEndsAWorkbook(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x := newXMLReader(&endless{cancel: cancel})
	for {
		_, _, err := x.next(ctx)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := first(ctx, t, workbook(t, nil)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// endless is a document of tags that never ends, whose reader hangs up.
type endless struct {
	cancel context.CancelFunc
	reads  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.reads++; e.reads == 3 {
		e.cancel()
	}
	return copy(p, bytes.Repeat([]byte("<!----><x/>"), len(p)/11+1)), nil
}

// A cell in many pieces is refused before it is long.
func TestCellOfManyPieces(t *testing.T) {
	x, code, err := first(t.Context(), t, workbook(t, sheetOf(`<row r="1"><c r="A1" t="inlineStr"><is>`+strings.Repeat("<t>"+strings.Repeat("x", 32<<10)+"</t>", 400)+`</is></c></row>`)))
	if code != RowTooLong || err != nil {
		t.Fatal(code, err)
	}
	if held := cap(x.cell.value); held > 1<<20 {
		t.Errorf("held %d bytes", held)
	}
}

// withEntries puts entries behind the directory; the end record counts them, and
// says what it is told of the directory's size.
func withEntries(content []byte, n int, honest bool) []byte {
	end := bytes.LastIndex(content, []byte("PK\x05\x06"))
	from := int(binary.LittleEndian.Uint32(content[end+16:]))
	tail := bytes.Clone(content[end:])
	out := bytes.Clone(content[:end])
	for i := range n {
		entry := make([]byte, 46)
		copy(entry, "PK\x01\x02")
		entry[28] = 6
		out = fmt.Appendf(append(out, entry...), "%06x", i)
	}
	entries := uint16(int(binary.LittleEndian.Uint16(tail[10:])) + n)
	binary.LittleEndian.PutUint16(tail[8:], entries)
	binary.LittleEndian.PutUint16(tail[10:], entries)
	if honest {
		binary.LittleEndian.PutUint32(tail[12:], uint32(len(out)-from))
	}
	return append(out, tail...)
}

func TestDirectoryIsBounded(t *testing.T) {
	plain := workbook(t, nil)
	if _, code, err := first(t.Context(), t, withEntries(plain, maxEntries-3, true)); code != "" || err != nil {
		t.Error(code, err)
	}
	// The records of ZIP64, which some writers always put in, are no part of it.
	end := bytes.LastIndex(plain, []byte("PK\x05\x06"))
	long := append([]byte("PK\x06\x06"), make([]byte, longDirectoryEnd-4)...)
	if _, code, err := first(t.Context(), t, bytes.Join([][]byte{plain[:end], long, plain[end:]}, nil)); code != "" || err != nil {
		t.Error(code, err)
	}
	for name, content := range map[string][]byte{
		"a lie about the size":        withEntries(plain, 10, false),
		"many entries":                withEntries(plain, maxEntries-2, true),
		"a lie about size and number": withEntries(plain, 1<<16, false),
		"a lie about the number":      withEntries(plain, 1<<16-4, true),
		"something between":           bytes.Join([][]byte{plain[:end], make([]byte, 76), plain[end:]}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := first(t.Context(), t, content)
			wantForm(t, err)
		})
	}
}

func TestListsOfAWorkbookAreBounded(t *testing.T) {
	var styles, parts strings.Builder
	for i := range maxEntries + 1 {
		fmt.Fprintf(&styles, `<numFmt numFmtId="%d"/>`, i)
		fmt.Fprintf(&parts, `<Relationship Id="x%d" Target="x"/>`, i)
	}
	for name, text := range map[string]string{
		"xl/styles.xml":              `<styleSheet>` + styles.String() + `</styleSheet>`,
		"xl/_rels/workbook.xml.rels": `<Relationships>` + parts.String() + `</Relationships>`,
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := first(t.Context(), t, workbook(t, map[string]string{name: text}))
			wantForm(t, err)
		})
	}
}
