package exchange_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/disclosure/risk"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// profiled is a gateway that offers the definitions of all profiles, with children.
func profiled(t *testing.T, change ...func(*exchange.Options)) *gate {
	t.Helper()
	g := newExchange(t, append([]func(*exchange.Options){func(o *exchange.Options) {
		for _, name := range []string{"standing", "public"} {
			d, err := configs.Definition(name)
			ok(t, err)
			o.Definitions[name] = d
		}
		sums := *o.Definitions["standing"]
		sums.Lineage, sums.V, sums.Standing = "sums", 50, &gateway.StandingTables{Mode: gateway.Additive}
		o.Definitions["sums"] = &sums
	}}, change...)...)
	_, content, err := country(synth.Options{Children: 1500, Seed: 5})
	ok(t, err)
	for _, sector := range []gateway.ContractID{"police", "health", "social"} {
		g.send(t, sector, "k1", content[sector])
	}
	return g
}

func (g *gate) buildOf(t *testing.T, definition string) gateway.Release {
	t.Helper()
	r, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: definition})
	ok(t, err)
	return r
}

func (g *gate) table(t *testing.T, id gateway.ReleaseID, by ...string) *gateway.Table {
	t.Helper()
	q := gateway.Question{Cube: "children", Measure: gateway.CountChildren, GroupBy: by, Purpose: purpose}
	text, err := g.Ask(t.Context(), g.who["researcher"], id, q, asJSON)
	ok(t, err)
	var table gateway.Table
	ok(t, json.Unmarshal(text, &table))
	return &table
}

// audited is what the officer reads of an audit.
func (g *gate) audited(t *testing.T, id gateway.ReleaseID) *disclosure.Audit {
	t.Helper()
	read, err := g.Risk(t.Context(), g.who["officer"], id)
	ok(t, err)
	page, _, err := risk.Parse(read.RiskPage)
	ok(t, err)
	var b bytes.Buffer
	ok(t, page.WriteText(&b, read.Page))
	text := strings.Join(strings.Fields(b.String()), " ")
	if page.Hidden.Audit == nil || !strings.Contains(text, "none can be placed more narrowly than allowed") || strings.Contains(text, "region=") {
		t.Fatalf("the risk page:\n%s", text)
	}
	return page.Hidden.Audit
}

// shown adds up the values of a table, and counts them.
func shown(table *gateway.Table) (sum int64, cells int) {
	for _, c := range table.Cells {
		if c.Status == gateway.StatusValue {
			sum += *c.Value
			cells++
		}
	}
	return sum, cells
}

// Exact tables: what is shown adds up, nothing says which rule hid a cell, and the
// officer reads that the audit passed.
func TestStandingRelease(t *testing.T) {
	g := profiled(t)
	r := g.buildOf(t, "standing")
	g.approve(t, r)
	total := g.table(t, r.ID)
	all, n := shown(total)
	if n != 1 || total.Variance != 0 || total.Base != 1 || total.Bottom != 0 || total.PTables != "" {
		t.Fatalf("the total: %+v", total)
	}
	for _, by := range []string{"region", "sex", "age_first"} {
		table := g.table(t, r.ID, by)
		sum, n := shown(table)
		hidden := len(table.Cells) - n
		if sum > all || hidden == 0 && sum != all || hidden == 1 {
			t.Errorf("%s: %d of %d in %d cells, %d hidden", by, sum, all, n, hidden)
		}
	}
	notes := strings.Join(g.table(t, r.ID, "region", "sex").Notes, " ")
	if !strings.Contains(notes, "audited") || !strings.Contains(notes, "exact") {
		t.Errorf("notes: %s", notes)
	}
	if a := g.audited(t, r.ID); !a.Passed || a.Width != 10 || !a.Insiders {
		t.Errorf("the risk page's audit: %+v", a)
	}
	// Frozen: the same children give the same tables, audited with the first known.
	again := g.buildOf(t, "standing")
	g.approve(t, again)
	if sum, _ := shown(g.table(t, again.ID)); sum != all {
		t.Errorf("the second release of the same children counts %d of %d", sum, all)
	}
	if e := g.audited(t, again.ID).Earlier; len(e) != 1 || e[0] != r.ID {
		t.Errorf("the audit knew of %v", e)
	}
	// Other children: the difference of two exact tables would tell who came. They wait,
	// however many they are; and there is no way to count them.
	_, content, err := country(synth.Options{Children: 900, Seed: 6})
	ok(t, err)
	for _, sector := range []gateway.ContractID{"justice", "education", "helpline"} {
		g.send(t, sector, "k1", content[sector])
	}
	later := g.buildOf(t, "standing")
	g.approve(t, later)
	if sum, _ := shown(g.table(t, later.ID)); sum != all {
		t.Errorf("frozen tables count %d, and counted %d", sum, all)
	}
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "standing", Revision: exchange.RevisionYearly})
	is(t, err, gateway.Invalid)
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "standing", From: 2024*4 + 1, To: 2024*4 + 3})
	is(t, err, gateway.Conflict)
	if detail := err.Error(); !strings.Contains(detail, "window") {
		t.Errorf("the refusal says %s", detail)
	}
}

