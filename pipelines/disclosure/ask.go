package disclosure

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A query is a question in canonical form: the grouping set, and along each of
// its dimensions the nodes that the answer runs over.
type query struct {
	cube    *gateway.Cube
	measure gateway.Measure
	stat    statistic // what the measure is
	set     *set
	nodes   [][]int // by dimension of the set; one where it is only filtered
	grouped []bool
	filter  map[string]string
	label   string
}

// Ask answers a question from the published cells: a look-up that touches no data
// and depends on none but the published statuses and values. Every synonym of a
// question (order, filter or grouping, "sex" or "sex@sex") reads the same cells.
// An Invalid error names the limit that the question breaks; it is the same
// whatever the release holds, so refusals tell nothing either (2.11 line 15). A
// Withheld error names a grouping set that the sparsity gate closes, which is public.
//
// A table has all cells that the code lists make of the question, hidden or not, in
// the order of codes: rows that come or go, or an order by size, would tell counts
// (2.11 lines 4 and 6). A dimension may be filtered and grouped at once: then the
// answer is the cells of that level below the filter. Codes and names are spelt as
// registered; there are no roots, unions, ranges or patterns, because every further
// way to name children is a further route to their number (disclosure.md 2.1).
//
// Ask does not decide who may ask. The caller has done that, and adds nothing of the
// answer to a log.
func (p *Published) Ask(q gateway.Question) (*gateway.Table, error) {
	c, err := p.parse(q)
	if err != nil {
		return nil, err
	}
	if len(c.filter) == 0 {
		c.filter = nil
	}
	t := &gateway.Table{
		Release: p.head.Release, Cube: c.cube.ID, Label: c.label, Measure: c.measure, Filter: c.filter,
		Variance: p.variance(c.set), Base: p.base(), Bottom: p.bottom(),
		Dimensions: []string{}, Digest: p.digest, PTables: p.tables, Policy: p.head.Rules.Revision, Notes: p.notes(c),
	}
	if v := c.stat.value; v != nil && c.stat.kind == statSum {
		t.Variance, t.Base, t.Bottom = sumVariance(v, p.head.Definition.V), int(v.Precision), 0
	}
	t.Decision = decision(t)
	for i, sd := range c.set.Set {
		if c.grouped[i] {
			t.Dimensions = append(t.Dimensions, p.l.spell(sd))
		}
	}
	t.Cells = c.read(p)
	for _, b := range p.head.Definition.BreaksOf(t) {
		t.Notes = append(t.Notes, b.String())
	}
	return t, nil
}

// spell names a dimension at a level, the level only where there are several.
func (l *lattice) spell(sd gateway.SetDimension) string {
	dim := &l.dims[l.byName[sd.Name]]
	if len(dim.Levels) == 1 {
		return sd.Name
	}
	return sd.Name + "@" + dim.Levels[sd.Level]
}

