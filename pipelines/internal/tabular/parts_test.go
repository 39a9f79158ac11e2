package tabular

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

// A read is what a source gave: one record, or what ended it.
type read struct {
	line  int
	cells []string
	forms []CellForm
	code  gateway.ProblemCode
}

func readsOf(t *testing.T, s *CSV, lines int) (reads []read, after int) {
	t.Helper()
	for {
		code, err := s.Next(context.Background())
		if err == io.EOF { //nolint:errorlint // Next returns io.EOF itself
			return reads, lines + s.row.After - 1
		}
		if err != nil {
			t.Fatal(err)
		}
		r := read{line: lines + s.row.Line, code: code}
		if code == "" {
			for i, c := range s.row.Cells {
				r.cells, r.forms = append(r.cells, string(s.row.Cell(i))), append(r.forms, c.Form)
			}
		}
		if reads = append(reads, r); code != "" {
			return reads, 0
		}
	}
}

// The parts of a file, one after the other, are the file: the same records on the same
// lines, and the same end, wherever it is cut.
func FuzzParts(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\n", "\"x;y\",2\r\n\"a\n\nb\",c\n\n", "a\"b\n\"c\nd\"\n5\"\n", "\"a\"b\n", "\"open\n\n", strings.Repeat("1,\"2\n3\"\n", 20),
		strings.Repeat("ж\n", 50), strings.Repeat("x", 41) + "\n", "a,\"\"\"\"\n,\"\"\n\"\"\"\n\"\n",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(40))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		const limit = 40
		whole := newCSV(bytes.NewReader(data), bufferBytes, limit)
		want, _ := readsOf(t, whole, 0)
		cut := newCSV(bytes.NewReader(data), 2*limit+int(size), limit)
		part := cut.NewPart()
		var got []read
		for lines := 0; ; {
			err := cut.Cut(context.Background(), part)
			if err == io.EOF { //nolint:errorlint // Cut returns io.EOF itself
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			some, after := readsOf(t, part, lines)
			got, lines = append(got, some...), after
			if n := len(got); n > 0 && got[n-1].code != "" {
				break
			}
		}
		for i := range min(len(want), len(got)) {
			w, g := want[i], got[i]
			if w.code != "" && g.code != "" && g.code != w.code && (w.code == RowTooLong || g.code == RowTooLong) {
				return // a record that is too long, with what else is wrong behind the limit
			}
			if w.line != g.line || w.code != g.code || !slices.Equal(w.cells, g.cells) || !slices.Equal(w.forms, g.forms) {
				t.Fatalf("record %d is %v, want %v", i, g, w)
			}
		}
		if len(want) != len(got) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
	})
}

func FuzzValid(f *testing.F) {
	for _, seed := range []string{"", "abc", "Каирова Алия", "\xd0", "aaaaaaaa\xd0", "ж\xff", "日本語, ascii and 日本", "\xc0\x80", "\xed\xa0\x80", "�", "𝔸𝔹 aaaaaaaaa"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for i := range min(len(text), 9) {
			if valid(text[i:]) != utf8.Valid(text[i:]) {
				t.Fatalf("%q is valid: %v", text[i:], valid(text[i:]))
			}
		}
	})
}
