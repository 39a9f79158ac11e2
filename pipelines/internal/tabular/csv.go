package tabular

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/pana-exchange/pana/gateway"
)

// slack is how many bytes behind the data of the scanner's buffer may be read as
// words; they are zero, so that nothing there looks like a separator.
const slack = 64

// bufferBytes is how much of the file is held at once, and in one part, unless a row
// may be longer.
const bufferBytes = 256 << 10

// A CSV splits CSV (RFC 4180) into records. A record is byte ranges of the
// one reused buffer, valid until the next record: cells are never copied, and
// what the file holds is nowhere else.
//
// It reads what encoding/csv reads, but that a quotation mark inside an unquoted
// cell is that cell's problem and does not end the reading.
type CSV struct {
	row   Row
	src   io.Reader
	start int // of the next record
	end   int // of the data
	eof   bool
	limit int // bytes of the longest record
	sep   byte
}

func newCSV(src io.Reader, size, limit int) *CSV {
	return &CSV{
		src: src, row: Row{Buf: make([]byte, max(size, 2*limit)+slack), After: 1}, limit: limit, sep: ',',
	}
}

// Row returns the current record.
func (s *CSV) Row() *Row { return &s.row }

// fill moves what is left of the data to the front of the buffer and reads until
// the buffer is full or the file ends. The last line gets a line feed where it
// has none.
func (s *CSV) fill(ctx context.Context) error {
	copy(s.row.Buf, s.row.Buf[s.start:s.end])
	s.end -= s.start
	s.start = 0
	room := len(s.row.Buf) - slack
	if !s.eof {
		n, eof, err := readFull(ctx, s.src, s.row.Buf[s.end:room])
		s.end += n
		if err != nil {
			return err
		}
		if s.eof = eof; eof && s.end > 0 && s.row.Buf[s.end-1] != '\n' {
			s.row.Buf[s.end] = '\n'
			s.end++
		}
	}
	clear(s.row.Buf[s.end:min(s.end+slack, len(s.row.Buf))])
	return nil
}

// Next finds the next record. It returns a problem code when the reading must
// end, and io.EOF behind the last record. Empty lines are no records.
func (s *CSV) Next(ctx context.Context) (gateway.ProblemCode, error) {
	for {
		s.row.Line = s.row.After
		code, done := s.record()
		if code != "" || done {
			return code, nil
		}
		switch {
		case s.skipEmptyLine():
		case s.eof && s.start == s.end:
			return "", io.EOF
		case s.end-s.start > s.limit:
			return RowTooLong, nil
		case s.eof:
			return QuoteOpen, nil
		default:
			if err := s.fill(ctx); err != nil {
				return "", err
			}
		}
	}
}

// skipEmptyLine steps over one empty line.
func (s *CSV) skipEmptyLine() bool {
	rest := s.row.Buf[s.start:s.end]
	n := 0
	switch {
	case len(rest) > 0 && rest[0] == '\n':
		n = 1
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		n = 2
	}
	s.start += n
	if n > 0 {
		s.row.After++
	}
	return n > 0
}

const (
	ones  = 0x0101010101010101
	lows  = 0x7f7f7f7f7f7f7f7f
	highs = 0x8080808080808080
)

// equal marks, with its highest bit, every byte of w that is the byte that pattern
// repeats, and no other.
func equal(w, pattern uint64) uint64 {
	x := w ^ pattern
	return ^((x & lows) + lows | x) & highs
}

// below marks every byte of w that is less than the byte that limit repeats, which is
// ASCII. All of ASCII that means something is: mostly nothing else is, so that one
// comparison does for four.
func below(w, limit uint64) uint64 { return ^((w | highs) - limit | w) & highs }

