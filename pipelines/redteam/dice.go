package redteam

import "math/rand/v2"

// newDice is a source of choices that depend on a seed and a stream only.
func newDice(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed), mix(stream))) //nolint:gosec // synthetic data must repeat, and protects nothing
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// pick draws an index by weights.
func pick(r *rand.Rand, weights []float64) int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	x := r.Float64() * sum
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}
