package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
)

// shiftDays is the number of days over which a child's secret shift is spread.
const shiftDays = 365

// A Hasher makes the pseudonyms of one agency's rows. Its methods are not safe
// for concurrent use: every worker has its own. They allocate nothing, but for
// text that is not in Unicode NFC yet.
type Hasher struct {
	pid    func(id []byte) ([16]byte, int)
	pids   func(dst [][16]byte, shifts []uint16, buf []byte, ids []Span)
	outer  func(inner [][16]byte, shifts []uint16)
	record keys
	key    func(domain string) keys
	row    func(row []byte) uint64
}

// keys hash identifiers under one key, one or many at a time.
type keys struct {
	one  func(id []byte) [16]byte
	many func(dst [][16]byte, buf []byte, ids []Span)
}

// NewHasher returns a hasher for pids of a domain, which must be the keyring's,
// and for the record ids of an agency.
func (k *Keyring) NewHasher(domain string, agency gateway.AgencyID) (*Hasher, error) {
	if domain != k.domain {
		return nil, fmt.Errorf("pseudonym: the keyring has no keys for pids of the domain %q", domain)
	}
	if agency == "" {
		return nil, errors.New("pseudonym: a hasher needs an agency")
	}
	one, many := k.pids()
	return &Hasher{
		pid: one, pids: many, outer: k.outerLayers(),
		record: identifiers(k.derive(slotRecord, "record", string(agency)), "record"),
		key:    k.domains(),
		row:    k.rowMAC(),
	}, nil
}

// PID writes the pseudonym of a child and returns the number of days, 0 to 364,
// by which all of the child's dates are shifted. iin is twelve ASCII digits.
func (h *Hasher) PID(dst *[16]byte, iin []byte) (shift int) {
	*dst, shift = h.pid(iin)
	return shift
}

// RecordKey writes the pseudonym of a record id under a key of the agency alone:
// equal ids of two agencies have nothing in common.
func (h *Hasher) RecordKey(dst *[16]byte, id []byte) { *dst = h.record.one(id) }

// Key writes the pseudonym of an identifier of another domain, such as
// "referral". All agencies share the domain's key, so that the sender and the
// receiver of a referral find each other.
func (h *Hasher) Key(dst *[16]byte, domain string, id []byte) { *dst = h.key(domain).one(id) }

// RowMAC returns the keyed check sum of a row's stored bytes.
func (h *Hasher) RowMAC(row []byte) uint64 { return h.row(row) }

// pids is both layers of a child's pseudonym and its shift. The shift hangs on
// the inner layer, so that rotation of the outer leaves the dates alone.
func (k *Keyring) pids() (
	func(id []byte) ([16]byte, int), func(dst [][16]byte, shifts []uint16, buf []byte, ids []Span),
) {
	inner := identifier(k.key(slotInner), enc(nil, "pid", k.domain, iinVersion), asIs)
	layers := eachLayer(k.key(slotOuter), k.key(slotShift))
	manyLayers := manyLayers(k.key(slotOuter), k.key(slotShift))
	// They are on the heap once: a call of a closure would put them there every time.
	pid, days := make([][16]byte, 1), make([]uint16, 1)
	one := func(id []byte) ([16]byte, int) {
		pid[0] = inner.one(id)
		layers(pid, days)
		return pid[0], int(days[0])
	}
	many := func(dst [][16]byte, shifts []uint16, buf []byte, ids []Span) {
		inner.many(dst, buf, ids)
		manyLayers(dst, shifts)
		for i, id := range ids {
			if id.Start == id.End {
				dst[i], shifts[i] = [16]byte{}, 0
			}
		}
	}
	return one, many
}

