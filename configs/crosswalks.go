package configs

import (
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// crosswalkIndex is crosswalks/crosswalks.yaml.
type crosswalkIndex struct {
	Crosswalks []struct {
		ID      string       `yaml:"id"`
		Version int          `yaml:"version"`
		Title   gateway.Text `yaml:"title"`
		From    string       `yaml:"from"`
		To      string       `yaml:"to"`
		Status  string       `yaml:"status"`
		Source  string       `yaml:"source"`
	} `yaml:"crosswalks"`
}

var (
	crosswalkHeader = []string{"from", "to", "match", "valid_from", "valid_to"}
	allMatches      = []gateway.Match{gateway.MatchExact, gateway.MatchNarrower, gateway.MatchBroader, gateway.MatchRelated, gateway.MatchNone}

	// A vocabulary of others has a colon in its name, which no code list has.
	vocabularyPattern = regexp.MustCompile(`^[a-z][a-z0-9]*:[A-Za-z0-9_.-]+$`)
)

var embeddedCrosswalks = sync.OnceValues(func() ([]*gateway.Crosswalk, error) {
	s, err := embeddedSectors()
	if err != nil {
		return nil, err
	}
	return LoadCrosswalks(embedded, s.lists)
})

// Crosswalks returns the embedded crosswalks. They are shared: nobody may modify them.
func Crosswalks() ([]*gateway.Crosswalk, error) { return embeddedCrosswalks() }

// LoadCrosswalks reads the crosswalks of a folder, crosswalks/crosswalks.yaml and the
// CSV files that it names, and holds them against code lists.
func LoadCrosswalks(fsys fs.FS, lists map[gateway.CodeListID]*gateway.CodeList) ([]*gateway.Crosswalk, error) {
	found := &problems{}
	var index crosswalkIndex
	doc := open(fsys, "crosswalks/crosswalks.yaml", &index, found)
	if doc == nil {
		return nil, found.err()
	}
	var all []*gateway.Crosswalk
	named := map[string]bool{}
	for i, entry := range index.Crosswalks {
		at := doc.top().at("crosswalks").at(i)
		switch {
		case !namePattern.MatchString(entry.ID) || named[entry.ID]:
			at.at("id").bad("id %q does not match %s, or is given twice", entry.ID, namePattern)
			continue
		case entry.Version < 1 || entry.Title.EN == "" || entry.Source == "":
			at.bad("crosswalk %s has no version, no English title or no source", entry.ID)
		case !slices.Contains(listStatuses, entry.Status):
			at.at("status").bad("status %q is none of %s", entry.Status, strings.Join(listStatuses, ", "))
		}
		named[entry.ID] = true
		w := &walkFile{name: "crosswalks/" + entry.ID + ".csv", found: found, from: lists[gateway.CodeListID(entry.From)], to: lists[gateway.CodeListID(entry.To)]}
		for key, list := range map[string]*gateway.CodeList{entry.From: w.from, entry.To: w.to} {
			if list == nil && !vocabularyPattern.MatchString(key) {
				at.bad("%q is neither a code list nor the name of a vocabulary, such as kazstat:SEX", key)
			}
		}
		all = append(all, &gateway.Crosswalk{
			ID: entry.ID, Version: entry.Version, Title: entry.Title, From: entry.From, To: entry.To,
			Status: entry.Status, Source: entry.Source, Pairs: w.read(fsys),
		})
	}
	files, err := fs.Glob(fsys, "crosswalks/*.csv")
	if err != nil {
		found.add("crosswalks", 1, "%v", err)
	}
	for _, file := range files {
		if !named[strings.TrimSuffix(path.Base(file), ".csv")] {
			found.add(file, 1, "is not in crosswalks/crosswalks.yaml")
		}
	}
	return all, found.err()
}

// A walkFile is one CSV file of pairs.
type walkFile struct {
	name     string
	found    *problems
	from, to *gateway.CodeList // nil: a vocabulary of others
}

func (f *walkFile) read(fsys fs.FS) []gateway.Pair {
	opened, err := fsys.Open(f.name)
	if err != nil {
		f.found.add(f.name, 1, "cannot be read: %v", err)
		return nil
	}
	defer func() { _ = opened.Close() }()
	reader := csv.NewReader(opened)
	reader.FieldsPerRecord = len(crosswalkHeader)
	header, err := reader.Read()
	if err != nil || !slices.Equal(header, crosswalkHeader) {
		f.found.add(f.name, 1, "the header must be %s", strings.Join(crosswalkHeader, ","))
		return nil
	}
	days := listFile{name: f.name, found: f.found}
	var pairs []gateway.Pair
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return pairs
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			f.found.add(f.name, parse.Line, "%v", parse.Err)
			return nil
		}
		if err != nil {
			f.found.add(f.name, 1, "cannot be read: %v", err)
			return nil
		}
		line, _ := reader.FieldPos(0)
		p := gateway.Pair{From: row[0], To: row[1], Match: gateway.Match(row[2]), Since: days.day(line, row[3]), Until: days.day(line, row[4])}
		f.check(line, p, pairs)
		pairs = append(pairs, p)
	}
}

