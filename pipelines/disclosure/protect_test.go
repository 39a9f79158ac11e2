package disclosure

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// small is a population of 3,000 children, counted once for all tests.
var small = sync.OnceValues(func() (truth, map[string]map[string]*Count) {
	w := population(3000, 7)
	return w, w.counts()
})

// protected protects the small population.
func protected(tb testing.TB, number, key int) *Published {
	tb.Helper()
	w, counts := small()
	p, err := Protect(fill(tb, w.def, counts), release(w.def, number, key))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// inside runs the rules and returns the protector, to look at states.
func inside(tb testing.TB, raw *Raw, rel Release) *protector {
	tb.Helper()
	c, err := raw.borrow()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := newProtector(c, rel)
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range p.l.sets {
		if err := p.protect(s); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// each calls f for every cell of a lattice with its label.
func each(l *lattice, f func(s *set, c int, at []int, label string)) {
	for _, s := range l.sets {
		for c := range s.cells {
			at := s.nodes(c, nil)
			f(s, c, at, string(l.label(s, at, nil)))
		}
	}
}

// What is published is the truth moved by at most D1 + D2 and the bottom code, and
// no hidden or omitted cell has a value (disclosure.md 2.3).
func TestPublishedIsNearTheTruth(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	shownCells := 0
	each(p.l, func(s *set, c int, at []int, label string) {
		st, v, ok := p.Cell(label, gateway.CountChildren)
		n := counts[s.key][label]
		switch {
		case p.l.omits(s, at):
			if ok {
				t.Fatalf("%s is published although its code is omitted", label)
			}
		case st == gateway.StatusValue:
			shownCells++
			if n == nil || n.Children < 10 {
				t.Fatalf("%s is shown with fewer than 10 children", label)
			}
			if diff := v - int64(n.Children); v < 10 || v%Base != 0 || (diff > 26 || diff < -26) && v != 10 {
				t.Fatalf("%s: %d published as %d", label, n.Children, v)
			}
		case v != 0 || p.cells[s.index].values[gateway.CountChildren][c] != 0:
			t.Fatalf("%s is %s and has the value %d", label, st, v)
		}
	})
	if shownCells < 500 {
		t.Errorf("only %d cells are shown: the test says little", shownCells)
	}
}

// Every value is the text of disclosure.md 2.2 and 2.3, computed here from the PRF
// and the p-tables: children as n + v1 + v2, records as the flattened sum with the
// same v1 scaled, each under the release's draw of its own measure.
func TestValuesAreTheText(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	tables, err := NewPTables(50)
	if err != nil {
		t.Fatal(err)
	}
	draw := prf(testKey(1))
	each(p.l, func(s *set, _ int, _ []int, label string) {
		for _, m := range s.Measures {
			st, v, _ := p.Cell(label, m)
			if st != gateway.StatusValue {
				continue
			}
			c := counts[s.key][label]
			v1 := tables.l1.draw(int64(c.Children), draw("sdc/v2/L1", []byte("demo"), []byte(label)))
			n1 := int64(c.Children) + v1
			if m == gateway.CountRecords {
				u := draw("sdc/v2/O", []byte("demo"), []byte(label))
				n1 = flattenedCount(c, 1+int(u%2), 3+int(u/2%2), v1)
			}
			u2 := draw("sdc/v2/L2", []byte("1"), []byte("release=1|measure="+string(m)+"|"+label))
			if want := max(10, n1+tables.l2.draw(n1, u2)); v != want {
				t.Fatalf("%s of %s: %d, want %d", m, label, v, want)
			}
		}
	})
}

// Records are shown exactly where children are, and lie near their flattened sum.
func TestRecordsFollowChildren(t *testing.T) {
	_, counts := small()
	p := protected(t, 1, 1)
	each(p.l, func(s *set, _ int, at []int, label string) {
		if !slices.Contains(s.Measures, gateway.CountRecords) || p.l.omits(s, at) {
			return
		}
		st, _, _ := p.Cell(label, gateway.CountChildren)
		rt, v, _ := p.Cell(label, gateway.CountRecords)
		if st != rt {
			t.Fatalf("%s: children %s, records %s", label, st, rt)
		}
		if st != gateway.StatusValue {
			return
		}
		n := counts[s.key][label]
		lambda := max(float64(n.Records)/float64(n.Children), float64(n.Top[0])/2)
		if diff := float64(v) - float64(n.Records); diff > lambda*12+14+1 || v != 10 && diff < -lambda*12-14-2*float64(n.Top[0])-1 {
			t.Fatalf("%s: %d records of %d children published as %d", label, n.Records, n.Children, v)
		}
	})
}

// The order in which cells are counted changes nothing, to the byte.
func TestOrderOfCountingIsForgotten(t *testing.T) {
	d := definition([]gateway.Dimension{tree("a", 2, 3), partition("b", 3)}, cube("one", gateway.Children, 2, "a", "b"))
	rapid.Check(t, func(rt *rapid.T) {
		w := randomTruth(rt, d)
		counts := w.counts()
		var digests []string
		for range 2 {
			raw := NewRaw(d)
			type cell struct {
				set   gateway.GroupingSet
				label string
			}
			var cells []cell
			for _, a := range d.AdmittedSets() {
				for _, label := range slices.Sorted(mapKeys(counts[a.Set.Key(d)])) {
					cells = append(cells, cell{a.Set, label})
				}
			}
			for _, c := range rapid.Permutation(cells).Draw(rt, "order") {
				if err := raw.Add(c.set, codesOf(c.label), *counts[c.set.Key(d)][c.label]); err != nil {
					rt.Fatal(err)
				}
			}
			p, err := Protect(raw, release(d, 1, 1))
			if err != nil {
				rt.Fatal(err)
			}
			digests = append(digests, p.Digest())
		}
		if digests[0] != digests[1] {
			rt.Fatal("two orders of the same cells give two releases")
		}
	})
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// randomTruth draws up to 300 children with one event each in skewed codes.
func randomTruth(rt *rapid.T, d *gateway.Definition) truth {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
	w := truth{def: d}
	n := rapid.IntRange(0, 300).Draw(rt, "children")
	for child := range n {
		codes := map[string]string{}
		for i := range d.Dimensions {
			var leaves []string
			for _, node := range d.Dimensions[i].Nodes {
				if d.Dimensions[i].Leaf(node) {
					leaves = append(leaves, node.Code)
				}
			}
			at := r.IntN(len(leaves))
			codes[d.Dimensions[i].Name] = leaves[min(at, r.IntN(len(leaves)))]
		}
		w.events = append(w.events, event{child, codes})
	}
	return w
}

// A stricter law (the same draws, five higher) hides at least what rules 1, 3 and
// 4 hid before.
func TestStricterLawHidesMore(t *testing.T) {
	w, counts := small()
	rel := release(w.def, 1, 1)
	loose := inside(t, fill(t, w.def, counts), rel)
	rel.Rules.ThresholdMin = 15
	strict := inside(t, fill(t, w.def, counts), rel)
	more := 0
	each(loose.l, func(s *set, c int, _ []int, label string) {
		a, b := loose.states[s.index][c], strict.states[s.index][c]
		if a <= hiddenNear && b > hiddenNear {
			t.Fatalf("%s: state %d under the law from 10, %d under the law from 15", label, a, b)
		}
		if a == shown && b == hiddenSmall {
			more++
		}
	})
	if more == 0 {
		t.Error("the stricter law hides nothing more: the test says nothing")
	}
}

// Rules 1, 3 and 4 as the text has them, cell by cell over labels, by another
// program than the one under test; and what they do not hide, rule 6 must have.
func TestRulesAreTheText(t *testing.T) {
	w, counts := small()
	p := inside(t, fill(t, w.def, counts), release(w.def, 1, 3))
	keys, law := p.keys, p.law
	count := func(key, label string) Count {
		if c := counts[key][label]; c != nil {
			return *c
		}
		return Count{}
	}
	each(p.l, func(s *set, c int, at []int, label string) {
		if p.l.omits(s, at) {
			return
		}
		own := count(s.key, label)
		want := shown
		for i, sd := range s.Set { // all demo dimensions have one level: up is the root
			g := slices.Delete(slices.Clone(s.Set), i, i+1)
			parent := count(g.Key(w.def), without(label, sd.Name))
			if r := parent.Children - own.Children; int(r) < law.threshold(keys.edge(int64(r), parent.Key-own.Key)) {
				want = hiddenNear
			}
		}
		if int(own.Children) < law.threshold(keys.threshold([]byte(label))) {
			want = hiddenSmall
		}
		if got := p.states[s.index][c]; got != want && (got != hiddenRest || want != shown) {
			t.Fatalf("%s: state %d, want %d", label, got, want)
		}
	})
}

func without(label, name string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(label, "|"), func(f string) bool { return strings.HasPrefix(f, name+"=") }), "|")
}

// After rule 6 no group that adds up to a shown parent has exactly one hidden
// cell, unless a second unknown is in it or nothing is left to hide; and every
// cell that rule 6 hid was needed in some group when it was hidden: it is the
// smallest by n + v1 of those shown then, so no larger one went before it.
func TestRemainderIsAFixedPoint(t *testing.T) {
	w, counts := small()
	p := inside(t, fill(t, w.def, counts), release(w.def, 1, 1))
	hid := 0
	each(p.l, func(s *set, c int, at []int, label string) {
		if p.states[s.index][c] == hiddenRest {
			hid++
		}
		for i, dim := range s.dims {
			n := &p.l.dims[dim]
			if at[i] != 0 || n.Kind != gateway.Partition && s.Grain != gateway.Events {
				continue
			}
			if p.states[s.parents[i].index][p.l.above(s, at, i)] != shown {
				continue
			}
			hidden, omits, left := 0, false, 0
			for node := range n.levels[0] {
				switch st := p.states[s.index][c+node*s.strides[i]]; {
				case st.hidden():
					hidden++
				case st == omitted:
					omits = true
				default:
					left++
				}
			}
			if hidden == 1 && !omits && left > 0 {
				t.Errorf("%s and its siblings along %s: one cell is hidden", label, n.Name)
			}
		}
	})
	if hid == 0 {
		t.Error("rule 6 hid nothing: the test says nothing")
	}
	for _, s := range p.l.sets {
		if p.remainders(s) {
			t.Errorf("set %q: another sweep hides more", s.key)
		}
	}
}

// flats returns a Raw over one partition dimension with these counts, and one
// event each.
func flats(t *testing.T, d *gateway.Definition, ns ...int) *Raw {
	t.Helper()
	raw := NewRaw(d)
	sum, keys := 0, uint64(0)
	for i, n := range ns {
		sum += n
		keys += subjectKey(i)
		if n > 0 {
			add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, n, subjectKey(i))
		}
	}
	add(t, raw, total, nil, sum, keys)
	return raw
}

func add(t *testing.T, raw *Raw, g gateway.GroupingSet, nodes []string, n int, key uint64) {
	t.Helper()
	if err := raw.Add(g, nodes, Count{Children: uint64(n), Key: key}); err != nil {
		t.Fatal(err)
	}
}

func statesOf(p *protector, key string) []state { return p.states[p.l.byKey[key].index] }

// Rule 6 takes the smallest n + v1, the permanent noise and not the truth: over
// many keys a 40 is sometimes hidden before a 30, never a 200.
func TestRemainderTakesTheSmallestNoisy(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4)}, cube("one", gateway.Children, 1, "a"))
	taken := map[int]int{}
	for key := range 200 {
		p := inside(t, flats(t, d, 5, 30, 40, 200), release(d, 1, key))
		states := statesOf(p, "a@a")
		best, which := int64(1<<40), 0
		for c := 1; c < 4; c++ {
			if noisy := p.noisy(p.l.byKey["a@a"], c); noisy < best {
				best, which = noisy, c
			}
		}
		for c, st := range states {
			switch {
			case c == 0 && st != hiddenSmall, c == which && st != hiddenRest, c > 0 && c != which && st != shown:
				t.Fatalf("key %d: states %v, %d is the smallest", key, states, which)
			}
		}
		taken[which]++
	}
	if taken[1] == 0 || taken[2] == 0 || taken[3] != 0 {
		t.Errorf("hidden beside the small cell: %v of 200", taken)
	}
}

