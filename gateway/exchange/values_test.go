package exchange_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/synth"
)

func courts(tb testing.TB) *gateway.Definition {
	tb.Helper()
	d, err := configs.DefinitionFile("testdata/courts.yaml")
	ok(tb, err)
	return d
}

// banded is what the shipped policies store of a number: the lower bound of its band.
func banded(v *gateway.Value, n int64) int64 {
	cuts := map[string][]int64{"hearings": {0, 1, 2, 3}, "absent": {0, 1, 4, 11}}[v.ID]
	for _, cut := range slices.Backward(cuts) {
		if n >= cut {
			return cut
		}
	}
	return n
}

// checkValues holds every value of every cell of a country against plain Go, from
// the files that agencies send to the counted cells; then every published sum
// against its bounds. It returns the errors of the sums in units of their standard
// deviation, and what can be asked of them.
func (c *census) checkValues(t *testing.T) []float64 {
	t.Helper()
	d := courts(t)
	raw, err := c.house.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "courts-1", Snapshot: c.release.Snapshot, Contracts: c.options.Contracts,
		SubjectKey: c.keys.SubjectKey(d.Lineage), Coverage: c.coverage, RecordCap: c.rules.RecordCap,
	})
	ok(t, err)
	truth, err := c.country.Truth(d, c.coverage)
	ok(t, err)
	want, err := truth.Values(banded)
	ok(t, err)
	sums, wrong := map[string]disclosure.Sum{}, 0
	for label, set := range cellsOf(d) {
		for _, id := range set.Values {
			got, found := raw.Sum(t, label, id)
			total, exists := want[id][label]
			expected := disclosure.Sum{Children: uint64(total.Children), Sum: uint64(total.Sum), Top: [2]uint64{uint64(total.Top[0]), uint64(total.Top[1])}}
			if found != exists || got != expected {
				if wrong++; wrong < 10 {
					t.Errorf("cell %q: %s counted %+v (found: %v), truth %+v (exists: %v)", label, id, got, found, expected, exists)
				}
			}
			if found {
				sums[id+" "+label] = got
			}
		}
	}
	if wrong > 0 || len(sums) != len(want["hearings"])+len(want["absent"]) || len(sums) < 400 {
		t.Fatalf("%d sums differ from the truth; %d were added up, %d are true", wrong, len(sums), len(want["hearings"])+len(want["absent"]))
	}
	p, err := disclosure.Protect(raw, disclosure.Release{
		ID: "courts-1", Number: 1, Lineage: "courts", Rules: c.rules, Coverage: c.coverage, Noise: c.keys.PRF("courts"),
	})
	ok(t, err)
	return sumErrors(t, d, p, sums)
}

// sumErrors holds published sums against true ones: never further than both draws of
// at most D1 and the rounding, and multiples of the precision.
func sumErrors(t *testing.T, d *gateway.Definition, p *disclosure.Published, sums map[string]disclosure.Sum) []float64 {
	t.Helper()
	var errs []float64
	deviation := math.Ceil(2.4 * math.Sqrt(d.V/2))
	for label, set := range cellsOf(d) {
		for _, id := range set.Values {
			v := d.Value(id)
			status, value, exists := p.Cell(label, gateway.SumOf(id))
			count, _, counted := p.Cell(label, gateway.CountChildren)
			if exists != counted || status == gateway.StatusValue && count != gateway.StatusValue {
				t.Fatalf("cell %q: the sum of %s is %s and the count %s", label, id, status, count)
			}
			if !exists {
				continue // the sparsity gate
			}
			if elsewhere := parse(label)["sector"] != string(v.Sector); elsewhere != (status == gateway.StatusImpossible) {
				t.Fatalf("cell %q: the sum of %s is %s", label, id, status)
			}
			if status != gateway.StatusValue {
				continue
			}
			truth := float64(sums[id+" "+label].Sum)
			e := float64(value) - truth
			if value%v.Precision != 0 || math.Abs(e) > float64(v.Max)*(2*deviation+0.5)+float64(v.Precision)/2 {
				t.Fatalf("cell %q: %s published %d, true %g", label, id, value, truth)
			}
			errs = append(errs, e/math.Sqrt(float64(v.Max*v.Max)*(d.V+1.0/12)+float64(v.Precision*v.Precision)/12))
		}
	}
	return errs
}

