package gateway

import "slices"

// A Role is what a key's holder is to the system. Default is deny.
type Role string

// The roles.
const (
	RoleAgency     Role = "agency"     // uploads and withdraws its own batches
	RoleResearcher Role = "researcher" // asks approved releases for granted purposes
	RoleOfficer    Role = "officer"    // data protection officer: approves, audits
	RoleSteward    Role = "steward"    // builds releases
	RoleOperator   Role = "operator"   // runs the gateway, manages access
)

// An ActionName is something a caller wants to do; policies/access decides.
type ActionName string

// The actions of callers.
const (
	ActUpload         ActionName = "batch.upload"
	ActReadBatch      ActionName = "batch.read"
	ActWithdrawBatch  ActionName = "batch.withdraw"
	ActReadContract   ActionName = "contract.read"
	ActBuildRelease   ActionName = "release.build"
	ActReadRelease    ActionName = "release.read"
	ActReadRisk       ActionName = "release.risk"
	ActApproveRelease ActionName = "release.approve"
	ActCloseRelease   ActionName = "release.withdraw"
	ActAsk            ActionName = "release.ask"
	ActAskCell        ActionName = "release.cell.ask"     // why one cell is hidden
	ActConfirmCell    ActionName = "release.cell.confirm" // that another officer may learn it
	ActReadAudit      ActionName = "audit.read"
	ActReadPolicy     ActionName = "policy.read"
	ActManageAccess   ActionName = "access.manage"
	ActReadKeys       ActionName = "keys.read"       // states and check values, never a key
	ActManageKeys     ActionName = "keys.manage"     // make, rotate and destroy them, as two people signed
	ActRequestErasure ActionName = "erasure.request" // of one child
)

// Actions returns every action of callers: what a changed policy is compared about.
func Actions() []ActionName {
	return []ActionName{
		ActUpload, ActReadBatch, ActWithdrawBatch, ActReadContract, ActBuildRelease, ActReadRelease, ActReadRisk, ActApproveRelease,
		ActCloseRelease, ActAsk, ActAskCell, ActConfirmCell, ActReadAudit, ActReadPolicy, ActManageAccess, ActReadKeys, ActManageKeys,
		ActRequestErasure,
	}
}

// A Caller is who a request comes from, after its key was checked.
type Caller struct {
	Key      string // id of the API key, not its secret
	Subject  string // the agency's or person's id
	Org      string // organisation: an agency, or the person's employer
	Role     Role
	Agency   AgencyID     // of RoleAgency
	Contract []ContractID // contracts that an agency's key may send
	Purposes []Purpose    // for which a researcher's key may ask
	Unit     int          // number of the part of the agency that the key is registered for; 0: none
}

// MaySend reports whether the caller's key may send batches under a contract.
func (c Caller) MaySend(id ContractID) bool { return slices.Contains(c.Contract, id) }

// A Grant is what policy decided about one action.
type Grant struct {
	Allow    bool
	Because  string   // prose of the rule that allowed it, or why not
	Rule     string   // package path of the rule
	Revision Revision // of the policy set that decided
}