// An omitted code is a second unknown: beside it a hidden cell needs no companion,
// and by itself it calls for none. It is seen by rule 4.
func TestOmittedCode(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4)}, cube("one", gateway.Children, 1, "a"))
	d.Dimensions[0].Omitted = d.Dimensions[0].Nodes[3].Code
	for _, c := range []struct {
		ns   []int
		want []state
	}{
		{[]int{100, 200, 300, 400}, []state{shown, shown, shown, omitted}},
		{[]int{5, 200, 300, 400}, []state{hiddenSmall, shown, shown, omitted}},
		{[]int{100, 200, 300, 2}, []state{shown, shown, shown, omitted}},
		{[]int{400, 0, 0, 5}, []state{hiddenNear, hiddenSmall, hiddenSmall, omitted}},
		{[]int{400, 0, 0, 50}, []state{shown, hiddenSmall, hiddenSmall, omitted}},
	} {
		p := inside(t, flats(t, d, c.ns...), release(d, 1, 1))
		if got := statesOf(p, "a@a"); !slices.Equal(got, c.want) {
			t.Errorf("%v: states %v, want %v", c.ns, got, c.want)
		}
	}
}

// "Yes" without "no": the near-parent rule still guards the complement, and no
// group is complete.
func TestOneSidedDimension(t *testing.T) {
	d := definition([]gateway.Dimension{flat("a", gateway.Partition, gateway.ChildConst, "yes")}, cube("one", gateway.Children, 1, "a"))
	for rest, want := range map[int]state{0: hiddenNear, 9: hiddenNear, 19: shown, 500: shown} {
		raw := NewRaw(d)
		add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{"yes"}, 100, 1)
		add(t, raw, total, nil, 100+rest, 2)
		if got := statesOf(inside(t, raw, release(d, 1, 1)), "a@a")[0]; got != want {
			t.Errorf("100 of %d: state %d, want %d", 100+rest, got, want)
		}
	}
}

