package disclosure

// A Summary describes what protection did to a release, for the officer's risk
// page: shares in steps of 5 %, never a cell. The officer judges the whole, and may
// be an asker's colleague: no report may show how a count compares with a number
// (2.11 line 19), and a share of a small set would.
type Summary struct {
	Cells int          `json:"cells"` // by the code lists, omitted codes left out
	Sets  []SetSummary `json:"sets"`
	// Cubes are the same over all sets of a cube.
	Cubes []SetSummary `json:"cubes"`
	// Sums are the same by value, over the cells that carry it.
	Sums  []SetSummary `json:"sums,omitempty"`
	Audit *Audit       `json:"audit,omitempty"` // of exact tables
}

// A SetSummary describes one grouping set, or all of a cube's.
type SetSummary struct {
	Name        string `json:"name"`         // "region@region|sex@sex", or the cube's id
	Cells       int    `json:"cells"`        // that a table can show
	Impossible  int    `json:"impossible"`   // declared, so no secret
	NotReported int    `json:"not_reported"` // from registrations, so no secret
	Hidden      int    `json:"hidden_percent"`
	// Gated: the sparsity gate closes the set, so it has no cells outside. Nothing
	// else is told of it: all of it is hidden.
	Gated bool `json:"gated,omitempty"`
	// By rule, the first that hid a cell; only for 100 cells and more, because in a
	// small set a share is a cell and readers must not learn why it is hidden.
	Rules *RuleShares `json:"by_rule,omitempty"`
}

// RuleShares are shares of the cells in percent, each rounded to 5.
type RuleShares struct {
	Small     int `json:"small_or_zero"` // rules 1 and 3
	Unit      int `json:"one_unit"`      // rule 2
	Near      int `json:"near_parent"`   // rule 4
	Remainder int `json:"remainder"`     // rule 6
	Gate      int `json:"sparsity_gate"` // rule 7, of a cube
}

// ruleCells is the least number of cells whose shares by rule are given.
const ruleCells = 100

// tallied are the exact numbers, kept inside.
type tallied struct{ cells, small, unit, near, rest, gated, impossible, silent int }

func (t *tallied) add(states []state, gated bool) {
	for _, s := range states {
		if s == omitted {
			continue
		}
		t.cells++
		if gated && s != impossible && s != notReported {
			t.gated++
			continue
		}
		switch s {
		case hiddenSmall:
			t.small++
		case hiddenUnit:
			t.unit++
		case hiddenNear:
			t.near++
		case hiddenRest:
			t.rest++
		case impossible:
			t.impossible++
		case notReported:
			t.silent++
		default:
		}
	}
}

func (t *tallied) summary(name string) SetSummary {
	share := func(n int) int { return percent(n, t.cells) }
	s := SetSummary{
		Name: name, Cells: t.cells, Impossible: t.impossible, NotReported: t.silent,
		Hidden: share(t.small + t.unit + t.near + t.rest + t.gated),
	}
	if t.cells >= ruleCells {
		s.Rules = &RuleShares{share(t.small), share(t.unit), share(t.near), share(t.rest), share(t.gated)}
	}
	return s
}

func (p *protector) summary() Summary {
	sum := summarise(p.l, p.states, p.gate.closed)
	sum.Sums = p.sumSummaries()
	return sum
}

// summarise counts states, by set and cell; closed sets by set.
func summarise(l *lattice, states [][]state, closed []bool) Summary {
	var sum Summary
	cubes := map[string]*tallied{}
	for _, s := range l.sets {
		var t tallied
		gated := closed[s.index]
		t.add(states[s.index], gated)
		sum.Cells += t.cells
		page := t.summary(s.key)
		page.Gated = gated
		sum.Sets = append(sum.Sets, page)
		for _, id := range s.Cubes {
			if cubes[id] == nil {
				cubes[id] = &tallied{}
			}
			cubes[id].add(states[s.index], gated)
		}
	}
	for _, c := range l.def.Cubes {
		sum.Cubes = append(sum.Cubes, cubes[c.ID].summary(c.ID))
	}
	return sum
}

// Summary returns the shares of hidden cells, by grouping set and by cube.
func (p *Published) Summary() Summary { return p.head.Summary }
