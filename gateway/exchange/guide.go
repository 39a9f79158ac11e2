package exchange

import (
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Guide is a release's catalogue in one language: what can be asked, what it means, and
// how far it can be relied on. It is made of the pinned definition, of the route budget,
// of the sparsity gate and of bands, so no number in it is of children.
type Guide struct {
	Lang     string        `json:"lang"` // kk, ru or en
	Cubes    []GuideCube   `json:"cubes"`
	Agencies []GuideAgency `json:"agencies"`
	Places   []GuidePlace  `json:"places"`
	Sectors  []GuideSector `json:"sectors"`
	Notes    []string      `json:"notes"`
	// Indicators read several cells together.
	Indicators []GuideIndicator `json:"indicators,omitempty"`
}

// A GuideIndicator is what one indicator means, and how far the records that it rests on
// can be relied on.
type GuideIndicator struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Definition string   `json:"definition"`
	Of         string   `json:"of"`
	Parts      []string `json:"parts"`
	CannotTell bool     `json:"cannot_tell"` // it says how many children it cannot tell of
	Linkable   string   `json:"linkable"`
	By         []string `json:"by,omitempty"`
}

// A GuideCube is what one cube answers.
type GuideCube struct {
	ID         string           `json:"id"`
	Title      string           `json:"title"`
	Counts     string           `json:"counts"` // what its cells are made of
	Most       int              `json:"most_dimensions"`
	Apart      [][]string       `json:"apart,omitempty"` // of each group one dimension at a time
	Dimensions []GuideDimension `json:"dimensions"`
	Measures   []GuideMeasure   `json:"measures"`
	Admitted   []GuideSet       `json:"admitted"`         // what may be crossed
	Closed     []string         `json:"closed,omitempty"` // sets that are too sparse to be published
}

// A GuideDimension is a tree of codes, and what its codes mean.
type GuideDimension struct {
	Name       string      `json:"name"`
	Title      string      `json:"title"`
	Definition string      `json:"definition"`
	Levels     []string    `json:"levels"`
	Codes      []GuideCode `json:"codes"`
}

// A GuideCode is a node of a tree.
type GuideCode struct {
	Code   string `json:"code"`
	Title  string `json:"title"`
	Parent string `json:"parent,omitempty"`
	Level  string `json:"level"`
	Note   string `json:"note,omitempty"`
}

// A GuideMeasure is something that can be asked of a cube.
type GuideMeasure struct {
	Measure    gateway.Measure `json:"measure"`
	Definition string          `json:"definition"`
}

// A GuideSet is a grouping set, and how many cells its code lists make.
type GuideSet struct {
	Set   string `json:"set"`
	Cells int    `json:"cells"`
}

// A GuideSector is how far the records of a sector can be relied on, in words.
type GuideSector struct {
	Contract gateway.ContractID `json:"contract"`
	Title    string             `json:"title"`
	Reported string             `json:"reported"`
	Timely   string             `json:"timely"`
	Linkage  GuideLinkage       `json:"linkage"`
}

// A GuideAgency is the same of one agency.
type GuideAgency struct {
	Agency gateway.AgencyID `json:"agency"`
	GuideSector
	Regions []string `json:"regions"`
}

// A GuidePlace is how a sector has reported for a region.
type GuidePlace struct {
	Contract gateway.ContractID `json:"contract"`
	Sector   string             `json:"sector"`
	Region   string             `json:"region"`
	Title    string             `json:"title"`
	Reported string             `json:"reported"`
	Timely   string             `json:"timely"`
	Through  string             `json:"through"`
}

// GuideLinkage are the shares of records in words.
type GuideLinkage struct {
	Linkable    string `json:"linkable"`
	Identified  string `json:"identified"`
	Disagreeing string `json:"disagreeing"`
	Fallback    string `json:"fallback"`
}

// Guide returns a catalogue in a language: kk, ru or en.
func (x *Exchange) Guide(c Catalogue, lang string) *Guide {
	g := &guiding{lang: lang, pinned: &c.Pinned, sectors: map[gateway.ContractID]gateway.Text{}, regions: map[string]gateway.Text{}}
	if !slices.Contains([]string{"kk", "ru"}, lang) {
		g.lang = "en"
	}
	for _, contract := range x.Options.Contracts {
		g.sectors[contract.ID] = contract.Title
		g.addRegions(contract)
	}
	guide := &Guide{Lang: g.lang, Cubes: []GuideCube{}, Agencies: []GuideAgency{}, Places: []GuidePlace{}, Sectors: []GuideSector{}, Notes: []string{}}
	d := c.Pinned.Definition
	if d == nil {
		return guide
	}
	for i := range d.Cubes {
		guide.Cubes = append(guide.Cubes, g.cube(&d.Cubes[i]))
	}
	if q := c.Pinned.Quality; q != nil {
		g.quality(guide, q)
	}
	for i := range d.Indicators {
		guide.Indicators = append(guide.Indicators, g.indicator(&d.Indicators[i]))
	}
	guide.Notes = g.notes(d)
	return guide
}

