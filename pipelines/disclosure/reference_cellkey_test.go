package disclosure

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// What others publish about cell keys, group disclosure and small counts, and what
// this package makes of the same input. Where a reference is of another system's rule,
// the rule is written here and gives the reference's numbers first.

// readJSON decodes a file of reference values.
func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// readCSV reads a file of reference values, by column.
func readCSV(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// handbook is 01_handbook_ckm.json.
type handbook struct {
	PTable []struct {
		I, J, V int
		P       float64
		Lb, Ub  float64
	}
	Frequency struct {
		RecordKeys []float64 `json:"record_keys"`
		N          int64
		CellKey    float64 `json:"cell_key"`
		Noise      int64
		Published  int64
	}
	Magnitude []struct {
		X, Delta, Noise, Published float64
		XMax                       float64 `json:"x_max"`
		CellKey                    float64 `json:"cell_key"`
		Lookup                     float64 `json:"lookup_a"`
	}
}

// layer is the Handbook's p-table as this package stores tables.
func (h *handbook) layer() layer {
	rows := make([]Row, 4)
	for _, e := range h.PTable {
		r := &rows[e.I]
		r.I = e.I
		r.J, r.P = append(r.J, e.J), append(r.P, e.P)
	}
	l := layer{period: 1}
	for _, r := range rows {
		l.rows = append(l.rows, newSteps(r))
	}
	return l
}

// The Handbook's example of the cell key method (5.4): three record keys add up to a
// cell key modulo 1, which is a sum modulo 2^64 here, and the table moves 3 to 4. Its
// intervals are what this package stores of it.
func TestHandbookCellKey(t *testing.T) {
	var h handbook
	readJSON(t, "testdata/01_handbook_ckm.json", &h)
	l := h.layer()
	for _, e := range h.PTable {
		row := l.rows[e.I]
		at := slices.Index(row.v, int64(e.V))
		if at < 0 {
			t.Fatalf("row %d has no deviation %d", e.I, e.V)
		}
		if got := math.Ldexp(float64(row.cum[at]), -64); !near(got, e.Ub, 1e-12) {
			t.Errorf("row %d, deviation %d: up to %.6f, the Handbook has %.6f", e.I, e.V, got, e.Ub)
		}
		if e.Ub > e.Lb+1e-9 { // the middle of the interval
			if got := l.draw(int64(e.I), uint64(math.Ldexp((e.Lb+e.Ub)/2, 64))); got != int64(e.V) {
				t.Errorf("row %d, cell key %.3f: deviation %d, want %d", e.I, (e.Lb+e.Ub)/2, got, e.V)
			}
		}
	}
	key := uint64(0)
	for _, k := range h.Frequency.RecordKeys {
		key += uint64(math.Ldexp(k, 64))
	}
	if !near(math.Ldexp(float64(key), -64), h.Frequency.CellKey, 1e-12) {
		t.Errorf("the record keys add up to %.6f, the Handbook has %.6f", math.Ldexp(float64(key), -64), h.Frequency.CellKey)
	}
	if v := l.draw(h.Frequency.N, key); v != h.Frequency.Noise || h.Frequency.N+v != h.Frequency.Published {
		t.Errorf("%d is moved by %d, the Handbook moves it by %d", h.Frequency.N, v, h.Frequency.Noise)
	}
	// With this package the same three children are a hidden cell under any key, and the
	// table could not be: row 1 has no outcome at 1, so its variance is 1 at the least.
	p := oneWay(t, int(h.Frequency.N), 300, 400)
	for number := range 50 {
		p.rerun(t, number, 1)
		if v := p.published("a@a", 0); !math.IsNaN(v) {
			t.Fatalf("key %d: 3 children are published as %g", number, v)
		}
	}
}

// The Handbook's example of magnitudes (4.6): noise in steps of delta * x_max, looked up
// at x/(delta * x_max), between two rows interpolated: 300 becomes 400, and 360 with the
// smaller lookup of 2.5. The scale is taken from the data, and so tells of them: a
// largest contributor of 200 moves the total by multiples of 100 or of 120. That is why
// this package scales by the public clamp (disclosure.md 2.7).
func TestHandbookMagnitudes(t *testing.T) {
	var h handbook
	readJSON(t, "testdata/01_handbook_ckm.json", &h)
	l := h.layer()
	perturb := func(x, most, delta, key float64) (at, noise float64) {
		at = x / (delta * most)
		// The Handbook's intervals are lb < ck <= ub, and .8 is an end of row 2.
		u := uint64(math.Ldexp(key, 64)) - 1
		low := math.Floor(at)
		v := float64(l.draw(int64(low), u))
		if above := at - low; above > 0 {
			v = (1-above)*v + above*float64(l.draw(int64(low)+1, u))
		}
		return at, v
	}
	for _, m := range h.Magnitude {
		at, noise := perturb(m.X, m.XMax, m.Delta, m.CellKey)
		if got := m.X + noise*m.Delta*m.XMax; !near(at, m.Lookup, 1e-12) || !near(noise, m.Noise, 1e-12) || !near(got, m.Published, 1e-9) {
			t.Errorf("%g with delta %g: looked up at %g, noise %g, published %g; the Handbook has %g, %g, %g",
				m.X, m.Delta, at, noise, got, m.Lookup, m.Noise, m.Published)
		}
	}
	// The oracle of a scale from data: who adds to the largest contributor sees the step.
	_, noise := perturb(300, 200, 0.5, 0.8)
	if a, b := noise*0.5*200, noise*0.5*260; a == b {
		t.Error("the noise does not tell the largest contributor: the attack is broken")
	}
}

// Lupp and Langsrud's group disclosure (Handbook 5.2 and 5.9): with k = T' - 1 rule 4
// finds along hours exactly the cells that are directly disclosive; and the one woman
// who is single is hidden like every cell of that table.
func TestHandbookGroupDisclosure(t *testing.T) {
	var ref struct {
		Hours    map[string]map[string]int
		Expected map[string][][2]string
		BySex    map[string]any `json:"marital_by_sex"`
	}
	readJSON(t, "suppress/testdata/13_group_disclosure.json", &ref)
	for rule, want := range ref.Expected {
		k := number(t, rule[len("k="):])
		law := law{from: k + 1, cum: []uint64{math.MaxUint64}} // T' is k+1 for certain
		var got [][2]string
		for status, hours := range ref.Hours {
			for _, h := range []string{"Full time", "Part time"} {
				n := hours[h]
				if n > 0 && law.small(int64(hours["Total"]-n), nil) {
					got = append(got, [2]string{status, h})
				}
			}
		}
		byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
		slices.SortFunc(got, byName)
		slices.SortFunc(want, byName)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, the Handbook has %v", rule, got, want)
		}
	}
	d := definition([]gateway.Dimension{
		flat("sex", gateway.Partition, gateway.ChildConst, "F", "M"),
		flat("status", gateway.Partition, gateway.ChildConst, "Divorced", "Married", "Single"),
	}, cube("one", gateway.Children, 2, "sex", "status"))
	raw, all := NewRaw(d), 0
	both := gateway.GroupingSet{{Name: "sex"}, {Name: "status"}}
	sums := map[[2]string]int{} // dimension and code
	for status, counts := range ref.BySex {
		pair, ok := counts.([]any)
		if !ok {
			continue // the flag
		}
		for i, sex := range []string{"M", "F"} {
			n := int(pair[i].(float64))
			add(t, raw, both, []string{sex, status}, n, subjectKey(n))
			sums[[2]string{"sex", sex}] += n
			sums[[2]string{"status", status}] += n
			all += n
		}
	}
	for at, n := range sums {
		add(t, raw, gateway.GroupingSet{{Name: at[0]}}, []string{at[1]}, n, subjectKey(n))
	}
	add(t, raw, total, nil, all, 1)
	p := inside(t, raw, release(d, 1, 1))
	for key := range 50 {
		p.rerun(t, key, 1)
		each(p.l, func(s *set, c int, _ []int, label string) {
			n := p.cells[s.index][c].children
			if p.states[s.index][c] == shown && n < 10 {
				t.Fatalf("key %d: %s is shown with %d people", key, label, n)
			}
		})
	}
}