// recordByWords scans one record from start, eight bytes at a time. It reports false
// when the data ends first or the line is empty.
func (s *CSV) recordByWords() (gateway.ProblemCode, bool) {
	buf, end := s.row.Buf, s.end
	if s.start < end && (buf[s.start] == '\n' || buf[s.start] == '\r' && buf[s.start+1] == '\n') {
		return "", false
	}
	cells := s.row.Cells[:0]
	from, form := s.start, Plain
	suspect := uint64(0) // not ASCII, or NUL; behind the record at worst
	limit, seps := uint64(max(s.sep, '"')+1)*ones, uint64(0)
	if s.sep == ';' { // which is behind the digits
		limit, seps = ('"'+1)*ones, ';'*ones
	}
words:
	for pos := s.start; pos < end; pos += 8 {
		w := binary.LittleEndian.Uint64(buf[pos:])
		m := below(w, limit)
		if seps != 0 {
			m |= equal(w, seps)
		}
		suspect |= w & highs
		for ; m != 0; m &= m - 1 {
			i := pos + bits.TrailingZeros64(m)>>3
			switch c := buf[i]; {
			case c == s.sep:
				cells = append(cells, Span{int32(from), int32(i), form}) //nolint:gosec // inside the buffer
				from, form = i+1, Plain
			case c == '\n':
				cells = append(cells, Span{int32(from), int32(i), form}) //nolint:gosec // inside the buffer
				s.row.Cells = cells
				return s.finish(i+1, suspect != 0)
			case c == 0:
				suspect = highs
			case c != '"':
			case i > from:
				form = Bare
			default:
				suspect = highs // the words inside are skipped
				cell, next := s.quoted(i + 1)
				cells = append(cells, cell)
				s.row.Cells = cells
				switch {
				case next >= end:
					return "", false
				case buf[next] == '\n':
					return s.finish(next+1, true)
				case buf[next] != s.sep:
					return QuoteForm, false
				}
				from, pos = next+1, next+1-8
				continue words
			}
		}
	}
	return "", false
}

// quoted returns the cell whose text starts at from, behind its quotation mark,
// and the place of the separator or line feed that must follow; the end of the
// data when that comes first.
func (s *CSV) quoted(from int) (Span, int) {
	form := Plain
	for i := from; ; {
		n := bytes.IndexByte(s.row.Buf[i:s.end], '"')
		if n < 0 {
			return Span{}, s.end
		}
		i += n
		if s.row.Buf[i+1] == '"' && i+1 < s.end {
			form = escaped
			i += 2
			continue
		}
		cell := Span{int32(from), int32(i), form} //nolint:gosec // inside the buffer
		if s.row.Buf[i+1] == '\r' && i+1 < s.end && (i+2 == s.end || s.row.Buf[i+2] == '\n') {
			return cell, i + 2
		}
		return cell, i + 1
	}
}

// finish ends the record in front of next. A record that may hold something else
// than ASCII, or line breaks, is looked at again.
func (s *CSV) finish(next int, suspect bool) (gateway.ProblemCode, bool) {
	record := s.row.Buf[s.start:next]
	s.start = next
	s.row.After++
	if last := &s.row.Cells[len(s.row.Cells)-1]; last.End > last.Start && int(last.End) == next-1 && s.row.Buf[last.End-1] == '\r' {
		last.End-- // CRLF behind a cell without quotation marks
	}
	if len(record) > s.limit {
		return RowTooLong, false
	}
	if !suspect {
		return "", true
	}
	s.row.After += bytes.Count(record, []byte{'\n'}) - 1
	if bytes.IndexByte(record, 0) >= 0 {
		return NUL, false
	}
	if !valid(record) {
		return NotUTF8, false
	}
	for i := range s.row.Cells {
		if s.row.Cells[i].Form == escaped {
			s.undouble(&s.row.Cells[i])
		}
	}
	return "", true
}

// undouble makes one quotation mark of every two, where they are.
func (s *CSV) undouble(c *Span) {
	cell := s.row.Buf[c.Start:c.End]
	to := 0
	for i := 0; i < len(cell); i++ {
		cell[to] = cell[i]
		to++
		if cell[i] == '"' {
			i++
		}
	}
	c.End, c.Form = c.Start+int32(to), Plain
}
