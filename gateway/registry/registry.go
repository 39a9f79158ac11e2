// Package registry is the transactional state of a gateway: batches and their loads,
// releases, agencies, API keys, and the ledger of everything decided about them.
//
// [Open] a registry with a clock, a source of randomness and the key that signs
// checkpoints. Every change of state and its ledger leaf, with the hashes of the
// tree, are one SQLite transaction: no leaf, no action. An upload is [Registry.BeginBatch],
// [Registry.RenewLease] while rows are written, [Registry.CommitBatch] (the commit
// point: a compare-and-swap that fences every other attempt), and [Registry.PublishedBatch]
// once the warehouse has its marker; [Registry.Pending] says what to roll forward
// after a crash. A release is [Registry.BeginRelease], [Registry.FinishRelease] and an
// officer's [Registry.ApproveRelease]. A question is [Registry.Ask], one leaf that is
// durable before the first byte of the answer. What two people with two roles have to
// sign is [Registry.Propose] and [Registry.Approve]; the first policy and its signers
// are [Registry.Found]. [Registry.Authenticate] turns an API
// key's token into a caller.
//
// The write connection is one, and no method holds it while it waits for anything
// but the disk. The registry refuses to open when its ledger does not verify, or when
// it is older than the checkpoint file beside it. It will not store an idempotency
// key, a digest of an upload or the secret of an API key as they were sent (receipts,
// which hold salt and digest, are sealed under a key of the keyring), and it knows
// nothing of rows. It is for one gateway on one machine.
package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pana-exchange/pana/gateway"
)

// Options are what a registry needs. All fields but Origin are required.
type Options struct {
	Path     string // of the SQLite file; the checkpoint file is Path + ".checkpoint"
	Now      func() time.Time
	Rand     io.Reader // cryptographic
	Signer   note.Signer
	Verifier note.Verifier // of the signer's key
	Origin   string        // "pana/<installation id>": the signer's name, checked when given
	// Seal encrypts a receipt for a batch under a key that is not in this file, and
	// Unseal is its inverse: the salt and the digest of an upload, in clear beside one
	// another, would confirm every guess of its content.
	Seal, Unseal func(content, about []byte) ([]byte, error)
}

// closeTimeout bounds what Close still writes.
const closeTimeout = 10 * time.Second

// A Registry is an open registry. Its methods may be called from many goroutines.
type Registry struct {
	opt    Options
	write  *sql.DB // one connection
	read   *sql.DB
	pepper []byte // keys the hashes of idempotency keys
	st     statements

	signedAt time.Time // owned by whoever holds the write connection, as is newest
	newest   tlog.Tree // that was signed, or found signed at the start
	anchor   anchor
	group    group
	failures failures
	enforced atomic.Int64 // number of the newest policy that was found in force
}

// Open opens or creates the registry at Options.Path, brings it to the newest
// version and checks the evidence: the head, the last 1,000 leaves with their hashes,
// the stored checkpoint and the checkpoint file. An error that is [ErrEvidence]
// must not be mended by deleting anything: it is what tampering looks like. Builds
// of releases that a crash interrupted are marked failed.
func Open(ctx context.Context, opt Options) (*Registry, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	if err := createPrivate(opt.Path); err != nil {
		return nil, err
	}
	r := &Registry{opt: opt, anchor: anchor{path: opt.Path + ".checkpoint"}}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.closePools())
	}
	return r, nil
}

func (r *Registry) start(ctx context.Context) error {
	var err error
	if r.write, err = openPool(r.opt.Path, "", 1); err != nil {
		return err
	}
	if err := migrate(ctx, r.write); err != nil {
		return err
	}
	if r.read, err = openPool(r.opt.Path, "&_pragma=query_only(1)", 4); err != nil {
		return err
	}
	if err := r.st.prepare(ctx, r.write); err != nil {
		return err
	}
	if err := r.verifyEvidence(ctx); err != nil {
		return err
	}
	if r.pepper, err = r.secret(ctx, "idempotency"); err != nil {
		return err
	}
	return r.failLeftovers(ctx)
}

// Close logs what was only counted, signs a last checkpoint and closes the file.
func (r *Registry) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := r.logFailures(ctx)
	_, signErr := r.Checkpoint(ctx)
	return errors.Join(err, signErr, r.closePools())
}

func (r *Registry) closePools() error {
	var errs []error
	if r.read != nil {
		errs = append(errs, r.read.Close())
	}
	if r.write != nil {
		errs = append(errs, r.st.close(), r.write.Close())
	}
	return errors.Join(errs...)
}

func (o *Options) validate() error {
	switch {
	case o.Path == "":
		return errors.New("registry: Options.Path is required")
	case o.Now == nil:
		return errors.New("registry: Options.Now is required")
	case o.Rand == nil:
		return errors.New("registry: Options.Rand is required")
	case o.Signer == nil || o.Verifier == nil:
		return errors.New("registry: Options.Signer and Options.Verifier are required")
	case o.Seal == nil || o.Unseal == nil:
		return errors.New("registry: Options.Seal and Options.Unseal are required")
	case o.Signer.Name() != o.Verifier.Name() || o.Signer.KeyHash() != o.Verifier.KeyHash():
		return errors.New("registry: Options.Verifier is of another key than Options.Signer")
	case o.Origin != "" && o.Origin != o.Signer.Name():
		return errors.New("registry: Options.Origin is not the name of Options.Signer")
	}
	return nil
}

// createPrivate makes the file, so that SQLite gives the same mode to its journals,
// and refuses one that others may read (trust.md B84).
func createPrivate(path string) error {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("registry: %s has mode %04o; others may read it: chmod 600", path, mode)
	}
	return nil
}

func openPool(path, more string, connections int) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: abs}).String() + "?_txlock=immediate" +
		"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)" + more
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// secret returns a random secret of this file, made when it is first asked for.
func (r *Registry) secret(ctx context.Context, name string) ([]byte, error) {
	fresh, err := r.random(32)
	if err != nil {
		return nil, err
	}
	var value []byte
	err = r.write.QueryRowContext(ctx, `INSERT INTO secret VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET name = name RETURNING value`, name, fresh).Scan(&value)
	if err != nil {
		return nil, fmt.Errorf("reading the registry's secret: %w", err)
	}
	return value, nil
}

func (r *Registry) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.opt.Rand, b); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	return b, nil
}

// internal wraps an error of the database: it says what was being done in the log
// and nothing to the caller.
func internal(doing string, err error) error {
	wrapped := &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("%s: %w", doing, err)}
	if diskFailed(err) {
		wrapped.Kind, wrapped.Detail = gateway.Unavailable, "the gateway's state cannot be written now; try again later"
	}
	return wrapped
}

// signed is how SQLite and tlog hold 64 bits: load ids and MACs keep their bits, and
// sizes are far below 2^63.
func signed[U ~uint64](n U) int64 { return int64(n) }

func unsigned(n int64) uint64 { return uint64(n) } //nolint:gosec // the inverse of signed

// millis and fromMillis are how times are stored.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// group collects entries that wait for one transaction (see Append).
type group struct {
	lead    sync.Mutex // held by whoever writes for the others
	mu      sync.Mutex // guards waiting
	waiting []*waiter
}
