// Package exchange holds the use cases of Pana: what happens, and in which
// order, when an agency uploads a batch, a steward builds a release, an officer
// approves it and a researcher asks it. Each is one method of [Exchange].
//
// The order is always: policy decides, the intent is logged, the act is done,
// the outcome is logged, and only then does the caller hear of it. Where a leaf
// cannot be written nothing is done.
//
// Call [New], then [Exchange.Run] in a goroutine of its own: it rolls forward
// what a crash left half done. The package knows neither HTTP nor SQL.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/inbox"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/policies"
)

// Options says what an [Exchange] works with. All fields but Inbox, Dir, FreeDisk,
// Witnessed, Inner, Blind, Elapsed, SaveKeys and Twin are required.
type Options struct {
	Registry    *registry.Registry
	Warehouse   *warehouse.Warehouse
	Inbox       *inbox.Inbox // holds uploads that come in pieces; nil: there are none
	Keys        *pseudonym.Keyring
	Contracts   []*gateway.Contract
	Definitions map[string]*gateway.Definition // what releases may be built from, by name
	Now         func() time.Time
	Rand        io.Reader
	Log         *slog.Logger
	Dir         string                 // where files are held, sealed, that must be there whole to be read; "": the system's
	Twin        Twin                   // attacks a twin of a definition, for the risk page; nil: it says that none was
	SaveKeys    SaveKeys               // nil: the keyring lies in no file, and no key of it can be made or destroyed
	FreeDisk    func() (uint64, error) // bytes free where the data lies; nil where an external server keeps it
	Witnessed   func() error           // why uploads and releases stop for want of a witness; nil where none is configured
	Inner       pipelines.Inner        // asks the key server that the keyring names about files in clear; nil: only blind ones are taken then
	Blind       []gateway.ContractID   // whose batches may come blind; nil: none may
	Elapsed     func() time.Duration   // of a clock that nobody sets, since any moment; nil: Now is never set
	Limits      Limits
}

// Limits bound the work that is done at once. Zero fields take the defaults.
type Limits struct {
	Uploads     int   // uploads under way at once; default 8
	OfAgency    int   // of one agency; default half of Uploads
	Bytes       int64 // of all uploads under way, as they are sent; default 64 GiB
	File        pipelines.Limits
	Lease       time.Duration // how long an attempt may be silent; default 30 s
	MinFreeDisk uint64        // bytes below which uploads are refused; default 1 GB
	SweepAfter  time.Duration // age of a dead load before its rows are erased; default 1 h
	Tick        time.Duration // how often Run looks; default 5 s
	Fence       time.Duration // how long a rotation of keys waits for the uploads under way; default Lease
}

// An Exchange carries out the use cases. It is safe for concurrent use.
type Exchange struct {
	Options
	clock     *clock                                 // owned by Run; nil where the time of day cannot be checked
	inForce   atomic.Pointer[policies.Set]           // loaded by load only
	signed    atomic.Pointer[registry.PolicyInForce] // what was signed of it
	loading   sync.Mutex                             // held from the reading of what is in force until it is stored
	judging   sync.Mutex                             // held while a proposal is compiled, tested and compared
	keys      keys
	contracts map[gateway.ContractID]*gateway.Contract
	ending    chan struct{} // closed when Run ends

	mu        sync.Mutex // guards what follows; never held while waiting for anything
	admitted  admitted
	meters    map[*meter]struct{} // of uploads under way
	published map[gateway.ReleaseID]*disclosure.Published
	linkables map[gateway.ReleaseID]map[gateway.ContractID]gateway.ShareBand
	closed    map[gateway.ReleaseID]bool // releases that never answer again: their cells are not kept

	beginning sync.Mutex // held while an upload in pieces is begun
}

