package disclosure

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

// The rounding rules of others (16_rounding_rules.json, plsrounding_*.csv): each is
// written here and gives the numbers of its source. What they have in common is that
// they are functions of the count: whoever knows the rule knows the few counts that
// come out as what is published, for ever, and averages or subtracts from there
// (disclosure.md 2.0: "deterministic rounding is not noise").

// roundings is 16_rounding_rules.json.
type roundings struct {
	EHRQL       [][2]float64 `json:"ehrql_apply_sdc"`
	EHRQLErrors []float64    `json:"ehrql_errors"`
	Midpoint6   [][2]int
	ONS         [][2]int `json:"ons_10_5"` // count, and what is added to it
	ONSLoop     [][2]int `json:"ons_pcv_loop"`
	Base5       map[string]json.RawMessage
	Base3       map[string]map[string]any `json:"random_rounding_base3"`
	Existence   []struct {
		B, K, A  int
		Interval [2]int
	} `json:"existence_intervals"`
	Census     [][2]any     `json:"us_census_counts"`
	CensusSigs [][2]float64 `json:"us_census_4sig"`
}

func readRoundings(t *testing.T) roundings {
	t.Helper()
	var r roundings
	readJSON(t, "testdata/16_rounding_rules.json", &r)
	var more struct {
		Base5 map[string]json.RawMessage `json:"conventional_base5"`
	}
	readJSON(t, "testdata/16_rounding_rules.json", &more)
	r.Base5 = more.Base5
	return r
}

// nearest rounds to a multiple of the base, a tie upward.
func nearest(n, base int) int { return (2*n + base) / (2 * base) * base }

// ehrql is OpenSAFELY's apply_sdc_to_value: 7 and less are 0, the rest go to the
// nearest 5; what is no count is an error.
func ehrql(n float64) (int, error) {
	switch {
	case n < 0 || n != math.Trunc(n):
		return 0, errors.New("not a count")
	case n <= 7:
		return 0, nil
	default:
		return nearest(int(n), 5), nil
	}
}

// midpoint6 is OpenSAFELY's rounding to the middle of each six.
func midpoint6(n int) int { return (n+5)/6*6 - 3*min(n, 1) }

// tenFive is the ONS 10-5 rule: below 10 nothing is left, the rest go to the nearest 5.
func tenFive(n int) int {
	if n < 10 {
		return 0
	}
	return nearest(n, 5)
}

// drb is the rounding of counts that the US Census Bureau's review board asks for.
func drb(n int) string {
	switch {
	case n < 15:
		return "<15"
	case n < 100:
		return strconv.Itoa(nearest(n, 10))
	case n < 1000:
		return strconv.Itoa(nearest(n, 50))
	case n < 10_000:
		return strconv.Itoa(nearest(n, 100))
	case n < 100_000:
		return strconv.Itoa(nearest(n, 500))
	case n < 1_000_000:
		return strconv.Itoa(nearest(n, 1000))
	default:
		return strconv.Itoa(int(significant(float64(n))))
	}
}

// significant rounds to four significant digits.
func significant(x float64) float64 {
	out, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 3, 64), 64)
	return out
}

// The deterministic rules give the numbers that their sources print.
func TestRoundingRulesOfOthers(t *testing.T) {
	ref := readRoundings(t)
	for _, c := range ref.EHRQL {
		if got, err := ehrql(c[0]); err != nil || got != int(c[1]) {
			t.Errorf("ehrQL makes %g of %g, here %d, %v", c[1], c[0], got, err)
		}
	}
	for _, n := range ref.EHRQLErrors {
		if _, err := ehrql(n); err == nil {
			t.Errorf("ehrQL refuses %g", n)
		}
	}
	for _, c := range ref.Midpoint6 {
		if got := midpoint6(c[0]); got != c[1] {
			t.Errorf("midpoint 6 makes %d of %d, here %d", c[1], c[0], got)
		}
	}
	for _, c := range ref.ONS {
		if got := tenFive(c[0]) - c[0]; got != c[1] {
			t.Errorf("the 10-5 rule moves %d by %d, here %d", c[0], c[1], got)
		}
	}
	for _, c := range ref.ONSLoop { // the rows of ONS's table: 750, the last 250 of which repeat
		row := c[0]
		if row > 750 {
			row = 501 + (row-501)%250
		}
		if row != c[1] {
			t.Errorf("ONS looks %d up in row %d, here %d", c[0], c[1], row)
		}
	}
	for _, c := range ref.Census {
		if got := drb(int(c[0].(float64))); got != fmt.Sprint(c[1]) && got != strconv.FormatFloat(asNumber(c[1]), 'f', 0, 64) {
			t.Errorf("drb_rounder makes %v of %v, here %s", c[1], c[0], got)
		}
	}
	for _, c := range ref.CensusSigs {
		if got := significant(c[0]); !near(got, c[1], 1e-9) {
			t.Errorf("drb_rounder makes %g of %g, here %g", c[1], c[0], got)
		}
	}
	cells := 0
	for name, text := range ref.Base5 {
		var row [][2]int
		if json.Unmarshal(text, &row) != nil {
			continue // the note
		}
		for _, c := range row {
			cells++
			if got := nearest(c[0], 5); got != c[1] {
				t.Errorf("Handbook 5.5, row %s: %d is rounded to %d, here %d", name, c[0], c[1], got)
			}
		}
	}
	if cells != 12 {
		t.Errorf("%d cells of the Handbook's table, want 12", cells)
	}
}

