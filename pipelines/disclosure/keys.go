package disclosure

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// keyed are the draws of disclosure.md 2.2, each 64 uniform bits from one PRF under
// its own name. A draw is looked up in integer tables only; a float key, or one that
// depends on the order of evaluation, would be a second draw on a bad day (2.11 line
// 13). None of those that a reader can see
// depends on who is in a cell: an answer is never equal or different because of a
// member, and a member added by an uploader draws nothing anew. The one exception
// is edge, on minorities of 10 to 18 children.
type keyed struct {
	prf     gateway.PRF
	lineage []byte
	release []byte // its number within the lineage, in decimal
	buf     []byte // scratch, of the full label
}

func newKeyed(prf gateway.PRF, lineage string, number int) *keyed {
	return &keyed{prf: prf, lineage: []byte(lineage), release: []byte(strconv.Itoa(number))}
}

// permanent is u1: the same in every release and for every measure, so that
// averaging over releases never gets below V1. The label has neither release nor
// measure in it; a release id here would make it a fresh draw each time (2.11 line
// 12).
func (k *keyed) permanent(label []byte) uint64 { return k.prf("sdc/v2/L1", k.lineage, label) }

// fresh is u2: of one release and one measure, under the full label
// release=R|measure=M|…. What changed between two releases is hidden by two of these
// draws alone, which is why the layer has half of V (2.11 line 17).
func (k *keyed) fresh(m gateway.Measure, label []byte) uint64 {
	k.fullLabel(m, label)
	return k.prf("sdc/v2/L2", k.release, k.buf)
}

// fullLabel puts release=R|measure=M|… into buf.
func (k *keyed) fullLabel(m gateway.Measure, label []byte) {
	k.buf = append(append(k.buf[:0], "release="...), k.release...)
	k.buf = append(append(k.buf, "|measure="...), m...)
	k.buf = append(append(k.buf, '|'), label...)
}

// threshold draws T of rule 1: secret, because a known threshold on a true count is
// an oracle, and permanent, because a fresh one would be another look at the same
// count in every release.
func (k *keyed) threshold(label []byte) uint64 { return k.prf("sdc/v2/K", k.lineage, label) }

// edge draws T' of rule 4. It is keyed on the minority, the r children of the
// parent who are not in the cell, by their number and the sum of their subject keys:
// asking for the same minority under other labels, or padding the majority around
// it, gives no second draw. Keying on members is otherwise forbidden, since two equal
// draws would tell two equal sets; here only a hidden or shown cell comes of it, and
// only for 10 to 18 children (2.11 line 18).
func (k *keyed) edge(r int64, key uint64) uint64 {
	var a, b [8]byte
	binary.BigEndian.PutUint64(a[:], uint64(r)) //nolint:gosec // at least the least threshold
	binary.BigEndian.PutUint64(b[:], key)
	return k.prf("sdc/v2/E", a[:], b[:])
}

// outliers draws how many of the largest contributors flattening treats as
// outliers (1 or 2, by the lowest bit) and how many form the top group (3 or 4, by
// the next): by the label, never from the children, so that who is in the cell does
// not choose how it is flattened (disclosure.md 2.3).
func (k *keyed) outliers(label []byte) (o, t int) {
	u := k.prf("sdc/v2/O", k.lineage, label)
	return 1 + int(u&1), 3 + int(u>>1&1)
}

// Floors of the law of thresholds (disclosure.md 2.4 and 2.12: "the law starts at
// 10", and .15 is the most that it gives to one number). A law that starts lower
// shows smaller cells; one that favours a single number is a hard threshold again,
// and a hard threshold is an oracle for whoever plants children around a victim (AUC
// 0.85 to 1.00). The floors are the engine's: policy may raise the law (an operator
// who says that siblings are common raises it by five), and nobody may lower it
// without the data protection officer and a change of this line.
const (
	MinThreshold  = 10
	maxSingleOdds = 0.15
	maxShare      = 0.95 // rule 5; see [gateway.ReleaseRules.ShareCovered]
	minShareBelow = 200
)

// A law is the distribution of the secret thresholds, as integers like a p-table. It
// is public; only the draws are secret.
type law struct {
	from int
	cum  []uint64
}

func newLaw(r gateway.ReleaseRules) (law, error) {
	if r.ThresholdMin < MinThreshold {
		return law{}, gateway.Errorf(gateway.Invalid, "the law of thresholds starts at %d; it may not start below %d", r.ThresholdMin, MinThreshold)
	}
	l := law{from: r.ThresholdMin}
	sum := 0.0
	for i, p := range r.Threshold {
		if !(p > 0 && p <= maxSingleOdds+1e-9) {
			return law{}, gateway.Errorf(gateway.Invalid, "the law of thresholds gives one number no chance or more than %g: thresholds must not be guessable", maxSingleOdds)
		}
		sum += p
		cum := uint64(math.MaxUint64)
		if i < len(r.Threshold)-1 && sum < 1 {
			cum = uint64(math.Ldexp(sum, 64))
		}
		l.cum = append(l.cum, cum)
	}
	if math.Abs(sum-1) > 1e-9 {
		return law{}, gateway.Errorf(gateway.Invalid, "the probabilities of the law of thresholds do not add up to 1")
	}
	return l, nil
}

// most is the largest threshold.
func (l law) most() int { return l.from + len(l.cum) - 1 }

// threshold is the number that a draw stands for.
func (l law) threshold(u uint64) int {
	for i, cum := range l.cum {
		if u < cum {
			return l.from + i
		}
	}
	return l.most()
}

// small reports whether n is below its threshold, drawing only where that matters:
// nine of ten cells are decided by the ends of the law. How long it takes is seen by
// the build alone.
func (l law) small(n int64, draw func() uint64) bool {
	switch {
	case n < int64(l.from):
		return true
	case n >= int64(l.most()):
		return false
	}
	return n < int64(l.threshold(draw()))
}
