// Package synth makes a synthetic country: case records of children in six
// sectors, with valid identification numbers, names, siblings, referrals that
// come, come late or never come, regions that differ, anonymous contacts and,
// where it is wanted, dirt. And it knows the truth: what every cell of a release
// should count before anything is protected.
//
// Call [New], then [Country.Write] for the files and [Country.Truth] for the
// exact answers of a release definition. The same options always give the same
// bytes. Nothing is held in memory but two bytes a child: each pass makes the
// records anew, child by child.
//
// The truth is computed from the cells of the records as they are written, by
// the definitions of domain.md 3.1, in plain Go: it shares no code with the data
// path or the warehouse, so that it can contradict them.
//
// Numbers have serials from 9000 on, which are not known to be issued, and are
// not known not to be: never pair them with the names of real people. The rates
// are invented; no table of a synthetic country says anything about a real one.
package synth

import (
	"fmt"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// MaxChildren is the most children that a country may have: beyond it, serials
// for children of one day run out.
const MaxChildren = 1_500_000

// Options say what country to make.
type Options struct {
	Children  int                 // Required: children with an identification number and at least one record
	Seed      uint64              // the same seed gives the same country
	From      gateway.Quarter     // first quarter of the records; default 2023Q1, not before 2022Q3
	To        gateway.Quarter     // last quarter; default 2025Q4
	Dirty     float64             // share of records to spoil, 0 to 0.5
	Contracts []*gateway.Contract // Required: those of all six sectors; they order the columns
}

// A Country is a synthetic population and its records. It is safe for concurrent
// use once made.
type Country struct {
	options   Options
	first     gateway.Day // of the window
	last      gateway.Day
	forms     [sectors]form
	serials   []uint16 // of each child's identification number
	days      []string // the spelling of every day that can occur
	daysStart gateway.Day
}

// The sectors, in the order of contracts, which decides ties (domain.md 3.1).
const (
	police = iota
	health
	education
	social
	justice
	helpline
	sectors
)

// sectorNames are the contracts of the sectors.
var sectorNames = [sectors]gateway.ContractID{"police", "health", "education", "social", "justice", "helpline"}

var (
	defaultFrom = gateway.Quarter(2023 * 4)
	defaultTo   = gateway.Quarter(2025*4 + 3)
	// Three regions exist since 2022-06-08; records dated before would carry the
	// codes of their parents (domain.md 2.8).
	earliestFrom = gateway.Quarter(2022*4 + 2)
)

// New returns a country, or Invalid when the options or the contracts do not
// allow one.
func New(o Options) (*Country, error) {
	if o.From == 0 {
		o.From = defaultFrom
	}
	if o.To == 0 {
		o.To = defaultTo
	}
	switch {
	case o.Children < 1 || o.Children > MaxChildren:
		return nil, gateway.Errorf(gateway.Invalid, "a synthetic country has 1 to %d children", MaxChildren)
	case o.From < earliestFrom || o.To < o.From || o.To-o.From >= 40:
		return nil, gateway.Errorf(gateway.Invalid, "a synthetic country's records start in %v or later and cover 1 to 40 quarters", earliestFrom)
	case !(o.Dirty >= 0 && o.Dirty <= 0.5):
		return nil, gateway.Errorf(gateway.Invalid, "the share of dirty records is 0 to 0.5")
	}
	c := &Country{options: o, first: o.From.First(), last: o.To.Last()}
	for i, name := range sectorNames {
		at := slices.IndexFunc(o.Contracts, func(x *gateway.Contract) bool { return x.ID == name })
		if at < 0 {
			return nil, gateway.Errorf(gateway.Invalid, "a synthetic country needs the contract %s", name)
		}
		f, err := newForm(o.Contracts[at], i)
		if err != nil {
			return nil, err
		}
		c.forms[i] = f
	}
	c.spellDays()
	return c, c.assignSerials()
}

// spellDays spells every day from the earliest birth to the year after the last
// quarter once, and not again for every record.
func (c *Country) spellDays() {
	c.daysStart = c.first - 19*366
	for day := c.daysStart; day <= c.last+366; day++ {
		c.days = append(c.days, day.String())
	}
}

func (c *Country) spell(day gateway.Day) string {
	if i := int(day) - int(c.daysStart); i >= 0 && i < len(c.days) {
		return c.days[i]
	}
	return day.String()
}

// assignSerials gives the children of one birth date and sex different serials.
func (c *Country) assignSerials() error {
	c.serials = make([]uint16, c.options.Children)
	used := map[int32]uint16{}
	d := newDice()
	for i := range c.serials {
		p := c.person(d, i)
		key := int32(p.birth) * 2
		if p.male {
			key++
		}
		if used[key] >= maxSerials {
			return fmt.Errorf("synth: no serials are left for children born on one day")
		}
		c.serials[i] = used[key]
		used[key]++
	}
	return nil
}

// Coverage returns the coverage of a country whose every sector has reported
// every quarter in full for every region.
func (c *Country) Coverage() *gateway.Coverage {
	var all []gateway.Quarter
	for q := c.options.From; q <= c.options.To; q++ {
		all = append(all, q)
	}
	full := map[gateway.ContractID]map[string][]gateway.Quarter{}
	for _, name := range sectorNames {
		full[name] = map[string][]gateway.Quarter{}
		for _, r := range regions {
			full[name][r.code] = all
		}
	}
	return &gateway.Coverage{Full: full}
}
