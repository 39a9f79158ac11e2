package api_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// Files that nobody here wrote, and the contracts, mappings, row rules and reports that
// were made for them.
const (
	samples       = "../../pipelines/testdata/samples/"
	samplesPeriod = "?period_from=2000-01-01&period_to=2024-12-31&reject=rows"
)

// A sample is one file, the contract that it is sent under and the mapping beside it.
type sample struct {
	name     string // of the file
	contract *gateway.Contract
	mapping  gateway.Mapping
	text     string
}

// TestSamplesAreUploaded sends each sample, as it is and mended, to a gateway under the
// policies that ship, with row rules for its contract and nothing of them taken away:
// the report is that of a check offline, a refusal is true of the cell that it names,
// and what was not refused is stored.
func TestSamplesAreUploaded(t *testing.T) {
	s := newSamplesStack(t)
	stored := map[gateway.ContractID]int{}
	for _, f := range sampleFiles(t) {
		t.Run(f.name, func(t *testing.T) { stored[f.contract.ID] += s.sendSample(t, f) })
	}
	for id, want := range stored {
		rows := 0
		for _, sums := range must(s.house.Loads(t.Context(), id))(t) {
			rows += int(sums.Rows)
		}
		if rows != want || want == 0 {
			t.Errorf("%s: %d rows are stored, and %d were accepted", id, rows, want)
		}
	}
}

// newSamplesStack is a gateway that knows the contracts of the samples, each with an
// agency.
func newSamplesStack(t *testing.T) *stack {
	t.Helper()
	contracts := sampleContracts(t)
	s := newStack(t, func(p parts) {
		files := (*p.policies).Files()
		for _, path := range must(filepath.Glob(samples + "policies/rows/*.rego"))(t) {
			files = append(files, policies.File{Name: "rows/" + filepath.Base(path), Source: string(must(os.ReadFile(path))(t))})
		}
		*p.policies = must(policies.CompileFiles(t.Context(), files))(t)
		p.exchange.Contracts = contracts
	})
	for _, c := range contracts {
		agency := registry.Agency{ID: gateway.AgencyID(c.ID), Contract: c.ID, Regions: []string{"75"}, From: quarter(t, "2000Q1"), To: quarter(t, "2024Q4")}
		if err := s.registry.AddAgency(t.Context(), "test", agency); err != nil {
			t.Fatal(err)
		}
		s.grant(t, string(c.ID), registry.KeySpec{Role: gateway.RoleAgency, Agency: agency.ID})
	}
	return s
}

func sampleContracts(t *testing.T) []*gateway.Contract {
	t.Helper()
	return must(configs.LoadContracts(os.DirFS(samples)))(t)
}

// sampleFiles are all the files, so that none is forgotten: one without a contract or
// without a report fails.
func sampleFiles(t *testing.T) []sample {
	t.Helper()
	var list []sample
	for _, path := range must(filepath.Glob(samples + "*.csv"))(t) {
		f := sample{name: strings.TrimSuffix(filepath.Base(path), ".csv"), text: string(must(os.ReadFile(path))(t))}
		id, _, _ := strings.Cut(f.name, ".")
		i := slices.IndexFunc(sampleContracts(t), func(c *gateway.Contract) bool { return string(c.ID) == id })
		if i < 0 {
			t.Fatalf("%s has no contract", f.name)
		}
		f.contract = sampleContracts(t)[i]
		if text, err := os.ReadFile(samples + "mapping-" + id + ".yaml"); err == nil {
			f.mapping = *must(configs.Mapping(text))(t)
		}
		list = append(list, f)
	}
	if len(list) != 7 {
		t.Errorf("there are %d samples", len(list))
	}
	return list
}

