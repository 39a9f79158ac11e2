package inbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A box is an inbox of a test's, with a clock and a key ring that outlive it.
type box struct {
	*Inbox
	options Options
	later   atomic.Int64
}

func newBox(tb testing.TB, limits Limits) *box {
	tb.Helper()
	ring, err := pseudonym.Ephemeral(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	b := &box{}
	envelope := ring.Envelope(rand.Reader, "inbox")
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	b.options = Options{
		Dir: filepath.Join(tb.TempDir(), rand.Text()), Seal: envelope.Seal, Open: envelope.Open, Limits: limits,
		Now: func() time.Time { return start.Add(time.Duration(b.later.Load())) },
	}
	b.reopen(tb)
	return b
}

// reopen is a restart, whatever was going on before. It returns what was lost.
func (b *box) reopen(tb testing.TB) int {
	tb.Helper()
	var err error
	b.Inbox, err = New(b.options)
	if err != nil {
		tb.Fatal(err)
	}
	lost, err := b.Recover()
	if err != nil {
		tb.Fatal(err)
	}
	return lost
}

func (b *box) create(tb testing.TB, length int) Upload {
	tb.Helper()
	u, err := b.Create("a", int64(length), []byte("about"))
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func (b *box) files(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(b.Dir, "*"))
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

func (b *box) read(id string) ([]byte, error) {
	r, err := b.Read(context.Background(), "a", id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

func content(n int) []byte {
	c := make([]byte, n)
	for i := range c {
		c[i] = byte(i % 251)
	}
	return c
}

func piece(offset int, body []byte) Piece {
	return Piece{Offset: int64(offset), Length: int64(len(body)), Body: bytes.NewReader(body)}
}

var errLine = errors.New("the line broke")

// TestAnyCuts sends an upload in pieces that are cut anywhere, with checksums, wrong
// ones, wrong offsets and restarts between them: what is read is what was sent, and
// the offset never goes back.
func TestAnyCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBox(t, Limits{})
		want := content(rapid.IntRange(1, 5*recordBytes/2).Draw(rt, "length"))
		u := b.create(t, len(want))
		offset := 0
		for offset < len(want) {
			n := min(len(want)-offset, rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, recordBytes+2)).Draw(rt, "piece"))
			p := piece(offset, want[offset:offset+n])
			var wantErr error
			kept := n
			switch rapid.IntRange(0, 6).Draw(rt, "how") {
			case 0:
				p.Length, p.Body = -1, io.MultiReader(p.Body, iotest{errLine})
				wantErr = errLine
			case 1:
				sum := sha256.Sum256(want[offset : offset+n])
				p.Hash, p.Want = sha256.New(), sum[:]
			case 2:
				p.Hash, p.Want, kept, wantErr = sha256.New(), make([]byte, 32), 0, ErrChecksum
			case 3:
				p.Hash, p.Want, kept, wantErr = sha256.New(), make([]byte, 32), 0, errLine
				p.Body = io.MultiReader(p.Body, iotest{errLine})
			case 4:
				p.Offset++
				kept, wantErr = 0, gateway.Conflict
			case 5:
				if b.reopen(t) != 0 {
					rt.Fatal("a restart lost the upload")
				}
			}
			at, err := b.Append(t.Context(), "a", u.ID, p)
			if !errors.Is(err, wantErr) && (!errors.Is(wantErr, errLine) || offset+n != len(want)) {
				rt.Fatalf("a piece of %d at %d: %v, want %v", n, offset, err, wantErr)
			}
			if offset+kept != int(at) {
				rt.Fatalf("behind a piece of %d at %d the offset is %d, want %d", n, offset, at, offset+kept)
			}
			offset = int(at)
		}
		got, err := b.read(u.ID)
		if err != nil || !bytes.Equal(got, want) {
			rt.Fatalf("read %d bytes, %v", len(got), err)
		}
	})
}

// iotest is a reader that fails.
type iotest struct{ error }

func (r iotest) Read([]byte) (int, error) { return 0, r.error }

