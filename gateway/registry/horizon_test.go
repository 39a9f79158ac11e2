package registry

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// A horizon moves by whole quarters, waits for every agency that is expected, and goes
// back when a batch is withdrawn; neither corrections nor partial batches move it.
func TestHorizons(t *testing.T) {
	r, _ := start(t)
	step := func(doing string, want ...string) {
		t.Helper()
		snapshot, err := r.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.Horizons(t.Context(), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range list {
			got = append(got, string(h.Contract)+" "+h.Region+" "+h.Through.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", doing, diff)
		}
	}
	step("nothing sent", "health 61 ", "police 11 ", "police 61 ")
	r.send(t, "police-a", "2025-04-01", "2025-06-30")
	step("the first quarter is missing", "health 61 ", "police 11 ", "police 61 ")
	first := r.send(t, "police-a", "2025-01-01", "2025-03-30")
	step("and a day of it", "health 61 ", "police 11 ", "police 61 ")
	r.nothing(t, "police-a", "2025-03-31", "2025-03-31")
	step("on which nothing happened", "health 61 ", "police 11 2025Q2", "police 61 2025Q1")
	in := intent("police-b", "c", "c")
	in.Manifest.PeriodFrom, in.Manifest.PeriodTo = day("2025-04-01"), day("2025-06-30")
	in.Manifest.Kind = gateway.Correction
	_, err := r.BeginBatch(t.Context(), in)
	wantKind(t, err, gateway.Conflict) // of nothing
	in.Manifest.Kind = gateway.Original
	a, err := r.BeginBatch(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	partial := accepted(90)
	partial.Receipt.Refused, partial.Receipt.Records = 10, 100
	if _, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, partial); err != nil {
		t.Fatal(err)
	}
	if err = r.PublishedBatch(t.Context(), a.Batch); err != nil {
		t.Fatal(err)
	}
	step("one record in ten was refused", "health 61 ", "police 11 2025Q2", "police 61 2025Q1")
	in.Key, in.Content, in.Manifest.Kind = "d", [32]byte{1}, gateway.Correction
	r.publish(t, in)
	step("a correction", "health 61 ", "police 11 2025Q2", "police 61 2025Q1")
	r.send(t, "police-b", "2025-04-01", "2025-09-30")
	step("the rest of police-b", "health 61 ", "police 11 2025Q2", "police 61 2025Q2")
	reports, err := r.Reported(t.Context(), "police-b", day("2026-01-01"))
	want := []Report{{Agency: "police-b", Sector: "police", From: quarter("2025Q2"), Through: quarter("2025Q3"), Missing: []gateway.Quarter{quarter("2025Q4")}}}
	if diff := cmp.Diff(want, reports); diff != "" || err != nil {
		t.Errorf("reported (-want +got), %v:\n%s", err, diff)
	}
	if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", first); err != nil {
		t.Fatal(err)
	}
	step("withdrawn", "health 61 ", "police 11 ", "police 61 ")
}

// nothing reports that there was nothing to report.
func (r *Registry) nothing(t *testing.T, agency gateway.AgencyID, from, to string) gateway.BatchID {
	t.Helper()
	in := intent(agency, "nothing"+from, "nothing"+from)
	in.Manifest.PeriodFrom, in.Manifest.PeriodTo, in.Manifest.Kind = day(from), day(to), gateway.Nothing
	a, err := r.BeginBatch(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, accepted(0)); err != nil {
		t.Fatal(err)
	}
	if err = r.PublishedBatch(t.Context(), a.Batch); err != nil {
		t.Fatal(err)
	}
	return a.Batch
}

// A horizon is the end of the longest run of complete quarters from the first expected
// one on, as coverage tells them, and tells a cohort when it lies as far beyond.
func TestHorizonIsTheEndOfCoverage(t *testing.T) {
	const first = gateway.Quarter(2025 * 4)
	rapid.Check(t, func(t *rapid.T) {
		agencies := []Agency{
			{ID: "a", Contract: "police", Regions: []string{"1"}, From: first + gateway.Quarter(rapid.IntRange(0, 2).Draw(t, "from"))},
			{ID: "b", Contract: "police", Regions: []string{"1"}, From: first, To: first + gateway.Quarter(rapid.IntRange(0, 4).Draw(t, "to"))},
		}
		periods := map[gateway.AgencyID][]gateway.Manifest{}
		for range rapid.IntRange(0, 8).Draw(t, "periods") {
			id := rapid.SampledFrom([]gateway.AgencyID{"a", "b"}).Draw(t, "agency")
			from := first.First() + gateway.Day(rapid.IntRange(0, 8).Draw(t, "first")*45)
			periods[id] = append(periods[id], gateway.Manifest{PeriodFrom: from, PeriodTo: from + gateway.Day(rapid.IntRange(40, 200).Draw(t, "days"))})
		}
		through := gateway.Quarter(0)
		for q := first; q < first+12 && reported(agencies, periods, q)[place{"police", "1"}]; q++ {
			through = q
		}
		got := horizons(agencies, periods)
		if len(got) != 1 || got[0].Through != through || got[0].From != first {
			t.Fatalf("horizons %v, coverage ends with %s", got, through)
		}
		for q := first; q < first+8; q++ {
			if want := through != 0 && q.Last()+30 <= through.Last(); got[0].Tells(q, 30) != want {
				t.Fatalf("%v tells %s: %v", got[0], q, !want)
			}
		}
	})
}

// What one agency says must not contradict itself: nothing and something, corrections of
// nothing, previous batches that are none.
func TestBatchesThatContradict(t *testing.T) {
	r, _ := start(t)
	kind := func(agency gateway.AgencyID, key string, k gateway.BatchKind, from, to string) Intent {
		in := intent(agency, key, key)
		in.Manifest.Kind, in.Manifest.PeriodFrom, in.Manifest.PeriodTo = k, day(from), day(to)
		return in
	}
	refused := func(in Intent, want gateway.Kind) {
		t.Helper()
		_, err := r.BeginBatch(t.Context(), in)
		wantKind(t, err, want)
	}
	empty := r.nothing(t, "police-a", "2025-01-01", "2025-01-31")
	refused(kind("police-a", "1", gateway.Original, "2025-01-31", "2025-02-28"), gateway.Conflict)
	refused(kind("police-a", "2", gateway.Correction, "2025-01-01", "2025-01-02"), gateway.Conflict)
	february := r.publish(t, kind("police-a", "3", gateway.Original, "2025-02-01", "2025-02-28"))
	refused(kind("police-a", "4", gateway.Nothing, "2025-02-28", "2025-03-31"), gateway.Conflict)
	r.nothing(t, "police-b", "2025-02-01", "2025-02-28") // what another one says contradicts nothing
	previous := kind("police-a", "5", gateway.Correction, "2025-02-01", "2025-02-28")
	previous.Manifest.Previous = empty
	refused(previous, gateway.Conflict)
	previous.Manifest.Previous = february
	r.publish(t, previous)
	previous.Manifest.Kind = gateway.Original
	refused(previous, gateway.Invalid)
	if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", empty); err != nil {
		t.Fatal(err)
	}
	r.publish(t, kind("police-a", "6", gateway.Original, "2025-01-31", "2025-01-31"))
}

