package blind

import (
	"bytes"
	"encoding/binary"

	"github.com/cloudflare/circl/group"

	"github.com/pana-exchange/pana/gateway"
)

// A message is
//
//	"PVO1" | suite 1 | mode 1 | count 4, big endian | count elements of 32 bytes | proof
//
// with the suite 1, ristretto255-SHA512, and the mode 1, VOPRF, of RFC 9497 3.1; a
// request has no proof, and a response one of 64 bytes. It has one spelling and nothing
// behind it.
const (
	elementBytes = 32
	proofBytes   = 64
	headBytes    = 10
	suiteByte    = 1
	modeByte     = 1
)

// MaxRequest and MaxResponse are the lengths of the longest messages.
const (
	MaxRequest  = headBytes + MaxBatch*elementBytes
	MaxResponse = MaxRequest + proofBytes
)

// MediaType is that of both messages.
const MediaType = "application/vnd.pana.voprf"

var (
	magic      = []byte("PVO1")
	errMessage = gateway.Errorf(gateway.Invalid,
		"this is no VOPRF message: PVO1, suite 1, mode 1, a count of 1 to 10000, and as many canonical elements, none the identity")
)

// A Request is one that was read: random elements of the group.
type Request struct{ elements []group.Element }

// Len returns how many identifiers are asked about.
func (r *Request) Len() int { return len(r.elements) }

// ParseRequest reads a request. It refuses, as Invalid, the identity, encodings that
// are not canonical, more than [MaxBatch] elements, another suite or mode, and any
// length that is not exactly that of the count.
func ParseRequest(message []byte) (*Request, error) {
	elements, rest, err := parseMessage(message)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, errMessage
	}
	return &Request{elements}, nil
}

// parseMessage reads the elements of a message, and returns what is behind them, which
// is shorter than [proofBytes] + 1. Nothing is decoded before all lengths are right.
func parseMessage(message []byte) (elements []group.Element, rest []byte, err error) {
	if len(message) < headBytes || !bytes.HasPrefix(message, magic) || message[4] != suiteByte || message[5] != modeByte {
		return nil, nil, errMessage
	}
	n := binary.BigEndian.Uint32(message[6:])
	body := message[headBytes:]
	if n < 1 || n > MaxBatch {
		return nil, nil, errMessage
	}
	end := int(n) * elementBytes
	if len(body) != end && len(body) != end+proofBytes {
		return nil, nil, errMessage
	}
	elements = make([]group.Element, n)
	for i := range elements {
		e := group.Ristretto255.NewElement()
		if e.UnmarshalBinary(body[i*elementBytes:][:elementBytes]) != nil || e.IsIdentity() {
			return nil, nil, errMessage
		}
		elements[i] = e
	}
	return elements, body[end:], nil
}

// newMessage returns the head of a message, with room for the rest.
func newMessage(n, more int) []byte {
	m := make([]byte, 0, headBytes+n*elementBytes+more)
	m = append(append(m, magic...), suiteByte, modeByte)
	return binary.BigEndian.AppendUint32(m, uint32(n)) //nolint:gosec // 1 to MaxBatch
}

func appendElements(dst []byte, elements []group.Element) ([]byte, error) {
	for _, e := range elements {
		raw, err := e.MarshalBinaryCompress()
		if err != nil {
			return nil, gateway.Errorf(gateway.Internal, "an element cannot be written")
		}
		dst = append(dst, raw...)
	}
	return dst, nil
}
