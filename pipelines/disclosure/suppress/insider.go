package suppress

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Who alone contributes to a cell knows it, and can subtract it from everything
// else: three single contributors are enough to open a table that is safe against
// everybody outside (UserSupport issue 135). So the audit is repeated for each of
// them, and for two together where their cells stand in one row or column of a table
// (disclosure.md 2.6 step 5).

// An insider is someone, or two, with the hidden cells they know.
type insider []int

// insiders lists them: a reporting unit or contributor with all the cells that are
// its own, a single child with its one cell.
func (c *counted) insiders(p *plan) []insider {
	var single []insider
	byKey := map[uint64]int{}
	for _, i := range p.primaries {
		v := p.verdict[i]
		switch at, ok := byKey[v.sole]; {
		case !v.lone:
		case v.sole != 0 && ok:
			single[at] = append(single[at], i)
		default:
			if v.sole != 0 {
				byKey[v.sole] = len(single)
			}
			single = append(single, insider{i})
		}
	}
	all := slices.Clone(single)
	for i, a := range single {
		for _, b := range single[i+1:] {
			if c.related(a, b) {
				all = append(all, slices.Concat(a, b))
			}
		}
	}
	return all
}

// related reports whether two insiders have cells in one relation.
func (c *counted) related(a, b insider) bool {
	for _, i := range a {
		for _, j := range b {
			if siblings(&c.s.cells[i], &c.s.cells[j]) {
				return true
			}
		}
	}
	return false
}

// siblings reports whether two cells differ in one dimension of the same table.
func siblings(a, b *cell) bool {
	if !slices.Equal(a.set, b.set) {
		return false
	}
	apart := 0
	for i := range a.nodes {
		if a.nodes[i] != b.nodes[i] {
			apart++
		}
	}
	return apart == 1
}

// auditInsiders repeats the audit of the other primaries for everyone who knows a
// hidden cell. What an insider can compute from their own cells alone is theirs.
func (c *counted) auditInsiders(p *plan, seen *worlds) error {
	if c.l.insidersFree {
		return nil
	}
	for _, who := range c.insiders(p) {
		own := map[int32]bool{}
		var extra []equation
		theirs := seen.insider(p, who)
		for _, i := range who {
			extra = append(extra, equation{c.s.cells[i].column, p.value[i], -1})
			for _, b := range c.s.cells[i].column {
				own[b] = true
			}
		}
		others := slices.DeleteFunc(slices.Clone(p.primaries), func(i int) bool {
			return !slices.ContainsFunc(c.s.cells[i].column, func(b int32) bool { return !own[b] }) ||
				theirs.wide(i, c.l.inside(p.verdict[i].need))
		})
		if err := c.audit(p, audition{others, func(i int) need { return c.l.inside(p.verdict[i].need) }, extra, RuleInsider, nil}); err != nil {
			return err
		}
	}
	return nil
}

// inside is what a primary needs against insiders.
func (l *limits) inside(n need) need {
	if l.Magnitude {
		return n
	}
	return need{min(n.width, l.InsiderWidth), min(n.top, l.InsiderWidth)}
}

// conflict is returned when protecting is not ours to decide any more.
func conflict() error {
	return gateway.Errorf(gateway.Conflict, "what earlier releases show, or what is to be published first, gives away a cell that the rules hide; withdraw it or publish less")
}
