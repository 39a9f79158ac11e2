package policies_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/policies"
)

// A policy is a function of its question: what could answer differently tomorrow
// does not compile.
func TestCompileRefusesWhatIsNotAFunction(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://localhost"})`, `time.now_ns()`, `opa.runtime()`,
		`rand.intn("seed", 10)`, `uuid.rfc4122("seed")`, `net.lookup_ip_addr("localhost")`,
		`io.jwt.decode("a.b.c")`, `io.jwt.encode_sign({}, {}, {})`, `crypto.x509.parse_certificates("")`,
		`rego.parse_module("a.rego", "package a")`, `trace("seen")`, `providers.aws.sign_req({}, {}, 1)`,
	} {
		_, err := policies.Compile(t.Context(), shipped(t, map[string]string{
			"access/extra.rego": "package access.extra\n\nallow := x if x := " + call + "\n",
		}))
		name, _, _ := strings.Cut(call, "(")
		refusal(t, err, "access/extra.rego:3", "undefined function "+name)
	}
}

func TestCompileRefusesWrongFiles(t *testing.T) {
	big := "package rows.big\n#" + strings.Repeat("x", 256<<10)
	for name, c := range map[string]struct {
		changes map[string]string
		want    []string
	}{
		"syntax":             {map[string]string{"rows/bad.rego": "package rows.bad\nx := {"}, []string{"rows/bad.rego:2"}},
		"version 0":          {map[string]string{"rows/bad.rego": "package rows.bad\nallow { true }"}, []string{"rows/bad.rego:2"}},
		"unused import":      {map[string]string{"rows/bad.rego": "package rows.bad\nimport data.rows.common\nx := 1"}, []string{"rows/bad.rego:2", "unused"}},
		"unused variable":    {map[string]string{"rows/bad.rego": "package rows.bad\nx if { y := 1 }"}, []string{"rows/bad.rego:2"}},
		"unknown input":      {map[string]string{"access/bad.rego": "package access.bad\nx if input.rolle == \"agency\""}, []string{"access/bad.rego:2", "rolle"}},
		"another package":    {map[string]string{"rows/bad.rego": "package rows.police\nx := 1"}, []string{"rows/bad.rego", "rows.bad"}},
		"test of no name":    {map[string]string{"rows/bad_test.rego": "package rows.police\ntest_x if true"}, []string{"rows/bad_test.rego", "_test"}},
		"another folder":     {map[string]string{"extra/bad.rego": "package extra.bad\nx := 1"}, []string{"extra"}},
		"Rego in the root":   {map[string]string{"bad.rego": "package bad\nx := 1"}, []string{"bad.rego"}},
		"capitals":           {map[string]string{"rows/Bad.rego": "package rows.Bad\nx := 1"}, []string{"rows/Bad.rego"}},
		"hidden":             {map[string]string{"rows/.bad.rego": "package rows.bad\nx := 1"}, []string{"rows/.bad.rego"}},
		"YAML":               {map[string]string{"rows/data.yaml": "x: 1"}, []string{"rows/data.yaml"}},
		"data in a folder":   {map[string]string{"rows/data.json": "{}"}, []string{"rows/data.json"}},
		"no data":            {map[string]string{"data.json": ""}, []string{"data.json"}},
		"data not an object": {map[string]string{"data.json": "[1]"}, []string{"data.json"}},
		"two objects":        {map[string]string{"data.json": "{} {}"}, []string{"data.json"}},
		"data over a rule":   {map[string]string{"data.json": `{"access": {"decision": {"allow": true}}}`}, []string{"access"}},
		"large":              {map[string]string{"rows/big.rego": big}, []string{"rows/big.rego"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policies.Compile(t.Context(), shipped(t, c.changes))
			refusal(t, err, c.want...)
		})
	}
}

func TestCompileRefusesTooManyFiles(t *testing.T) {
	changes := map[string]string{}
	for i := range 256 {
		changes[fmt.Sprintf("rows/r%d.rego", i)] = fmt.Sprintf("package rows.r%d\n\nx := 1\n", i)
	}
	_, err := policies.Compile(t.Context(), shipped(t, changes))
	refusal(t, err, "256 files")
}

