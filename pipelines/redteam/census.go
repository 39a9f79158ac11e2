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
	turn    int
	seen    []int // by cell: the last child that was in it
	own     []int // by cell: that child's records
	at      []int // cells of the child whose turn it is
	cells   []int // of an event and a set
}

func newCensus(l *lattice) *census {
	return &census{lattice: l, counts: make([]tally, l.size), records: make([]records, l.size), seen: make([]int, l.size), own: make([]int, l.size)}
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
	}
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
