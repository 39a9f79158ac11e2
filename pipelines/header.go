package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// An opened is a file whose header, if its format has one, is read.
type opened struct {
	src     tabular.Source
	dialect gateway.Dialect
	places  []int                 // cell of every field, -1 where the file has none
	width   int                   // cells of a record
	keys    *[]gateway.ReadColumn // that NDJSON named so far
	close   func()                // gives back what holds the file; may be nil

	noSerials bool // numbers are not days counted from 1900
}

// typedDates are the forms of dates that the file itself says are days, as far as it
// was read: numbers that a workbook shows as days.
func (f *opened) typedDates() dateForms {
	if book, ok := f.src.(*tabular.XLSX); ok && book.DaysSeen() {
		return dateSerial
	}
	return 0
}

func (o *Options) fileOptions() tabular.FileOptions {
	return tabular.FileOptions{
		RowBytes: o.Limits.RowBytes, Columns: o.Limits.Columns, Sheet: o.Said.Sheet, Dir: o.Dir, Bytes: o.Limits.HeldBytes,
		Inside: tabular.EnvelopeLimits{Bytes: o.Limits.Bytes, Ratio: int64(o.Limits.Ratio)},
	}
}

// openSource opens the envelope, and then the file in its format.
func openSource(ctx context.Context, r io.Reader, o *Options, names *columnNames) (opened, error) {
	if (o.Said.Format == gateway.FormatXLSX || o.Said.Format == gateway.FormatParquet) && o.Said.Compression != "" {
		return opened{}, gateway.Errorf(gateway.Unsupported, "a workbook (XLSX) or a Parquet file is compressed in itself; send it as it is, without gzip or zstd")
	}
	inside, closed, err := tabular.OpenEnvelope(r, o.Said.Compression, tabular.EnvelopeLimits{Bytes: o.Limits.Bytes, Ratio: int64(o.Limits.Ratio)})
	if err != nil {
		return opened{}, err
	}
	f, err := openFormat(ctx, inside, o, names)
	if err != nil {
		closed()
		return f, err
	}
	if f.close == nil { // what must be there whole is not compressed
		f.close = closed
	}
	return f, nil
}

// openFormat opens what is inside the envelope, and reads the header.
func openFormat(ctx context.Context, inside io.Reader, o *Options, names *columnNames) (opened, error) {
	var f opened
	var err error
	switch o.Said.Format {
	case "", gateway.FormatCSV:
		f.src, f.dialect, err = tabular.OpenCSV(ctx, inside, tabular.CSVOptions{RowBytes: o.Limits.RowBytes, Part: o.part, Said: o.Said, Known: names.known})
	case gateway.FormatNDJSON:
		k := &keys{names: names}
		f.src, f.dialect, err = tabular.OpenNDJSON(ctx, inside, tabular.NDJSONOptions{RowBytes: o.Limits.RowBytes, Columns: len(o.Contract.Fields), Find: k.find})
		f.keys, f.width = &k.read, len(o.Contract.Fields)
	case gateway.FormatXLSX:
		var book *tabular.XLSX
		if book, f.dialect, err = tabular.OpenXLSX(ctx, inside, o.fileOptions()); err == nil {
			f.src, f.close, f.noSerials = book, book.Close, book.Since1904
		}
	case gateway.FormatParquet:
		var table *tabular.Parquet
		if table, f.dialect, err = tabular.OpenParquet(ctx, inside, o.fileOptions()); err == nil {
			f.src, f.close = table, table.Close
		}
	default:
		return opened{}, gateway.Errorf(gateway.Unsupported, "a file is CSV, NDJSON, XLSX or Parquet")
	}
	if err != nil {
		return opened{}, faulty(err)
	}
	f.dialect.Compression = o.Said.Compression
	if f.keys != nil {
		for i := range o.Contract.Fields {
			f.places = append(f.places, i)
		}
		return f, nil
	}
	if err = f.readHeader(ctx, o, names); err != nil && f.close != nil {
		f.close()
	}
	return f, err
}

// readHeader reads the first record as the names of the columns.
func (f *opened) readHeader(ctx context.Context, o *Options, names *columnNames) error {
	row := f.src.Row()
	switch code, err := f.src.Next(ctx); {
	case err == io.EOF: //nolint:errorlint // a source returns io.EOF itself
		return fatal(1, "", codeEmptyFile, nil)
	case err != nil:
		return faulty(err)
	case code != "":
		return fatal(row.Line, "", code, nil)
	case len(row.Cells) > o.Limits.Columns:
		return fatal(row.Line, "", tabular.TooManyColumns, nil)
	}
	f.width = len(row.Cells)
	h := heading{names: names, row: row, at: map[int]int{}}
	var err error
	f.places, err = h.places()
	f.dialect.Columns = h.read
	return err
}

// keys finds the fields that the keys of NDJSON name.
type keys struct {
	names *columnNames
	read  []gateway.ReadColumn
}

func (k *keys) find(name []byte) (int, gateway.ProblemCode) {
	as, ok := k.names.find(name)
	switch {
	case !ok:
		return 0, codeUnknownColumn
	case as.field < 0:
		return 0, codeAmbiguousColumn
	}
	f := &k.names.contract.Fields[as.field]
	if f.Refused {
		return 0, codeRefusedColumn
	}
	k.read = append(k.read, gateway.ReadColumn{Column: len(k.read) + 1, Field: f.Name, Named: as.by})
	return as.field, ""
}

