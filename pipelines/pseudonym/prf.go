package pseudonym

import (
	"encoding/binary"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// PRF returns the pseudo-random function of a lineage's noise (disclosure.md
// 2.2). It is safe for concurrent use.
//
// K_noise of a lineage is derived with HKDF from the keyring's one random noise
// key. A random key for each lineage would do the same, but a new lineage would
// need a new keyring file, sealed by everyone who must be there to open it; and
// nothing is ever severed by destroying a noise key, which is why pseudonyms
// have random ones. Lineages learn nothing of one another, and the key of one
// that leaked gives no other.
func (k *Keyring) PRF(lineage string) gateway.PRF {
	return prf(k.derive(slotNoise, "noise", lineage))
}

// SubjectKey returns rk = PRF("sdc/v2/rk", domain, AES^-1(pid)), the key of a
// child in a lineage. It hangs on the inner pseudonym, so that it outlives every
// rotation. It is safe for concurrent use.
func (k *Keyring) SubjectKey(lineage string) func(pid [16]byte) uint64 {
	random := k.PRF(lineage)
	domain := []byte(k.domain)
	outer := layer(k.key(slotOuter))
	return func(pid [16]byte) uint64 {
		x := make([]byte, len(pid))
		outer.Decrypt(x, pid[:])
		return random("sdc/v2/rk", domain, x)
	}
}

// prf keeps its states in a pool, because a release asks for millions of values
// from all its workers.
func prf(key []byte) gateway.PRF {
	type state struct {
		mac     func([]byte) []byte
		message []byte
	}
	states := sync.Pool{New: func() any { return &state{mac: keyed(key)} }}
	return func(label string, parts ...[]byte) uint64 {
		s := states.Get().(*state)
		defer states.Put(s)
		s.message = append(s.message[:0], label...)
		for _, part := range parts {
			s.message = binary.BigEndian.AppendUint32(s.message, uint32(len(part))) //nolint:gosec // labels and ids
			s.message = append(s.message, part...)
		}
		return binary.BigEndian.Uint64(s.mac(s.message))
	}
}
