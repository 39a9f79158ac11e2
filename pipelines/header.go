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

// openSource opens the file in its format and finds, for every field of the
// contract, the number of its column, -1 where the file has none.
func openSource(ctx context.Context, r io.Reader, o *Options, names *columnNames) (tabular.Source, gateway.Dialect, []int, error) {
	src, d, err := openFormat(ctx, r, o, names)
	if err != nil {
		return nil, d, nil, faulty(err)
	}
	row := src.Row()
	switch code, err := src.Next(ctx); {
	case err == io.EOF: //nolint:errorlint // a source returns io.EOF itself
		return nil, d, nil, fatal(1, "", codeEmptyFile, nil)
	case err != nil:
		return nil, d, nil, err
	case code != "":
		return nil, d, nil, fatal(row.Line, "", code, nil)
	case len(row.Cells) > o.Limits.Columns:
		return nil, d, nil, fatal(row.Line, "", codeTooManyCols, nil)
	}
	h := heading{names: names, row: row, at: map[int]int{}}
	places, err := h.places()
	d.Columns = h.read
	return src, d, places, err
}

func openFormat(ctx context.Context, r io.Reader, o *Options, names *columnNames) (tabular.Source, gateway.Dialect, error) {
	return tabular.OpenCSV(ctx, r, tabular.CSVOptions{RowBytes: o.Limits.RowBytes, Said: o.Said, Known: names.known})
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
// column that the contract does not have is not repeated, unless the line is a
// header beyond doubt and the text a name beyond doubt: where a file has no
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
	h.problems.Rows = 1
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
// by its name where most columns are known, so that the line is no record.
func (h *heading) unknownColumn(i int) {
	detail := fmt.Sprintf("column %d (%s) is not in the contract", i+1, letters(i))
	if name := h.row.Cell(i); len(h.at) >= 3 && len(h.at) > 2*len(h.unknown) && headerLike.Match(name) {
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
	kind := gateway.Invalid
	if code == codeTooManyRows {
		kind = gateway.TooLarge
	}
	return &gateway.Error{Kind: kind, Detail: e.Error() + ": " + Describe(string(code)), Problems: p}
}
