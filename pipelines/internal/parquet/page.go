package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// The kinds of pages (PageType).
const (
	pageData       = 0
	pageIndex      = 1
	pageDictionary = 2
	pageDataV2     = 3
)

// The compressions that are read (CompressionCodec).
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecZstd   = 6
)

func known(codec int32) bool {
	return codec == codecNone || codec == codecSnappy || codec == codecGzip || codec == codecZstd
}

// A pageHeader is what stands in front of a page (PageHeader).
type pageHeader struct {
	kind         int32
	length       int32 // inside
	sealed       int32 // as it lies in the file
	crc          uint32
	checked      bool // there is a check sum
	values       int32
	encoding     int32
	levels       int32 // encoding of the definition levels
	levelBytes   int32 // of the second version: of definition levels
	repeatBytes  int32 // and of repetition levels
	uncompressed bool  // of the second version: whatever the codec
}

// header reads the header of a page and steps behind it. It holds no value longer
// than a statistic.
func (c *column) header(f *File) (pageHeader, error) {
	var h pageHeader
	for _, length := range []int64{512, maxHeader} {
		short := length < c.end-c.pos
		text := make([]byte, min(length, c.end-c.pos))
		if err := f.readAt(text, c.pos); err != nil {
			return h, err
		}
		var read int
		var err error
		if h, read, err = readHeader(text); err == nil {
			c.pos += int64(read)
			if h.length < 0 || h.sealed < 0 || h.values < 0 || int64(h.sealed) > c.end-c.pos {
				return h, ErrForm
			}
			if h.length > maxPage || h.sealed > maxPage {
				return h, ErrLarge
			}
			return h, f.spend(int(h.length))
		}
		if !short {
			break
		}
	}
	return h, ErrForm
}

func readHeader(text []byte) (pageHeader, int, error) {
	c := &compact{buf: text}
	h := pageHeader{kind: -1, levels: encodingRLE}
	c.fields(isStruct, func(id int64, kind byte) bool {
		switch id {
		case 1:
			h.kind = c.small(kind)
		case 2:
			h.length = c.small(kind)
		case 3:
			h.sealed = c.small(kind)
		case 4:
			h.crc, h.checked = uint32(c.small(kind)), true //nolint:gosec // the bits
		case 5, 7, 8:
			h.inner(c, id, kind)
		default:
			return false
		}
		return true
	})
	return h, c.pos, c.err
}

// inner reads the header of one kind of pages: 5 of data, 7 of a dictionary, 8 of
// data in the second version.
func (h *pageHeader) inner(c *compact, of int64, kind byte) {
	c.fields(kind, func(id int64, kind byte) bool {
		switch {
		case id == 1:
			h.values = c.small(kind)
		case id == 2 && of != 8, id == 4 && of == 8:
			h.encoding = c.small(kind)
		case id == 3 && of == 5:
			h.levels = c.small(kind)
		case id == 5 && of == 8:
			h.levelBytes = c.small(kind)
		case id == 6 && of == 8:
			h.repeatBytes = c.small(kind)
		case id == 7 && of == 8:
			h.uncompressed = kind == isFalse
			return kind == isFalse || kind == isTrue
		default:
			return false
		}
		return true
	})
}

// body reads the body of a page as it lies in the file.
func (c *column) body(f *File, h *pageHeader) ([]byte, error) {
	var err error
	if f.sealed, err = f.room(f.sealed, int(h.sealed)); err != nil {
		return nil, err
	}
	if err = f.readAt(f.sealed, c.pos); err != nil {
		return nil, err
	}
	c.pos += int64(h.sealed)
	if h.checked && crc32.ChecksumIEEE(f.sealed) != h.crc {
		return nil, ErrForm
	}
	return f.sealed, nil
}

// open puts what is inside a body into a buffer, which it must fill.
func (c *column) open(f *File, into, body []byte) error {
	switch c.codec {
	case codecNone:
		if len(body) != len(into) {
			return ErrForm
		}
		copy(into, body)
		return nil
	case codecSnappy:
		n, err := snappy.DecodedLen(body)
		if err != nil || n != len(into) {
			return ErrForm
		}
		if _, err = snappy.Decode(into, body); err != nil {
			return ErrForm
		}
		return nil
	case codecGzip:
		return gunzip(into, body)
	}
	return f.openFrames(into, body)
}

