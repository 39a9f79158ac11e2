package tabular

import (
	"bytes"
	"context"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

// NDJSONOptions say how lines of JSON are read.
type NDJSONOptions struct {
	RowBytes int // longest line
	Columns  int // required: cells of a record
	// Find is required: the cell that a key names, or the problem with it. It is
	// asked once a key.
	Find func(key []byte) (int, gateway.ProblemCode)
}

// An NDJSON reads one flat object a line: its values are strings, numbers without
// an exponent, true, false, and null, which is an empty cell. The same key twice,
// a value inside a value, half a pair of surrogates and the number -0 end the
// reading, because readers of JSON do not agree on what they mean (RFC 8259).
//
// It expects the keys in the order of the line before, and looks up those that are
// elsewhere. Escapes are undone where they stand, so no cell is copied.
type NDJSON struct {
	lines  lines
	row    Row
	find   func([]byte) (int, gateway.ProblemCode)
	keys   []key          // all that were met
	places map[string]int // in keys
	order  []int          // places of the keys of the line before
	seen   []int          // line on which a cell was given last
}

// maxKeys is how many ways there may be in a file to write its keys.
const maxKeys = 4096

type key struct {
	text   string
	column int
}

// OpenNDJSON reads a file of lines of JSON, in UTF-8. There is no header: the cells
// of every record are those that Find numbers.
func OpenNDJSON(ctx context.Context, src io.Reader, o NDJSONOptions) (*NDJSON, gateway.Dialect, error) {
	d := gateway.Dialect{Format: gateway.FormatNDJSON, Encoding: UTF8}
	head, src, err := peek(ctx, src)
	if err != nil {
		return nil, d, err
	}
	if err = otherFormat(head); err != nil {
		return nil, d, err
	}
	n := &NDJSON{find: o.Find, places: map[string]int{}, seen: make([]int, o.Columns)}
	n.lines = lines{src: src, limit: o.RowBytes, buf: make([]byte, max(bufferBytes, 2*o.RowBytes)+slack)}
	n.row = Row{Buf: n.lines.buf, Cells: make([]Span, o.Columns), After: 1}
	if d.BOM = bytes.HasPrefix(head, []byte(bomUTF8)); d.BOM {
		_, err = io.CopyN(io.Discard, src, int64(len(bomUTF8)))
	}
	return n, d, err
}

// Row returns the current record.
func (n *NDJSON) Row() *Row { return &n.row }

// Next reads the next line that is not blank.
func (n *NDJSON) Next(ctx context.Context) (gateway.ProblemCode, error) {
	for {
		start, end, code, err := n.lines.next(ctx)
		if err != nil {
			return "", err
		}
		n.row.Line = n.row.After
		n.row.After++
		if code != "" {
			return code, nil
		}
		line := n.lines.buf[start:end]
		if len(bytes.TrimLeft(line, " \t\r")) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			return NotUTF8, nil
		}
		clear(n.row.Cells)
		n.row.Breaks = bytes.Contains(line, []byte(`\n`)) || bytes.Contains(line, []byte(`\u000`))
		return n.object(start), nil
	}
}

// object reads the object that starts at a place of the buffer. The line feed
// behind the line ends every scan.
func (n *NDJSON) object(at int) gateway.ProblemCode {
	buf := n.row.Buf
	at = space(buf, at)
	if buf[at] != '{' {
		return JSONForm
	}
	at = space(buf, at+1)
	for i := 0; ; i++ {
		if i == 0 && buf[at] == '}' {
			break
		}
		column, after, code := n.key(at, i)
		if code != "" {
			return code
		}
		after = space(buf, after)
		if buf[after] != ':' || n.seen[column] == n.row.Line {
			return JSONForm
		}
		n.seen[column] = n.row.Line
		cell, after, code := value(buf, space(buf, after+1))
		if code != "" {
			return code
		}
		n.row.Cells[column] = cell
		at = space(buf, after)
		if buf[at] == '}' {
			break
		}
		if buf[at] != ',' {
			return JSONForm
		}
		at = space(buf, at+1)
	}
	if at = space(buf, at+1); buf[at] != '\n' {
		return JSONForm
	}
	return ""
}

// key reads the i-th key of an object.
func (n *NDJSON) key(at, i int) (column, after int, code gateway.ProblemCode) {
	buf := n.row.Buf
	if buf[at] != '"' {
		return 0, 0, JSONForm
	}
	if i < len(n.order) {
		k := &n.keys[n.order[i]]
		if end := at + 1 + len(k.text); end < len(buf) && buf[end] == '"' && string(buf[at+1:end]) == k.text {
			return k.column, end + 1, ""
		}
	}
	cell, after, code := quotedJSON(buf, at+1)
	if code != "" {
		return 0, 0, code
	}
	text := buf[cell.Start:cell.End]
	place, known := n.places[string(text)]
	if !known {
		if column, code = n.find(text); code != "" {
			return 0, 0, code
		}
		if len(n.keys) == maxKeys {
			return 0, 0, JSONForm
		}
		place = len(n.keys)
		n.keys = append(n.keys, key{string(text), column})
		n.places[string(text)] = place
	}
	column = n.keys[place].column
	if bytes.IndexByte(text, '"') < 0 && after-at-2 == len(text) { // not of escapes
		n.order = append(n.order[:min(i, len(n.order))], place)
	}
	return column, after, ""
}

