package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/pana-exchange/pana/gateway"
)

// The codes of findings.
const (
	FindingFiles        = "FILES"            // what lies there is no policy set
	FindingSyntax       = "SYNTAX"           // not Rego
	FindingCompile      = "COMPILE"          // not strict Rego: undefined, unused, misspelt, of a wrong type
	FindingBuiltin      = "NONDETERMINISTIC" // calls what is no function of its arguments
	FindingPackage      = "METADATA_PACKAGE" // a package without title and description
	FindingRule         = "METADATA_RULE"    // a public rule without description
	FindingDeny         = "DEFAULT_DENY"     // access is not denied by default
	FindingUnused       = "RULE_UNUSED"      // nothing that is asked rests on the rule
	FindingUntested     = "RULE_UNTESTED"    // no test reaches a line of the rule
	FindingTest         = "TEST_FAILED"      // a test fails
	FindingTestsMissing = "TESTS_MISSING"    // there are none
)

// A Finding is something that is wrong with a policy set, and what to do about it.
// Each is an error: a set with one is not proposed.
type Finding struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Code   string `json:"code"`
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// String writes it as compilers do.
func (f Finding) String() string {
	at := ""
	if f.File != "" {
		at = fmt.Sprintf("%s:%d: ", f.File, max(f.Line, 1))
	}
	return fmt.Sprintf("%s%s: %s: %s", at, f.Code, f.What, f.Remedy)
}

// Check looks at a policy set for what makes it unsafe or unreadable: it compiles it
// as [Compile] does, reads its METADATA, looks for rules that nothing rests on, and
// runs its tests with coverage. It returns what it found, by file and line. An error
// is none of the set's: ctx ended.
func Check(ctx context.Context, fsys fs.FS) ([]Finding, error) {
	sources, err := read(fsys)
	if err != nil {
		return []Finding{{Code: FindingFiles, What: said(err), Remedy: "keep only Rego files in the folders of policies, and data.json"}}, nil
	}
	modules, found := parsedWith(sources)
	if len(found) == 0 {
		found = append(found, legible(modules)...)
		var more []Finding
		more, err = compiledFindings(ctx, sources)
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(found), cmp.Or(err, ctx.Err())
}

// parsedWith parses with every built-in that OPA has, so that one that is not allowed
// is named as such.
func parsedWith(sources []source) (map[string]*ast.Module, []Finding) {
	modules := map[string]*ast.Module{}
	var found []Finding
	for _, src := range sources {
		if src.name == dataFile {
			continue
		}
		m, err := ast.ParseModuleWithOpts(src.name, string(src.text), ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1})
		if err != nil {
			found = append(found, located(FindingSyntax, "correct the line", err)...)
			continue
		}
		modules[src.name] = m
	}
	return modules, found
}

// located turns errors of OPA, which name lines, into findings.
func located(code, remedy string, err error) []Finding {
	list, ok := errors.AsType[ast.Errors](err)
	if !ok {
		return []Finding{{Code: code, What: said(err), Remedy: remedy}}
	}
	found := make([]Finding, 0, len(list))
	for _, e := range list {
		f := Finding{Code: code, What: e.Message, Remedy: remedy}
		if e.Location != nil {
			f.File, f.Line = e.Location.File, e.Location.Row
		}
		found = append(found, f)
	}
	return found
}

func said(err error) string {
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return err.Error()
}

// legible finds what can be seen without compiling.
func legible(modules map[string]*ast.Module) []Finding {
	var found []Finding
	allowed := map[string]bool{}
	for _, b := range capabilities().Builtins {
		allowed[b.Name] = true
	}
	for name, m := range modules {
		found = append(found, forbiddenCalls(m, allowed)...)
		if !(source{name: name}).test() {
			found = append(found, undescribed(name, m)...)
		}
	}
	return append(found, defaultDeny(modules)...)
}

func forbiddenCalls(m *ast.Module, allowed map[string]bool) []Finding {
	var found []Finding
	check := func(ref ast.Ref, at *ast.Location) {
		name := ref.String()
		if _, known := ast.BuiltinMap[name]; known && !allowed[name] && at != nil {
			found = append(found, Finding{
				at.File, at.Row, FindingBuiltin, name + " depends on more than its arguments",
				"have the gateway put what the rule needs into the input, or decide without it",
			})
		}
	}
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if e.IsCall() {
			check(e.Operator(), e.Location)
		}
		return false
	})
	ast.WalkTerms(m, func(t *ast.Term) bool {
		if call, ok := t.Value.(ast.Call); ok {
			if ref, ok := call[0].Value.(ast.Ref); ok {
				check(ref, t.Location)
			}
		}
		return false
	})
	return found
}

// undescribed demands prose: of the package, of every public rule once, and of every
// member of a set, because each is a rule of its own (it may refuse, or allow).
func undescribed(name string, m *ast.Module) []Finding {
	var found []Finding
	packaged := slices.ContainsFunc(m.Annotations, func(a *ast.Annotations) bool {
		return a.Scope == "package" && a.Title != "" && a.Description != ""
	})
	if !packaged {
		found = append(found, Finding{
			name, m.Package.Location.Row, FindingPackage, "the package has no title and description",
			"write a METADATA comment with both above it: the officer reads it",
		})
	}
	described := map[string]bool{}
	for _, r := range m.Rules {
		described[headOf(r)] = described[headOf(r)] || prose(r) != ""
	}
	for _, r := range m.Rules {
		head := headOf(r)
		member := r.Head.Key != nil && r.Head.Value == nil
		if strings.HasPrefix(head, "_") || (described[head] && (!member || prose(r) != "")) {
			continue
		}
		found = append(found, Finding{
			name, r.Location.Row, FindingRule, "the rule " + head + " has no description",
			"write a METADATA comment above it that says why it is there",
		})
	}
	return found
}

// defaultDeny demands that access is denied where no rule says otherwise.
func defaultDeny(modules map[string]*ast.Module) []Finding {
	at := Finding{
		"access/decision.rego", 1, FindingDeny, "access.decision does not deny by default",
		`write: default decision := {"allow": false, "rule": "access", "because": "…"}`,
	}
	for name, m := range modules {
		if m.Package.Path.String() != "data.access" || (source{name: name}).test() {
			continue
		}
		at.File, at.Line = name, m.Package.Location.Row
		for _, r := range m.Rules {
			if r.Default && headOf(r) == "decision" {
				at.Line = r.Location.Row
				if denies(r) {
					return nil
				}
			}
		}
	}
	return []Finding{at}
}

func denies(r *ast.Rule) bool {
	value, ok := r.Head.Value.Value.(ast.Object)
	if !ok {
		return false
	}
	allow := value.Get(ast.StringTerm("allow"))
	return allow != nil && allow.Equal(ast.BooleanTerm(false))
}

// EmbeddedFiles returns the files of the policies that this binary carries, for [Check].
func EmbeddedFiles() fs.FS { return embedded }
