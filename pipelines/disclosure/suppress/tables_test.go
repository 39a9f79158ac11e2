package suppress

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Every column is the set of base cells that a reader of the codes would add up.
func TestColumns(t *testing.T) {
	tables := every(flat("age", "y", "o"), tree("geo", "EU: P S", "non: I"))
	s, err := newSystem(&tables)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ label, base string }{
		{"", "yP yS yI oP oS oI"},
		{"age=y", "yP yS yI"},
		{"geo=EU", "yP yS oP oS"},
		{"age=o|geo=EU", "oP oS"},
		{"age=o|geo=I", "oI"},
		{"geo=I", "yI oI"},
		{"geo=non", "yI oI"},
	} {
		var want []int32
		for code := range strings.FieldsSeq(test.base) {
			b, ok := s.at([]string{code[:1], code[1:]})
			if !ok {
				t.Fatalf("no base cell %s", code)
			}
			want = append(want, b)
		}
		slices.Sort(want)
		if d := cmp.Diff(want, s.cells[s.label[test.label]].column); d != "" {
			t.Errorf("%q (-want +got):\n%s", test.label, d)
		}
	}
	if len(s.cells) != 3*6 {
		t.Errorf("%d cells, want 18", len(s.cells))
	}
}

// A grouping set that is named twice is one table; cells in two cubes have one value
// (disclosure.md 2.1).
func TestSetsNamedTwice(t *testing.T) {
	tables := every(flat("a", "0", "1"))
	tables.Sets = append(tables.Sets, tables.Sets...)
	s, err := newSystem(&tables)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.cells) != 3 {
		t.Errorf("%d cells, want 3", len(s.cells))
	}
}

// Levels that no table uses are not part of the base.
func TestBaseIsTheFinestUsed(t *testing.T) {
	geo := tree("geo", "EU: P S", "non: I")
	tables := every(geo)
	tables.Sets = []gateway.GroupingSet{{}, {{Name: "geo", Level: 0}}}
	raw, err := NewRaw(tables, Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(gateway.GroupingSet{{Name: "geo", Level: 0}}, raw.Base()); d != "" {
		t.Errorf("base (-want +got):\n%s", d)
	}
	if err := raw.Add([]string{"P"}, Count{Children: 1}); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a code below the base was taken: %v", err)
	}
	if err := raw.Add([]string{"EU"}, Count{Children: 1}); err != nil {
		t.Error(err)
	}
}

