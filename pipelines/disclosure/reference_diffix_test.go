package disclosure

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// diffix is 18_diffix.json without its flattened count, which
// TestDiffixFlattening has.
type diffix struct {
	MultiAID struct {
		Rows     string
		Expected int64
	} `json:"multi_aid"`
	LowCount struct {
		Cities    map[string]int
		Threshold int
		Expected  map[string]int
		Total     int
		CountCity int `json:"count_city"`
		Distinct  int `json:"count_distinct_city"`
	} `json:"low_count_noiseless"`
	Star struct {
		BasePlus []string `json:"base_plus"`
		Expected int      `json:"expected_star"`
	} `json:"star_bucket"`
	Histogram struct {
		RowsPerAID []int `json:"rows_per_aid"`
		Threshold  int
		Expected   [][2]*int
		Binned5    [][2]int
	} `json:"count_histogram"`
}

// lowCount is Diffix's suppression without noise: buckets of fewer subjects than the
// threshold go to the star bucket, which is there if it holds two of them and is not
// low itself.
func lowCount[K comparable](buckets map[K]int, threshold int) (kept map[K]int, star int) {
	kept = maps.Clone(buckets)
	suppressed := 0
	for key, n := range buckets {
		if n < threshold {
			delete(kept, key)
			suppressed, star = suppressed+1, star+n
		}
	}
	if suppressed < 2 || star < threshold {
		star = 0
	}
	return kept, star
}

// Diffix's hard, known threshold and star bucket give the numbers of its tests. The star
// bucket depends on which buckets are low: here "other" is fixed by the code list
// (disclosure.md 2.4 rule 8), the threshold is secret, and none of these cells is shown.
func TestDiffixLowCounts(t *testing.T) {
	var ref diffix
	readJSON(t, "testdata/18_diffix.json", &ref)
	low := ref.LowCount
	kept, star := lowCount(low.Cities, low.Threshold)
	kept["*"] = star
	if !maps.Equal(kept, low.Expected) {
		t.Errorf("cities %v, Diffix has %v", kept, low.Expected)
	}
	sum := 0
	for _, n := range low.Cities {
		sum += n
	}
	if sum != low.Total || sum-low.Cities["NULL"] != low.CountCity || len(kept)-1 != low.Distinct {
		t.Errorf("%d rows, %d with a city, %d cities; Diffix has %d, %d and %d", sum, sum-low.Cities["NULL"], len(kept)-1, low.Total, low.CountCity, low.Distinct)
	}

	// Three people, each in a bucket of their own, beside buckets that are kept.
	alone := map[string]int{"math": 9}
	for _, row := range ref.Star.BasePlus {
		alone[row]++
	}
	if _, star := lowCount(alone, 2); star != ref.Star.Expected {
		t.Errorf("the star bucket has %d, Diffix's %d", star, ref.Star.Expected)
	}
	if _, star := lowCount(map[string]int{"a": 9, "b": 1}, 2); star != 0 {
		t.Errorf("a star bucket of one bucket has %d", star)
	}

	var ns []int
	for _, city := range slices.Sorted(maps.Keys(low.Cities)) {
		ns = append(ns, low.Cities[city])
	}
	for key := range 20 {
		p := oneWay(t, append(ns, 300, 400)...)
		p.rerun(t, key, 1)
		for c := range ns {
			if p.states[p.l.byKey["a@a"].index][c] == shown {
				t.Fatalf("key %d: a city of %d is shown", key, ns[c])
			}
		}
	}
}

// Diffix's histogram of rows a subject: low bars are merged, in bins of five too. A
// histogram of record counts is not to be had here at all: numbers enter as registered
// bands, and its bars would be hidden.
func TestDiffixHistogram(t *testing.T) {
	var ref diffix
	readJSON(t, "testdata/18_diffix.json", &ref)
	h := ref.Histogram
	bars, bins := map[int]int{}, map[int]int{}
	for _, rows := range h.RowsPerAID {
		bars[rows]++
		bins[rows/5*5]++
	}
	kept, star := lowCount(bars, h.Threshold)
	for _, want := range h.Expected {
		got := star
		if want[0] != nil {
			got = kept[*want[0]]
		}
		if got != *want[1] {
			t.Errorf("bar %v has %d, Diffix has %d", want[0], got, *want[1])
		}
	}
	if len(kept) != len(h.Expected)-1 {
		t.Errorf("bars %v, Diffix has %d", kept, len(h.Expected)-1)
	}
	kept, star = lowCount(bins, h.Threshold)
	for _, want := range h.Binned5 {
		if kept[want[0]] != want[1] {
			t.Errorf("bin %d has %d, Diffix has %d", want[0], kept[want[0]], want[1])
		}
	}
	if len(kept) != len(h.Binned5) || star != 0 {
		t.Errorf("bins %v and a star of %d, Diffix has %v", kept, star, h.Binned5)
	}
	law, err := newLaw(lawful())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range bars {
		if !law.small(int64(n), nil) { // below 10 nothing is drawn
			t.Errorf("a bar of %d subjects would be shown", n)
		}
	}
}

// Two kinds of subjects in one table: what is flattened most decides. Fifteen rows of
// fifteen subjects of the first kind, of the second one with eleven rows and four with
// one: ten rows go. A cell here has one kind of subject, the child; how much the units
// that report it dominate is rule 2.
func TestDiffixTwoKindsOfSubjects(t *testing.T) {
	var ref diffix
	readJSON(t, "testdata/18_diffix.json", &ref)
	first := make([]int64, 15)
	for i := range first {
		first[i] = 1
	}
	second := []int64{0, 1, 1, 1, 1}
	_, eleven, _ := strings.Cut(ref.MultiAID.Rows, "Alpha x")
	n, err := strconv.Atoi(eleven[:2])
	if err != nil {
		t.Fatal(err)
	}
	second[0] = int64(n)
	if got := min(tallyOf(first).flatten(1, 1, 0), tallyOf(second).flatten(1, 1, 0)); got != ref.MultiAID.Expected {
		t.Errorf("flattened to %d, Diffix has %d", got, ref.MultiAID.Expected)
	}
}
