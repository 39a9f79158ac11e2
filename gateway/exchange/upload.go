package exchange

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// An Upload is one batch as an agency sends it.
type Upload struct {
	Contract gateway.ContractID
	Key      string            // the Idempotency-Key
	Digest   [sha256.Size]byte // of the body, as the Content-Digest header declares it
	Manifest gateway.Manifest
	Said     gateway.Said // of the file
	Blind    bool         `json:"Blind,omitempty"` // pana upload --blind made the file: it has no identifiers of children
	Body     io.Reader    `json:"-"`
	MaxRows  int          // 0: no limit
	Size     int64        // of the body, where it is known; else 0
	held     string       // id of the upload of the inbox that this is
}

// Uploaded is the answer to an upload: the receipt's bytes, and whether this
// call made it or repeated it.
type Uploaded struct {
	Batch    gateway.BatchID
	Receipt  []byte
	Repeated bool
}

// Upload loads one batch exactly once (loading.md 3.1). It returns the receipt,
// the same bytes for every retry; or an Invalid error with the problems of the
// file; or Conflict while another attempt is under way; or Mismatch when the key
// was used for other content. Whatever it returns, the batch is whole or absent.
func (x *Exchange) Upload(ctx context.Context, caller gateway.Caller, u Upload) (Uploaded, error) {
	c, err := x.mayUpload(ctx, caller, u)
	if err != nil {
		return Uploaded{}, err
	}
	plan, err := x.inForce.Load().Plan(ctx, c)
	if err != nil {
		return Uploaded{}, fmt.Errorf("planning contract %s: %w", c.ID, err)
	}
	leave, err := x.enter(caller.Agency, u.Size)
	if err != nil {
		return Uploaded{}, err
	}
	defer leave()
	watched, unwatch := x.watch(caller, &u)
	defer unwatch()
	ring := x.keys.ring() // one for the whole attempt: the commit fences it off when it is not in force by then
	u.Body = sender{u.Body}
	attempt, err := x.Registry.BeginBatch(ctx, registry.Intent{
		Agency: caller.Agency, Actor: caller.Key, Contract: c.ID, Version: c.Version, Key: u.Key,
		Content: ring.Digest(u.content(caller.Unit)), Manifest: u.Manifest, Policy: plan.Revision,
		KCV: ring.KCV(), Lease: x.Limits.Lease,
	})
	if err != nil {
		return Uploaded{}, err
	}
	if attempt.Receipt != nil {
		return Uploaded{attempt.Batch, attempt.Receipt, true}, sameContent(u)
	}
	watched.begun(attempt.Batch)
	l := &loading{x: x, ring: ring, caller: caller, upload: u, contract: c, plan: plan, attempt: attempt, hash: sha256.New(), watched: watched}
	var receipt []byte
	err = guarded("an upload", func() (err error) { receipt, err = l.run(ctx); return err })
	if err != nil {
		l.abort(ctx, err)
		return Uploaded{}, err
	}
	return Uploaded{Batch: attempt.Batch, Receipt: receipt}, nil
}

// mayUpload refuses what can be refused before a byte of the body is seen.
func (x *Exchange) mayUpload(ctx context.Context, caller gateway.Caller, u Upload) (*gateway.Contract, error) {
	c, err := x.contractFor(ctx, caller, u.Contract, gateway.ActUpload)
	if err != nil {
		return nil, err
	}
	if c.Unit && caller.Unit == 0 {
		return nil, gateway.Errorf(gateway.Forbidden,
			"batches of %s are sent by parts of an agency, and your key is not registered for one; ask the operator for a key with a unit", c.ID)
	}
	if err := x.mayBlind(u); err != nil {
		return nil, err
	}
	if u.Manifest.PeriodTo > gateway.DayOf(x.Now()) {
		// What has not happened yet cannot have been reported, and a horizon beyond
		// today would make of every "cannot tell" a "not reached" (domain.md 3.1).
		return nil, gateway.Errorf(gateway.Invalid, "period_to lies in the future: a batch reports what has happened")
	}
	return c, nil
}

// guarded turns a panic into an internal error without the panic's value, which
// may hold data. Whoever calls it ends what was begun, as after any error.
func guarded(what string, do func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = &gateway.Error{Kind: gateway.Internal, Err: errors.New("a panic in " + what)}
		}
	}()
	return do()
}

// contractFor returns a contract that the caller may act under. What the caller
// may not know of is not found.
func (x *Exchange) contractFor(ctx context.Context, caller gateway.Caller, id gateway.ContractID, act gateway.ActionName) (*gateway.Contract, error) {
	_, err := x.allow(ctx, caller, act)
	if err != nil {
		return nil, err
	}
	c := x.contracts[id]
	if c == nil || !caller.MaySend(id) {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such contract, or your key may not know of it")
	}
	if c.Until != gateway.NoDay && gateway.DayOf(x.Now()) > c.Until {
		return nil, gateway.Errorf(gateway.Conflict, "contract %s ended on %s; ask the steward for its successor", c.ID, c.Until)
	}
	return c, nil
}

