package policies

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/pana-exchange/pana/gateway"
)

// maxInteger is the largest number that a literal may be: above it a float64
// does not hold every integer, and a comparison could differ from Rego's.
const maxInteger = 1 << 53

// A kind is what the values of an operand are. Only like is compared with like: in
// Rego a number is less than any text, which no author means.
type kind uint8

const (
	oneCode kind = iota
	manyCodes
	isoDate
	integer
	batchKind
)

// An operand is a field of the record or a word of the batch, and its kind.
type operand struct {
	gateway.Operand
	kind kind
	list *gateway.CodeList // of codes
}

// operand resolves input.record.<field> and input.batch.<word>.
func (r *residual) operand(e *ast.Expr, t *ast.Term) (operand, error) {
	if call, ok := t.Value.(ast.Call); ok {
		return operand{}, r.refuse(e.Location, "cannot call %s on a field", call[0])
	}
	ref, ok := t.Value.(ast.Ref)
	if !ok || !ref.HasPrefix(ast.InputRootRef) || !declared(ref) {
		return operand{}, r.refuse(e.Location, "%s is not a field of the record or a word of the batch", t)
	}
	name := string(ref[2].Value.(ast.String))
	if ref[1].Equal(ast.StringTerm("batch")) {
		return r.word(e, name)
	}
	o := operand{Operand: gateway.Operand{Kind: gateway.FieldOperand, Name: name}}
	if name == string(gateway.DerivedAge) || name == string(gateway.DerivedDays) {
		o.kind = integer
		return o, nil
	}
	f := r.contract.Field(gateway.FieldName(name))
	if f == nil || !inRecord(f) {
		return operand{}, r.refuse(e.Location, "the record has no field %s", name)
	}
	o.list = f.List
	switch {
	case f.Type == gateway.TypeInteger:
		o.kind = integer
	case f.Type == gateway.TypeDate:
		o.kind = isoDate
	case f.Multi:
		o.kind = manyCodes
	}
	return o, nil
}

func (r *residual) word(e *ast.Expr, name string) (operand, error) {
	o := operand{Operand: gateway.Operand{Kind: gateway.BatchOperand, Name: name}}
	switch name {
	case "period_from", "period_to":
		o.kind = isoDate
	case "kind":
		o.kind = batchKind
	default:
		return operand{}, r.refuse(e.Location, "a batch has no %s", name)
	}
	return o, nil
}

// literal compiles a literal that stands against a field. It must be a value that
// the field can have: a code that is not in the list is a rule that never fires
// (overview.md 3, the second gate).
func (r *residual) literal(e *ast.Expr, against operand, t *ast.Term) (gateway.Operand, error) {
	switch v := t.Value.(type) {
	case ast.String:
		if !against.canBe(string(v)) {
			return gateway.Operand{}, r.refuse(e.Location, "%s can never be %s", against.Name, t)
		}
		return gateway.Operand{Kind: gateway.TextOperand, Text: string(v)}, nil
	case ast.Number:
		n, err := json.Number(v).Float64()
		if err != nil || against.kind != integer || math.Abs(n) > maxInteger {
			return gateway.Operand{}, r.refuse(e.Location, "%s can never be %s", against.Name, t)
		}
		return gateway.Operand{Kind: gateway.NumberOperand, Number: n}, nil
	}
	return gateway.Operand{}, r.refuse(e.Location, "%s is compared with %s, which is not a literal text or number", against.Name, t)
}

// canBe reports whether a text is a value of the operand.
func (o operand) canBe(text string) bool {
	switch o.kind {
	case oneCode, manyCodes:
		if o.list == nil {
			return false
		}
		_, ok := o.list.Number([]byte(text))
		return ok
	case isoDate:
		_, ok := gateway.ParseDay([]byte(text))
		return ok
	case batchKind:
		return text == string(gateway.Original)
	case integer:
	}
	return false
}

// couldHold reports whether some value of the operand can match a part.
func (o operand) couldHold(op gateway.Op, part string) bool {
	match := map[gateway.Op]func(s, part string) bool{
		gateway.StartsWith: strings.HasPrefix, gateway.EndsWith: strings.HasSuffix, gateway.Contains: strings.Contains,
	}[op]
	if o.kind == isoDate {
		return part != "" && len(part) <= len("2006-01-02") && strings.Trim(part, "0123456789-") == ""
	}
	if o.list == nil || part == "" {
		return false
	}
	for _, c := range o.list.Codes {
		if match(c.Code, part) {
			return true
		}
	}
	return false
}
