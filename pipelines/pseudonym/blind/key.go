package blind

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/cloudflare/circl/oprf"
)

// keyFile begins the content of a sealed key.
const keyFile = "pana-keyserver-key/1 "

// maxSealed is more than any sealed key has, and maxWork the largest scrypt work
// factor, as a power of two, that a file may ask for (trust.md B81).
const (
	maxSealed = 16 << 10
	maxWork   = 19
)

// Seal writes the key, encrypted with age to the recipients: plain age opens it too.
func (k *Key) Seal(w io.Writer, recipients ...age.Recipient) error {
	secret, err := k.secret()
	if err != nil {
		return errors.New("sealing the key: it cannot be written")
	}
	defer clear(secret)
	opened := base64.StdEncoding.AppendEncode([]byte(keyFile), secret)
	defer clear(opened)
	sealed, err := age.Encrypt(w, recipients...)
	if err != nil {
		return fmt.Errorf("sealing the key: %w", err)
	}
	if _, err = sealed.Write(opened); err != nil {
		return fmt.Errorf("sealing the key: %w", err)
	}
	if err = sealed.Close(); err != nil {
		return fmt.Errorf("sealing the key: %w", err)
	}
	return nil
}

var errSealed = errors.New("the key server's key does not open: damaged, another file, or the wrong identity")

// OpenKey reads what [Key.Seal] wrote.
func OpenKey(r io.Reader, ids ...age.Identity) (*Key, error) {
	for _, id := range ids {
		if s, ok := id.(*age.ScryptIdentity); ok {
			s.SetMaxWorkFactor(maxWork)
		}
	}
	content, err := age.Decrypt(io.LimitReader(r, maxSealed), ids...)
	if err != nil {
		return nil, errSealed // age's own text may quote the header
	}
	opened := make([]byte, 256) // never grows: growing leaves copies behind
	defer clear(opened)
	n, err := io.ReadFull(content, opened)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix(opened[:n], []byte(keyFile)) {
		return nil, errSealed
	}
	secret := make([]byte, base64.StdEncoding.DecodedLen(n-len(keyFile)))
	defer clear(secret)
	n, err = base64.StdEncoding.Strict().Decode(secret, opened[len(keyFile):n])
	private := new(oprf.PrivateKey)
	if err != nil || private.UnmarshalBinary(suite, secret[:n]) != nil {
		return nil, errSealed
	}
	return newKey(private)
}
