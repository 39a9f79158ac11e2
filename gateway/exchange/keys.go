package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// SaveKeys puts a keyring in the place of the one on disk, whole or not at all, and with
// it the copy for recovery. It is sealed for the same custodians.
type SaveKeys func(*pseudonym.Keyring) error

// allBuilds is more than the builds that run at once; a rotation takes all of it.
const allBuilds = 1 << 20

// keys are the keys in use, and what keeps the parts of the exchange that use them out
// of the way of those that change them.
type keys struct {
	inUse atomic.Pointer[inUse]

	// changing is held by whoever makes, rotates or destroys a key.
	changing sync.Mutex
	// flip is held, shared, between reading of a batch's load and writing of its marker.
	flip sync.RWMutex
	// copying is held, shared, while a batch is copied, and alone while one that was
	// withdrawn is erased, or a child.
	copying sync.RWMutex
	// builds is held, one of many, by a build, and as a whole where a rotation ends.
	builds *semaphore.Weighted
	fenced bool // guarded by Exchange.mu: a rotation is about to end, uploads are to wait
}

type inUse struct {
	ring       *pseudonym.Keyring
	generation uint32 // of the rows that it made
}

// ring is the keyring with the epoch in force.
func (k *keys) ring() *pseudonym.Keyring { return k.inUse.Load().ring }

// generation is that of the rows which count now.
func (k *keys) generation() uint32 { return k.inUse.Load().generation }

// build keeps a rotation from ending until leave is called.
func (k *keys) build(ctx context.Context) (leave func(), err error) {
	err = k.builds.Acquire(ctx, 1)
	if err != nil {
		return nil, fmt.Errorf("waiting for a rotation of keys: %w", err)
	}
	return func() { k.builds.Release(1) }, nil
}

// openKeys puts the epoch that the registry has in force, and refuses a keyring that is
// not the registry's (trust.md 6.2 F19). A rotation that a crash interrupted is over:
// the old key is in force.
func (x *Exchange) openKeys(ctx context.Context) error {
	active, err := x.Registry.Active(ctx)
	if err != nil {
		return err
	}
	ring := x.Options.Keys
	if active.Epoch != 0 {
		ring, err = ring.At(active.Epoch)
		if err != nil {
			return gateway.Errorf(gateway.Conflict,
				"the keyring does not hold the key of epoch %d, which is in force: it is another installation's or an old copy; put the newest back", active.Epoch)
		}
	}
	err = x.Registry.Seal(ctx, ring.Epoch(), ring.KCV())
	if err != nil {
		return err
	}
	err = x.Registry.ExpireRotation(ctx)
	if err != nil {
		return fmt.Errorf("ending the rotation of an earlier process: %w", err)
	}
	generation, err := x.Registry.Generation(ctx)
	if err != nil {
		return err
	}
	x.keys.inUse.Store(&inUse{ring, generation})
	return nil
}

// keyUse is the leaf of a start: which key makes pseudonyms from now on, and how many
// custodians it took to open it.
func (x *Exchange) keyUse() ledger.Entry {
	ring := x.keys.ring()
	return ledger.Entry{
		Event: ledger.KeyUse, Actor: "gateway", Object: fmt.Sprintf("pseudonyms/epoch-%d", ring.Epoch()), Outcome: ledger.Done,
		Detail: map[string]any{"kcv": ring.KCV(), "custodians": ring.Layers()},
	}
}

// A KeyView is what may be seen of the keys: states and check values, never a key.
type KeyView struct {
	Installation string              `json:"installation"`
	LedgerKey    string              `json:"ledger_key"`
	Custodians   int                 `json:"custodians"` // who were needed to open the keyring
	Recovery     string              `json:"recovery,omitempty"`
	Epochs       []registry.KeyEpoch `json:"epochs"`
	Checks       map[string]string   `json:"check_values"`
	Rotating     bool                `json:"rotating"`
}

// Keys shows the keys' states and check values.
func (x *Exchange) Keys(ctx context.Context, caller gateway.Caller) (KeyView, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadKeys)
	if err != nil {
		return KeyView{}, err
	}
	ring := x.keys.ring()
	v := KeyView{
		Installation: ring.Installation(), LedgerKey: ring.VerifierKey(), Custodians: ring.Layers(),
		Recovery: ring.Recovery(), Checks: ring.CheckValues(),
	}
	v.Rotating = !x.keys.changing.TryLock()
	if !v.Rotating {
		x.keys.changing.Unlock()
	}
	v.Epochs, err = x.Registry.KeyEpochs(ctx)
	return v, err
}

// change begins what only one may do at a time.
func (x *Exchange) changeKeys(ctx context.Context, caller gateway.Caller) (done func(), err error) {
	_, err = x.allow(ctx, caller, gateway.ActManageKeys)
	if err != nil {
		return nil, err
	}
	if x.SaveKeys == nil {
		return nil, gateway.Errorf(gateway.Conflict, "this gateway's keyring lies in no file that it may write")
	}
	if !x.keys.changing.TryLock() {
		return nil, gateway.Errorf(gateway.Conflict, "keys are being changed already; look with: pana keys show")
	}
	return x.keys.changing.Unlock, nil
}

