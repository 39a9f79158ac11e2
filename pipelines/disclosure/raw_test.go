package disclosure

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

	"github.com/pana-exchange/pana/gateway"
)

// total is the one set of every definition.
var total = gateway.GroupingSet{}

// secretive is a Raw whose one count has digits that show up wherever it leaks.
func secretive(t *testing.T) *Raw {
	t.Helper()
	raw := NewRaw(demo())
	c := Count{Children: 31415, Records: 314159, Key: 2718281828, Top: []uint32{13, 13, 13, 13, 13, 13}}
	c.Records = 31415 + 314159
	if err := raw.Add(gateway.GroupingSet{{Name: "sex"}}, []string{"F"}, c); err != nil {
		t.Fatal(err)
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
		leaks(t, fmt.Sprintf("shape %d in an error", i), fmt.Errorf("with %v", shape).Error())
	}
	if _, err := json.Marshal(raw); err == nil {
		t.Error("a Raw was encoded as JSON")
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(raw); err == nil {
		t.Error("a Raw was encoded as gob")
	}
	if _, err := raw.MarshalText(); err == nil {
		t.Error("a Raw was encoded as text")
	}
}

func leaks(t *testing.T, where, text string) {
	t.Helper()
	for _, digits := range []string{"31415", "345574", "2718281828"} {
		if strings.Contains(text, digits) {
			t.Errorf("%s: a count shows up", where)
		}
	}
}

// Add takes each cell of the lattice once, with counts that can be; its errors
// hold neither the cell nor a count.
func TestAddRefuses(t *testing.T) {
	sex, region := gateway.GroupingSet{{Name: "sex"}}, gateway.GroupingSet{{Name: "region"}}
	six := []uint32{9, 8, 7, 6, 5, 4}
	for name, c := range map[string]struct {
		set   gateway.GroupingSet
		nodes []string
		count Count
	}{
		"unknown dimension":  {gateway.GroupingSet{{Name: "income"}}, []string{"61"}, Count{Children: 7}},
		"unknown level":      {gateway.GroupingSet{{Name: "region", Level: 3}}, []string{"61"}, Count{Children: 7}},
		"negative level":     {gateway.GroupingSet{{Name: "region", Level: -1}}, []string{"61"}, Count{Children: 7}},
		"set not admitted":   {gateway.GroupingSet{{Name: "reached"}, {Name: "sector"}}, []string{"no", "police"}, Count{Children: 7}},
		"not sorted":         {gateway.GroupingSet{{Name: "sex"}, {Name: "region"}}, []string{"F", "61"}, Count{Children: 7}},
		"unknown node":       {region, []string{"61x"}, Count{Children: 7}},
		"too few nodes":      {region, nil, Count{Children: 7}},
		"empty cell":         {region, []string{"61"}, Count{}},
		"records without":    {sex, []string{"M"}, Count{Children: 7}},
		"fewer records":      {sex, []string{"M"}, Count{Children: 61, Records: 60, Top: six}},
		"top too short":      {sex, []string{"M"}, Count{Children: 61, Records: 161, Top: six[:5]}},
		"top ascending":      {sex, []string{"M"}, Count{Children: 61, Records: 161, Top: []uint32{4, 5, 6, 7, 8, 9}}},
		"top of zero":        {sex, []string{"M"}, Count{Children: 61, Records: 161, Top: []uint32{9, 8, 7, 6, 5, 0}}},
		"top above the sum":  {sex, []string{"M"}, Count{Children: 61, Records: 70, Top: six}},
		"sum above the top":  {sex, []string{"M"}, Count{Children: 61, Records: 6161, Top: six}},
		"impossible numbers": {region, []string{"61"}, Count{Children: 1 << 41}},
	} {
		err := NewRaw(demo()).Add(c.set, c.nodes, c.count)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, secret := range []string{"61", "police"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds %s: %v", name, secret, err)
			}
		}
	}
	raw := NewRaw(demo())
	one := Count{Children: 61}
	if err := raw.Add(region, []string{"61"}, one); err != nil {
		t.Fatal(err)
	}
	if err := raw.Add(region, []string{"61"}, one); !errors.Is(err, gateway.Internal) {
		t.Errorf("the same cell twice: %v", err)
	}
}

// Protection uses the counts up: nothing can be read, added or protected again. A
// refusal that looked at no count leaves them.
func TestRawIsUsedOnce(t *testing.T) {
	raw := secretive(t)
	bad := release(demo(), 1, 1)
	bad.Rules.ThresholdMin = 9
	if _, err := Protect(raw, bad); !errors.Is(err, gateway.Invalid) {
		t.Fatalf("a law from 9: %v", err)
	}
	rel := release(demo(), 1, 1)
	if err := raw.Add(total, nil, Count{Children: 40000, Records: 345574, Top: []uint32{13, 13, 13, 13, 13, 13}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Protect(raw, rel); err != nil {
		t.Fatal(err)
	}
	if _, err := Protect(raw, rel); !errors.Is(err, gateway.Conflict) {
		t.Errorf("a second Protect: %v", err)
	}
	if err := raw.Add(total, nil, Count{Children: 1}); !errors.Is(err, gateway.Conflict) {
		t.Errorf("Add after Protect: %v", err)
	}
}

// A test can compare counted cells with the truth.
func TestCountIsForTests(t *testing.T) {
	raw := secretive(t)
	got, ok := raw.Count(t, "sex=F")
	want := Count{Children: 31415, Records: 345574, Key: 2718281828, Top: []uint32{13, 13, 13, 13, 13, 13}}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Error(diff)
	}
	for _, label := range []string{"sex=M", "sex=X", "income=1", "", "sex=F|sex=F", "region=61|sex=F"} {
		if _, ok := raw.Count(t, label); ok {
			t.Errorf("there is a count for %q", label)
		}
	}
}

// The definition is pinned when counting begins: what becomes of the caller's
// copy does not matter.
func TestDefinitionIsPinned(t *testing.T) {
	d := demo()
	raw := NewRaw(d)
	d.Dimensions[0].Nodes[0].Code, d.V, d.Cubes[0].Cap = "spoilt", 1, 1
	p, err := Protect(raw, release(demo(), 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(demo(), p.Definition()); diff != "" {
		t.Error(diff)
	}
}
