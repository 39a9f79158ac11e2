package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// An action that is not in the list would be changed by a policy and nobody would read
// of it.
func TestActionsAreAll(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "access.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "ActionName" {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !slices.Contains(gateway.Actions(), gateway.ActionName(name)) {
				t.Errorf("%s is not among the actions", name)
			}
			found++
		}
		return true
	})
	if found == 0 || found != len(gateway.Actions()) {
		t.Errorf("%d actions are declared, %d listed", found, len(gateway.Actions()))
	}
}
