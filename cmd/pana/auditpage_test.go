package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// The page for print is, in every language, what its golden file holds, and has nothing
// that a browser would fetch or run.
func TestOversightPage(t *testing.T) {
	at := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	o := oversee([]ledger.Leaf{
		{Time: at, Event: ledger.Question, Actor: "kone", Object: "demo-1/reach/ab", Outcome: ledger.Allowed},
		{Time: at, Event: ledger.Question, Actor: "kone", Object: "demo-1/-/-", Outcome: ledger.Denied},
		{Time: at, Event: ledger.PolicyActivate, Actor: "kone", Object: "p1", Outcome: ledger.Done},
		{Time: at, Event: ledger.SubjectErase, Actor: "kone", Object: "psecret", Outcome: ledger.Done},
		{Time: at, Event: ledger.WitnessSilent, Actor: "gateway", Outcome: ledger.Failed},
	}, "2026-07-01", "2026-10-01")
	for lang := range oversightWords {
		var page strings.Builder
		if err := writeOversightPage(&page, o, lang); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "report", lang+".html")
		if *update {
			if err := os.WriteFile(golden, []byte(page.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || page.String() != string(want) {
			t.Errorf("%s: the page is not that of %s: %v", lang, golden, err)
		}
		for _, no := range []string{"psecret", "<script", "http:", "https:", "%!"} {
			if strings.Contains(page.String(), no) {
				t.Errorf("%s: the page holds %q", lang, no)
			}
		}
	}
}
