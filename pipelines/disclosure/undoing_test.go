package disclosure

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// The nineteen ways in which one mechanism undoes another (disclosure.md 2.11), one
// test each, here and in undoing_draws_test.go and undoing_reports_test.go. Each runs
// the attack of its line twice: against a publisher that has the fault, where it must
// work, and against this package, where it must not. Those that need a server are in
// gateway/exchange and gateway/api beside them. Keys are fixed: a test either always
// fails or never; the chance of bad luck in choosing the keys is stated.

// An eye is what an attacker reads off a release: the value of a cell of a set, NaN
// where it is hidden.
type eye func(set string, c int) float64

// drawn protects the same counts under any PRF: the planted faults are in the PRF.
func (p *protector) drawn(tb testing.TB, prf gateway.PRF, number int) {
	tb.Helper()
	p.keys = newKeyed(prf, p.l.def.Lineage, number)
	for _, s := range p.l.sets {
		if err := p.protect(s); err != nil {
			tb.Fatal(err)
		}
	}
}

// truly is the true count of a cell, for publishers with a fault.
func (p *protector) truly(set string, c int) float64 {
	return float64(p.cells[p.l.byKey[set].index][c].children)
}

// hiding is a publisher that hides below k and shows everything else as it is.
func (p *protector) hiding(k float64) eye {
	return func(set string, c int) float64 {
		if n := p.truly(set, c); n >= k {
			return n
		}
		return math.NaN()
	}
}

// remainder is the attack of line 1: what is hidden under a shown parent is the
// parent less the siblings that are shown.
func remainder(see eye, parent, set string, cells int) (rest float64, hidden []int) {
	rest = see(parent, 0)
	for c := range cells {
		if v := see(set, c); math.IsNaN(v) {
			hidden = append(hidden, c)
		} else {
			rest -= v
		}
	}
	return rest, hidden
}

// Line 1: an exact margin beside hidden cells. Where margins are exact the hidden 5
// is the parent less its siblings, always. Here no cell of any set is exact, the
// total neither: the remainder is of two hidden cells and has the noise of all terms,
// so it hits their sum by chance only (values are multiples of 5 with an sd of 12:
// one in six; with 400 keys the share is below 0.26 but for a chance of 1e-6).
func TestUndoing01ExactMargin(t *testing.T) {
	ns := []int{5, 30, 200, 300}
	p := oneWay(t, ns...)
	if rest, hidden := remainder(p.hiding(10), "", "a@a", len(ns)); rest != 5 || len(hidden) != 1 {
		t.Errorf("with exact margins the hidden cell is %v, found in %v: the attack is broken", rest, hidden)
	}
	const keys = 400
	hits := 0
	values := map[int]map[float64]bool{-1: {}, 2: {}, 3: {}} // -1 is the total
	for key := range keys {
		p.rerun(t, key, 1)
		rest, hidden := remainder(p.published, "", "a@a", len(ns))
		if len(hidden) < 2 {
			t.Fatalf("key %d: one cell of the group is hidden alone", key)
		}
		sum := 0.0
		for _, c := range hidden {
			sum += p.truly("a@a", c)
		}
		if rest == sum {
			hits++
		}
		values[-1][p.published("", 0)] = true
		for c := 2; c < 4; c++ {
			if v := p.published("a@a", c); !math.IsNaN(v) {
				values[c][v] = true
			}
		}
	}
	if hits > keys*26/100 {
		t.Errorf("parent less siblings hits the hidden sum %d of %d times", hits, keys)
	}
	for c, seen := range values {
		if len(seen) < 6 {
			t.Errorf("cell %d is published as one of %d values over %d keys: a margin is all but exact", c, len(seen), keys)
		}
	}
}

