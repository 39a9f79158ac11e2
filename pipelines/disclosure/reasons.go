package disclosure

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A Reason is why a cell is what it is. Outside [Reasons] all hidden cells are one
// status, because the rule tells small from large (disclosure.md 2.4).
type Reason string

// The reasons.
const (
	ReasonShown       Reason = "shown"
	ReasonSmall       Reason = "small_or_zero" // rules 1 and 3
	ReasonUnit        Reason = "one_unit"      // rule 2
	ReasonNear        Reason = "near_parent"   // rule 4
	ReasonRemainder   Reason = "remainder"     // rule 6
	ReasonGate        Reason = "sparsity_gate" // rule 7: the whole grouping set is closed
	ReasonImpossible  Reason = "impossible"    // declared in the cube file
	ReasonNotReported Reason = "not_reported"
	ReasonOmitted     Reason = "omitted" // a code that is never published
	ReasonHidden      Reason = "hidden"  // by another rule
)

// reason names a state. Numbers of states may change between versions of the
// program; names do not.
func (s state) reason() Reason {
	switch s {
	case hiddenSmall:
		return ReasonSmall
	case hiddenUnit:
		return ReasonUnit
	case hiddenNear:
		return ReasonNear
	case hiddenRest:
		return ReasonRemainder
	case shown:
		return ReasonShown
	case impossible:
		return ReasonImpossible
	case notReported:
		return ReasonNotReported
	case omitted:
		return ReasonOmitted
	default:
		return ReasonHidden
	}
}

// Reasons keep why each cell of a release is what it is, for an officer who looks
// at a single cell with another officer's consent. They are taken once, when the
// cells are decided: made again later they would be of other rows. They hold no
// count, and are stored sealed; they cannot be printed.
type Reasons struct {
	encoded func() []byte
}

const reasonsMagic = "pana/reasons/1\n"

// Bytes returns the reasons to be sealed.
func (r *Reasons) Bytes() []byte { return r.encoded() }

// names are the reasons by the numbers of the encoding.
var names = []Reason{
	ReasonSmall, ReasonNear, ReasonRemainder, ReasonGate, ReasonShown, ReasonImpossible, ReasonNotReported, ReasonOmitted, ReasonHidden, ReasonUnit,
}

// reasons encodes the states: a line of magic and, compressed, one byte a cell, set by
// set: the reason's number in names.
func (p *protector) reasons() (*Reasons, error) { return reasonsOf(p.l, p.states, p.gate.closed) }

// reasonsOf encodes states by set and cell, with what the gate closes by set.
func reasonsOf(l *lattice, states [][]state, closed []bool) (*Reasons, error) {
	var b bytes.Buffer
	b.WriteString(reasonsMagic)
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return nil, fmt.Errorf("keeping the reasons: %w", err)
	}
	for _, s := range l.sets {
		cells := make([]byte, s.cells)
		for c, st := range states[s.index] {
			why := st.reason()
			if closed[s.index] {
				why = ReasonGate
			}
			cells[c] = byte(slices.Index(names, why)) //nolint:gosec // every reason is in names
		}
		if _, err := w.Write(cells); err != nil {
			return nil, fmt.Errorf("keeping the reasons: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("keeping the reasons: %w", err)
	}
	return &Reasons{b.Bytes}, nil
}

// errReasons never quotes what it was given.
var errReasons = errors.New("disclosure: not the reasons of this release")

// Why looks up one cell by its canonical label ("region=61|sex=F", "" for the total)
// in the bytes of a release's reasons. It reports NotFound for a label that the
// definition does not have.
func Why(d *gateway.Definition, reasons []byte, label string) (Reason, error) {
	l, err := ownLattice(d)
	if err != nil {
		return "", err
	}
	set, at, found := l.find(label)
	if !found {
		return "", gateway.Errorf(gateway.NotFound, "the release has no such cell; name its codes in the order of the dimensions' names: region=61|sex=F")
	}
	packed, ok := bytes.CutPrefix(reasons, []byte(reasonsMagic))
	if !ok {
		return "", errReasons
	}
	cells, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxCells+1))
	if err != nil || len(cells) != l.cells {
		return "", errReasons
	}
	for _, s := range l.sets[:set.index] {
		at += s.cells
	}
	if int(cells[at]) >= len(names) {
		return "", errReasons
	}
	return names[cells[at]], nil
}

// HasCell reports whether a release of the definition has a cell with this canonical
// label. It needs no data.
func HasCell(d *gateway.Definition, label string) bool {
	l, err := newLattice(d)
	if err != nil {
		return false
	}
	_, _, found := l.find(label)
	return found
}
