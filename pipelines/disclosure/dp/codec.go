package dp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
)

// format names the encoding of a ledger.
const format = "pana/dp-ledger/1"

// MaxEncoded is the most bytes of a ledger that is read.
const MaxEncoded = 1 << 30

// state is a ledger as it is stored. What is spent is not in it: it is added up
// again from the answers, so the two cannot disagree.
type state struct {
	Format  string   `json:"format"`
	Budget  Budget   `json:"budget"`
	Answers []Answer `json:"answers"`
}

// Encode returns the ledger as canonical JSON: answers sorted by question, no
// spaces, one encoding of anything. It holds published values only. Whoever stores
// it protects it from being altered or put back to an earlier state.
func (a *Accountant) Encode() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, err := json.Marshal(state{Format: format, Budget: a.budget, Answers: a.sorted()})
	if err != nil {
		return nil, fmt.Errorf("encoding a privacy ledger: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote and nothing else: other spellings, unknown
// fields, answers that were not paid for or that come twice are refused. The error
// never repeats the input.
func Decode(b []byte) (*Accountant, error) {
	if len(b) > MaxEncoded {
		return nil, gateway.Errorf(gateway.TooLarge, "a privacy ledger is too long")
	}
	var s state
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&s) != nil || s.Format != format {
		return nil, errLedger("it is not one")
	}
	a, err := NewAccountant(s.Budget)
	if err != nil {
		return nil, errLedger("its budget is impossible")
	}
	for i := range s.Answers {
		err = a.restore(s.Answers[i])
		if err != nil {
			return nil, err
		}
	}
	canonical, err := a.Encode()
	if err != nil || !bytes.Equal(canonical, b) {
		return nil, errLedger("it is not in canonical form")
	}
	return a, nil
}

func errLedger(why string) error {
	return gateway.Errorf(gateway.Invalid, "reading a privacy ledger: %s", why)
}

// restore enters an answer as Publish would have: a ledger in which more was spent
// than the budget allowed was not written by this package, and one whose terms are
// impossible has a cost that means nothing.
func (a *Accountant) restore(answer Answer) error {
	q := answer.Question
	if !validRelease(q.Release) || answer.Terms.validate(q.Measure) != nil {
		return errLedger("an answer has impossible terms")
	}
	if _, ok := a.answers[q]; ok {
		return errLedger("an answer comes twice")
	}
	err := answer.validValues()
	if err != nil {
		return err
	}
	if a.affords(answer.Terms.Cost()) != nil {
		return errLedger("more is spent than the budget allows")
	}
	a.enter(answer)
	return nil
}

// validValues checks the cells against the question. The definition is not at hand,
// so that a code is of its list is not checked; that an answer fits the histogram of
// a later question does not matter, because it is only ever repeated.
func (a Answer) validValues() error {
	if len(a.Values) > gateway.MaxNominalCells || len(a.Values) == 0 && a.Terms.Selection == (Selection{}) {
		return errLedger("an answer has an impossible number of cells")
	}
	seen := make(map[string]bool, len(a.Values))
	for _, v := range a.Values {
		if len(v.Nodes) != a.Question.dimensions() || slices.ContainsFunc(v.Nodes, badNode) {
			return errLedger("a cell does not fit its question")
		}
		label := strings.Join(v.Nodes, "|")
		if seen[label] {
			return errLedger("a cell comes twice")
		}
		seen[label] = true
	}
	return nil
}

// badNode reports what cannot be a code (gateway.Node), nor the name of a dimension
// or level in a label. Other than UTF-8 would come back changed from JSON.
func badNode(code string) bool {
	return code == "" || strings.ContainsAny(code, "|=@") || !utf8.ValidString(code)
}

func compareQuestions(a, b Question) int {
	return cmp.Or(cmp.Compare(a.Release, b.Release), cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Set, b.Set))
}

// MarshalText writes the decimal.
func (r Rho) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a decimal as ParseRho does.
func (r *Rho) UnmarshalText(text []byte) error {
	v, err := ParseRho(string(text))
	*r = v
	return err
}

// MarshalText writes the decimal.
func (e Epsilon) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads a decimal as ParseEpsilon does.
func (e *Epsilon) UnmarshalText(text []byte) error {
	v, err := ParseEpsilon(string(text))
	*e = v
	return err
}

// MarshalText writes the decimal.
func (d Delta) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a decimal as ParseDelta does.
func (d *Delta) UnmarshalText(text []byte) error {
	v, err := ParseDelta(string(text))
	*d = v
	return err
}
