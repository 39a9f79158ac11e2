package dp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// counting tells how many bytes were drawn.
type counting struct {
	io.Reader
	drawn int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.drawn += n
	return n, err
}

// sets are the grouping sets of the pilot with their reach.
var sets = []gateway.GroupingSet{
	{},
	{{Name: "sex"}},
	{{Name: "sector"}},
	{{Name: "age"}},
	{{Name: "age", Level: 1}},
	{{Name: "sector"}, {Name: "sex"}},
	{{Name: "age"}, {Name: "sex"}},
}

// options draws a question and terms.
func options() *rapid.Generator[*HistogramOptions] {
	return rapid.Custom(func(t *rapid.T) *HistogramOptions {
		o := bySector(Terms{Cells: 1})
		o.Set = rapid.SampledFrom(sets).Draw(t, "set")
		o.Release = rapid.SampledFrom([]gateway.ReleaseID{"pilot-1", "pilot-2"}).Draw(t, "release")
		price := rapid.Int64Range(1, lossUnit/4).Draw(t, "price")
		if rapid.Bool().Draw(t, "laplace") {
			o.Terms.Epsilon = Epsilon(price)
		} else {
			o.Terms.Rho = Rho(price)
		}
		if rapid.IntRange(0, 9).Draw(t, "selects") == 0 {
			o.Terms.Selection = Selection{Epsilon: Epsilon(rapid.Int64Range(lossUnit/5, lossUnit).Draw(t, "eps")), Delta: 1e9}
		}
		return o
	})
}

// Whatever is asked in whatever order: what is spent never exceeds the budget and
// is the sum over the answers; a refusal draws no byte, keeps the histogram usable
// and leaves the ledger as it was; an answered question costs nothing again. The
// ledger is compared with a model after every step.
func TestLedgerAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Cost{Rho(rapid.Int64Range(1, lossUnit).Draw(t, "rho")), Delta(rapid.Int64Range(0, 3e9).Draw(t, "delta"))}
		a, err := NewAccountant(Budget{Lineage: "pilot", Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		model, answers := Cost{}, map[Question]Answer{}
		random := &counting{Reader: seeded(rapid.Uint64().Draw(t, "seed"))}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			o := options().Draw(t, "options")
			h := filled(t, o, nil)
			cost, before := o.Terms.Cost(), random.drawn
			got, err := a.Publish(h, random)
			stored, known := answers[h.Question()]
			switch {
			case known && stored.Terms == o.Terms:
				if err != nil || !cmp.Equal(got, stored) || random.drawn != before {
					t.Fatalf("a repeated question: %v, %d bytes", err, random.drawn-before)
				}
			case known:
				if !errors.Is(err, gateway.Conflict) || random.drawn != before {
					t.Fatalf("other terms: %v", err)
				}
			case model.Rho+cost.Rho > limit.Rho || model.Delta+cost.Delta > limit.Delta:
				if !errors.Is(err, gateway.Conflict) || random.drawn != before || h.Add(ChildKey(1), nil) != nil {
					t.Fatalf("beyond the budget: %v, %d bytes", err, random.drawn-before)
				}
			default:
				if err != nil {
					t.Fatalf("within the budget: %v", err)
				}
				model, answers[h.Question()] = model.Plus(cost), got
			}
			if a.Spent() != model || a.Spent().Rho > limit.Rho || a.Spent().Delta > limit.Delta || a.Remaining().Plus(model) != limit {
				t.Fatalf("spent %v of %v, the model has %v", a.Spent(), limit, model)
			}
		}
		if got := a.Answers(); len(got) != len(answers) {
			t.Fatalf("%d answers, want %d", len(got), len(answers))
		}
	})
}

