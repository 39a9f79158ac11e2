package policies

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Direction says what a change does to the protection of the people in the data.
type Direction string

// The directions, the weakest first: the order in which changes are read.
const (
	Weaker   Direction = "weaker"   // more is stored or shown than before, or more may be done
	Other    Direction = "other"    // neither weaker nor stronger in every case: read it
	Stronger Direction = "stronger" // less
)

var directions = []Direction{Weaker, Other, Stronger}

// A Change is one effect of a changed policy. The first policies of all change
// nothing into something: then Before is "".
type Change struct {
	What      string    `json:"what"` // "health.icd10_main", "release demo: threshold"
	Before    string    `json:"before,omitempty"`
	After     string    `json:"after,omitempty"`
	Direction Direction `json:"direction"`
	Because   string    `json:"because,omitempty"` // prose of the rule that decides now
}

// String returns the change as an officer reads it.
func (c Change) String() string {
	if c.Before == "" {
		return fmt.Sprintf("%s: %s", c.What, c.After)
	}
	return fmt.Sprintf("%s: %s → %s — %s", c.What, c.Before, c.After, c.Direction)
}

// A Subject is all that policies are compared about.
type Subject struct {
	Contracts   []*gateway.Contract
	Definitions map[string]*gateway.Definition // by name
	Actions     []gateway.ActionName
}

// Compare returns what would change if a policy set came in force instead of another,
// weakest first: what is done to each field of each contract, which rows are refused,
// the numbers of each release, and who may do what. before is nil where nothing was in
// force. It reports Invalid, and names the floor, for a set that goes below one, or
// that finds a contract in use unacceptable: such a set cannot come in force.
func Compare(ctx context.Context, before, after *Set, about Subject) ([]Change, error) {
	var changes []Change
	for _, c := range about.Contracts {
		some, err := compareContract(ctx, before, after, c)
		if err != nil {
			return nil, err
		}
		changes = append(changes, some...)
	}
	for _, name := range slices.Sorted(maps.Keys(about.Definitions)) {
		some, err := compareRelease(ctx, before, after, name, about.Definitions[name])
		if err != nil {
			return nil, err
		}
		changes = append(changes, some...)
	}
	some, err := compareAccess(ctx, before, after, about.Actions)
	if err != nil {
		return nil, err
	}
	changes = append(changes, some...)
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Compare(slices.Index(directions, a.Direction), slices.Index(directions, b.Direction))
	})
	return changes, nil
}

