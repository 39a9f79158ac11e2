//go:build goexperiment.simd && amd64

package pseudonym

import (
	"crypto/sha256"
	"encoding/binary"

	"simd/archsimd"
)

// A chain is the chaining value of SHA-256 in the order in which the instructions
// of the CPU want it.
type chain struct {
	abef, cdgh [4]uint32
}

// chained returns the chaining value of a saved state of the library.
func chained(state []byte) chain {
	var h [8]uint32
	for i := range h {
		h[i] = binary.BigEndian.Uint32(state[stateMagic+4*i:])
	}
	return chain{[4]uint32{h[5], h[4], h[1], h[0]}, [4]uint32{h[7], h[6], h[3], h[2]}}
}

// hmac2 writes the first half of HMAC-SHA-256 of two messages, of one padded block
// each; inner and outer are the chaining values behind the blocks of the key.
func hmac2(a, b *[16]byte, inner, outer *chain, x, y *[sha256.BlockSize]byte) {
	flip := archsimd.LoadInt8x16(&bigEndian)
	xa, xc, ya, yc := compress2(inner,
		words(x, 0, flip), words(x, 16, flip), words(x, 32, flip), words(x, 48, flip),
		words(y, 0, flip), words(y, 16, flip), words(y, 32, flip), words(y, 48, flip))
	p, q := archsimd.LoadUint32x4(&digestPad[0]), archsimd.LoadUint32x4(&digestPad[1])
	xa, xc, ya, yc = compress2(outer,
		abcd(xa, xc), efgh(xa, xc), p, q,
		abcd(ya, yc), efgh(ya, yc), p, q)
	abcd(xa, xc).AsUint8x16().PermuteOrZero(flip).Store(a)
	abcd(ya, yc).AsUint8x16().PermuteOrZero(flip).Store(b)
}

// words returns four words of a block.
func words(block *[sha256.BlockSize]byte, at int, flip archsimd.Int8x16) archsimd.Uint32x4 {
	return archsimd.LoadUint8x16((*[16]byte)(block[at:])).PermuteOrZero(flip).AsUint32x4()
}

// compress2 is the compression function of SHA-256 (FIPS 180-4, 6.2.2) of two blocks,
// sixteen words each, from one chaining value. One block alone would wait for
// the latency of its own rounds half of the time.
func compress2(
	from *chain, x0, x1, x2, x3, y0, y1, y2, y3 archsimd.Uint32x4,
) (xa, xc, ya, yc archsimd.Uint32x4) {
	fa, fc := archsimd.LoadUint32x4(&from.abef), archsimd.LoadUint32x4(&from.cdgh)
	xa, xc, ya, yc = fa, fc, fa, fc
	for i := 0; i < 12; i += 4 {
		k := archsimd.LoadUint32x4(&roundKeys[i+0])
		xa, xc = rounds4(xa, xc, x0.Add(k))
		ya, yc = rounds4(ya, yc, y0.Add(k))
		x0, y0 = schedule(x0, x1, x2, x3), schedule(y0, y1, y2, y3)
		k1 := archsimd.LoadUint32x4(&roundKeys[i+1])
		xa, xc = rounds4(xa, xc, x1.Add(k1))
		ya, yc = rounds4(ya, yc, y1.Add(k1))
		x1, y1 = schedule(x1, x2, x3, x0), schedule(y1, y2, y3, y0)
		k2 := archsimd.LoadUint32x4(&roundKeys[i+2])
		xa, xc = rounds4(xa, xc, x2.Add(k2))
		ya, yc = rounds4(ya, yc, y2.Add(k2))
		x2, y2 = schedule(x2, x3, x0, x1), schedule(y2, y3, y0, y1)
		k3 := archsimd.LoadUint32x4(&roundKeys[i+3])
		xa, xc = rounds4(xa, xc, x3.Add(k3))
		ya, yc = rounds4(ya, yc, y3.Add(k3))
		x3, y3 = schedule(x3, x0, x1, x2), schedule(y3, y0, y1, y2)
	}
	k0 := archsimd.LoadUint32x4(&roundKeys[12])
	xa, xc = rounds4(xa, xc, x0.Add(k0))
	ya, yc = rounds4(ya, yc, y0.Add(k0))
	k1 := archsimd.LoadUint32x4(&roundKeys[13])
	xa, xc = rounds4(xa, xc, x1.Add(k1))
	ya, yc = rounds4(ya, yc, y1.Add(k1))
	k2 := archsimd.LoadUint32x4(&roundKeys[14])
	xa, xc = rounds4(xa, xc, x2.Add(k2))
	ya, yc = rounds4(ya, yc, y2.Add(k2))
	k3 := archsimd.LoadUint32x4(&roundKeys[15])
	xa, xc = rounds4(xa, xc, x3.Add(k3))
	ya, yc = rounds4(ya, yc, y3.Add(k3))
	fa, fc = archsimd.LoadUint32x4(&from.abef), archsimd.LoadUint32x4(&from.cdgh)
	return xa.Add(fa), xc.Add(fc), ya.Add(fa), yc.Add(fc)
}

// rounds4 is four rounds of words to which the constants are added already.
func rounds4(abef, cdgh, wk archsimd.Uint32x4) (archsimd.Uint32x4, archsimd.Uint32x4) {
	cdgh = cdgh.SHA256TwoRounds(abef, wk)
	return abef.SHA256TwoRounds(cdgh, wk.PermuteScalars(2, 3, 2, 3)), cdgh
}

// schedule returns the four words that follow sixteen others.
func schedule(w0, w1, w2, w3 archsimd.Uint32x4) archsimd.Uint32x4 {
	w7 := w3.AsUint8x16().ConcatShiftBytesRight(4, w2.AsUint8x16()).AsUint32x4()
	return w0.SHA256Message1(w1).Add(w7).SHA256Message2(w3)
}

// abcd returns the first half of a chaining value in the order of the standard.
func abcd(abef, cdgh archsimd.Uint32x4) archsimd.Uint32x4 {
	return abef.AsUint64x2().InterleaveHi(cdgh.AsUint64x2()).AsUint32x4().PermuteScalars(1, 0, 3, 2)
}

// efgh returns the second half.
func efgh(abef, cdgh archsimd.Uint32x4) archsimd.Uint32x4 {
	return abef.AsUint64x2().InterleaveLo(cdgh.AsUint64x2()).AsUint32x4().PermuteScalars(1, 0, 3, 2)
}

// digestPad is the padding behind a digest which follows the block of a key.
var digestPad = [2][4]uint32{{0x80000000}, {3: 8 * (64 + 32)}}

// bigEndian reverses the bytes of four words.
var bigEndian = [16]int8{3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12}

// roundKeys are the constants of FIPS 180-4, 4.2.2, four rounds a line.
var roundKeys = [16][4]uint32{
	{0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5},
	{0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5},
	{0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3},
	{0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174},
	{0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc},
	{0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da},
	{0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7},
	{0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967},
	{0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13},
	{0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85},
	{0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3},
	{0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070},
	{0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5},
	{0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3},
	{0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208},
	{0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2},
}
