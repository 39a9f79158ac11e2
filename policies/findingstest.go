package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// compiledFindings compiles the set, and looks at what compiled.
func compiledFindings(ctx context.Context, sources []source) ([]Finding, error) {
	s, err := compileSources(ctx, sources)
	if err != nil {
		if outOfTime(err) || ctx.Err() != nil {
			return nil, err
		}
		return located(FindingCompile, "correct it; opa check --strict says more", err), nil
	}
	found := s.unused()
	report, err := s.Test(ctx)
	if err != nil {
		if _, ok := errors.AsType[ast.Errors](err); ok {
			return append(found, located(FindingCompile, "correct the test; opa test says more", err)...), nil
		}
		return found, err
	}
	return append(found, s.tested(report)...), nil
}

// tested finds tests that fail, and rules of which no test reaches a line.
func (s *Set) tested(report TestReport) []Finding {
	var found []Finding
	if report.Passed+report.Failed == 0 {
		found = append(found, Finding{Code: FindingTestsMissing, What: "the set has no tests", Remedy: "write what each rule should decide in files like police_test.rego"})
	}
	for _, file := range report.Files {
		for _, failure := range file.Failures {
			line, name, _ := strings.Cut(strings.TrimPrefix(failure, "line "), ": ")
			row, _ := strconv.Atoi(line)
			found = append(found, Finding{file.Name, row, FindingTest, name + " fails", "correct the rule, or the test where the rule is meant"})
		}
		if m := s.modules[file.Name]; m != nil {
			found = append(found, untested(m, file.Uncovered)...)
		}
	}
	return found
}

// untested finds the rule to which each line belongs that no test reaches: the last
// that begins at or above it.
func untested(m *ast.Module, lines []int) []Finding {
	var found []Finding
	for _, line := range lines {
		var rule *ast.Rule
		for _, r := range m.Rules {
			if r.Location.Row <= line && (rule == nil || r.Location.Row >= rule.Location.Row) {
				rule = r
			}
		}
		if rule == nil {
			continue
		}
		at := Finding{rule.Location.File, rule.Location.Row, FindingUntested, "no test reaches all of the rule " + headOf(rule), "write a test in which it decides"}
		if !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	return found
}

// asked are the rules that the gateway asks for. Those of rows are asked by contract.
var asked = []string{"data.ingest.plan", "data.contract.violations", "data.release.rules", "data.access.decision"}

// unused finds rules on which nothing rests that the gateway asks for.
func (s *Set) unused() []Finding {
	var open []ast.Ref
	for _, q := range asked {
		open = append(open, ast.MustParseRef(q))
	}
	for _, m := range s.compiled.Modules {
		for _, r := range m.Rules {
			if ref := r.Ref().GroundPrefix(); ref.HasPrefix(ast.MustParseRef("data.rows")) && slices.ContainsFunc(ref, isRefuse) {
				open = append(open, ref)
			}
		}
	}
	reached := map[*ast.Rule]bool{}
	for len(open) > 0 {
		ref := open[0]
		open = open[1:]
		for _, m := range s.compiled.Modules {
			for _, r := range m.Rules {
				if !reached[r] && touches(ref, r.Ref().GroundPrefix()) {
					reached[r] = true
					open = append(open, rests(r)...)
				}
			}
		}
	}
	var found []Finding
	for _, m := range s.compiled.Modules {
		for _, r := range m.Rules {
			if !reached[r] {
				found = append(found, Finding{
					r.Location.File, r.Location.Row, FindingUnused, fmt.Sprintf("nothing that is asked rests on the rule %s", s.fired(r).Rule),
					"use it or remove it: a rule that decides nothing protects nobody",
				})
			}
		}
	}
	return found
}

func isRefuse(t *ast.Term) bool { return t.Value.Compare(ast.String(refuse)) == 0 }

// rests returns what a rule refers to.
func rests(r *ast.Rule) []ast.Ref {
	var refs []ast.Ref
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		if ref.HasPrefix(ast.DefaultRootRef) {
			refs = append(refs, ref.GroundPrefix())
		}
		return false
	})
	return refs
}
