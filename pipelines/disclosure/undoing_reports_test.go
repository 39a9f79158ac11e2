package disclosure

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/dp"
)

// Lines 11, 14, 15, 16 and 19 of disclosure.md 2.11: where else a count could show.

// hiddenFour returns the counts of a 4x4 table whose upper left four cells are hidden,
// with x children moved round them: every margin is the same for every x.
func hiddenFour(t rapid.TB, d *gateway.Definition, x int) *Raw {
	t.Helper()
	raw := NewRaw(d)
	cell := func(i, j int) int {
		switch {
		case i < 2 && j < 2 && i == j:
			return x
		case i < 2 && j < 2:
			return 9 - x
		default:
			return 200 + 10*i + j
		}
	}
	add := func(g gateway.GroupingSet, codes []string, n int, key uint64) {
		if n == 0 {
			return
		}
		if err := raw.Add(g, codes, Count{Children: uint64(n), Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	code := func(dim, i int) string { return d.Dimensions[dim].Nodes[i].Code }
	sum := 0
	for i := range 4 {
		row, column := 0, 0
		for j := range 4 {
			row, column = row+cell(i, j), column+cell(j, i)
			add(gateway.GroupingSet{{Name: "a"}, {Name: "b"}}, []string{code(0, i), code(1, j)}, cell(i, j), uint64(x*16+4*i+j))
		}
		add(gateway.GroupingSet{{Name: "a"}}, []string{code(0, i)}, row, uint64(1000+i))
		add(gateway.GroupingSet{{Name: "b"}}, []string{code(1, i)}, column, uint64(2000+i))
		sum += row
	}
	add(total, nil, sum, 3000)
	return raw
}

// Line 11: a hidden value in what goes along: chart data, files, caches, logs, errors.
// Two populations that differ in hidden cells only, children moved round among them
// with every margin kept, are one release: every byte of it, of every answer, of its
// summary and of whatever prints it. A publisher that hides in the page and leaves the
// value in the data is told apart. (Files, headers and logs: gateway/api. Timing: the
// red team's A10.)
func TestUndoing11HiddenValuesElsewhere(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4), partition("b", 4)}, cube("one", gateway.Children, 2, "a", "b"))
	q := gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a", "b"}}
	rapid.Check(t, func(rt *rapid.T) {
		rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
		pages := map[string]bool{}
		for _, x := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 2, 3, rapid.ID[int]).Draw(rt, "hidden counts") {
			p, err := Protect(hiddenFour(rt, d, x), rel)
			if err != nil {
				rt.Fatal(err)
			}
			var b bytes.Buffer
			if err := p.Encode(&b); err != nil {
				rt.Fatal(err)
			}
			table := ask(rt, p, q)
			for _, c := range []int{0, 1, 4, 5} {
				if table.Cells[c].Status != gateway.StatusSuppressed {
					rt.Fatalf("cell %d is %s", c, table.Cells[c].Status)
				}
			}
			b.WriteString(bytesOf(rt, table))
			_, wrong := p.Ask(gateway.Question{Cube: "one", Measure: gateway.CountChildren, Filter: map[string]string{"a": "x"}})
			_, _ = fmt.Fprintf(&b, "%+v %v %+v %#v", p.Summary(), wrong, table.Cells[0], table.Cells[0])
			pages[b.String()] = true
		}
		if len(pages) != 1 {
			rt.Fatalf("hidden counts alone make %d releases", len(pages))
		}
	})
	// Timing: reading a hidden cell is the same work, children in it or not, and its value
	// is not looked at. Allocations are counted, since clocks of a shared machine are not.
	_, counts := small()
	p := protected(t, 1, 1)
	work := map[float64]bool{}
	empty := 0
	each(p.l, func(s *set, c int, _ []int, label string) {
		if s.key != "age_first@age_first|first_sector@first_sector|region@region" || p.cells[s.index].status[c] != statusSuppressed || len(work) > 3 || c%4 > 0 {
			return
		}
		if counts[s.key][label] == nil {
			empty++
		}
		q := gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, Filter: map[string]string{}}
		for _, f := range splitLabel(label) {
			q.Filter[f[0]] = f[1]
		}
		work[testing.AllocsPerRun(5, func() { _, _ = p.Ask(q) })] = true
	})
	if len(work) != 1 || empty == 0 {
		t.Errorf("reading hidden cells, %d of them empty, allocates %v times", empty, work)
	}
	leaky := func(x int64) string { // the fault: the page hides what the data hold
		text, _ := json.Marshal(gateway.Cell{Status: gateway.StatusSuppressed, Value: &x})
		return string(text)
	}
	if leaky(3) == leaky(7) {
		t.Error("a value beside its status is not told apart: the attack is broken")
	}
}