// sameContent reads the body of a repeated upload, so that a receipt is never
// repeated for other bytes under a false digest.
func sameContent(u Upload) error {
	h := sha256.New()
	_, err := io.Copy(h, u.Body)
	if err != nil {
		return err
	}
	return checkDigest(h, u.Digest)
}

func checkDigest(h hash.Hash, want [sha256.Size]byte) error {
	if subtle.ConstantTimeCompare(h.Sum(nil), want[:]) != 1 {
		return gateway.Errorf(gateway.Invalid, "the body is not the one that Content-Digest describes; send it again")
	}
	return nil
}

// A sender is a body whose failures are the sender's: a connection that broke, or
// a limit. Their text may come from the network only.
type sender struct{ io.Reader }

func (s sender) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if _, classified := errors.AsType[*gateway.Error](err); err == nil || classified || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, &gateway.Error{Kind: gateway.Invalid, Detail: "the body ended early; send the batch again with the same Idempotency-Key", Err: err}
}

// loading is one attempt to load one batch.
type loading struct {
	x        *Exchange
	ring     *pseudonym.Keyring
	caller   gateway.Caller
	upload   Upload
	contract *gateway.Contract
	plan     gateway.Plan
	attempt  registry.Attempt
	hash     hash.Hash // of the body, as it is read
	reader   *pipelines.Reader
	load     *warehouse.Load // nil until the first block
	watched  *meter
}

func (l *loading) run(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		l.renew(ctx, cancel)
	}()
	defer func() { cancel(nil); <-renewed }()
	err := l.read(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	sums, err := l.finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("verifying the load: %w", err)
	}
	return l.settle(ctx, sums)
}

// renew keeps the lease alive; an attempt that lost its lease stops.
func (l *loading) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	lease := l.x.Limits.Lease
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.x.Registry.RenewLease(ctx, l.attempt.Load, lease)
		if err != nil && ctx.Err() == nil {
			cancel(err)
			return
		}
	}
}

// stream decodes blocks, on all processors, and sends them as they are filled. A
// block for each goroutine and one more go round: memory does not grow with the
// file.
func (l *loading) stream(ctx context.Context) error {
	reader, err := pipelines.Open(ctx, io.TeeReader(l.upload.Body, l.hash), pipelines.Options{
		Contract: l.contract, Others: l.x.Options.Contracts, Plan: l.plan, Keys: l.ring, Agency: l.caller.Agency,
		Said: l.upload.Said, Batch: l.upload.Manifest, Today: gateway.DayOf(l.x.Now()), Rand: l.x.Rand, Dir: l.x.Dir, Limits: l.x.Limits.File,
		Blind: l.upload.Blind, Inner: l.x.Inner,
	})
	if err != nil {
		return err
	}
	l.reader = reader
	defer reader.Close()
	workers := runtime.GOMAXPROCS(0)
	free, full := make(chan *gateway.Block, workers+2), make(chan *gateway.Block)
	for range cap(free) {
		free <- gateway.NewBlock(l.contract.Layout())
	}
	group, ctx := errgroup.WithContext(ctx)
	var decoding sync.WaitGroup
	decoding.Add(workers)
	for range workers {
		group.Go(func() error {
			defer decoding.Done()
			return guarded("decoding", func() error { return l.decode(ctx, free, full) })
		})
	}
	group.Go(func() error {
		decoding.Wait()
		close(full)
		return nil
	})
	group.Go(func() error {
		return guarded("sending", func() error { return l.send(ctx, full, free) })
	})
	return group.Wait()
}

