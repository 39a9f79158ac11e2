package synth

import (
	"strconv"

	"github.com/pana-exchange/pana/gateway"
)

// write fills in a record of a visit.
func (k *clerk) write(i int, p *person, iin string, v *visit) *record {
	r := &k.records[v.sector]
	clear(r.cells)
	year, _, _ := v.day.Date()
	r.set("record_id", k.recordID(i, v.sector, year))
	r.set("child_iin", iin)
	k.describe(r, p, v)
	r.set(r.form.event, k.c.spell(v.day))
	r.set("event_type", v.kind)
	for _, draw := range draws[v.sector] {
		if draw.filled >= 1 || k.d.chance(draw.filled) {
			r.set(draw.field, k.d.pick(draw.codes))
		}
	}
	switch v.sector {
	case police:
		k.police(r, p, v)
	case health:
		k.health(r, p, v)
	case education:
		k.education(r, p, v)
	case social:
		k.social(r, p, v)
	case justice:
		k.justice(r, p, v)
	case helpline:
		k.helpline(r, p)
	}
	k.harmed(i, r, p, v)
	k.refer(r, v)
	r.set("legal_basis", k.d.pick(bases))
	if r.cell("legal_basis") == "CONSENT" {
		r.set("consent_reporting", "Y")
	}
	return r
}

// recordID numbers the records of a sector so that neighbours are not those of
// one child: an odd factor makes a permutation of the 32-bit numbers.
func (k *clerk) recordID(i, sector, year int) string {
	n := uint32(i)*2654435761 + uint32(sector)*40503 //nolint:gosec // wrapping is what makes the permutation
	k.ordinal[sector]++
	id := append(make([]byte, 0, 24), "PHESJL"[sector], '-')
	id = strconv.AppendInt(id, int64(year), 10)
	id = append(id, '-')
	id = strconv.AppendUint(id, uint64(n), 36)
	id = append(id, '-')
	return string(strconv.AppendInt(id, int64(k.ordinal[sector]), 10))
}

// describe fills in who the child is. Agencies spell names in Kazakh or in
// Russian, and now and then one of them names another region.
func (k *clerk) describe(r *record, p *person, v *visit) {
	kazakh := k.d.chance(0.35 + 0.4*regions[p.region].kazakh*0.5)
	r.set("child_family_name", p.familyName(kazakh))
	r.set("child_given_name", p.givenName(kazakh))
	if k.d.chance(0.8) {
		r.set("child_patronymic", p.patronymic(kazakh))
	}
	r.set("child_birth_date", k.c.spell(p.birth))
	r.set("child_sex", "F")
	if p.male {
		r.set("child_sex", "M")
	}
	r.set("child_citizenship", p.citizen)
	if v.sector == social || v.sector == health || k.d.chance(0.5) {
		r.set("child_disability", p.disability)
	}
	place := p.kato
	if k.d.chance(0.04) {
		place = kato(k.d, regions[k.d.region()].code, p.rural)
	}
	r.set("residence_kato", place)
	if k.d.chance(0.9) {
		r.set("residence_type", "U")
		if p.rural {
			r.set("residence_type", "R")
		}
	}
}

// refer fills in the referral. Its date is that of the visit or a few days
// later, and not after the window.
func (k *clerk) refer(r *record, v *visit) {
	r.set("referred_from", v.from)
	if v.from == "" && k.d.chance(0.3) {
		r.set("referred_from", k.d.pick(table{{"SELF", 25}, {"FAMILY", 50}, {"PUBLIC", 25}}))
	}
	if v.to != "" {
		r.set("referred_to", v.to)
		r.set("referral_date", k.c.spell(min(v.day+gateway.Day(k.d.between(0, 3)), k.c.last))) //nolint:gosec // days
	}
	r.set("referral_key", v.key)
}

func (k *clerk) police(r *record, p *person, v *visit) {
	if k.d.chance(0.85) {
		r.set("incident_date", k.c.spell(v.incident))
	}
	types := p.violence
	if types == "02" && k.d.chance(0.25) {
		types = "02|04"
	}
	r.set("violence_type", types)
	law := k.d.pick(laws[p.violence])
	if law == bullyingLaw && v.day < bullyingFrom {
		law = bullyingElse
	}
	r.set("legal_qualification", law)
	switch order := k.d.Float64(); {
	case order < 0.22:
		r.set("protective_order", k.d.pick(orders))
		r.set("protective_order_date", k.c.spell(min(v.day+gateway.Day(k.d.between(0, 9)), k.c.last))) //nolint:gosec // days
	case order < 0.8:
		r.set("protective_order", "NONE")
	}
}

func (k *clerk) health(r *record, p *person, v *visit) {
	if k.d.chance(0.9) {
		r.set("facility_kato", r.cell("residence_kato"))
	}
	r.set("icd10_main", k.d.pick(injuries[p.violence]))
	if k.d.chance(0.55) {
		r.set("icd10_external", k.d.pick(causes[p.violence]))
		r.set("violence_type", p.violence)
	}
	if v.told > 0 && v.told <= k.c.last {
		r.set("reported_to_police_date", k.c.spell(v.told))
	}
}

