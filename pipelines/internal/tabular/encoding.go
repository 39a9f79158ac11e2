package tabular

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// The encodings of text, by the names of the IANA registry.
const (
	UTF8        = "utf-8"
	UTF16LE     = "utf-16le"
	UTF16BE     = "utf-16be"
	Windows1251 = "windows-1251"
	KZ1048      = "kz-1048"
)

// notText is what a decoder writes where the input is no character of its
// encoding: never part of UTF-8, so that the reading ends there, with its line,
// instead of going on with a replacement character.
const notText = 0xff

// A codePage is an encoding of one byte a character; utf8.RuneError is no character.
type codePage [256]rune

var (
	windows1251 = pageOf(charmap.Windows1251, nil)
	// KZ-1048 (STRK 1048-2002) is Windows-1251 with Kazakh letters in the place of
	// those of other Slavic languages.
	kz1048 = pageOf(charmap.Windows1251, map[byte]rune{
		0x8d: 'Қ', 0x8e: 'Һ', 0x9d: 'қ', 0x9e: 'һ', 0xa1: 'Ұ', 0xa2: 'ұ', 0xa3: 'Ә', 0xa5: 'Ө', 0xaa: 'Ғ', 0xaf: 'Ү',
		0xb4: 'ө', 0xba: 'ғ', 0xbc: 'ә', 0xbd: 'Ң', 0xbe: 'ң', 0xbf: 'ү',
	})
	koi8 = pageOf(charmap.KOI8R, nil)
	dos  = pageOf(charmap.CodePage866, nil)
)

func pageOf(m *charmap.Charmap, other map[byte]rune) *codePage {
	var page codePage
	for i := range page {
		page[i] = m.DecodeByte(byte(i))
	}
	for b, r := range other {
		page[b] = r
	}
	return &page
}

// decoder returns what turns text of an encoding into UTF-8; nil for UTF-8 itself,
// and false for an encoding that is not read.
func decoder(encoding string) (transform.Transformer, bool) {
	switch encoding {
	case UTF8:
		return nil, true
	case UTF16LE:
		return &utf16Decoder{order: binary.LittleEndian}, true
	case UTF16BE:
		return &utf16Decoder{order: binary.BigEndian}, true
	case Windows1251:
		return &pageDecoder{page: windows1251}, true
	case KZ1048:
		return &pageDecoder{page: kz1048}, true
	}
	return nil, false
}

type pageDecoder struct {
	transform.NopResetter
	page *codePage
}

// Transform decodes one byte a character.
func (d *pageDecoder) Transform(dst, src []byte, _ bool) (to, from int, err error) {
	for ; from < len(src); from++ {
		if to+utf8.UTFMax > len(dst) {
			return to, from, transform.ErrShortDst
		}
		to += putRune(dst[to:], d.page[src[from]])
	}
	return to, from, nil
}

type utf16Decoder struct {
	transform.NopResetter
	order binary.ByteOrder
}

// Transform decodes UTF-16; half a pair of surrogates is no text.
func (d *utf16Decoder) Transform(dst, src []byte, atEOF bool) (to, from int, err error) {
	for from < len(src) {
		if to+utf8.UTFMax > len(dst) {
			return to, from, transform.ErrShortDst
		}
		r, n := d.rune(src[from:], atEOF)
		if n == 0 {
			return to, from, transform.ErrShortSrc
		}
		to += putRune(dst[to:], r)
		from += n
	}
	return to, from, nil
}

// rune decodes one character; no bytes when there are not enough of them yet.
func (d *utf16Decoder) rune(src []byte, atEOF bool) (rune, int) {
	if len(src) < 2 {
		return utf8.RuneError, incomplete(len(src), atEOF)
	}
	r := rune(d.order.Uint16(src))
	switch {
	case r == utf8.RuneError: // what another program already could not read
		return utf8.RuneError, 2
	case !utf16.IsSurrogate(r):
		return r, 2
	case len(src) < 4:
		return utf8.RuneError, incomplete(2, atEOF)
	}
	if pair := utf16.DecodeRune(r, rune(d.order.Uint16(src[2:]))); pair != utf8.RuneError {
		return pair, 4
	}
	return utf8.RuneError, 2
}

func incomplete(n int, atEOF bool) int {
	if atEOF {
		return n
	}
	return 0
}

func putRune(dst []byte, r rune) int {
	if r == utf8.RuneError {
		dst[0] = notText
		return 1
	}
	return utf8.EncodeRune(dst, r)
}

// A lineEnds turns the line ends of old Macintosh programs, CR alone, into LF.
// CRLF and LF beside them are line ends too.
type lineEnds struct{ after bool } // the last byte was CR

// Reset forgets what was read.
func (l *lineEnds) Reset() { l.after = false }

// Transform replaces the line ends.
func (l *lineEnds) Transform(dst, src []byte, _ bool) (to, from int, err error) {
	for ; from < len(src); from++ {
		if to == len(dst) {
			return to, from, transform.ErrShortDst
		}
		b := src[from]
		if b == '\n' && l.after {
			l.after = false
			continue
		}
		if l.after = b == '\r'; l.after {
			b = '\n'
		}
		dst[to] = b
		to++
	}
	return to, from, nil
}
