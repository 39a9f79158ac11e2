package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds what is parsed: three lines and some cosignatures.
const maxCheckpoint = 16 << 10

var errCheckpoint = errors.New("ledger: not a checkpoint")

// SignCheckpoint returns the C2SP tlog-checkpoint of a tree: a signed note whose
// text is the origin, the size and the root. The origin is the signer's name.
func SignCheckpoint(tree tlog.Tree, signer note.Signer) (string, error) {
	root := base64.StdEncoding.EncodeToString(tree.Hash[:])
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), tree.N, root)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

// OpenCheckpoint returns the tree of a checkpoint whose signature by key holds and
// whose origin is the key's name. Signatures of others, such as witnesses, are
// passed over; extension lines are refused, because we write none.
func OpenCheckpoint(signed string, key note.Verifier) (tlog.Tree, error) {
	if len(signed) > maxCheckpoint {
		return tlog.Tree{}, errCheckpoint
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, errors.New("ledger: the checkpoint is not signed by " + key.Name())
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != key.Name() {
		return tlog.Tree{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, errCheckpoint
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errCheckpoint
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}
