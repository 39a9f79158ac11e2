package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/pana-exchange/pana/gateway"
)

// maxConditions bounds the size of what is left of one rule. Partial evaluation
// multiplies alternatives out; a rule that large is not one a person has read.
const maxConditions = 4096

// A residual compiles what partial evaluation leaves of one row rule: bodies of
// conditions on the record and the batch, and argument-less support rules for
// negated conjunctions.
type residual struct {
	contract *gateway.Contract
	rule     rowRule
	support  map[string][]*ast.Rule // by reference
	open     map[string]bool        // support rules on the way down
	size     int
}

// compileResidual returns one condition an alternative.
func compileResidual(c *gateway.Contract, rule rowRule, p *rego.PartialQueries) ([]gateway.Expr, error) {
	r := &residual{contract: c, rule: rule, support: map[string][]*ast.Rule{}, open: map[string]bool{}}
	for _, m := range p.Support {
		for _, s := range m.Rules {
			ref := m.Package.Path.Extend(s.Head.Ref()).String()
			r.support[ref] = append(r.support[ref], s)
		}
	}
	alternatives := make([]gateway.Expr, 0, len(p.Queries))
	for _, body := range p.Queries {
		expr, err := r.body(body)
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, expr)
	}
	return alternatives, nil
}

// refuse names the line of a condition that has no meaning on columns.
func (r *residual) refuse(at *ast.Location, format string, args ...any) error {
	where := r.rule.place
	if at != nil && strings.HasSuffix(at.File, ".rego") {
		where = place(at)
	}
	return invalid("%s: row rule %s: %s", where, r.rule.code, fmt.Sprintf(format, args...))
}

// body returns the conjunction of a body's conditions.
func (r *residual) body(body ast.Body) (gateway.Expr, error) {
	args := make([]gateway.Expr, 0, len(body))
	for _, e := range body {
		arg, err := r.expr(e)
		if err != nil {
			return gateway.Expr{}, err
		}
		args = append(args, arg)
	}
	return join(gateway.And, needed(args)), nil
}

// needed leaves out what the other conditions of a conjunction say already: that
// a field is there, beside a comparison of it or said twice.
func needed(args []gateway.Expr) []gateway.Expr {
	var kept []gateway.Expr
	for _, a := range args {
		said := a.Op == gateway.Present && (slices.ContainsFunc(args, func(b gateway.Expr) bool { return implies(b, a.Left) }) ||
			slices.ContainsFunc(kept, func(b gateway.Expr) bool { return b.Op == gateway.Present && b.Left == a.Left }))
		if !said {
			kept = append(kept, a)
		}
	}
	return kept
}

// implies reports whether a comparison fails where an operand is absent, so that
// asking for its presence beside it says nothing.
func implies(e gateway.Expr, o gateway.Operand) bool {
	switch e.Op {
	case gateway.And, gateway.Or, gateway.Not, gateway.Present:
		return false
	default:
		return e.Left == o || slices.Contains(e.Right, o)
	}
}

func (r *residual) expr(e *ast.Expr) (gateway.Expr, error) {
	if r.size++; r.size > maxConditions {
		return gateway.Expr{}, r.refuse(e.Location, "leaves more than %d conditions", maxConditions)
	}
	var expr gateway.Expr
	var err error
	switch terms := e.Terms.(type) {
	case *ast.Term:
		expr, err = r.truth(e, terms)
	case []*ast.Term:
		expr, err = r.call(e, terms)
	case *ast.Every:
		err = r.refuse(e.Location, "cannot use every over a field")
	default:
		err = r.refuse(e.Location, "cannot use this form of condition")
	}
	if err != nil || !e.Negated {
		return expr, err
	}
	return gateway.Expr{Op: gateway.Not, Args: []gateway.Expr{expr}}, nil
}

