package output_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

// TestXLSX has LibreOffice open a workbook and save each of its sheets as CSV: every
// cell is what it was, also one that looks like a formula.
func TestXLSX(t *testing.T) {
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("soffice is not installed: apt-get install --no-install-recommends libreoffice-calc")
	}
	d := demo(t)
	d.Definition.Dimensions[1].Title.EN = "=1+1"
	d.Table.Notes[0] = "a <note> & \"more\"\nthan one line"
	dir := t.TempDir()
	must(0, os.WriteFile(filepath.Join(dir, "demo.xlsx"), written(t, output.XLSX, d), 0o600))(t)
	// Token 12 of the filter's options, -1, is for all sheets, each a file.
	run := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--headless",
		"--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", "--outdir", dir, filepath.Join(dir, "demo.xlsx"))
	if said, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	read := func(name string) [][]string {
		r := csv.NewReader(bytes.NewReader(must(os.ReadFile(filepath.Join(dir, "demo-"+name+".csv")))(t)))
		r.FieldsPerRecord = -1
		return must(r.ReadAll())(t)
	}
	want := [][]string{{"region", "quarter", "status", "value", "noise_sd"}}
	for _, c := range d.Table.Cells {
		line := append(append([]string{}, c.Nodes...), string(c.Status), "", "")
		if c.Status == gateway.StatusValue {
			line[3], line[4] = map[int64]string{145: "145", 0: "0"}[*c.Value], "7.0711"
		}
		want = append(want, line)
	}
	if diff := cmp.Diff(want, read("Table")); diff != "" {
		t.Error(diff)
	}
	citation, codes := read("Citation"), read("Codes")
	if got := citation[8]; got[0] != "note" || got[1] != d.Table.Notes[0] {
		t.Errorf("the note is %q", got)
	}
	if citation[4][1] != d.Table.Decision || citation[5][1] != hexOf(d.Answer) {
		t.Errorf("the citation is %q", citation)
	}
	found := false
	for _, line := range codes {
		found = found || strings.Join(line, "|") == "sex||Sex (kk)|Sex (ru)|=1+1"
	}
	if !found {
		t.Errorf("the titles are %q", codes)
	}
}
