package gateway

import (
	"cmp"
	"math"
	"slices"
)

// An IndicatorTable is an indicator with the published cells that it reads: n, N and
// those of whom it cannot be told, by one dimension or in all (domain.md 3.1).
type IndicatorTable struct {
	Release    ReleaseID       `json:"release"`
	Indicator  string          `json:"indicator"`
	Title      Text            `json:"title"`
	Definition Text            `json:"definition"`
	Shape      Shape           `json:"shape"`
	By         string          `json:"by,omitempty"`
	Parts      []Text          `json:"parts"` // their titles, in the order of [IndicatorRow.Parts]
	Of         Text            `json:"of"`
	Rows       []IndicatorRow  `json:"rows"`
	Linkable   ShareBand       `json:"linkable,omitempty"` // the lowest of the sectors that it rests on; "" is not told
	Variance   float64         `json:"variance"`           // of each published value
	Questions  []string        `json:"questions"`
	Decisions  []string        `json:"decisions"`
	Population *PopulationNote `json:"population,omitempty"`
}

// A PopulationNote says whose numbers of children a rate is made with. They are the
// operator's: nothing of them comes from the release.
type PopulationNote struct {
	Source string `json:"source"`
	Per    int    `json:"per"`
}

// An IndicatorRow is an indicator of one group, or of all.
type IndicatorRow struct {
	Group      string     `json:"group,omitempty"` // code of the dimension By
	Title      Text       `json:"title,omitzero"`
	Parts      []Cell     `json:"parts"`
	Of         Cell       `json:"of"`
	CannotTell *Cell      `json:"cannot_tell,omitempty"`
	Shares     []*float64 `json:"shares"` // of the children of whom it can be told; nil where some number of it is hidden
	Median     *float64   `json:"median,omitempty"`
	Rates      []*float64 `json:"rates,omitempty"` // of each part, per [PopulationNote.Per] children of the population
}

// Derive fills in what follows from published numbers alone (disclosure.md 2.7): shares,
// and for bands the median.
func (r *IndicatorRow) Derive(n *Indicator) {
	told, known := r.told()
	r.Shares = make([]*float64, len(r.Parts))
	for i := range r.Parts {
		if v, shown := shownValue(&r.Parts[i]); shown && known && told > 0 {
			share := math.Min(1, v/told)
			r.Shares[i] = &share
		}
	}
	if n.Shape == ShapeBands && known {
		r.Median = median(n, r.Parts, told)
	}
}

// told is how many children it can be told of, as published.
func (r *IndicatorRow) told() (told float64, known bool) {
	told, known = shownValue(&r.Of)
	if r.CannotTell != nil && known {
		var less float64
		less, known = shownValue(r.CannotTell)
		told -= less
	}
	return told, known
}

func shownValue(c *Cell) (float64, bool) {
	if c.Status != StatusValue || c.Value == nil {
		return 0, false
	}
	return float64(*c.Value), true
}

// minHalf is the least j*min(q,1-q) of a quantile q of j children (disclosure.md 2.7).
const minHalf = 25

// median is the day by which half of the children of whom it can be told were found,
// from published bands: interpolated inside its band and rounded to half of its width.
// All of them were followed for as long, so those without the step are censored after
// the last band and the Kaplan-Meier estimate is the share that was found. It is nil
// where the half lies beyond the last band, where a band that is needed is hidden, or
// where there are too few.
func median(n *Indicator, parts []Cell, told float64) *float64 {
	if told/2 < minHalf {
		return nil
	}
	below := 0.0
	for i := range parts {
		v, shown := shownValue(&parts[i])
		if !shown || len(n.Parts[i].Days) != 2 {
			return nil
		}
		if below+v >= told/2 && v > 0 {
			from, width := float64(n.Parts[i].Days[0]), float64(n.Parts[i].Days[1]-n.Parts[i].Days[0]+1)
			step := width / 2
			day := from + math.Round(width*(told/2-below)/v/step)*step
			return &day
		}
		below += v
	}
	return nil
}