// checkSums demands a mean of 0 and a variance of 1, as errorsOf.check does and with
// the same chance of a false alarm.
func checkSums(t *testing.T, errs []float64) {
	t.Helper()
	n, sum, square := float64(len(errs)), 0.0, 0.0
	for _, x := range errs {
		sum += x
		square += x * x
	}
	t.Logf("%d sums: mean error %.3f sd, variance %.3f", len(errs), sum/n, square/n)
	if n < 150 || math.Abs(sum/n) > 5/math.Sqrt(n) || math.Abs(square/n-1) > 5*math.Sqrt(2/n) {
		t.Errorf("the errors of %d sums have mean %.3f and variance %.3f, in units of what is stated", len(errs), sum/n, square/n)
	}
}

// Values go the whole way: files, a build, an approval, and answers whose bytes say
// how they were made. What is asked again is answered with the same bytes.
func TestValuesAreAnswered(t *testing.T) {
	g := newExchange(t, func(o *exchange.Options) { o.Definitions["courts"] = courts(t) })
	_, content, err := country(synth.Options{Children: 1500, Seed: 3})
	ok(t, err)
	for contract, file := range content {
		g.send(t, contract, "k", file)
	}
	release, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "courts"})
	ok(t, err)
	g.approve(t, release)
	shown := map[gateway.Measure]int{}
	for _, m := range []gateway.Measure{"children", "absent.sum", "absent.mean", "age_first.median", "sex.share"} {
		q := gateway.Question{
			Cube: "hearings", Measure: m, GroupBy: []string{"sex"}, Filter: map[string]string{"sector": "education"}, Purpose: purpose,
		}
		table := g.tableFor(t, release.ID, q)
		if diff := cmp.Diff(table, g.tableFor(t, release.ID, q)); diff != "" {
			t.Errorf("%s: asked again: %s", m, diff)
		}
		for _, c := range table.Cells {
			if c.Status != gateway.StatusValue {
				continue
			}
			shown[m]++
			if exact := m == "children" || m == "absent.sum"; exact != (c.Value != nil) || exact != (c.Estimate == nil) || exact != (c.SD == nil) {
				t.Errorf("%s: a cell is %+v", m, c)
			}
		}
		if len(table.Notes) < 3 {
			t.Errorf("%s: notes %v", m, table.Notes)
		}
	}
	for _, m := range []gateway.Measure{"children", "absent.sum", "absent.mean", "sex.share"} {
		if shown[m] == 0 {
			t.Errorf("%s: nothing was shown; the test says nothing", m)
		}
	}
	_, err = g.Ask(t.Context(), g.who["researcher"], release.ID, gateway.Question{Cube: "hearings", Measure: "absent.max", Purpose: purpose}, tableOf(nil))
	is(t, err, gateway.Invalid)
}

// tableFor asks, and reads the answer back from its bytes.
func (g *gate) tableFor(t *testing.T, id gateway.ReleaseID, q gateway.Question) gateway.Table {
	t.Helper()
	var table gateway.Table
	answer, err := g.Ask(t.Context(), g.who["researcher"], id, q, tableOf(&table))
	ok(t, err)
	var read gateway.Table
	ok(t, json.Unmarshal(answer, &read))
	if diff := cmp.Diff(table, read); diff != "" {
		t.Errorf("the bytes say otherwise: %s", diff)
	}
	return read
}

// tableOf encodes a table as JSON, and keeps it.
func tableOf(keep *gateway.Table) func(*gateway.Table) ([]byte, error) {
	return func(t *gateway.Table) ([]byte, error) {
		if keep != nil {
			*keep = *t
		}
		return json.Marshal(t)
	}
}
