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
type slot struct {
	dim   *gateway.Dimension
	event bool // a dimension of events; else of children
	many  bool // of a column that holds sets of codes: outside the event's word
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
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter:
		return true
	case gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost, gateway.FirstSector, gateway.ReachedIn:
	}
	return false
}

// newSlots places every dimension of the definition.
func newSlots(d *gateway.Definition, many func(*gateway.Dimension) bool) (slots map[string]*slot, eventBits uint, err error) {
	slots = map[string]*slot{}
	var attrs, events uint
	for i := range d.Dimensions {
		s := newSlot(&d.Dimensions[i])
		s.many = many(s.dim)
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
func (s *slot) leafOf(value string, order map[gateway.ContractID]int) string {
	finest := len(s.dim.Levels) - 1
	var values, places []int
	for i, n := range s.dim.AtLevel(finest) {
		v := int(n.Number)
		switch s.dim.Source.Kind {
		case gateway.EventSector, gateway.FirstSector:
			v = order[gateway.ContractID(n.Code)]
		case gateway.ReachedIn:
			v = slices.Index(reachedCodes, n.Code)
		case gateway.EventColumn, gateway.EventQuarter, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
		}
		if v > 0 {
			values, places = append(values, v), append(places, i+1)
		}
	}
	return transform(value, values, places)
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
