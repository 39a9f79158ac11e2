package gateway

// A Contract is what one sector has agreed to send, in one version. Nothing
// about a sector is in Go: configs/contracts holds them all.
type Contract struct {
	ID      ContractID
	Version int
	Title   Text
	Fields  []Field     // in the order of the template
	Order   []OrderRule // dates that must not precede one another
	Dates   []DateForm  // forms of dates that are read beside ISO 8601
	Until   Day         // last day on which batches are accepted, or NoDay
	// Unit: cells that rest on the records of one part of an agency alone are hidden
	// (disclosure.md 2.4 rule 2), so only keys that are registered for one may send.
	Unit bool
}

// Field returns the field with a name, or nil.
func (c *Contract) Field(name FieldName) *Field {
	for i := range c.Fields {
		if c.Fields[i].Name == name {
			return &c.Fields[i]
		}
	}
	return nil
}

// EventDate returns the one field that is the event's date. A contract that
// configs has accepted has exactly one.
func (c *Contract) EventDate() *Field {
	for i := range c.Fields {
		if c.Fields[i].Event {
			return &c.Fields[i]
		}
	}
	return nil
}

// A Field is one column of a contract.
type Field struct {
	Name     FieldName
	Title    Text
	Type     FieldType
	Role     FieldRole
	Class    string     // treatment class: the word that policies decide about
	List     *CodeList  // of TypeCode, TypeBirthDate and TypeAge (the age bands)
	Multi    bool       // TypeCode: several codes in one cell, separated by "|"; at most 64 in the list
	Forms    []string   // TypeCode: shapes of longer values that are cut to List.Length: 9 a digit, A a capital letter, else itself
	Required bool       // must not be empty
	When     *Condition // must not be empty when the condition holds
	MaxBytes int        // of TypeText and TypeIdentifier
	Min, Max int        // of TypeInteger and TypeAge, inclusive; Min >= 0
	Event    bool       // of TypeDate: the date that is the event's own
	Refused  bool       // the column itself is refused at the door: free text
	Column   string     // name under which it is stored; "" when it never is
	Part     NamePart   // of TypeText: the part of the child's name that it holds; "" is none
}

// NamePart is a part of a child's name, of which a fallback key may be made.
type NamePart string

// The parts of names. Patronymics are optional, so no key is made of them.
const (
	FamilyName NamePart = "family"
	GivenName  NamePart = "given"
)

// FieldType is the form of a field's values.
type FieldType uint8

// The types of fields, and what is stored of them where the plan allows it.
const (
	TypeText       FieldType = iota // text: never stored
	TypeIdentifier                  // a direct identifier: a keyed pseudonym of its own domain
	TypeIIN                         // a Kazakh individual identification number: the pid
	TypeCode                        // codes of a list: their numbers
	TypeDate                        // an ISO 8601 date: the day shifted by the child's secret
	TypeBirthDate                   // a birth date: the age band at the event
	TypeAge                         // whole years at the event: the age band
	TypeInteger                     // a count: itself, or the lower bound of its band
)

// FieldRole says how revealing a field is (domain.md 3).
type FieldRole uint8

// The roles of fields. A direct identifier is never stored in clear, whatever a
// policy says.
const (
	RoleDirect FieldRole = iota
	RoleQuasi
	RoleSensitive
	RoleMeasure
	RoleAdmin
)

// An OrderRule demands Earlier <= Later where both dates are present.
type OrderRule struct {
	Earlier, Later FieldName
}

// A Condition is about another field of the same row: exactly one of Empty,
// Present and In is set.
type Condition struct {
	Field   FieldName
	Empty   bool     // the field is empty
	Present bool     // the field is not empty
	In      []string // the field holds one of these codes
}

// A ColumnType is how a stored column is laid out, in memory and in ClickHouse.
type ColumnType uint8

// The types of stored columns. Zero means "empty" in all but Int32, where [NoDay]
// and, for counts, -1 do.
const (
	Uint8  ColumnType = iota // codes of lists up to 255
	Uint16                   // codes of longer lists, quarters
	Uint64                   // random numbers, MACs, and sets of codes: bit n-1 for code number n
	Int32                    // days and counts
	ID                       // 16 bytes: pids and other keyed pseudonyms
)

// A Column is one stored column of a contract.
type Column struct {
	Name string
	Type ColumnType
}

// Names of the columns that every contract stores.
const (
	ColumnPID     = "pid"     // pseudonym of the child, all zero where the row has none
	ColumnRandom  = "rnd"     // random, so that sorting leaves no order of the file
	ColumnMAC     = "chk"     // keyed MAC of the row's other stored bytes, for fsck
	ColumnQuarter = "quarter" // quarter of the event
	ColumnDay     = "day"     // day of the event, shifted by the child's secret
	ColumnAge     = "age"     // age band at the event
	ColumnSex     = "sex"
	ColumnRegion  = "region"
	ColumnSlip    = "referral_key"           // keyed number of a referral slip, where the contract has one
	ColumnAbsent  = "child_id_absent_reason" // why a row has no IIN
)

// Codes of why a row has no IIN that forbid to find the child by other means: who asked
// not to be known, or refused the number, is not to be known by name.
const (
	AbsentAnonymous = "ANON_CONTACT"
	AbsentRefused   = "REFUSED"
)

// Layout returns the stored columns of the contract: pid, rnd, chk, quarter, and
// then one for each distinct Field.Column in the order of the fields. It depends
// on the contract only, so that a change of policy changes no table.
func (c *Contract) Layout() []Column {
	layout := []Column{{ColumnPID, ID}, {ColumnRandom, Uint64}, {ColumnMAC, Uint64}, {ColumnQuarter, Uint16}}
	seen := map[string]bool{ColumnPID: true}
	for _, f := range c.Fields {
		if f.Column == "" || seen[f.Column] {
			continue
		}
		seen[f.Column] = true
		layout = append(layout, Column{f.Column, f.columnType()})
	}
	return layout
}

func (f *Field) columnType() ColumnType {
	switch f.Type {
	case TypeIdentifier, TypeIIN:
		return ID
	case TypeDate, TypeInteger:
		return Int32
	case TypeText, TypeCode, TypeBirthDate, TypeAge:
	}
	switch {
	case f.Multi:
		return Uint64
	case f.List != nil && len(f.List.Codes) > 255:
		return Uint16
	}
	return Uint8
}

// Parts returns the fields that hold a part of the child's name. A contract that configs
// has accepted has one at most.
func (c *Contract) Parts(part NamePart) []*Field {
	var fields []*Field
	for i := range c.Fields {
		if c.Fields[i].Part == part {
			fields = append(fields, &c.Fields[i])
		}
	}
	return fields
}

// RecordID returns the field that is the agency's own id of a record, or nil: the first
// identifier that is required.
func (c *Contract) RecordID() *Field {
	for i := range c.Fields {
		if c.Fields[i].Type == TypeIdentifier && c.Fields[i].Required {
			return &c.Fields[i]
		}
	}
	return nil
}
