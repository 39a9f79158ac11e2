package registry

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
)

// stopped returns the options of a closed registry with a few hundred leaves.
func stopped(t *testing.T, leaves int) (Options, *clock) {
	t.Helper()
	c := newClock()
	opt := c.options(t)
	r := mustOpen(t, opt)
	addAgencies(t, r)
	grow(t, r, leaves)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return opt, c
}

func grow(t *testing.T, r *Registry, leaves int) {
	t.Helper()
	err := r.change(t.Context(), func(ctx context.Context, c *change) error {
		for range leaves {
			if _, err := c.log(ctx, ledger.Entry{Event: ledger.AuditRead, Actor: "k1", Outcome: ledger.Done, Detail: "x"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tamper runs statements on the file as somebody with sqlite3 would.
func tamper(t *testing.T, path string, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := db.ExecContext(t.Context(), `DROP TRIGGER leaf_update; DROP TRIGGER leaf_delete;
		DROP TRIGGER hash_update; DROP TRIGGER hash_delete;`+statements); err != nil {
		t.Fatal(err)
	}
}

func TestTamperedFileIsRefused(t *testing.T) {
	for name, statements := range map[string]string{
		"a leaf says another thing": `UPDATE leaf SET data = CAST(replace(CAST(data AS TEXT), '"done"', '"denied"') AS BLOB) WHERE seq = 40`,
		"a leaf is gone":            `PRAGMA foreign_keys = 0; DELETE FROM leaf WHERE seq = 40`,
		"the last leaf is gone":     `PRAGMA foreign_keys = 0; DELETE FROM leaf WHERE seq = (SELECT max(seq) FROM leaf)`,
		"a hash is another":         `UPDATE hash SET hash = randomblob(32) WHERE idx = 40`,
		"a hash is gone":            `DELETE FROM hash WHERE idx = (SELECT max(idx) FROM hash)`,
		"the head is shorter":       `UPDATE head SET size = size - 1`,
		"the checkpoint is another": `UPDATE head SET note = replace(note, 'pana/test', 'pana/text')`,
		"the checkpoint is longer":  `UPDATE head SET note = replace(note, x'0a33', x'0a39')`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			opt, _ := stopped(t, 300)
			tamper(t, opt.Path, statements)
			r, err := Open(t.Context(), opt)
			if err == nil {
				_ = r.Close()
			}
			if !errors.Is(err, ErrEvidence) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// Rewriting a leaf with all its hashes leaves the signed root behind.
func TestForgedTailIsRefused(t *testing.T) {
	opt, c := stopped(t, 50)
	forger := c.options(t)
	r := mustOpen(t, forger)
	addAgencies(t, r)
	grow(t, r, 51)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// The forger's whole file, and with it another key's checkpoint.
	data, err := os.ReadFile(forger.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(opt.Path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrEvidence) {
		t.Fatalf("got %v", err)
	}
}

// Whoever rewrites history without the signing key can take the signatures away, but
// not make others: a ledger without one is refused, and nothing signs it anew.
func TestTakenSignaturesAreRefused(t *testing.T) {
	for name, take := range map[string]func(t *testing.T, path string){
		"stored_checkpoint": func(t *testing.T, path string) { t.Helper(); tamper(t, path, `UPDATE head SET note = '', signed = 0`) },
		"its_size":          func(t *testing.T, path string) { t.Helper(); tamper(t, path, `UPDATE head SET signed = 0`) },
		"its_text":          func(t *testing.T, path string) { t.Helper(); tamper(t, path, `UPDATE head SET note = ''`) },
		"another_size":      func(t *testing.T, path string) { t.Helper(); tamper(t, path, `UPDATE head SET signed = signed - 1`) },
		"checkpoint_file": func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path + ".checkpoint"); err != nil {
				t.Fatal(err)
			}
		},
		"both": func(t *testing.T, path string) {
			t.Helper()
			tamper(t, path, `UPDATE head SET note = '', signed = 0`)
			if err := os.Remove(path + ".checkpoint"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt, _ := stopped(t, 5)
			take(t, opt.Path)
			for range 2 { // the first try mends nothing
				r, err := Open(t.Context(), opt)
				if err == nil {
					_ = r.Close()
				}
				if !errors.Is(err, ErrEvidence) {
					t.Fatalf("got %v", err)
				}
			}
		})
	}
}

// A process may be killed between any transaction, the first too, and the writing of
// the checkpoint file.
func TestOlderCheckpointFile(t *testing.T) {
	c := newClock()
	opt := c.options(t)
	r := mustOpen(t, opt)
	empty, err := os.ReadFile(opt.Path + ".checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	grow(t, r, 1)
	var covers int
	if err := r.read.QueryRowContext(t.Context(), `SELECT signed FROM head`).Scan(&covers); err != nil || covers != 1 {
		t.Fatalf("the first leaf is not signed: %d, %v", covers, err)
	}
	if err := errors.Join(r.closePools(), os.WriteFile(opt.Path+".checkpoint", empty, 0o600)); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, opt)
	grow(t, r, 1)
	if _, err := r.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, opt)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file that is rewritten under a running gateway is not signed.
func TestRewrittenWhileRunning(t *testing.T) {
	for _, reopened := range []bool{false, true} {
		r := mustOpen(t, newClock().options(t))
		addAgencies(t, r)
		grow(t, r, 13)
		if _, err := r.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reopened {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			r = mustOpen(t, r.opt)
		}
		// The root of the 16 leaves: what a forger who rewrote any of them has replaced.
		tamper(t, r.opt.Path, `UPDATE hash SET hash = randomblob(32) WHERE idx = 30`)
		a, err := r.BeginBatch(t.Context(), intent("police-a", "key", "content"))
		if err == nil {
			_, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, accepted(1))
		}
		if !errors.Is(err, ErrEvidence) {
			t.Errorf("reopened %v: got %v", reopened, err)
		}
		if err := r.closePools(); err != nil {
			t.Fatal(err)
		}
	}
}

// Verify signs nothing that it has not checked, and checks what leaves commit to.
func TestVerify(t *testing.T) {
	for name, statements := range map[string]string{
		"a leaf says another thing": `UPDATE leaf SET data = CAST(replace(CAST(data AS TEXT), '"done"', '"denied"') AS BLOB) WHERE seq = 2`,
		"the checkpoint is gone":    `UPDATE head SET note = '', signed = 0`,
		"a detail is another":       `UPDATE detail SET body = CAST('"y"' AS BLOB) WHERE seq = 5`,
		"a salt is another":         `UPDATE detail SET salt = randomblob(16) WHERE seq = 5`,
		"a receipt is another":      `UPDATE batch SET receipt = randomblob(100)`,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			c := newClock()
			r := mustOpen(t, c.options(t))
			addAgencies(t, r)
			r.load(t, intent("police-a", "key", "content"))
			grow(t, r, 4)
			tamper(t, r.opt.Path, statements)
			var before, after int
			head := func(n *int) {
				t.Helper()
				if err := r.read.QueryRowContext(t.Context(), `SELECT signed FROM head`).Scan(n); err != nil {
					t.Fatal(err)
				}
			}
			head(&before)
			if _, err := r.Verify(t.Context()); err == nil {
				t.Error("it verifies")
			}
			if head(&after); after != before {
				t.Error("what did not verify was signed")
			}
			if err := r.closePools(); err != nil {
				t.Fatal(err)
			}
		})
	}
	r, _ := start(t)
	r.load(t, intent("police-a", "key", "content"))
	if _, err := r.write.ExecContext(t.Context(), `DELETE FROM detail WHERE seq = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context()); err != nil {
		t.Errorf("a detail was erased, as it may be: %v", err)
	}
}

// A registry that is put back to an earlier state is refused (trust.md L6).
func TestRollbackIsRefused(t *testing.T) {
	opt, _ := stopped(t, 10)
	earlier, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, opt)
	grow(t, r, 1)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustOpen(t, opt)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(opt.Path, earlier, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), opt)
	if !errors.Is(err, ErrEvidence) || !strings.Contains(err.Error(), "earlier state") {
		t.Fatalf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	opt, c := stopped(t, 0)
	if err := os.Chmod(opt.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "0640") {
		t.Errorf("a file that others may read: %v", err)
	}
	if err := os.Chmod(opt.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	other := c.options(t)
	other.Path = opt.Path
	if _, err := Open(t.Context(), other); !errors.Is(err, ErrEvidence) {
		t.Errorf("another installation's key: %v", err)
	}
	mixed := opt
	mixed.Verifier = other.Verifier
	if _, err := Open(t.Context(), mixed); err == nil {
		t.Error("signer and verifier of two keys pass")
	}
	for what, text := range map[string]string{"newer": `PRAGMA user_version = 99`, "foreign": `PRAGMA application_id = 7`} {
		damaged, _ := stopped(t, 0)
		tamper(t, damaged.Path, text)
		if _, err := Open(t.Context(), damaged); err == nil {
			t.Errorf("a %s file passes", what)
		}
	}
	for name, spoil := range map[string]func(*Options){
		"Path": func(o *Options) { o.Path = "" }, "Now": func(o *Options) { o.Now = nil }, "Rand": func(o *Options) { o.Rand = nil },
		"Signer": func(o *Options) { o.Signer = nil }, "Seal": func(o *Options) { o.Seal = nil }, "Origin": func(o *Options) { o.Origin = "pana/other" },
	} {
		bad := opt
		spoil(&bad)
		if _, err := Open(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "Options."+name) {
			t.Errorf("Options without %s: %v", name, err)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	r, _ := start(t)
	for _, suffix := range []string{"", "-wal", "-shm", ".checkpoint"} {
		info, err := os.Stat(r.opt.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("registry%s has mode %04o", suffix, mode)
		}
	}
}

// failing is a source of randomness that can run dry.
type failing struct {
	io.Reader
	dry bool
}

func (f *failing) Read(p []byte) (int, error) {
	if f.dry {
		return 0, errors.New("no randomness")
	}
	return f.Reader.Read(p)
}

// failingSigner is a signer that can refuse.
type failingSigner struct {
	Options
	dry bool
}

func (f *failingSigner) Name() string    { return f.Signer.Name() }
func (f *failingSigner) KeyHash() uint32 { return f.Signer.KeyHash() }
func (f *failingSigner) Sign(msg []byte) ([]byte, error) {
	if f.dry {
		return nil, errors.New("no signature")
	}
	return f.Signer.Sign(msg)
}

// No leaf, no action: where the ledger cannot be written, nothing changes.
func TestNoLeafNoAction(t *testing.T) {
	c := newClock()
	opt := c.options(t)
	random, signer := &failing{Reader: opt.Rand}, &failingSigner{Options: opt}
	opt.Rand, opt.Signer = random, signer
	r := mustOpen(t, opt)
	addAgencies(t, r)
	id, _, _ := r.load(t, intent("police-a", "k", "accepted"))
	a, err := r.BeginBatch(t.Context(), intent("police-a", "k2", "loading"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unchanged := func(doing string, err error) {
		t.Helper()
		b, readErr := r.Batch(t.Context(), "police-a", id)
		l, loadErr := r.Batch(t.Context(), "police-a", a.Batch)
		size, sizeErr := r.Size(t.Context())
		if err == nil || !errors.Is(err, gateway.Internal) {
			t.Errorf("%s: got %v", doing, err)
		}
		if err := errors.Join(readErr, loadErr, sizeErr); err != nil {
			t.Fatal(err)
		}
		if b.State != gateway.BatchCommitted || l.State != gateway.BatchLoading || size != before {
			t.Errorf("%s: %s, %s, %d leaves", doing, b.State, l.State, size)
		}
	}
	random.dry = true
	_, _, err = r.WithdrawBatch(t.Context(), "police-a", "k1", id)
	unchanged("withdrawing", err)
	unchanged("aborting", r.AbortBatch(t.Context(), a.Batch, a.Load, ledger.Failed, nil))
	unchanged("asking", r.Ask(t.Context(), Asked{Caller: gateway.Caller{Key: "k1"}, Release: "demo-1"}))
	random.dry, signer.dry = false, true
	_, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, accepted(1))
	unchanged("committing", err)
	signer.dry = false
	if _, _, err = r.CommitBatch(t.Context(), a.Batch, a.Load, accepted(1)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// When the checkpoint file cannot be written, the change that made the checkpoint
// stands and the next one is refused.
func TestCheckpointFileFails(t *testing.T) {
	r, _ := start(t)
	path := r.anchor.path
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700), os.Mkdir(path+"/full", 0o700)); err != nil {
		t.Fatal(err)
	}
	in := intent("police-a", "k", "content")
	_, receipt, _ := r.load(t, in)
	if _, err := r.BeginBatch(t.Context(), intent("police-a", "k2", "more")); !errors.Is(err, gateway.Internal) {
		t.Fatalf("got %v", err)
	}
	if err := r.Probe(t.Context()); !errors.Is(err, gateway.Internal) {
		t.Fatalf("readiness: got %v", err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if a, err := r.BeginBatch(t.Context(), in); err != nil || string(a.Receipt) != string(receipt) {
		t.Fatalf("got %v", err)
	}
	if _, found, err := r.anchor.read(r.opt.Verifier); !found || err != nil {
		t.Fatal("the checkpoint file was not written after all")
	}
}

func TestExport(t *testing.T) {
	r, _ := start(t)
	grow(t, r, 400)
	dir := fstest.MapFS{}
	checkpoint, err := r.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir["checkpoint"] = &fstest.MapFile{Data: []byte(checkpoint)}
	for tile := range ledger.Tiles(403) {
		data, err := r.Tile(t.Context(), tile)
		if err != nil {
			t.Fatal(err)
		}
		dir[tile.Path()] = &fstest.MapFile{Data: data}
	}
	if v, err := ledger.VerifyExport(dir, ledger.Trust{Key: r.opt.Verifier}); v.Leaves != 403 || err != nil {
		t.Fatal(v, err)
	}
	for tile := range ledger.Tiles(404) {
		if _, known := dir[tile.Path()]; known {
			continue
		}
		if _, err := r.Tile(t.Context(), tile); !errors.Is(err, ledger.ErrNoTile) {
			t.Errorf("%s of a longer log: %v", tile.Path(), err)
		}
	}
}

func TestProofs(t *testing.T) {
	r, _ := start(t)
	grow(t, r, 30)
	checkpoint, err := r.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	size, err := r.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	index := uint64(0)
	for data, err := range r.RawLeaves(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		proof, err := r.Proof(t.Context(), index, size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (ledger.Inclusion{Leaf: data, Index: index, Proof: proof, Checkpoint: checkpoint}).Verify(r.opt.Verifier); err != nil {
			t.Fatal(err)
		}
		index++
	}
	if index != size {
		t.Fatalf("%d leaves of %d", index, size)
	}
	_, err = r.Proof(t.Context(), size, size+1)
	wantKind(t, err, gateway.NotFound)
	seq := uint64(0)
	for leaf, err := range r.Leaves(t.Context(), 5) {
		if err != nil || leaf.Seq != 5+seq {
			t.Fatal(leaf, err)
		}
		seq++
	}
	d, err := r.Detail(t.Context(), size-1)
	if err != nil || string(d.Body) != `"x"` {
		t.Fatal(d, err)
	}
	for leaf, err := range r.Leaves(t.Context(), size-1) {
		if err != nil || leaf.Commit != ledger.Commitment(d.Salt, d.Body) {
			t.Fatal("the leaf does not commit to its detail")
		}
	}
}
