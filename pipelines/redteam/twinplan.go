package redteam

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A twinPlan is what the attacks on a twin need of its definition, once.
type twinPlan struct {
	*lattice

	probes []probe
	frames []frame
	venns  []twinVennRegion
	// secret is the dimension that targets keep secret, -1 for none; told is the set
	// that names it and what is known of them.
	secret     int
	told       *cellSet
	known      *cellSet
	implied    [][2]fact
	impossible [][]fact
}

func newTwinPlan(def *gateway.Definition) (*twinPlan, error) {
	_, err := disclosure.Plan(def)
	if err != nil {
		return nil, err
	}
	p := &twinPlan{lattice: newLattice(def), probes: probes(), secret: -1}
	v := newInventor(p.lattice, 0)
	p.implied, p.impossible = v.implied, v.impossible
	p.chooseSecret()
	p.addFrames()
	p.addVenns()
	return p, nil
}

// chooseSecret takes the largest set of partition dimensions at their leaves, one of
// which is sensitive, or else any: of it the one with fewest codes.
func (p *twinPlan) chooseSecret() {
	best := 0
	for i := range p.sets {
		s := &p.sets[i]
		if s.multi || len(s.Set) < 2 {
			continue
		}
		for d, level := range s.levels {
			dim := p.dims[d]
			if level < 0 || level > 0 || len(dim.Levels) > 1 {
				continue
			}
			score := s.cells * 1000 / len(p.up[d][0])
			if dim.Sensitive {
				score *= 1000
			}
			if score > best {
				best, p.secret, p.told, p.known = score, d, s, &p.sets[s.above[d]]
			}
		}
	}
}

// largest is the largest set of partition dimensions, or the largest of all.
func (l *lattice) largest() *cellSet {
	if base := l.base(); base.cells > 1 {
		return base
	}
	best := &l.sets[0]
	for i := range l.sets {
		if l.sets[i].cells > best.cells {
			best = &l.sets[i]
		}
	}
	return best
}

// A twinWorld is an invented population with its truth and its targets.
type twinWorld struct {
	*world

	hidden   []twinTarget
	children int
	constant bool // every child has the same numbers
	law      gateway.ReleaseRules
}

// A twinTarget is a child who alone is what is known of it; its secret is one of two
// codes, by a fair coin.
type twinTarget struct {
	cells [2]int // that name either code
	is    int
}

// populate invents the children of a key and counts them.
func (p *twinPlan) populate(seed uint64, o TwinOptions, constant bool) (*twinWorld, error) {
	v := newInventor(p.lattice, seed)
	v.constant = constant
	n := min(maxInvented, max(100, o.Mean*p.largest().cells))
	children := make([]*invented, n)
	for i := range children {
		c, err := v.child(seed, i)
		if err != nil {
			return nil, err
		}
		children[i] = c
	}
	w := &twinWorld{world: &world{lattice: p.lattice, name: "twin", seed: seed, rules: o.Rules}, law: lawful()}
	if o.Rules != nil {
		w.law = *o.Rules
	}
	children = p.plant(w, children, v.r)
	w.children = len(children)
	count := newCensus(p.lattice)
	for _, c := range children {
		count.add(c, w.law.RecordCap)
	}
	w.truth, w.records, w.added, w.constant = count.counts, count.records, count.sums, constant
	return w, nil
}

