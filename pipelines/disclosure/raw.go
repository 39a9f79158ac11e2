package disclosure

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// MaxTop is how many of a cell's largest record counts flattening looks at: two
// outliers and a top group of four (disclosure.md 2.3).
const MaxTop = 6

// A Count is what a build found in one non-empty cell.
type Count struct {
	Children uint64   // distinct children
	Records  uint64   // sum over the children of their records, each capped
	Top      []uint32 // the largest capped counts of single children, descending, at most MaxTop
	Key      uint64   // sum of the children's subject keys, modulo 2^64
	// Units is how many units have records in the cell, and TopUnit how many children
	// have records of the largest: of the contracts that declare units; all records of
	// the others are of one more, which is never the largest. Both are 0 where no
	// contract declares units (disclosure.md 2.4 rule 2).
	Units, TopUnit uint64
}

// Raw holds the counted cells of a release until they are protected. It can be
// filled and given to [Protect], once; nothing else. The counts live in closures,
// which no printer, encoder or reflection can see into (style.md 3: fmt calls no
// method of an unexported field, so methods alone do not keep a type from printing
// what it holds).
//
// Once protected it is empty: a second protection, with another key or another
// number, would be a second draw on every cell. A Raw is for one goroutine.
type Raw struct {
	add     func(gateway.GroupingSet, []string, Count) error
	addSum  func(gateway.GroupingSet, []string, string, Sum) error
	borrow  func() (*counted, error)
	consume func()
}

// counted is what a Raw hides.
type counted struct {
	l     *lattice
	err   error // why the definition cannot be counted
	cells [][]tally
	sums  [][][]Sum // by set, value of the set and cell
	used  bool
}

// A tally is a [Count] in place.
type tally struct {
	children, records int64
	key               uint64
	top               [MaxTop]uint32
	units, topUnit    int64
}

// Limits of a count, far above any population, so that sums of a few fit.
const (
	maxChildren = 1 << 40
	maxRecords  = 1 << 50
)

// NewRaw returns an empty Raw for a definition. What is wrong with the definition
// is reported by the first call of Add or Protect.
func NewRaw(d *gateway.Definition) *Raw {
	c := &counted{}
	c.l, c.err = ownLattice(d)
	if c.err == nil {
		c.cells, c.sums = make([][]tally, len(c.l.sets)), make([][][]Sum, len(c.l.sets))
	}
	return &Raw{
		add: c.add, addSum: c.addSum,
		borrow: func() (*counted, error) {
			if c.used {
				return nil, gateway.Errorf(gateway.Conflict, "the counted cells are used up: they are protected once")
			}
			return c, c.err
		},
		consume: func() { c.cells, c.sums, c.used = nil, nil, true },
	}
}

// Add puts in a non-empty cell: one node a dimension of the set, in the set's
// order. Cells that are not added are empty; a build that stops half way must not
// protect what it has, since parents and children would contradict one another. Add
// refuses sets and nodes that the definition does not have, a cell that
// came before, and counts that contradict one another; the error names the set,
// never the cell or a count.
func (r Raw) Add(set gateway.GroupingSet, nodes []string, c Count) error {
	return r.add(set, nodes, c)
}

func (c *counted) add(g gateway.GroupingSet, nodes []string, n Count) error {
	if c.err != nil {
		return c.err
	}
	if c.used {
		return gateway.Errorf(gateway.Conflict, "the counted cells are used up")
	}
	s := c.l.lookup(g)
	if s == nil {
		return gateway.Errorf(gateway.Invalid, "a counted cell is of a grouping set that no cube admits")
	}
	at, ok := c.l.cell(s, nodes)
	if !ok {
		return gateway.Errorf(gateway.Invalid, "grouping set %q: a counted cell is of a node that is not registered", s.key)
	}
	if !unitsAgree(n) || !consistent(n, slices.Contains(s.Measures, gateway.CountRecords)) {
		return gateway.Errorf(gateway.Internal, "grouping set %q: the counts of a cell contradict one another", s.key)
	}
	if c.cells[s.index] == nil {
		c.cells[s.index] = make([]tally, s.cells)
	}
	cell := &c.cells[s.index][at]
	if cell.children != 0 {
		return gateway.Errorf(gateway.Internal, "grouping set %q: a cell was counted twice", s.key)
	}
	*cell = tally{children: int64(n.Children), records: int64(n.Records), key: n.Key, units: int64(n.Units), topUnit: int64(n.TopUnit)} //nolint:gosec // both checks bound them
	copy(cell.top[:], n.Top)
	return nil
}

// consistent reports whether the numbers of a count can belong to one non-empty
// cell. A build's fault is caught here rather than published: the top counts are as
// many as there are children, descending, and the sum lies between one record and
// the smallest top count for each of the others. Sets that do not measure records
// may leave all that out.
func consistent(n Count, records bool) bool {
	if n.Children == 0 || n.Children > maxChildren || n.Records > maxRecords {
		return false
	}
	if !records && n.Records == 0 && len(n.Top) == 0 {
		return true
	}
	if len(n.Top) != int(min(n.Children, MaxTop)) || n.Records < n.Children {
		return false
	}
	sum := uint64(0)
	for i, top := range n.Top {
		if top == 0 || i > 0 && top > n.Top[i-1] {
			return false
		}
		sum += uint64(top)
	}
	rest, last := n.Children-uint64(len(n.Top)), uint64(n.Top[len(n.Top)-1])
	return n.Records >= sum+rest && n.Records <= sum+rest*last
}

// lookup returns the set, nil when no cube admits it.
func (l *lattice) lookup(g gateway.GroupingSet) *set {
	for _, sd := range g {
		i, ok := l.byName[sd.Name]
		if !ok || sd.Level < 0 || sd.Level >= len(l.dims[i].levels) {
			return nil
		}
	}
	return l.byKey[g.Key(l.def)]
}

// Format writes the type's name whatever the verb. (The receivers are values, or
// printers and encoders would pass by a Raw that is not behind a pointer.)
func (r Raw) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "disclosure.Raw(withheld)") }

// MarshalJSON always fails: counted cells have no encoding.
func (r Raw) MarshalJSON() ([]byte, error) { return nil, errEncoded() }

// MarshalText always fails, as MarshalJSON does.
func (r Raw) MarshalText() ([]byte, error) { return nil, errEncoded() }

// MarshalBinary always fails, as MarshalJSON does; encoding/gob asks it.
func (r Raw) MarshalBinary() ([]byte, error) { return nil, errEncoded() }

func errEncoded() error {
	return gateway.Errorf(gateway.Internal, "counted cells cannot be encoded")
}

// Count returns a counted cell by its label, for tests that compare a build with
// the truth. Only a test can call it: no other program can make a [testing.TB],
// and in a program that is not a test binary it panics.
func (r Raw) Count(tb testing.TB, label string) (Count, bool) {
	tb.Helper()
	if !testing.Testing() {
		panic("disclosure: counted cells are not readable outside tests")
	}
	c, err := r.borrow()
	if err != nil {
		tb.Fatal(err)
	}
	s, at, ok := c.l.find(label)
	if !ok || c.cells[s.index] == nil || c.cells[s.index][at].children == 0 {
		return Count{}, false
	}
	cell := c.cells[s.index][at]
	n := Count{Children: uint64(cell.children), Records: uint64(cell.records), Key: cell.key, Units: uint64(cell.units), TopUnit: uint64(cell.topUnit)} //nolint:gosec // never negative
	for _, top := range cell.top {
		if top > 0 {
			n.Top = append(n.Top, top)
		}
	}
	return n, true
}
