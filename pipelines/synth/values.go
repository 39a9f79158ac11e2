package synth

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// A Total is what the children of a cell have of a value: the sum of their own
// numbers, and the two largest.
type Total struct {
	Children int
	Sum      int64
	Top      [2]int64
}

// A dated number is what one record has of a value.
type dated struct {
	day    gateway.Day
	number int64
}

// Values adds up every value of the definition in every cell that carries it, by
// value and label (disclosure.md 2.7). stored is what is kept of a number, where
// policy keeps less than itself; nil keeps all. It makes the records once more.
func (t *Truth) Values(stored func(v *gateway.Value, n int64) int64) (map[string]map[string]Total, error) {
	totals := map[string]map[string]Total{}
	for i := range t.rules.d.Values {
		totals[t.rules.d.Values[i].ID] = map[string]Total{}
	}
	var failed error
	err := t.walk(func(ch *child) {
		for i := range t.rules.d.Values {
			v := &t.rules.d.Values[i]
			own, err := t.rules.own(ch, i, stored)
			if err != nil {
				failed = err
			}
			for label, numbers := range own {
				total := totals[v.ID][label]
				total.add(min(max(oneOf(v, numbers), v.Min), v.Max))
				totals[v.ID][label] = total
			}
		}
	}, func() {})
	if err == nil {
		err = failed
	}
	return totals, err
}

// own returns a child's numbers of a value, in the order of days, for each cell in
// which it has a record of the value's sector.
func (r *rules) own(ch *child, value int, stored func(v *gateway.Value, n int64) int64) (map[string][]dated, error) {
	v := &r.d.Values[value]
	own := map[string][]dated{}
	var failed error
	r.visit(ch, func(s *set, cell int, _ bool) {
		e := r.visited
		if sectorNames[e.sector] != v.Sector || !slices.Contains(s.values, v.ID) {
			return
		}
		label := r.label(s, cell)
		if own[label] == nil {
			own[label] = []dated{} // the child is there, with a number or without
		}
		if e.numbers[value] == "" {
			return
		}
		n, err := strconv.ParseInt(e.numbers[value], 10, 64)
		if err != nil {
			failed = fmt.Errorf("synth: a record of %s has no number in %s", v.Sector, v.Column)
		}
		if stored != nil {
			n = stored(v, n)
		}
		own[label] = append(own[label], dated{e.day, n})
	})
	return own, failed
}

func (t *Total) add(z int64) {
	t.Children++
	t.Sum += z
	switch {
	case z > t.Top[0]:
		t.Top = [2]int64{z, t.Top[0]}
	case z > t.Top[1]:
		t.Top[1] = z
	}
}

// oneOf makes one number of a child's. Of a day with several the largest is the
// latest.
func oneOf(v *gateway.Value, numbers []dated) int64 {
	sum, latest := int64(0), dated{day: gateway.NoDay}
	for _, d := range numbers {
		sum += d.number
		if d.day > latest.day || d.day == latest.day && d.number > latest.number {
			latest = d
		}
	}
	switch n := int64(len(numbers)); {
	case v.PerChild == gateway.PerChildLatest:
		return latest.number
	case v.PerChild == gateway.PerChildMean && n > 0:
		return (2*sum + n) / (2 * n)
	}
	return sum
}

// numbers returns the cells of a record that values name, by the place of the value.
func (r *rules) numbers(c *gateway.Contract, rec *record) []string {
	var all []string
	for i := range r.d.Values {
		text := ""
		for _, f := range c.Fields {
			if f.Type == gateway.TypeInteger && f.Column == r.d.Values[i].Column && c.ID == r.d.Values[i].Sector {
				text = rec.cell(f.Name)
			}
		}
		all = append(all, text)
	}
	return all
}