// The only child of a node denotes the same children: one value, and no rule hides
// it for being all of its parent.
func TestOnlyChildIsItsParent(t *testing.T) {
	d := definition([]gateway.Dimension{tree("a", 1, 2, 2), partition("b", 2)}, cube("one", gateway.Children, 2, "a", "b"))
	p, err := Protect(fill(t, d, randomTruthOf(d, 2000).counts()), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	for only, parent := range map[string]string{"a=ONLY": "a=aAA", "a=ONLY|b=bAA": "a=aAA|b=bAA"} {
		only = strings.Replace(only, "ONLY", d.Dimensions[0].Nodes[1].Code, 1)
		s1, v1, ok1 := p.Cell(only, gateway.CountChildren)
		s2, v2, ok2 := p.Cell(parent, gateway.CountChildren)
		if !ok1 || !ok2 || s1 != s2 || v1 != v2 || s1 != gateway.StatusValue {
			t.Errorf("%s is %s %d, %s is %s %d", only, s1, v1, parent, s2, v2)
		}
	}
}

// Rule 4's draw is keyed on the minority: the same 12 children decide alike under
// every label, and over keys they hide as often as the law says: .35 for r = 12.
// With 400 keys the share is within .10 but for a chance of 3e-5.
func TestNearParentIsKeyedOnTheMinority(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2), partition("b", 2)}, cube("one", gateway.Children, 2, "a", "b"))
	hidden := 0
	for key := range 400 {
		p := inside(t, flatsTwo(t, d), release(d, 1, key))
		a, b := statesOf(p, "a@a"), statesOf(p, "b@b")
		if (a[0] == hiddenNear) != (b[0] == hiddenNear) {
			t.Fatalf("key %d: the same minority hides under one label and not under the other", key)
		}
		if a[0] == hiddenNear {
			hidden++
		}
	}
	if share := float64(hidden) / 400; share < .55 || share > .75 {
		t.Errorf("r = 12 hides with a share of %.2f, the law has P(T' > 12) = .65", share)
	}
}