// guiding puts a release into one language.
type guiding struct {
	lang    string
	pinned  *Pinned
	sectors map[gateway.ContractID]gateway.Text
	regions map[string]gateway.Text
}

// title puts a title into the language, or says the id where there is none.
func (g *guiding) title(t gateway.Text, id string) string {
	if title := t.In(g.lang); title != "" {
		return title
	}
	return id
}

func (g *guiding) sector(id gateway.ContractID) string { return g.title(g.sectors[id], string(id)) }

func (g *guiding) region(code string) string { return g.title(g.regions[code], code) }

// addRegions takes the titles of regions from where a contract has them.
func (g *guiding) addRegions(c *gateway.Contract) {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Column == gateway.ColumnRegion && f.List != nil {
			for _, code := range f.List.Codes {
				g.regions[code.Code] = code.Title
			}
		}
	}
}

func (g *guiding) cube(c *gateway.Cube) GuideCube {
	d := g.pinned.Definition
	cube := GuideCube{
		ID: c.ID, Title: g.title(c.Title, c.ID), Counts: g.say(wordGrains[c.Grain]), Most: c.Cap, Apart: c.Apart,
		Dimensions: []GuideDimension{}, Measures: []GuideMeasure{}, Admitted: []GuideSet{},
	}
	for _, name := range c.Dimensions {
		if dim := d.Dimension(name); dim != nil {
			cube.Dimensions = append(cube.Dimensions, g.dimension(dim))
		}
	}
	cube.Measures = g.measures(c)
	g.admitted(c, &cube)
	return cube
}

// measures says what may be asked of a cube: what [disclosure.Published.Measures] lists.
func (g *guiding) measures(c *gateway.Cube) []GuideMeasure {
	d, list := g.pinned.Definition, []GuideMeasure{}
	add := func(m gateway.Measure, word gateway.Text, args ...any) {
		list = append(list, GuideMeasure{m, g.say(word, args...)})
	}
	for _, m := range c.Measures {
		add(m, wordMeasures[m])
	}
	if d.Profile != gateway.Interactive {
		return list
	}
	for _, id := range c.Values {
		if v := d.Value(id); v != nil {
			add(gateway.SumOf(id), wordSum, v.Title.In(g.lang), v.Unit.In(g.lang), g.sector(v.Sector), v.Min, v.Max, v.Precision)
			add(gateway.Measure(id+".mean"), wordMean, v.Title.In(g.lang))
		}
	}
	for _, name := range c.Dimensions {
		dim := d.Dimension(name)
		if dim == nil {
			continue
		}
		if banded(dim) {
			add(gateway.Measure(name+".median"), wordMedian, dim.Title.In(g.lang))
			add(gateway.Measure(name+".p25"), wordQuantile, dim.Title.In(g.lang))
		}
		add(gateway.Measure(name+".share"), wordShare, dim.Title.In(g.lang))
		if dim.Source.Kind == gateway.SectorPair {
			add(gateway.Measure(name+".jaccard"), wordJaccard)
		}
	}
	return list
}

// banded reports whether quantiles can be made of a dimension: of bands of numbers that
// are all published.
func banded(d *gateway.Dimension) bool {
	return d.Kind == gateway.Partition && d.Omitted == "" &&
		!slices.ContainsFunc(d.AtLevel(len(d.Levels)-1), func(n gateway.Node) bool { return n.Band == nil })
}

func (g *guiding) indicator(n *gateway.Indicator) GuideIndicator {
	out := GuideIndicator{
		ID: n.ID, Title: g.title(n.Title, n.ID), Definition: n.Definition.In(g.lang), Of: n.Of.Title.In(g.lang), Parts: []string{},
		CannotTell: n.CannotTell != nil, By: n.By, Linkable: g.say(wordUntold),
	}
	if len(n.Linked) > 0 {
		out.Linkable = g.band(g.pinned.Quality.Linkable(n.Linked...))
	}
	for _, part := range n.Parts {
		out.Parts = append(out.Parts, part.Title.In(g.lang))
	}
	return out
}

