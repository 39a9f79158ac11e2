package gateway

import (
	"cmp"
	"slices"
)

// A Report is what reading a file came to: how it was read, and what is wrong with
// it, grouped by column and code. A check by the agency and the gateway make the
// same one of the same file. It holds places and codes, never a value.
type Report struct {
	Contract ContractID     `json:"contract"`
	Version  int            `json:"contract_version"`
	Records  int            `json:"records"`           // that were read
	Refused  int            `json:"refused"`           // of them
	Linkage  *Linkage       `json:"linkage,omitempty"` // of those that were not, where the contract knows children
	ReadAs   *Dialect       `json:"read_as,omitempty"`
	Errors   []ProblemGroup `json:"errors"`            // what records are refused for
	Warnings []ProblemGroup `json:"warnings"`          // what is unlikely; the records are taken
	Details  []RowError     `json:"details,omitempty"` // the first errors, in file order
	Omitted  int            `json:"details_omitted,omitempty"`
}

// A ProblemGroup is one code in one column: how often, and where first.
type ProblemGroup struct {
	Field   FieldName   `json:"column,omitempty"`
	Code    ProblemCode `json:"code"`
	Count   int         `json:"count"`
	Line    int         `json:"first_line"`
	Message string      `json:"message,omitempty"` // in the reader's language
}

// NewReport groups the problems of a file.
func NewReport(c *Contract, records int, p *Problems, readAs *Dialect) *Report {
	return &Report{
		Contract: c.ID, Version: c.Version, Records: records, Refused: p.Rows, ReadAs: readAs,
		Errors: groups(p.Counts, p.Lines), Warnings: groups(p.Warned, p.Lines), Details: p.First, Omitted: p.Omitted,
	}
}

// groups are in the order of their first lines.
func groups(counts, lines map[ColumnProblem]int) []ProblemGroup {
	list := make([]ProblemGroup, 0, len(counts))
	for p, n := range counts {
		list = append(list, ProblemGroup{Field: p.Field, Code: p.Code, Count: n, Line: lines[p]})
	}
	slices.SortFunc(list, func(a, b ProblemGroup) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Code, b.Code))
	})
	return list
}

// In returns the report with messages.
func (r *Report) In(describe func(ProblemCode) string) *Report {
	said := *r
	said.Errors, said.Warnings = slices.Clone(r.Errors), slices.Clone(r.Warnings)
	for _, list := range [][]ProblemGroup{said.Errors, said.Warnings} {
		for i := range list {
			list[i].Message = describe(list[i].Code)
		}
	}
	return &said
}

// WithoutDetails returns the groups alone.
func (r *Report) WithoutDetails() *Report {
	short := *r
	short.Details, short.Omitted = nil, 0
	return &short
}