// flatsTwo has 200 children, of whom the same twelve are outside the first code of
// both dimensions.
func flatsTwo(t *testing.T, d *gateway.Definition) *Raw {
	t.Helper()
	raw := NewRaw(d)
	major, minor := subjectKey(1), subjectKey(2)
	one := func(i int) string { return d.Dimensions[i].Nodes[0].Code }
	two := func(i int) string { return d.Dimensions[i].Nodes[1].Code }
	add(t, raw, total, nil, 200, major+minor)
	for i, name := range []string{"a", "b"} {
		add(t, raw, gateway.GroupingSet{{Name: name}}, []string{one(i)}, 188, major)
		add(t, raw, gateway.GroupingSet{{Name: name}}, []string{two(i)}, 12, minor)
	}
	both := gateway.GroupingSet{{Name: "a"}, {Name: "b"}}
	add(t, raw, both, []string{one(0), one(1)}, 188, major)
	add(t, raw, both, []string{two(0), two(1)}, 12, minor)
	return raw
}

// A zero, a one and a nine look alike in everything that leaves: the whole release
// is the same to the byte (disclosure.md 2.4 rule 3).
func TestZerosLookLikeSmallCells(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4)}, cube("one", gateway.Children, 1, "a"))
	var digests []string
	for _, n := range []int{0, 1, 9} {
		raw := NewRaw(d)
		for i, m := range []int{n, 300, 400, 500} {
			if m > 0 {
				add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[i].Code}, m, subjectKey(i))
			}
		}
		add(t, raw, total, nil, 1209, 1) // the same total, so that only the cell differs
		p, err := Protect(raw, release(d, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, p.Digest())
	}
	if digests[0] != digests[1] || digests[1] != digests[2] {
		t.Errorf("0, 1 and 9 children give the releases %v", digests)
	}
}

