package dp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Encode and Decode are inverses, for every ledger that can come about, and the
// restored one knows what was spent and answered.
func TestLedgerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewAccountant(Budget{Lineage: "pilot", Limit: Cost{Rho: lossUnit, Delta: 5e9}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range rapid.IntRange(0, 6).Draw(t, "answers") {
			_, err := a.Publish(filled(t, options().Draw(t, "options"), nil), seeded(uint64(i)))
			if err != nil && !errors.Is(err, gateway.Conflict) {
				t.Fatal(err)
			}
		}
		b, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(b)
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		again, err := back.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s came back as %s", b, again)
		}
		if back.Spent() != a.Spent() || back.Budget() != a.Budget() || !cmp.Equal(back.Answers(), a.Answers()) {
			t.Error("the restored ledger is another one")
		}
	})
}

// golden is a ledger with a Gaussian answer, a Laplace answer of the total and an
// empty answer under selection.
func golden(tb testing.TB) []byte {
	tb.Helper()
	a := accountant(tb, Cost{Rho: lossUnit, Delta: 5000})
	for i, terms := range []Terms{
		{Cells: 2, Rho: SuggestedRho},
		{Cells: 1, Epsilon: lossUnit / 2},
		{Cells: 1, Rho: SuggestedRho / 2, Selection: Selection{Epsilon: lossUnit, Delta: 1000, PreThreshold: 10}},
		{Cells: 3, Rho: SuggestedRho / 4, High: 20},
	} {
		o := bySector(terms)
		switch i {
		case 1:
			o.Set = nil
		case 2:
			o.Set = gateway.GroupingSet{{Name: "age", Level: 1}, {Name: "sex"}}
		case 3:
			o.Measure = gateway.CountRecords
		}
		if _, err := a.Publish(histogram(tb, o), seeded(uint64(i))); err != nil {
			tb.Fatal(err)
		}
	}
	b, err := a.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// A ledger that was altered, in a way that the canonical form and the rules can
// see, is not read; the error repeats nothing of it.
func TestDecodeRefuses(t *testing.T) {
	good := string(golden(t))
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatalf("the ledger itself: %v", err)
	}
	swap := func(old, now string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s does not hold %s", good, old)
		}
		return strings.Replace(good, old, now, 1)
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"null":                "null",
		"not JSON":            "AIGERIM",
		"cut":                 good[:len(good)-1],
		"more after it":       good + "\n",
		"spaces":              strings.Replace(good, ":", ": ", 1),
		"other format":        swap("ledger/1", "ledger/2"),
		"unknown field":       swap(`{"format"`, `{"AIGERIM":1,"format"`),
		"field twice":         swap(`"answers":[`, `"answers":[],"answers":[`),
		"no answers list":     `{"format":"pana/dp-ledger/1","budget":{"lineage":"pilot","limit":{"rho":"1","delta":"0"}},"answers":null}`,
		"no lineage":          swap(`"lineage":"pilot"`, `"lineage":""`),
		"budget below spent":  swap(`"rho":"1","delta":"0.000000000000005"`, `"rho":"0.1","delta":"0.000000000000005"`),
		"delta below spent":   swap(`"delta":"0.000000000000005"`, `"delta":"0"`),
		"no budget":           swap(`"rho":"1"`, `"rho":"0"`),
		"number as number":    swap(`"rho":"1"`, `"rho":1`),
		"other spelling":      swap(`"rho":"1"`, `"rho":"1.0"`),
		"negative":            swap(`"rho":"0.1"`, `"rho":"-0.1"`),
		"both prices":         swap(`"cells":2,"rho":"0.1"`, `"cells":2,"rho":"0.1","epsilon":"0.1"`),
		"no cells":            swap(`"cells":2`, `"cells":0`),
		"unknown measure":     swap(`"measure":"children"`, `"measure":"AIGERIM"`),
		"release with a bar":  swap(`"release":"pilot-1"`, `"release":"pilot|1"`),
		"cell of another set": swap(`"nodes":["health"]`, `"nodes":["health","F"]`),
		"cell twice":          swap(`"nodes":["health"]`, `"nodes":["police"]`),
		"code with a bar":     swap(`"nodes":["health"]`, `"nodes":["heal|th"]`),
		"code empty":          swap(`"nodes":["health"]`, `"nodes":[""]`),
		"null nodes":          swap(`"nodes":[]`, `"nodes":null`),
		"null values":         swap(`"values":[]`, `"values":null`),
		"value of a float":    swap(`"nodes":[],"value":`, `"nodes":[],"value":0.5e1`),
	} {
		a, err := Decode([]byte(text))
		if !errors.Is(err, gateway.Invalid) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "AIGERIM") {
			t.Errorf("%s: the error repeats the input: %v", name, err)
		}
	}
	if _, err := Decode(make([]byte, MaxEncoded+1)); !errors.Is(err, gateway.TooLarge) {
		t.Errorf("too long: %v", err)
	}
}

