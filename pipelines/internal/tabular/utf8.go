package tabular

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// valid is [utf8.Valid] for text that is mostly ASCII with words of another
// alphabet here and there: eight bytes of ASCII at a time, also behind the first
// such word, and letters of two bytes without a call.
func valid(text []byte) bool {
	for len(text) >= 8 {
		high := binary.LittleEndian.Uint64(text) & highs
		if high == 0 {
			text = text[8:]
			continue
		}
		text = text[bits.TrailingZeros64(high)>>3:]
		for len(text) >= 2 && text[0] >= utf8.RuneSelf {
			if text[0] >= 0xc2 && text[0] < 0xe0 && text[1]&0xc0 == 0x80 {
				text = text[2:]
				continue
			}
			r, n := utf8.DecodeRune(text)
			if r == utf8.RuneError && n == 1 {
				return false
			}
			text = text[n:]
		}
	}
	return utf8.Valid(text)
}