// A parent that is smaller than its child is a fault of the build: nothing is
// published.
func TestProtectRefusesContradictions(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 2)}, cube("one", gateway.Children, 1, "a"))
	raw := NewRaw(d)
	add(t, raw, total, nil, 20, 1)
	add(t, raw, gateway.GroupingSet{{Name: "a"}}, []string{d.Dimensions[0].Nodes[0].Code}, 30, 1)
	if _, err := Protect(raw, release(d, 1, 1)); !errors.Is(err, gateway.Internal) {
		t.Errorf("a cell larger than its parent: %v", err)
	}
	w, counts := small()
	rel := release(w.def, 1, 1)
	rel.Rules.RecordCap = 2
	if _, err := Protect(fill(t, w.def, counts), rel); !errors.Is(err, gateway.Internal) {
		t.Errorf("records counted with a larger cap: %v", err)
	}
	for name, spoil := range map[string]func(*Release){
		"other lineage": func(r *Release) { r.Lineage = "other" },
		"other id":      func(r *Release) { r.ID = "demo-2" },
		"number zero":   func(r *Release) { r.Number, r.ID = 0, "demo-0" },
		"no key":        func(r *Release) { r.Noise = nil },
		"no coverage":   func(r *Release) { r.Coverage = nil },
		"no cap":        func(r *Release) { r.Rules.RecordCap = 0 },
		"huge cap":      func(r *Release) { r.Rules.RecordCap = 1001 },
		"low law":       func(r *Release) { r.Rules.ThresholdMin = 9 },
	} {
		rel := release(demo(), 1, 1)
		spoil(&rel)
		if _, err := Protect(NewRaw(demo()), rel); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	cheap := demo()
	cheap.V = 36 // 7.8 A is 37.1
	if _, err := Protect(NewRaw(cheap), release(cheap, 1, 1)); !errors.Is(err, gateway.Invalid) {
		t.Errorf("V 36: %v", err)
	}
}

