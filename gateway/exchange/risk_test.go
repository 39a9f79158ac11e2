package exchange_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/disclosure/risk"
)

// The risk page describes a release by grouping set, never by cell; it is made once
// and is the same for ever; its digest is what an approval names.
func TestRiskPage(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	answer, err := g.Risk(t.Context(), g.who["officer"], r.ID)
	ok(t, err)
	page, canonical, err := risk.Parse(answer.RiskPage)
	ok(t, err)
	if string(canonical) != string(answer.RiskPage) || risk.Digest(canonical) != r.Page || answer.Page != r.Page {
		t.Fatal("the page is not the canonical bytes of its digest")
	}
	if page.Release != r.ID || page.Cells != r.Digest || page.Policy != r.Policy || page.Snapshot != r.Snapshot ||
		page.K != 10 || page.Twin != nil || page.Notice != g.Notice() || !page.Built.Equal(today) {
		t.Fatalf("the risk page: %+v", page)
	}
	if sets := len(small(t).AdmittedSets()); len(page.Hidden.Sets) != sets {
		t.Fatalf("the risk page describes %d grouping sets of %d", len(page.Hidden.Sets), sets)
	}
	for _, s := range page.Hidden.Sets {
		if s.Hidden%5 != 0 {
			t.Errorf("of set %s %d %% are hidden: not a share in steps of 5 %%", s.Name, s.Hidden)
		}
	}
	for _, rows := range page.Rows {
		reported := rows.Contract == "police" || rows.Contract == "health"
		if rows.Told != reported || (len(rows.Sets) > 0) != reported {
			t.Errorf("of the rows of %s: %+v", rows.Contract, rows)
		}
	}
	for _, reports := range page.Reports {
		if reported := reports.Contract == "police" || reports.Contract == "health"; (reports.Complete == reports.Places) != reported {
			t.Errorf("the reports: %+v", reports)
		}
	}
	g.clock.move(1 << 40)
	g.reopen(t)
	again, err := g.Risk(t.Context(), g.who["officer"], r.ID)
	ok(t, err)
	if string(again.RiskPage) != string(answer.RiskPage) {
		t.Fatal("the page changed")
	}
	g.approve(t, r)
	after, err := g.Risk(t.Context(), g.who["steward"], r.ID)
	ok(t, err)
	if string(after.RiskPage) != string(answer.RiskPage) {
		t.Fatal("the page changed with its approval")
	}
}

// One page changed behind the registry's back opens nothing.
func TestPageThatIsNotTheBuilds(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	g.execute(t, `UPDATE release_page SET page = CAST(replace(CAST(page AS TEXT), '"k":10', '"k":99') AS BLOB)`)
	_, err := g.Risk(t.Context(), g.who["officer"], r.ID)
	is(t, err, gateway.Internal)
	_, err = g.Approve(t.Context(), g.who["officer"], r.ID, r.Page, "")
	is(t, err, gateway.Internal)
	g.hidesRelease(t, r.ID)
}

// What the twin says stands on the page, and a build fails with it: a page that is
// not finished must not be approved.
func TestTwinOnThePage(t *testing.T) {
	var asked *gateway.Definition
	twin := &risk.Twin{Children: 1000, Attacks: []risk.Attack{{Name: "A2", Verdict: "Subtraction.", Held: true}}}
	g := newExchange(t, func(o *exchange.Options) {
		o.Twin = func(_ context.Context, d *gateway.Definition, _ gateway.ReleaseRules) (*risk.Twin, error) {
			asked = d
			if twin == nil {
				return nil, gateway.Errorf(gateway.Internal, "no twin")
			}
			return twin, nil
		}
	})
	g.send(t, "police", "k1", files(t)["police"])
	r := g.build(t)
	answer, err := g.Risk(t.Context(), g.who["officer"], r.ID)
	ok(t, err)
	if !strings.Contains(string(answer.RiskPage), `"verdict":"Subtraction."`) || asked == nil || asked.Lineage != r.Lineage {
		t.Fatalf("the page %s", answer.RiskPage)
	}
	twin = nil
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Internal)
	same(t, g.story(t, "small-2"), begun, "release.failed failed")
}

// execute changes the registry's file as nobody should.
func (g *gate) execute(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+g.path)
	ok(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), statement)
	ok(t, err)
}

// Two officers, one cell, one answer that names a rule and holds no number; nobody
// learns it alone, and not of a cell that nobody asked for.
func TestLookAtCell(t *testing.T) {
	g := populated(t)
	r := g.build(t)
	g.key(t, "second officer", exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "second", Org: "data-protection"})
	g.key(t, "officer's other key", exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "officer", Org: "data-protection"})
	look := func(who, cell string, confirm bool) (exchange.CellView, error) {
		return g.LookAtCell(t.Context(), g.who[who], r.ID, exchange.CellRequest{Cell: cell, Reason: "a complaint", Confirm: confirm})
	}
	const total = ""
	for _, who := range []string{"steward", "researcher", "operator", "police"} {
		for _, confirm := range []bool{false, true} {
			_, err := look(who, total, confirm)
			is(t, err, gateway.NotFound)
		}
	}
	_, err := look("officer", "region=nowhere", false)
	is(t, err, gateway.Invalid)
	waiting, err := look("officer", total, false)
	ok(t, err)
	if waiting.Why != "" || waiting.Words != "" || waiting.Confirmed != "" {
		t.Fatalf("one officer alone learns %+v", waiting)
	}
	for _, who := range []string{"officer", "officer's other key"} {
		_, err = look(who, total, true)
		is(t, err, gateway.Forbidden)
		alone, err := look(who, total, false)
		ok(t, err)
		if alone.Why != "" {
			t.Fatalf("one officer alone learns %+v", alone)
		}
	}
	before := g.size(t)
	answered, err := look("second officer", total, true)
	ok(t, err)
	if answered.Why != "shown" || answered.Words == "" || answered.AskedBy != "officer" || answered.Confirmed != "second" {
		t.Fatalf("two officers learn %+v", answered)
	}
	if g.size(t) != before+2 || g.last(t) != "cell.read allowed" {
		t.Fatalf("%d leaves, the last %q", g.size(t)-before, g.last(t))
	}
	again, err := look("officer", total, false)
	ok(t, err)
	if again.Why != answered.Why || g.size(t) != before+3 {
		t.Fatalf("whoever asked reads %+v", again)
	}
	text, err := json.Marshal(answered)
	ok(t, err)
	if bare := regexp.MustCompile(`"(asked|until)":"[^"]*"|rules? [0-9]|small-[0-9]`).ReplaceAll(text, nil); regexp.MustCompile(`[0-9]`).Match(bare) {
		t.Fatalf("the answer holds a number: %s", bare)
	}
	g.clock.move(24 * time.Hour)
	over, err := look("officer", total, false)
	ok(t, err)
	if over.Why != "" {
		t.Fatal("the answer outlives its day")
	}
}
