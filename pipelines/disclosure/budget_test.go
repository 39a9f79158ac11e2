package disclosure

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

func near(got, want, within float64) bool { return math.Abs(got-want) <= within }

// cube returns a cube over dimensions.
func cube(id string, grain gateway.Grain, most int, dims ...string) gateway.Cube {
	return gateway.Cube{ID: id, Grain: grain, Cap: most, Dimensions: dims, Measures: []gateway.Measure{gateway.CountChildren}}
}

// numbered returns codes 1 to n after a prefix.
func numbered(prefix string, n int) []string {
	var codes []string
	for i := range n {
		codes = append(codes, prefix+string(rune('A'+i/26))+string(rune('A'+i%26)))
	}
	return codes
}

func partition(name string, n int) gateway.Dimension {
	return flat(name, gateway.Partition, gateway.ChildConst, numbered(name, n)...)
}

// tree returns a dimension of two levels: under each node of the first, as many
// leaves as sizes says.
func tree(name string, sizes ...int) gateway.Dimension {
	d := gateway.Dimension{Name: name, Kind: gateway.Partition, Levels: []string{"top", "leaf"}, Source: gateway.Source{Kind: gateway.ChildConst}}
	for i, n := range sizes {
		top := numbered(name, len(sizes))[i]
		d.Nodes = append(d.Nodes, gateway.Node{Code: top})
		for _, leaf := range numbered(top, n) {
			d.Nodes = append(d.Nodes, gateway.Node{Code: leaf, Parent: top, Level: 1})
		}
	}
	return d
}

func definition(dims []gateway.Dimension, cubes ...gateway.Cube) *gateway.Definition {
	return &gateway.Definition{Lineage: "test", From: 8092, To: 8092, V: 50, Dimensions: dims, Cubes: cubes}
}

// The figures of disclosure.md 2.5 for the demonstration: 2.87 for pathways with
// all four codes of reached counted and the sectors' multi dimension adding
// nothing, 2.48 for volume with its event dimensions counted as sums and one
// measure. With both measures and both cubes A is 4.76.
func TestPlanDemo(t *testing.T) {
	b, err := Plan(demo())
	if err != nil {
		t.Fatal(err)
	}
	pathways, volume := b.Cubes[0], b.Cubes[1]
	if !near(pathways.A, 2.8708, 1e-4) || !near(volume.Counts, 2.4844, 1e-4) {
		t.Errorf("alone: A = %.4f and %.4f, want 2.87 and 2.48", pathways.A, volume.Counts)
	}
	if !near(volume.A, volume.Counts*4/3, 1e-9) {
		t.Errorf("two measures: A = %.4f, want V/(V1+V2/2) = 4/3 of %.4f", volume.A, volume.Counts)
	}
	if !near(b.A, 4.7615, 1e-4) || !near(b.Needed, 37.14, 0.01) || b.D1 != 12 || b.D2 != 14 {
		t.Errorf("both: A %.4f, V %.2f, D %d and %d", b.A, b.Needed, b.D1, b.D2)
	}
	if len(b.Depths) != 5 || !near(b.Depths[0].A, b.A, 1e-9) || len(b.Sets) != 61 || b.Cells != 14103 {
		t.Errorf("%d depths, %d sets, %d cells", len(b.Depths), len(b.Sets), b.Cells)
	}
	if page := b.String(); !strings.Contains(page, "A 4.761") || !strings.Contains(page, "pathways") {
		t.Errorf("the page does not say what is planned:\n%s", page)
	}
}

