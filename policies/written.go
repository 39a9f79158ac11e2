package policies

import (
	"fmt"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

var signs = map[gateway.Op]string{
	gateway.Equal: "is", gateway.Unequal: "is not", gateway.Less: "<", gateway.AtMost: "<=", gateway.Greater: ">", gateway.AtLeast: ">=",
	gateway.In: "is one of", gateway.Has: "holds", gateway.StartsWith: "starts with", gateway.EndsWith: "ends with", gateway.Contains: "contains",
}

// written writes a condition down for people. Conditions that differ are written
// differently: an effect must not hide in its wording.
func written(e gateway.Expr) string {
	switch e.Op {
	case gateway.And, gateway.Or:
		return joinedBy(e)
	case gateway.Not:
		return "not (" + written(e.Args[0]) + ")"
	case gateway.Present:
		return operandText(e.Left) + " is there"
	default:
		right := make([]string, len(e.Right))
		for i, o := range e.Right {
			right[i] = operandText(o)
		}
		return fmt.Sprintf("%s %s %s", operandText(e.Left), signs[e.Op], strings.Join(right, ", "))
	}
}

func joinedBy(e gateway.Expr) string {
	word, none := " and ", "always"
	if e.Op == gateway.Or {
		word, none = " or ", "never"
	}
	if len(e.Args) == 0 {
		return none
	}
	parts := make([]string, len(e.Args))
	for i, a := range e.Args {
		parts[i] = written(a)
		if len(e.Args) > 1 && (a.Op == gateway.And || a.Op == gateway.Or) && len(a.Args) > 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, word)
}

func operandText(o gateway.Operand) string {
	switch o.Kind {
	case gateway.BatchOperand:
		return "batch." + o.Name
	case gateway.TextOperand:
		return fmt.Sprintf("%q", o.Text)
	case gateway.NumberOperand:
		return fmt.Sprint(o.Number)
	case gateway.FieldOperand:
	}
	return o.Name
}
