package synth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A child is all events of one identification number in the window, and what
// they say about it.
type child struct {
	iin    string
	events []event
	// leaves are the codes of the child's own dimensions, by the place of the
	// dimension; none where it is in no node.
	leaves [][]string
}

// An event is one record as the definitions see it.
type event struct {
	sector      int
	day         gateway.Day
	codes       [][]string             // by the place in rules.columns
	targets     map[string]gateway.Day // dates that reached asks for, by stored column
	occurrences []occurrence           // of what paths look for
	numbers     []string               // cells of values, by their place; "" where the record has none
}

// contractCodes are the leaves of sectors.
var contractCodes = func() (codes [sectors][]string) {
	for i, name := range sectorNames {
		codes[i] = []string{string(name)}
	}
	return codes
}()

// rules are a definition with what is needed to apply it.
type rules struct {
	d         *gateway.Definition
	cov       *gateway.Coverage
	contracts [sectors]*gateway.Contract
	columns   []string            // coded columns that some dimension reads
	dates     []string            // date columns of reached
	sought    []sought            // what paths look for
	bearers   map[string][]bearer // of the numbers of referral slips
	everyone  []string            // codes of all regions
	bands     map[*gateway.CodeList][]ageBand
	slots     []slot
	sets      []set
	nodes     [][]int // of one event, by slot; reused
	buffer    []int   // reused
	visited   *event  // whose cells visit gives
}

// An ageBand is a code of ages: Y10T14 is 10 to 14.
type ageBand struct {
	low, high int
	code      []string
}

func newRules(d *gateway.Definition, cov *gateway.Coverage, contracts []*gateway.Contract) (*rules, error) {
	r := &rules{d: d, cov: cov, bands: map[*gateway.CodeList][]ageBand{}, columns: []string{gateway.ColumnRegion}}
	for i, name := range sectorNames {
		for _, c := range contracts {
			if c.ID == name {
				r.contracts[i] = c
			}
		}
		if r.contracts[i] == nil {
			return nil, fmt.Errorf("synth: no contract %s", name)
		}
	}
	for i := range d.Dimensions {
		dim := &d.Dimensions[i]
		switch dim.Source.Kind {
		case gateway.EventColumn, gateway.EventSectorCode, gateway.ChildConst, gateway.ChildFirst, gateway.ChildMost:
			r.columns = append(r.columns, dim.Source.Column)
			if dim.Source.Kind == gateway.ChildMost && dim.Source.Column == gateway.ColumnRegion {
				for _, n := range dim.AtLevel(len(dim.Levels) - 1) {
					r.everyone = append(r.everyone, n.Code)
				}
			}
		case gateway.ReachedIn:
			for _, columns := range dim.Source.Targets {
				r.dates = append(r.dates, columns...)
			}
		case gateway.ChildOutcome:
			r.seek(dim)
		case gateway.EventSector, gateway.EventQuarter, gateway.EventYear, gateway.FirstSector, gateway.SectorCount, gateway.SectorPair:
		default:
			return nil, fmt.Errorf("synth: dimension %s: no truth is known for the source %q", dim.Name, dim.Source.Kind)
		}
	}
	slices.Sort(r.columns)
	r.columns = slices.Compact(r.columns)
	r.admit()
	return r, nil
}

func (r *rules) column(name string) int { return slices.Index(r.columns, name) }

// event reads a record as it is written: from its cells, not from the story that
// made them.
func (r *rules) event(rec *record) (event, error) {
	c := r.contracts[rec.sector]
	day, ok := gateway.ParseDay([]byte(rec.cell(c.EventDate().Name)))
	if !ok {
		return event{}, fmt.Errorf("synth: a record of %s has no date", c.ID)
	}
	e := event{sector: rec.sector, day: day, codes: make([][]string, len(r.columns))}
	for i, column := range r.columns {
		e.codes[i] = r.codesOf(c, rec, column, day)
	}
	for _, column := range r.dates {
		if day, ok := dateOf(c, rec, column); ok {
			if e.targets == nil {
				e.targets = map[string]gateway.Day{}
			}
			e.targets[column] = day
		}
	}
	e.occurrences = r.occurrences(c, rec, day)
	e.numbers = r.numbers(c, rec)
	return e, nil
}