// outerLayers is the outer layer alone, for inner pseudonyms of a key server.
func (k *Keyring) outerLayers() func(inner [][16]byte, shifts []uint16) {
	layers := manyLayers(k.key(slotOuter), k.key(slotShift))
	none := make([]int, 0, 256)
	return func(inner [][16]byte, shifts []uint16) {
		none = none[:0]
		for i := range inner {
			if inner[i] == ([16]byte{}) {
				none = append(none, i)
			}
		}
		layers(inner, shifts)
		for _, i := range none {
			inner[i], shifts[i] = [16]byte{}, 0
		}
	}
}

// eachLayer turns inner pseudonyms into pids and tells their shifts.
func eachLayer(outer, shift []byte) func(dst [][16]byte, shifts []uint16) {
	main, other := layer(outer), layer(shift)
	y := new([16]byte)
	return func(dst [][16]byte, shifts []uint16) {
		for i := range dst {
			other.Encrypt(y[:], dst[i][:])
			main.Encrypt(dst[i][:], dst[i][:])
			shifts[i] = shiftOf(y)
		}
	}
}

// shiftOf returns the days by which the dates of a child are shifted, from AES-256
// of the inner pseudonym under the key of shifts: its first 64 bits, modulo 365.
// AES is a pseudo-random permutation, and half of its output as good as random for any
// number of children. 2^64 is no multiple of 365, so a day is likelier than
// another by one part in 2^55, which no one sees.
func shiftOf(y *[16]byte) uint16 {
	return uint16(binary.BigEndian.Uint64(y[:]) % shiftDays)
}

// layer returns the outer layer of pids: AES-256 of one block, no mode, because x
// is as good as random and never repeats for two children.
func layer(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("pseudonym: internal error: a key that is none of AES")
	}
	return block
}

// domains hashes identifiers of any domain; a domain's key is made at its first
// use. One that has no random key of its own has a key derived from the root.
func (k *Keyring) domains() func(domain string) keys {
	made := map[string]keys{}
	return func(domain string) keys {
		of, ok := made[domain]
		if !ok {
			key := k.key(slotReferral)
			if domain != string(slotReferral) {
				key = k.derive(slotRoot, "identifier", domain)
			}
			of = identifiers(key, domain)
			made[domain] = of
		}
		return of
	}
}

// identifiers hashes text identifiers of one domain after normalising them.
func identifiers(key []byte, domain string) keys {
	return identifier(key, enc(nil, "id", domain, textVersion), normaliser())
}

// identifier hashes prefix || enc(id) to 128 bits, id normalised.
func identifier(key, prefix []byte, normal func([]byte) []byte) keys {
	mac := keyed(key)
	message := append(make([]byte, 0, len(prefix)+128), prefix...)
	one := func(id []byte) [16]byte {
		message = binary.BigEndian.AppendUint32(message[:len(prefix)], uint32(len(id))) //nolint:gosec // a cell of a file
		message = append(message, id...)
		return [16]byte(mac(message))
	}
	many := manyIdentifiers(key, prefix, one)
	return keys{
		one:  func(id []byte) [16]byte { return one(normal(id)) },
		many: func(dst [][16]byte, buf []byte, ids []Span) { many(dst, buf, ids, normal) },
	}
}

// asIs is the normaliser of identifiers whose one spelling whoever calls has checked.
func asIs(id []byte) []byte { return id }

// rowMAC returns the check sum of rows: SipHash-2-4 under a key of its own. It is
// there for whoever compares the stored rows with what was taken in, and so must
// catch an operator who changes rows in the database, with every other row and its
// sum in sight, but without the keyring. That takes a pseudo-random function: a
// checksum without a key, or one that is linear, can be mended with the row. It takes no
// hash: no one chooses a row against a key that they know. The sum has 64 bits in
// either case, so one changed row in 2^64 passes. SipHash was made for this,
// messages of some dozens of bytes, and costs a fraction of HMAC-SHA-256
// (BenchmarkRowMAC). The key is derived, because the one of the ring has 32 bytes
// and a check value, and SipHash takes 16.
func (k *Keyring) rowMAC() func(row []byte) uint64 {
	return sipHash([16]byte(k.derive(slotRow, "row", "siphash-2-4")))
}
