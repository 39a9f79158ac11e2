package tabular

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/pana-exchange/pana/gateway"
)

// chunkBytes is how much of a spooled file is sealed at once.
const chunkBytes = 64 << 10

// A spool holds a file whose end must be read before its start, as those of ZIP and
// Parquet must. It lies on disk, because such files are larger than memory may be,
// sealed by AES-256-GCM in chunks under a key that is drawn for this file, is only in
// memory and dies with it: what rests on disk is as good as random, and what is
// altered there is refused. The file has no name from the moment it is made, where
// the system allows that.
type spool struct {
	mu     sync.Mutex // parquet reads from more than one goroutine
	file   *os.File
	aead   cipher.AEAD
	size   int64
	chunk  int64 // that is in plain; -1: none
	plain  []byte
	sealed []byte
}

// newSpool reads the whole source.
func newSpool(ctx context.Context, src io.Reader, dir string, limit int64) (*spool, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("drawing a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	s := &spool{chunk: -1, sealed: make([]byte, 0, chunkBytes+16), plain: make([]byte, chunkBytes)}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	if s.file, err = os.CreateTemp(dir, "pana-spool-*"); err != nil {
		return nil, errors.New("a place to hold the file cannot be made")
	}
	_ = os.Remove(s.file.Name()) // where it cannot be taken away while it is open, Close does
	if err = s.fill(ctx, src, limit); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *spool) fill(ctx context.Context, src io.Reader, limit int64) error {
	for eof := false; !eof; {
		var n int
		var err error
		n, eof, err = readFull(ctx, src, s.plain[:chunkBytes])
		if err != nil {
			return err
		}
		if s.size+int64(n) > limit {
			return tooLarge("held-bytes", "a workbook or a Parquet file has %d bytes at most; split it, or send CSV", limit)
		}
		if n == 0 {
			break
		}
		sealed := s.aead.Seal(s.sealed[:0], s.nonce(s.size/chunkBytes), s.plain[:n], nil)
		if _, err = s.file.Write(sealed); err != nil {
			return gateway.Errorf(gateway.Overloaded, "there is no room to hold the file; try again later, or send CSV")
		}
		s.size += int64(n)
	}
	return nil
}

func (s *spool) nonce(chunk int64) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	binary.LittleEndian.PutUint64(nonce, uint64(chunk)) //nolint:gosec // a count
	return nonce
}

// ReadAt reads what was spooled.
func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= s.size || at < 0 {
			return n, io.EOF
		}
		if err := s.open(at / chunkBytes); err != nil {
			return n, err
		}
		n += copy(p[n:], s.plain[at%chunkBytes:])
	}
	return n, nil
}

// open puts a chunk into plain.
func (s *spool) open(chunk int64) error {
	if chunk == s.chunk {
		return nil
	}
	s.chunk = -1
	length := min(chunkBytes, s.size-chunk*chunkBytes)
	sealed := s.sealed[:length+int64(s.aead.Overhead())]
	if _, err := s.file.ReadAt(sealed, chunk*int64(chunkBytes+s.aead.Overhead())); err != nil {
		return errors.New("what was held of the file cannot be read")
	}
	plain, err := s.aead.Open(s.plain[:0], s.nonce(chunk), sealed, nil)
	if err != nil {
		return errors.New("what was held of the file was altered")
	}
	s.plain, s.chunk = plain, chunk
	return nil
}

// Close gives the place back and forgets what is in memory of the file.
func (s *spool) Close() {
	clear(s.plain[:cap(s.plain)])
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}
