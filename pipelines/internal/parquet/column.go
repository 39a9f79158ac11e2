package parquet

import (
	"encoding/binary"
	"math"
)

// The encodings of values (Encoding).
const (
	encodingPlain           = 0
	encodingPlainDictionary = 2
	encodingRLE             = 3
	encodingDelta           = 5
	encodingDeltaLength     = 6
	encodingDeltaBytes      = 7
	encodingRLEDictionary   = 8
)

// A column is one of the file, and where its reading stands.
type column struct {
	name     string
	kind     int32
	form     form
	optional bool
	length   int // of FIXED_LEN_BYTE_ARRAY
	scale    int
	unit     int64

	// Of the current group.
	codec      int32
	pos, end   int64 // in the file
	left       int64 // values, those of the current page not counted
	begun      bool  // a page of data was read
	dictionary bool
	texts      []byte   // of the dictionary, one behind the other
	ends       []uint32 // of its texts

	// Of the current page.
	page     []byte
	inPage   int64 // values left, missing ones too
	levels   runs
	encoding int32
	data     []byte // plain values left, or the bytes of texts
	bit      uint64 // of plain truth values
	indexes  runs
	deltas   deltas
	prefixes deltas
	last     []byte // text, of which the next repeats the start
}

// start begins a group.
func (c *column) start(one chunk) {
	c.codec, c.pos, c.end, c.left = one.codec, one.start, one.start+one.length, one.values
	c.begun, c.dictionary, c.inPage = false, false, 0
	c.texts, c.ends = c.texts[:0], c.ends[:0]
}

// next appends the text of the next value.
func (c *column) next(f *File, buf []byte) ([]byte, error) {
	if c.inPage == 0 {
		if err := c.load(f); err != nil {
			return buf, err
		}
	}
	c.inPage--
	if c.optional {
		level, ok := c.levels.next()
		switch {
		case !ok || level > 1:
			return buf, ErrForm
		case level == 0:
			return buf, c.finish()
		}
	}
	buf, err := c.value(f, buf)
	if err != nil {
		return buf, err
	}
	return buf, c.finish()
}

// finish holds against a page that has been read that nothing is left in it.
func (c *column) finish() error {
	if c.inPage > 0 {
		return nil
	}
	whole := true
	switch c.encoding {
	case encodingPlain:
		if c.kind == kindBoolean {
			whole = (c.bit+7)/8 == uint64(len(c.data))
		} else {
			whole = len(c.data) == 0
		}
	case encodingDelta:
		whole = c.deltas.left == 0
	case encodingDeltaLength, encodingDeltaBytes:
		whole = c.deltas.left == 0 && c.prefixes.left == 0 && len(c.data) == 0
	}
	if !whole {
		return ErrForm
	}
	return nil
}

var errEncoding = &FeatureError{0, "is encoded in a way that is not read; write the file with dictionaries or plain values"}

// startValues begins a page of data, behind its levels.
func (c *column) startValues(h *pageHeader, data []byte) error {
	c.begun = true
	if int64(h.values) > c.left {
		return ErrForm // more values than the footer declares
	}
	c.inPage, c.encoding = int64(h.values), h.encoding
	c.left -= c.inPage
	c.data, c.bit = data, 0
	if c.inPage == 0 {
		return nil
	}
	bytes := c.kind == kindBytes
	ok := true
	switch h.encoding {
	case encodingPlain:
	case encodingPlainDictionary, encodingRLEDictionary:
		ok = c.dictionary
		c.indexes = runs{}
		if len(data) > 0 { // a page of missing values may have no indexes
			c.indexes = runs{data: data[1:], width: int(data[0])}
			ok = ok && c.indexes.width <= 32
		}
	case encodingRLE:
		if c.kind != kindBoolean {
			return errEncoding
		}
		if ok = len(data) >= 4; ok {
			c.indexes = runs{data: data[4:], width: 1}
		}
	case encodingDelta:
		if c.kind != kindInt32 && c.kind != kindInt64 {
			return errEncoding
		}
		ok = c.deltas.start(data, c.inPage)
	case encodingDeltaLength:
		if !bytes {
			return errEncoding
		}
		ok = c.startLengths(data)
	case encodingDeltaBytes:
		if !bytes && c.kind != kindFixed {
			return errEncoding
		}
		ok = c.startPrefixes(data)
	default:
		return errEncoding
	}
	if !ok {
		return ErrForm
	}
	return nil
}