// codesOf returns the codes that a record has in a stored column: of a list of
// several, all; of age and sex, what a valid number says before what the cells
// say (domain.md 3.1); expired ones by their successor.
func (r *rules) codesOf(c *gateway.Contract, rec *record, column string, event gateway.Day) []string {
	birth, male, known := fromIIN(rec.cell("child_iin"))
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Column != column {
			continue
		}
		text := rec.cell(f.Name)
		switch {
		case f.Type == gateway.TypeBirthDate && known:
			return r.band(f.List, event.Years(birth))
		case column == gateway.ColumnSex && known:
			if male {
				return []string{"M"}
			}
			return []string{"F"}
		case text == "":
			continue
		case f.Type == gateway.TypeBirthDate:
			day, _ := gateway.ParseDay([]byte(text))
			return r.band(f.List, event.Years(day))
		case f.Type == gateway.TypeAge:
			years, err := strconv.Atoi(text)
			if err != nil {
				return nil
			}
			return r.band(f.List, years)
		case f.Type == gateway.TypeCode && f.Multi:
			return strings.Split(text, "|")
		case f.Type == gateway.TypeCode:
			return []string{current(f, text)}
		}
	}
	return nil
}

// fromIIN reads a birth date and a sex from a valid number.
func fromIIN(iin string) (birth gateway.Day, male, ok bool) {
	if len(iin) != 12 {
		return gateway.NoDay, false, false
	}
	century := int(iin[6] - '0')
	birth, ok = gateway.ParseDay([]byte(strconv.Itoa(18+(century-1)/2) + iin[0:2] + "-" + iin[2:4] + "-" + iin[4:6]))
	return birth, century%2 == 1, ok
}

// band returns the band of ages that holds some years.
func (r *rules) band(list *gateway.CodeList, years int) []string {
	if _, ok := r.bands[list]; !ok {
		for _, c := range list.Codes {
			b := ageBand{code: []string{c.Code}}
			if n, err := fmt.Sscanf(c.Code, "Y%dT%d", &b.low, &b.high); err == nil && n == 2 {
				r.bands[list] = append(r.bands[list], b)
			}
		}
	}
	for _, b := range r.bands[list] {
		if b.low <= years && years <= b.high {
			return b.code
		}
	}
	return nil
}

// current returns the code that a cell stands for: cut to the length of the
// list, and replaced where it has expired.
func current(f *gateway.Field, text string) string {
	if length := f.List.Length(); length > 0 && len(f.Forms) > 0 && len(text) > length {
		text = text[:length]
	}
	for range f.List.Codes {
		number, ok := f.List.Number([]byte(text))
		if !ok || f.List.Codes[number-1].Successor == "" {
			break
		}
		text = f.List.Codes[number-1].Successor
	}
	return text
}

func dateOf(c *gateway.Contract, rec *record, column string) (gateway.Day, bool) {
	for i := range c.Fields {
		if c.Fields[i].Column == column && c.Fields[i].Type == gateway.TypeDate {
			return gateway.ParseDay([]byte(rec.cell(c.Fields[i].Name)))
		}
	}
	return gateway.NoDay, false
}

// attributes derives the child's own codes. Its events are put in the order of
// days, and on one day in the order of the contracts.
func (r *rules) attributes(ch *child) {
	slices.SortStableFunc(ch.events, func(a, b event) int {
		if a.day != b.day {
			return int(a.day) - int(b.day)
		}
		return a.sector - b.sector
	})
	ch.leaves = make([][]string, len(r.d.Dimensions))
	for i := range r.d.Dimensions {
		dim := &r.d.Dimensions[i]
		switch dim.Source.Kind {
		case gateway.ChildConst:
			ch.leaves[i] = agreed(ch.events, r.column(dim.Source.Column))
		case gateway.ChildFirst:
			ch.leaves[i] = one(ch.events[0].codes[r.column(dim.Source.Column)])
		case gateway.ChildMost:
			ch.leaves[i] = most(ch.events, r.column(dim.Source.Column))
		case gateway.FirstSector:
			ch.leaves[i] = contractCodes[ch.events[0].sector]
		case gateway.SectorCount:
			ch.leaves[i] = []string{howMany(len(seenBy(ch.events)), len(dim.Nodes))}
		case gateway.SectorPair:
			ch.leaves[i] = pairsOf(seenBy(ch.events))
		case gateway.ReachedIn:
			ch.leaves[i] = []string{r.reached(ch, &dim.Source)}
		case gateway.ChildOutcome:
			ch.leaves[i] = r.outcomes(ch, dim)
		case gateway.EventSector, gateway.EventColumn, gateway.EventQuarter, gateway.EventYear, gateway.EventSectorCode:
		}
	}
}

