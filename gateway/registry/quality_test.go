package registry

import (
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// Agencies are judged by whole quarters that the release counts: what came behind a
// quarter's snapshot, a partial batch and a correction complete nothing.
func TestQualityOf(t *testing.T) {
	t.Parallel()
	quarter := func(text string) gateway.Quarter {
		q, err := gateway.ParseQuarter(text)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q1, q2 := quarter("2025Q1"), quarter("2025Q2")
	batch := func(q gateway.Quarter, seq uint64, days int) gateway.Batch {
		accepted := time.Date(1970, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, int(q.Last())+days)
		return gateway.Batch{Seq: seq, Stored: 10, Accepted: accepted, Manifest: gateway.Manifest{PeriodFrom: q.First(), PeriodTo: q.Last(), Kind: gateway.Original}}
	}
	partial, correction := batch(q2, 2, 20), batch(q2, 2, 20)
	partial.Refused = 10
	correction.Manifest.Kind = gateway.Correction
	agency := Agency{ID: "a", Contract: "police", Regions: []string{"61", "71"}, From: q1}
	for name, c := range map[string]struct {
		batches  []gateway.Batch
		reported gateway.ReportedBand
		timely   gateway.TimelyBand
		counted  int
	}{
		"nothing":             {nil, gateway.ReportedNone, "", 0},
		"both":                {[]gateway.Batch{batch(q1, 1, 10), batch(q2, 2, 20)}, gateway.ReportedAll, gateway.Within15, 2},
		"one":                 {[]gateway.Batch{batch(q1, 1, 40)}, gateway.ReportedHalf, gateway.Within90, 1},
		"one behind its time": {[]gateway.Batch{batch(q1, 9, 40), batch(q2, 2, 100)}, gateway.ReportedHalf, gateway.Over90, 1},
		"one partial":         {[]gateway.Batch{batch(q1, 1, 1), partial}, gateway.ReportedHalf, gateway.Within15, 2},
		"one corrected":       {[]gateway.Batch{batch(q1, 1, 1), correction}, gateway.ReportedHalf, gateway.Within15, 2},
	} {
		got := qualityOf([]Agency{agency}, map[gateway.AgencyID][]gateway.Batch{"a": c.batches}, map[gateway.Quarter]uint64{q1: 1, q2: 5})
		if a := got.Agencies[0]; a.Reported != c.reported || a.Timely != c.timely || len(got.Batches["a"]) != c.counted {
			t.Errorf("%s: %q %q of %d batches, want %q %q of %d", name, a.Reported, a.Timely, len(got.Batches["a"]), c.reported, c.timely, c.counted)
		}
		if len(got.Places) != 2 || got.Places[0].Reported != c.reported || got.Sectors[0].Reported != c.reported {
			t.Errorf("%s: places %+v, sectors %+v", name, got.Places, got.Sectors)
		}
	}
}
