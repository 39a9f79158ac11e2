package warehouse_test

import (
	"math/rand/v2"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// pooledDefinition is the world's with two pools: the fourth and fifth harm, of a column
// that holds sets of codes in one contract, under a group; and all ages but the second,
// in an attribute of children.
func pooledDefinition() *gateway.Definition {
	d := worldDefinition()
	harm, age := d.Dimension("harm"), d.Dimension("age_first")
	var nodes []gateway.Node
	for _, n := range harm.Nodes {
		switch n.Code {
		case "harm4":
		case "harm5":
			nodes = append(nodes, gateway.Node{
				Code: "other", Parent: n.Parent, Level: n.Level, Members: []gateway.Member{{Code: "harm5", Number: 5}, {Code: "harm4", Number: 4}},
			})
		default:
			nodes = append(nodes, n)
		}
	}
	harm.Nodes = nodes
	age.Nodes = []gateway.Node{
		{Code: "other", Members: []gateway.Member{{Code: "age1", Number: 1}, {Code: "age3", Number: 3}}}, age.Nodes[1],
	}
	return d
}

// A pool of codes counts as plain Go counts it: a child with two of its codes once.
func TestOtherAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	rows := world(rng, 120, 900)
	contracts, d := worldContracts(t), pooledDefinition()
	w, _ := open(t)
	store(t, w, contracts, rows, nil)
	raw, err := w.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "test-1", Snapshot: 100, Contracts: contracts, SubjectKey: subjectKey,
		Coverage: worldCoverage(), RecordCap: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := cells{}
	for label := range labels(d) {
		if n, ok := raw.Count(t, label); ok {
			got[label] = n
		}
	}
	want := truth(d, rows, worldCoverage(), contracts, 4)
	compare(t, "with pools", want, got)
	plain := truth(worldDefinition(), rows, worldCoverage(), contracts, 4)
	if pool, four, five := want["harm=other"].Children, plain["harm=harm4"].Children, plain["harm=harm5"].Children; pool == 0 || pool >= four+five {
		t.Errorf("%d children in the pool of %d and %d: nobody has both, so the test proves nothing", pool, four, five)
	}
}
