package suppress

import (
	"slices"
	"testing"
)

// What worlds prove, programs find too: whenever there is proof that an insider cannot
// place a cell, or two insiders cannot, the interval found by linear programming is as
// wide. And there is proof for most, or worlds are of no use.
func TestWorldsProveWhatProgramsFind(t *testing.T) {
	tables := every(flat("a", codes("a", 5)...), flat("b", codes("b", 4)...), flat("c", codes("c", 3)...))
	l, err := Rules{K: 10}.limits()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSystem(&tables)
	if err != nil {
		t.Fatal(err)
	}
	proved, all := 0, 0
	for n := 100; n <= 400; n += 100 {
		c := counts(t, tables, l, population(s, n))
		p := c.begin()
		if !c.eliminate(p) {
			t.Fatal("a primary is given away")
		}
		seen := newWorlds(p)
		if err := c.audit(p, audition{p.primaries, p.needs, nil, RuleRepair, seen}); err != nil {
			t.Fatal(err)
		}
		for _, who := range c.insiders(p) {
			theirs := seen.insider(p, who)
			known := c.knowledge(p)
			for _, i := range who {
				known = append(known, equation{c.s.cells[i].column, p.value[i], -1})
			}
			a, err := c.attack(known)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.primaries {
				if slices.Contains(who, i) {
					continue
				}
				all++
				n := c.l.inside(p.verdict[i].need)
				if !theirs.wide(i, n) {
					continue
				}
				proved++
				x, err := a.extent(c.s.cells[i].column)
				if err != nil {
					t.Fatal(err)
				}
				if at := x.inward(); !at.meets(n) {
					t.Fatalf("%v place %s within %+v against the proof", who, c.s.cells[i].label, at)
				}
			}
		}
	}
	if all == 0 || proved*2 < all {
		t.Errorf("%d of %d are proved", proved, all)
	}
}
