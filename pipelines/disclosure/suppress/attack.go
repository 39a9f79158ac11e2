package suppress

import (
	"math/big"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// MaxVariables is the most unknown base cells that hang together for the audit to
// be attempted (disclosure.md 2.6 step 3).
const MaxVariables = 2000

// maxWork bounds the time of one Protect, in entries of tableaus touched. A count
// and not a clock, so that the same tables are refused everywhere: some minutes.
const maxWork = 120_000_000_000

// maxEntries bounds the memory of one tableau, 8 bytes an entry.
const maxEntries = 16_000_000

// An equation is something that an attacker knows: the sum of a column.
type equation struct {
	column []int32
	rhs    int64
	cell   int // whose value it is, -1 when it is not for us to hide
}

// An attack is everything that an attacker knows, made ready to be solved: what
// follows without a program is filled in, the rest falls into components.
type attack struct {
	eqs    []equation
	bounds []bound
	fixed  []int64   // of a base cell; -1 is unknown
	steps  []step    // how they were fixed, in order
	holds  [][]int32 // base cell → equations
	group  []int32   // base cell → component, -1 when it is fixed
	parts  []*component
	work   *int64
}

// A step fixed the last unknown base cell of an equation, or all of them because
// they add up to 0.
type step struct {
	eq    int
	fixed []int32
}

// knowledge returns what a plan tells everybody, and what earlier releases told.
func (c *counted) knowledge(p *plan) []equation {
	eqs := make([]equation, 0, len(c.s.cells))
	for _, column := range c.s.early {
		eqs = append(eqs, equation{column, c.sum(column), -1})
	}
	for i := range c.s.cells {
		if at := &c.s.cells[i]; p.rule[i] == "" && len(at.column) > 0 && !at.early {
			eqs = append(eqs, equation{at.column, p.value[i], i})
		}
	}
	return eqs
}

// attack prepares to solve what the equations leave open.
func (c *counted) attack(eqs []equation) (*attack, error) {
	a := &attack{eqs: eqs, bounds: c.s.above, fixed: make([]int64, c.s.size), holds: make([][]int32, c.s.size), work: &c.work}
	for b := range a.fixed {
		if a.fixed[b] = -1; c.s.void[b] {
			a.fixed[b] = 0
		}
	}
	for e, eq := range eqs {
		for _, b := range eq.column {
			a.holds[b] = append(a.holds[b], int32(e))
		}
	}
	a.propagate()
	return a, a.split()
}

// propagate fills in what single equations give away: all but one of a sum are
// known, or what is left of it is 0.
func (a *attack) propagate() {
	left, rest := make([]int, len(a.eqs)), make([]int64, len(a.eqs))
	var queue []int32
	for e := range a.eqs {
		left[e], rest[e] = len(a.eqs[e].column), a.eqs[e].rhs
		queue = append(queue, int32(e))
	}
	for len(queue) > 0 {
		e := int(queue[0])
		queue = queue[1:]
		if left[e] == 0 || left[e] > 1 && rest[e] != 0 {
			continue
		}
		s, value := step{eq: e}, rest[e]
		for _, b := range a.eqs[e].column {
			if a.fixed[b] >= 0 {
				continue
			}
			a.fixed[b] = value
			s.fixed = append(s.fixed, b)
			for _, f := range a.holds[b] {
				left[f]--
				rest[f] -= value
				queue = append(queue, f)
			}
		}
		a.steps = append(a.steps, s)
	}
}

// A component is a part of the unknowns that no equation or bound ties to others.
type component struct {
	vars   []int32         // base cells
	local  map[int32]int32 // base cell → variable
	eqs    []int           // of the attack
	bounds []int
	ready  *tableau // at some vertex, once asked for
	priced *tableau // the same with prices
}

// split finds the components.
func (a *attack) split() error {
	root := make([]int32, len(a.fixed))
	for b := range root {
		root[b] = int32(b)
	}
	find := func(b int32) int32 {
		for root[b] != b {
			root[b] = root[root[b]]
			b = root[b]
		}
		return b
	}
	join := func(first int32, columns ...[]int32) int32 {
		for _, column := range columns {
			for _, b := range column {
				switch {
				case a.fixed[b] >= 0:
				case first < 0:
					first = b
				default:
					root[find(b)] = find(first)
				}
			}
		}
		return first
	}
	tied := func(less, more []int32) int32 { return join(-1, less, more) }
	for _, eq := range a.eqs {
		tied(eq.column, nil)
	}
	for _, b := range a.bounds {
		tied(b.less, b.more)
	}
	a.group = make([]int32, len(a.fixed))
	number := map[int32]int32{}
	for b := range a.fixed {
		if a.fixed[b] >= 0 {
			a.group[b] = -1
			continue
		}
		r := find(int32(b))
		if _, ok := number[r]; !ok {
			number[r] = int32(len(a.parts)) //nolint:gosec // below maxBase
			a.parts = append(a.parts, &component{local: map[int32]int32{}})
		}
		k := a.parts[number[r]]
		a.group[b] = number[r]
		k.local[int32(b)] = int32(len(k.vars)) //nolint:gosec // below maxBase
		k.vars = append(k.vars, int32(b))
	}
	return a.share(tied)
}

// share gives every component its equations and bounds.
func (a *attack) share(tied func(less, more []int32) int32) error {
	for e, eq := range a.eqs {
		if b := tied(eq.column, nil); b >= 0 {
			k := a.parts[a.group[b]]
			k.eqs = append(k.eqs, e)
		}
	}
	for i, bound := range a.bounds {
		if b := tied(bound.less, bound.more); b >= 0 {
			k := a.parts[a.group[b]]
			k.bounds = append(k.bounds, i)
		}
	}
	for _, k := range a.parts {
		if len(k.eqs)+len(k.bounds) == 0 {
			continue
		}
		rows := len(k.eqs) + len(k.bounds)
		if len(k.vars) > MaxVariables || rows*(len(k.vars)+len(k.bounds)+1) > maxEntries {
			return gateway.Errorf(gateway.TooLarge,
				"%d hidden base cells hang together, which is too much to audit (the limit is %d); publish fewer linked sets or coarser codes, or use noise",
				len(k.vars), MaxVariables)
		}
	}
	return nil
}

// tableau returns the component's program at some vertex. It is made once; later
// calls go on from where the last one stopped.
func (a *attack) tableau(k *component, priced bool) (*tableau, error) {
	if t := k.priced; priced && t != nil {
		return t, nil
	} else if !priced && k.ready != nil {
		return k.ready, nil
	}
	vars := len(k.vars) + len(k.bounds) // every bound has a slack
	rows := make([][]int64, 0, len(k.eqs)+len(k.bounds))
	put := func(row []int64, column []int32, sign int64) {
		for _, b := range column {
			if a.fixed[b] >= 0 {
				row[vars] -= sign * a.fixed[b]
			} else {
				row[k.local[b]] += sign
			}
		}
	}
	for _, e := range k.eqs {
		row := make([]int64, vars+1)
		row[vars] = a.eqs[e].rhs
		put(row, a.eqs[e].column, 1)
		rows = append(rows, row)
	}
	for i, e := range k.bounds {
		row := make([]int64, vars+1)
		row[len(k.vars)+i] = 1
		put(row, a.bounds[e].less, 1)
		put(row, a.bounds[e].more, -1)
		rows = append(rows, row)
	}
	t := newTableau(rows, vars, priced, a.work)
	if !t.feasible() {
		return nil, t.refuse()
	}
	if priced {
		k.priced = t
	} else {
		k.ready = t
	}
	return t, nil
}

// refuse says why a program was not solved. The counts themselves satisfy every
// equation, so that there is always a solution.
func (t *tableau) refuse() error {
	if t.over && *t.work < 0 {
		return gateway.Errorf(gateway.TooLarge, "the hidden cells hang together so closely that the audit takes too long; publish fewer linked sets, or use noise")
	}
	if t.over {
		return gateway.Errorf(gateway.TooLarge, "the audit needs numbers of more than 64 bits; publish fewer linked sets, or use noise")
	}
	return gateway.Errorf(gateway.Internal, "the published cells contradict one another")
}

// An extent is where an attacker can place a sum of base cells.
type extent struct {
	low, high *big.Rat // high is nil when there is no upper end
}

// extent computes both ends for a column. The components are independent, so that
// their ends add up.
func (a *attack) extent(column []int32) (extent, error) {
	low, err := a.end(column, -1, nil)
	if err != nil {
		return extent{}, err
	}
	high, err := a.end(column, 1, nil)
	return extent{low, high}, err
}

// end computes the upper end of a column for sign 1 and the lower one for -1. It is
// nil when there is none. seen is called at the best vertex of every component.
func (a *attack) end(column []int32, sign int64, seen func(*component, *tableau)) (*big.Rat, error) {
	sum, open := a.divide(column)
	total := big.NewRat(sum, 1)
	for _, o := range open {
		k := a.parts[o.part]
		if len(k.eqs)+len(k.bounds) == 0 {
			if sign > 0 {
				return nil, nil //nolint:nilnil // no upper end is an answer
			}
			continue
		}
		t, err := a.tableau(k, false)
		if err != nil {
			return nil, err
		}
		bounded, err := t.solve(o.member, sign)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			seen(k, t)
		}
		if !bounded {
			return nil, nil //nolint:nilnil // no upper end is an answer
		}
		total.Add(total, big.NewRat(sign*t.goal[len(t.off)], t.det))
	}
	return total, nil
}