// New returns an exchange over prepared parts: it loads the policies that two people
// signed (see [registry.Registry.Found] for the first), makes the tables of the
// contracts, checks that the keyring is the one that earlier batches were made with, and finishes what an earlier process left half done.
func New(ctx context.Context, o Options) (*Exchange, error) {
	o.Limits = o.Limits.withDefaults()
	x := &Exchange{
		Options:   o,
		contracts: map[gateway.ContractID]*gateway.Contract{},
		ending:    make(chan struct{}),
		admitted:  admitted{of: map[gateway.AgencyID]int{}},
		meters:    map[*meter]struct{}{},
		published: map[gateway.ReleaseID]*disclosure.Published{},
		linkables: map[gateway.ReleaseID]map[gateway.ContractID]gateway.ShareBand{},
		closed:    map[gateway.ReleaseID]bool{},
	}
	if err := x.load(ctx); err != nil {
		return nil, err
	}
	x.keys.builds = semaphore.NewWeighted(allBuilds)
	for _, c := range o.Contracts {
		x.contracts[c.ID] = c
	}
	if err := x.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := o.Warehouse.Prepare(ctx, o.Contracts); err != nil {
		return nil, fmt.Errorf("preparing the warehouse: %w", err)
	}
	if err := o.Warehouse.DropBuilds(ctx); err != nil {
		return nil, fmt.Errorf("dropping what a killed build left: %w", err)
	}
	if err := x.recoverInbox(ctx); err != nil {
		return nil, err
	}
	// This process is the registry's only owner, so whoever held a lease is gone:
	// its agency need not wait for the lease to run out.
	if _, err := o.Registry.ExpireBatches(ctx, o.Now().Add(24*time.Hour)); err != nil {
		return nil, fmt.Errorf("ending the attempts of an earlier process: %w", err)
	}
	if err := x.settle(ctx); err != nil {
		return nil, err
	}
	if err := x.endDestructions(ctx); err != nil {
		return nil, err
	}
	if err := x.clockAtStart(ctx); err != nil {
		return nil, err
	}
	x.clock = newClock(o.Now, o.Elapsed)
	return x, x.logStart(ctx)
}

