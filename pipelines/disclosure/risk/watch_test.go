package risk

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// calm is a page on which nothing stands out: every attack held, all is reported,
// little is hidden, the noise has room.
func calm() *Page {
	return &Page{
		Release: "calm-1", From: "2024Q1", To: "2025Q4", K: 10, V: 50, Needed: 40,
		Cubes:   []Cube{{ID: "paths", Title: gateway.Text{EN: "Pathways"}, Cap: 1, Measures: []gateway.Measure{gateway.CountChildren}}},
		Hidden:  disclosure.Summary{Cubes: []disclosure.SetSummary{{Name: "paths", Cells: 1000, Hidden: 45}}, Sets: []disclosure.SetSummary{{Name: "sex@sex", Cells: 1000, Hidden: 45}}},
		Twin:    &Twin{Children: 1000, Keys: 10, Attacks: []Attack{{Verdict: "One.", Held: true, Working: true}}},
		Widths:  disclosure.Widths{K: 10},
		Reports: []Reports{{Title: gateway.Text{EN: "Police"}, Places: 20, Complete: 20}},
		Rows: []Rows{{Title: gateway.Text{EN: "Police"}, Told: true, Columns: []string{"sex", "age_band"}, Sets: []RowSet{
			{Columns: []string{"sex", "age_band"}, Smallest: From10},
		}}},
	}
}

// text is a whole page in one line, so that a sentence is found wherever it breaks.
func text(t *testing.T, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteText(&b, strings.Repeat("0", 64)); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Each thing to look out for is told when it is there, alone, and counted on the
// page's first part.
func TestWatch(t *testing.T) {
	if list := calm().watch(); len(list) != 0 {
		t.Fatalf("on a calm page stands out %q", list)
	}
	if got := text(t, calm()); !strings.Contains(got, "Nothing to look out for") || !strings.Contains(got, "Nothing stands out.") {
		t.Error("a calm page does not say so")
	}
	for _, c := range []struct {
		name   string
		change func(*Page)
		want   string // part of it; "" where nothing is to be told
	}{
		{"attacks not run", func(p *Page) { p.Twin = nil }, "not run"},
		{"an attack got through", func(p *Page) { p.Twin.Attacks[0].Held = false }, "One attack of section 5 got further than allowed or proved nothing: do not approve"},
		{"an attack that works on nothing", func(p *Page) { p.Twin.Attacks[0].Working = false }, "proved nothing: do not approve"},
		{"two attacks", func(p *Page) { p.Twin.Attacks = append(make([]Attack, 2), p.Twin.Attacks...) }, "2 attacks of section 5"},
		{"narrow", func(p *Page) { p.Widths.Narrow = 5 }, "About 5 % of the hidden numbers can be narrowed down to fewer than 10"},
		{"never reported", func(p *Page) { p.Reports[0].Complete = 0 }, "Police: no quarter is completely reported"},
		{"not all reported", func(p *Page) { p.Reports[0].Complete = 19 }, "Police: reports are incomplete"},
		{"half hidden", func(p *Page) { p.Hidden.Cubes[0].Hidden = 50 }, "Pathways: half of the numbers or more are hidden"},
		{"half hidden by closed tables", func(p *Page) {
			p.Hidden.Cubes[0].Hidden, p.Hidden.Cubes[0].Rules = 60, &disclosure.RuleShares{Gate: 15, Small: 45}
		}, ""},
		{"half hidden outside closed tables", func(p *Page) {
			p.Hidden.Cubes[0].Hidden, p.Hidden.Cubes[0].Rules = 60, &disclosure.RuleShares{Gate: 10, Small: 50}
		}, "half of the numbers"},
		{"a cube without a title", func(p *Page) { p.Cubes, p.Hidden.Cubes[0].Hidden = nil, 95 }, "paths: half"},
		{"alone in the rows", func(p *Page) { p.Rows[0].Sets[0].Single = 5 }, "Police: about 5 % of the children stand alone in the stored rows by sex and age band."},
		{"noise at the least", func(p *Page) { p.Needed = 49.1 }, "hardly more than the least"},
		{"noise 2 % above it", func(p *Page) { p.Needed = 49 }, ""},
		{"policies", func(p *Page) { p.Notice = "in rehearsal." }, "About the policies: in rehearsal."},
	} {
		p := calm()
		c.change(p)
		list := p.watch()
		if c.want == "" {
			if len(list) != 0 {
				t.Errorf("%s: stands out as %q", c.name, list)
			}
			continue
		}
		if len(list) != 1 || !strings.Contains(list[0], c.want) {
			t.Errorf("%s: %q", c.name, list)
			continue
		}
		got := text(t, p)
		if !strings.Contains(got, "One thing to look out for") || !strings.Contains(got, strings.Join(strings.Fields(list[0]), " ")) {
			t.Errorf("%s: the page does not say it", c.name)
		}
	}
}

// Of the other profiles the page says what protects there, never what protects the
// interactive ones, and an audit that failed is told three times.
func TestPagesOfProfiles(t *testing.T) {
	audit := func(passed bool) *disclosure.Audit { return &disclosure.Audit{Width: 10, Passed: passed} }
	for _, c := range []struct {
		name    string
		profile gateway.Profile
		audit   *disclosure.Audit
		want    []string
		watch   []string
	}{
		{
			"exact", gateway.Standing, audit(true),
			[]string{
				"The other numbers are exact. Where each hidden one could be was computed before: none can be placed more narrowly than allowed (section 4)",
				"Audit: by linear programming over everything that the tables show, none can be placed more narrowly than allowed (a range of 10 children).",
			},
			[]string{"frozen: once approved, nothing else may be released about the children of 2024Q1 to 2025Q4"},
		},
		{
			"exact, failed", gateway.Standing, audit(false),
			[]string{
				"computed before: SOME CAN BE PLACED MORE NARROWLY THAN ALLOWED (section 4)",
				"everything that the tables show, SOME CAN BE PLACED MORE NARROWLY THAN ALLOWED",
			},
			[]string{"The audit failed: do not approve."},
		},
		{
			"public", gateway.Public, nil,
			[]string{"paid for from a privacy budget that cannot be exceeded"},
			[]string{"for everybody and for ever"},
		},
		{"additive", gateway.Standing, nil, []string{"a sum of blurred ones: tables add up"}, nil},
	} {
		p := calm()
		p.Twin, p.Profile, p.Protection, p.Hidden.Audit = nil, c.profile, "It is protected\nin two lines.\n", c.audit
		got := text(t, p)
		for _, want := range append(c.want, "It is protected in two lines.", "were not run. Section 4 says what holds for this one.") {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the page does not say %q", c.name, want)
			}
		}
		for _, other := range []string{"it is typically off by", "sqrt(V/A)", "typically still wrong by", "NOT run"} {
			if strings.Contains(got, other) {
				t.Errorf("%s: the page says %q, which is of the interactive profile", c.name, other)
			}
		}
		list := p.watch()
		if len(list) != len(c.watch) || len(list) == 1 && !strings.Contains(list[0], c.watch[0]) {
			t.Errorf("%s: stands out %q", c.name, list)
		}
	}
}

