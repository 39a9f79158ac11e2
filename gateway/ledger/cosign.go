package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// cosignatureV1 is the signature type of C2SP tlog-cosignature: Ed25519 over the
// time and the checkpoint.
const cosignatureV1 = 4

var (
	errCosigner    = errors.New("ledger: not the public key of a witness (name+hash+key, with a key of type 4)")
	errCosignature = errors.New("ledger: no line of it is the witness's signature on the checkpoint")
)

// A Cosigner is the public key of a witness. It is a [note.Verifier] of C2SP
// cosignature/v1.
type Cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// ParseCosigner reads the public key of a witness in the form of a C2SP vkey.
func ParseCosigner(vkey string) (*Cosigner, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash16, key64, _ := strings.Cut(rest, "+")
	hash, hashErr := strconv.ParseUint(hash16, 16, 32)
	key, keyErr := base64.StdEncoding.Strict().DecodeString(key64)
	if len(hash16) != 8 || hashErr != nil || keyErr != nil || !signedName(name) ||
		len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureV1 {
		return nil, errCosigner
	}
	c := &Cosigner{name: name, hash: keyHash(name, key), key: key[1:]}
	if uint64(c.hash) != hash || c.String() != vkey {
		return nil, errCosigner
	}
	return c, nil
}

// signedName reports whether a name can stand on a signature line (C2SP signed-note).
func signedName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}

// keyHash is the id of a key by C2SP signed-note.
func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

// Name is the witness's name.
func (c *Cosigner) Name() string { return c.name }

// KeyHash is the id of the key.
func (c *Cosigner) KeyHash() uint32 { return c.hash }

// String is the key in the form that [ParseCosigner] reads.
func (c *Cosigner) String() string {
	return fmt.Sprintf("%s+%08x+%s", c.name, c.hash, base64.StdEncoding.EncodeToString(append([]byte{cosignatureV1}, c.key...)))
}

// Verify reports whether sig is the witness's timestamped signature on a checkpoint.
func (c *Cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, msg), sig[8:])
}

// A Cosignature is a witness's word that it saw a checkpoint, and that the log only
// continues what it saw of it before.
type Cosignature struct {
	Witness string    // name of its key
	Key     uint32    // id of its key
	Time    time.Time // when it signed
	Line    string    // of the signed note, with its newline
}

// OpenCosignatures returns what one of the keys signed of a witness's answer to a
// checkpoint. Lines of other keys are passed over; none that is left is an error.
func OpenCosignatures(checkpoint, answer string, keys ...*Cosigner) ([]Cosignature, error) {
	if len(checkpoint)+len(answer) > maxCheckpoint {
		return nil, errCosignature
	}
	opened, err := note.Open([]byte(checkpoint+answer), cosigners(keys))
	if err != nil {
		return nil, errCosignature
	}
	return cosignatures(opened.Sigs, keys), nil
}

func cosigners(keys []*Cosigner) note.Verifiers {
	var all []note.Verifier
	for _, k := range keys {
		all = append(all, k)
	}
	return note.VerifierList(all...)
}

// cosignatures are those of verified signatures that are of one of the keys.
func cosignatures(sigs []note.Signature, keys []*Cosigner) []Cosignature {
	var made []Cosignature
	for _, s := range sigs {
		if !slices.ContainsFunc(keys, func(k *Cosigner) bool { return k.name == s.Name && k.hash == s.Hash }) {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) < 4+8 {
			continue // it was verified, so it is not so
		}
		at := time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC() //nolint:gosec // what a witness signed as its time
		made = append(made, Cosignature{s.Name, s.Hash, at, "— " + s.Name + " " + s.Base64 + "\n"})
	}
	return made
}
