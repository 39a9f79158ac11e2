package policies

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/pana-exchange/pana/gateway"
)

// refuse is the name of the partial set that holds a contract's row rules.
const refuse = ast.Var("refuse")

var codeName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// A rowRule is one Rego rule `refuse contains "CODE" if …`.
type rowRule struct {
	code  gateway.ProblemCode
	key   string // what it is called while it is evaluated: no two rules share one
	place string
}

// rowRules compiles the row rules of a contract: package rows.<id>, the partial
// set refuse of literal codes (overview.md 3, idea 1). The modules are compiled
// anew with the schema of the contract's records, so that a misspelt field is a
// type error. Each rule is partially evaluated by itself: a rule that another one
// with the same code hides could otherwise vanish without a word.
func (s *Set) rowRules(ctx context.Context, c *gateway.Contract) ([]gateway.RowRule, error) {
	if err := reserved(c); err != nil {
		return nil, err
	}
	pkg := "data.rows." + string(c.ID)
	modules := s.reachable(pkg)
	rules, err := label(pkg, modules)
	if err != nil {
		return nil, err
	}
	compiler, err := s.compile(ctx, modules, recordSchema(c), presence)
	if err != nil {
		return nil, err
	}
	if err := declaredOnly(compiler.Modules); err != nil {
		return nil, err
	}
	when := map[gateway.ProblemCode][]gateway.Expr{}
	for _, rule := range rules {
		residue, err := s.reduce(ctx, compiler, c, rule)
		if err != nil {
			return nil, err
		}
		when[rule.code] = append(when[rule.code], residue...)
	}
	return byCode(when), nil
}

// byCode joins the rules of one code and sorts the codes. A code that was proven
// constant and false has no rule.
func byCode(when map[gateway.ProblemCode][]gateway.Expr) []gateway.RowRule {
	var joined []gateway.RowRule
	for _, code := range slices.Sorted(maps.Keys(when)) {
		if expr := join(gateway.Or, when[code]); len(when[code]) > 0 {
			joined = append(joined, gateway.RowRule{Code: code, When: expr})
		}
	}
	return joined
}

// reserved refuses a contract whose field hides a derived one.
func reserved(c *gateway.Contract) error {
	for _, name := range []gateway.FieldName{gateway.DerivedAge, gateway.DerivedDays} {
		if c.Field(name) != nil {
			return invalid("contract %s: the name %s is taken: row rules derive it", c.ID, name)
		}
	}
	return nil
}

// reachable returns copies of the modules that a package needs: its own, and
// those whose packages its rules refer to, and so on.
func (s *Set) reachable(pkg string) map[string]*ast.Module {
	found := map[string]*ast.Module{}
	open := []ast.Ref{ast.MustParseRef(pkg)}
	for len(open) > 0 {
		ref := open[0]
		open = open[1:]
		for name, m := range s.modules {
			if _, seen := found[name]; seen || !touches(ref, m.Package.Path) {
				continue
			}
			found[name] = m.Copy()
			ast.WalkRefs(s.compiled.Modules[name], func(r ast.Ref) bool {
				if r.HasPrefix(ast.DefaultRootRef) {
					open = append(open, r.GroundPrefix())
				}
				return false
			})
		}
	}
	return found
}

// touches reports whether a reference may mean something in a package: one is a
// prefix of the other.
func touches(ref, pkg ast.Ref) bool { return ref.HasPrefix(pkg) || pkg.HasPrefix(ref) }

// label finds the rules of a package's refuse set and gives each a key of its
// own. Only literal codes are taken: the set of codes must be known before
// anything is evaluated.
func label(pkg string, modules map[string]*ast.Module) ([]rowRule, error) {
	var rules []rowRule
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m := modules[name]
		if m.Package.Path.String() != pkg {
			continue
		}
		for _, r := range m.Rules {
			if len(r.Head.Ref()) == 0 || !r.Head.Ref()[0].Equal(ast.VarTerm(string(refuse))) {
				continue
			}
			code, ok := literalCode(r)
			if !ok {
				return nil, invalid("%s: a row rule is written: refuse contains \"CODE\" if { … }, with a literal code", place(r.Location))
			}
			rule := rowRule{code, fmt.Sprintf("%s#%d", code, len(rules)), place(r.Location)}
			r.Head.Key = ast.StringTerm(rule.key).SetLocation(r.Head.Key.Location)
			rules = append(rules, rule)
		}
	}
	if len(rules) == 0 {
		return nil, invalid("policy: no row rules: %s has no rules that refuse", strings.TrimPrefix(pkg, "data."))
	}
	return rules, nil
}