// decision identifies the answer for whoever replays it: the policy revision, the
// question, the release and the p-tables (disclosure.md 2.9).
func decision(t *gateway.Table) string {
	parts := []string{"pana/decision/1", string(t.Policy), t.Cube, t.Label, string(t.Release), t.PTables}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

// parse checks a question against the definition alone: which limit it breaks is
// decided before a cell is looked at.
func (p *Published) parse(q gateway.Question) (*query, error) {
	c := &query{cube: p.l.def.Cube(q.Cube), measure: q.Measure, filter: maps.Clone(q.Filter)}
	if c.cube == nil {
		return nil, gateway.Errorf(gateway.Invalid, "the release has no such cube; it has %s", strings.Join(cubeIDs(p.l.def), ", "))
	}
	var err error
	if c.stat, err = p.statistic(c.cube, q.Measure); err != nil {
		return nil, err
	}
	wants := map[string]*want{}
	if err = p.filters(c.cube, q.Filter, wants); err != nil {
		return nil, err
	}
	if err = p.groupings(c.cube, q.GroupBy, wants); err != nil {
		return nil, err
	}
	if err = p.resolve(c, wants); err != nil {
		return nil, err
	}
	if p.l.reduce(c, wants) {
		c.nodes, c.grouped = nil, nil
		if err = p.resolve(c, wants); err != nil {
			return nil, err
		}
	}
	if p.closed[c.set.index] {
		return nil, errGated(c.set)
	}
	return c, p.prepare(c)
}

func cubeIDs(d *gateway.Definition) []string {
	var ids []string
	for _, c := range d.Cubes {
		ids = append(ids, c.ID)
	}
	return ids
}

// A want is what a question says about one dimension.
type want struct {
	dim   *dimension
	node  *gateway.Node // the filter, or nil
	level int           // the grouping, or -1
}

// known finds a dimension of the cube.
func (p *Published) known(c *gateway.Cube, name string) (*dimension, error) {
	i, ok := p.l.byName[name]
	if !ok || !slices.Contains(c.Dimensions, name) {
		return nil, gateway.Errorf(gateway.Invalid, "cube %s has no such dimension; it has %s", c.ID, strings.Join(c.Dimensions, ", "))
	}
	return &p.l.dims[i], nil
}

func (p *Published) filters(c *gateway.Cube, filter map[string]string, wants map[string]*want) error {
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		dim, err := p.known(c, name)
		if err != nil {
			return err
		}
		node := dim.Node(filter[name])
		if node == nil || node.Code == dim.Omitted {
			return gateway.Errorf(gateway.Invalid, "dimension %s has no such code to filter by; codes are spelt exactly as in the catalogue", name)
		}
		wants[name] = &want{dim: dim, node: node, level: -1}
	}
	return nil
}

func (p *Published) groupings(c *gateway.Cube, groupBy []string, wants map[string]*want) error {
	for _, g := range groupBy {
		name, level, named := strings.Cut(g, "@")
		dim, err := p.known(c, name)
		if err != nil {
			return err
		}
		at := slices.Index(dim.Levels, level)
		if !named && len(dim.Levels) == 1 {
			at = 0
		}
		if at < 0 {
			return gateway.Errorf(gateway.Invalid, "group by dimension %s at one of its levels: %s", name, strings.Join(dim.Levels, ", "))
		}
		w := wants[name]
		switch {
		case w == nil:
			w = &want{dim: dim}
			wants[name] = w
		case w.level >= 0:
			return gateway.Errorf(gateway.Invalid, "dimension %s is grouped twice", name)
		case w.node.Level > at:
			return gateway.Errorf(gateway.Invalid, "dimension %s is grouped above the level it is filtered at", name)
		}
		w.level = at
	}
	return nil
}

// resolve finds the grouping set, or says which limit keeps it from existing
// (disclosure.md 2.1). The canonical label lists filters as name=code and groupings
// as name@level, sorted by name: one spelling for all synonyms but the choice
// between filtering and grouping, which gives another table of the same cells.
func (p *Published) resolve(c *query, wants map[string]*want) error {
	var g gateway.GroupingSet
	label := []string{"release=" + strconv.Itoa(p.head.Number), "measure=" + string(c.measure)}
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		w := wants[name]
		level, nodes, spelt := w.reach()
		g = append(g, gateway.SetDimension{Name: name, Level: level})
		c.nodes, c.grouped = append(c.nodes, nodes), append(c.grouped, w.level >= 0)
		label = append(label, spelt)
	}
	c.label = strings.Join(label, "|")
	if len(wants) == 0 {
		c.label += "|"
	}
	c.set = p.l.byKey[g.Key(p.l.def)]
	if c.set == nil || !slices.Contains(c.set.Cubes, c.cube.ID) {
		return p.limit(c.cube, g)
	}
	return nil
}

// reach returns the level of the cells, the nodes they run over, and the canonical
// spelling.
func (w *want) reach() (level int, nodes []int, spelt string) {
	level, spelt = w.level, w.dim.Name
	if w.node != nil {
		spelt += "=" + w.node.Code
	}
	if level < 0 {
		level = w.node.Level
		return level, []int{w.dim.place[level][w.node.Code]}, spelt
	}
	for i, n := range w.dim.levels[level] {
		if n.Code != w.dim.Omitted && (w.node == nil || w.dim.under(n, w.node.Code)) {
			nodes = append(nodes, i)
		}
	}
	return level, nodes, spelt + "@" + w.dim.Levels[level]
}

