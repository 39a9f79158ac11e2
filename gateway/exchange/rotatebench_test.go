package exchange_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// rotatedRows is how many rows TestQuestionsDuringRotation and BenchmarkRotation rotate:
// go test ./gateway/exchange -run QuestionsDuringRotation -rotated-rows 1000000 -v is
// the long form.
var rotatedRows = flag.Int("rotated-rows", 0, "rows that are rotated; 0 is what the test or benchmark says")

// Twenty questions a second, before, during and after a rotation, have one answer, byte
// for byte: they are answered from published cells in memory (trust.md 6.7).
func TestQuestionsDuringRotation(t *testing.T) {
	n := *rotatedRows
	switch {
	case n == 0 && testing.Short():
		n = 10_000
	case n == 0:
		n = 100_000
	}
	g, _ := rotatable(t, realTime)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	release := g.build(t)
	g.approve(t, release)
	want := g.answer(t, release.ID)
	stored := g.fill(t, n)

	ctx, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	failed := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			got, err := g.Ask(t.Context(), g.who["researcher"], release.ID, bySector, asJSON)
			if err == nil && !bytes.Equal(got, want) {
				err = fmt.Errorf("another answer")
			}
			if err != nil {
				failed <- err
				return
			}
			asked.Add(1)
		}
	}()
	begun := time.Now()
	r := g.rotate(t)
	took := time.Since(begun)
	time.Sleep(200 * time.Millisecond)
	stop()
	<-done
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	if asked.Load() == 0 || r.Rows < uint64(stored) {
		t.Fatalf("%d questions, %d rows rotated of %d", asked.Load(), r.Rows, stored)
	}
	t.Logf("%d rows rotated in %v (%v copying and verifying, with the erasure %v), %d questions meanwhile",
		r.Rows, r.Copying, r.Copying, took, asked.Load())
	g.clean(t)
}

// realTime lets the exchange measure how long things take.
func realTime(o *exchange.Options) { o.Now = time.Now }

// fill uploads files of the police until there are as many rows.
func (g *gate) fill(tb testing.TB, rows int) int {
	tb.Helper()
	country, err := synth.New(synth.Options{Children: 40_000, Seed: 5, Contracts: contracts(tb)})
	ok(tb, err)
	var police bytes.Buffer
	ok(tb, country.Write(func(id gateway.ContractID) (io.Writer, error) {
		if id == "police" {
			return &police, nil
		}
		return io.Discard, nil
	}))
	stored := 0
	for i := 0; stored < rows; i++ {
		file := again(police.Bytes(), "f"+strconv.Itoa(i)+"-")
		g.send(tb, "police", "fill-"+strconv.Itoa(i), file)
		stored += bytes.Count(file, []byte("\n")) - 1
	}
	return stored
}

// BenchmarkRotation reports the rows a second of whole rotations of a million rows, or of
// -rotated-rows: read,
// each row's MAC checked, pid moved, MAC made again, loaded with fsync, verified, marked
// and flipped; without the erasure after it.
func BenchmarkRotation(b *testing.B) {
	g, _ := rotatable(b, realTime)
	n := *rotatedRows
	if n == 0 {
		n = 1_000_000
	}
	g.fill(b, n)
	rows, took := uint64(0), time.Duration(0)
	for b.Loop() {
		r := g.rotate(b)
		rows, took = rows+r.Rows, took+r.Copying
		b.StopTimer()
		ok(b, g.DestroyEpoch(b.Context(), g.who["operator"], r.From, g.signed(b, registry.DestroyKey, r.From)))
		b.StartTimer()
	}
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
}
