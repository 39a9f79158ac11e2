package synth

import (
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// Outcomes are read off paths (domain.md 3.1) by looking at a child's records one by
// one, with true dates.

// A sought is a happening that some path looks for.
type sought struct {
	path, step int // step -1 is the start
	what       gateway.Happening
}

// An occurrence is one happening in a record.
type occurrence struct {
	sought int
	day    gateway.Day
	slip   string // number of the referral slip on the record
}

// seek lists the happenings of a definition's paths.
func (r *rules) seek(d *gateway.Dimension) {
	for i, p := range d.Source.Paths {
		for _, h := range p.Start {
			r.sought = append(r.sought, sought{i, -1, h})
		}
		for j, s := range p.Steps {
			for _, h := range s.Any {
				r.sought = append(r.sought, sought{i, j, h})
			}
		}
	}
}

// occurrences are the happenings in a record.
func (r *rules) occurrences(c *gateway.Contract, rec *record, own gateway.Day) []occurrence {
	var found []occurrence
	for i, s := range r.sought {
		if s.what.Sector != c.ID || !holds(c, rec, s.what.Where) {
			continue
		}
		days := []gateway.Day{}
		for _, column := range s.what.Dates {
			if day, ok := dateOf(c, rec, column); ok {
				days = append(days, day)
			}
		}
		if len(s.what.Dates) == 0 || s.what.Own && len(days) == 0 {
			days = append(days, own)
		}
		for _, day := range days {
			found = append(found, occurrence{i, day, slipOn(c, rec)})
		}
	}
	return found
}

// holds reports whether each column of a record holds one of some codes.
func holds(c *gateway.Contract, rec *record, where map[string][]string) bool {
	for column, codes := range where {
		i := slices.IndexFunc(c.Fields, func(f gateway.Field) bool { return f.Column == column })
		text := rec.cell(c.Fields[i].Name)
		cells := []string{current(&c.Fields[i], text)}
		if c.Fields[i].Multi {
			cells = strings.Split(text, "|")
		}
		if !slices.ContainsFunc(cells, func(code string) bool { return slices.Contains(codes, code) }) {
			return false
		}
	}
	return true
}

// A trail is what became of a child on one path.
type trail struct {
	started, told bool
	start         gateway.Day
	steps         []gateway.Day // NoDay where a step was not found
}

// outcomes returns the nodes that a child is in.
func (r *rules) outcomes(ch *child, d *gateway.Dimension) []string {
	trails := make([]trail, len(d.Source.Paths))
	for i := range trails {
		trails[i] = r.follow(ch, &d.Source.Paths[i], i)
	}
	var nodes []string
	for _, n := range d.Nodes {
		at := slices.IndexFunc(d.Source.Paths, func(p gateway.Path) bool { return p.ID == n.Outcome.Path })
		if trails[at].in(&d.Source.Paths[at], n.Outcome) {
			nodes = append(nodes, n.Code)
		}
	}
	return nodes
}

func (t *trail) in(p *gateway.Path, o *gateway.Outcome) bool {
	switch {
	case !t.started || o.Started:
		return t.started
	case o.CannotTell || !t.told:
		return o.CannotTell && !t.told
	case o.Without != "":
		return t.steps[p.Step(o.Without)] == gateway.NoDay
	}
	day := t.steps[p.Step(o.With)]
	after := int(day - t.start)
	return day != gateway.NoDay && (len(o.Days) == 0 || o.Days[0] <= after && after <= o.Days[1])
}

// follow finds the child's start on a path, whether its cohort can be told, and its
// steps. Of starts on one day the one of the earliest quarter counts, and then the one
// that came soonest after its record.
func (r *rules) follow(ch *child, p *gateway.Path, at int) trail {
	t := trail{}
	quarter, lag := gateway.Quarter(0), 0
	for _, e := range ch.events {
		for _, o := range e.occurrences {
			if s := r.sought[o.sought]; s.path != at || s.step != -1 {
				continue
			}
			q, wait := e.day.Quarter(), max(0, int(o.day-e.day))
			if !t.started || o.day < t.start || o.day == t.start && (q < quarter || q == quarter && wait < lag) {
				t.started, t.start, quarter, lag = true, o.day, q, wait
			}
		}
	}
	if !t.started {
		return t
	}
	t.told = r.reportedUntil(ch, p, quarter.Last()+gateway.Day(lag+p.Days)) //nolint:gosec // some hundred days
	for i := range p.Steps {
		s := &p.Steps[i]
		from := t.start
		if s.After != "" {
			from = t.steps[p.Step(s.After)]
		}
		if s.Slip {
			t.steps = append(t.steps, r.arrived(ch, at, i, t.start, s))
			continue
		}
		t.steps = append(t.steps, r.earliest(ch, at, i, from, s, t.start+gateway.Day(p.Days))) //nolint:gosec // some hundred days
	}
	return t
}

// earliest is the first day of a step in its span, not after the last day of its path.
func (r *rules) earliest(ch *child, path, step int, from gateway.Day, s *gateway.Step, last gateway.Day) gateway.Day {
	found := gateway.NoDay
	if from == gateway.NoDay {
		return found
	}
	for _, e := range ch.events {
		for _, o := range e.occurrences {
			if r.sought[o.sought].path != path || r.sought[o.sought].step != step {
				continue
			}
			after := int(o.day - from)
			if after >= s.From && after <= s.To && o.day <= last && (found == gateway.NoDay || o.day < found) {
				found = o.day
			}
		}
	}
	return found
}

// reportedUntil reports whether all sectors of a path have reported up to a day in the
// child's region, or in all where that is unknown.
func (r *rules) reportedUntil(ch *child, p *gateway.Path, day gateway.Day) bool {
	places := most(ch.events, r.column(gateway.ColumnRegion))
	if len(places) == 0 {
		places = r.everyone
	}
	for _, sector := range p.Told {
		for _, place := range places {
			horizon := r.cov.Horizon(sector, place, r.d.From)
			if horizon == 0 || horizon.Last() < day {
				return false
			}
		}
	}
	return len(places) > 0
}

// slipOn is the number of the referral slip on a record.
func slipOn(c *gateway.Contract, rec *record) string {
	for i := range c.Fields {
		if c.Fields[i].Column == gateway.ColumnSlip {
			return rec.cell(c.Fields[i].Name)
		}
	}
	return ""
}

// A bearer is whose record of a sector bears a number: "" is nobody's.
type bearer struct {
	sector gateway.ContractID
	iin    string
}

// collect notes who bears the numbers of referral slips, where some step looks for them.
func (r *rules) collect(source func(func(*record) error) error) error {
	if !slices.ContainsFunc(r.d.Dimensions, func(d gateway.Dimension) bool {
		return slices.ContainsFunc(d.Source.Paths, func(p gateway.Path) bool {
			return slices.ContainsFunc(p.Steps, func(s gateway.Step) bool { return s.Slip })
		})
	}) {
		return nil
	}
	r.bearers = map[string][]bearer{}
	return source(func(rec *record) error {
		c := r.contracts[rec.sector]
		slip := slipOn(c, rec)
		if rec.dirt != nil || slip == "" {
			return nil
		}
		day, ok := gateway.ParseDay([]byte(rec.cell(c.EventDate().Name)))
		if ok && day >= r.d.From.First() && day <= r.d.To.Last() {
			r.bearers[slip] = append(r.bearers[slip], bearer{c.ID, rec.cell("child_iin")})
		}
		return nil
	})
}

// arrived is the day on which a slip of the child's first day on a path came to one of
// the sectors of a step: that of the child's own record, or the start where somebody
// else's record bears it.
func (r *rules) arrived(ch *child, path, step int, start gateway.Day, s *gateway.Step) gateway.Day {
	found := gateway.NoDay
	note := func(day gateway.Day) {
		if found == gateway.NoDay || day < found {
			found = day
		}
	}
	for _, e := range ch.events {
		for _, sent := range e.occurrences {
			if sought := r.sought[sent.sought]; sought.path != path || sought.step != -1 || sent.day != start {
				continue
			}
			for _, b := range r.bearers[sent.slip] {
				if b.iin != ch.iin && slices.ContainsFunc(s.Any, func(h gateway.Happening) bool { return h.Sector == b.sector }) {
					note(start)
				}
			}
			for _, f := range ch.events {
				for _, got := range f.occurrences {
					if sought := r.sought[got.sought]; sought.path != path || sought.step != step {
						continue
					}
					after := int(got.day - start)
					if sent.slip != "" && got.slip == sent.slip && after >= s.From && after <= s.To ||
						sent.slip == "" && after >= -s.Near && after <= s.Near {
						note(got.day)
					}
				}
			}
		}
	}
	return found
}
