package pipelines

import (
	"errors"
	"fmt"
	"math"

	"github.com/pana-exchange/pana/gateway"
)

// textBytes is the most bytes of a text or an identifier whose contract does not say.
const textBytes = 256

// adult is the age that is no child's: Convention on the Rights of the Child,
// article 1. No contract or policy can raise it.
const adult = 18

// A column is one field of the contract, compiled: how its cells are read and
// checked. What is stored of them is a [store].
//
// What is looked at for every cell stands in the column itself: fields are large
// and lie apart.
type column struct {
	kind     gateway.FieldType
	dates    dateForms // of dates: the forms that are read
	seen     dateForms // and those that were seen
	required bool
	multi    bool
	place    int // number of the cell in a record, -1 when the file has none
	maxBytes int
	min, max int
	codes    *codeTable // of TypeCode
	validity []validity // by number of the code; nil when all are always valid
	forms    []string
	length   int // to which values of a form are cut
	when     condition
	field    *gateway.Field
}

// A validity is the days on which a code is valid, both inclusive.
type validity struct{ from, to gateway.Day }

func (v validity) holds(day gateway.Day) bool { return v.from <= day && day <= v.to }

// A condition is a gateway.Condition compiled. The zero condition never holds.
type condition struct {
	kind  conditionKind
	field int
	in    []uint64 // bit n for code number n
}

type conditionKind uint8

const (
	never conditionKind = iota
	ifEmpty
	ifPresent
	ifIn
)

// A schema says which field of a contract is which, by type and by the column
// that it is stored in, never by its name. -1 stands for none.
type schema struct {
	contract *gateway.Contract
	columns  []column
	iin      int
	birth    int
	age      int
	sex      int
	event    int
	dates    []int // that are neither the event's nor a birth's
	record   int   // the identifier that must be there: the record's own
	order    [][2]int
	male     int64 // numbers of the codes M and F in the list of the sex
	female   int64
	bands    []uint16         // number of the age band by whole years
	mapping  *gateway.Mapping // nil: none
}

