package exchange

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
)

// A Rotated says what a rotation moved.
type Rotated struct {
	From       int           `json:"from"`
	To         int           `json:"to"`
	Generation uint32        `json:"generation"`
	Batches    int           `json:"batches"`
	Rows       uint64        `json:"rows"`
	Copying    time.Duration `json:"copying_ns"` // reading, rekeying, storing and verifying
	Fenced     time.Duration `json:"fenced_ns"`  // for how long uploads were told to come back
	Erased     bool          `json:"erased"`     // the rows under the old key are off the disk
}

// RotateKeys moves every stored pid from the key in force to the pending one, as two
// people signed in the proposal (trust.md 5.3). Each accepted batch is copied under a fresh load id and verified as an upload is;
// then one transaction of the registry gives every batch its new load, and the new key
// is in force. Questions and uploads go on meanwhile; at the end uploads wait for some
// seconds, and one that takes longer than Limits.Fence is told to come again. Builds of
// releases are let end first, and wait. Interrupted at any moment before the
// transaction, the old key is in force and the copies are garbage.
//
// A snapshot counts the same batches before and after: rotation changes no cell.
func (x *Exchange) RotateKeys(ctx context.Context, caller gateway.Caller, proposal string, progress func(rows uint64)) (Rotated, error) {
	done, err := x.changeKeys(ctx, caller)
	if err != nil {
		return Rotated{}, err
	}
	defer done()
	// The proposal is used up with the first step: whoever hangs up must not cost two
	// people their signatures again.
	ctx, cancel := x.detached(ctx)
	defer cancel()
	rot, err := x.Registry.BeginRotation(ctx, caller.Key, proposal)
	if err != nil {
		return Rotated{}, err
	}
	r := &rotating{x: x, rot: rot, progress: progress}
	err = guarded("a rotation", func() error { return r.run(ctx) })
	if err != nil {
		return Rotated{}, r.fail(ctx, err)
	}
	// What was under the old key is garbage now; Run sweeps what this leaves.
	err = x.sweepRotations(ctx)
	if err != nil {
		x.Log.LogAttrs(ctx, levelWarn, "erasure after a rotation delayed", attrError(err))
	}
	r.result.Erased = err == nil
	return r.result, nil
}

// rotating is one run of RotateKeys.
type rotating struct {
	x        *Exchange
	rot      registry.Rotation
	progress func(rows uint64)

	mu     sync.Mutex // guards what follows, and calls of progress
	result Rotated
}

func (r *rotating) run(ctx context.Context) error {
	x := r.x
	r.result = Rotated{From: r.rot.From.Epoch, To: r.rot.To.Epoch, Generation: r.rot.Generation}
	next, err := x.keys.ring().At(r.rot.To.Epoch)
	if err != nil {
		return gateway.Errorf(gateway.Conflict, "the keyring does not hold the pending key: it is an old copy")
	}
	if next.KCV() != r.rot.To.KCV {
		return gateway.Errorf(gateway.Conflict, "the pending key of the keyring is not the one that was made: its check value differs")
	}
	begun := x.Now()
	err = r.copyAll(ctx)
	if err != nil {
		return err
	}
	err = x.keys.builds.Acquire(ctx, allBuilds)
	if err != nil {
		return fmt.Errorf("waiting for builds: %w", err)
	}
	defer x.keys.builds.Release(allBuilds)
	fenced := x.Now()
	defer r.fence(ctx)()
	for {
		err = r.copyAll(ctx)
		if err == nil {
			err = r.flip(ctx, &inUse{next, r.rot.Generation})
		}
		if !errors.Is(err, registry.ErrLeftBehind) {
			break
		}
	}
	now := x.Now()
	r.result.Fenced, r.result.Copying = now.Sub(fenced), now.Sub(begun)
	return err
}

// flip is the moment of the rotation.
func (r *rotating) flip(ctx context.Context, next *inUse) error {
	r.x.keys.flip.Lock()
	defer r.x.keys.flip.Unlock()
	err := r.x.Registry.FinishRotation(ctx, r.rot)
	if err == nil {
		r.x.keys.inUse.Store(next)
	}
	return err
}

