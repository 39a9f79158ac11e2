package disclosure

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Floors of disclosure.md 2.5 and 2.3. Whoever lowers one gives outsiders a better
// chance at one child's presence; ask the data protection officer first.
//
// Where 7.8 comes from: an attacker left with normal noise of variance s^2 tells one
// child's presence with AUC Phi(1/(s sqrt 2)). With s^2 = V/A >= 7.8 that is 0.60,
// the bar of disclosure.md 4.
const (
	// BudgetFactor times A is the least variance of a release: an outsider's AUC for
	// one child is then at most 0.60 (6.25 would give 0.611).
	BudgetFactor = 7.8
	// MinVariance is the least V for which the tables are known to be feasible.
	MinVariance = 50.0
)

// A Budget is what a definition would allow an attacker who averages over every
// route to a number: the cell itself, the sum of its parts along any dimension, its
// parent less its siblings, and so on through the whole lattice. It is made without
// data, so printing or refusing it tells nothing.
//
// There is no budget at run time: it covers everything that can be asked, by anyone
// and any number of them together, so nobody's questions use up another's
// (disclosure.md 2.5). It is for linear unbiased attackers who know nobody; see the
// package comment for who does better.
type Budget struct {
	Profile gateway.Profile `json:"profile,omitempty"`
	V       float64         `json:"v"`        // declared
	A       float64         `json:"a"`        // the best attacker's variance is V/A
	Needed  float64         `json:"v_needed"` // 7.8 A
	D1      int             `json:"d1"`       // largest deviation of the permanent layer
	D2      int             `json:"d2"`       // and of the release layer
	Cells   int             `json:"cells"`    // by the code lists
	Depths  []DepthBudget   `json:"depths"`   // by number of non-root dimensions
	Cubes   []CubeBudget    `json:"cubes"`
	Sets    []SetBudget     `json:"sets"`
	// Choices are what would lower A, strongest first; set when V is too small.
	Choices []Choice `json:"choices,omitempty"`
	// Standing and Public are what those profiles are judged by.
	Standing *StandingBudget `json:"standing,omitempty"`
	Public   *PublicBudget   `json:"public,omitempty"`
}

// DepthBudget is A over the cells that name this many dimensions.
type DepthBudget struct {
	Dimensions int     `json:"dimensions"`
	A          float64 `json:"a"`
	Needed     float64 `json:"v_needed"`
}

// CubeBudget is what one cube would need alone, and what it adds to the others.
// Cubes over the same children add: the sets that two of them share count once.
type CubeBudget struct {
	Cube   string  `json:"cube"`
	A      float64 `json:"a_alone"`
	Counts float64 `json:"a_alone_children"` // with its children only
	Adds   float64 `json:"adds"`
}

// SetBudget is one grouping set with the number of cells that its code lists make.
type SetBudget struct {
	Set      string   `json:"set"`
	Cubes    []string `json:"cubes"`
	Cells    int      `json:"cells"`
	Measures int      `json:"measures"`
	Values   int      `json:"values,omitempty"`
	// Of the profiles other than the interactive one: the variance of a value, the
	// largest where cells differ, and of public sets the most cells of one child.
	Variance float64 `json:"variance,omitempty"`
	Reach    int     `json:"cells_of_a_child,omitempty"`
}

// A Choice is one way to need less noise.
type Choice struct {
	What   string  `json:"what"`
	A      float64 `json:"a"`
	Needed float64 `json:"v_needed"`
}

// Plan computes the route budget of a definition (disclosure.md 2.5). When V is
// below what is needed it returns the budget and an error of kind Invalid that
// names the figures and the choices.
func Plan(d *gateway.Definition) (*Budget, error) {
	l, err := newLattice(d)
	if err != nil {
		return nil, err
	}
	if err = l.checkGate(); err != nil {
		return nil, err
	}
	if d.Profile != gateway.Interactive {
		return planFor(l)
	}
	f := newFamily(l)
	b := &Budget{V: d.V, A: f.largest(), Cells: l.cells}
	b.Needed = BudgetFactor * b.A
	b.D1, b.D2 = deviations(d.V)
	for k, a := range f.depths() {
		b.Depths = append(b.Depths, DepthBudget{k, a, BudgetFactor * a})
	}
	for _, c := range d.Cubes {
		b.Cubes = append(b.Cubes, CubeBudget{
			Cube: c.ID, A: routesOf(onlyCube(d, c)), Counts: routesOf(oneMeasure(onlyCube(d, c), c.ID)),
			Adds: b.A - routesOf(withoutCube(d, c.ID)),
		})
	}
	for _, s := range l.sets {
		b.Sets = append(b.Sets, SetBudget{Set: s.key, Cubes: s.Cubes, Cells: s.cells, Measures: len(s.Measures), Values: len(s.values)})
	}
	return b, b.check(d)
}

