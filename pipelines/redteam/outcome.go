package redteam

import (
	"fmt"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// outcomes draws what became of a child on the paths of a dimension, so that stages lie
// within one another and in their cohort as they do in data. Paths that start with the
// same have one cohort.
func (v *inventor) outcomes(d int, seen []string) []int {
	dim := v.dims[d]
	cohorts := map[string]bool{}
	var leaves []int
	for i := range dim.Source.Paths {
		p := &dim.Source.Paths[i]
		start := fmt.Sprint(p.Start)
		started, drawn := cohorts[start]
		if !drawn {
			_, whole := p.Sector()
			started = slices.ContainsFunc(p.Start, func(h gateway.Happening) bool { return slices.Contains(seen, string(h.Sector)) }) &&
				(whole || v.r.IntN(2) == 0)
			cohorts[start] = started
		}
		if started {
			leaves = append(leaves, v.trail(d, p)...)
		}
	}
	return leaves
}

// trail draws the nodes of one path for a child that started it.
func (v *inventor) trail(d int, p *gateway.Path) []int {
	told := v.r.IntN(5) > 0
	after := make([]int, len(p.Steps)) // days after the start, -1 where the step was not found
	for i, s := range p.Steps {
		after[i] = -1
		found := s.After == "" || after[p.Step(s.After)] >= 0
		if found && v.r.IntN(5) < 3 {
			after[i] = v.r.IntN(max(1, p.Days+1))
		}
	}
	var leaves []int
	for _, n := range v.dims[d].Nodes {
		o := n.Outcome
		leaf, drawn := v.places[d][n.Code]
		if !drawn || o == nil || o.Path != p.ID {
			continue
		}
		var in bool
		switch {
		case o.Started:
			in = true
		case o.CannotTell || !told:
			in = o.CannotTell && !told
		case o.Without != "":
			in = after[p.Step(o.Without)] < 0
		default:
			day := after[p.Step(o.With)]
			in = day >= 0 && (len(o.Days) == 0 || o.Days[0] <= day && day <= o.Days[1])
		}
		if in {
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}
