package suppress

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The field is a field, against math/big.
func TestField(t *testing.T) {
	p := big.NewInt(prime)
	if !p.ProbablyPrime(20) {
		t.Fatal("2^61-1 is not prime?")
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64Range(0, prime-1).Draw(t, "a"), rapid.Uint64Range(0, prime-1).Draw(t, "b")
		want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
		want.Mod(want, p)
		if mulmod(a, b) != want.Uint64() {
			t.Fatalf("%d * %d = %d, not %s", a, b, mulmod(a, b), want)
		}
		if a != 0 && mulmod(a, inverse(a)) != 1 {
			t.Fatalf("the inverse of %d is not one", a)
		}
		if s := fold(a + b); s != (a+b)%prime {
			t.Fatalf("%d + %d = %d", a, b, s)
		}
	})
}

func TestFieldEnds(t *testing.T) {
	for _, a := range []uint64{0, 1, 2, prime - 2, prime - 1} {
		for _, b := range []uint64{0, 1, 2, prime - 2, prime - 1} {
			want := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
			if want.Mod(want, big.NewInt(prime)); mulmod(a, b) != want.Uint64() {
				t.Errorf("%d * %d", a, b)
			}
		}
	}
}

// v - f w, entry by entry, and in order.
func TestVectorMinus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dense := func(name string) (vector, [8]uint64) {
			var v vector
			var d [8]uint64
			for i := range d {
				d[i] = rapid.SampledFrom([]uint64{0, 0, 1, 2, prime - 1, 12345}).Draw(t, name)
				if d[i] != 0 {
					v = append(v, entry{int32(i), d[i]})
				}
			}
			return v, d
		}
		v, dv := dense("v")
		w, dw := dense("w")
		f := rapid.Uint64Range(1, prime-1).Draw(t, "f")
		got := v.minus(f, w)
		if !slices.IsSortedFunc(got, func(a, b entry) int { return int(a.at - b.at) }) {
			t.Fatal("out of order")
		}
		for i := range dv {
			want := fold(dv[i] + mulmod(prime-f, dw[i]))
			if got.at(int32(i)) != want {
				t.Fatalf("entry %d is %d, not %d", i, got.at(int32(i)), want)
			}
		}
		for _, e := range got {
			if e.val == 0 {
				t.Fatal("a zero is stored")
			}
		}
	})
}

// rank over the rationals, by big.Rat: independent of the field.
func rank(columns [][]int32, size int) int {
	rows := make([][]*big.Rat, len(columns))
	for i, c := range columns {
		rows[i] = make([]*big.Rat, size)
		for j := range rows[i] {
			rows[i][j] = new(big.Rat)
		}
		for _, b := range c {
			rows[i][b].SetInt64(1)
		}
	}
	r := 0
	for j := range size {
		at := slices.IndexFunc(rows[r:], func(row []*big.Rat) bool { return row[j].Sign() != 0 })
		if at < 0 {
			continue
		}
		rows[r], rows[r+at] = rows[r+at], rows[r]
		for _, row := range rows[r+1:] {
			f := new(big.Rat).Quo(row[j], rows[r][j])
			for k := range row {
				row[k].Sub(row[k], new(big.Rat).Mul(f, rows[r][k]))
			}
		}
		if r++; r == len(rows) {
			break
		}
	}
	return r
}

// After elimination no primary is a combination of published cells, and every
// secondary cell would have made one so: both over the rationals.
func TestEliminationIsExactAndNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		c, err := fill(t, s, testRules(3)).take()
		if err != nil {
			t.Fatal(err)
		}
		p := c.begin()
		order := c.candidates(p)
		if !c.eliminate(p) {
			t.Fatal("a primary is given away by nothing")
		}
		var shown [][]int32
		for _, i := range order { // in the order of the decisions
			if p.rule[i] == "" {
				shown = append(shown, c.s.cells[i].column)
				continue
			}
			with := append(slices.Clone(shown), c.s.cells[i].column)
			base, given := rank(with, c.s.size), false
			for _, j := range p.primaries {
				given = given || rank(append(slices.Clone(with), c.s.cells[j].column), c.s.size) == base
			}
			if !given {
				t.Errorf("%s is hidden for nothing", c.s.cells[i].label)
			}
		}
		if len(shown) == 0 {
			return
		}
		base := rank(shown, c.s.size)
		for _, i := range p.primaries {
			if rank(append(slices.Clone(shown), c.s.cells[i].column), c.s.size) == base {
				t.Errorf("%s can be computed", c.s.cells[i].label)
			}
		}
	})
}

// What must be published goes first; then the coarse and the large; ties by label.
func TestOrderOfCandidates(t *testing.T) {
	tables := every(flat("a", "0", "1", "2"))
	tables.Force = []string{"a=0"}
	c := counts(t, tables, upTo(1), []row{children(5, "0"), children(7, "1"), children(7, "2")})
	var got []string
	for _, i := range c.candidates(c.begin()) {
		got = append(got, c.s.cells[i].label)
	}
	if want := []string{"a=0", "", "a=1", "a=2"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}
