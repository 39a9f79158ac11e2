package synth

import (
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// A visit is one record to be: which sector, when, and what the story needs.
type visit struct {
	sector   int
	day      gateway.Day
	kind     string      // event_type
	incident gateway.Day // police: the day it happened
	assessed gateway.Day // social, or NoDay
	started  gateway.Day // social, or NoDay
	closed   gateway.Day // social, or NoDay
	told     gateway.Day // health: reported to the police on, or NoDay
	from     string      // who referred the child here
	to       string      // sectors that the child is referred to
	key      string      // written on the referral slip
	stage    int         // justice
}

// A story is all visits of one child, made anew for each.
type story struct {
	d      *dice
	p      *person
	low    gateway.Day // first day on which the child can have a record
	high   gateway.Day
	visits []visit
}

// history tells the story of a child: the sector that hears first, whom it
// tells, and what comes of that, in days. Everything that would be dated outside
// the window or the child's first 18 years is left out.
func (c *Country) history(d *dice, p *person, visits []visit) []visit {
	s := &story{d: d, p: p, low: max(c.first, p.birth), high: min(c.last, p.birth+6573), visits: visits[:0]}
	door := visit{sector: p.door, day: p.heard, kind: d.pick(firstKinds[p.door])}
	switch p.door {
	case police:
		s.report(door)
	case social:
		s.family(door)
	default:
		if d.chance([sectors]float64{health: 0.28, education: 0.20, helpline: 0.16}[p.door]) {
			s.reported(door)
		} else {
			s.quiet(door)
		}
	}
	s.around()
	return s.visits
}

// add keeps a visit that can be; the first always can.
func (s *story) add(v visit) bool {
	if v.day < s.low || v.day > s.high {
		return false
	}
	s.visits = append(s.visits, v)
	return true
}

// after returns a day some days later.
func (s *story) after(day gateway.Day, low, high int) gateway.Day {
	return day + gateway.Day(s.d.between(low, high)) //nolint:gosec // some hundred days
}

// slip returns a key for a referral slip.
func (s *story) slip() string {
	const digits = "0123456789ABCDEF"
	key := []byte("S-00000000")
	for i := 2; i < len(key); i++ {
		key[i] = digits[s.d.IntN(16)]
	}
	return string(key)
}

// reported is a door that tells the police, soon or late.
func (s *story) reported(door visit) {
	when := s.after(door.day, 0, 12)
	door.to, door.key, door.told = "police", s.slip(), when
	s.add(door)
	report := visit{sector: police, day: when, kind: "REPORT", from: string(sectorNames[door.sector]), key: door.key}
	if when <= s.high {
		s.report(report)
	}
}

// quiet is a door that does not tell the police; social protection may hear.
func (s *story) quiet(door visit) {
	if s.d.chance(0.25) {
		door.to, door.key = "social", s.slip()
		s.add(door)
		if s.d.chance(0.6) {
			s.family(visit{
				sector: social, day: s.after(door.day, 1, 30), kind: "REFERRAL_RECEIVED",
				from: string(sectorNames[door.sector]), key: door.key,
			})
		}
		return
	}
	s.add(door)
}

// report is a report to the police: social protection hears in time, late, or
// not at all, by region; hospital and court may follow.
func (s *story) report(v visit) {
	v.incident = max(s.after(v.day, -9, 0), s.p.birth)
	if s.d.chance(0.4) {
		v.incident = v.day
	}
	reach := regions[s.p.region].reach
	if s.p.rural {
		reach -= 0.06
	}
	hears := s.d.Float64()
	if told := hears < reach+(1-reach)*0.7; told {
		v.to, v.key = "social", s.slip()
	}
	if !s.add(v) {
		return
	}
	received := visit{sector: social, kind: "REFERRAL_RECEIVED", from: "police", key: v.key}
	switch {
	case hears < reach: // in time
		received.day = s.after(v.day, 0, 9)
		received.assessed = s.after(received.day, 0, 12)
		received.started = s.after(received.assessed, 0, 25)
		if s.d.chance(0.15) { // help before paper
			received.started, received.assessed = received.assessed, gateway.NoDay
		}
		s.contact(received)
	case hears < reach+(1-reach)*0.45: // late
		received.day = s.after(v.day, 3, 60)
		received.assessed = max(s.after(v.day, 31, 170), received.day)
		s.contact(received)
	case hears < reach+(1-reach)*0.6: // received, and nothing came of it
		received.day = s.after(v.day, 1, 40)
		received.assessed, received.started, received.closed = gateway.NoDay, gateway.NoDay, gateway.NoDay
		s.add(received)
	}
	if s.d.chance(0.30) {
		s.add(visit{sector: health, day: s.after(v.day, 0, 5), kind: s.d.pick(table{{"CONTACT", 4}, {"FORENSIC", 5}, {"ADMISSION", 1}}), from: "police"})
	}
	if s.d.chance(0.20) {
		s.court(s.after(v.day, 25, 260))
	}
}

// contact completes a visit to social protection and what follows from it.
// Dates after the window are not known yet.
func (s *story) contact(v visit) {
	if v.started == 0 {
		v.started = gateway.NoDay
		if s.d.chance(0.5) && v.assessed != gateway.NoDay {
			v.started = s.after(v.assessed, 2, 45)
		}
	}
	v.closed = gateway.NoDay
	if v.started != gateway.NoDay && s.d.chance(0.4) {
		v.closed = s.after(v.started, 60, 300)
	}
	// The order of the contract is received, assessed, started, closed, and what
	// is not known on the last day is not written.
	for _, day := range []*gateway.Day{&v.assessed, &v.started, &v.closed} {
		if *day > s.high {
			*day = gateway.NoDay
		}
	}
	if s.add(v) && v.started != gateway.NoDay && s.d.chance(0.25) {
		review := visit{
			sector: social, day: s.after(v.started, 30, 120), kind: "REVIEW",
			assessed: gateway.NoDay, started: gateway.NoDay, closed: gateway.NoDay,
		}
		s.add(review)
	}
}

// family is a contact of social protection of its own.
func (s *story) family(v visit) {
	v.assessed = s.after(v.day, 0, 20)
	if s.d.chance(0.2) {
		v.assessed = gateway.NoDay
	}
	s.contact(v)
}

func (s *story) knownTo(sector int) bool {
	return slices.ContainsFunc(s.visits, func(v visit) bool { return v.sector == sector })
}

// court is one to three stages of a case.
func (s *story) court(day gateway.Day) {
	for stage := range s.d.between(1, 3) {
		s.add(visit{sector: justice, day: day, stage: stage})
		day = s.after(day, 14, 90)
	}
}

// around are records that belong to no chain: a school that noticed, a call, a
// hospital, the police again.
func (s *story) around() {
	first := s.visits[0].day
	if s.d.chance(0.26) && first.Years(s.p.birth) >= 6 {
		s.add(visit{sector: education, day: s.after(first, -60, 200), kind: s.d.pick(firstKinds[education])})
	}
	if s.d.chance(0.20) && first.Years(s.p.birth) >= 7 {
		s.add(visit{sector: helpline, day: s.after(first, -60, 90), kind: s.d.pick(firstKinds[helpline])})
	}
	if s.d.chance(0.24) {
		s.add(visit{sector: health, day: s.after(first, -30, 300), kind: s.d.pick(firstKinds[health])})
	}
	for s.d.chance(0.19) {
		again := visit{sector: police, day: s.after(first, 8, 420), kind: s.d.pick(firstKinds[police])}
		if again.incident = again.day; s.knownTo(police) {
			s.add(again)
		} else {
			s.report(again)
		}
	}
	// A few children are known to everyone: the cap on records of one child in a
	// cell is there for them.
	if s.d.chance(0.0008) {
		for range s.d.between(24, 40) {
			s.add(visit{sector: helpline, day: s.after(first, 0, 60), kind: "FOLLOW_UP"})
		}
	}
}