// Line 14: differential privacy and keyed noise on one cell. Whoever has both weighs
// them by their variances: with V = 50 here and 5 there (rho 0.1) the mean has variance
// 4.5, less than either, and less than the 7.8 that the budget of 2.5 keeps for every
// route. So one profile holds for a cell: definitions that share any are refused, and
// neither is made with the other's chance. (500 trials: within 35 % but for 1e-6.)
func TestUndoing14TwoProfilesOnOneCell(t *testing.T) {
	p := oneWay(t, 100, 150)
	d := p.l.def
	terms := dp.Terms{Cells: 1, Rho: dp.SuggestedRho}
	const trials = 500
	var both []float64
	seed := [32]byte{14}
	random := rand.NewChaCha8(seed)
	for key := range trials {
		p.rerun(t, key, 1)
		keyed := p.published("a@a", 0)
		private := publishedBy(t, d, terms, 100, random)
		v, w := d.V, terms.Variance()
		both = append(both, (keyed/v+private/w)/(1/v+1/w))
	}
	mean, sd := meanAndSD(both)
	if !near(mean, 100, 0.5) || sd*sd > 1.35*4.55 {
		t.Errorf("both together leave variance %.1f around %.1f, not 4.5 around 100: the attack is broken", sd*sd, mean)
	}
	for _, lineage := range []string{d.Lineage, "web"} {
		other := *d
		other.Lineage = lineage
		if err := dp.SharesCells(d, &other); !errors.Is(err, gateway.Conflict) {
			t.Errorf("the same cells of lineage %s under another profile: %v", lineage, err)
		}
	}
	public := *d
	public.Profile, public.V, public.Public = gateway.Public, 0, &gateway.PrivacyTerms{Rho: "0.1", Yearly: "0.1", Delta: "0.000001"}
	if err := Continue(Parameters{d, lawful()}, Parameters{&public, lawful()}); !errors.Is(err, gateway.Conflict) {
		t.Errorf("one lineage under two profiles: %v", err)
	}
	rel := release(&public, 1, 1)
	rel.Random = random
	if _, err := Protect(NewRaw(&public), rel); !errors.Is(err, gateway.Internal) {
		t.Errorf("a public release at which the key of the lineage is at hand: %v", err)
	}
}

