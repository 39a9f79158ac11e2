package redteam

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// An inventor makes children up from a definition alone: its dimensions, their
// sources and trees, its structural zeros and implications. It sees no record and no
// count, so what it makes tells nothing about anybody.
type inventor struct {
	*lattice

	r       *rand.Rand
	sectors []string
	popular []float64 // by sector
	// weights are by dimension, leaf of the first partition dimension and leaf: sizes
	// differ by a factor of ten, and interact a little, so that margins explain much
	// of a cell and not all.
	weights [][][]float64
	first   int              // the partition dimension with most leaves, or -1
	codes   [][]string       // by dimension: its leaves
	places  []map[string]int // by dimension: leaf → its place

	impossible [][]fact
	implied    [][2]fact

	constant bool // every child has the same numbers
}

// An invented child is a leaf in each partition dimension and, for each of its
// events, the leaves in every multi dimension.
type invented struct {
	leaf   []int
	events [][][]int
	key    uint64
	// numbers are the child's own of each value.
	numbers []uint64
}

func newInventor(l *lattice, seed uint64) *inventor {
	v := &inventor{lattice: l, r: newDice(seed, 1), sectors: sectorsOf(l.def), first: -1}
	most := 0
	for d, dim := range l.dims {
		var codes []string
		place := map[string]int{}
		for i, n := range dim.AtLevel(len(dim.Levels) - 1) {
			codes = append(codes, n.Code)
			place[n.Code] = i
		}
		v.codes, v.places = append(v.codes, codes), append(v.places, place)
		if dim.Kind == gateway.Partition && len(codes) > most {
			v.first, most = d, len(codes)
		}
	}
	v.declare()
	v.popular = v.sizes(len(v.sectors))
	for d := range l.dims {
		sizes := v.sizes(len(v.codes[d]))
		groups := 1
		if v.first >= 0 && d != v.first {
			groups = most
		}
		var weights [][]float64
		for range groups {
			own := make([]float64, len(sizes))
			for i, size := range sizes {
				own[i] = size * math.Exp(0.3*v.r.NormFloat64())
			}
			weights = append(weights, own)
		}
		v.weights = append(v.weights, weights)
	}
	return v
}

// sizes are weights that fall from 1 to a tenth, in a random order.
func (v *inventor) sizes(n int) []float64 {
	var sizes []float64
	for _, rank := range v.r.Perm(n) {
		sizes = append(sizes, math.Pow(10, -float64(rank)/math.Max(1, float64(n-1))))
	}
	return sizes
}

// sectorsOf lists the sectors that a definition knows, in its order.
func sectorsOf(d *gateway.Definition) []string {
	var sectors []string
	add := func(code string) {
		if code != "" && !slices.Contains(sectors, code) {
			sectors = append(sectors, code)
		}
	}
	for _, dim := range d.Dimensions {
		for _, n := range dim.AtLevel(len(dim.Levels) - 1) {
			switch dim.Source.Kind {
			case gateway.EventSector, gateway.FirstSector:
				add(n.Code)
			case gateway.SectorPair:
				a, b, _ := strings.Cut(n.Code, "+")
				add(a)
				add(b)
			case gateway.EventSectorCode:
				a, _, _ := strings.Cut(n.Code, ".")
				add(a)
			default:
			}
		}
		if dim.Source.Kind == gateway.ReachedIn {
			add(string(dim.Source.Start))
		}
		for _, p := range dim.Source.Paths {
			for _, h := range p.Start {
				add(string(h.Sector))
			}
		}
	}
	return sectors
}

// Tries before a definition is taken for one that no child can satisfy.
const tries = 1000

// child makes one child up that contradicts no declared fact. i makes its key.
func (v *inventor) child(seed uint64, i int) (*invented, error) {
	for range tries {
		c := v.draw()
		if !v.contradicts(c) {
			c.key = mix(mix(seed) ^ uint64(i)) //nolint:gosec // an index
			for j := range v.def.Values {
				c.numbers = append(c.numbers, v.number(&v.def.Values[j]))
			}
			return c, nil
		}
	}
	return nil, gateway.Errorf(gateway.Invalid, "no child satisfies what the definition declares: %d were made up in vain", tries)
}

