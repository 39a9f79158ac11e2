package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// The report tells who asked for what and how often, and of erasures a number: not
// which request, nor when.
func TestOversight(t *testing.T) {
	at := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	leaf := func(e ledger.Event, object string, out ledger.Outcome) ledger.Leaf {
		return ledger.Leaf{Time: at, Event: e, Actor: "kone", Object: object, Outcome: out}
	}
	o := oversee([]ledger.Leaf{
		leaf(ledger.Question, "demo-1/reach/ab", ledger.Allowed), leaf(ledger.Question, "demo-1/reach/cd", ledger.Allowed),
		leaf(ledger.Question, "demo-1/-/-", ledger.Denied), leaf(ledger.BatchCommit, "b1", ledger.Done),
		leaf(ledger.SubjectErase, "psecret", ledger.Intended), leaf(ledger.SubjectErase, "psecret", ledger.Done),
		leaf(ledger.WitnessSilent, "", ledger.Failed),
	}, "2026-07-01", "2026-08-01")
	if len(o.Questions) != 2 || o.Questions[1] != (askedOf{"kone", "demo-1", "reach", 2, 0}) || o.Questions[0].Denied != 1 ||
		o.Erasures != 1 || len(o.Alarms) != 1 || len(o.Events) != 2 {
		t.Fatalf("the report is %+v", o)
	}
	for lang := range oversightWords {
		var b strings.Builder
		if err := writeOversight(&b, o, lang); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "psecret") || strings.Contains(b.String(), "subject.erase") || strings.Contains(b.String(), "%!") {
			t.Errorf("%s: the report is\n%s", lang, b.String())
		}
	}
}
