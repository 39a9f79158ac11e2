package exchange_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/policies"
)

// changed is the policies with words replaced, by file.
func changed(t *testing.T, changes map[string][2]string) *policies.Set {
	t.Helper()
	dir := t.TempDir()
	ok(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "policies"))))
	for file, change := range changes {
		path := filepath.Join(dir, filepath.FromSlash(file))
		text, err := os.ReadFile(path)
		ok(t, err)
		if !strings.Contains(string(text), change[0]) {
			t.Fatalf("%s does not hold %s", file, change[0])
		}
		ok(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), change[0], change[1])), 0o600))
	}
	set, err := policies.Compile(t.Context(), os.DirFS(dir))
	ok(t, err)
	return set
}

func (g *gate) replayOf(t *testing.T, set *policies.Set) exchange.Replay {
	t.Helper()
	p := g.propose(t, set)
	var e exchange.Effects
	ok(t, json.Unmarshal(p.Effects, &e))
	if e.Replay == nil {
		t.Fatalf("there is no replay in %s", p.Effects)
	}
	return *e.Replay
}

// A proposal says how the last questions and uploads would have been decided, and which
// share of the cells of a release that answers a higher threshold would hide. A lower one
// is not replayed on cells, and no replay holds a cell.
func TestProposalsAreReplayed(t *testing.T) {
	g, _ := rotatable(t)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	release := g.build(t)
	g.approve(t, release)
	g.answer(t, release.ID)
	stranger := g.who["researcher"]
	stranger.Purposes = nil
	_, err := g.Ask(t.Context(), stranger, release.ID, bySector, asJSON)
	is(t, err, gateway.NotFound)

	finer := g.replayOf(t, finer(t))
	if finer.Questions != 2 || finer.QuestionsAllowed+finer.QuestionsDenied+finer.Unknown != 0 ||
		finer.Uploads != 2 || finer.UploadsTreated != 1 || finer.UploadsDenied != 0 || finer.Releases != nil {
		t.Errorf("finer diagnoses replayed: %+v", finer)
	}
	stricter := g.replayOf(t, changed(t, map[string][2]string{
		"data.json": {`"threshold_from": 10`, `"threshold_from": 40`}, "release/rules_test.rego": {`"threshold_min": 10`, `"threshold_min": 40`},
	}))
	if stricter.UploadsTreated != 0 || len(stricter.Releases) != 1 || stricter.Releases[0].Release != release.ID || stricter.Releases[0].Why != "" {
		t.Fatalf("higher thresholds replayed: %+v", stricter)
	}
	bands := map[int]int{}
	for _, s := range stricter.Releases[0].Sets {
		bands[s.Band]++
	}
	if len(bands) < 2 {
		t.Errorf("sets by band: %v", bands)
	}
}
