package exchange_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// declaring makes social protection a contract that declares units.
func declaring(o *exchange.Options) {
	o.Contracts = slices.Clone(o.Contracts)
	for i, c := range o.Contracts {
		if c.ID == "social" {
			declared := *c
			declared.Unit = true
			o.Contracts[i] = &declared
		}
	}
}

// halves splits a CSV file by lines, a share of them in the first.
func halves(file []byte, share float64) (a, b []byte) {
	lines := bytes.SplitAfter(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
	cut := 1 + int(share*float64(len(lines)-1))
	a = bytes.Join(lines[:cut], nil)
	return a, slices.Concat(lines[0], bytes.Join(lines[cut:], nil))
}

// shelters gives two keys of the social agency to two of its parts, and a third key to
// the first.
func (g *gate) shelters(t *testing.T) {
	t.Helper()
	for who, unit := range map[string]string{"first": "shelter-1", "again": "shelter-1", "second": "shelter-2"} {
		g.key(t, who, exchange.KeySpec{Role: gateway.RoleAgency, Agency: "agency-social", Unit: unit})
	}
	if a, b, c := g.who["first"].Unit, g.who["again"].Unit, g.who["second"].Unit; a == 0 || a != b || b == c {
		t.Fatalf("units %d, %d and %d", a, b, c)
	}
}

func (g *gate) sendAs(t *testing.T, who string, file []byte) {
	t.Helper()
	_, err := g.Upload(t.Context(), g.who[who], sending("social", who, file))
	ok(t, err)
}

// social reads the published cell of social protection off a table.
func (g *gate) social(t *testing.T, id gateway.ReleaseID) (gateway.CellStatus, []string) {
	t.Helper()
	var table gateway.Table
	ok(t, json.Unmarshal(g.answer(t, id), &table))
	for _, c := range table.Cells {
		if c.Nodes[0] == "social" {
			return c.Status, table.Notes
		}
	}
	t.Fatal("the table has no cell of social protection")
	return "", nil
}

// The entity rule from a key to a table: who sent a batch decides, by the key that an
// operator gave to a part of an agency. The same records are shown when two parts sent
// them, and hidden when one did, under two keys or with a tenth of them from another.
func TestUnitsFromKeyToTable(t *testing.T) {
	_, content, err := country(synth.Options{Children: 1200, Seed: 11})
	ok(t, err)
	for name, test := range map[string]struct {
		first, then string // who sends the two parts of the file
		share       float64
		want        gateway.CellStatus
	}{
		"two units":      {"first", "second", 0.5, gateway.StatusValue},
		"one unit":       {"first", "again", 0.5, gateway.StatusSuppressed},
		"nearly all one": {"first", "second", 0.98, gateway.StatusSuppressed},
	} {
		t.Run(name, func(t *testing.T) {
			g := newExchange(t, declaring)
			g.shelters(t)
			g.send(t, "police", "k1", content["police"])
			g.send(t, "health", "k1", content["health"])
			_, err := g.Upload(t.Context(), g.who["social"], sending("social", "none", content["social"]))
			is(t, err, gateway.Forbidden)
			a, b := halves(content["social"], test.share)
			g.sendAs(t, test.first, a)
			g.sendAs(t, test.then, b)
			r := g.build(t)
			g.approve(t, r)
			status, notes := g.social(t, r.ID)
			if status != test.want {
				t.Errorf("the cell of social protection is %s, want %s", status, test.want)
			}
			if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "declared by: social") }) {
				t.Errorf("no note says that units are looked at: %q", notes)
			}
			catalogue, err := g.Release(t.Context(), g.who["researcher"], r.ID)
			ok(t, err)
			if !slices.Equal(catalogue.Pinned.Units, []gateway.ContractID{"social"}) || len(catalogue.Protection) != 2 {
				t.Errorf("the catalogue says %v, %q", catalogue.Pinned.Units, catalogue.Protection)
			}
		})
	}
}