// truth compiles a condition that is a term alone: a field that must be there, or
// a support rule.
func (r *residual) truth(e *ast.Expr, t *ast.Term) (gateway.Expr, error) {
	// Partial evaluation folds "not f == f" to "not true", which is wrong where f is
	// absent (seen in OPA 1.22.2): a literal truth is refused with everything else.
	if ref, ok := t.Value.(ast.Ref); ok {
		if ref.HasPrefix(ast.DefaultRootRef) {
			return r.supported(e, ref)
		}
		field, err := r.operand(e, t)
		if err != nil {
			return gateway.Expr{}, err
		}
		return gateway.Expr{Op: gateway.Present, Left: field.Operand}, nil
	}
	return gateway.Expr{}, r.refuse(e.Location, "cannot use %s as a condition", t)
}

// supported inlines a support rule that partial evaluation made for a negation.
func (r *residual) supported(e *ast.Expr, ref ast.Ref) (gateway.Expr, error) {
	name := ref.String()
	rules := r.support[name]
	last, _ := ref[len(ref)-1].Value.(ast.String)
	if len(rules) == 0 || r.open[name] || !strings.HasPrefix(string(last), "__not") {
		return gateway.Expr{}, r.refuse(e.Location, "cannot use %s: it does not reduce to conditions on fields", origin(ref))
	}
	r.open[name] = true
	defer delete(r.open, name)
	alternatives := make([]gateway.Expr, 0, len(rules))
	for _, s := range rules {
		if s.Default || s.Else != nil || len(s.Head.Args) > 0 || s.Head.Key != nil || !s.Head.Value.Equal(ast.BooleanTerm(true)) {
			return gateway.Expr{}, r.refuse(e.Location, "cannot negate this: it depends on more than fields")
		}
		expr, err := r.body(s.Body)
		if err != nil {
			return gateway.Expr{}, err
		}
		alternatives = append(alternatives, expr)
	}
	return join(gateway.Or, alternatives), nil
}

// origin names a rule as its author does: support modules lie under data.partial.
func origin(ref ast.Ref) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref.String(), "data."), "partial.")
}

// call compiles a condition that calls a built-in.
func (r *residual) call(e *ast.Expr, terms []*ast.Term) (gateway.Expr, error) {
	name := terms[0].Value.String()
	if op, ok := comparisons[name]; ok && len(terms) == 3 {
		return r.comparison(e, op, terms[1], terms[2])
	}
	if op, ok := affixes[name]; ok && len(terms) == 3 {
		return r.affix(e, op, terms[1], terms[2])
	}
	if name == ast.Member.Name && len(terms) == 3 {
		return r.member(e, terms[1], terms[2])
	}
	return gateway.Expr{}, r.refuse(e.Location, "cannot call %s on a field", name)
}

var comparisons = map[string]gateway.Op{
	ast.Equality.Name: gateway.Equal, ast.Equal.Name: gateway.Equal, ast.NotEqual.Name: gateway.Unequal,
	ast.LessThan.Name: gateway.Less, ast.LessThanEq.Name: gateway.AtMost,
	ast.GreaterThan.Name: gateway.Greater, ast.GreaterThanEq.Name: gateway.AtLeast,
}

var affixes = map[string]gateway.Op{
	ast.StartsWith.Name: gateway.StartsWith, ast.EndsWith.Name: gateway.EndsWith, ast.Contains.Name: gateway.Contains,
}

// mirrored are the comparisons read from right to left.
var mirrored = map[gateway.Op]gateway.Op{
	gateway.Equal: gateway.Equal, gateway.Unequal: gateway.Unequal, gateway.Less: gateway.Greater,
	gateway.AtMost: gateway.AtLeast, gateway.Greater: gateway.Less, gateway.AtLeast: gateway.AtMost,
}

// comparison compiles = != < <= > >= with a field on at least one side; that side
// becomes the left one.
func (r *residual) comparison(e *ast.Expr, op gateway.Op, a, b *ast.Term) (gateway.Expr, error) {
	if !isRef(a) && (isRef(b) || isCall(b)) {
		a, b, op = b, a, mirrored[op]
	}
	left, err := r.operand(e, a)
	if err != nil {
		return gateway.Expr{}, err
	}
	right, err := r.against(e, left, b)
	if err != nil {
		return gateway.Expr{}, err
	}
	return gateway.Expr{Op: op, Left: left.Operand, Right: []gateway.Operand{right}}, nil
}

