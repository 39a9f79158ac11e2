package dp

import (
	"errors"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// countedCells is a histogram of one partition and one multi dimension that is filled with
// cells.
func countedCells(t *testing.T, change func(*HistogramOptions)) (*Histogram, error) {
	t.Helper()
	flat := func(name string, kind gateway.DimensionKind, codes ...string) gateway.Dimension {
		d := gateway.Dimension{Name: name, Kind: kind, Levels: []string{name}, Source: gateway.Source{Kind: gateway.ChildConst, Column: name}}
		for i, code := range codes {
			d.Nodes = append(d.Nodes, gateway.Node{Code: code, Number: uint16(i + 1)})
		}
		return d
	}
	d := &gateway.Definition{
		Lineage: "web", Dimensions: []gateway.Dimension{flat("a", gateway.Partition, "x", "y"), flat("b", gateway.Multi, "p", "q", "r")},
		Cubes: []gateway.Cube{{ID: "one", Grain: gateway.Children, Cap: 2, Dimensions: []string{"a", "b"}, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords}}},
	}
	o := &HistogramOptions{
		Definition: d, Release: "web-1", Set: gateway.GroupingSet{{Name: "a"}, {Name: "b"}}, Measure: gateway.CountChildren,
		Terms: Terms{Cells: 3, Rho: SuggestedRho}, Counted: true,
	}
	if change != nil {
		change(o)
	}
	return NewHistogram(o)
}

// Cells that are counted elsewhere are published like children that are added: the same
// stream gives the same noise.
func TestCountedCells(t *testing.T) {
	answer := func(fill func(*Histogram)) Answer {
		h, err := countedCells(t, func(o *HistogramOptions) {
			if fill == nil {
				o.Counted, o.Bound = false, func(string, ...[]byte) uint64 { return 0 }
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if fill != nil {
			fill(h)
		} else {
			for child := range uint64(7) {
				cells := []Contribution{{Nodes: []string{"x", "p"}}, {Nodes: []string{"x", "q"}}}[:1+child/4]
				if err := h.Add(ChildKey(child), cells); err != nil {
					t.Fatal(err)
				}
			}
		}
		a, err := NewAccountant(Budget{Lineage: "web", Limit: Cost{Rho: SuggestedRho}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Publish(h, seeded(1))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put := answer(func(h *Histogram) {
		for _, c := range []struct {
			node string
			n    int64
		}{{"p", 7}, {"q", 3}} {
			if err := h.Put([]string{"x", c.node}, c.n); err != nil {
				t.Fatal(err)
			}
		}
	})
	added := answer(nil)
	for i, v := range put.Values {
		if v.Value != added.Values[i].Value {
			t.Errorf("cell %v: %d counted, %d added", v.Nodes, v.Value, added.Values[i].Value)
		}
	}
}

// With cells in place of children nothing can be dropped, so the terms must cover all
// that a child can be in, and the two ways of filling do not mix.
func TestCountedCellsRefuse(t *testing.T) {
	for name, change := range map[string]func(*HistogramOptions){
		"fewer cells": func(o *HistogramOptions) { o.Terms.Cells = 2 },
		"more cells":  func(o *HistogramOptions) { o.Terms.Cells = 4 },
		"records":     func(o *HistogramOptions) { o.Measure, o.Terms.High = gateway.CountRecords, 20 },
		"a key":       func(o *HistogramOptions) { o.Bound = func(string, ...[]byte) uint64 { return 0 } },
	} {
		if _, err := countedCells(t, change); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h, err := countedCells(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	ok := []string{"y", "r"}
	if err := h.Put(ok, 3); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"twice": h.Put(ok, 3), "none": h.Put([]string{"x", "p"}, 0), "negative": h.Put([]string{"x", "p"}, -1),
		"a code": h.Put([]string{"x", "z"}, 1), "too few codes": h.Put([]string{"x"}, 1),
		"a child": h.Add(ChildKey(1), nil), "unmade": Histogram{}.Put(ok, 1), "too many": h.Put([]string{"x", "p"}, maxChildren+1),
	} {
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	a, err := NewAccountant(Budget{Lineage: "web", Limit: Cost{Rho: SuggestedRho}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Publish(h, seeded(1)); err != nil {
		t.Fatal(err)
	}
	if err := h.Put([]string{"x", "p"}, 1); !errors.Is(err, gateway.Conflict) {
		t.Errorf("after publishing: %v", err)
	}
	if h, err := countedCells(t, func(o *HistogramOptions) { o.Counted, o.Bound = false, func(string, ...[]byte) uint64 { return 0 } }); err != nil || h.Put(ok, 1) == nil {
		t.Error("a histogram of children is filled with cells")
	}
}
