package ledger

import "slices"

// An Event is what happened. The list is closed: a leaf with another is refused.
type Event string

// The events (trust.md 4.2).
const (
	BatchIntent   Event = "batch.intent"   // an attempt to load a batch begins
	BatchCommit   Event = "batch.commit"   // a batch is accepted
	BatchAbort    Event = "batch.abort"    // an attempt ended without a batch
	BatchWithdraw Event = "batch.withdraw" // an agency takes a batch back
	BatchErased   Event = "batch.erased"   // the rows of a withdrawn batch are gone

	SubjectErase Event = "subject.erase" // the records of one child are to go, or are gone; no more is said

	Question    Event = "question"     // a table was answered or refused
	AuthFailure Event = "auth.failure" // requests without a valid key, counted

	KeyCreate  Event = "key.create" // of the keyring, not of callers
	KeyRotate  Event = "key.rotate"
	KeyUse     Event = "key.use"
	KeyDestroy Event = "key.destroy"

	PolicyInForce  Event = "policy.inforce" // the revision that decides from now on
	PolicyPropose  Event = "policy.propose"
	PolicyApprove  Event = "policy.approve"
	PolicyReject   Event = "policy.reject"
	PolicyActivate Event = "policy.activate"

	SignersActivate Event = "signers.activate" // who may approve from now on
	ProposalOpen    Event = "proposal.open"    // of anything but a policy; the object says what
	ProposalApprove Event = "proposal.approve"
	ProposalReject  Event = "proposal.reject"

	AgencyAdd    Event = "agency.add"
	AgencyChange Event = "agency.change"
	AccessGrant  Event = "access.grant"
	AccessRevoke Event = "access.revoke"

	ReleaseIntent    Event = "release.intent" // a build begins
	ReleaseBuilt     Event = "release.built"
	ReleaseFailed    Event = "release.failed"
	ReleaseApprove   Event = "release.approve"
	ReleaseWithdraw  Event = "release.withdraw"
	ReleaseSupersede Event = "release.supersede"

	CellAsk     Event = "cell.ask"     // an officer asks why one cell is what it is
	CellConfirm Event = "cell.confirm" // another officer confirms it
	CellRead    Event = "cell.read"    // the answer leaves

	AuditRead   Event = "audit.read" // an officer reads the ledger
	AuditExport Event = "audit.export"
	ConfigStart Event = "config.start" // the gateway starts; the detail is its configuration's digest
	GatewayStop Event = "gateway.stop"
	ClockStep   Event = "clock.step"
	FsckFinding Event = "fsck.finding"

	WitnessSilent Event = "witness.silent" // too few witnesses sign the ledger
	WitnessBack   Event = "witness.back"   // enough do again
	WitnessFork   Event = "witness.fork"   // one knows another history
)

var events = []Event{
	BatchIntent, BatchCommit, BatchAbort, BatchWithdraw, BatchErased, SubjectErase,
	Question, AuthFailure,
	KeyCreate, KeyRotate, KeyUse, KeyDestroy,
	PolicyInForce, PolicyPropose, PolicyApprove, PolicyReject, PolicyActivate,
	SignersActivate, ProposalOpen, ProposalApprove, ProposalReject,
	AgencyAdd, AgencyChange, AccessGrant, AccessRevoke,
	ReleaseIntent, ReleaseBuilt, ReleaseFailed, ReleaseApprove, ReleaseWithdraw, ReleaseSupersede,
	CellAsk, CellConfirm, CellRead,
	AuditRead, AuditExport, ConfigStart, GatewayStop, ClockStep, FsckFinding,
	WitnessSilent, WitnessBack, WitnessFork,
}

// An Outcome is how it ended. The list is closed too.
type Outcome string

// The outcomes.
const (
	Intended  Outcome = "intended"  // it is about to happen; another leaf says how it ended
	Done      Outcome = "done"      // it happened
	Allowed   Outcome = "allowed"   // policy allowed it, and it happened
	Denied    Outcome = "denied"    // policy or access denied it
	Refused   Outcome = "refused"   // the input was wrong
	Failed    Outcome = "failed"    // the system's own fault
	Cancelled Outcome = "cancelled" // the caller went away or gave up
	Fenced    Outcome = "fenced"    // another attempt took its place
	Expired   Outcome = "expired"   // nobody was at it any more
)

var outcomes = []Outcome{Intended, Done, Allowed, Denied, Refused, Failed, Cancelled, Fenced, Expired}

// Valid reports whether the event is in the list.
func (e Event) Valid() bool { return slices.Contains(events, e) }

// Valid reports whether the outcome is in the list.
func (o Outcome) Valid() bool { return slices.Contains(outcomes, o) }