func asNumber(v any) float64 {
	f, _ := v.(float64)
	return f
}

// Unbiased random rounding to base 3 (Handbook 5.5) is the row of largest entropy with
// D = 2 and the multiples of 3 as results: Solve has nothing to choose.
func TestRandomRoundingIsAPTable(t *testing.T) {
	fraction := map[string]float64{"2/3": 2.0 / 3, "1/3": 1.0 / 3}
	for text, want := range readRoundings(t).Base3 {
		i := number(t, text)
		// A variance bound that does not bind: the row is fixed by mean and support.
		row, err := Solve(i, PTableParams{D: 2, V: 4, Base: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(row.J) != len(want) {
			t.Errorf("%d becomes one of %v, want %v", i, row.J, want)
		}
		for a, j := range row.J {
			p, ok := want[strconv.Itoa(j)].(float64)
			if !ok {
				p = fraction[fmt.Sprint(want[strconv.Itoa(j)])]
			}
			if !near(row.P[a], p, 1e-9) {
				t.Errorf("%d becomes %d with %.6f, the Handbook has %.6f", i, j, row.P[a], p)
			}
		}
	}
}

// existence lists the counts of a row range that can be published as a value.
func (t *PTables) existence(published int64) (from, to int64) {
	from = -1
	for n := int64(0); n < published+100; n++ {
		if slices.Contains(t.results(n), published) {
			if from < 0 {
				from = n
			}
			to = n
		}
	}
	return from, to
}

// results lists what a count can be published as, before the bottom code.
func (t *PTables) results(n int64) []int64 {
	var js []int64
	for _, one := range t.l1.outcomes(n) {
		for _, two := range t.l2.outcomes(n + one.v) {
			if j := n + one.v + two.v; one.p > 0 && two.p > 0 && !slices.Contains(js, j) {
				js = append(js, j)
			}
		}
	}
	return js
}

// Existence intervals (Handbook 5.5): rounding to base b with a bound K on controlled
// rounding leaves [a-(K+1)b+1, a+(K+1)b-1]; at base 5 nine counts, or nineteen. Of this
// package's values it is 53 counts wide, D1 + D2 to each side.
func TestExistenceIntervals(t *testing.T) {
	ref := readRoundings(t)
	widest := 0
	for _, c := range ref.Existence {
		from, to := max(0, c.A-(c.K+1)*c.B+1), c.A+(c.K+1)*c.B-1
		if [2]int{from, to} != c.Interval {
			t.Errorf("base %d, K %d, published %d: [%d, %d], the Handbook has %v", c.B, c.K, c.A, from, to, c.Interval)
		}
		widest = max(widest, to-from)
	}
	tables := tablesOf(t, 50)
	for _, published := range []int64{50, 75, 400} {
		from, to := tables.existence(published)
		if from != published-26 || to != published+26 || int(to-from) <= widest {
			t.Errorf("%d can be of %d to %d children, want 26 to each side", published, from, to)
		}
	}
}

// The counts of all the rules' examples, protected here: what a rule makes 0 or "<15"
// is hidden here at the least below 10; what a rule shows has one value there and many
// here, with the mean of the count wherever the bottom code is out of reach.
func TestRoundingExamplesAreProtected(t *testing.T) {
	ref := readRoundings(t)
	tables := tablesOf(t, 50)
	counts := map[int]bool{}
	for _, list := range [][][2]int{ref.Midpoint6, ref.ONS, ref.ONSLoop} {
		for _, c := range list {
			counts[c[0]] = true
		}
	}
	for _, c := range ref.Census {
		counts[int(c[0].(float64))] = true
	}
	for n := range counts {
		p := oneWay(t, n, 10_000_000)
		if st := statesOf(p, "a@a")[0]; n < 10 && st != hiddenSmall {
			t.Errorf("%d is not hidden: state %d", n, st)
		}
		if n < 10 {
			continue
		}
		if got := tables.results(int64(n)); len(got) < 6 {
			t.Errorf("%d is published as one of %v", n, got)
		}
		if mean := expected(tables, int64(n), func(j int64) float64 { return float64(j) }); !near(mean, float64(n), 1e-5) {
			t.Errorf("%d is published as %.6f on average", n, mean)
		}
	}
}

// PLSrounding (Langsrud and Heldal; the package's example exPSD, base 5, margins
// published): cells of 1 to 4 become 0 or 5 until no published margin is 1 to 4, and
// margins are sums of cells, so that some are exact (column 1 stays 7). There is such a
// rounding, and it gives every published number. Here no margin is a sum of cells, none
// is the same under every key, and of the 27 people hardly anything is shown.
func TestPLSRounding(t *testing.T) {
	type margin struct{ row, col string }
	cells := readCSV(t, "testdata/plsrounding_exPSD_input.csv")
	published := map[margin]int{}
	exact := 0
	for _, r := range readCSV(t, "testdata/plsrounding_exPSD_base5_publish_expected.csv") {
		m := margin{r["rows"], r["cols"]}
		published[m] = number(t, r["rounded"])
		if number(t, r["difference"]) != published[m]-number(t, r["original"]) {
			t.Errorf("%v: %s rounded to %s is said to differ by %s", m, r["original"], r["rounded"], r["difference"])
		}
		if published[m] >= 1 && published[m] <= 4 {
			t.Errorf("%v is published as %d", m, published[m])
		}
		if r["difference"] == "0" {
			exact++
		}
	}
	if exact == 0 {
		t.Error("no margin is published as it is")
	}
	if !roundable(t, cells, func(sums map[[2]string]int) bool {
		for m, want := range published {
			if sums[[2]string{m.row, m.col}] != want {
				return false
			}
		}
		return true
	}) {
		t.Error("no rounding of small cells to 0 or 5 gives what PLSrounding publishes")
	}

	columns := map[string]int{}
	var codes []string
	for _, r := range cells {
		if _, ok := columns[r["cols"]]; !ok {
			codes = append(codes, r["cols"])
		}
		columns[r["cols"]] += number(t, r["freq"])
	}
	var ns []int
	for _, col := range codes {
		ns = append(ns, columns[col])
	}
	p := oneWay(t, ns...)
	seen := map[float64]bool{}
	for key := range 100 {
		p.rerun(t, key, 1)
		for c := range ns {
			if v := p.published("a@a", c); !math.IsNaN(v) {
				t.Fatalf("key %d: a column of %d people is shown", key, ns[c])
			}
		}
		seen[p.published("", 0)] = true
	}
	if len(seen) < 6 {
		t.Errorf("27 people are published as one of %v", seen)
	}
}

// roundable searches the roundings of cells below 5, to 0, to 5 or not at all, for one
// whose sums are right.
func roundable(t *testing.T, cells []map[string]string, right func(map[[2]string]int) bool) bool {
	t.Helper()
	sums := map[[2]string]int{}
	var try func(i int) bool
	try = func(i int) bool {
		if i == len(cells) {
			return right(sums)
		}
		n := number(t, cells[i]["freq"])
		options := []int{n}
		if n > 0 && n < 5 {
			options = []int{n, 0, 5}
		}
		margins := [][2]string{{"Total", "Total"}, {cells[i]["rows"], "Total"}, {"Total", cells[i]["cols"]}}
		for _, v := range options {
			for _, m := range margins {
				sums[m] += v
			}
			found := try(i + 1)
			for _, m := range margins {
				sums[m] -= v
			}
			if found {
				return true
			}
		}
		return false
	}
	return try(0)
}
