package disclosure

import (
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/dp"
)

// This package is profile B. Profiles A and C share its lattice, its only way from
// counts to published values ([Protect]) and its questions; what protects them is in
// suppress and dp, and is joined here (standing.go, exact.go, additive.go, public.go).
// No cell is ever under two profiles: a definition has one, and a lineage keeps it
// (disclosure.md 2.0; 2.11 line 14).

// checkProfile refuses parameters that contradict the profile or one another, so
// that a definition which passes is one that every part below can rely on.
func checkProfile(d *gateway.Definition) error {
	switch d.Profile {
	case gateway.Interactive, gateway.Standing, gateway.Public:
	default:
		return gateway.Errorf(gateway.Invalid, "the profile of lineage %s is none that is known", d.Lineage)
	}
	if (d.Standing != nil) != (d.Profile == gateway.Standing) || (d.Public != nil) != (d.Profile == gateway.Public) {
		return gateway.Errorf(gateway.Invalid, "lineage %s has the parameters of a profile that is not its own, or lacks those of its own", d.Lineage)
	}
	if d.Standing != nil && d.Standing.Mode != gateway.Exact && d.Standing.Mode != gateway.Additive {
		return gateway.Errorf(gateway.Invalid, "standing tables are exact or additive")
	}
	if !d.Noisy() && d.V != 0 {
		return gateway.Errorf(gateway.Invalid, "lineage %s declares V %g, which no count of its profile has", d.Lineage, d.V)
	}
	if d.Profile != gateway.Interactive && len(d.Values) > 0 {
		return gateway.Errorf(gateway.Invalid, "lineage %s adds up values, which its profile does not: it counts children", d.Lineage)
	}
	if !d.Noisy() && d.Gate != nil {
		return gateway.Errorf(gateway.Invalid, "lineage %s decides on the sparsity gate, which its profile does not have", d.Lineage)
	}
	if d.Public != nil {
		_, err := amountsOf(d)
		return err
	}
	return nil
}

// planFor judges a definition by the rule of its profile.
func planFor(l *lattice) (*Budget, error) {
	b := &Budget{Profile: l.def.Profile, V: l.def.V, Cells: l.cells}
	for _, s := range l.sets {
		b.Sets = append(b.Sets, SetBudget{Set: s.key, Cubes: s.Cubes, Cells: s.cells, Measures: len(s.Measures)})
	}
	if l.def.Profile == gateway.Public {
		return planPublic(l, b)
	}
	return planStanding(l, b)
}

// protectAs runs the mechanism of a definition that is not interactive.
func protectAs(raw *Raw, c *counted, rel Release) (*Published, *Reasons, error) {
	d := publicDefinition(c.l.def)
	if err := rel.fits(d); err != nil {
		return nil, nil, err
	}
	l, err := newLattice(d)
	if err != nil {
		return nil, nil, err
	}
	if _, err = Plan(d); err != nil {
		return nil, nil, err
	}
	defer raw.consume()
	publish := publishAdditive
	switch {
	case d.Profile == gateway.Public:
		publish = publishPublic
	case d.Standing.Mode == gateway.Exact:
		publish = publishExact
	}
	published, states, err := publish(c, l, rel)
	if err != nil {
		return nil, nil, err
	}
	reasons, err := reasonsOf(l, states, published.closed)
	return published, reasons, err
}

// fits checks what a release brings against its profile. Each needs its own source
// of chance, and must not hold that of another: noise drawn from a key can be drawn
// again, which is what profile B wants and what voids the proof of profile C
// (disclosure.md 2.10).
func (rel *Release) fits(d *gateway.Definition) error {
	switch {
	case !rel.numbered(d):
		return gateway.Errorf(gateway.Invalid, "release %s is not the lineage of its definition, a hyphen and a number from 1", rel.ID)
	case len(rel.Units) > 0:
		// Sums over base cells do not know how many units a margin has.
		return gateway.Errorf(gateway.Invalid, "release %s: contracts that declare units are released as interactive tables only", rel.ID)
	case rel.Coverage == nil:
		return gateway.Errorf(gateway.Internal, "a release is protected with the agencies' coverage")
	case d.Profile == gateway.Public && (rel.Random == nil || rel.Noise != nil):
		return gateway.Errorf(gateway.Internal, "public noise comes from a source of randomness, and no key may be at hand")
	case d.Profile != gateway.Public && (rel.Noise == nil || rel.Random != nil):
		return gateway.Errorf(gateway.Internal, "this release is protected with its lineage's key, and with no other chance")
	}
	return nil
}

