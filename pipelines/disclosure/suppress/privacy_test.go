package suppress

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// secretive is a Raw whose counts have digits that show up wherever they leak.
func secretive(t *testing.T) *Raw {
	t.Helper()
	raw, err := NewRaw(every(flat("a", "0", "1", "2"), flat("b", "0", "1", "2")), Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		n := Count{Children: int64(31415000 + i*7), Units: []Part{{Key: 2718281828, Amount: 31415}}}
		if i == 4 {
			n = Count{Children: 7}
		}
		if err := raw.Add([]string{fmt.Sprint(i / 3), fmt.Sprint(i % 3)}, n); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

// No verb, encoder, logger or shape around it prints a Raw.
func TestRawCannotBePrinted(t *testing.T) {
	raw := secretive(t)
	type outer struct {
		Name     string
		Exported *Raw
		hidden   *Raw
		value    Raw
	}
	shapes := []any{raw, *raw, &raw, []*Raw{raw}, map[string]*Raw{"x": raw}, outer{"o", raw, raw, *raw}, &outer{"o", raw, raw, *raw}, struct{ any }{raw}}
	for i, shape := range shapes {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q", "%T", "%p"} {
			leaks(t, fmt.Sprintf("shape %d as %s", i, verb), fmt.Sprintf(verb, shape))
		}
		text, _ := json.Marshal(shape)
		leaks(t, fmt.Sprintf("shape %d as JSON", i), string(text))
		var b bytes.Buffer
		_ = gob.NewEncoder(&b).Encode(shape)
		leaks(t, fmt.Sprintf("shape %d as gob", i), b.String())
		b.Reset()
		slog.New(slog.NewTextHandler(&b, nil)).LogAttrs(t.Context(), slog.LevelInfo, "m", slog.Any("raw", shape))
		slog.New(slog.NewJSONHandler(&b, nil)).LogAttrs(t.Context(), slog.LevelInfo, "m", slog.Any("raw", shape))
		leaks(t, fmt.Sprintf("shape %d in a log", i), b.String())
	}
	for name, encode := range map[string]func() error{
		"JSON":   func() error { _, err := json.Marshal(raw); return err },
		"gob":    func() error { return gob.NewEncoder(&bytes.Buffer{}).Encode(raw) },
		"text":   func() error { _, err := raw.MarshalText(); return err },
		"binary": func() error { _, err := raw.MarshalBinary(); return err },
	} {
		if encode() == nil {
			t.Errorf("a Raw was encoded as %s", name)
		}
	}
}

func leaks(t *testing.T, where, text string) {
	t.Helper()
	for _, digits := range []string{"31415", "2718281828"} {
		if strings.Contains(text, digits) {
			t.Errorf("%s: a count shows up", where)
		}
	}
}

// A pattern holds published values only: no verb finds the value of a hidden cell.
func TestPatternHoldsNoHiddenValue(t *testing.T) {
	raw, err := NewRaw(every(flat("a", "0", "1", "2"), flat("b", "0", "1", "2")), Rules{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	hidden := int64(424242) // secondary: large, and hidden beside a small one
	for i, n := range []int64{3, hidden, 5_000_001, hidden + 101, hidden + 202, 6_000_001, 7_000_001, 8_000_003, 9_000_007} {
		if err := raw.Add([]string{fmt.Sprint(i / 3), fmt.Sprint(i % 3)}, Count{Children: n}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Protect(raw)
	if err != nil {
		t.Fatal(err)
	}
	secondary := 0
	values := map[string]int64{"a=0|b=1": hidden, "a=1|b=0": hidden + 101, "a=1|b=1": hidden + 202}
	for _, h := range p.Hidden {
		if n, ok := values[h.Label]; ok {
			secondary++
			for _, verb := range []string{"%v", "%+v", "%#v", "%d"} {
				if strings.Contains(fmt.Sprintf(verb, *p), fmt.Sprint(n)) {
					t.Errorf("the value of %s is in the pattern", h.Label)
				}
			}
			if text, err := json.Marshal(p); err != nil || strings.Contains(string(text), fmt.Sprint(n)) {
				t.Errorf("the value of %s is in the pattern's JSON, or: %v", h.Label, err)
			}
		}
	}
	if secondary < 2 {
		t.Errorf("%d secondary cells are hidden beside a small one", secondary)
	}
}

// Add takes each base cell once, with counts that can be; its errors hold neither
// the cell nor a count.
func TestAddRefuses(t *testing.T) {
	many := make([]Part, maxParts+1)
	for i := range many {
		many[i].Key = uint64(i)
	}
	for name, test := range map[string]struct {
		nodes []string
		count Count
		kind  gateway.Kind
	}{
		"too few codes":      {[]string{"0"}, Count{Children: 5}, gateway.Invalid},
		"too many codes":     {[]string{"0", "0", "0"}, Count{Children: 5}, gateway.Invalid},
		"an unknown code":    {[]string{"0", "secret"}, Count{Children: 5}, gateway.Invalid},
		"the root":           {[]string{"0", ""}, Count{Children: 5}, gateway.Invalid},
		"no children":        {[]string{"0", "0"}, Count{}, gateway.Internal},
		"less than none":     {[]string{"0", "0"}, Count{Children: -31415}, gateway.Internal},
		"too many children":  {[]string{"0", "0"}, Count{Children: maxCount + 1}, gateway.Internal},
		"a unit twice":       {[]string{"0", "0"}, Count{Children: 5, Units: []Part{{1, 2}, {1, 2}}}, gateway.Internal},
		"a unit with more":   {[]string{"0", "0"}, Count{Children: 5, Units: []Part{{1, 6}}}, gateway.Internal},
		"a negative unit":    {[]string{"0", "0"}, Count{Children: 5, Units: []Part{{1, -6}}}, gateway.Internal},
		"a magnitude":        {[]string{"0", "0"}, Count{Children: 5, Parts: []Part{{1, 6}}}, gateway.Internal},
		"too many units":     {[]string{"0", "0"}, Count{Children: 5, Units: many}, gateway.Internal},
		"counted twice":      {[]string{"1", "1"}, Count{Children: 31415}, gateway.Internal},
		"a code of an other": {[]string{"b", "0"}, Count{Children: 5}, gateway.Invalid},
	} {
		raw, err := NewRaw(every(flat("a", "0", "1"), flat("b", "0", "1")), Rules{K: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Add([]string{"1", "1"}, Count{Children: 31415}); err != nil {
			t.Fatal(err)
		}
		err = raw.Add(test.nodes, test.count)
		if !errors.Is(err, test.kind) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		leaks(t, name, err.Error())
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the code", name)
		}
	}
}

// Magnitudes need contributions, within what can be added up exactly.
func TestMagnitudesAreChecked(t *testing.T) {
	tables := every(flat("a", "0", "1"))
	raw, err := NewRaw(tables, Rules{K: 10, Magnitude: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Add([]string{"0"}, Count{Children: 5}); !errors.Is(err, gateway.Internal) {
		t.Errorf("a magnitude without contributions was taken: %v", err)
	}
	for _, code := range []string{"0", "1"} {
		if err := raw.Add([]string{code}, Count{Children: 5, Parts: []Part{{1, maxCount}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Protect(raw); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a sum that does not fit was taken: %v", err)
	}
}

// A Raw is protected once, and takes nothing afterwards; what the caller does with
// the parts it gave changes nothing.
func TestRawIsUsedOnce(t *testing.T) {
	raw := secretive(t)
	if _, err := Protect(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := Protect(raw); !errors.Is(err, gateway.Conflict) {
		t.Errorf("protected twice: %v", err)
	}
	if err := raw.Add([]string{"0", "0"}, Count{Children: 5}); !errors.Is(err, gateway.Conflict) {
		t.Errorf("filled after it was protected: %v", err)
	}
}

func TestPartsAreCopied(t *testing.T) {
	digest := func(spoil bool) string {
		raw, err := NewRaw(every(flat("a", "0", "1")), Rules{K: 10, NeedUnits: true})
		if err != nil {
			t.Fatal(err)
		}
		units := []Part{{1, 30}, {2, 30}}
		for _, code := range []string{"0", "1"} {
			if err := raw.Add([]string{code}, Count{Children: 60, Units: units}); err != nil {
				t.Fatal(err)
			}
		}
		if spoil {
			units[0].Amount, units[1].Key = 0, 1
		}
		p, err := Protect(raw)
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest
	}
	if digest(false) != digest(true) {
		t.Error("the caller changed counts after they were added")
	}
}

// Tables come out in the order of the codes, and every call gives copies.
func TestCells(t *testing.T) {
	p, err := Protect(secretive(t))
	if err != nil {
		t.Fatal(err)
	}
	set := gateway.GroupingSet{{Name: "a"}, {Name: "b"}}
	cells, err := p.Cells(set)
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != 9 {
		t.Fatalf("%d cells", len(cells))
	}
	for i, c := range cells {
		if d := cmp.Diff([]string{fmt.Sprint(i / 3), fmt.Sprint(i % 3)}, c.Nodes); d != "" {
			t.Errorf("cell %d:\n%s", i, d)
		}
		c.Nodes[0] = "spoilt"
		if c.Value != nil {
			*c.Value = 0
		}
	}
	again, err := p.Cells(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again {
		if c.Nodes[0] == "spoilt" || c.Value != nil && *c.Value == 0 {
			t.Error("the caller changed the pattern")
		}
	}
	if _, err := p.Cells(gateway.GroupingSet{{Name: "c"}}); !errors.Is(err, gateway.NotFound) {
		t.Errorf("a table that was not protected: %v", err)
	}
}

// The digest is of what is published: it changes with a shown value and with the
// status of a cell.
func TestDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := small(t)
		one, err := Protect(fill(t, s, testRules(3)))
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.IntRange(0, len(s.rows)-1).Draw(t, "i")
		s.rows[i].count.Children++
		two, err := Protect(fill(t, s, testRules(3)))
		if err != nil {
			t.Fatal(err)
		}
		if same := show(t, s.tables, one) == show(t, s.tables, two); same != (one.Digest == two.Digest) {
			t.Fatalf("tables equal %v, digests %s and %s", same, one.Digest, two.Digest)
		}
	})
}

func show(t *rapid.T, tables Tables, p *Pattern) string {
	var b strings.Builder
	for _, set := range tables.Sets {
		cells, err := p.Cells(set)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			fmt.Fprint(&b, c.Nodes, c.Status)
			if c.Value != nil {
				fmt.Fprint(&b, *c.Value)
			}
		}
	}
	return b.String()
}

// Components beyond the limit are refused before any program is made.
func TestLargeComponentsAreRefused(t *testing.T) {
	tables := every(flat("a", codes("a", 50)...), flat("b", codes("b", 50)...))
	l := testRules(10)
	raw, err := newRaw(&tables, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range codes("a", 50) {
		for _, b := range codes("b", 50) {
			if err := raw.Add([]string{a, b}, Count{Children: 4}); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err = Protect(raw)
	if !errors.Is(err, gateway.TooLarge) || !strings.Contains(err.Error(), "2500 hidden base cells hang together") {
		t.Errorf("2500 hidden cells that hang together: %v", err)
	}
}

// Work without end is refused by a count, not by a clock.
func TestEndlessWorkIsRefused(t *testing.T) {
	s := shape{tables: every(flat("a", "0", "1", "2"), flat("b", "0", "1", "2"))}
	for i := range 9 {
		s.rows = append(s.rows, children(int64(1+i*i), fmt.Sprint(i/3), fmt.Sprint(i%3)))
	}
	c, err := fill(t, s, testRules(10)).take()
	if err != nil {
		t.Fatal(err)
	}
	p := c.begin()
	c.eliminate(p)
	c.work = 5
	err = c.audit(p, audition{p.primaries, p.needs, nil, RuleRepair, nil})
	if !errors.Is(err, gateway.TooLarge) {
		t.Errorf("audited without leave to work: %v", err)
	}
}
