package tabular

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

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

	serials atomic.Bool // a number was shown as a day
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

// DaysSeen reports whether a number was read that the sheet shows as a day. It may be
// asked while another goroutine reads.
func (x *XLSX) DaysSeen() bool { return x.serials.Load() }

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
