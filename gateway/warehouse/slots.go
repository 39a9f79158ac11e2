package warehouse

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A slot is where a dimension's leaf lies in a packed word: of the child's
// attributes, or of an event. It holds the leaf's place in its level, from 1; 0
// is no leaf, so that the child or the event is in no node of the dimension.
// Pairs of sectors hold the set of sectors instead, one bit each: a child is in
// every pair of them.
type slot struct {
	dim   *gateway.Dimension
	event bool // a dimension of events; else of children
	many  bool // of a column that holds sets of codes: outside the event's word
	pairs bool // holds a set of sectors
	marks bool // of outcomes: outside both words, in an array of its own
	shift uint // lowest bit
	mask  uint64
	codes [][]string // by level: the nodes' codes, in their order
	up    [][]int    // by level: place of a leaf → place of its ancestor
}

// maxWordBits is how much of a word of 64 bits slots may take; events that need
// fewer than 32 are held in words of 32. A word of all ones never occurs: it ends
// an array (see runs).
const maxWordBits = 63

func eventDimension(d *gateway.Dimension) bool {
	switch d.Source.Kind {
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode:
		return true
	case gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost, gateway.FirstSector, gateway.SectorCount,
		gateway.SectorPair, gateway.ReachedIn, gateway.ChildOutcome:
	}
	return false
}

// maxPaired is how many sectors pairs are made of: the nodes of every set of them
// are held in a table.
const maxPaired = 16

// newSlots places every dimension of the definition.
func newSlots(d *gateway.Definition, sectors int, many func(*gateway.Dimension) bool) (slots map[string]*slot, eventBits uint, err error) {
	slots = map[string]*slot{}
	var attrs, events uint
	for i := range d.Dimensions {
		s := newSlot(&d.Dimensions[i])
		s.many = many(s.dim)
		if s.pairs = s.dim.Source.Kind == gateway.SectorPair; s.pairs {
			if sectors > maxPaired {
				return nil, 0, gateway.Errorf(gateway.Invalid, "dimension %s: pairs of more than %d sectors", s.dim.Name, maxPaired)
			}
			s.mask = 1<<sectors - 1
		}
		if s.marks = s.dim.Source.Kind == gateway.ChildOutcome; s.marks {
			s.mask = 1<<markBits - 1
			events = max(events, markBits) // below units, where a record's nodes are
			slots[s.dim.Name] = s
			continue
		}
		word := &attrs
		if s.event {
			word = &events
		}
		s.shift = *word
		*word += uint(bits.Len64(s.mask))
		slots[s.dim.Name] = s
	}
	if max(attrs, events) > maxWordBits {
		return nil, 0, gateway.Errorf(gateway.Invalid,
			"the dimensions have too many codes to be counted together; make another release for some of them")
	}
	return slots, events, nil
}

func newSlot(d *gateway.Dimension) *slot {
	s := &slot{dim: d, event: eventDimension(d)}
	place := map[string]int{}
	parent := map[string]string{}
	for level := range d.Levels {
		var codes []string
		for i, n := range d.AtLevel(level) {
			codes = append(codes, n.Code)
			place[n.Code], parent[n.Code] = i+1, n.Parent
		}
		s.codes = append(s.codes, codes)
	}
	s.up = make([][]int, len(d.Levels))
	for level := range s.up {
		s.up[level] = []int{0}
	}
	for _, leaf := range s.codes[len(d.Levels)-1] {
		code := leaf
		for level := len(d.Levels) - 1; level >= 0; level-- {
			s.up[level] = append(s.up[level], place[code])
			code = parent[code]
		}
	}
	s.mask = 1<<bits.Len(uint(len(s.up[0])-1)) - 1
	return s
}

