package policies

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// testDeadline is how long one test of a policy may take.
const testDeadline = 5 * time.Second

// A TestReport is what the tests of a policy set say about it.
type TestReport struct {
	Files    []FileReport `json:"files"`  // sorted by name
	Passed   int          `json:"passed"` // tests
	Failed   int          `json:"failed"`
	Coverage float64      `json:"coverage"` // percent of the lines of all policies that tests reach
}

// OK reports whether there are tests and all of them pass.
func (r TestReport) OK() bool { return r.Passed > 0 && r.Failed == 0 }

// A FileReport is about one Rego file: its tests, or how well tests cover it.
type FileReport struct {
	Name      string   `json:"name"`
	Test      bool     `json:"test,omitempty"`
	Passed    int      `json:"passed"`
	Failed    int      `json:"failed"`
	Failures  []string `json:"failures,omitempty"`  // names of tests that failed, with their lines
	Coverage  float64  `json:"coverage"`            // percent of lines; of a policy
	Uncovered []int    `json:"uncovered,omitempty"` // lines that no test reaches; of a policy
}

// Test runs the set's own tests in process, as "opa test" does, and measures
// which lines of the policies they reach. A built-in that fails, fails the test.
func (s *Set) Test(ctx context.Context) (TestReport, error) {
	modules := maps.Clone(s.modules)
	maps.Copy(modules, s.tests)
	coverage := cover.New()
	runner := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithRewriteTestRules(true)).
		SetStore(s.store).
		SetModules(modules).
		RaiseBuiltinErrors(true).
		SetCoverageQueryTracer(coverage).
		SetTimeout(testDeadline)
	report := newReport(modules)
	err := storage.Txn(ctx, s.store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		results, err := runner.RunTests(ctx, txn)
		if err != nil {
			return refused(err)
		}
		for r := range results {
			report.count(r)
		}
		return nil
	})
	if err != nil {
		return TestReport{}, err
	}
	return report.finish(coverage.Report(modules)), nil
}

type reporter map[string]*FileReport

func newReport(modules map[string]*ast.Module) reporter {
	files := reporter{}
	for name := range modules {
		files[name] = &FileReport{Name: name, Test: source{name: name}.test()}
	}
	return files
}

func (r reporter) count(result *tester.Result) {
	file := r[result.Location.File]
	if file == nil || result.Skip {
		return
	}
	if result.Pass() {
		file.Passed++
		return
	}
	file.Failed++
	file.Failures = append(file.Failures, fmt.Sprintf("line %d: %s", result.Location.Row, result.Name))
}

// finish adds the coverage of policies; tests are not covered by themselves.
func (r reporter) finish(coverage cover.Report) TestReport {
	var report TestReport
	covered, lines := 0, 0
	for _, name := range slices.SortedFunc(maps.Keys(r), strings.Compare) {
		file := r[name]
		if found := coverage.Files[name]; found != nil && !file.Test {
			file.Coverage = found.Coverage
			for _, span := range found.NotCovered {
				for row := span.Start.Row; row <= span.End.Row; row++ {
					if len(file.Uncovered) == 0 || file.Uncovered[len(file.Uncovered)-1] != row {
						file.Uncovered = append(file.Uncovered, row)
					}
				}
			}
			covered += found.CoveredLines
			lines += found.CoveredLines + found.NotCoveredLines
		}
		slices.Sort(file.Failures)
		report.Passed += file.Passed
		report.Failed += file.Failed
		report.Files = append(report.Files, *file)
	}
	if lines > 0 {
		report.Coverage = 100 * float64(covered) / float64(lines)
	}
	return report
}
