package gateway

// A Path is a cohort of children and what follows in their records (domain.md 3.1):
// it starts with the child's first record of a kind in the release window, and looks
// for others some days after it. Outcomes are read off paths.
//
// What became of a cohort is told once every sector of Told has reported, without a
// gap, Days beyond the quarter of the start; until then the whole cohort of that
// quarter and region cannot be told, whatever its records say. Where the start is a
// date of a record and not the record's own, the wait is longer by the days between.
type Path struct {
	ID    string       `json:"id"`
	Start []Happening  `json:"start"`
	Steps []Step       `json:"steps,omitempty"`
	Days  int          `json:"days"`
	Told  []ContractID `json:"told"`
}

// Step returns the place of a step, or -1.
func (p *Path) Step(id string) int {
	for i := range p.Steps {
		if p.Steps[i].ID == id {
			return i
		}
	}
	return -1
}

// Sector returns the sector that has seen every child of the path, or "" where it
// starts with records of several; whole reports whether it starts with any record of
// that sector, so that the cohort is the sector's children.
func (p *Path) Sector() (sector ContractID, whole bool) {
	for i, h := range p.Start {
		if i > 0 && h.Sector != sector {
			return "", false
		}
		sector = h.Sector
		whole = whole || len(h.Where) == 0 && len(h.Dates) == 0
	}
	return sector, whole
}

// A Step is the earliest of some happenings in a span of days after the start, or
// after another step; it is never more than the path's Days after the start.
type Step struct {
	ID    string      `json:"id"`
	Any   []Happening `json:"any"`
	After string      `json:"after,omitempty"` // an earlier step; "" is the start
	From  int         `json:"from"`            // days after it; negative is before
	To    int         `json:"to"`
	// Slip: a record counts that bears the number of the start's referral slip, from
	// From to To days after it if it is the same child's, on any day if it is not,
	// because the days of two children are not comparable. Where the start has no
	// number, a record of the child counts up to Near days before or after. A child
	// with several starts on its first day has the slips of all.
	Slip bool `json:"slip,omitempty"`
	Near int  `json:"near,omitempty"`
}

// A Happening is a record of a sector that some coded columns hold codes of; a record
// with several dates is one happening for each.
type Happening struct {
	Sector ContractID          `json:"sector"`
	Dates  []string            `json:"dates,omitempty"` // stored date columns; none: the record's own day
	Own    bool                `json:"own,omitempty"`   // the record's own day, where it has none of Dates
	Where  map[string][]string `json:"where,omitempty"` // stored column → codes, any of which it holds
}

// An Outcome is what a node of a [ChildOutcome] dimension says of a child: one of
// Started, CannotTell, With and Without. The last two are said of cohorts that can be
// told, so that a child is in one of three places: with, without, cannot tell. One of
// them is never published (disclosure.md 2.1).
type Outcome struct {
	Path       string `json:"path"`
	Started    bool   `json:"started,omitempty"`
	CannotTell bool   `json:"cannot_tell,omitempty"`
	With       string `json:"with,omitempty"` // a step that was found,
	Days       []int  `json:"days,omitempty"` // from the first to the second of these days after the start, if given
	Without    string `json:"without,omitempty"`
	// Within is the node of the same dimension that holds all its children by
	// definition: the stage before, or the cohort. It is its parent in rule 4.
	Within string `json:"within,omitempty"`
}

// Path returns the path of a dimension with an id, or nil.
func (d *Dimension) Path(id string) *Path {
	for i := range d.Source.Paths {
		if d.Source.Paths[i].ID == id {
			return &d.Source.Paths[i]
		}
	}
	return nil
}

// An Indicator reads published cells together: numerators within a denominator, and
// those of whom it cannot be told (domain.md 3.1). It counts nothing by itself, so it
// needs no noise and no budget, and it can be replayed from tables. What is left of the
// denominator is never published apart.
type Indicator struct {
	ID         string    `json:"id"`
	Title      Text      `json:"title"`
	Definition Text      `json:"definition"`
	Shape      Shape     `json:"shape"`
	Cube       string    `json:"cube"` // of the numerators and of those that cannot be told
	Parts      []Reading `json:"parts"`
	// Of is the denominator: "all children" where its filter is empty.
	Of         Reading           `json:"of"`
	CannotTell map[string]string `json:"cannot_tell,omitempty"` // filter; nil where everything can be told
	// Linked are the sectors whose records must be of the same child for it to be
	// counted: the share of their records with a valid number bounds what it can see.
	Linked []ContractID `json:"linked"`
	By     []string     `json:"by,omitempty"` // dimensions that it may be grouped by
}

// A Reading is one cell, or one cell for each group: a filter with a name.
type Reading struct {
	Title  Text              `json:"title"`
	Cube   string            `json:"cube,omitempty"` // where it is not the indicator's
	Filter map[string]string `json:"filter,omitempty"`
	// Days are the first and last day of a band, for medians.
	Days []int `json:"days,omitempty"`
}

// Shape says how the parts of an indicator stand to one another.
type Shape string

// The shapes.
const (
	ShapeShare   Shape = "share"   // each is a part of the denominator by itself
	ShapeStages  Shape = "stages"  // each is within the one before
	ShapeBands   Shape = "bands"   // they are apart, in an order
	ShapeOverlap Shape = "overlap" // they may overlap
	// ShapeOperation has no cells: the indicator is about batches, not children.
	ShapeOperation Shape = "operation"
)

// Indicator returns the indicator with an id, or nil.
func (d *Definition) Indicator(id string) *Indicator {
	for i := range d.Indicators {
		if d.Indicators[i].ID == id {
			return &d.Indicators[i]
		}
	}
	return nil
}
