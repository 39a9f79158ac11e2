package registry

import (
	"encoding/base32"
	"fmt"
	"hash/crc32"
	"strings"
)

// secretSize is the bytes of a key's secret: enough that a plain SHA-256 of it keeps
// it (trust.md 5.5).
const secretSize = 32

const (
	maxEnv = 16
	maxKey = 64
)

var tokenBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A token is what the holder of an API key sends:
// pana_<env>_<id>_<52 characters of base32>_<CRC-32 of all before, in hex>. The CRC
// lets scanners for leaked secrets find tokens without asking us.
type token struct {
	env, id string
	secret  [secretSize]byte
}

func (t token) encode() string {
	text := "pana_" + t.env + "_" + t.id + "_" + tokenBase32.EncodeToString(t.secret[:])
	return text + fmt.Sprintf("_%08x", crc32.ChecksumIEEE([]byte(text)))
}

// parseToken reads what encode wrote and nothing else.
func parseToken(text string) (token, bool) {
	if len(text) > 256 {
		return token{}, false
	}
	parts := strings.Split(text, "_")
	if len(parts) != 5 || !lowerAlnum(parts[1], maxEnv) || !lowerAlnum(parts[2], maxKey) {
		return token{}, false
	}
	t := token{env: parts[1], id: parts[2]}
	if len(parts[3]) != tokenBase32.EncodedLen(secretSize) {
		return token{}, false
	}
	if _, err := tokenBase32.Decode(t.secret[:], []byte(parts[3])); err != nil {
		return token{}, false
	}
	// One token has one spelling: this also checks the CRC and base32's spare bits.
	return t, t.encode() == text
}

func lowerAlnum(text string, most int) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return text != "" && len(text) <= most
}
