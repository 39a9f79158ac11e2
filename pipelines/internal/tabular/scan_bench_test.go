package tabular

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

// agencyRows makes rows of fourteen cells and about 127 bytes, as the measurements
// of the prototype had them: every name of every twentieth row and every comment of
// every third is quoted.
func agencyRows(rows int, comment string) []byte {
	var b bytes.Buffer
	for i := range rows {
		name := "Akhmetova"
		if i%20 == 0 {
			name = `"Omarova, A"`
		}
		if i%3 == 0 {
			comment = `"` + comment + `"`
		}
		fmt.Fprintf(&b, "0802296%05d,%s,+7701%07d,2008-02-29,F,KZ-%02d,REPORT,2025-03-%02d,T74.%d,%d.50,P-%09d,HOME,SCHOOL,%s\n",
			i%100000, name, i%10000000, i%20, 1+i%28, i%10, i%1000, i, comment)
		comment = string(bytes.Trim([]byte(comment), `"`))
	}
	return b.Bytes()
}

func benchmarkScanner(b *testing.B, data []byte) {
	b.Helper()
	rows := bytes.Count(data, []byte{'\n'})
	b.ReportAllocs()
	b.SetBytes(int64(len(data) / rows))
	src := bytes.NewReader(data)
	s := newCSV(src, bufferBytes, 1<<16)
	b.ResetTimer()
	for n := 0; n < b.N; n += rows {
		src.Reset(data)
		s.eof, s.start, s.end = false, 0, 0
		for {
			code, err := s.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if code != "" || err != nil || len(s.row.Cells) != 14 {
				b.Fatal(code, err)
			}
		}
	}
}

func BenchmarkScannerASCII(b *testing.B) {
	benchmarkScanner(b, agencyRows(4096, "seen by neighbour"))
}

func BenchmarkScannerCyrillic(b *testing.B) {
	benchmarkScanner(b, agencyRows(4096, "сообщил сосед"))
}

func BenchmarkScannerQuoted(b *testing.B) {
	data := agencyRows(4096, "seen by neighbour")
	data = bytes.ReplaceAll(data, []byte{'"'}, nil)
	data = bytes.ReplaceAll(data, []byte("Omarova, "), []byte("Omarova "))
	data = bytes.ReplaceAll(data, []byte{','}, []byte(`","`))
	data = bytes.ReplaceAll(data, []byte{'\n'}, []byte("\"\n\""))
	benchmarkScanner(b, append([]byte{'"'}, data[:len(data)-1]...))
}
