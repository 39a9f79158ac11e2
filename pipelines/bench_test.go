package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
)

// A generator makes good rows of the police contract, about 190 bytes each, with
// one IIN: children of 2008 to 2020, events of 2024 and 2025.
type generator struct {
	rng *rand.Rand
	n   int
	bad float64 // share of rows with a wrong check digit
}

func newGenerator() *generator { return &generator{rng: rand.New(rand.NewPCG(1, 2))} }

const generatedHeader = "record_id,child_iin,absent_reason,family_name,given_name,patronymic,birth_date,age_years,child_sex,residence,report_date," +
	"incident_date,event_type,violence,perpetrator,setting,referred_to,referral_date,referral_key,basis,consent,icd,law,injury,perp_sex,days_absent,order_kind\n"

func (g *generator) pick(of ...string) string { return of[g.rng.IntN(len(of))] }

// iin makes a synthetic IIN of a birth date.
func (g *generator) iin(year, month, day int, male bool) []byte {
	century := 5
	if !male {
		century = 6
	}
	for {
		id := fmt.Appendf(nil, "%02d%02d%02d%d9%03d0", year%100, month, day, century, g.rng.IntN(1000))
		if check, ok := iinCheck(id); ok {
			id[11] = '0' + check
			return id
		}
	}
}

func (g *generator) row(dst []byte) []byte {
	g.n++
	year, month, day := 2008+g.rng.IntN(13), 1+g.rng.IntN(12), 1+g.rng.IntN(28)
	male := g.rng.IntN(2) == 0
	sex := "F"
	if male {
		sex = "M"
	}
	id := g.iin(year, month, day, male)
	if g.rng.Float64() < g.bad {
		id[11] = '0' + (id[11]-'0'+1)%10
	}
	event := fmt.Sprintf("%d-%02d-%02d", 2024+g.rng.IntN(2), 1+g.rng.IntN(3), 1+g.rng.IntN(27))
	incident := event[:8] + "01"
	return fmt.Appendf(dst, "P-%09d,%s,,%s,%s,,%04d-%02d-%02d,,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,,%s,%s,%s,%s,%s,%s,%d,\n",
		g.n, id, g.pick("Ahmetova", "Kim", `"Omarova, A"`, "Каирова"), g.pick("Aliya", "Dana", "Ivan"), year, month, day, sex,
		g.pick("610000000", "710000000", "190000000", "750000000"), event, incident, g.pick("REPORT", "PATROL"),
		g.pick("01", "02", "02|04", "03"), g.pick("PARENT", "STEP_PARENT", "STRANGER"), g.pick("HOME", "SCHOOL", "STREET", "INSTITUTION"),
		g.pick("", "social", "health|social"), event, g.pick("LAW", "STAT", "CONSENT"), g.pick("Y", "N"),
		g.pick("T74.1", "Y07", "S01.01"), g.pick("UK-110", "UK-120", "KOAP-127-2"), g.pick("NONE", "MINOR", "SEVERE"), g.pick("M", "F", "_U"),
		g.rng.IntN(30))
}

func (g *generator) file(rows int) []byte {
	out := []byte(generatedHeader)
	for range rows {
		out = g.row(out)
	}
	return out
}

func readAll(tb testing.TB, o Options, src io.Reader, b *gateway.Block) *Reader {
	tb.Helper()
	r, err := Open(tb.Context(), src, o)
	if err != nil {
		tb.Fatal(err)
	}
	for err == nil {
		err = r.Next(context.Background(), b)
	}
	if !errors.Is(err, io.EOF) {
		tb.Fatal(err)
	}
	return r
}

// cpu returns the processor time of this process in seconds: on a shared machine
// wall time is noise (performance.md).
func cpu(tb testing.TB) float64 {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkReader reads 27 columns with one IIN on one core, from bytes to blocks.
func BenchmarkReader(b *testing.B) {
	for _, bench := range []struct {
		name  string
		bad   float64
		rules []gateway.RowRule
	}{
		{"clean", 0, nil},
		{"1percent", 0.01, nil},
		{"rules", 0, []gateway.RowRule{
			{Code: "CONSENT_WITHHELD", When: gateway.Expr{Op: gateway.And, Args: []gateway.Expr{
				{Op: gateway.Equal, Left: gateway.Operand{Name: "basis"}, Right: []gateway.Operand{{Kind: gateway.TextOperand, Text: "VITAL"}}},
				{Op: gateway.Equal, Left: gateway.Operand{Name: "consent"}, Right: []gateway.Operand{{Kind: gateway.TextOperand, Text: "N"}}},
			}}},
			{Code: "TOO_YOUNG", When: gateway.Expr{Op: gateway.Less, Left: gateway.Operand{Name: "days_since_birth"}, Right: []gateway.Operand{{Kind: gateway.NumberOperand, Number: 30}}}},
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			const rows = 100_000
			g := newGenerator()
			g.bad = bench.bad
			data := g.file(rows)
			o := testOptions(b)
			o.Plan.Refuse = bench.rules
			block := gateway.NewBlock(o.Contract.Layout())
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, started := 0, cpu(b)
			for b.Loop() {
				r := readAll(b, o, bytes.NewReader(data), block)
				if r.Rows()+r.Refused() != rows || bench.bad == 0 && r.Refused() != 0 {
					b.Fatalf("%d rows, %d refused: %v", r.Rows(), r.Refused(), r.Problems().First[0])
				}
				n += rows
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(n)/(cpu(b)-started), "rows/cpu-s")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(n), "allocs/row")
		})
	}
}

// BenchmarkScan is the scanner alone.
func BenchmarkScan(b *testing.B) {
	const rows = 100_000
	data := newGenerator().file(rows)
	b.SetBytes(int64(len(data)))
	n, started := 0, cpu(b)
	for b.Loop() {
		s, _, err := tabular.OpenCSV(context.Background(), bytes.NewReader(data), tabular.CSVOptions{
			RowBytes: 64 << 10, Known: func([]byte) bool { return true },
		})
		if err != nil {
			b.Fatal(err)
		}
		for {
			code, err := s.Next(context.Background())
			if errors.Is(err, io.EOF) {
				break
			}
			if code != "" || err != nil {
				b.Fatal(code, err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(n)/(cpu(b)-started), "rows/cpu-s")
}
