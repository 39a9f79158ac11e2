package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/pana-exchange/pana/gateway"
)

// maxErrors is how many compile errors a refusal quotes.
const maxErrors = 10

// forbidden are built-ins beyond those that OPA itself calls non-deterministic:
// they read the network, the process, the clock or key material, or run text as
// policy (trust.md 5.5). A name that ends with a dot stands for all below it.
var forbidden = []string{
	"http.send", "net.lookup_ip_addr", "opa.runtime", "io.jwt.", "crypto.x509.", "rego.parse_module", "trace", "providers.aws.",
}

// capabilities returns what policies may call: functions of their arguments.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return b.IsNondeterministic() || slices.ContainsFunc(forbidden, func(name string) bool {
			return b.Name == name || (strings.HasSuffix(name, ".") && strings.HasPrefix(b.Name, name))
		})
	})
	c.AllowNet = []string{}
	return c
}

// parse reads the Rego sources. Tests stay apart: a test that adds a rule to a
// policy's package must not be able to change what is in force.
func (s *Set) parse() error {
	s.modules, s.tests = map[string]*ast.Module{}, map[string]*ast.Module{}
	opts := ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: capabilities()}
	for _, src := range s.sources {
		if src.name == dataFile {
			continue
		}
		m, err := ast.ParseModuleWithOpts(src.name, string(src.text), opts)
		if err != nil {
			return refused(err)
		}
		if err := placed(src, m); err != nil {
			return err
		}
		if src.test() {
			s.tests[src.name] = m
		} else {
			s.modules[src.name] = m
		}
	}
	return nil
}

// placed demands that a rule is found where its package says.
func placed(src source, m *ast.Module) error {
	folder, own := packageOf(src.name)
	pkg := m.Package.Path.String()
	switch {
	case src.test() && !strings.HasSuffix(pkg, "_test"):
		return invalid("%s: the package of a test ends with _test", src.name)
	case !src.test() && pkg != folder && pkg != own:
		return invalid("%s: its package is %s or %s", src.name, strings.TrimPrefix(folder, "data."), strings.TrimPrefix(own, "data."))
	}
	return nil
}

// load compiles the modules against the set's data.
func (s *Set) load(ctx context.Context) error {
	i := slices.IndexFunc(s.sources, func(src source) bool { return src.name == dataFile })
	data, err := parseData(s.sources[i].text)
	if err != nil {
		return err
	}
	s.store = inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	s.compiled, err = s.compile(ctx, s.modules, inputSchema)
	return err
}

// compile type-checks and compiles modules strictly, with an input of a schema.
func (s *Set) compile(ctx context.Context, modules map[string]*ast.Module, schema any, stages ...ast.CompilerStageDefinition) (*ast.Compiler, error) {
	compiler := ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities()).WithUseTypeCheckAnnotations(false)
	if schema != nil {
		schemas := ast.NewSchemaSet()
		schemas.Put(ast.SchemaRootRef, schema)
		compiler = compiler.WithSchemas(schemas)
	}
	for _, stage := range stages {
		compiler = compiler.WithStageAfterID(ast.StageRewriteDynamicTerms, stage)
	}
	err := storage.Txn(ctx, s.store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		compiler = compiler.WithPathConflictsCheck(storage.NonEmpty(ctx, s.store, txn))
		compiler.Compile(modules)
		if compiler.Failed() {
			return refused(compiler.Errors)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return compiler, nil
}

// refused turns errors of the parser, the compiler and the evaluation, which quote
// policies and never data, into one refusal that names files and lines. What ran
// out of time is not the policy's fault for certain, and may be tried again.
func refused(err error) error {
	if outOfTime(err) {
		return &gateway.Error{Kind: gateway.Overloaded, Detail: "the policies did not answer in time; try again", Err: err}
	}
	list, ok := errors.AsType[ast.Errors](err)
	if !ok {
		return &gateway.Error{Kind: gateway.Invalid, Detail: "policy refused: " + err.Error(), Err: err}
	}
	lines := make([]string, 0, maxErrors)
	for _, e := range list {
		if len(lines) == maxErrors {
			lines = append(lines, fmt.Sprintf("and %d more", len(list)-maxErrors))
			break
		}
		if line := fmt.Sprintf("%s: %s", place(e.Location), e.Message); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return &gateway.Error{Kind: gateway.Invalid, Detail: "policy refused: " + strings.Join(lines, "; "), Err: err}
}

// place names a line of a policy file.
func place(at *ast.Location) string {
	if at == nil || at.File == "" {
		return "policy"
	}
	return fmt.Sprintf("%s:%d", at.File, at.Row)
}