// check refuses a pair that says nothing or what another says already.
func (f *walkFile) check(line int, p gateway.Pair, before []gateway.Pair) {
	bad := func(format string, args ...any) { f.found.add(f.name, line, format, args...) }
	known := func(list *gateway.CodeList, code string) bool {
		if list == nil {
			return codePattern.MatchString(code)
		}
		_, ok := list.Number([]byte(code))
		return ok
	}
	if !known(f.from, p.From) {
		bad("%q is no code of the list that it is from", p.From)
	}
	if none := p.Match == gateway.MatchNone; none != (p.To == "") || !none && !known(f.to, p.To) {
		bad("%q is no code of the list that it is to; a pair to nothing has the match none", p.To)
	}
	if !slices.Contains(allMatches, p.Match) {
		bad("match %q is none of %v", p.Match, allMatches)
	}
	if p.Since != gateway.NoDay && p.Until != gateway.NoDay && p.Since > p.Until {
		bad("the pair holds to a day before the first")
	}
	for _, q := range before {
		if q.From == p.From && q.To == p.To && (q.Until == gateway.NoDay || p.Since == gateway.NoDay || p.Since <= q.Until) {
			bad("%s and %s are paired twice on one day", p.From, p.To)
		}
	}
}

// readBreaks notes where the codes of dimensions changed: as lists say when codes came
// and went, and as their crosswalks with themselves say what was divided into what.
// Divisions are those that are built in: a folder of cubes alone has none.
func (r *cubeReader) readBreaks() {
	walks, err := Crosswalks()
	if err != nil {
		r.found.add("crosswalks", 1, "%v", err)
		return
	}
	for i := range r.def.Dimensions {
		d := &r.def.Dimensions[i]
		if !listSource(d.Source.Kind) {
			continue
		}
		list := r.listOf(d.Source.Column)
		if list == nil {
			continue
		}
		breaks, told := divisions(d.Name, list, walks)
		breaks = append(breaks, validities(d, list, told)...)
		slices.SortStableFunc(breaks, func(a, b gateway.Break) int { return int(a.Day) - int(b.Day) })
		r.def.Breaks = append(r.def.Breaks, breaks...)
	}
}

func (r *cubeReader) listOf(column string) *gateway.CodeList {
	for _, c := range r.contracts {
		if f := stored(c, column); f != nil && f.List != nil {
			return f.List
		}
	}
	return nil
}

// divisions are the breaks of a list's crosswalks with itself, and the codes that they
// tell of.
func divisions(dimension string, list *gateway.CodeList, walks []*gateway.Crosswalk) ([]gateway.Break, map[string]bool) {
	var breaks []gateway.Break
	told := map[string]bool{}
	for _, w := range walks {
		if w.From != string(list.ID) || w.To != w.From {
			continue
		}
		for _, p := range w.Pairs {
			if p.Since == gateway.NoDay {
				continue
			}
			told[p.From], told[p.To] = true, true
			i := slices.IndexFunc(breaks, func(b gateway.Break) bool { return b.From == p.From && b.Day == p.Since })
			if i < 0 {
				breaks, i = append(breaks, gateway.Break{Dimension: dimension, Day: p.Since, From: p.From}), len(breaks)
			}
			breaks[i].Into = append(breaks[i].Into, p.To)
		}
	}
	return breaks, told
}

// validities are the breaks of codes that came or went and of which no division tells.
func validities(d *gateway.Dimension, list *gateway.CodeList, told map[string]bool) []gateway.Break {
	var breaks []gateway.Break
	for _, c := range list.Codes {
		if told[c.Code] || d.Node(c.Code) == nil {
			continue
		}
		if c.From != gateway.NoDay {
			breaks = append(breaks, gateway.Break{Dimension: d.Name, Day: c.From, Into: []string{c.Code}})
		}
		if c.To != gateway.NoDay && c.Successor == "" {
			breaks = append(breaks, gateway.Break{Dimension: d.Name, Day: c.To + 1, From: c.Code})
		}
	}
	return breaks
}

// ListsOf returns the code lists of a definition's dimensions whose leaves are codes of
// a column, by the dimension's name, as the embedded contracts have them.
func ListsOf(d *gateway.Definition) (map[string]gateway.CodeListID, error) {
	contracts, err := Contracts()
	if err != nil {
		return nil, err
	}
	r := &cubeReader{contracts: contracts}
	lists := map[string]gateway.CodeListID{}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		if !listSource(dim.Source.Kind) {
			continue
		}
		if list := r.listOf(dim.Source.Column); list != nil {
			lists[dim.Name] = list.ID
		}
	}
	return lists, nil
}
