package synth

import (
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// A slot is one level of one dimension.
type slot struct {
	dimension int
	nodes     []string       // codes of the level's nodes
	node      map[string]int // of a leaf's code: the node of this level that it is under
}

// A set is an admitted grouping set, with a counter for each of its cells: they
// are at most 5,000.
type set struct {
	set      gateway.GroupingSet
	slots    []int // indexes of rules.slots
	records  bool  // whether a cube counts records
	values   []string
	children []int32
	counted  []int32
	// Of the child whose turn it is: whether it was in the cell, and with how many
	// records.
	turn int32
	seen []int32
	own  []int32
}

// admit prepares the counters of every grouping set that some cube admits.
func (r *rules) admit() {
	slots := map[gateway.SetDimension]int{}
	for _, a := range r.d.AdmittedSets() {
		s := set{set: a.Set, values: a.Values}
		for _, m := range a.Measures {
			s.records = s.records || m == gateway.CountRecords
		}
		size := 1
		for _, sd := range a.Set {
			if _, ok := slots[sd]; !ok {
				slots[sd] = len(r.slots)
				r.slots = append(r.slots, r.slot(sd))
			}
			s.slots = append(s.slots, slots[sd])
			size *= len(r.slots[slots[sd]].nodes)
		}
		s.children, s.counted = make([]int32, size), make([]int32, size)
		s.seen, s.own = make([]int32, size), make([]int32, size)
		r.sets = append(r.sets, s)
	}
}

func (r *rules) slot(sd gateway.SetDimension) slot {
	dim := r.d.Dimension(sd.Name)
	s := slot{node: map[string]int{}}
	for i := range r.d.Dimensions {
		if r.d.Dimensions[i].Name == sd.Name {
			s.dimension = i
		}
	}
	at := map[string]int{}
	for _, n := range dim.AtLevel(sd.Level) {
		at[n.Code] = len(s.nodes)
		s.nodes = append(s.nodes, n.Code)
	}
	for _, leaf := range dim.AtLevel(len(dim.Levels) - 1) {
		n := leaf
		for n.Level > sd.Level {
			n = *dim.Node(n.Parent)
		}
		s.node[leaf.Code] = at[n.Code]
		for _, member := range leaf.Members {
			s.node[member.Code] = at[n.Code]
		}
	}
	return s
}

// leaves returns the leaves of a dimension that an event of a child is in.
func (r *rules) leaves(ch *child, e *event, dimension int) []string {
	source := &r.d.Dimensions[dimension].Source
	switch source.Kind {
	case gateway.EventSector:
		return contractCodes[e.sector]
	case gateway.EventColumn:
		return e.codes[r.column(source.Column)]
	case gateway.EventQuarter:
		return []string{e.day.Quarter().String()}
	case gateway.EventYear: // a year that the window holds in part is no node
		year, _, _ := e.day.Date()
		return []string{strconv.Itoa(year)}
	case gateway.EventSectorCode:
		var leaves []string
		for _, code := range e.codes[r.column(source.Column)] {
			leaves = append(leaves, string(sectorNames[e.sector])+"."+code)
		}
		return leaves
	case gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost, gateway.FirstSector, gateway.SectorCount,
		gateway.SectorPair, gateway.ReachedIn, gateway.ChildOutcome:
	}
	return ch.leaves[dimension]
}

// locate finds the nodes that an event of a child is in: several of one level
// where a cell of the record holds several codes, none where it is empty.
func (r *rules) locate(ch *child, e *event, nodes [][]int) {
	for i := range r.slots {
		nodes[i] = nodes[i][:0]
		for _, leaf := range r.leaves(ch, e, r.slots[i].dimension) {
			if n, ok := r.slots[i].node[leaf]; ok && !slices.Contains(nodes[i], n) {
				nodes[i] = append(nodes[i], n)
			}
		}
	}
}

// cells appends the cells of a set that an event in these nodes is in.
func (r *rules) cells(s *set, nodes [][]int, cells []int) []int {
	cells = append(cells, 0)
	for _, i := range s.slots {
		size, n := len(r.slots[i].nodes), len(cells)
		for _, node := range nodes[i] {
			for _, cell := range cells[:n] {
				cells = append(cells, cell*size+node)
			}
		}
		cells = append(cells[:0], cells[n:]...)
	}
	return cells
}

// visit calls do for every cell that a child is in, once a record. First is true
// for the child's first record there.
func (r *rules) visit(ch *child, do func(s *set, cell int, first bool)) {
	if r.nodes == nil {
		r.nodes = make([][]int, len(r.slots))
	}
	for i := range r.sets {
		r.sets[i].turn++
	}
	for j := range ch.events {
		r.visited = &ch.events[j]
		r.locate(ch, &ch.events[j], r.nodes)
		for i := range r.sets {
			s := &r.sets[i]
			r.buffer = r.cells(s, r.nodes, r.buffer[:0])
			for _, cell := range r.buffer {
				first := s.seen[cell] != s.turn
				if first {
					s.seen[cell], s.own[cell] = s.turn, 0
				}
				s.own[cell]++
				do(s, cell, first)
			}
		}
	}
}

// count adds a child to all its cells, and its records, as far as they count.
func (r *rules) count(ch *child) {
	r.visit(ch, func(s *set, cell int, first bool) {
		if first {
			s.children[cell]++
		}
		if s.own[cell] <= recordCap {
			s.counted[cell]++
		}
	})
}

// label returns the canonical label of a cell.
func (r *rules) label(s *set, cell int) string {
	codes := make([]string, len(s.slots))
	for k := len(codes) - 1; k >= 0; k-- {
		nodes := r.slots[s.slots[k]].nodes
		codes[k] = nodes[cell%len(nodes)]
		cell /= len(nodes)
	}
	return s.set.Label(codes)
}
