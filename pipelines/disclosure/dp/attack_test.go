package dp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// Asking again, a hundred times and by every spelling that there is, gives one
// answer for one price: there is nothing to average (disclosure.md 4, A6 and A17).
func TestAveragingBuysNothing(t *testing.T) {
	a, random := accountant(t, Cost{Rho: maxRho}), seeded(500)
	o := bySector(Terms{Cells: 1, Rho: 1e6})
	rows := []row{{1, []Contribution{{Nodes: []string{"police"}}}}}
	first, err := a.Publish(filled(t, o, rows), random)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		again := bySector(Terms{Cells: 1, Rho: 1e6})
		if i%2 == 0 {
			again.Definition.Cubes[0], again.Definition.Cubes[1] = again.Definition.Cubes[1], again.Definition.Cubes[0]
		}
		answer, err := a.Publish(filled(t, again, rows), random)
		if err != nil || !cmp.Equal(answer, first) {
			t.Fatalf("asked again: %v", err)
		}
	}
	if a.Spent().Rho != 1e6 {
		t.Errorf("spent %v", a.Spent())
	}
	for _, terms := range []Terms{
		{Cells: 1, Rho: 1e6 + 1},
		{Cells: 2, Rho: 1e6},
		{Cells: 1, Epsilon: lossUnit},
		{Cells: 1, Rho: 1e6, Selection: Selection{Epsilon: lossUnit, Delta: 1}},
	} {
		if _, err := a.Publish(filled(t, bySector(terms), rows), random); !errors.Is(err, gateway.Conflict) {
			t.Errorf("the same question under %+v: %v", terms, err)
		}
	}
	if a.Spent().Rho != 1e6 {
		t.Errorf("what was refused was paid: %v", a.Spent())
	}
}

// The total spelt as no set or an empty one is one question.
func TestTotalHasOneSpelling(t *testing.T) {
	a, o := accountant(t, Cost{Rho: lossUnit}), bySector(Terms{Cells: 1, Rho: lossUnit})
	o.Set = nil
	if _, err := a.Publish(histogram(t, o), seeded(1)); err != nil {
		t.Fatal(err)
	}
	o.Set = gateway.GroupingSet{}
	if _, err := a.Publish(histogram(t, o), seeded(1)); err != nil || a.Spent().Rho != lossUnit {
		t.Errorf("the total by another spelling: %v, spent %v", err, a.Spent())
	}
}

// disclosure.md 2.11 lines 4 to 6: which cells there are, in which order and with
// which fields does not depend on the data; zeros are there like anything else.
func TestShapeDoesNotDependOnTheData(t *testing.T) {
	shape := func(a Answer) string {
		var s []string
		for _, v := range a.Values {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			s = append(s, strings.Join(slices.Sorted(slices.Values(fields(b))), ",")+strings.Join(v.Nodes, "|"))
		}
		return strings.Join(s, ";")
	}
	empty, err := accountant(t, Cost{Rho: lossUnit}).Publish(histogram(t, bySector(Terms{Cells: 2, Rho: SuggestedRho})), seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewAccountant(Budget{Lineage: "pilot", Limit: Cost{Rho: lossUnit}})
		if err != nil {
			t.Fatal(err)
		}
		rows := populations(gateway.CountChildren).Draw(t, "children")
		answer, err := a.Publish(filled(t, bySector(Terms{Cells: 2, Rho: SuggestedRho}), rows), seeded(rapid.Uint64().Draw(t, "seed")))
		if err != nil {
			t.Fatal(err)
		}
		if shape(answer) != shape(empty) {
			t.Errorf("the shape is %q, of nothing %q", shape(answer), shape(empty))
		}
	})
}

// fields returns the names in a JSON object.
func fields(b []byte) []string {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return []string{"not an object"}
	}
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

// A refusal is a function of public terms: the same whatever was counted.
func TestRefusalTellsNothing(t *testing.T) {
	refuse := func(rows []row) string {
		a := accountant(t, Cost{Rho: 1})
		_, err := a.Publish(filled(t, bySector(Terms{Cells: 1, Rho: 2}), rows), seeded(1))
		if err == nil {
			t.Fatal("not refused")
		}
		return err.Error()
	}
	var many []row
	for i := range uint64(5000) {
		many = append(many, row{i, []Contribution{{Nodes: []string{"police"}}}})
	}
	if none, all := refuse(nil), refuse(many); none != all || strings.Contains(all, "5000") {
		t.Errorf("%q and %q", none, all)
	}
}