// limit names the limit that a grouping set breaks: the cap of the cube, dimensions
// kept apart, or the number of nominal cells. The caller may know all three; they
// are in the catalogue.
func (p *Published) limit(c *gateway.Cube, g gateway.GroupingSet) error {
	if most := min(c.Cap, gateway.MaxDepth); len(g) > most {
		return gateway.Errorf(gateway.Invalid, "cells of cube %s name at most %d dimensions, filters and groupings together; this asks for %d", c.ID, most, len(g))
	}
	for _, group := range c.Apart {
		var named []string
		for _, sd := range g {
			if slices.Contains(group, sd.Name) {
				named = append(named, sd.Name)
			}
		}
		if len(named) > 1 {
			return gateway.Errorf(gateway.Invalid, "cube %s does not cross %s", c.ID, strings.Join(named, " with "))
		}
	}
	return gateway.Errorf(gateway.Invalid, "these dimensions make %d cells by their code lists; at most %d are released", g.NominalCells(p.l.def), gateway.MaxNominalCells)
}

// read copies the cells in the order of codes. Two arrays hold everything that the
// cells point to.
func (c *query) read(p *Published) []gateway.Cell {
	n, groups := 1, 0
	for i, nodes := range c.nodes {
		n *= len(nodes)
		if c.grouped[i] {
			groups++
		}
	}
	cells := make([]gateway.Cell, n)
	codes := make([]string, 0, n*groups)
	values := make([]int64, n)
	from := &p.cells[c.set.index]
	for at := range cells {
		place, rest := 0, at
		for i, nodes := range slices.Backward(c.nodes) {
			place += nodes[rest%len(nodes)] * c.set.strides[i]
			rest /= len(nodes)
		}
		start := len(codes)
		for i, sd := range c.set.Set {
			if c.grouped[i] {
				node := place / c.set.strides[i] % c.set.sizes[i]
				codes = append(codes, p.l.dims[c.set.dims[i]].levels[sd.Level][node].Code)
			}
		}
		cells[at] = gateway.Cell{Nodes: codes[start:len(codes):len(codes)], Status: statusNames[from.status[place]]}
		if c.stat.kind != statCount {
			c.fill(p, place, &cells[at])
			continue
		}
		if from.status[place] == statusValue {
			values[at] = from.values[c.measure][place]
			cells[at].Value = &values[at]
		}
	}
	return cells
}

// notes say beside the figures what they mean: noise that nobody explains is taken
// for error, and hidden for zero. They depend on the question only.
func (c *query) notes(l *lattice) []string {
	k := l.def.V / 2
	if c.stat.kind != statCount {
		return c.statNotes(l)
	}
	notes := []string{
		hiddenNote,
		"Values below the bottom code are shown as it, so cells of 10 to 19 children are biased upward by up to half of it.",
	}
	if c.measure == gateway.CountRecords {
		notes = append(notes, fmt.Sprintf("The variance of a record count is about %g*(1 + (records/children)^2), from published values: one permanent draw serves both measures. The largest contributors are flattened, so a few children with very many records count for less.", k))
	}
	for i, sd := range c.set.Set {
		n := &l.dims[c.set.dims[i]]
		if n.Kind == gateway.Multi && c.measure == gateway.CountChildren {
			notes = append(notes, fmt.Sprintf("A child can be in several codes of %s: counts of children do not add up to the total.", sd.Name))
		}
		if n.Omitted != "" {
			notes = append(notes, fmt.Sprintf("Code %s of %s is not published. It is the parent less the other codes, with the variance of all of them: %g.", n.Omitted, sd.Name, l.def.V*float64(len(n.levels[sd.Level]))))
		}
	}
	return notes
}
