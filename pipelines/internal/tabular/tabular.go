// Package tabular reads the files that agencies have: it finds out how a file is
// written, and turns it into records whose cells are ranges of one buffer.
//
// Call [Sniff] where nobody says what a file is, and then the function that opens
// its format: [OpenCSV], [OpenNDJSON], [OpenXLSX], [OpenParquet]; [OpenEnvelope] before it, where
// the file is compressed. It returns a [Source]: call Next until io.EOF, and read
// the cells of [Row] before the next call. A header, where the format has one, is
// the first record.
//
// What is found out is said in a [gateway.Dialect]; what can be read in two ways
// is refused with a [FileError], never guessed. Nothing is repaired: a byte that is no
// character of its encoding reaches the row as one that is not UTF-8, and ends the
// reading there, with its line.
//
// Memory does not grow with the file. Faults name places and codes, never what
// stands there. The package is internal, because a [Row] is raw.
package tabular

import (
	"context"
	"fmt"
	"io"

	"github.com/pana-exchange/pana/gateway"
)

// The problem codes that a source ends the reading with.
const (
	NotUTF8            gateway.ProblemCode = "NOT_UTF8"
	NUL                gateway.ProblemCode = "NUL_BYTE"
	QuoteOpen          gateway.ProblemCode = "UNCLOSED_QUOTE"
	QuoteForm          gateway.ProblemCode = "TEXT_AFTER_QUOTE"
	RowTooLong         gateway.ProblemCode = "ROW_TOO_LONG"
	EncodingAmbiguous  gateway.ProblemCode = "ENCODING_AMBIGUOUS"
	EncodingUnknown    gateway.ProblemCode = "ENCODING_UNKNOWN"
	SeparatorAmbiguous gateway.ProblemCode = "SEPARATOR_AMBIGUOUS"
	FormatOther        gateway.ProblemCode = "FORMAT_OTHER"
	JSONForm           gateway.ProblemCode = "JSON_FORM"
	TooManyColumns     gateway.ProblemCode = "TOO_MANY_COLUMNS"
	WorkbookForm       gateway.ProblemCode = "WORKBOOK_FORM"
	WorkbookTooLarge   gateway.ProblemCode = "WORKBOOK_TOO_LARGE"
	SheetUnknown       gateway.ProblemCode = "SHEET_UNKNOWN"
	ParquetForm        gateway.ProblemCode = "PARQUET_FORM"
	ParquetTooLarge    gateway.ProblemCode = "PARQUET_TOO_LARGE"
	ParquetEncrypted   gateway.ProblemCode = "PARQUET_ENCRYPTED"
	ParquetFeature     gateway.ProblemCode = "PARQUET_FEATURE"
)

// A Source reads the records of a file. Next returns a problem code when the
// reading must end, and io.EOF behind the last record.
type Source interface {
	Row() *Row
	Next(ctx context.Context) (gateway.ProblemCode, error)
}

// A Row is the current record of a source: byte ranges of its buffer, valid until
// the next record. Behind every cell at least 16 bytes may be read.
type Row struct {
	Buf    []byte
	Cells  []Span
	Line   int  // of the file, or of the sheet, on which the record starts
	After  int  // line of what follows it
	Breaks bool // a cell may hold a line break, though the record is one line
}

// Cell returns the bytes of a cell.
func (r *Row) Cell(i int) []byte {
	c := r.Cells[i]
	return r.Buf[c.Start:c.End]
}

// Find returns the number of the first cell for which the test fails, or -1.
func (r *Row) Find(good func([]byte) bool) int {
	for i := range r.Cells {
		if !good(r.Cell(i)) {
			return i
		}
	}
	return -1
}

// Format prints nothing of the record.
func (*Row) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "a record") }

// MarshalJSON encodes nothing of the record.
func (*Row) MarshalJSON() ([]byte, error) { return []byte(`"a record"`), nil }

// A Span is one cell: a range of the buffer, enclosing quotation marks left out.
type Span struct {
	Start, End int32
	Form       CellForm
}

// CellForm says what is to be known of a cell beside its bytes.
type CellForm uint8

// The forms of cells.
const (
	Plain   CellForm = iota
	escaped          // holds doubled quotation marks, which are yet to be undoubled
	Bare             // unquoted, and holds a quotation mark
)

// A FileError is why a file cannot be opened: a code, and what was seen. It holds
// nothing of the file.
type FileError struct {
	Line int
	Code gateway.ProblemCode
	Seen string // what was seen, and how to say what is meant; may be empty
}

// Error gives the place, the code and what was seen.
func (f *FileError) Error() string { return fmt.Sprintf("line %d: %s %s", f.Line, f.Code, f.Seen) }
