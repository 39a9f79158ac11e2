package configs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// What becomes of children is defined in cube files: paths, and the outcomes that are
// read off them (domain.md 3.1). Several definitions include one file of them, so that
// an indicator means the same everywhere.

// maxPathDays bounds how far from the start of a path a record may be sought.
const maxPathDays = 2000

type pathFile struct {
	ID    string               `yaml:"id"`
	Start []happeningFile      `yaml:"start"`
	Steps []stepFile           `yaml:"steps"`
	Days  int                  `yaml:"days"`
	Told  []gateway.ContractID `yaml:"told"`
}

type stepFile struct {
	ID    string          `yaml:"id"`
	Any   []happeningFile `yaml:"any"`
	After string          `yaml:"after"`
	From  int             `yaml:"from"`
	To    *int            `yaml:"to"`
	Slip  bool            `yaml:"slip"`
	Near  int             `yaml:"near"`
}

type happeningFile struct {
	Sector gateway.ContractID  `yaml:"sector"`
	Dates  []string            `yaml:"dates"`
	Own    bool                `yaml:"own"`
	Where  map[string][]string `yaml:"where"`
}

type outcomeFile struct {
	Path       string `yaml:"path"`
	Started    bool   `yaml:"started"`
	CannotTell bool   `yaml:"cannot_tell"`
	With       string `yaml:"with"`
	Days       []int  `yaml:"days"`
	Without    string `yaml:"without"`
}

// include reads the file that this one includes: its dimensions, cubes and indicators
// come last. It lies in the same folder; a file that lies elsewhere may include an
// embedded one.
func (r *cubeReader) include(fsys fs.FS, file string) {
	r.parts, r.tops = append(r.parts, &r.file), append(r.tops, r.top)
	if r.file.Include != "" {
		name := path.Join(path.Dir(file), r.file.Include)
		if _, err := fs.Stat(fsys, name); err != nil {
			fsys, name = embedded, path.Join("cubes", r.file.Include)
		}
		var f cubeFile
		if doc := open(fsys, name, &f, r.found); doc != nil {
			f.check(doc.top())
			r.parts, r.tops = append(r.parts, &f), append(r.tops, doc.top())
		}
	}
}

// check refuses in an included file what is of a whole definition.
func (f *cubeFile) check(at place) {
	if f.Include != "" || f.Lineage != "" || f.Window.From != "" || f.Window.To != "" || f.V != 0 || f.Profile != "" ||
		f.Standing != nil || f.Public != nil || f.Gate != nil || len(f.Values)+len(f.Impossible)+len(f.Implied) > 0 {
		at.bad("an included file holds dimensions, cubes and indicators, and nothing else")
	}
}

// readPaths reads the paths of a dimension of outcomes.
func (r *cubeReader) readPaths(f *dimensionFile, d *gateway.Dimension, at place) {
	for i := range f.Source.Paths {
		p, at := &f.Source.Paths[i], at.at("source").at("paths").at(i)
		read := gateway.Path{ID: p.ID, Start: r.happenings(p.Start, at.at("start")), Days: p.Days, Told: p.Told}
		if !namePattern.MatchString(p.ID) || d.Path(p.ID) != nil {
			at.at("id").bad("path id %q does not match %s, or is given twice", p.ID, namePattern)
		}
		if p.Days < 0 || p.Days > maxPathDays {
			at.at("days").bad("days must be from 0 to %d", maxPathDays)
		}
		r.checkTold(p, at.at("told"))
		for j := range p.Steps {
			r.readStep(&p.Steps[j], &read, at.at("steps").at(j))
		}
		for _, other := range d.Source.Paths {
			if sameCohort(&other, &read) {
				at.bad("paths %s and %s are of one cohort, told at one time, so two labels would be of the same children: put the steps into one", other.ID, p.ID)
			}
		}
		d.Source.Paths = append(d.Source.Paths, read)
	}
	r.paths = d.Source.Paths
}

func (r *cubeReader) checkTold(p *pathFile, at place) {
	for i, id := range p.Told {
		if r.contract(id) == nil || slices.Contains(p.Told[:i], id) {
			at.at(i).bad("there is no contract %q, or it is given twice", id)
		}
	}
	for _, of := range append(slices.Clone(p.Start), anyOf(p.Steps)...) {
		if !slices.Contains(p.Told, of.Sector) {
			at.bad("path %s looks at records of %s, so it cannot be told before they are reported", p.ID, of.Sector)
		}
	}
}

