package disclosure

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// gated protects the small population with a gate, nil to judge now.
func gated(tb testing.TB, number, key int, kept *Gate, by *gateway.GateDecision) *Published {
	tb.Helper()
	w, counts := small()
	d := *w.def
	d.Gate = by
	rel := release(&d, number, key)
	rel.Gate = kept
	p, err := Protect(fill(tb, &d, counts), rel)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// sparseByText is rule 7 as disclosure.md and decisions.md 18 have it, on an answer: a
// mean below 20 with hidden cells as 0, or more than half hidden, of the cells that
// could have a value.
func sparseByText(cells []gateway.Cell) bool {
	n, hidden, sum := 0.0, 0.0, 0.0
	for _, c := range cells {
		switch c.Status {
		case gateway.StatusValue:
			n, sum = n+1, sum+float64(*c.Value)
		case gateway.StatusSuppressed:
			n, hidden = n+1, hidden+1
		case gateway.StatusImpossible, gateway.StatusNotReported:
		}
	}
	return n == 0 || sum/n < 20 || hidden/n > 0.5
}

// whole asks for all cells of a set.
func whole(p *Published, s *set, m gateway.Measure) (*gateway.Table, error) {
	q := gateway.Question{Cube: s.Cubes[0], Measure: m}
	for _, sd := range s.Set {
		q.GroupBy = append(q.GroupBy, p.l.spell(sd))
	}
	return p.Ask(q)
}

// The gate closes exactly the sets that rule 7 finds sparse in what the same release
// would publish without it, and those with a closed subset; the total is open; what is
// open is unchanged.
func TestGateIsTheText(t *testing.T) {
	t.Parallel()
	for key := range 5 {
		open, p := protected(t, 1, key), gated(t, 1, key, nil, nil)
		closed, byText, byClosure := map[string]bool{}, 0, 0
		for _, s := range p.l.sets {
			table, err := whole(open, s, gateway.CountChildren)
			if err != nil {
				t.Fatal(err)
			}
			for _, parent := range s.parents {
				closed[s.key] = closed[s.key] || closed[parent.key]
			}
			if closed[s.key] {
				byClosure++
			} else if len(s.Set) > 0 && sparseByText(table.Cells) {
				closed[s.key] = true
				byText++
			}
			if p.Gate().Closes(s.key) != closed[s.key] {
				t.Errorf("key %d: %q is closed: %v, by the text %v", key, s.key, !closed[s.key], closed[s.key])
			}
			got, err := whole(p, s, gateway.CountChildren)
			switch {
			case closed[s.key] && !errors.Is(err, gateway.Withheld):
				t.Errorf("key %d: the closed set %q answers with %v", key, s.key, err)
			case !closed[s.key] && (err != nil || !cmp.Equal(got.Cells, table.Cells)):
				t.Errorf("key %d: the open set %q changed: %v", key, s.key, err)
			}
		}
		if byText == 0 || byClosure == 0 || len(p.Gate().Open) == 0 {
			t.Errorf("key %d: %d closed by the text, %d by closure, %d open: the test proves nothing", key, byText, byClosure, len(p.Gate().Open))
		}
	}
}

// A closed set has no cell outside: neither by its label, nor in the bytes, nor in the
// summary.
func TestClosedSetsHaveNoCells(t *testing.T) {
	p := gated(t, 1, 1, nil, nil)
	each(p.l, func(s *set, _ int, _ []int, label string) {
		_, _, known := p.Cell(label, gateway.CountChildren)
		if known && p.Gate().Closes(s.key) {
			t.Fatalf("the gated cell %q exists", label)
		}
	})
	for _, s := range p.Summary().Sets {
		if closed := p.Gate().Closes(s.Name); s.Gated != closed || closed && s.Impossible+s.NotReported == 0 && s.Hidden != 100 {
			t.Errorf("%+v of a set that is closed: %v", s, closed)
		}
	}
	for _, s := range p.l.sets {
		for c, st := range p.cells[s.index].status {
			if p.closed[s.index] && (st != statusSuppressed || p.cells[s.index].values[gateway.CountChildren][c] != 0) {
				t.Fatalf("a cell of the gated set %q is kept", s.key)
			}
		}
	}
}

// Verdicts are kept whatever a later release holds: sparse or dense, another key.
func TestGateIsKept(t *testing.T) {
	first := gated(t, 1, 1, nil, nil)
	for key := range 5 {
		p := gated(t, 2, key, first.Gate(), nil)
		if diff := cmp.Diff(first.Gate(), p.Gate()); diff != "" || !p.Continues(first.Gate()) {
			t.Errorf("a later release has another gate: %s", diff)
		}
	}
	w, _ := small()
	rel := release(w.def, 2, 1)
	rel.Gate = first.Gate()
	p, err := Protect(NewRaw(w.def), rel) // nobody at all
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Gate(), p.Gate()); diff != "" {
		t.Errorf("a release without children has another gate: %s", diff)
	}
}

