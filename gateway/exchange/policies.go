package exchange

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// load puts the policies in force that the registry says are, after everything about
// them was checked again: their signatures and leaves by the registry, their files
// against the revision that was signed, and that they can be obeyed. Whatever fails,
// those that were in force stay so (trust.md 5.5).
func (x *Exchange) load(ctx context.Context) error {
	x.loading.Lock() // or of two at once the one that read first might store last
	defer x.loading.Unlock()
	in, err := x.Registry.PolicyInForce(ctx)
	if err != nil {
		return err
	}
	set, err := x.compile(ctx, in.Content, in.Revision)
	if err != nil {
		return fmt.Errorf("loading the policies in force: %w", err)
	}
	in.Content = nil // the set has it
	x.signed.Store(&in)
	x.inForce.Store(set)
	return nil
}

// compile reads the bundle of a revision, and refuses one of another and one that
// cannot be obeyed.
func (x *Exchange) compile(ctx context.Context, bundle []byte, revision gateway.Revision) (*policies.Set, error) {
	set, err := policies.CompileBundle(ctx, bytes.NewReader(bundle))
	if err != nil {
		return nil, err
	}
	if set.Revision() != revision {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("%w: the policy files are not those that were signed", registry.ErrEvidence)}
	}
	for _, c := range x.Options.Contracts {
		if err := x.admit(ctx, set, c); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// keepUp loads the policies in force when they are not those that are loaded: another
// gateway of the same registry may have put them in force.
func (x *Exchange) keepUp(ctx context.Context) error {
	revision, err := x.Registry.Revision(ctx)
	if err != nil || revision == x.Policies().Revision() {
		return err
	}
	if err := x.load(ctx); err != nil {
		return err
	}
	x.Log.LogAttrs(ctx, slog.LevelInfo, "policies", slog.String("revision", string(x.Policies().Revision())))
	return nil
}

// Notice says who put the policies in force, as every answer does.
func (x *Exchange) Notice() string {
	in := x.signed.Load()
	var signers []string
	for _, s := range in.Proposal.Signers() {
		signers = append(signers, s.String())
	}
	slices.Sort(signers)
	return fmt.Sprintf("the policies in force were signed by %s and came in force on %s",
		strings.Join(signers, " and "), in.Since.Format("2006-01-02"))
}

// governs reports who may read, propose, approve and reject policies: the three roles
// that may sign. It is not asked of the policies, because one that denied it could
// never be changed again.
func governs(caller gateway.Caller) error {
	switch caller.Role {
	case gateway.RoleOfficer, gateway.RoleOperator, gateway.RoleSteward:
		return nil
	case gateway.RoleAgency, gateway.RoleResearcher:
	}
	return unknown()
}

// Governs reports whether the caller may try to change what is in force, before
// anything of the request is looked at: NotFound when not.
func (x *Exchange) Governs(caller gateway.Caller) error { return governs(caller) }
