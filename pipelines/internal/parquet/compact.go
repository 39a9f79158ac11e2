package parquet

import "encoding/binary"

// The types of Thrift's compact protocol.
const (
	isTrue   = 1
	isFalse  = 2
	isByte   = 3
	isI64    = 6
	isDouble = 7
	isBinary = 8
	isList   = 9
	isSet    = 10
	isMap    = 11
	isStruct = 12
	isUUID   = 13
)

// maxDepth is how deep structures may be: those of Parquet are less than ten.
const maxDepth = 24

// A compact reads Thrift's compact protocol. Every value takes a byte at least, so
// that reading ends with the bytes, whatever lengths they state. The first fault
// stays, and makes all that is read zero.
type compact struct {
	buf   []byte
	pos   int
	depth int
	err   error
}

func (c *compact) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.pos = len(c.buf)
}

func (c *compact) byte() byte {
	if c.pos >= len(c.buf) {
		c.fail(ErrForm)
		return 0
	}
	c.pos++
	return c.buf[c.pos-1]
}

func (c *compact) uvarint() uint64 {
	v, n := binary.Uvarint(c.buf[c.pos:])
	if n <= 0 {
		c.fail(ErrForm)
		return 0
	}
	c.pos += n
	return v
}

// integer reads a whole number, of any width.
func (c *compact) integer(kind byte) int64 {
	switch {
	case kind == isByte:
		return int64(int8(c.byte())) //nolint:gosec // two's complement
	case kind > isByte && kind <= isI64:
		v := c.uvarint()
		return int64(v>>1) ^ -int64(v&1)
	}
	c.fail(ErrForm)
	return 0
}

// small reads a number that must fit 32 bits.
func (c *compact) small(kind byte) int32 {
	v := c.integer(kind)
	if v != int64(int32(v)) { //nolint:gosec // that is the question
		c.fail(ErrForm)
		return 0
	}
	return int32(v) //nolint:gosec // fits
}

// bytes reads a text, as part of the buffer.
func (c *compact) bytes(kind byte) []byte {
	n := c.uvarint()
	if kind != isBinary || n > uint64(len(c.buf)-c.pos) { //nolint:gosec // pos is inside the buffer
		c.fail(ErrForm)
		return nil
	}
	text := c.buf[c.pos:][:n]
	c.pos += len(text)
	return text
}

// fields reads a structure: every field is given to a function, which reads it, or
// reports that it does not, and then it is skipped.
func (c *compact) fields(kind byte, field func(id int64, kind byte) bool) {
	if c.depth++; c.depth > maxDepth || kind != isStruct {
		c.fail(ErrForm)
	}
	for id := int64(0); c.err == nil; {
		head := c.byte()
		if c.err != nil || head == 0 {
			break
		}
		kind := head & 15
		if delta := int64(head >> 4); delta > 0 {
			id += delta
		} else {
			id = c.integer(isI64)
		}
		if !field(id, kind) {
			c.skip(kind)
		}
	}
	c.depth--
}

// list reads a list of up to most elements; more are the given error.
func (c *compact) list(kind byte, most int, tooMany error, element func(kind byte)) {
	head := uint64(c.byte())
	n := head >> 4
	if n == 15 {
		n = c.uvarint()
	}
	switch {
	case kind != isList && kind != isSet:
		c.fail(ErrForm)
	case n > uint64(most): //nolint:gosec // a constant
		c.fail(tooMany)
	}
	for ; n > 0 && c.err == nil; n-- {
		element(byte(head & 15))
	}
}

func (c *compact) skip(kind byte) {
	switch kind {
	case isTrue, isFalse:
	case isDouble:
		c.leap(8)
	case isUUID:
		c.leap(16)
	case isBinary:
		c.bytes(kind)
	case isList, isSet:
		c.list(kind, len(c.buf), ErrForm, c.skipElement)
	case isMap:
		n := c.uvarint()
		kinds := byte(0)
		if n > 0 {
			kinds = c.byte()
		}
		for ; n > 0 && c.err == nil; n-- {
			c.skipElement(kinds >> 4)
			c.skipElement(kinds & 15)
		}
	case isStruct:
		c.fields(kind, func(int64, byte) bool { return false })
	default:
		c.integer(kind)
	}
}

// skipElement skips an element of a container, in which a truth value has a byte.
func (c *compact) skipElement(kind byte) {
	if kind == isTrue || kind == isFalse {
		c.byte()
		return
	}
	if c.depth++; c.depth > maxDepth {
		c.fail(ErrForm)
	}
	c.skip(kind)
	c.depth--
}

func (c *compact) leap(n int) {
	if n > len(c.buf)-c.pos {
		c.fail(ErrForm)
		return
	}
	c.pos += n
}
