package redteam

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// In two-way tables with hidden cells the intervals are those of trying every table
// of whole numbers: the constraints of two-way tables are totally unimodular, so the
// ends of linear programming are whole (Hoffman and Kruskal 1956).
func TestPolytopeFindsEveryTable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		const side = 3
		var truth [side * side]int
		var hidden [side * side]bool
		for c := range truth {
			truth[c], hidden[c] = r.IntN(4), r.IntN(3) > 0
		}
		var totals []total
		add := func(cells ...int32) {
			n := 0
			for _, c := range cells {
				n += truth[c]
			}
			totals = append(totals, total{cells, float64(n)})
		}
		for i := range int32(side) {
			add(i*side, i*side+1, i*side+2)
			add(i, i+side, i+2*side)
		}
		for c := range truth {
			if !hidden[c] {
				add(int32(c))
			}
		}
		p := newPolytope(side*side, totals)
		if p == nil {
			rt.Fatal("the truth itself is not in the polytope")
		}
		low, high := everyTable(truth, hidden)
		for c := range truth {
			got := p.interval([]int32{int32(c)})
			if math.Abs(got.low-float64(low[c])) > 1e-6 || math.Abs(got.high-float64(high[c])) > 1e-6 {
				rt.Errorf("cell %d is in [%g, %g], want [%d, %d]", c, got.low, got.high, low[c], high[c])
			}
		}
	})
}

// everyTable tries all three by three tables with the margins and the shown cells of
// one, by the four cells that leave the others determined.
func everyTable(truth [9]int, hidden [9]bool) (low, high [9]int) {
	var rows, cols [3]int
	for c, n := range truth {
		rows[c/3] += n
		cols[c%3] += n
	}
	for c := range low {
		low[c] = math.MaxInt
	}
	var x [9]int
	for n := range 10 * 10 * 10 * 10 {
		x[0], x[1], x[3], x[4] = n%10, n/10%10, n/100%10, n/1000
		x[2], x[5] = rows[0]-x[0]-x[1], rows[1]-x[3]-x[4]
		for c := range 3 {
			x[6+c] = cols[c] - x[c] - x[3+c]
		}
		fits := true
		for c := range x {
			fits = fits && x[c] >= 0 && (hidden[c] || x[c] == truth[c])
		}
		if !fits {
			continue
		}
		for c := range x {
			low[c], high[c] = min(low[c], x[c]), max(high[c], x[c])
		}
	}
	return low, high
}

// A sum that nothing bounds has no upper end, and sums that contradict one another
// have no table.
func TestPolytopeEnds(t *testing.T) {
	p := newPolytope(3, []total{{[]int32{0, 1}, 5}})
	if at := p.interval([]int32{1, 2}); at.low != 0 || !math.IsInf(at.high, 1) {
		t.Errorf("a sum without a bound is in [%g, %g]", at.low, at.high)
	}
	if at := p.interval([]int32{0}); at.low != 0 || at.high != 5 {
		t.Errorf("one of two that sum to 5 is in [%g, %g]", at.low, at.high)
	}
	if p := newPolytope(2, []total{{[]int32{0}, 1}, {[]int32{1}, 1}, {[]int32{0, 1}, 3}}); p != nil {
		t.Error("one and one make three")
	}
}

// The attack places what primary suppression alone leaves to subtraction, and a child
// who is alone in a cell places what stands beside it where nothing else is hidden.
func TestStandingControls(t *testing.T) {
	w := newWorld(newLattice(theDefinition()), "sparse", 5, 1)
	f := w.family([]int{dimAge, dimRegion, dimSex}, 0)
	control := w.primaryOnly(&f)
	x, err := control.narrowShare(control.open(w), control.small(w))
	if err != nil || x < 0.5 {
		t.Errorf("primary suppression alone leaves %.3f of the small cells placed, %v", x, err)
	}
	all := &table{base: f.base, columns: w.columnsOf(f.base, f.sets)}
	for _, s := range f.sets {
		for c := s.first; c < s.first+s.cells; c++ {
			all.hidden = append(all.hidden, c)
		}
	}
	if x, err := all.narrowShare(all.open(w), all.small(w)); err != nil || x != 0 {
		t.Errorf("of tables that show nothing %.3f of the small cells are placed, %v", x, err)
	}
	// Two cells of a row of three are hidden: nobody outside can tell them apart, but
	// who is one of them can.
	two := &table{columns: map[int][]int32{0: {0}, 1: {1}, 2: {2}, 3: {0, 1, 2}}, shown: []int{2, 3}, hidden: []int{0, 1}, base: &cellSet{cells: 3}}
	own := &world{truth: []tally{{n: 1}, {n: 9}, {n: 30}, {n: 40}}, lattice: w.lattice}
	if x, err := two.narrowShare(two.open(own), []int{0, 1}); err != nil || x != 0 {
		t.Errorf("outsiders place %.3f of two hidden cells of ten children, %v", x, err)
	}
	if x, err := two.insiders(own); err != nil || x != 1 {
		t.Errorf("a child alone in one of two hidden cells places %.3f of the other, %v", x, err)
	}
}
