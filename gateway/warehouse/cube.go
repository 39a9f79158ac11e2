package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A part is the grouping sets that share their event dimensions. Given those, a
// child is in one cell of each combination or not, so its attributes partition
// it: one statement counts the finest combination of all attributes, and every
// set of the part is a sum over that (performance.md F). Sets of sectors make that
// combination much finer, so sets that name pairs are a part of their own.
type part struct {
	events  []gateway.SetDimension // of the sets; sorted by name
	sets    []*tally
	attrs   uint64 // bits of the attributes that some set names
	records bool   // some set measures records
	values  []string
	units   bool // its events keep their unit
	marks   bool // its sets name outcomes
}

// parts groups the admitted sets.
func (c *counting) parts() []*part {
	var parts []*part
	byKey := map[string]*part{}
	for _, admitted := range c.Definition.AdmittedSets() {
		var events, pairs gateway.GroupingSet
		for _, sd := range admitted.Set {
			switch s := c.slots[sd.Name]; {
			case s.event:
				events = append(events, sd)
			case s.pairs, s.marks:
				pairs = append(pairs, sd)
			}
		}
		key := events.Key(c.Definition) + " " + pairs.Key(c.Definition)
		p := byKey[key]
		if p == nil {
			p = &part{events: events}
			byKey[key] = p
			parts = append(parts, p)
		}
		t := c.newTally(admitted)
		p.sets = append(p.sets, t)
		p.records = p.records || t.records
		p.carry(t.Values)
		for _, sd := range admitted.Set {
			switch s := c.slots[sd.Name]; {
			case s.marks:
				p.marks = true
			case !s.event:
				p.attrs |= s.bits()
			}
		}
	}
	return parts
}

// cells counts all sets and hands every non-empty cell to add, and to addSum every
// value that it carries.
func (c *counting) cells(ctx context.Context, add func(gateway.GroupingSet, []string, disclosure.Count) error, addSum addSum) error {
	parts := c.parts()
	total, done := 0, 0
	for _, p := range parts {
		total += len(p.sets)
	}
	for _, p := range parts {
		err := c.countPart(ctx, p)
		if err == nil {
			err = c.addValues(ctx, p)
		}
		if err != nil {
			return err
		}
		err = c.countUnits(ctx, p)
		if err != nil {
			return err
		}
		for _, t := range p.sets {
			err = t.each(add, addSum)
			if err != nil {
				return fmt.Errorf("counting %s: %w", c.Release, err)
			}
			t.cells, t.sums = nil, nil
		}
		done += len(p.sets)
		if c.Progress != nil {
			c.Progress(done, total)
		}
	}
	return nil
}

func (c *counting) countPart(ctx context.Context, p *part) error {
	doing := "counting " + string(c.Release) + ": counting cells"
	for _, t := range p.sets {
		t.cells = make([]counted, t.size)
	}
	rows, err := c.w.builder.Query(ctx, c.selectPart(p))
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var b base
		err = rows.Scan(&b.attr, &b.event, &b.records, &b.children, &b.key)
		if err != nil {
			return internal(doing, err)
		}
		for _, t := range p.sets {
			t.add(&b)
		}
	}
	err = rows.Err()
	if err != nil {
		return internal(doing, orContext(ctx, err))
	}
	return nil
}

// selectPart is the SQL of a part's base: for every combination of attributes, of
// event nodes and of a child's number of records there, the children and the sum
// of their keys. The number of records is a key of the grouping, because the
// largest ones of a cell are wanted, and a child has few.
func (c *counting) selectPart(p *part) string {
	limit := 1
	if p.records {
		limit = c.RecordCap
	}
	if p.marks {
		return fmt.Sprintf(`SELECT bitAnd(attr, %d) AS a, toUInt64(o) AS e, toUInt64(least(length(ev), %d)) AS r, count() AS n, sum(rk) AS ck
			FROM %s ARRAY JOIN %s AS o GROUP BY a, e, r`, p.attrs, limit, c.table("kids"), marksColumn)
	}
	if len(p.events) == 0 {
		return fmt.Sprintf(`SELECT bitAnd(attr, %d) AS a, toUInt64(0) AS e, toUInt64(least(length(ev), %d)) AS r, count() AS n, sum(rk) AS ck
			FROM %s GROUP BY a, e, r`, p.attrs, limit, c.table("kids"))
	}
	return fmt.Sprintf(`SELECT a, toUInt64(e), toUInt64(r), count() AS n, sum(rk) AS ck
		FROM (%s) GROUP BY a, e, r`, c.runs(p, limit))
}

