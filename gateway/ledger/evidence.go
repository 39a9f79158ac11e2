package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"golang.org/x/mod/sumdb/note"
)

// Evidence is what whoever got an answer holds of it: the leaf of the question, the
// salt of what it commits to, and its place in the log as a C2SP tlog-proof. The
// operator cannot take it back. Of another leaf there is no salt.
type Evidence struct {
	Leaf   []byte `json:"leaf"`
	Salt   []byte `json:"salt,omitempty"`
	Detail []byte `json:"detail,omitempty"` // what the leaf commits to, as it was hashed
	Proof  string `json:"tlog_proof"`
}

var errAnswer = errors.New("ledger: the answer is not what its leaf commits to")

// A Decided is what policy decided about a question, and all that it was asked with:
// words of closed lists and of the key's grant, so that an officer can replay it
// (trust.md 4.3).
type Decided struct {
	Input json.RawMessage `json:"input,omitempty"`
	// Redacted says that the purpose was none of the grant: it is whatever the caller
	// wrote, is not kept, and "-" stands for it.
	Redacted bool   `json:"redacted,omitempty"`
	Allow    bool   `json:"allow"`
	Rule     string `json:"rule"`
	Because  string `json:"because"`
}

// An Answered is what the leaf of a question commits to: the SHA-256 of the answer, and
// what policy decided.
type Answered struct {
	Response string   `json:"response"`
	Decided  *Decided `json:"decided,omitempty"`
}

// AnswerDetail is what the leaf of a question commits to.
func AnswerDetail(response [sha256.Size]byte, decided *Decided) any {
	return Answered{hex.EncodeToString(response[:]), decided}
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
	var detail Answered
	digest := sha256.Sum256(answer)
	if leaf.Event != Question || leaf.Outcome != Allowed || leaf.Commit != Commitment(e.Salt, e.Detail) ||
		json.Unmarshal(e.Detail, &detail) != nil || detail.Response != hex.EncodeToString(digest[:]) {
		return Leaf{}, errAnswer
	}
	return leaf, nil
}