// The other figures of disclosure.md 2.1 and 2.5.
func TestPlanFigures(t *testing.T) {
	flags := func(n, codes int) (dims []gateway.Dimension) {
		for i := range n {
			name := "flag" + string(rune('a'+i))
			dims = append(dims, flat(name, gateway.Partition, gateway.ChildConst, []string{name + "yes", name + "no"}[:codes]...))
		}
		return dims
	}
	full := func(dims []gateway.Dimension) float64 { // no cap: a product
		a := 1.0
		for i := range dims {
			d := newDimension(&gateway.Definition{}, &dims[i])
			if !d.oneSided {
				a *= d.routes()
			}
		}
		return a
	}
	eight := flags(8, 2)
	five := flags(5, 2)
	four := flags(4, 2)
	four1 := flags(4, 1)
	sexAge := []gateway.Dimension{partition("sex", 2), partition("age", 3)}
	for _, c := range []struct {
		name string
		got  float64
		want float64
	}{
		{"sex 2, age 5, district 12/3, year 5", full([]gateway.Dimension{partition("sex", 2), partition("age", 5), tree("district", 4, 4, 4), partition("year", 5)}), 3.53},
		{"eight yes/no flags", full(eight), 25.63},
		{"five sector flags", full(five), 7.59},
		{"sex x age x four flags, two-sided", full(append(sexAge, four...)), 10.13},
		{"sex x age x four flags, one-sided", full(append(sexAge, four1...)), 2.00},
		{"tree of 12 leaves in 3 regions", full([]gateway.Dimension{tree("district", 4, 4, 4)}), 1.635},
		{"2x3x2 flat", full([]gateway.Dimension{partition("a", 2), partition("b", 3), partition("c", 2)}), 3},
	} {
		if !near(c.got, c.want, 0.0051) {
			t.Errorf("%s: A = %.4f, want %.2f", c.name, c.got, c.want)
		}
	}
}

// The five cubes that disclosure.md 2.5 says fit one release. The text leaves
// three things open; 5.70 comes out when volume's region is the child's and its
// age is not, and types have twelve codes under the sectors (adds 0.1).
func TestPlanFiveCubes(t *testing.T) {
	d := demo()
	region := *d.Dimension("region")
	for i := range d.Dimensions {
		if d.Dimensions[i].Name == "sector" {
			d.Dimensions[i].Kind = gateway.Partition
		}
	}
	d.Dimensions = append(d.Dimensions, partition("number", 4), flat("pair", gateway.Multi, gateway.ChildConst, numbered("p", 15)...),
		partition("violence", 6), partition("setting", 8), partition("year", 3), partition("type", 12),
		flat("seen_by", gateway.Multi, gateway.ChildConst, demoSectors...))
	d.Cubes[0].Dimensions[5] = "seen_by"
	d.Cubes[0].Apart = [][]string{{"seen_by", "first_sector"}, {"seen_by", "reached"}}
	d.Cubes[1].Dimensions[2] = region.Name
	d.Cubes[1].Measures = d.Cubes[1].Measures[:1]
	overlap := cube("overlap", gateway.Children, 3, "number", "region", "age_first", "sex", "pair")
	overlap.Apart = [][]string{{"pair", "number"}, {"pair", "age_first"}}
	d.Cubes = append(d.Cubes, overlap,
		cube("harm", gateway.Events, 2, "sector", "violence", "setting", "year", "event_age", "sex"),
		cube("types", gateway.Events, 2, "sector", "type", "year"))
	d.Cubes[4].Apart = [][]string{{"sector", "type"}}
	b, err := Plan(d)
	if err != nil {
		t.Fatal(err)
	}
	alone := map[string]float64{"pathways": 2.87, "overlap": 2.46, "volume": 2.48, "harm": 3.48}
	for _, c := range b.Cubes {
		if want, ok := alone[c.Cube]; ok && !near(c.A, want, 0.006) {
			t.Errorf("%s alone: A = %.4f, want %.2f", c.Cube, c.A, want)
		}
		if c.Cube == "overlap" && !near(c.Adds, 0.49, 0.005) || c.Cube == "types" && !near(c.Adds, 0.1, 0.02) {
			t.Errorf("%s adds %.3f", c.Cube, c.Adds)
		}
	}
	if !near(b.A, 5.70, 0.01) || !near(b.Needed, 44.5, 0.1) {
		t.Errorf("together: A %.3f, V %.2f, want 5.70 and 44.5", b.A, b.Needed)
	}
}

// gls is the attacker of disclosure.md 2.5 by linear algebra: the information
// matrix of all published margins over the base cells of partition dimensions, in
// units of 1/V, and the precision with which it gives a node.
type gls struct {
	l    *lattice
	base [][]string // the leaves of each base cell, by dimension
	inv  [][]float64
}