// Answers cannot come twice, be in another order, or be of no cells without
// selection.
func TestDecodeRefusesRearrangement(t *testing.T) {
	var s state
	if err := json.Unmarshal(golden(t), &s); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*state){
		"twice":      func(s *state) { s.Answers = append(s.Answers, s.Answers[0]) },
		"other way":  func(s *state) { s.Answers[0], s.Answers[1] = s.Answers[1], s.Answers[0] },
		"no cells":   func(s *state) { s.Answers[0].Values = []Value{} },
		"many cells": func(s *state) { s.Answers[0].Values = make([]Value, gateway.MaxNominalCells+1) },
	} {
		other := s
		other.Answers = append([]Answer{}, s.Answers...)
		change(&other)
		b, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A restored ledger goes on where it stopped: it repeats its answers and refuses
// what exceeds.
func TestRestoredLedgerGoesOn(t *testing.T) {
	a, err := Decode(golden(t))
	if err != nil {
		t.Fatal(err)
	}
	spent := a.Spent()
	again, err := a.Publish(histogram(t, bySector(Terms{Cells: 2, Rho: SuggestedRho})), forever(0))
	if err != nil || a.Spent() != spent || len(again.Values) != len(sectors) {
		t.Errorf("an answered question: %v", err)
	}
	o := bySector(Terms{Cells: 1, Rho: a.Remaining().Rho + 1})
	o.Release = "pilot-2"
	if _, err := a.Publish(histogram(t, o), seeded(1)); !errors.Is(err, gateway.Conflict) {
		t.Errorf("beyond the budget: %v", err)
	}
	o.Terms.Rho--
	if _, err := a.Publish(histogram(t, o), seeded(1)); err != nil || a.Remaining().Rho != 0 {
		t.Errorf("the rest of the budget: %v, %v left", err, a.Remaining())
	}
}

// The encoding is held to bytes, so that ledgers written today are read tomorrow.
func TestEncodingIsStable(t *testing.T) {
	a := accountant(t, Cost{Rho: SuggestedRho, Delta: 1})
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho})
	o.Set = gateway.GroupingSet{{Name: "sex"}}
	a.enter(Answer{Question: histogram(t, o).Question(), Terms: o.Terms, Values: []Value{{[]string{"F"}, -3}, {[]string{"M"}, 12}}})
	b, err := a.Encode()
	const want = `{"format":"pana/dp-ledger/1","budget":{"lineage":"pilot","limit":{"rho":"0.1","delta":"0.000000000000000001"}},` +
		`"answers":[{"question":{"release":"pilot-1","measure":"children","set":"sex@sex"},"terms":{"cells":1,"rho":"0.1"},` +
		`"values":[{"nodes":["F"],"value":-3},{"nodes":["M"],"value":12}]}]}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	empty, err := accountant(t, Cost{Rho: 1}).Encode()
	if err != nil || !strings.HasSuffix(string(empty), `"answers":[]}`) {
		t.Errorf("%s, %v", empty, err)
	}
}

// Whatever Decode reads, Encode writes back to the byte, and within the budget.
func FuzzDecode(f *testing.F) {
	f.Add(golden(f))
	f.Add([]byte(`{"format":"pana/dp-ledger/1","budget":{"lineage":"a","limit":{"rho":"0.1","delta":"0"}},"answers":[]}`))
	f.Add([]byte(`{"format":"pana/dp-ledger/1","budget":{"lineage":"a","limit":{"rho":"1000","delta":"0.1"}},"answers":[` +
		`{"question":{"release":"r","measure":"records","set":""},"terms":{"cells":1,"low":-1,"high":2,"epsilon":"0.5"},"values":[{"nodes":[],"value":7}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Decode(b)
		if err != nil {
			return
		}
		again, err := a.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q is written %q, %v", b, again, err)
		}
		if left := a.Remaining(); left.Rho < 0 || left.Delta < 0 {
			t.Fatalf("more is spent than there is: %v", left)
		}
	})
}
