package pseudonym

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

const (
	// maxWorkFactor is the largest scrypt work factor, as a power of two, that
	// Open accepts: a file that asks for 2^30 must not hang the start (trust.md
	// B81: 2 s). age itself writes 2^18, which takes 0.74 s.
	maxWorkFactor = 19
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
// not zero its argument. [Keyring.Seal] is for a keyring that is open.
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

// sealLayers seals once for each recipient, the first innermost.
func sealLayers(w io.Writer, opened []byte, layers []age.Recipient) error {
	content := opened
	for _, recipient := range layers {
		var sealed bytes.Buffer
		if err := Seal(&sealed, content, recipient); err != nil {
			return err
		}
		content = sealed.Bytes()
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("writing the sealed keyring: %w", err)
	}
	return nil
}

// Open decrypts and parses a keyring that [Keyring.Seal] wrote, for one custodian or for
// two: plain age opens it too. Each identity opens one layer at most, so that one that
// was sealed twice needs two. It limits the work factor of every scrypt identity that
// it is given to 2^19.
func Open(r io.Reader, ids ...age.Identity) (*Keyring, error) {
	for _, id := range ids {
		if s, ok := id.(*age.ScryptIdentity); ok {
			s.SetMaxWorkFactor(maxWorkFactor)
		}
	}
	content, err := io.ReadAll(io.LimitReader(r, maxSealed))
	if err != nil {
		return nil, errors.New("keyring: the file cannot be read")
	}
	left, layers := slices.Clone(ids), 0
	for ; layers < maxLayers && bytes.HasPrefix(content, ageHeader); layers++ {
		content, left, err = openLayer(content, left)
		if err != nil {
			return nil, err
		}
	}
	if layers == 0 {
		return nil, errSealed
	}
	k, err := Parse(content)
	if err != nil {
		return nil, err
	}
	k.layers = layers
	return k, nil
}

var errSealed = errors.New("keyring: it does not open: not an age file, cut off, too much work, or the wrong identity")

// openLayer opens one layer with the first identity that can, and returns the others.
func openLayer(sealed []byte, ids []age.Identity) (content []byte, left []age.Identity, err error) {
	err = errSealed
	for i, id := range ids {
		content, err = decrypt(bytes.NewReader(sealed), id)
		if err == nil {
			return content, slices.Delete(ids, i, i+1), nil
		}
		if !errors.Is(err, errSealed) {
			break
		}
	}
	return nil, nil, err
}

// decrypt reads one layer into one buffer that never grows, so that no copies of
// the plaintext are left behind.
func decrypt(sealed io.Reader, id age.Identity) ([]byte, error) {
	r, err := age.Decrypt(sealed, id)
	if err != nil {
		return nil, errSealed // age's own text may quote the header; why it does not open is one of few
	}
	content := make([]byte, maxSealed)
	n, err := io.ReadFull(r, content)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(content)
		return nil, errors.New("keyring: the sealed content is damaged, empty or too long")
	}
	return content[:n], nil
}