// number draws a child's number of a value: skewed, or the largest for every child,
// which makes its sums further looks at the counts.
func (v *inventor) number(of *gateway.Value) uint64 {
	if v.constant {
		return uint64(of.Max) //nolint:gosec // from 0
	}
	u := v.r.Float64()
	return uint64(of.Min) + uint64(u*u*u*float64(of.Max-of.Min)) //nolint:gosec // from 0
}

// An occurrence is an event as it is drawn: a sector, a quarter and coded columns.
type occurrence struct {
	sector  string
	quarter gateway.Quarter
}

func (v *inventor) draw() *invented {
	n := 1 + pick(v.r, []float64{55, 25, 12, 5, 3})
	events := make([]occurrence, n)
	var seen []string // sectors, in the order of events
	for i := range events {
		e := &events[i]
		if len(v.sectors) > 0 {
			e.sector = v.sectors[pick(v.r, v.popular)]
		}
		e.quarter = v.def.From + gateway.Quarter(v.r.IntN(int(v.def.To-v.def.From)+1)) //nolint:gosec // a window
		if !slices.Contains(seen, e.sector) {
			seen = append(seen, e.sector)
		}
	}
	c := &invented{leaf: make([]int, len(v.dims))}
	group := 0
	if v.first >= 0 {
		group = v.partition(v.first, 0, seen)
		c.leaf[v.first] = group
	}
	for d, dim := range v.dims {
		if dim.Kind == gateway.Partition && d != v.first {
			c.leaf[d] = v.partition(d, group, seen)
		}
	}
	of := make([][]int, len(v.dims)) // leaves of the child, equal for all its events
	for d, dim := range v.dims {
		if dim.Kind == gateway.Multi && !ofEvents(dim.Source.Kind) {
			of[d] = v.several(d, group, seen)
		}
	}
	for i := range events {
		c.events = append(c.events, v.event(&events[i], c, of, group))
	}
	return c
}

func ofEvents(k gateway.SourceKind) bool {
	switch k {
	case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode:
		return true
	default:
		return false
	}
}

// weighted draws a leaf among those that the first partition dimension's leaf allows.
func (v *inventor) weighted(d, group int) int {
	return pick(v.r, v.weights[d][min(group, len(v.weights[d])-1)])
}

// partition draws the leaf of a child.
func (v *inventor) partition(d, group int, seen []string) int {
	dim := v.dims[d]
	place := func(code string) int {
		if i, ok := v.places[d][code]; ok {
			return i
		}
		return v.weighted(d, group)
	}
	switch dim.Source.Kind {
	case gateway.FirstSector:
		return place(seen[0])
	case gateway.SectorCount:
		return min(len(seen), len(v.codes[d])) - 1
	case gateway.ReachedIn:
		return place(v.reached(dim, seen))
	default:
		return v.weighted(d, group)
	}
}

// reached draws what came of a child that the start has seen.
func (v *inventor) reached(dim *gateway.Dimension, seen []string) string {
	if !slices.Contains(seen, string(dim.Source.Start)) {
		return gateway.ReachedNoStart
	}
	target := false
	for _, sector := range seen {
		target = target || dim.Source.Targets[gateway.ContractID(sector)] != nil
	}
	weights := []float64{0, 60, 40}
	if target {
		weights[0] = 120
	}
	return []string{gateway.ReachedYes, gateway.ReachedNo, gateway.ReachedCannotTell}[pick(v.r, weights)]
}

