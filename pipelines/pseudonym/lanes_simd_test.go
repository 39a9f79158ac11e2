//go:build goexperiment.simd && amd64

package pseudonym

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"simd/archsimd"
)

func needSHA(tb testing.TB) {
	tb.Helper()
	if !archsimd.X86.AVX() || !archsimd.X86.SHA() || !archsimd.X86.AVXAES() {
		tb.Skip("this CPU has no SHA or AES instructions: the lanes are not used")
	}
}

// Two messages of one block each, of every pair of lengths.
func TestHMAC2(t *testing.T) {
	needSHA(t)
	key := vectorKeyring(t).key(slotRow)
	d := sha256.New().(digest)
	inner, outer := chained(padded(d, key, 0x36)), chained(padded(d, key, 0x5c))
	message := func(n int) (*[64]byte, []byte) {
		m := make([]byte, n)
		for i := range m {
			m[i] = byte(i*n + n)
		}
		var block [64]byte
		block[copy(block[:], m)] = 0x80
		binary.BigEndian.PutUint64(block[56:], uint64(8*(64+n)))
		return &block, m
	}
	want := func(m []byte) [16]byte {
		h := hmac.New(sha256.New, key)
		h.Write(m)
		return [16]byte(h.Sum(nil))
	}
	for n := range 56 {
		for m := range 56 {
			x, first := message(n)
			y, second := message(m)
			var a, b [16]byte
			hmac2(&a, &b, &inner, &outer, x, y)
			if a != want(first) || b != want(second) {
				t.Fatalf("of %d and %d bytes: %x, %x", n, m, a, b)
			}
		}
	}
}

// FIPS 197, appendix A.3, some of the words, and the library's AES.
func TestExpandAndEncrypt(t *testing.T) {
	needSHA(t)
	key := unhex(t, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	expanded := expand(key)
	for i, want := range map[int]uint32{7: 0x0914dff4, 8: 0x9ba35411, 12: 0xa8b09c1a, 16: 0xd59aecb8, 56: 0xfe4890d1, 59: 0x706c631e} {
		if got := expanded[i/4][i%4]; got != swap(want) {
			t.Errorf("word %d is %08x, want %08x", i, swap(got), want)
		}
	}
	other := bytes.Repeat([]byte{3}, 32)
	var blocks, side [4][16]byte
	for i := range blocks {
		blocks[i] = sha(fmt.Sprint(i))
	}
	plain := blocks
	encrypt2x4(expanded, expand(other), &blocks, &side)
	for i, x := range plain {
		if blocks[i] != encrypt(key, x) || side[i] != encrypt(other, x) {
			t.Errorf("block %d is %x and %x", i, blocks[i], side[i])
		}
	}
}

func swap(w uint32) uint32 {
	return binary.BigEndian.Uint32(binary.LittleEndian.AppendUint32(nil, w))
}

func sha(text string) [16]byte {
	sum := sha256.Sum256([]byte(text))
	return [16]byte(sum[:])
}

func BenchmarkHMAC2(b *testing.B) {
	needSHA(b)
	var from chain
	var c, d [16]byte
	var x, y [64]byte
	for b.Loop() {
		hmac2(&c, &d, &from, &from, &x, &y)
	}
}
