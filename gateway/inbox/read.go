package inbox

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// ErrAltered is an upload of which something on disk is not what was written.
var ErrAltered = &gateway.Error{Kind: gateway.Internal, Err: errors.New("what is held of an upload was altered on disk")}

// Read returns a whole upload's bytes, in clear, in memory alone. Whoever reads holds
// the upload until Close: others hear Conflict. Bytes that were altered on disk
// are [ErrAltered], and what came before must not be used.
func (b *Inbox) Read(ctx context.Context, owner, id string) (io.ReadCloser, error) {
	i, err := b.find(owner, id)
	if err != nil {
		return nil, err
	}
	release, err := i.hold(ctx, 0)
	if err != nil {
		return nil, err
	}
	if i.state.Outcome != nil || i.state.Offset < i.state.Length {
		release()
		return nil, gateway.Errorf(gateway.Conflict, "the upload is not whole: %d of %d bytes are here", i.state.Offset, i.state.Length)
	}
	file, err := os.Open(i.path(bodySuffix))
	if err != nil {
		release()
		return nil, ErrAltered
	}
	return &reader{item: i, file: file, source: bufio.NewReaderSize(file, 1<<18), release: release, buffer: make([]byte, recordBytes+i.aead.Overhead()), plain: make([]byte, 0, recordBytes)}, nil
}

type reader struct {
	item    *item
	file    *os.File
	source  *bufio.Reader
	release func()
	buffer  []byte
	plain   []byte // of one record
	left    []byte // of plain
	offset  int64  // behind that record
	err     error
}

// Read reads bytes of the upload.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.left) == 0 && r.err == nil {
		r.left, r.err = r.next()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// next opens the next record. Its length is held against its seal by the seal
// itself, and its place by what it was sealed with.
func (r *reader) next() ([]byte, error) {
	if r.offset == r.item.state.Length {
		return nil, io.EOF
	}
	var prefix [lengthBytes]byte
	_, err := io.ReadFull(r.source, prefix[:])
	n := int64(binary.BigEndian.Uint32(prefix[:]))
	if err != nil || n == 0 || n > recordBytes || n > r.item.state.Length-r.offset {
		return nil, ErrAltered
	}
	sealed := r.buffer[:n+int64(r.item.aead.Overhead())]
	_, err = io.ReadFull(r.source, sealed)
	if err != nil {
		return nil, ErrAltered
	}
	plain, err := r.item.aead.Open(r.plain[:0], nil, sealed, r.item.place(r.offset))
	if err != nil {
		return nil, ErrAltered
	}
	r.offset += n
	return plain, nil
}

// Close lets others use the upload.
func (r *reader) Close() error {
	if r.release == nil {
		return nil
	}
	clear(r.plain[:cap(r.plain)])
	r.left, r.err = nil, io.ErrClosedPipe
	r.release()
	r.release = nil
	return r.file.Close()
}

// Settle says how an upload ended, and erases its bytes and its key: what is kept,
// until it expires, is the outcome.
func (b *Inbox) Settle(ctx context.Context, owner, id string, outcome []byte) error {
	i, err := b.find(owner, id)
	if err != nil {
		return err
	}
	release, err := i.hold(ctx, takeover)
	if err != nil {
		return err
	}
	defer release()
	key := randomKey() // the head needs one; this opens nothing
	settled := i.state
	settled.Outcome, settled.Touched, settled.Size, settled.Key = outcome, b.Now(), 0, key
	err = i.update(settled)
	if err != nil { // the upload is what it was: the outcome is on no disk, and the bytes may be needed
		return err
	}
	i.key = func() []byte { return key }
	return errors.Join(absent(os.Remove(i.path(bodySuffix))), b.forget(owner))
}

// forget erases the oldest outcomes of an owner beyond those that are kept: whoever begins
// small uploads and ends them all day long would fill the memory with them.
func (b *Inbox) forget(owner string) error {
	b.mu.Lock()
	var ended []*item
	for _, i := range b.items {
		if i.state.Owner == owner && i.state.Outcome != nil {
			ended = append(ended, i)
		}
	}
	slices.SortFunc(ended, func(x, y *item) int { return cmp.Or(y.state.Touched.Compare(x.state.Touched), cmp.Compare(x.id, y.id)) })
	b.mu.Unlock()
	var errs []error
	for _, i := range ended[min(len(ended), b.Limits.Ended):] {
		select {
		case i.busy <- struct{}{}:
			errs = append(errs, b.erase(i))
			<-i.busy
		default: // in use: the next time
		}
	}
	return errors.Join(errs...)
}

// Remove erases an upload, whatever its state.
func (b *Inbox) Remove(ctx context.Context, owner, id string) error {
	i, err := b.find(owner, id)
	if err != nil {
		return err
	}
	release, err := i.hold(ctx, takeover)
	if err != nil {
		return err
	}
	defer release()
	return b.erase(i)
}

// Pause ends the piece that is coming, if any, so that the offset which
// [Inbox.Look] says stands still: a sender who asks for it is not sending.
func (b *Inbox) Pause(ctx context.Context, owner, id string) error {
	i, err := b.find(owner, id)
	if err != nil {
		return err
	}
	b.mu.Lock()
	coming := i.stop != nil
	b.mu.Unlock()
	if !coming {
		return nil
	}
	release, err := i.hold(ctx, takeover)
	if err != nil {
		return err
	}
	release()
	return nil
}
