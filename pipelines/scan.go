package pipelines

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

// slack is how many bytes behind the data of the scanner's buffer may be read as
// words; they are zero, so that nothing there looks like a separator.
const slack = 32

// bufferBytes is how much of the file is held at once, unless a row may be longer.
const bufferBytes = 256 << 10

// A scanner splits CSV (RFC 4180) into records. A record is byte ranges of the
// one reused buffer, valid until the next record: cells are never copied, and
// what the file holds is nowhere else. It never leaves this package.
//
// It reads what encoding/csv reads, but that a quotation mark inside an unquoted
// cell is that cell's problem and does not end the reading.
type scanner struct {
	src   io.Reader
	buf   []byte
	start int // of the next record
	end   int // of the data
	eof   bool
	limit int // bytes of the longest record
	sep   byte

	cells    []span
	line     int // physical line on which the current record starts
	nextLine int // line of what follows it
}

// A span is one cell: a range of the buffer, the enclosing quotation marks left out.
type span struct {
	start, end int32
	form       cellForm
}

type cellForm uint8

const (
	plain   cellForm = iota
	escaped          // holds doubled quotation marks, which are yet to be undoubled
	bare             // unquoted, and holds a quotation mark
)

func newScanner(src io.Reader, limit int) *scanner {
	return &scanner{
		src: src, buf: make([]byte, max(bufferBytes, 2*limit)+slack), limit: limit, sep: ',', nextLine: 1,
	}
}

// cell returns the bytes of a cell of the current record. Behind them at least
// 16 bytes may be read.
func (s *scanner) cell(i int) []byte {
	c := s.cells[i]
	return s.buf[c.start:c.end]
}

// fill moves what is left of the data to the front of the buffer and reads until
// the buffer is full or the file ends. The last line gets a line feed where it
// has none.
func (s *scanner) fill(ctx context.Context) error {
	copy(s.buf, s.buf[s.start:s.end])
	s.end -= s.start
	s.start = 0
	room := len(s.buf) - slack
	for idle := 0; s.end < room && !s.eof; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.src.Read(s.buf[s.end:room])
		s.end += n
		switch {
		case err == io.EOF:
			s.eof = true
			if s.end > 0 && s.buf[s.end-1] != '\n' {
				s.buf[s.end] = '\n'
				s.end++
			}
		case errors.Is(err, io.EOF):
			// An error about the end is not the end: half a file must not be
			// taken for all of it by whoever asks errors.Is(err, io.EOF).
			return fmt.Errorf("reading the file: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("reading the file: %w", err)
		case n > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				return fmt.Errorf("reading the file: %w", io.ErrNoProgress)
			}
		}
	}
	clear(s.buf[s.end:min(s.end+slack, len(s.buf))])
	return nil
}

// next finds the next record. It returns a problem code when the reading must
// end, and io.EOF behind the last record. Empty lines are no records.
func (s *scanner) next(ctx context.Context) (gateway.ProblemCode, error) {
	for {
		s.line = s.nextLine
		code, done := s.record()
		if code != "" || done {
			return code, nil
		}
		switch {
		case s.skipEmptyLine():
		case s.eof && s.start == s.end:
			return "", io.EOF
		case s.end-s.start > s.limit:
			return codeRowTooLong, nil
		case s.eof:
			return codeQuoteOpen, nil
		default:
			if err := s.fill(ctx); err != nil {
				return "", err
			}
		}
	}
}

// skipEmptyLine steps over one empty line.
func (s *scanner) skipEmptyLine() bool {
	rest := s.buf[s.start:s.end]
	n := 0
	switch {
	case len(rest) > 0 && rest[0] == '\n':
		n = 1
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		n = 2
	}
	s.start += n
	if n > 0 {
		s.nextLine++
	}
	return n > 0
}

const (
	ones  = 0x0101010101010101
	lows  = 0x7f7f7f7f7f7f7f7f
	highs = 0x8080808080808080
)

// differs marks, with its highest bit, every byte of w that is not the byte that
// pattern repeats. The lower bits mean nothing.
func differs(w, pattern uint64) uint64 {
	x := w ^ pattern
	return (x & lows) + lows | x
}

