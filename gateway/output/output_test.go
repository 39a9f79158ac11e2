package output_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

var update = flag.Bool("update", false, "write the golden files")

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func text(s string) gateway.Text {
	return gateway.Text{KK: s + " (kk)", RU: s + " (ru)", EN: s}
}

// demo is a table with a cell of every status, over a definition with dimensions
// that it groups by, filters by and does not name.
func demo(t *testing.T) *output.Document {
	t.Helper()
	node := func(code string) gateway.Node { return gateway.Node{Code: code, Title: text("code " + code)} }
	from, to := must(gateway.ParseQuarter("2025Q1"))(t), must(gateway.ParseQuarter("2025Q4"))(t)
	def := &gateway.Definition{
		Lineage: "demo", From: from, To: to,
		Dimensions: []gateway.Dimension{
			{Name: "region", Title: text("Region"), Nodes: []gateway.Node{node("71"), node("62"), node("33"), node("_U")}},
			{Name: "sex", Title: text("Sex"), Nodes: []gateway.Node{node("F"), node("M")}},
			{Name: "age_first", Title: text("Age"), Nodes: []gateway.Node{node("Y10T14"), node("Y15T17")}},
			{Name: "pair", Title: text("Pair"), Nodes: []gateway.Node{node("education+health")}},
			{Name: "quarter", Title: text("Quarter"), Source: gateway.Source{Kind: gateway.EventQuarter}, Nodes: []gateway.Node{node("2025Q2"), node("2025Q3")}},
		},
		Cubes: []gateway.Cube{{ID: "volume", Title: text("Volume"), Dimensions: []string{"region", "sex", "age_first", "pair", "quarter"}}},
	}
	return &output.Document{
		Definition: def, Built: time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC), Notice: "policies are a demonstration: no officer has signed them",
		Answer: sha256.Sum256([]byte("the answer")),
		Table: &gateway.Table{
			Release: "demo-1", Cube: "volume", Label: "volume|children|…", Measure: gateway.CountChildren,
			Dimensions: []string{"region", "quarter"}, Filter: map[string]string{"sex": "F", "pair": "education+health"},
			Cells: []gateway.Cell{
				{Nodes: []string{"71", "2025Q2"}, Status: gateway.StatusValue, Value: new(int64(145))},
				{Nodes: []string{"71", "2025Q3"}, Status: gateway.StatusValue, Value: new(int64(0))},
				{Nodes: []string{"62", "2025Q3"}, Status: gateway.StatusSuppressed},
				{Nodes: []string{"33", "2025Q3"}, Status: gateway.StatusNotReported},
				{Nodes: []string{"_U", "2025Q2"}, Status: gateway.StatusImpossible},
			},
			Variance: 50, Base: 5, Digest: strings.Repeat("ab", 32), PTables: strings.Repeat("cd", 32),
			Policy: gateway.Revision(strings.Repeat("ef", 32)), Decision: strings.Repeat("01", 16),
			Notes: []string{"standard deviations are of the noise, not of the sample", "policies are a demonstration: no officer has signed them"},
		},
	}
}

// estimates is a table of statistics.
func estimates(t *testing.T) *output.Document {
	t.Helper()
	d := demo(t)
	d.Table.Measure = "age_first.median"
	d.Table.Cells[0].Value = nil
	d.Table.Cells[0].Estimate, d.Table.Cells[0].SD = &gateway.Decimal{Digits: 1250, Scale: 2}, &gateway.Decimal{Digits: 31, Scale: 2}
	return d
}