// leafOf is the SQL of the place of the leaf that a value stands for.
func (c *counting) leafOf(s *slot, value string) string {
	if s.pairs {
		return value
	}
	var values, places []int
	leaves := s.dim.AtLevel(len(s.dim.Levels) - 1)
	for i, n := range leaves {
		for _, v := range c.values(s.dim, n) {
			values, places = append(values, v), append(places, i+1)
		}
	}
	if s.dim.Source.Kind == gateway.SectorCount { // the last is of that many or more
		for more := len(leaves) + 1; more <= len(c.contracts); more++ {
			values, places = append(values, more), append(places, len(leaves))
		}
	}
	return transform(value, values, places)
}

// values are what a leaf stands for in the events table, or as the derivation of
// children numbers it; none where no contract has it.
func (c *counting) values(d *gateway.Dimension, n gateway.Node) []int {
	v := int(n.Number)
	switch d.Source.Kind {
	case gateway.EventSector, gateway.FirstSector:
		v = c.order[gateway.ContractID(n.Code)]
	case gateway.EventSectorCode:
		v = c.sectorCode(d.Source.Column, n.Code)
	case gateway.EventYear:
		return []int{4 * v, 4*v + 1, 4*v + 2, 4*v + 3}
	case gateway.ReachedIn:
		v = slices.Index(reachedCodes, n.Code)
	case gateway.EventColumn, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
		var all []int
		for _, number := range n.Numbers() {
			if number > 0 {
				all = append(all, int(number))
			}
		}
		return all
	case gateway.EventQuarter, gateway.SectorCount, gateway.SectorPair, gateway.ChildOutcome:
	}
	if v <= 0 {
		return nil
	}
	return []int{v}
}

// codeBits is room for a code's number beside its sector.
const codeBits = 16

// sectorCode is the value of a contract's own code, as eventValue makes it; 0
// where no contract has it.
func (c *counting) sectorCode(column, node string) int {
	id, code, _ := strings.Cut(node, ".")
	at := c.order[gateway.ContractID(id)]
	if at == 0 {
		return 0
	}
	f := codedField(c.contracts[at-1], column)
	if f == nil {
		return 0
	}
	number, known := f.List.Number([]byte(code))
	if !known {
		return 0
	}
	return at<<codeBits + int(number)
}

// paired lists, for every set of sectors, the places of the pairs in it.
func (c *counting) paired(s *slot) [][]int {
	nodes := make([][]int, s.mask+1)
	for i, n := range s.dim.AtLevel(0) {
		a, b, _ := strings.Cut(n.Code, "+")
		both := uint64(1)<<c.order[gateway.ContractID(a)]>>1 | uint64(1)<<c.order[gateway.ContractID(b)]>>1
		for seen := range s.mask + 1 {
			if both&seen == both && c.order[gateway.ContractID(a)] > 0 && c.order[gateway.ContractID(b)] > 0 {
				nodes[seen] = append(nodes[seen], i+1)
			}
		}
	}
	return nodes
}

// reachedCodes are the codes of [gateway.ReachedIn] by the number that the
// derivation gives them.
var reachedCodes = []string{
	"", gateway.ReachedYes, gateway.ReachedNo, gateway.ReachedCannotTell, gateway.ReachedNoStart,
}

// transform is the SQL that maps values to others and anything else to 0.
func transform(value string, from, to []int) string {
	if len(from) == 0 {
		return "toUInt64(0)"
	}
	return fmt.Sprintf("transform(toUInt64(%s), CAST([%s], 'Array(UInt64)'), CAST([%s], 'Array(UInt64)'), toUInt64(0))",
		value, join(from), join(to))
}

func join(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ", "), "[]")
}

// in is the SQL that puts a leaf's place at the slot's bits.
func (s *slot) in(place string) string {
	return fmt.Sprintf("bitShiftLeft(toUInt64(%s), %d)", place, s.shift)
}

// out is the SQL of the slot's bits in a word.
func (s *slot) out(word string) string {
	return fmt.Sprintf("bitAnd(bitShiftRight(%s, %d), %d)", word, s.shift, s.mask)
}

// bits is the slot's bits, all set.
func (s *slot) bits() uint64 { return s.mask << s.shift }
