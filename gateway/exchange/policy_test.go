package exchange_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/policies"
)

// edited compiles the policies that ship after one edit of one file, as an officer
// would make it.
func edited(t *testing.T, file, rule, from, to string) *policies.Set {
	t.Helper()
	dir := t.TempDir()
	ok(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "policies"))))
	path := filepath.Join(dir, filepath.FromSlash(file))
	text, err := os.ReadFile(path)
	ok(t, err)
	at := regexp.MustCompile(rule).FindIndex(text)
	if at == nil || !bytes.Contains(text[at[1]:], []byte(from)) {
		t.Fatalf("%s has no rule %s with %s", file, rule, from)
	}
	ok(t, os.WriteFile(path, append(text[:at[1]:at[1]], bytes.Replace(text[at[1]:], []byte(from), []byte(to), 1)...), 0o600))
	set, err := policies.Compile(t.Context(), os.DirFS(dir))
	ok(t, err)
	return set
}

// What is stored follows the policy file and nothing else: the same file of the
// police, under policies that differ in one word.
func TestPolicyDecidesWhatIsStored(t *testing.T) {
	file := files(t)["police"]
	stored := func(t *testing.T, set *policies.Set) (suspects map[string]uint64, harm, all uint64) {
		t.Helper()
		g := under(t, set)
		var receipt gateway.Receipt
		ok(t, json.Unmarshal(g.send(t, "police", "k1", file).Receipt, &receipt))
		if receipt.Policy != set.Revision() || receipt.Stored != receipt.Records {
			t.Fatalf("the receipt names policy %s, stored %d of %d", receipt.Policy, receipt.Stored, receipt.Records)
		}
		suspects, all = g.records(t, "police", "perpetrator_sex")
		by, _ := g.records(t, "police", "perpetrator_relationship")
		for _, n := range by {
			harm += n
		}
		return suspects, harm, all
	}
	suspects, harm, all := stored(t, shipped(t))
	if suspects["F"] == 0 || suspects["M"] == 0 || harm == 0 {
		t.Fatalf("of %d records %v name the suspect's sex, %d the relationship: the test proves nothing", all, suspects, harm)
	}
	dropped, harmThen, allThen := stored(t, edited(t, "ingest/codes.rego", `treatment\W+demographic\W`, `"keep"`, `"drop"`))
	if len(dropped) != 0 {
		t.Errorf("the suspect's sex is dropped by policy, and stored: %v", dropped)
	}
	if harmThen != harm || allThen != all {
		t.Errorf("one treatment was changed: %d of %d records name the relationship, before %d of %d", harmThen, allThen, harm, all)
	}
}

// records counts the records of children in a stored coded column, by code, and
// all of them.
func (g *gate) records(t *testing.T, id gateway.ContractID, column string) (byCode map[string]uint64, all uint64) {
	t.Helper()
	d := &gateway.Definition{Lineage: "column", From: demo(t).From, To: demo(t).To, V: 50, Cubes: []gateway.Cube{{
		ID: "column", Grain: gateway.Events, Dimensions: []string{"column"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
	}}}
	dim := gateway.Dimension{
		Name: "column", Kind: gateway.Multi, Levels: []string{"code"}, Source: gateway.Source{Kind: gateway.EventColumn, Column: column},
	}
	var from *gateway.Contract
	for _, c := range g.options.Contracts {
		if c.ID == id {
			from = c
		}
	}
	for _, f := range from.Fields {
		if f.Column == column {
			for i, code := range f.List.Codes {
				dim.Nodes = append(dim.Nodes, gateway.Node{Code: code.Code, Number: uint16(i + 1)})
			}
		}
	}
	d.Dimensions = []gateway.Dimension{dim}
	raw, err := g.house.Count(t.Context(), warehouse.Build{
		Definition: d, Release: "column-1", Snapshot: 1 << 62, Contracts: []*gateway.Contract{from},
		SubjectKey: g.keys.SubjectKey("column"), Coverage: &gateway.Coverage{}, RecordCap: 20,
	})
	ok(t, err)
	byCode = map[string]uint64{}
	for _, n := range dim.Nodes {
		if count, found := raw.Count(t, "column="+n.Code); found {
			byCode[n.Code] = count.Records
		}
	}
	count, _ := raw.Count(t, "")
	return byCode, count.Records
}

// A policy that would store what may never be stored does not come into force, and
// the refusal names the floor.
func TestPolicyBelowAFloor(t *testing.T) {
	g := newExchange(t)
	before := g.size(t)
	for floor, set := range map[string]*policies.Set{
		"direct-identifier": edited(t, "ingest/identifiers.rego", `treatment\W+child_id\W`, `"do": "pseudonymise"`, `"do": "keep"`),
		"birth-date":        edited(t, "ingest/dates.rego", `treatment\W+birth_date\W`, `"generalise"`, `"keep"`),
		"exact-date":        edited(t, "ingest/dates.rego", `treatment\W+event_date\W`, `"generalise"`, `"keep"`),
		"area":              edited(t, "data.json", "area_characters", "2", "4"),
	} {
		bundle, err := set.Bundle()
		ok(t, err)
		_, err = g.ProposePolicy(t.Context(), g.who["steward"], exchange.PolicyDraft{Bundle: bundle, Reason: "a test"})
		if e, is := errors.AsType[*gateway.Error](err); !is || e.Kind != gateway.Invalid || !strings.Contains(e.Detail, "floor "+floor) {
			t.Errorf("a policy below floor %s: %v", floor, err)
		}
	}
	if g.size(t) != before {
		t.Error("a policy that was refused left a leaf")
	}
}

// Rules of releases have floors too: they are asked when a release is built, and
// before anything is read.
func TestReleasePolicyBelowAFloor(t *testing.T) {
	for floor, set := range map[string]*policies.Set{
		"threshold":  edited(t, "data.json", "threshold_from", "10", "5"),
		"record-cap": edited(t, "data.json", "record_cap", "20", "40"),
	} {
		t.Run(floor, func(t *testing.T) {
			g := under(t, set)
			g.send(t, "police", "k1", files(t)["police"])
			_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
			if e, is := errors.AsType[*gateway.Error](err); !is || e.Kind != gateway.Invalid || !strings.Contains(e.Detail, "floor "+floor) {
				t.Fatalf("a policy below floor %s: %v", floor, err)
			}
			for _, leaf := range g.leaves(t, 0) {
				if leaf.Event == ledger.ReleaseIntent {
					t.Fatal("a release that policy cannot protect was begun")
				}
			}
		})
	}
}