// seenBy returns the names of the sectors that have an event, in the order of the
// alphabet.
func seenBy(events []event) []string {
	var names []string
	for _, e := range events {
		if name := string(sectorNames[e.sector]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// howMany writes a number of sectors where the last of some codes stands for all
// larger numbers, unless all sectors have a code of their own.
func howMany(n, codes int) string {
	if n >= codes && codes < sectors {
		return strconv.Itoa(codes) + "+"
	}
	return strconv.Itoa(n)
}

// pairsOf returns the codes of every two of some names, which are sorted.
func pairsOf(names []string) []string {
	var pairs []string
	for i, a := range names {
		for _, b := range names[i+1:] {
			pairs = append(pairs, a+"+"+b)
		}
	}
	return pairs
}

// one takes the first of several codes: a child is in one node of a partition.
func one(codes []string) []string { return codes[:min(1, len(codes))] }

// agreed returns the code that all events name which name any, or none when they
// contradict one another.
func agreed(events []event, column int) []string {
	var code []string
	for _, e := range events {
		switch named := one(e.codes[column]); {
		case len(named) == 0:
		case code == nil:
			code = named
		case code[0] != named[0]:
			return nil
		}
	}
	return code
}

// most returns the code that most sectors name, each sector with one vote for
// every code that it names. Of tied codes the one of the earliest record wins;
// if that day names several of them, none does.
func most(events []event, column int) []string {
	votes := map[string]map[int]bool{}
	for _, e := range events {
		for _, code := range e.codes[column] {
			if votes[code] == nil {
				votes[code] = map[int]bool{}
			}
			votes[code][e.sector] = true
		}
	}
	best := 0
	for _, by := range votes {
		best = max(best, len(by))
	}
	var winner []string
	since := gateway.NoDay
	for _, e := range events { // in the order of days
		for _, code := range e.codes[column] {
			switch {
			case len(votes[code]) < best:
			case winner == nil:
				winner, since = []string{code}, e.day
			case code != winner[0] && e.day == since:
				return nil
			}
		}
	}
	return winner
}

// reached tells whether a target followed the child's first report in time; the
// cohort of a quarter is told at all only when every sector has reported that
// long (domain.md 3.1, I1).
func (r *rules) reached(ch *child, s *gateway.Source) string {
	first := slices.IndexFunc(ch.events, func(e event) bool { return sectorNames[e.sector] == s.Start })
	if first < 0 {
		return gateway.ReachedNoStart
	}
	start := ch.events[first].day
	if !r.told(s, most(ch.events, r.column(gateway.ColumnRegion)), start.Quarter()) {
		return gateway.ReachedCannotTell
	}
	for _, e := range ch.events {
		for _, column := range s.Targets[sectorNames[e.sector]] {
			day, ok := e.targets[column]
			if ok && day >= start && int(day-start) <= s.Days {
				return gateway.ReachedYes
			}
		}
	}
	return gateway.ReachedNo
}

// told reports whether the start's and the targets' reports for a region, or for
// every region when it is unknown, reach Days beyond the quarter.
func (r *rules) told(s *gateway.Source, region []string, cohort gateway.Quarter) bool {
	places := region
	if len(region) == 0 {
		places = r.everyone
		if len(places) == 0 {
			return false
		}
	}
	needed := []gateway.ContractID{s.Start}
	for sector := range s.Targets {
		needed = append(needed, sector)
	}
	for _, sector := range needed {
		for _, place := range places {
			horizon := r.cov.Horizon(sector, place, r.d.From)
			if horizon == 0 || int(horizon.Last()) < int(cohort.Last())+s.Days {
				return false
			}
		}
	}
	return true
}
