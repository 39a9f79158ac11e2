package pseudonym

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// format is the version of the keyring file.
const format = "pana-keyring/1"

// errKeyring says no more than this: what a keyring's bytes hold never reaches
// an error.
var errKeyring = errors.New("keyring: not a keyring of version 1 in its one spelling")

var (
	installationName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)
	domainName       = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
)

// file is a keyring file. There is one spelling of it, the one of encode: that
// refuses unknown, doubled and missing fields at once.
type file struct {
	Format       string          `json:"format"`
	Installation string          `json:"installation"`
	Domain       string          `json:"domain"`
	Epoch        int             `json:"epoch"`
	Keys         map[slot][]byte `json:"keys"`
}

// Generate returns a new keyring in plaintext, to be sealed by [Seal]. The name
// of the installation becomes part of the origin of its ledger: lower-case
// letters, digits, dots and hyphens. rand is crypto/rand's Reader outside tests.
func Generate(rand io.Reader, installation string) ([]byte, error) {
	f := file{Format: format, Installation: installation, Domain: ChildDomain, Epoch: 1, Keys: map[slot][]byte{}}
	defer f.zero()
	for _, s := range slots {
		key := make([]byte, keyBytes)
		if _, err := io.ReadFull(rand, key); err != nil {
			return nil, fmt.Errorf("making a keyring: reading randomness: %w", err)
		}
		f.Keys[s] = key
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.encode(), nil
}

// Ephemeral returns a keyring of throw-away keys, for checking a file offline:
// nothing that it makes links with anything.
func Ephemeral(rand io.Reader) (*Keyring, error) {
	opened, err := Generate(rand, "ephemeral")
	if err != nil {
		return nil, err
	}
	return Parse(opened)
}

// Parse reads a keyring in plaintext. It zeroes its argument, whatever happens.
func Parse(opened []byte) (*Keyring, error) {
	defer clear(opened)
	var f file
	defer f.zero()
	// The error is dropped on purpose: encoding/json echoes names of fields.
	if json.Unmarshal(opened, &f) != nil || f.Format != format {
		return nil, errKeyring
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	canonical := f.encode()
	defer clear(canonical)
	if !bytes.Equal(bytes.TrimSuffix(opened, []byte("\n")), bytes.TrimSuffix(canonical, []byte("\n"))) {
		return nil, errKeyring
	}
	return f.keyring(), nil
}

// check refuses names that could not be part of an origin, and keys that no
// source of randomness gives.
func (f *file) check() error {
	if !installationName.MatchString(f.Installation) {
		return errors.New("keyring: an installation is named by lower-case letters, digits, dots and hyphens, at most 63")
	}
	if !domainName.MatchString(f.Domain) || f.Epoch < 1 {
		return errKeyring
	}
	seen := map[[keyBytes]byte]bool{{}: true} // a key of zeros is none
	defer clear(seen)
	for _, s := range slots {
		if len(f.Keys[s]) != keyBytes {
			return fmt.Errorf("keyring: the key %q is missing or not of %d bytes", s, keyBytes)
		}
		key := [keyBytes]byte(f.Keys[s])
		if seen[key] {
			return fmt.Errorf("keyring: the key %q is zero or equals another key", s)
		}
		seen[key] = true
	}
	return nil
}

// encode writes the file in its one spelling. It does not use json.Marshal,
// which keeps its buffers in a pool.
func (f *file) encode() []byte {
	b := make([]byte, 0, 2048) // never grows: growing leaves copies of keys behind
	b = append(b, `{"format":"`+f.Format+`","installation":"`+f.Installation+`","domain":"`+f.Domain+`","epoch":`...)
	b = strconv.AppendInt(b, int64(f.Epoch), 10)
	b = append(b, `,"keys":{`...)
	for i, s := range slots {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `"`+string(s)+`":"`...)
		b = base64.StdEncoding.AppendEncode(b, f.Keys[s])
		b = append(b, '"')
	}
	return append(b, "}}\n"...)
}

// keyring copies the keys into a closure.
func (f *file) keyring() *Keyring {
	keys := make(map[slot][]byte, len(slots))
	for _, s := range slots {
		keys[s] = bytes.Clone(f.Keys[s])
	}
	return &Keyring{
		installation: f.Installation, domain: f.Domain, epoch: f.Epoch,
		key: func(s slot) []byte { return keys[s] },
	}
}

func (f *file) zero() {
	for _, key := range f.Keys {
		clear(key)
	}
}