// NewEpoch makes the next outer key. It is pending: nothing uses it until
// [Exchange.RotateKeys].
func (x *Exchange) NewEpoch(ctx context.Context, caller gateway.Caller) (registry.KeyEpoch, error) {
	done, err := x.changeKeys(ctx, caller)
	if err != nil {
		return registry.KeyEpoch{}, err
	}
	defer done()
	known, err := x.Registry.KeyEpochs(ctx)
	if err != nil {
		return registry.KeyEpoch{}, err
	}
	if i := slices.IndexFunc(known, func(e registry.KeyEpoch) bool { return e.State == registry.KeyPending }); i >= 0 {
		return registry.KeyEpoch{}, gateway.Errorf(gateway.Conflict, "epoch %d is pending already; rotate to it, or destroy it", known[i].Epoch)
	}
	ring := x.keys.ring()
	epochs := ring.Epochs()
	next := epochs[len(epochs)-1]
	if next <= known[len(known)-1].Epoch { // else a crash left it in the file, and nowhere else
		if len(epochs) == pseudonym.MaxEpochs {
			return registry.KeyEpoch{}, gateway.Errorf(gateway.Conflict, "the keyring holds %d outer keys; destroy one that is retired first", len(epochs))
		}
		ring, err = ring.WithNewEpoch(x.Rand)
		if err != nil {
			return registry.KeyEpoch{}, err
		}
		epochs = ring.Epochs()
		next = epochs[len(epochs)-1]
		err = x.SaveKeys(ring)
		if err != nil {
			return registry.KeyEpoch{}, fmt.Errorf("saving the keyring: %w", err)
		}
	}
	pending, err := ring.At(next)
	if err != nil {
		return registry.KeyEpoch{}, err
	}
	err = x.Registry.AddEpoch(ctx, caller.Key, next, pending.KCV())
	if err != nil {
		return registry.KeyEpoch{}, err
	}
	x.keys.inUse.Store(&inUse{ring, x.keys.generation()})
	known, err = x.Registry.KeyEpochs(ctx)
	if err != nil {
		return registry.KeyEpoch{}, err
	}
	return known[len(known)-1], nil
}

// DestroyEpoch takes an outer key out of the keyring for ever: a retired one, once all
// rows that were under it are off the disk, or a pending one, as two people signed in
// the proposal. Copies of older keyring files are their keepers' to destroy.
func (x *Exchange) DestroyEpoch(ctx context.Context, caller gateway.Caller, epoch int, proposal string) error {
	done, err := x.changeKeys(ctx, caller)
	if err != nil {
		return err
	}
	defer done()
	err = x.sweepRotations(ctx)
	if err != nil {
		return err
	}
	err = x.Registry.DoomEpoch(ctx, caller.Key, epoch, proposal)
	if err != nil {
		return err
	}
	return x.destroy(ctx, caller.Key, epoch)
}

// destroy ends a destruction that was decided.
func (x *Exchange) destroy(ctx context.Context, actor string, epoch int) error {
	old := x.keys.ring()
	if slices.Contains(old.Epochs(), epoch) {
		ring, err := old.WithoutEpoch(epoch)
		if err != nil {
			return err
		}
		err = x.SaveKeys(ring)
		if err != nil {
			return fmt.Errorf("saving the keyring: %w", err)
		}
		x.keys.inUse.Store(&inUse{ring, x.keys.generation()})
		old.Forget(epoch)
	}
	return x.Registry.DestroyedEpoch(ctx, actor, epoch)
}

// endDestructions ends what a crash interrupted, and destroys again what an old copy of
// the keyring file brought back.
func (x *Exchange) endDestructions(ctx context.Context) error {
	known, err := x.Registry.KeyEpochs(ctx)
	if err != nil || x.SaveKeys == nil {
		return err
	}
	var errs []error
	for _, e := range known {
		held := slices.Contains(x.keys.ring().Epochs(), e.Epoch)
		if e.Doomed && (held || e.State != registry.KeyDestroyed) {
			errs = append(errs, x.destroy(ctx, "gateway", e.Epoch))
		}
	}
	return errors.Join(errs...)
}

// ProposeKeys stores what is to be done to the key of an epoch, for two people with two
// roles to sign: then [Exchange.RotateKeys] or [Exchange.DestroyEpoch] take its id.
func (x *Exchange) ProposeKeys(
	ctx context.Context, caller gateway.Caller, action KeyAction, epoch int, reason string,
) (registry.Proposal, error) {
	_, err := x.allow(ctx, caller, gateway.ActManageKeys)
	if err != nil {
		return registry.Proposal{}, err
	}
	return x.Registry.ProposeKeys(ctx, caller, action, epoch, reason)
}
