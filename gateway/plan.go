package gateway

// A Plan is what one policy revision decided about one contract. It is computed
// once, is never modified, and is all that the data path knows about policy.
type Plan struct {
	Contract ContractID
	Version  int // of the contract
	Revision Revision
	Fields   []FieldPlan // one a field, in the order of the contract
	Refuse   []RowRule   // rows that must not be stored, and the code that says why
	Because  []string    // one a field: the prose of the rule that decided
}

// A FieldPlan is what is done to one field.
type FieldPlan struct {
	Field  FieldName
	Do     Action
	Domain string // Pseudonymise: the pseudonym domain
	Keep   int    // Generalise of codes: leading characters kept; 0 means all of the list's
	Cuts   []int  // Generalise of integers: lower bounds of the bands, ascending, the first <= Min
	// Fallback, of an IIN that is pseudonymised, is the domain of the key made of names,
	// birth date and sex where a row has no IIN; "": such rows point to nobody.
	Fallback string
	Day      bool // Generalise of dates: store the shifted day; else the quarter alone (event date) or nothing
}

// An Action is what is done to a field. The zero Action is Drop: a field that
// nobody decided about is not stored.
type Action uint8

// The actions.
const (
	Drop         Action = iota // not stored
	Keep                       // codes and integers: stored as they are
	Pseudonymise               // identifiers: stored as a keyed pseudonym
	Generalise                 // stored coarser: age bands, regions, quarters with shifted days, bands
)

var actionNames = [...]string{"drop", "keep", "pseudonymise", "generalise"}

// String returns the action as policies spell it.
func (a Action) String() string { return actionNames[a] }

// ParseAction reads an action as policies spell it.
func ParseAction(name string) (Action, bool) {
	for i, n := range actionNames {
		if n == name {
			return Action(i), true
		}
	}
	return Drop, false
}

// A RowRule refuses a row when its condition holds.
type RowRule struct {
	Code ProblemCode
	When Expr
}

// An Expr is a condition over one row, as plain data: what is left of a row rule
// after partial evaluation. A comparison with an absent operand is false, and
// Not of it true, as in Rego, where undefined fails a body.
type Expr struct {
	Op    Op
	Args  []Expr    // And, Or: any number; Not: one
	Left  Operand   // the other operations
	Right []Operand // one; In: any number of literals
}

// Op is the operation of an [Expr].
type Op uint8

// The operations. And of nothing is true; Or of nothing is false.
const (
	And        Op = iota
	Or            // any of Args
	Not           // negation of Args[0]
	Present       // Left is not empty
	Equal         // Left == Right[0]
	Unequal       // Left != Right[0]
	Less          // Left < Right[0]; text compares bytewise, as Rego's strings do
	AtMost        // Left <= Right[0]
	Greater       // Left > Right[0]
	AtLeast       // Left >= Right[0]
	In            // Left is one of Right
	Has           // Left is a field of several codes that holds Right[0]
	StartsWith    // Left starts with Right[0]
	EndsWith      // Left ends with Right[0]
	Contains      // Left contains Right[0]
)

// An Operand is a field of the record, a word of the batch, or a literal.
type Operand struct {
	Kind   OperandKind
	Name   string // of FieldOperand and BatchOperand
	Text   string // of TextOperand
	Number float64
}

// OperandKind tells which operand it is.
type OperandKind uint8

// The kinds of operands.
const (
	FieldOperand  OperandKind = iota // input.record.Name: a code, an ISO date or a number
	BatchOperand                     // input.batch.Name: period_from, period_to, kind
	TextOperand                      // a literal string
	NumberOperand                    // a literal number
)

// Fields that row rules see beside the contract's own. They are derived, not
// stored: whole years and days from birth to the event. A contract must not name
// a field so.
const (
	DerivedAge  FieldName = "age"
	DerivedDays FieldName = "days_since_birth"
)
