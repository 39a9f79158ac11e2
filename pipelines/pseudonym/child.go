package pseudonym

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// ChildInput appends what stands for a child's identification number before a key
// server, enc("pid", domain, normaliser version, id): the very bytes over which the
// inner layer of other installations is an HMAC. id is twelve ASCII digits.
func ChildInput(dst []byte, domain string, id []byte) []byte {
	dst = enc(dst, "pid", domain, iinVersion)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(id))) //nolint:gosec // twelve
	return append(dst, id...)
}

// KeyServer returns the public key of the key server whose function is the inner layer
// of this installation's pids, in base64url, or "" where an HMAC under a key of the
// ring is (trust.md 5.4). It is chosen once, before the first batch, and part of the
// check value: pids of the two kinds never meet.
func (k *Keyring) KeyServer() string { return k.server }

// WithKeyServer returns the keyring with the public key of a key server.
func (k *Keyring) WithKeyServer(public string) (*Keyring, error) {
	f := k.file()
	defer f.zero()
	f.KeyServer = public
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.keyring(), nil
}

// checkKeyServer looks at the form of a public key; whether it is an element of the
// group is for those who use it.
func checkKeyServer(public string) error {
	if public == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(public)
	if err != nil || len(raw) != 32 || base64.RawURLEncoding.EncodeToString(raw) != public {
		return errors.New("keyring: the key server's public key is not 32 bytes in base64url")
	}
	return nil
}

// Outer is the outer layer of the pids of children whose inner pseudonyms dst holds,
// and their shifts: what [Hasher.PIDs] does behind its own inner layer. Where the inner
// pseudonym is zero, a row without a child, both stay zero.
func (h *Hasher) Outer(dst [][16]byte, shifts []uint16) {
	h.outer(dst, shifts[:len(dst)])
}