// What is optional in an audit is said where it is there and only then: a protection
// that was not checked is never claimed.
func TestAuditInWords(t *testing.T) {
	p := calm()
	p.Twin, p.Profile, p.Hidden.Audit = nil, gateway.Standing, &disclosure.Audit{Width: 10, Passed: true}
	bare := text(t, p)
	p.Hidden.Audit = &disclosure.Audit{
		Width: 10, Passed: true, Insiders: true, Earlier: []gateway.ReleaseID{"y-1", "y-2"},
		Rules: &disclosure.AuditRules{Primary: 15, Secondary: 20, Repair: 0, Insider: 5}, Widths: &disclosure.AuditWidths{Twice: 25, Five: 35, More: 0, Open: 40},
	}
	full := text(t, p)
	for _, want := range []string{
		"That holds against everybody outside, and against a child or unit that alone is in a hidden number",
		"What y-1, y-2 show counted as known.",
		"about 15 % were hidden as too few or too close to the whole, about 20 % so that those cannot be computed, hardly any to widen a range, and about 5 % to widen it against insiders",
		"about 25 % have a range of up to twice the least, about 35 % of up to five times, hardly any of more, and about 40 % have no upper end",
	} {
		if !strings.Contains(full, want) {
			t.Errorf("the page does not say %q", want)
		}
		if strings.Contains(bare, want[:30]) {
			t.Errorf("the page says %q of an audit that has none of it", want)
		}
	}
}

// The short page is the first part of the whole one, and no word of it is different.
func TestShortPage(t *testing.T) {
	page, digest := demoPage(t)
	public := calm()
	public.Profile, public.Twin = gateway.Public, nil
	for _, p := range []*Page{page, calm(), public} {
		var short, whole bytes.Buffer
		if err := p.WriteShort(&short); err != nil {
			t.Fatal(err)
		}
		if err := p.WriteText(&whole, digest); err != nil {
			t.Fatal(err)
		}
		_, first, _ := strings.Cut(whole.String(), "1. In short\n-----------\n")
		first, _, _ = strings.Cut(first, "\n2. ")
		if diff := cmp.Diff(first, short.String()); diff != "" || first == "" {
			t.Error(diff)
		}
	}
}