func gunzip(into, body []byte) error {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return ErrForm
	}
	if _, err = io.ReadFull(r, into); err != nil {
		return ErrForm
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return ErrForm
	}
	return nil
}

func (f *File) openFrames(into, body []byte) error {
	if f.frames == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPage))
		if err != nil {
			return ErrForm
		}
		f.frames = d
	}
	out, err := f.frames.DecodeAll(body, into[:0:len(into)])
	if err != nil || len(out) != len(into) {
		return ErrForm
	}
	if len(out) > 0 && &out[0] != &into[0] {
		copy(into, out)
	}
	return nil
}

// load reads pages up to one that holds values.
func (c *column) load(f *File) error {
	for c.inPage == 0 {
		if c.pos >= c.end {
			return ErrForm // fewer values than the footer declares
		}
		h, err := c.header(f)
		if err != nil {
			return err
		}
		body, err := c.body(f, &h)
		if err != nil {
			return err
		}
		switch h.kind {
		case pageData:
			err = c.loadData(f, &h, body)
		case pageDataV2:
			err = c.loadDataV2(f, &h, body)
		case pageDictionary:
			err = c.loadDictionary(f, &h, body)
		case pageIndex:
		default:
			err = ErrForm
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *column) loadData(f *File, h *pageHeader, body []byte) error {
	var err error
	if c.page, err = f.room(c.page, int(h.length)); err != nil {
		return err
	}
	if err = c.open(f, c.page, body); err != nil {
		return err
	}
	data := c.page
	if c.optional {
		if h.levels != encodingRLE {
			return &FeatureError{0, "has its levels packed in the deprecated way"}
		}
		if len(data) < 4 {
			return ErrForm
		}
		n := binary.LittleEndian.Uint32(data)
		if data = data[4:]; uint64(n) > uint64(len(data)) {
			return ErrForm
		}
		c.levels = runs{data: data[:n], width: 1}
		data = data[n:]
	}
	return c.startValues(h, data)
}

func (c *column) loadDataV2(f *File, h *pageHeader, body []byte) error {
	levels := int(h.levelBytes)
	if h.repeatBytes != 0 || levels < 0 || levels > len(body) || levels > int(h.length) {
		return ErrForm
	}
	var err error
	if c.page, err = f.room(c.page, int(h.length)); err != nil {
		return err
	}
	copy(c.page[:levels], body)
	into, body := c.page[levels:], body[levels:]
	switch {
	case h.uncompressed && len(into) != len(body):
		return ErrForm
	case h.uncompressed:
		copy(into, body)
	default:
		err = c.open(f, into, body)
	}
	if err != nil {
		return err
	}
	c.levels = runs{data: c.page[:levels], width: 1}
	return c.startValues(h, into)
}

// loadDictionary turns a dictionary into texts.
func (c *column) loadDictionary(f *File, h *pageHeader, body []byte) error {
	if c.dictionary || c.begun || h.encoding != encodingPlain && h.encoding != encodingPlainDictionary || c.kind == kindBoolean {
		return ErrForm
	}
	c.dictionary = true
	var err error
	if c.page, err = f.room(c.page, int(h.length)); err != nil {
		return err
	}
	if err = c.open(f, c.page, body); err != nil {
		return err
	}
	held := int64(cap(c.texts) + 4*cap(c.ends))
	c.texts, c.ends, c.data = c.texts[:0], c.ends[:0], c.page
	for range h.values {
		if c.texts, err = c.plain(c.texts); err != nil {
			return err
		}
		c.ends = append(c.ends, uint32(len(c.texts))) //nolint:gosec // bounded by maxPage
		if int64(cap(c.texts)+4*cap(c.ends))-held > f.limits.Held-f.held {
			return ErrLarge
		}
	}
	f.held += int64(cap(c.texts)+4*cap(c.ends)) - held
	if len(c.data) != 0 {
		return ErrForm // more than it says
	}
	return nil
}
