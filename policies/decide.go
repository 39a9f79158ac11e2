package policies

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// Decide returns whether a caller may do something, for a purpose where the
// action has one, to a release where it has one. Policies see the caller's role
// and granted purposes, the action, the purpose and the release's state; whose
// batch or key it is, the gateway compares itself.
//
// A policy that gives no answer, several, one that cannot be read, or none in
// time, denies. The Grant is then a denial that may be recorded, and the error
// says for the log why the policy did not decide.
func (s *Set) Decide(ctx context.Context, caller gateway.Caller, act gateway.ActionName, purpose gateway.Purpose, release *gateway.Release) (gateway.Grant, error) {
	input := decisionInput(caller, act, purpose, release)
	key, err := json.Marshal(input)
	if err != nil {
		return s.deny("The request cannot be put to the policy."), err
	}
	if cached, ok := s.decisions.Load(string(key)); ok {
		return cached.(func() (gateway.Grant, error))()
	}
	lasting := context.WithoutCancel(ctx)
	decide := sync.OnceValues(func() (gateway.Grant, error) {
		ctx, cancel := context.WithTimeout(lasting, decisionDeadline)
		defer cancel()
		return s.makeDecision(ctx, input)
	})
	// A purpose that was not granted is whatever the caller wrote: remembering it
	// would let a caller fill the memory.
	asked := purpose == "" || slices.Contains(caller.Purposes, purpose)
	if asked && s.decided.Load() < maxDecisions {
		cached, loaded := s.decisions.LoadOrStore(string(key), decide)
		if !loaded {
			s.decided.Add(1)
		}
		decide = cached.(func() (gateway.Grant, error))
	}
	grant, err := decide()
	if err != nil && outOfTime(err) {
		if _, found := s.decisions.LoadAndDelete(string(key)); found {
			s.decided.Add(-1)
		}
	}
	return grant, err
}

func decisionInput(caller gateway.Caller, act gateway.ActionName, purpose gateway.Purpose, release *gateway.Release) map[string]any {
	purposes := make([]string, 0, len(caller.Purposes))
	for _, p := range caller.Purposes {
		purposes = append(purposes, string(p))
	}
	slices.Sort(purposes)
	input := map[string]any{
		"role": string(caller.Role), "action": string(act), "purpose": string(purpose), "purposes": slices.Compact(purposes),
	}
	if release != nil {
		input["release"] = map[string]any{"state": string(release.State)}
	}
	return input
}

// noDecision is the reason where a policy gave none.
const noDecision = "The policy did not decide, which denies."

func (s *Set) makeDecision(ctx context.Context, input map[string]any) (gateway.Grant, error) {
	answer, err := evaluate(ctx, &s.decision, input)
	if err != nil {
		return s.deny(noDecision), undecided(err)
	}
	return s.granted(answer)
}

// granted reads a decision, and denies where it cannot be read.
func (s *Set) granted(answer any) (gateway.Grant, error) {
	var d struct {
		Allow         *bool
		Rule, Because string
	}
	if err := strict("access.decision", answer, &d, "allow", "rule", "because"); err != nil {
		return s.deny(noDecision), undecided(err)
	}
	because := strings.Join(strings.Fields(d.Because), " ")
	if d.Allow == nil || d.Rule == "" || because == "" || len(d.Rule)+len(because) > maxText {
		return s.deny(noDecision), undecided(errors.New("policy: access.decision does not say whether, by which rule and why"))
	}
	return gateway.Grant{Allow: *d.Allow, Because: because, Rule: d.Rule, Revision: s.revision}, nil
}

// undecided is the system's fault, whatever the policy did wrong: who asked is told
// no more than that.
func undecided(err error) error {
	if outOfTime(err) {
		return refused(err)
	}
	return &gateway.Error{Kind: gateway.Internal, Err: errors.New(err.Error())}
}

func (s *Set) deny(why string) gateway.Grant {
	return gateway.Grant{Because: why, Rule: "access", Revision: s.revision}
}