// Two parts of an agency that both had nothing to report say so twice: each has a receipt
// of its own, and what one takes back the other said still.
func TestUnitsReportNothingEach(t *testing.T) {
	g := newExchange(t, declaring)
	g.shelters(t)
	nothing := func(who string) exchange.Uploaded {
		u := sending("social", who, nil)
		u.Manifest.Kind, u.Manifest.Reject, u.Manifest.Records = gateway.Nothing, gateway.RejectBatch, 0
		done, err := g.Upload(t.Context(), g.who[who], u)
		ok(t, err)
		return done
	}
	first, again, second := nothing("first"), nothing("again"), nothing("second")
	if !again.Repeated || again.Batch != first.Batch {
		t.Error("the same part is not known again by another key")
	}
	if second.Repeated || second.Batch == first.Batch {
		t.Fatal("the second part is told the first one's receipt")
	}
	_, err := g.Withdraw(t.Context(), g.who["first"], first.Batch)
	ok(t, err)
	b, err := g.Batch(t.Context(), g.who["second"], second.Batch)
	ok(t, err)
	if b.State != gateway.BatchPublished {
		t.Errorf("the second part's report is %s", b.State)
	}
}

// A lineage that has looked at units goes on looking.
func TestUnitsAreKept(t *testing.T) {
	_, content, err := country(synth.Options{Children: 1200, Seed: 11})
	ok(t, err)
	g := newExchange(t)
	undeclared := g.Options.Contracts
	declaring(&g.Options)
	g.shelters(t)
	g.send(t, "police", "k1", content["police"])
	g.sendAs(t, "first", content["social"])
	g.approve(t, g.build(t))
	g.Options.Contracts = undeclared
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	if err != nil && !strings.Contains(err.Error(), "units of contract social") {
		t.Errorf("refused with %v", err)
	}
	declaring(&g.Options)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	ok(t, err)
}

// Without a contract that declares units the rule is skipped, and every table and the
// catalogue say so; a unit of a key does no harm.
func TestUnitsAreNotDeclared(t *testing.T) {
	_, content, err := country(synth.Options{Children: 1200, Seed: 11})
	ok(t, err)
	g := newExchange(t)
	g.shelters(t)
	g.send(t, "police", "k1", content["police"])
	g.sendAs(t, "first", content["social"])
	r := g.build(t)
	g.approve(t, r)
	status, notes := g.social(t, r.ID)
	if status != gateway.StatusValue || !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "No contract declares units") }) {
		t.Errorf("social protection is %s, notes %q", status, notes)
	}
	catalogue, err := g.Release(t.Context(), g.who["researcher"], r.ID)
	ok(t, err)
	if said := strings.Join(catalogue.Protection, " "); !strings.Contains(said, "No contract declares units") || !strings.Contains(said, "Brothers and sisters") {
		t.Errorf("the catalogue says %q", said)
	}
}

// Only agencies have units, and names of units stay where they were given: nothing that
// an agency or a researcher reads has them.
func TestUnitsOfKeys(t *testing.T) {
	g := newExchange(t, declaring)
	_, err := g.AddAPIKey(t.Context(), g.who["operator"], exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "x", Org: "y", Unit: "shelter-1"})
	is(t, err, gateway.Invalid)
	_, err = g.AddAPIKey(t.Context(), g.who["operator"], exchange.KeySpec{Role: gateway.RoleAgency, Agency: "agency-social", Unit: "not an id"})
	is(t, err, gateway.Invalid)
	g.shelters(t)
	keys, err := g.APIKeys(t.Context(), g.who["operator"])
	ok(t, err)
	units := map[string]int{}
	for _, k := range keys {
		units[k.Unit]++
	}
	if units["shelter-1"] != 2 || units["shelter-2"] != 1 {
		t.Errorf("units of keys: %v", units)
	}
	_, content, err := country(synth.Options{Children: 100, Seed: 11})
	ok(t, err)
	u, err := g.Upload(t.Context(), g.who["first"], sending("social", "k", content["social"]))
	ok(t, err)
	batches, err := g.registry.Batches(t.Context(), g.who["first"].Agency)
	ok(t, err)
	text, err := json.Marshal(batches)
	ok(t, err)
	if bytes.Contains(append(text, u.Receipt...), []byte("shelter")) {
		t.Error("a unit is named in a receipt or a list of batches")
	}
	if batches[0].Unit != g.who["first"].Unit {
		t.Errorf("the batch is of unit %d, its key of %d", batches[0].Unit, g.who["first"].Unit)
	}
}
