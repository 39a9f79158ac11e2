package gateway

import (
	"slices"
	"strconv"
	"time"
)

// A Definition says what a release counts, before any data is looked at. It is
// read from configs/cubes and pinned in the release.
type Definition struct {
	Lineage    string      `json:"lineage"`    // id of the dataset whose releases share permanent noise
	From       Quarter     `json:"from"`       // first quarter of the release window
	To         Quarter     `json:"to"`         // last quarter of the window, inclusive
	V          float64     `json:"v"`          // variance of the noise of one published count; 0 where not [Definition.Noisy]
	Dimensions []Dimension `json:"dimensions"` // every dimension that a cube uses
	Cubes      []Cube      `json:"cubes"`
	Values     []Value     `json:"values,omitempty"` // numbers that cubes of events add up
	Indicators []Indicator `json:"indicators,omitempty"`
	// Impossible are structural zeros: no child is in all nodes of one entry, by
	// definition and never by data. Implied are conditions that say nothing new
	// (disclosure.md 2.1).
	Impossible [][]Fact      `json:"impossible,omitempty"`
	Implied    []Implication `json:"implied,omitempty"`
	// Breaks are where codes of the dimensions changed: tables that cross one say so.
	Breaks []Break `json:"breaks,omitempty"`
	// Gate is what is decided on the sparsity gate against what it found; nil leaves
	// it as it is.
	Gate *GateDecision `json:"gate,omitempty"`
	// Profile is how the lineage is protected; Standing and Public are set for the
	// profiles of those names, and only then.
	Profile  Profile         `json:"profile,omitempty"`
	Standing *StandingTables `json:"standing,omitempty"`
	Public   *PrivacyTerms   `json:"public,omitempty"`
}

// A GateDecision opens or closes grouping sets whatever the sparsity gate found
// (disclosure.md 2.4 rule 7). It is data of the definition, so it is pinned in the
// release and the officer who approves the release signs it. It names sets by
// [GroupingSet.Key]; an open set needs every smaller one named too, and a closed one
// closes every larger.
type GateDecision struct {
	Open    []string `json:"open,omitempty"`
	Close   []string `json:"close,omitempty"`
	Because string   `json:"because"` // required: why, for whoever signs
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

// Window returns the definition over another window: a copy whose dimensions of
// quarters hold the quarters of the new window, and those of years the years that
// lie wholly in it. It reports Invalid for a window that ends before it starts or
// has more than 40 quarters, and, where there are years, for one without a whole
// year or with nothing beside it: that year and the window would be two labels of
// the same children (disclosure.md 2.1).
func (d *Definition) Window(from, to Quarter) (*Definition, error) {
	if from == 0 || to < from || to-from >= 40 {
		return nil, Errorf(Invalid, "a release window runs from a quarter to the same or a later one, 40 at most: from=2023Q1 to=2025Q4")
	}
	w := *d
	w.From, w.To = from, to
	w.Dimensions = slices.Clone(d.Dimensions)
	for i := range w.Dimensions {
		switch w.Dimensions[i].Source.Kind {
		case EventQuarter:
			w.Dimensions[i].Nodes = quarters(from, to)
		case EventYear:
			w.Dimensions[i].Nodes = wholeYears(from, to)
			if n := len(w.Dimensions[i].Nodes); n == 0 || n == 1 && to-from == 3 {
				return nil, Errorf(Invalid, "dimension %s: the window needs a whole year, and more than that year", w.Dimensions[i].Name)
			}
		case EventSector, EventColumn, EventSectorCode, ChildConst, ChildFirst, ChildMost, FirstSector, SectorCount, SectorPair, ReachedIn,
			ChildOutcome:
		}
	}
	return &w, nil
}

func quarters(from, to Quarter) []Node {
	var nodes []Node
	for q := from; q <= to; q++ {
		nodes = append(nodes, timeNode(q.String(), uint16(q)))
	}
	return nodes
}

// wholeYears leaves out a year of which the window holds a part: with one quarter
// of it that year and that quarter would be two labels of the same children.
func wholeYears(from, to Quarter) []Node {
	var nodes []Node
	for year := (from + 3) / 4; year*4+3 <= to; year++ {
		nodes = append(nodes, timeNode(strconv.Itoa(int(year)), uint16(year)))
	}
	return nodes
}

func timeNode(code string, number uint16) Node {
	return Node{Code: code, Title: Text{KK: code, RU: code, EN: code}, Number: number}
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
	Band   *Band  `json:"band,omitempty"`   // the numbers that it stands for, if it does
	Number uint16 `json:"number"`           // of a leaf: its number in the source's code list, quarter index, year or own order
	// Members are the codes of the list that the leaf stands for, where these are
	// several: see [Node.Numbers]. Its Number is 0 then.
	Members []Member `json:"members,omitempty"`
	Outcome *Outcome `json:"outcome,omitempty"` // of [ChildOutcome]
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
	// Column is the stored column, for EventColumn, EventSectorCode, ChildConst,
	// ChildMost and ChildFirst.
	Column string `json:"column,omitempty"`
	// Reached: the child's first event in Start, and an event in one of Targets
	// (sector → date columns) from 0 to Days days after it.
	Start   ContractID              `json:"start,omitempty"`
	Targets map[ContractID][]string `json:"targets,omitempty"`
	Days    int                     `json:"days,omitempty"`
	Paths   []Path                  `json:"paths,omitempty"` // of [ChildOutcome]
}

// SourceKind names a derivation.
type SourceKind string

// The derivations.
const (
	EventSector  SourceKind = "event_sector"  // multi: the contract of an event
	EventColumn  SourceKind = "event_column"  // a coded column of the event
	EventQuarter SourceKind = "event_quarter" // the quarter of the event
	EventYear    SourceKind = "event_year"    // the year of the event, where the window holds all of it
	// EventSectorCode is a column that each contract codes by a list of its own: the
	// leaf is the contract and the code, "police.REPORT".
	EventSectorCode SourceKind = "event_sector_code"
	ChildConst      SourceKind = "child_const"  // a column equal on all rows of a child (sex)
	ChildFirst      SourceKind = "child_first"  // a column of the child's first event in the window
	ChildMost       SourceKind = "child_most"   // the code named by most sectors; ties: the earliest record's; else unknown
	FirstSector     SourceKind = "first_sector" // the contract of the child's first event
	// SectorCount is how many contracts have an event of the child: node i stands for
	// i of them, the last node for that many or more.
	SectorCount SourceKind = "sector_count"
	// SectorPair is multi, of children: the child has events of both contracts, named
	// in the order of the alphabet, "education+health".
	SectorPair SourceKind = "sector_pair"
	ReachedIn  SourceKind = "reached" // yes, no, cannot_tell, no_start
	// ChildOutcome is multi, of children: what became of a child on some paths. Its
	// nodes are crossed with attributes of children alone.
	ChildOutcome SourceKind = "outcome"
)

// PairCode is the code of a SectorPair node.
func PairCode(a, b ContractID) string {
	return string(min(a, b)) + "+" + string(max(a, b))
}

// SectorCode is the code of an EventSectorCode node.
func SectorCode(sector ContractID, code string) string { return string(sector) + "." + code }

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
	// Caps are lower caps for cells that name a dimension: {pair: 2} crosses a pair
	// with at most one other dimension.
	Caps     map[string]int `json:"caps,omitempty"`
	Measures []Measure      `json:"measures"`
	Values   []string       `json:"values,omitempty"` // ids of values that are added up where their sector is named
}

