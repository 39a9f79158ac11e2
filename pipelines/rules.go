package pipelines

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// RowRules are the row rules of a plan, compiled to predicates over decoded
// columns. They may be used by one goroutine at a time.
type RowRules struct {
	schema *schema
	rules  []rowRule
}

type rowRule struct {
	code  gateway.ProblemCode
	holds predicate
}

// A predicate is a compiled gateway.Expr.
type predicate func(*facts) bool

// The facts are what row rules see of one row.
type facts struct {
	slots []slot // one a field of the contract, then the derived age and days
	batch [len(batchNames)]batchWord
}

var batchNames = [...]string{"period_from", "period_to", "kind"}

// A batchWord is one word of the manifest; no text means absent.
type batchWord struct{ text []byte }

func batchWords(words map[string]string) (batch [len(batchNames)]batchWord) {
	for i, name := range batchNames {
		if w := words[name]; w != "" {
			batch[i] = batchWord{[]byte(w)}
		}
	}
	return batch
}

// CompileRow compiles row rules for a contract. It refuses what a rule cannot see
// (identifiers, text, what is not in the contract) and what Rego itself would
// fail at, so that no rule can silently never fire.
func CompileRow(c *gateway.Contract, rules []gateway.RowRule) (*RowRules, error) {
	s, err := newSchema(c, nil)
	if err != nil {
		return nil, err
	}
	rr := &RowRules{schema: s}
	for _, rule := range rules {
		if rule.Code == "" {
			return nil, errors.New("a row rule has no code")
		}
		holds, err := s.compileExpr(&rule.When)
		if err != nil {
			return nil, fmt.Errorf("row rule %s: %w", rule.Code, err)
		}
		rr.rules = append(rr.rules, rowRule{rule.Code, holds})
	}
	return rr, nil
}

// Refuse returns the codes of the rules that refuse a record, each once, in the
// order of the rules. The record holds what row rules see, by field: the text of a
// code or an ISO date, a []string of several codes, a number; the derived fields
// too. It goes through the predicates that the blocks go through, so that they can
// be held against OPA.
func (rr *RowRules) Refuse(rec map[string]any, batch map[string]string) ([]gateway.ProblemCode, error) {
	f := facts{slots: make([]slot, len(rr.schema.columns)+2), batch: batchWords(batch)}
	for name, value := range rec {
		i, kind := rr.schema.visible(gateway.FieldName(name))
		if kind == operandNone {
			return nil, fmt.Errorf("field %s is not one that row rules see", name)
		}
		v, err := rr.schema.encode(i, kind, value)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", name, err)
		}
		f.slots[i] = v
	}
	var codes []gateway.ProblemCode
	for _, r := range rr.rules {
		if r.holds(&f) && !slices.Contains(codes, r.code) {
			codes = append(codes, r.code)
		}
	}
	return codes, nil
}

// encode makes a slot of a value as Rego sees it.
func (s *schema) encode(i int, kind operandKind, value any) (slot, error) {
	wrong := errors.New("the value is not one of its type")
	v := slot{given: true, ok: true}
	switch kind {
	case operandCode, operandDate:
		text, ok := value.(string)
		if !ok {
			return v, wrong
		}
		if kind == operandDate {
			day, ok := gateway.ParseDay([]byte(text))
			v.v = int64(day)
			if !ok {
				return v, wrong
			}
			return v, nil
		}
		n, ok := s.columns[i].field.List.Number([]byte(text))
		v.v = int64(n)
		if !ok {
			return v, wrong
		}
		return v, nil
	case operandSet:
		codes, ok := value.([]string)
		if !ok {
			return v, wrong
		}
		for _, code := range codes {
			n, ok := s.columns[i].field.List.Number([]byte(code))
			if !ok {
				return v, wrong
			}
			v.v |= 1 << (n - 1)
		}
		v.given, v.ok = len(codes) > 0, len(codes) > 0
		return v, nil
	case operandNumber:
		n, ok := integer(value)
		v.v = n
		if !ok {
			return v, wrong
		}
		return v, nil
	case operandNone, operandText, operandBatch, operandLiteral:
	}
	return v, wrong
}

func integer(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<53
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// compileExpr compiles one node of an expression.
func (s *schema) compileExpr(e *gateway.Expr) (predicate, error) {
	switch e.Op {
	case gateway.And, gateway.Or, gateway.Not:
		return s.compileLogic(e)
	case gateway.Present:
		o, err := s.operand(&e.Left)
		if err != nil {
			return nil, err
		}
		return func(f *facts) bool { return o.present(f) }, nil
	case gateway.Equal, gateway.Unequal, gateway.Less, gateway.AtMost, gateway.Greater, gateway.AtLeast,
		gateway.In, gateway.Has, gateway.StartsWith, gateway.EndsWith, gateway.Contains:
	default:
		return nil, errors.New("it has an unknown operation")
	}
	left, err := s.operand(&e.Left)
	if err != nil {
		return nil, err
	}
	if len(e.Right) != 1 && e.Op != gateway.In {
		return nil, errors.New("an operation has not one right side")
	}
	either, rights := make([]predicate, len(e.Right)), make([]*operand, len(e.Right))
	for i := range e.Right {
		if rights[i], err = s.operand(&e.Right[i]); err != nil {
			return nil, err
		}
		if either[i], err = compileLeaf(e.Op, left, rights[i]); err != nil {
			return nil, err
		}
	}
	if p, ok := tabulate(left, either, rights); ok {
		return p, nil
	}
	return anyOf(either), nil
}

func (s *schema) compileLogic(e *gateway.Expr) (predicate, error) {
	args := make([]predicate, len(e.Args))
	for i := range e.Args {
		p, err := s.compileExpr(&e.Args[i])
		if err != nil {
			return nil, err
		}
		args[i] = p
	}
	switch {
	case e.Op == gateway.Or:
		return anyOf(args), nil
	case e.Op == gateway.And:
		return allOf(args), nil
	case len(args) != 1:
		return nil, errors.New("a negation has not one argument")
	}
	negated := args[0]
	return func(f *facts) bool { return !negated(f) }, nil
}

func anyOf(args []predicate) predicate {
	if len(args) == 1 {
		return args[0]
	}
	return func(f *facts) bool {
		for _, p := range args {
			if p(f) {
				return true
			}
		}
		return false
	}
}

func allOf(args []predicate) predicate {
	if len(args) == 1 {
		return args[0]
	}
	return func(f *facts) bool {
		for _, p := range args {
			if !p(f) {
				return false
			}
		}
		return true
	}
}
