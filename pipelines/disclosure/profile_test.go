package disclosure

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure/suppress"
)

// profiles are a definition and a lawful release of every profile that is not
// interactive.
func profiles() map[string]struct {
	def *gateway.Definition
	rel func(*gateway.Definition) Release
} {
	keyed := func(d *gateway.Definition) Release { return release(d, 1, 1) }
	chance := func(d *gateway.Definition) Release { return openly(d, 1, stream(1)) }
	return map[string]struct {
		def *gateway.Definition
		rel func(*gateway.Definition) Release
	}{
		"exact": {three(gateway.Exact), keyed}, "additive": {three(gateway.Additive), keyed}, "public": {publicly(two(), "0.5"), chance},
	}
}

// Each profile has its own source of chance and refuses that of another, before it uses
// up the counts: the same counts with what belongs to them are a release. Noise from a
// key can be drawn again, which voids the proof of a privacy budget (disclosure.md
// 2.10); rule 2 counts units, which sums of base cells do not have.
func TestProfilesRefuseWhatIsNotTheirs(t *testing.T) {
	for profile, x := range profiles() {
		raw := NewRaw(Counting(x.def))
		for name, c := range map[string]struct {
			change func(*Release)
			kind   error
		}{
			"another number":  {func(rel *Release) { rel.Number = 2 }, gateway.Invalid},
			"number 0":        {func(rel *Release) { rel.Number, rel.ID = 0, gateway.ReleaseID(rel.Lineage+"-0") }, gateway.Invalid},
			"another lineage": {func(rel *Release) { rel.Lineage = "other" }, gateway.Invalid},
			"units":           {func(rel *Release) { rel.Units = []gateway.ContractID{"school"} }, gateway.Invalid},
			"no coverage":     {func(rel *Release) { rel.Coverage = nil }, gateway.Internal},
			"no chance":       {func(rel *Release) { rel.Noise, rel.Random = nil, nil }, gateway.Internal},
			"both":            {func(rel *Release) { rel.Noise, rel.Random = prf(testKey(1)), stream(1) }, gateway.Internal},
			"chance of the other": {func(rel *Release) {
				if rel.Noise == nil {
					rel.Noise, rel.Random = prf(testKey(1)), nil
				} else {
					rel.Noise, rel.Random = nil, stream(1)
				}
			}, gateway.Internal},
		} {
			rel := x.rel(x.def)
			c.change(&rel)
			if p, err := Protect(raw, rel); p != nil || !errors.Is(err, c.kind) {
				t.Errorf("%s with %s: %v", profile, name, err)
			}
		}
		if _, err := Protect(raw, x.rel(x.def)); err != nil {
			t.Errorf("%s: a refusal used up the counts: %v", profile, err)
		}
		if _, err := Protect(raw, x.rel(x.def)); err == nil {
			t.Errorf("%s: counts are protected twice", profile)
		}
	}
}

// Rules that are no law are refused by every profile that draws thresholds, and counts
// that a plan refuses are not protected.
func TestProfilesRefuseBadRules(t *testing.T) {
	for profile, x := range profiles() {
		d := *x.def
		d.Cubes = slices.Clone(d.Cubes)
		d.Cubes[0].Measures = []gateway.Measure{gateway.CountChildren, gateway.CountRecords}
		if _, err := Protect(NewRaw(Counting(&d)), x.rel(x.def)); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s of records: %v", profile, err)
		}
		if profile == "public" {
			continue // hides nothing
		}
		rel := x.rel(x.def)
		rel.Rules.Threshold = []float64{1}
		rel.Rules.ThresholdMin = 2
		if _, err := Protect(NewRaw(Counting(x.def)), rel); err == nil {
			t.Errorf("%s: thresholds below the floor are drawn", profile)
		}
	}
}

