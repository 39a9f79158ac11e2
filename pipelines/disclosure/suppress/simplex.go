package suppress

import (
	"math/big"
	"math/bits"
)

// A tableau is a linear program in its dictionary form, x_B + A x_N = b, solved
// exactly: all entries are integers over one common denominator, which is the
// determinant of the basis (integer pivoting, after Edmonds and Bareiss; as in
// Avis, "lrs: a revised implementation of the reverse search vertex enumeration
// algorithm", 2000).
//
// Why not floating point: these programs are degenerate through and through, most
// cells being 0 or fixed by their margins, and the question is whether an interval
// is empty, which a tolerance cannot answer. gonum's optimize/convex/lp wants full
// row rank, which the margins of a table never have, factors the basis anew at every
// step, and has an open report of failures (gonum issue 1914). The matrix of
// a table is nearly unimodular, so the denominator is mostly 1 and the integers
// stay small; when they do not fit 64 bits the audit refuses.
type tableau struct {
	rows  [][]int64 // one a basic variable; the last column is b
	goal  []int64   // the objective, as a row
	basic []int32
	off   []int32 // nonbasic variables, by column
	det   int64   // the common denominator, positive
	real  int32   // variables from here on are artificial
	sign  []int64 // -1 for an equation that was turned round to make b positive
	over  bool    // an entry did not fit
	// priced keeps the artificial columns, from which prices are read. Without them
	// the program is several times smaller.
	priced bool
	work   *int64 // what may still be done, in entries
}

// newTableau makes a program of equations A x = b, x >= 0, every equation with an
// artificial variable of its own.
func newTableau(rows [][]int64, vars int, priced bool, work *int64) *tableau {
	t := &tableau{
		priced: priced, work: work,
		rows: rows, det: 1, real: int32(vars), basic: make([]int32, len(rows)), sign: make([]int64, len(rows)), //nolint:gosec // below MaxVariables
	}
	for j := range int32(vars) { //nolint:gosec // below MaxVariables
		t.off = append(t.off, j)
	}
	for i, row := range rows {
		t.basic[i], t.sign[i] = t.real+int32(i), 1
		if row[vars] < 0 {
			t.sign[i] = -1
			for j := range row {
				row[j] = -row[j]
			}
		}
	}
	return t
}

// feasible finds a first vertex by driving the artificial variables to 0. It
// reports false when there is none.
func (t *tableau) feasible() bool {
	t.aim(func(v int32) int64 {
		if v >= t.real {
			return -1
		}
		return 0
	})
	t.maximise()
	if t.over || t.goal[len(t.off)] != 0 {
		return false
	}
	redundant := map[int]bool{}
	for i, v := range t.basic { // artificial ones are at 0 by now
		if v < t.real {
			continue
		}
		j := t.filled(i)
		if j < 0 {
			redundant[i] = true // no real entry: the others imply this equation
			continue
		}
		t.pivot(i, j)
	}
	var rows [][]int64
	var basic []int32
	for i := range t.rows {
		if !redundant[i] {
			rows, basic = append(rows, t.rows[i]), append(basic, t.basic[i])
		}
	}
	t.rows, t.basic = rows, basic
	return !t.over
}

// filled finds a real column with an entry in a row.
func (t *tableau) filled(i int) int {
	for j, v := range t.off {
		if v < t.real && t.rows[i][j] != 0 {
			return j
		}
	}
	return -1
}

// aim sets the objective: maximise the sum of cost(v) x_v. In the row, negative
// entries are columns that improve it.
func (t *tableau) aim(cost func(v int32) int64) {
	t.goal = make([]int64, len(t.off)+1)
	for j, v := range t.off {
		t.goal[j] = -t.times(cost(v), t.det)
	}
	for i, v := range t.basic {
		c := cost(v)
		if c == 0 {
			continue
		}
		for j, a := range t.rows[i] {
			t.goal[j] = t.plus(t.goal[j], t.times(c, a))
		}
	}
}

// maximise walks to the best vertex. It reports false when there is none: the
// objective is unbounded. Largest coefficient first, and after a run of pivots that
// did not move, the smallest index, which cannot cycle (Bland 1977).
func (t *tableau) maximise() bool {
	stuck := 0
	for !t.over {
		j := t.entering(stuck > 2*len(t.rows)+8)
		if j < 0 {
			return true
		}
		i := t.leaving(j)
		if i < 0 {
			return false
		}
		stuck++
		if t.rows[i][len(t.off)] != 0 {
			stuck = 0
		}
		t.pivot(i, j)
	}
	return true
}

func (t *tableau) entering(bland bool) int {
	best := -1
	for j, v := range t.off {
		if v >= t.real || t.goal[j] >= 0 {
			continue
		}
		switch {
		case best < 0, !bland && t.goal[j] < t.goal[best]:
			best = j
		case (bland || t.goal[j] == t.goal[best]) && v < t.off[best]:
			best = j
		}
	}
	return best
}

