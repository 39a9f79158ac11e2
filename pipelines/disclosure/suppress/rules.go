package suppress

import (
	"cmp"

	"github.com/pana-exchange/pana/gateway"
)

// Floors and defaults of disclosure.md 2.12. Percentages are whole numbers, so that
// every rule is decided exactly.
const (
	MinK           = 10  // the law of the threshold starts here; policy may not lower it (2.4 rule 1)
	maxUnitPercent = 90  // rule 2: most of a cell that one unit may report
	maxShare       = 95  // rule 5
	minShareBelow  = 200 // rule 5: applies to parents smaller than this
	dominantCount  = 2   // (2, 85) dominance (2.7)
	maxDominance   = 85
	minP           = 10 // p% rule (2.7)
)

// Rules are the parameters of profile A. The zero value of a field is its default,
// and fields can only tighten it.
type Rules struct {
	K int64 // Required: cells of fewer distinct children are hidden; MinK or more
	// Threshold draws the secret threshold of a cell from its label (disclosure.md
	// 2.4 rule 1); nil means K everywhere. What it returns below K counts as K.
	Threshold func(label string) int64
	// Edge draws the secret threshold of a minority, the children of a parent who are
	// not in the cell, from their number and the sum of their subject keys (disclosure.md
	// 2.4 rule 4); nil means K everywhere. What it returns below K counts as K.
	Edge func(minority int64, key uint64) int64
	// Magnitude says that tables show sums of contributions and not children.
	Magnitude bool
	// NeedUnits hides cells to which fewer than two units report, or one unit more
	// than 90 %. For contracts that declare a unit.
	NeedUnits bool
	// SharePercent and ShareBelow: on sensitive dimensions a cell of more than
	// SharePercent of a parent that is smaller than ShareBelow is hidden. 95, 200.
	SharePercent, ShareBelow int64
	// DominancePercent: a magnitude is hidden when its two largest contributors
	// bring more. 85.
	DominancePercent int64
	// P: a magnitude is hidden when the second largest contributor could estimate
	// the largest to within P per cent. 10.
	P int64
	// Width is the narrowest interval in which a hidden count may be placed. K.
	Width int64
	// InsiderWidth is the same for those who know the cells that they alone
	// contribute to. Width; it may be lower, down to 1, because small tables hide
	// everything otherwise.
	InsiderWidth int64
}

// limits are rules with every default filled in.
type limits struct {
	Rules

	near         int64 // rule 4: fewest children of the parent outside the cell; Edge may ask for more
	dominantOf   int   // how many contributors dominance adds up
	insidersFree bool  // leaves the insiders out
}

func (r Rules) limits() (limits, error) {
	if r.K < MinK {
		return limits{}, gateway.Errorf(gateway.Invalid, "the threshold of standing tables is %d or more", MinK)
	}
	r.SharePercent, r.ShareBelow = cmp.Or(r.SharePercent, maxShare), cmp.Or(r.ShareBelow, minShareBelow)
	r.DominancePercent, r.P = cmp.Or(r.DominancePercent, maxDominance), cmp.Or(r.P, minP)
	r.Width = cmp.Or(r.Width, r.K)
	r.InsiderWidth = cmp.Or(r.InsiderWidth, r.Width)
	switch {
	case r.SharePercent < 0 || r.SharePercent > maxShare || r.ShareBelow < minShareBelow:
		return limits{}, gateway.Errorf(gateway.Invalid, "the share rule may only be tightened: at most %d %%, below %d or more", maxShare, minShareBelow)
	case r.DominancePercent < 0 || r.DominancePercent > maxDominance || r.P < minP || r.P > 100:
		return limits{}, gateway.Errorf(gateway.Invalid, "dominance may only be tightened: at most %d %%, p from %d to 100", maxDominance, minP)
	case r.Width < r.K || r.InsiderWidth < 1 || r.Width > maxCount || r.InsiderWidth > r.Width:
		return limits{}, gateway.Errorf(gateway.Invalid, "the width is at least the threshold, the width for insiders from 1 to the width")
	}
	return limits{Rules: r, near: r.K, dominantOf: dominantCount}, nil
}

// A Rule tells why a cell is hidden. It is for the officer only.
type Rule string

// The rules. The first seven make a cell primary: in need of protection itself.
const (
	RuleWithheld  Rule = "withheld"    // named in Tables.Hide
	RuleThreshold Rule = "threshold"   // 2.4 rules 1 and 3: fewer children than the threshold, or none
	RuleUnits     Rule = "units"       // 2.4 rule 2
	RuleNear      Rule = "near_parent" // 2.4 rule 4: the parent has few children outside the cell
	RuleShare     Rule = "share"       // 2.4 rule 5
	RuleDominance Rule = "dominance"   // 2.7: (2, 85)
	RuleP         Rule = "p_percent"   // 2.7
	RuleOmitted   Rule = "omitted"     // the code that is never published, not in need of protection itself
	RuleSecondary Rule = "secondary"   // 2.6 step 2: a primary would be computed from it
	RuleRepair    Rule = "repair"      // 2.6 step 4: an interval would be too narrow
	RuleInsider   Rule = "insider"     // 2.6 step 5: the same, for who knows the only contribution to a cell
)