func literalCode(r *ast.Rule) (gateway.ProblemCode, bool) {
	if r.Default || len(r.Head.Ref()) != 1 || len(r.Head.Args) > 0 || r.Head.Key == nil || r.Head.Value != nil {
		return "", false
	}
	code, ok := r.Head.Key.Value.(ast.String)
	return gateway.ProblemCode(code), ok && codeName.MatchString(string(code))
}

// declaredOnly refuses what partial evaluation would silently leave out or keep
// whole: any mention of input but as input.record.<field> or input.batch.<word>,
// and forms of rules that have no meaning as a condition on columns.
func declaredOnly(modules map[string]*ast.Module) error {
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		for _, r := range modules[name].Rules {
			if err := declaredRule(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func declaredRule(r *ast.Rule) error {
	switch {
	case r.Default:
		return invalid("%s: row rules cannot use default", place(r.Location))
	case r.Else != nil:
		return invalid("%s: row rules cannot use else", place(r.Else.Location))
	}
	err := declaredTerms(r.Head, r.Location)
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		if err == nil && len(e.With) > 0 {
			err = invalid("%s: row rules cannot use with", place(e.Location))
		}
		if err == nil {
			err = declaredTerms(e, e.Location)
		}
		return err != nil
	})
	return err
}

// declaredTerms looks at the terms of a part of a rule. Terms that the compiler
// made have no place; the part's stands for theirs.
func declaredTerms(part any, at *ast.Location) error {
	var err error
	ast.WalkTerms(part, func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		input := ok && ref.HasPrefix(ast.InputRootRef)
		switch {
		case t.Value.Compare(ast.InputRootDocument.Value) == 0:
			err = invalid("%s: row rules cannot use the whole input", place(at))
		case input && !declared(ref):
			err = invalid("%s: row rules cannot use %s so: only input.record.<field> and input.batch.<word> are known", place(at), ref.GroundPrefix())
		}
		return err != nil || input
	})
	return err
}

// declared reports whether a reference names one field of the record or one word
// of the batch.
func declared(ref ast.Ref) bool {
	if len(ref) != 3 {
		return false
	}
	_, ok := ref[2].Value.(ast.String)
	return ok && (ref[1].Equal(ast.StringTerm("record")) || ref[1].Equal(ast.StringTerm("batch")))
}

// reduce partially evaluates one rule: what is left is a condition on the record
// and the batch. Nothing left means that the rule is constant and false, and that
// is believed only when it is so for every input: an unknown that was not
// declared would look the same.
func (s *Set) reduce(ctx context.Context, compiler *ast.Compiler, c *gateway.Contract, rule rowRule) ([]gateway.Expr, error) {
	partial := func(unknowns ...string) (*rego.PartialQueries, error) {
		p, err := rego.New(rego.Query(fmt.Sprintf("data.rows.%s.refuse[%q]", c.ID, rule.key)), rego.Compiler(compiler),
			rego.Store(s.store), rego.StrictBuiltinErrors(true), rego.Unknowns(unknowns)).Partial(ctx)
		if err != nil {
			return nil, refused(fmt.Errorf("%s: row rule %s: %w", rule.place, rule.code, err))
		}
		return p, nil
	}
	p, err := partial("input.record", "input.batch")
	if err != nil {
		return nil, err
	}
	if len(p.Queries) > 0 {
		return compileResidual(c, rule, p)
	}
	all, err := partial("input")
	if err != nil {
		return nil, err
	}
	if len(all.Queries) > 0 {
		return nil, invalid("%s: row rule %s would never fire: it needs something that is not in the input", rule.place, rule.code)
	}
	return nil, nil
}
