package redteam

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A census counts invented children in every cell of a lattice, and their records
// where some cube measures them.
type census struct {
	*lattice

	counts  []tally
	records []records
	sums    [][]disclosure.Sum // by value and cell
	adds    [][]addition       // by set
	turn    int
	seen    []int // by cell: the last child that was in it
	own     []int // by cell: that child's records
	at      []int // cells of the child whose turn it is
	cells   []int // of an event and a set
}

// An addition is a value that a set adds up, at one node of its sector.
type addition struct{ value, d, node int }

func newCensus(l *lattice) *census {
	n := &census{lattice: l, counts: make([]tally, l.size), records: make([]records, l.size), seen: make([]int, l.size), own: make([]int, l.size)}
	for range l.def.Values {
		n.sums = append(n.sums, make([]disclosure.Sum, l.size))
	}
	for i := range l.sets {
		n.adds = append(n.adds, l.additions(&l.sets[i]))
	}
	return n
}

// additions are the values that a set adds up.
func (l *lattice) additions(s *cellSet) []addition {
	var all []addition
	for _, id := range s.Values {
		sector := s.Set[l.def.SectorOf(s.Set)]
		a := addition{value: slices.IndexFunc(l.def.Values, func(v gateway.Value) bool { return v.ID == id })}
		a.d = slices.IndexFunc(l.dims, func(dim *gateway.Dimension) bool { return dim.Name == sector.Name })
		a.node = slices.IndexFunc(l.dims[a.d].AtLevel(sector.Level), func(n gateway.Node) bool { return n.Code == string(l.def.Values[a.value].Sector) })
		all = append(all, a)
	}
	return all
}

// add counts one child.
func (n *census) add(c *invented, recordCap int) {
	n.turn++
	n.at = n.at[:0]
	for _, event := range c.events {
		for i := range n.sets {
			n.cells = n.cellsOf(&n.sets[i], c, event, n.cells[:0])
			for _, cell := range n.cells {
				if n.seen[cell] != n.turn {
					n.seen[cell], n.own[cell] = n.turn, 0
					n.at = append(n.at, cell)
				}
				n.own[cell]++
			}
		}
	}
	for _, cell := range n.at {
		n.counts[cell].n++
		n.counts[cell].key += c.key
		n.records[cell].add(min(n.own[cell], recordCap))
		for _, a := range n.adds[n.set[cell]] {
			if n.nodes[cell][a.d] == a.node {
				addTo(&n.sums[a.value][cell], c.numbers[a.value])
			}
		}
	}
}

// addTo adds a child's number.
func addTo(s *disclosure.Sum, number uint64) {
	s.Children++
	s.Sum += number
	if number > s.Top[0] {
		s.Top[0], number = number, s.Top[0]
	}
	s.Top[1] = max(s.Top[1], number)
}

// cellsOf are the cells of a set that an event is in: none where it is in no node of
// a dimension, several where it is in several.
func (l *lattice) cellsOf(s *cellSet, c *invented, event [][]int, cells []int) []int {
	cells = append(cells, s.first)
	for d, level := range s.levels {
		switch {
		case level < 0:
		case l.dims[d].Kind == gateway.Partition:
			for i := range cells {
				cells[i] += l.up[d][level][c.leaf[d]] * s.strides[d]
			}
		default:
			n := len(cells)
			for j, leaf := range event[d] {
				node := l.up[d][level][leaf]
				if slices.ContainsFunc(event[d][:j], func(o int) bool { return l.up[d][level][o] == node }) {
					continue
				}
				for _, cell := range cells[:n] {
					cells = append(cells, cell+node*s.strides[d])
				}
			}
			cells = slices.Delete(cells, 0, n)
		}
	}
	return cells
}

func (r *records) add(n int) {
	r.sum += uint64(n)                                                                          //nolint:gosec // positive
	at, _ := slices.BinarySearchFunc(r.top, n, func(a uint32, b int) int { return b - int(a) }) // descending
	if at < disclosure.MaxTop {
		r.top = slices.Insert(r.top, at, uint32(n)) //nolint:gosec // at most the cap
		r.top = r.top[:min(len(r.top), disclosure.MaxTop)]
	}
}
