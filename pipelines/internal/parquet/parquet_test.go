package parquet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	other "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/pana-exchange/pana/pipelines/internal/parquet"
)

var limits = parquet.Limits{Columns: 64, Cell: 64 << 10, Held: 64 << 20, Bytes: 1 << 30, Ratio: 250}

// written is a file that another program wrote.
func written(tb testing.TB, schema other.Node, rows []map[string]any, options ...other.WriterOption) []byte {
	tb.Helper()
	var b bytes.Buffer
	s := other.NewSchema("table", schema)
	w := other.NewGenericWriter[map[string]any](&b, append([]other.WriterOption{s}, options...)...)
	if _, err := w.Write(rows); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// records reads all of a file: its names first.
func records(ctx context.Context, content []byte, limits parquet.Limits) ([][]string, error) {
	f, err := parquet.Open(bytes.NewReader(content), int64(len(content)), limits)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := [][]string{f.Columns()}
	var buf []byte
	var cells []parquet.Cell
	for {
		buf, cells, err = f.Next(ctx, buf[:0], cells[:0])
		if errors.Is(err, io.EOF) {
			if int64(len(out)-1) != f.Rows() {
				return nil, fmt.Errorf("%d records, %d declared", len(out)-1, f.Rows())
			}
			return out, nil
		}
		if err != nil {
			return out, err
		}
		var row []string
		for _, c := range cells {
			row = append(row, string(buf[c.Start:c.End]))
		}
		out = append(out, row)
	}
}

// sample is a table of texts and whole numbers, some missing.
func sample(n int) []map[string]any {
	var rows []map[string]any
	for i := range n {
		row := map[string]any{
			"id": fmt.Sprintf("record-%06d", i), "code": []string{"A", "BB", "", "ж"}[i*7/5%4], "n": int32(i%1000 - 500), "big": int64(i) * 1_000_000_007,
			"maybe": nil, "day": int32(19000 + i%400),
		}
		if i%3 != 0 && i%1000 < 900 {
			row["maybe"] = fmt.Sprint(i % 17)
		}
		rows = append(rows, row)
	}
	return rows
}

func wantSample(rows []map[string]any) [][]string {
	want := [][]string{{"big", "code", "day", "id", "maybe", "n"}}
	for _, r := range rows {
		maybe, _ := r["maybe"].(string)
		day := time.Unix(int64(r["day"].(int32))*86400, 0).UTC().Format(time.DateOnly)
		want = append(want, []string{fmt.Sprint(r["big"]), r["code"].(string), day, r["id"].(string), maybe, fmt.Sprint(r["n"])})
	}
	return want
}

// A file gives its rows, whatever the encoding, the compression, the version of its
// pages and their sizes.
func TestEveryEncodingGivesTheRows(t *testing.T) {
	rows := sample(5000)
	want := wantSample(rows)
	encodings := map[string]struct{ text, number other.Node }{
		"plain":      {other.Encoded(other.String(), &other.Plain), other.Encoded(other.Leaf(other.Int32Type), &other.Plain)},
		"dictionary": {other.Encoded(other.String(), &other.RLEDictionary), other.Encoded(other.Leaf(other.Int32Type), &other.RLEDictionary)},
		"deltas":     {other.Encoded(other.String(), &other.DeltaLengthByteArray), other.Encoded(other.Leaf(other.Int32Type), &other.DeltaBinaryPacked)},
		"prefixes":   {other.Encoded(other.String(), &other.DeltaByteArray), other.Encoded(other.Leaf(other.Int32Type), &other.DeltaBinaryPacked)},
	}
	for name, e := range encodings {
		for _, version := range []int{1, 2} {
			for compression, codec := range map[string]other.WriterOption{
				"none": other.Compression(&other.Uncompressed), "snappy": other.Compression(&other.Snappy), "gzip": other.Compression(&other.Gzip), "zstd": other.Compression(&other.Zstd),
			} {
				t.Run(fmt.Sprintf("%s v%d %s", name, version, compression), func(t *testing.T) {
					big := other.Leaf(other.Int64Type)
					if name == "deltas" {
						big = other.Encoded(big, &other.DeltaBinaryPacked)
					}
					schema := other.Group{"id": e.text, "code": e.text, "maybe": other.Optional(e.text), "n": e.number, "big": big, "day": other.Date()}
					content := written(t, schema, rows, codec, other.DataPageVersion(version), other.PageBufferSize(3000), other.MaxRowsPerRowGroup(1700))
					if *update {
						seed := written(t, schema, rows[:40], codec, other.DataPageVersion(version), other.PageBufferSize(100))
						if err := os.WriteFile(fmt.Sprintf("testdata/seeds/%s-%d-%s.parquet", name, version, compression), seed, 0o600); err != nil {
							t.Fatal(err)
						}
					}
					got, err := records(t.Context(), content, limits)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.EqualFunc(got, want, slices.Equal) {
						t.Error("other rows")
					}
				})
			}
		}
	}
}

// What a value is written as is what a CSV file of it would say.
func TestTextOfTypes(t *testing.T) {
	midnight := time.Date(2025, 3, 4, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name  string
		node  other.Node
		value any
		want  string
	}{
		{"string", other.String(), "a,b", "a,b"},
		{"bytes", other.Leaf(other.ByteArrayType), []byte("x"), "x"},
		{"fixed", other.Leaf(other.FixedLenByteArrayType(3)), other.FixedLenByteArrayValue([]byte("abc")), "abc"},
		{"int8", other.Int(8), int8(-3), "-3"},
		{"int64", other.Int(64), int64(math.MinInt64), "-9223372036854775808"},
		{"uint32", other.Uint(32), uint32(math.MaxUint32), "4294967295"},
		{"uint64", other.Uint(64), uint64(math.MaxUint64), "18446744073709551615"},
		{"boolean", other.Leaf(other.BooleanType), true, "true"},
		{"whole double", other.Leaf(other.DoubleType), 12.0, "12"},
		{"double", other.Leaf(other.DoubleType), 17.5, "17.5"},
		{"negative zero", other.Leaf(other.DoubleType), math.Copysign(0, -1), "-0"},
		{"no number", other.Leaf(other.DoubleType), math.NaN(), "NaN"},
		{"1e400 is infinite", other.Leaf(other.DoubleType), math.Inf(1), "+Inf"},
		{"float", other.Leaf(other.FloatType), float32(0.1), "0.1"},
		{"date", other.Date(), int32(20151), "2025-03-04"},
		{"date in front of 1970", other.Date(), int32(-1), "1969-12-31"},
		{"a year of five digits", other.Date(), int32(9_000_000), "26611-03-02"},
		{"midnight", other.Timestamp(other.Microsecond), midnight.UnixMicro(), "2025-03-04"},
		{"a time", other.Timestamp(other.Millisecond), midnight.UnixMilli() + 60_000, "2025-03-04T00:01:00"},
		{"a part of a second", other.Timestamp(other.Nanosecond), midnight.UnixNano() + 1, "2025-03-04T00:00:00"},
		{"in front of 1970", other.Timestamp(other.Nanosecond), int64(-1), "1969-12-31T23:59:59"},
		{"int96", other.Leaf(other.Int96Type), deprecated.Int96{0, 0, 2440588 + 20151}, "2025-03-04"},
		{"decimal", other.Decimal(2, 9, other.Int32Type), int32(1250), "12.5"},
		{"whole decimal", other.Decimal(2, 12, other.Int64Type), int64(1200), "12"},
		{"small decimal", other.Decimal(3, 12, other.Int64Type), int64(-5), "-0.005"},
		{"long decimal", other.Decimal(2, 30, other.FixedLenByteArrayType(16)), other.FixedLenByteArrayValue(append(bytes.Repeat([]byte{0xff}, 15), 0x9c)), "-1"},
		{"uuid", other.UUID(), other.FixedLenByteArrayValue([]byte("0123456789abcdef")), "30313233-3435-3637-3839-616263646566"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, node := range []other.Node{c.node, other.Encoded(c.node, &other.RLEDictionary)} {
				if c.name == "boolean" {
					node = c.node
				}
				var b bytes.Buffer
				w := other.NewWriter(&b, other.NewSchema("t", other.Group{"x": node}))
				value, isValue := c.value.(other.Value)
				if !isValue {
					value = other.ValueOf(c.value)
				}
				if _, err := w.WriteRows([]other.Row{{value.Level(0, 0, 0)}}); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				got, err := records(t.Context(), b.Bytes(), limits)
				if err != nil || got[1][0] != c.want {
					t.Errorf("%v %v, want %q", got, err, c.want)
				}
			}
		})
	}
}

