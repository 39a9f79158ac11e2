package suppress

import (
	"cmp"
	"math/big"
	"slices"
)

// Most insiders need no program. Every vertex that the audit against everybody came by
// is a possible world: it fits all that is shown, and goes on fitting when more is
// hidden. Mixtures of worlds are worlds (the relaxed programs are convex), so for who
// knows that a cell is v, a mixture of one world where it is less and one where it is
// more, in the right shares, is a world that fits their knowledge too. If two such worlds
// place a target far enough apart, its interval is wide enough, and the two are the
// proof; otherwise the program decides. Everything is in whole numbers, rounded inwards,
// so a proof is never too generous.

// A world is the value of every primary, over one denominator.
type world struct {
	value []int64
	over  int64
}

// worlds are the possible worlds that were seen; the first is the true one.
type worlds struct {
	place map[int]int // primary → its place
	of    []world
}

// Limits of worlds: how many are kept, how large their numbers may be for the products
// of three to fit 64 bits, and how many that have most of a known cell are tried.
const (
	maxWorlds  = 600
	maxWorldly = 1 << 20
	mixers     = 4
)

func newWorlds(p *plan) *worlds {
	w := &worlds{place: make(map[int]int, len(p.primaries))}
	truth := world{make([]int64, len(p.primaries)), 1}
	for at, i := range p.primaries {
		w.place[i], truth.value[at] = at, p.value[i]
	}
	w.add(truth)
	return w
}

func (w *worlds) add(x world) {
	if len(w.of) < maxWorlds && x.over < maxWorldly && !slices.ContainsFunc(x.value, func(n int64) bool { return n >= maxWorldly }) {
		w.of = append(w.of, x)
	}
}

// keep remembers the world that is a vertex of one component and the truth elsewhere.
// value holds the component's variables, over det.
func (s *sightings) keep(k *component, value []int64, det int64) {
	if s.worlds == nil || len(s.worlds.of) >= maxWorlds {
		return
	}
	divisor := new(big.Int).SetInt64(det)
	for _, n := range value {
		divisor.GCD(nil, nil, divisor, big.NewInt(n))
	}
	g := divisor.Int64()
	x := world{make([]int64, len(s.worlds.place)), det / g}
	if x.over >= maxWorldly {
		return
	}
	for i, at := range s.worlds.place {
		for _, b := range s.c.s.cells[i].column {
			if v, in := k.local[b]; in {
				x.value[at] += value[v] / g
			} else {
				x.value[at] += min(s.c.value(b), maxWorldly) * x.over // beyond it the world is not kept
			}
		}
	}
	s.worlds.add(x)
}

// An informed is an insider: the places of the cells that they know, what those hold,
// and for each the worlds that have most of it.
type informed struct {
	w     *worlds
	at    []int
	value []int64
	most  [][]world
}

func (w *worlds) insider(p *plan, who insider) informed {
	k := informed{w: w}
	for _, i := range who {
		at := w.place[i]
		all := slices.Clone(w.of)
		slices.SortStableFunc(all, func(x, y world) int { return cmp.Compare(y.value[at]*x.over, x.value[at]*y.over) })
		k.at, k.value = append(k.at, at), append(k.value, p.value[i])
		k.most = append(k.most, all[:min(mixers, len(all))])
	}
	return k
}

// off is how far a world is from what the insider knows of their cell number i, times
// its denominator; ok is false for numbers too large to go on with.
func (k *informed) off(x world, i int) (off int64, ok bool) {
	if k.value[i] >= maxWorldly {
		return 0, false
	}
	off = x.value[k.at[i]] - k.value[i]*x.over
	return off, off < maxWorldly && off > -maxWorldly
}

// An outlook is what worlds show of a target: at least high in one, at most low in
// another.
type outlook struct {
	target    int
	low, high int64
	any       bool
}

// see adds the world that mixes some in shares that are not negative.
func (o *outlook) see(of []world, shares ...int64) {
	sum, over := int64(0), int64(0)
	for i, x := range of {
		sum += shares[i] * x.value[o.target]
		over += shares[i] * x.over
	}
	if over <= 0 {
		return
	}
	if !o.any {
		o.any, o.high, o.low = true, sum/over, ceil(sum, over)
	}
	o.high, o.low = max(o.high, sum/over), min(o.low, ceil(sum, over))
}

// wide reports whether there is proof that the insider cannot place primary i more
// narrowly than is needed.
func (k *informed) wide(i int, n need) bool {
	o := outlook{target: k.w.place[i]}
	for _, x := range k.w.of {
		switch len(k.at) {
		case 1:
			k.mix(x, &o)
		case 2:
			k.mixTwo(x, &o)
		}
		if o.any && o.high-o.low >= n.width && o.high >= n.top {
			return true
		}
	}
	return false
}

// mix mixes a world with one on the other side of what is known.
func (k *informed) mix(x world, o *outlook) {
	u, ok := k.off(x, 0)
	if u == 0 && ok {
		o.see([]world{x}, 1)
		return
	}
	for _, y := range k.most[0] {
		if v, fits := k.off(y, 0); ok && fits && u < 0 && v >= 0 {
			o.see([]world{x, y}, v, -u)
		}
	}
}

// mixTwo mixes a world with one for each known cell: the shares are the cross product of
// how far the three are off.
func (k *informed) mixTwo(x world, o *outlook) {
	u0, ok := k.off(x, 0)
	s0, fits := k.off(x, 1)
	if !ok || !fits {
		return
	}
	if u0 == 0 && s0 == 0 {
		o.see([]world{x}, 1)
		return
	}
	for _, y := range k.most[0] {
		for _, z := range k.most[1] {
			u1, ok1 := k.off(y, 0)
			s1, ok2 := k.off(y, 1)
			u2, ok3 := k.off(z, 0)
			s2, ok4 := k.off(z, 1)
			if !ok1 || !ok2 || !ok3 || !ok4 {
				continue
			}
			a, b, c := u1*s2-u2*s1, u2*s0-u0*s2, u0*s1-u1*s0
			if a <= 0 && b <= 0 && c <= 0 {
				a, b, c = -a, -b, -c
			}
			if a >= 0 && b >= 0 && c >= 0 {
				o.see([]world{x, y, z}, a, b, c)
			}
		}
	}
}