// fence turns new uploads away, and waits until those under way have ended, or for as
// long as the limit says. The registry refuses the commit of any that is later.
func (r *rotating) fence(ctx context.Context) (open func()) {
	x := r.x
	x.mu.Lock()
	x.keys.fenced = true
	x.mu.Unlock()
	end := time.NewTimer(x.Limits.Fence)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting && x.underWay() > 0; {
		select {
		case <-tick.C:
		case <-end.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	return func() {
		x.mu.Lock()
		x.keys.fenced = false
		x.mu.Unlock()
	}
}

func (x *Exchange) underWay() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.admitted.uploads
}

// fail ends the rotation in the registry, even when the caller has gone, and erases the
// copies. Where that fails, Run or the next start does it.
func (r *rotating) fail(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.x.Limits.Lease)
	defer cancel()
	err := r.x.Registry.FailRotation(ctx, r.rot, outcome(why))
	if err == nil {
		err = r.x.sweepRotations(ctx)
	}
	if err != nil {
		r.x.Log.LogAttrs(ctx, levelWarn, "failed rotation not cleared away", attrError(err))
	}
	return why
}

// copiesAtOnce is how many batches are copied at once. A copy of a small batch is waiting
// for disks, the engine's and the registry's, several times one after another: what they
// wait for together costs little more than what one waits for.
const copiesAtOnce = 4

// copyAll copies every accepted batch that has no copy yet.
func (r *rotating) copyAll(ctx context.Context) error {
	for {
		left, err := r.x.Registry.Unrotated(ctx, r.rot.Generation)
		if err != nil || len(left) == 0 {
			return err
		}
		err = r.copyThese(ctx, left)
		if err != nil {
			return err
		}
	}
}

// copyThese waits for every copy that it began, so that none goes on after an error.
func (r *rotating) copyThese(ctx context.Context, left []registry.Rekey) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(copiesAtOnce)
	for _, k := range left {
		if within.Err() != nil {
			break
		}
		group.Go(func() error {
			err := guarded("a copy", func() error { return r.copy(within, k) })
			if err != nil {
				return fmt.Errorf("rotating batch %s: %w", k.Batch, err)
			}
			return nil
		})
	}
	err := group.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// copy makes the new load of one batch, and its marker, which counts from the flip on. A
// batch that is withdrawn meanwhile is left to those who erase it.
func (r *rotating) copy(ctx context.Context, k registry.Rekey) error {
	r.x.keys.copying.RLock()
	defer r.x.keys.copying.RUnlock()
	k, err := r.x.Registry.BeginRekey(ctx, r.rot.Generation, k)
	if errors.Is(err, gateway.Conflict) {
		return nil
	}
	if err != nil {
		return err
	}
	contract := r.x.contracts[k.Contract]
	if contract == nil {
		return gateway.Errorf(gateway.Conflict, "there is no contract %s any more; start a gateway that has it", k.Contract)
	}
	sums, err := r.stream(ctx, contract, k)
	if err != nil {
		return err
	}
	err = r.x.Warehouse.Publish(ctx, warehouse.Marker{
		Seq: k.Seq, Batch: k.Batch, Load: k.New, Contract: k.Contract, State: gateway.BatchPublished, Generation: r.rot.Generation,
	})
	if err != nil {
		return err
	}
	r.copied(sums.Rows)
	return r.x.Registry.FinishRekey(ctx, r.rot.Generation, k, sums.MAC)
}

func (r *rotating) copied(rows uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Batches++
	r.result.Rows += rows
	if r.progress != nil {
		r.progress(r.result.Rows)
	}
}