// Line 2: an exact rate beside noisy counts. Handbook on SDC 5.7 and disclosure.md
// 1.4: counts moved by at most 2 beside an exact percentage leave one pair of counts
// (8 of 20, 40 %). Here a share is the reader's, of published counts: it says no more
// than they do, and no field of an answer could hold anything exact.
func TestUndoing02ExactRate(t *testing.T) {
	// pairs lists the true (part, whole) that deviations up to d and a rate allow.
	pairs := func(part, whole, d int, rate, within float64) [][2]int {
		var left [][2]int
		for a := part - d; a <= part+d; a++ {
			for b := whole - d; b <= whole+d; b++ {
				if a >= 0 && a <= b && b > 0 && math.Abs(float64(a)/float64(b)-rate) <= within {
					left = append(left, [2]int{a, b})
				}
			}
		}
		return left
	}
	for v := -2; v <= 2; v++ {
		for w := -2; w <= 2; w++ {
			if left := pairs(8+v, 20+w, 2, 0.4, 1e-9); !slices.Contains(left, [2]int{8, 20}) || len(left) > 2 {
				t.Errorf("8 and 20 published as %d and %d beside an exact 40 %%: %v remain", 8+v, 20+w, left)
			}
		}
	}
	p := protected(t, 1, 1)
	_, counts := small()
	d := tablesOf(t, p.l.def.V)
	for region := range 6 {
		whole := "region=" + demoRegions[region]
		part := whole + "|sex=F"
		_, a, _ := p.Cell(part, gateway.CountChildren)
		st, b, _ := p.Cell(whole, gateway.CountChildren)
		if st != gateway.StatusValue || a == 0 {
			continue
		}
		left := pairs(int(a), int(b), d.D1+d.D2, float64(a)/float64(b), 1)
		if n := (2*(d.D1+d.D2) + 1); len(left) < n*n/2 {
			t.Errorf("%s: the share of published counts leaves %d pairs of true ones", part, len(left))
		}
		truth := [2]int{int(counts["region@region|sex@sex"][part].Children), int(counts["region@region"][whole].Children)}
		if !slices.Contains(left, truth) {
			t.Errorf("%s: the truth is not among what the published counts allow", part)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[gateway.Cell](), reflect.TypeFor[gateway.Table]()} {
		for field := range typ.Fields() {
			if !slices.Contains(answered, typ.Name()+"."+field.Name) {
				t.Errorf("an answer has the field %s.%s: show that it is neither exact nor a second look at a count, and list it", typ.Name(), field.Name)
			}
		}
	}
}

// answered are the fields of an answer: what was asked, what the release declares,
// digests, statuses, values that are perturbed, and estimates that are functions of
// those (TestStatisticsAreOfPublishedBytesOnly). Table.Linkable is a band of ten per cent
// of the records of a sector in the whole release, of agencies of 200 children and more:
// the same for every question, so that no two answers of it can be subtracted, and so
// wide that it tells no count of a cell (gateway.LinkageBands).
var answered = strings.Fields(`Cell.Nodes Cell.Status Cell.Value Cell.Estimate Cell.SD
	Table.Release Table.Cube Table.Label Table.Measure Table.Dimensions Table.Filter Table.Cells
	Table.Variance Table.Base Table.Bottom Table.Digest Table.PTables Table.Policy Table.Decision Table.Notes Table.Linkable`)

// Line 3: noisy cells added up and given out as exact, or under the variance of one
// cell. Of twelve codes the sum has twelve variances, and 95 % intervals by the
// stated one cover the truth in 43 % of keys (2 sqrt(V) are 0.58 of its standard
// deviations). Here the total is drawn by itself: its intervals cover (with 1,000
// keys at least 93 % but for a chance of 1e-3), and it is not the sum of the codes.
func TestUndoing03NoisySumsAsExact(t *testing.T) {
	ns := make([]int, 12)
	sum := 0
	for i := range ns {
		ns[i] = 100 + 10*i
		sum += ns[i]
	}
	p := oneWay(t, ns...)
	const keys = 1000
	equal, covered, faulty := 0, 0, 0
	within := func(v float64) bool { return math.Abs(v-float64(sum)) <= 2*math.Sqrt(p.l.def.V) }
	for key := range keys {
		p.rerun(t, key, 1)
		added, total := 0.0, p.published("", 0)
		for c := range ns {
			added += p.published("a@a", c)
		}
		if added == total {
			equal++
		}
		if within(total) {
			covered++
		}
		if within(added) {
			faulty++
		}
	}
	if faulty > keys*55/100 {
		t.Errorf("a total added up from its codes is within its stated interval %d of %d times: the attack is broken", faulty, keys)
	}
	if covered < keys*93/100 || equal > keys/5 {
		t.Errorf("the total is within its stated interval %d, and the sum of its codes %d, of %d times", covered, equal, keys)
	}
}

// Line 4: rows in the order of true counts, or the largest first. Where rows are
// ordered by count, their order alone gives every rank, hidden cells included. Here
// the order is that of the code list: the ranks of the rows say of the ranks of the
// counts what the code list does, and no question can name an order or a number of
// rows.
func TestUndoing04RowsByTrueCount(t *testing.T) {
	ns := []int{41, 7, 300, 3, 90, 150, 5, 60}
	d := definition([]gateway.Dimension{partition("a", len(ns))}, cube("one", gateway.Children, 1, "a"))
	codes := func(counts []int) []string {
		published, err := Protect(flats(t, d, counts...), release(d, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, c := range ask(t, published, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a"}}).Cells {
			order = append(order, c.Nodes[0])
		}
		return order
	}
	place := func(order []string) []int { // for each code, its rank among the rows
		ranks := make([]int, len(ns))
		for i, node := range d.Dimensions[0].Nodes {
			ranks[i] = slices.Index(order, node.Code)
		}
		return ranks
	}
	var byCount []string
	for i := range ns {
		byCount = append(byCount, d.Dimensions[0].Nodes[i].Code)
	}
	code := func(c string) int {
		return slices.IndexFunc(d.Dimensions[0].Nodes, func(n gateway.Node) bool { return n.Code == c })
	}
	slices.SortFunc(byCount, func(a, b string) int { return ns[code(b)] - ns[code(a)] })
	ranks := place(byCount)
	for a := range ns {
		for b := range ns {
			if ns[a] > ns[b] && ranks[a] > ranks[b] {
				t.Fatalf("ordered by count, row %d is not before row %d: the attack is broken", a, b)
			}
		}
	}
	first := codes(ns)
	slices.Reverse(ns)
	if second := codes(ns); !slices.Equal(first, second) {
		t.Errorf("the same question has the rows %v, and %v with other counts", first, second)
	}
	if !slices.IsSorted(place(first)) {
		t.Errorf("rows come as %v, not in the order of the code list", first)
	}
	var fields []string
	for field := range reflect.TypeFor[gateway.Question]().Fields() {
		fields = append(fields, field.Name)
	}
	if diff := cmp.Diff([]string{"Cube", "Measure", "GroupBy", "Filter", "Purpose"}, fields); diff != "" {
		t.Errorf("a question has other fields: no order, limit or comparison may be asked for (-want +got):\n%s", diff)
	}
}

// Line 5: "0" told from a hidden count. A publisher that shows zeros tells for every
// hidden cell that it is none; here cells of 0 to 9 children are one and the same in
// every byte that leaves, and only a declared impossibility is a 0.
func TestUndoing05ZeroBesideHidden(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4)}, cube("one", gateway.Children, 1, "a"))
	table := func(n int) string {
		raw := NewRaw(d)
		for i, m := range []int{n, 300, 400, 500} {
			if m > 0 {
				add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, m, subjectKey(i))
			}
		}
		add(t, raw, total, nil, 1209, 1)
		published, err := Protect(raw, release(d, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		return bytesOf(t, ask(t, published, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a"}}))
	}
	shows := func(n int) string { // the fault: zeros are shown
		if n == 0 {
			return "0"
		}
		return "c"
	}
	told := 0
	for n := range 10 {
		if shows(n) != shows(5) {
			told++
		}
		if got := table(n); got != table(5) {
			t.Errorf("a cell of %d children and one of 5 give two answers:\n%s\n%s", n, got, table(5))
		}
	}
	if told != 1 {
		t.Error("zeros that are shown are not told apart: the attack is broken")
	}
}

// Line 6: a row that is there or not, depending on its count. GROUP BY over rows gives
// no line for an empty cell; here every answer has the cells that the code lists make,
// with data or without any, and so do all other words of it.
func TestUndoing06RowsThatComeAndGo(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	empty, err := Protect(NewRaw(demo()), release(demo(), 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	missing := 0
	each(p.l, func(s *set, _ int, at []int, label string) {
		if n := counts[s.key][label]; !p.l.omits(s, at) && n == nil {
			missing++ // the row that GROUP BY would leave out
		}
	})
	if missing == 0 {
		t.Error("no cell is empty: the attack is broken")
	}
	for _, d := range demoQuestions {
		a, b := ask(t, p, d.q), ask(t, empty, d.q)
		if len(a.Cells) != len(b.Cells) {
			t.Fatalf("%s: %d cells with data, %d without", d.name, len(a.Cells), len(b.Cells))
		}
		for i := range b.Cells {
			if b.Cells[i].Status != gateway.StatusSuppressed || b.Cells[i].Value != nil {
				t.Errorf("%s: a cell without children is %+v", d.name, b.Cells[i])
			}
			if !slices.Equal(a.Cells[i].Nodes, b.Cells[i].Nodes) {
				t.Fatalf("%s: cell %d is %v with data, %v without", d.name, i, a.Cells[i].Nodes, b.Cells[i].Nodes)
			}
		}
		a.Cells, b.Cells, a.Digest, b.Digest = nil, nil, "", ""
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("%s: %s", d.name, diff)
		}
	}
}

// meansOver returns the standard deviation over keys of the mean of several looks at
// one count: what averaging leaves.
func meansOver(keys, looks int, look func(key, i int) float64) (mean, sd float64) {
	var means []float64
	for key := range keys {
		sum := 0.0
		for i := range looks {
			sum += look(key, i)
		}
		means = append(means, sum/float64(looks))
	}
	return meanAndSD(means)
}

// changing is a PRF that answers under another name or with further parts.
func changing(prf gateway.PRF, change func(label string, parts [][]byte) [][]byte) gateway.PRF {
	return func(label string, parts ...[]byte) uint64 {
		return prf(label, change(label, slices.Clone(parts))...)
	}
}

// per adds a part to the draws of some layers: what a fault makes them depend on.
func per(prf gateway.PRF, what any, layers ...string) gateway.PRF {
	return changing(prf, func(label string, parts [][]byte) [][]byte {
		if slices.Contains(layers, label) {
			parts = append(parts, fmt.Append(nil, what))
		}
		return parts
	})
}
