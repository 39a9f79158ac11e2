package policies

import (
	"context"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// A Fired is a rule that held while a question was answered.
type Fired struct {
	Rule        string `json:"rule"`                  // "ingest.codes.treatment.area"
	Place       string `json:"place"`                 // "ingest/codes.rego:11"
	Title       string `json:"title,omitempty"`       // of the rule's METADATA, else of its package's
	Description string `json:"description,omitempty"` // of the rule's METADATA
}

// A tracer notes the rules that hold, in the order in which OPA leaves them: what a
// rule rests on comes before it.
type tracer struct{ rules []*ast.Rule }

func (*tracer) Enabled() bool                { return true }
func (*tracer) Config() topdown.TraceConfig  { return topdown.TraceConfig{} }
func (t *tracer) TraceEvent(e topdown.Event) { t.note(e.Op, e.Node) }
func (t *tracer) note(op topdown.Op, n ast.Node) {
	if r, ok := n.(*ast.Rule); ok && op == topdown.ExitOp && r.Location != nil {
		t.rules = append(t.rules, r)
	}
}

// trace asks a prepared query as [evaluate] does, and says which rules held. A default
// leaves no trace of its own in OPA; nor do rules that held for a part of the question
// that came to nothing show that they did.
func (s *Set) trace(ctx context.Context, q *rego.PreparedEvalQuery, input any) (any, []Fired, error) {
	var t tracer
	results, err := q.Eval(ctx, rego.EvalInput(input), rego.EvalQueryTracer(&t))
	if err != nil {
		return nil, nil, err
	}
	var fired []Fired
	for _, r := range t.rules {
		if f := s.fired(r); !slices.Contains(fired, f) {
			fired = append(fired, f)
		}
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, fired, nil // undefined
	}
	return results[0].Expressions[0].Value, fired, nil
}

// fired describes a compiled rule by what is written above it.
func (s *Set) fired(r *ast.Rule) Fired {
	f := Fired{Place: place(r.Location), Rule: r.Head.Ref().String()}
	m := s.modules[r.Location.File]
	if m == nil {
		return f
	}
	for _, written := range m.Rules {
		if at := lineOf(written, r.Location.Row); at != nil {
			f.Rule = strings.TrimPrefix(m.Package.Path.String(), "data.") + "." + headOf(written)
			f.Title, f.Description = titleOf(m, written), prose(written)
		}
	}
	return f
}

// lineOf returns the definition of a rule, or of one of its elses, that begins on a line.
func lineOf(r *ast.Rule, row int) *ast.Rule {
	for ; r != nil; r = r.Else {
		if r.Location.Row == row {
			return r
		}
	}
	return nil
}

// titleOf is the rule's title, or that of its package.
func titleOf(m *ast.Module, r *ast.Rule) string {
	for _, a := range r.Annotations {
		if a.Title != "" {
			return joined(a.Title)
		}
	}
	for _, a := range m.Annotations {
		if a.Scope == "package" {
			return joined(a.Title)
		}
	}
	return ""
}
