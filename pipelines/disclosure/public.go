package disclosure

import (
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/dp"
)

// Profile C: every admitted grouping set is one histogram of distinct children over
// all its nominal cells, with discrete Gaussian noise out of the release's budget
// (disclosure.md 2.10).
//
// A child is in at most one cell for every choice of nodes of a set's multi
// dimensions, by the code lists alone. That number is c, so no cell of a child is
// dropped, and the counts of the warehouse are what is perturbed. Bounding c below it
// would mean less noise and a warehouse that knows which cells of a child to drop;
// for cubes of few dimensions that are multi the simple bound is the better one.
//
// No rule of 2.4 runs here: a threshold on a true count voids the proof.

// A PublicBudget is what a public definition spends.
type PublicBudget struct {
	Rho     dp.Rho  `json:"rho"`     // of a release
	Set     dp.Rho  `json:"rho_set"` // of each grouping set; together never more than Rho
	Yearly  dp.Rho  `json:"yearly"`  // of all releases of the lineage in one year
	Delta   string  `json:"delta"`
	Epsilon float64 `json:"epsilon"`        // of one release, at Delta
	Year    float64 `json:"epsilon_yearly"` // of a year that spends its budget, at Delta
}

// amounts are the decimals of a definition, read.
type amounts struct {
	rho, yearly dp.Rho
	delta       dp.Delta
}

// set is what each grouping set may spend: an equal part, rounded down.
func (a amounts) set(l *lattice) dp.Rho { return a.rho / dp.Rho(len(l.sets)) }

// cost is what a release spends, at most its rho.
func (a amounts) cost(l *lattice) dp.Cost { return dp.Cost{Rho: a.set(l) * dp.Rho(len(l.sets))} }

func amountsOf(d *gateway.Definition) (amounts, error) {
	var a amounts
	var errs [3]error
	a.rho, errs[0] = dp.ParseRho(d.Public.Rho)
	a.yearly, errs[1] = dp.ParseRho(d.Public.Yearly)
	a.delta, errs[2] = dp.ParseDelta(d.Public.Delta)
	for i, name := range []string{"rho", "yearly", "delta"} {
		if errs[i] != nil {
			return a, gateway.Errorf(gateway.Invalid, "%s of lineage %s: %v", name, d.Lineage, errs[i])
		}
	}
	if a.rho <= 0 || a.yearly < a.rho || a.delta <= 0 || a.delta.Float() >= 1 {
		return a, gateway.Errorf(gateway.Invalid, "lineage %s: rho is above 0 and at most the yearly budget, delta above 0 and below 1", d.Lineage)
	}
	return a, nil
}

// Spends returns what a release of the definition takes from its lineage's budget of
// a year, and that budget. It is what a ledger enters before anything is counted.
func Spends(d *gateway.Definition) (rho, yearly dp.Rho, err error) {
	b, err := Plan(d)
	switch {
	case err != nil:
		return 0, 0, err
	case b.Public == nil:
		return 0, 0, gateway.Errorf(gateway.Internal, "lineage %s has no privacy budget", d.Lineage)
	}
	return b.Public.Set * dp.Rho(len(b.Sets)), b.Public.Yearly, nil
}

// Privacy is what a public lineage has spent, for the catalogue of a release.
type Privacy struct {
	Rho         dp.Rho  `json:"rho"`     // of the release
	Epsilon     float64 `json:"epsilon"` // of the release, at Delta
	Delta       string  `json:"delta"`
	Yearly      dp.Rho  `json:"rho_yearly"`   // the budget of one year
	Year        dp.Rho  `json:"rho_year"`     // spent by the builds of this year
	Ever        dp.Rho  `json:"rho_ever"`     // spent by all builds of the lineage
	EverEpsilon float64 `json:"epsilon_ever"` // for a child who is in all of them
}

// Account says what a ledger's sums mean for a lineage: those of a year and of all
// builds, in billionths of rho.
func Account(d *gateway.Definition, year, ever int64) (*Privacy, error) {
	l, err := newLattice(d)
	if err != nil {
		return nil, err
	}
	if d.Public == nil {
		return nil, gateway.Errorf(gateway.Internal, "lineage %s has no privacy budget", d.Lineage)
	}
	a, err := amountsOf(d)
	if err != nil {
		return nil, err
	}
	delta := a.delta.Float()
	return &Privacy{
		Rho: a.cost(l).Rho, Epsilon: a.cost(l).Epsilon(delta), Delta: d.Public.Delta,
		Yearly: a.yearly, Year: dp.Rho(year), Ever: dp.Rho(ever), EverEpsilon: dp.EpsilonAt(dp.Rho(ever), delta),
	}, nil
}

