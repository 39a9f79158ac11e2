//go:build goexperiment.simd && amd64

package pseudonym

import (
	"encoding/binary"

	"simd/archsimd"
)

// aesKey is the expanded key of AES-256, fourteen rounds and the whitening.
type aesKey [15][4]uint32

// expand is the key expansion of FIPS 197, 5.2, its words little endian.
func expand(key []byte) *aesKey {
	var w [60]uint32
	defer clear(w[:])
	for i := range 8 {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	constant := uint32(1)
	for i := 8; i < len(w); i++ {
		word := w[i-1]
		switch i % 8 {
		case 0:
			word = substitute(word, 1) ^ constant
			constant <<= 1
		case 4:
			word = substitute(word, 0)
		}
		w[i] = w[i-8] ^ word
	}
	expanded := new(aesKey)
	for i := range expanded {
		expanded[i] = [4]uint32(w[4*i:])
	}
	return expanded
}

// substitute returns SubWord of a word, and with rotate 1 RotWord of that.
func substitute(word uint32, rotate int) uint32 {
	var out [4]uint32
	archsimd.BroadcastUint32x4(word).AESRoundKeyGenAssist(0).Store(&out)
	return out[rotate]
}

// encrypt2x4 replaces four blocks by AES-256 of them under one key, and writes AES-256
// of them under another to side: eight chains keep the CPU's units busy.
func encrypt2x4(main, other *aesKey, blocks, side *[4][16]byte) {
	k, l := archsimd.LoadUint32x4(&main[0]).AsUint8x16(), archsimd.LoadUint32x4(&other[0]).AsUint8x16()
	a, b := archsimd.LoadUint8x16(&blocks[0]), archsimd.LoadUint8x16(&blocks[1])
	c, d := archsimd.LoadUint8x16(&blocks[2]), archsimd.LoadUint8x16(&blocks[3])
	e, f, g, h := a.Xor(l), b.Xor(l), c.Xor(l), d.Xor(l)
	a, b, c, d = a.Xor(k), b.Xor(k), c.Xor(k), d.Xor(k)
	for i := 1; i < len(main)-1; i++ {
		k, l := archsimd.LoadUint32x4(&main[i]), archsimd.LoadUint32x4(&other[i])
		a, b, c, d = a.AESEncryptOneRound(k), b.AESEncryptOneRound(k), c.AESEncryptOneRound(k), d.AESEncryptOneRound(k)
		e, f, g, h = e.AESEncryptOneRound(l), f.AESEncryptOneRound(l), g.AESEncryptOneRound(l), h.AESEncryptOneRound(l)
	}
	m, n := archsimd.LoadUint32x4(&main[len(main)-1]), archsimd.LoadUint32x4(&other[len(other)-1])
	a.AESEncryptLastRound(m).Store(&blocks[0])
	b.AESEncryptLastRound(m).Store(&blocks[1])
	c.AESEncryptLastRound(m).Store(&blocks[2])
	d.AESEncryptLastRound(m).Store(&blocks[3])
	e.AESEncryptLastRound(n).Store(&side[0])
	f.AESEncryptLastRound(n).Store(&side[1])
	g.AESEncryptLastRound(n).Store(&side[2])
	h.AESEncryptLastRound(n).Store(&side[3])
}