// leaving finds the row that stops column j first; ties by the smallest variable,
// artificial ones before all.
func (t *tableau) leaving(j int) int {
	best, n := -1, len(t.off)
	for i, row := range t.rows {
		if row[j] <= 0 {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		switch c := compare(row[n], t.rows[best][j], t.rows[best][n], row[j]); {
		case c < 0, c == 0 && t.rank(i) < t.rank(best):
			best = i
		}
	}
	return best
}

func (t *tableau) rank(i int) int32 {
	if t.basic[i] >= t.real {
		return t.basic[i] - 1<<30
	}
	return t.basic[i]
}

// compare compares a*b with c*d, none of them negative.
func compare(a, b, c, d int64) int {
	h1, l1 := bits.Mul64(uint64(a), uint64(b)) //nolint:gosec // not negative
	h2, l2 := bits.Mul64(uint64(c), uint64(d)) //nolint:gosec // not negative
	switch {
	case h1 < h2 || h1 == h2 && l1 < l2:
		return -1
	case h1 == h2 && l1 == l2:
		return 0
	}
	return 1
}

// pivot exchanges basic variable r with nonbasic variable s.
func (t *tableau) pivot(r, s int) {
	row := t.rows[r]
	p := row[s]
	var live []int
	for j, a := range row {
		if a != 0 && j != s {
			live = append(live, j)
		}
	}
	for i := range t.rows {
		if i != r {
			t.update(t.rows[i], row, live, s)
		}
	}
	t.update(t.goal, row, live, s)
	row[s] = t.det
	t.det = p
	t.basic[r], t.off[s] = t.off[s], t.basic[r]
	if p < 0 {
		t.negate()
	}
	if !t.priced && t.off[s] >= t.real {
		t.drop(s)
	}
	t.over = t.over || *t.work < 0
}

// drop removes a column that may never enter again.
func (t *tableau) drop(s int) {
	n := len(t.off) - 1
	for _, row := range append(t.rows, t.goal) {
		row[s], row[n] = row[n], row[n+1]
	}
	for i, row := range t.rows {
		t.rows[i] = row[:n+1]
	}
	t.goal = t.goal[:n+1]
	t.off[s] = t.off[n]
	t.off = t.off[:n]
}

// update takes one row through a pivot: a_ij' = (a_ij p - a_is a_rj) / det. The
// division leaves no rest (Bareiss 1968).
func (t *tableau) update(at, row []int64, live []int, s int) {
	p, f := row[s], at[s]
	at[s] = -f
	if p == t.det {
		if f == 0 {
			return
		}
		*t.work -= int64(len(live))
		if p == 1 && f < halfWord && f > -halfWord { // nearly always: tables are nearly unimodular
			for _, j := range live {
				if a, b := at[j], row[j]; a < halfWord && a > -halfWord && b < halfWord && b > -halfWord {
					at[j] = a - f*b
				} else {
					at[j] = t.exact(a, p, f, b)
				}
			}
			return
		}
		for _, j := range live {
			at[j] = t.exact(at[j], p, f, row[j])
		}
		return
	}
	*t.work -= int64(len(at))
	for j := range at {
		if j != s && (at[j] != 0 || f != 0 && row[j] != 0) {
			at[j] = t.exact(at[j], p, f, row[j])
		}
	}
}

// halfWord bounds numbers whose products fit 64 bits.
const halfWord = 1 << 31

// exact returns (a p - f b) / det.
func (t *tableau) exact(a, p, f, b int64) int64 {
	if a < halfWord && a > -halfWord && p < halfWord && p > -halfWord && f < halfWord && f > -halfWord && b < halfWord && b > -halfWord {
		n := a*p - f*b
		if t.det != 1 {
			n /= t.det
		}
		return n
	}
	x := new(big.Int).Mul(big.NewInt(a), big.NewInt(p))
	x.Sub(x, new(big.Int).Mul(big.NewInt(f), big.NewInt(b)))
	x.Quo(x, big.NewInt(t.det))
	t.over = t.over || !x.IsInt64()
	return x.Int64()
}

func (t *tableau) negate() {
	t.det = -t.det
	for _, row := range t.rows {
		for j := range row {
			row[j] = -row[j]
		}
	}
	for j := range t.goal {
		t.goal[j] = -t.goal[j]
	}
}

func (t *tableau) times(a, b int64) int64 {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	t.over = t.over || hi != 0 || lo > 1<<62
	return a * b
}

func (t *tableau) plus(a, b int64) int64 {
	s := a + b
	t.over = t.over || (s > a) != (b > 0)
	return s
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return uint64(-a)
	}
	return uint64(a)
}

// prices are the dual values of the equations at the present vertex, over det: how
// much the objective gains by one more on the right-hand side.
func (t *tableau) prices() []int64 {
	y := make([]int64, len(t.sign))
	for j, v := range t.off {
		if v >= t.real {
			y[v-t.real] = t.sign[v-t.real] * t.goal[j]
		}
	}
	return y
}
