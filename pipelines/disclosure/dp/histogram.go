package dp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// MaxChild is the most bytes that identify a child.
const MaxChild = 64

// maxChildren bounds a histogram, so that sums fit whatever the clamps.
const maxChildren = 1 << 40

// HistogramOptions say what is counted, and under which terms it is published.
type HistogramOptions struct {
	// Definition holds the dimensions and their public code lists. Required.
	Definition *gateway.Definition
	// Release is the release that is counted. Required.
	Release gateway.ReleaseID
	// Set is the grouping set, admitted by a cube of the definition with the
	// measure. The empty set is the total.
	Set gateway.GroupingSet
	// Measure is what is counted. Required.
	Measure gateway.Measure
	// Terms is what it costs. Required.
	Terms Terms
	// Bound picks the cells of a child that has more than Terms.Cells of them, under
	// the label "dp/v1/bound". Required. The keyed function of the lineage will do:
	// which cells are kept is no secret of the proof, only the noise is, and that
	// never comes from a key. Keyed, because nobody should be able to choose records
	// so that a certain cell of a child is dropped.
	Bound gateway.PRF
	// Counted says that the cells were counted elsewhere, over whole children, and are
	// filled in with [Histogram.Put]. Then nothing can be dropped any more: Terms.Cells
	// must be all that a child can be in by the code lists, and Bound must be nil.
	Counted bool
}

// A Contribution is one cell that a child is in.
type Contribution struct {
	Nodes []string // one code a dimension, in the order of the set
	Value int64    // of gateway.CountRecords: the child's records in the cell
}

// A Histogram holds the counts of one grouping set until an [Accountant] publishes
// them, once. The counts live in closures, which no printer, encoder or
// reflection can see into; nothing reads them but the accountant's noise.
//
// It starts with every cell of the code lists at zero, so what it publishes has
// the same cells whoever is in the data. It may be filled by one goroutine.
type Histogram struct {
	plan plan
	add  func(child []byte, cells []Contribution) error
	put  func(nodes []string, children int64) error
	take func() (*counts, error)
}

// plan is the public part of a histogram: nothing in it depends on a child. What a
// refusal, a price or the shape of an answer may depend on is here and nowhere else.
type plan struct {
	lineage  string
	question Question
	terms    Terms
	set      gateway.GroupingSet
	codes    [][]string // a dimension's codes at its level, in the order of the list
	keep     *selectable
	counted  bool
}

// counts is what a Histogram hides. It holds no more about a child than the cells
// it was added to, and of all children only the last one's bytes, to see the order.
type counts struct {
	mu       sync.Mutex
	plan     *plan
	bound    gateway.PRF
	index    []map[string]int
	children []int64 // that count in the cell, after bounding
	sums     []int64 // what they add, clamped
	last     []byte  // the child that came last
	added    int64
	taken    bool
}

// NewHistogram returns an empty histogram, or says what is wrong with the options.
func NewHistogram(o *HistogramOptions) (*Histogram, error) {
	p, err := newPlan(o)
	if err != nil {
		return nil, err
	}
	c := &counts{plan: p, bound: o.Bound}
	for _, codes := range p.codes {
		at := make(map[string]int, len(codes))
		for i, code := range codes {
			at[code] = i
		}
		c.index = append(c.index, at)
	}
	c.children, c.sums = make([]int64, p.cells()), make([]int64, p.cells())
	return &Histogram{plan: *p, add: c.add, put: c.put, take: c.take}, nil
}

func newPlan(o *HistogramOptions) (*plan, error) {
	if o == nil || (o.Bound == nil) != o.Counted || !validRelease(o.Release) {
		return nil, gateway.Errorf(gateway.Invalid, "a histogram needs a definition, a release and a keyed function")
	}
	err := validDefinition(o.Definition)
	if err != nil {
		return nil, err
	}
	err = o.Terms.validate(o.Measure)
	if err != nil {
		return nil, err
	}
	set, err := admitted(o.Definition, o.Set, o.Measure)
	if err != nil {
		return nil, err
	}
	most := reach(o.Definition, set)
	switch {
	case o.Terms.Cells > most:
		return nil, gateway.Errorf(gateway.Invalid, "terms: no child can be in more than %d cells of this grouping set", most)
	case o.Counted && (o.Terms.Cells < most || o.Measure != gateway.CountChildren):
		return nil, gateway.Errorf(gateway.Invalid, "terms: cells that are counted already are of children, of whom one may be in %d of this grouping set", most)
	}
	p := &plan{lineage: o.Definition.Lineage, terms: o.Terms, set: set, counted: o.Counted}
	p.question = Question{Release: o.Release, Measure: o.Measure, Set: set.Key(o.Definition)}
	for _, sd := range set {
		var codes []string
		for _, node := range o.Definition.Dimension(sd.Name).AtLevel(sd.Level) {
			codes = append(codes, node.Code)
		}
		p.codes = append(p.codes, codes)
	}
	if o.Terms.Selection != (Selection{}) {
		p.keep, err = o.Terms.Selection.table(o.Terms.Cells)
	}
	return p, err
}

