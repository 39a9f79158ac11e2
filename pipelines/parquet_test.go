package pipelines

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// parquetOf writes records as a Parquet file as programs of data frames do: days as
// days where all of a column are, whole numbers as numbers, and what is empty as
// missing.
func parquetOf(tb testing.TB, columns []gateway.FieldName, records ...record) []byte {
	tb.Helper()
	group, days := parquet.Group{}, map[gateway.FieldName]bool{}
	for _, name := range columns {
		days[name] = allDays(name, records)
		group[string(name)] = parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary))
		if days[name] {
			group[string(name)] = parquet.Optional(parquet.Date())
		}
	}
	group["days_absent"] = parquet.Optional(parquet.Leaf(parquet.DoubleType))
	schema := parquet.NewSchema("table", group)
	var b bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&b, schema, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(4000))
	for _, r := range records {
		row := map[string]any{}
		for _, name := range columns {
			day, isDay := gateway.ParseDay([]byte(r[name]))
			switch {
			case r[name] == "":
				row[string(name)] = nil
			case name == "days_absent":
				row[string(name)] = float64(r[name][0] - '0')
			case isDay && days[name]:
				row[string(name)] = int32(day)
			default:
				row[string(name)] = r[name]
			}
		}
		if _, err := w.Write([]map[string]any{row}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func allDays(name gateway.FieldName, records []record) bool {
	return strings.HasSuffix(string(name), "_date") && !slices.ContainsFunc(records, func(r record) bool {
		_, ok := gateway.ParseDay([]byte(r[name]))
		return r[name] != "" && !ok
	})
}

func parquetOptions(tb testing.TB) Options {
	tb.Helper()
	o := testOptions(tb)
	o.Said = gateway.Said{Format: gateway.FormatParquet}
	o.Dir = tb.TempDir()
	return o
}

// A Parquet file gives the blocks that CSV gives, and the same problems at the same
// lines.
func TestParquet(t *testing.T) {
	names := header(testOptions(t).Contract)
	records := sampleRecords()
	want := readFile(t, testOptions(t), records...)
	o := parquetOptions(t)
	got := read(t, o, bytes.NewReader(parquetOf(t, names, records...)))
	if got.err != nil {
		t.Fatal(got.err)
	}
	if diff := cmp.Diff(want.rows, got.rows); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(got.problem, want.problem) || len(want.problem) == 0 {
		t.Errorf("problems %v, want %v", got.problem, want.problem)
	}
	if d := got.reader.Dialect(); d.Format != gateway.FormatParquet || len(d.Columns) != len(names) || !slices.Equal(d.Dates, []string{"YYYY-MM-DD"}) {
		t.Errorf("dialect %+v", d)
	}
}

// What a Parquet file is refused for (trust.md 6.4, B60).
func TestParquetThatIsRefused(t *testing.T) {
	names := header(testOptions(t).Contract)
	whole := parquetOf(t, names, good(), good().with("record_id", "2"))
	sealed := append([]byte("PARE"), append(slices.Clone(whole[4:len(whole)-4]), "PARE"...)...)
	var list bytes.Buffer
	if err := parquet.NewWriter(&list, parquet.NewSchema("t", parquet.Group{"record_id": parquet.Repeated(parquet.String())})).Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code gateway.ProblemCode
		body []byte
	}{
		{"encrypted footer", tabular.ParquetEncrypted, sealed},
		{"cut off", tabular.ParquetForm, whole[:len(whole)-10]},
		{"list", tabular.ParquetFeature, list.Bytes()},
		{"text", tabular.FormatOther, []byte("record_id,child_sex\n")},
		{"nothing", tabular.FormatOther, nil},
		{"unknown column", codeUnknownColumn, parquetOf(t, append(slices.Clone(names), "__index_level_0__"), good())},
		{"missing column", codeMissingColumn, parquetOf(t, names[1:], good())},
		{"no records", codeNoRecords, parquetOf(t, names)},
		{"NUL", tabular.NUL, parquetOf(t, names, good().with("record_id", "a\x00b"))},
		{"not UTF-8", tabular.NotUTF8, parquetOf(t, names, good().with("record_id", "a\xff"))},
		{"long", tabular.RowTooLong, parquetOf(t, names, good().with("family_name", strings.Repeat("x", 1<<17)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, parquetOptions(t), bytes.NewReader(c.body))
			e := wantKind(t, got.err, gateway.Invalid)
			if e.Problems == nil || e.Problems.First[0].Code != c.code {
				t.Errorf("%v, want %s", e, c.code)
			}
		})
	}
	o := parquetOptions(t)
	o.Limits.HeldBytes = 100
	_ = wantKind(t, read(t, o, bytes.NewReader(whole)).err, gateway.TooLarge)
	o = parquetOptions(t)
	o.Limits.Rows = 1
	_ = wantKind(t, read(t, o, bytes.NewReader(whole)).err, gateway.TooLarge)
	for _, c := range []gateway.Compression{gateway.Gzip, gateway.Zstd} {
		o := parquetOptions(t)
		o.Said.Compression = c
		_ = wantKind(t, read(t, o, bytes.NewReader(compressed(t, whole, c))).err, gateway.Unsupported)
	}
}
