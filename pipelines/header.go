package pipelines

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Dialect is what a file turned out to be written in, for the agency to see.
type Dialect struct {
	Separator byte // ',', ';' or a tab
	BOM       bool // it started with a byte order mark
	CRLF      bool // its header ends as Windows ends lines
}

// open reads the header and finds the dialect and, for every field of the
// contract, the number of its column, -1 where the file has none.
func (s *scanner) open(ctx context.Context, c *gateway.Contract, columns int) (Dialect, []int, error) {
	var d Dialect
	if err := s.fill(ctx); err != nil {
		return d, nil, err
	}
	data := s.buf[:s.end]
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		d.BOM = true
		s.start = 3
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return d, nil, fatal(1, "", codeNotUTF8, nil)
	}
	line, _, _ := bytes.Cut(data[s.start:], []byte{'\n'})
	d.CRLF = bytes.HasSuffix(line, []byte{'\r'})
	d.Separator = separator(c, line)
	s.sep = d.Separator
	switch code, err := s.next(ctx); {
	case err == io.EOF: //nolint:errorlint // the scanner returns io.EOF itself
		return d, nil, fatal(1, "", codeEmptyFile, nil)
	case err != nil:
		return d, nil, err
	case code != "":
		return d, nil, fatal(s.line, "", code, nil)
	case len(s.cells) > columns:
		return d, nil, fatal(s.line, "", codeTooManyCols, nil)
	}
	places, err := s.places(c)
	return d, places, err
}

// separator chooses the separator with which most names of the contract are seen
// in the header; the comma where that decides nothing.
func separator(c *gateway.Contract, header []byte) byte {
	best, most := byte(','), 0
	for _, sep := range []byte{',', ';', '\t'} {
		known := 0
		for name := range bytes.SplitSeq(header, []byte{sep}) {
			name = bytes.Trim(bytes.TrimSuffix(name, []byte{'\r'}), `"`)
			if c.Field(gateway.FieldName(name)) != nil {
				known++
			}
		}
		if known > most {
			best, most = sep, known
		}
	}
	return best
}

// places finds the contract's fields in the header, in any order. The text of a
// column that the contract does not have is never repeated: where a file has no
// header, that text is data.
func (s *scanner) places(c *gateway.Contract) ([]int, error) {
	at := make(map[gateway.FieldName]int, len(s.cells))
	var p gateway.Problems
	var details []string
	wrong := func(field gateway.FieldName, code gateway.ProblemCode, detail string) {
		p.Add(gateway.RowError{Line: s.line, Field: field, Code: code}, 1000)
		details = append(details, detail)
	}
	for i := range s.cells {
		f := c.Field(gateway.FieldName(s.cell(i)))
		if f == nil {
			wrong(gateway.FieldName("#"+strconv.Itoa(i+1)), codeUnknownColumn, fmt.Sprintf("column %d is not in the contract", i+1))
			continue
		}
		if _, doubled := at[f.Name]; doubled {
			wrong(f.Name, codeDoubledColumn, fmt.Sprintf("column %s is there twice", f.Name))
		}
		if f.Refused {
			wrong(f.Name, codeRefusedColumn, fmt.Sprintf("column %s holds free text and is refused", f.Name))
		}
		at[f.Name] = i
	}
	known := len(at) > 0
	places := make([]int, len(c.Fields))
	for i := range c.Fields {
		f := &c.Fields[i]
		place, there := at[f.Name]
		if !there {
			place = -1
			if f.Required || f.Event {
				wrong(f.Name, codeMissingColumn, fmt.Sprintf("column %s is missing", f.Name))
			}
		}
		places[i] = place
	}
	if len(details) == 0 {
		return places, nil
	}
	p.Rows = 1
	detail := fmt.Sprintf("line %d: the header is not that of contract %s, version %d", s.line, c.ID, c.Version)
	if !known {
		detail += ": it names none of its columns (is there a header at all?)"
	} else {
		detail += ": " + strings.Join(details[:min(len(details), 20)], "; ")
	}
	return nil, &gateway.Error{Kind: gateway.Invalid, Detail: detail, Problems: &p}
}

// fatal is the error that ends the reading: line, column and code in a sentence.
func fatal(line int, field gateway.FieldName, code gateway.ProblemCode, p *gateway.Problems) error {
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
