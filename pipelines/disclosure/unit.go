package disclosure

import (
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Numbers of rule 2 (disclosure.md 2.4 and 2.12). Ask the data protection officer
// before changing one.
const (
	minUnits   = 2  // least number of units in a cell
	maxTopUnit = 90 // most of a cell's children that one unit may have sent, in percent
)

// oneUnit is rule 2, the entity rule: a cell that rests on the records of one unit (a
// shelter, a station) alone, or of whose children one unit has more than nine in ten,
// is the unit's own business made public; and the unit, which knows its children, could
// subtract them. A unit is what the operator registered for the uploader's key, never
// a column that the uploader fills: who could name units could make them.
//
// The rule runs where contracts declare units ([Release.Units]). The records of other
// contracts are of one further unit, whose share is not looked at: a whole agency is
// not hidden. A cell without records of declared units is not looked at either.
//
// Unlike rules 1 and 4 it has a hard limit on true values, as disclosure.md has it. An
// uploader who plants children of another unit around a cell learns from it, with a
// tenth of the cell's children planted, about how many the large unit has. That is a
// residual risk; siblings are one too ([Protect]).
func oneUnit(cell *tally) bool {
	return cell.topUnit > 0 && (cell.units < minUnits || cell.topUnit*100 > maxTopUnit*cell.children)
}

// checkUnits refuses counts that do not say of units what the release needs: a build
// that forgot them would publish as if there were none.
func (p *protector) checkUnits(s *set, cell *tally) error {
	if cell.children > 0 && (len(p.units) > 0) != (cell.units > 0) {
		return gateway.Errorf(gateway.Internal, "grouping set %q: units are counted and not declared, or declared and not counted", s.key)
	}
	return nil
}

// unitsAgree reports whether the numbers of a count that are about units can belong to
// one cell.
func unitsAgree(n Count) bool {
	switch {
	case n.TopUnit > n.Children || n.Units > maxChildren || n.TopUnit > 0 && n.Units == 0:
		return false
	case n.Units == 1 && n.TopUnit > 0:
		return n.TopUnit == n.Children // everybody is of the only unit
	}
	return true
}

// UnitNotes say, for tables and catalogues of a definition, whether rule 2 is in force
// over the records of some contracts, and what no rule does. No rule on true counts runs
// over public tables, so nothing is said of units there (disclosure.md 2.10).
func UnitNotes(d *gateway.Definition, units []gateway.ContractID) []string {
	if d != nil && d.Profile == gateway.Public {
		return []string{siblingsNote}
	}
	entity := "No contract declares units: a cell may rest on the records of one institution alone."
	if len(units) > 0 {
		var ids []string
		for _, id := range units {
			ids = append(ids, string(id))
		}
		entity = "Cells that rest on one unit of an institution alone, or of which one unit has more than 90 % of the children, are suppressed. Units are declared by: " +
			strings.Join(ids, ", ") + "."
	}
	return []string{entity, siblingsNote}
}

// siblingsNote is what version 1 does not protect, said wherever protection is
// described.
const siblingsNote = "Brothers and sisters are not protected as a group: a family counts as its children."

// Units returns the contracts whose units rule 2 looked at, none where it was skipped.
func (p *Published) Units() []gateway.ContractID { return slices.Clone(p.head.Units) }

// Notes returns what a catalogue says of the protection of every table of the release.
func (p *Published) Notes() []string { return UnitNotes(p.l.def, p.head.Units) }
