package tabular

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// The most bytes of one text between two tags, and of one tag or comment.
const (
	maxXML = 1 << 20
	maxTag = 64 << 10
)

var errXML = errors.New("not XML of a spreadsheet")

// An xmlReader splits XML into tags and the texts between them, without a copy a
// cell. It reads what spreadsheets write: UTF-8, no document type, no CDATA. Names
// are told by their part behind the colon.
type xmlReader struct {
	in   *bufio.Reader
	text []byte
	tag  []byte
}

func newXMLReader(r io.Reader) *xmlReader { return &xmlReader{in: bufio.NewReaderSize(r, 64<<10)} }

// next returns the text up to the next tag, not yet unescaped, and the tag without
// its brackets; valid until the next call. It ends with its context: what is between
// two cells may be long.
func (x *xmlReader) next(ctx context.Context) (text, tag []byte, err error) {
	x.text = x.text[:0]
	for {
		if err = ctx.Err(); err != nil {
			return nil, nil, err
		}
		if x.text, err = x.until('<', x.text, maxXML); err != nil {
			return nil, nil, err
		}
		x.text = x.text[:len(x.text)-1]
		if x.tag, err = x.until('>', x.tag[:0], maxTag); err != nil {
			return nil, nil, unexpected(err)
		}
		switch {
		case bytes.HasPrefix(x.tag, []byte("!--")):
			for !bytes.HasSuffix(x.tag, []byte("-->")) {
				if x.tag, err = x.until('>', x.tag, maxTag); err != nil {
					return nil, nil, unexpected(err)
				}
			}
			continue
		case bytes.HasPrefix(x.tag, []byte("?")):
			continue
		case bytes.HasPrefix(x.tag, []byte("!")):
			return nil, nil, errXML
		}
		if err = x.closeQuotes(); err != nil {
			return nil, nil, unexpected(err)
		}
		return x.text, x.tag[:len(x.tag)-1], nil
	}
}

// closeQuotes reads on where the bracket that ended the tag is inside a value. It
// counts every byte once.
func (x *xmlReader) closeQuotes() (err error) {
	quotes, counted := 0, 0
	for {
		quotes += bytes.Count(x.tag[counted:], []byte{'"'})
		if quotes%2 == 0 {
			return nil
		}
		counted = len(x.tag)
		if x.tag, err = x.until('>', x.tag, maxTag); err != nil {
			return err
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return errXML
	}
	return err
}

// until appends what comes up to a byte, and the byte, up to so many bytes in all.
// io.EOF: there is none.
func (x *xmlReader) until(end byte, to []byte, most int) ([]byte, error) {
	for {
		part, err := x.in.ReadSlice(end)
		to = append(to, part...)
		switch {
		case len(to) > most:
			return to, errXML
		case err == nil:
			return to, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return to, err
		}
	}
}

// element returns the local name of a tag, and whether it opens and closes one.
func element(tag []byte) (name []byte, opens, closes bool) {
	opens = true
	if len(tag) > 0 && tag[0] == '/' {
		tag, opens, closes = tag[1:], false, true
	}
	if len(tag) > 0 && tag[len(tag)-1] == '/' {
		tag, closes = tag[:len(tag)-1], true
	}
	if i := bytes.IndexAny(tag, " \t\r\n"); i >= 0 {
		tag = tag[:i]
	}
	if i := bytes.IndexByte(tag, ':'); i >= 0 {
		tag = tag[i+1:]
	}
	return tag, opens, closes
}

// attribute returns the value of an attribute by its local name, not unescaped.
func attribute(tag []byte, name string) []byte {
	for {
		i := bytes.IndexByte(tag, '=')
		if i < 0 || i+1 == len(tag) {
			return nil
		}
		key := bytes.TrimRight(tag[:i], " \t\r\n")
		if j := bytes.LastIndexAny(key, " \t\r\n:"); j >= 0 {
			key = key[j+1:]
		}
		rest := bytes.TrimLeft(tag[i+1:], " \t\r\n")
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return nil
		}
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return nil
		}
		if string(key) == name {
			return rest[1 : 1+end]
		}
		tag = rest[end+2:]
	}
}

// unescape appends text with its references undone, and lines that end in LF.
func unescape(to, text []byte) ([]byte, error) {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return to, errXML
	}
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(to, text...), nil
		}
		to = append(to, text[:i]...)
		end := bytes.IndexByte(text[i:], ';')
		if end < 0 {
			return to, errXML
		}
		r, ok := reference(text[i+1 : i+end])
		if !ok {
			return to, errXML
		}
		to = utf8.AppendRune(to, r)
		text = text[i+end+1:]
	}
}

func reference(name []byte) (rune, bool) {
	switch string(name) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || len(name) > 8 || name[0] != '#' {
		return 0, false
	}
	text, base := name[1:], 10
	if text[0] == 'x' {
		text, base = text[1:], 16
	}
	n, err := strconv.ParseUint(string(text), base, 32)
	if err != nil || n == 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, false
	}
	return rune(n), true
}