// An attempt whose records were compared with fewer batches than there are by now, or
// whose key was revoked, is not accepted.
func TestCommitLooksAgain(t *testing.T) {
	r, _ := start(t)
	_, key, err := r.AddKey(t.Context(), "operator", KeySpec{Role: gateway.RoleAgency, Agency: "police-a"})
	if err != nil {
		t.Fatal(err)
	}
	in := intent("police-a", "1", "1")
	in.Actor = key
	a, err := r.BeginBatch(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := r.Beside(t.Context(), in.Agency, 0, in.Contract, in.Manifest)
	if err != nil || len(beside) != 0 {
		t.Fatal(beside, err)
	}
	r.publish(t, intent("police-a", "2", "2"))
	acc := accepted(1)
	acc.Compared = 0
	_, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, acc)
	if err != ErrCompareAgain { //nolint:errorlint // it is compared by identity
		t.Fatalf("got %v", err)
	}
	beside, err = r.Beside(t.Context(), in.Agency, 0, in.Contract, in.Manifest)
	if err != nil || len(beside) != 1 {
		t.Fatal(beside, err)
	}
	if err := r.RevokeKey(t.Context(), "operator", key); err != nil {
		t.Fatal(err)
	}
	acc.Compared = beside[0].Seq
	_, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, acc)
	wantKind(t, err, gateway.Unauthenticated)
	if err := r.Standing(t.Context(), a.Batch, a.Load); err != nil {
		t.Fatal(err)
	}
}
