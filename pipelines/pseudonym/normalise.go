package pseudonym

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/text/unicode/norm"
)

// Versions of the normalisers. The version is part of what is hashed, so a
// changed normaliser is a new version and never a silent break of linkage
// (trust.md 5.2).
const (
	// iinVersion: the twelve ASCII digits as they are. Whoever calls has checked
	// them.
	iinVersion = "iin/1"
	// textVersion: white space at both ends removed, then Unicode NFC. Nothing is
	// folded: agencies' ids tell upper from lower case.
	textVersion = "text/1"
)

// normaliser returns a function that normalises text as textVersion says. The
// result is valid until the next call.
func normaliser() func(text []byte) []byte {
	var buffer []byte
	return func(text []byte) []byte {
		if plain(text) {
			return text
		}
		text = bytes.TrimSpace(text)
		if norm.NFC.IsNormal(text) {
			return text
		}
		buffer = norm.NFC.Append(buffer[:0], text...)
		return buffer
	}
}

// plain reports whether text is ASCII without white space at its ends, as nearly
// all identifiers are, and so its own normal form.
func plain(text []byte) bool {
	if len(text) == 0 || text[0] <= ' ' || text[len(text)-1] <= ' ' {
		return false
	}
	high := uint64(0)
	for ; len(text) >= 8; text = text[8:] {
		high |= binary.LittleEndian.Uint64(text)
	}
	for _, b := range text {
		high |= uint64(b)
	}
	return high&0x8080808080808080 == 0
}
