package pipelines

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// An unlikely record is kept, with a warning.
var unlikely = []fault{
	{"birth date is another", codeIINDateMismatch, []string{"birth_date", "2013-05-10"}},
	{"sex is another", codeIINSexMismatch, []string{"child_sex", "M"}},
	{"years before the event", codeDateUnlikely, []string{"incident_date", "2018-03-01"}},
}

func warnings() []struct {
	name string
	code gateway.ProblemCode
	at   string
	kind gateway.Kind
	text string
} {
	list := fileFaults[:0:0]
	for _, w := range unlikely {
		f := fileFaults[0]
		f.code = w.code
		list = append(list, f)
	}
	return list
}

func TestWarnings(t *testing.T) {
	for _, w := range unlikely {
		t.Run(w.name, func(t *testing.T) {
			got := readFile(t, testOptions(t), good().with("record_id", "first"), w.record(), w.record().with("record_id", "third"))
			wantProblems(t, got)
			want := []gateway.ProblemGroup{{Field: gateway.FieldName(w.set[0]), Code: w.code, Count: 2, Line: 3}}
			if diff := cmp.Diff(want, got.reader.Report().Warnings); diff != "" || len(got.rows) != 3 {
				t.Errorf("%d rows\n%s", len(got.rows), diff)
			}
		})
	}
}

// A report has every problem once, by column and code, with its first line, and
// the counts are exact however few details are kept.
func TestReport(t *testing.T) {
	o := testOptions(t)
	o.MaxProblems = 1
	got := readFile(t, o, good(), good().with("record_id", "2").with("basis", "?"), good().with("record_id", "3").with("child_iin", "130509690009"),
		good().with("record_id", "4").with("basis", "?").with("setting", "?"), good().with("record_id", "5").with("child_sex", "M"))
	want := &gateway.Report{
		Contract: "police", Version: 1, Records: 5, Refused: 3,
		Errors: []gateway.ProblemGroup{
			{Field: "basis", Code: codeCodeUnknown, Count: 2, Line: 3},
			{Field: "child_iin", Code: codeIINCheckDigit, Count: 1, Line: 4},
			{Field: "setting", Code: codeCodeUnknown, Count: 1, Line: 5},
		},
		Warnings: []gateway.ProblemGroup{{Field: "child_sex", Code: codeIINSexMismatch, Count: 1, Line: 6}},
		Details:  []gateway.RowError{{Line: 3, Field: "basis", Code: codeCodeUnknown}}, Omitted: 3,
		Linkage: &gateway.Linkage{Identified: 2, Disagreeing: 1},
	}
	report := got.reader.Report()
	report.ReadAs = nil
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	for _, g := range report.In(func(code gateway.ProblemCode) string { return Describe(string(code)) }).Errors {
		if g.Message == "" {
			t.Errorf("no message for %s", g.Code)
		}
	}
	ended := read(t, testOptions(t), strings.NewReader(shortHeader+goodLine("1", "x")+"\""))
	if e := wantKind(t, ended.err, gateway.Invalid); e.Report == nil || e.Report.Records != 2 || e.Report.ReadAs == nil || len(e.Report.Errors) != 1 {
		t.Errorf("a report of what ended the reading: %+v", e.Report)
	}
}
