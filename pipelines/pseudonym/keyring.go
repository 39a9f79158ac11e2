package pseudonym

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"filippo.io/age"
)

// format is the version of the keyring file.
const format = "pana-keyring/2"

// MaxEpochs is how many outer keys a keyring holds at once. Two are needed while one
// takes the other's place.
const MaxEpochs = 8

// errKeyring says no more than this: what a keyring's bytes hold never reaches
// an error.
var errKeyring = errors.New("keyring: not a keyring of version 2 in its one spelling")

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
	Recovery     string          `json:"recovery"` // age recipient of the offline copy, or ""
	KeyServer    string          `json:"keyserver,omitempty"`
	Epoch        int             `json:"epoch"` // in force when the file was written
	Made         int             `json:"made"`  // the newest epoch ever made: no number is used twice
	Outer        map[int][]byte  `json:"pid_outer"`
	Keys         map[slot][]byte `json:"keys"` // all but the outer ones
}

// Generate returns a new keyring in plaintext, to be sealed by [Seal]. The name
// of the installation becomes part of the origin of its ledger: lower-case
// letters, digits, dots and hyphens. rand is crypto/rand's Reader outside tests.
func Generate(rand io.Reader, installation string) ([]byte, error) {
	f := file{
		Format: format, Installation: installation, Domain: ChildDomain, Epoch: 1, Made: 1,
		Outer: map[int][]byte{}, Keys: map[slot][]byte{},
	}
	defer f.zero()
	for _, s := range slots {
		key, err := randomKey(rand)
		if err != nil {
			return nil, err
		}
		f.put(s, key)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.encode(), nil
}

func randomKey(rand io.Reader) ([]byte, error) {
	key := make([]byte, keyBytes)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, fmt.Errorf("making a key: reading randomness: %w", err)
	}
	return key, nil
}

func (f *file) put(s slot, key []byte) {
	if s == slotOuter {
		f.Outer[f.Epoch] = key
		return
	}
	f.Keys[s] = key
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
	if !domainName.MatchString(f.Domain) || f.Outer[f.Epoch] == nil || len(f.Outer) > MaxEpochs {
		return errKeyring
	}
	if f.Recovery != "" {
		if _, err := age.ParseX25519Recipient(f.Recovery); err != nil {
			return errors.New("keyring: the recovery recipient is not an age X25519 recipient")
		}
	}
	if err := checkKeyServer(f.KeyServer); err != nil {
		return err
	}
	seen := map[[keyBytes]byte]bool{{}: true} // a key of zeros is none
	defer clear(seen)
	for _, s := range slots {
		if s == slotOuter {
			continue
		}
		if err := distinct(seen, f.Keys[s], string(s)); err != nil {
			return err
		}
	}
	for epoch, key := range f.Outer {
		if epoch < 1 || epoch > f.Made {
			return errKeyring
		}
		if err := distinct(seen, key, string(slotOuter)); err != nil {
			return err
		}
	}
	return nil
}

// distinct refuses a key of another length, of zeros, or that was seen before.
func distinct(seen map[[keyBytes]byte]bool, key []byte, name string) error {
	if len(key) != keyBytes {
		return fmt.Errorf("keyring: the key %q is missing or not of %d bytes", name, keyBytes)
	}
	if seen[[keyBytes]byte(key)] {
		return fmt.Errorf("keyring: the key %q is zero or equals another key", name)
	}
	seen[[keyBytes]byte(key)] = true
	return nil
}

// encode writes the file in its one spelling. It does not use json.Marshal,
// which keeps its buffers in a pool.
func (f *file) encode() []byte {
	b := make([]byte, 0, 4096) // never grows: growing leaves copies of keys behind
	b = append(b, `{"format":"`+f.Format+`","installation":"`+f.Installation+`","domain":"`+f.Domain+`","recovery":"`+f.Recovery+`",`...)
	if f.KeyServer != "" {
		b = append(b, `"keyserver":"`+f.KeyServer+`",`...)
	}
	b = append(b, `"epoch":`...)
	b = strconv.AppendInt(b, int64(f.Epoch), 10)
	b = append(b, `,"made":`...)
	b = strconv.AppendInt(b, int64(f.Made), 10)
	b = append(b, `,"pid_outer":{`...)
	for i, epoch := range slices.Sorted(maps.Keys(f.Outer)) {
		b = appendKey(b, i, strconv.Itoa(epoch), f.Outer[epoch])
	}
	b = append(b, `},"keys":{`...)
	n := 0
	for _, s := range slots {
		if s != slotOuter {
			b = appendKey(b, n, string(s), f.Keys[s])
			n++
		}
	}
	return append(b, "}}\n"...)
}

func appendKey(b []byte, i int, name string, key []byte) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	b = append(b, `"`+name+`":"`...)
	b = base64.StdEncoding.AppendEncode(b, key)
	return append(b, '"')
}

// keyring copies the keys into closures.
func (f *file) keyring() *Keyring {
	keys := make(map[slot][]byte, len(slots))
	for s, key := range f.Keys {
		keys[s] = bytes.Clone(key)
	}
	outer := make(map[int][]byte, len(f.Outer))
	for epoch, key := range f.Outer {
		outer[epoch] = bytes.Clone(key)
	}
	k := &Keyring{
		installation: f.Installation, domain: f.Domain, recovery: f.Recovery, server: f.KeyServer, made: f.Made,
		epochs: slices.Sorted(maps.Keys(f.Outer)), keys: func() (map[slot][]byte, map[int][]byte) { return keys, outer },
	}
	return k.at(f.Epoch)
}

// file copies the keys into a file, which the caller zeroes.
func (k *Keyring) file() *file {
	keys, outer := k.keys()
	f := &file{
		Format: format, Installation: k.installation, Domain: k.domain, Recovery: k.recovery, KeyServer: k.server, Epoch: k.epoch, Made: k.made,
		Outer: map[int][]byte{}, Keys: map[slot][]byte{},
	}
	for s, key := range keys {
		f.Keys[s] = bytes.Clone(key)
	}
	for epoch, key := range outer {
		f.Outer[epoch] = bytes.Clone(key)
	}
	return f
}

func (f *file) zero() {
	for _, key := range f.Keys {
		clear(key)
	}
	for _, key := range f.Outer {
		clear(key)
	}
}
