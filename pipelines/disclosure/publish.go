package disclosure

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Published are the cells of a release as anyone with a grant may see them: the
// only thing that can be served. It holds no true count, no key and no reason why a
// cell is hidden; printing it by accident shows what could be asked anyway. It is
// never changed, so any number of goroutines may read it.
type Published struct {
	head   header
	l      *lattice
	cells  []published // by set
	closed []bool      // by set: the sparsity gate keeps it from being published
	digest string
	tables string // digest of the p-tables
}

// published are the cells of one set, omitted ones included so that a cell's place
// is its number.
type published struct {
	status []status
	values map[gateway.Measure][]int64 // of the cells with statusValue
	sums   []sums                      // by value of the set
}

// A status is a [gateway.CellStatus] in a byte.
type status uint8

const (
	statusSuppressed status = iota
	statusValue
	statusImpossible
	statusNotReported
	statusOmitted // never in a table
)

var statusNames = [...]gateway.CellStatus{
	gateway.StatusSuppressed, gateway.StatusValue, gateway.StatusImpossible, gateway.StatusNotReported, gateway.StatusSuppressed,
}

// outside is what a reader learns of a state: never which rule hid a cell.
func (s state) outside() status {
	switch s {
	case shown:
		return statusValue
	case impossible:
		return statusImpossible
	case notReported:
		return statusNotReported
	case omitted:
		return statusOmitted
	default:
		return statusSuppressed
	}
}

// publish draws the release noise of every shown cell and puts the release
// together. From here on no true count is referred to: the protector and its cells
// are garbage when Protect returns.
func (p *protector) publish(rel Release) (*Published, error) {
	out := &Published{l: p.l, closed: p.gate.closed}
	for _, s := range p.l.sets {
		cells := p.values(s, out.cells)
		p.publishSums(s, &cells, out.cells)
		p.gate.decide(s, &cells)
		if p.gate.closed[s.index] {
			cells = noCells(s)
		}
		out.cells = append(out.cells, cells)
	}
	out.head = header{
		Release: rel.ID, Number: rel.Number, Lineage: rel.Lineage, Rules: rel.Rules, Definition: *p.l.def,
		Tables: p.tables.bytes(), Gate: p.gate.record(), Units: p.units, Summary: p.summary(),
	}
	return out, out.seal()
}

// noCells are the cells of a set before anything is published: hidden, and with no
// value.
func noCells(s *set) published {
	out := published{status: make([]status, s.cells), values: map[gateway.Measure][]int64{}, sums: newSums(s)}
	for _, m := range s.Measures {
		out.values[m] = make([]int64, s.cells)
	}
	return out
}

// values publishes one set; earlier ones are there to copy synonyms from.
func (p *protector) values(s *set, earlier []published) published {
	out := noCells(s)
	var at []int
	for c, state := range p.states[s.index] {
		out.status[c] = state.outside()
		if state != shown {
			continue
		}
		to, synonym := p.alias[s.index][c]
		at = s.nodes(c, at)
		p.label = p.l.label(s, at, p.label[:0])
		for _, m := range s.Measures {
			if synonym {
				out.values[m][c] = earlier[to.set.index].values[m][to.at]
			} else {
				out.values[m][c] = p.value(s, c, m)
			}
		}
	}
	return out
}

// value perturbs one measure of a shown cell: unbiased rounding of n + v1 to the
// base, and the bottom code. Whether a cell is shown is never decided here, nor by
// what comes out: a threshold on the perturbed count would show an 8 as 10 (2.11
// line 10). The bottom code is k, the lowest threshold, so that a published value
// never contradicts the rule that it passed; it biases cells of 10 to 19 upward, and
// the notes of every table say so (disclosure.md 2.3).
//
// Children and records share the permanent draw and differ in the release's: with
// independent permanent draws, two measures of a cell in which every child has one
// record would average to half the variance (2.11 line 7). What is left of that is
// counted in the budget ([Plan]).
func (p *protector) value(s *set, c int, m gateway.Measure) int64 {
	if p.summing != nil {
		return p.summing.values[s.index][c]
	}
	cell := &p.cells[s.index][c]
	n1 := p.noisy(s, c)
	if m == gateway.CountRecords {
		o, t := p.keys.outliers(p.label)
		n1 = cell.flatten(o, t, int64(p.noise[s.index][c]))
	}
	j := n1 + p.tables.l2.draw(n1, p.keys.fresh(m, p.label))
	return max(j, int64(p.law.from))
}

// Cell returns a published cell by its canonical label ("region=61|sex=F"). It
// reports false for a label or measure that the release does not have, and for every
// cell of a set that the sparsity gate closes. The value is meant only with [gateway.StatusValue].
func (p *Published) Cell(label string, m gateway.Measure) (gateway.CellStatus, int64, bool) {
	s, c, ok := p.l.find(label)
	if v := s.carries(m); ok && v >= 0 && !p.closed[s.index] {
		return p.sumCell(s, c, v)
	}
	if !ok || p.closed[s.index] || !slices.Contains(s.Measures, m) || p.cells[s.index].status[c] == statusOmitted {
		return "", 0, false
	}
	return statusNames[p.cells[s.index].status[c]], p.cells[s.index].values[m][c], true
}

// Release returns the id of the release.
func (p *Published) Release() gateway.ReleaseID { return p.head.Release }

// Definition returns the definition that the release was built from; it is not to
// be changed.
func (p *Published) Definition() *gateway.Definition { return p.l.def }

// Rules returns the rules pinned in the release.
func (p *Published) Rules() gateway.ReleaseRules { return p.head.Rules }

// Digest returns the SHA-256, in hex, of the bytes that Encode writes. Approval
// names it, and every table carries it.
func (p *Published) Digest() string { return p.digest }
