package pipelines

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// separators are the runes of the names of separators.
var separators = map[string]rune{"comma": ',', "semicolon": ';', "tab": '\t'}

// Whatever the file holds: no panic; every record is either good or refused;
// every refused record has a problem on its line; good rows are in the blocks.
func FuzzReader(f *testing.F) {
	c := policeContract(f)
	c.Field("icd").List = codeList(f, "icd10", "T74", "Y07") // compiled at every Open
	head := file(header(c))
	f.Add([]byte(file(header(c), good())))
	f.Add([]byte(file(header(c), good(), good()) + "x\n\n\"\n"))
	for i, fault := range faults {
		if i%4 == 0 {
			f.Add([]byte(file(header(c), fault.record())))
		}
	}
	for _, fault := range fileFaults {
		f.Add([]byte(strings.ReplaceAll(fault.text[:min(len(fault.text), 4096)], "@", shortHeader)))
	}
	o := testOptions(f)
	o.Limits = Limits{RowBytes: 4096, Rows: 50, Unique: 3}
	b := gateway.NewBlock(c.Layout())
	o.Contract, o.Plan = c, planOf(c)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, src := range []string{string(data), head + string(data)} {
			r, err := Open(t.Context(), strings.NewReader(src), o)
			if err != nil {
				continue
			}
			stored := 0
			for err == nil {
				if err = r.Next(context.Background(), b); err == nil {
					stored += b.Rows()
				}
			}
			p := r.Problems()
			if p.Rows != r.Refused() || r.Refused() > 0 && len(p.Counts) == 0 {
				t.Fatalf("%d refused, %d rows with problems, %d kinds", r.Refused(), p.Rows, len(p.Counts))
			}
			for _, e := range p.First {
				if e.Line < 1 || e.Line > strings.Count(src, "\n")+1 || Describe(string(e.Code)) == Describe("") {
					t.Fatalf("problem %v", e)
				}
			}
			if !errors.Is(err, io.EOF) {
				continue
			}
			if stored != r.Rows() {
				t.Fatalf("%d rows in blocks, %d good", stored, r.Rows())
			}
			if d := r.Dialect(); d.Encoding != "utf-8" || d.Lines == "CR" || strings.HasPrefix(strings.ToLower(strings.TrimPrefix(src, "\ufeff")), "sep=") {
				continue
			}
			again := csv.NewReader(strings.NewReader(strings.TrimPrefix(src, "\ufeff")))
			again.Comma, again.FieldsPerRecord = separators[r.Dialect().Separator], -1
			if records, err := again.ReadAll(); err == nil && len(records)-1 != r.Rows()+r.Refused() {
				t.Fatalf("%d good, %d refused of %d records", r.Rows(), r.Refused(), len(records)-1)
			}
		}
	})
}

// The order of the columns, the separator, the ends of lines and quotation marks
// make no difference to what is stored.
func TestOnlyTheCellsMatter(t *testing.T) {
	o := testOptions(t)
	names := header(o.Contract)
	records := []record{good(), good().with("record_id", "2").with("setting", "SCHOOL"), good().with("record_id", "3").with("icd", "?"), good().with("record_id", "4").with("family_name", `a "b", c`)}
	want := readFile(t, o, records...)
	rapid.Check(t, func(rt *rapid.T) {
		columns := rapid.Permutation(names).Draw(rt, "columns")
		sep := rapid.SampledFrom([]rune{',', ';', '\t'}).Draw(rt, "separator")
		var b bytes.Buffer
		if rapid.Bool().Draw(rt, "BOM") {
			b.WriteString("\ufeff")
		}
		w := csv.NewWriter(&b)
		w.Comma, w.UseCRLF = sep, rapid.Bool().Draw(rt, "CRLF")
		quoted := rapid.Bool().Draw(rt, "quoted")
		lines, err := csv.NewReader(strings.NewReader(file(columns, records...))).ReadAll()
		if err != nil {
			rt.Fatal(err)
		}
		if quoted {
			for _, line := range lines {
				b.WriteString(`"` + strings.Join(escapeAll(line), `"`+string(sep)+`"`) + "\"\n")
			}
		} else if err := w.WriteAll(lines); err != nil {
			rt.Fatal(err)
		}
		o := o
		o.Rand = newChance(2)
		got := read(t, o, bytes.NewReader(b.Bytes()))
		if diff := cmp.Diff(want.rows, got.rows); diff != "" {
			rt.Error(diff)
		}
		if !slices.Equal(got.problem, want.problem) || separators[got.reader.Dialect().Separator] != sep {
			rt.Errorf("problems %v, dialect %v", got.problem, got.reader.Dialect())
		}
	})
}

func escapeAll(line []string) []string {
	for i := range line {
		line[i] = strings.ReplaceAll(line[i], `"`, `""`)
	}
	return line
}

// No part of a cell is ever in an error, a problem, or anything that can be made
// of a reader by printing, logging or encoding it (trust.md 6.5).
func TestNothingLeaks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	o := testOptions(t)
	names := header(o.Contract)
	for round := range 60 {
		canary := fmt.Sprintf("%016x", rng.Uint64())
		if round%3 == 0 {
			canary = fmt.Sprintf("%012d", rng.Uint64N(1e12))
		}
		r := good()
		for _, name := range names {
			if rng.IntN(2) == 0 {
				r[name] = canary
			}
		}
		data := file(names, r, good().with("record_id", canary+"-1"))
		switch round % 6 {
		case 1:
			data = strings.Replace(data, canary, canary+"\xff", 2)
		case 2:
			data = strings.Replace(data, canary, `"`+canary, 1)
		case 3:
			data = data[strings.Index(data, "\n")+1:] // no header
		case 4:
			data = strings.Replace(data, "record_id", canary, 1)
		case 5:
			data += strings.Repeat(canary, 1<<13)
		}
		said := everything(t, o, data)
		for _, form := range []string{
			canary, strings.ToUpper(canary), hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary)),
			strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"), strings.ReplaceAll(fmt.Sprintf("%#v", []byte(canary)), "[]byte", "")[1:20],
		} {
			if strings.Contains(said, form) {
				t.Fatalf("round %d: the canary is there in the form %.8s…", round, form)
			}
		}
	}
}

