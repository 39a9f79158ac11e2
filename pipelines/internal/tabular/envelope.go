package tabular

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pana-exchange/pana/gateway"
)

// maxWindow is the most memory that a zstd frame may ask for: what RFC 8878, 3.1.1.1.2
// recommends every decoder to support, and more than any level below 20 uses.
const maxWindow = 8 << 20

// ratioGrace is how many bytes a file may always have inside, whatever its ratio.
const ratioGrace = 16 << 20

// EnvelopeLimits bound what an envelope may hold.
type EnvelopeLimits struct {
	Bytes int64 // inside
	Ratio int64 // of the bytes inside to those outside, beyond the first 16 MiB
}

// OpenEnvelope returns what is inside a compressed file. The envelope must be whole:
// its end and its check sums are part of it, nothing follows it, and in gzip it is
// one member. Its errors are of the sender's making and hold nothing of the file.
//
// It is decompressed in a goroutine of its own, a few pieces ahead. Call the function
// that is returned when no more is to be read, before the source is used otherwise: it
// ends the goroutine and waits for it.
func OpenEnvelope(src io.Reader, c gateway.Compression, limits EnvelopeLimits) (io.Reader, func(), error) {
	e := &envelope{outside: &counter{Reader: src}, limits: limits}
	closed := func() {}
	switch c {
	case "":
		return src, func() {}, nil
	case gateway.Gzip:
		buffered := bufio.NewReaderSize(e.outside, 64<<10)
		member, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, e.broken()
		}
		member.Multistream(false)
		e.inside, e.rest = member, buffered
	case gateway.Zstd:
		frames, err := zstd.NewReader(e.outside, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, e.broken()
		}
		e.inside, closed = frames, frames.Close
	default:
		return nil, nil, gateway.Errorf(gateway.Unsupported, "a file may be compressed by gzip or zstd")
	}
	a := readAhead(e, closed)
	return a, a.Close, nil
}

// An envelope reads the bytes inside, and counts those on both sides.
type envelope struct {
	outside *counter
	inside  io.Reader
	rest    *bufio.Reader // behind the end of a gzip member
	limits  EnvelopeLimits
	read    int64 // bytes inside so far
	ended   error
}

// A counter counts, and remembers why its reader failed.
type counter struct {
	io.Reader
	read   int64
	failed error
}

// Read reads and counts.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.failed = err
	}
	return n, err
}

// Read reads what is inside.
func (e *envelope) Read(p []byte) (int, error) {
	if e.ended != nil {
		return 0, e.ended
	}
	n, err := e.inside.Read(p)
	e.read += int64(n)
	switch {
	case e.read > e.limits.Bytes:
		e.ended = tooLarge("inside-bytes", "the compressed file holds more than %d bytes; split it", e.limits.Bytes)
		return 0, e.ended
	case e.read > ratioGrace && e.read/e.limits.Ratio > e.outside.read:
		e.ended = tooLarge("ratio", "the compressed file holds more than %d times its own size; send it without compression", e.limits.Ratio)
		return 0, e.ended
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && e.atEnd():
		e.ended = io.EOF
	default:
		e.ended = e.broken()
	}
	return n, e.ended
}

// tooLarge names the limit that a file met.
func tooLarge(limit, format string, args ...any) error {
	e := gateway.Errorf(gateway.TooLarge, format, args...)
	e.Limit = limit
	return e
}

// atEnd reports whether nothing follows the envelope.
func (e *envelope) atEnd() bool {
	if e.outside.failed != nil {
		return false
	}
	if e.rest == nil {
		return true
	}
	_, err := e.rest.Peek(1)
	return err == io.EOF
}

// broken says that the envelope is not one, or why its source failed.
func (e *envelope) broken() error {
	if e.outside.failed != nil {
		return fmt.Errorf("reading the file: %w", e.outside.failed)
	}
	return gateway.Errorf(gateway.Invalid, "the compressed file is damaged, cut off, in several parts or needs more than %d MiB of memory; compress it once more, as one part", maxWindow>>20)
}