// The privacy of one cell as an attacker meets it. He knows everybody but one
// child, sees one value of a histogram of rho = 0.5 and bets on the child being
// there. Whatever he does, his chances are bounded by (eps, delta) for every delta
// (Wasserman and Zhou 2010): with the best test, "value >= k", on the exact law of
// the noise, P(hit) <= e^eps·P(false alarm) + delta. This holds for the law; that
// the sampler has that law is tested elsewhere.
func TestMembershipBetIsBounded(t *testing.T) {
	for _, text := range []string{"0.05", "0.1", "0.5", "2"} {
		r := rho(t, text)
		law := gaussianLaw(Terms{Cells: 1, Rho: r}.Variance())
		for _, delta := range []float64{1e-2, 1e-4, 1e-6, 1e-9} {
			eps := EpsilonAt(r, delta)
			hit, alarm := 0.0, 0.0
			for k := int64(120); k >= -120; k-- {
				hit, alarm = hit+law(k-1), alarm+law(k)
				if hit > math.Exp(eps)*alarm+delta*(1+1e-9) {
					t.Fatalf("rho %s, delta %g, value >= %d: hit %v, false alarm %v", text, delta, k, hit, alarm)
				}
			}
		}
	}
}

// The same bet, played: 3,000 releases with the child and 3,000 without, at rho =
// 0.1. The advantage of the best threshold over guessing cannot exceed that of the
// law, 2·Phi(1/(2·sigma))-1 = 0.177, by more than 5 standard errors (0.065).
func TestMembershipBetPlayed(t *testing.T) {
	const games = 3000
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho})
	o.Set = nil
	play := func(rows []row, seed uint64) int {
		random, hits := seeded(seed), 0
		for range games {
			answer, err := accountant(t, Cost{Rho: SuggestedRho}).Publish(filled(t, o, rows), random)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Values[0].Value >= 1 {
				hits++
			}
		}
		return hits
	}
	victim := []row{{1, []Contribution{{}}}}
	advantage := float64(play(victim, 501)-play(nil, 502)) / games
	if most := 0.177 + 0.065; advantage > most {
		t.Errorf("the advantage is %.3f, at most %.3f", advantage, most)
	}
	if advantage < 0.177-0.065 {
		t.Errorf("the advantage is %.3f: there is more noise than was paid for", advantage)
	}
}

// A child in every cell of every histogram is no better known than the ledger says:
// the log-likelihood ratio of all answers has, under the law, a mean of at most the
// rho spent (the divergence of order 1). It is summed over real releases, with 5.5
// standard errors of sqrt(2·rho/n).
func TestLedgerBoundsTheLoss(t *testing.T) {
	const releases = 2000
	terms := Terms{Cells: 3, Rho: SuggestedRho}
	variance, _ := terms.spread().Float64()
	var everywhere []Contribution
	for _, s := range sectors {
		everywhere = append(everywhere, Contribution{Nodes: []string{s}})
	}
	rows, random := []row{{1, everywhere}}, seeded(503)
	truth := counted(t, bySector(terms), rows).sums
	loss := 0.0
	for range releases {
		answer, err := accountant(t, Cost{Rho: SuggestedRho}).Publish(filled(t, bySector(terms), rows), random)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range answer.Values {
			with, without := float64(v.Value-truth[i]), float64(v.Value)
			loss += (without*without - with*with) / (2 * variance)
		}
	}
	mean, allowed := loss/releases, terms.Rho.Float()
	if off := (mean - allowed) / math.Sqrt(2*allowed/releases); math.Abs(off) > 5.5 {
		t.Errorf("the mean loss is %.4f, paid was %.4f (%.1f standard errors)", mean, allowed, off)
	}
}

