package pipelines

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// readBy reads a file by several goroutines, and returns its rows in the order of
// their images.
func readBy(t *testing.T, o Options, src io.Reader, workers int) result {
	t.Helper()
	r, err := Open(t.Context(), src, o)
	if err != nil {
		return result{err: err}
	}
	res := result{reader: r}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			b := gateway.NewBlock(o.Contract.Layout())
			for {
				err := r.Next(t.Context(), b)
				mu.Lock()
				if err != nil {
					if err != io.EOF { //nolint:errorlint // Next returns io.EOF itself
						res.err = err
					}
					mu.Unlock()
					return
				}
				for i := range b.Rows() {
					res.rows = append(res.rows, rowOf(b, i))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(res.rows, func(a, b row) int {
		return cmp.Compare(a[gateway.ColumnRandom].(uint64), b[gateway.ColumnRandom].(uint64))
	})
	for _, p := range r.Problems().First {
		res.problem = append(res.problem, fmt.Sprintf("%d:%s:%s", p.Line, p.Field, p.Code))
	}
	return res
}

// messy writes a file in which everything occurs that a cut could do wrong: marks
// inside cells and around them, line breaks, empty lines, CRLF, doubled records,
// all kinds of faults, and sometimes what ends the reading.
func messy(rng *rand.Rand, rows int, ends string) string {
	g := &generator{rng: rng, bad: 0.02}
	var b bytes.Buffer
	b.WriteString(generatedHeader)
	at := rng.IntN(rows)
	for i := range rows {
		if i == at {
			b.WriteString(ends)
		}
		line := string(g.row(nil))
		switch rng.IntN(40) {
		case 0:
			line = strings.Replace(line, "Aliya", "\"Ali\nya, \"\"A\"\"\"", 1)
		case 1:
			line = strings.Replace(line, "Dana", `Da"na`, 1)
		case 2:
			line = "\n\r\n" + line
		case 3:
			line = strings.TrimSuffix(line, "\n") + "\r\n"
		case 4:
			line = strings.TrimSuffix(line, "\n") + ",\n"
		case 5:
			g.n--
		case 6:
			line = strings.Replace(line, "HOME", "MOON", 1)
		case 7:
			line = strings.Replace(line, "Ivan", `"Ivan"`, 1)
		case 8:
			line = strings.Replace(line, "Kim", `""`, 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// However many read a file, its rows, counts, problems, lines and reports are the
// same: those of one reader that is given the file as one part.
func TestParallelIsSequential(t *testing.T) {
	ends := []string{"", "", "", "x\"y\x00\n", "\xff\n", "\"open\n", "\"a\"b\n", strings.Repeat("long", 2000) + "\n"}
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		text := messy(rng, rapid.IntRange(1, 400).Draw(rt, "rows"), rapid.SampledFrom(ends).Draw(rt, "ends"))
		if rapid.Bool().Draw(rt, "no last line feed") {
			text = strings.TrimSuffix(text, "\n")
		}
		o := testOptions(t)
		o.MaxProblems = rapid.SampledFrom([]int{1, 5, 1000}).Draw(rt, "problems")
		o.Limits = Limits{RowBytes: 4096, Rows: rapid.SampledFrom([]int{0, 100}).Draw(rt, "most rows"), Unique: rapid.SampledFrom([]int{3, 1000}).Draw(rt, "unique")}
		o.Batch.Reject = rapid.SampledFrom([]gateway.Reject{gateway.RejectRows, gateway.RejectBatch}).Draw(rt, "reject")
		read := func(part, workers int) result {
			o := o
			o.Rand = newChance(7)
			o.part = part
			return readBy(t, o, strings.NewReader(text), workers)
		}
		want := read(4<<20, 1)
		got := read(rapid.IntRange(8192, 20000).Draw(rt, "part"), rapid.IntRange(1, 5).Draw(rt, "workers"))
		if diff := godiff.Diff(want.rows, got.rows); diff != "" && want.err == nil {
			rt.Errorf("other rows: %s", diff)
		}
		if fmt.Sprint(want.err) != fmt.Sprint(got.err) {
			rt.Fatalf("ended by %v, want %v", got.err, want.err)
		}
		if want.reader == nil {
			return
		}
		if diff := godiff.Diff(want.reader.Report(), got.reader.Report()); diff != "" {
			rt.Errorf("another report: %s", diff)
		}
		if a, b := want.reader, got.reader; a.Rows() != b.Rows() || a.Refused() != b.Refused() {
			rt.Errorf("%d and %d rows, %d and %d refused", a.Rows(), b.Rows(), a.Refused(), b.Refused())
		}
	})
}

// A reader starts no goroutine, so none is left; and all who wait come back
// when one of them may not go on, or the sender stops sending.
func TestEndsForAll(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, stop := range []string{"context", "sender"} {
		pr, pw := io.Pipe()
		go func() {
			g := newGenerator()
			_, err := pw.Write(g.file(5000))
			if stop == "sender" && err == nil {
				err = errors.New("gone")
				_ = pw.CloseWithError(err)
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		r, err := Open(ctx, pr, testOptions(t))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		failed := make(chan error, 4)
		for range cap(failed) {
			wg.Go(func() {
				b := gateway.NewBlock(testOptions(t).Contract.Layout())
				for {
					if err := r.Next(ctx, b); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		if stop == "context" {
			time.Sleep(20 * time.Millisecond)
			cancel()
			_ = pr.Close() // as net/http closes a body
		}
		wg.Wait()
		cancel()
		for range cap(failed) {
			if err := <-failed; errors.Is(err, io.EOF) || stop == "context" && !errors.Is(err, context.Canceled) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s: %v", stop, err)
			}
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