// solve goes to the best vertex for sign times the sum of some variables.
func (t *tableau) solve(member map[int32]bool, sign int64) (bounded bool, err error) {
	t.aim(func(v int32) int64 {
		if member[v] {
			return sign
		}
		return 0
	})
	bounded = t.maximise()
	if t.over {
		return false, t.refuse()
	}
	return bounded, nil
}

// A share is what a component holds of a column.
type share struct {
	part   int32
	member map[int32]bool // variables
}

// divide splits a column by components, in their order, and adds up what is fixed.
func (a *attack) divide(column []int32) (int64, []share) {
	sum, byPart := int64(0), map[int32]map[int32]bool{}
	var order []int32
	for _, b := range column {
		g := a.group[b]
		if g < 0 {
			sum += a.fixed[b]
			continue
		}
		if byPart[g] == nil {
			byPart[g] = map[int32]bool{}
			order = append(order, g)
		}
		byPart[g][a.parts[g].local[b]] = true
	}
	slices.Sort(order)
	open := make([]share, len(order))
	for i, g := range order {
		open[i] = share{g, byPart[g]}
	}
	return sum, open
}

// inward rounds an extent to the whole numbers inside it: values are whole, so that
// nobody needs to consider others.
func (x extent) inward() Interval {
	i := Interval{Open: x.high == nil}
	low := new(big.Int)
	low.Add(x.low.Num(), x.low.Denom()).Sub(low, big.NewInt(1)).Div(low, x.low.Denom())
	i.Low = low.Int64()
	if !i.Open {
		i.High = new(big.Int).Div(x.high.Num(), x.high.Denom()).Int64()
	}
	return i
}

// An Interval is where everybody who reads the tables can place a hidden cell.
type Interval struct {
	Low, High int64
	Open      bool // there is no upper end; High is 0
}

// meets reports whether the interval is as wide and reaches as high as is needed.
func (i Interval) meets(n need) bool {
	return i.Open || i.High-i.Low >= n.width && i.High >= n.top
}