// admitted lists the grouping sets of a cube, but for those that the gate closes.
func (g *guiding) admitted(c *gateway.Cube, cube *GuideCube) {
	if g.pinned.Budget == nil {
		return
	}
	for _, s := range g.pinned.Budget.Sets {
		switch {
		case !slices.Contains(s.Cubes, c.ID):
		case g.pinned.Gate != nil && g.pinned.Gate.Closes(s.Set):
			cube.Closed = append(cube.Closed, s.Set)
		default:
			cube.Admitted = append(cube.Admitted, GuideSet{s.Set, s.Cells})
		}
	}
}

func (g *guiding) dimension(d *gateway.Dimension) GuideDimension {
	out := GuideDimension{Name: d.Name, Title: g.title(d.Title, d.Name), Definition: g.definition(d), Levels: d.Levels, Codes: []GuideCode{}}
	for _, n := range d.Nodes {
		code := GuideCode{Code: n.Code, Title: g.title(n.Title, n.Code), Parent: n.Parent}
		if n.Level >= 0 && n.Level < len(d.Levels) {
			code.Level = d.Levels[n.Level]
		}
		if n.Code == d.Omitted && d.Omitted != "" {
			code.Note = g.say(wordOmitted)
		}
		out.Codes = append(out.Codes, code)
	}
	return out
}

// definition says what it means to be in a node of a dimension.
func (g *guiding) definition(d *gateway.Dimension) string {
	word, known := wordSources[d.Source.Kind]
	if !known {
		return g.say(wordKinds[d.Kind])
	}
	text := g.say(word)
	if d.Source.Kind == gateway.ReachedIn {
		var targets []string
		for _, id := range slices.Sorted(maps.Keys(d.Source.Targets)) {
			targets = append(targets, g.sector(id))
		}
		text = g.say(word, g.sector(d.Source.Start), strings.Join(targets, ", "), d.Source.Days)
	}
	return text + " " + g.say(wordKinds[d.Kind])
}

func (g *guiding) quality(guide *Guide, q *gateway.Quality) {
	for _, s := range q.Sectors {
		guide.Sectors = append(guide.Sectors, GuideSector{
			s.Contract, g.sector(s.Contract), g.say(wordReported[s.Reported]), g.say(wordTimely[s.Timely]), g.linkage(s.Linkage),
		})
	}
	for _, a := range q.Agencies {
		of := GuideAgency{Agency: a.Agency, Regions: []string{}}
		of.GuideSector = GuideSector{
			a.Contract, g.title(a.Title, string(a.Agency)), g.say(wordReported[a.Reported]), g.say(wordTimely[a.Timely]), g.linkage(a.Linkage),
		}
		for _, code := range a.Regions {
			of.Regions = append(of.Regions, g.region(code))
		}
		guide.Agencies = append(guide.Agencies, of)
	}
	for _, p := range q.Places {
		through := g.say(wordNoThrough)
		if p.Through != 0 {
			through = p.Through.String()
		}
		guide.Places = append(guide.Places, GuidePlace{
			p.Contract, g.sector(p.Contract), p.Region, g.region(p.Region), g.say(wordReported[p.Reported]), g.say(wordTimely[p.Timely]), through,
		})
	}
}

func (g *guiding) linkage(l gateway.LinkageBands) GuideLinkage {
	return GuideLinkage{g.band(l.Linkable), g.band(l.Identified), g.band(l.Disagreeing), g.band(l.Fallback)}
}

func (g *guiding) band(b gateway.ShareBand) string {
	if b == "" {
		return g.say(wordUntold)
	}
	return strings.ReplaceAll(string(b), "-", "–") + " %"
}

// notes say what holds for every table, in the reader's language.
func (g *guiding) notes(d *gateway.Definition) []string {
	notes := []string{g.say(wordHidden)}
	switch d.Profile {
	case gateway.Interactive:
		notes = append(notes, g.say(wordNoise, d.V, g.pinned.Rules.ThresholdMin))
	case gateway.Public:
		notes = append(notes, g.say(wordPublic))
	case gateway.Standing:
	}
	return append(notes, g.say(wordSiblings), g.say(wordExpected), g.say(wordLinkable, gateway.QualityChildren), g.say(wordCannotTell))
}
