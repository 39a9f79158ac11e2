package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// Effects are what a policy would change, as those who sign it read it. They sign the
// SHA-256 of its JSON.
type Effects struct {
	From    gateway.Revision  `json:"from"` // "" at the founding
	To      gateway.Revision  `json:"to"`
	Changes []policies.Change `json:"changes"` // weakest first
	Files   []string          `json:"files"`   // "changed rows/police.rego"
	Tests   TestCount         `json:"tests"`
	Replay  *Replay           `json:"replay,omitempty"` // none at the founding
}

// TestCount is what the policies' own tests say.
type TestCount struct {
	Passed   int     `json:"passed"`
	Coverage float64 `json:"coverage"` // percent of the lines
}

// A PolicyDraft is what somebody proposes: a bundle, or a revision that was in force
// before.
type PolicyDraft struct {
	Bundle   []byte           `json:"bundle,omitempty"`
	Revision gateway.Revision `json:"revision,omitempty"`
	Reason   string           `json:"reason"`
}

// The words of proposals, for callers that do not know the registry.
type (
	// A ProposalState is how far a proposal is.
	ProposalState = registry.ProposalState
	// A KeyAction is what is proposed for the key of an epoch.
	KeyAction = registry.KeyAction
	// An ErasureReason is why a child is to be erased.
	ErasureReason = registry.ErasureReason
)

// A Proposal is what is proposed, and who approved it.
type Proposal struct {
	ID        string                `json:"id"`
	Kind      registry.ProposalKind `json:"kind"`
	Object    string                `json:"object"` // of a policy: its revision
	Base      string                `json:"base"`   // what it would change
	State     ProposalState         `json:"state"`
	Reason    string                `json:"reason"`
	Proposer  string                `json:"proposer"`
	Created   time.Time             `json:"created"`
	Expires   time.Time             `json:"expires"`
	Missing   string                `json:"missing,omitempty"`
	Approvals []ProposalApproval    `json:"approvals"`
	Statement string                `json:"statement,omitempty"` // what is signed
	Effects   json.RawMessage       `json:"effects,omitempty"`   // byte for byte what its digest in the statement is of
}

