// Package inbox holds uploads that arrive in pieces until they are whole: what
// rests of them on disk is sealed, belongs to whoever began them, and goes away.
//
// Call [New] with a directory, then [Inbox.Recover] once the keys are known to be
// the right ones. [Inbox.Create] begins an upload of a stated length,
// [Inbox.Append] adds a piece at the offset that the inbox says, [Inbox.Read] gives
// the whole back, and [Inbox.Settle] erases the bytes and keeps how it ended until
// the upload expires. Call [Inbox.Sweep] from time to time.
//
// An upload is two files. The body is records of at most 64 KiB, each sealed with
// AES-256-GCM under a random nonce and a random key of the upload's own; what is
// sealed with it says which upload it is of and at which offset it stands, so that
// nothing altered, moved or left out is read back. The head holds the key, how
// much of the body counts and what the upload is, sealed by the caller's key ring:
// without it the body is noise, and with the head gone it stays so. The head is
// written anew, durably, behind the bytes that it counts, so an upload outlives
// the process, and a body that is shorter than its head says was cut.
//
// It will not hold a byte in clear, say to others that an upload exists, or decide
// what an upload means: its description and outcome are bytes of the caller's.
package inbox

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// Options says what an [Inbox] works with. Dir, Seal, Open and Now are required.
type Options struct {
	Dir    string // made if need be; nothing else may lie in it
	Seal   func(content, about []byte) ([]byte, error)
	Open   func(sealed, about []byte) ([]byte, error)
	Now    func() time.Time
	Free   func() (uint64, error) // bytes free where Dir lies; nil: not looked at
	Limits Limits
}

// Limits bound what an inbox holds. Zero fields take the defaults.
type Limits struct {
	Keep    time.Duration // how long an upload may be silent, and an outcome is kept; default 24 h
	Oldest  time.Duration // how old an upload may grow, silent or not; default 7 days
	Uploads int           // that one owner may have under way; default 16
	Bytes   int64         // of them, as declared; default 64 GiB
	Total   int64         // of all owners, as declared; default 256 GiB
	Pieces  int           // that one upload may come in; default 65,536
	Ended   int           // of one owner of which the outcome is kept, the newest; default 256
	Reserve uint64        // bytes of the disk that stay free; default 1 GiB
}

func (l Limits) withDefaults() Limits {
	for value, standard := range map[*time.Duration]time.Duration{&l.Keep: 24 * time.Hour, &l.Oldest: 7 * 24 * time.Hour} {
		if *value == 0 {
			*value = standard
		}
	}
	for value, standard := range map[*int]int{&l.Uploads: 16, &l.Pieces: 1 << 16, &l.Ended: 256} {
		if *value == 0 {
			*value = standard
		}
	}
	for value, standard := range map[*int64]int64{&l.Bytes: 64 << 30, &l.Total: 256 << 30} {
		if *value == 0 {
			*value = standard
		}
	}
	if l.Reserve == 0 {
		l.Reserve = 1 << 30
	}
	return l
}

// An Inbox holds uploads. It is safe for concurrent use, by one process.
type Inbox struct {
	Options
	mu    sync.Mutex // guards the map, and the fields of items that say so
	items map[string]*item
}

// An Upload is what is known of one.
type Upload struct {
	ID      string
	Owner   string
	Length  int64
	Offset  int64 // bytes that are held for good
	Expires time.Time
	About   []byte // what the upload is, in the caller's words
	Outcome []byte // how it ended, in the caller's words; nil until then
}

// New returns an inbox over a directory, which it makes. What lies there already is
// not looked at before [Inbox.Recover].
func New(o Options) (*Inbox, error) {
	if o.Dir == "" || o.Seal == nil || o.Open == nil || o.Now == nil {
		return nil, errors.New("inbox: Dir, Seal, Open and Now are required")
	}
	o.Limits = o.Limits.withDefaults()
	err := os.MkdirAll(o.Dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("making the inbox: %w", err)
	}
	return &Inbox{Options: o, items: map[string]*item{}}, nil
}

// Recover takes up what an earlier process left, and erases what cannot be opened,
// was cut, or expired. It returns how many uploads were lost so, expired ones not
// counted.
func (b *Inbox) Recover() (lost int, err error) {
	files, err := os.ReadDir(b.Dir)
	if err != nil {
		return 0, fmt.Errorf("reading the inbox: %w", err)
	}
	known := map[string]bool{}
	for _, f := range files {
		id, isHead := strings.CutSuffix(f.Name(), headSuffix)
		if !isHead {
			continue
		}
		i, err := b.load(id)
		if err != nil {
			lost++
			continue
		}
		known[id] = true
		b.items[id] = i
	}
	for _, f := range files {
		id, _, _ := strings.Cut(f.Name(), ".")
		if !known[id] || strings.HasSuffix(f.Name(), newSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(b.Dir, f.Name())))
		}
	}
	_, swept := b.Sweep()
	return lost, errors.Join(err, swept)
}

