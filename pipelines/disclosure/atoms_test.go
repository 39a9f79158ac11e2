package disclosure

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// atoms is the attacker of disclosure.md 2.5 without any assumption on the kind of
// a dimension: the unknowns are numbers of children by everything that a child can
// be, a leaf of a partition dimension or a subset of the codes of a multi one; every
// published cell is one equation, omitted codes are none.
type atoms struct {
	l    *lattice
	base [][]string // by dimension: a leaf, or codes joined by commas
	inv  [][]float64
}

func newAtoms(l *lattice) *atoms {
	a := &atoms{l: l, base: [][]string{nil}}
	for i := range l.dims {
		var next [][]string
		for _, b := range a.base {
			for _, can := range a.can(&l.dims[i]) {
				next = append(next, append(append([]string{}, b...), can))
			}
		}
		a.base = next
	}
	m := make([][]float64, len(a.base))
	for x := range m {
		m[x] = make([]float64, len(a.base))
		m[x][x] = 1e-7
	}
	each(l, func(s *set, _ int, at []int, _ string) {
		if l.omits(s, at) {
			return
		}
		in := a.in(s, at)
		for _, x := range in {
			for _, y := range in {
				m[x][y] += coincide(len(s.Measures))
			}
		}
	})
	a.inv = inverse(m)
	return a
}

// can lists what a child can be in a dimension.
func (a *atoms) can(n *dimension) []string {
	var codes []string
	for _, leaf := range n.levels[len(n.levels)-1] {
		codes = append(codes, leaf.Code)
	}
	if n.Kind == gateway.Partition {
		return codes
	}
	subsets := []string{""}
	for _, code := range codes {
		for _, s := range subsets {
			subsets = append(subsets, s+code+",")
		}
	}
	return subsets
}

// in lists the unknowns that a cell is the sum of.
func (a *atoms) in(s *set, at []int) []int {
	var in []int
	for x, b := range a.base {
		all := true
		for i, dim := range s.dims {
			n := &a.l.dims[dim]
			code := n.levels[s.Set[i].Level][at[i]].Code
			if n.Kind == gateway.Partition {
				all = all && n.under(n.Node(b[dim]), code)
			} else {
				all = all && strings.Contains(b[dim], code+",")
			}
		}
		if all {
			in = append(in, x)
		}
	}
	return in
}

// precision is 1/(g' M^-1 g) for a cell.
func (a *atoms) precision(s *set, at []int) float64 {
	v := 0.0
	in := a.in(s, at)
	for _, x := range in {
		for _, y := range in {
			v += a.inv[x][y]
		}
	}
	return 1 / v
}

// Where children can be in several codes, a dimension's cells tell nothing of one
// another by linear algebra: the closed form, which keeps them apart, is exact, and
// the dimension adds nothing to A. That is how disclosure.md 2.5 comes to 2.87 for
// pathways with its six sectors.
func TestMultiDimensionsAddNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		multi := flat("m", gateway.Multi, gateway.ChildConst, numbered("m", rapid.IntRange(2, 3).Draw(rt, "multi"))...)
		dims := []gateway.Dimension{partition("a", 2), partition("b", rapid.IntRange(2, 3).Draw(rt, "b")), multi}
		d := definition(dims, randomCube(rt, "one", []string{"a", "b", "m"}))
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		f, a := newFamily(l), newAtoms(l)
		most := 0.0
		each(l, func(s *set, _ int, at []int, label string) {
			exact := a.precision(s, at)
			most = max(most, exact)
			if got := f.at(s.mask()); !near(got, exact, 1e-4*exact) {
				rt.Fatalf("%s: closed form %.6f, linear algebra %.6f", label, got, exact)
			}
		})
		if !near(f.largest(), most, 1e-4*most) {
			rt.Fatalf("A = %.6f, the best cell has %.6f", f.largest(), most)
		}
		if without := routesOf(withoutDimension(d, "m")); !near(without, f.largest(), 1e-9) {
			rt.Fatalf("A = %.6f with the multi dimension, %.6f without", f.largest(), without)
		}
	})
}

// Counting a multi dimension of an event cube as if its codes added up is on the
// safe side of children who can be in several.
func TestEventDimensionsAreConservative(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dims := []gateway.Dimension{
			partition("a", rapid.IntRange(2, 3).Draw(rt, "a")), flat("m", gateway.Multi, gateway.EventSector, numbered("m", 2)...),
			flat("q", gateway.Multi, gateway.EventQuarter, numbered("q", 2)...),
		}
		d := definition(dims, randomCube(rt, "one", []string{"a", "m", "q"}))
		d.Cubes[0].Grain = gateway.Events
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		a, most := newAtoms(l), newFamily(l).largest()
		each(l, func(s *set, _ int, at []int, label string) {
			if exact := a.precision(s, at); exact > most*(1+1e-5) {
				rt.Fatalf("%s has precision %.6f, A is %.6f", label, exact, most)
			}
		})
	})
}

// An omitted code takes equations away: with it A is what the other codes would have
// without any margin (1 along that dimension), and the budget, which counts all
// codes, is on the safe side. For "yes" without "no" the budget is exact: 1, not 1.5.
func TestOmittedCodesAreConservative(t *testing.T) {
	for codes, exact := range map[int]float64{2: 1.5, 3: 1.5, 4: 1.5} {
		outcome := partition("o", codes)
		outcome.Omitted = outcome.Nodes[0].Code
		d := definition([]gateway.Dimension{partition("a", 2), outcome}, cube("one", gateway.Children, 2, "a", "o"))
		l, err := newLattice(d)
		if err != nil {
			t.Fatal(err)
		}
		a, most := newAtoms(l), 0.0
		each(l, func(s *set, _ int, at []int, _ string) {
			if !l.omits(s, at) {
				most = max(most, a.precision(s, at))
			}
		})
		if !near(most, exact, 1e-4) {
			t.Errorf("%d codes, one omitted: the best cell has precision %.4f, want %.1f", codes, most, exact)
		}
		want := exact * (1 + 1/float64(codes))
		if codes == 2 {
			want = exact
		}
		if got := newFamily(l).largest(); !near(got, want, 1e-9) {
			t.Errorf("%d codes, one omitted: A = %.4f, want %.4f", codes, got, want)
		}
	}
}
