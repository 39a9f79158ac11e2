package exchange_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// BenchmarkUpload reports the rows a second of whole uploads: decoded, validated,
// pseudonymised, loaded with fsync, verified, committed with their leaf, published.
func BenchmarkUpload(b *testing.B) {
	g := newExchange(b)
	country, err := synth.New(synth.Options{Children: 100_000, Seed: 1, Contracts: contracts(b)})
	ok(b, err)
	var police bytes.Buffer
	ok(b, country.Write(func(id gateway.ContractID) (io.Writer, error) {
		if id == "police" {
			return &police, nil
		}
		return io.Discard, nil
	}))
	rows := bytes.Count(police.Bytes(), []byte("\n")) - 1
	b.SetBytes(int64(police.Len()))
	uploads := 0
	for b.Loop() {
		// Another last byte each time, so that no upload repeats another.
		file := append(police.Bytes(), bytes.Repeat([]byte("\n"), uploads)...)
		uploads++
		_, err := g.Upload(b.Context(), g.who["police"], sending("police", fmt.Sprint("upload-", uploads), file))
		ok(b, err)
	}
	b.ReportMetric(float64(rows*uploads)/b.Elapsed().Seconds(), "rows/s")
}
