package gateway

import (
	"slices"
	"time"
)

// A Definition says what a release counts, before any data is looked at. It is
// read from configs/cubes and pinned in the release.
type Definition struct {
	Lineage    string      `json:"lineage"`    // id of the dataset whose releases share permanent noise
	From       Quarter     `json:"from"`       // first quarter of the release window
	To         Quarter     `json:"to"`         // last quarter of the window, inclusive
	V          float64     `json:"v"`          // variance of the noise of one published count
	Dimensions []Dimension `json:"dimensions"` // every dimension that a cube uses
	Cubes      []Cube      `json:"cubes"`
	// Impossible are structural zeros: no child is in all nodes of one entry, by
	// definition and never by data. Implied are conditions that say nothing new
	// (disclosure.md 2.1).
	Impossible [][]Fact      `json:"impossible,omitempty"`
	Implied    []Implication `json:"implied,omitempty"`
}

// A Fact is the condition that a child is in a node of a dimension.
type Fact struct {
	Dimension string `json:"dimension"`
	Node      string `json:"node"`
}

// An Implication holds for every child by definition: who is in If is in Then.
type Implication struct {
	If   Fact `json:"if"`
	Then Fact `json:"then"`
}

// Dimension returns the dimension with a name, or nil.
func (d *Definition) Dimension(name string) *Dimension {
	for i := range d.Dimensions {
		if d.Dimensions[i].Name == name {
			return &d.Dimensions[i]
		}
	}
	return nil
}

// Cube returns the cube with an id, or nil.
func (d *Definition) Cube(id string) *Cube {
	for i := range d.Cubes {
		if d.Cubes[i].ID == id {
			return &d.Cubes[i]
		}
	}
	return nil
}

// Window returns the definition over another window: a copy whose quarter
// dimensions hold the quarters of the new window. It reports Invalid for a window
// that ends before it starts or has more than 40 quarters.
func (d *Definition) Window(from, to Quarter) (*Definition, error) {
	if from == 0 || to < from || to-from >= 40 {
		return nil, Errorf(Invalid, "a release window runs from a quarter to the same or a later one, 40 at most: from=2023Q1 to=2025Q4")
	}
	w := *d
	w.From, w.To = from, to
	w.Dimensions = slices.Clone(d.Dimensions)
	for i := range w.Dimensions {
		if w.Dimensions[i].Source.Kind != EventQuarter {
			continue
		}
		w.Dimensions[i].Nodes = nil
		for q := from; q <= to; q++ {
			title := q.String()
			w.Dimensions[i].Nodes = append(w.Dimensions[i].Nodes, Node{
				Code: title, Title: Text{KK: title, RU: title, EN: title}, Number: uint16(q),
			})
		}
	}
	return &w, nil
}

// A Dimension is a registered tree of codes (disclosure.md 2.1). Cubes share
// dimensions: the same name denotes the same children everywhere, so a grouping
// set that occurs in two cubes has one value.
type Dimension struct {
	Name      string        `json:"name"`
	Title     Text          `json:"title"`
	Kind      DimensionKind `json:"kind"`
	Levels    []string      `json:"levels"`              // names of the levels under the root, coarse to fine
	Nodes     []Node        `json:"nodes"`               // all nodes but the root, parents before children
	Sensitive bool          `json:"sensitive,omitempty"` // the share rule applies
	Omitted   string        `json:"omitted,omitempty"`   // code of the one leaf that is never published, or ""
	Source    Source        `json:"source"`              // how the warehouse finds the leaf of a child or an event
}

// Node is one code of a dimension. Its code holds neither "|" nor "=".
type Node struct {
	Code   string `json:"code"`
	Title  Text   `json:"title"`
	Parent string `json:"parent,omitempty"` // code of the parent; "" is the root
	Level  int    `json:"level"`            // index into Levels
	Number uint16 `json:"number"`           // of a leaf: its number in the source's code list, quarter index or own order
}

