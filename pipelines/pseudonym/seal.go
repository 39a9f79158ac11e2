package pseudonym

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

const (
	// maxWorkFactor is the largest scrypt work factor, as a power of two, that
	// Open accepts: a file that asks for 2^30 must not hang the start (trust.md
	// B81).
	maxWorkFactor = 20
	// maxSealed is more than any sealed keyring has.
	maxSealed = 64 << 10
	// maxLayers is how often a keyring may be sealed: once for the operator, once
	// more for the officer (trust.md 5.1).
	maxLayers = 2
)

// ageHeader begins every age v1 file.
var ageHeader = []byte("age-encryption.org/v1\n")

// Seal encrypts a keyring in plaintext, or one that is sealed already, to the
// recipients, any of whom can open it. Sealing twice needs both to open. It does
// not zero its argument.
func Seal(w io.Writer, opened []byte, recipients ...age.Recipient) error {
	sealed, err := age.Encrypt(w, recipients...)
	if err != nil {
		return fmt.Errorf("sealing the keyring: %w", err)
	}
	if _, err := sealed.Write(opened); err != nil {
		return fmt.Errorf("sealing the keyring: %w", err)
	}
	if err := sealed.Close(); err != nil {
		return fmt.Errorf("sealing the keyring: %w", err)
	}
	return nil
}

// Open decrypts and parses a keyring that [Seal] wrote, once or twice: plain age
// opens it too. It limits the work factor of every scrypt identity that it is
// given to 2^20.
func Open(r io.Reader, ids ...age.Identity) (*Keyring, error) {
	for _, id := range ids {
		if s, ok := id.(*age.ScryptIdentity); ok {
			s.SetMaxWorkFactor(maxWorkFactor)
		}
	}
	content, err := decrypt(io.LimitReader(r, maxSealed), ids)
	for layer := 1; err == nil && layer < maxLayers && bytes.HasPrefix(content, ageHeader); layer++ {
		content, err = decrypt(bytes.NewReader(content), ids)
	}
	if err != nil {
		return nil, err
	}
	return Parse(content)
}

// decrypt reads one layer into one buffer that never grows, so that no copies of
// the plaintext are left behind.
func decrypt(sealed io.Reader, ids []age.Identity) ([]byte, error) {
	r, err := age.Decrypt(sealed, ids...)
	if err != nil {
		// age's own text may quote the header; why it does not open is one of few.
		return nil, errors.New("keyring: it does not open: not an age file, cut off, too much work, or the wrong identity")
	}
	content := make([]byte, maxSealed)
	n, err := io.ReadFull(r, content)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(content)
		return nil, errors.New("keyring: the sealed content is damaged, empty or too long")
	}
	return content[:n], nil
}
