package redteam

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Without bounds in the way, coordinate descent ends where the normal equations,
// solved densely, have their solution.
func TestSolveIsLeastSquares(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		n := rapid.IntRange(1, 8).Draw(rt, "unknowns")
		s := randomSystem(r, n)
		for i := range s.rows {
			s.rows[i].y += 200 // far from zero
		}
		want := s.dense(n)
		if slices.ContainsFunc(want, func(x float64) bool { return x < 1 }) {
			rt.Skip("a bound is in the way")
		}
		got := s.solve(make([]float64, n))
		for j := range got {
			if math.Abs(got[j]-want[j]) > 0.05 {
				rt.Fatalf("unknown %d is %.3f, want %.3f", j, got[j], want[j])
			}
		}
	})
}

// With bounds it ends where no unknown can move for the better: the gradient is zero
// inside, points down at the lower bound and up at the upper (Karush, Kuhn, Tucker).
func TestSolveKeepsBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))
		n := rapid.IntRange(1, 12).Draw(rt, "unknowns")
		s := randomSystem(r, n)
		for j := range s.most {
			s.most[j] = float64(1 + r.IntN(9))
		}
		x := s.solve(make([]float64, n))
		for j := range x {
			gradient := 0.0
			for _, i := range s.cols[j] {
				residual := s.rows[i].y
				for k, in := range s.cols {
					if slices.Contains(in, i) {
						residual -= x[k]
					}
				}
				gradient += s.rows[i].w * residual
			}
			const slack = 0.1
			switch {
			case x[j] < 0 || x[j] > s.most[j]:
				rt.Fatalf("unknown %d is %g, outside 0 to %g", j, x[j], s.most[j])
			case x[j] > 0 && gradient < -slack, x[j] < s.most[j] && gradient > slack:
				rt.Fatalf("unknown %d is %g with a gradient of %g", j, x[j], gradient)
			}
		}
	})
}

// randomSystem has an equation for each unknown and a few sums.
func randomSystem(r *rand.Rand, n int) *system {
	s := &system{cols: make([][]int, n), most: make([]float64, n)}
	for j := range n {
		s.most[j] = math.Inf(1)
		s.cols[j] = []int{j}
		s.rows = append(s.rows, row{20*r.Float64() - 5, 0.5 + r.Float64()})
	}
	for range 3 {
		for j := range n {
			if r.IntN(2) == 0 {
				s.cols[j] = append(s.cols[j], len(s.rows))
			}
		}
		s.rows = append(s.rows, row{20 * r.Float64() * float64(n), 0.5 + r.Float64()})
	}
	return s
}

// dense solves the normal equations by elimination.
func (s *system) dense(n int) []float64 {
	a := make([][]float64, n)
	for j := range a {
		a[j] = make([]float64, n+1)
		for _, i := range s.cols[j] {
			for k := range n {
				if slices.Contains(s.cols[k], i) {
					a[j][k] += s.rows[i].w
				}
			}
			a[j][n] += s.rows[i].w * s.rows[i].y
		}
	}
	for p := range n {
		for j := range n {
			if j == p {
				continue
			}
			f := a[j][p] / a[p][p]
			for k := p; k <= n; k++ {
				a[j][k] -= f * a[p][k]
			}
		}
	}
	x := make([]float64, n)
	for j := range x {
		x[j] = a[j][n] / a[j][j]
	}
	return x
}

// From exact answers the least-squares attacker gets every cell exactly, and the
// baseline is what iterative proportional fitting of the one-way margins ends with.
func TestReconstructAndBaseline(t *testing.T) {
	w := newWorld(newLattice(theDefinition()), "sparse", 5, 1)
	v, err := publishNone(population{lattice: w.lattice, counts: w.truth}, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	e, fit := w.reconstruct(v, true, nil), w.fitted(v)
	got := w.independent(v)
	for c := range w.size {
		if w.sets[w.set[c]].multi {
			continue
		}
		if math.Abs(e.cells[c]-float64(w.truth[c].n)) > 1e-6 {
			t.Fatalf("%s: %g, want %d", w.label(c), e.cells[c], w.truth[c].n)
		}
		if math.Abs(got[c]-fit[c]) > 1e-6*(1+fit[c]) {
			t.Fatalf("%s: the baseline is %g, proportional fitting ends with %g", w.label(c), got[c], fit[c])
		}
	}
}

// fitted runs proportional fitting over the base cells for five rounds.
func (w *world) fitted(v *view) []float64 {
	base := w.base()
	x := make([]float64, base.cells)
	for j := range x {
		x[j] = 1
	}
	for range 5 {
		for d := range w.dims {
			if base.levels[d] < 0 {
				continue
			}
			margin := w.shares(v, d)
			sums := make([]float64, len(margin))
			for j := range x {
				sums[w.nodes[base.first+j][d]] += x[j]
			}
			for j := range x {
				at := w.nodes[base.first+j][d]
				x[j] *= margin[at] / sums[at]
			}
		}
	}
	return w.sums(x, base)
}

// Where nothing is hidden and no bound is near, the attacker reaches what theory
// allows: sqrt(V/A). A is the largest over the nodes of the tree of regions, so most
// cells are a little above; a better estimate would mean a wrong A.
func TestAllRoutesReachTheBound(t *testing.T) {
	w := newWorld(newLattice(theDefinition()), "dense", 28, 1)
	w.people = nil
	for j := range w.base().cells {
		leaves := w.leavesOf(w.base().first + j)
		leaves[dimAgency] = bothAgencies
		for range 200 {
			w.people = append(w.people, person{leaves, mix(uint64(len(w.people)))})
		}
	}
	w.truth = w.count(w.people)
	b, err := disclosure.Plan(w.def)
	if err != nil {
		t.Fatal(err)
	}
	bound := math.Sqrt(b.V / b.A)
	var sds []float64
	for key := range 10 {
		sd, err := allRoutesSpread(newTrial(w, publishers()[colDefault], key))
		if err != nil {
			t.Fatal(err)
		}
		sds = append(sds, sd)
	}
	mean, _ := meanSD(sds)
	t.Logf("A %.2f, sqrt(V/A) %.2f, sd of the estimate %.2f", b.A, bound, mean)
	if mean < 0.97*bound || mean > 1.25*bound {
		t.Errorf("sd of the estimate %.2f, the bound is %.2f", mean, bound)
	}
}