// Two mechanisms over the same children average: a lineage changes its profile in no
// direction, and is told which one it has.
func TestNoLineageChangesItsProfile(t *testing.T) {
	names := map[string]string{"exact": "exact standing tables", "additive": "additive standing tables", "public": "public histograms", "": "interactive tables"}
	all := map[string]*gateway.Definition{"": two()}
	for name, x := range profiles() {
		all[name] = x.def
	}
	for from, a := range all {
		for to, b := range all {
			err := continueProfile(a, b)
			switch {
			case from == to && err != nil:
				t.Errorf("%q goes on: %v", from, err)
			case from != to && (!errors.Is(err, gateway.Conflict) || !strings.Contains(err.Error(), "is released as "+names[from]+";")):
				t.Errorf("%q becomes %q: %v", from, to, err)
			}
		}
	}
	// Tables whose base cannot be told are not the same ones.
	bad := three(gateway.Additive)
	bad.Cubes[0].Dimensions = []string{"gone"}
	if err := continueProfile(bad, bad); !errors.Is(err, gateway.Conflict) {
		t.Errorf("additive tables without a base go on: %v", err)
	}
	deep := standing(definition([]gateway.Dimension{partition("a", 2), partition("b", 2), partition("c", 2), partition("e", 2), partition("f", 2)},
		cube("one", gateway.Children, 2, "a", "b", "c", "e", "f")), gateway.Additive)
	if err := continueProfile(deep, deep); !errors.Is(err, gateway.Conflict) {
		t.Errorf("additive tables with too fine a base go on: %v", err)
	}
}

