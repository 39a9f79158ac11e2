package suppress

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func solver(t interface {
	Helper()
	Fatal(args ...any)
}, rows [][]int64, vars int, priced bool,
) *tableau {
	t.Helper()
	work := int64(maxWork)
	own := make([][]int64, len(rows))
	for i := range rows {
		own[i] = slices.Clone(rows[i])
	}
	s := newTableau(own, vars, priced, &work)
	if !s.feasible() {
		t.Fatal("no feasible vertex")
	}
	return s
}

func (t *tableau) best(vars map[int32]bool, sign int64) *big.Rat {
	bounded, err := t.solve(vars, sign)
	if err != nil || !bounded {
		return nil
	}
	return big.NewRat(sign*t.goal[len(t.off)], t.det)
}

// In a table of one row total and one column total a cell (i, j) lies between
// max(0, row + column - total) and min(row, column): Fréchet's bounds.
func TestFrechetBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, c := rapid.IntRange(1, 6).Draw(t, "rows"), rapid.IntRange(1, 6).Draw(t, "columns")
		x := rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 9, 1 << 38}), r*c, r*c).Draw(t, "x")
		rows := make([][]int64, r+c)
		for i := range rows {
			rows[i] = make([]int64, r*c+1)
		}
		total := int64(0)
		for i := range r {
			for j := range c {
				for _, row := range [][]int64{rows[i], rows[r+j]} {
					row[i*c+j] = 1
					row[r*c] += x[i*c+j]
				}
				total += x[i*c+j]
			}
		}
		for _, priced := range []bool{false, true} {
			s := solver(t, rows, r*c, priced)
			for i := range r {
				for j := range c {
					cell := map[int32]bool{int32(i*c + j): true}
					a, b := rows[i][r*c], rows[r+j][r*c]
					low, high := s.best(cell, -1), s.best(cell, 1)
					if low.Cmp(big.NewRat(max(0, a+b-total), 1)) != 0 || high.Cmp(big.NewRat(min(a, b), 1)) != 0 {
						t.Fatalf("cell %d,%d: [%s, %s]", i, j, low, high)
					}
				}
			}
		}
	})
}

// equations draws a system with a solution, redundant and degenerate on purpose.
func equations(t *rapid.T) (rows [][]int64, vars int, x []int64) {
	vars = rapid.IntRange(1, 6).Draw(t, "vars")
	x = rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 1, 2, 5}), vars, vars).Draw(t, "x")
	for range rapid.IntRange(1, 5).Draw(t, "rows") {
		row := rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 1, 1, 2, -1}), vars+1, vars+1).Draw(t, "row")
		row[vars] = 0
		for j := range vars {
			row[vars] += row[j] * x[j]
		}
		rows = append(rows, row)
		if rapid.Bool().Draw(t, "twice") {
			rows = append(rows, slices.Clone(row))
		}
	}
	return rows, vars, x
}

// Whatever vertex the solver stops at solves the equations exactly and is not
// negative; the best value is at least that of the solution the system was made
// from; and strong duality holds: prices times right-hand sides are the optimum.
func TestOptimaAreProved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, vars, x := equations(t)
		s := solver(t, rows, vars, true)
		target := map[int32]bool{}
		at := int64(0)
		for j := range vars {
			if rapid.Bool().Draw(t, "in") {
				target[int32(j)] = true
				at += x[j]
			}
		}
		sign := rapid.SampledFrom([]int64{-1, 1}).Draw(t, "sign")
		bounded, err := s.solve(target, sign)
		if err != nil {
			t.Fatal(err)
		}
		vertex := make([]int64, vars)
		for i, v := range s.basic {
			n := s.rows[i][len(s.off)]
			if n < 0 || v >= s.real && n != 0 {
				t.Fatal("the vertex is not feasible")
			}
			if v < s.real {
				vertex[v] = n
			}
		}
		for _, row := range rows {
			sum := int64(0)
			for j := range vars {
				sum += row[j] * vertex[j]
			}
			if sum != row[vars]*s.det {
				t.Fatal("the vertex does not solve the equations")
			}
		}
		if !bounded {
			return
		}
		value := s.goal[len(s.off)]
		if value < sign*at*s.det {
			t.Fatal("a known solution is better than the best")
		}
		y := s.prices()
		dual := int64(0)
		for i, row := range rows {
			dual += y[i] * row[vars]
		}
		if dual != value {
			t.Fatalf("prices say %d, the vertex %d", dual, value)
		}
		for j := range vars {
			cost, charged := int64(0), int64(0)
			if target[int32(j)] {
				cost = sign * s.det
			}
			for i, row := range rows {
				charged += y[i] * row[j]
			}
			if charged < cost {
				t.Fatal("the prices are not feasible: the optimum is not proved")
			}
		}
	})
}

