package policies

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// presence is a compiler stage that keeps what partial evaluation forgets.
//
// OPA compiles "not input.record.n < 3" to "x = input.record.n; not x < 3": where
// n is absent the first condition fails, and the rule does not fire. Partial
// evaluation puts the field back in the place of x, and what is left, "not
// input.record.n < 3", is the same as what is left of "not few" with "few if
// input.record.n < 3", which does fire where n is absent. (Seen in OPA 1.22.2, by
// the property test.) So each such binding is followed by the field alone, a
// condition that says the same to OPA and outlives partial evaluation.
var presence = ast.CompilerStageDefinition{
	Name:       "KeepPresence",
	MetricName: "compile_stage_keep_presence",
	Stage: func(c *ast.Compiler) *ast.Error {
		for _, m := range c.Modules {
			ast.NewGenericVisitor(keepPresence).Walk(m)
		}
		return nil
	},
}

func keepPresence(x any) bool {
	switch x := x.(type) {
	case *ast.Rule:
		x.Body = withPresence(x.Body)
	case *ast.Every:
		x.Body = withPresence(x.Body)
	}
	return false
}

func withPresence(body ast.Body) ast.Body {
	var kept ast.Body
	for _, e := range body {
		kept.Append(e)
		if field := bound(e); field != nil {
			there := ast.NewExpr(field.Copy())
			there.Location, there.Generated = e.Location, true
			kept.Append(there)
		}
	}
	return kept
}

// bound returns the field that a condition binds to a variable, or nil.
func bound(e *ast.Expr) *ast.Term {
	if e.Negated || !e.IsEquality() || len(e.Operands()) != 2 {
		return nil
	}
	variable, field := e.Operand(0), e.Operand(1)
	if isRef(variable) {
		variable, field = field, variable
	}
	_, ok := variable.Value.(ast.Var)
	ref, isRef := field.Value.(ast.Ref)
	if !ok || !isRef || !ref.HasPrefix(ast.InputRootRef) || !declared(ref) {
		return nil
	}
	return field
}
