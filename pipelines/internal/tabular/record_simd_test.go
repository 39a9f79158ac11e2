//go:build goexperiment.simd && amd64

package tabular

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"testing"

	"simd/archsimd"
)

// A scan is what came of one record.
type scan struct {
	code        string
	end         bool
	cells       []Span
	text        []string
	line, after int
}

func scanned(s *CSV, record func() (string, bool)) (scans []scan) {
	_ = s.fill(context.Background())
	for range 200 {
		s.row.Line, s.row.Cells = s.row.After, s.row.Cells[:0]
		code, done := record()
		now := scan{code: code, end: !done, line: s.row.Line, after: s.row.After}
		if done || code != "" {
			now.cells = append(now.cells, s.row.Cells...)
			for i := range s.row.Cells {
				now.text = append(now.text, string(s.row.Cell(i)))
			}
		}
		scans = append(scans, now)
		if code != "" || !done && !s.skipEmptyLine() {
			break
		}
	}
	return scans
}

// Strides of 64 bytes see what words of 8 bytes see, to the last span, wherever
// the records lie.
func FuzzMarks(f *testing.F) {
	if !archsimd.X86.AVX2() {
		f.Skip("this CPU has no AVX2: the strides are not used")
	}
	long := strings.Repeat("x", 61)
	for _, seed := range []string{
		"a,b\n1,2\n", "\"a\"\"b\",c\n", "\"a\nb\",c\n\nd,e\n", "a\"b,c\n", "\"a\"b\n", "\"a\n", "\r\n\r\n\n", "a\r\r\n", "a,\"b\"\r\n",
		"\"a\"\r\r\n", "ж,\"\xd0\"\n", "x\x00y\n", strings.Repeat(",", 130) + "\n", long + ",\"b\"\n", long + "\"\",b\n", long + ",\"\"\n" + long + "\"\n",
		long + ",\"" + long + "\",c\n", "\"" + long + "ж\"\"\",c\n", long + "x,\"y\"\r\n", "\"" + long + "\"\n\"ж\",\"1\"\n" + strings.Repeat("\"q\",", 40) + "\"\"\n",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(67))
	}
	f.Fuzz(func(t *testing.T, data []byte, ahead uint8) {
		data = append(bytes.Repeat([]byte{'.'}, int(ahead)%150), data...)
		byWords, byMarks := newCSV(bytes.NewReader(data), 1024, 300), newCSV(bytes.NewReader(data), 1024, 300)
		want := scanned(byWords, func() (string, bool) { code, done := byWords.recordByWords(); return string(code), done })
		got := scanned(byMarks, func() (string, bool) { code, done := byMarks.recordByMarks(); return string(code), done })
		if !reflect.DeepEqual(got, want) || byWords.start != byMarks.start {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