// faulty turns what a source cannot be opened for into an error with a problem.
func faulty(err error) error {
	fault, ok := errors.AsType[*tabular.FileError](err)
	if !ok {
		return err
	}
	refused := fatal(fault.Line, "", fault.Code, nil)
	if fault.Seen != "" {
		refused.Detail += " Seen: " + fault.Seen + "."
	}
	return refused
}

// A heading is the names of a file's columns.
type heading struct {
	names    *columnNames
	row      *tabular.Row
	at       map[int]int // column by field
	read     []gateway.ReadColumn
	unknown  []int // columns
	problems gateway.Problems
	details  []string
}

func (h *heading) wrong(field gateway.FieldName, code gateway.ProblemCode, detail string) {
	h.problems.Add(gateway.RowError{Line: h.row.Line, Field: field, Code: code}, 1000)
	h.details = append(h.details, detail)
}

// places finds the contract's fields in the header, in any order. The text of a
// column that the contract does not have is not repeated: where a file has no
// header, that text is data.
func (h *heading) places() ([]int, error) {
	for i := range h.row.Cells {
		h.column(i)
	}
	for _, i := range h.unknown {
		h.unknownColumn(i)
	}
	c := h.names.contract
	places := make([]int, len(c.Fields))
	for i := range c.Fields {
		f := &c.Fields[i]
		place, there := h.at[i]
		if !there {
			place = -1
			if f.Required || f.Event {
				h.wrong(f.Name, codeMissingColumn, fmt.Sprintf("column %s is missing", f.Name))
			}
		}
		places[i] = place
	}
	if len(h.details) == 0 {
		return places, nil
	}
	h.problems.Rows, h.problems.Ended = 1, true
	detail := fmt.Sprintf("line %d: the header is not that of contract %s, version %d", h.row.Line, c.ID, c.Version)
	if len(h.at) == 0 {
		detail += ": it names none of its columns (is there a header at all?)"
	} else {
		detail += ": " + strings.Join(h.details[:min(len(h.details), 20)], "; ")
	}
	return nil, &gateway.Error{Kind: gateway.Invalid, Detail: detail, Problems: &h.problems}
}

// column reads one column's name.
func (h *heading) column(i int) {
	as, ok := h.names.find(h.row.Cell(i))
	switch {
	case !ok:
		h.unknown = append(h.unknown, i)
		return
	case as.field < 0:
		h.wrong(columnNumber(i), codeAmbiguousColumn, fmt.Sprintf("column %d has a title that two fields have; use the field's name", i+1))
		return
	}
	f := &h.names.contract.Fields[as.field]
	if _, doubled := h.at[as.field]; doubled {
		h.wrong(f.Name, codeDoubledColumn, fmt.Sprintf("column %s is there twice", f.Name))
	}
	if f.Refused {
		h.wrong(f.Name, codeRefusedColumn, fmt.Sprintf("column %s holds free text and is refused", f.Name))
	}
	h.at[as.field] = i
	h.read = append(h.read, gateway.ReadColumn{Column: i + 1, Field: f.Name, Named: as.by})
}

// unknownColumn names a column that the contract does not have: by its place, and
// by its name where another contract has one of that name, as that one writes it,
// and most columns are known, so that the line is no record. No text of the file is
// repeated, because a name of a person can look like one of a column.
func (h *heading) unknownColumn(i int) {
	detail := fmt.Sprintf("column %d (%s) is not in the contract", i+1, letters(i))
	if name := h.names.elsewhere(h.row.Cell(i)); name != "" && len(h.at) >= 3 && len(h.at) > 2*len(h.unknown) {
		detail = fmt.Sprintf("column %d (%s), %s, is not in the contract", i+1, letters(i), name)
	}
	h.wrong(columnNumber(i), codeUnknownColumn, detail)
}

// columnNumber is what a column without a field is called in a problem.
func columnNumber(i int) gateway.FieldName { return gateway.FieldName("#" + strconv.Itoa(i+1)) }

// letters is what a spreadsheet calls a column: A, B, … Z, AA.
func letters(i int) string {
	if i < 26 {
		return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i : i+1]
	}
	return letters(i/26-1) + letters(i%26)
}

// fatal is the error that ends the reading: line, column and code in a sentence.
func fatal(line int, field gateway.FieldName, code gateway.ProblemCode, p *gateway.Problems) *gateway.Error {
	if p == nil {
		p = &gateway.Problems{}
	}
	e := gateway.RowError{Line: line, Field: field, Code: code}
	p.Add(e, len(p.First)+1)
	p.Ended = code != codeEmptyFile && code != codeNoRecords
	kind := gateway.Invalid
	if code == codeTooManyRows {
		kind = gateway.TooLarge
	}
	return &gateway.Error{Kind: kind, Detail: e.Error() + ": " + Describe(string(code)), Problems: p, Limit: limitOf[code]}
}

// limitOf names the limits that end the reading of a file.
var limitOf = map[gateway.ProblemCode]string{
	codeTooManyRows: "rows", tabular.RowTooLong: "row-bytes", tabular.TooManyColumns: "columns",
}
