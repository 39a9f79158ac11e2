package tabular

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// FileOptions say how a file is read that must be there whole: XLSX and Parquet.
type FileOptions struct {
	RowBytes int    // longest record
	Columns  int    // most columns
	Sheet    string // of XLSX: name of a sheet; "" is the first
	Dir      string // where the file is held, sealed; "" is the system's
	Bytes    int64  // most bytes of the file
	Inside   EnvelopeLimits
}

// maxStrings is the most text that the strings of a workbook may have together:
// they are in memory, because cells refer to them in any order.
const maxStrings = 64 << 20

// sheetColumns is how many columns a sheet can have.
const sheetColumns = 16384

// An XLSX reads the rows of one sheet of a workbook (ECMA-376). Numbers are written
// as their digits; those that the sheet shows as days are written as ISO 8601;
// formulas count by the value that was last computed. Rows that are empty are no
// records. A record's line is the number of its row in the sheet.
type XLSX struct {
	// Since1904 says that the days of the workbook are counted from 1904, so that a
	// number that is not shown as a day must not be taken for one.
	Since1904 bool

	file    *spool
	sheet   io.ReadCloser
	xml     *xmlReader
	inside  *budget
	row     Row
	limit   int
	columns int
	width   int    // of the header
	days    []bool // by style: the number is a day
	strings []byte // the shared strings, one behind the other
	ends    []uint32
	cell    sheetCell
	ended   bool
}

// A sheetCell is the cell that is being read.
type sheetCell struct {
	column int
	kind   string
	style  int
	value  []byte
	given  bool
}

// OpenXLSX holds the file, sealed, and opens one sheet.
func OpenXLSX(ctx context.Context, src io.Reader, o FileOptions) (*XLSX, gateway.Dialect, error) {
	d := gateway.Dialect{Format: gateway.FormatXLSX}
	held, err := newSpool(ctx, src, o.Dir, o.Bytes)
	if err != nil {
		return nil, d, err
	}
	x := &XLSX{file: held, limit: o.RowBytes, columns: o.Columns, inside: &budget{limits: o.Inside, outside: held.size}}
	if d.Sheet, err = x.open(ctx, o.Sheet); err != nil {
		x.Close()
		return nil, d, badBook(err)
	}
	return x, d, nil
}

// Close gives back what holds the file.
func (x *XLSX) Close() { x.file.Close() }

// Row returns the current record.
func (x *XLSX) Row() *Row { return &x.row }

