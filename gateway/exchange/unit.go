package exchange

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// declaringUnits lists the contracts whose newest version, which a release counts by,
// declares units (disclosure.md 2.4 rule 2).
func (x *Exchange) declaringUnits() []gateway.ContractID {
	newest := map[gateway.ContractID]*gateway.Contract{}
	for _, c := range x.Options.Contracts {
		if old := newest[c.ID]; old == nil || c.Version > old.Version {
			newest[c.ID] = c
		}
	}
	var ids []gateway.ContractID
	for id, c := range newest {
		if c.Unit {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// unitsFor returns the contracts whose units a release of the definition looks at. Public
// tables look at none: no rule on true counts may run over them (disclosure.md 2.10).
// Standing tables are sums, which do not know how many units are in them, so they are
// refused, before anything is read.
func (x *Exchange) unitsFor(d *gateway.Definition) ([]gateway.ContractID, error) {
	declaring := x.declaringUnits()
	switch {
	case d.Profile == gateway.Public:
		return nil, nil
	case d.Profile == gateway.Standing && len(declaring) > 0:
		return nil, gateway.Errorf(gateway.Invalid, "contracts %v declare units, and standing tables cannot look at them; release interactive tables", declaring)
	}
	return declaring, nil
}

// keepUnits refuses a release that no longer looks at units which an earlier one of the
// lineage looked at: cells that only rule 2 hid would come to light, and so the rule
// that hid them (disclosure.md 2.4).
func (p *Pinned) keepUnits(before []gateway.ContractID) error {
	for _, id := range before {
		if !slices.Contains(p.Units, id) {
			return gateway.Errorf(gateway.Conflict, "lineage %s has looked at the units of contract %s; the contract must go on declaring them", p.Definition.Lineage, id)
		}
	}
	return nil
}

// unitsOf returns the units of the batches' loads: of the keys that sent them, as the
// operator registered them.
func (x *Exchange) unitsOf(batches []gateway.Batch) map[gateway.LoadID]int {
	declaring, units := x.declaringUnits(), map[gateway.LoadID]int{}
	for _, b := range batches {
		if slices.Contains(declaring, b.Contract) {
			units[b.Load] = b.Unit
		}
	}
	return units
}