func compareContract(ctx context.Context, before, after *Set, c *gateway.Contract) ([]Change, error) {
	violations, err := after.Violations(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(violations) > 0 {
		return nil, invalid("contract %s is in use and would not be acceptable: %s", c.ID, violations[0])
	}
	now, err := after.Plan(ctx, c)
	if err != nil {
		return nil, err
	}
	var was *gateway.Plan
	if before != nil {
		plan, err := before.Plan(ctx, c)
		if err != nil {
			return nil, err
		}
		was = &plan
	}
	changes := compareFields(c, was, &now)
	return append(changes, compareRows(c.ID, was, &now)...), nil
}

func compareFields(c *gateway.Contract, was, now *gateway.Plan) []Change {
	var changes []Change
	for i, after := range now.Fields {
		change := Change{What: string(c.ID) + "." + string(after.Field), After: treatment(after), Direction: Other, Because: now.Because[i]}
		if was != nil {
			before := was.Fields[i]
			change.Before = treatment(before)
			if change.Before == change.After {
				continue
			}
			change.Direction = direction(before, after)
		}
		changes = append(changes, change)
	}
	return changes
}

// treatment says what is done to a field: all of the plan, so that two that differ are
// never written alike.
func treatment(p gateway.FieldPlan) string {
	text := p.Do.String()
	if p.Domain != "" {
		text += " in the domain " + p.Domain
	}
	if p.Fallback != "" {
		text += ", by names in the domain " + p.Fallback + " where there is none"
	}
	switch {
	case p.Keep != 0:
		text += fmt.Sprintf(" to %d characters", p.Keep)
	case p.Cuts != nil:
		text += fmt.Sprintf(" to bands from %s", strings.Trim(fmt.Sprint(p.Cuts), "[]"))
	case p.Day:
		text += " to the quarter and a shifted day"
	}
	return text
}

// direction compares two treatments of one field that differ.
func direction(before, after gateway.FieldPlan) Direction {
	switch {
	case after.Do == gateway.Drop:
		return Stronger
	case before.Do == gateway.Drop, after.Do == gateway.Keep:
		return Weaker
	case before.Do == gateway.Keep:
		return Stronger
	case before.Do != after.Do || before.Domain != after.Domain:
		return Other
	case before.Fallback != after.Fallback && before.Fallback != "" && after.Fallback != "":
		return Other
	case before.Fallback != after.Fallback:
		return either(after.Fallback != "") // children are linked who were not
	case before.Day != after.Day:
		return either(after.Day)
	case before.Keep != after.Keep:
		return either(after.Keep > before.Keep)
	case subset(before.Cuts, after.Cuts):
		return Weaker // every old band is a union of new ones
	case subset(after.Cuts, before.Cuts):
		return Stronger
	}
	return Other
}

func either(weaker bool) Direction {
	if weaker {
		return Weaker
	}
	return Stronger
}

func subset(a, b []int) bool {
	return !slices.ContainsFunc(a, func(n int) bool { return !slices.Contains(b, n) })
}

// compareRows compares the row rules of a contract by their codes.
func compareRows(id gateway.ContractID, was, now *gateway.Plan) []Change {
	before, after := map[string]string{}, conditions(now)
	if was != nil {
		before = conditions(was)
	}
	codes := slices.Sorted(maps.Keys(after))
	for code := range before {
		if _, both := after[code]; !both {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	var changes []Change
	for _, code := range codes {
		old, isOld := before[code]
		fresh, isNew := after[code]
		change := Change{What: fmt.Sprintf("%s: rows of %s", id, code)}
		switch {
		case was == nil:
			change.After, change.Direction = "refused if "+fresh, Other
		case isOld && isNew && old == fresh:
			continue
		case !isOld:
			change.Before, change.After, change.Direction = "stored", "refused if "+fresh, Stronger
		case !isNew:
			change.Before, change.After, change.Direction = "refused if "+old, "stored", Weaker
		default:
			change.Before, change.After, change.Direction = "refused if "+old, "refused if "+fresh, Other
		}
		changes = append(changes, change)
	}
	return changes
}

// conditions writes down under which conditions rows are refused, by code.
func conditions(p *gateway.Plan) map[string]string {
	parts := map[string][]string{}
	for _, rule := range p.Refuse {
		parts[string(rule.Code)] = append(parts[string(rule.Code)], written(rule.When))
	}
	all := map[string]string{}
	for code, some := range parts {
		slices.Sort(some)
		all[code] = strings.Join(slices.Compact(some), ", or if ")
	}
	return all
}

// compareRelease compares the numbers by which a release is protected.
func compareRelease(ctx context.Context, before, after *Set, name string, d *gateway.Definition) ([]Change, error) {
	now, err := after.numbers(ctx, d)
	if err != nil {
		return nil, err
	}
	var was []parameter
	if before != nil {
		was, err = before.numbers(ctx, d)
		if err != nil {
			return nil, err
		}
	}
	var changes []Change
	for i, n := range now {
		change := Change{What: "release " + name + ": " + n.name, After: n.text, Direction: Other}
		if was != nil {
			if was[i].text == n.text {
				continue
			}
			change.Before, change.Direction = was[i].text, n.compare(was[i])
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// A parameter is one number of a release. Its values are probabilities for the
// threshold, and one number for everything else.
type parameter struct {
	name, text string
	values     []float64
	more       Direction // what a greater value is
}

func (n parameter) compare(before parameter) Direction {
	less, more := false, false
	for i := range max(len(n.values), len(before.values)) {
		a, b := at(before.values, i), at(n.values, i)
		less, more = less || b < a, more || b > a
	}
	switch {
	case less && more:
		return Other
	case more == (n.more == Weaker):
		return Weaker
	}
	return Stronger
}

// at returns a value of a list that goes on as it ends.
func at(values []float64, i int) float64 { return values[min(i, len(values)-1)] }

func (s *Set) numbers(ctx context.Context, d *gateway.Definition) ([]parameter, error) {
	rules, err := s.Rules(ctx, d)
	if err != nil {
		// A policy may ask for more noise than a definition has: then it is the definition
		// that cannot be built, and the least variance below says so.
		free := *d
		free.V = maxVariance
		rules, err = s.Rules(ctx, &free)
	}
	if err != nil {
		return nil, err
	}
	least, err := s.varianceLeast(ctx, d)
	if err != nil {
		return nil, err
	}
	one := func(name string, v float64, more Direction) parameter {
		text, _ := json.Marshal(v)
		return parameter{name, string(text), []float64{v}, more}
	}
	law := parameter{"threshold", fmt.Sprintf("from %d by the law %v", rules.ThresholdMin, rules.Threshold), cumulative(rules), Weaker}
	return []parameter{
		law,
		one("share", rules.Share, Weaker), one("share below", float64(rules.ShareBelow), Stronger),
		one("record cap", float64(rules.RecordCap), Weaker), one("least variance of the noise", least, Stronger),
	}, nil
}

// maxVariance is a noise that no policy finds too little.
const maxVariance = 1e6

// cumulative returns, for each count up to the highest threshold, the probability that
// it is shown: a law under which each is shown more often is weaker.
func cumulative(r gateway.ReleaseRules) []float64 {
	shown := make([]float64, r.ThresholdMin+len(r.Threshold))
	sum := 0.0
	for i, p := range r.Threshold {
		sum += p
		shown[r.ThresholdMin+i] = sum
	}
	shown[len(shown)-1] = 1 // whatever the last bits say
	return shown
}

func (s *Set) varianceLeast(ctx context.Context, d *gateway.Definition) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, planDeadline)
	defer cancel()
	answer, err := evaluate(ctx, &s.rules, definitionInput(d))
	if err != nil {
		return 0, refused(err)
	}
	object, _ := answer.(map[string]any)
	n, ok := object["variance_least"].(json.Number)
	if !ok {
		return 0, invalid("policy: release.rules: variance_least is not a number")
	}
	return n.Float64()
}

// AtLeastAsStrict reports whether no count of children is shown more often under the
// thresholds of one release's rules than under those of another.
func AtLeastAsStrict(before, after gateway.ReleaseRules) bool {
	a, b := cumulative(before), cumulative(after)
	for i := range max(len(a), len(b)) {
		if at(b, i) > at(a, i)+1e-12 {
			return false
		}
	}
	return true
}
