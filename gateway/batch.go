package gateway

import (
	"fmt"
	"time"
)

// A Manifest is what an agency says about a batch.
type Manifest struct {
	PeriodFrom Day       // first day of the period that the batch reports
	PeriodTo   Day       // last day, inclusive; data horizons are made from it
	Kind       BatchKind // zero is Original
	Reject     Reject
	Records    int     // how many records the file should have; 0: it does not say
	Previous   BatchID // of a correction: the batch that it corrects; "": it does not say
}

// Touches reports whether a batch that declares the period may have rows of days from
// the first to the last. An end that is not told is open.
func (m Manifest) Touches(first, last Day) bool {
	return (m.PeriodFrom == NoDay || last == NoDay || m.PeriodFrom <= last) && (m.PeriodTo == NoDay || first == NoDay || m.PeriodTo >= first)
}

// Validate finds fault with a manifest by itself.
func (m Manifest) Validate() error {
	switch {
	case m.PeriodFrom == NoDay || m.PeriodTo == NoDay || m.PeriodFrom > m.PeriodTo:
		return Errorf(Invalid, "period_from and period_to are the first and the last day that the batch reports, in this order")
	case m.Kind != Original && m.Kind != Correction && m.Kind != Nothing:
		return Errorf(Invalid, "kind is %s, %s or %s", Original, Correction, Nothing)
	case m.Reject != RejectBatch && m.Reject != RejectRows:
		return Errorf(Invalid, "reject is %s (one bad row refuses the batch) or %s (bad rows are left out)", RejectBatch, RejectRows)
	case m.Records < 0 || m.Kind == Nothing && m.Records > 0:
		return Errorf(Invalid, "records is how many records the file has; a report of nothing has none")
	case m.Previous != "" && m.Kind != Correction:
		return Errorf(Invalid, "previous is the batch that a correction corrects; this is none")
	}
	return nil
}

// BatchKind says what a batch is to earlier ones of its agency under its contract.
type BatchKind string

// The kinds of batches.
const (
	// Original is a batch of records that were not sent before.
	Original BatchKind = "original"
	// Correction is a batch whose records replace those that the agency sent before
	// under the same record id, and are added where there were none. Releases that
	// were built before it stay as they are (disclosure.md 2.8).
	Correction BatchKind = "correction"
	// Nothing is the report that there was nothing to report in the period: it has no
	// records and completes the period like a batch that has.
	Nothing BatchKind = "nothing"
)

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
	// Late are the quarters of the period that an approved release held when the batch
	// was accepted: what it brings for them waits for a revision (disclosure.md 2.8).
	Late []Quarter `json:"late_for,omitempty"`
	// Partial: too many records were refused for the period to count as reported.
	Partial  bool    `json:"partial,omitempty"`
	Previous BatchID `json:"previous,omitempty"`
	// Blind: the gateway saw no identifier of a child, and its agency alone has checked
	// them (trust.md 5.4).
	Blind    bool      `json:"blind,omitempty"`
	Report   *Report   `json:"report,omitempty"` // how the file was read; problems and warnings by column and code
	Policy   Revision  `json:"policy"`
	Accepted time.Time `json:"accepted"`
	Problems *Problems `json:"problems,omitempty"` // of refused rows
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
	Linkage  Linkage    `json:"linkage,omitzero"`
	Late     []Quarter  `json:"late_for,omitempty"` // as in the receipt
	Created  time.Time  `json:"-"`                  // when its first attempt began
	Accepted time.Time  `json:"-"`                  // zero while it is not
	Seq      uint64     `json:"-"`                  // order of commitment; a release holds batches up to one
	Load     LoadID     `json:"-"`                  // the load that holds its rows
	Unit     int        `json:"-"`                  // number of the part of the agency whose key sent it; 0: none
	Policy   Revision   `json:"policy"`
}

// A batch of which one record in ten or more was refused tells less than its period
// says: the period stays open until what was refused is sent. Ask the steward before
// changing it: coverage decides which cohorts have a status (domain.md 3.1).
const coverageShare = 10

// Partial reports whether too many of a batch's records were refused for its period to
// count as reported.
func Partial(stored, refused int) bool { return refused > 0 && refused*coverageShare >= stored+refused }

// Covers reports whether the batch completes its period: not when it is partial, and
// not a correction, which brings some records and not all.
func (b Batch) Covers() bool {
	return b.Manifest.Kind != Correction && !Partial(b.Stored, b.Refused)
}

// Completeness says in a word what the period of an accepted batch is.
func (b Batch) Completeness() string {
	switch {
	case b.Manifest.Kind == Correction:
		return "correction"
	case Partial(b.Stored, b.Refused):
		return fmt.Sprintf("partial: %d of %d records refused", b.Refused, b.Stored+b.Refused)
	}
	return "whole"
}
