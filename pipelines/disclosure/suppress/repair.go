package suppress

import (
	"cmp"
	"math/big"
	"slices"
)

// maxBatch is how many cells are hidden between two programs of a large component.
const maxBatch = 8

// An audition is one audit: whose intervals must be wide, against whom.
type audition struct {
	targets []int // primaries
	needs   func(i int) need
	extra   []equation // what an insider knows beside the published cells
	rule    Rule       // written beside the cells that are hidden
	worlds  *worlds    // where vertices are kept; nil for insiders, whose worlds are fewer
}

// audit widens the intervals of the targets until each meets its need. Hiding more
// never narrows an interval, so that what passed once is not looked at again.
func (c *counted) audit(p *plan, u audition) error {
	var seen *sightings
	for from := 0; from < len(u.targets); {
		a, err := c.attack(append(c.knowledge(p), u.extra...))
		if err != nil {
			return err
		}
		if seen == nil {
			seen = newSightings(c, a, u.targets)
			seen.worlds = u.worlds
		} else {
			seen.move(a)
		}
		var chosen []int
		if from, chosen, err = c.round(p, seen, u, from); err != nil {
			return err
		}
		for _, j := range chosen {
			p.hide(j, u.rule)
		}
	}
	return nil
}

// round goes over the targets until it knows what to hide, and returns the first
// target that is to be looked at again. In small components that is one cell; in
// large ones, where a new program is dear, a few that have nothing to do with one
// another: a target that gains from a cell already chosen waits.
func (c *counted) round(p *plan, seen *sightings, u audition, from int) (first int, chosen []int, err error) {
	first = len(u.targets)
	for at := from; at < len(u.targets) && len(chosen) < maxBatch; at++ {
		i := u.targets[at]
		if seen.meets(i, u.needs(i)) {
			continue
		}
		x, err := seen.extent(i)
		if err != nil {
			return 0, nil, err
		}
		if x.inward().meets(u.needs(i)) {
			continue
		}
		first = min(first, at)
		found, err := c.priced(seen.a, i)
		if err != nil {
			return 0, nil, err
		}
		if slices.ContainsFunc(found, func(f candidate) bool { return slices.Contains(chosen, f.cell) }) {
			continue
		}
		tries := min(len(found), seen.a.tries(c.s.cells[i].column))
		best, err := c.widest(p, i, found[:tries], x, u.extra)
		if err != nil {
			return 0, nil, err
		}
		chosen = append(chosen, best)
		if tries > 1 {
			break
		}
	}
	return first, chosen, nil
}

// widest chooses the published cell to hide so that cell i gains most width for the
// value that is lost (disclosure.md 2.6 step 4). Where no single cell helps, two are
// in the way of one another, and the best priced goes first.
func (c *counted) widest(p *plan, i int, candidates []candidate, now extent, extra []equation) (int, error) {
	if len(candidates) == 0 {
		return 0, conflict()
	}
	if len(candidates) == 1 {
		return candidates[0].cell, nil
	}
	best, most := -1, new(big.Rat)
	for _, j := range candidates {
		gain, err := c.gain(p, i, j.cell, now, extra)
		if err != nil {
			return 0, err
		}
		if gain.Quo(gain, c.worth(j.cell)); best < 0 || gain.Cmp(most) > 0 {
			best, most = j.cell, gain
		}
	}
	return best, nil
}

// worth is what is lost with a cell.
func (c *counted) worth(i int) *big.Rat { return big.NewRat(max(1, c.sum(c.s.cells[i].column)), 1) }

// tries is how many candidates are worth a program of their own: all of them in
// small components, the best priced in large ones, where each takes a second.
func (a *attack) tries(column []int32) int {
	entries := 0
	_, open := a.divide(column)
	for _, o := range open {
		k := a.parts[o.part]
		entries += len(k.vars) * (len(k.eqs) + len(k.bounds))
	}
	if entries > 100_000 {
		return 1
	}
	return 4_000_000 / max(1, entries)
}

// gain is by how much the interval of cell i widens when cell j is hidden. An
// interval without an upper end counts as wide as the largest published value.
func (c *counted) gain(p *plan, i, j int, now extent, extra []equation) (*big.Rat, error) {
	rule := p.rule[j]
	p.rule[j] = RuleRepair
	b, err := c.attack(append(c.knowledge(p), extra...))
	p.rule[j] = rule
	if err != nil {
		return nil, err
	}
	then, err := b.extent(c.s.cells[i].column)
	if err != nil {
		return nil, err
	}
	return new(big.Rat).Sub(then.width(p.largest), now.width(p.largest)), nil
}

func (x extent) width(most int64) *big.Rat {
	if x.high == nil {
		return big.NewRat(most, 1)
	}
	return new(big.Rat).Sub(x.high, x.low)
}

// A candidate is a published cell with its price: the sum of what the two ends of
// an interval gain by one more or less in the cell, to begin with.
type candidate struct {
	cell  int
	price *big.Rat
}

