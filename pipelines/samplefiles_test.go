package pipelines_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

var update = flag.Bool("update", false, "write the reports of the samples anew")

// A mending is what an agency does to its file before the second try.
type mending struct {
	from *regexp.Regexp
	to   string
}

// The mendings are the dates, whole numbers that were written with parts, and, where a
// file has no day of an event, one.
var mendings = map[string][]mending{
	"episodes":   nil,
	"exclusions": append(monthNames(), mending{regexp.MustCompile(`,10\.0,`), ",10,"}),
	"leavers":    monthNames(),
	"persons": {
		{regexp.MustCompile(`(?m)^(rec_id.*)$`), "$1,seen"},
		{regexp.MustCompile(`(?m)^(\d+,.*)$`), "$1,2005-06-30"},
		{regexp.MustCompile(`,(\d{4})(\d\d)(\d\d),`), ",$1-$2-$3,"},
	},
}

// monthNames write days with months in English as ISO 8601.
func monthNames() []mending {
	var list []mending
	for i, month := range []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"} {
		list = append(list, mending{regexp.MustCompile(`(\d{4})-` + month + `-(\d\d) 00:00:00`), "$1-" + string("01"[(i+1)/10]) + string("0123456789"[(i+1)%10]) + "-$2"})
	}
	return list
}

// Files that nobody here wrote are read under contracts made for them, as they are and
// mended; each refusal is one that a person can check in the file.
func TestSampleFiles(t *testing.T) {
	contracts, err := configs.LoadContracts(os.DirFS("testdata/samples"))
	if err != nil {
		t.Fatal(err)
	}
	for name, mends := range mendings {
		i := slices.IndexFunc(contracts, func(c *gateway.Contract) bool { return c.ID == gateway.ContractID(name) })
		content, err := os.ReadFile("testdata/samples/" + name + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		goldenReport(t, name+".report.json", sampleReport(t, contracts[i], content))
		if mends == nil {
			continue
		}
		for _, m := range mends {
			content = m.from.ReplaceAll(content, []byte(m.to))
		}
		golden(t, name+".mended.csv", content)
		goldenReport(t, name+".mended.report.json", sampleReport(t, contracts[i], content))
	}
}

func goldenReport(t *testing.T, name string, r *gateway.Report) {
	t.Helper()
	r.ReadAs = nil
	text, err := json.MarshalIndent(r.WithoutDetails(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name, append(text, '\n'))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/samples/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s (%v) is now\n%s", path, err, got)
	}
}

// sampleReport reads a file under a contract, and under the mapping beside it.
func sampleReport(t *testing.T, c *gateway.Contract, content []byte) *gateway.Report {
	t.Helper()
	var said gateway.Said
	if text, err := os.ReadFile("testdata/samples/mapping-" + string(c.ID) + ".yaml"); err == nil {
		if said.Mapping, err = configs.Mapping(text); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	today, _ := gateway.CivilDay(2025, 1, 1)
	plan := gateway.Plan{Contract: c.ID, Version: c.Version}
	for i := range c.Fields {
		plan.Fields = append(plan.Fields, gateway.FieldPlan{Field: c.Fields[i].Name, Do: gateway.Drop})
	}
	r, err := pipelines.Open(t.Context(), bytes.NewReader(content), pipelines.Options{
		Contract: c, Plan: plan, Keys: keys, Agency: "authority", Said: said, Today: today,
		Batch: gateway.Manifest{PeriodFrom: gateway.NoDay, PeriodTo: gateway.NoDay, Kind: gateway.Original, Reject: gateway.RejectRows},
	})
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Report != nil {
		return e.Report
	}
	if err != nil {
		t.Fatal(err)
	}
	b := gateway.NewBlock(c.Layout())
	for err == nil {
		err = r.Next(t.Context(), b)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return r.Report()
}
