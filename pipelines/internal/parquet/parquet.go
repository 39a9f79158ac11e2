// Package parquet reads the records of a Parquet file that somebody else wrote, as
// text: the text that the same record has in a CSV file.
//
// Call [Open], look at [File.Columns], and then call [File.Next] until io.EOF:
//
//	f, err := parquet.Open(r, size, parquet.Limits{…})
//	for err == nil {
//		buf, cells, err = f.Next(buf[:0], cells[:0])
//	}
//
// A number is its digits, a day ISO 8601, a time at midnight its day, a missing value
// the empty text. Trailing zeros of decimals and of whole floating-point numbers are
// no part of the value, so they are not written.
//
// Nothing that the file says of itself is believed: every size is held against the
// bytes that are there and against [Limits] before memory is asked for it, and every
// count against the others. The bytes are decoded value by value from one page a
// column: no memory grows with a count that the file states. A file gives all the
// records that it declares, or an error: [ErrForm], [ErrLarge], [ErrEncrypted],
// [ErrColumns] or a [FeatureError]. None holds anything of the file.
//
// It reads flat tables: columns of lists, maps or structures are refused, and so are
// the rare compressions (LZO, LZ4, Brotli), levels packed the deprecated way and
// values split by bytes. Statistics, indexes and Bloom filters are not read.
package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Why a file is refused.
var (
	ErrForm      = errors.New("the Parquet file is damaged, cut off or contradicts itself")
	ErrLarge     = errors.New("the Parquet file needs more memory or holds more than is read")
	ErrEncrypted = errors.New("the Parquet file is encrypted")
	ErrColumns   = errors.New("the Parquet file has too many columns")
)

// A FeatureError is what a file uses that is not read.
type FeatureError struct {
	Column int // from 1; 0: of all
	What   string
}

// Error says what it is, and of which column.
func (e *FeatureError) Error() string {
	if e.Column == 0 {
		return e.What
	}
	return fmt.Sprintf("column %d %s", e.Column, e.What)
}

// The bounds that no file of records comes near: of the footer, of its lists, and of
// one page.
const (
	maxFooter   = 8 << 20
	maxElements = 4 << 10
	maxGroups   = 16 << 10
	maxChunks   = 256 << 10
	maxPage     = 32 << 20
	maxHeader   = 1 << 20
)

// Limits bound what a file may cost. All are required.
type Limits struct {
	Columns int   // most columns
	Cell    int   // longest text of one cell
	Held    int64 // bytes of pages and dictionaries that are held at once
	Bytes   int64 // inside all pages together
	Ratio   int64 // of those to the file's own, beyond the first 16 MiB
}

// ratioGrace is how many bytes the pages may always have inside, whatever the ratio.
const ratioGrace = 16 << 20

// A Cell is where a value stands in the buffer of its record. Between two cells is a
// comma, so that half a character in one is not made whole by the next.
type Cell struct{ Start, End int }

// A File is an opened file. It is not safe for concurrent use.
type File struct {
	src     io.ReaderAt
	size    int64
	end     int64 // where the footer starts
	limits  Limits
	rows    int64
	columns []*column
	groups  []group
	left    int64 // records of the current group yet to be read
	inside  int64 // bytes of pages so far
	held    int64 // bytes of buffers
	sealed  []byte
	frames  *zstd.Decoder
	ended   error
}

// Open reads the footer, and holds it against the file.
func Open(src io.ReaderAt, size int64, limits Limits) (*File, error) {
	f := &File{src: src, size: size, limits: limits}
	text, err := f.footer()
	if err != nil {
		return nil, err
	}
	m := metadata{limit: f.end, columns: limits.Columns}
	if err = m.read(text); err != nil {
		return nil, err
	}
	if f.columns, err = m.flat(); err != nil {
		return nil, err
	}
	f.rows, f.groups = m.rows, m.groups
	return f, m.agree(f.columns)
}

const magic, sealedMagic = "PAR1", "PARE"

// footer returns the bytes of the footer.
func (f *File) footer() ([]byte, error) {
	var head [4]byte
	var tail [8]byte
	if f.size < int64(len(head)+len(tail)) {
		return nil, ErrForm
	}
	if err := f.readAt(head[:], 0); err != nil {
		return nil, err
	}
	if err := f.readAt(tail[:], f.size-int64(len(tail))); err != nil {
		return nil, err
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(head[:]) == sealedMagic || string(tail[4:]) == sealedMagic:
		return nil, ErrEncrypted
	case string(head[:]) != magic || string(tail[4:]) != magic || length > f.size-12:
		return nil, ErrForm
	case length > maxFooter:
		return nil, ErrLarge
	}
	f.end = f.size - 8 - length
	text := make([]byte, length)
	return text, f.readAt(text, f.end)
}

// readAt fills p, or fails.
func (f *File) readAt(p []byte, off int64) error {
	n, err := f.src.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return ErrForm
	}
	return fmt.Errorf("reading what was held of the file: %w", err)
}

// Columns returns the names of the columns.
func (f *File) Columns() []string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names
}

// Rows returns how many records the file declares.
func (f *File) Rows() int64 { return f.rows }

// Close ends the use of the file's decoders.
func (f *File) Close() {
	if f.frames != nil {
		f.frames.Close()
	}
}

// Next appends the text of the next record to buf and where its cells are to cells.
// It returns io.EOF when all that are declared were given, and nothing is left over.
func (f *File) Next(ctx context.Context, buf []byte, cells []Cell) ([]byte, []Cell, error) {
	if f.ended == nil {
		f.ended = f.nextGroup(ctx)
	}
	if f.ended != nil {
		return buf, cells, f.ended
	}
	f.left--
	for i, c := range f.columns {
		if i > 0 {
			buf = append(buf, ',')
		}
		from := len(buf)
		var err error
		if buf, err = c.next(f, buf); err == nil && len(buf)-from > f.limits.Cell {
			err = ErrLong
		}
		if err != nil {
			f.ended = in(i, err)
			return buf, cells, f.ended
		}
		cells = append(cells, Cell{from, len(buf)})
	}
	return buf, cells, nil
}

// ErrLong is that a cell is longer than one may be.
var ErrLong = errors.New("a cell is too long")

// in says of which column a feature is.
func in(column int, err error) error {
	if feature, ok := errors.AsType[*FeatureError](err); ok && feature.Column == 0 {
		return &FeatureError{column + 1, feature.What}
	}
	return err
}

// nextGroup starts the next group of records where one ended.
func (f *File) nextGroup(ctx context.Context) error {
	for f.left == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, c := range f.columns {
			if c.left != 0 || c.inPage != 0 || c.pos != c.end {
				return ErrForm // pages hold more than the footer declares
			}
		}
		if len(f.groups) == 0 {
			return io.EOF
		}
		g := f.groups[0]
		f.groups, f.left = f.groups[1:], g.rows
		for i, c := range f.columns {
			c.start(g.chunks[i])
		}
	}
	return nil
}

// room makes a buffer long enough, within what may be held at once.
func (f *File) room(buf []byte, n int) ([]byte, error) {
	if n <= cap(buf) {
		return buf[:n], nil
	}
	f.held += int64(n - cap(buf))
	if f.held > f.limits.Held {
		return nil, ErrLarge
	}
	return make([]byte, n), nil
}

// spend counts bytes that come out of pages.
func (f *File) spend(n int) error {
	f.inside += int64(n)
	if f.inside > f.limits.Bytes || f.inside > ratioGrace && f.inside/f.limits.Ratio > f.size {
		return ErrLarge
	}
	return nil
}