// everything is all that can be made of reading a file.
func everything(t *testing.T, o Options, data string) string {
	t.Helper()
	var b strings.Builder
	say := func(v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, verb, v)
		}
		if j, err := json.Marshal(v); err == nil {
			b.Write(j)
		}
		slog.New(slog.NewJSONHandler(&b, nil)).Info("x", slog.Any("v", v))
		slog.New(slog.NewTextHandler(&b, nil)).Info("x", slog.Any("v", v))
	}
	r, err := Open(t.Context(), strings.NewReader(data), o)
	for block := gateway.NewBlock(o.Contract.Layout()); err == nil; {
		say(r)
		say(*r)
		say(r.next)
		err = r.Next(t.Context(), block)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		say(err)
		if e, ok := errors.AsType[*gateway.Error](err); ok {
			say(e.Problems)
		}
	}
	if r != nil {
		say(r.Problems())
		say(r.Dialect())
	}
	return b.String()
}

// endless makes good rows without end, quickly: it counts the record ids up in a
// chunk of rows.
type endless struct {
	chunk []byte
	ids   []int // where they are
	n     int
}

func newEndless() *endless {
	e := &endless{chunk: newGenerator().file(1000)[len(generatedHeader):]}
	for i := 0; i < len(e.chunk); i += bytes.IndexByte(e.chunk[i:], '\n') + 1 {
		e.ids = append(e.ids, i)
	}
	return e
}

func (e *endless) next() []byte {
	for _, at := range e.ids {
		e.n++
		copy(e.chunk[at:], fmt.Appendf(nil, "P-%09d", e.n))
	}
	return e.chunk
}

// Memory does not grow with the file, beyond 11 bytes a record up to Limits.Unique.
func TestMemoryIsConstant(t *testing.T) {
	if testing.Short() {
		t.Skip("two million rows")
	}
	const rows, early = 2_000_000, 200_000
	o := testOptions(t)
	o.Limits.Unique = 1 << 16
	pr, pw := io.Pipe()
	go func() {
		e := newEndless()
		_, err := io.WriteString(pw, generatedHeader)
		for e.n < rows && err == nil {
			_, err = pw.Write(e.next())
		}
		_ = pw.CloseWithError(err)
	}()
	r, err := Open(t.Context(), pr, o)
	if err != nil {
		t.Fatal(err)
	}
	block := gateway.NewBlock(o.Contract.Layout())
	peak := map[bool]uint64{}
	for err == nil {
		if err = r.Next(t.Context(), block); err == nil {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			first := r.Rows() <= early
			peak[first] = max(peak[first], m.HeapAlloc)
		}
	}
	if !errors.Is(err, io.EOF) || r.Rows() != rows {
		t.Fatalf("%v after %d rows: %v", err, r.Rows(), slices.Collect(maps.Keys(r.Problems().Counts)))
	}
	if growth := int64(peak[false]) - int64(peak[true]); growth > 1<<20 {
		t.Errorf("the heap grew by %d bytes between %d and %d rows", growth, early, rows)
	}
}

func TestNoAllocationPerRow(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	data := newGenerator().file(16_000)
	o := testOptions(t)
	block := gateway.NewBlock(o.Contract.Layout())
	r, err := Open(t.Context(), bytes.NewReader(data), o)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := r.Next(t.Context(), block); err != nil || block.Rows() != 16_000 {
		t.Fatal(err, block.Rows())
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 400 {
		t.Errorf("%d allocations for 16,000 rows", n)
	}
}

// Every table finds what its list finds.
func TestCodeTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codes := rapid.SliceOfNDistinct(rapid.StringMatching(`INSTITUT[A-Z]{0,4}|[A-Z0-9_]{1,20}`), 1, 300, rapid.ID[string]).Draw(t, "codes")
		list := gateway.CodeList{}
		for _, c := range codes {
			list.Codes = append(list.Codes, gateway.Code{Code: c})
		}
		l, err := gateway.NewCodeList(list)
		if err != nil {
			t.Fatal(err)
		}
		table := newCodeTable(l, nil)
		try := append(slices.Clone(codes), rapid.SliceOf(rapid.StringMatching(`INSTITUT[A-Z]{0,4}|[A-Z0-9_]{0,20}`)).Draw(t, "others")...)
		for _, c := range try {
			buffer := append([]byte(c), "rest of the buffer of a scanner"...)
			want, _ := l.Number([]byte(c))
			if got := table.number(buffer[:len(c)]); got != want {
				t.Fatalf("%q is number %d, want %d", c, got, want)
			}
		}
	})
}

// The set says of each key whether it was there, and forgets nothing up to its limit.
func TestKeySet(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	set, seen := newKeySet(5000), map[uint64]bool{}
	for range 20_000 {
		n := rng.Uint64N(8000)
		fresh := set.add((n + 1) * 0x9e3779b97f4a7c15)
		if fresh == seen[n] {
			t.Fatalf("key %d is new: %v", n, fresh)
		}
		if len(seen) < 5000 {
			seen[n] = true
		}
	}
	if !set.add(1) || set.used != 5000 || len(set.slots) != 6672 {
		t.Errorf("%d keys in %d slots", set.used, len(set.slots))
	}
}
