package tabular

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/parquet"
)

// maxPages is how many bytes of pages and dictionaries of a Parquet file are held at
// once. Writers make pages and dictionaries of 1 MiB, or a page of the 100,000 values
// of a group; a file that needs more is refused and can be written with smaller ones.
const maxPages = 128 << 20

// A Parquet reads the records of a Parquet file. The names of its columns are the
// first record; the line of a record is the one that it would have in a CSV file.
type Parquet struct {
	held  *spool
	file  *parquet.File
	row   Row
	cells []parquet.Cell
	limit int
}

// OpenParquet holds the file, sealed, and reads what it says of itself.
func OpenParquet(ctx context.Context, src io.Reader, o FileOptions) (*Parquet, gateway.Dialect, error) {
	d := gateway.Dialect{Format: gateway.FormatParquet}
	head := make([]byte, 4)
	n, _, err := readFull(ctx, src, head)
	if err != nil {
		return nil, d, err
	}
	if format, _ := Sniff(head[:n]); format != gateway.FormatParquet {
		return nil, d, &FileError{1, FormatOther, "the file is no Parquet file"}
	}
	held, err := newSpool(ctx, io.MultiReader(bytes.NewReader(head[:n]), src), o.Dir, o.Bytes)
	if err != nil {
		return nil, d, err
	}
	p := &Parquet{held: held, limit: o.RowBytes}
	p.file, err = parquet.Open(held, held.size, parquet.Limits{
		Columns: o.Columns, Cell: o.RowBytes, Held: maxPages, Bytes: o.Inside.Bytes, Ratio: o.Inside.Ratio,
	})
	if err != nil {
		p.Close()
		return nil, d, badParquet(err)
	}
	return p, d, nil
}

// Close gives back what holds the file.
func (p *Parquet) Close() {
	p.held.Close()
	if p.file != nil {
		p.file.Close()
	}
}

// Row returns the current record.
func (p *Parquet) Row() *Row { return &p.row }

// badParquet is a code for why a file is refused; of what is no fault of the file's it
// is the error itself.
func badParquet(err error) error {
	if feature, ok := errors.AsType[*parquet.FeatureError](err); ok {
		return &FileError{1, ParquetFeature, feature.Error()}
	}
	for cause, code := range map[error]gateway.ProblemCode{
		parquet.ErrForm: ParquetForm, parquet.ErrLarge: ParquetTooLarge, parquet.ErrEncrypted: ParquetEncrypted,
		parquet.ErrColumns: TooManyColumns, parquet.ErrLong: RowTooLong,
	} {
		if errors.Is(err, cause) {
			return &FileError{1, code, ""}
		}
	}
	return err
}

// Next reads the next record.
func (p *Parquet) Next(ctx context.Context) (gateway.ProblemCode, error) {
	buf := p.row.Buf[:0]
	p.cells, p.row.Cells = p.cells[:0], p.row.Cells[:0]
	p.row.Line++
	p.row.After = p.row.Line + 1
	if p.row.Line == 1 {
		buf = p.names(buf)
	} else {
		var err error
		buf, p.cells, err = p.file.Next(ctx, buf, p.cells)
		if err != nil {
			if err == io.EOF { //nolint:errorlint // Next returns io.EOF itself
				return "", err
			}
			return "", badParquet(err)
		}
	}
	p.row.Buf = slices.Grow(buf, slack)
	clear(p.row.Buf[len(buf) : len(buf)+slack])
	for _, c := range p.cells {
		p.row.Cells = append(p.row.Cells, span(c.Start, c.End))
	}
	switch {
	case len(buf) > p.limit:
		return RowTooLong, nil
	case bytes.IndexByte(buf, 0) >= 0:
		return NUL, nil
	case !utf8.Valid(buf):
		return NotUTF8, nil
	}
	p.row.Breaks = bytes.IndexByte(buf, '\n') >= 0
	return "", nil
}

// names appends the names of the columns.
func (p *Parquet) names(buf []byte) []byte {
	for i, name := range p.file.Columns() {
		if i > 0 {
			buf = append(buf, ',')
		}
		from := len(buf)
		buf = append(buf, name...)
		p.cells = append(p.cells, parquet.Cell{Start: from, End: len(buf)})
	}
	return buf
}