// stream reads a load, moves its pids to the new key, and stores it under the new id.
// What is read must be what was accepted: the same number of rows and the same sum of
// MACs, and each row under its own MAC, or a row that somebody changed would get a new
// one and be right from then on.
func (r *rotating) stream(ctx context.Context, contract *gateway.Contract, k registry.Rekey) (warehouse.Sums, error) {
	load, err := r.x.Warehouse.NewLoad(ctx, contract, k.New)
	if err != nil {
		return warehouse.Sums{}, err
	}
	defer load.Abort()
	workers := max(1, runtime.GOMAXPROCS(0)/copiesAtOnce)
	free, full, ready := make(chan *gateway.Block, workers+3), make(chan *gateway.Block), make(chan *gateway.Block)
	for range cap(free) {
		free <- gateway.NewBlock(contract.Layout())
	}
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(full)
		return guarded("reading", func() error { return r.x.Warehouse.ReadLoad(within, contract, k.Old, free, full) })
	})
	totals := make([]total, workers)
	group.Go(func() error {
		defer close(ready)
		moving, within := errgroup.WithContext(within)
		for i := range workers {
			moving.Go(func() error {
				return guarded("rekeying", func() error { return r.rekey(within, contract, k, &totals[i], full, ready) })
			})
		}
		return moving.Wait()
	})
	group.Go(func() error {
		return guarded("sending", func() error {
			for b := range ready {
				if err := load.Append(within, b); err != nil {
					return err
				}
				free <- b
			}
			return nil
		})
	})
	err = group.Wait()
	if err != nil {
		return warehouse.Sums{}, err
	}
	var read total
	for _, t := range totals {
		read.rows, read.mac = read.rows+t.rows, read.mac+t.mac
	}
	if read.rows != uint64(k.Rows) || read.mac != k.MAC { //nolint:gosec // a count of rows
		return warehouse.Sums{}, gateway.Errorf(gateway.Conflict,
			"the rows of batch %s are not those that were accepted; run pana fsck, and have the batch withdrawn and sent again", k.Batch)
	}
	return load.Finish(ctx)
}

// A total is what was read of a load.
type total struct{ rows, mac uint64 }

// rekey moves the rows of blocks: a new pid each, and the MAC of the row that it makes.
func (r *rotating) rekey(
	ctx context.Context, contract *gateway.Contract, k registry.Rekey, read *total, full <-chan *gateway.Block, ready chan<- *gateway.Block,
) error {
	ring := r.x.keys.ring()
	move, err := ring.Rekey(r.rot.To.Epoch)
	if err != nil {
		return err
	}
	hasher, err := ring.NewHasher(ring.Domain(), "rotation") // an agency's own keys are not used
	if err != nil {
		return err
	}
	// MACs are of the columns that the contract had; rows of an older version of it are
	// held to the sum alone, and have MACs over today's columns from now on.
	verify := k.Version == contract.Version
	rows, stored := pipelines.NewRows(contract.Layout()), make([]uint64, gateway.BlockRows)
	for b := range full {
		n := b.Rows()
		macs, pids := b.Uint64s(rows.MAC)[:n], b.IDs(rows.PID)[:n]
		rows.Load(b)
		for _, mac := range macs {
			read.mac += mac
		}
		read.rows += uint64(n) //nolint:gosec // a block has 0 to 65,536 rows
		if verify {
			copy(stored, macs)
			hasher.RowMACs(macs, rows.Bytes(n))
			if !slices.Equal(stored[:n], macs) {
				return gateway.Errorf(gateway.Conflict,
					"a row of batch %s was changed after it was accepted; run pana fsck, and have the batch withdrawn and sent again", k.Batch)
			}
		}
		move(pids)
		rows.SetPIDs(pids)
		hasher.RowMACs(macs, rows.Bytes(n))
		select {
		case ready <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sweepRotations erases what rotations left: copies of those that failed, and the rows
// under the old key after one that is done.
func (x *Exchange) sweepRotations(ctx context.Context) error {
	dead, err := x.Registry.RotationLeftovers(ctx)
	if err != nil {
		return fmt.Errorf("looking for what rotations left: %w", err)
	}
	byContract := map[gateway.ContractID][]gateway.LoadID{}
	for _, d := range dead {
		byContract[d.Contract] = append(byContract[d.Contract], d.ID)
	}
	var errs []error
	for contract, loads := range byContract {
		err := x.Warehouse.Erase(ctx, contract, loads...)
		for _, load := range loads {
			if err == nil {
				err = x.Registry.SweptLoad(ctx, load)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweeping after a rotation: %w", err))
		}
	}
	return errors.Join(errs...)
}
