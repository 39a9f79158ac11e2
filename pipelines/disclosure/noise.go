package disclosure

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Base is the base to which published counts are rounded (disclosure.md 2.12). It
// is stated in every table: readers need it, and attackers find it anyway (Asghar
// and Kaafar, PETS 2020). Only keys are secret.
const Base = 5

// A layer is a p-table as integers: a row for each true count. Rows of counts from
// len(rows) on repeat with the period: their support is no longer cut at zero, so
// only the count modulo the base matters. At V = 50 that is one symmetric row of 25
// deviations from n = 12 on, and five rows of rounding from n1 = 14 on.
type layer struct {
	rows   []steps
	period int
}

// steps are one row: the deviations, and the cumulative probabilities times 2^64.
type steps struct {
	v   []int64
	cum []uint64
}

// PTables are the two layers of noise for one V: L1 is integer noise that belongs
// to the cell for ever, L2 unbiased random rounding to [Base] that belongs to the
// cell in one release and one measure. Each has half of V, because the difference
// of two releases carries only twice the second (disclosure.md 2.3).
//
// Why two: a permanent layer alone shows every change between releases to the unit,
// and a fresh one alone is averaged away over the years. Why tables of bounded noise
// and not a Gaussian: agencies argue about these numbers, so no published count may
// be absurd, and both layers together never move one by more than D1 + D2. Bounded
// keyed noise is not differentially private, and must not be called so.
type PTables struct {
	V      float64 // of both layers together
	D1, D2 int     // the largest deviation of each
	l1, l2 layer
}

// NewPTables solves both layers for a variance. It refuses a V for which some row
// does not exist: rounding to base 5 alone needs 6 in the second layer. Releases have
// the higher floor of [MinVariance].
//
// The permanent layer has probabilities that do not fall towards zero deviation
// ("mono"), as ptable makes them; the rounding layer cannot, since the nearest
// multiple of five may lie on the other side.
func NewPTables(v float64) (*PTables, error) {
	if !(v > 0 && v <= 1e6) {
		return nil, fmt.Errorf("a variance of noise is above 0 and at most 1,000,000, not %g", v)
	}
	d1, d2 := deviations(v)
	t := &PTables{V: v, D1: d1, D2: d2}
	var err error
	if t.l1, err = newLayer(PTableParams{D: t.D1, V: v / 2, Base: 1, Mono: true}); err != nil {
		return nil, fmt.Errorf("permanent layer: %w", err)
	}
	if t.l2, err = newLayer(PTableParams{D: t.D2, V: v / 2, Base: Base}); err != nil {
		return nil, fmt.Errorf("release layer: %w", err)
	}
	return t, nil
}

// newLayer solves every row that differs: the counts up to D, whose support is
// cut at zero, and one period of the base beyond.
func newLayer(p PTableParams) (layer, error) {
	l := layer{period: p.Base}
	for i := 0; i < p.D+p.Base; i++ {
		row, err := Solve(i, p)
		if err != nil {
			return layer{}, err
		}
		l.rows = append(l.rows, newSteps(row))
	}
	return l, nil
}

// newSteps turns probabilities into integers: floor(cum * 2^64), the last one the
// largest integer, so that look-ups never touch a float (disclosure.md 2.2).
func newSteps(r Row) steps {
	s := steps{}
	cum := 0.0
	for a, p := range r.P {
		cum += p
		at := uint64(math.MaxUint64)
		if a < len(r.P)-1 && cum < 1 {
			at = uint64(math.Ldexp(cum, 64))
		}
		s.v = append(s.v, int64(r.J[a]-r.I))
		s.cum = append(s.cum, at)
	}
	return s
}

// draw returns the deviation for a count under a uniform draw: the first entry
// with u < cum. cellKey reads its tables so; the Handbook's text has "lb < ck <= ub",
// which differs in one of 2^64 draws.
func (l *layer) draw(n int64, u uint64) int64 {
	last := int64(len(l.rows) - l.period)
	if n >= last {
		n = last + (n-last)%int64(l.period)
	}
	row := &l.rows[n]
	for a, cum := range row.cum {
		if u < cum {
			return row.v[a]
		}
	}
	return row.v[len(row.v)-1]
}

// append adds the layer's canonical bytes: what the digest is over. They are stored
// with the release, because another processor's exponential may differ in the last
// bit, and an answer must be replayable years later.
func (l *layer) append(b []byte) []byte {
	b = binary.AppendVarint(b, int64(l.period))
	b = binary.AppendVarint(b, int64(len(l.rows)))
	for _, row := range l.rows {
		b = binary.AppendVarint(b, int64(len(row.v)))
		for a, v := range row.v {
			b = binary.AppendVarint(b, v)
			b = binary.BigEndian.AppendUint64(b, row.cum[a])
		}
	}
	return b
}

// Digest returns the SHA-256, in hex, of both layers as integers. Every table
// names it, so that an answer can be checked against the p-tables published.
func (t *PTables) Digest() string {
	sum := sha256.Sum256(t.bytes())
	return hex.EncodeToString(sum[:])
}

func (t *PTables) bytes() []byte {
	b := []byte("pana/ptables/1\n")
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(t.V))
	return t.l2.append(t.l1.append(b))
}