// Grain is what a cube counts over.
type Grain string

// The grains.
const (
	Children Grain = "children"
	Events   Grain = "events"
)

// Measure is what a cell tells: what is counted in it, the sum of a value
// ([SumOf]), or a statistic made of published cells ("age.median").
type Measure string

// The measures that are counted.
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
	Page       string       `json:"page"`   // SHA-256 of the risk page, hex: an approval names it
	Definition []byte       `json:"-"`      // the pinned definition and rules, JSON
	Built      time.Time    `json:"built"`
	Approved   time.Time    `json:"approved,omitzero"` // when it became public; stays when it is closed
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
	Value  *int64     `json:"value,omitempty"` // of StatusValue, of a count or a sum
	// Estimate and SD are of StatusValue, of a statistic made of published cells:
	// the statistic, and the standard deviation that the noise in them gives it.
	Estimate *Decimal `json:"estimate,omitempty"`
	SD       *Decimal `json:"sd,omitempty"`
}

// A Table is the answer to a question: the only thing that can leave.
type Table struct {
	Release    ReleaseID         `json:"release"`
	Cube       string            `json:"cube"`
	Label      string            `json:"question"` // the question in canonical form
	Measure    Measure           `json:"measure"`
	Dimensions []string          `json:"dimensions"` // grouped, by name: the order of Cell.Nodes
	Filter     map[string]string `json:"filter,omitempty"`
	Cells      []Cell            `json:"cells"`       // sorted by the order of codes
	Variance   float64           `json:"variance"`    // of a value, or of one count that an estimate is made of
	Base       int               `json:"base"`        // values are multiples of it
	Bottom     int               `json:"bottom_code"` // smaller published counts are shown as this; 0: there is none
	Digest     string            `json:"digest"`      // of the release's published cells
	PTables    string            `json:"ptables"`     // digest of the perturbation tables
	Policy     Revision          `json:"policy"`
	Decision   string            `json:"decision"`
	Notes      []string          `json:"notes,omitempty"`
	// Linkable is, by sector, the share of its records that point to a child, in bands:
	// what is counted of children rests on these alone.
	Linkable map[ContractID]ShareBand `json:"linkable,omitempty"`
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
