package policies

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
)

// A Reading is what a policy set does with one contract and why, for people.
type Reading struct {
	Contract gateway.ContractID `json:"contract"`
	Version  int                `json:"version"`
	Revision gateway.Revision   `json:"policy"`
	Fields   []FieldReading     `json:"fields"` // in the order of the contract
	Rows     []RowReading       `json:"refuses_rows"`
	Access   []AccessReading    `json:"access"` // who may do what; what is not here is denied
}

// A FieldReading is what is done to one field, and the rule that decided it.
type FieldReading struct {
	Field   gateway.FieldName `json:"field"`
	Class   string            `json:"class"`
	Do      string            `json:"do"`
	Domain  string            `json:"domain,omitempty"`
	Names   string            `json:"by_names_in,omitempty"` // domain of the fallback key
	Keep    int               `json:"characters,omitempty"`
	Cuts    []int             `json:"bands_from,omitempty"`
	Day     bool              `json:"quarter_and_shifted_day,omitempty"`
	Because string            `json:"because,omitempty"`
	Rule    Fired             `json:"rule"`
}

// Done writes down what is done to the field, with its parameters.
func (f FieldReading) Done() string {
	text := f.Do
	if f.Domain != "" {
		text += " in the domain " + f.Domain
	}
	if f.Names != "" {
		text += ", by names in the domain " + f.Names + " where there is none"
	}
	if f.Keep > 0 {
		text += fmt.Sprintf(" to %d characters", f.Keep)
	}
	if len(f.Cuts) > 0 {
		text += " to the bands from " + strings.Trim(fmt.Sprint(f.Cuts), "[]")
	}
	if f.Day {
		text += " to a quarter and a shifted day"
	}
	return text
}

// A RowReading is a code that refuses rows: the condition as it is obeyed, and the
// rules that make it.
type RowReading struct {
	Code  gateway.ProblemCode `json:"code"`
	When  string              `json:"when"`
	Rules []Fired             `json:"rules"`
}

// An AccessReading is one thing that a role may do.
type AccessReading struct {
	Role    gateway.Role       `json:"role"`
	Action  gateway.ActionName `json:"action"`
	When    string             `json:"when"` // "always", or the states of the release
	Because string             `json:"because"`
	Rules   []Fired            `json:"rules"`
}

// Read returns what the set does with a contract and why. It is what [Set.Plan] and
// [Set.Decide] obey, with the rules that held while OPA answered.
func (s *Set) Read(ctx context.Context, c *gateway.Contract) (Reading, error) {
	plan, err := s.Plan(ctx, c)
	if err != nil {
		return Reading{}, err
	}
	reading := Reading{Contract: c.ID, Version: c.Version, Revision: s.revision, Rows: s.readRows(c.ID, plan.Refuse)}
	for i, f := range plan.Fields {
		field := FieldReading{
			Field: f.Field, Class: c.Fields[i].Class, Do: f.Do.String(), Domain: f.Domain, Names: f.Fallback, Keep: f.Keep, Cuts: f.Cuts, Day: f.Day,
			Because: plan.Because[i],
		}
		field.Rule, err = s.decidedBy(ctx, c, i, plan.Because[i])
		if err != nil {
			return Reading{}, err
		}
		reading.Fields = append(reading.Fields, field)
	}
	reading.Access, err = s.readAccess(ctx)
	return reading, err
}

// decidedBy finds the rule that decided about a field: the question is asked with this
// field alone, so that rules of others are silent. It is the rule whose words are the
// reason, or else the last before the entrypoint.
func (s *Set) decidedBy(ctx context.Context, c *gateway.Contract, i int, because string) (Fired, error) {
	alone := *c
	alone.Fields = c.Fields[i : i+1]
	ctx, cancel := context.WithTimeout(ctx, planDeadline)
	defer cancel()
	_, fired, err := s.trace(ctx, &s.plan, contractInput(&alone))
	if err != nil {
		return Fired{}, refused(err)
	}
	if at := slices.IndexFunc(fired, func(f Fired) bool { return f.Description != "" && f.Description == joined(because) }); at >= 0 {
		return fired[at], nil
	}
	fired = slices.DeleteFunc(fired, func(f Fired) bool { return strings.HasPrefix(f.Rule, "ingest.plan") })
	if len(fired) == 0 {
		return Fired{Rule: "ingest.plan"}, nil // it rests on the other fields too
	}
	return fired[len(fired)-1], nil
}

func (s *Set) readRows(id gateway.ContractID, refuse []gateway.RowRule) []RowReading {
	rows := make([]RowReading, 0, len(refuse))
	for _, rule := range refuse {
		rows = append(rows, RowReading{Code: rule.Code, When: written(rule.When), Rules: s.defined("rows."+string(id), refuseCode(rule.Code))})
	}
	return rows
}

func refuseCode(code gateway.ProblemCode) string { return fmt.Sprintf("%s contains %q", refuse, code) }

// defined finds the definitions of a rule of a package.
func (s *Set) defined(pkg, head string) []Fired {
	var found []Fired
	for _, src := range s.sources {
		m := s.modules[src.name]
		if m == nil || m.Package.Path.String() != "data."+pkg {
			continue
		}
		for _, r := range m.Rules {
			if headOf(r) == head {
				found = append(found, s.fired(r))
			}
		}
	}
	return found
}

func (s *Set) readAccess(ctx context.Context) ([]AccessReading, error) {
	var all []AccessReading
	for _, role := range accessRoles {
		for _, act := range gateway.Actions() {
			cases, because := s.reach(ctx, role, act)
			if len(cases) == 0 {
				continue
			}
			rules, err := s.allowedBy(ctx, role, act, because)
			if err != nil {
				return nil, err
			}
			all = append(all, AccessReading{role, act, states(cases), because, rules})
		}
	}
	return all, ctx.Err()
}

// allowedBy finds the rules that allow something in any state of a release.
func (s *Set) allowedBy(ctx context.Context, role gateway.Role, act gateway.ActionName, because string) ([]Fired, error) {
	const granted gateway.Purpose = "granted"
	var rules []Fired
	for _, state := range releaseStates {
		var release *gateway.Release
		if state != "" {
			release = &gateway.Release{State: state}
		}
		input := decisionInput(gateway.Caller{Role: role, Purposes: []gateway.Purpose{granted}}, act, granted, release)
		_, fired, err := s.trace(ctx, &s.decision, input)
		if err != nil {
			return nil, undecided(err)
		}
		for _, f := range fired {
			if f.Description == because && !slices.Contains(rules, f) {
				rules = append(rules, f)
			}
		}
	}
	return rules, nil
}

// states writes the cases in which something is allowed by the state of the release.
// Where the purpose does not matter, it is not mentioned.
func states(cases []string) string {
	if len(cases) == 3*len(releaseStates) {
		return "always"
	}
	var said []string
	for _, state := range releaseStates {
		where := "without a release"
		if state != "" {
			where = "release " + string(state)
		}
		granted, other, none := slices.Contains(cases, where), slices.Contains(cases, where+foreignPurpose), slices.Contains(cases, where+withoutPurpose)
		switch {
		case granted && other && none:
			said = append(said, where)
		case granted && !other && !none:
			said = append(said, where+", for a purpose of the key's grant")
		case granted || other || none:
			said = append(said, slices.DeleteFunc(slices.Clone(cases), func(c string) bool { return !strings.HasPrefix(c, where) })...)
		}
	}
	return strings.Join(said, "; ")
}