// Any order of the same purchases ends at the same sum, exactly; in floats it would
// not.
func TestOrderOfSpendsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prices := rapid.SliceOfN(rapid.Int64Range(1, lossUnit), len(sets), len(sets)).Draw(t, "prices")
		total := int64(0)
		for _, p := range prices {
			total += p
		}
		spend := func(order []int) (*Accountant, error) {
			a, err := NewAccountant(Budget{Lineage: "pilot", Limit: Cost{Rho: Rho(total)}})
			for _, i := range order {
				if err != nil {
					return nil, err
				}
				o := bySector(Terms{Cells: 1, Rho: Rho(prices[i])})
				o.Set = sets[i]
				_, err = a.Publish(filled(t, o, nil), seeded(uint64(i)))
			}
			return a, err
		}
		order := make([]int, len(sets))
		for i := range order {
			order[i] = i
		}
		a, err := spend(order)
		if err != nil {
			t.Fatal(err)
		}
		b, err := spend(rapid.Permutation(order).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		x, err := a.Encode()
		y, err2 := b.Encode()
		if err != nil || err2 != nil || !bytes.Equal(x, y) || a.Remaining() != (Cost{}) {
			t.Errorf("the ledgers differ, or %v is left", a.Remaining())
		}
	})
}

// Ten tenths are the budget, to the last billionth, and one more billionth is not.
func TestBudgetIsSpentToTheLast(t *testing.T) {
	a := accountant(t, Cost{Rho: SuggestedRho})
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho / 10})
	for i := range 10 {
		o.Release = gateway.ReleaseID("pilot-" + string(rune('a'+i)))
		if _, err := a.Publish(histogram(t, o), seeded(1)); err != nil {
			t.Fatal(err)
		}
	}
	o.Release, o.Terms.Rho = "pilot-z", 1
	_, err := a.Publish(histogram(t, o), seeded(1))
	if !errors.Is(err, gateway.Conflict) || !strings.Contains(err.Error(), "rho 0 and delta 0 are left") {
		t.Errorf("one billionth more: %v", err)
	}
}

// Delta is a budget of its own: selection is refused where there is none, however
// much rho is left.
func TestSelectionIsChargedSeparately(t *testing.T) {
	o := bySector(Terms{Cells: 2, Rho: SuggestedRho, Selection: Selection{Epsilon: lossUnit, Delta: 1000}})
	_, err := accountant(t, Cost{Rho: maxRho, Delta: 999}).Publish(histogram(t, o), seeded(1))
	if !errors.Is(err, gateway.Conflict) {
		t.Errorf("delta exceeded: %v", err)
	}
	a := accountant(t, Cost{Rho: SuggestedRho + lossUnit/4, Delta: 1000})
	if _, err := a.Publish(histogram(t, o), seeded(1)); err != nil || a.Remaining() != (Cost{}) {
		t.Errorf("exactly enough: %v, %v left", err, a.Remaining())
	}
}

// The noise owes nothing to the data: neighbours published from the same random
// bytes differ by exactly what the child contributed, in every cell, and read the
// same number of bytes. So whatever else the stream did, it was not a function of
// the counts.
func TestNoiseOwesNothingToTheData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := bySector(Terms{Cells: rapid.IntRange(1, 4).Draw(t, "c"), Rho: Rho(rapid.Int64Range(1e6, lossUnit).Draw(t, "rho"))})
		if rapid.Bool().Draw(t, "laplace") {
			o.Terms.Rho, o.Terms.Epsilon = 0, Epsilon(o.Terms.Rho)
		}
		rows := populations(gateway.CountChildren).Draw(t, "children")
		fewer := slices.Delete(slices.Clone(rows), 0, 1)
		with, without := counted(t, o, rows), counted(t, o, fewer)
		seed := rapid.Uint64().Draw(t, "seed")
		publish := func(rows []row) (Answer, int) {
			random := &counting{Reader: seeded(seed)}
			a, err := NewAccountant(Budget{Lineage: "pilot", Limit: Cost{Rho: maxRho}})
			if err != nil {
				t.Fatal(err)
			}
			answer, err := a.Publish(filled(t, o, rows), random)
			if err != nil {
				t.Fatal(err)
			}
			return answer, random.drawn
		}
		x, drawnX := publish(rows)
		y, drawnY := publish(fewer)
		if drawnX != drawnY || len(x.Values) != len(y.Values) || len(x.Values) != len(sectors) {
			t.Fatalf("%d and %d bytes, %d and %d cells", drawnX, drawnY, len(x.Values), len(y.Values))
		}
		for i := range x.Values {
			if x.Values[i].Value-y.Values[i].Value != with.sums[i]-without.sums[i] || !slices.Equal(x.Values[i].Nodes, []string{sectors[i]}) {
				t.Errorf("cell %d: the noise differs", i)
			}
		}
	})
}

