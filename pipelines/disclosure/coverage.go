package disclosure

import (
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A reporting answers, from the agencies' registrations and never from rows,
// whether a cell's sector has reported at all. Its answers are the same whatever
// the counts are (decisions.md 4): a status that came from an absence of rows would
// tell zero from small. A reader needs it, because "no children" and "no data" mean
// opposite things to whoever plans services.
type reporting struct {
	l    *lattice
	full map[gateway.ContractID]map[string]map[gateway.Quarter]bool
	// known are the regions that any sector is registered for. A region code that is
	// not among them (a child whose region is unknown) says nothing about reporting.
	known map[string]bool
	memo  map[place]bool
}

// A place is a sector, region and quarter of a cell by dimension, level and node;
// a zero is a root.
type place struct {
	sectors string // codes, joined by commas: any of them
	region  spot
	quarter spot
}

type spot struct{ dim, level, node int } // dim counts from 1

func newReporting(l *lattice, c *gateway.Coverage) *reporting {
	r := &reporting{
		l: l, full: map[gateway.ContractID]map[string]map[gateway.Quarter]bool{},
		known: map[string]bool{}, memo: map[place]bool{},
	}
	for sector, regions := range c.Full {
		r.full[sector] = map[string]map[gateway.Quarter]bool{}
		for region, quarters := range regions {
			r.known[region] = true
			r.full[sector][region] = map[gateway.Quarter]bool{}
			for _, q := range quarters {
				if q >= l.def.From && q <= l.def.To {
					r.full[sector][region][q] = true
				}
			}
		}
	}
	return r
}

// missing reports whether the cell names a sector none of whose quarters in the
// window is complete in the cell's region and quarter. A cell that names no sector
// mixes reported with unreported, and one complete quarter is enough: partial
// coverage is for the notes of a release, not for a status.
func (r *reporting) missing(s *set, at []int) bool {
	var sectors []string
	var regions []spot
	quarter := spot{}
	for i, dim := range s.dims {
		here := spot{dim + 1, s.Set[i].Level, at[i]}
		switch source := r.l.dims[dim].Source; {
		case source.Kind == gateway.EventSector || source.Kind == gateway.FirstSector:
			sectors = append(sectors, strings.Join(r.codes(here), ","))
		case source.Kind == gateway.EventSectorCode:
			sector, _, _ := strings.Cut(r.codes(here)[0], ".")
			sectors = append(sectors, sector)
		case source.Kind == gateway.SectorPair: // each of both must have reported
			sectors = append(sectors, strings.Split(r.codes(here)[0], "+")...)
		case source.Kind == gateway.ChildOutcome:
			sectors = append(sectors, r.needed(here)...)
		case source.Kind == gateway.EventQuarter || source.Kind == gateway.EventYear:
			quarter = here
		case source.Column == gateway.ColumnRegion:
			regions = append(regions, here)
		}
	}
	if len(regions) == 0 {
		regions = []spot{{}}
	}
	for _, sector := range sectors {
		for _, region := range regions {
			if r.silent(place{sector, region, quarter}) {
				return true
			}
		}
	}
	return false
}

// needed lists the sectors without which an outcome is not known: for what is said of
// a cohort all that its path looks at, for the cohort itself those that it starts with.
func (r *reporting) needed(s spot) []string {
	n := r.l.dims[s.dim-1]
	o := n.levels[s.level][s.node].Outcome
	p := n.Path(o.Path)
	var sectors []string
	if o.Started || o.CannotTell {
		var starts []string
		for _, h := range p.Start {
			starts = append(starts, string(h.Sector))
		}
		return []string{strings.Join(starts, ",")}
	}
	for _, id := range p.Told {
		sectors = append(sectors, string(id))
	}
	return sectors
}

func (r *reporting) silent(p place) bool {
	silent, known := r.memo[p]
	if !known {
		silent = !r.reported(p)
		r.memo[p] = silent
	}
	return silent
}

// reported reports whether any combination of the place is complete.
func (r *reporting) reported(p place) bool {
	regions := slices.DeleteFunc(r.codes(p.region), func(code string) bool { return !r.known[code] })
	var quarters []gateway.Quarter
	for _, code := range r.codes(p.quarter) {
		if r.l.dims[p.quarter.dim-1].Source.Kind == gateway.EventYear {
			code += "Q1"
		}
		q, err := gateway.ParseQuarter(code)
		if err != nil {
			continue
		}
		quarters = append(quarters, q)
		if r.l.dims[p.quarter.dim-1].Source.Kind == gateway.EventYear {
			quarters = append(quarters, q+1, q+2, q+3)
		}
	}
	for sector := range strings.SplitSeq(p.sectors, ",") {
		for region, full := range r.full[gateway.ContractID(sector)] {
			if len(regions) > 0 && !slices.Contains(regions, region) {
				continue
			}
			for q := range full {
				if len(quarters) == 0 || slices.Contains(quarters, q) {
					return true
				}
			}
		}
	}
	return false
}

// codes lists the leaves under a spot; none for a root.
func (r *reporting) codes(s spot) []string {
	if s.dim == 0 {
		return nil
	}
	n := &r.l.dims[s.dim-1]
	top := n.levels[s.level][s.node].Code
	var codes []string
	for i := range n.Nodes {
		if n.Leaf(n.Nodes[i]) && n.under(&n.Nodes[i], top) {
			codes = append(codes, n.Nodes[i].Code)
		}
	}
	return codes
}