// One profile a lineage, for ever.
func TestOneProfileOverTheSameChildren(t *testing.T) {
	g := profiled(t)
	r := g.build(t)
	g.approve(t, r)
	_, err := g.CloseRelease(t.Context(), g.who["steward"], r.ID, "answers were kept")
	ok(t, err)
	before := g.size(t)
	for _, name := range []string{"standing", "public"} {
		_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: name})
		is(t, err, gateway.Conflict) // another lineage
	}
	changed := *g.Definitions["small"]
	changed.Profile, changed.V, changed.Public = gateway.Public, 0, &gateway.PrivacyTerms{Rho: "0.1", Yearly: "0.1", Delta: "0.000001"}
	changed.Cubes = []gateway.Cube{{ID: "volume", Grain: gateway.Events, Cap: 1, Dimensions: []string{"sex"}, Measures: []gateway.Measure{gateway.CountChildren}}}
	g.Definitions["small"] = &changed
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "small"})
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "one profile") || g.size(t) != before {
		t.Errorf("the lineage's other profile was refused with %v and %d leaves", err, g.size(t)-before)
	}
}

// Additive tables add up, hidden cells or not, and say their variance.
func TestAdditiveRelease(t *testing.T) {
	g := profiled(t)
	r := g.buildOf(t, "sums")
	g.approve(t, r)
	all, _ := shown(g.table(t, r.ID))
	bySex := g.table(t, r.ID, "sex")
	sum, n := shown(bySex)
	if n != 2 || sum != all || all%5 != 0 || bySex.Variance != 50*80 || bySex.Base != 5 || bySex.PTables == "" {
		t.Errorf("%d of %d in %d cells of variance %g", sum, all, n, bySex.Variance)
	}
	again := g.buildOf(t, "sums")
	g.approve(t, again)
	if _, n := shown(g.table(t, again.ID, "sex")); n != 2 {
		t.Error("thresholds are permanent: the second release shows the same cells")
	}
}

// counter counts what is drawn.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// A public release shows every cell, and spends; the second of a year is refused
// before a record is read, also by a gateway that was killed and comes back, and is
// built in the next year.
func TestPublicRelease(t *testing.T) {
	random := &counter{Reader: noise(8)}
	g := profiled(t, func(o *exchange.Options) { random.Reader, o.Rand = o.Rand, random })
	r := g.buildOf(t, "public")
	if random.n == 0 {
		t.Fatal("public noise does not come from the source of randomness")
	}
	read, err := g.Risk(t.Context(), g.who["officer"], r.ID)
	ok(t, err)
	page, _, err := risk.Parse(read.RiskPage)
	ok(t, err)
	var text strings.Builder
	ok(t, page.WriteText(&text, read.Page))
	if len(page.Rows) != 0 || !strings.Contains(text.String(), "Left out on purpose") {
		t.Errorf("the risk page tells of true rows: %+v", page.Rows)
	}
	g.approve(t, r)
	table := g.table(t, r.ID, "region", "sex")
	if _, n := shown(table); n != 40 || table.Base != 1 || table.Bottom != 0 || table.Variance != 40 || table.PTables != "" {
		t.Errorf("%d cells of variance %g", n, table.Variance)
	}
	if notes := strings.Join(table.Notes, " "); !strings.Contains(notes, "epsilon 2.14 at delta 0.000001") {
		t.Errorf("notes: %s", notes)
	}
	c, err := g.Release(t.Context(), g.who["researcher"], r.ID)
	ok(t, err)
	if p := c.Privacy; p == nil || p.Rho.String() != "0.1" || p.Year != p.Rho || p.Ever != p.Rho || p.EverEpsilon != p.Epsilon {
		t.Errorf("the catalogue says of privacy: %+v", c.Privacy)
	}
	refuse := func(when string) {
		before, drawn := g.size(t), random.n
		_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "public"})
		is(t, err, gateway.Conflict)
		if !strings.Contains(err.Error(), "privacy budget") || g.size(t) != before || random.n != drawn {
			t.Errorf("%s: refused with %v after %d leaves", when, err, g.size(t)-before)
		}
	}
	refuse("a second build")
	g.reopen(t)
	refuse("after a restart")
	generous := *g.Definitions["public"]
	generous.Public = &gateway.PrivacyTerms{Rho: "0.1", Yearly: "1", Delta: "0.000001"}
	g.Definitions["public"] = &generous
	refuse("under a definition with a larger budget, in the same year")
	_, err = g.CloseRelease(t.Context(), g.who["steward"], r.ID, "")
	ok(t, err)
	refuse("after the release was withdrawn")
	g.clock.move(366 * 24 * time.Hour)
	next := g.buildOf(t, "public")
	c, err = g.Release(t.Context(), g.who["steward"], next.ID)
	ok(t, err)
	if p := c.Privacy; p.Year.String() != "0.1" || p.Ever.String() != "0.2" || !(p.EverEpsilon > p.Epsilon) {
		t.Errorf("the second year: %+v", p)
	}
}

// A build that fails after its intent has spent: its noise may be stored.
func TestFailedBuildsSpend(t *testing.T) {
	broken := &breaking{}
	g := profiled(t, func(o *exchange.Options) { broken.Reader, o.Rand = o.Rand, broken })
	broken.on = true
	_, err := g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "public"})
	is(t, err, gateway.Internal)
	same(t, g.story(t, "public-1"), begun, "release.failed failed")
	broken.on = false
	_, err = g.BuildRelease(t.Context(), g.who["steward"], exchange.Build{Definition: "public"})
	is(t, err, gateway.Conflict)
	if !strings.Contains(err.Error(), "privacy budget") {
		t.Error(err)
	}
	g.clock.move(366 * 24 * time.Hour)
	if r := g.buildOf(t, "public"); r.ID != "public-2" {
		t.Errorf("the next year's build is %s", r.ID)
	}
}

// breaking fails while it is on.
type breaking struct {
	io.Reader
	on bool
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.on {
		return 0, io.ErrUnexpectedEOF
	}
	return b.Reader.Read(p)
}
