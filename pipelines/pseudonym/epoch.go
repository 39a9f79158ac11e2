package pseudonym

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

// An epoch is one outer key K2 of pids. A keyring holds the one in force and, while one
// takes another's place, the next or the last. Which is pending, active, retired or
// destroyed the registry says: it changes with the rows, in one transaction, and a file
// cannot (trust.md 5.1, 5.3).

// Epochs returns the numbers of the outer keys that the keyring holds, ascending.
func (k *Keyring) Epochs() []int { return slices.Clone(k.epochs) }

// At returns the same keyring with the outer key of another epoch in force. It shares
// its keys with the receiver.
func (k *Keyring) At(epoch int) (*Keyring, error) {
	if !slices.Contains(k.epochs, epoch) {
		return nil, fmt.Errorf("keyring: it has no outer key of epoch %d", epoch)
	}
	return k.at(epoch), nil
}

func (k *Keyring) at(epoch int) *Keyring {
	v := *k
	v.epoch = epoch
	v.key = func(s slot) []byte {
		keys, outer := v.keys()
		if s == slotOuter {
			return outer[epoch]
		}
		return keys[s]
	}
	return &v
}

// WithNewEpoch returns the keyring with one more outer key, of the next number. The
// epoch in force stays.
func (k *Keyring) WithNewEpoch(rand io.Reader) (*Keyring, error) {
	if len(k.epochs) == MaxEpochs {
		return nil, fmt.Errorf("keyring: it holds %d outer keys; destroy one that is retired first", MaxEpochs)
	}
	key, err := randomKey(rand)
	if err != nil {
		return nil, err
	}
	f := k.file()
	defer f.zero()
	f.Made++
	f.Outer[f.Made] = key
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.keyring(), nil
}

// WithoutEpoch returns the keyring without an outer key that is not in force. What only
// that key linked is severed once every copy of the old file is gone. [Keyring.Forget]
// zeroes the receiver's own copy.
func (k *Keyring) WithoutEpoch(epoch int) (*Keyring, error) {
	if epoch == k.epoch {
		return nil, errors.New("keyring: the outer key in force cannot be left out")
	}
	f := k.file()
	defer f.zero()
	clear(f.Outer[epoch])
	delete(f.Outer, epoch)
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.keyring(), nil
}

// Forget zeroes the outer key of an epoch that is not in force, in this keyring and all
// that share its keys. Nobody may be using it.
func (k *Keyring) Forget(epoch int) {
	if _, outer := k.keys(); epoch != k.epoch {
		clear(outer[epoch])
	}
}

// WithRecovery returns the keyring with the age X25519 recipient to which copies for
// recovery are sealed; "" for none.
func (k *Keyring) WithRecovery(recipient string) (*Keyring, error) {
	f := k.file()
	defer f.zero()
	f.Recovery = recipient
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.keyring(), nil
}

// Recovery returns the recipient to which copies for recovery are sealed, or "".
func (k *Keyring) Recovery() string { return k.recovery }

// Seal writes the keyring, encrypted once for each recipient, the innermost first: all
// of them are needed to open it (trust.md 5.1: the operator, then the officer).
func (k *Keyring) Seal(w io.Writer, layers ...age.Recipient) error {
	if len(layers) == 0 || len(layers) > maxLayers {
		return fmt.Errorf("sealing the keyring: %d layers", len(layers))
	}
	f := k.file()
	defer f.zero()
	opened := f.encode()
	defer clear(opened)
	return sealLayers(w, opened, layers)
}

// SealRecovery writes the keyring for the recovery recipient alone.
func (k *Keyring) SealRecovery(w io.Writer) error {
	recipient, err := age.ParseX25519Recipient(k.recovery)
	if err != nil {
		return errors.New("sealing a copy for recovery: the keyring names no recovery recipient")
	}
	return k.Seal(w, recipient)
}

// Rekey returns a function that moves pids, in place and in bulk, from the epoch in force
// to another: AES_K2to(AES_K2from^-1(pid)). What it makes is what the other epoch makes
// of the same identifiers. The zero pid, a row without one, stays. The function is for
// one goroutine.
func (k *Keyring) Rekey(to int) (func(pids [][16]byte), error) {
	next, err := k.At(to)
	if err != nil {
		return nil, err
	}
	if to == k.epoch {
		return nil, errors.New("keyring: pids are of that epoch already")
	}
	from, into := layer(k.key(slotOuter)), layer(next.key(slotOuter))
	return func(pids [][16]byte) {
		for i := range pids {
			pid := pids[i][:]
			if pids[i] == ([16]byte{}) {
				continue
			}
			from.Decrypt(pid, pid)
			into.Encrypt(pid, pid)
		}
	}, nil
}
