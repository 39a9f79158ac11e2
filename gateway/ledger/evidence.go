package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Evidence is what whoever got an answer holds of it: the leaf of the question, the
// salt of what it commits to, and its place in the log as a C2SP tlog-proof. The
// operator cannot take it back. Of another leaf there is no salt.
type Evidence struct {
	Leaf  []byte `json:"leaf"`
	Salt  []byte `json:"salt,omitempty"`
	Proof string `json:"tlog_proof"`
}

var errAnswer = errors.New("ledger: the answer is not what its leaf commits to")

// AnswerDetail is what the leaf of a question commits to: the SHA-256 of the answer.
func AnswerDetail(response [sha256.Size]byte) any {
	return map[string]string{"response": hex.EncodeToString(response[:])}
}

// VerifyAnswer checks an answer, byte for byte as it came, against its evidence: that
// the log which key signs holds the question, and that its leaf commits to the answer.
func VerifyAnswer(answer []byte, e Evidence, key note.Verifier) (Leaf, error) {
	proof, err := ParseInclusion(e.Proof, e.Leaf)
	if err != nil {
		return Leaf{}, err
	}
	leaf, err := proof.Verify(key)
	if err != nil {
		return Leaf{}, err
	}
	detail, err := json.Marshal(AnswerDetail(sha256.Sum256(answer)))
	if err != nil {
		return Leaf{}, fmt.Errorf("encoding a digest: %w", err)
	}
	if leaf.Event != Question || leaf.Outcome != Allowed || leaf.Commit != Commitment(e.Salt, detail) {
		return Leaf{}, errAnswer
	}
	return leaf, nil
}