// Structural zeros come from the definition alone and are told apart from hidden
// cells; implied conditions say nothing new.
func TestStructuralZeros(t *testing.T) {
	tables := every(flat("a", "0", "1"), flat("b", "0", "1"))
	tables.Definition.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: "0"}, {Dimension: "b", Node: "0"}}}
	tables.Definition.Implied = []gateway.Implication{{If: gateway.Fact{Dimension: "b", Node: "1"}, Then: gateway.Fact{Dimension: "a", Node: "0"}}}
	raw, err := NewRaw(tables, Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, nodes := range [][]string{{"0", "0"}, {"1", "1"}} { // the second is excluded by the implication
		if err := raw.Add(nodes, Count{Children: 5}); !errors.Is(err, gateway.Invalid) {
			t.Errorf("children in an impossible cell were taken: %v", err)
		}
	}
	for _, nodes := range [][]string{{"0", "1"}, {"1", "0"}} {
		if err := raw.Add(nodes, Count{Children: 50}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := p.Cells(gateway.GroupingSet{{Name: "a"}, {Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range cells {
		got = append(got, strings.Join(c.Nodes, "")+" "+string(c.Status))
		if (c.Status == gateway.StatusValue) != (c.Value != nil) {
			t.Errorf("cell %v has a value and a status that disagree", c.Nodes)
		}
	}
	if d := cmp.Diff([]string{"00 impossible", "01 value", "10 value", "11 impossible"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A condition on a node that is finer than the base cannot be decided there, and so
// excludes nothing.
func TestUndecidedConditions(t *testing.T) {
	tables := every(tree("a", "A: 0 1", "B: 2"), flat("b", "0", "1"))
	tables.Sets = []gateway.GroupingSet{{}, {{Name: "a"}, {Name: "b"}}}
	tables.Definition.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: "0"}, {Dimension: "b", Node: "0"}}, {{Dimension: "c", Node: "x"}}, {}}
	tables.Definition.Implied = []gateway.Implication{{If: gateway.Fact{Dimension: "b", Node: "1"}, Then: gateway.Fact{Dimension: "a", Node: "0"}}}
	s, err := newSystem(&tables)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(s.void, true) {
		t.Error("a base cell was declared impossible without reason")
	}
}

// A zero that is not structural looks like a small cell (disclosure.md 2.4 rule 3).
func TestZerosLookSmall(t *testing.T) {
	p := map[int64]*Pattern{}
	for _, n := range []int64{0, 1, 9} {
		tables := every(flat("a", "0", "1", "2", "3"))
		raw, err := NewRaw(tables, Rules{K: 10})
		if err != nil {
			t.Fatal(err)
		}
		for code, count := range map[string]int64{"0": n, "1": 9 - n, "2": 500, "3": 700} {
			if count > 0 {
				if err := raw.Add([]string{code}, Count{Children: count}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if p[n], err = Protect(raw); err != nil {
			t.Fatal(err)
		}
	}
	if p[0].Digest != p[1].Digest || p[1].Digest != p[9].Digest {
		t.Error("what is published tells 0, 1 and 9 apart")
	}
	if d := cmp.Diff(p[0].Hidden, p[1].Hidden); d != "" {
		t.Errorf("the report tells 0 from 1:\n%s", d)
	}
}

// The one code that a dimension omits is no cell, but who subtracts computes it: it
// is protected like any other (disclosure.md 2.1).
func TestOmittedCodeIsProtected(t *testing.T) {
	reached := flat("reached", "yes", "no", "unknown")
	reached.Omitted = "yes"
	tables := every(reached, flat("sex", "F", "M"))
	raw, err := NewRaw(tables, Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []row{
		children(4, "yes", "F"), children(40, "no", "F"), children(40, "unknown", "F"),
		children(60, "yes", "M"), children(45, "no", "M"), children(70, "unknown", "M"),
	} {
		if err := raw.Add(r.nodes, r.count); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	cells, err := p.Cells(gateway.GroupingSet{{Name: "reached"}, {Name: "sex"}})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, c := range cells {
		if c.Nodes[0] == "yes" {
			t.Error("the omitted code is a cell")
		}
		if c.Nodes[1] == "F" && c.Status == gateway.StatusValue {
			shown++
		}
	}
	if shown > 1 {
		t.Errorf("%d of the 2 other cells of the row are shown beside the margin: the omitted 4 is computed", shown)
	}
	at := slices.IndexFunc(p.Hidden, func(h Hidden) bool { return h.Label == "reached=yes|sex=F" })
	if at < 0 || !p.Hidden[at].Primary || p.Hidden[at].Rule != RuleThreshold {
		t.Error("the omitted small cell is not primary")
	}
	at = slices.IndexFunc(p.Hidden, func(h Hidden) bool { return h.Label == "reached=yes" })
	if at < 0 || p.Hidden[at].Primary || p.Hidden[at].Rule != RuleOmitted {
		t.Error("the omitted large cell is primary, or not listed")
	}
}

// A yes/no dimension registers "yes"; the children outside are a base cell of their
// own, and rule 4 looks at them.
func TestOneNode(t *testing.T) {
	for _, test := range []struct {
		outside int64
		want    gateway.CellStatus
	}{{50, gateway.StatusValue}, {9, gateway.StatusSuppressed}} {
		raw, err := NewRaw(every(flat("seen", "yes")), Rules{K: 10})
		if err != nil {
			t.Fatal(err)
		}
		for code, n := range map[string]int64{"yes": 100, "": test.outside} {
			if err := raw.Add([]string{code}, Count{Children: n}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Protect(raw)
		if err != nil {
			t.Fatal(err)
		}
		cells, err := p.Cells(gateway.GroupingSet{{Name: "seen"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(cells) != 1 || cells[0].Status != test.want {
			t.Errorf("%d outside: %v", test.outside, cells)
		}
	}
}

// What an earlier release of the same period showed is known: it is shown again or
// what it would give away is hidden; and where it gives a primary away, nothing is
// published (disclosure.md 2.6 step 6).
func TestEarlierReleases(t *testing.T) {
	rows := []row{
		children(4, "0", "0"), children(30, "0", "1"), children(40, "0", "2"),
		children(20, "1", "0"), children(50, "1", "1"), children(60, "1", "2"),
	}
	tables := every(flat("a", "0", "1"), flat("b", "0", "1", "2"))
	protect := func(earlier ...string) (*Pattern, error) {
		tables := tables
		tables.Earlier = earlier
		raw, err := NewRaw(tables, Rules{K: 10, InsiderWidth: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := raw.Add(r.nodes, r.count); err != nil {
				t.Fatal(err)
			}
		}
		return Protect(raw)
	}
	without, err := protect()
	if err != nil {
		t.Fatal(err)
	}
	if len(without.Hidden) == 0 {
		t.Fatal("nothing is hidden to begin with")
	}
	with, err := protect("a=0|b=1", "a=1|b=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range with.Hidden {
		if h.Label == "a=0|b=1" || h.Label == "a=1|b=1" {
			t.Errorf("%s is hidden although everybody has it", h.Label)
		}
		if h.Primary && !h.Interval.meets(need{10, 10}) {
			t.Errorf("%s is in [%d, %d]", h.Label, h.Interval.Low, h.Interval.High)
		}
	}
	if with.Digest == without.Digest {
		t.Error("the earlier release changed nothing")
	}
	if _, err := protect("a=0|b=0"); !errors.Is(err, gateway.Conflict) {
		t.Errorf("an earlier release showed a primary cell: %v", err)
	}
	if _, err := protect("a=0", "a=0|b=1", "a=0|b=2"); !errors.Is(err, gateway.Conflict) {
		t.Errorf("an earlier release gives a primary cell away: %v", err)
	}
}

func TestForcedCells(t *testing.T) {
	tables := every(flat("a", "0", "1", "2"))
	rows := []row{children(4, "0"), children(30, "1"), children(40, "2")}
	tables.Force = []string{"a=1", ""}
	raw := fill(t, shape{tables, rows}, testRules(10))
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range p.Hidden {
		if h.Label == "a=1" || h.Label == "" {
			t.Errorf("%q is hidden", h.Label)
		}
	}
	for _, force := range [][]string{{"a=0"}, {"", "a=1", "a=2"}} {
		tables.Force = force
		if _, err := Protect(fill(t, shape{tables, rows}, testRules(10))); !errors.Is(err, gateway.Conflict) {
			t.Errorf("cells %q cannot be published, but were: %v", force, err)
		}
	}
}

// Hidden by an officer: primary, protected like a small cell.
func TestWithheldCells(t *testing.T) {
	tables := every(flat("a", "0", "1", "2"))
	tables.Hide = []string{"a=2"}
	p, err := Protect(fill(t, shape{tables, []row{children(50, "0"), children(60, "1"), children(70, "2")}}, testRules(10)))
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.Hidden, func(h Hidden) bool { return h.Label == "a=2" })
	if at < 0 || p.Hidden[at].Rule != RuleWithheld || !p.Hidden[at].Interval.meets(need{10, 10}) {
		t.Errorf("the withheld cell: %v", p.Hidden)
	}
	if len(p.Hidden) < 2 {
		t.Error("the withheld cell is computed from the margin")
	}
}

func TestTablesAreChecked(t *testing.T) {
	good := func() Tables { return every(flat("a", "0", "1"), flat("b", "0", "1")) }
	many := flat("a", codes("a", 500)...)
	for name, change := range map[string]func(*Tables){
		"no definition":       func(t *Tables) { t.Definition = nil },
		"no sets":             func(t *Tables) { t.Sets = nil },
		"an unknown name":     func(t *Tables) { t.Sets = []gateway.GroupingSet{{{Name: "c"}}} },
		"no such level":       func(t *Tables) { t.Sets = []gateway.GroupingSet{{{Name: "a", Level: 1}}} },
		"a negative level":    func(t *Tables) { t.Sets = []gateway.GroupingSet{{{Name: "a", Level: -1}}} },
		"out of order":        func(t *Tables) { t.Sets = []gateway.GroupingSet{{{Name: "b"}, {Name: "a"}}} },
		"a name twice":        func(t *Tables) { t.Sets = []gateway.GroupingSet{{{Name: "a"}, {Name: "a"}}} },
		"force of nothing":    func(t *Tables) { t.Force = []string{"a=2"} },
		"hide of nothing":     func(t *Tables) { t.Hide = []string{"c=0"} },
		"force and hide":      func(t *Tables) { t.Force, t.Hide = []string{"a=0"}, []string{"a=0"} },
		"an earlier stranger": func(t *Tables) { t.Earlier = []string{"c=0"} },
		"earlier, no code":    func(t *Tables) { t.Earlier = []string{"a"} },
		"earlier, root code":  func(t *Tables) { t.Earlier = []string{"a="} },
		"earlier, twice":      func(t *Tables) { t.Earlier = []string{"a=0|a=1"} },
		"earlier, disorder":   func(t *Tables) { t.Earlier = []string{"b=0|a=1"} },
		"a base too large": func(t *Tables) {
			*t = every(many, many2("b"))
			t.Sets = []gateway.GroupingSet{{{Name: "a"}}, {{Name: "b"}}}
		},
		"too many cells": func(t *Tables) {
			*t = every(flat("a", codes("a", 400)...), flat("b", codes("b", 400)...))
			t.Sets = []gateway.GroupingSet{{{Name: "a"}, {Name: "b"}}}
		},
	} {
		tables := good()
		change(&tables)
		if _, err := NewRaw(tables, Rules{K: 10}); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewRaw(good(), Rules{K: 10}); err != nil {
		t.Error(err)
	}
}

func many2(name string) gateway.Dimension { return flat(name, codes(name, 500)...) }

// Labels come from earlier releases, that is from outside.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "age=y", "age=y|geo=EU", "geo=EU|age=y", "age=y|age=y", "|", "=", "age=", "age=y|", "geo=I|geo=P", "t=V|t=x"} {
		f.Add(seed)
	}
	tables := every(flat("age", "y", "o"), tree("geo", "EU: P S", "non: I"), multi(flat("t", "V", "W")))
	s, err := newSystem(&tables)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, label string) {
		column, ok := s.parse(label)
		i, known := s.label[label]
		if ok != known { // all sets are admitted, so that every good label is a cell
			t.Fatalf("parsed %v, known %v", ok, known)
		}
		if ok && !slices.Equal(column, s.cells[i].column) {
			t.Fatal("another column than the cell's own")
		}
	})
}

// Linked tables that do not contain one another are protected jointly: the example
// of UserSupport issue 136, where iterating over the two tables leaves cells that
// are computed exactly. Regions are grouped by county and by size; the tables share
// the regions and the total.
func TestLinkedTables(t *testing.T) {
	regions := strings.Fields("A B I J K L M N")
	county := map[string]string{"A": "c1", "B": "c1", "I": "c1", "J": "c1", "K": "c2", "L": "c2", "M": "c2", "N": "c2"}
	size := map[string]string{"A": "small", "B": "small", "I": "small", "J": "small", "K": "small", "L": "BIG", "M": "BIG", "N": "small"}
	n := map[string]int64{"A": 2, "B": 2, "I": 8, "J": 8, "K": 3, "L": 3, "M": 3, "N": 7}
	tables := every(flat("county", "c1", "c2"), flat("region", regions...), flat("size", "BIG", "small"))
	tables.Sets = []gateway.GroupingSet{{}, {{Name: "county"}}, {{Name: "region"}}, {{Name: "size"}}}
	for _, r := range regions { // a region is in one county and of one size
		tables.Definition.Implied = append(tables.Definition.Implied,
			gateway.Implication{If: gateway.Fact{Dimension: "region", Node: r}, Then: gateway.Fact{Dimension: "county", Node: county[r]}},
			gateway.Implication{If: gateway.Fact{Dimension: "region", Node: r}, Then: gateway.Fact{Dimension: "size", Node: size[r]}})
	}
	var rows []row
	for _, r := range regions {
		rows = append(rows, children(n[r], county[r], r, size[r]))
	}
	for k := int64(3); k <= 5; k++ {
		l := upTo(k)
		l.Width = k
		c := counts(t, tables, l, rows)
		p := protectStages(t, c)
		if len(p.primaries) == 0 {
			t.Fatal("nothing to protect")
		}
		for _, i := range p.primaries {
			if x := intervalOf(t, c, p, i); !x.meets(p.verdict[i].need) {
				t.Errorf("k = %d: %s is in [%d, %d]", k, c.s.cells[i].label, x.Low, x.High)
			}
		}
	}
}

// Labels and columns agree for tables of any shape.
func TestLabelsParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		sys, err := newSystem(&s.tables)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range sys.cells {
			column, ok := sys.parse(c.label)
			if !ok || !slices.Equal(column, c.column) || !slices.IsSorted(column) {
				t.Fatalf("label %q", c.label)
			}
		}
	})
}
