package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A custodian holds one of the two layers of the keyring (trust.md 5.1): with what it is
// opened, and for whom it is sealed again.
type custodian struct {
	identity  age.Identity
	recipient age.Recipient
}

// custodians reads the identity files of those who open a keyring: the operator's, and
// the officer's where the keyring is sealed twice. A file holds an age X25519 identity
// or, on one line, a passphrase.
func custodians(files ...string) ([]custodian, error) {
	var all []custodian
	for _, file := range files {
		if file == "" {
			continue
		}
		c, err := readCustodian(file)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func readCustodian(file string) (custodian, error) {
	if err := private(file); err != nil {
		return custodian{}, err
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return custodian{}, fmt.Errorf("reading the identity: %w", err)
	}
	defer clear(text)
	if bytes.Contains(text, []byte("AGE-SECRET-KEY-")) || bytes.HasPrefix(text, []byte("#")) {
		ids, err := age.ParseIdentities(bytes.NewReader(text))
		if err != nil || len(ids) != 1 {
			return custodian{}, gateway.Errorf(gateway.Invalid, "%s does not hold one age identity", file)
		}
		id, ok := ids[0].(*age.X25519Identity)
		if !ok {
			return custodian{}, gateway.Errorf(gateway.Invalid, "%s holds an identity that is not of X25519", file)
		}
		return custodian{id, id.Recipient()}, nil
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Scan()
	passphrase := strings.TrimSpace(lines.Text())
	if len(passphrase) < minPassphrase || lines.Scan() {
		return custodian{}, gateway.Errorf(gateway.Invalid, "%s holds neither an age identity nor, on one line, a passphrase of %d characters", file, minPassphrase)
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return custodian{}, gateway.Errorf(gateway.Invalid, "%s holds no passphrase", file)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return custodian{}, gateway.Errorf(gateway.Invalid, "%s holds no passphrase", file)
	}
	return custodian{id, recipient}, nil
}

// minPassphrase is the fewest characters of a passphrase.
const minPassphrase = 20

// private refuses a file that others may read (trust.md 6.4 B84).
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return gateway.Errorf(gateway.Invalid, "there is no %s; make it with: pana keys init", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return gateway.Errorf(gateway.Invalid, "%s can be read by others; close it: chmod 600 %s", path, path)
	}
	return nil
}

// openRing opens a keyring with its custodians.
func openRing(keyring string, by []custodian) (*pseudonym.Keyring, error) {
	if err := private(keyring); err != nil {
		return nil, err
	}
	ids := make([]age.Identity, len(by))
	for i := range by {
		ids[i] = by[i].identity
	}
	f, err := os.Open(keyring) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("opening the keyring: %w", err)
	}
	defer func() { _ = f.Close() }()
	ring, err := pseudonym.Open(f, ids...)
	if err != nil {
		return nil, refusal{err}
	}
	return ring, nil
}

// openKeyring opens a keyring with the identities of its custodians; all the files must
// be closed to other users of the machine.
func openKeyring(keyring string, identities ...string) (*pseudonym.Keyring, error) {
	if err := private(keyring); err != nil {
		return nil, err
	}
	by, err := custodians(identities...)
	if err != nil {
		return nil, err
	}
	return openRing(keyring, by)
}

// recoveryPath is where the copy for recovery of a keyring lies, until it is carried away.
func recoveryPath(keyring string) string {
	return strings.TrimSuffix(keyring, ".age") + ".recovery.age"
}

// saver returns what puts a keyring in the place of the one on disk, sealed for the
// custodians who opened it, and a copy for recovery beside it.
func saver(keyring string, by []custodian) func(*pseudonym.Keyring) error {
	return func(ring *pseudonym.Keyring) error {
		if len(by) == 0 {
			return errors.New("the keyring has no custodians")
		}
		layers := make([]age.Recipient, len(by))
		for i := range by {
			layers[i] = by[i].recipient
		}
		// The copy for recovery first: a key that is nowhere else must not be in use.
		if ring.Recovery() != "" {
			var copied bytes.Buffer
			if err := ring.SealRecovery(&copied); err != nil {
				return err
			}
			if err := writeSecret(recoveryPath(keyring), copied.Bytes()); err != nil {
				return err
			}
		}
		var sealed bytes.Buffer
		if err := ring.Seal(&sealed, layers...); err != nil {
			return err
		}
		return writeSecret(keyring, sealed.Bytes())
	}
}
