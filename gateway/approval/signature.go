package approval

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/pana-exchange/pana/gateway"
)

// What an armored signature stands between, and how its lines are cut (OpenSSH
// PROTOCOL.sshsig 2).
const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
	armorWidth = 70
)

// maxArmored bounds a signature: one by RSA with 16,384 bits has 6,300 bytes.
const maxArmored = 16 << 10

// magic starts a signature, and what is signed.
var magic = [6]byte{'S', 'S', 'H', 'S', 'I', 'G'}

// A blob is what the armor holds (PROTOCOL.sshsig 3).
type blob struct {
	Magic     [6]byte
	Version   uint32
	Key       []byte
	Namespace string
	Reserved  []byte
	Hash      string
	Signature []byte
}

// signed is what a signature is of (PROTOCOL.sshsig 4).
type signed struct {
	Magic     [6]byte
	Namespace string
	Reserved  []byte
	Hash      string
	Digest    []byte
}

// A Signature is an SSHSIG whose form was checked; whose it is and of what, only
// [Signers.Verify] tells.
type Signature struct {
	blob      blob
	key       ssh.PublicKey
	signature ssh.Signature
}

var errSignature = gateway.Errorf(gateway.Invalid,
	"this is no signature that is read here; make one with: ssh-keygen -Y sign")

// ParseSignature reads an armored signature. White space around it and the length of
// its lines do not matter; everything else has one form.
func ParseSignature(armored []byte) (*Signature, error) {
	if len(armored) > maxArmored {
		return nil, errSignature
	}
	text := strings.TrimSpace(strings.ReplaceAll(string(armored), "\r\n", "\n"))
	text, begun := strings.CutPrefix(text, armorBegin+"\n")
	text, ended := strings.CutSuffix(text, "\n"+armorEnd)
	if !begun || !ended || strings.Contains(text, "\r") {
		return nil, errSignature
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		return nil, errSignature
	}
	var s Signature
	if ssh.Unmarshal(raw, &s.blob) != nil || s.blob.Magic != magic || s.blob.Version != 1 || len(s.blob.Reserved) != 0 {
		return nil, errSignature
	}
	if s.key, err = publicKey(s.blob.Key); err != nil {
		return nil, err
	}
	if ssh.Unmarshal(s.blob.Signature, &s.signature) != nil || !s.suits() || digest(s.blob.Hash, nil) == nil {
		return nil, errSignature
	}
	if !bytes.Equal(ssh.Marshal(s.blob), raw) {
		return nil, errSignature
	}
	return &s, nil
}

// suits reports whether the signature is of its key's kind. RSA never with SHA-1, and
// what follows a signature is only for keys in hardware: flags and a counter.
func (s *Signature) suits() bool {
	format := s.signature.Format
	switch s.key.Type() {
	case ssh.KeyAlgoRSA:
		return (format == ssh.KeyAlgoRSASHA512 || format == ssh.KeyAlgoRSASHA256) && len(s.signature.Rest) == 0
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return format == s.key.Type()
	}
	return format == s.key.Type() && len(s.signature.Rest) == 0
}

// Armor returns the signature as "ssh-keygen -Y sign" writes it.
func (s *Signature) Armor() []byte { return armor(s.blob) }

func armor(b blob) []byte {
	var out bytes.Buffer
	text := base64.StdEncoding.EncodeToString(ssh.Marshal(b))
	out.WriteString(armorBegin + "\n")
	for len(text) > 0 {
		n := min(armorWidth, len(text))
		out.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	out.WriteString(armorEnd + "\n")
	return out.Bytes()
}

// by reports whether the signature's key signed a statement for a namespace.
func (s *Signature) by(ns Namespace, statement []byte) bool {
	if s.blob.Namespace != string(ns) {
		return false
	}
	return s.key.Verify(toSign(ns, s.blob.Hash, statement), &s.signature) == nil
}

func toSign(ns Namespace, hash string, statement []byte) []byte {
	return ssh.Marshal(signed{Magic: magic, Namespace: string(ns), Hash: hash, Digest: digest(hash, statement)})
}

// digest returns nil for a hash that SSHSIG does not have.
func digest(hash string, statement []byte) []byte {
	switch hash {
	case "sha512":
		d := sha512.Sum512(statement)
		return d[:]
	case "sha256":
		d := sha256.Sum256(statement)
		return d[:]
	}
	return nil
}

// Sign makes an armored signature, as "ssh-keygen -Y sign -n NAMESPACE" does with a
// key in a file. It is for demonstrations and for keys that are at hand; a person's
// key is better left to ssh-keygen, which knows agents and hardware.
func Sign(rand io.Reader, ns Namespace, statement []byte, by ssh.Signer) ([]byte, error) {
	const hash = "sha512"
	message := toSign(ns, hash, statement)
	var made *ssh.Signature
	var err error
	if rsa, ok := by.(ssh.AlgorithmSigner); ok && by.PublicKey().Type() == ssh.KeyAlgoRSA {
		made, err = rsa.SignWithAlgorithm(rand, message, ssh.KeyAlgoRSASHA512) // never SHA-1
	} else {
		made, err = by.Sign(rand, message)
	}
	if err != nil {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: err}
	}
	return armor(blob{
		Magic: magic, Version: 1, Key: by.PublicKey().Marshal(), Namespace: string(ns), Hash: hash,
		Signature: ssh.Marshal(made),
	}), nil
}
