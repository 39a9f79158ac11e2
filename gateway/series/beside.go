package series

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Laying is what is needed to lay a series beside an answer.
type Laying struct {
	Definition *gateway.Definition // required: of the answer's release
	// Lists are the code lists of the definition's dimensions, by name; configs.ListsOf
	// makes them.
	Lists      map[string]gateway.CodeListID
	Crosswalks []*gateway.Crosswalk
	Vocabulary string // required: whose codes the series has: "kazstat" for kazstat:SEX
}

// A Line is a cell of an answer with one official number of the same codes.
type Line struct {
	Cell     Cell
	Official Observation
	Match    gateway.Match // the loosest of the dimensions'
	Breaks   []gateway.Break
}

// A bridge leads from a dimension of the answer to a column of the series.
type bridge struct {
	place, column int
	name          string
	walk, splits  *gateway.Crosswalk
}

// Beside returns every pair of a cell and an official number that have matching codes,
// in the order of the cells and then of the series. A dimension of years keeps to its
// years; dimensions that the vocabulary has no codes for, such as sectors, do not
// restrict what is laid beside. It reports Invalid where no dimension has codes in
// common with the series.
func (l *Laying) Beside(a *Answer, s *Series) ([]Line, error) {
	bridges, err := l.bridges(a, s)
	if err != nil {
		return nil, err
	}
	year := slices.IndexFunc(a.Dimensions, func(name string) bool {
		d := l.Definition.Dimension(name)
		return d != nil && d.Source.Kind == gateway.EventYear
	})
	var lines []Line
	for _, cell := range a.Cells {
		for _, o := range s.Observations {
			if year >= 0 && cell.Nodes[year] != strconv.Itoa(o.Year) {
				continue
			}
			if line, ok := l.lay(bridges, cell, o); ok {
				lines = append(lines, line)
			}
		}
	}
	return lines, nil
}

func (l *Laying) bridges(a *Answer, s *Series) ([]bridge, error) {
	var all []bridge
	var lacking []string
	for i, name := range a.Dimensions {
		list := l.Lists[name]
		walk := l.walk(func(w *gateway.Crosswalk) bool {
			return w.To == string(list) && strings.HasPrefix(w.From, l.Vocabulary+":")
		})
		if list == "" || walk == nil {
			continue
		}
		column := slices.Index(s.Columns, strings.TrimPrefix(walk.From, l.Vocabulary+":"))
		if column < 0 {
			lacking = append(lacking, name)
			continue
		}
		all = append(all, bridge{i, column, name, walk, l.walk(func(w *gateway.Crosswalk) bool { return w.From == string(list) && w.To == w.From })})
	}
	switch {
	case len(lacking) > 0:
		return nil, gateway.Errorf(gateway.Invalid, "the series has no column for %s of the answer; ask without it", strings.Join(lacking, ", "))
	case len(all) == 0:
		return nil, gateway.Errorf(gateway.Invalid, "%s has no codes for any dimension of the answer: group by a region, the sex or an age", l.Vocabulary)
	}
	return all, nil
}

func (l *Laying) walk(is func(*gateway.Crosswalk) bool) *gateway.Crosswalk {
	i := slices.IndexFunc(l.Crosswalks, is)
	if i < 0 {
		return nil
	}
	return l.Crosswalks[i]
}

// lay holds one official number against one cell. Every code of the number must be one
// of the cell's, so that a number for girls in a region is not laid beside the region.
func (l *Laying) lay(bridges []bridge, cell Cell, o Observation) (Line, bool) {
	line := Line{Cell: cell, Official: o, Match: gateway.MatchExact}
	first, _ := gateway.CivilDay(o.Year, 1, 1)
	bridged := 0
	named := map[string][]string{}
	for _, b := range bridges {
		match, ok := b.match(cell.Nodes[b.place], o.Codes[b.column], first, l.Definition.To.Last())
		if !ok {
			return Line{}, false
		}
		line.Match = looser(line.Match, match)
		named[b.name] = []string{cell.Nodes[b.place]}
		bridged++
	}
	given := 0
	for _, code := range o.Codes {
		if code != "" {
			given++
		}
	}
	line.Breaks = l.Definition.Across(named, first, l.Definition.To.Last())
	return line, given == bridged
}

// match says what an official code of a year is to a code of the answer. Where the code
// was divided since, the number of then is of more than each of its parts.
func (b *bridge) match(code, official string, first, last gateway.Day) (gateway.Match, bool) {
	year, _, _ := first.Date()
	end, _ := gateway.CivilDay(year, 12, 31)
	for _, p := range b.walk.Pairs {
		if p.From != official || p.To == "" || !p.HoldsOn(first) && !p.HoldsOn(end) {
			continue
		}
		parts := b.parts(p.To, end, last)
		switch {
		case len(parts) == 0 && p.To == code:
			return p.Match, true
		case slices.Contains(parts, code):
			return looser(p.Match, gateway.MatchBroader), true
		}
	}
	return "", false
}

// parts are what a code was divided into between two days; none: it is what it was.
func (b *bridge) parts(code string, after, last gateway.Day) []string {
	var parts []string
	if b.splits == nil {
		return nil
	}
	for _, p := range b.splits.Pairs {
		if p.From == code && p.Since != gateway.NoDay && p.Since > after && p.Since <= last {
			parts = append(parts, p.To)
		}
	}
	return parts
}

// looser is the looser of two matches.
func looser(a, b gateway.Match) gateway.Match {
	order := []gateway.Match{gateway.MatchExact, gateway.MatchNarrower, gateway.MatchBroader, gateway.MatchRelated}
	if a != b && a != gateway.MatchExact && b != gateway.MatchExact {
		return gateway.MatchRelated // a part of one thing and more than another is neither
	}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
