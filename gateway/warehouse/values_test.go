package warehouse_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// number is what a row holds of a value: cost is often empty and goes beyond the
// clamps, score is always there.
func (r row) number(column string) int32 {
	h := subjectKey(r.pid) ^ uint64(r.day)*31 ^ uint64(r.quarter)*17 ^ r.harm*7 ^ uint64(r.kind)*3 ^ uint64(r.sex)
	h ^= h >> 33 * 0x9E3779B97F4A7C15
	switch {
	case column == "score":
		return int32(h >> 7 % 40)
	case h%4 == 0:
		return -1
	}
	return int32(h >> 9 % 30)
}

// numbered gives police, with its sets of codes, and health fields of integers.
func numbered(t *testing.T) []*gateway.Contract {
	t.Helper()
	contracts := worldContracts(t)
	for _, c := range contracts[:2] {
		c.Fields = append(c.Fields,
			gateway.Field{Name: "cost", Type: gateway.TypeInteger, Column: "cost", Max: 1000},
			gateway.Field{Name: "score", Type: gateway.TypeInteger, Column: "score", Max: 1000, Required: true})
	}
	return contracts
}

// withValues measures every kind of number in the cubes of events that name sectors.
func withValues() *gateway.Definition {
	d := worldDefinition()
	for _, v := range []gateway.Value{
		{ID: "spent", Sector: "police", Column: "cost", PerChild: gateway.PerChildSum, Min: 1, Max: 60},
		{ID: "scored", Sector: "health", Column: "score", PerChild: gateway.PerChildMean, Min: 3, Max: 35},
		{ID: "last", Sector: "police", Column: "score", PerChild: gateway.PerChildLatest, Max: 30},
		{ID: "paid", Sector: "health", Column: "cost", PerChild: gateway.PerChildSum, Max: 1000},
	} {
		v.Precision = 1000 * v.Max
		d.Values = append(d.Values, v)
	}
	d.Cubes[1].Values = []string{"spent", "scored", "last", "paid"}
	d.Cubes[3].Values = []string{"last", "paid"}
	return d
}

// summed adds values up in plain Go, from disclosure.md 2.7.
func summed(d *gateway.Definition, rows []row, contracts []*gateway.Contract) map[string]disclosure.Sum {
	events := map[string]map[[16]byte][]row{} // value and label → child → events
	byChild := map[[16]byte][]row{}
	for _, r := range rows {
		if r.region == regions+1 {
			r.region = regions
		}
		if r.pid != [16]byte{} && r.quarter >= from && r.quarter <= to {
			byChild[r.pid] = append(byChild[r.pid], r)
		}
	}
	for pid, own := range byChild {
		attributes := attributesOf(own, worldCoverage(), contracts)
		for _, a := range d.AdmittedSets() {
			for _, id := range a.Values {
				for _, r := range own {
					if contracts[r.contract].ID != d.Value(id).Sector {
						continue
					}
					for _, label := range labelsOf(d, a.Set, attributes, r, contracts) {
						key := id + " " + label
						if events[key] == nil {
							events[key] = map[[16]byte][]row{}
						}
						events[key][pid] = append(events[key][pid], r)
					}
				}
			}
		}
	}
	sums := map[string]disclosure.Sum{}
	for key, children := range events {
		id, _, _ := strings.Cut(key, " ")
		v := d.Value(id)
		var zs []uint64
		s := disclosure.Sum{}
		for _, own := range children {
			z := uint64(min(max(numberOf(v, own), v.Min), v.Max))
			zs = append(zs, z)
			s.Sum += z
			s.Children++
		}
		slices.Sort(zs)
		slices.Reverse(zs)
		copy(s.Top[:], zs)
		sums[key] = s
	}
	return sums
}

func numberOf(v *gateway.Value, own []row) int64 {
	sum, n := int64(0), int64(0)
	latest := own[0]
	for _, r := range own {
		if x := r.number(v.Column); x >= 0 {
			sum += int64(x)
			n++
		}
		a, b := []int64{int64(r.quarter), int64(r.day), int64(r.number(v.Column))}, []int64{int64(latest.quarter), int64(latest.day), int64(latest.number(v.Column))}
		if slices.Compare(a, b) > 0 {
			latest = r
		}
	}
	switch v.PerChild {
	case gateway.PerChildMean:
		return (2*sum + n) / (2 * max(1, n))
	case gateway.PerChildLatest:
		return int64(latest.number(v.Column))
	case gateway.PerChildSum:
	}
	return sum
}

// Every value in every cell that carries it is what plain Go adds up, over columns
// with sets of codes, children's attributes and pairs, in words of 32 and 64 bits;
// and the counts are what they are without values.
func TestValuesAgree(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 77))
			rows := world(rng, 120, 1200)
			contracts, d := numbered(t), withValues()
			if seed == 1 { // events in words of 64 bits
				for i := range 3 {
					pad := d.Dimensions[7+i]
					pad.Name, pad.Levels, pad.Nodes = fmt.Sprint("pad", i), []string{"x"}, leaves("pad", 0, 5000, root)
					d.Dimensions = slices.Insert(d.Dimensions, i, pad)
				}
			}
			w, name := open(t)
			store(t, w, contracts, rows, world(rng, 120, 100))
			b := warehouse.Build{
				Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
				Coverage: worldCoverage(), RecordCap: 3,
			}
			raw, err := w.Count(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			want, got, counts := summed(d, rows, contracts), map[string]disclosure.Sum{}, cells{}
			for label := range labels(d) {
				if n, ok := raw.Count(t, label); ok {
					counts[label] = n
				}
				for _, v := range d.Values {
					if s, ok := raw.Sum(t, label, v.ID); ok {
						got[v.ID+" "+label] = s
					}
				}
			}
			compare(t, "Count", truth(d, rows, worldCoverage(), contracts, 3), counts)
			wrong := 0
			for key, s := range want {
				if diff := cmp.Diff(s, got[key]); diff != "" {
					if wrong++; wrong < 6 {
						t.Errorf("%s (-want +got):\n%s", key, diff)
					}
				}
			}
			if wrong > 0 || len(got) != len(want) || len(want) < 500 {
				t.Errorf("%d of %d sums are wrong, %d were added up", wrong, len(want), len(got))
			}
			noTables(t, name)
		})
	}
}

// A value that contracts cannot give is refused before anything is counted.
func TestValuesOfNothingAreRefused(t *testing.T) {
	w, _ := open(t)
	for name, spoil := range map[string]func(v *gateway.Value, f *gateway.Field){
		"no contract":           func(v *gateway.Value, _ *gateway.Field) { v.Sector = "court" },
		"no such column":        func(v *gateway.Value, _ *gateway.Field) { v.Column = "price" },
		"a date":                func(v *gateway.Value, _ *gateway.Field) { v.Column = "day" },
		"no column":             func(v *gateway.Value, _ *gateway.Field) { v.Column = "" },
		"mean of what may lack": func(v *gateway.Value, _ *gateway.Field) { v.PerChild = gateway.PerChildMean },
		"large numbers":         func(_ *gateway.Value, f *gateway.Field) { f.Max = gateway.MaxValue + 1 },
		"large clamp":           func(v *gateway.Value, _ *gateway.Field) { v.Max = gateway.MaxValue + 1 },
	} {
		contracts, d := numbered(t), withValues()
		spoil(&d.Values[0], contracts[0].Field("cost"))
		_, err := w.Count(t.Context(), warehouse.Build{
			Definition: d, Release: "test-1", Contracts: contracts, SubjectKey: subjectKey, Coverage: worldCoverage(), RecordCap: 3,
		})
		if !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