// plant makes targets unique on what is known of them: of a known cell with two
// secrets in it, one child is kept, by the coin; the others leave.
func (p *twinPlan) plant(w *twinWorld, children []*invented, r *rand.Rand) []*invented {
	if p.secret < 0 {
		return children
	}
	in := make([][]int, p.known.cells)
	for i, c := range children {
		at := p.cellsOf(p.known, c, c.events[0], nil)[0] - p.known.first
		in[at] = append(in[at], i)
	}
	gone := make([]bool, len(children))
	places := r.Perm(len(in))
	slices.SortStableFunc(places, func(a, b int) int { return len(in[a]) - len(in[b]) })
	places = places[:(len(places)+1)/2] // the smaller half, so that few children leave
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for _, at := range places {
		if len(w.hidden) == min(2*planted, p.known.cells/5) {
			break
		}
		a, b := differing(children, in[at], p.secret)
		if b < 0 {
			continue
		}
		t := twinTarget{is: r.IntN(2)}
		if children[a].leaf[p.secret] > children[b].leaf[p.secret] {
			a, b = b, a
		}
		keep := [2]int{a, b}[t.is]
		for i, child := range []int{a, b} {
			t.cells[i] = p.cellsOf(p.told, children[child], children[child].events[0], nil)[0]
		}
		for _, child := range in[at] {
			gone[child] = child != keep
		}
		w.hidden = append(w.hidden, t)
	}
	var kept []*invented
	for i, c := range children {
		if !gone[i] {
			kept = append(kept, c)
		}
	}
	return kept
}

// differing returns two children with different secrets, -1 where all are alike.
func differing(children []*invented, in []int, secret int) (a, b int) {
	for _, i := range in {
		if children[i].leaf[secret] != children[in[0]].leaf[secret] {
			return in[0], i
		}
	}
	return -1, -1
}

// A twinVennRegion is the children of one cell who are not in another, which the
// definition says lies within it: known to A but not to A and B, to a sector but not
// by one of its codes.
type twinVennRegion struct{ within, all int }

// mostVenns bounds the regions that are scored.
const mostVenns = 20_000

// addVenns finds the cells that name the condition of an implication, and not what
// it implies, with the cells that name the latter in its place.
func (p *twinPlan) addVenns() {
	for _, m := range p.implied {
		when, then := m[0], m[1]
		for i := range p.sets {
			s := &p.sets[i]
			if s.levels[when.d] != when.level || s.levels[then.d] >= 0 || len(p.venns) > mostVenns {
				continue
			}
			levels := slices.Clone(s.levels)
			levels[when.d], levels[then.d] = root, then.level
			for c := s.first; c < s.first+s.cells; c++ {
				if p.nodes[c][when.d] != when.node {
					continue
				}
				nodes := slices.Clone(p.nodes[c])
				nodes[when.d], nodes[then.d] = root, then.node
				if all := p.cell(levels, nodes); all >= 0 {
					p.venns = append(p.venns, twinVennRegion{c, all})
				}
			}
		}
	}
}

// fitted is the model baseline of any cell: the published total times the share of
// each of its nodes in the published one-way margin. Where a child may be in several
// nodes of a dimension the share is of the children.
func (l *lattice) fitted(v *view) []float64 {
	total := math.Max(1, v.value(0).value)
	parts := make([][][]float64, len(l.dims)) // dimension, level, node
	for d, dim := range l.dims {
		for level := range dim.Levels {
			parts[d] = append(parts[d], l.parts(v, d, level, total))
		}
	}
	fit := make([]float64, l.size)
	for c := range fit {
		fit[c] = total
		for d, level := range l.sets[l.set[c]].levels {
			if level >= 0 {
				fit[c] *= parts[d][level][l.nodes[c][d]]
			}
		}
	}
	return fit
}

// parts are the shares of the nodes of one level, what is not published being the
// rest.
func (l *lattice) parts(v *view, d, level int, total float64) []float64 {
	levels, nodes := slices.Repeat([]int{root}, len(l.dims)), slices.Repeat([]int{root}, len(l.dims))
	levels[d], nodes[d] = level, 0
	first := l.cell(levels, nodes)
	parts := make([]float64, len(l.over[d][level]))
	if first < 0 {
		return parts
	}
	sum, open := 0.0, 0
	for i := range parts {
		if v.open[first+i] {
			open++
			continue
		}
		parts[i] = v.value(first+i).value / total
		sum += parts[i]
	}
	for i := range parts {
		if v.open[first+i] {
			parts[i] = math.Max(0, 1-sum) / float64(open)
		} else if l.dims[d].Kind == gateway.Partition && open == 0 {
			parts[i] /= math.Max(sum, 1e-9)
		}
	}
	return parts
}
