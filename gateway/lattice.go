package gateway

import (
	"slices"
	"sort"
	"strings"
)

// MaxNominalCells is the most cells that a grouping set may have by its code
// lists alone; larger sets are not admitted. No data is looked at
// (disclosure.md 2.1).
const MaxNominalCells = 5000

// MaxDepth is the most non-root dimensions that any cell may have.
const MaxDepth = 4

// A SetDimension is one dimension of a grouping set, at one level.
type SetDimension struct {
	Name  string
	Level int
}

// A GroupingSet is a choice of levels of distinct dimensions, sorted by name;
// dimensions that are left out are at their root. The empty set is the total.
type GroupingSet []SetDimension

// Key returns the canonical name of the set: "age@band|sex@sex", "" for the total.
func (s GroupingSet) Key(d *Definition) string {
	parts := make([]string, len(s))
	for i, sd := range s {
		parts[i] = sd.Name + "@" + d.Dimension(sd.Name).Levels[sd.Level]
	}
	return strings.Join(parts, "|")
}

// NominalCells returns the product of the set's code-list sizes.
func (s GroupingSet) NominalCells(d *Definition) int {
	n := 1
	for _, sd := range s {
		n *= len(d.Dimension(sd.Name).AtLevel(sd.Level))
	}
	return n
}

// Label returns the canonical label of a cell, without release and measure:
// "age=Y10T14|region=61|sex=F". nodes are the codes in the order of the set.
func (s GroupingSet) Label(nodes []string) string {
	var b strings.Builder
	for i, sd := range s {
		if i > 0 {
			b.WriteByte('|')
		}
		b.WriteString(sd.Name)
		b.WriteByte('=')
		b.WriteString(nodes[i])
	}
	return b.String()
}

// An AdmittedSet is a grouping set that a release counts.
type AdmittedSet struct {
	Set      GroupingSet
	Cubes    []string  // ids of the cubes that admit it
	Grain    Grain     // Events where any of the cubes counts events
	Measures []Measure // union over the cubes, sorted
	Values   []string  // ids of values, where the set names the sector; likewise
}

// AdmittedSets returns every grouping set that some cube of the definition
// admits, each once, sorted by size and then by key. A set is admitted when it
// has at most the cube's cap of dimensions and those of Caps for the ones that it
// names, names at most one dimension of each Apart group, and has at most
// MaxNominalCells cells by its code lists.
func (d *Definition) AdmittedSets() []AdmittedSet {
	byKey := map[string]*AdmittedSet{}
	for i := range d.Cubes {
		c := &d.Cubes[i]
		for _, set := range d.setsOf(c) {
			key := set.Key(d)
			a := byKey[key]
			if a == nil {
				a = &AdmittedSet{Set: set, Grain: c.Grain}
				byKey[key] = a
			}
			a.admit(d, c)
		}
	}
	sets := make([]AdmittedSet, 0, len(byKey))
	for _, a := range byKey {
		sets = append(sets, *a)
	}
	sort.Slice(sets, func(i, j int) bool {
		if len(sets[i].Set) != len(sets[j].Set) {
			return len(sets[i].Set) < len(sets[j].Set)
		}
		return sets[i].Set.Key(d) < sets[j].Set.Key(d)
	})
	return sets
}

func (a *AdmittedSet) admit(d *Definition, c *Cube) {
	a.Cubes = append(a.Cubes, c.ID)
	if c.Grain == Events {
		a.Grain = Events
	}
	for _, m := range c.Measures {
		if !slices.Contains(a.Measures, m) {
			a.Measures = append(a.Measures, m)
		}
	}
	slices.Sort(a.Measures)
	if len(c.Values) > 0 && d.SectorOf(a.Set) >= 0 {
		a.Values = append(a.Values, c.Values...)
		slices.Sort(a.Values)
		a.Values = slices.Compact(a.Values)
	}
}

// setsOf returns the grouping sets that one cube admits.
func (d *Definition) setsOf(c *Cube) []GroupingSet {
	names := slices.Sorted(slices.Values(c.Dimensions))
	sets := []GroupingSet{{}}
	for _, name := range names {
		dim := d.Dimension(name)
		for _, set := range sets {
			if len(set) >= min(c.Cap, MaxDepth) {
				continue
			}
			for level := range dim.Levels {
				larger := append(slices.Clone(set), SetDimension{name, level})
				if d.admits(c, larger) {
					sets = append(sets, larger)
				}
			}
		}
	}
	return sets
}

// admits reports whether the cube allows the set. It is monotone: a set whose
// subset is refused is refused too.
func (d *Definition) admits(c *Cube, set GroupingSet) bool {
	for _, group := range c.Apart {
		named := 0
		for _, sd := range set {
			if slices.Contains(group, sd.Name) {
				named++
			}
		}
		if named > 1 {
			return false
		}
	}
	for _, sd := range set {
		if limit, limited := c.Caps[sd.Name]; limited && len(set) > limit {
			return false
		}
	}
	return set.NominalCells(d) <= MaxNominalCells
}
