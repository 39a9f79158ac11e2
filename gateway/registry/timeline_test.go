package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

func (r *Registry) approve(t *testing.T, id gateway.ReleaseID) {
	t.Helper()
	if err := r.ApproveRelease(t.Context(), id, page, officer, "read"); err != nil {
		t.Fatal(err)
	}
}

// finished builds what was asked for.
func (r *Registry) finished(t *testing.T, b Build) gateway.ReleaseID {
	t.Helper()
	rel, err := r.BeginRelease(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.FinishRelease(t.Context(), rel.ID, finished); err != nil {
		t.Fatal(err)
	}
	return rel.ID
}

// refused demands a Conflict whose text says why.
func refused(t *testing.T, err error, why string) {
	t.Helper()
	wantKind(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), why) {
		t.Fatalf("refused with %q, not a word of %q", err, why)
	}
}

// Two lineages can be built side by side and one can become public: after that the
// other is neither built nor approved, also when the first was withdrawn, because it
// was seen.
func TestOneLineageIsPublic(t *testing.T) {
	r, _ := start(t)
	national := r.finished(t, r.next(t, "national"))
	r.approve(t, r.build(t))
	for range 2 {
		refused(t, r.ApproveRelease(t.Context(), national, page, officer, ""), "second, independent noise")
		_, err := r.BeginRelease(t.Context(), r.next(t, "national"))
		refused(t, err, "second, independent noise")
		if err := r.WithdrawRelease(t.Context(), "demo-1", officer, "a mistake"); err != nil {
			t.Fatal(err)
		}
	}
	r.wantState(t, national, gateway.ReleaseBuilt)
	if id := r.build(t); id != "demo-2" {
		t.Fatal(id)
	}
}

// A release that was withdrawn before anybody saw it binds nothing.
func TestUnseenLineage(t *testing.T) {
	r, _ := start(t)
	if err := r.WithdrawRelease(t.Context(), r.build(t), officer, "not this one"); err != nil {
		t.Fatal(err)
	}
	r.approve(t, r.finished(t, r.next(t, "national")))
	_, err := r.BeginRelease(t.Context(), r.next(t, "demo"))
	refused(t, err, "national-1 of lineage national")
}

// Two releases that were both built after one and the same closed its quarters both
// anew: only one of them becomes public.
func TestApproveWhatIsBuiltOnAnOlderRelease(t *testing.T) {
	r, _ := start(t)
	r.approve(t, r.build(t))
	second, third := r.build(t), r.build(t)
	r.approve(t, second)
	refused(t, r.ApproveRelease(t.Context(), third, page, officer, ""), "build again")
	_, err := r.BeginRelease(t.Context(), Build{Lineage: "demo", After: "demo-1", Steward: steward})
	refused(t, err, "build again")
	_, err = r.BeginRelease(t.Context(), Build{Lineage: "demo", Steward: steward})
	refused(t, err, "build again")
	r.approve(t, r.build(t))
}

// Of five releases a fifth within 365 days of the first is neither begun nor, where it
// was built before, approved; a day later it is. Withdrawing one frees no place.
func TestFourReleasesAYear(t *testing.T) {
	r, c := start(t)
	first := c.now()
	for i := range MaxReleases {
		if i == MaxReleases-1 {
			if err := r.WithdrawRelease(t.Context(), "demo-3", officer, "a mistake"); err != nil {
				t.Fatal(err)
			}
		}
		r.approve(t, r.build(t))
		c.add(24 * time.Hour)
	}
	_, err := r.BeginRelease(t.Context(), r.next(t, "demo"))
	refused(t, err, "4 releases of demo were approved within 365 days")
	c.add(first.Add(Year).Sub(c.now()) - time.Second)
	_, err = r.BeginRelease(t.Context(), r.next(t, "demo"))
	refused(t, err, "the next may follow from "+first.Add(Year+24*time.Hour).Format(time.DateOnly))
	c.add(time.Second)
	fifth := r.build(t)
	if fifth != "demo-5" {
		t.Fatal("refused builds used up numbers: ", fifth)
	}
	c.add(-2 * time.Second)
	refused(t, r.ApproveRelease(t.Context(), fifth, page, officer, ""), "within 365 days")
	c.add(2 * time.Second)
	r.approve(t, fifth)
}