// Two releases of the same data share the permanent draw and the pattern; their
// values differ by the release layer alone.
func TestReleasesShareThePermanentLayer(t *testing.T) {
	one, two := protected(t, 1, 1), protected(t, 2, 1)
	equal, all := 0, 0
	each(one.l, func(s *set, c int, _ []int, label string) {
		if one.cells[s.index].status[c] != two.cells[s.index].status[c] {
			t.Fatalf("%s is hidden in one release only", label)
		}
		for m, values := range one.cells[s.index].values {
			a, b := values[c], two.cells[s.index].values[m][c]
			if a-b > 28 || b-a > 28 {
				t.Fatalf("%s %s: %d and %d differ by more than twice D2", label, m, a, b)
			}
			if one.cells[s.index].status[c] == statusValue {
				all++
				if a == b {
					equal++
				}
			}
		}
	})
	if equal == all || equal == 0 {
		t.Errorf("%d of %d values are equal in both releases", equal, all)
	}
	if protected(t, 1, 1).Digest() != one.Digest() || protected(t, 1, 2).Digest() == one.Digest() {
		t.Error("the same release is not the same, or the key does not matter")
	}
}

// A grouping set that two cubes admit has one value.
func TestCubesShareCells(t *testing.T) {
	p := protected(t, 1, 1)
	q := gateway.Question{Measure: gateway.CountChildren, GroupBy: []string{"sector", "sex"}}
	var cells [][]gateway.Cell
	for _, id := range []string{"pathways", "volume"} {
		q.Cube = id
		table, err := p.Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		cells = append(cells, table.Cells)
	}
	if diff := cmp.Diff(cells[0], cells[1]); diff != "" {
		t.Error(diff)
	}
}

// A sector that has reported nothing for the cell's region and quarter is told
// from registrations alone: the statuses are the same for any data.
func TestNotReported(t *testing.T) {
	w, counts := small()
	rel := release(w.def, 1, 1)
	cover := complete(w.def)
	cover.Full["justice"] = nil                                            // never
	cover.Full["helpline"]["62"] = nil                                     // not in one region
	cover.Full["social"]["61"] = cover.Full["social"]["61"][:4]            // only the first year in one
	cover.Full["police"]["10"] = []gateway.Quarter{w.def.From - 1, 1, 999} // outside the window
	rel.Coverage = cover
	full, err := Protect(fill(t, w.def, counts), rel)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Protect(NewRaw(w.def), rel)
	if err != nil {
		t.Fatal(err)
	}
	each(full.l, func(s *set, c int, _ []int, label string) {
		a, b := full.cells[s.index].status[c], empty.cells[s.index].status[c]
		if (a == statusNotReported) != (b == statusNotReported) {
			t.Fatalf("%s: %d with data, %d without", label, a, b)
		}
	})
	for label, want := range map[string]bool{
		"sector=justice": true, "first_sector=justice": true, "region=61|sector=justice|sex=F": true,
		"sector=helpline": false, "region=62|sector=helpline": true, "event_region=62|sector=helpline": true, "region=63|sector=helpline": false,
		"region=61|sector=social": false, "event_region=61|quarter=2023Q4|sector=social": false, "event_region=61|quarter=2024Q1|sector=social": true,
		"quarter=2024Q1|sector=social": false, "region=10|sector=police": true, "first_sector=police|region=10": true, "region=62": false, "quarter=2025Q1": false,
	} {
		st, _, ok := full.Cell(label, gateway.CountChildren)
		if !ok || (st == gateway.StatusNotReported) != want {
			t.Errorf("%s is %s, not reported: %v", label, st, want)
		}
	}
}