// sendSample uploads a sample and returns how many rows were accepted of it: none where
// all were refused, which is no batch.
func (s *stack) sendSample(t *testing.T, f sample) int {
	t.Helper()
	c := sending(string(f.contract.ID), string(f.contract.ID), f.text)
	c.path = strings.ReplaceAll(c.path, period, samplesPeriod)
	if len(f.mapping.Columns) > 0 {
		c = c.with("Pana-Mapping", ":"+base64.StdEncoding.EncodeToString(must(json.Marshal(f.mapping))(t))+":")
	}
	r := s.do(t, c)
	if r.status == http.StatusCreated {
		var receipt gateway.Receipt
		r.decode(t, &receipt)
		if receipt.Stored != receipt.Records-receipt.Refused || receipt.Records != receipt.Report.Records || receipt.Problems.Rows != receipt.Refused {
			t.Errorf("of %d records %d are stored and %d refused", receipt.Records, receipt.Stored, receipt.Refused)
		}
		f.sameReport(t, receipt.Report)
		f.checkable(t, receipt.Refused, receipt.Problems.First)
		return receipt.Stored
	}
	var refused struct {
		Report *gateway.Report
		Errors []gateway.RowError
	}
	r.decode(t, &refused)
	want := "refused-batch"
	if slices.ContainsFunc(refused.Errors, func(e gateway.RowError) bool { return e.Code == "MISSING_COLUMN" }) {
		want = "unreadable-file" // for no row is read under such a header
	}
	if r.slug(t) != want || refused.Report == nil {
		t.Fatalf("got %d: %.300s", r.status, r.body)
	}
	for i := range refused.Report.Errors {
		refused.Report.Errors[i].Message = "" // only answers have them
	}
	f.sameReport(t, refused.Report)
	f.checkable(t, refused.Report.Refused, refused.Errors)
	return 0
}

// sameReport compares the report of the gateway with that of a check offline.
func (f sample) sameReport(t *testing.T, r *gateway.Report) {
	t.Helper()
	r.ReadAs = nil
	got := string(must(json.MarshalIndent(r, "", "  "))(t)) + "\n"
	want := string(must(os.ReadFile(samples + f.name + ".report.json"))(t))
	if got != want {
		t.Errorf("the gateway reports\n%s\na check\n%s", got, want)
	}
}

// checkable looks each refusal up in the file, as the person would who mends it: every
// refused row has one.
func (f sample) checkable(t *testing.T, refused int, refusals []gateway.RowError) {
	t.Helper()
	rows := must(csv.NewReader(strings.NewReader(f.text)).ReadAll())(t)
	lines := map[int]bool{}
	for _, e := range refusals {
		lines[e.Line] = true
		column := slices.IndexFunc(rows[0], func(name string) bool { return f.fieldOf(name) == e.Field })
		if e.Code == "MISSING_COLUMN" {
			if column >= 0 {
				t.Errorf("column %s is there", e.Field)
			}
			continue
		}
		above := func(value string) bool {
			return slices.ContainsFunc(rows[1:e.Line-1], func(row []string) bool { return row[column] == value })
		}
		if !f.wrong(e, rows[e.Line-1][column], above) {
			t.Errorf("line %d, column %s: nobody sees why it has %s", e.Line, e.Field, e.Code)
		}
	}
	if len(lines) != refused || refused == 0 {
		t.Errorf("%d rows are refused, and reasons given for %d", refused, len(lines))
	}
}

// fieldOf is the field of a column of the file.
func (f sample) fieldOf(name string) gateway.FieldName {
	for from, to := range f.mapping.Columns {
		if strings.EqualFold(from, name) {
			return to
		}
	}
	return gateway.FieldName(strings.ToLower(name))
}

// wrong reports whether what a code says is true of a value.
func (f sample) wrong(e gateway.RowError, value string, above func(string) bool) bool {
	day, noDay := time.Parse(time.DateOnly, value)
	switch e.Code {
	case "CODE_UNKNOWN":
		if code, ok := f.mapping.Codes[e.Field][value]; ok {
			value = code
		}
		return !slices.ContainsFunc(f.contract.Field(e.Field).List.Codes, func(c gateway.Code) bool { return c.Code == value })
	case "DATE_FORM":
		return noDay != nil
	case "DATE_TOO_OLD":
		return noDay == nil && day.Year() < 2000
	case "NUMBER_FORM":
		_, err := strconv.Atoi(value)
		return err != nil
	case "DUPLICATE_RECORD":
		return above(value)
	case "PLACEHOLDER": // one digit again and again
		return strings.Trim(value, value[:1]) == ""
	}
	return false
}