// The yearly revision is public once within 365 days, the first time 365 days after the
// first release; releases that are none follow it freely.
func TestOneYearlyRevision(t *testing.T) {
	r, c := start(t)
	yearly := func() Build {
		b := r.next(t, "demo")
		b.Yearly = true
		return b
	}
	r.approve(t, r.build(t))
	c.add(24 * time.Hour)
	_, err := r.BeginRelease(t.Context(), yearly())
	refused(t, err, "demo-1 is the first release")
	c.add(Year - 24*time.Hour - time.Second)
	_, err = r.BeginRelease(t.Context(), yearly())
	refused(t, err, "demo-1 is the first release")
	c.add(time.Second)
	r.approve(t, r.finished(t, yearly()))
	_, err = r.BeginRelease(t.Context(), yearly())
	refused(t, err, "demo-2 is a yearly revision")
	r.approve(t, r.build(t))
	c.add(Year - time.Second)
	_, err = r.BeginRelease(t.Context(), yearly())
	refused(t, err, "demo-2 is a yearly revision")
	c.add(time.Second)
	r.approve(t, r.finished(t, yearly()))
}

// A number is used once: noise is drawn by it, and two builds of one number would
// differ exactly by their counts.
func TestNumbersAreNeverUsedAgain(t *testing.T) {
	r, _ := start(t)
	for i := range 4 {
		rel, err := r.BeginRelease(t.Context(), r.next(t, "demo"))
		if err != nil || rel.Number != i+1 || rel.ID != gateway.ReleaseID(fmt.Sprintf("demo-%d", i+1)) {
			t.Fatal(rel, err)
		}
		switch i {
		case 0, 1:
			err = r.FailRelease(t.Context(), rel.ID, ledger.Failed, nil)
		default:
			err = r.FinishRelease(t.Context(), rel.ID, finished)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if err := r.WithdrawRelease(t.Context(), rel.ID, officer, "not this one"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What was withdrawn says from when to when it counted, and for which days.
func TestWithdrawals(t *testing.T) {
	r, _ := start(t)
	gone := r.publish(t, intent("police-a", "key-1", "x"))
	r.publish(t, intent("police-a", "key-2", "y"))
	if all, err := r.Withdrawals(t.Context()); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	published, err := r.Published(t.Context(), 1<<62)
	if err != nil || len(published) != 2 || published[0].ID != gone {
		t.Fatal(published, err)
	}
	for range 2 {
		if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", gone); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Withdrawals(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	w := all[0]
	if w.Committed != published[0].Seq || w.Withdrawn <= published[1].Seq ||
		w.Manifest.PeriodFrom != day("2025-01-01") || w.Manifest.PeriodTo != day("2025-03-31") {
		t.Fatalf("%+v, committed at %d", w, published[0].Seq)
	}
}

// A withdrawal stops the approval of what was built before it, where its period touches
// the window; a window that is not told is touched by all.
func TestApproveWhatWasWithdrawnFrom(t *testing.T) {
	r, _ := start(t)
	build := func(from, to gateway.Day) gateway.ReleaseID {
		t.Helper()
		b := r.next(t, "demo")
		b.First, b.Last = from, to
		var err error
		if b.Snapshot, err = r.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r.finished(t, b)
	}
	early := build(day("2025-01-01"), day("2025-12-31"))
	gone := r.publish(t, intent("police-a", "key-1", "x")) // of the first quarter
	touched := []gateway.ReleaseID{
		build(day("2025-03-31"), day("2025-06-30")), build(day("2024-01-01"), day("2025-01-01")), build(gateway.NoDay, gateway.NoDay),
	}
	beside := build(day("2025-04-01"), day("2025-06-30"))
	if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", gone); err != nil {
		t.Fatal(err)
	}
	for _, id := range touched {
		refused(t, r.ApproveRelease(t.Context(), id, page, officer, ""), "build again")
		r.wantState(t, id, gateway.ReleaseBuilt)
	}
	// What never counted the batch, and what is built after it, is approved.
	r.approve(t, beside)
	r.approve(t, build(day("2025-01-01"), day("2025-03-31")))
	refused(t, r.ApproveRelease(t.Context(), early, page, officer, ""), "newer and approved")
}
