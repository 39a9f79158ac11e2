package synth

import "math/rand/v2"

// A dice is a source of choices that depend on a seed, a stream and an index
// only, so that any child can be made at any time without those before it.
type dice struct {
	pcg *rand.PCG
	*rand.Rand
}

// The streams. A stream of its own keeps one decision from shifting all others:
// dirt, for one, leaves the clean records as they were.
const (
	streamFamily = iota + 1
	streamPerson
	streamHistory
	streamRecord
	streamContact
	streamDirt
	streamHarm
)

func newDice() *dice {
	pcg := rand.NewPCG(0, 0)
	return &dice{pcg, rand.New(pcg)} //nolint:gosec // synthetic data must repeat, and protects nothing
}

// throw starts the stream of an index over.
func (d *dice) throw(seed, stream uint64, index int) *dice {
	d.pcg.Seed(mix(seed^mix(stream)), mix(uint64(index)+stream<<56)) //nolint:gosec // an index of a child
	return d
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood 2014): neighbouring
// indices get seeds that have nothing in common.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is true with a probability.
func (d *dice) chance(p float64) bool { return d.Float64() < p }

// between returns a number from low to high, both included; low when there is
// none.
func (d *dice) between(low, high int) int {
	if high <= low {
		return low
	}
	return low + d.IntN(high-low+1)
}

// A choice is a code and how often it is taken compared with the others.
type choice struct {
	code   string
	weight int
}

// A table is a distribution over codes.
type table []choice

// pick draws a code.
func (d *dice) pick(t table) string {
	sum := 0
	for _, c := range t {
		sum += c.weight
	}
	n := d.IntN(sum)
	for _, c := range t {
		if n -= c.weight; n < 0 {
			return c.code
		}
	}
	return t[0].code
}
