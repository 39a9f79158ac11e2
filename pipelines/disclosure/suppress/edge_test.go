package suppress

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// The threshold of a minority is drawn from its number and keys, where it matters, and
// never below K.
func TestEdgesAreDrawn(t *testing.T) {
	type drawn struct {
		minority int64
		key      uint64
	}
	for _, threshold := range []int64{3, 10, 16} {
		var draws []drawn
		tables := every(flat("a", "x", "y", "z"))
		raw, err := NewRaw(tables, Rules{K: 10, Edge: func(n int64, key uint64) int64 {
			draws = append(draws, drawn{n, key})
			return threshold
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range []int64{500, 8, 7} {
			if err := raw.Add([]string{[]string{"x", "y", "z"}[i]}, Count{Children: n, Key: 1 << (10 * i)}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := Protect(raw)
		if err != nil {
			t.Fatal(err)
		}
		hidden := slices.ContainsFunc(p.Hidden, func(h Hidden) bool { return h.Label == "a=x" && h.Rule == RuleNear })
		if hidden != (threshold == 16) {
			t.Errorf("with the threshold %d for 15 children the cell beside them is hidden: %v", threshold, hidden)
		}
		if !slices.Contains(draws, drawn{15, 1<<10 + 1<<20}) || slices.ContainsFunc(draws, func(d drawn) bool { return d.minority < 10 }) {
			t.Errorf("drawn for %v", draws)
		}
	}
}

// How many unknowns there are, and whether they can be audited, is known without data.
func TestAuditable(t *testing.T) {
	tables := every(flat("a", codes("a", 30)...), flat("b", codes("b", 20)...))
	tables.Definition.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: codes("a", 1)[0]}, {Dimension: "b", Node: codes("b", 1)[0]}}}
	raw, err := NewRaw(tables, Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	if n := raw.Unknowns(); n != 599 || raw.Auditable() != nil {
		t.Errorf("%d unknowns: %v", n, raw.Auditable())
	}
	wide, err := NewRaw(every(flat("a", codes("a", 50)...), flat("b", codes("b", 50)...)), Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := wide.Auditable(); !errors.Is(err, gateway.TooLarge) {
		t.Errorf("2,500 unknowns: %v", err)
	}
}

// No hidden cell has an interval narrower than its rule, for random linked tables over
// one base, also for whoever knows the cells that are theirs alone. The intervals are
// found anew, by another attack over what is shown: each hidden cell's true column with
// every insider's cells fixed.
func TestNoIntervalIsTooNarrowInLinkedTables(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		def := every(flat("a", "a1", "a2", "a3"), flat("b", "b1", "b2", "b3"), flat("c", "c1", "c2"))
		sets := slices.Clone(def.Sets)
		def.Sets = slices.DeleteFunc(def.Sets, func(gateway.GroupingSet) bool { return rapid.IntRange(0, 3).Draw(rt, "left out") == 0 })
		if len(def.Sets) == 0 {
			def.Sets = sets
		}
		rules := Rules{K: 10}
		var rows []row
		raw, err := NewRaw(def, rules)
		if err != nil {
			rt.Fatal(err)
		}
		base := raw.Base()
		var walk func(nodes []string)
		walk = func(nodes []string) {
			if len(nodes) < len(base) {
				for _, n := range def.Definition.Dimension(base[len(nodes)].Name).Nodes {
					walk(append(slices.Clone(nodes), n.Code))
				}
				return
			}
			if n := rapid.SampledFrom([]int64{0, 1, 1, 2, 8, 12, 40, 90}).Draw(rt, "children"); n > 0 {
				rows = append(rows, children(n, nodes...))
			}
		}
		walk(nil)
		for _, r := range rows {
			if err := raw.Add(r.nodes, r.count); err != nil {
				rt.Fatal(err)
			}
		}
		pattern, err := Protect(raw)
		if err != nil {
			rt.Fatal(err)
		}
		l, err := rules.limits()
		if err != nil {
			rt.Fatal(err)
		}
		c := counts(t, def, l, rows)
		p := c.begin()
		for i := range p.rule {
			p.rule[i] = ""
		}
		for _, h := range pattern.Hidden {
			p.rule[c.s.label[h.Label]] = h.Rule
		}
		for _, who := range append(c.insiders(p), nil) {
			known := c.knowledge(p)
			own := map[int32]bool{}
			for _, i := range who {
				known = append(known, equation{c.s.cells[i].column, p.value[i], -1})
				for _, b := range c.s.cells[i].column {
					own[b] = true
				}
			}
			a, err := c.attack(known)
			if err != nil {
				rt.Fatal(err)
			}
			for _, i := range p.primaries {
				column := c.s.cells[i].column
				if !slices.ContainsFunc(column, func(b int32) bool { return !own[b] }) {
					continue // theirs
				}
				x, err := a.extent(column)
				if err != nil {
					rt.Fatal(err)
				}
				if at := x.inward(); !at.meets(p.verdict[i].need) {
					rt.Fatalf("%v place %s within %+v", who, c.s.cells[i].label, at)
				}
			}
		}
	})
}
