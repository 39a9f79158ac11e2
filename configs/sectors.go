package configs

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// Nodes about sectors that no code list holds: they are made of the contracts.

// sectorCodes returns the codes of a column that each contract codes by a list of
// its own. Those that have expired are left out.
func (r *cubeReader) sectorCodes(column string, at place) []gateway.Node {
	var nodes []gateway.Node
	for _, c := range r.contracts {
		field := stored(c, column)
		if field == nil || column == "" {
			continue
		}
		if field.List == nil || field.Multi {
			at.bad("column %s of contract %s does not hold one code", column, c.ID)
			return nil
		}
		for _, code := range field.List.Codes {
			if code.To == gateway.NoDay {
				nodes = append(nodes, next(nodes, gateway.SectorCode(c.ID, code.Code), join(c.Title, ": ", code.Title)))
			}
		}
	}
	if len(nodes) == 0 {
		at.bad("no contract stores a column %q", column)
	}
	return nodes
}

// next is the node that follows the others, by its own order.
func next(nodes []gateway.Node, code string, title gateway.Text) gateway.Node {
	return gateway.Node{Code: code, Title: title, Number: uint16(len(nodes) + 1)} //nolint:gosec // G115: checkNodes refuses more than MaxNominalCells
}

// sectorCounts returns the numbers of sectors, of which the last is open when more
// sectors are possible.
func (r *cubeReader) sectorCounts(f *dimensionFile, at place) []gateway.Node {
	nodes := named(f, at)
	if len(nodes) < 2 || len(nodes) > len(r.contracts) {
		at.at("nodes").bad("numbers of sectors need 2 nodes or more, and at most one for each of %d contracts", len(r.contracts))
		return nodes
	}
	for i, n := range nodes {
		want := strconv.Itoa(i + 1)
		if i == len(nodes)-1 && len(nodes) < len(r.contracts) {
			want += "+"
		}
		if n.Code != want {
			at.at("nodes").at(i).bad("number %d of the sectors has the code %q", i+1, want)
		}
	}
	return nodes
}

// sectorPairs returns one node for every two contracts.
func (r *cubeReader) sectorPairs(at place) []gateway.Node {
	var nodes []gateway.Node
	for i, a := range r.contracts {
		for _, b := range r.contracts[i+1:] {
			code := gateway.PairCode(a.ID, b.ID)
			first, second := a, b
			if code != fmt.Sprintf("%s+%s", a.ID, b.ID) {
				first, second = b, a
			}
			nodes = append(nodes, next(nodes, code, join(first.Title, " + ", second.Title)))
		}
	}
	if len(nodes) == 0 {
		at.at("source").bad("pairs need two contracts")
	}
	return nodes
}

// join puts two titles together in each language that both have.
func join(a gateway.Text, by string, b gateway.Text) gateway.Text {
	both := func(a, b string) string {
		if a == "" || b == "" {
			return ""
		}
		return a + by + b
	}
	return gateway.Text{KK: both(a.KK, b.KK), RU: both(a.RU, b.RU), EN: both(a.EN, b.EN)}
}

// implySectors adds what follows from the sources alone: a child of a pair is one
// that each sector of the pair has seen, and one with a sector's code is one that
// the sector has seen, and so is one with a code of a column that one sector has.
func (r *cubeReader) implySectors() {
	for i := range r.def.Dimensions {
		d := &r.def.Dimensions[i]
		if d.Source.Kind != gateway.EventSector {
			continue
		}
		for j := range r.def.Dimensions {
			r.implySector(&r.def.Dimensions[j], d.Name)
			r.excludeSectors(&r.def.Dimensions[j], d)
		}
	}
}

func (r *cubeReader) implySector(d *gateway.Dimension, seen string) {
	for _, n := range d.Nodes {
		for _, id := range r.sectorsOf(d, n.Code) {
			r.def.Implied = append(r.def.Implied, gateway.Implication{
				If: gateway.Fact{Dimension: d.Name, Node: n.Code}, Then: gateway.Fact{Dimension: seen, Node: string(id)},
			})
		}
	}
}

// onlyIn reports whether one contract alone stores a column: whoever has a code of it,
// as of a service, has been seen by that sector.
func (r *cubeReader) onlyIn(c *gateway.Contract, column string) bool {
	for _, other := range r.contracts {
		if (stored(other, column) != nil) != (other == c) {
			return false
		}
	}
	return true
}

// excludeSectors declares that no event of another sector has a code of a column that
// one sector has: of events, not of children, who may have events of both.
func (r *cubeReader) excludeSectors(d, seen *gateway.Dimension) {
	if d.Source.Kind != gateway.EventColumn || slices.ContainsFunc(r.def.Cubes, func(c gateway.Cube) bool {
		return c.Grain != gateway.Events && slices.Contains(c.Dimensions, d.Name) && slices.Contains(c.Dimensions, seen.Name)
	}) {
		return
	}
	for _, n := range d.AtLevel(len(d.Levels) - 1) {
		has := r.sectorsOf(d, n.Code)
		for _, sector := range seen.AtLevel(len(seen.Levels) - 1) {
			if len(has) == 1 && sector.Code != string(has[0]) {
				r.def.Impossible = append(r.def.Impossible, []gateway.Fact{{Dimension: d.Name, Node: n.Code}, {Dimension: seen.Name, Node: sector.Code}})
			}
		}
	}
}

// sectorsOf lists the sectors that have seen every child of a node.
func (r *cubeReader) sectorsOf(d *gateway.Dimension, code string) []gateway.ContractID {
	if d.Source.Kind == gateway.ChildOutcome {
		return startOf(d, code)
	}
	var ids []gateway.ContractID
	for i, a := range r.contracts {
		switch d.Source.Kind {
		case gateway.EventSectorCode:
			list := stored(a, d.Source.Column)
			if list == nil {
				continue
			}
			for _, c := range list.List.Codes {
				if gateway.SectorCode(a.ID, c.Code) == code {
					ids = append(ids, a.ID)
				}
			}
		case gateway.SectorPair:
			for _, b := range r.contracts[i+1:] {
				if gateway.PairCode(a.ID, b.ID) == code {
					ids = append(ids, a.ID, b.ID)
				}
			}
		case gateway.EventColumn:
			if r.onlyIn(a, d.Source.Column) {
				ids = append(ids, a.ID)
			}
		case gateway.EventSector, gateway.EventQuarter, gateway.EventYear, gateway.ChildConst, gateway.ChildFirst,
			gateway.ChildMost, gateway.FirstSector, gateway.SectorCount, gateway.ReachedIn,
			gateway.ChildOutcome:
		}
	}
	return ids
}