// With selection, cells come and go by chance, but the noise of those that are
// shown in both still does not depend on who is there.
func TestSelectionLeavesTheNoiseAlone(t *testing.T) {
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho, Selection: Selection{Epsilon: lossUnit, Delta: deltaUnit / 100, PreThreshold: 10}})
	publish := func(children int) map[string]int64 {
		var rows []row
		for i := range children {
			rows = append(rows, row{uint64(i), []Contribution{{Nodes: []string{sectors[i%4]}}}})
		}
		answer, err := accountant(t, Cost{Rho: lossUnit, Delta: deltaUnit / 10}).Publish(filled(t, o, rows), seeded(9))
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]int64{}
		for _, v := range answer.Values {
			values[v.Nodes[0]] = v.Value
		}
		return values
	}
	if got := publish(36); len(got) != 0 {
		t.Errorf("cells below the pre-threshold are shown: %v", got)
	}
	a, b := publish(400), publish(404)
	if len(a) != 4 || len(b) != 4 {
		t.Fatalf("cells of a hundred children are missing: %v, %v", a, b)
	}
	for code := range a {
		if b[code]-a[code] != 1 {
			t.Errorf("%s: the noise depends on the data", code)
		}
	}
}

// Over many releases the values are the truth plus the law of the terms: chi-square
// on the differences, false alarm as stated in the package of tests. 4 cells times
// 1,500 releases.
func TestPublishedValuesFollowTheLaw(t *testing.T) {
	const releases = 1500
	rows := []row{}
	for i := range uint64(40) {
		rows = append(rows, row{i, []Contribution{{Nodes: []string{"health"}}}})
	}
	for name, c := range map[string]struct {
		terms Terms
		law   func(int64) float64
	}{
		"gaussian": {Terms{Cells: 2, Rho: SuggestedRho}, gaussianLaw(10)},
		"laplace":  {Terms{Cells: 2, Epsilon: lossUnit / 2}, laplaceLaw(4)},
	} {
		counts, random := map[int64]int{}, seeded(10)
		for range releases {
			a := accountant(t, Cost{Rho: lossUnit})
			answer, err := a.Publish(filled(t, bySector(c.terms), rows), random)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range answer.Values {
				truth := int64(0)
				if v.Nodes[0] == "health" {
					truth = 40
				}
				counts[v.Value-truth]++
			}
		}
		t.Run(name, func(t *testing.T) { fits(t, counts, releases*len(sectors), c.law) })
	}
}

// The same histogram twice is an error, though its answer is there to be had.
func TestHistogramIsPublishedOnce(t *testing.T) {
	a := accountant(t, Cost{Rho: lossUnit})
	h := histogram(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}))
	first, err := a.Publish(h, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Publish(h, seeded(2)); !errors.Is(err, gateway.Conflict) {
		t.Errorf("published twice: %v", err)
	}
	other := accountant(t, Cost{Rho: lossUnit})
	if _, err := other.Publish(h, seeded(2)); !errors.Is(err, gateway.Conflict) || other.Spent() != (Cost{}) {
		t.Errorf("published by two accountants: %v", err)
	}
	if err := h.Add(ChildKey(1), nil); !errors.Is(err, gateway.Conflict) {
		t.Errorf("added to after publishing: %v", err)
	}
	stored, ok := a.Answer(h.Question())
	if !ok || !cmp.Equal(stored, first) {
		t.Error("the answer is not kept")
	}
	if _, ok := a.Answer(Question{Release: "pilot-9", Measure: gateway.CountChildren}); ok {
		t.Error("there is an answer to what nobody asked")
	}
}

