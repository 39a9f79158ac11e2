package ledger

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gowebpki/jcs"
	"golang.org/x/mod/sumdb/note"

	"github.com/pana-exchange/pana/gateway"
)

// evidence are the fields of a receipt that come from the ledger. The others are
// what its leaf commits to.
var evidence = []string{"leaf", "leaf_index", "tlog_proof"}

var errReceipt = errors.New("ledger: the receipt is not what its leaf commits to")

// ReceiptDetail returns the detail of a batch's commit leaf: the receipt without its
// evidence, in canonical JSON. The salt of the commitment is the receipt's own, so
// that its agency can check every word of it against the log.
func ReceiptDetail(receipt []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(receipt, &fields) != nil {
		return nil, errReceipt
	}
	for _, name := range evidence {
		delete(fields, name)
	}
	bare, err := json.Marshal(fields)
	if err != nil {
		return nil, errReceipt
	}
	detail, err := jcs.Transform(bare)
	if err != nil {
		return nil, errReceipt
	}
	return detail, nil
}

// VerifyReceipt checks a receipt as its agency got it: that the leaf commits to what
// it says, and that the log which key signs holds the leaf.
func VerifyReceipt(receipt []byte, key note.Verifier) (gateway.Receipt, error) {
	var r gateway.Receipt
	if json.Unmarshal(receipt, &r) != nil {
		return r, errReceipt
	}
	proof, err := ParseInclusion(r.Proof, r.Leaf)
	if err != nil {
		return r, fmt.Errorf("checking the receipt: %w", err)
	}
	leaf, err := proof.Verify(key)
	if err != nil {
		return r, fmt.Errorf("checking the receipt: %w", err)
	}
	detail, err := ReceiptDetail(receipt)
	if err != nil {
		return r, err
	}
	if leaf.Event != BatchCommit || leaf.Outcome != Done || leaf.Object != string(r.Batch) ||
		leaf.Seq != r.Index || leaf.Policy != r.Policy || leaf.Commit != Commitment(r.Salt, detail) {
		return r, errReceipt
	}
	return r, nil
}
