package warehouse_test

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// firsts are the combinations of a contract by plain Go: one row a child, its
// earliest of the window.
func firsts(rows []row, contract int, of func(r row) (quasi, sensitive []int)) map[string]int {
	first := map[[16]byte]row{}
	for _, r := range rows {
		if r.contract != contract || r.pid == [16]byte{} || r.quarter < from || r.quarter > to {
			continue
		}
		have, known := first[r.pid]
		if !known || have.day == gateway.NoDay || r.day != gateway.NoDay && r.day < have.day {
			first[r.pid] = r
		}
	}
	counts := map[string]int{}
	for _, r := range first {
		quasi, sensitive := of(r)
		counts[fmt.Sprint(quasi, sensitive)]++
	}
	return counts
}

func TestCombinations(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			w, _ := open(t)
			rng := rand.New(rand.NewPCG(seed, 5))
			rows := world(rng, 150, 1500)
			unscheduled := map[[16]byte]bool{}
			for i := range rows { // no two of a day, and one a child without a day
				if rows[i].day == gateway.NoDay && !unscheduled[rows[i].pid] {
					unscheduled[rows[i].pid] = true
					continue
				}
				rows[i].day = gateway.Day(20000 + (i*7919)%1500)
			}
			contracts := worldContracts(t)
			store(t, w, contracts, rows, world(rng, 150, 300))
			for contract, columns := range [][]warehouse.Values{
				{{Column: "harm", Size: harms + 1, Set: true}},
				{{Column: "harm", Size: 3, Map: []int{0, 1, 1, 1, 2, 2, 2}}},
			} {
				got, total := map[string]int{}, 0
				err := w.Children(t.Context(), warehouse.Combinations{
					Contract: contracts[contract].ID, Snapshot: warehouse.Snapshot{Seq: 500}, From: from, To: to, Sensitive: columns,
					Quasi: []warehouse.Values{
						{Column: gateway.ColumnRegion, Size: regions + 2},
						{Column: gateway.ColumnSex, Size: 2},
						{Column: gateway.ColumnQuarter, Size: int(to-from) + 2, From: int(from)},
					},
				}, func(quasi, sensitive []int, n int) error {
					got[fmt.Sprint(quasi, sensitive)] += n
					total += n
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				want := firsts(rows, contract, func(r row) ([]int, []int) {
					sex, harm := int(r.sex), 0
					if sex > 1 {
						sex = 0 // beyond the size
					}
					switch {
					case contract == 0 && r.harm != 0:
						harm = bits.TrailingZeros64(r.harm) + 1
					case contract == 1:
						harm = columns[0].Map[r.harm]
					}
					return []int{int(r.region), sex, int(r.quarter-from) + 1}, []int{harm}
				})
				if diff := cmp.Diff(want, got); diff != "" || total < 80 {
					t.Errorf("%s: %d children\n%s", contracts[contract].ID, total, diff)
				}
			}
		})
	}
}

// What does not fit one word, and names that are none, never reach the server.
func TestCombinationsRefused(t *testing.T) {
	w, _ := open(t)
	contracts := worldContracts(t)
	prepare(t, w, contracts...)
	each := func([]int, []int, int) error { return errors.New("nothing is there") }
	for _, c := range []warehouse.Combinations{
		{Contract: "Police'"},
		{Contract: "police", Quasi: []warehouse.Values{{Column: "sex`", Size: 3}}},
		{Contract: "police", Quasi: []warehouse.Values{{Column: "sex"}}},
		{Contract: "police", Sensitive: []warehouse.Values{{Column: "sex", Size: 1 << 31}, {Column: "region", Size: 1 << 31}}},
	} {
		if err := w.Children(t.Context(), c, each); err == nil {
			t.Errorf("%+v was asked", c)
		}
	}
	if err := w.Children(t.Context(), warehouse.Combinations{Contract: "police", From: from, To: to}, each); err != nil {
		t.Error(err)
	}
}

// BenchmarkCombinations streams the first records of each contract of a million
// events, by region, age, sex and quarter.
func BenchmarkCombinations(b *testing.B) {
	w, name := open(b)
	build := benchWorld(b, w, name)
	for b.Loop() {
		start, combinations := time.Now(), 0
		for _, c := range build.Contracts {
			err := w.Children(b.Context(), warehouse.Combinations{
				Contract: c.ID, Snapshot: warehouse.Snapshot{Seq: 100}, From: build.Definition.From, To: build.Definition.To,
				Quasi: []warehouse.Values{
					{Column: gateway.ColumnRegion, Size: 21},
					{Column: gateway.ColumnAge, Size: 5},
					{Column: gateway.ColumnSex, Size: 3},
					{Column: gateway.ColumnQuarter, Size: 13, From: int(build.Definition.From)},
				},
			}, func([]int, []int, int) error { combinations++; return nil })
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(combinations), "combinations")
		b.ReportMetric(float64(benchEvents)/time.Since(start).Seconds(), "rows/s")
	}
}