// startLengths begins texts whose lengths stand in front of all of them.
func (c *column) startLengths(data []byte) bool {
	c.prefixes = deltas{}
	if !c.deltas.start(data, c.inPage) {
		return false
	}
	var ok bool
	c.data, ok = c.deltas.rest()
	return ok
}

// startPrefixes begins texts that repeat the start of the one before.
func (c *column) startPrefixes(data []byte) bool {
	var prefixes deltas
	if !prefixes.start(data, c.inPage) {
		return false
	}
	rest, ok := prefixes.rest()
	if !ok || !c.startLengths(rest) || c.deltas.left != prefixes.left {
		return false
	}
	c.prefixes, c.last = prefixes, c.last[:0]
	return true
}

// value appends the text of a value that is not missing.
func (c *column) value(f *File, buf []byte) ([]byte, error) {
	switch c.encoding {
	case encodingPlain:
		return c.plain(buf)
	case encodingPlainDictionary, encodingRLEDictionary:
		i, ok := c.indexes.next()
		if !ok || uint64(i) >= uint64(len(c.ends)) {
			return buf, ErrForm
		}
		from := uint32(0)
		if i > 0 {
			from = c.ends[i-1]
		}
		return append(buf, c.texts[from:c.ends[i]]...), nil
	case encodingRLE:
		v, ok := c.indexes.next()
		if !ok {
			return buf, ErrForm
		}
		return appendTruth(buf, v != 0), nil
	case encodingDelta:
		v, ok := c.deltas.next()
		if !ok {
			return buf, ErrForm
		}
		if c.kind == kindInt32 {
			v = int64(int32(v)) //nolint:gosec // differences wrap around
		}
		return c.appendInt(buf, v), nil
	case encodingDeltaLength:
		text, ok := c.text()
		if !ok {
			return buf, ErrForm
		}
		return c.appendBytes(buf, text)
	}
	return c.prefixed(f, buf)
}

// text takes the next text whose length is known.
func (c *column) text() ([]byte, bool) {
	n, ok := c.deltas.next()
	if !ok || n < 0 || n > int64(len(c.data)) {
		return nil, false
	}
	text := c.data[:n]
	c.data = c.data[n:]
	return text, true
}

// prefixed appends a text that repeats the start of the one before.
func (c *column) prefixed(f *File, buf []byte) ([]byte, error) {
	n, ok := c.prefixes.next()
	rest, more := c.text()
	if !ok || !more || n < 0 || n > int64(len(c.last)) {
		return buf, ErrForm
	}
	c.last = append(c.last[:n], rest...)
	if len(c.last) > f.limits.Cell {
		return buf, ErrLong
	}
	if c.kind == kindFixed && len(c.last) != c.length {
		return buf, ErrForm
	}
	return c.appendBytes(buf, c.last)
}

// plain appends the text of a value that stands in full.
func (c *column) plain(to []byte) ([]byte, error) {
	size := [...]int{kindInt32: 4, kindInt64: 8, kindInt96: 12, kindFloat: 4, kindDouble: 8, kindBytes: 4, kindFixed: c.length}[c.kind]
	if len(c.data) < size {
		return to, ErrForm
	}
	value := c.data[:size]
	switch c.kind {
	case kindBoolean:
		at := c.bit >> 3
		if at >= uint64(len(c.data)) {
			return to, ErrForm
		}
		to = appendTruth(to, c.data[at]>>(c.bit&7)&1 != 0)
		c.bit++
		return to, nil
	case kindBytes:
		n := uint64(binary.LittleEndian.Uint32(value))
		if n > uint64(len(c.data)-size) { //nolint:gosec // of size at least
			return to, ErrForm
		}
		value = c.data[size : size+int(n)] //nolint:gosec // inside the page
		size += int(n)                     //nolint:gosec // inside the page
	}
	c.data = c.data[size:]
	switch c.kind {
	case kindInt32:
		return c.appendInt(to, int64(int32(binary.LittleEndian.Uint32(value)))), nil //nolint:gosec // the bits
	case kindInt64:
		return c.appendInt(to, int64(binary.LittleEndian.Uint64(value))), nil //nolint:gosec // the bits
	case kindFloat:
		return appendFloat(to, float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32), nil
	case kindDouble:
		return appendFloat(to, math.Float64frombits(binary.LittleEndian.Uint64(value)), 64), nil
	}
	return c.appendBytes(to, value)
}

func appendTruth(to []byte, v bool) []byte {
	if v {
		return append(to, "true"...)
	}
	return append(to, "false"...)
}