// With and without prices, and from whatever vertex, the optimum is the same.
func TestOptimaDoNotDependOnTheWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, vars, _ := equations(t)
		warm := solver(t, rows, vars, false)
		for j := range int32(vars) {
			for _, sign := range []int64{1, -1} {
				cell := map[int32]bool{j: true}
				a, b := warm.best(cell, sign), solver(t, rows, vars, true).best(cell, sign)
				if (a == nil) != (b == nil) || a != nil && a.Cmp(b) != 0 {
					t.Fatalf("variable %d: %v after others, %v alone", j, a, b)
				}
			}
		}
	})
}

// Beale's example cycles under the largest-coefficient rule alone (Chvátal, Linear
// Programming, 1983, p. 31): the stall must be noticed. Its optimum is 1.
func TestBealeDoesNotCycle(t *testing.T) {
	// maximise 10a - 57b - 9c - 24d; rows are scaled by 2, with slacks e, f, g.
	rows := [][]int64{
		{1, -11, -5, 18, 2, 0, 0, 0},
		{1, -3, -1, 2, 0, 2, 0, 0},
		{1, 0, 0, 0, 0, 0, 1, 1},
	}
	s := solver(t, rows, 7, false)
	cost := []int64{10, -57, -9, -24, 0, 0, 0}
	s.aim(func(v int32) int64 { return cost[v] })
	if !s.maximise() || s.goal[len(s.off)] != s.det {
		t.Errorf("optimum %d/%d, published 1", s.goal[len(s.off)], s.det)
	}
}

// Contradictions are found, numbers that do not fit are refused, and so is work
// without end: no wrong answer.
func TestSolverRefuses(t *testing.T) {
	work := int64(maxWork)
	if newTableau([][]int64{{1, 1, 3}, {1, 1, 4}}, 2, false, &work).feasible() {
		t.Error("x + y = 3 and x + y = 4 has a solution")
	}
	large := int64(1) << 61
	s := newTableau([][]int64{{large, 3, 0, large}, {5, large, 1, large}, {7, 1, large, large}}, 3, false, &work)
	if s.feasible() {
		s.solve(map[int32]bool{0: true}, 1) //nolint:errcheck // over is what counts
	}
	if !s.over {
		t.Error("determinants beyond 64 bits were not noticed")
	}
	none := int64(0)
	s = newTableau([][]int64{{1, 1, 1, 3}, {1, 1, 0, 2}}, 3, false, &none)
	if s.feasible() {
		t.Error("worked without leave")
	}
	if err := s.refuse(); err == nil {
		t.Error("no reason given")
	}
}

func TestCompareProducts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SliceOfN(rapid.Int64Min(0), 4, 4).Draw(t, "n")
		x := new(big.Int).Mul(big.NewInt(n[0]), big.NewInt(n[1]))
		y := new(big.Int).Mul(big.NewInt(n[2]), big.NewInt(n[3]))
		if compare(n[0], n[1], n[2], n[3]) != x.Cmp(y) {
			t.Fatal("products are compared wrongly")
		}
	})
}

// Integer pivoting: after any pivots, the tableau is the same system of equations.
func TestExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Int64Range(-1<<40, 1<<40), 4, 4).Draw(t, "v")
		det := rapid.Int64Range(1, 50).Draw(t, "det")
		work := int64(maxWork)
		s := &tableau{det: det, work: &work}
		want := new(big.Int).Mul(big.NewInt(v[0]), big.NewInt(v[1]))
		want.Sub(want, new(big.Int).Mul(big.NewInt(v[2]), big.NewInt(v[3])))
		want.Quo(want, big.NewInt(det))
		got := s.exact(v[0], v[1], v[2], v[3])
		if s.over == want.IsInt64() || want.IsInt64() && got != want.Int64() {
			t.Fatalf("(%d*%d - %d*%d)/%d = %d, not %s", v[0], v[1], v[2], v[3], det, got, want)
		}
	})
}

func TestSumsThatDoNotFit(t *testing.T) {
	for _, n := range [][2]int64{{1 << 62, 1 << 62}, {-1 << 62, -1<<62 - 1}} {
		s := &tableau{}
		s.plus(n[0], n[1])
		if !s.over {
			t.Errorf("%d + %d fits, it is said", n[0], n[1])
		}
		s = &tableau{}
		s.times(n[0], n[1])
		if !s.over {
			t.Errorf("%d * %d fits, it is said", n[0], n[1])
		}
	}
}
