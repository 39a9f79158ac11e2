package risk

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// reference is the file of published numbers: sdcMicro's test_freqCalc.R and
// test_ldiversity.R, ARX's TestRiskMetrics.java (see "source" in it).
type reference struct {
	Sdcmicro struct {
		A, B, C []int
		Fk      []int `json:"fk"`
		Uniques int   `json:"n1_uniques"`
		Twos    int   `json:"n2"`
	}
	Missing struct {
		C  []*int
		Fk []int `json:"fk"`
		N1 int
		N2 int
	} `json:"sdcmicro_missing"`
	Diversity struct {
		Sex        []string
		Occupation []*string
		Sensitive  []int
		Distinct   []int `json:"distinct_l"`
	} `json:"ldiversity"`
	Arx struct {
		Rows    [][]string
		Before  float64 `json:"average_risk_before"`
		After   float64 `json:"average_risk_after"`
		Highest float64 `json:"highest_after"`
	}
}

func readReference(t *testing.T) (r reference) {
	t.Helper()
	text, err := os.ReadFile("testdata/20_kanonymity_risk.json")
	if err != nil {
		t.Fatal(err)
	}
	// Go reads names without regard to case, and the file has fk and Fk.
	var raw map[string]map[string]json.RawMessage
	var loose map[string]json.RawMessage
	if err := json.Unmarshal(text, &loose); err != nil {
		t.Fatal(err)
	}
	raw = map[string]map[string]json.RawMessage{}
	for name, part := range loose {
		var fields map[string]json.RawMessage
		if json.Unmarshal(part, &fields) != nil {
			continue
		}
		delete(fields, "Fk")
		raw[name] = fields
	}
	text, err = json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// single makes a tally of records, each a child of its own, with one sensitive
// column, and returns it with the table of all columns.
func single(t *testing.T, records [][]int, sensitive []int) (*Tally, *tabled) {
	t.Helper()
	var quasi []Column
	for i := range records[0] {
		most := 0
		for _, r := range records {
			most = max(most, r[i])
		}
		quasi = append(quasi, Column{Name: strconv.Itoa(i), Size: most + 1})
	}
	var doubt []Column
	if sensitive != nil {
		doubt = []Column{{Name: "s", Size: slices.Max(sensitive) + 1}}
	}
	tally := NewTally("test", quasi, doubt)
	for i, r := range records {
		var s []int
		if sensitive != nil {
			s = sensitive[i : i+1]
		}
		tally.Add(r, s, 1)
	}
	tally.count()
	return tally, tally.sets[len(tally.sets)-1] // of most columns
}

// sizesOf are the class sizes of records.
func sizesOf(s *tabled, records [][]int) []int {
	sizes := slices.Clone(s.counts)
	matching(sizes, s.sizes)
	var list []int
	for _, r := range records {
		at := 0
		for i, v := range r {
			at = at*s.sizes[i] + v
		}
		list = append(list, int(sizes[at]))
	}
	return list
}

func count(list []int, n int) int {
	times := 0
	for _, v := range list {
		if v == n {
			times++
		}
	}
	return times
}

func TestFrequenciesOfSdcMicro(t *testing.T) {
	ref := readReference(t)
	var full, gaps [][]int
	for i := range ref.Sdcmicro.A {
		full = append(full, []int{ref.Sdcmicro.A[i], ref.Sdcmicro.B[i], ref.Sdcmicro.C[i]})
		c := 0
		if ref.Missing.C[i] != nil {
			c = *ref.Missing.C[i]
		}
		gaps = append(gaps, []int{ref.Sdcmicro.A[i], ref.Sdcmicro.B[i], c})
	}
	tally, s := single(t, full, nil)
	got := sizesOf(s, full)
	if diff := cmp.Diff(ref.Sdcmicro.Fk, got); diff != "" {
		t.Error(diff)
	}
	c := tally.census(s.counts, s.sizes)
	if c.single != ref.Sdcmicro.Uniques || count(got, 2) != ref.Sdcmicro.Twos || c.below3 != ref.Sdcmicro.Uniques+ref.Sdcmicro.Twos {
		t.Errorf("%+v", c)
	}
	tally, s = single(t, gaps, nil)
	got = sizesOf(s, gaps)
	if diff := cmp.Diff(ref.Missing.Fk, got); diff != "" {
		t.Error(diff)
	}
	if c := tally.census(s.counts, s.sizes); c.single != ref.Missing.N1 || c.below3 != ref.Missing.N1+ref.Missing.N2 {
		t.Errorf("with missing values: %+v", c)
	}
}

func TestDiversityOfSdcMicro(t *testing.T) {
	ref := readReference(t)
	sexes, jobs := []string{"", "f", "m"}, []string{"", "teacher", "nurse"}
	var records [][]int
	for i, sex := range ref.Diversity.Sex {
		job := ""
		if ref.Diversity.Occupation[i] != nil {
			job = *ref.Diversity.Occupation[i]
		}
		records = append(records, []int{slices.Index(sexes, sex), slices.Index(jobs, job)})
	}
	_, s := single(t, records, ref.Diversity.Sensitive)
	var got []int
	for _, r := range records {
		at := r[0]*s.sizes[1] + r[1]
		distinct, entropy := diversity(s.doubt[0][at*3 : (at+1)*3])
		if entropy > float64(distinct)+1e-9 || entropy < 1 {
			t.Errorf("entropy l %g of %d values", entropy, distinct)
		}
		got = append(got, distinct)
	}
	if diff := cmp.Diff(ref.Diversity.Distinct, got); diff != "" {
		t.Error(diff)
	}
	if _, l := diversity([]uint32{5, 5, 0, 5, 5}); math.Abs(l-4) > 1e-12 {
		t.Errorf("four equally frequent values have an entropy l of %g", l)
	}
}

// ARX's average risk is our expected share of right guesses: before, every record is
// alone; with ages below and from 50, any sex and three digits of the postcode, three
// classes hold seven.
func TestRisksOfARX(t *testing.T) {
	ref := readReference(t)
	code := func(rows [][]string, of func(column int, v string) string) [][]int {
		var records [][]int
		seen := []map[string]int{{}, {}, {}}
		for _, row := range rows {
			var r []int
			for i, v := range row {
				v = of(i, v)
				if seen[i][v] == 0 {
					seen[i][v] = len(seen[i]) + 1
				}
				r = append(r, seen[i][v])
			}
			records = append(records, r)
		}
		return records
	}
	average := func(records [][]int) (float64, float64) {
		tally, s := single(t, records, nil)
		c := tally.census(s.counts, s.sizes)
		return c.reidentif / float64(c.children), 1 / float64(c.smallest)
	}
	before, _ := average(code(ref.Arx.Rows, func(_ int, v string) string { return v }))
	after, highest := average(code(ref.Arx.Rows, func(column int, v string) string {
		switch {
		case column == 0 && v <= "50":
			return "<50"
		case column == 0:
			return ">=50"
		case column == 1:
			return "*"
		}
		return v[:3] + "**"
	}))
	if before != ref.Arx.Before || math.Abs(after-ref.Arx.After) > 1e-15 || highest != ref.Arx.Highest {
		t.Errorf("average risk before %g, after %g, highest %g", before, after, highest)
	}
}

// Class sizes by the definition: how many records agree wherever both have a value.
func TestMatchingByDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var records [][]int
		for range 1 + r.IntN(40) {
			records = append(records, []int{r.IntN(3), r.IntN(4), r.IntN(3)})
		}
		_, s := single(t, records, nil)
		if len(s.columns) != 3 {
			t.Fatal(s.columns)
		}
		got := sizesOf(s, records)
		for i, a := range records {
			want := 0
			for _, b := range records {
				agree := true
				for j := range a {
					agree = agree && (a[j] == b[j] || a[j] == 0 || b[j] == 0)
				}
				if agree {
					want++
				}
			}
			if got[i] != want {
				t.Fatalf("class of %v is %d, by definition %d", a, got[i], want)
			}
		}
	}
}