// admitted returns the definition's own copy of a grouping set.
func admitted(d *gateway.Definition, g gateway.GroupingSet, m gateway.Measure) (gateway.GroupingSet, error) {
	for _, a := range d.AdmittedSets() {
		if slices.Equal(a.Set, g) {
			if !slices.Contains(a.Measures, m) {
				return nil, gateway.Errorf(gateway.Invalid, "no cube has the measure %q for this grouping set", m)
			}
			return a.Set, nil
		}
	}
	return nil, gateway.Errorf(gateway.Invalid, "no cube admits this grouping set")
}

// reach bounds c from above: to pay for more cells than a child can touch would be
// noise for nothing, and usually means that a dimension is of the wrong kind. It
// returns the most cells of a set that a child can be in, by definition: one
// for every choice of nodes of the dimensions of kind Multi.
func reach(d *gateway.Definition, g gateway.GroupingSet) int {
	most := 1
	for _, sd := range g {
		if dim := d.Dimension(sd.Name); dim.Kind != gateway.Partition {
			most *= len(dim.AtLevel(sd.Level))
		}
	}
	return most
}

func (p *plan) cells() int {
	n := 1
	for _, codes := range p.codes {
		n *= len(codes)
	}
	return n
}

// nodes returns the codes of a cell; cells are numbered in the order of the code
// lists, the last dimension fastest.
func (p *plan) nodes(cell int) []string {
	nodes := make([]string, len(p.codes))
	for i := len(nodes) - 1; i >= 0; i-- {
		n := len(p.codes[i])
		nodes[i] = p.codes[i][cell%n]
		cell /= n
	}
	return nodes
}

// Question returns what the histogram answers. It is public.
func (h Histogram) Question() Question { return h.plan.question }

// Terms returns what it is published under. They are public.
func (h Histogram) Terms() Terms { return h.plan.terms }

// Add counts one child: all cells of the grouping set that the child is in, at
// once, whatever they are. Children come in ascending order of their bytes, each
// once; a second Add for one would lift the bound on what a child contributes.
//
// child must be a function of the child alone, such as its subject key: with a
// running number, taking one child away would renumber others, and they would keep
// other cells. Of more than Terms.Cells cells, those with the smallest keyed hash
// of child and cell count (disclosure.md 2.10): which ones then depends on nobody
// else. Contributions to the same cell are added up before they are clamped.
//
// An error names the grouping set, never child, cell or value, and leaves the
// histogram as it was. It means that the build is broken, not that a child is: that
// a build failed does depend on the data, so it is for the operator alone.
func (h Histogram) Add(child []byte, cells []Contribution) error {
	if h.add == nil {
		return errUnmade()
	}
	return h.add(child, cells)
}

// Put fills in a cell of a histogram that is [HistogramOptions.Counted]: its distinct
// children, each cell at most once. That a child is counted once in a cell, and in
// cells of one node a partition dimension only, is the caller's promise: the privacy
// of the answer rests on it.
//
// An error names the grouping set, never cell or value, and leaves the histogram as
// it was.
func (h Histogram) Put(nodes []string, children int64) error {
	if h.put == nil {
		return errUnmade()
	}
	return h.put(nodes, children)
}

func (c *counts) put(nodes []string, children int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cell, ok := c.cell(nodes)
	switch {
	case c.taken:
		return errTaken()
	case !c.plan.counted:
		return gateway.Errorf(gateway.Invalid, "grouping set %q: its cells are not counted elsewhere; children are added one by one", c.plan.question.Set)
	case !ok:
		return gateway.Errorf(gateway.Invalid, "grouping set %q: a cell is of a code that is not registered", c.plan.question.Set)
	case children <= 0 || children > maxChildren || c.children[cell] != 0:
		return gateway.Errorf(gateway.Internal, "grouping set %q: a cell comes twice, or its count is none", c.plan.question.Set)
	}
	c.children[cell], c.sums[cell] = children, children
	return nil
}

func errUnmade() error {
	return gateway.Errorf(gateway.Internal, "the histogram was not made by NewHistogram")
}

// touch is a cell that a child is in.
type touch struct {
	cell  int
	value int64
	hash  uint64
}

func (c *counts) add(child []byte, cells []Contribution) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.taken:
		return errTaken()
	case c.plan.counted:
		return gateway.Errorf(gateway.Invalid, "grouping set %q: its cells are counted elsewhere, and a child more would be counted twice", c.plan.question.Set)
	case len(child) == 0 || len(child) > MaxChild || bytes.Compare(child, c.last) <= 0:
		return gateway.Errorf(gateway.Internal, "grouping set %q: children come once each, in ascending order", c.plan.question.Set)
	case c.added == maxChildren:
		return gateway.Errorf(gateway.TooLarge, "grouping set %q: too many children", c.plan.question.Set)
	}
	touches, err := c.locate(cells)
	if err != nil {
		return err
	}
	c.last = append(c.last[:0], child...)
	c.added++
	for _, t := range c.bounded(child, touches) {
		c.children[t.cell]++
		c.sums[t.cell] += c.plan.clamp(t.value)
	}
	return nil
}