// Pick returns the cell of a table whose group and filter agree with a reading: the one
// of a group, "" for a table that is not grouped by it, with the node of each dimension
// that the filter names. It is nil where there is none.
func (t *Table) Pick(filter map[string]string, by, group string) *Cell {
	for i := range t.Cells {
		c := &t.Cells[i]
		agrees := true
		for name, code := range filter {
			if at := slices.IndexFunc(t.Dimensions, func(d string) bool { return d == name || bare(d) == name }); at >= 0 {
				agrees = agrees && c.Nodes[at] == code
			}
		}
		if at := slices.IndexFunc(t.Dimensions, func(d string) bool { return bare(d) == by }); by != "" && at >= 0 {
			agrees = agrees && c.Nodes[at] == group
		}
		if agrees {
			return c
		}
	}
	return nil
}

// bare is the name of a grouped dimension without its level.
func bare(dimension string) string {
	for i := range dimension {
		if dimension[i] == '@' {
			return dimension[:i]
		}
	}
	return dimension
}

// Asks returns the questions whose tables hold the cells of an indicator, by one of its
// dimensions or "" for all: as few as the shape of its filters allows, because parts that
// are nodes of one dimension are one table.
func (n *Indicator) Asks(by string) []Question {
	var asks []Question
	readings := append(slices.Clone(n.Parts), n.Of)
	if n.CannotTell != nil {
		readings = append(readings, Reading{Filter: n.CannotTell})
	}
	for _, r := range readings {
		q := Question{Cube: cmp.Or(r.Cube, n.Cube), Measure: CountChildren}
		if by != "" {
			q.GroupBy = []string{by}
		}
		if len(r.Filter) == 1 {
			for name := range r.Filter {
				if name != by {
					q.GroupBy = append(q.GroupBy, name)
				}
			}
		} else {
			q.Filter = r.Filter
		}
		if !slices.ContainsFunc(asks, func(o Question) bool { return sameQuestion(&o, &q) }) {
			asks = append(asks, q)
		}
	}
	return asks
}

func sameQuestion(a, b *Question) bool {
	if a.Cube != b.Cube || !slices.Equal(a.GroupBy, b.GroupBy) || len(a.Filter) != len(b.Filter) {
		return false
	}
	for name, code := range a.Filter {
		if b.Filter[name] != code {
			return false
		}
	}
	return true
}

// Read puts the tables of [Indicator.Asks] together. groups are the codes of By in
// their order, with titles; without By there is one row. A cell that no table holds is
// hidden.
func (n *Indicator) Read(by *Dimension, tables []Table) IndicatorTable {
	t := IndicatorTable{Indicator: n.ID, Title: n.Title, Definition: n.Definition, Shape: n.Shape, Of: n.Of.Title}
	for _, p := range n.Parts {
		t.Parts = append(t.Parts, p.Title)
	}
	for i := range tables {
		t.Release, t.Variance = tables[i].Release, max(t.Variance, tables[i].Variance)
		t.Questions, t.Decisions = append(t.Questions, tables[i].Label), append(t.Decisions, tables[i].Decision)
	}
	groups, name := []Node{{}}, ""
	if by != nil {
		t.By, name, groups = by.Name, by.Name, by.AtLevel(0)
	}
	for _, g := range groups {
		row := IndicatorRow{Group: g.Code, Title: g.Title, Of: n.find(&n.Of, name, g.Code, tables)}
		for i := range n.Parts {
			row.Parts = append(row.Parts, n.find(&n.Parts[i], name, g.Code, tables))
		}
		if n.CannotTell != nil {
			cannot := n.find(&Reading{Filter: n.CannotTell}, name, g.Code, tables)
			row.CannotTell = &cannot
		}
		row.Derive(n)
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (n *Indicator) find(r *Reading, by, group string, tables []Table) Cell {
	one := Indicator{Cube: cmp.Or(r.Cube, n.Cube), Of: Reading{Filter: r.Filter}}
	want := one.Asks(by)[0]
	for i := range tables {
		t := &tables[i]
		var grouped []string
		for _, d := range t.Dimensions {
			grouped = append(grouped, bare(d))
		}
		if t.Cube != want.Cube || !slices.Equal(slices.Sorted(slices.Values(grouped)), slices.Sorted(slices.Values(want.GroupBy))) ||
			!sameQuestion(&Question{Filter: t.Filter}, &Question{Filter: want.Filter}) {
			continue
		}
		if c := t.Pick(r.Filter, by, group); c != nil {
			return Cell{Status: c.Status, Value: c.Value}
		}
	}
	return Cell{Status: StatusSuppressed}
}