// A need is what a primary asks of its interval: wide, and reaching up.
type need struct{ width, top int64 }

// A verdict is what the rules say of one cell.
type verdict struct {
	rule Rule // "" when the cell may be published
	need need
	sole uint64 // of a cell with one contributor: a key for who that is
	lone bool
}

// judge applies the primary rules to a cell of a non-empty column.
func (c *counted) judge(at *cell) verdict {
	t := c.tally(at.column)
	v := verdict{rule: c.primary(at, &t)}
	if v.rule == "" {
		return v
	}
	v.need = need{c.l.Width, c.l.K}
	if c.l.Magnitude {
		up := c.l.protection(&t)
		v.need = need{up, t.value + up}
	}
	v.sole, v.lone = t.alone()
	return v
}

// alone finds the only contributor of a cell, who knows its value: the contributor
// of a magnitude, the only reporting unit, the only child. The child has no key.
func (t *tally) alone() (uint64, bool) {
	switch {
	case len(t.parts) > 0:
		return t.parts[0].Key, len(t.parts) == 1
	case len(t.units) == 1:
		return t.units[0].Key, true
	default:
		return 0, t.children == 1
	}
}

func (c *counted) primary(at *cell, t *tally) Rule {
	threshold := c.l.K
	if c.l.Threshold != nil {
		threshold = max(threshold, c.l.Threshold(at.label))
	}
	switch {
	case at.hide:
		return RuleWithheld
	case t.children < threshold:
		return RuleThreshold
	case c.l.NeedUnits && (len(t.units) < 2 || t.units[0].Amount*100 > maxUnitPercent*t.children):
		return RuleUnits
	}
	if rule := c.beside(at, t); rule != "" {
		return rule
	}
	if c.l.Magnitude {
		return c.l.dominated(t)
	}
	return ""
}

// beside compares a cell with its parents, one up along each of its dimensions. A
// parent of the same column is the same children by definition: an only child in
// the tree, or an implied condition (disclosure.md 2.1).
func (c *counted) beside(at *cell, t *tally) Rule {
	for i, sd := range at.set {
		set, nodes := up(at.set, at.nodes, i, c.s.axis(sd.Name).dim)
		column := c.s.column(set, nodes)
		if len(column) == len(at.column) && !c.s.axis(sd.Name).multi {
			continue
		}
		whole, key := int64(0), uint64(0)
		for _, b := range column {
			whole += c.base[b].Children
			key += c.base[b].Key
		}
		switch {
		case whole-t.children < c.l.edge(whole-t.children, key-t.key):
			return RuleNear
		case c.s.axis(sd.Name).dim.Sensitive && t.children*100 > c.l.SharePercent*whole && whole < c.l.ShareBelow:
			return RuleShare
		}
	}
	return ""
}

// edge is the threshold of a minority. It is drawn only where it matters.
func (l *limits) edge(minority int64, key uint64) int64 {
	if l.Edge == nil || minority < l.near {
		return l.near
	}
	return max(l.near, l.Edge(minority, key))
}

// up returns the cell one level up along dimension i.
func up(set gateway.GroupingSet, nodes []string, i int, dim *gateway.Dimension) (gateway.GroupingSet, []string) {
	above := append(gateway.GroupingSet{}, set[:i]...)
	over := append([]string{}, nodes[:i]...)
	if set[i].Level > 0 {
		above = append(above, gateway.SetDimension{Name: set[i].Name, Level: set[i].Level - 1})
		over = append(over, dim.Node(nodes[i]).Parent)
	}
	return append(above, set[i+1:]...), append(over, nodes[i+1:]...)
}

// dominated applies (n, k)-dominance and the p% rule: X - x1 - x2 >= p x1 / 100
// (disclosure.md 2.7; Handbook 4.2.2).
func (l *limits) dominated(t *tally) Rule {
	first, second := t.top(1), t.top(2)-t.top(1)
	switch {
	case t.value > 0 && t.top(l.dominantOf)*100 > l.DominancePercent*t.value:
		return RuleDominance
	case (t.value-first-second)*100 < l.P*first:
		return RuleP
	}
	return ""
}

func (t *tally) top(n int) int64 {
	sum := int64(0)
	for _, p := range t.parts[:min(n, len(t.parts))] {
		sum += p.Amount
	}
	return sum
}

// protection is the upper protection level of a hidden magnitude: how far above its
// value its interval must reach so that no estimate of a contribution breaks the
// rule (Handbook 4.2.2, table of protection levels). A cell that is hidden for
// another reason gets p per cent of its value.
func (l *limits) protection(t *tally) int64 {
	first := t.top(1)
	dominance := ceil(100*t.top(l.dominantOf), l.DominancePercent) - t.value
	p := ceil(l.P*first, 100) - (t.value - t.top(2))
	return max(1, dominance, p, ceil(l.P*t.value, 100))
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }
