package registry

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

const tenth = 100_000_000 // rho 0.1 in billionths

func (r *Registry) begin(t *testing.T, rho, yearly int64) (gateway.Release, error) {
	t.Helper()
	b := r.next(t, "demo")
	b.Spending = &Spending{Rho: rho, Yearly: yearly}
	return r.BeginRelease(t.Context(), b)
}

func (r *Registry) spent(t *testing.T, year int) Spent {
	t.Helper()
	s, err := r.PrivacySpent(t.Context(), "demo", year)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a release costs is spent with its intent, whatever becomes of it;
// the budget of a year is never exceeded, and no definition raises it within the year.
func TestPrivacyBudget(t *testing.T) {
	r, clock, options := privacyRegistry(t)
	year := clock.now().UTC().Year()
	rel, err := r.begin(t, tenth, 3*tenth)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.spent(t, year); s != (Spent{tenth, tenth}) {
		t.Fatalf("at the intent %+v is spent", s)
	}
	err = r.FailRelease(t.Context(), rel.ID, ledger.Failed, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.spent(t, year); s != (Spent{tenth, tenth}) {
		t.Fatalf("after a failure %+v is spent", s)
	}
	for range 2 {
		rel, err = r.begin(t, tenth, 3*tenth)
		if err != nil {
			t.Fatal(err)
		}
		err = r.FinishRelease(t.Context(), rel.ID, finished)
		if err != nil {
			t.Fatal(err)
		}
		err = r.WithdrawRelease(t.Context(), rel.ID, steward, "seen by the officer")
		if err != nil {
			t.Fatal(err)
		}
	}
	size, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.begin(t, 1, 9*tenth)
	if !errors.Is(err, gateway.Conflict) || !strings.Contains(err.Error(), "rho 0.000000001, and 0.000000000 of 0.300000000 is left") {
		t.Fatalf("a budget that was raised within the year: %v", err)
	}
	after, err := r.Size(t.Context())
	if err != nil || after != size {
		t.Fatalf("a refused build left %d leaves: %v", after-size, err)
	}
	for _, change := range []string{`DELETE FROM privacy`, `UPDATE privacy SET rho = 1`} {
		if _, err := r.write.ExecContext(t.Context(), change); err == nil {
			t.Errorf("%s: what was spent is not there any more", change)
		}
	}
	err = r.Close()
	if err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, options)
	defer r.Close()
	if s := r.spent(t, year); s != (Spent{3 * tenth, 3 * tenth}) {
		t.Fatalf("after a restart %+v is spent", s)
	}
	clock.add(366 * 24 * time.Hour)
	_, err = r.begin(t, tenth, tenth)
	if err != nil {
		t.Fatalf("in the next year: %v", err)
	}
	if s := r.spent(t, year+1); s != (Spent{tenth, 4 * tenth}) {
		t.Fatalf("in the next year %+v is spent", s)
	}
}

// A build that a crash interrupts has spent: its noisy cells may be stored, so the next
// start records it as failed and gives nothing back.
func TestPrivacySpentAcrossACrash(t *testing.T) {
	r, clock, options := privacyRegistry(t)
	_, err := r.begin(t, tenth, tenth)
	if err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, options) // the first is left as a killed process leaves it
	if s := other.spent(t, clock.now().UTC().Year()); s != (Spent{tenth, tenth}) {
		t.Fatalf("%+v is spent on a build that failed", s)
	}
	defer other.Close()
	_, err = other.begin(t, tenth, tenth)
	refused(t, err, "0.000000000 of 0.100000000 is left")
	clock.add(366 * 24 * time.Hour)
	rel, err := other.begin(t, tenth, tenth)
	if err != nil || rel.Number != 2 {
		t.Fatalf("the next year's build: %+v, %v", rel, err)
	}
}

// privacyRegistry is a registry that a test may close and open again.
func privacyRegistry(t *testing.T) (*Registry, *clock, Options) {
	t.Helper()
	c := newClock()
	options := c.options(t)
	r := mustOpen(t, options)
	t.Cleanup(func() { _ = r.Close() })
	return r, c, options
}