// priced returns the published cells that have a price in the programs of cell i,
// the most gain for the least value first; ties by label. A cell without a price can
// be hidden without any gain: the dual solution stays feasible when its equation is
// dropped, and with it the bound (linear programming duality). So no other cell needs
// to be tried.
func (c *counted) priced(a *attack, i int) ([]candidate, error) {
	total := map[int]*big.Rat{}
	for _, sign := range []int64{-1, 1} {
		y, err := a.prices(c.s.cells[i].column, sign)
		if err != nil {
			return nil, err
		}
		for e, price := range y {
			j := a.eqs[e].cell
			if price == nil || price.Sign() == 0 || j < 0 || c.s.cells[j].force {
				continue
			}
			if total[j] == nil {
				total[j] = new(big.Rat)
			}
			total[j].Add(total[j], new(big.Rat).Abs(price))
		}
	}
	var found []candidate
	for j, price := range total {
		found = append(found, candidate{j, price.Quo(price, c.worth(j))})
	}
	slices.SortFunc(found, func(x, y candidate) int {
		return cmp.Or(y.price.Cmp(x.price), cmp.Compare(c.s.cells[x.cell].label, c.s.cells[y.cell].label))
	})
	return found, nil
}

// prices returns the dual value of every equation in the program that maximises
// sign times a column: of the components' equations from their tableaus, of those
// that fixed a base cell by going back over the steps. A fixed cell costs what its
// column holds of it minus what the other equations already charge for it.
func (a *attack) prices(column []int32, sign int64) ([]*big.Rat, error) {
	y := make([]*big.Rat, len(a.eqs))
	charge := make([]*big.Rat, len(a.fixed)) // of the bounds
	_, open := a.divide(column)
	for _, o := range open {
		k := a.parts[o.part]
		if len(k.eqs)+len(k.bounds) == 0 {
			continue
		}
		t, err := a.tableau(k, true)
		if err != nil {
			return nil, err
		}
		if _, err := t.solve(o.member, sign); err != nil {
			return nil, err
		}
		for r, price := range t.prices() {
			value := big.NewRat(price, t.det)
			if r < len(k.eqs) {
				y[k.eqs[r]] = value
				continue
			}
			bound := a.bounds[k.bounds[r-len(k.eqs)]]
			add(charge, bound.less, value)
			add(charge, bound.more, new(big.Rat).Neg(value))
		}
	}
	for _, s := range slices.Backward(a.steps) {
		for _, b := range s.fixed {
			owed := new(big.Rat)
			if _, ok := slices.BinarySearch(column, b); ok {
				owed.SetInt64(sign)
			}
			if charge[b] != nil {
				owed.Sub(owed, charge[b])
			}
			for _, e := range a.holds[b] {
				if y[e] != nil && int(e) != s.eq {
					owed.Sub(owed, y[e])
				}
			}
			if y[s.eq] == nil || owed.Cmp(y[s.eq]) > 0 {
				y[s.eq] = owed
			}
		}
	}
	return y, nil
}

func add(to []*big.Rat, column []int32, value *big.Rat) {
	for _, b := range column {
		if to[b] == nil {
			to[b] = new(big.Rat)
		}
		to[b].Add(to[b], value)
	}
}

// Sightings are how far apart the attack was seen to place each target, at the
// vertices it came by. They save most programs: once two vertices are far enough
// apart, the ends need not be found.
type sightings struct {
	c       *counted
	a       *attack
	targets []int
	parts   map[int]divided // by target
	ends    map[sighting]Interval
	worlds  *worlds // or nil
}

type divided struct {
	fixed int64
	open  []share
}

// A sighting is of one target in one component.
type sighting struct {
	target int
	part   int32
}

func newSightings(c *counted, a *attack, targets []int) *sightings {
	s := &sightings{c: c, targets: targets}
	s.move(a)
	return s
}

// move starts over with a weaker attack.
func (s *sightings) move(a *attack) {
	s.a, s.parts, s.ends = a, map[int]divided{}, map[sighting]Interval{}
	for _, i := range s.targets {
		fixed, open := a.divide(s.c.s.cells[i].column)
		s.parts[i] = divided{fixed, open}
	}
}

// note looks at every target at the present vertex of a component. Values are
// rounded inwards, so that what was seen can be relied on.
func (s *sightings) note(k *component, t *tableau) {
	value := make([]int64, len(k.vars))
	for r, v := range t.basic {
		if int(v) < len(value) {
			value[v] = t.rows[r][len(t.off)]
		}
	}
	news := false
	for _, i := range s.targets {
		for _, o := range s.parts[i].open {
			if s.a.parts[o.part] != k {
				continue
			}
			sum := int64(0)
			for v := range o.member {
				sum += value[v]
			}
			at := Interval{Low: ceil(sum, t.det), High: sum / t.det}
			was, ok := s.ends[sighting{i, o.part}]
			if ok {
				at = Interval{Low: min(at.Low, was.Low), High: max(at.High, was.High)}
			}
			news = news || at != was
			s.ends[sighting{i, o.part}] = at
		}
	}
	if news {
		s.keep(k, value, t.det)
	}
}

// meets reports whether what was seen is enough.
func (s *sightings) meets(i int, n need) bool {
	sum := Interval{Low: s.parts[i].fixed, High: s.parts[i].fixed}
	for _, o := range s.parts[i].open {
		at, ok := s.ends[sighting{i, o.part}]
		if !ok {
			return false
		}
		sum.Low += at.Low
		sum.High += at.High
	}
	return sum.High >= sum.Low && sum.meets(n)
}

// extent solves for a target, noting what is seen on the way.
func (s *sightings) extent(i int) (extent, error) {
	column := s.c.s.cells[i].column
	low, err := s.a.end(column, -1, s.note)
	if err != nil {
		return extent{}, err
	}
	high, err := s.a.end(column, 1, s.note)
	return extent{low, high}, err
}
