package registry

import (
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
)

// approveKeys brings a person's signature of a proposal about keys.
func (c *council) approveKeys(p Proposal, principal string) error {
	c.tb.Helper()
	_, err := c.Approve(c.tb.Context(), p.ID, c.signFor(approval.Keys, principal, p.Statement), caller(principal), "read")
	return err
}

// Keys are rotated and destroyed when two people with two roles have signed just that,
// for the namespace of keys, and no other way; a proposal is used once (trust.md 5.1, B77).
func TestTwoPeopleChangeKeys(t *testing.T) {
	c, ctx := newCouncil(t), t.Context()
	operator := caller("operator/oraz")
	if err := c.Seal(ctx, 1, "kcv-1"); err != nil {
		t.Fatal(err)
	}
	if err := c.AddEpoch(ctx, operator.Key, 2, "kcv-2"); err != nil {
		t.Fatal(err)
	}
	begin := func(proposal string) error {
		_, err := c.BeginRotation(ctx, operator.Key, proposal)
		return err
	}
	propose := func(action KeyAction, epoch int) Proposal {
		t.Helper()
		p, err := c.ProposeKeys(ctx, operator, action, epoch, "because")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	_, err := c.ProposeKeys(ctx, operator, RotateKeys, 1, "because")
	wantKind(t, err, gateway.Conflict)
	_, err = c.ProposeKeys(ctx, operator, DestroyKey, 1, "because")
	wantKind(t, err, gateway.Conflict)
	wantKind(t, begin(""), gateway.Forbidden)
	p := propose(RotateKeys, 2)
	wantKind(t, begin(p.ID), gateway.Conflict)
	_, err = c.approve(p, "officer/aigul") // for the namespace of policies
	wantKind(t, err, gateway.Forbidden)
	if err := c.approveKeys(p, "officer/aigul"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.approveKeys(p, "officer/aigul"), gateway.Conflict)
	if err := c.approveKeys(p, "officer/bolat"); err != nil { // of the same role
		t.Fatal(err)
	}
	wantKind(t, begin(p.ID), gateway.Conflict)
	if err := c.approveKeys(p, "operator/oraz"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.DoomEpoch(ctx, operator.Key, 2, p.ID), gateway.Conflict) // signed for something else
	rot, err := c.BeginRotation(ctx, operator.Key, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, begin(p.ID), gateway.Conflict)
	if err := c.FinishRotation(ctx, rot); err != nil {
		t.Fatal(err)
	}
	wantKind(t, begin(p.ID), gateway.Conflict)

	wantKind(t, c.DoomEpoch(ctx, operator.Key, 1, ""), gateway.Forbidden)
	p = propose(DestroyKey, 1)
	for _, who := range []string{"officer/bolat", "steward/saule"} {
		if err := c.approveKeys(p, who); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DoomEpoch(ctx, operator.Key, 1, p.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.DestroyedEpoch(ctx, operator.Key, 1); err != nil {
		t.Fatal(err)
	}
	now, err := c.Active(ctx)
	if err != nil || now.Epoch != 2 {
		t.Fatalf("in force: %+v, %v", now, err)
	}
	if _, err := c.Verify(ctx); err != nil {
		t.Fatal(err)
	}
}

// A recovery seals the keyring for those who were signed, and for nobody else.
func TestRecoveryNamesItsCustodians(t *testing.T) {
	c := newCouncil(t)
	ctx, operator := t.Context(), caller("operator/oraz")
	if err := c.Seal(ctx, 1, "kcv-1"); err != nil {
		t.Fatal(err)
	}
	p, err := c.ProposeRecovery(ctx, operator, 1, "age1officer", "because")
	if err != nil || !strings.Contains(string(p.Effects), "age1officer") {
		t.Fatalf("signers read %s, %v", p.Effects, err)
	}
	for _, who := range []string{"officer/bolat", "operator/oraz"} {
		if err := c.approveKeys(p, who); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"", "age1somebody"} {
		wantKind(t, c.AuthoriseRecovery(ctx, "owner", p.ID, other), gateway.Conflict)
	}
	if err := c.AuthoriseRecovery(ctx, "owner", p.ID, "age1officer"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, c.AuthoriseRecovery(ctx, "owner", p.ID, "age1officer"), gateway.Conflict)
}
