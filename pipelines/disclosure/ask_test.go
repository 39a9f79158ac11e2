package disclosure

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func ask(tb rapid.TB, p *Published, q gateway.Question) *gateway.Table {
	tb.Helper()
	table, err := p.Ask(q)
	if err != nil {
		tb.Fatalf("%+v: %v", q, err)
	}
	return table
}

func bytesOf(tb rapid.TB, table *gateway.Table) string {
	tb.Helper()
	b, err := json.Marshal(table)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// Every way to ask for a cell reads the same cell, and ways that differ in order
// or spelling alone give the same bytes (disclosure.md 2.1; attack A6).
func TestSynonyms(t *testing.T) {
	t.Parallel()
	p := protected(t, 1, 1)
	l := p.l
	rapid.Check(t, func(rt *rapid.T) {
		s := l.sets[rapid.IntRange(0, len(l.sets)-1).Draw(rt, "set")]
		at := s.nodes(rapid.IntRange(0, s.cells-1).Draw(rt, "cell"), nil)
		if l.omits(s, at) {
			rt.Skip("an omitted code cannot be asked for")
		}
		id := rapid.SampledFrom(s.Cubes).Draw(rt, "cube")
		m := rapid.SampledFrom(p.l.def.Cube(id).Measures).Draw(rt, "measure")
		q := gateway.Question{Cube: id, Measure: m, Filter: map[string]string{}}
		var nodes []string
		for i, dim := range s.dims {
			name, code := l.dims[dim].Name, l.dims[dim].levels[0][at[i]].Code
			switch rapid.IntRange(0, 2).Draw(rt, "how to name "+name) {
			case 0:
				q.Filter[name] = code
			case 1:
				q.GroupBy = append(q.GroupBy, name)
				nodes = append(nodes, code)
			default:
				q.Filter[name] = code
				q.GroupBy = append(q.GroupBy, name+"@"+name)
				nodes = append(nodes, code)
			}
		}
		table := ask(rt, p, q)
		st, v, _ := p.Cell(string(l.label(s, at, nil)), m)
		found := false
		for _, c := range table.Cells {
			if slices.Equal(c.Nodes, nodes) {
				found = c.Status == st && (c.Value == nil) == (st != gateway.StatusValue) && (c.Value == nil || *c.Value == v)
			}
		}
		if !found {
			rt.Fatalf("%+v does not hold cell %s = %s %d", q, l.label(s, at, nil), st, v)
		}
		again := q
		again.GroupBy = nil
		for _, g := range rapid.Permutation(q.GroupBy).Draw(rt, "order") {
			name, _, levelled := strings.Cut(g, "@")
			again.GroupBy = append(again.GroupBy, map[bool]string{true: name, false: name + "@" + name}[levelled])
		}
		again.Purpose = "another"
		if len(q.Filter) == 0 {
			again.Filter = nil
		}
		if a, b := bytesOf(rt, table), bytesOf(rt, ask(rt, p, again)); a != b {
			rt.Fatalf("two spellings, two answers:\n%s\n%s", a, b)
		}
	})
}

// The whole of one answer.
func TestAskWhole(t *testing.T) {
	p := protected(t, 1, 1)
	got := ask(t, p, gateway.Question{
		Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"sex", "reached"},
		Filter: map[string]string{"age_first": "Y10T14"},
	})
	value := func(label string) *int64 {
		st, v, ok := p.Cell(label, gateway.CountChildren)
		if !ok || st != gateway.StatusValue {
			return nil
		}
		return &v
	}
	want := &gateway.Table{
		Release: "demo-1", Cube: "pathways", Measure: gateway.CountChildren,
		Label:      "release=1|measure=children|age_first=Y10T14|reached@reached|sex@sex",
		Dimensions: []string{"reached", "sex"}, Filter: map[string]string{"age_first": "Y10T14"},
		Variance: 50, Base: 5, Bottom: 10, Digest: p.Digest(), PTables: got.PTables, Policy: "policy", Decision: got.Decision, Notes: got.Notes,
	}
	for _, reached := range []string{"no", "cannot_tell", "no_start"} { // the order of codes; yes is omitted
		for _, sex := range []string{"F", "M"} {
			c := gateway.Cell{Nodes: []string{reached, sex}, Status: gateway.StatusSuppressed}
			if v := value("age_first=Y10T14|reached=" + reached + "|sex=" + sex); v != nil {
				c.Status, c.Value = gateway.StatusValue, v
			}
			want.Cells = append(want.Cells, c)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	tables, _ := NewPTables(50)
	if got.PTables != tables.Digest() {
		t.Error("the answer names other p-tables than those of its V")
	}
	if len(got.Decision) != 64 || len(got.Notes) != 5 || !strings.Contains(got.Notes[2], "yes of reached") {
		t.Errorf("decision %q, notes %q", got.Decision, got.Notes)
	}
}

// A filter above the grouping gives the cells below it, and the label of a cell
// does not tell how it was reached.
func TestAskTree(t *testing.T) {
	d := definition([]gateway.Dimension{tree("a", 2, 3), partition("b", 2)}, cube("one", gateway.Children, 2, "a", "b"))
	p, err := Protect(fill(t, d, randomTruthOf(d, 900).counts()), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	q := gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a@leaf"}, Filter: map[string]string{"a": "aAB"}}
	table := ask(t, p, q)
	if len(table.Cells) != 3 || table.Dimensions[0] != "a@leaf" || table.Label != "release=1|measure=children|a=aAB@leaf" {
		t.Fatalf("%d cells by %v: %s", len(table.Cells), table.Dimensions, table.Label)
	}
	all := ask(t, p, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a@leaf"}})
	if diff := cmp.Diff(all.Cells[2:], table.Cells); diff != "" {
		t.Error(diff)
	}
	one := ask(t, p, gateway.Question{Cube: "one", Measure: gateway.CountChildren, Filter: map[string]string{"a": all.Cells[2].Nodes[0]}})
	if len(one.Cells) != 1 || len(one.Cells[0].Nodes) != 0 || one.Cells[0].Status != all.Cells[2].Status {
		t.Errorf("one leaf by filter: %+v", one.Cells)
	}
	for _, groupBy := range []string{"a", "a@", "a@top"} {
		q.GroupBy, q.Filter = []string{groupBy}, map[string]string{"a": all.Cells[2].Nodes[0]}
		if _, err := p.Ask(q); !errors.Is(err, gateway.Invalid) {
			t.Errorf("group by %s under a leaf: %v", groupBy, err)
		}
	}
}

func randomTruthOf(d *gateway.Definition, children int) truth {
	w := truth{def: d}
	for child := range children {
		codes := map[string]string{}
		x := subjectKey(child)
		for i := range d.Dimensions {
			var leaves []string
			for _, n := range d.Dimensions[i].Nodes {
				if d.Dimensions[i].Leaf(n) {
					leaves = append(leaves, n.Code)
				}
			}
			codes[d.Dimensions[i].Name] = leaves[x%uint64(len(leaves))]
			x /= 8
		}
		w.events = append(w.events, event{child, codes})
	}
	return w
}

// Nothing outside the lattice can be asked. The refusal names the limit, and it is
// the same for a release without any child: no data is looked at.
func TestAskRefuses(t *testing.T) {
	p := protected(t, 1, 1)
	empty, err := Protect(NewRaw(demo()), release(demo(), 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	by := func(dims ...string) gateway.Question {
		return gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: dims}
	}
	with := func(q gateway.Question, filter ...string) gateway.Question {
		q.Filter = map[string]string{}
		for i := 0; i < len(filter); i += 2 {
			q.Filter[filter[i]] = filter[i+1]
		}
		return q
	}
	for _, c := range []struct {
		name, says string
		q          gateway.Question
	}{
		{"no cube", "no such cube; it has pathways, volume", gateway.Question{Measure: gateway.CountChildren}},
		{"cube in capitals", "no such cube", gateway.Question{Cube: "Pathways", Measure: gateway.CountChildren}},
		{"measure of another cube", "does not measure that", gateway.Question{Cube: "pathways", Measure: gateway.CountRecords}},
		{"no measure", "does not measure that", gateway.Question{Cube: "pathways"}},
		{"dimension of another cube", "no such dimension", by("quarter")},
		{"dimension in capitals", "no such dimension", by("Sex")},
		{"empty dimension", "no such dimension", by("")},
		{"unknown level", "at one of its levels: sex", by("sex@sexes")},
		{"empty level", "at one of its levels: sex", by("sex@")},
		{"twice", "grouped twice", by("sex", "sex@sex")},
		{"unknown code", "no such code", with(by(), "sex", "X")},
		{"code in lower case", "no such code", with(by(), "sex", "f")},
		{"padded code", "no such code", with(by(), "sex", " F")},
		{"root", "no such code", with(by(), "sex", "")},
		{"union of codes", "no such code", with(by(), "region", "61|62")},
		{"omitted code", "no such code", with(by(), "reached", "yes")},
		{"filter on another cube's dimension", "no such dimension", with(by(), "quarter", "2023Q1")},
		{"five dimensions", "at most 4 dimensions, filters and groupings together; this asks for 5", with(by("region", "age_first", "sex"), "first_sector", "police", "reached", "no")},
		{"kept apart", "does not cross first_sector with sector", by("sector", "first_sector")},
		{"kept apart, by a filter", "does not cross reached with sector", with(by("sector"), "reached", "no")},
		{"over the cap of its cube", "at most 3", gateway.Question{Cube: "volume", Measure: gateway.CountChildren, GroupBy: []string{"sector", "sex", "quarter", "event_age"}}},
		{"too many cells", "at most 5000", gateway.Question{Cube: "wide", Measure: gateway.CountChildren, GroupBy: []string{"region", "w1", "w2"}}},
	} {
		if c.q.Cube == "wide" {
			continue // below
		}
		_, err := p.Ask(c.q)
		if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want Invalid that says %q", c.name, err, c.says)
			continue
		}
		if _, other := empty.Ask(c.q); other == nil || other.Error() != err.Error() {
			t.Errorf("%s: %v without data, %v with", c.name, other, err)
		}
	}
	d := definition([]gateway.Dimension{partition("a", 80), partition("b", 80)}, cube("one", gateway.Children, 2, "a", "b"))
	wide, err := Protect(NewRaw(d), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = wide.Ask(gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a", "b"}})
	if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "make 6400 cells by their code lists; at most 5000") {
		t.Errorf("6,400 nominal cells: %v", err)
	}
}

// Refusals repeat nothing of the question: it could hold what somebody pasted by
// mistake.
func TestRefusalsRepeatNothing(t *testing.T) {
	p := protected(t, 1, 1)
	const pasted = "040717500123"
	for i, q := range []gateway.Question{
		{Cube: pasted, Measure: gateway.CountChildren},
		{Cube: "pathways", Measure: pasted},
		{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{pasted}},
		{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"sex@" + pasted}},
		{Cube: "pathways", Measure: gateway.CountChildren, Filter: map[string]string{"sex": pasted}},
		{Cube: "pathways", Measure: gateway.CountChildren, Filter: map[string]string{pasted: "F"}},
	} {
		if _, err := p.Ask(q); err == nil || strings.Contains(err.Error(), pasted) {
			t.Errorf("question %d: %v", i, err)
		}
	}
}

// Many may ask at once.
func TestAskFromManyGoroutines(t *testing.T) {
	p := protected(t, 1, 1)
	want := make([]string, len(demoQuestions))
	for i, d := range demoQuestions {
		want[i] = bytesOf(t, ask(t, p, d.q))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, d := range demoQuestions {
				table, err := p.Ask(d.q)
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := json.Marshal(table); err != nil || string(b) != want[i] {
					t.Errorf("%s: another answer among many (%v)", d.name, err)
				}
			}
		})
	}
	wg.Wait()
}

// Notes say what a measure and a dimension need said, and no more.
func TestNotes(t *testing.T) {
	p := protected(t, 1, 1)
	for _, c := range []struct {
		q     gateway.Question
		words []string
		none  []string
	}{
		{gateway.Question{Cube: "volume", Measure: gateway.CountRecords, GroupBy: []string{"sector"}}, []string{"record count", "flattened", "biased upward"}, []string{"do not add up", "not published"}},
		{gateway.Question{Cube: "volume", Measure: gateway.CountChildren, GroupBy: []string{"sector", "quarter"}}, []string{"several codes of sector", "several codes of quarter"}, []string{"record count"}},
		{gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"reached"}}, []string{"yes of reached", "200"}, []string{"several codes"}},
		{gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, Filter: map[string]string{"sex": "F"}}, []string{"never told"}, []string{"several codes", "not published", "record count"}},
	} {
		notes := strings.Join(ask(t, p, c.q).Notes, "\n")
		for _, word := range c.words {
			if !strings.Contains(notes, word) {
				t.Errorf("%v: the notes do not say %q", c.q.GroupBy, word)
			}
		}
		for _, word := range c.none {
			if strings.Contains(notes, word) {
				t.Errorf("%v: the notes say %q", c.q.GroupBy, word)
			}
		}
	}
}

// The decision id tells answers apart that differ in what was asked of what, and
// only those: not the purpose.
func TestDecision(t *testing.T) {
	one, two := protected(t, 1, 1), protected(t, 2, 1)
	q := gateway.Question{Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"sex"}, Purpose: "a"}
	same := q
	same.Purpose = "b"
	other := q
	other.GroupBy = []string{"region"}
	elsewhere := q
	elsewhere.Cube = "volume"
	id := ask(t, one, q).Decision
	if ask(t, one, same).Decision != id {
		t.Error("the purpose changes the decision id")
	}
	for name, d := range map[string]string{"question": ask(t, one, other).Decision, "release": ask(t, two, q).Decision, "cube": ask(t, one, elsewhere).Decision} {
		if d == id {
			t.Errorf("another %s has the same decision id", name)
		}
	}
}

// Unsuppressed children's counts have the stated variance: over many keys the
// published total of 2,000 children has mean 2,000 and variance 50. With 3,000
// keys the sample variance is within 15 % but for a chance of 1e-6, and the mean
// within 0.7 but for 1e-7.
func TestPublishedVariance(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	tables, err := NewPTables(50)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLattice(d)
	if err != nil {
		t.Fatal(err)
	}
	sum, square := 0.0, 0.0
	const keys = 3000
	for key := range keys {
		p := &protector{
			l: l, keys: newKeyed(prf(testKey(key)), "test", 1), tables: tables, law: law{from: 10},
			cells: [][]tally{{{children: 2000}}}, noise: [][]int32{{0}}, label: []byte{},
		}
		p.noise[0][0] = int32(tables.l1.draw(2000, p.keys.permanent(p.label)))
		v := float64(p.value(l.sets[0], 0, gateway.CountChildren)) - 2000
		sum += v
		square += v * v
	}
	mean, variance := sum/keys, square/keys
	if math.Abs(mean) > 0.7 || math.Abs(variance-50) > 7.5 {
		t.Errorf("mean deviation %.3f, variance %.2f, want 0 and 50", mean, variance)
	}
}

// FuzzAsk asks anything: an answer is always of the lattice and an error always
// Invalid, with nothing of a code list in a wrong place.
func FuzzAsk(f *testing.F) {
	f.Add("pathways", "children", "region,sex@sex", "reached=no")
	f.Add("volume", "records", "sector,quarter", "")
	f.Add("volume", "records", "sector@sector,quarter", "sector=police,sex=F")
	f.Add("pathways", "children", "sector", "reached=yes")
	f.Add("pathways", "children", "a@b@c,|", "=,==")
	p := protected(f, 1, 1)
	f.Fuzz(func(t *testing.T, cube, measure, groupBy, filter string) {
		q := gateway.Question{Cube: cube, Measure: gateway.Measure(measure), Filter: map[string]string{}}
		if groupBy != "" {
			q.GroupBy = strings.Split(groupBy, ",")
		}
		for fact := range strings.SplitSeq(filter, ",") {
			if name, code, ok := strings.Cut(fact, "="); ok {
				q.Filter[name] = code
			}
		}
		before := fmt.Sprint(q, slices.Sorted(maps.Keys(q.Filter)))
		table, err := p.Ask(q)
		if fmt.Sprint(q, slices.Sorted(maps.Keys(q.Filter))) != before {
			t.Fatal("the question was changed")
		}
		if err != nil {
			if !errors.Is(err, gateway.Invalid) || table != nil {
				t.Fatalf("%v with table %v", err, table)
			}
			return
		}
		for _, c := range table.Cells {
			st, v, ok := p.Cell(labelOf(table, c), q.Measure)
			if !ok || st != c.Status || c.Value != nil && *c.Value != v || (c.Value != nil) != (st == gateway.StatusValue) {
				t.Fatalf("cell %v of %s is not the published one", c.Nodes, table.Label)
			}
		}
		if bytesOf(t, table) != bytesOf(t, ask(t, p, q)) {
			t.Fatal("the same question has two answers")
		}
	})
}

// BenchmarkAsk is the look-up of the largest table of the demonstration, 960
// cells; the target is under a millisecond.
func BenchmarkAsk(b *testing.B) {
	p := protected(b, 1, 1)
	for name, q := range map[string]gateway.Question{
		"40":  demoQuestions[1].q,
		"960": {Cube: "pathways", Measure: gateway.CountChildren, GroupBy: []string{"region", "first_sector", "sex", "age_first"}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Ask(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