// runs is the SQL of one row for each child and combination of event nodes in
// which it has records. The child's events, reduced to the part's dimensions, are
// sorted; where a run of equal ones ends gives the combination, the distance
// between ends how many records it has. Nothing is hashed, and no child id read.
func (c *counting) runs(p *part, limit int) string {
	return fmt.Sprintf(`WITH arraySort(%[1]s) AS s, arrayPushBack(arrayPopFront(s), bitNot(to%[2]s(0))) AS following,
			arrayFilter((i, x, f) -> x != f, arrayEnumerate(s), s, following) AS ends
		SELECT bitAnd(attr, %[3]d) AS a, rk, e, r FROM %[4]s
		ARRAY JOIN arrayFilter((x, f) -> x != f, s, following) AS e,
			arrayMap((last, before) -> toUInt16(least(last - before, %[5]d)), ends, arrayPushFront(arrayPopBack(ends), 0)) AS r`,
		c.reduced(p), c.word, p.attrs, c.table("kids"), limit)
}

// reduced is the SQL of a child's events with only the part's dimensions left, at
// the part's levels.
func (c *counting) reduced(p *part) string {
	x, args, arrays, words := c.eventWords(p)
	if words == "" {
		return "arrayMap(x -> " + x + ", ev)"
	}
	return fmt.Sprintf("arrayMap(w -> to%s(w), arrayFlatten(arrayMap((%s) -> %s, %s)))", c.word, args, words, arrays)
}

// eventWords is the SQL of what one event x is reduced to: one word, or, where the
// part has columns with sets of codes, words, a function of args over arrays.
func (c *counting) eventWords(p *part) (x, args, arrays, words string) {
	keep, word := uint64(0), []string{}
	for _, sd := range p.events {
		s := c.slots[sd.Name]
		switch {
		case s.many:
		case sd.Level == len(s.dim.Levels)-1:
			keep |= s.bits()
		default:
			word = append(word, s.in(s.ancestor(s.out("x"), sd.Level)))
		}
	}
	if p.units {
		keep |= c.units.mask << c.units.shift
	}
	x = "to" + c.word + "(" + strings.Join(append(word, fmt.Sprintf("bitAnd(x, %d)", keep)), " + ") + ")"
	args, arrays = "x", "ev"
	for i, sd := range p.events {
		if s := c.slots[sd.Name]; s.many {
			if words == "" {
				words = "[" + x + "]"
			}
			set := fmt.Sprintf("m%d", i)
			args, arrays = args+", "+set, arrays+", "+codes(s.dim.Source.Column)
			words = c.expand(s, words, set, sd.Level)
		}
	}
	return x, args, arrays, words
}

// ancestor is the SQL of the place of a leaf's ancestor.
func (s *slot) ancestor(place string, level int) string {
	var from, to []int
	for leaf := 1; leaf < len(s.up[level]); leaf++ {
		from, to = append(from, leaf), append(to, s.up[level][leaf])
	}
	return transform(place, from, to)
}

// expand is the SQL of an event's words once for every node that its set of codes
// touches, and once without a node when there is none.
func (c *counting) expand(s *slot, words, set string, level int) string {
	nodes := fmt.Sprintf("if(%[1]s = 0, [toUInt64(0)], arrayDistinct(arrayMap(b -> %[2]s, bitPositionsToArray(%[1]s))))",
		set, s.ancestor(c.leafOf(s, "b + 1"), level))
	return fmt.Sprintf("arrayFlatten(arrayMap(w -> arrayMap(v -> w + bitShiftLeft(v, %d), %s), %s))", s.shift, nodes, words)
}

// A base is one row of a part's base.
type base struct {
	attr, event, records, children, key uint64
}

