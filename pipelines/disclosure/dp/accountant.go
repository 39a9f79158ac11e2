package dp

import (
	"io"
	"maps"
	"math"
	"math/big"
	"slices"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// A Budget is the most that may ever be known about a child through one accountant.
type Budget struct {
	Lineage string `json:"lineage"` // of the definitions whose histograms it pays for. Required.
	Limit   Cost   `json:"limit"`   // Rho required; Delta only for partition selection
}

// An Accountant is the ledger of a public release: it publishes histograms out of
// a budget, keeps every answer and repeats it at no cost. A histogram that would
// exceed the budget is refused before a random byte is drawn or a count is read,
// on public terms alone; a refusal therefore tells nothing and costs nothing. That
// is a filter in the sense of Rogers, Roth, Ullman and Vadhan (2016): terms may be
// chosen after seeing earlier answers, and the limit holds all the same.
//
// One accountant a yearly release with [SuggestedRho] is the suggestion; what
// several spend on the same children adds up ([Cost.Plus]). The caller must keep
// the state ([Accountant.Encode]) before an answer is shown: a ledger restored from
// before an answer would sell a second noise for the same money.
//
// An Accountant may be used by many goroutines.
type Accountant struct {
	mu      sync.Mutex // guards what follows
	budget  Budget
	spent   Cost
	answers map[Question]Answer
}

// A Value is one published cell. It may be negative: noise is, and cutting it off
// would bias every sum.
type Value struct {
	Nodes []string `json:"nodes"` // one code a dimension, in the order of the set
	Value int64    `json:"value"`
}

// An Answer is a published histogram. It is what differential privacy calls the
// output: showing, copying, summing and rounding it are free.
type Answer struct {
	Question Question `json:"question"`
	Terms    Terms    `json:"terms"`
	// Values are in the order of the code lists, never by size. Without
	// Terms.Selection they are all cells.
	Values []Value `json:"values"`
}

// NewAccountant returns a ledger with nothing spent.
func NewAccountant(b Budget) (*Accountant, error) {
	switch {
	case badNode(b.Lineage):
		return nil, gateway.Errorf(gateway.Invalid, "budget: the lineage is missing or not a name")
	case b.Limit.Rho <= 0 || b.Limit.Rho > maxRho:
		return nil, gateway.Errorf(gateway.Invalid, "budget: rho is above 0 and at most %v", maxRho)
	case b.Limit.Delta < 0 || b.Limit.Delta >= deltaUnit:
		return nil, gateway.Errorf(gateway.Invalid, "budget: delta is at least 0 and below 1")
	}
	return &Accountant{budget: b, answers: map[Question]Answer{}}, nil
}

// Budget returns the budget.
func (a *Accountant) Budget() Budget { return a.budget }

// Spent returns the sum over the published histograms.
func (a *Accountant) Spent() Cost {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// Remaining returns what is left.
func (a *Accountant) Remaining() Cost {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Cost{a.budget.Limit.Rho - a.spent.Rho, a.budget.Limit.Delta - a.spent.Delta}
}

// Answer returns a published answer, at no cost.
func (a *Accountant) Answer(q Question) (Answer, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, ok := a.answers[q]
	if !ok {
		return Answer{}, false
	}
	return answer.clone(), true
}

// Answers returns everything that was published, by question.
func (a *Accountant) Answers() []Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sorted()
}

func (a *Accountant) sorted() []Answer {
	answers := slices.AppendSeq([]Answer{}, maps.Values(a.answers))
	slices.SortFunc(answers, func(x, y Answer) int { return compareQuestions(x.Question, y.Question) })
	for i := range answers {
		answers[i] = answers[i].clone()
	}
	return answers
}

// Publish draws the noise of a histogram and charges its cost, both or neither: the
// ledger is locked from the check to the entry, so two requests cannot each see the
// money that is enough for one. random is
// crypto/rand.Reader; a reader whose bytes anybody can have again makes the noise
// removable.
//
// It reports Conflict for a histogram that was published before, for one whose
// question was answered under other terms, and when the cost would exceed the
// budget; the last leaves the histogram as it was. A question that was answered
// under the same terms gets the same answer at no cost, and the new counts are
// thrown away. When random fails, the counts are thrown away and nothing is
// charged, because nothing has been told.
func (a *Accountant) Publish(h *Histogram, random io.Reader) (Answer, error) {
	if h == nil || h.take == nil {
		return Answer{}, errUnmade()
	}
	if random == nil || h.plan.lineage != a.budget.Lineage {
		return Answer{}, gateway.Errorf(gateway.Invalid, "publishing needs a source of randomness and the budget of the definition's lineage")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	stored, ok := a.answers[h.plan.question]
	if ok {
		return a.repeat(h, stored)
	}
	cost := h.plan.terms.Cost()
	err := a.affords(cost)
	if err != nil {
		return Answer{}, err
	}
	c, err := h.take()
	if err != nil {
		return Answer{}, err
	}
	defer c.wipe()
	values, err := c.noisy(newSampler(random))
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Question: h.plan.question, Terms: h.plan.terms, Values: values}
	a.enter(answer)
	return answer.clone(), nil
}

// repeat returns what was said before. A fresh draw for the same question would be
// a second look, to be paid again and averaged with the first; and new terms for it
// would be the same with another name. It uses up the histogram: its counts must not outlive a decision that the
// stored answer stands.
func (a *Accountant) repeat(h *Histogram, stored Answer) (Answer, error) {
	c, err := h.take()
	if err != nil {
		return Answer{}, err
	}
	c.wipe()
	if stored.Terms != h.plan.terms {
		return Answer{}, gateway.Errorf(gateway.Conflict, "this histogram is published already, under other terms")
	}
	return stored.clone(), nil
}

// affords refuses what would exceed. The differences cannot overflow: what is
// spent is at most the limit.
func (a *Accountant) affords(c Cost) error {
	if c.Rho > a.budget.Limit.Rho-a.spent.Rho || c.Delta > a.budget.Limit.Delta-a.spent.Delta {
		return gateway.Errorf(gateway.Conflict,
			"the privacy budget of %s does not allow this: it costs rho %v and delta %v, and rho %v and delta %v are left",
			a.budget.Lineage, c.Rho, c.Delta, a.budget.Limit.Rho-a.spent.Rho, a.budget.Limit.Delta-a.spent.Delta)
	}
	return nil
}

// enter is the only place where money is spent. Sums of concentrated losses are
// exact under adaptive composition (Bun and Steinke 2016, lemma 2.3), so the ledger
// needs no more than addition.
func (a *Accountant) enter(answer Answer) {
	a.spent = a.spent.Plus(answer.Terms.Cost())
	a.answers[answer.Question] = answer
}

// noisy is the mechanism: true sums go in, values that may be published come out. It
// is the only reader of counts in the package. It returns the values with noise. Both draws of a cell are made whether the
// cell is kept or not, so that what is drawn does not depend on a count.
func (c *counts) noisy(s *sampler) ([]Value, error) {
	draw := c.plan.terms.noise()
	values := make([]Value, 0, len(c.sums))
	for cell, sum := range c.sums {
		noise, err := draw(s)
		if err != nil {
			return nil, err
		}
		kept := true
		if c.plan.keep != nil {
			kept, err = c.plan.keep.keep(c.children[cell], s)
			if err != nil {
				return nil, err
			}
		}
		if kept {
			values = append(values, Value{c.plan.nodes(cell), plus(sum, noise)})
		}
	}
	return values, nil
}

// plus adds noise. A result beyond 64 bits, which takes noise of millions of
// sigmas, becomes the largest number: that depends on the noisy value alone.
func plus(sum int64, noise *big.Int) int64 {
	v := new(big.Int).Add(big.NewInt(sum), noise)
	switch {
	case v.IsInt64():
		return v.Int64()
	case v.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// clone copies what a caller could change. Empty lists stay lists: null would be a
// second encoding of them.
func (a Answer) clone() Answer {
	values := make([]Value, len(a.Values))
	for i, v := range a.Values {
		values[i] = Value{append([]string{}, v.Nodes...), v.Value}
	}
	a.Values = values
	return a
}
