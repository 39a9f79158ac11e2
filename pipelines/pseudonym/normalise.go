package pseudonym

import (
	"bytes"

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
		text = bytes.TrimSpace(text)
		if norm.NFC.IsNormal(text) {
			return text
		}
		buffer = norm.NFC.Append(buffer[:0], text...)
		return buffer
	}
}
