package configs

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

type indicatorFile struct {
	ID         string               `yaml:"id"`
	Title      gateway.Text         `yaml:"title"`
	Definition gateway.Text         `yaml:"definition"`
	Shape      gateway.Shape        `yaml:"shape"`
	Cube       string               `yaml:"cube"`
	Parts      []readingFile        `yaml:"parts"`
	Of         readingFile          `yaml:"of"`
	CannotTell map[string]string    `yaml:"cannot_tell"`
	Linked     []gateway.ContractID `yaml:"linked"`
	By         []string             `yaml:"by"`
}

type readingFile struct {
	Title  gateway.Text      `yaml:"title"`
	Cube   string            `yaml:"cube"`
	Filter map[string]string `yaml:"filter"`
	Days   []int             `yaml:"days"`
}

func (f *readingFile) reading() gateway.Reading {
	return gateway.Reading{Title: f.Title, Cube: f.Cube, Filter: f.Filter, Days: f.Days}
}

// readIndicators reads what cells make an indicator. Titles and definitions are in
// three languages: this is what a ministry quotes.
func (r *cubeReader) readIndicators() {
	for i, part := range r.parts {
		for j := range part.Indicators {
			r.readIndicator(&part.Indicators[j], r.tops[i].at("indicators").at(j))
		}
	}
}

func (r *cubeReader) readIndicator(f *indicatorFile, at place) {
	n := gateway.Indicator{
		ID: f.ID, Title: f.Title, Definition: f.Definition, Shape: f.Shape, Cube: f.Cube,
		Of: f.Of.reading(), CannotTell: f.CannotTell, Linked: f.Linked, By: f.By,
	}
	for _, p := range f.Parts {
		n.Parts = append(n.Parts, p.reading())
	}
	if !namePattern.MatchString(n.ID) || r.def.Indicator(n.ID) != nil {
		at.at("id").bad("indicator id %q does not match %s, or is given twice", n.ID, namePattern)
	}
	for key, text := range map[string]gateway.Text{"title": n.Title, "definition": n.Definition} {
		if text.KK == "" || text.RU == "" || text.EN == "" {
			at.at(key).bad("the %s of indicator %s is in Kazakh, Russian and English", key, n.ID)
		}
	}
	for k, id := range n.Linked {
		if r.contract(id) == nil {
			at.at("linked").at(k).bad("there is no contract %q", id)
		}
	}
	r.checkReadings(&n, at)
	r.def.Indicators = append(r.def.Indicators, n)
}

// checkReadings holds the cells of an indicator against the lattice: each must be
// admitted by its cube, alone and by every dimension of By.
func (r *cubeReader) checkReadings(n *gateway.Indicator, at place) {
	switch n.Shape {
	case gateway.ShapeOperation:
		if len(n.Parts) > 0 || n.Cube != "" {
			at.bad("an indicator of operation has no cells")
		}
		return
	case gateway.ShapeShare, gateway.ShapeStages, gateway.ShapeBands, gateway.ShapeOverlap:
	default:
		at.at("shape").bad("shape %q is none of share, stages, bands, overlap and operation", n.Shape)
	}
	if len(n.Parts) == 0 {
		at.bad("indicator %s has no numerator", n.ID)
	}
	for i := range n.Parts {
		p, at := &n.Parts[i], at.at("parts").at(i)
		if p.Title.KK == "" || p.Title.RU == "" || p.Title.EN == "" {
			at.bad("a part has a title in Kazakh, Russian and English")
		}
		if len(p.Filter) == 0 {
			at.bad("a part names a cell")
		}
		if len(p.Days) != 0 && (len(p.Days) != 2 || p.Days[0] > p.Days[1]) {
			at.at("days").bad("a band is from a day to a day")
		}
		r.checkReading(n, p, at)
	}
	r.checkReading(n, &n.Of, at.at("of"))
	if n.CannotTell != nil {
		r.checkReading(n, &gateway.Reading{Filter: n.CannotTell}, at.at("cannot_tell"))
	}
}

func (r *cubeReader) checkReading(n *gateway.Indicator, reading *gateway.Reading, at place) {
	id := reading.Cube
	if id == "" {
		id = n.Cube
	}
	cube := r.def.Cube(id)
	if cube == nil {
		at.bad("there is no cube %q", id)
		return
	}
	groups := append([]string{""}, n.By...)
	for _, by := range groups {
		names := slices.Sorted(maps.Keys(reading.Filter))
		if by != "" && !slices.Contains(names, by) {
			names = append(names, by)
		}
		var set gateway.GroupingSet
		for _, name := range slices.Sorted(slices.Values(names)) {
			d := r.def.Dimension(name)
			code := reading.Filter[name]
			if d == nil || !slices.Contains(cube.Dimensions, name) || code != "" && (d.Node(code) == nil || code == d.Omitted) {
				at.bad("cube %s has no dimension %s, or it has no published node %q", id, name, code)
				return
			}
			level := 0
			if code != "" {
				level = d.Node(code).Level
			}
			set = append(set, gateway.SetDimension{Name: name, Level: level})
		}
		if !r.admitted(cube, set) {
			at.bad("cube %s does not admit the cells of %s", id, set.Key(r.def))
		}
	}
}

// admitted reports whether a cube admits a grouping set.
func (r *cubeReader) admitted(cube *gateway.Cube, set gateway.GroupingSet) bool {
	one := *r.def
	one.Cubes = []gateway.Cube{*cube}
	return slices.ContainsFunc(one.AdmittedSets(), func(a gateway.AdmittedSet) bool { return a.Set.Key(r.def) == set.Key(r.def) })
}