func newGLS(l *lattice) *gls {
	g := &gls{l: l, base: [][]string{nil}}
	for i := range l.dims {
		var next [][]string
		for _, b := range g.base {
			for _, leaf := range l.dims[i].levels[len(l.dims[i].levels)-1] {
				next = append(next, append(append([]string{}, b...), leaf.Code))
			}
		}
		g.base = next
	}
	m := make([][]float64, len(g.base))
	for x := range m {
		m[x] = make([]float64, len(g.base))
		m[x][x] = 1e-7 // makes what no margin determines determined, badly
		for y := range m {
			for _, s := range l.sets {
				if g.together(s, x, y) {
					m[x][y] += coincide(len(s.Measures))
				}
			}
		}
	}
	g.inv = inverse(m)
	return g
}

// together reports whether two base cells are in the same cell of a set.
func (g *gls) together(s *set, x, y int) bool {
	for i, dim := range s.dims {
		n := &g.l.dims[dim]
		for _, node := range n.levels[s.Set[i].Level] {
			if n.under(n.Node(g.base[x][dim]), node.Code) != n.under(n.Node(g.base[y][dim]), node.Code) {
				return false
			}
		}
	}
	return true
}

// precision is 1/(g' M^-1 g) for the cell's indicator g.
func (g *gls) precision(s *set, at []int) float64 {
	in := make([]bool, len(g.base))
	for x := range g.base {
		in[x] = true
		for i, dim := range s.dims {
			n := &g.l.dims[dim]
			in[x] = in[x] && n.under(n.Node(g.base[x][dim]), n.levels[s.Set[i].Level][at[i]].Code)
		}
	}
	v := 0.0
	for x := range g.base {
		for y := range g.base {
			if in[x] && in[y] {
				v += g.inv[x][y]
			}
		}
	}
	return 1 / v
}

// inverse is Gauss-Jordan elimination with pivoting.
func inverse(m [][]float64) [][]float64 {
	n := len(m)
	a := make([][]float64, n)
	for i := range a {
		a[i] = append(append([]float64{}, m[i]...), make([]float64, n)...)
		a[i][n+i] = 1
	}
	for c := range n {
		p := c
		for r := c; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[p][c]) {
				p = r
			}
		}
		a[c], a[p] = a[p], a[c]
		for k := 2*n - 1; k >= c; k-- {
			a[c][k] /= a[c][c]
		}
		for r := range n {
			if f := a[r][c]; r != c && f != 0 {
				for k := c; k < 2*n; k++ {
					a[r][k] -= f * a[c][k]
				}
			}
		}
	}
	for i := range a {
		a[i] = a[i][n:]
	}
	return a
}

// The closed form is the precision of the best linear unbiased attacker: for flat
// dimensions at every node of every set, of one cube or two with caps, crossings
// kept apart and different numbers of measures; and A is the largest of them.
func TestRoutesAgreeWithLinearAlgebra(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var dims []gateway.Dimension
		var names []string
		for i := range rapid.IntRange(2, 4).Draw(rt, "dimensions") {
			name := string(rune('a' + i))
			dims = append(dims, partition(name, rapid.IntRange(2, 3).Draw(rt, name)))
			names = append(names, name)
		}
		d := definition(dims, randomCube(rt, "one", names), randomCube(rt, "two", names))
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		f, g := newFamily(l), newGLS(l)
		most := 0.0
		for _, s := range l.sets {
			exact := g.precision(s, make([]int, len(s.dims)))
			most = max(most, exact)
			if got := f.at(s.mask()); !near(got, exact, 1e-4*exact) {
				rt.Fatalf("set %q: closed form %.6f, linear algebra %.6f", s.key, got, exact)
			}
		}
		if !near(f.largest(), most, 1e-4*most) {
			rt.Fatalf("A = %.6f, the best node has %.6f", f.largest(), most)
		}
	})
}

func randomCube(rt *rapid.T, id string, names []string) gateway.Cube {
	c := cube(id, gateway.Children, rapid.IntRange(1, 4).Draw(rt, id+" cap"), names...)
	if rapid.Bool().Draw(rt, id+" leaves one out") {
		c.Dimensions = names[1:]
	}
	if rapid.Bool().Draw(rt, id+" apart") {
		c.Apart = [][]string{names[:2]}
	}
	if rapid.Bool().Draw(rt, id+" records") {
		c.Measures = append(c.Measures, gateway.CountRecords)
	}
	return c
}