// Leaf reports whether the node is of the finest level.
func (d *Dimension) Leaf(n Node) bool { return n.Level == len(d.Levels)-1 }

// Node returns the node with a code, or nil.
func (d *Dimension) Node(code string) *Node {
	for i := range d.Nodes {
		if d.Nodes[i].Code == code {
			return &d.Nodes[i]
		}
	}
	return nil
}

// AtLevel returns the nodes of one level, in their order.
func (d *Dimension) AtLevel(level int) []Node {
	var nodes []Node
	for _, n := range d.Nodes {
		if n.Level == level {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// DimensionKind tells whether a child is in one node of a level or in several.
type DimensionKind string

// The kinds of dimensions.
const (
	Partition DimensionKind = "partition" // a child is in exactly one node a level
	Multi     DimensionKind = "multi"     // a child may be in several: margins are not sums
)

// A Source says how the leaf of a dimension is derived (domain.md 3.1). The
// warehouse knows the kinds; their parameters come from the cube file.
type Source struct {
	Kind SourceKind `json:"kind"`
	// Column is the stored column, for EventColumn, ChildMost and ChildFirst.
	Column string `json:"column,omitempty"`
	// Reached: the child's first event in Start, and an event in one of Targets
	// (sector → date columns) from 0 to Days days after it.
	Start   ContractID              `json:"start,omitempty"`
	Targets map[ContractID][]string `json:"targets,omitempty"`
	Days    int                     `json:"days,omitempty"`
}

// SourceKind names a derivation.
type SourceKind string

// The derivations.
const (
	EventSector  SourceKind = "event_sector"  // multi: the contract of an event
	EventColumn  SourceKind = "event_column"  // a coded column of the event
	EventQuarter SourceKind = "event_quarter" // the quarter of the event
	ChildConst   SourceKind = "child_const"   // a column equal on all rows of a child (sex)
	ChildFirst   SourceKind = "child_first"   // a column of the child's first event in the window
	ChildMost    SourceKind = "child_most"    // the code named by most sectors; ties: the earliest record's; else unknown
	FirstSector  SourceKind = "first_sector"  // the contract of the child's first event
	ReachedIn    SourceKind = "reached"       // yes, no, cannot_tell, no_start
)

// Codes of a ReachedIn dimension.
const (
	ReachedYes        = "yes"
	ReachedNo         = "no"
	ReachedCannotTell = "cannot_tell"
	ReachedNoStart    = "no_start"
)

// A Cube is a set of dimensions that may be crossed, at one grain.
type Cube struct {
	ID         string     `json:"id"`
	Title      Text       `json:"title"`
	Grain      Grain      `json:"grain"`
	Dimensions []string   `json:"dimensions"`      // names
	Cap        int        `json:"cap"`             // most non-root dimensions of a cell, 1 to 4
	Apart      [][]string `json:"apart,omitempty"` // groups of dimensions of which a cell names at most one
	Measures   []Measure  `json:"measures"`
}

// Grain is what a cube counts over.
type Grain string

// The grains.
const (
	Children Grain = "children"
	Events   Grain = "events"
)

// Measure is what is counted in a cell.
type Measure string

// The measures.
const (
	CountChildren Measure = "children" // distinct children
	CountRecords  Measure = "records"  // records of children; flattened (disclosure.md 2.3)
)

// A ReleaseState is where a release stands.
type ReleaseState string

// The states of a release.
const (
	ReleaseBuilding   ReleaseState = "building"
	ReleaseBuilt      ReleaseState = "built"      // cells are protected; nothing answers yet
	ReleaseApproved   ReleaseState = "approved"   // an officer approved the digest; it answers
	ReleaseWithdrawn  ReleaseState = "withdrawn"  // closed for good
	ReleaseSuperseded ReleaseState = "superseded" // a newer release of the lineage is approved
	ReleaseFailed     ReleaseState = "failed"
)

// A Release is an immutable, numbered snapshot of committed batches with its
// protected cells.
type Release struct {
	ID         ReleaseID    `json:"release"`
	Lineage    string       `json:"lineage"`
	Number     int          `json:"number"`
	State      ReleaseState `json:"state"`
	Snapshot   uint64       `json:"snapshot"` // batches committed up to this seq
	Policy     Revision     `json:"policy"`
	Digest     string       `json:"digest"` // SHA-256 of the published cells, hex
	Definition []byte       `json:"-"`      // the pinned definition and rules, JSON
	Built      time.Time    `json:"built"`
}

// ReleaseRules are the disclosure parameters of a release, decided by policy
// within the floors, pinned in the release and equal for all purposes.
type ReleaseRules struct {
	Threshold    []float64 `json:"threshold"`     // probability of T = ThresholdFrom + i, for rules 1 and 4
	ThresholdMin int       `json:"threshold_min"` // k, the lowest threshold of the law: 10 or more
	Share        float64   `json:"share"`         // rule 5: 0.95
	ShareBelow   int       `json:"share_below"`   // rule 5: applies to parents smaller than this: 200
	RecordCap    int       `json:"record_cap"`    // most records of one child that count: 20
	Revision     Revision  `json:"policy"`        // of the policy set that decided
}

// A Question asks for the cells below a filter, grouped by levels of dimensions.
// Nothing else can be asked.
type Question struct {
	Cube    string            `json:"cube"`
	Measure Measure           `json:"measure"`
	GroupBy []string          `json:"group_by,omitempty"` // "region" or "region@region"
	Filter  map[string]string `json:"filter,omitempty"`   // dimension → node code
	Purpose Purpose           `json:"purpose,omitempty"`  // never part of label or noise
}

// A CellStatus tells what a cell of a table is.
type CellStatus string

// The statuses of cells.
const (
	StatusValue       CellStatus = "value"
	StatusSuppressed  CellStatus = "suppressed"   // hidden: small, zero, or near its parent; never says which
	StatusImpossible  CellStatus = "impossible"   // a structural zero, declared in the cube file
	StatusNotReported CellStatus = "not_reported" // the sector's batches for it are missing
)

// A Cell is one published cell.
type Cell struct {
	Nodes  []string   `json:"nodes"` // one a grouped dimension, in the table's order
	Status CellStatus `json:"status"`
	Value  *int64     `json:"value,omitempty"` // of StatusValue
}

// A Table is the answer to a question: the only thing that can leave.
type Table struct {
	Release    ReleaseID         `json:"release"`
	Cube       string            `json:"cube"`
	Label      string            `json:"question"` // the question in canonical form
	Measure    Measure           `json:"measure"`
	Dimensions []string          `json:"dimensions"` // grouped, by name: the order of Cell.Nodes
	Filter     map[string]string `json:"filter,omitempty"`
	Cells      []Cell            `json:"cells"` // sorted by the order of codes
	Variance   float64           `json:"variance"`
	Base       int               `json:"base"`        // values are multiples of it
	Bottom     int               `json:"bottom_code"` // smaller published values are shown as this
	Digest     string            `json:"digest"`      // of the release's published cells
	PTables    string            `json:"ptables"`     // digest of the perturbation tables
	Policy     Revision          `json:"policy"`
	Decision   string            `json:"decision"`
	Notes      []string          `json:"notes,omitempty"`
}

// Coverage tells which quarters a sector has fully reported, by region. It comes
// from the agencies' registrations and the accepted batches' periods, never from
// rows.
type Coverage struct {
	// Full maps sector and region code to the quarters that are complete.
	Full map[ContractID]map[string][]Quarter `json:"full"`
}

// Horizon returns the last quarter up to which, from the first of the window on,
// a sector's reports for a region have no gap; 0 when there is none.
func (c *Coverage) Horizon(sector ContractID, region string, from Quarter) Quarter {
	have := map[Quarter]bool{}
	for _, q := range c.Full[sector][region] {
		have[q] = true
	}
	horizon := Quarter(0)
	for q := from; have[q]; q++ {
		horizon = q
	}
	return horizon
}