// badBook keeps what says more than that the workbook is bad.
func badBook(err error) error {
	if _, ok := errors.AsType[*FileError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*gateway.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &FileError{1, WorkbookForm, ""}
}

func (x *XLSX) open(ctx context.Context, name string) (int, error) {
	files, err := x.directory()
	if err != nil {
		return 0, err
	}
	if err = x.readStyles(ctx, files["xl/styles.xml"]); err != nil {
		return 0, err
	}
	if err = x.readStrings(ctx, files["xl/sharedStrings.xml"]); err != nil {
		return 0, err
	}
	target, number, err := x.findSheet(ctx, files, name)
	if err != nil {
		return 0, err
	}
	sheet := files[target]
	if sheet == nil {
		return 0, errXML
	}
	if x.sheet, err = sheet.Open(); err != nil {
		return 0, err
	}
	x.xml = newXMLReader(x.inside.reader(x.sheet))
	return number, nil
}

// read hands every tag of a part of the workbook to a function, with the text in
// front of it. A part that is not there has none.
func (x *XLSX) read(ctx context.Context, f *zip.File, each func(text, tag []byte) error) error {
	if f == nil {
		return nil
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	tags := newXMLReader(x.inside.reader(in))
	for {
		text, tag, err := tags.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = each(text, tag)
		}
		if err != nil {
			return err
		}
	}
}

// findSheet returns the part that holds a sheet, and the sheet's number.
func (x *XLSX) findSheet(ctx context.Context, files map[string]*zip.File, name string) (string, int, error) {
	parts := map[string]string{}
	err := x.read(ctx, files["xl/_rels/workbook.xml.rels"], func(_, tag []byte) error {
		if local, _, _ := element(tag); string(local) == "Relationship" {
			if len(parts) == maxEntries || len(tag) > 4<<10 {
				return errXML
			}
			target := string(attribute(tag, "Target"))
			if !strings.HasPrefix(target, "/") {
				target = path.Join("xl", target)
			}
			parts[string(attribute(tag, "Id"))] = strings.TrimPrefix(target, "/")
		}
		return nil
	})
	if err != nil {
		return "", 0, err
	}
	number, found, target := 0, 0, ""
	err = x.read(ctx, files["xl/workbook.xml"], func(_, tag []byte) error {
		switch local, _, _ := element(tag); string(local) {
		case "workbookPr":
			value := string(attribute(tag, "date1904"))
			x.Since1904 = x.Since1904 || value == "1" || value == "true"
		case "sheet":
			number++
			called, err := unescape(nil, attribute(tag, "name"))
			if err != nil {
				return err
			}
			if found == 0 && (name == "" || string(called) == name) {
				found, target = number, parts[string(attribute(tag, "id"))]
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return "", 0, err
	case found == 0 && number > 0:
		return "", 0, &FileError{1, SheetUnknown, "the workbook has " + strconv.Itoa(number) + " sheets, none of that name"}
	}
	return target, found, nil
}

// readStyles learns which styles show a number as a day.
func (x *XLSX) readStyles(ctx context.Context, f *zip.File) error {
	formats := map[int]bool{}
	in := false
	return x.read(ctx, f, func(_, tag []byte) error {
		switch local, opens, closes := element(tag); {
		case string(local) == "numFmt" && len(formats) == maxEntries:
			return errXML
		case string(local) == "numFmt":
			code, err := unescape(nil, attribute(tag, "formatCode"))
			if err != nil {
				return err
			}
			formats[number(attribute(tag, "numFmtId"))] = showsDay(string(code))
		case string(local) == "cellXfs":
			in = opens && !closes
		case string(local) == "xf" && opens && in && len(x.days) < 1<<16:
			id := number(attribute(tag, "numFmtId"))
			day, own := formats[id]
			x.days = append(x.days, own && day || !own && builtInDay(id))
		}
		return nil
	})
}

// builtInDay reports whether a number format that every program knows shows a day
// (ECMA-376-1, 18.8.30; those of East Asian languages among them).
func builtInDay(id int) bool {
	return id >= 14 && id <= 17 || id == 22 || id >= 27 && id <= 31 || id == 36 || id >= 50 && id <= 54 || id == 57 || id == 58
}

// showsDay reports whether a format shows a day or a year, leaving out what is
// quoted, escaped or in brackets.
func showsDay(format string) bool {
	quoted, bracket := false, false
	for i := 0; i < len(format); i++ {
		switch c := format[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\\' || c == '_' || c == '*':
			i++
		case c == '[' || c == ']':
			bracket = c == '['
		case bracket:
		case c|0x20 == 'd' || c|0x20 == 'y':
			return true
		}
	}
	return false
}

func number(text []byte) int {
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return -1
	}
	return n
}

// readStrings reads the strings that cells refer to by number. Readings beside the
// text of East Asian scripts are no part of it.
func (x *XLSX) readStrings(ctx context.Context, f *zip.File) error {
	in, aside := false, 0
	return x.read(ctx, f, func(text, tag []byte) error {
		local, opens, closes := element(tag)
		var err error
		switch string(local) {
		case "rPh":
			if opens && !closes {
				aside++
			} else if !opens {
				aside--
			}
		case "t":
			if in && !opens && aside == 0 {
				x.strings, err = unescape(x.strings, text)
			}
			in = opens && !closes
		case "si":
			if closes {
				x.ends = append(x.ends, uint32(len(x.strings))) //nolint:gosec // bounded below
			}
		}
		if len(x.strings)+4*len(x.ends) > maxStrings {
			return &FileError{1, WorkbookTooLarge, ""}
		}
		return err
	})
}

// Next reads the next row that is not empty.
func (x *XLSX) Next(ctx context.Context) (gateway.ProblemCode, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if x.ended {
		return "", io.EOF
	}
	for {
		switch more, code, err := x.record(ctx); {
		case err != nil:
			return "", badBook(err)
		case code != "":
			return code, nil
		case !more:
			x.ended = true
			return "", io.EOF
		}
		last := len(x.row.Cells)
		for last > 0 && x.row.Cells[last-1].Start == x.row.Cells[last-1].End {
			last--
		}
		if last == 0 {
			continue
		}
		if x.width == 0 {
			x.width = last
		}
		for len(x.row.Cells) < x.width {
			x.row.Cells = append(x.row.Cells, Span{})
		}
		x.row.Cells = x.row.Cells[:max(last, x.width)]
		x.row.Breaks = bytes.IndexByte(x.row.Buf, '\n') >= 0
		x.row.Buf = slices.Grow(x.row.Buf, slack)
		clear(x.row.Buf[len(x.row.Buf) : len(x.row.Buf)+slack])
		return "", nil
	}
}

// record reads up to the end of a row. It reports false at the end of the sheet.
func (x *XLSX) record(ctx context.Context) (bool, gateway.ProblemCode, error) {
	x.row.Buf, x.row.Cells = x.row.Buf[:0], x.row.Cells[:0]
	for {
		text, tag, err := x.xml.next(ctx)
		if errors.Is(err, io.EOF) {
			return false, "", errXML // the sheet's end comes first
		}
		if err != nil {
			return false, "", err
		}
		local, opens, closes := element(tag)
		switch string(local) {
		case "sheetData":
			if closes {
				return false, "", nil
			}
		case "row":
			if opens {
				line := x.row.Line + 1
				if at := attribute(tag, "r"); at != nil {
					line = number(at)
				}
				if line <= x.row.Line {
					return false, "", errXML
				}
				x.row.Line, x.row.After = line, line+1
			}
			if closes {
				return true, "", nil
			}
		case "c":
			if opens {
				x.start(tag)
			}
			if closes {
				if code, err := x.finish(); code != "" || err != nil {
					return false, code, err
				}
			}
		case "v", "t":
			if !opens {
				if x.cell.value, err = unescape(x.cell.value, text); err != nil {
					return false, "", err
				}
				if len(x.cell.value) > x.limit {
					return false, RowTooLong, nil
				}
				x.cell.given = true
			}
		}
	}
}

// start notes what a cell's tag says.
func (x *XLSX) start(tag []byte) {
	c := &x.cell
	c.column = len(x.row.Cells)
	if at := attribute(tag, "r"); at != nil {
		c.column = columnOf(at)
	}
	c.kind = kindOf(attribute(tag, "t"))
	c.style = -1
	if s := attribute(tag, "s"); s != nil {
		c.style = number(s)
	}
	c.value, c.given = c.value[:0], false
}

// kindOf is the type of a cell, without an allocation for those that there are.
func kindOf(t []byte) string {
	switch string(t) {
	case "s":
		return "s"
	case "b":
		return "b"
	case "d":
		return "d"
	case "str", "inlineStr", "e":
		return "text"
	}
	return "n"
}

// columnOf returns the number of the column of a cell like B5, -1 where it is none.
func columnOf(at []byte) int {
	n := 0
	for _, b := range at {
		if b < 'A' || b > 'Z' {
			break
		}
		if n = n*26 + int(b-'A') + 1; n > sheetColumns {
			return -1
		}
	}
	return n - 1
}

// finish puts the cell into the record.
func (x *XLSX) finish() (gateway.ProblemCode, error) {
	c := &x.cell
	if c.column < len(x.row.Cells) {
		return "", errXML // before another, or beyond the sheet
	}
	if !c.given {
		return "", nil
	}
	if c.column >= x.columns {
		return TooManyColumns, nil
	}
	for len(x.row.Cells) < c.column {
		x.row.Cells = append(x.row.Cells, Span{})
	}
	from := len(x.row.Buf)
	if err := x.write(); err != nil {
		return "", err
	}
	if len(x.row.Buf) > x.limit {
		return RowTooLong, nil
	}
	x.row.Cells = append(x.row.Cells, span(from, len(x.row.Buf)))
	return "", nil
}

// write appends the text of the cell to the record.
func (x *XLSX) write() error {
	c, buf := &x.cell, &x.row.Buf
	switch c.kind {
	case "s":
		i := number(c.value)
		if i < 0 || i >= len(x.ends) {
			return errXML
		}
		from := uint32(0)
		if i > 0 {
			from = x.ends[i-1]
		}
		*buf = append(*buf, x.strings[from:x.ends[i]]...)
	case "b":
		*buf = append(*buf, map[string]string{"1": "TRUE", "0": "FALSE"}[string(c.value)]...)
	case "d":
		*buf = append(*buf, bytes.TrimSuffix(c.value, []byte("T00:00:00"))...)
	case "text":
		*buf = append(*buf, c.value...)
	default:
		return x.writeNumber()
	}
	return nil
}

func (x *XLSX) writeNumber() error {
	c := &x.cell
	day := c.style >= 0 && c.style < len(x.days) && x.days[c.style]
	plain := len(c.value) < 16
	for _, b := range c.value {
		plain = plain && b >= '0' && b <= '9'
	}
	if plain && !day {
		x.row.Buf = append(x.row.Buf, c.value...)
		return nil
	}
	if len(c.value) == 0 {
		return nil
	}
	v, err := strconv.ParseFloat(string(c.value), 64)
	switch {
	case err != nil || math.IsInf(v, 0) || math.IsNaN(v):
		return errXML
	case day && v >= 1 && v < 2958466 && math.Floor(v) != 60:
		x.row.Buf = appendDay(x.row.Buf, v, x.Since1904)
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		x.row.Buf = strconv.AppendInt(x.row.Buf, int64(v), 10)
	default:
		x.row.Buf = strconv.AppendFloat(x.row.Buf, v, 'f', -1, 64)
	}
	return nil
}

// appendDay writes a day counted as spreadsheets do; with its time where it is not
// midnight, which no contract takes for a date.
func appendDay(to []byte, v float64, since1904 bool) []byte {
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case since1904:
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case v < 60: // in front of the day that never was
		epoch = epoch.AddDate(0, 0, 1)
	}
	day := epoch.AddDate(0, 0, int(v))
	if seconds := math.Round((v - math.Floor(v)) * 86400); seconds > 0 {
		return day.Add(time.Duration(seconds)*time.Second).AppendFormat(to, "2006-01-02T15:04:05")
	}
	return day.AppendFormat(to, time.DateOnly)
}