func errTaken() error {
	return gateway.Errorf(gateway.Conflict, "the histogram is used up: it is published once")
}

// locate finds the cells and joins those that are named twice: without that, a child
// with two records in a cell would count in it twice, beyond the sensitivity.
func (c *counts) locate(cells []Contribution) ([]touch, error) {
	var touches []touch
	for _, contribution := range cells {
		cell, ok := c.cell(contribution.Nodes)
		if !ok {
			return nil, gateway.Errorf(gateway.Invalid, "grouping set %q: a cell is of a code that is not registered", c.plan.question.Set)
		}
		touches = append(touches, touch{cell: cell, value: contribution.Value})
	}
	slices.SortFunc(touches, func(a, b touch) int { return a.cell - b.cell })
	joined := touches[:0]
	for _, t := range touches {
		if last := len(joined) - 1; last >= 0 && joined[last].cell == t.cell {
			joined[last].value = saturating(joined[last].value, t.value)
			continue
		}
		joined = append(joined, t)
	}
	return joined, nil
}

func (c *counts) cell(nodes []string) (int, bool) {
	if len(nodes) != len(c.index) {
		return 0, false
	}
	cell := 0
	for i, at := range c.index {
		node, ok := at[nodes[i]]
		if !ok {
			return 0, false
		}
		cell = cell*len(at) + node
	}
	return cell, true
}

// bounded keeps the c cells with the smallest keyed hash. The hash covers the label
// of the cell and not its number, so that a code added to a list later moves nobody.
func (c *counts) bounded(child []byte, touches []touch) []touch {
	if len(touches) <= c.plan.terms.Cells {
		return touches
	}
	for i := range touches {
		label := c.plan.set.Label(c.plan.nodes(touches[i].cell))
		touches[i].hash = c.bound("dp/v1/bound", []byte(c.plan.question.Set), child, []byte(label))
	}
	slices.SortFunc(touches, func(a, b touch) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return a.cell - b.cell
	})
	return touches[:c.plan.terms.Cells]
}

// clamp returns what a value adds to its cell.
func (p *plan) clamp(value int64) int64 {
	if p.question.Measure == gateway.CountChildren {
		return 1
	}
	return min(max(value, p.terms.Low), p.terms.High)
}

// take hands out the counts, once. What is handed out is wiped by whoever took it;
// what stays behind is empty. The state is that of Google's aggregation_state:
// filled, then used, with no way back.
func (c *counts) take() (*counts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken {
		return nil, errTaken()
	}
	c.taken = true
	own := &counts{plan: c.plan, children: c.children, sums: c.sums}
	c.children, c.sums, c.last = nil, nil, nil
	return own, nil
}

// wipe overwrites the counts when they are no longer needed.
func (c *counts) wipe() {
	clear(c.children)
	clear(c.sums)
}

// Format writes the type's name whatever the verb.
func (Histogram) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "dp.Histogram(withheld)") }

// MarshalJSON always fails: true counts have no encoding.
func (Histogram) MarshalJSON() ([]byte, error) { return nil, errEncoded() }

// MarshalText always fails, as MarshalJSON does.
func (Histogram) MarshalText() ([]byte, error) { return nil, errEncoded() }

// MarshalBinary always fails, as MarshalJSON does; encoding/gob asks it.
func (Histogram) MarshalBinary() ([]byte, error) { return nil, errEncoded() }

func errEncoded() error {
	return gateway.Errorf(gateway.Internal, "a histogram of true counts cannot be encoded")
}

// A Question names a histogram: what was counted, not under which terms, so that
// asking again with other terms is not a new question.
type Question struct {
	Release gateway.ReleaseID `json:"release"`
	Measure gateway.Measure   `json:"measure"`
	Set     string            `json:"set"` // GroupingSet.Key: "age@band|sex@sex"
}

// String returns the canonical label (disclosure.md 2.1).
func (q Question) String() string {
	return "release=" + string(q.Release) + "|measure=" + string(q.Measure) + "|" + q.Set
}

// dimensions returns how many dimensions the question groups by.
func (q Question) dimensions() int {
	if q.Set == "" {
		return 0
	}
	return strings.Count(q.Set, "|") + 1
}

func validRelease(r gateway.ReleaseID) bool { return !badNode(string(r)) }

// ChildKey returns the bytes under which a child is added: its subject key
// (disclosure.md 2.2), which owes nothing to the other children. Numeric order is
// the order that [Histogram.Add] wants.
func ChildKey(subject uint64) []byte { return binary.BigEndian.AppendUint64(nil, subject) }
