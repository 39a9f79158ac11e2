package synth

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// fewHearings are two boys and a girl before the courts, worked out by hand: B has 3
// hearings and 9, and an empty field; G one on the same day as another of 4; the
// police's number is no court's.
const fewHearings = `
justice   090715590001 2024-05-01 75 hearings_with_child=3
justice   090715590001 2024-07-02 61 hearings_with_child=9
justice   090715590001 2024-07-03 61
justice   080229690004 2023-03-01 61 hearings_with_child=1
justice   080229690004 2023-03-01 61 hearings_with_child=4
justice   200405590009 2025-12-30 19
police    200405590009 2025-12-30 19
education 200405590009 2025-12-30 19 days_absent_30d=7
`

func TestValuesByHand(t *testing.T) {
	d := definition(t)
	for _, v := range []gateway.Value{
		{ID: "all", Sector: "justice", Column: "hearings_with_child", PerChild: gateway.PerChildSum, Max: 10},
		{ID: "mean", Sector: "justice", Column: "hearings_with_child", PerChild: gateway.PerChildMean, Min: 1, Max: 10},
		{ID: "last", Sector: "justice", Column: "hearings_with_child", PerChild: gateway.PerChildLatest, Max: 10},
		{ID: "days", Sector: "education", Column: "days_absent_30d", PerChild: gateway.PerChildSum, Max: 30},
	} {
		d.Values = append(d.Values, v)
		d.Cubes[1].Values = append(d.Cubes[1].Values, v.ID)
	}
	c := country(t, Options{Children: 1})
	truth, err := newTruth(d, c.Coverage(), c.options.Contracts, handmade(t, fewHearings))
	if err != nil {
		t.Fatal(err)
	}
	got, err := truth.Values(nil)
	if err != nil {
		t.Fatal(err)
	}
	few := map[string]map[string]Total{}
	for id, cells := range got {
		few[id] = map[string]Total{}
		for _, label := range []string{"sector=justice", "sector=justice|sex=M", "event_region=61|sector=justice", "sector=education", "sector=police", ""} {
			if total, ok := cells[label]; ok {
				few[id][label] = total
			}
		}
	}
	want := map[string]map[string]Total{
		"all": { // B 12, clamped; G 5; and a third without any
			"sector=justice":                 {3, 15, [2]int64{10, 5}},
			"sector=justice|sex=M":           {2, 10, [2]int64{10, 0}},
			"event_region=61|sector=justice": {2, 14, [2]int64{9, 5}},
		},
		"mean": { // 6; 2.5 is 3; none, clamped to 1
			"sector=justice":                 {3, 10, [2]int64{6, 3}},
			"sector=justice|sex=M":           {2, 7, [2]int64{6, 1}},
			"event_region=61|sector=justice": {2, 12, [2]int64{9, 3}},
		},
		"last": {
			"sector=justice":                 {3, 13, [2]int64{9, 4}},
			"sector=justice|sex=M":           {2, 9, [2]int64{9, 0}},
			"event_region=61|sector=justice": {2, 13, [2]int64{9, 4}},
		},
		"days": {"sector=education": {1, 7, [2]int64{7, 0}}},
	}
	if diff := cmp.Diff(want, few); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	halved, err := truth.Values(func(_ *gateway.Value, n int64) int64 { return n / 2 })
	if err != nil || halved["all"]["sector=justice"] != (Total{3, 7, [2]int64{5, 2}}) {
		t.Errorf("what is stored of a number is not what counts: %+v (%v)", halved["all"]["sector=justice"], err)
	}
}
