package pseudonym

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/note"
)

// algEd25519 is the algorithm byte of an Ed25519 key in a signed note.
const algEd25519 = 1

// Origin returns the name of the installation's ledger and of the key that signs
// its checkpoints: "pana/" and the installation.
func (k *Keyring) Origin() string { return "pana/" + k.installation }

// Signer returns the signer of the ledger's checkpoints, an Ed25519 key named by
// the origin.
func (k *Keyring) Signer() note.Signer {
	private := ed25519.NewKeyFromSeed(k.key(slotCheckpoint))
	return signer{
		name: k.Origin(), hash: keyHash(k.Origin(), k.public()),
		sign: func(message []byte) []byte { return ed25519.Sign(private, message) },
	}
}

// VerifierKey returns the public key in the form of signed notes, to be
// published: whoever has it can check every checkpoint and receipt.
func (k *Keyring) VerifierKey() string {
	key, err := note.NewEd25519VerifierKey(k.Origin(), k.public())
	if err != nil {
		panic("pseudonym: internal error: a public key of the wrong length")
	}
	return key
}

// Verifier returns the verifier of [Keyring.VerifierKey].
func (k *Keyring) Verifier() note.Verifier {
	v, err := note.NewVerifier(k.VerifierKey())
	if err != nil {
		panic("pseudonym: internal error: a verifier key that does not parse")
	}
	return v
}

func (k *Keyring) public() ed25519.PublicKey {
	private := ed25519.NewKeyFromSeed(k.key(slotCheckpoint))
	return ed25519.PublicKey(private[ed25519.SeedSize:])
}

// signer is note's own Ed25519 signer, without the private key in a string.
type signer struct {
	name string
	hash uint32
	sign func(message []byte) []byte
}

// Name returns the origin.
func (s signer) Name() string { return s.name }

// KeyHash returns the hash that tells keys of one name apart.
func (s signer) KeyHash() uint32 { return s.hash }

// Sign signs a note's text.
func (s signer) Sign(message []byte) ([]byte, error) { return s.sign(message), nil }

// keyHash is the hash that signed notes define.
func keyHash(name string, public ed25519.PublicKey) uint32 {
	message := append([]byte(name+"\n"), algEd25519)
	sum := sha256.Sum256(append(message, public...))
	return binary.BigEndian.Uint32(sum[:])
}
