// Package policies is where policy is decided: Rego files with their tests and
// numbers beside this package's Go code, and the Go code that asks them. It is
// the only package that knows about OPA.
//
// Call [Embedded] (or [Compile] with a folder, [CompileBundle] with a file) once. The [Set] it returns is
// immutable; a changed policy is another Set. Then ask
//
//	Set.Violations   may this contract be used at all?     policies/contract
//	Set.Plan         what is done to each field and row?    policies/ingest, policies/rows
//	Set.Rules        how is a release protected?            policies/release
//	Set.Decide       may this caller do this?               policies/access
//
// What a changed policy would change is [Compare], in terms of effects.
//
// The answers are plain values that the rest of the gateway obeys; the data path
// never evaluates Rego. Equal questions are evaluated once: policies cannot call
// anything that is not a function of its arguments, so an answer depends on the
// question and the [Set.Revision] only, and can be reproduced years later.
//
// The package trusts no policy. What one returns is decoded strictly, and refused
// below the [Floors]: policies can tighten, never loosen. Row rules are compiled
// to [gateway.Expr] when a plan is made; what cannot be compiled is refused with
// its file and line, never evaluated per record.
//
// It will not see a record, a count or a clock.
package policies

import (
	"context"
	"embed"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/pana-exchange/pana/gateway"
)

//go:embed data.json access contract ingest release rows
var embedded embed.FS

// How long one evaluation may take. A decision costs tens of microseconds and a
// plan milliseconds, so a policy that takes longer is at fault (trust.md 5.5). The
// rest is room for a busy machine, because what runs out of time is denied.
const (
	decisionDeadline = time.Second
	planDeadline     = 2 * time.Second
)

// maxDecisions bounds the cache of [Set.Decide]; beyond it decisions are
// evaluated each time.
const maxDecisions = 4096

// A Set is one compiled policy set: all Rego and its data under one revision. It
// never changes and may be used by many goroutines.
type Set struct {
	revision gateway.Revision
	sources  []source
	modules  map[string]*ast.Module // as parsed, by file name, without tests
	tests    map[string]*ast.Module
	compiled *ast.Compiler // of modules
	store    storage.Store

	plan, violations, rules, decision rego.PreparedEvalQuery

	plans     sync.Map // planKey → *planEntry
	decisions sync.Map // string → func() (gateway.Grant, error)
	decided   atomic.Int64
}

// Embedded compiles the policies that this binary carries.
func Embedded(ctx context.Context) (*Set, error) { return Compile(ctx, embedded) }

// Compile reads and compiles a policy set: Rego files in the folders access,
// contract, ingest, release and rows, and data.json. It refuses, with file and
// line, what does not compile strictly and every call of a built-in that is not a
// function of its arguments.
func Compile(ctx context.Context, fsys fs.FS) (*Set, error) {
	sources, err := read(fsys)
	if err != nil {
		return nil, err
	}
	return compileSources(ctx, sources)
}

func compileSources(ctx context.Context, sources []source) (*Set, error) {
	s := &Set{revision: revisionOf(sources), sources: sources}
	if err := s.parse(); err != nil {
		return nil, err
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	for _, q := range []struct {
		query string
		into  *rego.PreparedEvalQuery
	}{
		{"data.ingest.plan", &s.plan},
		{"data.contract.violations", &s.violations},
		{"data.release.rules", &s.rules},
		{"data.access.decision", &s.decision},
	} {
		var err error
		*q.into, err = rego.New(rego.Query(q.query), rego.Compiler(s.compiled), rego.Store(s.store),
			rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
		if err != nil {
			return nil, refused(err)
		}
	}
	return s, nil
}

// Revision returns the SHA-256 of the set's sources, data and tests included.
func (s *Set) Revision() gateway.Revision { return s.revision }

// evaluate asks a prepared query and returns its one value, or nil where the
// answer is undefined.
func evaluate(ctx context.Context, q *rego.PreparedEvalQuery, input any) (any, error) {
	results, err := q.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, nil //nolint:nilnil // undefined is an answer that every caller handles
	}
	return results[0].Expressions[0].Value, nil
}