// A refusal depends on the grouping set alone: every question about one has the same.
func TestRefusalOfTheGate(t *testing.T) {
	t.Parallel()
	p, q := gated(t, 1, 1, nil, nil), gated(t, 2, 3, gated(t, 1, 1, nil, nil).Gate(), nil)
	texts := map[string]string{}
	for _, s := range p.l.sets {
		if !p.Gate().Closes(s.key) {
			continue
		}
		for _, release := range []*Published{p, q} {
			for _, question := range some(questionsOf(p.l, s)) {
				_, err := release.Ask(question)
				if !errors.Is(err, gateway.Withheld) {
					t.Fatalf("%v: %v", question, err)
				}
				if texts[s.key] == "" {
					texts[s.key] = err.Error()
				}
				if err.Error() != texts[s.key] || !strings.Contains(err.Error(), s.key) {
					t.Fatalf("%q is refused in two ways: %v", s.key, err)
				}
			}
		}
	}
	if len(texts) == 0 {
		t.Error("nothing is gated: the test proves nothing")
	}
}

// some are all questions about a set, of a short run a fixed random sixth of many.
func some(questions []gateway.Question) []gateway.Question {
	if !testing.Short() || len(questions) < 100 {
		return questions
	}
	r := rand.New(rand.NewPCG(1, 6))
	return slices.DeleteFunc(questions, func(gateway.Question) bool { return r.IntN(6) > 0 })
}

// questionsOf lists every question about a grouping set: each dimension grouped, or
// filtered by a code, or both, for every cube and measure that has it.
func questionsOf(l *lattice, s *set) []gateway.Question {
	type choice struct{ group, node string }
	choices := make([][]choice, len(s.Set))
	for i, sd := range s.Set {
		dim := &l.dims[s.dims[i]]
		spelt := sd.Name + "@" + dim.Levels[sd.Level]
		choices[i] = append(choices[i], choice{spelt, ""})
		for _, n := range dim.Nodes {
			switch {
			case n.Code == dim.Omitted:
			case n.Level == sd.Level:
				choices[i] = append(choices[i], choice{"", n.Code}, choice{spelt, n.Code})
			case n.Level < sd.Level:
				choices[i] = append(choices[i], choice{spelt, n.Code})
			}
		}
	}
	var all []gateway.Question
	for _, id := range s.Cubes {
		for _, m := range l.def.Cube(id).Measures {
			questions := []gateway.Question{{Cube: id, Measure: m}}
			for i, sd := range s.Set {
				var more []gateway.Question
				for _, q := range questions {
					for _, c := range choices[i] {
						r := gateway.Question{Cube: id, Measure: m, GroupBy: slices.Clone(q.GroupBy), Filter: map[string]string{}}
						maps.Copy(r.Filter, q.Filter)
						if c.group != "" {
							r.GroupBy = append(r.GroupBy, c.group)
						}
						if c.node != "" {
							r.Filter[sd.Name] = c.node
						}
						more = append(more, r)
					}
				}
				questions = more
			}
			all = append(all, questions...)
		}
	}
	return all
}

// decisionOf is a decision with a reason.
func decisionOf(open, closes []string) *gateway.GateDecision {
	return &gateway.GateDecision{Open: open, Close: closes, Because: "the officer said so"}
}