// A cell that is not reported is unknown like a hidden one: where it is the only
// unknown of its group, subtraction would give it, so rule 6 hides a companion.
func TestNotReportedIsUnknown(t *testing.T) {
	d := definition([]gateway.Dimension{flat("a", gateway.Partition, gateway.FirstSector, demoSectors[:4]...)}, cube("one", gateway.Children, 1, "a"))
	rel := release(d, 1, 1)
	rel.Coverage.Full["social"] = nil
	cover := rel.Coverage.Full
	for sector := range cover {
		if sector != "social" {
			cover[sector] = map[string][]gateway.Quarter{"61": {d.From}}
		}
	}
	want := []state{shown, hiddenRest, shown, notReported}
	if got := statesOf(inside(t, flats(t, d, 400, 100, 300, 200), rel), "a@a"); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

// A region that no registration knows of ("unknown") says nothing about reporting.
func TestUnknownRegionIsReported(t *testing.T) {
	d := demo()
	region := d.Dimension("region")
	region.Nodes = append(region.Nodes, gateway.Node{Code: "unknown", Number: 21})
	p, err := Protect(NewRaw(d), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if st, _, ok := p.Cell("region=unknown|sector=police", gateway.CountChildren); !ok || st != gateway.StatusSuppressed {
		t.Errorf("status %s", st)
	}
}

// Structural zeros and implied conditions come from the cube file. An implied
// condition is dropped before labelling: both names have one value; and what
// contradicts one is impossible.
func TestDeclaredFacts(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 4), tree("b", 2, 2, 2), flat("m", gateway.Multi, gateway.ChildConst, "x", "y")},
		cube("one", gateway.Children, 3, "a", "b", "m"))
	a := func(i int) string { return d.Dimensions[0].Nodes[i].Code }
	b := d.Dimensions[1].Nodes // three nodes at 0, 3 and 6, each with two leaves after it
	d.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: a(0)}, {Dimension: "b", Node: b[6].Code}}}
	d.Implied = []gateway.Implication{
		{If: gateway.Fact{Dimension: "a", Node: a(1)}, Then: gateway.Fact{Dimension: "b", Node: b[0].Code}},
		{If: gateway.Fact{Dimension: "a", Node: a(2)}, Then: gateway.Fact{Dimension: "m", Node: "x"}},
	}
	w := truth{def: d}
	for child := range 4800 {
		leaves := [][]int{{1, 2, 4, 5}, {1, 2}, {1, 2, 4, 5, 7, 8}, {1, 2, 4, 5, 7, 8}}[child%4]
		leaf, m := b[leaves[child/4%len(leaves)]].Code, []string{"x", "y"}[child/4/6%2]
		if child%4 == 2 {
			w.events = append(w.events, event{child, map[string]string{"a": a(2), "b": leaf, "m": "x"}})
			if m == "x" && child%3 > 0 {
				continue
			}
			m = "y"
		}
		w.events = append(w.events, event{child, map[string]string{"a": a(child % 4), "b": leaf, "m": m}})
	}
	p, err := Protect(fill(t, d, w.counts()), release(d, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	status := func(label string) gateway.CellStatus {
		st, _, ok := p.Cell(label, gateway.CountChildren)
		if !ok {
			t.Fatalf("no cell %s", label)
		}
		return st
	}
	for _, label := range []string{
		"a=" + a(0) + "|b=" + b[6].Code, "a=" + a(0) + "|b=" + b[7].Code + "|m=x", // declared, and below it
		"a=" + a(1) + "|b=" + b[3].Code, "a=" + a(1) + "|b=" + b[5].Code, // beside the implied node
	} {
		if st := status(label); st != gateway.StatusImpossible {
			t.Errorf("%s is %s, want impossible", label, st)
		}
	}
	for synonym, of := range map[string]string{
		"a=" + a(1) + "|b=" + b[0].Code:          "a=" + a(1),
		"a=" + a(1) + "|b=" + b[0].Code + "|m=y": "a=" + a(1) + "|m=y",
		"a=" + a(2) + "|m=x":                     "a=" + a(2),
		"a=" + a(2) + "|b=" + b[3].Code + "|m=x": "a=" + a(2) + "|b=" + b[3].Code,
	} {
		s1, v1, _ := p.Cell(synonym, gateway.CountChildren)
		s2, v2, _ := p.Cell(of, gateway.CountChildren)
		if s1 != s2 || v1 != v2 || s1 != gateway.StatusValue {
			t.Errorf("%s is %s %d, %s is %s %d", synonym, s1, v1, of, s2, v2)
		}
	}
	if st := status("a=" + a(2) + "|m=y"); st != gateway.StatusValue {
		t.Errorf("another code of a multi dimension is %s, but a child can be in both", st)
	}
}

// The summary has shares in steps of 5, the same numbers as the published cells,
// and no share by rule for small sets.
func TestSummary(t *testing.T) {
	p := protected(t, 1, 1)
	sum := p.Summary()
	if len(sum.Sets) != len(p.l.sets) || len(sum.Cubes) != 2 {
		t.Fatalf("%d sets, %d cubes", len(sum.Sets), len(sum.Cubes))
	}
	cells := 0
	for i, s := range sum.Sets {
		hidden, visible := 0, 0
		for _, st := range p.cells[p.l.sets[i].index].status {
			if st != statusOmitted {
				visible++
			}
			if st == statusSuppressed {
				hidden++
			}
		}
		cells += visible
		exact := 100 * float64(hidden) / float64(visible)
		if s.Cells != visible || s.Hidden%5 != 0 || float64(s.Hidden) > exact+2.5 || float64(s.Hidden) < exact-2.5 {
			t.Errorf("%s: %d cells, %d %% hidden; %d and %.1f are published", s.Name, s.Cells, s.Hidden, visible, exact)
		}
		if (s.Rules != nil) != (visible >= 100) {
			t.Errorf("%s with %d cells: shares by rule %v", s.Name, visible, s.Rules)
		}
	}
	if sum.Cells != cells {
		t.Errorf("%d cells, want %d", sum.Cells, cells)
	}
}

// millions is a definition of about a million cells.
func millions() *gateway.Definition {
	var dims []gateway.Dimension
	var names []string
	for i := range 12 {
		name := fmt.Sprintf("d%02d", i)
		dims = append(dims, partition(name, 7))
		names = append(names, name)
	}
	d := definition(dims, cube("one", gateway.Children, 4, names...))
	d.V = 80
	return d
}

// BenchmarkProtect protects 1.3 million cells, all counted; the target is a million
// in 10 s.
func BenchmarkProtect(b *testing.B) {
	d := millions()
	for b.Loop() {
		b.StopTimer()
		raw := NewRaw(d)
		for _, a := range d.AdmittedSets() {
			n := 1 << 20
			for range a.Set {
				n /= 7
			}
			l, _ := raw.borrow()
			s := l.l.byKey[a.Set.Key(d)]
			l.cells[s.index] = make([]tally, s.cells)
			for c := range s.cells {
				l.cells[s.index][c] = tally{children: int64(n), key: uint64(c)}
			}
		}
		rel := release(d, 1, 1)
		b.StartTimer()
		p, err := Protect(raw, rel)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(p.l.cells), "cells")
	}
}