func written(t *testing.T, f output.Format, d *output.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	err := output.Write(&b, f, d)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGolden pins the bytes of every format: the ledger commits to them.
func TestGolden(t *testing.T) {
	for _, f := range output.Formats()[1:] {
		path, got := filepath.Join("testdata", "golden", "demo."+string(f)), written(t, f, demo(t))
		if !bytes.Equal(got, written(t, f, demo(t))) {
			t.Errorf("%s: the same document has two forms", f)
		}
		if *update {
			must(0, os.WriteFile(path, got, 0o600))(t)
		}
		if want := must(os.ReadFile(path))(t); !bytes.Equal(got, want) {
			t.Errorf("%s is not %s", f, path)
		}
	}
}

// TestCitation finds the citation in every format, whatever its coding.
func TestCitation(t *testing.T) {
	d := demo(t)
	for _, f := range []output.Format{output.CSV, output.SDMXCSV, output.SDMXJSON, output.DHIS2, output.XLSX, output.Parquet, output.Arrow, output.ArrowStream} {
		body := string(written(t, f, d))
		for _, part := range []string{
			"demo-1", d.Table.Digest, string(d.Table.Policy), d.Table.Decision, d.Notice,
			hexOf(d.Answer), "pana audit answer", "145",
		} {
			if part == "145" && binaryNumbers(f) {
				continue
			}
			if !strings.Contains(body, part) {
				t.Errorf("%s does not hold %s", f, part)
			}
		}
	}
}

func binaryNumbers(f output.Format) bool {
	return f == output.Parquet || f == output.Arrow || f == output.ArrowStream
}

// TestCSV reads a table back from CSV: a hidden cell is a status and nothing more.
func TestCSV(t *testing.T) {
	lines := must(csv.NewReader(bytes.NewReader(written(t, output.CSV, demo(t)))).ReadAll())(t)
	var got []string
	for _, line := range lines[1:] {
		got = append(got, strings.Join(line[2:8], " "))
	}
	want := []string{
		"71 2025Q2 value 145 50 ", "71 2025Q3 value 0 50 ", "62 2025Q3 suppressed   ",
		"33 2025Q3 not_reported   ", "_U 2025Q2 impossible   ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	line := must(csv.NewReader(bytes.NewReader(written(t, output.CSV, estimates(t)))).ReadAll())(t)[1]
	if got := strings.Join(line[4:8], " "); got != "value 12.50  0.31" {
		t.Errorf("an estimate is %q", got)
	}
}

// TestDHIS2 leaves hidden values out and says so; and refuses a window for which
// DHIS2 has no period.
func TestDHIS2(t *testing.T) {
	type set struct{ DataValues []map[string]string }
	var got set
	must(0, json.Unmarshal(written(t, output.DHIS2, demo(t)), &got))(t)
	short := make([]string, len(got.DataValues))
	for i, v := range got.DataValues {
		value, has := v["value"]
		if !has {
			value = "-"
		}
		comment, _, _ := strings.Cut(v["comment"], ";")
		short[i] = strings.Join([]string{v["dataElement"], v["period"], v["orgUnit"], v["categoryOptionCombo"], value, comment}, " ")
	}
	want := []string{
		"VOLUME_CHILDREN 2025Q2 KZ-71 F_education$2Bhealth 145 release demo-1",
		"VOLUME_CHILDREN 2025Q3 KZ-71 F_education$2Bhealth 0 release demo-1",
		"VOLUME_CHILDREN 2025Q3 KZ-62 F_education$2Bhealth - suppressed to protect privacy",
		"VOLUME_CHILDREN 2025Q3 KZ-33 F_education$2Bhealth - not reported",
		"VOLUME_CHILDREN 2025Q2 _U F_education$2Bhealth 0 structural zero: there is none by definition",
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Error(diff)
	}
	// The fixture's shape: what DHIS2's own test sends has these members.
	var fixture set
	must(0, json.Unmarshal(must(os.ReadFile("testdata/dhis2/dataValueSetJ.json"))(t), &fixture))(t)
	for member := range fixture.DataValues[0] {
		if _, has := got.DataValues[0][member]; !has {
			t.Errorf("a data value lacks %s", member)
		}
	}
	d := demo(t)
	d.Table.Dimensions = []string{"region", "age_first"}
	d.Definition.From -= 4
	var b bytes.Buffer
	if err := output.Write(&b, output.DHIS2, d); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a window of two years gives %v", err)
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]output.Format{
		"": output.JSON, "*/*": output.JSON, "text/html, */*;q=0.1": output.JSON, "text/*": output.CSV, "Text/CSV;q=0.5": output.CSV,
		"application/vnd.sdmx.data+csv; version=2.0.0; labels=id": output.SDMXCSV, "text/csv;q=0.1, application/vnd.sdmx.data+json": output.SDMXJSON,
		"image/png": "", "text/csv;q=0": "", "text/csv;q=x": "", ";": "",
	} {
		if got, ok := output.Negotiate(accept); got != want || ok != (want != "") {
			t.Errorf("Accept %q gives %q", accept, got)
		}
	}
	for name, want := range map[string]output.Format{"a.csv": output.CSV, "A.SDMX.CSV": output.SDMXCSV, "b.json": output.JSON, "b.dhis2.json": output.DHIS2, "a.parquet": output.Parquet, "a.arrow": output.Arrow, "a.arrows": output.ArrowStream, "doc": ""} {
		if got, _ := output.ByName(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}
