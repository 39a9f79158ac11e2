package disclosure

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// An oracle is protection once more, written over labels and maps instead of dense
// arrays, from the text of disclosure.md 2.1 and 2.4: slow, and with no code in
// common but the draws. It knows no declared facts.
type oracle struct {
	d      *gateway.Definition
	counts map[string]map[string]*Count
	keys   *keyed
	law    law
	tables *PTables
	cover  *gateway.Coverage
	states map[string]state
}

// cellOf is a cell as people write it.
type cellOf struct {
	set   gateway.AdmittedSet
	codes []string
}

func (c cellOf) label() string { return c.set.Set.Label(c.codes) }

// all lists every nominal cell, sets from the total down, in the order of codes.
func (o *oracle) all() []cellOf {
	sets := o.d.AdmittedSets()
	steps := func(a gateway.AdmittedSet) int {
		n := 0
		for _, sd := range a.Set {
			n += sd.Level + 1
		}
		return n
	}
	slices.SortStableFunc(sets, func(a, b gateway.AdmittedSet) int { return steps(a) - steps(b) })
	var out []cellOf
	for _, a := range sets {
		rows := [][]string{nil}
		for _, sd := range a.Set {
			var next [][]string
			for _, row := range rows {
				for _, n := range o.d.Dimension(sd.Name).AtLevel(sd.Level) {
					next = append(next, append(slices.Clone(row), n.Code))
				}
			}
			rows = next
		}
		for _, row := range rows {
			out = append(out, cellOf{a, row})
		}
	}
	return out
}

// count looks a label up.
func (o *oracle) count(label string) Count {
	for _, cells := range o.counts {
		if c := cells[label]; c != nil {
			return *c
		}
	}
	return Count{}
}

// parent is the label of the cell with dimension i one level up.
func (o *oracle) parent(c cellOf, i int) string {
	up := o.d.Dimension(c.set.Set[i].Name).Node(c.codes[i]).Parent
	var facts []string
	for j, sd := range c.set.Set {
		switch {
		case j != i:
			facts = append(facts, sd.Name+"="+c.codes[j])
		case up != "":
			facts = append(facts, sd.Name+"="+up)
		}
	}
	return strings.Join(facts, "|")
}

// siblings are the cells that differ from c along dimension i only, under the same
// parent node, c among them.
func (o *oracle) siblings(c cellOf, i int) []cellOf {
	dim := o.d.Dimension(c.set.Set[i].Name)
	own := dim.Node(c.codes[i])
	var out []cellOf
	for _, n := range dim.Nodes {
		if n.Level == own.Level && n.Parent == own.Parent {
			codes := slices.Clone(c.codes)
			codes[i] = n.Code
			out = append(out, cellOf{c.set, codes})
		}
	}
	return out
}

// same is the label that denotes the same children: an only child is its parent.
func (o *oracle) same(c cellOf) string {
	for i := range c.codes {
		if o.d.Dimension(c.set.Set[i].Name).Node(c.codes[i]).Parent != "" && len(o.siblings(c, i)) == 1 {
			up := o.parent(c, i)
			for _, other := range o.all() {
				if other.label() == up {
					return o.same(other)
				}
			}
		}
	}
	return c.label()
}

// missing reports whether the cell's sector has no complete quarter for it.
func (o *oracle) missing(c cellOf) bool {
	sector, region, quarter := "", "", ""
	for i, sd := range c.set.Set {
		switch source := o.d.Dimension(sd.Name).Source; {
		case source.Kind == gateway.EventSector:
			sector = c.codes[i]
		case source.Kind == gateway.EventQuarter:
			quarter = c.codes[i]
		case source.Column == gateway.ColumnRegion:
			region = c.codes[i]
		}
	}
	if sector == "" {
		return false
	}
	for r, quarters := range o.cover.Full[gateway.ContractID(sector)] {
		for _, q := range quarters {
			if (region == "" || region == r) && (quarter == "" || quarter == q.String()) && q >= o.d.From && q <= o.d.To {
				return false
			}
		}
	}
	return true
}

// noisy is n + v1.
func (o *oracle) noisy(label string) int64 {
	n := int64(o.count(label).Children)
	return n + o.tables.l1.draw(n, o.keys.permanent([]byte(label)))
}

// decide is rules 1, 3 and 4, and what needs no data.
func (o *oracle) decide(c cellOf) state {
	for i, sd := range c.set.Set {
		if o.d.Dimension(sd.Name).Omitted == c.codes[i] {
			return omitted
		}
	}
	if o.missing(c) {
		return notReported
	}
	if same := o.same(c); same != c.label() {
		return o.states[same]
	}
	own := o.count(c.label())
	if int(own.Children) < o.law.threshold(o.keys.threshold([]byte(c.label()))) {
		return hiddenSmall
	}
	for i := range c.codes {
		p := o.count(o.parent(c, i))
		if r := int64(p.Children - own.Children); int(r) < o.law.threshold(o.keys.edge(r, p.Key-own.Key)) {
			return hiddenNear
		}
	}
	return shown
}

