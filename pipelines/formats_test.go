package pipelines

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// ndjson writes records as lines of JSON, without the cells that are empty.
func ndjson(tb testing.TB, columns []gateway.FieldName, records ...record) []byte {
	tb.Helper()
	var b bytes.Buffer
	for n, r := range records {
		cells := map[string]any{}
		for _, name := range columns {
			switch value := r[name]; {
			case value == "" && n%2 == 0:
				cells[string(name)] = nil
			case value == "":
			case name == "days_absent" && value == "3":
				cells[string(name)] = 3
			default:
				cells[string(name)] = value
			}
		}
		line, err := json.Marshal(cells)
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(line)
		b.WriteString("\n")
	}
	return b.Bytes()
}

// The same records in every format of text, compressed or not, give the same blocks.
func TestFormatsGiveTheSameBlocks(t *testing.T) {
	o := testOptions(t)
	names := header(o.Contract)
	records := sampleRecords()
	want := readFile(t, o, records...)
	for format, content := range map[gateway.Format][]byte{
		gateway.FormatCSV:    []byte(file(names, records...)),
		gateway.FormatNDJSON: ndjson(t, names, records...),
	} {
		for _, c := range []gateway.Compression{"", gateway.Gzip, gateway.Zstd} {
			t.Run(string(format)+" "+string(c), func(t *testing.T) {
				o := o
				o.Rand, o.Said = newChance(2), gateway.Said{Format: format, Compression: c}
				got := read(t, o, bytes.NewReader(compressed(t, content, c)))
				if got.err != nil {
					t.Fatal(got.err)
				}
				if diff := cmp.Diff(want.rows, got.rows); diff != "" {
					t.Error(diff)
				}
				if got, want := codesOf(got), codesOf(want); !slices.Equal(got, want) {
					t.Errorf("problems %v, want %v", got, want)
				}
				if d := got.reader.Dialect(); d.Format != format || d.Compression != c || len(d.Columns) == 0 {
					t.Errorf("dialect %+v", d)
				}
			})
		}
	}
}

// codesOf are the problems of a file without their lines.
func codesOf(r result) []string {
	var codes []string
	for _, p := range r.problem {
		_, rest, _ := strings.Cut(p, ":")
		codes = append(codes, rest)
	}
	return codes
}

func compressed(tb testing.TB, content []byte, c gateway.Compression) []byte {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch c {
	case gateway.Gzip:
		w = gzip.NewWriter(&b)
	case gateway.Zstd:
		z, err := zstd.NewWriter(&b)
		if err != nil {
			tb.Fatal(err)
		}
		w = z
	default:
		return content
	}
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// zstdFrame is a frame of nothing that asks for a window of 2^log bytes.
func zstdFrame(log int) []byte {
	frame := binary.LittleEndian.AppendUint32(nil, 0xfd2fb528)
	return append(frame, 0, byte((log-10)<<3), 1, 0, 0)
}

// What is wrong with an envelope ends the reading, whatever came before.
func TestEnvelopes(t *testing.T) {
	text := []byte(shortHeader + goodLine("1", "x") + goodLine("2", "x"))
	bomb := bytes.Repeat([]byte{'\n'}, 64<<20)
	gz, zst := compressed(t, text, gateway.Gzip), compressed(t, text, gateway.Zstd)
	flipped := slices.Clone(gz)
	flipped[len(flipped)-6] ^= 1
	for _, c := range []struct {
		name string
		as   gateway.Compression
		kind gateway.Kind
		body []byte
	}{
		{"B23 gzip bomb", gateway.Gzip, gateway.TooLarge, compressed(t, append(slices.Clone(text), bomb...), gateway.Gzip)},
		{"B23 zstd bomb", gateway.Zstd, gateway.TooLarge, compressed(t, append(slices.Clone(text), bomb...), gateway.Zstd)},
		{"B24 gzip in gzip", gateway.Gzip, gateway.Invalid, compressed(t, gz, gateway.Gzip)},
		{"B24 zstd in gzip", gateway.Gzip, gateway.Invalid, compressed(t, zst, gateway.Gzip)},
		{"B25 two members", gateway.Gzip, gateway.Invalid, append(slices.Clone(gz), gz...)},
		{"something behind it", gateway.Gzip, gateway.Invalid, append(slices.Clone(gz), 'x')},
		{"B26 truncated", gateway.Gzip, gateway.Invalid, gz[:len(gz)-9]},
		{"B26 check sum cut off", gateway.Gzip, gateway.Invalid, gz[:len(gz)-1]},
		{"B26 bad check sum", gateway.Gzip, gateway.Invalid, flipped},
		{"truncated zstd", gateway.Zstd, gateway.Invalid, zst[:len(zst)-5]},
		{"B27 window of 2 GB", gateway.Zstd, gateway.Invalid, zstdFrame(31)},
		{"not gzip", gateway.Gzip, gateway.Invalid, text},
		{"gzip that is not said", "", gateway.Invalid, gz},
		{"brotli", "br", gateway.Unsupported, text},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t)
			o.Said.Compression = c.as
			got := read(t, o, bytes.NewReader(c.body))
			_ = wantKind(t, got.err, c.kind)
		})
	}
	o := testOptions(t)
	o.Said.Compression, o.Limits.Bytes = gateway.Zstd, int64(len(text)-1)
	_ = wantKind(t, read(t, o, bytes.NewReader(zst)).err, gateway.TooLarge)
	cause := errors.New("reset")
	o.Limits.Bytes = 0
	if got := read(t, o, io.MultiReader(bytes.NewReader(zst[:len(zst)-5]), failing{cause})); !errors.Is(got.err, cause) {
		t.Errorf("%v, want %v", got.err, cause)
	}
}