// against compiles what a field is compared with: a literal of its kind, or a
// field of the same kind.
func (r *residual) against(e *ast.Expr, left operand, t *ast.Term) (gateway.Operand, error) {
	if left.kind == manyCodes {
		return gateway.Operand{}, r.refuse(e.Location, "%s holds several codes: ask \"CODE\" in input.record.%s", left.Name, left.Name)
	}
	if !isRef(t) {
		return r.literal(e, left, t)
	}
	right, err := r.operand(e, t)
	if err != nil {
		return gateway.Operand{}, err
	}
	if right.kind != left.kind {
		return gateway.Operand{}, r.refuse(e.Location, "cannot compare %s with %s: they are of different kinds", left.Name, right.Name)
	}
	return right.Operand, nil
}

// affix compiles startswith, endswith and contains of a field with a literal.
func (r *residual) affix(e *ast.Expr, op gateway.Op, a, b *ast.Term) (gateway.Expr, error) {
	left, err := r.operand(e, a)
	if err != nil {
		return gateway.Expr{}, err
	}
	part, ok := b.Value.(ast.String)
	if !ok || (left.kind != oneCode && left.kind != isoDate) {
		return gateway.Expr{}, r.refuse(e.Location, "can look for a literal in a code or a date only")
	}
	if !left.couldHold(op, string(part)) {
		return gateway.Expr{}, r.refuse(e.Location, "no value of %s can match %s", left.Name, b)
	}
	right := gateway.Operand{Kind: gateway.TextOperand, Text: string(part)}
	return gateway.Expr{Op: op, Left: left.Operand, Right: []gateway.Operand{right}}, nil
}

// member compiles "in": a field in a list of literals, or a code in a field of
// several.
func (r *residual) member(e *ast.Expr, x, of *ast.Term) (gateway.Expr, error) {
	if isRef(of) {
		return r.has(e, x, of)
	}
	left, err := r.operand(e, x)
	if err != nil {
		return gateway.Expr{}, err
	}
	if left.kind == manyCodes {
		return gateway.Expr{}, r.refuse(e.Location, "%s holds several codes: ask \"CODE\" in input.record.%s", left.Name, left.Name)
	}
	elements, ok := elements(of)
	if !ok {
		return gateway.Expr{}, r.refuse(e.Location, "can look for a field in a list of literals only")
	}
	expr := gateway.Expr{Op: gateway.In, Left: left.Operand}
	for _, t := range elements {
		right, err := r.literal(e, left, t)
		if err != nil {
			return gateway.Expr{}, err
		}
		expr.Right = append(expr.Right, right)
	}
	return expr, nil
}

func (r *residual) has(e *ast.Expr, x, of *ast.Term) (gateway.Expr, error) {
	left, err := r.operand(e, of)
	if err != nil {
		return gateway.Expr{}, err
	}
	if left.kind != manyCodes || isRef(x) {
		return gateway.Expr{}, r.refuse(e.Location, "can look for a literal code in a field of several codes only")
	}
	code, err := r.literal(e, left, x)
	if err != nil {
		return gateway.Expr{}, err
	}
	return gateway.Expr{Op: gateway.Has, Left: left.Operand, Right: []gateway.Operand{code}}, nil
}

func elements(t *ast.Term) ([]*ast.Term, bool) {
	switch v := t.Value.(type) {
	case ast.Set:
		return v.Slice(), true
	case *ast.Array:
		terms := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { terms = append(terms, t) })
		return terms, true
	}
	return nil, false
}

func isRef(t *ast.Term) bool {
	_, ok := t.Value.(ast.Ref)
	return ok
}

func isCall(t *ast.Term) bool {
	_, ok := t.Value.(ast.Call)
	return ok
}

// join makes one condition of several: one alone stays itself, and nested
// conditions of the same operation are taken in.
func join(op gateway.Op, args []gateway.Expr) gateway.Expr {
	var flat []gateway.Expr
	for _, a := range args {
		if a.Op == op {
			flat = append(flat, a.Args...)
		} else {
			flat = append(flat, a)
		}
	}
	if len(flat) == 1 {
		return flat[0]
	}
	return gateway.Expr{Op: op, Args: flat}
}
