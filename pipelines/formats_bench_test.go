package pipelines

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// BenchmarkFormats reads the same records in every format, on one core.
func BenchmarkFormats(b *testing.B) {
	const rows = 20_000
	text := newGenerator().file(rows)
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		b.Fatal(err)
	}
	var names []gateway.FieldName
	for _, name := range lines[0] {
		names = append(names, gateway.FieldName(name))
	}
	var records []record
	for _, line := range lines[1:] {
		r := record{}
		for i, name := range names {
			r[name] = line[i]
		}
		records = append(records, r)
	}
	var semicolons bytes.Buffer
	w := csv.NewWriter(&semicolons)
	w.Comma, w.UseCRLF = ';', true
	_ = w.WriteAll(lines)
	for _, bench := range []struct {
		name string
		said gateway.Said
		data []byte
	}{
		{"csv", gateway.Said{}, text},
		{"csv windows-1251", gateway.Said{}, encoded(b, semicolons.String(), "windows-1251", false)},
		{"csv gzip", gateway.Said{Compression: gateway.Gzip}, compressed(b, text, gateway.Gzip)},
		{"csv zstd", gateway.Said{Compression: gateway.Zstd}, compressed(b, text, gateway.Zstd)},
		{"ndjson", gateway.Said{Format: gateway.FormatNDJSON}, ndjson(b, names, records...)},
		{"parquet", gateway.Said{Format: gateway.FormatParquet}, parquetOf(b, names, records...)},
		{"xlsx", gateway.Said{Format: gateway.FormatXLSX, Sheet: "A & B"}, workbook(names, records...).bytes(b)},
	} {
		b.Run(strings.ReplaceAll(bench.name, " ", "_"), func(b *testing.B) {
			o := testOptions(b)
			o.Said, o.Dir = bench.said, b.TempDir()
			block := gateway.NewBlock(o.Contract.Layout())
			b.ReportAllocs()
			n, started := 0, cpu(b)
			for b.Loop() {
				r := readAll(b, o, bytes.NewReader(bench.data), block)
				if r.Rows() != rows {
					b.Fatalf("%d rows: %v", r.Rows(), r.Report().Errors)
				}
				n += rows
			}
			b.ReportMetric(float64(n)/(cpu(b)-started), "rows/cpu-s")
		})
	}
}
