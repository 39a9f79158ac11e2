package exchange_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// BenchmarkUpload reports the rows a second of whole uploads: decoded, validated,
// pseudonymised, loaded with fsync, verified, committed with their leaf, published.
func BenchmarkUpload(b *testing.B) {
	country, err := synth.New(synth.Options{Children: 500_000, Seed: 1, Contracts: contracts(b)})
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
	for b.Loop() {
		b.StopTimer() // an agency sends a record once: each upload has a gateway of its own
		g := newExchange(b)
		b.StartTimer()
		_, err := g.Upload(b.Context(), g.who["police"], sending("police", "upload", police.Bytes()))
		ok(b, err)
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