// termsOf are what the histogram of a set is published under.
func termsOf(l *lattice, s *set) dp.Terms {
	a, _ := amountsOf(l.def) // checkProfile has read them
	return dp.Terms{Cells: l.reach(s), Rho: a.set(l)}
}

// reach is c, the most cells of a set that a child can be in.
func (l *lattice) reach(s *set) int {
	c := 1
	for i, dim := range s.dims {
		if l.dims[dim].Kind != gateway.Partition {
			c *= s.sizes[i]
		}
	}
	return c
}

// planPublic refuses what has no bound on one child, and what the budget cannot pay.
func planPublic(l *lattice, b *Budget) (*Budget, error) {
	a, err := amountsOf(l.def)
	if err != nil {
		return nil, err
	}
	for _, c := range l.def.Cubes {
		if len(c.Measures) > 1 {
			return nil, gateway.Errorf(gateway.Invalid,
				"cube %s measures records: how many a child has is not bounded by any code list, so no noise covers one child; publish children only", c.ID)
		}
	}
	if a.set(l) == 0 {
		return nil, gateway.Errorf(gateway.Invalid, "rho %v over %d grouping sets is nothing; name fewer dimensions", a.rho, len(l.sets))
	}
	b.Public = &PublicBudget{
		Rho: a.rho, Set: a.set(l), Yearly: a.yearly, Delta: l.def.Public.Delta,
		Epsilon: a.cost(l).Epsilon(a.delta.Float()), Year: dp.Cost{Rho: a.yearly}.Epsilon(a.delta.Float()),
	}
	for i, s := range l.sets {
		terms := termsOf(l, s)
		b.Sets[i].Reach, b.Sets[i].Variance = terms.Cells, terms.Variance()
		if _, err := l.histogram(s, terms, "plan-1"); err != nil {
			return nil, fmt.Errorf("grouping set %q: %w", s.key, err)
		}
	}
	return b, nil
}

func (l *lattice) histogram(s *set, terms dp.Terms, release gateway.ReleaseID) (*dp.Histogram, error) {
	return dp.NewHistogram(&dp.HistogramOptions{
		Definition: l.def, Release: release, Set: s.Set, Measure: gateway.CountChildren, Terms: terms, Counted: true,
	})
}

// publishPublic draws the noise of every histogram through an accountant that has
// the release's rho and no more. What the release costs is in the lineage's ledger
// already; this one sees to it that the release costs no more than that.
func publishPublic(c *counted, l *lattice, rel Release) (*Published, [][]state, error) {
	a, err := amountsOf(l.def)
	if err != nil {
		return nil, nil, err
	}
	ledger, err := dp.NewAccountant(dp.Budget{Lineage: rel.Lineage, Limit: dp.Cost{Rho: a.rho}})
	if err != nil {
		return nil, nil, err
	}
	out := &Published{head: headerOf(l, rel), l: l, closed: make([]bool, len(l.sets))}
	report := newReporting(l, rel.Coverage)
	for _, s := range l.sets {
		answer, err := l.noisy(c, s, rel, ledger)
		if err != nil {
			return nil, nil, fmt.Errorf("grouping set %q: %w", s.key, err)
		}
		cells := noCells(s)
		for at, v := range answer.Values {
			cells.status[at] = l.declared(s, at, report)
			cells.values[gateway.CountChildren][at] = v.Value
		}
		l.join(s, &cells, out.cells)
		out.cells = append(out.cells, cells)
	}
	states := out.states()
	out.head.Summary = summaryOf(out, states)
	return out, states, out.seal()
}

func (l *lattice) noisy(c *counted, s *set, rel Release, ledger *dp.Accountant) (dp.Answer, error) {
	h, err := l.histogram(s, termsOf(l, s), rel.ID)
	if err != nil {
		return dp.Answer{}, err
	}
	from := c.l.byKey[s.key]
	var at []int
	for i, cell := range c.cells[from.index] {
		if cell.children == 0 {
			continue
		}
		at = from.nodes(i, at)
		if err := h.Put(c.l.codes(from, at), cell.children); err != nil {
			return dp.Answer{}, err
		}
	}
	return ledger.Publish(h, rel.Random)
}

// join gives a cell that is a synonym of another the other's value: two draws for
// the same children are paid for, and only confuse. It is work on published values.
func (l *lattice) join(s *set, cells *published, earlier []published) {
	var at []int
	for c := range cells.status {
		at = s.nodes(c, at)
		if t, tat := l.canonical(s, at); t != s {
			cells.values[gateway.CountChildren][c] = earlier[t.index].values[gateway.CountChildren][t.place(tat)]
		}
	}
	for c, st := range cells.status {
		if st != statusValue {
			cells.values[gateway.CountChildren][c] = 0
		}
	}
}
