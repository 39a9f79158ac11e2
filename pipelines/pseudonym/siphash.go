package pseudonym

import (
	"encoding/binary"
	"math/bits"
)

// sipHash returns SipHash-2-4 of 64 bits under a key of 16 bytes (Aumasson and
// Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012).
func sipHash(key [16]byte) func(message []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	return func(message []byte) uint64 {
		v0, v1, v2, v3 := k0^0x736f6d6570736575, k1^0x646f72616e646f6d, k0^0x6c7967656e657261, k1^0x7465646279746573
		last := uint64(len(message)) << 56
		for ; len(message) >= 8; message = message[8:] {
			word := binary.LittleEndian.Uint64(message)
			v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^word)
			v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
			v0 ^= word
		}
		for i, b := range message {
			last |= uint64(b) << (8 * i)
		}
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3^last)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0^last, v1, v2^0xff, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
		return v0 ^ v1 ^ v2 ^ v3
	}
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v2 += v3
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 = bits.RotateLeft64(v0, 32) + v3
	v2 += v1
	return v0, bits.RotateLeft64(v1, 17) ^ v2, bits.RotateLeft64(v2, 32), bits.RotateLeft64(v3, 21) ^ v0
}