// Years add up: ten yearly releases at the suggested budget are epsilon 7.77, not
// ten times 2.14.
func TestYearsAddUp(t *testing.T) {
	sum := Cost{}
	for range 10 {
		sum = sum.Plus(Cost{Rho: SuggestedRho})
	}
	ten, year := sum.Epsilon(ReportDelta), Cost{Rho: SuggestedRho}.Epsilon(ReportDelta)
	if sum.Rho != lossUnit || math.Abs(ten-7.77) > 0.005 || ten > 4*year || ten != EpsilonAt(lossUnit, ReportDelta) {
		t.Errorf("a year %.2f, ten years %.2f", year, ten)
	}
}

// Two ways to the same sigma²: exact rationals of the terms against the formula of
// disclosure.md 2.10 in floats, for any terms; and the Laplace scale likewise.
func TestSpreadOfTheSpecification(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := Terms{Cells: rapid.IntRange(1, 5000).Draw(t, "c"), Rho: Rho(rapid.Int64Range(1000, int64(maxRho)).Draw(t, "rho"))}
		if rapid.Bool().Draw(t, "records") {
			terms.High = rapid.Int64Range(1, 1000).Draw(t, "high")
		}
		c, u := float64(terms.Cells), float64(max(terms.High, 1))
		want := c * u * u / (2 * terms.Rho.Float())
		if got := terms.Variance(); math.Abs(got-want) > 1e-9*want {
			t.Errorf("sigma² is %v, want %v", got, want)
		}
		terms.Rho, terms.Epsilon = 0, Epsilon(terms.Rho)/100+1
		b := c * u / terms.Epsilon.Float()
		if got, _ := terms.scale().Float64(); math.Abs(got-b) > 1e-9*b {
			t.Errorf("the scale is %v, want %v", got, b)
		}
		// The charge is eps²/2 rounded up to the unit, never down.
		exact := new(big.Rat).SetFrac64(int64(terms.Epsilon), lossUnit)
		exact.Mul(exact, exact).Quo(exact, big.NewRat(2, 1))
		charged := new(big.Rat).SetFrac64(int64(terms.Cost().Rho), lossUnit)
		if gap := new(big.Rat).Sub(charged, exact); gap.Sign() < 0 || gap.Cmp(big.NewRat(1, lossUnit)) >= 0 {
			t.Errorf("epsilon %v is charged %v", terms.Epsilon, terms.Cost().Rho)
		}
	})
}

// Selection, as the ledger charges it, covers what it tells: for one child in c
// cells, the loss of every pattern of c answers is at most Epsilon but for Delta.
// With chances p and p' of a cell with and without the child, whole patterns are
// summed: sum over patterns of max(0, P - e^eps·P') <= delta.
func TestSelectionOfSeveralCells(t *testing.T) {
	s := Selection{Epsilon: 2 * lossUnit, Delta: deltaUnit / 1000}
	for cells := 1; cells <= 3; cells++ {
		table, err := s.table(cells)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{1, 2, 5, 9, 12, 20} {
			p, q := asFloat(table.chance(n)), asFloat(table.chance(n-1))
			for _, pair := range [][2]float64{{p, q}, {q, p}} {
				left := 0.0
				for pattern := range 1 << cells {
					x, y := 1.0, 1.0
					for bit := range cells {
						if pattern>>bit&1 == 1 {
							x, y = x*pair[0], y*pair[1]
						} else {
							x, y = x*(1-pair[0]), y*(1-pair[1])
						}
					}
					left += max(0, x-math.Exp(s.Epsilon.Float())*y)
				}
				if left > s.Delta.Float()*(1+1e-9)+1e-15 {
					t.Errorf("%d cells of %d: %v is left out, paid was %v", cells, n, left, s.Delta)
				}
			}
		}
	}
}

// An answer has no field for a true count, and no type of the package that a
// caller can hold prints one: the published types are listed here so that a new
// field is a decision.
func TestPublishedFields(t *testing.T) {
	answer := Answer{Question: Question{"r", "children", "s"}, Terms: Terms{Cells: 1, Rho: 1}, Values: []Value{{[]string{"a"}, 1}}}
	b, err := json.Marshal(answer)
	const want = `{"question":{"release":"r","measure":"children","set":"s"},"terms":{"cells":1,"rho":"0.000000001"},"values":[{"nodes":["a"],"value":1}]}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	if got := fmt.Sprintf("%v", answer.Terms.Cost()); got != "{0.000000001 0}" {
		t.Errorf("a cost is printed %s", got)
	}
}