// What RFC 8259 leaves open, or what is not flat, ends the reading (trust.md 6.4, B59).
func TestJSONThatIsRefused(t *testing.T) {
	good := `{"record_id":"1","child_sex":"F"}`
	for line, code := range map[string]gateway.ProblemCode{
		`{"record_id":"1","record_id":"2"}`:                tabular.JSONForm,
		`{"record_id":"1","\u0072ecord_id":"2"}`:           tabular.JSONForm,
		`{"record_id":"1","Record_ID":"2"}`:                tabular.JSONForm,
		`{"record_id":{"a":1}}`:                            tabular.JSONForm,
		`{"record_id":["1"]}`:                              tabular.JSONForm,
		`{"record_id":` + strings.Repeat("[", 10000) + `}`: tabular.JSONForm,
		`{"days_absent":1e400}`:                            tabular.JSONForm,
		`{"days_absent":-0}`:                               tabular.JSONForm,
		`{"days_absent":01}`:                               tabular.JSONForm,
		`{"days_absent":1.}`:                               tabular.JSONForm,
		`{"days_absent":truer}`:                            tabular.JSONForm,
		`{"record_id":"\ud800"}`:                           tabular.JSONForm,
		`{"record_id":"\udc00\ud800"}`:                     tabular.JSONForm,
		`{"record_id":"\x"}`:                               tabular.JSONForm,
		`{"record_id":"` + "\t" + `"}`:                     tabular.JSONForm,
		`{"record_id":"\u0000"}`:                           tabular.NUL,
		`{"record_id":"` + "\xff" + `"}`:                   tabular.NotUTF8,
		`{"record_id":"1"`:                                 tabular.JSONForm,
		`{"record_id":"1",}`:                               tabular.JSONForm,
		`{"record_id":"1"} {}`:                             tabular.JSONForm,
		`["1"]`:                                            tabular.JSONForm,
		`{"nobody":"1"}`:                                   codeUnknownColumn,
		`{"narrative":"1"}`:                                codeRefusedColumn,
		`{"Twice":"1"}`:                                    codeAmbiguousColumn,
		`{"record_id":"` + strings.Repeat("x", 1<<17):      tabular.RowTooLong,
	} {
		o := testOptions(t)
		o.Said.Format = gateway.FormatNDJSON
		got := read(t, o, strings.NewReader("\n"+good+"\r\n"+line+"\n"+good))
		e := wantKind(t, got.err, gateway.Invalid)
		if p := e.Problems; p == nil || p.First[len(p.First)-1].Code != code || p.First[len(p.First)-1].Line != 3 {
			t.Errorf("%.40s: %v, want %s on line 3", line, e, code)
		}
	}
}

// NDJSON gives the cells that encoding/json gives, or is refused.
func FuzzNDJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":"1","b":2}`, `{"b":null,"a":"x\u0041\ud83d\ude00\n"}`, `{"a":1.5,"b":-2}` + "\n" + `{"b":true,"a":false}`, `{}`, `{"a":"\"","a":1}`, ` { "a" : "ж" } ` + "\r\n",
	} {
		f.Add([]byte(seed))
	}
	columns := []string{"a", "b", "c"}
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := bytes.Split(slices.Clone(data), []byte("\n"))
		n, _, err := tabular.OpenNDJSON(t.Context(), bytes.NewReader(data), tabular.NDJSONOptions{RowBytes: 1000, Columns: len(columns), Find: func(key []byte) (int, gateway.ProblemCode) {
			if i := slices.Index(columns, string(key)); i >= 0 {
				return i, ""
			}
			return 0, codeUnknownColumn
		}})
		if err != nil {
			return
		}
		for {
			code, err := n.Next(t.Context())
			if code != "" || err != nil {
				return
			}
			var want map[string]any
			line := lines[n.Row().Line-1]
			if n.Row().Line == 1 {
				line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			}
			d := json.NewDecoder(bytes.NewReader(line))
			d.UseNumber()
			if err := d.Decode(&want); err != nil {
				t.Fatalf("%q was read, and encoding/json says %v", line, err)
			}
			for i, name := range columns {
				text := ""
				if want[name] != nil {
					text = fmt.Sprint(want[name])
				}
				if got := string(n.Row().Cell(i)); got != text {
					t.Fatalf("%q: %s is %q, want %q", line, name, got, text)
				}
			}
		}
	})
}
