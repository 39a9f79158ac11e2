package inbox

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// The files of an upload.
const (
	headSuffix = ".head"
	bodySuffix = ".body"
	newSuffix  = ".new" // a head that is being written
)

// takeover is how long a piece waits for the one before it to be given up.
const takeover = 10 * time.Second

// A head is what is known of an upload, as it lies on disk, sealed.
type head struct {
	Owner   string    `json:"owner"`
	Length  int64     `json:"length"`
	About   []byte    `json:"about"`
	Created time.Time `json:"created"`
	Touched time.Time `json:"touched"`
	Offset  int64     `json:"offset"` // bytes of the upload that are held
	Size    int64     `json:"size"`   // bytes of the body's file that hold them
	Pieces  int       `json:"pieces"`
	Outcome []byte    `json:"outcome,omitempty"`
	Key     []byte    `json:"key,omitempty"` // only on its way to the seal
}

// An item is an upload of this inbox.
type item struct {
	box  *Inbox
	id   string
	aead cipher.AEAD
	key  func() []byte // in a closure: a field could be printed

	busy  chan struct{} // holds one token while somebody uses the files
	gone  bool          // guarded by busy
	state head          // written under both busy and the inbox's mu; read under either
	stop  func()        // ends the piece that is coming; guarded by the inbox's mu
}

func newItem(b *Inbox, h head) *item { return itemOf(b, rand.Text(), h) }

func itemOf(b *Inbox, id string, h head) *item {
	block, err := aes.NewCipher(h.Key)
	if err != nil {
		panic("inbox: internal error: a key of the wrong length")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("inbox: internal error: AES has no GCM")
	}
	key := h.Key
	h.Key = nil
	return &item{box: b, id: id, aead: aead, key: func() []byte { return key }, busy: make(chan struct{}, 1), state: h}
}

func (i *item) path(suffix string) string { return filepath.Join(i.box.Dir, i.id+suffix) }

func (i *item) expires() time.Time {
	silent := i.state.Touched.Add(i.box.Limits.Keep)
	if old := i.state.Created.Add(i.box.Limits.Oldest); i.state.Outcome == nil && old.Before(silent) {
		return old
	}
	return silent
}

// upload is what callers see. They hold the inbox's mu.
func (i *item) upload() Upload {
	s := i.state
	return Upload{ID: i.id, Owner: s.Owner, Length: s.Length, Offset: s.Offset, Expires: i.expires(), About: s.About, Outcome: s.Outcome}
}

// hold takes the item for the caller alone, ending the piece that is coming, if
// any: whoever comes back knows that the line of the one before is broken, and the
// gateway may not yet.
func (i *item) hold(ctx context.Context, wait time.Duration) (release func(), err error) {
	i.box.mu.Lock()
	if i.stop != nil && wait > 0 {
		i.stop() // under the lock: never after the piece has ended
	}
	i.box.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case i.busy <- struct{}{}:
	default:
		select {
		case i.busy <- struct{}{}:
		case <-timer.C:
			return nil, gateway.Errorf(gateway.Conflict, "the upload is in use; ask for its state with GET, and try again")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if i.gone {
		<-i.busy
		return nil, gateway.Errorf(gateway.NotFound, "there is no such upload, or it expired, or your key may not know of it")
	}
	return func() { <-i.busy }, nil
}

func (i *item) create() error {
	body, err := os.OpenFile(i.path(bodySuffix), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = body.Close()
	}
	if err == nil {
		err = i.save(i.state)
	}
	if err != nil {
		_ = os.Remove(i.path(bodySuffix))
		return noRoom(err)
	}
	return nil
}

// save makes a state durable and then that of the item. What it counts of the body
// must be durable before.
func (i *item) save(h head) error {
	if h.Key == nil {
		h.Key = i.key()
	}
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encoding a head: %w", err)
	}
	defer clear(text)
	sealed, err := i.box.Seal(text, []byte("inbox "+i.id))
	if err != nil {
		return fmt.Errorf("sealing a head: %w", err)
	}
	err = writeDurably(i.path(headSuffix), sealed)
	if err != nil {
		return err
	}
	h.Key = nil
	i.state = h
	return nil
}

// update is save for an item that others see.
func (i *item) update(h head) error {
	i.box.mu.Lock()
	defer i.box.mu.Unlock()
	return i.save(h)
}

// load reads an item of an earlier process. Of its body counts what the head
// counts: what was written behind that was never acknowledged, and is cut off.
func (b *Inbox) load(id string) (*item, error) {
	sealed, err := fs.ReadFile(os.DirFS(b.Dir), id+headSuffix)
	if err != nil {
		return nil, fmt.Errorf("reading a head: %w", err)
	}
	text, err := b.Open(sealed, []byte("inbox "+id))
	if err != nil {
		return nil, err
	}
	defer clear(text)
	var h head
	err = json.Unmarshal(text, &h)
	if err != nil || len(h.Key) != 32 {
		return nil, errors.New("a head that is none")
	}
	i := itemOf(b, id, h)
	if h.Outcome != nil {
		return i, nil
	}
	info, err := os.Stat(i.path(bodySuffix))
	if err != nil || info.Size() < h.Size {
		return nil, errors.New("a body that was cut")
	}
	return i, os.Truncate(i.path(bodySuffix), h.Size)
}

// writeDurably replaces a file: the old content or the new, whatever happens.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path+newSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // below the inbox's directory
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		_ = os.Remove(path + newSuffix)
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the inbox's own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// noRoom is how a disk that does not take more looks to the sender.
func noRoom(err error) error {
	return &gateway.Error{Kind: gateway.Overloaded, Limit: "inbox", Detail: "the gateway's disk does not take the upload; try again later", Err: err}
}
