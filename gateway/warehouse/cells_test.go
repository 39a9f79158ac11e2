package warehouse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// protected counts a small world and protects its cells.
func protected(t *testing.T, w *warehouse.Warehouse) *disclosure.Published {
	t.Helper()
	d := worldDefinition()
	d.Cubes = []gateway.Cube{{
		ID: "small", Grain: gateway.Children, Cap: 2, Dimensions: []string{"sex", "age_first", "sector"},
		Measures: []gateway.Measure{gateway.CountChildren},
	}}
	contracts := worldContracts(t)
	rng := rand.New(rand.NewPCG(5, 9))
	store(t, w, contracts, world(rng, 400, 1500), nil)
	raw, err := w.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: worldCoverage(), RecordCap: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	published, err := disclosure.Protect(raw, disclosure.Release{
		ID: "test-1", Number: 1, Lineage: "test", Coverage: worldCoverage(),
		Rules: gateway.ReleaseRules{
			Threshold: []float64{.15, .1, .1, .1, .1, .1, .1, .1, .1, .05}, ThresholdMin: 10,
			Share: .95, ShareBelow: 200, RecordCap: 20, Revision: "r",
		},
		Noise: func(label string, parts ...[]byte) uint64 {
			return subjectKey([16]byte(append(append(bytes.Join(parts, nil), label...), make([]byte, 16)...)[:16]))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return published
}

func TestCellsReadBackToTheirDigest(t *testing.T) {
	w, name := open(t)
	stored := protected(t, w)
	for range 2 {
		if err := w.StoreCells(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
	}
	read, err := w.LoadCells(t.Context(), "test-1", stored.Digest())
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if stored.Encode(&a) != nil || read.Encode(&b) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) || read.Digest() != stored.Digest() {
		t.Error("other cells came back")
	}
	other := "00" + stored.Digest()[2:]
	if _, err := w.LoadCells(t.Context(), "test-1", other); !errors.Is(err, gateway.NotFound) {
		t.Errorf("another digest: %v", err)
	}
	// Cells that somebody planted under an approved digest are not served.
	err = as(t, warehouse.Builder).Exec(t.Context(), "INSERT INTO cells_"+name+"._cells SELECT release, '"+other+
		"', chunk, chunks, data FROM cells_"+name+"._cells")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.LoadCells(t.Context(), "test-1", other); !errors.Is(err, gateway.Internal) {
		t.Errorf("planted cells: %v", err)
	}
	if err := w.EraseCells(t.Context(), "test-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.LoadCells(t.Context(), "test-1", stored.Digest()); !errors.Is(err, gateway.NotFound) {
		t.Errorf("erased cells: %v", err)
	}
}

// A build that ends early leaves no table behind, and one that was killed can be
// cleared away.
func TestBuildsLeaveNoTables(t *testing.T) {
	w, name := open(t)
	contracts := worldContracts(t)
	store(t, w, contracts, world(rand.New(rand.NewPCG(6, 9)), 50, 200), nil)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.Count(ctx, warehouse.Build{
		Definition: worldDefinition(), Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: worldCoverage(), RecordCap: 20, Progress: func(int, int) { cancel() },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled build ended with %v", err)
	}
	noTables(t, name)
	builder := as(t, warehouse.Builder)
	if err := builder.Exec(t.Context(), "CREATE TABLE build_"+name+".`test-2_children` (rk UInt64) ENGINE = MergeTree ORDER BY rk"); err != nil {
		t.Fatal(err)
	}
	if err := w.DropBuilds(t.Context()); err != nil {
		t.Fatal(err)
	}
	noTables(t, name)
}

// A definition that the stored columns cannot carry is refused before any row is
// read.
func TestCountRefusesDefinitions(t *testing.T) {
	w, _ := open(t)
	contracts := worldContracts(t)
	for what, spoil := range map[string]func(*warehouse.Build){
		"a column that nobody stores": func(b *warehouse.Build) { b.Definition.Dimensions[0].Source.Column = "shoe" },
		"a set as an attribute":       func(b *warehouse.Build) { b.Definition.Dimensions[1].Source.Column = "harm" },
		"a random column":             func(b *warehouse.Build) { b.Definition.Dimensions[1].Source.Column = "rnd" },
		"an unknown source":           func(b *warehouse.Build) { b.Definition.Dimensions[1].Source.Kind = "guess" },
		"an unknown start":            func(b *warehouse.Build) { b.Definition.Dimensions[4].Source.Start = "fire" },
		"a target that is no date": func(b *warehouse.Build) {
			b.Definition.Dimensions[4].Source.Targets = map[gateway.ContractID][]string{"social": {"region"}}
		},
		"codes of two lists": func(b *warehouse.Build) {
			b.Contracts = append(worldContracts(t), &gateway.Contract{ID: "court", Fields: []gateway.Field{
				{Name: "sex", Type: gateway.TypeCode, List: list(t, "gender", 3), Column: gateway.ColumnSex},
			}})
		},
		"sector codes that nobody stores": func(b *warehouse.Build) { b.Definition.Dimensions[10].Source.Column = "shoe" },
		"sector codes of sets":            func(b *warehouse.Build) { b.Definition.Dimensions[10].Source.Column = "harm" },
		"pairs of many sectors": func(b *warehouse.Build) {
			for i := range 14 {
				b.Contracts = append(b.Contracts, &gateway.Contract{ID: gateway.ContractID(fmt.Sprint("more", i))})
			}
		},
		"no cap":           func(b *warehouse.Build) { b.RecordCap = 0 },
		"an empty window":  func(b *warehouse.Build) { b.Definition.To = from - 1 },
		"too many codes":   func(b *warehouse.Build) { b.Definition.Dimensions = manyCodes() },
		"a name not an id": func(b *warehouse.Build) { b.Contracts = []*gateway.Contract{{ID: "a`b"}} },
	} {
		b := warehouse.Build{
			Definition: worldDefinition(), Release: "test-1", Contracts: contracts, SubjectKey: subjectKey,
			Coverage: worldCoverage(), RecordCap: 20,
		}
		b.Contracts = slices.Clone(b.Contracts)
		spoil(&b)
		if _, err := w.Count(t.Context(), b); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func manyCodes() []gateway.Dimension {
	var dims []gateway.Dimension
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		dims = append(dims, gateway.Dimension{
			Name: name, Levels: []string{"x"}, Nodes: leaves(name, 0, 1000, root),
			Source: gateway.Source{Kind: gateway.EventColumn, Column: gateway.ColumnRegion},
		})
	}
	return dims
}