func anyOf(steps []stepFile) []happeningFile {
	var all []happeningFile
	for _, s := range steps {
		all = append(all, s.Any...)
	}
	return all
}

// sameCohort reports whether two paths start with the same and are told together.
func sameCohort(a, b *gateway.Path) bool {
	sorted := func(ids []gateway.ContractID) []gateway.ContractID { return slices.Sorted(slices.Values(ids)) }
	return a.Days == b.Days && sameStart(a, b) && slices.Equal(sorted(a.Told), sorted(b.Told))
}

func sameStart(a, b *gateway.Path) bool {
	if a == nil || b == nil {
		return false
	}
	same := func(x, y gateway.Happening) bool {
		return x.Sector == y.Sector && x.Own == y.Own && slices.Equal(x.Dates, y.Dates) && maps.EqualFunc(x.Where, y.Where, slices.Equal)
	}
	return slices.EqualFunc(a.Start, b.Start, same)
}

func (r *cubeReader) readStep(f *stepFile, p *gateway.Path, at place) {
	s := gateway.Step{ID: f.ID, Any: r.happenings(f.Any, at.at("any")), After: f.After, From: f.From, To: p.Days, Slip: f.Slip, Near: f.Near}
	if f.To != nil {
		s.To = *f.To
	}
	switch {
	case !namePattern.MatchString(f.ID) || p.Step(f.ID) >= 0:
		at.at("id").bad("step id %q does not match %s, or is given twice", f.ID, namePattern)
	case f.After != "" && p.Step(f.After) < 0:
		at.at("after").bad("path %s has no earlier step %q", p.ID, f.After)
	case s.From < -maxPathDays || s.To < s.From || s.To > p.Days:
		at.bad("a step is from some days to as many or more, and not beyond the days of its path")
	case s.Near < 0 || s.Near > p.Days || s.Near > 0 && !s.Slip || s.Slip && s.After != "":
		at.bad("near is of steps that look for a referral slip, at most the days of the path; they follow the start")
	}
	if s.Slip {
		for _, h := range append(slices.Clone(p.Start), s.Any...) {
			c := r.contract(h.Sector)
			if c == nil {
				continue
			}
			if f := stored(c, gateway.ColumnSlip); f == nil || f.Type != gateway.TypeIdentifier {
				at.at("slip").bad("contract %s stores no number of a referral slip", h.Sector)
			}
		}
		if slices.ContainsFunc(s.Any, func(h gateway.Happening) bool { return len(h.Where) > 0 }) {
			at.at("any").bad("any record of a sector that bears the number has received the slip")
		}
	}
	p.Steps = append(p.Steps, s)
}

// happenings holds records and dates against the contracts.
func (r *cubeReader) happenings(files []happeningFile, at place) []gateway.Happening {
	if len(files) == 0 {
		at.bad("a start or a step needs a happening")
	}
	var all []gateway.Happening
	for i, f := range files {
		at := at.at(i)
		c := r.contract(f.Sector)
		if c == nil {
			at.bad("there is no contract %q", f.Sector)
			continue
		}
		for _, name := range f.Dates {
			if field := stored(c, name); field == nil || field.Type != gateway.TypeDate {
				at.at("dates").bad("contract %s stores no date %q", c.ID, name)
			}
		}
		if f.Own && len(f.Dates) == 0 {
			at.at("own").bad("without dates a happening is on the record's own day")
		}
		for _, column := range slices.Sorted(maps.Keys(f.Where)) {
			field := stored(c, column)
			if field == nil || field.List == nil || field.Type != gateway.TypeCode {
				at.at("where").bad("contract %s stores no codes in a column %q", c.ID, column)
				continue
			}
			for _, code := range f.Where[column] {
				if _, known := field.List.Number([]byte(code)); !known {
					at.at("where").at(column).bad("code list %s has no code %q", field.List.ID, code)
				}
			}
		}
		all = append(all, gateway.Happening{Sector: f.Sector, Dates: f.Dates, Own: f.Own, Where: f.Where})
	}
	return all
}

