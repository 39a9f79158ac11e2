package tabular

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// smallScanner has a buffer so small that records meet its end all the time.
func smallScanner(src io.Reader, sep byte) *CSV {
	s := newCSV(src, bufferBytes, 40)
	s.row.Buf = make([]byte, 2*s.limit+slack)
	s.sep = sep
	return s
}

// The scanner reads what encoding/csv reads: the same cells, on the same lines.
// Where encoding/csv finds fault with quotation marks, so does the scanner.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "a;b\r\n\"x;y\";2\r\n", "\"a\"\"b\",c\n", "\"a\nb\",c\n\nd,e", "a\"b,c\n", "\"a\"b\n", "\"a", "\r\n\r\n\n", "a\r\r\n",
		"\"\"\"\"\"\"\n\"\"", ",,,\n,", "a,\"b\"\r", "\"a\"\r\r\n", "a\rb\n", "ж,\"\xd0\"\n", "x\x00y\n", strings.Repeat("a,", 30) + "\n" + strings.Repeat("b", 41),
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(4))
	}
	f.Fuzz(func(t *testing.T, data []byte, how uint8) {
		sep := []byte{',', ';', '\t'}[how%3]
		var src io.Reader = bytes.NewReader(data)
		if how&4 != 0 {
			src = iotest.OneByteReader(src)
		}
		s := smallScanner(src, sep)
		if how&8 != 0 {
			s = newCSV(src, bufferBytes, 1<<16)
			s.sep = sep
		}
		want := csv.NewReader(bytes.NewReader(data))
		want.Comma, want.FieldsPerRecord = rune(sep), -1
		for {
			code, err := s.Next(context.Background())
			if code == NUL || code == NotUTF8 || code == RowTooLong {
				return
			}
			cells, wantErr := want.Read()
			switch bad := code == QuoteForm || code == QuoteOpen; {
			case errors.Is(wantErr, io.EOF) || errors.Is(err, io.EOF):
				if err != wantErr { //nolint:errorlint // both are io.EOF itself
					t.Fatalf("end %v, want %v", err, wantErr)
				}
				return
			case errors.Is(wantErr, csv.ErrBareQuote):
				if !bad && !slices.ContainsFunc(s.row.Cells, func(c Span) bool { return c.Form == Bare }) {
					t.Fatal("a bare quotation mark was not seen")
				}
				return
			case errors.Is(wantErr, csv.ErrQuote) != bad || err != nil || wantErr != nil && !bad:
				t.Fatalf("%q, %v; want %v", code, err, wantErr)
			case bad:
				return
			}
			var got []string
			for i := range s.row.Cells {
				got = append(got, strings.ReplaceAll(string(s.row.Cell(i)), "\r\n", "\n"))
			}
			if !slices.Equal(got, cells) {
				t.Fatalf("cells %q, want %q", got, cells)
			}
			if line, _ := want.FieldPos(0); line != s.row.Line {
				t.Fatalf("line %d, want %d", s.row.Line, line)
			}
		}
	})
}
