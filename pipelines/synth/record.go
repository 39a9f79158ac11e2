package synth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A form is a contract as the generator fills it in.
type form struct {
	contract *gateway.Contract
	at       map[gateway.FieldName]int // place of a field in the contract
	header   []int                     // fields that are written, in order
	event    gateway.FieldName
}

// A record is one line of a file: the cells by the place of their fields.
type record struct {
	form   *form
	sector int
	cells  []string
	iin    bool // whether the child's number is known; else no child is counted
	dirt   *spot
}

// set fills a cell. A field that the contract does not have is not sent.
func (r *record) set(field gateway.FieldName, value string) {
	if i, ok := r.form.at[field]; ok {
		r.cells[i] = value
	}
}

func (r *record) cell(field gateway.FieldName) string {
	if i, ok := r.form.at[field]; ok {
		return r.cells[i]
	}
	return ""
}

// known are the fields that the generator can fill beside those of draws.
var known = [sectors][]gateway.FieldName{
	police: {"incident_date", "legal_qualification", "protective_order", "protective_order_date"},
	health: {"facility_kato", "icd10_main", "icd10_external", "reported_to_police_date"},
	education: {
		"school_code", "school_kato", "school_type", "grade_band", "incident_kind", "days_absent_30d", "psych_support_start",
	},
	social:  {"assessment_date", "service_type", "service_start_date", "service_status", "service_cost", "closure_date", "closure_reason"},
	justice: {"stage", "child_role", "charge_article", "hearings_with_child", "outcome"},
	helpline: {
		"child_age_years", "call_type", "category", "language",
	},
}

var knownToAll = []gateway.FieldName{
	"record_id", "child_iin", "child_id_absent_reason", "child_family_name", "child_given_name", "child_patronymic",
	"child_birth_date", "child_sex", "child_citizenship", "child_disability", "residence_kato", "residence_type", "event_type",
	"violence_type", "harm_form", "referred_from", "referred_to", "referral_date", "referral_key", "legal_basis", "consent_reporting",
}

// newForm refuses a contract that requires a field which the generator does not
// know, and one whose lists lack a code that the generator draws: a generator
// that had drifted from the contracts would make files that are refused.
func newForm(c *gateway.Contract, sector int) (form, error) {
	f := form{contract: c, at: map[gateway.FieldName]int{}}
	event := c.EventDate()
	if event == nil {
		return f, gateway.Errorf(gateway.Invalid, "the contract %s has no date of the event", c.ID)
	}
	f.event = event.Name
	drawn := map[gateway.FieldName]table{}
	for _, d := range draws[sector] {
		drawn[d.field] = d.codes
	}
	for i, field := range c.Fields {
		if field.Refused {
			continue
		}
		f.at[field.Name] = i
		f.header = append(f.header, i)
		fills := drawn[field.Name] != nil || field.Event || slices.Contains(knownToAll, field.Name) || slices.Contains(known[sector], field.Name)
		if field.Required && !fills {
			return f, gateway.Errorf(gateway.Invalid, "the contract %s requires %s, which the generator cannot fill", c.ID, field.Name)
		}
		if err := checkCodes(&field, drawn[field.Name]); err != nil {
			return f, fmt.Errorf("contract %s: %w", c.ID, err)
		}
	}
	return f, nil
}

func checkCodes(field *gateway.Field, t table) error {
	for _, c := range t {
		for code := range strings.SplitSeq(c.code, "|") {
			if field.List == nil {
				continue
			}
			if _, ok := field.List.Number([]byte(code)); !ok {
				return gateway.Errorf(gateway.Invalid, "the list of %s lacks the code %s, which the generator draws", field.Name, code)
			}
		}
	}
	return nil
}

// A clerk writes records of one country, reusing its cells.
type clerk struct {
	c       *Country
	d       *dice
	spoiler *dice
	harm    *dice
	visits  []visit
	records [sectors]record
	ordinal [sectors]int
}

func (c *Country) clerk() *clerk {
	k := &clerk{c: c, d: newDice(), spoiler: newDice(), harm: newDice()}
	for i := range k.records {
		k.records[i] = record{form: &c.forms[i], sector: i, cells: make([]string, len(c.forms[i].contract.Fields))}
	}
	return k
}

// each calls do with every record of the country, child by child. A record is
// valid during the call only.
func (c *Country) each(do func(*record) error) error {
	k := c.clerk()
	for i := range c.options.Children {
		if err := k.child(i, do); err != nil {
			return err
		}
	}
	return nil
}

// child writes the records of child i, and the contacts without a number that
// happen to come after it.
func (k *clerk) child(i int, do func(*record) error) error {
	seed := k.c.options.Seed
	p := k.c.person(k.d, i)
	iin := k.c.iin(i, &p)
	k.visits = k.c.history(k.d.throw(seed, streamHistory, i), &p, k.visits)
	k.ordinal = [sectors]int{}
	k.d.throw(seed, streamRecord, i)
	for n := range k.visits {
		r := k.write(i, &p, iin, &k.visits[n])
		// A few records of a known child come without its number, but never the
		// first: every child of the country is to be found.
		if r.iin = n == 0 || !k.d.chance(0.015); !r.iin {
			r.set("child_iin", "")
			r.set("child_id_absent_reason", "NOT_COLLECTED")
		}
		if err := k.hand(i, n, r, do); err != nil {
			return err
		}
	}
	return k.unidentified(i, do)
}

// hand gives a record on, spoilt if its dice say so.
func (k *clerk) hand(i, n int, r *record, do func(*record) error) error {
	r.dirt = nil
	if k.c.options.Dirty == 0 {
		return do(r)
	}
	d := k.spoiler.throw(k.c.options.Seed, streamDirt, i<<8+n+1)
	if !d.chance(k.c.options.Dirty) {
		return do(r)
	}
	return spoil(d, r, k.c, do)
}