// newSchema compiles a contract. What it refuses configs should have refused.
func newSchema(c *gateway.Contract, m *gateway.Mapping) (*schema, error) {
	s := &schema{contract: c, columns: make([]column, len(c.Fields)), iin: -1, birth: -1, age: -1, sex: -1, event: -1, record: -1, mapping: m}
	for i := range c.Fields {
		f := &c.Fields[i]
		if f.Name == gateway.DerivedAge || f.Name == gateway.DerivedDays {
			return nil, fmt.Errorf("field %s has the name of a derived one", f.Name)
		}
		if err := s.compile(i, f); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	if s.event < 0 {
		return nil, errors.New("no field is the date of the event")
	}
	for i := range c.Fields {
		if err := s.compileWhen(i, c.Fields[i].When); err != nil {
			return nil, fmt.Errorf("field %s: %w", c.Fields[i].Name, err)
		}
	}
	for _, rule := range c.Order {
		dates := [2]int{s.index(rule.Earlier), s.index(rule.Later)}
		for _, i := range dates {
			if i < 0 || !isDate(c.Fields[i].Type) {
				return nil, fmt.Errorf("the order of %s and %s is not one of two dates", rule.Earlier, rule.Later)
			}
		}
		s.order = append(s.order, dates)
	}
	return s, nil
}

func isDate(t gateway.FieldType) bool { return t == gateway.TypeDate || t == gateway.TypeBirthDate }

func (s *schema) index(name gateway.FieldName) int {
	for i := range s.contract.Fields {
		if s.contract.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// compile reads what one field says of itself.
func (s *schema) compile(i int, f *gateway.Field) error {
	c := &s.columns[i]
	*c = column{
		kind: f.Type, dates: s.dateForms(), required: f.Required, multi: f.Multi, place: -1, maxBytes: f.MaxBytes, min: f.Min, max: f.Max,
		forms: f.Forms, field: f,
	}
	switch f.Type {
	case gateway.TypeText, gateway.TypeIdentifier:
		if f.MaxBytes <= 0 {
			c.maxBytes = textBytes
		}
		if f.Type == gateway.TypeIdentifier && f.Required && s.record < 0 {
			s.record = i
		}
		return nil
	case gateway.TypeIIN:
		return once(&s.iin, i, f.Column == "" || f.Column == gateway.ColumnPID)
	case gateway.TypeCode:
		return s.compileCode(i, f)
	case gateway.TypeDate:
		if !f.Event {
			s.dates = append(s.dates, i)
			return nil
		}
		return once(&s.event, i, true)
	case gateway.TypeBirthDate:
		return errors.Join(once(&s.birth, i, true), s.compileBands(f))
	case gateway.TypeAge:
		return errors.Join(once(&s.age, i, f.Min >= 0 && f.Min <= f.Max), s.compileBands(f))
	case gateway.TypeInteger:
		if f.Min < 0 || f.Max < f.Min || f.Max > math.MaxInt32 {
			return errors.New("its range is not one of counts")
		}
		return nil
	}
	return errors.New("it has no type")
}

// once notes the one field of its kind.
func once(at *int, i int, good bool) error {
	switch {
	case *at >= 0:
		return errors.New("it is the second of a type of which there is one")
	case !good:
		return errors.New("its column or range is not one of its type")
	}
	*at = i
	return nil
}

func (s *schema) compileCode(i int, f *gateway.Field) error {
	c := &s.columns[i]
	switch {
	case f.List == nil || len(f.List.Codes) == 0:
		return errors.New("it has no code list")
	case f.Multi && len(f.List.Codes) > 64:
		return errors.New("its list is too long for several codes in a cell")
	case len(f.Forms) > 0 && f.List.Length() == 0:
		return errors.New("it has forms, and its codes are not equally long")
	}
	for _, form := range f.Forms {
		if len(form) < f.List.Length() {
			return errors.New("a form is shorter than its codes")
		}
	}
	own, err := aliases(s.mapping, f)
	if err != nil {
		return err
	}
	c.codes, c.length = newCodeTable(f.List, own), f.List.Length()
	always := validity{gateway.NoDay, math.MaxInt32}
	dates := []validity{always}
	for n := range f.List.Codes {
		v := validity{f.List.Codes[n].From, f.List.Codes[n].To}
		if v.to == gateway.NoDay {
			v.to = always.to
		}
		if dates = append(dates, v); v != always {
			c.validity = dates
		}
	}
	if c.validity != nil {
		c.validity = dates
	}
	if f.Column != gateway.ColumnSex || f.Multi {
		return nil
	}
	male, hasMale := f.List.Number([]byte("M"))
	female, hasFemale := f.List.Number([]byte("F"))
	s.male, s.female = int64(male), int64(female)
	return once(&s.sex, i, hasMale && hasFemale)
}

// compileBands derives the age bands from the texts of the codes, "Y10T14": whole
// years from 10 to 14.
func (s *schema) compileBands(f *gateway.Field) error {
	if f.List == nil {
		return errors.New("it has no list of age bands")
	}
	bands := make([]uint16, adult)
	found := false
	for i := range f.List.Codes {
		from, to, ok := band(f.List.Codes[i].Code)
		for years := from; ok && years <= min(to, adult-1); years++ {
			if bands[years] != 0 {
				return fmt.Errorf("two age bands hold %d years", years)
			}
			bands[years], found = uint16(i+1), true
		}
	}
	if !found {
		return errors.New("none of its codes is an age band like Y10T14")
	}
	for years := range bands {
		if s.bands != nil && s.bands[years] != bands[years] {
			return errors.New("birth date and age have different bands")
		}
	}
	s.bands = bands
	return nil
}

// band reads "Y10T14".
func band(code string) (from, to int, ok bool) {
	n, _ := fmt.Sscanf(code, "Y%dT%d", &from, &to)
	return from, to, n == 2 && from >= 0 && from <= to && code == fmt.Sprintf("Y%dT%d", from, to)
}

func (s *schema) compileWhen(i int, when *gateway.Condition) error {
	if when == nil {
		return nil
	}
	c := condition{field: s.index(when.Field)}
	if c.field < 0 {
		return errors.New("its condition is about a field that is not there")
	}
	switch {
	case when.Empty && !when.Present && len(when.In) == 0:
		c.kind = ifEmpty
	case when.Present && !when.Empty && len(when.In) == 0:
		c.kind = ifPresent
	case len(when.In) > 0 && !when.Empty && !when.Present && s.contract.Fields[c.field].Type == gateway.TypeCode:
		c.kind = ifIn
		list := s.contract.Fields[c.field].List
		c.in = make([]uint64, len(list.Codes)/64+1)
		for _, code := range when.In {
			n, ok := list.Number([]byte(code))
			if !ok {
				return errors.New("its condition names a code that is not in the list")
			}
			c.in[n/64] |= 1 << (n % 64)
		}
	default:
		return errors.New("its condition is not exactly one of empty, present and in")
	}
	s.columns[i].when = c
	return nil
}

// holds reports whether the condition holds for the current row.
func (c *condition) holds(s *schema, slots []slot) bool {
	slot := &slots[c.field]
	switch c.kind {
	case ifEmpty:
		return !slot.given
	case ifPresent:
		return slot.given
	case ifIn:
		switch {
		case !slot.ok:
			return false
		case s.columns[c.field].multi:
			return uint64(slot.v)<<1&c.in[0] != 0 || slot.v < 0 && len(c.in) > 1 && c.in[1]&1 != 0 //nolint:gosec // bits
		}
		return c.in[slot.v/64]>>(slot.v%64)&1 != 0
	case never:
	}
	return false
}