// several draws the leaves of a child in a multi dimension that is not of events.
func (v *inventor) several(d, group int, seen []string) []int {
	var leaves []int
	if v.dims[d].Source.Kind == gateway.ChildOutcome {
		return v.outcomes(d, seen)
	}
	if v.dims[d].Source.Kind == gateway.SectorPair {
		for i, a := range seen {
			for _, b := range seen[:i] {
				if leaf, ok := v.places[d][gateway.PairCode(gateway.ContractID(a), gateway.ContractID(b))]; ok {
					leaves = append(leaves, leaf)
				}
			}
		}
		return leaves
	}
	for range 1 + v.r.IntN(2) {
		if leaf := v.weighted(d, group); !slices.Contains(leaves, leaf) {
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}

// event gives an event its leaves.
func (v *inventor) event(e *occurrence, c *invented, of [][]int, group int) [][]int {
	leaves := slices.Clone(of)
	for d, dim := range v.dims {
		if dim.Kind != gateway.Multi || !ofEvents(dim.Source.Kind) {
			continue
		}
		if leaf := v.eventLeaf(d, e, c, group); leaf >= 0 {
			leaves[d] = []int{leaf}
		}
	}
	return leaves
}

// eventLeaf is -1 where an event is in no node of the dimension.
func (v *inventor) eventLeaf(d int, e *occurrence, c *invented, group int) int {
	dim := v.dims[d]
	switch dim.Source.Kind {
	case gateway.EventSector:
		return v.place(d, e.sector)
	case gateway.EventQuarter:
		return v.place(d, e.quarter.String())
	case gateway.EventYear:
		return v.place(d, e.quarter.String()[:4])
	case gateway.EventSectorCode:
		weights := slices.Clone(v.weights[d][min(group, len(v.weights[d])-1)])
		known := false
		for i, code := range v.codes[d] {
			if strings.HasPrefix(code, e.sector+".") {
				known = true
			} else {
				weights[i] = 0
			}
		}
		if !known {
			return -1
		}
		return pick(v.r, weights)
	default:
		return v.column(d, c, group)
	}
}

func (v *inventor) place(d int, code string) int {
	if i, ok := v.places[d][code]; ok {
		return i
	}
	return -1
}

// column draws a coded column of an event: nine times in ten what the child has in
// the same column.
func (v *inventor) column(d int, c *invented, group int) int {
	column := v.dims[d].Source.Column
	for o, dim := range v.dims {
		if dim.Kind == gateway.Partition && column != "" && dim.Source.Column == column && v.r.Float64() < 0.9 {
			if leaf := v.place(d, v.codes[o][c.leaf[o]]); leaf >= 0 {
				return leaf
			}
		}
	}
	return v.weighted(d, group)
}

// A fact is a declared fact by numbers.
type fact struct{ d, level, node int }

func (v *inventor) fact(f gateway.Fact) fact {
	for d, dim := range v.dims {
		node := dim.Node(f.Node)
		if dim.Name != f.Dimension || node == nil {
			continue
		}
		for i, n := range dim.AtLevel(node.Level) {
			if n.Code == f.Node {
				return fact{d, node.Level, i}
			}
		}
	}
	return fact{-1, 0, 0}
}

// declare compiles what the definition declares.
func (v *inventor) declare() {
	for _, zero := range v.def.Impossible {
		var facts []fact
		for _, f := range zero {
			facts = append(facts, v.fact(f))
		}
		v.impossible = append(v.impossible, facts)
	}
	for _, m := range v.def.Implied {
		v.implied = append(v.implied, [2]fact{v.fact(m.If), v.fact(m.Then)})
	}
}

// contradicts reports whether a child is in a structural zero, or in a node without
// what it implies.
func (v *inventor) contradicts(c *invented) bool {
	for _, zero := range v.impossible {
		if v.meets(c, zero...) {
			return true
		}
	}
	for _, m := range v.implied {
		if v.meets(c, m[0]) && !v.meets(c, m[1]) {
			return true
		}
	}
	return false
}

// meets reports whether all facts hold of one event of a child.
func (v *inventor) meets(c *invented, facts ...fact) bool {
	for _, event := range c.events {
		all := true
		for _, f := range facts {
			all = all && v.holdsOf(c, event, f)
		}
		if all {
			return true
		}
	}
	return false
}

func (v *inventor) holdsOf(c *invented, event [][]int, f fact) bool {
	switch {
	case f.d < 0:
		return false
	case v.dims[f.d].Kind == gateway.Partition:
		return v.up[f.d][f.level][c.leaf[f.d]] == f.node
	}
	for _, leaf := range event[f.d] {
		if v.up[f.d][f.level][leaf] == f.node {
			return true
		}
	}
	return false
}
