package synth

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A Truth is what the cells of a release of a country should count, before any
// protection. Dirty records take no part: a file check leaves them out.
type Truth struct {
	Seed     uint64          `json:"seed"`
	From     gateway.Quarter `json:"from"`
	To       gateway.Quarter `json:"to"`
	Children int             `json:"children"` // with a record in the window
	Records  int             `json:"records"`  // of those children, in the window
	Contacts int             `json:"contacts"` // records in the window without a child's number
	// Cells are all that are not empty, of every admitted grouping set, by the
	// canonical label without release and measure; "" is the total.
	Cells map[string]Count `json:"cells"`
	Dirty []Dirt           `json:"dirty"`

	source func(do func(*record) error) error
	rules  *rules
}

// A Count is what one cell counts.
type Count struct {
	Children int `json:"children"`
	// Records is the number of the children's records in the cell, of which at
	// most 20 a child count (gateway.ReleaseRules.RecordCap); 0 in a grouping set
	// that no cube counts records of.
	Records int `json:"records"`
}

// recordCap is the most records of one child that count in a cell.
const recordCap = 20

// Truth counts every cell of a definition. cov says which quarters the sectors
// have reported; nil means that all have reported the whole window.
func (c *Country) Truth(d *gateway.Definition, cov *gateway.Coverage) (*Truth, error) {
	if cov == nil {
		cov = c.Coverage()
	}
	n, err := c.Counts()
	if err != nil {
		return nil, err
	}
	t, err := newTruth(d, cov, c.options.Contracts, c.each)
	if err != nil {
		return nil, err
	}
	t.Seed, t.Dirty = c.options.Seed, n.Dirty
	return t, nil
}

// newTruth counts the cells of any source of records that gives all records of a
// child one after the other.
func newTruth(d *gateway.Definition, cov *gateway.Coverage, contracts []*gateway.Contract, source func(func(*record) error) error) (*Truth, error) {
	r, err := newRules(d, cov, contracts)
	if err != nil {
		return nil, err
	}
	err = r.collect(source)
	if err != nil {
		return nil, err
	}
	t := &Truth{From: d.From, To: d.To, Cells: map[string]Count{}, source: source, rules: r}
	err = t.walk(func(ch *child) {
		t.Children++
		t.Records += len(ch.events)
		r.count(ch)
	}, func() { t.Contacts++ })
	if err != nil {
		return nil, err
	}
	for i := range r.sets {
		s := &r.sets[i]
		for cell, children := range s.children {
			if children == 0 {
				continue
			}
			count := Count{Children: int(children)}
			if s.records {
				count.Records = int(s.counted[cell])
			}
			t.Cells[r.label(s, cell)] = count
		}
	}
	return t, nil
}

// walk gives every child that has an event in the window, with its attributes.
func (t *Truth) walk(do func(*child), contact func()) error {
	ch := &child{}
	finish := func() {
		if len(ch.events) > 0 {
			t.rules.attributes(ch)
			do(ch)
		}
		ch.events = ch.events[:0]
	}
	err := t.source(func(rec *record) error {
		if rec.dirt != nil {
			return nil
		}
		e, err := t.rules.event(rec)
		if err != nil || e.day < t.From.First() || e.day > t.To.Last() {
			return err
		}
		iin := rec.cell("child_iin")
		switch {
		case iin == "":
			contact()
			return nil
		case iin != ch.iin:
			finish()
			ch.iin = iin
		}
		ch.events = append(ch.events, e)
		return nil
	})
	if err == nil {
		finish()
	}
	return err
}

// Sums adds up, for every cell that is not empty, a key of each of its distinct
// children, modulo 2^64: with the subject keys of a keyring, the cells' check
// sums (disclosure.md 2.2). It makes the records once more.
func (t *Truth) Sums(key func(iin string) uint64) (map[string]uint64, error) {
	sums := make(map[string]uint64, len(t.Cells))
	err := t.walk(func(ch *child) {
		k := key(ch.iin)
		t.rules.visit(ch, func(s *set, cell int, first bool) {
			if first {
				sums[t.rules.label(s, cell)] += k
			}
		})
	}, func() {})
	return sums, err
}

// Members returns the identification numbers of the children in a cell, sorted.
// It makes the records once more.
func (t *Truth) Members(label string) ([]string, error) {
	if _, ok := t.Cells[label]; !ok {
		return nil, nil
	}
	var members []string
	err := t.walk(func(ch *child) {
		t.rules.visit(ch, func(s *set, cell int, first bool) {
			if first && t.rules.label(s, cell) == label {
				members = append(members, ch.iin)
			}
		})
	}, func() {})
	slices.Sort(members)
	return members, err
}

// WriteJSON writes truth.json: the cells in the order of their labels.
func (t *Truth) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(t); err != nil {
		return fmt.Errorf("writing the truth: %w", err)
	}
	return nil
}

// Labels returns the labels of all cells that are not empty, sorted.
func (t *Truth) Labels() []string { return slices.Sorted(maps.Keys(t.Cells)) }