func (k *clerk) education(r *record, p *person, v *visit) {
	place := r.cell("residence_kato")
	r.set("school_code", "SCH-"+place[:4]+strconv.Itoa(k.d.IntN(60)))
	r.set("school_kato", place)
	kind, band := "PRESCHOOL", "0"
	switch age := v.day.Years(p.birth); {
	case age < 6:
	case age < 10:
		kind, band = k.d.pick(pupils), "1_4"
	case age < 15:
		kind, band = k.d.pick(pupils), "5_9"
	default:
		if kind, band = k.d.pick(colleges), "10_11"; kind == "COLLEGE" {
			band = "COLLEGE"
		}
	}
	r.set("school_type", kind)
	r.set("grade_band", band)
	r.set("incident_kind", k.d.pick(schoolSignals[p.violence]))
	if r.cell("incident_kind") != "OTHER" {
		r.set("violence_type", p.violence)
	}
	if k.d.chance(0.7) {
		r.set("days_absent_30d", strconv.Itoa(min(k.d.IntN(8)*k.d.IntN(5), 30)))
	}
	if start := v.day + gateway.Day(k.d.between(1, 40)); start <= k.c.last && k.d.chance(0.3) { //nolint:gosec // days
		r.set("psych_support_start", k.c.spell(start))
	}
}

func (k *clerk) social(r *record, p *person, v *visit) {
	if k.d.chance(0.5) {
		r.set("violence_type", p.violence)
	}
	r.set("assessment_date", k.c.spell(v.assessed))
	r.set("service_start_date", k.c.spell(v.started))
	r.set("closure_date", k.c.spell(v.closed))
	switch {
	case v.started != gateway.NoDay:
		r.set("service_type", k.d.pick(services))
		r.set("service_status", k.d.pick(statuses))
	case k.d.chance(0.4):
		r.set("service_type", k.d.pick(services))
		r.set("service_status", k.d.pick(unstarted))
	}
	if v.closed != gateway.NoDay {
		r.set("closure_reason", k.d.pick(closures))
	}
}

func (k *clerk) justice(r *record, p *person, v *visit) {
	r.set("stage", stages[v.stage])
	r.set("event_type", stageEvents[v.stage])
	role := "VICTIM"
	if v.day.Years(p.birth) >= 14 {
		role = k.d.pick(roles)
	}
	r.set("child_role", role)
	law := k.d.pick(laws[p.violence])
	switch {
	case role == "IN_CONFLICT":
		law = k.d.pick(offences)
	case law == bullyingLaw && v.day < bullyingFrom:
		law = bullyingElse
	}
	r.set("charge_article", law)
	if role == "VICTIM" {
		r.set("violence_type", p.violence)
	}
	r.set("hearings_with_child", strconv.Itoa(k.d.IntN(4)))
	if v.stage == 2 {
		r.set("outcome", k.d.pick(outcomes))
	}
}

func (k *clerk) helpline(r *record, p *person) {
	r.set("call_type", k.d.pick(calls))
	r.set("category", k.d.pick(callTopics[p.violence]))
	r.set("violence_type", p.violence)
	r.set("language", "ru")
	if k.d.chance(regions[p.region].kazakh * 0.7) {
		r.set("language", "kk")
	}
}

// unidentified writes the contacts that have no child's number: helpline calls
// without a name, newborns and children of other citizenship. They are records,
// never children (disclosure.md 2.1).
func (k *clerk) unidentified(i int, do func(*record) error) error {
	k.d.throw(k.c.options.Seed, streamContact, i)
	sector, reasons := helpline, anonymous
	switch n := k.d.Float64(); {
	case n < 0.045:
	case n < 0.050:
		sector, reasons = health, unnumbered
	case n < 0.055:
		sector, reasons = police, unnumbered
	default:
		return nil
	}
	p := k.c.leaderOf(k.d, k.c.options.Children+i) // someone else
	k.d.throw(k.c.options.Seed, streamContact, k.c.options.Children+i)
	day := k.c.day(k.d, sector)
	p.birth = k.c.birth(k.d, sector, day)
	k.ordinal[sector] += 900
	r := k.write(i, &p, "", &visit{sector: sector, day: day, incident: day, kind: k.d.pick(firstKinds[sector])})
	r.iin = false
	reason := k.d.pick(reasons)
	if reason == "NEWBORN" {
		p.birth = day
		r.set("child_birth_date", k.c.spell(day))
	}
	r.set("child_id_absent_reason", reason)
	if reason == "NON_CITIZEN" {
		r.set("child_citizenship", "OTHER")
	}
	if sector == helpline {
		k.nameless(r, &p, day)
	}
	return k.hand(i, -1, r, do)
}

// nameless takes out of a contact what a caller without a name does not say.
func (k *clerk) nameless(r *record, p *person, day gateway.Day) {
	for _, field := range []gateway.FieldName{"child_family_name", "child_given_name", "child_patronymic", "child_birth_date", "child_citizenship", "child_disability"} {
		r.set(field, "")
	}
	r.set("child_sex", k.d.pick(genders))
	if k.d.chance(0.9) {
		r.set("child_age_years", strconv.Itoa(day.Years(p.birth)))
	}
}
