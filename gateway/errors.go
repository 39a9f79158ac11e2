package gateway

import "fmt"

// A Kind says what an error means to the caller. It is itself an error, so that
// errors.Is(err, gateway.NotFound) reads well. The zero Kind is Internal: what
// nobody classified says nothing outside.
type Kind int

// The kinds of error, and what the caller should do.
const (
	// Internal: the system's own fault. The caller is told nothing else.
	Internal Kind = iota
	// Invalid: the input is wrong; mend it and send it again.
	Invalid
	// Unauthenticated: no valid key came with the request.
	Unauthenticated
	// NotFound: there is no such thing, or the caller may not know of it.
	NotFound
	// Forbidden: the caller may know of it but may not do this.
	Forbidden
	// Conflict: the state does not allow it now; look, then decide.
	Conflict
	// Mismatch: the same idempotency key came with other content.
	Mismatch
	// Overloaded: a limit is reached; try again later.
	Overloaded
	// TooLarge: a limit on size is exceeded; send less.
	TooLarge
	// Unsupported: the media type, encoding or algorithm is not one we read.
	Unsupported
	// Withheld: a release that is not approved, withdrawn or superseded, or a grouping
	// set that its sparsity gate closes.
	Withheld
	// Unwitnessed: too long no witness has signed the ledger, or one has seen another
	// history of it; what would need its evidence stops (trust.md 4.1).
	Unwitnessed
	// Unavailable: a disk or the engine fails. Whether the change was made is known
	// from the next try alone; try again later.
	Unavailable
)

var kindNames = [...]string{
	"internal error", "invalid", "unauthenticated", "not found", "forbidden", "conflict", "mismatch",
	"overloaded", "too large", "unsupported", "withheld", "unwitnessed", "unavailable",
}

// Error returns the kind's name.
func (k Kind) Error() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Internal]
	}
	return kindNames[k]
}

// An Error is a failure with two audiences: Detail is for the caller and never
// holds data; Err is for the operator's log.
type Error struct {
	Kind   Kind
	Detail string // one clear sentence: what is wrong, where, what to do
	Err    error  // may be nil; never shown to the caller
	// Limit names the limit that was met, if that is what failed: a setting of the
	// gateway's, so that a program can tell one limit from another.
	Limit string
	// Problems are the row problems of a refused batch, if that is what failed.
	Problems *Problems
	// Report is the same for people: with how the file was read, grouped.
	Report *Report
}

// Error describes the failure for a log. It does not render Err's text unless
// there is no Detail, because errors of parsers and servers echo data.
func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	if e.Err != nil {
		return e.Kind.Error() + ": " + e.Err.Error()
	}
	return e.Kind.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's kind.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// Errorf returns an error of a kind with a detail for the caller. The arguments
// must not hold data of a record.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// A RowError says where a row is wrong and which rule it breaks, never what the
// row holds. Line is the line of the file where the record starts, from 1, the
// header included; Field is "" when the whole row is meant.
type RowError struct {
	Line  int         `json:"line"`
	Field FieldName   `json:"column,omitempty"`
	Code  ProblemCode `json:"code"`
}

// Error gives the place and the code.
func (e RowError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Code)
	}
	return fmt.Sprintf("line %d, column %s: %s", e.Line, e.Field, e.Code)
}

// Problems are what was wrong with a file: exact counts, and the first details.
type Problems struct {
	Rows    int                   `json:"rows"`   // rows with at least one problem
	Counts  map[ColumnProblem]int `json:"-"`      // how often each (column, code) occurred
	Warned  map[ColumnProblem]int `json:"-"`      // how often each warning occurred; the rows are taken
	Lines   map[ColumnProblem]int `json:"-"`      // where each problem and warning occurred first
	First   []RowError            `json:"errors"` // the first problems, in file order
	Omitted int                   `json:"errors_omitted,omitempty"`
	Ended   bool                  `json:"-"` // the last one ended the reading
}

// A ColumnProblem is one code in one column.
type ColumnProblem struct {
	Field FieldName
	Code  ProblemCode
}

// Add counts a problem and keeps its detail while fewer than limit are kept.
func (p *Problems) Add(e RowError, limit int) {
	if p.Counts == nil {
		p.Counts = map[ColumnProblem]int{}
	}
	p.note(p.Counts, e)
	if len(p.First) < limit {
		p.First = append(p.First, e)
	} else {
		p.Omitted++
	}
}

// Warn counts a warning.
func (p *Problems) Warn(e RowError) {
	if p.Warned == nil {
		p.Warned = map[ColumnProblem]int{}
	}
	p.note(p.Warned, e)
}

func (p *Problems) note(counts map[ColumnProblem]int, e RowError) {
	place := ColumnProblem{e.Field, e.Code}
	if counts[place]++; counts[place] > 1 {
		return
	}
	if p.Lines == nil {
		p.Lines = map[ColumnProblem]int{}
	}
	p.Lines[place] = e.Line
}
