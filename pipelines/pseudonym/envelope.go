package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// An Envelope seals what is stored beside the rows. It tells nothing to whoever holds
// the stored bytes without the keyring. The key lives in the closures.
type Envelope struct {
	// Seal encrypts content. What it is about is not stored: to open it, the same
	// must be named again, so that nothing sealed passes for another thing.
	Seal func(content, about []byte) ([]byte, error)
	// Open is the inverse of Seal. Its error says no more than that it failed.
	Open func(sealed, about []byte) ([]byte, error)
}

var errEnvelope = errors.New("pseudonym: what was sealed does not open: it is damaged, of another place or under another key")

// Envelope returns the envelope of a purpose: AES-256-GCM under a key that HKDF
// derives from the root, with random nonces of 96 bits, which suffice for 2^32
// messages (NIST SP 800-38D 8.3). rand is crypto/rand's Reader outside tests.
func (k *Keyring) Envelope(rand io.Reader, purpose string) Envelope {
	block, err := aes.NewCipher(k.derive(slotRoot, "envelope", purpose))
	if err != nil {
		panic("pseudonym: internal error: an AES key of the wrong length")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("pseudonym: internal error: AES has no GCM")
	}
	return Envelope{
		Seal: func(content, about []byte) ([]byte, error) {
			nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(content)+aead.Overhead())
			if _, err := io.ReadFull(rand, nonce); err != nil {
				return nil, fmt.Errorf("sealing: reading randomness: %w", err)
			}
			return aead.Seal(nonce, nonce, content, about), nil
		},
		Open: func(sealed, about []byte) ([]byte, error) {
			if len(sealed) < aead.NonceSize() {
				return nil, errEnvelope
			}
			content, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], about)
			if err != nil {
				return nil, errEnvelope
			}
			return content, nil
		},
	}
}
