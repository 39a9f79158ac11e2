package registry

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func (r *Registry) send(t *testing.T, agency gateway.AgencyID, from, to string) gateway.BatchID {
	t.Helper()
	in := intent(agency, fmt.Sprint(agency, from, to), fmt.Sprint(agency, from, to))
	in.Manifest.PeriodFrom, in.Manifest.PeriodTo = day(from), day(to)
	return r.publish(t, in)
}

func (r *Registry) coverage(t *testing.T) map[gateway.ContractID]map[string][]gateway.Quarter {
	t.Helper()
	snapshot, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Coverage(t.Context(), snapshot, quarter("2024Q4"), quarter("2025Q4"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Full
}

// police-a reports for 11 and 61 from 2025Q1, police-b for 61 from 2025Q2, health-a
// for 61 from 2025Q1 to 2025Q2.
func TestCoverage(t *testing.T) {
	r, _ := start(t)
	type full = map[gateway.ContractID]map[string][]gateway.Quarter
	q := func(list ...string) []gateway.Quarter {
		var out []gateway.Quarter
		for _, text := range list {
			out = append(out, quarter(text))
		}
		return out
	}
	step := func(doing string, want full) {
		t.Helper()
		if diff := cmp.Diff(want, r.coverage(t)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", doing, diff)
		}
	}
	step("nothing sent", full{})
	r.send(t, "police-a", "2025-01-01", "2025-02-28")
	step("a month is missing", full{})
	march := r.send(t, "police-a", "2025-03-01", "2025-03-31")
	step("a quarter is whole; police-b was not expected yet", full{"police": {"11": q("2025Q1"), "61": q("2025Q1")}})
	r.send(t, "police-a", "2025-04-01", "2025-09-30")
	step("police-b is awaited in 61", full{"police": {"11": q("2025Q1", "2025Q2", "2025Q3"), "61": q("2025Q1")}})
	r.send(t, "police-b", "2025-06-30", "2025-09-30")
	step("police-b has 2025Q3, and a day of 2025Q2", full{"police": {"11": q("2025Q1", "2025Q2", "2025Q3"), "61": q("2025Q1", "2025Q3")}})
	r.send(t, "police-b", "2025-10-01", "2025-12-31")
	step("police-b has 2025Q4, police-a not", full{"police": {"11": q("2025Q1", "2025Q2", "2025Q3"), "61": q("2025Q1", "2025Q3")}})
	r.send(t, "health-a", "2024-10-01", "2025-12-31")
	step("health-a ends with 2025Q2", full{
		"police": {"11": q("2025Q1", "2025Q2", "2025Q3"), "61": q("2025Q1", "2025Q3")}, "health": {"61": q("2025Q1", "2025Q2")},
	})
	if _, _, err := r.WithdrawBatch(t.Context(), "police-a", "k1", march); err != nil {
		t.Fatal(err)
	}
	step("march is withdrawn", full{
		"police": {"11": q("2025Q2", "2025Q3"), "61": q("2025Q3")}, "health": {"61": q("2025Q1", "2025Q2")},
	})
	c, err := r.Coverage(t.Context(), 0, quarter("2025Q1"), quarter("2025Q4"))
	if err != nil || len(c.Full) != 0 {
		t.Fatalf("before the first batch: %v, %v", c, err)
	}
}

// covers agrees with looking at every day.
func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var periods []gateway.Manifest
		days := map[gateway.Day]bool{}
		for range rapid.IntRange(0, 6).Draw(t, "periods") {
			from := gateway.Day(rapid.IntRange(0, 20).Draw(t, "from"))
			to := from + gateway.Day(rapid.IntRange(0, 10).Draw(t, "length"))
			periods = append(periods, gateway.Manifest{PeriodFrom: from, PeriodTo: to})
			for d := from; d <= to; d++ {
				days[d] = true
			}
		}
		want := true
		for d := gateway.Day(5); d <= 15; d++ {
			want = want && days[d]
		}
		if got := covers(periods, 5, 15); got != want {
			t.Fatalf("covers(%v) = %v", periods, got)
		}
	})
}

func TestAgencies(t *testing.T) {
	r, _ := start(t)
	a := Agency{ID: "police-a", Contract: "police", Title: gateway.Text{EN: "Police A"}, Regions: []string{"75"}, From: quarter("2025Q1")}
	wantKind(t, r.AddAgency(t.Context(), "install", a), gateway.Conflict)
	if err := r.ChangeAgency(t.Context(), "install", a); err != nil {
		t.Fatal(err)
	}
	list, err := r.Agencies(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	if diff := cmp.Diff(a, list[1]); diff != "" {
		t.Fatal(diff)
	}
	a.Contract = "health"
	wantKind(t, r.ChangeAgency(t.Context(), "install", a), gateway.NotFound)
	for _, bad := range []Agency{
		{ID: "Police", Contract: "police", Regions: []string{"75"}, From: 1},
		{ID: "p", Contract: "police", From: 1},
		{ID: "p", Contract: "police", Regions: []string{"75"}},
		{ID: "p", Contract: "police", Regions: []string{"75"}, From: 2, To: 1},
		{ID: "p", Regions: []string{"75"}, From: 2},
	} {
		wantKind(t, r.AddAgency(t.Context(), "install", bad), gateway.Invalid)
	}
	in := intent("police-b", "k", "c")
	in.Contract = "health"
	_, err = r.BeginBatch(t.Context(), in)
	wantKind(t, err, gateway.NotFound)
}
