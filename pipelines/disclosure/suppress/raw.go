package suppress

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A Count is what a build found in one non-empty base cell.
type Count struct {
	Children int64 // distinct children
	// Key is the sum of their subject keys modulo 2^64, for Rules.Edge.
	Key uint64
	// Units are the children by reporting unit, for rule 2; a child may be in
	// several. Empty where no contract declares a unit.
	Units []Part
	// Parts are what each contributor adds to a magnitude: durations, costs. Empty
	// when children are counted.
	Parts []Part
}

// A Part is what one unit or contributor brings to a cell. The key is any number
// that is the same in all cells; it never leaves.
type Part struct {
	Key    uint64
	Amount int64
}

// Limits of a count: sums over all base cells and the products of the audit fit.
const (
	maxCount = 1 << 40
	maxParts = 1 << 20
)

// Raw holds the counted base cells until they are protected. It can be filled and
// given to [Protect], once; nothing else. The counts live in closures, which no
// printer, encoder or reflection can see into (style.md 3).
//
// A Raw is for one goroutine.
type Raw struct {
	base gateway.GroupingSet
	size int
	fits func() error
	add  func([]string, Count) error
	take func() (*counted, error)
}

// counted is what a Raw hides.
type counted struct {
	s    *system
	l    limits
	base []Count
	seen []bool
	used bool
	work int64 // what the audit may still do
}

// NewRaw checks the tables and rules, and returns an empty Raw for them. Base cells
// that are never added hold no child.
func NewRaw(t Tables, r Rules) (*Raw, error) {
	l, err := r.limits()
	if err != nil {
		return nil, err
	}
	return newRaw(&t, l)
}

func newRaw(t *Tables, l limits) (*Raw, error) {
	s, err := newSystem(t)
	if err != nil {
		return nil, err
	}
	c := &counted{s: s, l: l, base: make([]Count, s.size), seen: make([]bool, s.size), work: maxWork}
	return &Raw{base: s.base(), size: s.open(), fits: s.auditable, add: c.add, take: c.take}, nil
}

// Base returns the crossing that Add takes: each dimension of the tables at the
// finest level that a table uses, sorted by name.
func (r Raw) Base() gateway.GroupingSet { return slices.Clone(r.base) }

// Unknowns returns how many base cells there are beside the structural zeros. No
// data is looked at.
func (r Raw) Unknowns() int { return r.size }

// Auditable returns an error of kind TooLarge when the audit might be too large to
// attempt: if every base cell were hidden and hung together. Tables that pass are
// refused for their size whatever they hold only if the audit takes too long.
func (r Raw) Auditable() error { return r.fits() }

// Add puts in a base cell: one code a dimension of [Raw.Base], in that order. In a
// multi dimension the code is of any level and "" is the root, counted separately,
// because distinct children do not add up there. In a dimension of a single node ""
// stands for the children outside it. Errors never name the cell or a count.
func (r Raw) Add(nodes []string, c Count) error { return r.add(nodes, c) }

// Format writes no counts, whatever the verb.
func (r Raw) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "suppress.Raw(withheld)") }

// MarshalJSON always fails: counted cells have no encoding.
func (r Raw) MarshalJSON() ([]byte, error) { return nil, errEncoded() }

// MarshalText always fails, as MarshalJSON does.
func (r Raw) MarshalText() ([]byte, error) { return nil, errEncoded() }

// MarshalBinary always fails, as MarshalJSON does; encoding/gob asks it.
func (r Raw) MarshalBinary() ([]byte, error) { return nil, errEncoded() }

func errEncoded() error {
	return gateway.Errorf(gateway.Internal, "counted cells cannot be encoded")
}

func (c *counted) add(nodes []string, n Count) error {
	if c.used {
		return gateway.Errorf(gateway.Conflict, "the counted cells are used up")
	}
	b, ok := c.s.at(nodes)
	if !ok {
		return gateway.Errorf(gateway.Invalid, "a counted base cell is of a node that is not registered")
	}
	if c.s.void[b] {
		return gateway.Errorf(gateway.Invalid, "a base cell that the definition declares impossible holds children")
	}
	if c.seen[b] {
		return gateway.Errorf(gateway.Internal, "a base cell was counted twice")
	}
	if n.Children <= 0 || n.Children > maxCount || !sound(n.Units, n.Children) || !sound(n.Parts, maxCount) || c.l.Magnitude != (len(n.Parts) > 0) {
		return gateway.Errorf(gateway.Internal, "the counts of a base cell contradict one another or the rules")
	}
	c.seen[b] = true
	c.base[b] = Count{Children: n.Children, Key: n.Key, Units: slices.Clone(n.Units), Parts: slices.Clone(n.Parts)}
	return nil
}

// sound reports whether parts are distinct and within bounds.
func sound(parts []Part, most int64) bool {
	keys := make(map[uint64]bool, len(parts))
	for _, p := range parts {
		if keys[p.Key] || p.Amount < 0 || p.Amount > most {
			return false
		}
		keys[p.Key] = true
	}
	return len(parts) <= maxParts
}

func (c *counted) take() (*counted, error) {
	if c.used {
		return nil, gateway.Errorf(gateway.Conflict, "the counted cells are used up: they are protected once")
	}
	own := *c
	c.used, c.base = true, nil
	return &own, own.coherent()
}

// coherent reports whether multi dimensions were counted as they must be: what is
// in a node is in its parent. Otherwise no attack could be computed.
func (c *counted) coherent() error {
	total := int64(0)
	for b := range c.base {
		total += c.value(int32(b))
		if total > maxCount {
			return gateway.Errorf(gateway.Invalid, "the tables hold more than can be added up exactly; use a coarser unit of measure")
		}
	}
	for _, bound := range c.s.above {
		if c.sum(bound.less) > c.sum(bound.more) {
			return gateway.Errorf(gateway.Invalid, "a node of a multi dimension holds more than its parent, or a covered parent more than its nodes")
		}
	}
	return nil
}

// value returns what tables show of a base cell.
func (c *counted) value(b int32) int64 {
	if !c.l.Magnitude {
		return c.base[b].Children
	}
	sum := int64(0)
	for _, p := range c.base[b].Parts {
		sum += p.Amount
	}
	return sum
}

func (c *counted) sum(column []int32) int64 {
	sum := int64(0)
	for _, b := range column {
		sum += c.value(b)
	}
	return sum
}

// A tally is everything that the rules look at in one cell.
type tally struct {
	children, value int64
	key             uint64
	units           []Part // by key
	parts           []Part // by amount, the largest first
}

func (c *counted) tally(column []int32) tally {
	t := tally{}
	units, parts := map[uint64]int64{}, map[uint64]int64{}
	for _, b := range column {
		t.children += c.base[b].Children
		t.key += c.base[b].Key
		for _, p := range c.base[b].Units {
			units[p.Key] += p.Amount
		}
		for _, p := range c.base[b].Parts {
			parts[p.Key] += p.Amount
		}
	}
	t.value = c.sum(column)
	t.units, t.parts = largest(units), largest(parts)
	return t
}

// largest returns the parts by amount, the largest first; ties by key.
func largest(m map[uint64]int64) []Part {
	parts := make([]Part, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if m[key] > 0 {
			parts = append(parts, Part{key, m[key]})
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return int(min(1, max(-1, b.Amount-a.Amount))) })
	return parts
}