// outcomes are the nodes of a dimension of outcomes. The cohort of a path that begins
// with any record of one sector is the sector's children: it has a label already.
func (r *cubeReader) outcomes(f *dimensionFile, at place) []gateway.Node {
	d := &gateway.Dimension{Source: gateway.Source{Paths: r.paths}}
	nodes := named(f, at)
	said := map[string]bool{}
	for i := range nodes {
		o, at := f.Nodes[i].Outcome, at.at("nodes").at(i)
		if o == nil {
			continue
		}
		p := d.Path(o.Path)
		if p == nil {
			at.at("outcome").bad("there is no path %q", o.Path)
			continue
		}
		nodes[i].Outcome = &gateway.Outcome{Path: o.Path, Started: o.Started, CannotTell: o.CannotTell, With: o.With, Days: o.Days, Without: o.Without}
		checkOutcome(p, nodes[i].Outcome, at)
		key := sayingOf(nodes[i].Outcome)
		if said[key] {
			at.bad("two nodes say the same of one path")
		}
		said[key] = true
	}
	for i := range nodes {
		if nodes[i].Outcome != nil {
			nodes[i].Outcome.Within = within(d, nodes, i)
		}
	}
	return nodes
}

func checkOutcome(p *gateway.Path, o *gateway.Outcome, at place) {
	said := 0
	for _, is := range []bool{o.Started, o.CannotTell, o.With != "", o.Without != ""} {
		if is {
			said++
		}
	}
	_, whole := p.Sector()
	switch {
	case said != 1:
		at.at("outcome").bad("an outcome is one of started, cannot_tell, with and without")
	case o.With != "" && p.Step(o.With) < 0, o.Without != "" && p.Step(o.Without) < 0:
		at.at("outcome").bad("path %s has no such step", p.ID)
	case len(o.Days) != 0 && (len(o.Days) != 2 || o.With == "" || o.Days[0] > o.Days[1]):
		at.at("outcome").at("days").bad("days are the first and the last of a step that was found")
	case o.Started && whole:
		at.at("outcome").bad("who started the path are the children of its sector: they have that label")
	}
}

func sayingOf(o *gateway.Outcome) string {
	key := o.Path + "|" + o.With + "|" + o.Without
	switch {
	case o.Started:
		key += "|started"
	case o.CannotTell:
		key += "|cannot"
	}
	if len(o.Days) == 2 {
		key += "|" + strconv.Itoa(o.Days[0]) + "|" + strconv.Itoa(o.Days[1])
	}
	return key
}

// within finds the node that holds all children of another: of a step found, the step
// that it comes after, or the one found at all where it is a band of days; else the
// cohort.
func within(d *gateway.Dimension, nodes []gateway.Node, i int) string {
	o := nodes[i].Outcome
	find := func(is func(*gateway.Outcome) bool) string {
		for _, n := range nodes {
			if n.Outcome != nil && n.Code != nodes[i].Code && n.Outcome.Path == o.Path && is(n.Outcome) {
				return n.Code
			}
		}
		return ""
	}
	if o.Started {
		return ""
	}
	p := d.Path(o.Path)
	for step := o.With; step != ""; {
		if len(o.Days) == 0 && step == o.With {
			step = p.Steps[max(0, p.Step(step))].After
			continue
		}
		if code := find(func(x *gateway.Outcome) bool { return x.With == step && len(x.Days) == 0 }); code != "" {
			return code
		}
		step = p.Steps[max(0, p.Step(step))].After
	}
	for _, n := range nodes { // of this path, or of another that starts with the same
		if n.Outcome != nil && n.Outcome.Started && sameStart(d.Path(n.Outcome.Path), p) {
			return n.Code
		}
	}
	return ""
}

// startOf lists the sectors that have seen every child of an outcome: the one that its
// path starts with.
func startOf(d *gateway.Dimension, code string) []gateway.ContractID {
	n := d.Node(code)
	if n == nil || n.Outcome == nil {
		return nil
	}
	p := d.Path(n.Outcome.Path)
	if p == nil {
		return nil
	}
	if sector, _ := p.Sector(); sector != "" {
		return []gateway.ContractID{sector}
	}
	return nil
}