// For trees A_d - 1 in place of 1/m is conservative: no node of any set is known
// better than A says.
func TestRoutesOfTreesAreConservative(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(rt, "tree")
		dims := []gateway.Dimension{tree("a", sizes...), partition("b", 2), partition("c", rapid.IntRange(2, 3).Draw(rt, "c"))}
		names := []string{"a", "b", "c"}
		d := definition(dims, randomCube(rt, "one", names), randomCube(rt, "two", names))
		l, err := newLattice(d)
		if err != nil {
			rt.Fatal(err)
		}
		if l.dims[0].oneSided {
			rt.Skip("a single node under the root is one-sided")
		}
		a, g := newFamily(l).largest(), newGLS(l)
		for _, s := range l.sets {
			for c := range s.cells {
				if exact := g.precision(s, s.nodes(c, nil)); exact > a*(1+1e-5) {
					rt.Fatalf("cell %d of %q has precision %.6f, A is %.6f", c, s.key, exact, a)
				}
			}
		}
	})
}

// A_d by two sweeps over the tree is the maximum over nodes by linear algebra.
func TestTreeRoutesAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 4), 2, 4).Draw(rt, "tree")
		l, err := newLattice(definition([]gateway.Dimension{tree("a", sizes...)}, cube("one", gateway.Children, 1, "a")))
		if err != nil {
			rt.Fatal(err)
		}
		g, most := newGLS(l), 0.0
		for _, s := range l.sets {
			for c := range s.cells {
				most = max(most, g.precision(s, s.nodes(c, nil)))
			}
		}
		if got := l.dims[0].routes(); !near(got, most, 1e-5) {
			rt.Fatalf("A_d = %.6f, linear algebra has %.6f", got, most)
		}
	})
}

// A V that the routes need more than is refused, with the figures and the choices.
func TestPlanRefuses(t *testing.T) {
	d := demo()
	d.Cubes = append(d.Cubes, cube("harm", gateway.Events, 2, "sector", "sex", "event_age", "quarter", "h1", "h2", "h3", "h4"))
	for _, name := range []string{"h1", "h2", "h3", "h4"} {
		d.Dimensions = append(d.Dimensions, flat(name, gateway.Multi, gateway.EventColumn, numbered(name, 3)...))
	}
	b, err := Plan(d)
	if !errors.Is(err, gateway.Invalid) {
		t.Fatalf("A %.2f at V 50: %v", b.A, err)
	}
	for _, word := range []string{"V >= 7.8 A", "A is 8.09", "at least 63.1", "50 is declared", "without cube harm", "coarser codes", "disjoint children", "more noise"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the refusal does not say %q: %v", word, err)
		}
	}
	if len(b.Choices) == 0 || b.Choices[0].A >= b.A {
		t.Errorf("choices %+v do not help", b.Choices)
	}
	d.V = math.Ceil(b.Needed)
	if _, err := Plan(d); err != nil {
		t.Errorf("with V %g as named: %v", d.V, err)
	}
	low := demo()
	low.V = 49
	if _, err := Plan(low); !errors.Is(err, gateway.Invalid) {
		t.Errorf("V 49: %v, want a refusal although 7.8 A is less", err)
	}
}