// A link could show the officer one text and the gateway another.
func TestCompileRefusesLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, shipped(t, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := policies.Compile(t.Context(), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "rows", "police.rego"), filepath.Join(dir, "rows", "linked.rego")); err != nil {
		t.Fatal(err)
	}
	_, err := policies.Compile(t.Context(), os.DirFS(dir))
	refusal(t, err, "rows/linked.rego", "regular files")
}

// The revision is a function of the set's files and of nothing else: any byte of
// any of them, their names and their borders count; what lies beside does not.
func TestRevision(t *testing.T) {
	revision := func(changes map[string]string) gateway.Revision {
		t.Helper()
		return compiled(t, changes).Revision()
	}
	base := revision(nil)
	if len(base) != 64 || revision(nil) != base {
		t.Fatalf("revision %q is not the SHA-256 of the set", base)
	}
	if revision(map[string]string{"README.md": "other", "policies.go": "other"}) != base {
		t.Error("a file beside the set changes its revision")
	}
	seen := map[gateway.Revision]string{base: "the shipped set"}
	files := shipped(t, nil)
	changes := map[string]map[string]string{
		"a file left out": {"rows/police_test.rego": ""},
		"a file renamed":  {"rows/police_test.rego": "", "rows/militia_test.rego": string(files["rows/police_test.rego"].Data)},
		"two files":       {"rows/aa.rego": "package rows.aa\n\nx := 1 #", "rows/ab.rego": "package rows\n"},
		"the two in one":  {"rows/aa.rego": "package rows.aa\n\nx := 1 #rows/ab.regopackage rows\n"},
	}
	for _, name := range []string{"data.json", "access/officer.rego", "ingest/codes_test.rego", "rows/police.rego"} {
		changes["a space after "+name] = map[string]string{name: string(files[name].Data) + " "}
	}
	for what, change := range changes {
		r := revision(change)
		if other, doubled := seen[r]; doubled {
			t.Errorf("%s has the revision of %s", what, other)
		}
		seen[r] = what
	}
}

// A test file is never in force.
func TestTestsAreNotInForce(t *testing.T) {
	s := compiled(t, map[string]string{"access/all_test.rego": "package access.officer_test\n\nimport data.access.officer\n\nallow contains \"all\" if officer.allow\n"})
	grant, err := s.Decide(t.Context(), gateway.Caller{Role: "stranger"}, gateway.ActUpload, "", nil)
	if err != nil || grant.Allow {
		t.Errorf("got %v, %v", grant, err)
	}
	_, err = policies.Compile(t.Context(), shipped(t, map[string]string{
		"access/all_test.rego": "package access.officer\n\nallow contains \"all\" if true\n",
	}))
	refusal(t, err, "access/all_test.rego")
}

func TestReportNamesFailuresAndUncoveredLines(t *testing.T) {
	s := compiled(t, merged(
		edited(t, "data.json", `"threshold_from": 10`, `"threshold_from": 11`),
		rows("refuse contains \"LONG\" if {\n\tinput.record.days > 9\n}"),
		map[string]string{"rows/school_test.rego": "package rows.school_test\n\nimport data.rows.school\n\ntest_fails if \"LONG\" in school.refuse\n"},
	))
	report, err := s.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || report.Failed != 2 || report.Coverage >= 100 {
		t.Errorf("%d failed, coverage %v", report.Failed, report.Coverage)
	}
	for _, f := range report.Files {
		switch f.Name {
		case "release/rules_test.rego":
			if f.Failed != 1 || len(f.Failures) != 1 || f.Failures[0] != "line 7: test_the_default_rules" {
				t.Errorf("%s: %+v", f.Name, f)
			}
		case "rows/school.rego":
			if fmt.Sprint(f.Uncovered) != "[3 4]" {
				t.Errorf("%s: uncovered lines %v", f.Name, f.Uncovered)
			}
		}
	}
}

func TestNoTestsAreNotPassed(t *testing.T) {
	files := fstest.MapFS{}
	for name, f := range shipped(t, nil) {
		if !strings.HasSuffix(name, "_test.rego") {
			files[name] = f
		}
	}
	s, err := policies.Compile(t.Context(), fs.FS(files))
	if err != nil {
		t.Fatal(err)
	}
	if report, err := s.Test(t.Context()); err != nil || report.OK() {
		t.Errorf("%+v, %v", report, err)
	}
}
