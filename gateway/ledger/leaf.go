package ledger

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// MaxLeaf is the most bytes of an encoded leaf (trust.md 4.1).
const MaxLeaf = 8 << 10

// maxID is the most bytes of an actor or an object.
const maxID = 200

// maxInteger is the largest integer that RFC 8785 (through RFC 7493) carries
// exactly.
const maxInteger = 1<<53 - 1

// timeLayout is the one way a leaf writes its time: UTC, milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// A Leaf is one entry of the ledger.
type Leaf struct {
	Seq      uint64 // its place in the log, from 0
	Time     time.Time
	Event    Event
	Actor    string
	Object   string
	Policy   gateway.Revision // SHA-256 in hex, or ""
	Snapshot uint64
	Outcome  Outcome
	Commit   string // see [Commitment], or ""
}

// Why a leaf is not one. They never quote the leaf.
var (
	errForm  = errors.New("ledger: not a leaf in canonical form")
	errEvent = errors.New("ledger: event or outcome is not in the list")
	errID    = errors.New("ledger: actor or object is not an internal id")
	errHash  = errors.New("ledger: policy or commitment is not a SHA-256 in hex")
	errRange = errors.New("ledger: number or time out of range")
	errSize  = errors.New("ledger: leaf is too large")
)

// Encode returns the leaf in canonical JSON. It refuses whatever is not on the
// lists, so that nothing else can be logged.
func (l Leaf) Encode() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	// The keys are in the order of RFC 8785 3.2.3. Every field is always there, and
	// the strings need no escape: check allows none that would.
	b := make([]byte, 0, 512)
	b = append(b, `{"actor":"`...)
	b = append(b, l.Actor...)
	b = append(b, `","commit":"`...)
	b = append(b, l.Commit...)
	b = append(b, `","event":"`...)
	b = append(b, l.Event...)
	b = append(b, `","object":"`...)
	b = append(b, l.Object...)
	b = append(b, `","outcome":"`...)
	b = append(b, l.Outcome...)
	b = append(b, `","policy":"`...)
	b = append(b, l.Policy...)
	b = append(b, `","seq":`...)
	b = strconv.AppendUint(b, l.Seq, 10)
	b = append(b, `,"snapshot":`...)
	b = strconv.AppendUint(b, l.Snapshot, 10)
	b = append(b, `,"time":"`...)
	b = l.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","v":1}`...)
	if len(b) > MaxLeaf {
		return nil, errSize
	}
	return b, nil
}

// DecodeLeaf reads what [Leaf.Encode] wrote, and nothing else: unknown, missing or
// doubled fields, other spellings and other orders are refused.
func DecodeLeaf(data []byte) (Leaf, error) {
	if len(data) > MaxLeaf {
		return Leaf{}, errSize
	}
	// There is one spelling, so reading it takes no JSON parser: whatever this gets
	// wrong is found when the leaf is written again.
	s := scanner{rest: string(data)}
	l := Leaf{
		Actor:    s.text(`{"actor":"`),
		Commit:   s.text(`","commit":"`),
		Event:    Event(s.text(`","event":"`)),
		Object:   s.text(`","object":"`),
		Outcome:  Outcome(s.text(`","outcome":"`)),
		Policy:   gateway.Revision(s.text(`","policy":"`)),
		Seq:      s.number(`","seq":`),
		Snapshot: s.number(`,"snapshot":`),
	}
	at, err := time.Parse(timeLayout, s.text(`,"time":"`))
	if err != nil || s.failed {
		return Leaf{}, errForm
	}
	l.Time = at
	again, err := l.Encode()
	if err != nil {
		return Leaf{}, err
	}
	// One leaf has one spelling; this is what refuses the rest.
	if !bytes.Equal(again, data) {
		return Leaf{}, errForm
	}
	return l, nil
}

// A scanner takes a leaf apart from left to right.
type scanner struct {
	rest   string
	failed bool
}

// text returns what stands between a literal and the next quotation mark.
func (s *scanner) text(after string) string {
	value, found := strings.CutPrefix(s.rest, after)
	end := strings.IndexByte(value, '"')
	if !found || end < 0 {
		s.failed = true
		return ""
	}
	s.rest = value[end:]
	return value[:end]
}

// number returns what stands between a literal and the next comma.
func (s *scanner) number(after string) uint64 {
	value, found := strings.CutPrefix(s.rest, after)
	end := strings.IndexByte(value, ',')
	if !found || end < 0 {
		s.failed = true
		return 0
	}
	n, err := strconv.ParseUint(value[:end], 10, 64)
	s.failed = s.failed || err != nil
	s.rest = value[end:]
	return n
}

func (l Leaf) check() error {
	switch {
	case !l.Event.Valid() || !l.Outcome.Valid():
		return errEvent
	case !internalID(l.Actor), l.Object != "" && !internalID(l.Object):
		return errID
	case l.Policy != "" && !hexDigest(string(l.Policy)), l.Commit != "" && !hexDigest(l.Commit):
		return errHash
	case l.Seq > maxInteger || l.Snapshot > maxInteger:
		return errRange
	}
	if year := l.Time.UTC().Year(); year < 1970 || year > 9999 {
		return errRange
	}
	return nil
}

// internalID reports whether a string looks like an id of ours: ASCII letters,
// digits and "._:/-". Digits alone are refused, because that is what an individual
// identification number looks like.
func internalID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	letters := false
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			letters = true
		case '0' <= c && c <= '9', c == '.', c == '_', c == ':', c == '/', c == '-':
		default:
			return false
		}
	}
	return letters
}

// hexDigest reports whether text is 32 bytes in lower-case hexadecimal.
func hexDigest(text string) bool {
	if len(text) != 64 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
