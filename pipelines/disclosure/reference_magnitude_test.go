package disclosure

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
)

// The published dominance shares of GaussSuppression's magnitude example (twenty
// contributions in four sectors and three countries): the two largest that a build
// would keep are theirs, and whatever is primary there by (1, 80) or by at most one
// contributor is dominated here. The rules of disclosure.md 2.7 are stricter on it:
// with two contributors one knows the other.
func TestReferenceDominance(t *testing.T) {
	input := table(t, "magnitude1_input.csv")
	cell := func(sector, geo string) (zs []uint64) {
		for _, r := range input {
			if (sector == "Total" || sector == r["sector4"]) && (geo == "Total" || geo == r["geo"]) {
				x, err := strconv.ParseFloat(r["value"], 64)
				if err != nil {
					t.Fatal(err)
				}
				zs = append(zs, uint64(math.Round(10*x)))
			}
		}
		slices.Sort(zs)
		slices.Reverse(zs)
		return zs
	}
	primary, dominated := 0, 0
	for _, file := range []string{"magnitude1_dominance_1_80_expected.csv", "magnitude1_few_contributors_maxN1_expected.csv"} {
		for _, r := range table(t, file) {
			zs := cell(r["sector4"], r["geo"])
			s := Sum{Children: uint64(len(zs))}
			for i, z := range zs {
				s.Sum += z
				if i < 2 {
					s.Top[i] = z
				}
			}
			if want := fmt.Sprintf("%.1f", float64(s.Sum)/10); want != r["value"] && want != r["value"]+".0" {
				t.Fatalf("%s %s adds up to %s, published %s", r["sector4"], r["geo"], want, r["value"])
			}
			if share, err := strconv.ParseFloat(r["dominant1"], 64); err == nil && s.Sum > 0 && !near(share, float64(s.Top[0])/float64(s.Sum), 1e-12) {
				t.Errorf("%s %s: the largest has %.6f, published %.6f", r["sector4"], r["geo"], float64(s.Top[0])/float64(s.Sum), share)
			}
			here := s.dominated(10)
			if r["primary"] == "TRUE" {
				primary++
				if !here {
					t.Errorf("%s %s is primary in %s and not here", r["sector4"], r["geo"], file)
				}
			}
			if here != (s.Sum > 0 && len(zs) <= 2 || len(zs) > 2 && slow(zs)) {
				t.Errorf("%s %s: dominated is %v", r["sector4"], r["geo"], here)
			}
			if here {
				dominated++
			}
		}
	}
	if primary != 6 || dominated <= primary {
		t.Errorf("%d cells are primary, %d dominated", primary, dominated)
	}
}

// slow is p% = 10 and (2, 85) as the text has them, in real numbers.
func slow(zs []uint64) bool {
	x := 0.0
	for _, z := range zs {
		x += float64(z)
	}
	x1, x2 := float64(zs[0]), float64(zs[1])
	return x-x1-x2 < 0.1*x1 || x1+x2 > 0.85*x
}

func table(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open("suppress/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}
