package synth

import "strconv"

// forms of harm by type of violence.
var forms = map[string]table{
	"02": {{"CORPORAL_PUNISHMENT", 40}, {"PHYSICAL_OTHER", 45}, {"CORPORAL_PUNISHMENT|PSYCHOLOGICAL", 10}, {"WITNESS", 5}},
	"03": {{"SEXUAL", 90}, {"SEXUAL|PSYCHOLOGICAL", 10}},
	"04": {{"PSYCHOLOGICAL", 45}, {"BULLYING", 25}, {"CYBERBULLYING", 12}, {"SELF_HARM", 8}, {"BULLYING|SELF_HARM", 5}, {"WITNESS", 5}},
	"05": {{"NEGLECT", 95}, {"NEGLECT|PSYCHOLOGICAL", 5}},
	"06": {{"OTHER", 100}},
}

// formOf is the form that a school's kind of incident says already.
var formOf = map[string]string{
	"BULLYING": "BULLYING", "CYBERBULLYING": "CYBERBULLYING", "STAFF_VIOLENCE": "CORPORAL_PUNISHMENT", "SELF_HARM_SIGNAL": "SELF_HARM",
}

// nurseries are where children below school age are instead of at school.
var nurseries = table{{"KINDERGARTEN", 80}, {"DAY_CARE", 20}}

// costs are what a service costs at least, and how much more at most, in thousand
// tenge.
var costs = map[string][2]int{
	"PSYCHOSOCIAL": {30, 120}, "FAMILY_SUPPORT": {20, 80}, "MATERIAL": {10, 90},
	"CHILD_PROTECTION": {40, 150}, "HEALTH": {20, 200}, "EDUCATION": {10, 60}, "FAMILY_MEDIATION": {15, 60},
	"LIVELIHOOD": {50, 300}, "REGISTRATION": {2, 8}, "LEGAL": {25, 100}, "SHELTER": {200, 1400}, "REHABILITATION": {80, 500},
}

// harmed fills in the form of harm, the settings of small children and the cost of a
// service. It has dice of its own, thrown once a record: the other cells are what they
// would be without it.
func (k *clerk) harmed(i int, r *record, p *person, v *visit) {
	d := k.harm.throw(k.c.options.Seed, streamHarm, (i*sectors+v.sector)<<12+k.ordinal[v.sector])
	if d.chance(0.8) {
		r.set("harm_form", d.pick(forms[p.violence]))
	}
	if form := formOf[r.cell("incident_kind")]; form != "" {
		r.set("harm_form", form)
	}
	if v.day.Years(p.birth) < 6 && (r.cell("setting") == "SCHOOL" || r.cell("setting") == "INSTITUTION") {
		r.set("setting", d.pick(nurseries))
	}
	if c, ok := costs[r.cell("service_type")]; ok && r.cell("service_start_date") != "" && d.chance(0.9) {
		r.set("service_cost", strconv.Itoa(c[0]+d.IntN(c[1])))
	}
}
