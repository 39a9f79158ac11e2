package gateway

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Break is a day on which codes of a dimension changed their meaning or came and
// went: numbers before it and after it are not of the same (domain.md 2.8).
type Break struct {
	Dimension string   `json:"dimension"`
	Day       Day      `json:"day"`            // the first of the new codes
	From      string   `json:"from,omitempty"` // the code that was divided or ended; "" where the codes are new
	Into      []string `json:"into,omitempty"` // the codes that it was divided into, or that are new
}

// String says what happened, for a note.
func (b Break) String() string {
	day, into := b.Day.String(), strings.Join(b.Into, " and ")
	switch {
	case b.From == "":
		return fmt.Sprintf("Break in %s on %s: %s exists since that day, and earlier records have other codes.", b.Dimension, day, into)
	case len(b.Into) == 0:
		return fmt.Sprintf("Break in %s on %s: %s ended the day before, and later records have other codes.", b.Dimension, day, b.From)
	case slices.Contains(b.Into, b.From):
		return fmt.Sprintf("Break in %s on %s: %s was divided into %s. Before that day %s is all of them; compare their sum across it, never %s alone.",
			b.Dimension, day, b.From, into, b.From, b.From)
	}
	return fmt.Sprintf("Break in %s on %s: %s was divided into %s. Records before that day are of %s and in none of them.", b.Dimension, day, b.From, into, b.From)
}

// names reports whether the break concerns a code.
func (b Break) names(code string) bool { return code == b.From || slices.Contains(b.Into, code) }

// Across returns the breaks that a comparison crosses: of codes of dimensions that a
// table names, between the first day and the last of what it counts. named maps
// dimensions to codes; no codes are all of the dimension.
func (d *Definition) Across(named map[string][]string, first, last Day) []Break {
	var crossed []Break
	for _, b := range d.Breaks {
		codes, there := named[b.Dimension]
		if there && b.Day > first && b.Day <= last && (len(codes) == 0 || slices.ContainsFunc(codes, b.names)) {
			crossed = append(crossed, b)
		}
	}
	return crossed
}

// BreaksOf returns the breaks that a table crosses: those of the dimensions that it
// groups by or filters, in the quarters that it counts.
func (d *Definition) BreaksOf(t *Table) []Break {
	if len(d.Breaks) == 0 {
		return nil
	}
	named := map[string][]string{}
	for _, name := range t.Dimensions {
		name, _, _ = strings.Cut(name, "@")
		named[name] = nil
	}
	first, last := d.From.First(), d.To.Last()
	for name, code := range t.Filter {
		dim := d.Dimension(name)
		if dim == nil {
			continue
		}
		from, to, isTime := dim.Source.Kind.days(code)
		if !isTime {
			named[name] = dim.below(code)
			continue
		}
		first, last = max(first, from), min(last, to)
	}
	return d.Across(named, first, last)
}

// days are the first and the last day of a quarter or a year.
func (k SourceKind) days(code string) (from, to Day, ok bool) {
	if k == EventQuarter {
		q, err := ParseQuarter(code)
		return q.First(), q.Last(), err == nil
	}
	year, err := strconv.Atoi(code)
	if k != EventYear || err != nil {
		return NoDay, NoDay, false
	}
	from, ok1 := CivilDay(year, 1, 1)
	to, ok2 := CivilDay(year, 12, 31)
	return from, to, ok1 && ok2
}

// below are a node's code and those of the nodes under it.
func (d *Dimension) below(code string) []string {
	codes := []string{code}
	for _, n := range d.Nodes {
		if n.Parent != "" && slices.Contains(codes, n.Parent) {
			codes = append(codes, n.Code)
		}
	}
	return codes
}
