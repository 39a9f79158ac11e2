package policies

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"

	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/pana-exchange/pana/gateway"
)

type planKey struct {
	contract gateway.ContractID
	version  int
}

// A planEntry is the one evaluation of a contract's version. fingerprint tells
// whether another value of the contract is the same contract.
type planEntry struct {
	contract    *gateway.Contract
	fingerprint [sha256.Size]byte
	plan        func() (gateway.Plan, error)
}

// Plan returns what the policies decide about a contract: what is done to each
// field, and which rows are refused. It is evaluated once for each version of a
// contract; the caller must not modify what it gets. A policy at fault is Invalid,
// with a Detail that names the field or line and, where a floor is crossed, the
// floor; one that ran out of time is Overloaded. A version that comes back with
// other content is Conflict.
func (s *Set) Plan(ctx context.Context, c *gateway.Contract) (gateway.Plan, error) {
	key := planKey{c.ID, c.Version}
	if found, ok := s.plans.Load(key); ok {
		if entry := found.(*planEntry); entry.contract == c {
			return s.await(key, entry)
		}
	}
	fingerprint, err := fingerprintOf(c)
	if err != nil {
		return gateway.Plan{}, err
	}
	// The first caller computes for all, so its hanging up must not fail the others.
	lasting := context.WithoutCancel(ctx)
	entry := &planEntry{c, fingerprint, sync.OnceValues(func() (gateway.Plan, error) {
		ctx, cancel := context.WithTimeout(lasting, planDeadline)
		defer cancel()
		return s.makePlan(ctx, c)
	})}
	found, _ := s.plans.LoadOrStore(key, entry)
	entry = found.(*planEntry)
	if entry.fingerprint != fingerprint {
		return gateway.Plan{}, gateway.Errorf(gateway.Conflict, "contract %s: version %d was asked with other content before", c.ID, c.Version)
	}
	return s.await(key, entry)
}

// await returns the entry's plan. An evaluation that ran out of time says nothing
// about the policy, so it is not kept.
func (s *Set) await(key planKey, entry *planEntry) (gateway.Plan, error) {
	plan, err := entry.plan()
	if err != nil && outOfTime(err) {
		s.plans.CompareAndDelete(key, entry)
	}
	return plan, err
}

func outOfTime(err error) bool {
	return topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded)
}

// makePlan evaluates, decodes and compiles.
func (s *Set) makePlan(ctx context.Context, c *gateway.Contract) (gateway.Plan, error) {
	answer, err := evaluate(ctx, &s.plan, contractInput(c))
	if err != nil {
		return gateway.Plan{}, refused(err)
	}
	plan, err := decodePlan(c, answer)
	if err != nil {
		return gateway.Plan{}, err
	}
	plan.Revision = s.revision
	plan.Refuse, err = s.rowRules(ctx, c)
	return plan, err
}

// fingerprintOf hashes everything about a contract that policies and row rules
// depend on: its fields and the codes of its lists.
func fingerprintOf(c *gateway.Contract) ([sha256.Size]byte, error) {
	codes := map[string][]string{}
	for i := range c.Fields {
		if l := c.Fields[i].List; l != nil {
			for _, code := range l.Codes {
				codes[string(c.Fields[i].Name)] = append(codes[string(c.Fields[i].Name)], code.Code)
			}
		}
	}
	text, err := json.Marshal([]any{contractInput(c), codes})
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(text), nil
}

// Violations returns why a contract must not be used, sorted; none means that it
// may be. A policy that gives no answer is an error, and the contract must not be
// used then either.
func (s *Set) Violations(ctx context.Context, c *gateway.Contract) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, planDeadline)
	defer cancel()
	answer, err := evaluate(ctx, &s.violations, contractInput(c))
	if err != nil {
		return nil, refused(err)
	}
	return decodeTexts("contract.violations", answer)
}

// Rules returns the disclosure parameters of a release, decided for its
// definition. They are pinned in the release when it is built. It reports Invalid
// for a definition whose noise is below what policy or a floor demands.
func (s *Set) Rules(ctx context.Context, d *gateway.Definition) (gateway.ReleaseRules, error) {
	ctx, cancel := context.WithTimeout(ctx, planDeadline)
	defer cancel()
	answer, err := evaluate(ctx, &s.rules, definitionInput(d))
	if err != nil {
		return gateway.ReleaseRules{}, refused(err)
	}
	rules, err := decodeRules(d, answer)
	rules.Revision = s.revision
	return rules, err
}
