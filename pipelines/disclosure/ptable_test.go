package disclosure

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rows reads a CSV of testdata as maps from the header.
func rows(tb testing.TB, name string) []map[string]string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(string(data)))
	r.Comment = '#'
	lines, err := r.ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var out []map[string]string
	for _, line := range lines[1:] {
		m := map[string]string{}
		for i, field := range line {
			m[lines[0][i]] = field
		}
		out = append(out, m)
	}
	return out
}

func atoi(tb testing.TB, s string) int {
	tb.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func atof(tb testing.TB, s string) float64 {
	tb.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// The parameter sets of the reference, as CRAN ptable's create_cnt_ptable had them.
var referenceSets = map[string]PTableParams{
	"D2_V1":                   {D: 2, V: 1, Mono: true},
	"D2_V0.9":                 {D: 2, V: 0.9, Mono: true},
	"D3_V1":                   {D: 3, V: 1, Mono: true},
	"D5_V2":                   {D: 5, V: 2, Mono: true},
	"D4_V1_pstay0.5":          {D: 4, V: 1, Stay: 0.5, Mono: true},
	"D8_V3_js2_pstay0.5":      {D: 8, V: 3, JS: 2, Stay: 0.5, Mono: true},
	"pt_ex_cnts_D2_V1.05_js1": {D: 2, V: 1.05, JS: 1},
}

// Every probability of ptable 1.0.0 is reproduced to 1e-6.
func TestSolveAgreesWithPTable(t *testing.T) {
	worst := 0.0
	for _, ref := range rows(t, "02_ptable_reference.csv") {
		params, ok := referenceSets[ref["set"]]
		if !ok {
			t.Fatalf("set %s of the reference has no parameters here", ref["set"])
		}
		row, err := Solve(atoi(t, ref["i"]), params)
		if err != nil {
			t.Fatalf("%s row %s: %v", ref["set"], ref["i"], err)
		}
		found := 0.0
		for a, j := range row.J {
			if j == atoi(t, ref["j"]) {
				found = row.P[a]
			}
		}
		diff := math.Abs(found - atof(t, ref["p"]))
		worst = max(worst, diff)
		if diff > 1e-6 {
			t.Errorf("%s: p(%s → %s) = %.8f, the reference has %s", ref["set"], ref["i"], ref["j"], found, ref["p"])
		}
	}
	t.Logf("largest difference %.2g", worst)
}

// The default tables are those pinned for this project, to all ten decimals.
func TestDefaultTables(t *testing.T) {
	layers := map[string]PTableParams{
		"L1": {D: 12, V: 25, Mono: true},
		"L2": {D: 14, V: 25, Base: 5},
	}
	for _, ref := range rows(t, "90_default_ptable_derived.csv") {
		var is []int
		switch row := ref["row"]; {
		case row == "n>=13":
			is = []int{13, 14, 1000}
		case strings.HasPrefix(row, "n1>=20 mod5="):
			m := atoi(t, strings.TrimPrefix(row, "n1>=20 mod5="))
			is = []int{20 + m, 25 + m, 1000 + m}
		default:
			_, n, _ := strings.Cut(row, "=")
			is = []int{atoi(t, n)}
		}
		for _, i := range is {
			row, err := Solve(i, layers[ref["layer"]])
			if err != nil {
				t.Fatal(err)
			}
			p, cum := 0.0, 0.0
			for a, j := range row.J {
				if j-i <= atoi(t, ref["v_or_j_minus_n"]) {
					p, cum = row.P[a], cum+row.P[a]
				}
			}
			if got, want := fmt.Sprintf("%.10f", p), ref["p"]; got != want {
				t.Errorf("%s row %d: p(%s) = %s, want %s", ref["layer"], i, ref["v_or_j_minus_n"], got, want)
			}
			if got, want := fmt.Sprintf("%.10f", cum), ref["cum"]; got != want {
				t.Errorf("%s row %d: cum(%s) = %s, want %s", ref["layer"], i, ref["v_or_j_minus_n"], got, want)
			}
		}
	}
}
