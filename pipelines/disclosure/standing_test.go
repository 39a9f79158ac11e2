package disclosure

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// standing makes tables of a mode of a definition.
func standing(d *gateway.Definition, mode gateway.StandingMode) *gateway.Definition {
	d.Profile, d.Standing = gateway.Standing, &gateway.StandingTables{Mode: mode}
	if mode == gateway.Exact {
		d.V = 0
	}
	return d
}

// three is a definition of three partitions, one of them a tree, crossed by two at
// most: the base is none of its tables.
func three(mode gateway.StandingMode) *gateway.Definition {
	return standing(definition([]gateway.Dimension{tree("a", 2, 2), partition("b", 3), partition("c", 2)},
		cube("one", gateway.Children, 2, "a", "b", "c")), mode)
}

// tabulated counts a population with the base of a definition and protects it.
func tabulated(tb testing.TB, w truth, rel Release) (*Published, error) {
	tb.Helper()
	w.def = Counting(w.def)
	return Protect(fill(tb, w.def, w.counts()), rel)
}

// lone lists the cells with fewer children than k that anybody finds by taking the
// shown cells of a group from its shown parent: the first attack on suppressed tables
// (disclosure.md 2.11 line 1).
func lone(p *Published, counts map[string]map[string]*Count, k uint64) []string {
	var found []string
	each(p.l, func(s *set, c int, at []int, label string) {
		truth := uint64(0)
		if n := counts[s.key][label]; n != nil {
			truth = n.Children
		}
		if p.cells[s.index].status[c] != statusSuppressed || truth >= k {
			return
		}
		for i, dim := range s.dims {
			n, level := &p.l.dims[dim], s.Set[i].Level
			alone := p.cells[s.parents[i].index].status[p.l.above(s, at, i)] == statusValue
			for _, node := range n.groups[level][n.parent[level][at[i]]] {
				other := c + (node-at[i])*s.strides[i]
				alone = alone && (other == c || p.cells[s.index].status[other] == statusValue)
			}
			if alone {
				found = append(found, label)
			}
		}
	})
	return found
}

// What exact tables show is true, what is small is hidden, no subtraction finds it,
// and the audit says so. A pattern without its complements would be found out.
func TestExactTables(t *testing.T) {
	found := 0
	rapid.Check(t, func(rt *rapid.T) {
		d := three(gateway.Exact)
		w := randomTruth(rt, d)
		counts := w.counts()
		p, err := tabulated(t, w, release(d, 1, rapid.IntRange(0, 99).Draw(rt, "key")))
		if err != nil {
			rt.Fatal(err)
		}
		if a := p.Summary().Audit; a == nil || !a.Passed || !a.Insiders || a.Width != 10 {
			rt.Fatalf("audit %+v", a)
		}
		bare := *p // a pattern with primaries only: the planted fault
		bare.cells = nil
		for _, s := range p.l.sets {
			c := published{status: slices.Clone(p.cells[s.index].status), values: p.cells[s.index].values}
			bare.cells = append(bare.cells, c)
		}
		each(p.l, func(s *set, c int, _ []int, label string) {
			truth := uint64(0)
			if n := counts[s.key][label]; n != nil {
				truth = n.Children
			}
			st, v, _ := p.Cell(label, gateway.CountChildren)
			switch {
			case st == gateway.StatusValue && (uint64(v) != truth || truth < 10):
				rt.Fatalf("%s shows %d of %d", label, v, truth)
			case st != gateway.StatusValue && st != gateway.StatusSuppressed:
				rt.Fatalf("%s is %s", label, st)
			case truth >= 20:
				bare.cells[s.index].status[c] = statusValue
			}
		})
		if open := lone(p, counts, 10); len(open) > 0 {
			rt.Fatalf("found by subtraction: %v", open)
		}
		found += len(lone(&bare, counts, 10))
		q, err := Decode(bytes.NewReader(encoded(t, p)))
		if err != nil || q.Digest() != p.Digest() {
			rt.Fatalf("reading back: %v", err)
		}
	})
	if found == 0 {
		t.Error("nothing was found in patterns without complements: the attack is broken")
	}
}