// GaussSuppression's small counts (SSBtools, 2014 by age, country and EU): whatever its
// patterns hide, primary or by elimination, this package hides too, under every one of
// 100 keys: its thresholds start at 10, and the whole table has 20 people.
func TestSmallCountsAreHiddenToo(t *testing.T) {
	geo := gateway.Dimension{Name: "geo", Kind: gateway.Partition, Levels: []string{"union", "country"}, Source: gateway.Source{Kind: gateway.ChildConst}}
	age := flat("age", gateway.Partition, gateway.ChildConst, "old", "young")
	counts := map[string]int{}
	for _, row := range readCSV(t, "suppress/testdata/smallcounts_input_2014.csv") {
		n := number(t, row["freq"])
		for _, a := range []string{row["age"], "Total"} {
			for _, g := range []string{row["geo"], row["eu"], "Total"} {
				counts[a+"|"+g] += n
			}
		}
	}
	for _, union := range []struct {
		code      string
		countries []string
	}{{"EU", []string{"Portugal", "Spain"}}, {"nonEU", []string{"Iceland"}}} {
		geo.Nodes = append(geo.Nodes, gateway.Node{Code: union.code})
		for _, c := range union.countries {
			geo.Nodes = append(geo.Nodes, gateway.Node{Code: c, Parent: union.code, Level: 1})
		}
	}
	d := definition([]gateway.Dimension{age, geo}, cube("one", gateway.Children, 2, "age", "geo"))
	raw := NewRaw(d)
	for name, n := range counts {
		var g gateway.GroupingSet
		var codes []string
		a, where, _ := strings.Cut(name, "|")
		if a != "Total" {
			g, codes = append(g, gateway.SetDimension{Name: "age"}), append(codes, a)
		}
		if where != "Total" {
			level := geo.Node(where).Level
			g, codes = append(g, gateway.SetDimension{Name: "geo", Level: level}), append(codes, where)
		}
		if n > 0 {
			add(t, raw, g, codes, n, subjectKey(n))
		}
	}
	p := inside(t, raw, release(d, 1, 1))
	expected := readCSV(t, "suppress/testdata/smallcounts_expected.csv")
	cases := map[string]int{}
	for key := range 100 {
		p.rerun(t, key, 1)
		for _, row := range expected {
			if key == 0 {
				if n := counts[row["age"]+"|"+row["geo"]]; n != number(t, row["freq"]) {
					t.Fatalf("%s, %s: %d people counted, the reference has %s", row["age"], row["geo"], n, row["freq"])
				}
				cases[row["case"]]++
			}
			label := ""
			if row["age"] != "Total" {
				label = "age=" + row["age"]
			}
			if row["geo"] != "Total" {
				if label != "" {
					label += "|"
				}
				label += "geo=" + row["geo"]
			}
			s, c, ok := p.l.find(label)
			if !ok {
				t.Fatalf("%q is not a cell", label)
			}
			if row["suppressed"] == "TRUE" && p.states[s.index][c] == shown {
				t.Errorf("key %d: %s of %s is hidden in %s and shown here", key, label, row["freq"], row["case"])
			}
		}
	}
	if len(cases) != 3 {
		t.Errorf("the reference has the cases %v", cases)
	}
}
