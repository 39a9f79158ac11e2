package inbox

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/pana-exchange/pana/gateway"
)

// recordBytes is how much is sealed at once; lengthBytes are before each record.
const (
	recordBytes = 64 << 10
	lengthBytes = 4
)

// saveBytes is how much of a piece is made durable at once: a crash in the middle
// of a long piece costs its sender no more.
const saveBytes = 32 << 20

// ErrChecksum is a piece whose bytes are not those that its sender meant: nothing of
// it is kept. Send it again.
var ErrChecksum = gateway.Errorf(gateway.Invalid, "the piece is not the one that its checksum describes; nothing of it was kept, send it again")

// An OffsetError is a piece for another place than the next one. Nothing of it is
// kept.
type OffsetError struct{ At int64 }

// Error says where the next piece belongs.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("the next piece of this upload starts at offset %d", e.At)
}

// Unwrap returns what it means to a caller.
func (e *OffsetError) Unwrap() error { return gateway.Errorf(gateway.Conflict, "%s", e.Error()) }

// A Piece is a part of an upload.
type Piece struct {
	Offset int64
	Length int64 // -1: not known before
	Body   io.Reader
	Stop   func()    // makes Body fail soon, without waiting; may be nil
	Hash   hash.Hash // with Want, what the piece is held against; nil: nothing
	Want   []byte
}

// Append adds a piece, and returns the offset of the next. A piece that breaks off
// counts as far as it came, unless it was to be held against a checksum; what ended
// it is returned beside the offset. A piece that is still coming is given up for
// this one.
func (b *Inbox) Append(ctx context.Context, owner, id string, p Piece) (int64, error) {
	i, err := b.find(owner, id)
	if err != nil {
		return 0, err
	}
	release, err := i.hold(ctx, takeover)
	if err != nil {
		return 0, err
	}
	defer release()
	err = i.fits(p)
	if err != nil {
		return i.state.Offset, err
	}
	b.setStop(i, p.Stop)
	defer b.setStop(i, nil)
	err = i.append(p)
	return i.state.Offset, err
}

func (b *Inbox) setStop(i *item, stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i.stop = stop
}

// fits refuses a piece before its bytes are read.
func (i *item) fits(p Piece) error {
	s := i.state
	switch {
	case s.Outcome != nil:
		return gateway.Errorf(gateway.Conflict, "the upload has ended; begin another")
	case p.Offset != s.Offset:
		return &OffsetError{s.Offset}
	case p.Length > s.Length-s.Offset:
		return tooLong()
	case s.Pieces >= i.box.Limits.Pieces:
		e := gateway.Errorf(gateway.TooLarge, "the upload came in more than %d pieces; begin another, in larger ones", i.box.Limits.Pieces)
		e.Limit = "pieces"
		return e
	}
	return nil
}

func tooLong() error {
	return gateway.Errorf(gateway.TooLarge, "the piece goes beyond the length of the upload; nothing of it was kept")
}

func (i *item) append(p Piece) (err error) {
	file, err := os.OpenFile(i.path(bodySuffix), os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a body: %w", err)
	}
	w := &writer{item: i, file: file, state: i.state, plain: make([]byte, recordBytes), sealed: make([]byte, 0, lengthBytes+recordBytes+i.aead.Overhead())}
	defer func() {
		clear(w.plain)
		if w.state.Size != i.state.Size {
			err = errors.Join(err, file.Truncate(i.state.Size))
		}
		err = errors.Join(err, file.Close())
	}()
	_, err = file.Seek(i.state.Size, io.SeekStart)
	if err != nil {
		return fmt.Errorf("finding the end of a body: %w", err)
	}
	w.state.Pieces++
	return w.take(p)
}

// A writer seals a piece behind what is held.
type writer struct {
	item          *item
	file          *os.File
	state         head // with what was written; the item's has what is durable
	plain, sealed []byte
}

func (w *writer) take(p Piece) error {
	body := p.Body
	if p.Hash != nil {
		body = io.TeeReader(p.Body, p.Hash)
	}
	var broken error
	for w.state.Offset < w.state.Length && broken == nil {
		n, err := io.ReadFull(body, w.plain[:min(recordBytes, w.state.Length-w.state.Offset)])
		broken = err
		err = w.write(w.plain[:n])
		if err == nil && p.Hash == nil && w.state.Offset-w.item.state.Offset >= saveBytes {
			err = w.save()
		}
		if err != nil {
			return noRoom(err)
		}
	}
	ended := errors.Is(broken, io.EOF) || errors.Is(broken, io.ErrUnexpectedEOF)
	if broken == nil {
		n, err := io.ReadFull(body, w.plain[:1])
		ended = errors.Is(err, io.EOF)
		if n > 0 {
			return tooLong()
		}
		broken = err
	}
	switch {
	case p.Hash == nil:
	case !ended:
		return broken // what cannot be checked does not count
	case subtle.ConstantTimeCompare(p.Hash.Sum(nil), p.Want) != 1:
		return ErrChecksum
	}
	err := w.save()
	if err != nil {
		return noRoom(err)
	}
	if ended {
		return nil
	}
	return broken
}

// write seals one record.
func (w *writer) write(plain []byte) error {
	if len(plain) == 0 {
		return nil
	}
	record := binary.BigEndian.AppendUint32(w.sealed[:0], uint32(len(plain))) //nolint:gosec // at most recordBytes
	record = w.item.aead.Seal(record, nil, plain, w.item.place(w.state.Offset))
	n, err := w.file.Write(record)
	w.state.Size += int64(n)
	if err != nil {
		return err
	}
	w.state.Offset += int64(len(plain))
	return nil
}

// save makes what was written durable, then counts it.
func (w *writer) save() error {
	err := w.file.Sync()
	if err != nil {
		return err
	}
	w.state.Touched = w.item.box.Now()
	return w.item.update(w.state)
}

// place is what a record is sealed with: whose it is, and where it stands.
func (i *item) place(offset int64) []byte {
	return binary.BigEndian.AppendUint64([]byte("pana inbox 1 "+i.id+" "), uint64(offset)) //nolint:gosec // it is not negative
}