func deviations(v float64) (d1, d2 int) {
	return int(math.Ceil(2.4 * math.Sqrt(v/2))), int(math.Ceil(2.8 * math.Sqrt(v/2)))
}

// routesOf returns A of a variant of a definition, 0 when nothing is left of it.
func routesOf(d *gateway.Definition) float64 {
	l, err := newLattice(d)
	if err != nil {
		return 0
	}
	return newFamily(l).largest()
}

// The variants share what they do not change with the original.

func withCubes(d *gateway.Definition, change func(gateway.Cube) (gateway.Cube, bool)) *gateway.Definition {
	v := *d
	v.Cubes = nil
	for _, c := range d.Cubes {
		if c, keep := change(c); keep {
			v.Cubes = append(v.Cubes, c)
		}
	}
	return &v
}

func onlyCube(d *gateway.Definition, c gateway.Cube) *gateway.Definition {
	return withCubes(d, func(o gateway.Cube) (gateway.Cube, bool) { return o, o.ID == c.ID })
}

func withoutCube(d *gateway.Definition, id string) *gateway.Definition {
	return withCubes(d, func(o gateway.Cube) (gateway.Cube, bool) { return o, o.ID != id })
}

func withoutDimension(d *gateway.Definition, name string) *gateway.Definition {
	return withCubes(d, func(o gateway.Cube) (gateway.Cube, bool) {
		o.Dimensions = slices.DeleteFunc(slices.Clone(o.Dimensions), func(n string) bool { return n == name })
		if dim := d.Dimension(name); dim.Source.Kind == gateway.EventSector {
			o.Values = nil // which exist where the sector is named
		}
		return o, true
	})
}

func oneMeasure(d *gateway.Definition, id string) *gateway.Definition {
	return withCubes(d, func(o gateway.Cube) (gateway.Cube, bool) {
		if o.ID == id {
			o.Measures, o.Values = []gateway.Measure{gateway.CountChildren}, nil
		}
		return o, true
	})
}

// check refuses a V below the floors. The build never lowers or raises V itself: it
// is declared, equal for all, and part of what the officer approves (decisions.md
// 14).
func (b *Budget) check(d *gateway.Definition) error {
	if !(b.V >= MinVariance) {
		return gateway.Errorf(gateway.Invalid, "V %g is below %g, the least variance whose tables are known to be feasible", b.V, MinVariance)
	}
	if b.V >= b.Needed {
		return nil
	}
	b.Choices = choices(d)
	var ways []string
	for _, c := range b.Choices[:min(3, len(b.Choices))] {
		ways = append(ways, fmt.Sprintf("%s (A %.2f, V %.1f)", c.What, c.A, c.Needed))
	}
	ways = append(ways, "coarser codes", "another release on disjoint children", fmt.Sprintf("or more noise, V %.1f", math.Ceil(b.Needed*10)/10))
	return gateway.Errorf(gateway.Invalid, "the routes to a number need V >= 7.8 A: A is %.2f, so V must be at least %.1f, and %g is declared. Choose: %s",
		b.A, b.Needed, b.V, strings.Join(ways, ", "))
}

// choices lists what single removals would bring, strongest first: a steward told
// "too much" needs to know of what.
func choices(d *gateway.Definition) []Choice {
	var all []Choice
	add := func(what string, variant *gateway.Definition) {
		a := routesOf(variant)
		all = append(all, Choice{what, a, BudgetFactor * a})
	}
	for _, dim := range d.Dimensions {
		add("without dimension "+dim.Name, withoutDimension(d, dim.Name))
	}
	for _, c := range d.Cubes {
		if len(d.Cubes) > 1 {
			add("without cube "+c.ID, withoutCube(d, c.ID))
		}
		if len(c.Measures)+len(c.Values) > 1 {
			add("with children as the only measure of cube "+c.ID, oneMeasure(d, c.ID))
		}
	}
	slices.SortStableFunc(all, func(a, b Choice) int { return cmp.Compare(a.A, b.A) })
	return all
}

// String returns the budget as a page for people.
func (b *Budget) String() string {
	var s strings.Builder
	if b.Profile != gateway.Interactive {
		return b.plain()
	}
	fmt.Fprintf(&s, "A %.3f, V needed %.1f, V declared %g; deviations up to %d + %d; %d cells in %d grouping sets\n",
		b.A, b.Needed, b.V, b.D1, b.D2, b.Cells, len(b.Sets))
	for _, c := range b.Cubes {
		fmt.Fprintf(&s, "  cube %-12s A alone %.3f (children only %.3f), adds %.3f\n", c.Cube, c.A, c.Counts, c.Adds)
	}
	for _, d := range b.Depths {
		fmt.Fprintf(&s, "  cells of %d dimensions: A %.3f, V needed %.1f\n", d.Dimensions, d.A, d.Needed)
	}
	for _, c := range b.Choices {
		fmt.Fprintf(&s, "  %s: A %.3f, V needed %.1f\n", c.What, c.A, c.Needed)
	}
	return s.String()
}