// logStart logs which policies decide from now on, and over which contracts.
func (x *Exchange) logStart(ctx context.Context) error {
	versions := map[gateway.ContractID]int{}
	for _, c := range x.Options.Contracts {
		versions[c.ID] = c.Version
	}
	for _, e := range []ledger.Entry{
		{Event: ledger.ConfigStart, Actor: "gateway", Outcome: ledger.Done, Detail: map[string]any{"contracts": versions, "notice": x.Notice()}},
		x.keyUse(),
		{Event: ledger.PolicyInForce, Actor: "gateway", Policy: x.Policies().Revision(), Outcome: ledger.Done},
	} {
		_, err := x.Registry.Append(ctx, e)
		if err != nil {
			return fmt.Errorf("logging the start: %w", err)
		}
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	if l.Uploads == 0 {
		l.Uploads = 8
	}
	if l.OfAgency == 0 {
		l.OfAgency = max(1, l.Uploads/2)
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 30
	}
	if l.Lease == 0 {
		l.Lease = 30 * time.Second
	}
	if l.MinFreeDisk == 0 {
		l.MinFreeDisk = 1 << 30
	}
	if l.Fence == 0 {
		l.Fence = l.Lease
	}
	if l.SweepAfter == 0 {
		l.SweepAfter = time.Hour
	}
	if l.Tick == 0 {
		l.Tick = 5 * time.Second
	}
	return l
}

// admit refuses a contract that the policies find unacceptable, or that they cannot make a plan for: better at start than at the first upload.
func (x *Exchange) admit(ctx context.Context, set *policies.Set, c *gateway.Contract) error {
	violations, err := set.Violations(ctx, c)
	if err != nil {
		return fmt.Errorf("judging contract %s: %w", c.ID, err)
	}
	if len(violations) > 0 {
		return gateway.Errorf(gateway.Invalid, "contract %s is not acceptable: %s", c.ID, violations[0])
	}
	_, err = set.Plan(ctx, c)
	if err != nil {
		return fmt.Errorf("planning contract %s: %w", c.ID, err)
	}
	return nil
}

// Run rolls forward committed batches whose marker is missing, erases withdrawn
// and abandoned rows, and returns when ctx ends. Erasing may take long, so it has
// a goroutine of its own, which Run waits for.
func (x *Exchange) Run(ctx context.Context) {
	var erasing sync.WaitGroup
	erasing.Go(func() {
		x.every(ctx, "erasure", func() error {
			return errors.Join(x.erasePending(ctx), x.eraseChildren(ctx), x.sweep(ctx), x.sweepRotations(ctx), x.sweepInbox())
		})
	})
	x.every(ctx, "recovery", func() error { return errors.Join(x.watchClock(ctx), x.keepUp(ctx), x.settle(ctx)) })
	close(x.ending)
	erasing.Wait()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := x.Registry.Append(stopping, ledger.Entry{Event: ledger.GatewayStop, Actor: "gateway", Outcome: ledger.Done})
	if err != nil {
		x.Log.LogAttrs(stopping, levelWarn, "stop not recorded", attrError(err))
	}
}

// every does something at each tick until ctx ends, and logs how it fails.
func (x *Exchange) every(ctx context.Context, what string, do func() error) {
	tick := time.NewTicker(x.Limits.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := do()
		if err != nil && ctx.Err() == nil {
			x.Log.LogAttrs(ctx, levelWarn, "background work", slog.String("what", what), attrError(err))
		}
	}
}

// Policies returns the policy set in force.
func (x *Exchange) Policies() *policies.Set { return x.inForce.Load() }

// allow asks policy whether the caller may do something. Nothing is logged here:
// what is allowed is logged with its outcome.
func (x *Exchange) allow(ctx context.Context, caller gateway.Caller, act gateway.ActionName) (gateway.Grant, error) {
	return x.decide(ctx, caller, act, "", nil)
}

// decide asks policy about an action for a purpose on a release. A refusal is
// NotFound: what a caller may not do it may not know of either.
func (x *Exchange) decide(
	ctx context.Context, caller gateway.Caller, act gateway.ActionName, purpose gateway.Purpose, release *gateway.Release,
) (gateway.Grant, error) {
	grant, err := x.inForce.Load().Decide(ctx, caller, act, purpose, release)
	if err != nil {
		return gateway.Grant{}, fmt.Errorf("deciding %s: %w", act, err)
	}
	if !grant.Allow {
		return grant, unknown()
	}
	return grant, nil
}

// unknown is the one answer to whoever asks for what is not there and for what
// may not be known of.
func unknown() error {
	return gateway.Errorf(gateway.NotFound, "there is no such thing, or your key may not know of it")
}

// May reports whether the caller may try an action at all, before anything of the
// request is looked at: NotFound when not.
func (x *Exchange) May(ctx context.Context, caller gateway.Caller, act gateway.ActionName) error {
	_, err := x.allow(ctx, caller, act)
	return err
}

// MayOn reports whether the caller may try an action on a release, before anything else
// of the request is looked at: NotFound when not.
func (x *Exchange) MayOn(ctx context.Context, caller gateway.Caller, act gateway.ActionName, id gateway.ReleaseID) error {
	_, _, err := x.release(ctx, caller, act, "", id)
	return err
}

// release returns a release that the caller may do something with. One that does
// not exist and one that the caller may not know of are the same.
func (x *Exchange) release(
	ctx context.Context, caller gateway.Caller, act gateway.ActionName, purpose gateway.Purpose, id gateway.ReleaseID,
) (gateway.Release, gateway.Grant, error) {
	r, err := x.Registry.Release(ctx, id)
	if errors.Is(err, gateway.NotFound) {
		return r, gateway.Grant{}, unknown()
	}
	if err != nil {
		return r, gateway.Grant{}, err
	}
	grant, err := x.decide(ctx, caller, act, purpose, &r)
	return r, grant, err
}

// errorText is what may be logged of an error: our own words, never a server's.
func errorText(err error) string {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e.Error()
	}
	return err.Error()
}
