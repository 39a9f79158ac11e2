package configs

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

var fieldTypes = map[string]gateway.FieldType{
	"text": gateway.TypeText, "identifier": gateway.TypeIdentifier, "iin": gateway.TypeIIN, "code": gateway.TypeCode,
	"date": gateway.TypeDate, "birth_date": gateway.TypeBirthDate, "age": gateway.TypeAge, "integer": gateway.TypeInteger,
}

var fieldRoles = map[string]gateway.FieldRole{
	"direct": gateway.RoleDirect, "quasi": gateway.RoleQuasi, "sensitive": gateway.RoleSensitive,
	"measure": gateway.RoleMeasure, "admin": gateway.RoleAdmin,
}

// classes are the words that policies decide about. A class that no policy knows
// would be dropped without a word, so a misspelt one is refused here.
var classes = []string{
	"child_id", "record_id", "referral_key", "name", "organisation", "narrative", "birth_date", "age", "event_date", "date", "area",
	"diagnosis", "demographic", "sensitive", "admin", "measure", "count", "sex",
}

const (
	maxTextBytes  = 1024 // longest text or identifier that any contract may allow
	maxMultiCodes = 64   // a set of codes is one UInt64
)

var (
	bandPattern = regexp.MustCompile(`^Y(\d{1,2})T(\d{1,2})$`)
	formPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// field returns a field. What is wrong with it alone is noted.
func (r *contractReader) field(p placedField) gateway.Field {
	f := gateway.Field{
		Name: p.Name, Title: p.Title, Class: p.Class, Multi: p.Multi, Forms: p.Forms, Required: p.Required,
		MaxBytes: p.MaxBytes, Event: p.Event, Refused: p.Refused, Column: p.Column, List: r.lists[p.List], Part: p.NamePart,
	}
	var typed, placed bool
	if f.Type, typed = fieldTypes[p.Type]; !typed {
		p.at.at("type").bad("type %q is none of %s", p.Type, names(fieldTypes))
	}
	if f.Role, placed = fieldRoles[p.Role]; !placed {
		p.at.at("role").bad("role %q is none of %s", p.Role, names(fieldRoles))
	}
	if !slices.Contains(classes, p.Class) {
		p.at.at("class").bad("class %q is none of %s", p.Class, strings.Join(classes, ", "))
	}
	if !namePattern.MatchString(string(p.Name)) || p.Name == gateway.DerivedAge || p.Name == gateway.DerivedDays {
		p.at.at("name").bad("name %q does not match %s, or is a derived field's", p.Name, namePattern)
	}
	if p.Title.EN == "" {
		p.at.at("title").bad("field %s has no English title", p.Name)
	}
	if c := p.RequiredWhen; c != nil {
		f.When = &gateway.Condition{Field: c.Field, Empty: c.Empty, Present: c.Present, In: c.In}
	}
	if typed && placed {
		checkKeys(&f, p)
		r.checkList(&f, p)
		checkRange(&f, p)
		checkStored(&f, p)
	}
	return f
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

// checkKeys refuses keys that mean nothing for the field's type.
func checkKeys(f *gateway.Field, p placedField) {
	bytes := f.Type == gateway.TypeText || f.Type == gateway.TypeIdentifier
	switch {
	case bytes && !f.Refused && (f.MaxBytes < 1 || f.MaxBytes > maxTextBytes):
		p.at.at("max_bytes").bad("field %s needs max_bytes from 1 to %d", f.Name, maxTextBytes)
	case (!bytes || f.Refused) && f.MaxBytes != 0:
		p.at.at("max_bytes").bad("max_bytes is for text and identifiers that are read")
	}
	switch {
	case f.Part != "" && f.Part != gateway.FamilyName && f.Part != gateway.GivenName:
		p.at.at("name_part").bad("name_part is %s or %s", gateway.FamilyName, gateway.GivenName)
	case f.Part != "" && (f.Type != gateway.TypeText || f.Refused || f.Class != "name"):
		p.at.at("name_part").bad("name_part is for text of the class name")
	}
	if f.Multi && f.Type != gateway.TypeCode {
		p.at.at("multi").bad("multi is for codes")
	}
	if len(f.Forms) > 0 && f.Type != gateway.TypeCode {
		p.at.at("forms").bad("forms are for codes")
	}
	if f.Event && (f.Type != gateway.TypeDate || !f.Required) {
		p.at.at("event").bad("the date of the event must be a required date")
	}
	if f.Refused && (f.Type != gateway.TypeText || f.Required || f.When != nil) {
		p.at.at("refused").bad("only text that is not required can be refused")
	}
	if f.Required && f.When != nil {
		p.at.at("required_when").bad("field %s is required anyway", f.Name)
	}
	if direct := f.Type == gateway.TypeText || f.Type == gateway.TypeIdentifier || f.Type == gateway.TypeIIN; direct != (f.Role == gateway.RoleDirect) {
		p.at.at("role").bad("the role direct is for text, identifiers and iin, and they have no other")
	}
}

func (r *contractReader) checkList(f *gateway.Field, p placedField) {
	coded := f.Type == gateway.TypeCode
	banded := f.Type == gateway.TypeBirthDate || f.Type == gateway.TypeAge
	switch {
	case !coded && !banded && p.List != "":
		p.at.at("list").bad("list is for codes, birth dates and ages")
	case (coded || banded) && f.List == nil:
		p.at.at("list").bad("field %s: there is no code list %q", f.Name, p.List)
	case f.List == nil:
	case f.Multi && len(f.List.Codes) > maxMultiCodes:
		p.at.at("multi").bad("code list %s has more than %d codes, too many for a set", p.List, maxMultiCodes)
	case banded && !contiguous(f.List):
		p.at.at("list").bad("code list %s is not of age bands Y0T4, Y5T9, … without gaps", p.List)
	case coded:
		for i, form := range f.Forms {
			if !fits(form, f.List) {
				p.at.at("forms").at(i).bad("form %q cut to the length of the codes of %s matches none of them", form, p.List)
			}
		}
	}
}

// contiguous reports whether the list's codes are age bands that follow one
// another.
func contiguous(list *gateway.CodeList) bool {
	next := -1
	for _, c := range list.Codes {
		m := bandPattern.FindStringSubmatch(c.Code)
		if m == nil {
			return false
		}
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		if from > to || (next >= 0 && from != next) {
			return false
		}
		next = to + 1
	}
	return true
}

// fits reports whether a value of the form, cut to the list's length, can be a
// code.
func fits(form string, list *gateway.CodeList) bool {
	if list.Length() == 0 || len(form) < list.Length() || !formPattern.MatchString(form) {
		return false
	}
	return slices.ContainsFunc(list.Codes, func(c gateway.Code) bool {
		for i := range list.Length() {
			if !matches(form[i], c.Code[i]) {
				return false
			}
		}
		return true
	})
}

func matches(shape, char byte) bool {
	switch shape {
	case '9':
		return char >= '0' && char <= '9'
	case 'A':
		return char >= 'A' && char <= 'Z'
	}
	return char == shape
}

func checkRange(f *gateway.Field, p placedField) {
	ranged := f.Type == gateway.TypeInteger || f.Type == gateway.TypeAge
	if !ranged {
		if p.Min != nil || p.Max != nil {
			p.at.bad("min and max are for integers and ages")
		}
		return
	}
	if p.Min == nil || p.Max == nil || *p.Min < 0 || *p.Max < *p.Min || *p.Max > 1<<30 {
		p.at.bad("field %s needs min and max with 0 <= min <= max", f.Name)
		return
	}
	f.Min, f.Max = *p.Min, *p.Max
}

// checkStored refuses column names that would clash with those that every
// contract has, or that would store a direct identifier in clear.
func checkStored(f *gateway.Field, p placedField) {
	at := p.at.at("column")
	switch {
	case f.Type == gateway.TypeText && f.Column != "":
		at.bad("text is never stored")
	case (f.Type == gateway.TypeIIN) != (f.Column == gateway.ColumnPID):
		at.bad("the column of an iin is %s, and of nothing else", gateway.ColumnPID)
	case f.Event != (f.Column == gateway.ColumnDay):
		at.bad("the column of the event's date is %s, and of nothing else", gateway.ColumnDay)
	case (f.Type == gateway.TypeBirthDate || f.Type == gateway.TypeAge) != (f.Column == gateway.ColumnAge):
		at.bad("the column of birth dates and ages is %s, and of nothing else", gateway.ColumnAge)
	case f.Column != "" && !namePattern.MatchString(f.Column):
		at.bad("column %q does not match %s", f.Column, namePattern)
	case slices.Contains([]string{gateway.ColumnRandom, gateway.ColumnMAC, gateway.ColumnQuarter, "load_id"}, f.Column):
		at.bad("column %q is one that every table has", f.Column)
	}
}

// checkFields holds the fields of a contract against one another.
func checkFields(c *gateway.Contract, placed []placedField, top place) {
	events, columns := 0, map[string]gateway.FieldName{}
	for i := range c.Fields {
		f, at := &c.Fields[i], placed[i].at
		if slices.ContainsFunc(c.Fields[:i], func(g gateway.Field) bool { return g.Name == f.Name }) {
			at.at("name").bad("contract %s has the field %s twice", c.ID, f.Name)
		}
		if f.Event {
			events++
		}
		if other, taken := columns[f.Column]; taken && f.Column != "" && f.Column != gateway.ColumnAge {
			at.at("column").bad("contract %s stores %s and %s in one column", c.ID, other, f.Name)
		}
		columns[f.Column] = f.Name
		if f.When != nil {
			checkCondition(c, f, at.at("required_when"))
		}
	}
	for _, part := range []gateway.NamePart{gateway.FamilyName, gateway.GivenName} {
		if n := len(c.Parts(part)); n > 1 {
			top.at("fields").bad("contract %s has %d fields of the name part %s; it may have one", c.ID, n, part)
		}
	}
	if events != 1 {
		top.at("fields").bad("contract %s has %d dates of the event; it needs one", c.ID, events)
	}
}

func checkCondition(c *gateway.Contract, f *gateway.Field, at place) {
	w := f.When
	kinds := 0
	for _, set := range []bool{w.Empty, w.Present, len(w.In) > 0} {
		if set {
			kinds++
		}
	}
	other := c.Field(w.Field)
	switch {
	case kinds != 1:
		at.bad("a condition is one of empty: true, present: true and in: [codes]")
	case other == nil || other.Refused || other.Name == f.Name:
		at.at("field").bad("contract %s has no other field %q", c.ID, w.Field)
	case len(w.In) > 0 && (other.Type != gateway.TypeCode || other.List == nil):
		at.at("in").bad("field %s holds no codes", w.Field)
	case len(w.In) > 0:
		for i, code := range w.In {
			if _, ok := other.List.Number([]byte(code)); !ok {
				at.at("in").at(i).bad("code list %s has no code %q", other.List.ID, code)
			}
		}
	}
}