// Plan refuses decisions that name what is not there, leave a set open over a closed
// one or have no reason; it needs no data.
func TestGateDecisions(t *testing.T) {
	d := definition([]gateway.Dimension{partition("a", 3), partition("b", 3), partition("c", 3)}, cube("one", gateway.Children, 3, "a", "b", "c"))
	key := func(names ...string) string {
		var g gateway.GroupingSet
		for _, name := range names {
			g = append(g, gateway.SetDimension{Name: name})
		}
		return g.Key(d)
	}
	for name, test := range map[string]struct {
		by *gateway.GateDecision
		ok bool
	}{
		"none":             {nil, true},
		"open one":         {decisionOf([]string{key("a")}, nil), true},
		"open two":         {decisionOf([]string{key("a"), key("b"), key("a", "b")}, nil), true},
		"close":            {decisionOf(nil, []string{key("a", "b")}), true},
		"both":             {decisionOf([]string{key("a")}, []string{key("b")}), true},
		"open over a gap":  {decisionOf([]string{key("a"), key("a", "b")}, nil), false},
		"open over closed": {decisionOf([]string{key("a"), key("a", "b")}, []string{key("b")}), false},
		"unknown":          {decisionOf(nil, []string{"a@elsewhere"}), false},
		"twice":            {decisionOf([]string{key("a")}, []string{key("a")}), false},
		"total":            {decisionOf(nil, []string{""}), false},
		"no reason":        {&gateway.GateDecision{Open: []string{key("a")}, Because: "  "}, false},
	} {
		d.Gate = test.by
		_, err := Plan(d)
		if test.ok != (err == nil) || err != nil && !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A decision opens and closes what it names, and closes what is above; the verdict
// stays when the decision is gone; a release whose gate changed without one does not
// continue the lineage.
func TestDecidedGate(t *testing.T) {
	first := gated(t, 1, 1, nil, nil)
	var opened, closed string
	for _, s := range first.l.sets {
		lowest := !slices.ContainsFunc(s.parents, func(p *set) bool { return first.closed[p.index] })
		if first.closed[s.index] && lowest && len(s.Set) > 1 {
			opened = s.key
		}
		if !first.closed[s.index] && len(s.Set) == 1 && closed == "" {
			closed = s.key
		}
	}
	below := subsets(first.l.byKey[opened])
	if slices.Contains(below, closed) {
		t.Fatal("the test is confused")
	}
	by := decisionOf(below, []string{closed})
	p := gated(t, 2, 1, first.Gate(), by)
	for _, s := range p.l.sets {
		want := first.Gate().Closes(s.key) && s.key != opened || slices.Contains(append(subsets(s), s.key), closed)
		if p.Gate().Closes(s.key) != want {
			t.Errorf("%q is closed: %v", s.key, !want)
		}
	}
	if !p.Continues(first.Gate()) {
		t.Error("a signed decision does not continue the gate")
	}
	if after := gated(t, 3, 1, p.Gate(), nil); !cmp.Equal(after.Gate(), p.Gate()) || after.Continues(first.Gate()) || !after.Continues(p.Gate()) {
		t.Error("the decision is not kept, or nobody's change is taken for one")
	}
	if !first.Continues(nil) || first.Continues(p.Gate()) {
		t.Error("continuity is judged wrongly")
	}
}

// subsets lists the keys of a set and all its smaller ones but the total.
func subsets(s *set) []string {
	if len(s.Set) == 0 {
		return nil
	}
	keys := []string{s.key}
	for _, p := range s.parents {
		keys = append(keys, subsets(p)...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// A set that the lineage has not counted before is judged when it comes, and a verdict
// on one that is not counted now is kept until it does.
func TestGateOfNewSets(t *testing.T) {
	w, counts := small()
	full := gated(t, 1, 1, nil, nil)
	var some Gate
	for i, key := range full.Gate().Open {
		if i%2 == 0 {
			some.Open = append(some.Open, key)
		}
	}
	some.Closed = append(some.Closed, "~elsewhere@level")
	rel := release(w.def, 2, 1)
	rel.Gate = &some
	p, err := Protect(fill(t, w.def, counts), rel)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(p.Gate().Closed, "~elsewhere@level") {
		t.Error("the verdict on a set that is not counted is lost")
	}
	if !p.Continues(&some) {
		t.Error("judging new sets is taken for a change")
	}
	closed := slices.DeleteFunc(slices.Clone(p.Gate().Closed), func(k string) bool { return k == "~elsewhere@level" })
	// The same counts and permanent noise: only the release layer differs.
	if len(closed) < len(full.Gate().Closed)/2 {
		t.Errorf("%d sets closed, %d in the first release: new sets are not judged", len(closed), len(full.Gate().Closed))
	}
}

// Gates that were made by hand are refused.
func TestBadGates(t *testing.T) {
	w, counts := small()
	for _, g := range []Gate{
		{Open: []string{"b", "a"}}, {Closed: []string{"b", "a"}}, {Closed: []string{"a", "a"}}, {Closed: []string{""}}, {Open: []string{"a"}, Closed: []string{"a"}},
	} {
		rel := release(w.def, 1, 1)
		rel.Gate = &g
		if _, err := Protect(fill(t, w.def, counts), rel); err == nil {
			t.Errorf("%+v is taken", g)
		}
	}
}

// The bytes of a gated release come back as they went, and a header whose gate is not
// one of the definition is refused.
func TestGatedBytes(t *testing.T) {
	p := gated(t, 1, 1, nil, nil)
	var b strings.Builder
	if err := p.Encode(&b); err != nil {
		t.Fatal(err)
	}
	q, err := Decode(strings.NewReader(b.String()))
	if err != nil || q.Digest() != p.Digest() || !cmp.Equal(q.Gate(), p.Gate()) {
		t.Fatalf("%v", err)
	}
	for name, spoil := range map[string]func(g *Gate){
		"without a verdict": func(g *Gate) { g.Open = g.Open[1:] },
		"not closed":        func(g *Gate) { g.Open, g.Closed = g.Open[1:], append(g.Closed, g.Open[0]) },
		"open after all":    func(g *Gate) { g.Open, g.Closed = append(g.Open, g.Closed[0]), g.Closed[1:] },
		"in disorder":       func(g *Gate) { slices.Reverse(g.Open) },
	} {
		bad := *p
		bad.head.Gate = Gate{slices.Clone(p.head.Gate.Open), slices.Clone(p.head.Gate.Closed)}
		spoil(&bad.head.Gate)
		if name != "in disorder" {
			slices.Sort(bad.head.Gate.Open)
			slices.Sort(bad.head.Gate.Closed)
		}
		var b strings.Builder
		if err := bad.Encode(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(strings.NewReader(b.String())); err == nil {
			t.Errorf("a gate %s is read", name)
		}
	}
}

// What is in a gated set reaches nothing outside: with the same verdicts, a release
// whose gated cells were all counted otherwise, or not at all, has the same bytes, and
// no question that can be asked about a small definition, of any set, is answered with a
// cell of a gated one. So whatever is asked, the gated cells are as good as not counted.
func TestNothingOfAGatedSet(t *testing.T) {
	t.Parallel()
	w, counts := small()
	first := gated(t, 1, 1, nil, nil)
	rel := release(w.def, 2, 1)
	rel.Gate = first.Gate()
	full, err := Protect(fill(t, w.def, counts), rel)
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]map[string]*Count{}
	dropped := 0
	for key, cells := range counts {
		if first.Gate().Closes(key) {
			dropped += len(cells)
			continue
		}
		without[key] = cells
	}
	empty, err := Protect(fill(t, w.def, without), rel)
	if err != nil {
		t.Fatal(err)
	}
	if full.Digest() != empty.Digest() || dropped < 100 {
		t.Errorf("without the %d cells of gated sets the release has other bytes", dropped)
	}
	answered, refused := 0, 0
	for _, s := range full.l.sets {
		for _, q := range some(questionsOf(full.l, s)) {
			table, err := full.Ask(q)
			switch {
			case first.Gate().Closes(s.key) && err == nil:
				t.Fatalf("%+v is answered: %v", q, table.Cells)
			case err != nil && !errors.Is(err, gateway.Withheld):
				t.Fatalf("%+v: %v", q, err)
			case err == nil:
				answered++
			default:
				refused++
			}
		}
	}
	if answered == 0 || refused == 0 {
		t.Errorf("%d questions answered, %d refused: the test proves nothing", answered, refused)
	}
}
