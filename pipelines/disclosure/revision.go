package disclosure

import (
	"fmt"
	"io"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// The floors of a revision (disclosure.md 2.8 and 2.12). Whoever compares two releases
// learns of the children that changed only as a crowd, of which no batch and no
// uploader knows more than half. Ask whoever wrote the disclosure specification before
// changing one.
const (
	RevisionChildren = 50 // children whose attributes change, in every region touched
	RevisionShare    = 20 // of a region's children one in so many: 5 %
	RevisionBatches  = 3  // that the changes come from
)

// A Change is what late batches did to the closed quarters of one region: numbers of
// distinct children. A child that moved is a child of both regions.
type Change struct {
	Region   string // "" is the whole country, and is required
	Children uint64 // in the closed quarters, before or after
	Changed  uint64 // of them, those of whom anything that is counted differs
	// Batches and Uploaders hold for each batch, and each agency, how many of the
	// changed it brought records of.
	Batches   []uint64
	Uploaders []uint64
	Sectors   int // that the records come from
}

// Changes gathers what [Ripe] decides by. It can be filled and decided upon; nothing
// else: the numbers lie in closures, as the counts of a [Raw] do, and one of them
// beside the decision would be an oracle (disclosure.md 2.11 line 19). It is for one
// goroutine.
type Changes struct {
	add  func(Change) error
	ripe func() (bool, error)
	told func() []Change // for tests
}

// NewChanges returns an empty Changes.
func NewChanges() *Changes {
	c := &changes{regions: map[string]bool{}}
	return &Changes{add: c.add, ripe: c.decide, told: func() []Change { return c.all }}
}

// Add puts in what happened in one region.
func (c Changes) Add(change Change) error { return c.add(change) }

// Ripe decides whether the late records of closed quarters may be counted by the next
// release. They may when in every region that they touch, and over the country as a
// whole, at least [RevisionChildren] children change, from [RevisionBatches] batches or
// more, of which none brings more than half, and, where more sectors than one report
// them, no agency either; and when in every region at least 5 % of its children do. A
// child without a region is seen in cells of the whole country only: where nobody else
// changes, the country is the region.
//
// It is a pure function of the numbers, and all or nothing: to revise one region and
// not another would date the changes of both.
func Ripe(c *Changes) (bool, error) { return c.ripe() }

// changes is what a Changes hides.
type changes struct {
	regions map[string]bool
	all     []Change // kept in test binaries alone
	country Change
	touched bool // some region is
	small   bool // some region that is touched does not allow it
}

func (c *changes) add(n Change) error {
	if c.regions[n.Region] || !n.consistent() {
		return gateway.Errorf(gateway.Internal, "the changes of a region were counted twice, or contradict one another")
	}
	c.regions[n.Region] = true
	if testing.Testing() {
		c.all = append(c.all, n)
	}
	switch {
	case n.Region == "":
		c.country = n
	case n.Changed > 0:
		c.touched = true
		c.small = c.small || !n.crowd() || !n.share()
	}
	return nil
}

func (c *changes) decide() (bool, error) {
	if !c.regions[""] {
		return false, gateway.Errorf(gateway.Internal, "a revision cannot be decided without the changes of the country")
	}
	return !c.small && c.country.crowd() && (c.touched || c.country.share()), nil
}

// consistent reports whether the numbers can belong to one region.
func (n *Change) consistent() bool {
	if n.Changed > n.Children {
		return false
	}
	for _, of := range [][]uint64{n.Batches, n.Uploaders} {
		sum := uint64(0)
		for _, k := range of {
			if k > n.Changed || k == 0 {
				return false
			}
			sum += k
		}
		if sum < n.Changed { // a change that nobody brought
			return false
		}
	}
	return (n.Sectors > 0) == (n.Changed > 0)
}

// crowd reports whether nobody stands out among the changed.
func (n *Change) crowd() bool {
	if n.Changed < RevisionChildren || len(n.Batches) < RevisionBatches || !n.halves(n.Batches) {
		return false
	}
	return n.Sectors == 1 || n.halves(n.Uploaders)
}

func (n *Change) halves(of []uint64) bool {
	for _, k := range of {
		if 2*k > n.Changed {
			return false
		}
	}
	return true
}

func (n *Change) share() bool { return n.Changed*RevisionShare >= n.Children }

// Format writes the type's name whatever the verb.
func (c Changes) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "disclosure.Changes(withheld)")
}

// MarshalJSON always fails: what is decided by has no encoding.
func (c Changes) MarshalJSON() ([]byte, error) { return nil, errEncoded() }

// MarshalText always fails, as MarshalJSON does.
func (c Changes) MarshalText() ([]byte, error) { return nil, errEncoded() }

// MarshalBinary always fails, as MarshalJSON does; encoding/gob asks it.
func (c Changes) MarshalBinary() ([]byte, error) { return nil, errEncoded() }

// Told returns what was added, for tests that compare a build with the truth: as with
// [Raw.Count], only a test can call it.
func (c Changes) Told(tb testing.TB) []Change {
	tb.Helper()
	if !testing.Testing() {
		panic("disclosure: changes are not readable outside tests")
	}
	return c.told()
}