// town is a contract of n children in which one column is a trap.
func town(n int) *Tally {
	quarters := make([]int, 13)
	for i := 1; i < 13; i++ {
		quarters[i] = (i-1)/4 + 1
	}
	t := NewTally("town", []Column{
		{Name: "sex", Size: 3},
		{Name: "quarter", Size: 13, Coarser: []Coarsening{{"its year", quarters}}},
	}, []Column{{Name: "harm", Size: 3}})
	for i := range n {
		t.Add([]int{1 + i%2, 1 + i%12}, []int{1 + i%2}, 1)
	}
	return t
}

func TestAdvice(t *testing.T) {
	rows := town(96 * 5).Rows(gateway.Text{}) // 40 a quarter, all of a quarter of one sex
	for _, s := range rows.Sets {
		if s.Below10 != 0 || s.Advice != nil {
			t.Errorf("%v: %+v", s.Columns, s)
		}
	}
	rows = town(216).Rows(gateway.Text{}) // 18 a quarter
	if rows.Sets[0].Below10 != 0 {
		t.Fatal(rows.Sets[0])
	}
	few := NewTally("town", town(0).quasi, nil)
	for i := range 240 {
		few.Add([]int{1 + i%2, 1 + i/2%12}, nil, 1) // 10 a sex and quarter
	}
	few.Add([]int{1, 1}, nil, 1)
	for q := 1; q <= 12; q++ {
		few.Add([]int{2, q}, nil, 0)
	}
	if got := few.Rows(gateway.Text{}).Sets[0]; got.Below10 != 0 || got.Smallest != From10 {
		t.Errorf("classes of 10 are %+v", got)
	}
	nine := NewTally("town", town(0).quasi, nil)
	for i := range 216 {
		nine.Add([]int{1 + i%2, 1 + i/2%12}, nil, 1) // 9 a sex and quarter
	}
	got := nine.Rows(gateway.Text{}).Sets[0]
	want := &Advice{"quarter", "its year", 0}
	if got.Below10 != 100 || got.Single != 0 || got.Smallest != Below10 || got.Guessed != 10 {
		t.Errorf("classes of 9 are %+v", got)
	}
	if diff := cmp.Diff(want, got.Advice); diff != "" {
		t.Error(diff)
	}
}