func space(buf []byte, at int) int {
	for buf[at] == ' ' || buf[at] == '\t' || buf[at] == '\r' {
		at++
	}
	return at
}

// value reads one value that is not a container.
func value(buf []byte, at int) (Span, int, gateway.ProblemCode) {
	switch c := buf[at]; {
	case c == '"':
		return quotedJSON(buf, at+1)
	case c == '-' || c >= '0' && c <= '9':
		return numberJSON(buf, at)
	case bytes.HasPrefix(buf[at:], []byte("null")):
		return Span{}, at + 4, ""
	case bytes.HasPrefix(buf[at:], []byte("true")):
		return span(at, at+4), at + 4, ""
	case bytes.HasPrefix(buf[at:], []byte("false")):
		return span(at, at+5), at + 5, ""
	}
	return Span{}, 0, JSONForm
}

func span(start, end int) Span {
	return Span{Start: int32(start), End: int32(end)} //nolint:gosec // inside the buffer
}

// numberJSON reads a number as its text.
func numberJSON(buf []byte, at int) (Span, int, gateway.ProblemCode) {
	end := at
	if buf[end] == '-' {
		end++
	}
	whole := end
	for buf[end] >= '0' && buf[end] <= '9' {
		end++
	}
	digits := end - whole
	if digits == 0 || digits > 1 && buf[whole] == '0' || digits == 1 && buf[whole] == '0' && whole > at {
		return Span{}, 0, JSONForm
	}
	if buf[end] == '.' {
		point := end
		for end++; buf[end] >= '0' && buf[end] <= '9'; {
			end++
		}
		if end == point+1 {
			return Span{}, 0, JSONForm
		}
	}
	if buf[end]|0x20 == 'e' {
		return Span{}, 0, JSONForm
	}
	return span(at, end), end, ""
}

// quotedJSON reads a string whose text starts at a place, and undoes its escapes
// where they stand: what an escape means is never longer than the escape.
func quotedJSON(buf []byte, from int) (Span, int, gateway.ProblemCode) {
	at := from
	for buf[at] != '"' && buf[at] != '\\' && buf[at] >= ' ' {
		at++
	}
	for to := at; ; {
		switch c := buf[at]; {
		case c == '"':
			return span(from, to), at + 1, ""
		case c < ' ': // a line feed too
			return Span{}, 0, JSONForm
		case c != '\\':
			buf[to] = c
			to, at = to+1, at+1
		default:
			r, n := escape(buf[at+1:])
			if n == 0 {
				return Span{}, 0, JSONForm
			}
			if r == 0 {
				return Span{}, 0, NUL
			}
			to += utf8.EncodeRune(buf[to:], r)
			at += 1 + n
		}
	}
}

// escape reads what follows a backslash: a character, and how many bytes say it.
// No bytes: it is none.
func escape(text []byte) (rune, int) {
	switch c := text[0]; c {
	case '"', '\\', '/':
		return rune(c), 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'u':
	default:
		return 0, 0
	}
	r, ok := hex4(text[1:])
	switch {
	case !ok:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 5
	case text[5] != '\\' || text[6] != 'u':
		return 0, 0
	}
	low, ok := hex4(text[7:])
	if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
		return pair, 11
	}
	return 0, 0
}

func hex4(text []byte) (rune, bool) {
	r := rune(0)
	for _, c := range text[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// lines splits a source into lines, which end in LF; the last gets one where it has
// none.
type lines struct {
	src        io.Reader
	buf        []byte
	start, end int
	eof        bool
	limit      int
}

// next returns where the next line is in the buffer, without its LF.
func (l *lines) next(ctx context.Context) (start, end int, code gateway.ProblemCode, err error) {
	for {
		if i := bytes.IndexByte(l.buf[l.start:l.end], '\n'); i >= 0 {
			start, end = l.start, l.start+i
			l.start = end + 1
			if end-start > l.limit {
				return 0, 0, RowTooLong, nil
			}
			return start, end, "", nil
		}
		switch {
		case l.end-l.start > l.limit:
			return 0, 0, RowTooLong, nil
		case l.eof:
			return 0, 0, "", io.EOF
		}
		copy(l.buf, l.buf[l.start:l.end])
		l.end -= l.start
		l.start = 0
		n, eof, err := readFull(ctx, l.src, l.buf[l.end:len(l.buf)-slack])
		l.end += n
		if err != nil {
			return 0, 0, "", err
		}
		if l.eof = eof; eof && l.end > 0 && l.buf[l.end-1] != '\n' {
			l.buf[l.end] = '\n'
			l.end++
		}
		clear(l.buf[l.end:min(l.end+slack, len(l.buf))])
	}
}