// remainder is rule 6 over the cells of one set: it reports whether it hid any.
func (o *oracle) remainder(cells []cellOf) bool {
	hid := false
	for i := range cells[0].codes {
		for _, c := range cells {
			dim := o.d.Dimension(c.set.Set[i].Name)
			group := o.siblings(c, i)
			if group[0].label() != c.label() || o.states[o.parent(c, i)] != shown || dim.Kind == gateway.Multi && c.set.Grain != gateway.Events {
				continue
			}
			unknown, best, omits := 0, "", false
			for _, g := range group {
				label := g.label()
				switch o.states[label] {
				case omitted:
					omits = true
				case shown:
					if o.same(g) == label && (best == "" || o.noisy(label) < o.noisy(best) || o.noisy(label) == o.noisy(best) && label < best) {
						best = label
					}
				default:
					unknown++
				}
			}
			if unknown == 1 && !omits && best != "" {
				o.states[best] = hiddenRest
				hid = true
			}
		}
	}
	return hid
}

// value is what a shown cell is published as.
func (o *oracle) value(label string, m gateway.Measure) int64 {
	n1 := o.noisy(label)
	if m == gateway.CountRecords {
		c := o.count(label)
		outliers, top := o.keys.outliers([]byte(label))
		n1 = flattenedCount(&c, outliers, top, n1-int64(c.Children))
	}
	return max(10, n1+o.tables.l2.draw(n1, o.keys.fresh(m, []byte(label))))
}

// run decides everything.
func (o *oracle) run() map[string]state {
	o.states = map[string]state{}
	all := o.all()
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].set.Set.Key(o.d) == all[i].set.Set.Key(o.d) {
			o.states[all[j].label()] = o.decide(all[j])
			j++
		}
		for o.remainder(all[i:j]) {
		}
		i = j
	}
	return o.states
}

// reportingDefinition draws a definition with a sector, a region and a quarter
// dimension beside a random one, and a coverage with gaps.
func reportingDefinition(rt *rapid.T) (*gateway.Definition, *gateway.Coverage) {
	region := flat("region", gateway.Partition, gateway.ChildMost, "10", "11", "15")
	region.Source.Column = gateway.ColumnRegion
	dims := []gateway.Dimension{
		flat("quarter", gateway.Multi, gateway.EventQuarter, "2023Q1", "2023Q2"), region,
		flat("sector", gateway.Multi, gateway.EventSector, "police", "health"), tree("t", rapid.SliceOfN(rapid.IntRange(1, 3), 1, 2).Draw(rt, "tree")...),
	}
	if rapid.Bool().Draw(rt, "omits") {
		dims[1].Omitted = "15"
	}
	d := definition(dims, randomCube(rt, "one", []string{"quarter", "region", "sector", "t"}))
	d.From, d.To, d.V = 2023*4, 2023*4+1, 100
	if rapid.Bool().Draw(rt, "events") {
		d.Cubes[0].Grain = gateway.Events
	}
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for _, sector := range []gateway.ContractID{"police", "health"} {
		full[sector] = map[string][]gateway.Quarter{}
		for _, code := range []string{"10", "11", "15"} {
			full[sector][code] = rapid.SliceOfNDistinct(rapid.SampledFrom([]gateway.Quarter{d.From - 1, d.From, d.To}), 0, 3, rapid.ID[gateway.Quarter]).Draw(rt, "full")
		}
	}
	return d, &gateway.Coverage{Full: full}
}

// Protection is the text: the states of every cell are the oracle's, for random
// definitions, populations, keys and gaps of reporting.
func TestProtectAgreesWithTheOracle(t *testing.T) {
	rules := map[state]int{}
	rapid.Check(t, func(rt *rapid.T) {
		d, cover := reportingDefinition(rt)
		w := randomTruth(rt, d)
		counts := w.counts()
		raw := NewRaw(d)
		for _, a := range d.AdmittedSets() {
			for label, c := range counts[a.Set.Key(d)] {
				if err := raw.Add(a.Set, codesOf(label), *c); err != nil {
					rt.Fatal(err)
				}
			}
		}
		rel := release(d, 1, rapid.IntRange(0, 1000).Draw(rt, "key"))
		rel.Coverage = cover
		p := inside(t, raw, rel)
		o := &oracle{d: d, counts: counts, keys: newKeyed(rel.Noise, d.Lineage, 1), law: p.law, tables: p.tables, cover: cover}
		want := o.run()
		raw = NewRaw(d)
		for _, a := range d.AdmittedSets() {
			for label, c := range counts[a.Set.Key(d)] {
				_ = raw.Add(a.Set, codesOf(label), *c)
			}
		}
		published, err := Protect(raw, rel)
		if err != nil {
			rt.Fatal(err)
		}
		names := map[string]cellOf{}
		for _, c := range o.all() {
			names[c.label()] = c
		}
		each(p.l, func(s *set, c int, _ []int, label string) {
			got := p.states[s.index][c]
			if got != want[label] {
				rt.Fatalf("%s: state %d, the oracle says %d", label, got, want[label])
			}
			rules[got]++
			for _, m := range s.Measures {
				if _, v, ok := published.Cell(label, m); ok && got == shown && v != o.value(o.same(names[label]), m) {
					rt.Fatalf("%s of %s: %d, the oracle says %d", m, label, v, o.value(o.same(names[label]), m))
				}
			}
		})
	})
	t.Logf("cells by state: %v", rules)
	for _, st := range []state{hiddenSmall, hiddenNear, hiddenRest, shown, notReported, omitted} {
		if rules[st] == 0 {
			t.Errorf("no cell came to state %d: the test says nothing of it", st)
		}
	}
}
