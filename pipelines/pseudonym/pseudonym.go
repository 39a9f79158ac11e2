// Package pseudonym holds the keys of an installation and turns identifiers into
// keyed pseudonyms.
//
// [Generate] makes a new keyring, [Keyring.Seal] encrypts it with age for the operator
// and again for the officer, [Open] reads it back: so does plain age, run twice. A
// worker of the data path takes a [Hasher] from [Keyring.NewHasher] and asks it for
// pids, record keys and row MACs, one by one or, faster, many at a time; whoever builds
// a release takes
// [Keyring.PRF] and [Keyring.SubjectKey]; the ledger takes [Keyring.Signer], and what
// is stored beside the rows is sealed by a [Keyring.Envelope].
//
// The pid of a child (trust.md 5.2) is made in two layers,
//
//	x   = HMAC-SHA-256(K1[domain], enc("pid", domain, normaliser version, id))[:16]
//	pid = AES-256(K2[domain, epoch], x)
//
// where enc writes every part after its length, 4 bytes, big endian. All
// identification numbers of children can be tried in a minute, so only the keys
// protect; the outer layer can be rotated without the identifiers: [Keyring.WithNewEpoch]
// adds the next K2, [Keyring.Rekey] moves stored pids to it, [Keyring.WithoutEpoch] and
// [Keyring.Forget] destroy the last one. A child's dates are shifted by
// AES-256(K_shift, x), its first 64 bits modulo 365, and a row's check sum is
// SipHash-2-4 of its stored bytes under a key of its own. Record keys, referral keys
// and the shift of dates hang on keys of their own, or on x: they have no outer layer,
// and rotation leaves them alone.
//
// Built with GOEXPERIMENT=simd on amd64, many identifiers are hashed two at a time
// by the SHA instructions of the CPU and encrypted four at a time, where it has
// them; the results are the same. The plain build needs nothing.
//
// There is no key management service in the path: the root of trust is the two age
// identities, and a service that hands them over at the start stands before this
// package without its knowing.
//
// It will not hand out a key, nor print one: key bytes live in closures, because
// a closure shows nothing through any verb of fmt, through encoding/json or
// through log/slog, not even from an unexported field (trust.md 5.5). It does no
// input or output of its own, knows no clock, and takes randomness as a reader.
// It does not check identifiers: what is not a valid identifier must not come
// here, or all unknown children become one.
package pseudonym

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// ChildDomain is the pseudonymisation domain of children's identifiers.
const ChildDomain = "child"

// A Keyring holds the keys of one installation. It is safe for concurrent use.
type Keyring struct {
	installation string
	domain       string
	recovery     string // age recipient of copies for recovery, or ""
	server       string // public key of the key server, or ""
	epoch        int    // in force
	epochs       []int  // whose outer keys it holds
	made         int    // the newest epoch ever made
	layers       int    // that were opened to read it; 0 when it never was sealed
	// key and keys are the only ways to keys' bytes, and never exported.
	key  func(slot) []byte
	keys func() (map[slot][]byte, map[int][]byte)
}

// slot names one random key of the keyring.
type slot string

// The keys of a keyring, 32 random bytes each. They are random and not derived
// from one another, so that destroying one severs what it protects (trust.md
// 5.1).
const (
	slotRoot       slot = "root"       // of envelopes and of identifier domains that have no key of their own, by HKDF
	slotInner      slot = "pid_inner"  // K1: the HMAC layer of pids
	slotOuter      slot = "pid_outer"  // K2: the AES layer of pids, one an epoch
	slotShift      slot = "shift"      // of the days by which a child's dates are shifted
	slotRecord     slot = "record"     // of record ids; a key an agency, by HKDF
	slotReferral   slot = "referral"   // of referral keys, shared by all agencies
	slotRow        slot = "row_mac"    // of the check sums of rows
	slotDigest     slot = "digest"     // of the digests of uploads
	slotNoise      slot = "noise"      // of the noise of releases; a key a lineage, by HKDF
	slotCheckpoint slot = "checkpoint" // the Ed25519 seed of the ledger's checkpoints
)

// slots is the order of the keys in a keyring file.
var slots = [...]slot{
	slotRoot, slotInner, slotOuter, slotShift, slotRecord, slotReferral, slotRow, slotDigest, slotNoise, slotCheckpoint,
}

// pidSlots are the keys on which values stored in rows depend: with another one
// of these, new rows would silently not link with old ones.
var pidSlots = [...]slot{slotRoot, slotInner, slotOuter, slotShift, slotRecord, slotReferral, slotRow}

// keyBytes is the length of every key.
const keyBytes = 32

// Installation returns the name of the installation that the keyring belongs to.
func (k *Keyring) Installation() string { return k.installation }

// Domain returns the pseudonymisation domain of children, which is part of their
// subject keys.
func (k *Keyring) Domain() string { return k.domain }

// Epoch returns the number of the outer key in force: after [Open] that of the time
// when the file was written. The registry knows better: see [Keyring.At].
func (k *Keyring) Epoch() int { return k.epoch }

// Layers returns how many custodians were needed to open the keyring; 0 for one that
// was not read from a sealed file.
func (k *Keyring) Layers() int { return k.layers }

// KCV returns the check value, in hexadecimal, of all keys on which stored rows
// depend. It is stored with every batch; a keyring with another value must
// refuse to start, because a silently wrong key breaks linkage for ever
// (trust.md 5.1). It does not depend on the keys of noise, digests and
// checkpoints: see [Keyring.CheckValues].
func (k *Keyring) KCV() string {
	message := enc(nil, "kcv", k.domain, strconv.Itoa(k.epoch))
	for _, s := range pidSlots {
		message = enc(message, string(s), k.checkValue(s))
	}
	if k.server != "" {
		message = enc(message, "keyserver", k.server)
	}
	sum := sha256.Sum256(message)
	return hex.EncodeToString(sum[:16])
}

// CheckValues returns the check value of each key by its name in the file:
// HMAC-SHA-256(key, "kcv"), the first 8 bytes, in hexadecimal.
func (k *Keyring) CheckValues() map[string]string {
	values := make(map[string]string, len(slots))
	for _, s := range slots {
		values[string(s)] = k.checkValue(s)
	}
	return values
}

func (k *Keyring) checkValue(s slot) string {
	return hex.EncodeToString(keyed(k.key(s))([]byte("kcv"))[:8])
}

// Digest returns HMAC-SHA-256 under the digest key of the SHA-256 of an upload.
// It tells whether the same content came before, without telling anyone who
// holds the registry alone what the content was.
func (k *Keyring) Digest(sum [32]byte) [32]byte {
	return [32]byte(keyed(k.key(slotDigest))(sum[:]))
}

// derive returns a key made with HKDF-SHA-256 from the key of a slot for one
// purpose and one name.
func (k *Keyring) derive(s slot, purpose, name string) []byte {
	// The name is the last part of the label and nothing follows it, so two
	// (purpose, name) never share a label: purposes hold no "/".
	key, err := hkdf.Key(sha256.New, k.key(s), nil, "pana/v1/"+purpose+"/"+name, keyBytes)
	if err != nil {
		panic(fmt.Sprintf("pseudonym: internal error: HKDF of %d bytes", keyBytes))
	}
	return key
}

// enc appends each part after its length, 4 bytes, big endian, so that no two
// lists of parts give the same bytes.
func enc(dst []byte, parts ...string) []byte {
	for _, part := range parts {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(part))) //nolint:gosec // parts are names and bounded ids
		dst = append(dst, part...)
	}
	return dst
}
