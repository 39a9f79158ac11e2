package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/policies"
)

// Authenticate returns who holds an API key.
func (x *Exchange) Authenticate(ctx context.Context, token string) (gateway.Caller, error) {
	return x.Registry.Authenticate(ctx, token)
}

// InForce describes the policies in force.
type InForce struct {
	Revision gateway.Revision `json:"revision"`
	Notice   string           `json:"notice"`
	Files    []policies.File  `json:"files"`
}

// PoliciesInForce returns the policy files in force, as they are.
func (x *Exchange) PoliciesInForce(ctx context.Context, caller gateway.Caller) (InForce, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadPolicy)
	if err != nil {
		return InForce{}, err
	}
	set := x.inForce.Load()
	return InForce{set.Revision(), x.Notice(), set.Files()}, nil
}

// LeafPage is a run of ledger leaves, as they were logged.
type LeafPage struct {
	Size   uint64            `json:"size"` // of the whole ledger
	From   uint64            `json:"from"`
	Leaves []json.RawMessage `json:"leaves"`
}

const leavesAPage = 1000

// Leaves returns leaves of the ledger from an index on. Reading the ledger is
// itself logged.
func (x *Exchange) Leaves(ctx context.Context, caller gateway.Caller, from uint64) (LeafPage, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadAudit)
	if err != nil {
		return LeafPage{}, err
	}
	_, err = x.Registry.Append(ctx, ledger.Entry{Event: ledger.AuditRead, Actor: caller.Key, Outcome: ledger.Done})
	if err != nil {
		return LeafPage{}, fmt.Errorf("logging the reading: %w", err)
	}
	page := LeafPage{From: from, Leaves: []json.RawMessage{}}
	page.Size, err = x.Registry.Size(ctx)
	if err != nil {
		return LeafPage{}, err
	}
	for leaf, err := range x.Registry.RawLeaves(ctx, from) {
		if err != nil {
			return LeafPage{}, err
		}
		page.Leaves = append(page.Leaves, leaf)
		if len(page.Leaves) == leavesAPage {
			break
		}
	}
	return page, nil
}

// Checkpoint returns the signed checkpoint of the ledger, a C2SP signed note.
func (x *Exchange) Checkpoint(ctx context.Context, caller gateway.Caller) (string, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadAudit)
	if err != nil {
		return "", err
	}
	return x.Registry.Checkpoint(ctx)
}

// An Agency is an organisation that uploads: its contract, the regions that it
// reports and from which quarter on. A quarter counts as reported when all
// agencies of a sector and region have sent it without gaps.
type Agency struct {
	ID       gateway.AgencyID   `json:"agency"`
	Contract gateway.ContractID `json:"contract"`
	Title    gateway.Text       `json:"title"`
	Regions  []string           `json:"regions"`
	From     string             `json:"from"`         // quarter
	To       string             `json:"to,omitempty"` // quarter; "" until further notice
}

// AddAgency registers an agency.
func (x *Exchange) AddAgency(ctx context.Context, caller gateway.Caller, a Agency) error {
	_, err := x.allow(ctx, caller, gateway.ActManageAccess)
	if err != nil {
		return err
	}
	if x.contracts[a.Contract] == nil {
		return gateway.Errorf(gateway.Invalid, "an agency needs a contract that the gateway has")
	}
	known := registry.Agency{ID: a.ID, Contract: a.Contract, Title: a.Title, Regions: a.Regions}
	known.From, err = gateway.ParseQuarter(a.From)
	if err == nil && a.To != "" {
		known.To, err = gateway.ParseQuarter(a.To)
	}
	if err != nil {
		return gateway.Errorf(gateway.Invalid, "from and to are quarters, such as 2025Q3")
	}
	return x.Registry.AddAgency(ctx, caller.Key, known)
}

// Agencies returns the registered agencies.
func (x *Exchange) Agencies(ctx context.Context, caller gateway.Caller) ([]Agency, error) {
	_, err := x.allow(ctx, caller, gateway.ActManageAccess)
	if err != nil {
		return nil, err
	}
	known, err := x.Registry.Agencies(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Agency, 0, len(known))
	for _, a := range known {
		list = append(list, Agency{a.ID, a.Contract, a.Title, a.Regions, a.From.String(), a.To.String()})
	}
	return list, nil
}

// A KeySpec asks for an API key, or describes one.
type KeySpec struct {
	ID       string            `json:"key,omitempty"` // of a key that exists
	Subject  string            `json:"subject"`       // the person, or the agency
	Org      string            `json:"organisation"`
	Role     gateway.Role      `json:"role"`
	Agency   gateway.AgencyID  `json:"agency,omitempty"`
	Unit     string            `json:"unit,omitempty"`     // of an agency's key: the part of it that holds the key
	Purposes []gateway.Purpose `json:"purposes,omitempty"` // of a researcher
	Expires  time.Time         `json:"expires,omitzero"`
	Revoked  time.Time         `json:"revoked,omitzero"`
	Token    string            `json:"token,omitempty"` // in the answer to its making, and never again
}

// AddAPIKey makes an API key. The answer holds the token, this once.
func (x *Exchange) AddAPIKey(ctx context.Context, caller gateway.Caller, k KeySpec) (KeySpec, error) {
	_, err := x.allow(ctx, caller, gateway.ActManageAccess)
	if err != nil {
		return KeySpec{}, err
	}
	token, id, err := x.Registry.AddKey(ctx, caller.Key, registry.KeySpec{
		Subject: k.Subject, Org: k.Org, Role: k.Role, Agency: k.Agency, Unit: k.Unit, Purposes: k.Purposes, Expires: k.Expires,
	})
	if err != nil {
		return KeySpec{}, err
	}
	k.ID, k.Token = id, token
	return k, nil
}

// APIKeys returns what is known of the keys, never a token.
func (x *Exchange) APIKeys(ctx context.Context, caller gateway.Caller) ([]KeySpec, error) {
	_, err := x.allow(ctx, caller, gateway.ActManageAccess)
	if err != nil {
		return nil, err
	}
	known, err := x.Registry.Keys(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]KeySpec, 0, len(known))
	for _, k := range known {
		list = append(list, KeySpec{
			ID: k.ID, Subject: k.Spec.Subject, Org: k.Spec.Org, Role: k.Spec.Role, Agency: k.Spec.Agency, Unit: k.Spec.Unit,
			Purposes: k.Spec.Purposes, Expires: k.Spec.Expires, Revoked: k.Revoked,
		})
	}
	return list, nil
}

// RevokeAPIKey ends a key at once.
func (x *Exchange) RevokeAPIKey(ctx context.Context, caller gateway.Caller, id string) error {
	_, err := x.allow(ctx, caller, gateway.ActManageAccess)
	if err != nil {
		return err
	}
	return x.Registry.RevokeKey(ctx, caller.Key, id)
}