// A child whose leaf is not known is in none of the tables: a total that held it would
// be more than its parts.
func TestStandingTablesAddUp(t *testing.T) {
	d := standing(definition([]gateway.Dimension{partition("a", 2), partition("b", 2)}, cube("one", gateway.Children, 1, "a", "b")), gateway.Exact)
	wide := Counting(d)
	raw := NewRaw(wide)
	a, b := d.Dimensions[0].Nodes, d.Dimensions[1].Nodes
	both := gateway.GroupingSet{{Name: "a"}, {Name: "b"}}
	for i, n := range []int{100, 200, 300, 400} {
		add(t, raw, both, []string{a[i/2].Code, b[i%2].Code}, n, subjectKey(i))
	}
	for i := range 2 { // five more of each code, of whom the other code is not known
		add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{a[i].Code}, 300+400*i+5, 1)
		add(t, raw, gateway.GroupingSet{{Name: "b"}}, []string{b[i].Code}, 400+200*i+5, 1)
	}
	add(t, raw, total, nil, 1020, 1)
	p, err := Protect(raw, release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]int64{"": 1000, "a=" + a[0].Code: 300, "b=" + b[1].Code: 600} {
		if st, v, ok := p.Cell(label, gateway.CountChildren); !ok || st != gateway.StatusValue || v != want {
			t.Errorf("%q: %s %d, want %d", label, st, v, want)
		}
	}
	if _, _, ok := p.Cell("a="+a[0].Code+"|b="+b[0].Code, gateway.CountChildren); ok {
		t.Error("the base is published though no cube admits it")
	}
	if p.Definition().Cube(baseCube) != nil {
		t.Error("the release pins the cube of its base")
	}
}

// Statuses that no data decides come before the audit.
func TestExactStatuses(t *testing.T) {
	d := three(gateway.Exact)
	d.Dimensions[1].Omitted = d.Dimensions[1].Nodes[2].Code
	d.Impossible = [][]gateway.Fact{{{Dimension: "b", Node: d.Dimensions[1].Nodes[0].Code}, {Dimension: "c", Node: d.Dimensions[2].Nodes[0].Code}}}
	d.Dimensions[2].Source.Kind, d.Dimensions[2].Nodes[0].Code, d.Dimensions[2].Nodes[1].Code = gateway.FirstSector, "police", "health"
	d.Impossible[0][1].Node = "police"
	w := randomTruthOf(d, 600)
	w.events = slices.DeleteFunc(w.events, func(e event) bool { return e.codes["b"] == d.Dimensions[1].Nodes[0].Code && e.codes["c"] == "police" })
	rel := release(d, 1, 1)
	delete(rel.Coverage.Full, "health")
	p, err := tabulated(t, w, rel)
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]gateway.CellStatus{
		"b=" + d.Dimensions[1].Nodes[0].Code + "|c=police": gateway.StatusImpossible, "c=health": gateway.StatusNotReported, "c=police": gateway.StatusSuppressed,
	} {
		if st, _, ok := p.Cell(label, gateway.CountChildren); !ok || st != want && want != gateway.StatusSuppressed {
			t.Errorf("%s is %s, want %s", label, st, want)
		}
	}
	if _, _, ok := p.Cell("b="+d.Dimensions[1].Omitted, gateway.CountChildren); ok {
		t.Error("the omitted code is published")
	}
	notes := strings.Join(ask(t, p, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"b"}}).Notes, " ")
	for _, want := range []string{"exact", "audited", "narrower than 10", "not published", "not known"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q: %s", want, notes)
		}
	}
}