// record scans one record from start, eight bytes at a time. It reports false
// when the data ends first or the line is empty.
func (s *scanner) record() (gateway.ProblemCode, bool) {
	buf, end := s.buf, s.end
	if s.start < end && (buf[s.start] == '\n' || buf[s.start] == '\r' && buf[s.start+1] == '\n') {
		return "", false
	}
	cells := s.cells[:0]
	from, form := s.start, plain
	suspect := uint64(0)
	seps := uint64(s.sep) * ones
words:
	for pos := s.start; pos < end; pos += 8 {
		w := binary.LittleEndian.Uint64(buf[pos:])
		suspect |= (w | (w-ones)&^w) & highs // not ASCII, or NUL; behind the record at worst
		for m := ^(differs(w, seps) & differs(w, '\n'*ones) & differs(w, '"'*ones)) & highs; m != 0; m &= m - 1 {
			i := pos + bits.TrailingZeros64(m)>>3
			c := buf[i]
			if c != '"' {
				cells = append(cells, span{int32(from), int32(i), form}) //nolint:gosec // inside the buffer
				from, form = i+1, plain
				if c == s.sep {
					continue
				}
				s.cells = cells
				return s.finish(i+1, suspect != 0)
			}
			if i > from {
				form = bare
				continue
			}
			suspect = highs // the words inside are skipped
			cell, next := s.quoted(i + 1)
			cells = append(cells, cell)
			switch {
			case next >= end:
				return "", false
			case buf[next] == s.sep:
				from, pos = next+1, next+1-8
				continue words
			case buf[next] != '\n':
				s.cells = cells
				return codeQuoteForm, false
			}
			s.cells = cells
			return s.finish(next+1, true)
		}
	}
	return "", false
}

// quoted returns the cell whose text starts at from, behind its quotation mark,
// and the place of the separator or line feed that must follow; the end of the
// data when that comes first.
func (s *scanner) quoted(from int) (span, int) {
	form := plain
	for i := from; ; {
		n := bytes.IndexByte(s.buf[i:s.end], '"')
		if n < 0 {
			return span{}, s.end
		}
		i += n
		if s.buf[i+1] == '"' && i+1 < s.end {
			form = escaped
			i += 2
			continue
		}
		cell := span{int32(from), int32(i), form} //nolint:gosec // inside the buffer
		if s.buf[i+1] == '\r' && i+1 < s.end && (i+2 == s.end || s.buf[i+2] == '\n') {
			return cell, i + 2
		}
		return cell, i + 1
	}
}

// finish ends the record in front of next. A record that may hold something else
// than ASCII, or line breaks, is looked at again.
func (s *scanner) finish(next int, suspect bool) (gateway.ProblemCode, bool) {
	record := s.buf[s.start:next]
	s.start = next
	s.nextLine++
	if last := &s.cells[len(s.cells)-1]; last.end > last.start && int(last.end) == next-1 && s.buf[last.end-1] == '\r' {
		last.end-- // CRLF behind a cell without quotation marks
	}
	if len(record) > s.limit {
		return codeRowTooLong, false
	}
	if !suspect {
		return "", true
	}
	s.nextLine += bytes.Count(record, []byte{'\n'}) - 1
	if bytes.IndexByte(record, 0) >= 0 {
		return codeNUL, false
	}
	if !utf8.Valid(record) {
		return codeNotUTF8, false
	}
	for i := range s.cells {
		if s.cells[i].form == escaped {
			s.undouble(&s.cells[i])
		}
	}
	return "", true
}

// undouble makes one quotation mark of every two, where they are.
func (s *scanner) undouble(c *span) {
	cell := s.buf[c.start:c.end]
	to := 0
	for i := 0; i < len(cell); i++ {
		cell[to] = cell[i]
		to++
		if cell[i] == '"' {
			i++
		}
	}
	c.end, c.form = c.start+int32(to), plain
}

// wrongCell returns the number of the first cell of the current record for which
// the test fails, or -1.
func (s *scanner) wrongCell(good func([]byte) bool) int {
	for i := range s.cells {
		if !good(s.cell(i)) {
			return i
		}
	}
	return -1
}