// TestNothingInClear looks for what was sent, and what was said of it, on disk.
func TestNothingInClear(t *testing.T) {
	b := newBox(t, Limits{})
	secret := []byte("kanareika-870512300019")
	u, err := b.Create("owner-"+string(secret), int64(2*len(secret)), secret)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		_, err = b.Append(t.Context(), u.Owner, u.ID, piece(i*len(secret), secret))
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, f := range b.files(t) {
			text, err := os.ReadFile(f)
			if err != nil || bytes.Contains(text, secret[:8]) || strings.Contains(f, string(secret)) {
				t.Errorf("%s holds what was sent: %v", filepath.Base(f), err)
			}
			info, err := os.Stat(f)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s is open to others: %v", filepath.Base(f), err)
			}
		}
		err = b.Settle(t.Context(), u.Owner, u.ID, secret)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestAltered flips each byte of a body in turn, moves records and cuts it: nothing
// of it passes.
func TestAltered(t *testing.T) {
	b := newBox(t, Limits{})
	want := content(300)
	u := b.create(t, len(want))
	for i := range 3 {
		_, err := b.Append(t.Context(), "a", u.ID, piece(100*i, want[100*i:100*(i+1)]))
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(b.Dir, u.ID+bodySuffix)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, bad []byte) {
		err := os.WriteFile(path, bad, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.read(u.ID); !errors.Is(err, ErrAltered) || !bytes.HasPrefix(want, got) {
			t.Errorf("%s: read %d bytes, %v", name, len(got), err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		refused("a flipped byte", bad)
	}
	record := len(good) / 3
	refused("records in another order", append(append(bytes.Clone(good[record:2*record]), good[:record]...), good[2*record:]...))
	refused("a record twice", append(append(bytes.Clone(good[:record]), good[:record]...), good[2*record:]...))
	refused("a record left out", append(bytes.Clone(good[:record]), good[2*record:]...))
	refused("a cut", good[:len(good)-1])
	refused("a cut between records", good[:2*record])
	other := b.create(t, len(want))
	_, err = b.Append(t.Context(), "a", other.ID, piece(0, want))
	if err != nil {
		t.Fatal(err)
	}
	strange, err := os.ReadFile(filepath.Join(b.Dir, other.ID+bodySuffix))
	if err != nil {
		t.Fatal(err)
	}
	refused("another upload's", strange)
	_ = os.WriteFile(path, good, 0o600)
	if lost := b.reopen(t); lost != 0 {
		t.Errorf("%d uploads are lost whose length is right", lost)
	}
	refused("a cut between records", good[:2*record])
	if lost := b.reopen(t); lost != 1 || len(b.files(t)) != 2 {
		t.Errorf("a body that was cut: %d lost, files %d", lost, len(b.files(t)))
	}
}

// TestCrashInAPiece leaves bytes behind what is acknowledged, as a crash does.
func TestCrashInAPiece(t *testing.T) {
	b := newBox(t, Limits{})
	want := content(1000)
	u := b.create(t, len(want))
	_, err := b.Append(t.Context(), "a", u.ID, piece(0, want[:400]))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(b.Dir, u.ID+bodySuffix), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(content(77))
	_ = f.Close()
	_ = os.WriteFile(filepath.Join(b.Dir, u.ID+headSuffix+newSuffix), content(50), 0o600)
	_ = os.WriteFile(filepath.Join(b.Dir, "stray.body"), content(50), 0o600)
	if lost := b.reopen(t); lost != 0 {
		t.Fatalf("%d lost", lost)
	}
	if n := len(b.files(t)); n != 2 {
		t.Errorf("%d files after a restart", n)
	}
	at, err := b.Append(t.Context(), "a", u.ID, piece(400, want[400:]))
	got, readErr := b.read(u.ID)
	if err != nil || at != 1000 || readErr != nil || !bytes.Equal(got, want) {
		t.Errorf("at %d, %v, %v", at, err, readErr)
	}
}

// TestOwners finds no upload of another's.
func TestOwners(t *testing.T) {
	b := newBox(t, Limits{})
	u := b.create(t, 3)
	_, look := b.Look("b", u.ID)
	_, add := b.Append(t.Context(), "b", u.ID, piece(0, []byte("abc")))
	_, read := b.Read(t.Context(), "b", u.ID)
	for name, err := range map[string]error{
		"look": look, "append": add, "read": read, "remove": b.Remove(t.Context(), "b", u.ID),
		"settle": b.Settle(t.Context(), "b", u.ID, []byte("x")), "pause": b.Pause(t.Context(), "b", u.ID),
	} {
		if !errors.Is(err, gateway.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.List("b")) != 0 || len(b.List("a")) != 1 {
		t.Error("a list shows another's upload")
	}
}

// TestExpiry leaves no file of an upload that was silent, or is too old, running or
// restarted; each piece gives it more time.
func TestExpiry(t *testing.T) {
	b := newBox(t, Limits{Keep: time.Hour, Oldest: 3 * time.Hour})
	silent, long, whole, ended := b.create(t, 10), b.create(t, 100), b.create(t, 3), b.create(t, 3)
	for _, u := range []Upload{whole, ended} {
		_, err := b.Append(t.Context(), "a", u.ID, piece(0, []byte("abc")))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Settle(t.Context(), "a", ended.ID, []byte("done")); err != nil {
		t.Fatal(err)
	}
	if u, err := b.Look("a", ended.ID); err != nil || string(u.Outcome) != "done" {
		t.Errorf("the outcome is %q, %v", u.Outcome, err)
	}
	if _, err := os.Stat(filepath.Join(b.Dir, ended.ID+bodySuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the body of an upload that has ended is there: %v", err)
	}
	for i := range 4 {
		b.later.Add(int64(50 * time.Minute))
		_, err := b.Append(t.Context(), "a", long.ID, piece(i, []byte("x")))
		if (err == nil) != (i < 3) {
			t.Errorf("after %d minutes: %v", 50*(i+1), err)
		}
		if i == 1 {
			for _, u := range []Upload{silent, whole, ended} {
				if _, err := b.Look("a", u.ID); !errors.Is(err, gateway.NotFound) {
					t.Errorf("an expired upload: %v", err)
				}
			}
			if n, err := b.Sweep(); n != 3 || err != nil || len(b.files(t)) != 2 {
				t.Errorf("%d swept, %v, %d files left", n, err, len(b.files(t)))
			}
		}
	}
	b.reopen(t)
	if len(b.files(t)) != 0 || len(b.List("a")) != 0 {
		t.Errorf("%d files left", len(b.files(t)))
	}
}

// An upload whose outcome cannot be written is what it was, also after a restart: its
// bytes are there, and open.
func TestSettleFails(t *testing.T) {
	b := newBox(t, Limits{})
	u := b.create(t, 3)
	if _, err := b.Append(t.Context(), "a", u.ID, piece(0, []byte("abc"))); err != nil {
		t.Fatal(err)
	}
	seal := b.Seal
	b.Seal = func([]byte, []byte) ([]byte, error) { return nil, errors.New("no") }
	if err := b.Settle(t.Context(), "a", u.ID, []byte("done")); err == nil {
		t.Fatal("settled without a head")
	}
	b.Seal = seal
	if got, err := b.read(u.ID); err != nil || string(got) != "abc" {
		t.Errorf("read %q, %v", got, err)
	}
	// A head that is saved again is under the key of the bytes.
	if err := b.items[u.ID].update(b.items[u.ID].state); err != nil {
		t.Fatal(err)
	}
	b.reopen(t)
	if got, err := b.read(u.ID); err != nil || string(got) != "abc" {
		t.Errorf("after a restart: read %q, %v", got, err)
	}
}

// TestRoom holds owners, all together and the disk to their limits, by what is
// declared.
func TestRoom(t *testing.T) {
	b := newBox(t, Limits{Uploads: 2, Bytes: 100, Total: 150, Pieces: 3, Reserve: 1000})
	free := uint64(5000)
	b.Free = func() (uint64, error) { return free, nil }
	create := func(owner string, n int64) error {
		_, err := b.Create(owner, n, nil)
		return err
	}
	for _, c := range []struct {
		owner string
		n     int64
		fits  bool
	}{{"a", 101, false}, {"a", 60, true}, {"a", 41, false}, {"a", 40, true}, {"a", 1, false}, {"b", 51, false}, {"b", 50, true}, {"c", 1, false}} {
		err := create(c.owner, c.n)
		e, _ := errors.AsType[*gateway.Error](err)
		if (err == nil) != c.fits || (err != nil && (!errors.Is(err, gateway.Overloaded) || e.Limit != "inbox")) {
			t.Errorf("%d bytes of %s: %v", c.n, c.owner, err)
		}
	}
	of := func(length int64) Upload {
		return b.List("a")[slices.IndexFunc(b.List("a"), func(u Upload) bool { return u.Length == length })]
	}
	u := of(40)
	if err := b.Remove(t.Context(), "a", u.ID); err != nil {
		t.Fatal(err)
	}
	free = 1000 + 60 + 50 + 39 // what was promised to the others is not free
	if err := create("a", 40); !errors.Is(err, gateway.Overloaded) {
		t.Errorf("a full disk: %v", err)
	}
	free++
	if err := create("a", 40); err != nil {
		t.Errorf("room to the byte: %v", err)
	}
	u = of(40)
	for i := range 4 {
		_, err := b.Append(t.Context(), "a", u.ID, piece(i, []byte("x")))
		if errors.Is(err, gateway.TooLarge) != (i == 3) {
			t.Errorf("piece %d: %v", i, err)
		}
	}
	if _, err := b.Append(t.Context(), "a", of(60).ID, piece(0, content(61))); !errors.Is(err, gateway.TooLarge) {
		t.Errorf("a piece beyond the length: %v", err)
	}
}

// TestEndedAreBounded ends more uploads than are kept: the oldest outcomes go, and their
// files, whatever the owner does all day long.
func TestEndedAreBounded(t *testing.T) {
	b := newBox(t, Limits{Ended: 3})
	other, err := b.Create("b", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Settle(t.Context(), "b", other.ID, []byte("done")); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 8 {
		u := b.create(t, 1)
		b.later.Add(int64(time.Second))
		if err := b.Settle(t.Context(), "a", u.ID, []byte("done")); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	list := b.List("a")
	if len(list) != 3 || len(b.List("b")) != 1 || len(b.files(t)) != 4 {
		t.Fatalf("%d outcomes of the owner, %d of another, %d files", len(list), len(b.List("b")), len(b.files(t)))
	}
	for i, u := range list {
		if u.ID != ids[5+i] {
			t.Errorf("outcome %d is not of the newest", i)
		}
	}
}

// TestTakeover sends a piece while an earlier one hangs in a dead line: the earlier
// is given up, what came of it counts, and the offset tells.
func TestTakeover(t *testing.T) {
	b := newBox(t, Limits{})
	want := content(1000)
	u := b.create(t, len(want))
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := b.Append(context.Background(), "a", u.ID, Piece{Length: -1, Body: r, Stop: func() { _ = w.CloseWithError(errLine) }})
		ended <- err
	}()
	_, err := w.Write(want[:100])
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Pause(t.Context(), "a", u.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, errLine) {
		t.Errorf("the piece that was given up: %v", err)
	}
	if now, err := b.Look("a", u.ID); err != nil || now.Offset != 100 {
		t.Errorf("the offset is %d, %v", now.Offset, err)
	}
	if at, err := b.Append(t.Context(), "a", u.ID, piece(100, want[100:])); err != nil || at != 1000 {
		t.Errorf("the rest: %d, %v", at, err)
	}
	reading, err := b.Read(t.Context(), "a", u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(t.Context(), "a", u.ID); !errors.Is(err, gateway.Conflict) {
		t.Errorf("two readers: %v", err)
	}
	_ = reading.Close()
}

// TestWrongRing does not take up what another key ring sealed, and erases it.
func TestWrongRing(t *testing.T) {
	b := newBox(t, Limits{})
	b.create(t, 10)
	other := newBox(t, Limits{})
	b.options.Seal, b.options.Open = other.options.Seal, other.options.Open
	if lost := b.reopen(t); lost != 1 || len(b.files(t)) != 0 {
		t.Errorf("%d lost, %d files", lost, len(b.files(t)))
	}
}