// Create begins an upload. It reports Overloaded where the owner, all owners
// together or the disk have no room for it.
func (b *Inbox) Create(owner string, length int64, about []byte) (Upload, error) {
	if owner == "" || length < 1 {
		return Upload{}, gateway.Errorf(gateway.Invalid, "an upload has a length of one byte or more")
	}
	now := b.Now()
	i := newItem(b, head{Owner: owner, Length: length, About: about, Created: now, Touched: now, Key: randomKey()})
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.room(owner, length)
	if err != nil {
		return Upload{}, err
	}
	err = i.create()
	if err != nil {
		return Upload{}, err
	}
	b.items[i.id] = i
	return i.upload(), nil
}

// room says whether one more upload fits. What is declared counts, not what has
// come: room that was promised is there.
func (b *Inbox) room(owner string, length int64) error {
	count, own, all, missing := 0, length, length, length
	for _, i := range b.items {
		if i.state.Outcome != nil {
			continue
		}
		all += i.state.Length
		missing += i.state.Length - i.state.Offset
		if i.state.Owner == owner {
			count++
			own += i.state.Length
		}
	}
	switch {
	case count >= b.Limits.Uploads:
		return full("you have %d uploads under way already; finish one, or end it with DELETE", count)
	case own > b.Limits.Bytes:
		return full("your uploads under way would be more than %d bytes together; finish one, or end it with DELETE", b.Limits.Bytes)
	case all > b.Limits.Total:
		return full("the gateway holds as many bytes of uploads under way as it may; try again later")
	case b.Free == nil:
		return nil
	}
	free, err := b.Free()
	if err != nil {
		return fmt.Errorf("looking at the disk: %w", err)
	}
	if free < b.Limits.Reserve || free-b.Limits.Reserve < uint64(missing) { //nolint:gosec // a sum of positive lengths
		return full("the gateway's disk has no room for the upload; try again later")
	}
	return nil
}

func full(format string, args ...any) error {
	e := gateway.Errorf(gateway.Overloaded, format, args...)
	e.Limit = "inbox"
	return e
}

// find returns an owner's upload. One that does not exist, expired, or is
// another's is NotFound.
func (b *Inbox) find(owner, id string) (*item, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.items[id]
	if i == nil || i.state.Owner != owner || i.expires().Before(b.Now()) {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such upload, or it expired, or your key may not know of it")
	}
	return i, nil
}

// List returns an owner's uploads, oldest first.
func (b *Inbox) List(owner string) []Upload {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Upload
	for _, i := range b.items {
		if i.state.Owner == owner && !i.expires().Before(b.Now()) {
			list = append(list, i.upload())
		}
	}
	slices.SortFunc(list, func(x, y Upload) int {
		return cmp.Or(b.items[x.ID].state.Created.Compare(b.items[y.ID].state.Created), cmp.Compare(x.ID, y.ID))
	})
	return list
}

// Look returns what is known of an upload.
func (b *Inbox) Look(owner, id string) (Upload, error) {
	i, err := b.find(owner, id)
	if err != nil {
		return Upload{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return i.upload(), nil
}

// Sweep erases what expired and is not being used, and returns how many.
func (b *Inbox) Sweep() (int, error) {
	b.mu.Lock()
	var old []*item
	for _, i := range b.items {
		if i.expires().Before(b.Now()) {
			old = append(old, i)
		}
	}
	b.mu.Unlock()
	swept := 0
	var errs []error
	for _, i := range old {
		select {
		case i.busy <- struct{}{}:
		default:
			continue // in use: the next sweep
		}
		errs = append(errs, b.erase(i))
		<-i.busy
		swept++
	}
	return swept, errors.Join(errs...)
}

// erase takes an upload away, the head first: without its key the body is noise.
// The caller holds the item.
func (b *Inbox) erase(i *item) error {
	b.mu.Lock()
	delete(b.items, i.id)
	b.mu.Unlock()
	i.gone = true
	err := errors.Join(absent(os.Remove(i.path(headSuffix))), absent(os.Remove(i.path(bodySuffix))))
	if err != nil {
		return fmt.Errorf("erasing an upload: %w", err)
	}
	return syncDir(b.Dir)
}

// absent is an error, unless it is that there was nothing to remove.
func absent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func randomKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails (crypto/rand)
	return key
}
