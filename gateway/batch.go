package gateway

import "time"

// A Manifest is what an agency says about a batch.
type Manifest struct {
	PeriodFrom Day       // first day of the period that the batch reports
	PeriodTo   Day       // last day, inclusive; data horizons are made from it
	Kind       BatchKind // original, in version 1
	Reject     Reject
}

// Touches reports whether a batch that declares the period may have rows of days from
// the first to the last. An end that is not told is open.
func (m Manifest) Touches(first, last Day) bool {
	return (m.PeriodFrom == NoDay || last == NoDay || m.PeriodFrom <= last) && (m.PeriodTo == NoDay || first == NoDay || m.PeriodTo >= first)
}

// BatchKind says what a batch is to earlier ones.
type BatchKind string

// Original is a batch that stands on its own; corrections come with intake.
const Original BatchKind = "original"

// Reject says what a bad row does to its batch.
type Reject string

// The two ways to reject.
const (
	RejectBatch Reject = "batch" // one bad row refuses the whole batch (the default)
	RejectRows  Reject = "rows"  // bad rows are left out and reported
)

// A Receipt is the evidence that a batch was accepted: its bytes are made once,
// in the transaction that accepted the batch, and repeated for every retry.
type Receipt struct {
	Batch      BatchID    `json:"batch"`
	Contract   ContractID `json:"contract"`
	Version    int        `json:"contract_version"`
	Agency     AgencyID   `json:"agency"`
	PeriodFrom string     `json:"period_from"`
	PeriodTo   string     `json:"period_to"`
	Kind       BatchKind  `json:"kind"`
	Reject     Reject     `json:"reject"`
	Records    int        `json:"records"` // in the file
	Stored     int        `json:"stored"`
	Refused    int        `json:"refused"`
	Report     *Report    `json:"report,omitempty"` // how the file was read; problems and warnings by column and code
	Policy     Revision   `json:"policy"`
	Accepted   time.Time  `json:"accepted"`
	Problems   *Problems  `json:"problems,omitempty"` // of refused rows
	// Salt and Content prove which bytes were sent: Content is
	// SHA-256(salt || SHA-256 of the body). Only the agency gets the salt.
	Salt    []byte `json:"salt"`
	Content []byte `json:"content"`
	// Leaf, Index and Proof prove that the ledger holds the batch.
	Leaf  []byte `json:"leaf"` // the canonical leaf, as logged
	Index uint64 `json:"leaf_index"`
	Proof string `json:"tlog_proof"` // a C2SP tlog-proof: audit path and signed checkpoint
}

// A BatchState is where a batch stands.
type BatchState string

// The states of a batch (loading.md 3.1).
const (
	BatchLoading   BatchState = "loading"   // an attempt is, or was, under way
	BatchCommitted BatchState = "committed" // accepted; its marker may be missing yet
	BatchPublished BatchState = "published" // accepted, and its marker is written
	BatchAborted   BatchState = "aborted"   // refused or failed; nothing is visible
	BatchWithdrawn BatchState = "withdrawn" // taken back by its agency
)

// A Batch is what its agency may know of one upload.
type Batch struct {
	ID       BatchID    `json:"batch"`
	Contract ContractID `json:"contract"`
	Agency   AgencyID   `json:"agency"`
	State    BatchState `json:"state"`
	Manifest Manifest   `json:"-"`
	Stored   int        `json:"stored"`
	Refused  int        `json:"refused"`
	Seq      uint64     `json:"-"` // order of commitment; a release holds batches up to one
	Load     LoadID     `json:"-"` // the load that holds its rows
	Unit     int        `json:"-"` // number of the part of the agency whose key sent it; 0: none
	Policy   Revision   `json:"policy"`
}