func TestWhatIsNotRead(t *testing.T) {
	rows := sample(10)
	for name, schema := range map[string]other.Node{
		"list": other.Group{"id": other.Repeated(other.String())},
		"map":  other.Group{"id": other.Group{"a": other.String()}},
		"time": other.Group{"id": other.Time(other.Millisecond)},
	} {
		var b bytes.Buffer
		w := other.NewWriter(&b, other.NewSchema("t", schema))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := records(t.Context(), b.Bytes(), limits)
		if e, ok := errors.AsType[*parquet.FeatureError](err); !ok || e.Column != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	schema := other.Group{"id": other.String()}
	_, err := records(t.Context(), written(t, schema, rows, other.Compression(&other.Brotli)), limits)
	if _, ok := errors.AsType[*parquet.FeatureError](err); !ok {
		t.Error(err)
	}
	narrow := limits
	narrow.Columns = 1
	if _, err = records(t.Context(), written(t, other.Group{"id": other.String(), "code": other.String()}, rows), narrow); !errors.Is(err, parquet.ErrColumns) {
		t.Error(err)
	}
	short := limits
	short.Cell = 9
	for _, encoding := range []other.Node{other.Encoded(other.String(), &other.Plain), other.Encoded(other.String(), &other.DeltaByteArray)} {
		if _, err = records(t.Context(), written(t, other.Group{"id": encoding}, rows), short); !errors.Is(err, parquet.ErrLong) {
			t.Error(err)
		}
	}
	content := written(t, other.Group{"id": other.String()}, sample(5000), other.PageBufferSize(1<<20))
	small := limits
	small.Held = 10_000
	if _, err = records(t.Context(), content, small); !errors.Is(err, parquet.ErrLarge) {
		t.Error(err)
	}
	small.Held, small.Bytes = limits.Held, 10_000
	if _, err = records(t.Context(), content, small); !errors.Is(err, parquet.ErrLarge) {
		t.Error(err)
	}
}

// A file that is cut off anywhere, or has a byte more, is refused.
func TestCutOff(t *testing.T) {
	content := written(t, other.Group{"id": other.String()}, sample(20))
	for n := range len(content) {
		if got, err := records(t.Context(), content[:n], limits); err == nil {
			t.Fatalf("%d of %d bytes give %d records", n, len(content), len(got))
		}
	}
	if _, err := records(t.Context(), append(slices.Clone(content), 0), limits); !errors.Is(err, parquet.ErrForm) {
		t.Error(err)
	}
	if _, err := records(t.Context(), []byte(strings.Repeat("PARE", 4)), limits); !errors.Is(err, parquet.ErrEncrypted) {
		t.Error(err)
	}
}

func TestHangingUpEndsAFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := records(ctx, written(t, other.Group{"id": other.String()}, sample(20)), limits); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