// publishedBy is n children of the first code under profile C.
func publishedBy(t *testing.T, d *gateway.Definition, terms dp.Terms, n int, random io.Reader) float64 {
	t.Helper()
	h, err := dp.NewHistogram(&dp.HistogramOptions{
		Definition: d, Release: "test-1", Set: gateway.GroupingSet{{Name: "a"}}, Measure: gateway.CountChildren, Terms: terms, Bound: prf(testKey(0)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for child := range n {
		err := h.Add(dp.ChildKey(uint64(child)), []dp.Contribution{{Nodes: []string{d.Dimensions[0].Nodes[0].Code}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	ledger, err := dp.NewAccountant(dp.Budget{Lineage: d.Lineage, Limit: dp.Cost{Rho: dp.SuggestedRho}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ledger.Publish(h, random)
	if err != nil {
		t.Fatal(err)
	}
	return float64(answer.Values[0].Value)
}

// questions draws questions of every kind: in the lattice, beyond its limits, and of
// words that it does not have.
func questions(rt *rapid.T, d *gateway.Definition) gateway.Question {
	names, codes := []string{"income"}, map[string][]string{"income": {"low"}}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		names = append(names, dim.Name)
		codes[dim.Name] = []string{"nobody"}
		for _, n := range dim.Nodes {
			codes[dim.Name] = append(codes[dim.Name], n.Code)
		}
	}
	q := gateway.Question{
		Cube:    rapid.SampledFrom(append(cubeIDs(d), "none")).Draw(rt, "cube"),
		Measure: rapid.SampledFrom([]gateway.Measure{gateway.CountChildren, gateway.CountRecords, "mean"}).Draw(rt, "measure"),
		Filter:  map[string]string{},
	}
	for range rapid.IntRange(0, 3).Draw(rt, "filters") {
		name := rapid.SampledFrom(names).Draw(rt, "filtered")
		q.Filter[name] = rapid.SampledFrom(codes[name]).Draw(rt, "code")
	}
	for range rapid.IntRange(0, 3).Draw(rt, "groups") {
		name := rapid.SampledFrom(names).Draw(rt, "grouped")
		q.GroupBy = append(q.GroupBy, name+rapid.SampledFrom([]string{"", "", "@" + name, "@x"}).Draw(rt, "level"))
	}
	return q
}

// Line 15: an online refusal that looks at true data. One that refuses a question
// because few children are in the rest reads that bit out, to the child. Here what is
// refused, and how, is the same with any data or none: any question, to a release of
// 3,000 children, to one of 800 other ones and to an empty one.
func TestUndoing15RefusalsByData(t *testing.T) {
	refuses := func(parent, cell int) bool { return parent-cell < 10 } // the fault
	for rest := range 20 {
		if refuses(100+rest, 100) == refuses(100+rest+1, 100) != (rest != 9) {
			t.Error("a refusal by data does not tell one child: the attack is broken")
		}
	}
	w := population(800, 11)
	var releases []*Published
	for _, raw := range []*Raw{NewRaw(demo()), fill(t, w.def, w.counts())} {
		p, err := Protect(raw, release(demo(), 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, p)
	}
	releases = append(releases, protected(t, 1, 1))
	refused, answered := 0, 0
	alike := func(t rapid.TB, q gateway.Question) {
		_, first := releases[0].Ask(q)
		if first != nil {
			refused++
		} else {
			answered++
		}
		for i, p := range releases[1:] {
			_, err := p.Ask(q)
			switch {
			case (err == nil) != (first == nil):
				t.Fatalf("%+v: without data %v, with release %d %v", q, first, i+1, err)
			case err != nil && (err.Error() != first.Error() || !errors.Is(err, gateway.Invalid)):
				t.Fatalf("%+v: refused as %q without data, as %q with", q, first, err)
			}
		}
	}
	for _, d := range demoQuestions {
		alike(t, d.q)
	}
	rapid.Check(t, func(rt *rapid.T) { alike(rt, questions(rt, demo())) })
	if refused == 0 || answered == 0 {
		t.Errorf("%d questions refused, %d answered: the test says nothing of one kind", refused, answered)
	}
}

// Line 16: policy that echoes true counts. This package asks no policy: it is given
// numbers once, before it counts, and whatever they say is the same for every cell. The
// input of Rego itself is tested in packages policies and exchange.
func TestUndoing16PolicyEchoes(t *testing.T) {
	var fields []string
	for field := range reflect.TypeFor[Release]().Fields() {
		if field.Type.Kind() == reflect.Func && field.Name != "Noise" {
			t.Errorf("Protect may call Release.%s: what does it tell it?", field.Name)
		}
		fields = append(fields, field.Name)
	}
	// The one function is the PRF, and what it hears are labels and minorities (line 18).
	if !slices.Contains(fields, "Rules") || !slices.Contains(fields, "Noise") {
		t.Errorf("a release has the fields %v", fields)
	}
	var numbers func(typ reflect.Type) bool
	numbers = func(typ reflect.Type) bool {
		switch typ.Kind() {
		case reflect.Struct:
			for field := range typ.Fields() {
				if !numbers(field.Type) {
					return false
				}
			}
			return true
		case reflect.Slice, reflect.Array:
			return numbers(typ.Elem())
		default:
			return typ.Kind() <= reflect.Float64 || typ.Kind() == reflect.String
		}
	}
	if !numbers(reflect.TypeFor[gateway.ReleaseRules]()) {
		t.Error("the rules of a release are more than numbers and names: policy could be called back")
	}
}

// Line 19: a report or replay that shows how a count compares with a number of the
// asker's. One that says how many cells of a set have at least k children gives a
// planter the count of a hidden cell to the child. Here the summary tells of hidden
// shares what the published statuses tell already, in steps of 5 %, and which rule it
// was in sets of 100 cells and more only; and no method takes a number to compare with.
func TestUndoing19ComparedCount(t *testing.T) {
	reports := func(ns []int, k int) (over int) { // the fault
		for _, n := range ns {
			if n >= k {
				over++
			}
		}
		return over
	}
	planted := 0
	for reports([]int{7 + planted, 300}, 10) < 2 {
		planted++
	}
	if 10-planted != 7 {
		t.Error("planting does not find the hidden 7: the attack is broken")
	}

	d := definition([]gateway.Dimension{partition("a", 4), partition("b", 4)}, cube("one", gateway.Children, 2, "a", "b"))
	rapid.Check(t, func(rt *rapid.T) {
		rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
		var pages []string
		for range 2 {
			p, err := Protect(hiddenFour(rt, d, rapid.IntRange(0, 9).Draw(rt, "count")), rel)
			if err != nil {
				rt.Fatal(err)
			}
			sum := p.Summary()
			for _, s := range append(sum.Sets, sum.Cubes...) {
				if s.Hidden%5 != 0 || s.Rules != nil && (s.Cells < ruleCells || (s.Rules.Small|s.Rules.Near|s.Rules.Remainder) < 0) {
					rt.Fatalf("%s: %+v", s.Name, s)
				}
			}
			pages = append(pages, fmt.Sprintf("%+v", sum))
		}
		if pages[0] != pages[1] {
			rt.Fatalf("two hidden counts have two summaries:\n%s\n%s", pages[0], pages[1])
		}
	})
	for method := range reflect.TypeFor[*Published]().Methods() {
		for in := range method.Type.Ins() {
			if k := in.Kind(); k >= reflect.Int && k <= reflect.Float64 {
				t.Errorf("Published.%s takes a number: it must not compare counts with it", method.Name)
			}
		}
	}
	// What a replay of an answer shows is the published bytes again, and no draw.
	var b bytes.Buffer
	p := protected(t, 1, 1)
	if err := p.Encode(&b); err != nil {
		t.Fatal(err)
	}
	_, counts := small()
	for label, c := range counts["region@region"] {
		if st, _, _ := p.Cell(label, gateway.CountChildren); st == gateway.StatusValue && bytes.Contains(b.Bytes(), binary.BigEndian.AppendUint64(nil, c.Key)) {
			t.Errorf("the release holds the subject keys of %s", label)
		}
	}
}