// A tally holds the cells of one grouping set while they are summed.
type tally struct {
	gateway.AdmittedSet

	records bool
	axes    []axis
	size    int
	cells   []counted
	at      []int // cells of a base row; reused
	sums    [][]disclosure.Sum
	touched []int // cells of the unit at hand
}

type counted struct {
	children, records, key uint64
	units, topUnit, ofUnit uint64 // units, children of the largest, of the one at hand
	top                    [disclosure.MaxTop]uint32
}

// An axis finds a base row's nodes of one dimension: one, none, or of pairs any
// number.
type axis struct {
	event  bool
	shift  uint
	mask   uint64
	nodes  [][]int // value in the word → places in the level
	stride int
	codes  []string
}

func (c *counting) newTally(a gateway.AdmittedSet) *tally {
	t := &tally{AdmittedSet: a, size: 1}
	for _, m := range a.Measures {
		t.records = t.records || m == gateway.CountRecords
	}
	for _, sd := range a.Set {
		s := c.slots[sd.Name]
		x := axis{event: s.event || s.marks, shift: s.shift, mask: s.mask, nodes: c.nodes(s, sd.Level), stride: t.size, codes: s.codes[sd.Level]}
		t.axes = append(t.axes, x)
		t.size *= len(x.codes)
	}
	return t
}

// nodes lists the places in a level for every value of a slot.
func (c *counting) nodes(s *slot, level int) [][]int {
	if s.pairs {
		return c.paired(s)
	}
	nodes := make([][]int, s.mask+1)
	if s.event { // the statement has put the ancestor there already
		for i := range s.codes[level] {
			nodes[i+1] = []int{i + 1}
		}
		return nodes
	}
	for place := 1; place < len(s.up[level]); place++ {
		nodes[place] = []int{s.up[level][place]}
	}
	return nodes
}

func (t *tally) add(b *base) {
	for _, at := range t.locate(b) {
		t.addTo(&t.cells[at], b)
	}
}

// locate finds the cells of a base row; they are good until the next call.
func (t *tally) locate(b *base) []int {
	t.at = append(t.at[:0], 0)
	for i := range t.axes {
		x := &t.axes[i]
		word := b.attr
		if x.event {
			word = b.event
		}
		nodes := x.nodes[word>>x.shift&x.mask]
		n := len(t.at)
		for _, node := range nodes[min(1, len(nodes)):] {
			for _, at := range t.at[:n] {
				t.at = append(t.at, at+(node-1)*x.stride)
			}
		}
		if len(nodes) == 0 {
			return nil // in no node of the dimension
		}
		for j := range t.at[:n] {
			t.at[j] += (nodes[0] - 1) * x.stride
		}
	}
	return t.at
}

func (t *tally) addTo(cell *counted, b *base) {
	cell.children += b.children
	cell.key += b.key
	if t.records {
		cell.records += b.records * b.children
		cell.rank(uint32(b.records), b.children) //nolint:gosec // G115: at most the cap
	}
}

// rank keeps the largest numbers of records of single children.
func (c *counted) rank(records uint32, children uint64) {
	for ; children > 0 && records > c.top[disclosure.MaxTop-1]; children-- {
		i := disclosure.MaxTop - 1
		for ; i > 0 && c.top[i-1] < records; i-- {
			c.top[i] = c.top[i-1]
		}
		c.top[i] = records
	}
}

// each hands over the non-empty cells.
func (t *tally) each(add func(gateway.GroupingSet, []string, disclosure.Count) error, addSum addSum) error {
	nodes := make([]string, len(t.axes))
	for at := range t.cells {
		cell := &t.cells[at]
		if cell.children == 0 {
			continue
		}
		for i, x := range t.axes {
			nodes[i] = x.codes[at/x.stride%len(x.codes)]
		}
		err := add(t.Set, nodes, cell.count())
		if err == nil {
			err = t.eachSum(at, nodes, addSum)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *counted) count() disclosure.Count {
	n := disclosure.Count{Children: c.children, Records: c.records, Key: c.key, Units: c.units, TopUnit: c.topUnit}
	for _, r := range c.top {
		if r > 0 {
			n.Top = append(n.Top, r)
		}
	}
	return n
}