// Definitions that make no lattice are refused with the reason, by everything
// that takes one.
func TestDefinitionsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*gateway.Definition){
		"no cube":              func(d *gateway.Definition) { d.Cubes = nil },
		"no lineage":           func(d *gateway.Definition) { d.Lineage = "" },
		"doubled dimension":    func(d *gateway.Definition) { d.Dimensions = append(d.Dimensions, d.Dimensions[0]) },
		"bar in a code":        func(d *gateway.Definition) { d.Dimensions[0].Nodes[0].Code = "a|b" },
		"equals in a name":     func(d *gateway.Definition) { d.Dimensions[0].Name = "a=b" },
		"doubled code":         func(d *gateway.Definition) { d.Dimensions[0].Nodes[0].Code = d.Dimensions[0].Nodes[1].Code },
		"no such level":        func(d *gateway.Definition) { d.Dimensions[0].Nodes[0].Level = 7 },
		"orphan":               func(d *gateway.Definition) { d.Dimensions[0].Nodes[0].Parent = "nobody" },
		"no level":             func(d *gateway.Definition) { d.Dimensions[0].Levels = nil },
		"doubled level":        func(d *gateway.Definition) { d.Dimensions[0].Levels = []string{"x", "x"} },
		"childless node":       func(d *gateway.Definition) { d.Dimensions[0].Levels = []string{"x", "y"} },
		"unknown kind":         func(d *gateway.Definition) { d.Dimensions[0].Kind = "tuple" },
		"unknown omitted code": func(d *gateway.Definition) { d.Dimensions[0].Omitted = "nobody" },
		"cap of five":          func(d *gateway.Definition) { d.Cubes[0].Cap = 5 },
		"cap of nothing":       func(d *gateway.Definition) { d.Cubes[0].Cap = 0 },
		"unknown grain":        func(d *gateway.Definition) { d.Cubes[0].Grain = "families" },
		"doubled cube":         func(d *gateway.Definition) { d.Cubes[1].ID = d.Cubes[0].ID },
		"unknown dimension":    func(d *gateway.Definition) { d.Cubes[0].Dimensions[0] = "nobody" },
		"records alone":        func(d *gateway.Definition) { d.Cubes[0].Measures = []gateway.Measure{gateway.CountRecords} },
		"unknown measure":      func(d *gateway.Definition) { d.Cubes[0].Measures[0] = "costs" },
		"zero of one fact":     func(d *gateway.Definition) { d.Impossible = [][]gateway.Fact{{{Dimension: "sex", Node: "F"}}} },
		"zero of nothing known": func(d *gateway.Definition) {
			d.Impossible = [][]gateway.Fact{{{Dimension: "sex", Node: "F"}, {Dimension: "sex", Node: "X"}}}
		},
		"implied within itself": func(d *gateway.Definition) {
			d.Implied = []gateway.Implication{{If: gateway.Fact{Dimension: "sex", Node: "F"}, Then: gateway.Fact{Dimension: "sex", Node: "M"}}}
		},
		"too many dimensions": func(d *gateway.Definition) {
			for _, name := range numbered("many", 60) {
				d.Dimensions = append(d.Dimensions, partition(name, 2))
			}
		},
		"too many sets": func(d *gateway.Definition) {
			for _, name := range numbered("many", 45) {
				d.Dimensions = append(d.Dimensions, partition(name, 2))
				d.Cubes[0].Dimensions = append(d.Cubes[0].Dimensions, name)
			}
		},
	} {
		d := demo()
		spoil(d)
		if _, err := Plan(d); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: Plan says %v", name, err)
		}
		if err := NewRaw(d).Add(nil, nil, Count{Children: 1}); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: Add says %v", name, err)
		}
		if _, err := Protect(NewRaw(d), release(demo(), 1, 1)); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: Protect says %v", name, err)
		}
	}
}

// A budget is pinned in its release, so it must be the same to the last bit.
func TestPlanIsDeterministic(t *testing.T) {
	pinned := func() string {
		b, err := Plan(demo())
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := pinned()
	for range 20 {
		if pinned() != first {
			t.Fatal("another budget of the same definition")
		}
	}
}

// One geography a lineage: a second tree over the same column is refused, the same
// tree under another name is not.
func TestSecondTreeOverOneColumn(t *testing.T) {
	d := &gateway.Definition{Lineage: "x", V: 60, Dimensions: []gateway.Dimension{tree("area", 2, 3), tree("district", 2, 3), tree("health", 3, 2)}}
	for i := range d.Dimensions {
		d.Dimensions[i].Source = gateway.Source{Kind: gateway.ChildMost, Column: gateway.ColumnRegion}
	}
	d.Dimensions[1].Nodes = d.Dimensions[0].Nodes
	d.Cubes = []gateway.Cube{cube("c", gateway.Children, 1, "area", "district")}
	if err := checkDefinition(&gateway.Definition{Lineage: d.Lineage, V: d.V, Dimensions: d.Dimensions[:2], Cubes: d.Cubes}); err != nil {
		t.Errorf("the same tree twice: %v", err)
	}
	d.Cubes = append(d.Cubes, cube("h", gateway.Children, 1, "health"))
	if err := checkDefinition(d); !errors.Is(err, gateway.Invalid) || !strings.Contains(err.Error(), "two trees over one column") {
		t.Errorf("a second geography gives %v", err)
	}
}
