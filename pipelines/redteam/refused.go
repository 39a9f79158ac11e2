package redteam

import (
	"fmt"
	"math"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// What must be refused gets no number at all. Each measure counts the questions that
// were answered; before, the attack asks the registered twin of each, so that a
// refusal is one of the union and not of a slip in the question.

// answered counts the questions that a release answers.
func answered(v *view, twin gateway.Question, questions []gateway.Question) (float64, error) {
	if v.ask == nil {
		return math.NaN(), nil
	}
	if _, err := v.ask(twin); err != nil {
		return 0, fmt.Errorf("%w: the registered twin was refused: %w", errBroken, err)
	}
	n := 0
	for _, q := range questions {
		if _, err := v.ask(q); err == nil {
			n++
		}
	}
	return float64(n), nil
}

// unions are the ways in which somebody might write "either of the two", "not the
// first" and "from the first on".
func unions(a, b string) []string {
	return []string{
		a + "|" + b, a + "," + b, a + " OR " + b, a + "+" + b, "[" + a + "," + b + "]", a + ";" + b, a + " " + b, "!" + b, "NOT " + b, "-" + b,
		a + ".." + b, ">=" + a, "*", "%", "", a + "'", strings.ToUpper(a) + strings.ToLower(a),
	}
}

// unionsOf asks for unions of two codes of a dimension, in the filter.
func unionsOf(cube, dim, a, b string) func(t *trial) (float64, error) {
	return func(t *trial) (float64, error) {
		v, err := t.release(1)
		if err != nil {
			return 0, err
		}
		ask := func(code string) gateway.Question {
			return gateway.Question{Cube: cube, Measure: gateway.CountChildren, GroupBy: []string{"sex"}, Filter: map[string]string{dim: code}}
		}
		var questions []gateway.Question
		for _, code := range unions(a, b) {
			questions = append(questions, ask(code))
		}
		twice := ask(a)
		twice.GroupBy = []string{"sex", dim, dim}
		crossed := ask(a)
		crossed.GroupBy = []string{"age", "outcome", "region@region", "sex", "agency"}
		return answered(v, ask(a), append(questions, twice, crossed))
	}
}

// secondGeography asks by health areas, which no cube has.
func secondGeography(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil {
		return 0, err
	}
	twin := gateway.Question{Cube: "paths", Measure: gateway.CountChildren, GroupBy: []string{"region@zone"}}
	var questions []gateway.Question
	for _, name := range []string{"health_area", "region@health_area", "event_region", "Region@zone", "region@ZONE"} {
		q := twin
		q.GroupBy = []string{name}
		questions = append(questions, q)
	}
	return answered(v, twin, questions)
}

// secondGeographyDefined is 1 when a definition with a second geography of the same
// column, whose areas cut across the zones, may be planned (disclosure.md 2.1: one
// geography system a lineage).
func secondGeographyDefined(*trial) (float64, error) {
	d := theDefinition()
	area := tree("area", [2]string{"health", "part"}, 5, regions, func(i int) int { return i / 6 })
	d.Dimensions = append(d.Dimensions, area)
	d.Cubes = append(d.Cubes, gateway.Cube{
		ID: "areas", Grain: gateway.Children, Dimensions: []string{"area", "sex"}, Cap: 2, Measures: []gateway.Measure{gateway.CountChildren},
	})
	if _, err := disclosure.Plan(theDefinition()); err != nil {
		return 0, fmt.Errorf("%w: the definition itself is refused: %w", errBroken, err)
	}
	if _, err := disclosure.Plan(d); err != nil {
		return 0, nil //nolint:nilerr // a refusal is what is hoped for
	}
	return 1, nil
}

// belowTheGate is how many grouping sets are answered although the sparsity gate
// refuses them: mean published below 20, hidden ones as 0, or more than half hidden
// (disclosure.md 2.4 rule 7). It is decided on what is published.
func belowTheGate(t *trial) (float64, error) {
	v, err := t.release(1)
	if err != nil || v.ask == nil {
		return math.NaN(), err
	}
	n := 0
	for i := range t.sets {
		if s := &t.sets[i]; !v.passes(s) && v.answers(s) {
			n++
		}
	}
	return float64(n), nil
}

// passes reports whether the gate admits a set.
func (v *view) passes(s *cellSet) bool {
	sum, hidden := 0.0, 0
	for c := s.first; c < s.first+s.cells; c++ {
		if v.shown[c] {
			sum += v.y[c]
		} else {
			hidden++
		}
	}
	return sum >= 20*float64(s.cells) && 2*hidden <= s.cells
}

// answers reports whether the set has any number at all.
func (v *view) answers(s *cellSet) bool {
	for c := s.first; c < s.first+s.cells; c++ {
		if v.shown[c] {
			return true
		}
	}
	return false
}