// A class that shares one value gives it away, however large it is.
func TestDoubt(t *testing.T) {
	rows := town(480).Rows(gateway.Text{})
	for _, s := range rows.Sets {
		if s.Doubt == nil || s.Doubt.Same != 100 || s.Doubt.Clear != 100 || s.Doubt.Least != Below3 {
			t.Errorf("%v: %+v", s.Columns, s.Doubt)
		}
	}
}

// Nothing is told of fewer than 200 children, and every share is in steps of 5 %:
// one child more or less never shows as itself.
func TestFewChildren(t *testing.T) {
	rows := town(MinChildren - 1).Rows(gateway.Text{})
	if rows.Told || rows.Sets != nil || rows.Together != nil || rows.Columns != nil {
		t.Errorf("of 199 children %+v is told", rows)
	}
	for part := range 400 {
		if got := step(float64(part), 399); got%5 != 0 || math.Abs(float64(got)-float64(part)/3.99) > 2.5+1e-9 {
			t.Fatalf("%d of 399 is %d %%", part, got)
		}
	}
}

// What is too long to count is left out by the code lists alone.
func TestLongLists(t *testing.T) {
	tally := NewTally("long", []Column{{Name: "a", Size: 3000}, {Name: "b", Size: 3000}, {Name: "c", Size: 2}}, []Column{{Name: "s", Size: 1500}})
	if tally.left != 2 || len(tally.sets) != 5 {
		t.Fatalf("%d sets, %d left out", len(tally.sets), tally.left)
	}
	for i := range 300 {
		tally.Add([]int{1 + i, 1 + i, i % 2}, []int{i}, 1)
	}
	rows := tally.Rows(gateway.Text{})
	if rows.Left != 2 || rows.Sets[0].Single != 100 || rows.Together == nil || rows.Together.Single != 100 {
		t.Fatalf("%+v", rows.Sets[0])
	}
	for _, s := range rows.Sets {
		if s.Doubt != nil && slices.Contains(s.Columns, "a") {
			t.Errorf("%v: a table of %d numbers was kept", s.Columns, 3000*1500)
		}
	}
}

// However many and long the code lists, tables take no more than their room.
func TestRoom(t *testing.T) {
	var quasi, sensitive []Column
	for i := range 12 {
		quasi = append(quasi, Column{Name: strconv.Itoa(i), Size: 250})
	}
	for i := range 10 {
		sensitive = append(sensitive, Column{Name: strconv.Itoa(i), Size: 65})
	}
	tally := NewTally("large", quasi, sensitive)
	numbers := 0
	for _, s := range tally.sets {
		numbers += len(s.counts)
		for _, d := range s.doubt {
			numbers += len(d)
		}
	}
	if numbers > maxNumbers || numbers+tally.room != maxNumbers || tally.left == 0 || len(tally.sets) < 12 {
		t.Errorf("%d numbers in %d sets, %d left out", numbers, len(tally.sets), tally.left)
	}
}

// BenchmarkTally is a contract of nine quasi-identifiers and eight sensitive columns,
// in which nearly every child has a combination of its own.
func BenchmarkTally(b *testing.B) {
	var quasi, sensitive []Column
	for _, size := range []int{5, 4, 4, 22, 3, 13, 22, 6, 6} {
		quasi = append(quasi, Column{Name: strconv.Itoa(len(quasi)), Size: size})
	}
	for range 8 {
		sensitive = append(sensitive, Column{Name: strconv.Itoa(len(sensitive)), Size: 20})
	}
	const children = 100_000
	r := rand.New(rand.NewPCG(3, 4))
	q, s := make([]int, len(quasi)), make([]int, len(sensitive))
	for b.Loop() {
		t := NewTally("bench", quasi, sensitive)
		for range children {
			for i := range q {
				q[i] = r.IntN(quasi[i].Size)
			}
			for i := range s {
				s[i] = r.IntN(20)
			}
			t.Add(q, s, 1)
		}
		t.Rows(gateway.Text{})
	}
	b.ReportMetric(children*float64(b.N)/b.Elapsed().Seconds(), "children/s")
}
