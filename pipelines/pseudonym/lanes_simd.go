//go:build goexperiment.simd && amd64

package pseudonym

import (
	"crypto/sha256"
	"encoding/binary"

	"simd/archsimd"
)

// The SIMD build hashes identifiers two at a time with the SHA instructions of the
// CPU, and encrypts their pseudonyms four at a time, where the CPU has the
// instructions; the laws of the plain build hold it to the same results. There are
// no sixteen lanes of AVX-512: a path that no test of this project runs is not one to
// hash children's numbers with.

// manyIdentifiers is each, two at a time. Identifiers that do not fit into one
// block with the prefix go one by one.
func manyIdentifiers(
	key, prefix []byte, one func([]byte) [16]byte,
) func([][16]byte, []byte, []Span, func([]byte) []byte) {
	d, ok := sha256.New().(digest)
	if !ok || !archsimd.X86.AVX() || !archsimd.X86.SHA() || len(prefix)+4 > sha256.BlockSize-8-1 {
		return each(one)
	}
	inner, outer := chained(padded(d, key, 0x36)), chained(padded(d, key, 0x5c))
	l := &lanes{at: len(prefix), longest: sha256.BlockSize - 8 - 1 - 4 - len(prefix)}
	copy(l.template[:], prefix)
	hash := func(dst [][16]byte) {
		for i := 0; i < l.used; i += 2 {
			b := &l.spare
			if i+1 < l.used {
				b = &dst[l.places[i+1]]
			}
			hmac2(&dst[l.places[i]], b, &inner, &outer, &l.blocks[i], &l.blocks[i+1])
		}
		l.used = 0
	}
	return func(dst [][16]byte, buf []byte, ids []Span, normal func([]byte) []byte) {
		for i, id := range ids {
			if id.Start == id.End {
				dst[i] = [16]byte{}
				continue
			}
			text := normal(buf[id.Start:id.End])
			if len(text) > l.longest {
				dst[i] = one(text)
				continue
			}
			l.add(i, text)
			if l.used == len(l.blocks) {
				hash(dst)
			}
		}
		hash(dst)
	}
}

// lanes are messages that wait to be hashed, one padded block each. They are laid
// out before the first is hashed, or the CPU would wait for its own stores.
type lanes struct {
	blocks   [16][sha256.BlockSize]byte
	places   [16]int // of the results
	used     int
	template [sha256.BlockSize]byte // the prefix
	at       int                    // the length of the prefix
	longest  int                    // identifier that fits
	spare    [16]byte               // the result of a lane without a message
}

// add lays out the message of one identifier, whose place in the results is i.
func (l *lanes) add(i int, id []byte) {
	block := &l.blocks[l.used]
	*block = l.template
	binary.BigEndian.PutUint32(block[l.at:], uint32(len(id))) //nolint:gosec // at most a block
	end := l.at + 4 + copy(block[l.at+4:], id)
	block[end] = 0x80
	binary.BigEndian.PutUint16(block[sha256.BlockSize-2:], uint16(8*(sha256.BlockSize+end))) //nolint:gosec // two blocks
	l.places[l.used] = i
	l.used++
}

// manyLayers is eachLayer, four at a time.
func manyLayers(outer, shift []byte) func(dst [][16]byte, shifts []uint16) {
	rest := eachLayer(outer, shift)
	if !archsimd.X86.AVX() || !archsimd.X86.AVXAES() {
		return rest
	}
	main, other := expand(outer), expand(shift)
	side := new([4][16]byte)
	return func(dst [][16]byte, shifts []uint16) {
		for ; len(dst) >= len(side); dst, shifts = dst[len(side):], shifts[len(side):] {
			encrypt2x4(main, other, (*[4][16]byte)(dst), side)
			for i := range side {
				shifts[i] = shiftOf(&side[i])
			}
		}
		rest(dst, shifts)
	}
}
