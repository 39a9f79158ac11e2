package tabular

import (
	"errors"
	"io"
	"sync"
)

// What is read ahead: some pieces of a file.
const (
	aheadPieces = 3
	aheadBytes  = 128 << 10
)

// An ahead reads a source in a goroutine of its own, a few pieces ahead of who reads
// it: to decompress takes as long as to decode what comes out (performance.md,
// Containers). The goroutine ends with the source, at its first error, or when the
// ahead is closed; Close waits for it, so that nobody reads the source behind it.
type ahead struct {
	full  chan piece
	free  chan []byte
	stop  chan struct{}
	once  sync.Once
	done  sync.WaitGroup
	piece piece // that is being read
	at    int
}

// A piece is what one reading gave.
type piece struct {
	buf []byte
	err error
}

// readAhead starts reading. The source is closed, by its function, when all is read
// that will be.
func readAhead(src io.Reader, closed func()) *ahead {
	a := &ahead{full: make(chan piece, aheadPieces), free: make(chan []byte, aheadPieces), stop: make(chan struct{})}
	for range aheadPieces {
		a.free <- make([]byte, aheadBytes)
	}
	a.done.Go(func() {
		defer closed()
		a.run(src)
	})
	return a
}

// errDecompressor is what a panic of a decompressor comes to. What it says may be of
// the file, so it is not repeated.
var errDecompressor = errors.New("the decompressor failed")

func (a *ahead) run(src io.Reader) {
	last := piece{err: errDecompressor}
	defer func() {
		_ = recover() // see errDecompressor
		select {
		case a.full <- last:
		case <-a.stop:
		}
	}()
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		n, err := fillPiece(src, buf[:aheadBytes])
		if err != nil {
			last = piece{buf[:n], err}
			return
		}
		select {
		case a.full <- piece{buf: buf[:n]}:
		case <-a.stop:
			return
		}
	}
}

// fillPiece reads until a piece is full: small readings would cost a hand-over each.
func fillPiece(src io.Reader, p []byte) (int, error) {
	n, idle := 0, 0
	for n < len(p) {
		m, err := src.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
		if idle++; m > 0 {
			idle = 0
		}
		if idle == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// Read reads what was read ahead, and returns the source's error behind it.
func (a *ahead) Read(p []byte) (int, error) {
	for a.at == len(a.piece.buf) {
		if a.piece.err != nil {
			return 0, a.piece.err
		}
		if a.piece.buf != nil {
			a.free <- a.piece.buf // there are never more pieces than it has room for
		}
		select {
		case a.piece = <-a.full:
		case <-a.stop:
			a.piece = piece{err: io.ErrClosedPipe}
		}
		a.at = 0
	}
	n := copy(p, a.piece.buf[a.at:])
	a.at += n
	return n, nil
}

// Close ends the reading, forgets what was read, and waits for the goroutine.
func (a *ahead) Close() {
	a.once.Do(func() { close(a.stop) })
	a.done.Wait()
	a.piece, a.at = piece{err: io.ErrClosedPipe}, 0
}
