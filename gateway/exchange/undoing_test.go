package exchange_test

import (
	"testing"

	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Line 9 of disclosure.md 2.11: a lineage has one noise key, in every release and after
// a restart of the gateway. The second release, counted again, is to the byte what the
// keyring's one PRF of the lineage makes of it, and not what another lineage's would. (A
// keyring has no way to change that key: the epochs of pseudonyms turn, the noise key
// does not. That two profiles do not meet, line 14, is TestOneProfileOverTheSameChildren.)
func TestUndoing09OneNoiseKeyForALineage(t *testing.T) {
	g := populated(t)
	first := g.build(t)
	g.reopen(t)
	second := g.build(t)
	if first.Number != 1 || second.Number != 2 || first.Digest == second.Digest {
		t.Fatalf("the releases are %d and %d, with cells %.8s and %.8s", first.Number, second.Number, first.Digest, second.Digest)
	}
	d := small(t)
	coverage, err := g.registry.Coverage(t.Context(), second.Snapshot, d.From, d.To)
	ok(t, err)
	rules, err := g.Policies().Rules(t.Context(), d)
	ok(t, err)
	protect := func(lineage string) string {
		raw, err := g.house.Count(t.Context(), warehouse.Build{
			Definition: d, Release: second.ID, Snapshot: second.Snapshot, Contracts: g.options.Contracts,
			SubjectKey: g.keys.SubjectKey(d.Lineage), Coverage: coverage, RecordCap: rules.RecordCap,
		})
		ok(t, err)
		p, err := disclosure.Protect(raw, disclosure.Release{
			ID: second.ID, Number: second.Number, Lineage: second.Lineage, Rules: rules, Coverage: coverage, Noise: g.keys.PRF(lineage),
		})
		ok(t, err)
		return p.Digest()
	}
	if protect(d.Lineage) != second.Digest {
		t.Error("after a restart the second release has other noise than the lineage's")
	}
	if protect("another") == second.Digest {
		t.Error("two lineages have one noise: the test says nothing")
	}
}
