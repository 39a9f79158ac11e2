package pipelines_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A file that was written elsewhere is read under a mapping; what is refused of it
// is refused for a reason that a person can check in the file.
func TestSampleUnderAMapping(t *testing.T) {
	contracts, err := configs.LoadContracts(os.DirFS("testdata/samples"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/samples/mapping-episodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := configs.Mapping(text)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("testdata/samples/episodes.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	keys, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	today, _ := gateway.CivilDay(2025, 1, 1)
	c := contracts[0]
	plan := gateway.Plan{Contract: c.ID, Version: c.Version}
	for i := range c.Fields {
		f := &c.Fields[i]
		plan.Fields = append(plan.Fields, gateway.FieldPlan{Field: f.Name, Do: gateway.Drop})
	}
	r, err := pipelines.Open(t.Context(), file, pipelines.Options{
		Contract: c, Plan: plan, Keys: keys, Agency: "authority", Said: gateway.Said{Mapping: mapping}, Today: today,
		Batch: gateway.Manifest{PeriodFrom: gateway.NoDay, PeriodTo: gateway.NoDay, Kind: gateway.Original, Reject: gateway.RejectRows},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := gateway.NewBlock(c.Layout())
	for err == nil {
		err = r.Next(context.Background(), b)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	report := r.Report()
	// Line 6 gives *DUMMY* as the reason of the episode.
	want := []gateway.ProblemGroup{{Field: "reason", Code: "CODE_UNKNOWN", Count: 1, Line: 6}}
	if diff := cmp.Diff(want, report.Errors); diff != "" || report.Records != 5 || !slices.Equal(report.ReadAs.Dates, []string{"DD/MM/YYYY"}) {
		t.Errorf("%+v\n%s", report, diff)
	}
}
