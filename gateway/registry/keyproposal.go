package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// KeyChange is a rotation to a new outer key of pids, the destruction of one, or a
// recovery of the keyring: two people with two roles sign it, and the operator carries it
// out later (trust.md 5.1).
const KeyChange ProposalKind = "keys"

// A KeyAction is what is done to keys.
type KeyAction string

// The actions that need two signatures.
const (
	RotateKeys  KeyAction = "rotate"
	DestroyKey  KeyAction = "destroy"
	RecoverKeys KeyAction = "recover" // open the copy for recovery, and seal the keyring anew
)

// keyProposalLife is shorter than that of other proposals: what was signed is to be done.
const keyProposalLife = 7 * 24 * time.Hour

// A keyContent is what would be done.
type keyContent struct {
	Action KeyAction `json:"action"`
	Epoch  int       `json:"epoch"`
	KCV    string    `json:"check_value"`
	// Officer is for whom a recovery seals the keyring beside the operator; "" for nobody.
	Officer string `json:"officer,omitempty"`
}

// object names it: "rotate-epoch-2".
func (k keyContent) object() string { return fmt.Sprintf("%s-epoch-%d", k.Action, k.Epoch) }

// keysInForce names the state of all keys that are not destroyed: whatever changes it
// ends the proposals that were made before.
func keysInForce(ctx context.Context, from querier) (string, error) {
	all, err := keyEpochs(ctx, from)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range all {
		if e.State != KeyDestroyed {
			_, _ = fmt.Fprintf(&b, "%d %s %s\n", e.Epoch, e.State, e.KCV)
		}
	}
	return approval.Of([]byte(b.String())), nil
}

// ProposeKeys stores a proposal about the key of an epoch, for two people to sign.
func (r *Registry) ProposeKeys(ctx context.Context, by gateway.Caller, action KeyAction, epoch int, reason string) (Proposal, error) {
	return r.proposeKeys(ctx, by, keyContent{Action: action, Epoch: epoch}, reason)
}

// ProposeRecovery stores a proposal of a recovery that seals the keyring for a new
// operator's identity and the officer's age recipient; "" is the operator's alone. Who
// will hold the keys is part of what is signed.
func (r *Registry) ProposeRecovery(ctx context.Context, by gateway.Caller, epoch int, officer, reason string) (Proposal, error) {
	return r.proposeKeys(ctx, by, keyContent{Action: RecoverKeys, Epoch: epoch, Officer: officer}, reason)
}

func (r *Registry) proposeKeys(ctx context.Context, by gateway.Caller, content keyContent, reason string) (Proposal, error) {
	action, epoch := content.Action, content.Epoch
	all, err := r.KeyEpochs(ctx)
	if err != nil {
		return Proposal{}, err
	}
	state := KeyState("")
	for _, e := range all {
		if e.Epoch == epoch {
			content.KCV, state = e.KCV, e.State
		}
	}
	switch {
	case action == RotateKeys && state == KeyPending, action == RecoverKeys && state == KeyActive,
		action == DestroyKey && (state == KeyRetired || state == KeyPending):
	case state == "":
		return Proposal{}, gateway.Errorf(gateway.NotFound, "there is no key of epoch %d", epoch)
	default:
		return Proposal{}, gateway.Errorf(gateway.Conflict, "the key of epoch %d is %s; rotate to a pending one, destroy a retired or pending one", epoch, state)
	}
	text, err := json.Marshal(content)
	if err != nil {
		return Proposal{}, internal("encoding a proposal", err)
	}
	base, err := keysInForce(ctx, r.read)
	if err != nil {
		return Proposal{}, err
	}
	effects, err := json.Marshal(map[string]any{"changes": []map[string]string{{
		"what": "key of epoch " + fmt.Sprint(epoch) + ", check value " + content.KCV, "before": string(state), "after": content.outcome(),
	}}})
	if err != nil {
		return Proposal{}, internal("encoding a proposal", err)
	}
	return r.Propose(ctx, Draft{
		Kind: KeyChange, Object: content.object(), Digest: approval.Of(text), Base: base,
		Effects: effects, Content: text, By: by, Reason: reason, Life: keyProposalLife,
	})
}

func (k keyContent) outcome() string {
	switch {
	case k.Action != RecoverKeys:
		return keyOutcomes[k.Action]
	case k.Officer == "":
		return keyOutcomes[k.Action] + ": the operator alone"
	}
	return keyOutcomes[k.Action] + ": the operator and " + k.Officer
}

var keyOutcomes = map[KeyAction]string{
	RotateKeys:  "in force: every stored pid is moved to it, and the key that is in force now is retired",
	DestroyKey:  "destroyed: what only it links is severed for ever, also in backups of the rows",
	RecoverKeys: "in force: the copy for recovery is opened, and the keyring sealed for new custodians",
}

// authorise takes the approved proposal of what is about to be done, in the transaction
// that does it. Before a founding there is nobody who could sign.
func (c *change) authorise(ctx context.Context, action KeyAction, epoch int, proposal string) error {
	if proposal == "" {
		_, err := newest(ctx, c, PolicyChange)
		if Unfounded(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return gateway.Errorf(gateway.Forbidden,
			"it takes a proposal that two people with two roles have signed: pana keys propose %s --epoch %d", action, epoch)
	}
	p, err := c.enact(ctx, KeyChange, proposal)
	if err != nil {
		return err
	}
	want := keyContent{Action: action, Epoch: epoch}
	if p.Object != want.object() {
		return gateway.Errorf(gateway.Conflict, "proposal %s is to %s, and not to %s", p.ID, p.Object, want.object())
	}
	return nil
}

// AuthoriseRecovery takes the approved proposal of a recovery, and logs that it is
// carried out. It reports Conflict where other custodians were signed than the officer.
func (r *Registry) AuthoriseRecovery(ctx context.Context, actor, proposal, officer string) error {
	return r.change(ctx, func(ctx context.Context, c *change) error {
		now, err := active(ctx, c)
		if err != nil {
			return err
		}
		if err := c.authorise(ctx, RecoverKeys, now.Epoch, proposal); err != nil {
			return err
		}
		if err := c.sameCustodians(ctx, keyContent{RecoverKeys, now.Epoch, now.KCV, officer}, proposal); err != nil {
			return err
		}
		return c.logKey(ctx, ledger.KeyUse, actor, now.Epoch, ledger.Done, map[string]any{"recovery": true, "proposal": proposal, "kcv": now.KCV})
	})
}

// sameCustodians holds a recovery against the digest that was signed.
func (c *change) sameCustodians(ctx context.Context, want keyContent, proposal string) error {
	if proposal == "" {
		return nil
	}
	p, err := oneProposal(ctx, c, proposal)
	if err != nil {
		return err
	}
	text, err := json.Marshal(want)
	if err != nil {
		return internal("encoding a proposal", err)
	}
	if approval.Of(text) != p.Digest {
		return gateway.Errorf(gateway.Conflict, "proposal %s is to seal the keyring for other custodians; give the --officer that was signed", proposal)
	}
	return nil
}