// A ProposalApproval is one signature that was checked.
type ProposalApproval struct {
	Signer    string    `json:"signer"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
	Signature string    `json:"signature,omitempty"`
}

// ProposePolicy stores a policy with its effects, for two people with two roles to
// sign. It refuses one that does not compile, whose own tests fail, that goes below a
// floor, or that finds a contract in use unacceptable.
func (x *Exchange) ProposePolicy(ctx context.Context, caller gateway.Caller, d PolicyDraft) (Proposal, error) {
	if err := governs(caller); err != nil {
		return Proposal{}, err
	}
	if !x.judging.TryLock() {
		return Proposal{}, gateway.Errorf(gateway.Overloaded, "another proposal is being judged; try again in a moment")
	}
	defer x.judging.Unlock()
	base := x.Policies()
	set, err := x.drafted(ctx, d)
	if err != nil {
		return Proposal{}, err
	}
	if set.Revision() == base.Revision() {
		return Proposal{}, gateway.Errorf(gateway.Conflict, "revision %s is in force", set.Revision())
	}
	e, err := effectsOf(ctx, base, set, x.subject())
	if err != nil {
		return Proposal{}, err
	}
	e.Replay, err = x.replay(ctx, base, set)
	if err != nil {
		return Proposal{}, err
	}
	effects, err := e.encode()
	if err != nil {
		return Proposal{}, err
	}
	bundle, err := set.Bundle()
	if err != nil {
		return Proposal{}, err
	}
	p, err := x.Registry.Propose(ctx, registry.Draft{
		Kind: registry.PolicyChange, Object: string(set.Revision()), Digest: string(set.Revision()), Base: string(base.Revision()),
		Effects: effects, Content: bundle, By: caller, Reason: d.Reason,
	})
	return shownProposal(&p, true), err
}

// drafted compiles what is proposed: from its files, or from those of a revision that
// was in force once.
func (x *Exchange) drafted(ctx context.Context, d PolicyDraft) (*policies.Set, error) {
	if (len(d.Bundle) == 0) == (d.Revision == "") {
		return nil, gateway.Errorf(gateway.Invalid, "a proposal has a bundle, or names a revision that was in force before")
	}
	bundle := d.Bundle
	if d.Revision != "" {
		earlier, err := x.ofRevision(ctx, string(d.Revision), func(p *registry.Proposal) bool { return p.State == registry.Active })
		if err != nil {
			return nil, err
		}
		bundle = earlier.Content
	}
	return policies.CompileBundle(ctx, bytes.NewReader(bundle))
}

func (x *Exchange) subject() policies.Subject {
	return policies.Subject{Contracts: x.Options.Contracts, Definitions: x.Definitions, Actions: gateway.Actions()}
}

// effectsOf compares a set with what is in force and runs its tests. Comparing is first:
// a floor says more than the test of the rule that crossed it.
func effectsOf(ctx context.Context, base, set *policies.Set, about policies.Subject) (Effects, error) {
	changes, err := policies.Compare(ctx, base, set, about)
	if err != nil {
		return Effects{}, err
	}
	report, err := set.Test(ctx)
	if err != nil {
		return Effects{}, err
	}
	if !report.OK() {
		return Effects{}, gateway.Errorf(gateway.Invalid, "the policies' own tests fail: %s", failures(report))
	}
	e := Effects{To: set.Revision(), Changes: changes, Files: filesChanged(base, set), Tests: TestCount{report.Passed, report.Coverage}}
	if base != nil {
		e.From = base.Revision()
	}
	return e, nil
}

// encode returns the bytes whose SHA-256 is signed.
func (e *Effects) encode() ([]byte, error) {
	encoded, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding the effects: %w", err)
	}
	return encoded, nil
}

// failures names the first tests that failed.
func failures(r policies.TestReport) string {
	var all []string
	for _, f := range r.Files {
		for _, failure := range f.Failures {
			all = append(all, f.Name+" "+failure)
		}
	}
	switch {
	case len(all) == 0:
		return "there are none"
	case len(all) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], "; "), len(all)-3)
	}
	return strings.Join(all, "; ")
}

func filesChanged(base, set *policies.Set) []string {
	before := map[string]string{}
	if base != nil {
		for _, f := range base.Files() {
			before[f.Name] = f.Source
		}
	}
	changed := []string{}
	for _, f := range set.Files() {
		source, there := before[f.Name]
		switch {
		case !there:
			changed = append(changed, "added "+f.Name)
		case source != f.Source:
			changed = append(changed, "changed "+f.Name)
		}
		delete(before, f.Name)
	}
	for name := range before {
		changed = append(changed, "removed "+name)
	}
	slices.Sort(changed)
	return changed
}

// Founding prepares the first policy and the first file of signers of an installation.
// The same policies, signers, contracts and definitions make the same founding.
func Founding(
	ctx context.Context, set *policies.Set, signers *approval.Signers, contracts []*gateway.Contract, definitions map[string]*gateway.Definition,
) (registry.Founding, error) {
	e, err := effectsOf(ctx, nil, set, policies.Subject{Contracts: contracts, Definitions: definitions, Actions: gateway.Actions()})
	if err != nil {
		return registry.Founding{}, err
	}
	effects, err := e.encode()
	if err != nil {
		return registry.Founding{}, err
	}
	bundle, err := set.Bundle()
	return registry.Founding{Signers: signers, Revision: set.Revision(), Content: bundle, Effects: effects}, err
}

// ProposeSigners stores a file of who may sign, for two of those who may sign now.
func (x *Exchange) ProposeSigners(ctx context.Context, caller gateway.Caller, text []byte, reason string) (Proposal, error) {
	if err := governs(caller); err != nil {
		return Proposal{}, err
	}
	next, err := approval.ParseSigners(text)
	if err != nil {
		return Proposal{}, err
	}
	now, err := x.Registry.Signers(ctx)
	if err != nil {
		return Proposal{}, err
	}
	if now.Digest() == next.Digest() {
		return Proposal{}, gateway.Errorf(gateway.Conflict, "this file of signers is in force")
	}
	effects, err := json.Marshal(map[string]any{"changes": rosterChanges(now, next)})
	if err != nil {
		return Proposal{}, fmt.Errorf("encoding the effects: %w", err)
	}
	p, err := x.Registry.Propose(ctx, registry.Draft{
		Kind: registry.SignersChange, Object: next.Digest(), Digest: next.Digest(), Base: now.Digest(),
		Effects: effects, Content: next.Text(), By: caller, Reason: reason,
	})
	return shownProposal(&p, true), err
}

// rosterChanges says which lines of a file of signers come and go. One that comes lets
// somebody sign who could not: that is what to look at.
func rosterChanges(now, next *approval.Signers) []policies.Change {
	var changes []policies.Change
	before, after := strings.Split(strings.TrimSpace(string(now.Encode())), "\n"), strings.Split(strings.TrimSpace(string(next.Encode())), "\n")
	for _, line := range after {
		if !slices.Contains(before, line) {
			changes = append(changes, policies.Change{What: "signer", Before: "may not sign", After: line, Direction: policies.Weaker})
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			changes = append(changes, policies.Change{What: "signer", Before: line, After: "may not sign", Direction: policies.Stronger})
		}
	}
	return changes
}

// SignersInForce returns the file of who may sign.
func (x *Exchange) SignersInForce(ctx context.Context, caller gateway.Caller) ([]byte, error) {
	if err := governs(caller); err != nil {
		return nil, err
	}
	s, err := x.Registry.Signers(ctx)
	if err != nil {
		return nil, err
	}
	return s.Text(), nil
}

// Proposals lists what was proposed, the newest first, without effects.
func (x *Exchange) Proposals(ctx context.Context, caller gateway.Caller) ([]Proposal, error) {
	if err := governs(caller); err != nil {
		return nil, err
	}
	list := []Proposal{}
	for _, kind := range []registry.ProposalKind{registry.PolicyChange, registry.SignersChange, registry.KeyChange, registry.ErasureChange} {
		some, err := x.Registry.Proposals(ctx, kind)
		if err != nil {
			return nil, err
		}
		for i := range some {
			list = append(list, shownProposal(&some[i], false))
		}
	}
	slices.SortStableFunc(list, func(a, b Proposal) int { return b.Created.Compare(a.Created) })
	return list, nil
}

// Proposal returns a proposal by its id, or the newest of a revision by at least eight
// of its first characters.
func (x *Exchange) Proposal(ctx context.Context, caller gateway.Caller, ref string) (Proposal, error) {
	if err := governs(caller); err != nil {
		return Proposal{}, err
	}
	p, err := x.proposal(ctx, ref)
	return shownProposal(&p, true), err
}

// ProposalBundle returns what a proposal would put in force, as one file.
func (x *Exchange) ProposalBundle(ctx context.Context, caller gateway.Caller, ref string) ([]byte, error) {
	if err := governs(caller); err != nil {
		return nil, err
	}
	p, err := x.proposal(ctx, ref)
	if err == nil && p.Kind == registry.ErasureChange {
		return nil, unknown() // what it holds is a child's, sealed
	}
	return p.Content, err
}

// minPrefix is how much of a revision names it.
const minPrefix = 8

func (x *Exchange) proposal(ctx context.Context, ref string) (registry.Proposal, error) {
	p, err := x.Registry.Proposal(ctx, ref)
	if !errors.Is(err, gateway.NotFound) || len(ref) < minPrefix {
		return p, err
	}
	return x.ofRevision(ctx, ref, func(*registry.Proposal) bool { return true })
}

// ofRevision returns the newest proposal of a revision that is one of those meant.
func (x *Exchange) ofRevision(ctx context.Context, prefix string, meant func(*registry.Proposal) bool) (registry.Proposal, error) {
	all, err := x.Registry.Proposals(ctx, registry.PolicyChange)
	if err != nil {
		return registry.Proposal{}, err
	}
	for i := range all { // the newest first
		if len(prefix) >= minPrefix && strings.HasPrefix(all[i].Object, prefix) && meant(&all[i]) {
			return all[i], nil
		}
	}
	return registry.Proposal{}, gateway.Errorf(gateway.NotFound, "there is no such proposal, and no such revision was in force")
}

// ApproveProposal brings one signature of a proposal. The last one that was missing puts it in
// force: requests that began before end under the policies they began with.
func (x *Exchange) ApproveProposal(ctx context.Context, caller gateway.Caller, ref string, signature []byte, reason string) (Proposal, error) {
	if err := governs(caller); err != nil {
		return Proposal{}, err
	}
	if err := x.evidenced(); err != nil {
		return Proposal{}, err
	}
	p, err := x.proposal(ctx, ref)
	if err != nil {
		return Proposal{}, err
	}
	if p.Kind == registry.PolicyChange {
		// What cannot be loaded must not come in force: the registry would say one thing
		// and every gateway do another.
		_, err = x.compile(ctx, p.Content, gateway.Revision(p.Digest))
		if err != nil {
			return Proposal{}, err
		}
	}
	p, err = x.Registry.Approve(ctx, p.ID, signature, caller, reason)
	if err != nil {
		return Proposal{}, err
	}
	// It has taken effect, whatever follows: who hears of an error signs again, or proposes
	// again. Run loads what could not be loaded now, and says so until it can.
	err = x.keepUp(ctx)
	if err != nil {
		x.Log.LogAttrs(ctx, slog.LevelError, "policies in force not loaded", attrError(err))
	}
	return shownProposal(&p, true), nil
}

// RejectProposal ends a proposal, signed or not.
func (x *Exchange) RejectProposal(ctx context.Context, caller gateway.Caller, ref, reason string) (Proposal, error) {
	if err := governs(caller); err != nil {
		return Proposal{}, err
	}
	p, err := x.proposal(ctx, ref)
	if err != nil {
		return Proposal{}, err
	}
	p, err = x.Registry.Reject(ctx, p.ID, caller, reason)
	return shownProposal(&p, true), err
}

func shownProposal(p *registry.Proposal, whole bool) Proposal {
	shown := Proposal{
		ID: p.ID, Kind: p.Kind, Object: p.Object, Base: p.Base, State: p.State, Reason: p.Reason, Proposer: p.By.Subject,
		Created: p.Created, Expires: p.Expires, Approvals: []ProposalApproval{},
	}
	if p.State == registry.Proposed {
		shown.Missing = p.Missing()
	}
	if whole {
		shown.Statement, shown.Effects = string(p.Statement), p.Effects
	}
	for _, a := range p.Approvals {
		one := ProposalApproval{Signer: a.String(), Reason: a.Reason, At: a.At}
		if whole {
			one.Signature = string(a.Signature)
		}
		shown.Approvals = append(shown.Approvals, one)
	}
	return shown
}
