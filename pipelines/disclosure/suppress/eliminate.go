package suppress

import (
	"cmp"
	"math/bits"
	"slices"
)

// prime is 2^61-1, the field of the elimination (disclosure.md 2.6 step 2). What is
// independent over it is independent over the rationals; an accidental dependency
// hides one cell too many. Integers modulo a prime neither round nor grow, which is
// why the pattern is the same on every machine (UserSupport issue 315).
const prime = 1<<61 - 1

func mulmod(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return fold(lo&prime + (hi<<3 | lo>>61))
}

// fold brings a number below 2^62 into the field: 2^61 = 1.
func fold(a uint64) uint64 {
	a = a&prime + a>>61
	if a >= prime {
		a -= prime
	}
	return a
}

// inverse is a^(p-2), by Fermat.
func inverse(a uint64) uint64 {
	r := uint64(1)
	for e := uint64(prime - 2); e > 0; e >>= 1 {
		if e&1 == 1 {
			r = mulmod(r, a)
		}
		a = mulmod(a, a)
	}
	return r
}

// A vector is a sparse column over the field, its indices ascending.
type vector []entry

type entry struct {
	at  int32
	val uint64
}

func newVector(column []int32) vector {
	v := make(vector, len(column))
	for i, b := range column {
		v[i] = entry{b, 1}
	}
	return v
}

// minus returns v - f w.
func (v vector) minus(f uint64, w vector) vector {
	r := make(vector, 0, len(v)+len(w))
	f = prime - f
	i := 0
	for _, e := range w {
		for i < len(v) && v[i].at < e.at {
			r = append(r, v[i])
			i++
		}
		sum := mulmod(f, e.val)
		if i < len(v) && v[i].at == e.at {
			sum = fold(sum + v[i].val)
			i++
		}
		if sum != 0 {
			r = append(r, entry{e.at, sum})
		}
	}
	return append(r, v[i:]...)
}

// at returns the entry of a base cell.
func (v vector) at(b int32) uint64 {
	i, ok := slices.BinarySearchFunc(v, b, func(e entry, b int32) int { return cmp.Compare(e.at, b) })
	if !ok {
		return 0
	}
	return v[i].val
}

// An echelon is a basis of what is published. Each vector is 1 at its pivot, and 0
// at the pivots of all before it.
type echelon struct {
	basis []vector
	pivot []int32
	// secrets are the primary columns, reduced by the whole basis. None is zero.
	secrets []vector
	weight  []int32 // of a base cell: how many columns hold it, to choose pivots that are rarely met again
}

// reduce takes out of a column what is published already.
func (e *echelon) reduce(v vector) vector {
	for k, b := range e.basis {
		if f := v.at(e.pivot[k]); f != 0 {
			v = v.minus(f, b)
		}
	}
	return v
}

// guard adds a secret. It reports false when the published columns give it away.
func (e *echelon) guard(column []int32) bool {
	v := e.reduce(newVector(column))
	if len(v) == 0 {
		return false
	}
	e.secrets = append(e.secrets, v)
	return true
}

// publish adds a column, unless a secret would fall into the span.
func (e *echelon) publish(column []int32) bool {
	v := e.reduce(newVector(column))
	if len(v) == 0 {
		return true // everybody could compute it anyway
	}
	p := v[0]
	for _, x := range v {
		if e.weight[x.at] < e.weight[p.at] {
			p = x
		}
	}
	v = vector{}.minus(prime-inverse(p.val), v) // 1 at the pivot
	for _, s := range e.secrets {
		if len(s) == len(v) && s.at(p.at) != 0 && len(s.minus(s.at(p.at), v)) == 0 {
			return false
		}
	}
	for i, s := range e.secrets {
		if f := s.at(p.at); f != 0 {
			e.secrets[i] = s.minus(f, v)
		}
	}
	e.basis, e.pivot = append(e.basis, v), append(e.pivot, p.at)
	return true
}

// eliminate decides the secondary cells. It returns false for a primary that earlier
// releases give away, or that the cells to be published first do.
func (c *counted) eliminate(p *plan) bool {
	e := &echelon{weight: make([]int32, c.s.size)}
	for i := range c.s.cells {
		for _, b := range c.s.cells[i].column {
			e.weight[b]++
		}
	}
	for _, column := range c.s.early {
		e.publish(column)
	}
	for _, i := range p.primaries {
		if !e.guard(c.s.cells[i].column) {
			return false
		}
	}
	for _, i := range c.candidates(p) {
		if !e.publish(c.s.cells[i].column) {
			if c.s.cells[i].force {
				return false
			}
			p.hide(i, RuleSecondary)
		}
	}
	return true
}

// candidates returns what may be published, in the order in which it should be:
// what must be, then the coarsest and, among equals, the largest. Ties are ordered
// by label, never by chance.
func (c *counted) candidates(p *plan) []int {
	var order []int
	for i := range c.s.cells {
		if p.rule[i] == "" {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &c.s.cells[i], &c.s.cells[j]
		if a.force != b.force {
			if a.force {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.height, b.height), cmp.Compare(p.value[j], p.value[i]), cmp.Compare(a.label, b.label))
	})
	return order
}
