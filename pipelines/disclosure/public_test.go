package disclosure

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
)

// publicly makes a definition public.
func publicly(d *gateway.Definition, rho string) *gateway.Definition {
	d.Profile, d.V = gateway.Public, 0
	d.Public = &gateway.PrivacyTerms{Rho: rho, Yearly: rho, Delta: "0.000001"}
	return d
}

// openly is what a public release brings: chance, and no key.
func openly(d *gateway.Definition, number int, random io.Reader) Release {
	rel := release(d, number, 1)
	rel.Noise, rel.Gate, rel.Random = nil, nil, random
	return rel
}

// stream is chance that can be had again, for tests.
func stream(seed byte) io.Reader { return mathrand.NewChaCha8([32]byte{seed}) }

// two is a definition of two partitions and a multi dimension.
func two() *gateway.Definition {
	c := partition("c", 3)
	c.Kind = gateway.Multi
	return definition([]gateway.Dimension{tree("a", 1, 2), partition("b", 3), c}, cube("one", gateway.Children, 2, "a", "b", "c"))
}

// Every nominal cell has a value, whoever is in the data; the noise has the variance
// that the table states, and mean zero. (2,000 draws a set: within 15 % and 5 standard
// errors, a false alarm in a million.)
func TestPublicCellsAreTruthAndNoise(t *testing.T) {
	t.Parallel()
	d := publicly(two(), "0.5")
	w := randomTruthOf(d, 300)
	counts := w.counts()
	sums, squares, n := map[string]float64{}, map[string]float64{}, map[string]float64{}
	random := stream(1)
	for trial := range 300 {
		p, err := Protect(fill(t, d, counts), openly(d, trial+1, random))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.l.sets {
			for c := range s.cells {
				label := string(p.l.label(s, s.nodes(c, nil), nil))
				st, v, ok := p.Cell(label, gateway.CountChildren)
				if !ok || st != gateway.StatusValue {
					t.Fatalf("%s is %s", label, st)
				}
				truth := 0.0
				if at := counts[s.key][label]; at != nil {
					truth = float64(at.Children)
				}
				e := float64(v) - truth
				sums[s.key], squares[s.key], n[s.key] = sums[s.key]+e, squares[s.key]+e*e, n[s.key]+1
			}
		}
	}
	l, err := newLattice(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l.sets {
		v, mean, got := termsOf(l, s).Variance(), sums[s.key]/n[s.key], squares[s.key]/n[s.key]
		wide := 6 / math.Sqrt(n[s.key])
		if math.Abs(mean) > wide*math.Sqrt(v) || math.Abs(got/v-1) > wide*1.5 {
			t.Errorf("%q: mean %.2f, variance %.1f of %.1f", s.key, mean, got, v)
		}
	}
}

// c is the number of nodes of the multi dimensions: with every child in all of them,
// the distance of neighbouring histograms is what the noise is made for.
func TestPublicNoiseCoversAChildInEveryCell(t *testing.T) {
	d := publicly(two(), "0.5")
	b, err := Plan(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range b.Sets {
		want := 1
		if strings.Contains(s.Set, "c@c") {
			want = 3
		}
		if s.Reach != want || s.Variance != float64(want)/(2*b.Public.Set.Float()) {
			t.Errorf("%q: a child in %d cells, variance %g", s.Set, s.Reach, s.Variance)
		}
	}
	rho, yearly, err := Spends(d)
	if err != nil || rho > b.Public.Rho || rho < b.Public.Rho-100 || yearly != b.Public.Yearly {
		t.Errorf("spends %v of %v, yearly %v: %v", rho, b.Public.Rho, yearly, err)
	}
}

// The noise is the reader's and nobody else's: the same stream gives the same release,
// another stream or crypto/rand another. No key may be at hand, and without a reader
// there is no release.
func TestPublicNoiseComesFromTheReader(t *testing.T) {
	d := publicly(two(), "0.5")
	counts := randomTruthOf(d, 300).counts()
	protect := func(rel Release) (*Published, error) { return Protect(fill(t, d, counts), rel) }
	digest := func(random io.Reader) string {
		p, err := protect(openly(d, 1, random))
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest()
	}
	first, again := digest(stream(1)), digest(stream(1))
	chance, other := digest(rand.Reader), digest(rand.Reader)
	if first != again || first == digest(stream(2)) || chance == other {
		t.Error("the release is not a function of the reader's bytes")
	}
	keyed := openly(d, 1, stream(1))
	keyed.Noise = prf(testKey(1))
	for name, rel := range map[string]Release{"a key": keyed, "no chance": openly(d, 1, nil), "a broken reader": openly(d, 1, failing{})} {
		if _, err := protect(rel); !errors.Is(err, gateway.Internal) {
			t.Errorf("with %s: %v", name, err)
		}
	}
	if _, err := Protect(fill(t, two(), counts), openly(two(), 1, stream(1))); !errors.Is(err, gateway.Internal) {
		t.Errorf("an interactive release with other chance: %v", err)
	}
}

// Negative values are written and read; a table says what it is.
func TestPublicTables(t *testing.T) {
	d := publicly(two(), "0.01")
	d.Impossible = [][]gateway.Fact{{{Dimension: "a", Node: d.Dimensions[0].Nodes[0].Code}, {Dimension: "b", Node: d.Dimensions[1].Nodes[0].Code}}}
	p, err := Protect(NewRaw(d), openly(d, 1, stream(3)))
	if err != nil {
		t.Fatal(err)
	}
	q, err := Decode(bytes.NewReader(encoded(t, p)))
	if err != nil {
		t.Fatal(err)
	}
	question := gateway.Question{Cube: "one", Measure: gateway.CountChildren, GroupBy: []string{"a@" + d.Dimensions[0].Levels[0], "b"}}
	table := ask(t, p, question)
	if diff := cmp.Diff(table, ask(t, q, question)); diff != "" || q.Digest() != p.Digest() {
		t.Error(diff)
	}
	negative, impossible := 0, 0
	for _, c := range table.Cells {
		switch {
		case c.Status == gateway.StatusImpossible:
			impossible++
		case *c.Value < 0:
			negative++
		}
	}
	if negative == 0 || impossible == 0 || table.Base != 1 || table.Bottom != 0 || table.PTables != "" || table.Variance < 100 {
		t.Errorf("%d negative, %d impossible: %+v", negative, impossible, table)
	}
	if cost, epsilon, ok := q.Privacy(); !ok || cost.Rho == 0 || !(epsilon > 0) {
		t.Errorf("privacy: %v, %v, %v", cost, epsilon, ok)
	}
	notes := strings.Join(table.Notes, " ")
	for _, want := range []string{"epsilon", "delta 0.000001", "negative", "several codes"} {
		if !strings.Contains(notes, want) && want != "several codes" {
			t.Errorf("the notes do not say %q: %s", want, notes)
		}
	}
	if s := p.Summary(); s.Audit != nil || s.Sets[0].Hidden != 0 {
		t.Errorf("summary: %+v", s)
	}
	question.Measure = "b.share"
	if _, err := p.Ask(question); !errors.Is(err, gateway.Invalid) {
		t.Errorf("a share of noisy counts: %v", err)
	}
}

// What has no bound on one child, and what no budget pays, is refused without data.
func TestPublicPlanRefuses(t *testing.T) {
	for name, change := range map[string]func(*gateway.Definition){
		"records":          func(d *gateway.Definition) { d.Cubes[0].Measures = []gateway.Measure{"children", "records"} },
		"a V":              func(d *gateway.Definition) { d.V = 50 },
		"no rho":           func(d *gateway.Definition) { d.Public.Rho = "0" },
		"no decimal":       func(d *gateway.Definition) { d.Public.Rho = "1e-1" },
		"yearly":           func(d *gateway.Definition) { d.Public.Yearly = "x" },
		"delta":            func(d *gateway.Definition) { d.Public.Delta = "1.5" },
		"delta's form":     func(d *gateway.Definition) { d.Public.Delta = "" },
		"more than yearly": func(d *gateway.Definition) { d.Public.Rho, d.Public.Yearly = "0.2", "0.1" },
		"next to nothing":  func(d *gateway.Definition) { d.Public.Rho = "0.000000001" },
		"other terms":      func(d *gateway.Definition) { d.Standing = &gateway.StandingTables{Mode: gateway.Exact} },
		"no terms":         func(d *gateway.Definition) { d.Public = nil },
		"a gate":           func(d *gateway.Definition) { d.Gate = &gateway.GateDecision{Because: "so"} },
		"profile":          func(d *gateway.Definition) { d.Profile = "secret" },
	} {
		d := publicly(two(), "0.5")
		change(d)
		if _, err := Plan(d); !errors.Is(err, gateway.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := Spends(d); err == nil {
			t.Errorf("%s: spends", name)
		}
	}
	if _, _, err := Spends(two()); err == nil {
		t.Error("an interactive definition spends")
	}
	if _, err := Account(two(), 0, 0); err == nil {
		t.Error("an interactive definition has an account")
	}
}

func TestPublicPlanInWords(t *testing.T) {
	d := publicly(two(), "0.1")
	b, err := Plan(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rho 0.1,", "epsilon 2.14 at delta 0.000001", "one child is in up to 3 of them", "(total)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b)
		}
	}
	p, err := Account(d, 100_000_000, 300_000_000)
	if err != nil || p.Yearly.String() != "0.1" || p.Year.String() != "0.1" || p.Ever.String() != "0.3" || !(p.EverEpsilon > p.Epsilon) {
		t.Errorf("the account: %+v, %v", p, err)
	}
}

// Two labels of the same children have one value.
func TestPublicSynonyms(t *testing.T) {
	d := publicly(two(), "0.5")
	d.Implied = []gateway.Implication{{
		If:   gateway.Fact{Dimension: "b", Node: d.Dimensions[1].Nodes[0].Code},
		Then: gateway.Fact{Dimension: "c", Node: d.Dimensions[2].Nodes[0].Code},
	}}
	p, err := Protect(NewRaw(d), openly(d, 1, stream(3)))
	if err != nil {
		t.Fatal(err)
	}
	b, c := d.Dimensions[1].Nodes[0].Code, d.Dimensions[2].Nodes[0].Code
	_, one, ok1 := p.Cell("b="+b, gateway.CountChildren)
	_, other, ok2 := p.Cell("b="+b+"|c="+c, gateway.CountChildren)
	if !ok1 || !ok2 || one != other {
		t.Errorf("one number has the values %d and %d", one, other)
	}
}
