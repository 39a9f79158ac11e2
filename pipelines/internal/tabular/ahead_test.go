package tabular

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pana-exchange/pana/gateway"
)

func wrapped(tb testing.TB, content []byte, c gateway.Compression) []byte {
	tb.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if c == gateway.Zstd {
		z, err := zstd.NewWriter(&b)
		if err != nil {
			tb.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(content); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

var roomy = EnvelopeLimits{Bytes: 1 << 30, Ratio: 1 << 20}

// goroutines waits until there are no more than there were.
func goroutines(tb testing.TB, before int) {
	tb.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// What is read ahead is what was compressed, however it is read, and no goroutine is
// left.
func TestEnvelopeGivesTheSameBytes(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	before := runtime.NumGoroutine()
	for _, n := range []int{0, 1, aheadBytes - 1, aheadBytes, aheadBytes + 1, 5*aheadBytes + 17} {
		content := make([]byte, n)
		for i := range content {
			content[i] = byte(chance.IntN(4))
		}
		for _, c := range []gateway.Compression{gateway.Gzip, gateway.Zstd} {
			for _, how := range []func(io.Reader) io.Reader{iotest.HalfReader, func(r io.Reader) io.Reader { return r }, iotest.DataErrReader} {
				inside, closed, err := OpenEnvelope(how(bytes.NewReader(wrapped(t, content, c))), c, roomy)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(how(inside))
				closed()
				closed()
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes of %d: %v", c, len(got), n, err)
				}
				if _, err = inside.Read(make([]byte, 1)); err == nil {
					t.Error("a closed envelope is read")
				}
			}
		}
	}
	goroutines(t, before)
}

// Whoever stops reading, for an error or because nobody waits any more, leaves no
// goroutine behind, and nobody who reads the source.
func TestEnvelopeLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	content := bytes.Repeat([]byte("a,b\n"), 1<<20)
	for _, c := range []gateway.Compression{gateway.Gzip, gateway.Zstd} {
		for _, read := range []int{0, 1, aheadBytes, 4 * aheadBytes} {
			src := &watched{Reader: bytes.NewReader(wrapped(t, content, c))}
			inside, closed, err := OpenEnvelope(src, c, roomy)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = io.CopyN(io.Discard, inside, int64(read)); err != nil {
				t.Fatal(err)
			}
			closed()
			reads := src.reads
			time.Sleep(time.Millisecond)
			if src.reads != reads {
				t.Error("the source is read behind the end")
			}
		}
		cause := errors.New("reset")
		half := wrapped(t, content, c)
		inside, closed, err := OpenEnvelope(io.MultiReader(bytes.NewReader(half[:len(half)/2]), iotest.ErrReader(cause)), c, roomy)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(inside); !errors.Is(err, cause) {
			t.Errorf("%v, want %v", err, cause)
		}
		closed()
	}
	goroutines(t, before)
}

// A panic of the decompressor is an error, which repeats nothing.
func TestPanicOfADecompressor(t *testing.T) {
	a := readAhead(panicking{}, func() {})
	defer a.Close()
	if _, err := io.ReadAll(a); !errors.Is(err, errDecompressor) {
		t.Error(err)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a name") }

// watched counts its readings.
type watched struct {
	io.Reader
	reads int
}

func (w *watched) Read(p []byte) (int, error) {
	w.reads++
	return w.Reader.Read(p)
}

// What an envelope gives to its end is what the standard library gives, and one
// member of it; it never gives more than it may, and leaves no goroutine (trust.md
// 6.3, Z4).
func FuzzEnvelope(f *testing.F) {
	text := []byte("record_id,child_sex\n1,F\n")
	gz, zst := wrapped(f, text, gateway.Gzip), wrapped(f, text, gateway.Zstd)
	for _, seed := range [][]byte{
		gz, zst, append(bytes.Clone(gz), gz...), append(bytes.Clone(zst), zst...), gz[:len(gz)-3], zst[:len(zst)-3], append(bytes.Clone(gz), 0), wrapped(f, gz, gateway.Gzip),
		wrapped(f, make([]byte, 1<<20), gateway.Gzip), wrapped(f, make([]byte, 1<<20), gateway.Zstd), []byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"), nil,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, content []byte, zipped bool) {
		before := runtime.NumGoroutine()
		c, limits := gateway.Zstd, EnvelopeLimits{Bytes: 1 << 19, Ratio: 100}
		if zipped {
			c = gateway.Gzip
		}
		inside, closed, err := OpenEnvelope(bytes.NewReader(content), c, limits)
		if err != nil {
			return
		}
		got, err := io.ReadAll(inside)
		closed()
		goroutines(t, before)
		if len(got) > int(limits.Bytes)+aheadBytes {
			t.Fatalf("%d bytes", len(got))
		}
		if err != nil {
			return
		}
		want, err := unwrapped(content, zipped)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, another reader has %d: %v", len(got), len(want), err)
		}
	})
}

// unwrapped is what another reader finds inside.
func unwrapped(content []byte, zipped bool) ([]byte, error) {
	if !zipped {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<20))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.DecodeAll(content, nil)
	}
	src := bytes.NewReader(content)
	r, err := stdgzip.NewReader(src)
	if err != nil {
		return nil, err
	}
	r.Multistream(false)
	text, err := io.ReadAll(r)
	if err == nil && src.Len() > 0 {
		err = errors.New("something is behind it")
	}
	return text, err
}

// A file in an envelope that is given up is given up to the end.
func TestReadingOfAnEnvelopeEndsWithItsContext(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	inside, closed, err := OpenEnvelope(bytes.NewReader(wrapped(t, bytes.Repeat([]byte("a,b\n"), 1<<20), gateway.Gzip)), gateway.Gzip, roomy)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := OpenCSV(ctx, inside, CSVOptions{RowBytes: 100, Known: func([]byte) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = s.Next(ctx)
	}
	closed()
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	goroutines(t, before)
}
