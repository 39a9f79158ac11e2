package tabular

import (
	"bytes"
	"context"
	"io"
)

// NewPart returns a source for [CSV.Cut] to fill: it reads what it was given, and
// nothing else.
func (s *CSV) NewPart() *CSV {
	part := newCSV(nil, len(s.row.Buf)-slack, s.limit)
	part.sep, part.eof = s.sep, true
	return part
}

// Cut fills a part with as many of the next records as fit, whole ones, and counts
// its lines from 1. Parts can be read at the same time, each by one goroutine; Cut
// itself by one at a time. It returns io.EOF when there are none. Where the
// parts begin and end hangs on nothing but the file.
func (s *CSV) Cut(ctx context.Context, part *CSV) error {
	p := &part.row
	room := len(p.Buf) - slack
	part.start, p.After, p.Line = 0, 1, 1
	part.end = copy(p.Buf, s.row.Buf[s.start:s.end])
	s.start, s.end = 0, 0
	if !s.eof {
		n, eof, err := readFull(ctx, s.src, p.Buf[part.end:room])
		part.end += n
		if err != nil {
			return err
		}
		s.eof = eof
	}
	switch {
	case part.end == 0:
		return io.EOF
	case s.eof && p.Buf[part.end-1] != '\n':
		p.Buf[part.end] = '\n'
		part.end++
	case !s.eof:
		// Where no record ends, the one that is there is too long, and the part says so.
		if end := recordsEnd(p.Buf[:part.end], s.sep); end > 0 {
			s.end = copy(s.row.Buf, p.Buf[end:part.end])
			part.end = end
		}
	}
	clear(p.Buf[part.end:min(part.end+slack, len(p.Buf))])
	return nil
}

// recordsEnd returns the place behind the last record that is whole. It sees
// quotation marks as the scanner does: one at the start of a cell encloses it, and
// another one inside an unquoted cell means nothing, so that counting them would
// not do.
func recordsEnd(text []byte, sep byte) int {
	end := 0
	for pos := 0; ; {
		n := bytes.IndexByte(text[pos:], '"')
		plain := text[pos:]
		if n >= 0 {
			plain = plain[:n]
		}
		if i := bytes.LastIndexByte(plain, '\n'); i >= 0 {
			end = pos + i + 1
		}
		if n < 0 {
			return end
		}
		pos += n + 1
		if at := pos - 1; at > 0 && text[at-1] != sep && text[at-1] != '\n' {
			continue
		}
		if pos = closing(text, pos); pos < 0 {
			return end
		}
	}
}

// closing returns the place behind the quotation mark that closes a cell whose text
// starts at pos, or -1.
func closing(text []byte, pos int) int {
	for {
		n := bytes.IndexByte(text[pos:], '"')
		if n < 0 {
			return -1
		}
		pos += n + 1
		if pos == len(text) || text[pos] != '"' {
			return pos
		}
		pos++
	}
}
