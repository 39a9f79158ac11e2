package exchange_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/pipelines/synth"
)

// numbers lists the numbers of a page by their path, indexes left out.
func numbers(t *testing.T, page []byte) map[string][]float64 {
	t.Helper()
	var tree any
	ok(t, json.Unmarshal(page, &tree))
	found := map[string][]float64{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, below := range v {
				walk(path+"."+name, below)
			}
		case []any:
			for _, below := range v {
				walk(path, below)
			}
		case float64:
			found[path] = append(found[path], v)
		}
	}
	walk("", tree)
	return found
}

// What stands on a risk page as a number is public or a share in steps of 5 %: never a
// count, never a cell. A number that is added to the page has to be named here, where
// one that data decides is found: pages over other children differ in shares only.
func TestNumbersOnThePage(t *testing.T) {
	pages := make([]map[string][]float64, 2)
	for i, seed := range []uint64{11, 12} {
		g := newExchange(t)
		_, content, err := country(synth.Options{Children: 400 + 300*i, Seed: seed})
		ok(t, err)
		g.send(t, "police", "k1", content["police"])
		g.send(t, "health", "k1", content["health"])
		answer, err := g.Risk(t.Context(), g.who["officer"], g.build(t).ID)
		ok(t, err)
		pages[i] = numbers(t, answer.RiskPage)
	}
	shares := 0
	for path := range pages[0] {
		if !strings.HasSuffix(path, "_percent") && !strings.Contains(path, ".by_rule.") {
			continue
		}
		for _, page := range pages {
			for _, v := range page[path] {
				shares++
				if int(v)%5 != 0 || v != float64(int(v)) || v < 0 || v > 100 {
					t.Errorf("%s is %g: not a share in steps of 5 %%", path, v)
				}
			}
			delete(page, path)
		}
	}
	if shares < 50 {
		t.Errorf("a page has %d shares", shares)
	}
	for path := range pages[0] {
		switch strings.TrimLeft(path, ".") {
		case "v", "k", "snapshot", "v_declared", "v_needed", "largest_deviation", "widths.k", // of the release
			"attackers.a", "attackers.sd", "attackers.dimensions", "cubes.cap", "cubes.dimensions.codes", // of the definition
			"hidden.cells", "hidden.sets.cells", "hidden.cubes.cells", "rows.sets_left_out", // of the code lists
			"hidden.sets.impossible", "hidden.cubes.impossible", // declared
			"hidden.sets.not_reported", "hidden.cubes.not_reported", "reports.places", "reports.complete": // of registrations
		default:
			t.Errorf("the page has a number %s that nobody has named as public", path)
		}
	}
	if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
		t.Errorf("numbers that are no shares differ with the children:\n%s", diff)
	}
}