// What is hidden is told by rule only where the summary tells it, and closed tables
// are not among the numbers that can be asked.
func TestHiddenInWords(t *testing.T) {
	p := calm()
	p.Hidden.Cubes[0].NotReported = 1200
	p.Hidden.Cubes[0].Rules = &disclosure.RuleShares{Small: 20, Near: 5, Remainder: 10, Unit: 5, Gate: 5}
	p.Hidden.Sets = append(p.Hidden.Sets, disclosure.SetSummary{Name: "age@age", Cells: 7000, Gated: true})
	p.Widths.Narrow = 5
	got := text(t, p)
	for _, want := range []string{
		"(too few 20 %, too close 5 %, to guard another 10 %, nearly all from one unit 5 %, in tables that are closed 5 %)",
		`1,200 more are marked "not reported"`, "Too sparse. One table is closed as a whole, because most of its numbers", "It is not among the 1,000.", "can ask 1,000 numbers",
		"about 5 % can be narrowed down to a range of fewer than 10 children; that such a number is small is then known, but not which",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	p.Hidden.Sets = append(p.Hidden.Sets, disclosure.SetSummary{Name: "region@region", Cells: 7000, Gated: true})
	if !strings.Contains(text(t, p), "2 tables are closed") {
		t.Error("two closed tables are not told")
	}
}

// A contract is told of by its riskiest set; where nothing is stored that others
// could know, or too few children are there, the page says that instead.
func TestContractsInWords(t *testing.T) {
	p := calm()
	told := func(r *Rows) string {
		s := &sheet{}
		p.writeContract(s, r)
		p.writeRowSets(s, r)
		return strings.Join(strings.Fields(s.String()), " ")
	}
	title := gateway.Text{EN: "Health"}
	risky := RowSet{Columns: []string{"age"}, Below10: 100, Single: 0, Doubt: &Doubt{Column: "child_role", Same: 5}}
	for _, c := range []struct {
		name string
		rows Rows
		want string
	}{
		{"too few", Rows{Title: title}, "Health: fewer than 200 children"},
		{"nothing known", Rows{Title: title, Told: true}, "Health: no attribute that others could know is stored."},
		{"calm", Rows{Title: title, Told: true, Sets: []RowSet{{Columns: []string{"age"}}}}, "hardly any child is in a class of fewer than 10"},
		{"risky", Rows{Title: title, Told: true, Sets: []RowSet{risky}}, "riskiest together are age. Then nearly all of the children are in classes of fewer than 10, and hardly any alone."},
		{"doubt", Rows{Title: title, Told: true, Sets: []RowSet{risky}}, `About 5 % are in a class whose members all share one value of "child role"`},
		{"lists too long", Rows{Title: title, Told: true, Sets: []RowSet{risky}, Left: 3}, "3 sets were left out: their code lists are too long."},
	} {
		if got := told(&c.rows); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	if got := names([]string{"age_band", "sex", "region"}); got != "age band, sex and region" {
		t.Error(got)
	}
	if names(nil) != "" || attributes(1) != "one attribute" || attributes(4) != "4 attributes" {
		t.Error("words of small numbers")
	}
}

// Combinations wait before they go into the tables; how many wait changes nothing,
// and the order of the children does not either.
func TestTallyInBatches(t *testing.T) {
	quasi := []Column{{Name: "a", Size: 5}, {Name: "b", Size: 4}}
	sensitive := []Column{{Name: "s", Size: 3}}
	one, other := NewTally("t", quasi, sensitive), NewTally("t", quasi, sensitive)
	const children = 2*heldAtOnce + 77
	for i := range children {
		q, s := []int{i % 5, i / 5 % 4}, []int{i % 3}
		one.Add(q, s, 1)
		j := children - 1 - i
		other.Add([]int{j % 5, j / 5 % 4}, []int{j % 3}, 1)
	}
	want := make([]uint32, 20)
	for i := range children {
		want[i%5*4+i/5%4]++
	}
	one.count()
	if got := one.sets[len(one.sets)-1].counts; !slices.Equal(got, want) { // the set of both columns
		t.Errorf("counted %v of %v", got, want)
	}
	if diff := cmp.Diff(one.Rows(gateway.Text{}), other.Rows(gateway.Text{})); diff != "" {
		t.Error(diff)
	}
}

// Of more combinations than are kept apart nothing is told together, rather than of
// those that came first.
func TestTooManyTogether(t *testing.T) {
	tally := NewTally("t", []Column{{Name: "a", Size: maxExact + 2}, {Name: "b", Size: 4}}, nil)
	for i := range maxExact + 2 {
		tally.together([]int{i, 0}, 1)
	}
	tally.children = MinChildren
	if r := tally.Rows(gateway.Text{}); r.Together != nil || !r.Told {
		t.Errorf("%+v", r.Together)
	}
}

// What JSON cannot hold is refused and not approved by another name.
func TestCanonicalRefuses(t *testing.T) {
	p := calm()
	if _, err := Canonical(func() {}); err == nil {
		t.Error("a function is canonical")
	}
	p.V = math.NaN()
	if _, err := p.Canonical(); err == nil {
		t.Error("a page with a number that is none is canonical")
	}
}