func (l *loading) decode(ctx context.Context, free <-chan *gateway.Block, full chan<- *gateway.Block) error {
	for {
		var b *gateway.Block
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		b.Reset()
		err := l.reader.Next(ctx, b)
		atEnd := errors.Is(err, io.EOF)
		if err != nil && !atEnd {
			return err
		}
		l.watched.read(l.reader)
		if l.upload.MaxRows > 0 && l.records() > l.upload.MaxRows {
			return tooManyRows(l.upload.MaxRows)
		}
		if b.Rows() > 0 {
			select {
			case full <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if atEnd {
			return nil
		}
	}
}

func (l *loading) send(ctx context.Context, full <-chan *gateway.Block, free chan<- *gateway.Block) error {
	for b := range full {
		if l.load == nil {
			load, err := l.x.Warehouse.NewLoad(ctx, l.contract, l.attempt.Load)
			if err != nil {
				return fmt.Errorf("opening the load: %w", err)
			}
			l.load = load
		}
		err := l.load.Append(ctx, b)
		if err != nil {
			return fmt.Errorf("sending a block: %w", err)
		}
		free <- b
	}
	return nil
}

// records is how many records were read, good and bad.
func (l *loading) records() int {
	if l.reader == nil { // of a report of nothing
		return 0
	}
	return l.reader.Rows() + l.reader.Refused()
}

// judge refuses a body that was altered on its way, a batch of no rows, and, in
// RejectBatch mode, a batch with a bad row.
func (l *loading) judge() error {
	// What follows the last record (there should be nothing) is read too.
	_, err := io.Copy(l.hash, l.upload.Body)
	if err != nil {
		return err
	}
	err = checkDigest(l.hash, l.upload.Digest)
	if err != nil {
		return err
	}
	records, refused := l.records(), l.reader.Refused()
	switch {
	case records == 0:
		return gateway.Errorf(gateway.Invalid, "the file has a header but no records; send kind=nothing where there was nothing to report")
	case refused > 0 && l.upload.Manifest.Reject != gateway.RejectRows:
		return l.refusal("%d of %d records have problems; nothing was stored. Mend them, or send with reject=rows to leave them out", refused, records)
	case refused == records:
		return l.refusal("all %d records have problems; nothing was stored", refused)
	}
	return l.complete()
}

func (l *loading) refusal(format string, args ...any) *gateway.Error {
	e := gateway.Errorf(gateway.Invalid, format, args...)
	e.Problems, e.Report = l.reader.Problems(), l.reader.Report()
	return e
}

func (l *loading) commit(ctx context.Context, sums warehouse.Sums, compared uint64) ([]byte, error) {
	receipt, err := l.receipt()
	if err != nil {
		return nil, err
	}
	// Between commit and marker no rotation can give the batch another load.
	x := l.x
	x.keys.flip.RLock()
	defer x.keys.flip.RUnlock()
	accepted := registry.Accepted{Receipt: receipt, MAC: sums.MAC, Compared: compared}
	bytes, seq, err := l.x.Registry.CommitBatch(ctx, l.attempt.Batch, l.attempt.Load, accepted)
	if err != nil {
		return nil, err
	}
	l.load = nil // committed: nothing that happens from here on may abort it
	// The batch is accepted. Should the marker fail, Run writes it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.x.Limits.Lease)
	defer cancel()
	err = l.x.publish(ctx, gateway.Batch{
		ID: l.attempt.Batch, Contract: l.contract.ID, Load: l.attempt.Load, Seq: seq, State: gateway.BatchCommitted,
	})
	if err != nil {
		l.x.Log.LogAttrs(ctx, levelWarn, "marker delayed", attrBatch(l.attempt.Batch), attrError(err))
	}
	return bytes, nil
}

// receipt is what this attempt knows of its receipt; the registry adds the rest.
func (l *loading) receipt() (gateway.Receipt, error) {
	salt := make([]byte, 16)
	_, err := io.ReadFull(l.x.Rand, salt)
	if err != nil {
		return gateway.Receipt{}, fmt.Errorf("drawing a salt: %w", err)
	}
	content := sha256.Sum256(append(slices.Clip(salt), l.upload.Digest[:]...))
	if l.reader == nil {
		return gateway.Receipt{Salt: salt, Content: content[:]}, nil
	}
	r := gateway.Receipt{
		Records: l.records(), Stored: l.reader.Rows(), Refused: l.reader.Refused(),
		Blind: l.upload.Blind, Salt: salt, Content: content[:], Report: l.reader.Report().WithoutDetails(),
	}
	if r.Refused > 0 {
		r.Problems = l.reader.Problems()
	}
	return r, nil
}

// abort drops the load and says in the registry why. It runs even when the
// caller has gone.
func (l *loading) abort(ctx context.Context, why error) {
	if l.load != nil {
		l.load.Abort()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.x.Limits.Lease)
	defer cancel()
	how := outcome(why)
	if errors.Is(why, gateway.Conflict) || errors.Is(why, gateway.Overloaded) { // another attempt, or a rotation, was faster
		how = ledger.Fenced
	}
	err := l.x.Registry.AbortBatch(ctx, l.attempt.Batch, l.attempt.Load, how, l.counts())
	if errors.Is(err, gateway.Conflict) {
		err = l.fenced(ctx)
	}
	if err != nil {
		l.x.Log.LogAttrs(ctx, levelWarn, "abort not recorded", attrBatch(l.attempt.Batch), attrError(err))
	}
}

// fenced logs the end of an attempt that another one overtook: the batch is the
// other's now, so the registry has nothing to change.
func (l *loading) fenced(ctx context.Context) error {
	batch, err := l.x.Registry.Batch(ctx, l.caller.Agency, l.attempt.Batch)
	if err != nil || batch.Load == l.attempt.Load {
		return err
	}
	_, err = l.x.Registry.Append(ctx, ledger.Entry{
		Event: ledger.BatchAbort, Actor: l.caller.Key, Object: string(l.attempt.Batch), Policy: l.plan.Revision, Outcome: ledger.Fenced,
		Detail: map[string]any{"attempt": l.attempt.Number, "detail": l.counts()},
	})
	return err
}

// counts is what the ledger commits to of an attempt that was refused: how often
// each code occurred, never where or what.
func (l *loading) counts() any {
	if l.reader == nil {
		return nil
	}
	codes := map[gateway.ProblemCode]int{}
	for problem, n := range l.reader.Problems().Counts {
		codes[problem.Code] += n
	}
	return map[string]any{"records": l.records(), "refused": l.reader.Refused(), "codes": codes}
}