// The audit's verdict by the interval of one hidden cell: it passes when nobody can
// place a cell in need of protection within less than k, nor below k; every such cell
// counts, and others need no interval (disclosure.md 2.6).
func TestAuditIsAsGoodAsItsNarrowestCell(t *testing.T) {
	d := three(gateway.Exact)
	rel := release(d, 1, 1)
	p, err := tabulated(t, randomTruthOf(d, 400), rel)
	if err != nil {
		t.Fatal(err)
	}
	wide := suppress.Hidden{Primary: true, Rule: suppress.RuleThreshold, Interval: suppress.Interval{High: 40}}
	for name, c := range map[string]struct {
		hidden suppress.Hidden
		passed bool
	}{
		"wide enough":              {suppress.Hidden{Primary: true, Interval: suppress.Interval{Low: 3, High: 13}}, true},
		"one short":                {suppress.Hidden{Primary: true, Interval: suppress.Interval{Low: 3, High: 12}}, false},
		"a point":                  {suppress.Hidden{Primary: true, Interval: suppress.Interval{Low: 7, High: 7}}, false},
		"from zero":                {suppress.Hidden{Primary: true, Interval: suppress.Interval{High: 10}}, true},
		"known to be small":        {suppress.Hidden{Primary: true, Interval: suppress.Interval{High: 9}}, false},
		"open":                     {suppress.Hidden{Primary: true, Interval: suppress.Interval{Low: 3, Open: true}}, true},
		"no interval":              {suppress.Hidden{Primary: true}, false},
		"in need of no protection": {suppress.Hidden{Rule: suppress.RuleSecondary}, true},
	} {
		for _, pattern := range []*suppress.Pattern{{Hidden: []suppress.Hidden{c.hidden, wide}}, {Hidden: []suppress.Hidden{wide, c.hidden}}} {
			if a := auditOf(p, pattern, rel); a.Passed != c.passed || a.Width != 10 {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// Shares of an audit are told of a hundred cells and more, in steps of 5 %: of fewer, a
// share would be a cell.
func TestAuditSharesAreOfMany(t *testing.T) {
	d := three(gateway.Exact)
	rel := release(d, 1, 1)
	p, err := tabulated(t, randomTruthOf(d, 400), rel)
	if err != nil {
		t.Fatal(err)
	}
	at := func(n int, h suppress.Hidden) []suppress.Hidden { return slices.Repeat([]suppress.Hidden{h}, n) }
	interval := func(high int64, open bool) suppress.Hidden {
		return suppress.Hidden{Primary: true, Interval: suppress.Interval{High: high, Open: open}}
	}
	hidden := slices.Concat(at(20, interval(20, false)), at(30, interval(21, false)), at(9, interval(50, false)), at(36, interval(51, false)), at(4, interval(0, true)),
		at(40, suppress.Hidden{Rule: suppress.RuleSecondary}), at(31, suppress.Hidden{Rule: suppress.RuleRepair}), at(10, suppress.Hidden{Rule: suppress.RuleInsider}))
	p.head.Summary.Cells = 99
	if a := auditOf(p, &suppress.Pattern{Hidden: hidden}, rel); a.Rules != nil || a.Widths != nil {
		t.Errorf("of 99 cells %+v and %+v are told", a.Rules, a.Widths)
	}
	p.head.Summary.Cells = 400
	a := auditOf(p, &suppress.Pattern{Hidden: append(hidden, interval(0, true))}, rel)
	if want := (AuditRules{Primary: 25, Secondary: 10, Repair: 10, Insider: 5}); a.Rules == nil || *a.Rules != want {
		t.Errorf("by rule %+v, want %+v", a.Rules, want)
	}
	if want := (AuditWidths{Twice: 20, Five: 40, More: 35, Open: 5}); a.Widths == nil || *a.Widths != want {
		t.Errorf("by width %+v, want %+v", a.Widths, want)
	}
}

// Two dimensions that are made of the same reports are related in ways that the audit
// does not know: whoever knows that places a hidden cell better than it believes. What
// is made of different reports is not refused.
func TestExactTablesOfTheSameReports(t *testing.T) {
	dim := func(name string, kind gateway.DimensionKind, source gateway.SourceKind, column string) gateway.Dimension {
		d := partition(name, 3)
		d.Kind, d.Source = kind, gateway.Source{Kind: source, Column: column}
		return d
	}
	for name, c := range map[string]struct {
		a, b    gateway.Dimension
		refused bool
	}{
		"the sector twice":        {dim("a", gateway.Multi, gateway.EventSector, ""), dim("b", gateway.Partition, gateway.FirstSector, ""), true},
		"how many sectors":        {dim("a", gateway.Partition, gateway.SectorCount, ""), dim("b", gateway.Multi, gateway.EventSector, ""), true},
		"quarter and year":        {dim("a", gateway.Multi, gateway.EventQuarter, ""), dim("b", gateway.Multi, gateway.EventYear, ""), true},
		"a column, first and any": {dim("a", gateway.Partition, gateway.ChildFirst, "region"), dim("b", gateway.Multi, gateway.EventColumn, "region"), true},
		"two columns":             {dim("a", gateway.Multi, gateway.EventColumn, "age"), dim("b", gateway.Multi, gateway.EventColumn, "region"), false},
		"two partitions":          {dim("a", gateway.Partition, gateway.ChildFirst, "region"), dim("b", gateway.Partition, gateway.ChildMost, "region"), false},
	} {
		d := standing(definition([]gateway.Dimension{c.a, c.b}, cube("one", gateway.Children, 2, "a", "b")), gateway.Exact)
		l, err := newLattice(d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := l.modelled(); (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "same reports") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Rules that are no law continue nothing, whichever side they are on.
func TestContinueWithoutALaw(t *testing.T) {
	bad := lawful()
	bad.Threshold = []float64{0.5}
	good := lawful()
	for name, x := range map[string][2]gateway.ReleaseRules{"before": {bad, good}, "after": {good, bad}} {
		if err := continueRules(x[0], x[1]); err == nil {
			t.Errorf("rules that are no law %s: accepted", name)
		}
	}
	if err := continueRules(good, good); err != nil {
		t.Error(err)
	}
}

// The order in which implications are declared is no change of a lineage; what a
// dimension that is gone implied is still in the budget of both together.
func TestContinueImplications(t *testing.T) {
	d := two()
	imply := func(i int) gateway.Implication {
		return gateway.Implication{
			If:   gateway.Fact{Dimension: "b", Node: d.Dimensions[1].Nodes[i].Code},
			Then: gateway.Fact{Dimension: "c", Node: d.Dimensions[2].Nodes[i].Code},
		}
	}
	one, other := two(), two()
	one.Implied, other.Implied = []gateway.Implication{imply(0), imply(1)}, []gateway.Implication{imply(1), imply(0)}
	one.V, other.V = 100, 100
	if err := Continue(Parameters{one, lawful()}, Parameters{other, lawful()}); err != nil {
		t.Errorf("in another order: %v", err)
	}
	other.Implied = other.Implied[:1]
	if err := Continue(Parameters{one, lawful()}, Parameters{other, lawful()}); !errors.Is(err, gateway.Conflict) {
		t.Errorf("one less: %v", err)
	}
	for i := 1; i <= 2; i++ { // of what implies, and of what is implied
		gone := two()
		gone.Dimensions = slices.Delete(gone.Dimensions, i, i+1)
		gone.Cubes[0].Dimensions, gone.V = []string{"a", gone.Dimensions[1].Name}, 100
		if both := together(one, gone); !slices.Equal(both.Implied, one.Implied) || len(both.Dimensions) != 3 || len(both.Cubes) != 2 {
			t.Errorf("together they imply %v over %d dimensions and %d cubes", both.Implied, len(both.Dimensions), len(both.Cubes))
		}
		if both := together(gone, one); !slices.Equal(both.Implied, one.Implied) || len(both.Dimensions) != 3 {
			t.Errorf("what is new is in twice: %v", both.Implied)
		}
	}
}

// cutting is a writer that takes so many writes and no more.
type cutting struct{ left int }

func (c *cutting) Write(b []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

// Wherever a writer fails, the release is not taken for written.
func TestEncodeTellsOfEveryFailure(t *testing.T) {
	p := protected(t, 1, 1)
	whole := &cutting{left: 1 << 20}
	if err := p.Encode(whole); err != nil {
		t.Fatal(err)
	}
	writes := 1<<20 - whole.left
	for n := range writes {
		if err := p.Encode(&cutting{left: n}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%d of %d writes: %v", n, writes, err)
		}
	}
	if writes < len(p.l.sets) {
		t.Errorf("%d writes for %d sets: the test says nothing", writes, len(p.l.sets))
	}
}

// A plan in words warns where the audit may be slow, and says nothing of it elsewhere.
func TestSlowAuditIsSaid(t *testing.T) {
	words := func(cells int) string {
		return (&Budget{Standing: &StandingBudget{Mode: gateway.Exact, Cells: cells, Most: suppress.MaxVariables}}).plain()
	}
	if strings.Contains(words(slowAudit), "minutes") || !strings.Contains(words(slowAudit+1), "may take minutes") {
		t.Errorf("%s%s", words(slowAudit), words(slowAudit+1))
	}
}

// Notes of every profile name the codes that are not published, and that codes of a
// multi dimension do not add up.
func TestNotesOfProfiles(t *testing.T) {
	d := publicly(two(), "0.5")
	d.Dimensions[2].Omitted = d.Dimensions[2].Nodes[2].Code
	p, err := Protect(NewRaw(d), openly(d, 1, stream(3)))
	if err != nil {
		t.Fatal(err)
	}
	table := ask(t, p, gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"c"}})
	notes := strings.Join(table.Notes, " ")
	for _, want := range []string{"A child can be in several codes of c", "Code " + d.Dimensions[2].Omitted + " of c is not published."} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q: %s", want, notes)
		}
	}
	for _, c := range table.Cells {
		if slices.Contains(c.Nodes, d.Dimensions[2].Omitted) {
			t.Errorf("the omitted code is answered: %v", c.Nodes)
		}
	}
	back, err := Decode(bytes.NewReader(encoded(t, p)))
	if err != nil || back.Digest() != p.Digest() {
		t.Errorf("reading back: %v", err)
	}
	if w := p.Widths(); w.Narrow != 0 || len(w.Sets) != 0 || !strings.Contains(w.Method, "not of this profile") {
		t.Errorf("widths: %+v", w)
	}
}

// What was added to a revision is there for tests, in the order it came, and decides
// nothing by being read.
func TestChangesAreToldToTests(t *testing.T) {
	c := NewChanges()
	country := Change{Children: 1000, Changed: 100, Batches: []uint64{40, 30, 30}, Uploaders: []uint64{50, 50}, Sectors: 1}
	region := country
	region.Region = "61"
	for _, n := range []Change{region, country} {
		if err := c.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	before, err := Ripe(c)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Told(t)
	if len(got) != 2 || got[0].Region != "61" || got[1].Region != "" || got[1].Changed != 100 {
		t.Errorf("told %+v", got)
	}
	if after, err := Ripe(c); err != nil || after != before {
		t.Errorf("ripe %v, after reading %v: %v", before, after, err)
	}
}