// Other data under an answered question gets the stored answer, and its counts are
// thrown away.
func TestRepeatedQuestionIgnoresNewCounts(t *testing.T) {
	a, o := accountant(t, Cost{Rho: SuggestedRho}), bySector(Terms{Cells: 1, Rho: SuggestedRho})
	first, err := a.Publish(histogram(t, o), seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	h := filled(t, o, []row{{1, []Contribution{{Nodes: []string{"police"}}}}})
	again, err := a.Publish(h, iotest.ErrReader(io.EOF))
	if err != nil || !cmp.Equal(first, again) || a.Spent().Rho != SuggestedRho {
		t.Errorf("repeated: %v, %v", err, a.Spent())
	}
	if err := h.Add(ChildKey(2), nil); !errors.Is(err, gateway.Conflict) {
		t.Error("the new counts are still there")
	}
}

// What a caller does to an answer does not reach the ledger.
func TestAnswersAreCopies(t *testing.T) {
	a := accountant(t, Cost{Rho: SuggestedRho})
	answer, err := a.Publish(histogram(t, bySector(Terms{Cells: 1, Rho: SuggestedRho})), seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	before, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	stored, _ := a.Answer(answer.Question)
	for _, x := range []Answer{answer, stored, a.Answers()[0]} {
		x.Values[0].Value, x.Values[1].Nodes[0] = 424242, "changed"
	}
	after, err := a.Encode()
	if err != nil || !bytes.Equal(before, after) {
		t.Error("the ledger was changed from outside")
	}
}

// A source that fails: nothing is told, nothing charged, the counts are gone.
func TestFailingSourceCostsNothing(t *testing.T) {
	for name, random := range map[string]io.Reader{
		"at once": iotest.ErrReader(io.ErrUnexpectedEOF), "midway": io.LimitReader(seeded(1), 40), "stuck": forever(0),
	} {
		a, h := accountant(t, Cost{Rho: SuggestedRho}), histogram(t, bySector(Terms{Cells: 1, Rho: SuggestedRho}))
		answer, err := a.Publish(h, random)
		if !errors.Is(err, gateway.Internal) || answer.Values != nil || a.Spent() != (Cost{}) || len(a.Answers()) != 0 {
			t.Errorf("%s: %v, spent %v", name, err, a.Spent())
		}
		if _, err := a.Publish(h, seeded(1)); !errors.Is(err, gateway.Conflict) {
			t.Errorf("%s: the histogram can be drawn again: %v", name, err)
		}
	}
	a, h := accountant(t, Cost{Rho: SuggestedRho}), histogram(t, bySector(Terms{Cells: 1, Rho: SuggestedRho, Selection: Selection{}}))
	if _, err := a.Publish(h, nil); !errors.Is(err, gateway.Invalid) {
		t.Errorf("no source: %v", err)
	}
}

// A source may fail between the noise of a cell and its selection, too.
func TestFailingSourceOfSelection(t *testing.T) {
	terms := Terms{Cells: 1, Epsilon: lossUnit, Selection: Selection{Epsilon: lossUnit, Delta: 1000}}
	for n := range int64(200) {
		a := accountant(t, Cost{Rho: maxRho, Delta: 1000})
		if _, err := a.Publish(histogram(t, bySector(terms)), io.LimitReader(seeded(5), n)); err == nil || a.Spent() != (Cost{}) {
			t.Fatalf("%d bytes: %v, spent %v", n, err, a.Spent())
		}
	}
}

func TestPublishRefusesStrangers(t *testing.T) {
	a := accountant(t, Cost{Rho: SuggestedRho})
	for _, h := range []*Histogram{nil, {}} {
		if _, err := a.Publish(h, seeded(1)); !errors.Is(err, gateway.Internal) {
			t.Errorf("a histogram that was not made: %v", err)
		}
	}
	o := bySector(Terms{Cells: 1, Rho: SuggestedRho})
	o.Definition.Lineage = "other"
	if _, err := a.Publish(histogram(t, o), seeded(1)); !errors.Is(err, gateway.Invalid) {
		t.Errorf("another lineage: %v", err)
	}
}

func TestBudgetIsChecked(t *testing.T) {
	for name, b := range map[string]Budget{
		"no lineage":    {Limit: Cost{Rho: 1}},
		"not a name":    {Lineage: "a|b", Limit: Cost{Rho: 1}},
		"no rho":        {Lineage: "pilot"},
		"rho below 0":   {Lineage: "pilot", Limit: Cost{Rho: -1}},
		"rho too large": {Lineage: "pilot", Limit: Cost{Rho: maxRho + 1}},
		"delta below 0": {Lineage: "pilot", Limit: Cost{Rho: 1, Delta: -1}},
		"delta 1":       {Lineage: "pilot", Limit: Cost{Rho: 1, Delta: deltaUnit}},
	} {
		if a, err := NewAccountant(b); !errors.Is(err, gateway.Invalid) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := accountant(t, Cost{Rho: 5}).Budget(); got != (Budget{Lineage: "pilot", Limit: Cost{Rho: 5}}) {
		t.Errorf("budget %v", got)
	}
}

// Sixteen goroutines want a third of the budget each, for different releases; one
// histogram is wanted by all of them. Three and one get it.
func TestLedgerUnderConcurrency(t *testing.T) {
	a := accountant(t, Cost{Rho: 90})
	var wg sync.WaitGroup
	var mu sync.Mutex
	published := 0
	for i := range 16 {
		o := bySector(Terms{Cells: 1, Rho: 30})
		o.Release = gateway.ReleaseID("pilot-" + string(rune('a'+i)))
		h := histogram(t, o)
		wg.Go(func() {
			_, err := a.Publish(h, seeded(uint64(i)))
			if err == nil {
				mu.Lock()
				published++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if published != 3 || a.Remaining() != (Cost{}) {
		t.Errorf("%d published, %v left", published, a.Remaining())
	}
	shared, once := histogram(t, bySector(Terms{Cells: 1, Rho: 10})), 0
	for i := range 8 {
		own := accountant(t, Cost{Rho: 10})
		wg.Go(func() {
			_, err := own.Publish(shared, seeded(uint64(i)))
			if err == nil {
				mu.Lock()
				once++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if once != 1 {
		t.Errorf("one histogram was published %d times", once)
	}
}

// Noise beyond 64 bits ends at the largest number instead of turning over.
func TestPlus(t *testing.T) {
	wide := new(big.Int).Lsh(one, 70)
	for _, c := range []struct {
		sum   int64
		noise *big.Int
		want  int64
	}{
		{5, big.NewInt(-7), -2},
		{1, big.NewInt(math.MaxInt64), math.MaxInt64},
		{-1, big.NewInt(math.MinInt64), math.MinInt64},
		{0, wide, math.MaxInt64},
		{0, new(big.Int).Neg(wide), math.MinInt64},
	} {
		if got := plus(c.sum, c.noise); got != c.want {
			t.Errorf("%d + %v = %d, want %d", c.sum, c.noise, got, c.want)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	d := pilot()
	d.Dimensions[1].Nodes = nil
	for i := range 500 {
		d.Dimensions[1].Nodes = append(d.Dimensions[1].Nodes, gateway.Node{Code: "c" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10)), Number: uint16(i)})
	}
	o := bySector(Terms{Cells: 6, Rho: SuggestedRho / 10})
	o.Definition, o.Set = d, gateway.GroupingSet{{Name: "age", Level: 1}, {Name: "sector"}, {Name: "sex"}}
	for b.Loop() {
		a, err := NewAccountant(Budget{Lineage: "pilot", Limit: Cost{Rho: lossUnit}})
		if err != nil {
			b.Fatal(err)
		}
		h, err := NewHistogram(o)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := a.Publish(h, seeded(1))
		if err != nil || len(answer.Values) != 4000 {
			b.Fatal(err, len(answer.Values))
		}
	}
}
