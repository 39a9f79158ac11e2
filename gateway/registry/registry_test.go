package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

const origin = "pana/test"

// A clock is moved by hand.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) now() time.Time      { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) add(d time.Duration) { c.ms.Add(d.Milliseconds()) }
func (c *clock) options(tb testing.TB) Options {
	tb.Helper()
	keyring, err := pseudonym.Generate(rand.Reader, "test")
	if err != nil {
		tb.Fatal(err)
	}
	opt, err := optionsOf(filepath.Join(tb.TempDir(), "registry.db"), keyring, c.now)
	if err != nil {
		tb.Fatal(err)
	}
	return opt
}

// optionsOf wires a registry to a keyring as a gateway does.
func optionsOf(path string, keyring []byte, now func() time.Time) (Options, error) {
	keys, err := pseudonym.Parse(keyring)
	if err != nil {
		return Options{}, err
	}
	receipts := keys.Envelope(rand.Reader, "receipts")
	return Options{
		Path: path, Now: now, Rand: rand.Reader, Signer: keys.Signer(), Verifier: keys.Verifier(), Origin: origin,
		Seal: receipts.Seal, Unseal: receipts.Open,
	}, nil
}

func mustOpen(tb testing.TB, opt Options) *Registry {
	tb.Helper()
	r, err := Open(context.Background(), opt)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// start opens a fresh registry with two agencies of the police and one of health.
func start(tb testing.TB) (*Registry, *clock) {
	tb.Helper()
	c := newClock()
	r := mustOpen(tb, c.options(tb))
	tb.Cleanup(func() {
		if _, err := r.Verify(context.Background()); err != nil {
			tb.Errorf("the ledger at the end: %v", err)
		}
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	addAgencies(tb, r)
	return r, c
}

func addAgencies(tb testing.TB, r *Registry) {
	tb.Helper()
	for _, a := range []Agency{
		{ID: "police-a", Contract: "police", Regions: []string{"11", "61"}, From: quarter("2025Q1")},
		{ID: "police-b", Contract: "police", Regions: []string{"61"}, From: quarter("2025Q2")},
		{ID: "health-a", Contract: "health", Regions: []string{"61"}, From: quarter("2025Q1"), To: quarter("2025Q2")},
	} {
		if err := r.AddAgency(context.Background(), "install", a); err != nil {
			tb.Fatal(err)
		}
	}
}

func quarter(text string) gateway.Quarter {
	q, err := gateway.ParseQuarter(text)
	if err != nil {
		panic(err)
	}
	return q
}

func day(text string) gateway.Day {
	d, ok := gateway.ParseDay([]byte(text))
	if !ok {
		panic(text)
	}
	return d
}

func intent(agency gateway.AgencyID, key, content string) Intent {
	contract := gateway.ContractID("police")
	if agency == "health-a" {
		contract = "health"
	}
	return Intent{
		Agency: agency, Actor: "k1", Contract: contract, Version: 1, Key: key, Content: sha256.Sum256([]byte(content)),
		Manifest: gateway.Manifest{
			PeriodFrom: day("2025-01-01"), PeriodTo: day("2025-03-31"), Kind: gateway.Original, Reject: gateway.RejectBatch,
		},
		KCV: "0123456789abcdef", Lease: time.Minute,
	}
}

func accepted(stored int) Accepted {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	return Accepted{Receipt: gateway.Receipt{Records: stored, Stored: stored, Salt: salt, Content: make([]byte, 32)}, MAC: 1 << 63, Compared: 1 << 62}
}

// load runs an upload to its receipt.
func (r *Registry) load(tb testing.TB, in Intent) (gateway.BatchID, []byte, uint64) {
	tb.Helper()
	a, err := r.BeginBatch(context.Background(), in)
	if err != nil {
		tb.Fatal(err)
	}
	receipt, seq, err := r.CommitBatch(context.Background(), a.Batch, a.Load, accepted(10))
	if err != nil {
		tb.Fatal(err)
	}
	return a.Batch, receipt, seq
}

func (r *Registry) publish(tb testing.TB, in Intent) gateway.BatchID {
	tb.Helper()
	id, _, _ := r.load(tb, in)
	if err := r.PublishedBatch(context.Background(), id); err != nil {
		tb.Fatal(err)
	}
	return id
}

// wantKind fails unless err is of a kind.
func wantKind(tb testing.TB, err error, kind gateway.Kind) {
	tb.Helper()
	if !errors.Is(err, kind) {
		tb.Fatalf("got error %v, want %v", err, kind)
	}
}

// checkTree holds leaves == head and hashes == 2n - popcount(n).
func checkTree(tb testing.TB, r *Registry) {
	tb.Helper()
	var size, leaves, hashes int64
	err := r.read.QueryRow(`SELECT size, (SELECT count(*) FROM leaf), (SELECT count(*) FROM hash) FROM head`).Scan(&size, &leaves, &hashes)
	if err != nil {
		tb.Fatal(err)
	}
	if leaves != size || hashes != tlog.StoredHashCount(size) {
		tb.Fatalf("head says %d, there are %d leaves and %d hashes", size, leaves, hashes)
	}
}

func TestUpload(t *testing.T) {
	r, _ := start(t)
	in := intent("police-a", "key-1", "content")
	id, receipt, seq := r.load(t, in)
	again, err := r.BeginBatch(t.Context(), in)
	if err != nil || string(again.Receipt) != string(receipt) || again.Batch != id {
		t.Fatalf("the retry got %v, %v", again, err)
	}
	in.Key = "key-2"
	again, err = r.BeginBatch(t.Context(), in)
	if err != nil || string(again.Receipt) != string(receipt) {
		t.Fatalf("the same content under another key got %v, %v", again, err)
	}
	in = intent("police-a", "key-1", "other content")
	_, err = r.BeginBatch(t.Context(), in)
	wantKind(t, err, gateway.Mismatch)
	pending, err := r.Pending(t.Context())
	if err != nil || len(pending) != 1 || pending[0].ID != id || pending[0].Seq != seq {
		t.Fatalf("pending is %v, %v", pending, err)
	}
	checkTree(t, r)
}

// An attempt whose lease ran out may still commit, but not beside another one of the
// same content: its children would count twice.
func TestLateTwin(t *testing.T) {
	r, c := start(t)
	late, err := r.BeginBatch(t.Context(), intent("police-a", "k1", "content"))
	if err != nil {
		t.Fatal(err)
	}
	c.add(2 * time.Minute)
	id, receipt, _ := r.load(t, intent("police-a", "k2", "content"))
	_, _, err = r.CommitBatch(t.Context(), late.Batch, late.Load, accepted(10))
	wantKind(t, err, gateway.Conflict)
	again, err := r.BeginBatch(t.Context(), intent("police-a", "k1", "content"))
	if err != nil || again.Batch != id || string(again.Receipt) != string(receipt) {
		t.Fatalf("the retry got %v, %v", again, err)
	}
	other := intent("police-a", "k3", "content")
	other.Manifest.PeriodTo++
	_, err = r.BeginBatch(t.Context(), other)
	wantKind(t, err, gateway.Conflict)
}

func TestOneBeginWins(t *testing.T) {
	r, _ := start(t)
	var wins, conflicts atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			in := intent("police-a", "key", "content")
			if i%2 == 1 {
				in.Key = fmt.Sprint("key-", i) // the same content races under other keys, too
			}
			switch _, err := r.BeginBatch(t.Context(), in); {
			case err == nil:
				wins.Add(1)
			case errors.Is(err, gateway.Conflict):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 || conflicts.Load() != 19 {
		t.Fatalf("%d attempts began, %d conflicts", wins.Load(), conflicts.Load())
	}
}

// The files alone do not confirm a guess of an upload's content: nowhere in them is
// the salt of a receipt, nor the digest beside it.
func TestReceiptsAreSealed(t *testing.T) {
	r, _ := start(t)
	a, err := r.BeginBatch(t.Context(), intent("police-a", "key", "content"))
	if err != nil {
		t.Fatal(err)
	}
	acc := accepted(1)
	_, _ = rand.Read(acc.Receipt.Content)
	receipt, seq, err := r.CommitBatch(t.Context(), a.Batch, a.Load, acc)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Detail(t.Context(), seq)
	if err != nil || !bytes.Equal(d.Salt, acc.Receipt.Salt) {
		t.Fatalf("the officer got %v, %v", d, err)
	}
	for leaf, err := range r.Leaves(t.Context(), seq) {
		if err != nil || leaf.Commit != ledger.Commitment(d.Salt, d.Body) {
			t.Fatal("the leaf does not commit to its detail")
		}
		break
	}
	kept, err := r.Receipt(t.Context(), "police-a", a.Batch)
	if err != nil || !bytes.Equal(kept, receipt) {
		t.Fatalf("another receipt, %v", err)
	}
	var files []byte
	for _, suffix := range []string{"", "-wal", ".checkpoint"} {
		data, err := os.ReadFile(r.opt.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data...)
	}
	for what, secret := range map[string][]byte{"salt": acc.Receipt.Salt, "content": acc.Receipt.Content} {
		for _, form := range [][]byte{
			secret, []byte(hex.EncodeToString(secret)), []byte(base64.RawStdEncoding.EncodeToString(secret)),
			[]byte(base64.RawURLEncoding.EncodeToString(secret)),
		} {
			if bytes.Contains(files, form) {
				t.Errorf("the files hold the %s", what)
			}
		}
	}
	// Another batch's receipt does not pass for this one's.
	id, _, _ := r.load(t, intent("police-a", "key-2", "content-2"))
	var sealed []byte
	if err := r.read.QueryRowContext(t.Context(), `SELECT receipt FROM batch WHERE id = ?`, id).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	if _, err := r.write.ExecContext(t.Context(), `UPDATE batch SET receipt = (SELECT receipt FROM batch WHERE id = ?) WHERE id = ?`,
		a.Batch, id); err != nil {
		t.Fatal(err)
	}
	_, err = r.Receipt(t.Context(), "police-a", id)
	wantKind(t, err, gateway.Internal)
	if _, err := r.write.ExecContext(t.Context(), `UPDATE batch SET receipt = x'' WHERE id = ?`, id); err != nil {
		t.Fatal(err)
	}
	_, err = r.Receipt(t.Context(), "police-a", id)
	wantKind(t, err, gateway.Internal)
	if _, err := r.write.ExecContext(t.Context(), `UPDATE batch SET receipt = ? WHERE id = ?`, sealed, id); err != nil {
		t.Fatal(err)
	}
}

func TestBatchesNewestFirst(t *testing.T) {
	r, _ := start(t) // whose clock stands still
	var want []gateway.BatchID
	for i := range 9 {
		id, _, _ := r.load(t, intent("police-a", fmt.Sprint(i), fmt.Sprint(i)))
		want = append([]gateway.BatchID{id}, want...)
	}
	list, err := r.Batches(t.Context(), "police-a")
	if err != nil || len(list) != len(want) {
		t.Fatal(list, err)
	}
	for i, b := range list {
		if b.ID != want[i] {
			t.Fatalf("batch %d of the list is another", i)
		}
	}
}

// A load's name in the ledger is its 64 bits, without a sign.
func TestLoadText(t *testing.T) {
	if got := loadText(1<<63 | 5); got != "8000000000000005" {
		t.Errorf("got %s", got)
	}
}