// continueProfile holds a lineage to its profile, for ever (disclosure.md 2.0; 2.11
// line 14): values of two mechanisms over the same children average, and what one of
// them guarantees is gone. Additive tables keep their base too, because another
// crossing is another draw on every margin; exact ones their windows, because the
// difference of two that overlap is exact.
func continueProfile(before, after *gateway.Definition) error {
	if before.Profile != after.Profile || modeOf(before) != modeOf(after) {
		return gateway.Errorf(gateway.Conflict, "lineage %s is released as %s; a lineage keeps one profile", before.Lineage, mechanism(before))
	}
	switch modeOf(after) {
	case gateway.Additive:
		if a, b := baseOf(before), baseOf(after); a != b || a == "" {
			return gateway.Errorf(gateway.Conflict, "lineage %s adds up %s; another crossing would be a second noise on every margin", before.Lineage, a)
		}
	case gateway.Exact:
		same := before.From == after.From && before.To == after.To
		if !same && before.From <= after.To && after.From <= before.To {
			return gateway.Errorf(gateway.Conflict, "exact tables of %s to %s are public: those of a window that overlaps it would tell the difference exactly; keep to that window or to others", before.From, before.To)
		}
	}
	return nil
}

// baseOf names the finest crossing of standing tables, "" where there is none.
func baseOf(d *gateway.Definition) string {
	l, err := newLattice(d)
	if err != nil {
		return ""
	}
	w, err := l.widened()
	if err != nil {
		return ""
	}
	return w.finest().Key(d)
}

func modeOf(d *gateway.Definition) gateway.StandingMode {
	if d.Standing == nil {
		return ""
	}
	return d.Standing.Mode
}

func mechanism(d *gateway.Definition) string {
	switch d.Profile {
	case gateway.Standing:
		return string(d.Standing.Mode) + " standing tables"
	case gateway.Public:
		return "public histograms"
	case gateway.Interactive:
	}
	return "interactive tables"
}

// onlyCounts refuses statistics outside the interactive profile: their floors and
// variances are of its noise. Whoever reads counts can divide them.
func onlyCounts(c *gateway.Cube) error {
	return gateway.Errorf(gateway.Invalid, "cube %s measures %v; releases of this profile answer counts, and everything else is made of them", c.ID, c.Measures)
}

// otherWidths is the report of the other profiles, where nothing is narrow: exact
// tables are audited before they are published, and elsewhere noise protects a cell
// and not that it is hidden.
func (p *Published) otherWidths() Widths {
	w := Widths{K: p.head.Rules.ThresholdMin, Sets: []WidthSet{}, Method: "not of this profile: its noise protects, and not that cells are hidden"}
	if p.l.def.Frozen() {
		w.Method = "by linear programming, at the build"
	}
	return w
}

// signed reports whether published values may be negative: unbiased noise around a
// small count is, and cutting it off would bias every sum.
func (p *Published) signed() bool {
	d := p.l.def
	return d.Profile == gateway.Public || d.Profile == gateway.Standing && d.Standing.Mode == gateway.Additive
}

// base is what values are multiples of.
func (p *Published) base() int {
	if p.l.def.Noisy() {
		return Base
	}
	return 1
}

// bottom is what smaller values are shown as, 0 where there is no such number.
func (p *Published) bottom() int {
	if p.l.def.Profile == gateway.Interactive {
		return p.head.Rules.ThresholdMin
	}
	return 0
}

// variance is that of a value of a set, the largest where cells differ.
func (p *Published) variance(s *set) float64 {
	switch d := p.l.def; {
	case d.Profile == gateway.Public:
		return termsOf(p.l, s).Variance()
	case d.Profile == gateway.Interactive:
		return d.V
	case d.Standing.Mode == gateway.Additive:
		return d.V * float64(p.l.parts(s))
	}
	return 0
}

// publishable reports whether a value can have come out of protection. A file with
// another value was not made here.
func (p *Published) publishable(v int64) bool {
	if p.l.def.Profile == gateway.Interactive {
		bottom := int64(p.head.Rules.ThresholdMin)
		return v < 1<<52 && bottom >= 0 && (v == bottom || v > bottom && v%Base == 0)
	}
	return v < 1<<52 && v > -1<<52 && (v >= 0 || p.signed()) && v%int64(p.base()) == 0
}

// Privacy returns what a public release cost, and the epsilon that it stands for at
// its delta; ok is false for other profiles.
func (p *Published) Privacy() (cost dp.Cost, epsilon float64, ok bool) {
	if p.l.def.Profile != gateway.Public {
		return dp.Cost{}, 0, false
	}
	a, _ := amountsOf(p.l.def) // checkProfile has read them
	cost = a.cost(p.l)
	return cost, cost.Epsilon(a.delta.Float()), true
}