// What an earlier release of the window shows is known to everybody: the next must
// show the same, and protects what both together would give away.
func TestExactTablesAreFrozen(t *testing.T) {
	d := three(gateway.Exact)
	w := randomTruthOf(d, 400)
	first, err := tabulated(t, w, release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	next := func(change func(*truth, *Release)) (*Published, error) {
		own, rel := truth{def: three(gateway.Exact), events: slices.Clone(w.events)}, release(d, 2, 1)
		rel.Earlier = []*Published{first}
		change(&own, &rel)
		return tabulated(t, own, rel)
	}
	again, err := next(func(*truth, *Release) {})
	if err != nil || !slices.Equal(again.Summary().Audit.Earlier, []gateway.ReleaseID{"test-1"}) {
		t.Fatalf("the same children again: %v", err)
	}
	each(again.l, func(s *set, c int, _ []int, label string) {
		if again.cells[s.index].status[c] != first.cells[s.index].status[c] {
			t.Errorf("%s has another status in the second release", label)
		}
	})
	one := event{child: 9999, codes: w.events[0].codes}
	wider, err := next(func(own *truth, _ *Release) { own.def.Cubes[0].Cap = 3 })
	if err != nil || len(wider.l.sets) <= len(first.l.sets) {
		t.Errorf("finer tables beside the first: %v", err)
	}
	for name, change := range map[string]func(*truth, *Release){
		"a child more":       func(own *truth, _ *Release) { own.events = append(own.events, one) },
		"a longer window":    func(own *truth, rel *Release) { own.def.To++; rel.Coverage = complete(own.def) },
		"another dimension":  func(own *truth, _ *Release) { own.def.Dimensions[2] = partition("c", 3) },
		"a smaller crossing": func(own *truth, _ *Release) { own.def.Cubes[0].Dimensions = []string{"a", "b"} },
		"another profile": func(_ *truth, rel *Release) {
			x := *first
			l := *first.l
			l.def = three(gateway.Additive)
			x.l = &l
			rel.Earlier = []*Published{&x}
		},
	} {
		if _, err := next(change); !errors.Is(err, gateway.Conflict) || strings.Contains(err.Error(), "a=") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := next(func(own *truth, rel *Release) {
		own.def.From, own.def.To = 8096, 8096
		rel.Coverage = complete(own.def)
	}); err != nil {
		t.Errorf("another window: %v", err)
	}
}

// Additive tables add up, whatever is hidden; the noise of a base cell has variance V
// and mean zero, at zero children as at many; what stays from release to release is
// half of it. (1,000 draws: within 20 % but for one run in 10,000.)
func TestAdditiveTables(t *testing.T) {
	t.Parallel()
	d := three(gateway.Additive)
	w := randomTruthOf(d, 3000)
	gone := w.events[0].codes["a"]
	w.events = slices.DeleteFunc(w.events, func(e event) bool { return e.codes["a"] == gone })
	counts := w.counts()
	truthOf := func(key, label string) float64 {
		if n := counts[key][label]; n != nil {
			return float64(n.Children)
		}
		return 0
	}
	var cells, totals, zeros, kept []float64
	wide := Counting(d)
	based := truth{wide, w.events}.counts() // once: they are the same under every key
	for key := range 250 {
		p, err := Protect(fill(t, wide, based), release(wide, 1, key))
		if err != nil {
			t.Fatal(err)
		}
		q, err := Protect(fill(t, wide, based), release(wide, 2, key))
		if err != nil {
			t.Fatal(err)
		}
		v := func(p *Published, s *set, c int) int64 { return p.cells[s.index].values[gateway.CountChildren][c] }
		all, bs := p.l.byKey[""], p.l.byKey["b@b"]
		sum := int64(0)
		for c := range bs.cells {
			sum += v(p, bs, c)
		}
		if sum != v(p, all, 0) {
			t.Fatalf("the codes of b make %d of %d", sum, v(p, all, 0))
		}
		totals = append(totals, float64(v(p, all, 0))-truthOf("", ""))
		kept = append(kept, float64(v(p, all, 0)-v(q, all, 0)))
		s := p.l.byKey["a@leaf|b@b"]
		for c := range s.cells {
			label := string(p.l.label(s, s.nodes(c, nil), nil))
			e := truthOf(s.key, label)
			if strings.Contains(label, gone) {
				if st, _, _ := p.Cell(label, gateway.CountChildren); st != gateway.StatusSuppressed {
					t.Fatalf("no children are shown as %s", st)
				}
				continue
			}
			if p.cells[s.index].status[c] == statusValue {
				cells = append(cells, float64(v(p, s, c))-e)
			}
		}
		if key == 0 {
			back, err := Decode(bytes.NewReader(encoded(t, p)))
			if err != nil || back.Digest() != p.Digest() {
				t.Fatal(err)
			}
			table := ask(t, p, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a@top"}})
			if table.Variance != 50*2*3*2 || table.Base != 5 || table.Bottom != 0 || table.PTables == "" {
				t.Errorf("%+v", table)
			}
		}
	}
	for name, x := range map[string]struct {
		of   []float64
		want float64
	}{"a cell of two parts": {cells, 100}, "the total of 24 parts": {totals, 1200}, "its change between releases": {kept, 2 * 600}} {
		mean, sd := meanAndSD(x.of)
		if !near(mean, 0, 5*sd/math.Sqrt(float64(len(x.of)))) || !near(sd*sd/x.want, 1, 0.45) {
			t.Errorf("%s: mean %.1f, variance %.0f of %g over %d", name, mean, sd*sd, x.want, len(x.of))
		}
	}
	// What subtraction leaves of a cell of nobody looks like that of a few.
	l, err := newLattice(d)
	if err != nil {
		t.Fatal(err)
	}
	base, err := l.widened()
	if err != nil {
		t.Fatal(err)
	}
	for key := range 50 {
		keys := newKeyed(prf(testKey(key)), d.Lineage, 1)
		for _, n := range base.perturb(&protector{keys: keys, tables: tablesOf(t, 50)}, base.under(nil), nil) {
			zeros = append(zeros, float64(n))
		}
	}
	if mean, sd := meanAndSD(zeros); !near(mean, 0, 1) || !near(sd*sd, 50, 10) {
		t.Errorf("cells of nobody: mean %.1f, variance %.1f of 50", mean, sd*sd)
	}
}

// Refusals need no data, and name a choice.
func TestStandingPlanRefuses(t *testing.T) {
	multi := func(d gateway.Dimension, kind gateway.SourceKind, column string) gateway.Dimension {
		d.Kind, d.Source = gateway.Multi, gateway.Source{Kind: kind, Column: column}
		return d
	}
	big := func(mode gateway.StandingMode, sizes ...int) *gateway.Definition {
		var dims []gateway.Dimension
		var names []string
		for i, n := range sizes {
			name := string(rune('a' + i))
			dims, names = append(dims, partition(name, n)), append(names, name)
		}
		return standing(definition(dims, cube("one", gateway.Children, 2, names...)), mode)
	}
	for name, x := range map[string]struct {
		d    *gateway.Definition
		says string
	}{
		"records": {func() *gateway.Definition {
			d := three(gateway.Exact)
			d.Cubes[0].Measures = append(d.Cubes[0].Measures, gateway.CountRecords)
			return d
		}(), "of children"},
		"one code":          {big(gateway.Exact, 1, 3), "one code"},
		"five dimensions":   {big(gateway.Additive, 2, 2, 2, 2, 2), "at most 4"},
		"a base too large":  {big(gateway.Additive, 20, 20, 20), "8000"},
		"too many to audit": {big(gateway.Exact, 20, 20, 10), "mode additive"},
		"pairs": {standing(definition([]gateway.Dimension{partition("a", 2), multi(partition("b", 3), gateway.SectorPair, "")},
			cube("one", gateway.Children, 2, "a", "b")), gateway.Exact), "pairs"},
		"two of one column": {standing(definition([]gateway.Dimension{
			multi(partition("a", 2), gateway.EventColumn, "region"),
			multi(partition("b", 3), gateway.EventColumn, "region"),
		}, cube("one", gateway.Children, 2, "a", "b")), gateway.Exact), ""},
		"small V": {func() *gateway.Definition { d := three(gateway.Additive); d.V = 10; return d }(), "below 50"},
		"exact V": {func() *gateway.Definition { d := three(gateway.Exact); d.V = 50; return d }(), "declares V"},
		"no mode": {func() *gateway.Definition { d := three("neither"); return d }(), "exact or additive"},
		"values":  {func() *gateway.Definition { d := three(gateway.Exact); d.Values = []gateway.Value{{ID: "x"}}; return d }(), ""},
	} {
		_, err := Plan(x.d)
		if !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	implied := standing(definition([]gateway.Dimension{partition("a", 2), multi(partition("b", 3), gateway.EventColumn, "x")},
		cube("one", gateway.Children, 2, "a", "b")), gateway.Exact)
	if _, err := Plan(implied); err != nil {
		t.Errorf("a multi dimension beside a partition: %v", err)
	}
	implied.Implied = []gateway.Implication{{
		If:   gateway.Fact{Dimension: "a", Node: implied.Dimensions[0].Nodes[0].Code},
		Then: gateway.Fact{Dimension: "b", Node: implied.Dimensions[1].Nodes[0].Code},
	}}
	if _, err := Plan(implied); !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "implies") {
		t.Errorf("an implied node of a multi dimension: %v", err)
	}
	if _, err := Plan(standing(implied, gateway.Additive)); !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "noise twice") {
		t.Errorf("an implied node of a multi dimension, additive: %v", err)
	}
	events := standing(definition([]gateway.Dimension{partition("a", 2), multi(partition("b", 1), gateway.EventColumn, "x"), multi(partition("c", 1), gateway.EventColumn, "y"), multi(partition("e", 1), gateway.EventColumn, "z")},
		cube("one", gateway.Events, 2, "a", "b", "c", "e")), gateway.Additive)
	if b, err := Plan(events); !errors.Is(err, gateway.Invalid) || b.A != 8 {
		t.Errorf("three multi dimensions of events: %v", err)
	}
}

func TestStandingPlanInWords(t *testing.T) {
	for mode, says := range map[gateway.StandingMode][]string{
		gateway.Exact:    {"exact", "24 unknowns if all were hidden; the audit takes up to", "nothing else may ever be released"},
		gateway.Additive: {"additive", "V declared 50 for each of 24 base cells", "a total of 24 of them has standard deviation 35"},
	} {
		b, err := Plan(three(mode))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range says {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in\n%s", want, b)
			}
		}
	}
}

// Multi dimensions of exact tables: nodes are no parts, and are audited as they are.
func TestExactTablesOfAMultiDimension(t *testing.T) {
	c := partition("c", 3)
	c.Kind, c.Source = gateway.Multi, gateway.Source{Kind: gateway.EventQuarter}
	d := standing(definition([]gateway.Dimension{partition("a", 3), c}, cube("one", gateway.Children, 2, "a", "c")), gateway.Exact)
	w := randomTruthOf(d, 300)
	for _, e := range randomTruthOf(d, 200).events { // half of them come back elsewhere
		e.codes = map[string]string{"a": e.codes["a"], "c": d.Dimensions[1].Nodes[e.child%3].Code}
		w.events = append(w.events, e)
	}
	slices.SortStableFunc(w.events, func(a, b event) int { return a.child - b.child })
	p, err := tabulated(t, w, release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	counts, shownCells := w.counts(), 0
	each(p.l, func(s *set, _ int, _ []int, label string) {
		if st, v, _ := p.Cell(label, gateway.CountChildren); st == gateway.StatusValue {
			shownCells++
			if uint64(v) != counts[s.key][label].Children {
				t.Errorf("%s shows %d of %d", label, v, counts[s.key][label].Children)
			}
		}
	})
	if shownCells < 4 {
		t.Errorf("%d cells are shown", shownCells)
	}
}

// A lineage keeps its profile, and what that fixes.
func TestContinueKeepsTheProfile(t *testing.T) {
	goOn := func(a, b *gateway.Definition) error {
		return Continue(Parameters{a, lawful()}, Parameters{b, lawful()})
	}
	same := func(change func(*gateway.Definition)) *gateway.Definition {
		d := three(gateway.Exact)
		change(d)
		return d
	}
	for name, x := range map[string]struct{ a, b *gateway.Definition }{
		"interactive to exact": {definition(three(gateway.Exact).Dimensions, three(gateway.Exact).Cubes...), three(gateway.Exact)},
		"exact to additive":    {three(gateway.Exact), three(gateway.Additive)},
		"exact to public":      {three(gateway.Exact), publicly(definition(three(gateway.Exact).Dimensions, three(gateway.Exact).Cubes...), "0.1")},
		"overlapping windows":  {three(gateway.Exact), same(func(d *gateway.Definition) { d.To++ })},
		"another base": {three(gateway.Additive), func() *gateway.Definition {
			d := three(gateway.Additive)
			d.Cubes[0].Dimensions = []string{"a", "b"}
			return d
		}()},
	} {
		if err := goOn(x.a, x.b); !errors.Is(err, gateway.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, x := range map[string]struct{ a, b *gateway.Definition }{
		"exact":          {three(gateway.Exact), three(gateway.Exact)},
		"another window": {three(gateway.Exact), same(func(d *gateway.Definition) { d.From, d.To = 8100, 8100 })},
		"additive":       {three(gateway.Additive), three(gateway.Additive)},
		"public":         {publicly(two(), "0.1"), publicly(two(), "0.2")},
	} {
		if err := goOn(x.a, x.b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Only what a profile can have made is read back.
func TestDecodeKnowsTheProfile(t *testing.T) {
	d := three(gateway.Exact)
	p, err := tabulated(t, randomTruthOf(d, 400), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if !p.publishable(7) || p.publishable(-1) || p.publishable(1<<52) {
		t.Error("exact values are whole and not negative")
	}
	if w := p.Widths(); w.Narrow != 0 || !strings.Contains(w.Method, "linear programming") {
		t.Errorf("widths: %+v", w)
	}
	if _, _, ok := p.Privacy(); ok {
		t.Error("exact tables have a privacy budget")
	}
	sums := *p
	l := *p.l
	l.def = three(gateway.Additive)
	sums.l = &l
	if !sums.publishable(-5) || sums.publishable(7) {
		t.Error("sums are multiples of the base, of either sign")
	}
	if diff := cmp.Diff(p.Measures(&p.l.def.Cubes[0]), p.l.def.Cubes[0].Measures); diff != "" {
		t.Error(diff)
	}
}
