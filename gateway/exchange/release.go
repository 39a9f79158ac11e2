package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A Build asks for a release of a definition.
type Build struct {
	Definition string          // name of the definition, as the gateway has it
	From, To   gateway.Quarter // window; zero takes the definition's own
	Revision   Revision        // none or yearly
	Progress   func(done, total int)
}

// Pinned is what a release keeps of how it was built, for ever: the definition
// and the rules are data of the release, equal for all purposes.
type Pinned struct {
	Definition *gateway.Definition  `json:"definition"`
	Rules      gateway.ReleaseRules `json:"rules"`
	Coverage   *gateway.Coverage    `json:"coverage"`
	Budget     *disclosure.Budget   `json:"budget"`
	// Gate is which grouping sets answer: of the lineage's approved releases while
	// this one is built, its own afterwards.
	Gate *disclosure.Gate `json:"gate,omitempty"`
	// How it follows the releases before it: see [Revision].
	After    gateway.ReleaseID `json:"after,omitempty"` // the last public one, "" for the first
	Revision Revision          `json:"revision,omitempty"`
	Counted  []Counted         `json:"counted"`
	// Units are the contracts whose units rule 2 of disclosure.md 2.4 looks at.
	Units []gateway.ContractID `json:"units,omitempty"`
	// Quality is how what the release counts was reported, in bands.
	Quality *gateway.Quality `json:"quality,omitempty"`
}

// BuildRelease counts the committed batches and protects the cells, once. It
// refuses, before anything is read, a definition that needs more noise than it
// has (disclosure.md 2.5). Nothing answers until an officer approves the risk page.
func (x *Exchange) BuildRelease(ctx context.Context, caller gateway.Caller, b Build) (gateway.Release, error) {
	_, err := x.allow(ctx, caller, gateway.ActBuildRelease)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.evidenced()
	if err != nil {
		return gateway.Release{}, err
	}
	// A build counts rows of one generation by the keys of it: no rotation ends meanwhile.
	leave, err := x.keys.build(ctx)
	if err != nil {
		return gateway.Release{}, err
	}
	defer leave()
	pinned, err := x.pin(ctx, b)
	if err != nil {
		return gateway.Release{}, err
	}
	past, err := x.follow(ctx, pinned, b.Revision)
	if err != nil {
		return gateway.Release{}, err
	}
	definition, err := json.Marshal(pinned)
	if err != nil {
		return gateway.Release{}, fmt.Errorf("pinning the definition: %w", err)
	}
	snapshot, err := x.Registry.Snapshot(ctx)
	if err != nil {
		return gateway.Release{}, fmt.Errorf("taking a snapshot: %w", err)
	}
	spending, err := spendingOf(pinned.Definition)
	if err != nil {
		return gateway.Release{}, err
	}
	release, err := x.Registry.BeginRelease(ctx, registry.Build{
		Lineage: pinned.Definition.Lineage, Snapshot: snapshot, Policy: pinned.Rules.Revision, Definition: definition, Steward: caller,
		First: pinned.Definition.From.First(), Last: pinned.Definition.To.Last(),
		After: pinned.After, Yearly: pinned.Revision == RevisionYearly, Spending: spending,
	})
	if err != nil {
		return gateway.Release{}, err
	}
	err = guarded("a build", func() error {
		cells, err := x.count(ctx, release, pinned, past, b.Progress)
		if err != nil {
			return err
		}
		return x.finish(ctx, release, pinned, cells)
	})
	if err != nil {
		return gateway.Release{}, x.failRelease(ctx, release.ID, err)
	}
	return x.Registry.Release(ctx, release.ID)
}

// pin takes the definition, the window, the rules of the policies in force and
// the budget, and refuses what does not fit. No data is looked at.
func (x *Exchange) pin(ctx context.Context, b Build) (*Pinned, error) {
	known := x.Definitions[b.Definition]
	if known == nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no release definition of that name")
	}
	definition := known
	if b.From != 0 || b.To != 0 {
		var err error
		definition, err = known.Window(b.From, b.To)
		if err != nil {
			return nil, err
		}
	}
	rules, err := x.Policies().Rules(ctx, definition)
	if err != nil {
		return nil, fmt.Errorf("asking the release policies: %w", err)
	}
	budget, err := disclosure.Plan(definition)
	if err != nil {
		return nil, err
	}
	gate, err := x.keptGate(ctx, definition.Lineage)
	if err != nil {
		return nil, err
	}
	units, err := x.unitsFor(definition)
	if err != nil {
		return nil, err
	}
	return &Pinned{Definition: definition, Rules: rules, Budget: budget, Gate: gate, Units: units}, nil
}

// count takes the snapshot, counts and protects its cells and stores them.
func (x *Exchange) count(
	ctx context.Context, r gateway.Release, p *Pinned, past *past, progress func(done, total int),
) (*protected, error) {
	d := p.Definition
	batches, err := x.visible(ctx, r.Snapshot)
	if err != nil {
		return nil, err
	}
	closed, err := x.revise(ctx, r, p, past, batches)
	if err != nil {
		return nil, err
	}
	raw, err := x.Warehouse.Count(ctx, warehouse.Build{
		Definition: disclosure.Counting(d), Release: r.ID, Snapshot: r.Snapshot, Closed: closed, Contracts: x.Options.Contracts,
		SubjectKey: x.keys.ring().SubjectKey(r.Lineage), Generation: x.keys.generation(), Coverage: p.Coverage, RecordCap: p.Rules.RecordCap, Progress: progress,
		Units: x.unitsOf(batches), Order: order(batches),
	})
	if err != nil {
		return nil, fmt.Errorf("counting release %s: %w", r.ID, err)
	}
	// Rows of a batch that was withdrawn meanwhile are counted or not; that its
	// period was reported is not true any more.
	left, err := x.visible(ctx, r.Snapshot)
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(batches, left, sameBatch) {
		return nil, gateway.Errorf(gateway.Conflict, "a batch was withdrawn while release %s was being built; build again", r.ID)
	}
	err = x.refuseGone(ctx, p, past) // again: one that is in neither list may have been taken back
	if err != nil {
		return nil, err
	}
	err = x.quality(ctx, p)
	if err != nil {
		return nil, err
	}
	protection, err := x.protection(ctx, r, p)
	if err != nil {
		return nil, err
	}
	published, why, err := disclosure.ProtectAndKeep(raw, protection)
	if err != nil {
		return nil, fmt.Errorf("protecting release %s: %w", r.ID, err)
	}
	p.Gate = published.Gate()
	err = x.Warehouse.StoreCells(ctx, published)
	if err != nil {
		return nil, fmt.Errorf("storing the cells of release %s: %w", r.ID, err)
	}
	return &protected{published, why}, nil
}

// visible returns the batches of a snapshot, and refuses when the warehouse would
// count others: the markers only mirror the registry, and one of a withdrawal may
// be late.
func (x *Exchange) visible(ctx context.Context, snapshot uint64) ([]gateway.Batch, error) {
	batches, err := x.Registry.Published(ctx, snapshot)
	if err != nil {
		return nil, fmt.Errorf("reading the batches of the snapshot: %w", err)
	}
	loads := map[gateway.ContractID][]gateway.LoadID{}
	for _, b := range batches {
		loads[b.Contract] = append(loads[b.Contract], b.Load)
	}
	for _, c := range x.Options.Contracts {
		counted, err := x.Warehouse.Visible(ctx, c.ID, warehouse.Snapshot{Seq: snapshot, Generation: x.keys.generation()})
		if err != nil {
			return nil, fmt.Errorf("reading the markers of %s: %w", c.ID, err)
		}
		slices.Sort(counted)
		slices.Sort(loads[c.ID])
		if !slices.Equal(counted, loads[c.ID]) {
			return nil, gateway.Errorf(gateway.Conflict,
				"batches of %s are being published or withdrawn; build again in a minute, and run pana fsck if it stays so", c.ID)
		}
	}
	return batches, nil
}

// failRelease records that a build failed, even when the caller has gone.
func (x *Exchange) failRelease(ctx context.Context, id gateway.ReleaseID, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := x.Registry.FailRelease(ctx, id, outcome(why), nil)
	if err != nil {
		x.Log.LogAttrs(ctx, levelWarn, "failed build not recorded", attrError(err))
	}
	return why
}

// Approve opens a release to questions: the officer names the digest of the risk
// page, which names that of the published cells. Approval changes no cell.
func (x *Exchange) Approve(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, page, reason string) (gateway.Release, error) {
	release, _, err := x.release(ctx, caller, gateway.ActApproveRelease, "", id)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.evidenced()
	if err != nil {
		return gateway.Release{}, err
	}
	published, err := x.described(ctx, release)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.continues(ctx, published)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.Registry.ApproveRelease(ctx, id, page, caller, reason)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.forgetSuperseded(ctx)
	if err != nil {
		return gateway.Release{}, err
	}
	return x.Registry.Release(ctx, id)
}

// CloseRelease withdraws a release for good.
func (x *Exchange) CloseRelease(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, reason string) (gateway.Release, error) {
	_, _, err := x.release(ctx, caller, gateway.ActCloseRelease, "", id)
	if err != nil {
		return gateway.Release{}, err
	}
	err = x.Registry.WithdrawRelease(ctx, id, caller, reason)
	if err != nil {
		return gateway.Release{}, err
	}
	x.forget(id)
	return x.Registry.Release(ctx, id)
}

// Releases returns the releases that the caller may know of: researchers know of
// approved ones only.
func (x *Exchange) Releases(ctx context.Context, caller gateway.Caller) ([]gateway.Release, error) {
	_, err := x.allow(ctx, caller, gateway.ActReadRelease)
	if err != nil {
		return nil, err
	}
	all, err := x.Registry.Releases(ctx)
	if err != nil {
		return nil, err
	}
	known := []gateway.Release{}
	for _, r := range all {
		_, err := x.decide(ctx, caller, gateway.ActReadRelease, "", &r)
		switch {
		case err == nil:
			known = append(known, r)
		case !errors.Is(err, gateway.NotFound):
			return nil, err
		}
	}
	return known, nil
}

// A Catalogue describes a release: what it holds and how it was protected. It
// carries no count.
type Catalogue struct {
	gateway.Release
	Pinned  Pinned              `json:"pinned"`
	Privacy *disclosure.Privacy `json:"privacy,omitempty"` // of a public lineage
	Notice  string              `json:"notice"`            // about the policies in force
	// Protection says in sentences what holds for every table beside its own notes:
	// whether units are looked at, and what is not protected.
	Protection []string `json:"protection"`
	// Guide is the same for people, in the language that was asked for.
	Guide *Guide `json:"guide,omitempty"`
}

// Release returns the catalogue of one release.
func (x *Exchange) Release(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID) (Catalogue, error) {
	release, _, err := x.release(ctx, caller, gateway.ActReadRelease, "", id)
	if err != nil {
		return Catalogue{}, err
	}
	c := Catalogue{Release: release, Notice: x.Notice()}
	if len(release.Definition) > 0 {
		err = json.Unmarshal(release.Definition, &c.Pinned)
		if err != nil {
			return Catalogue{}, fmt.Errorf("reading the pinned definition: %w", err)
		}
	}
	c.Privacy, err = x.privacy(ctx, release, &c.Pinned)
	if err != nil {
		return Catalogue{}, err
	}
	c.Protection = disclosure.UnitNotes(c.Pinned.Definition, c.Pinned.Units)
	return c, nil
}

// cells returns the published cells of a release from memory, or reads them once
// and checks them against the digest in the registry.
func (x *Exchange) cells(ctx context.Context, r gateway.Release) (*disclosure.Published, error) {
	x.mu.Lock()
	p := x.published[r.ID]
	x.mu.Unlock()
	if p != nil {
		return p, nil
	}
	// Two that come first at once both read; what they read is the same.
	p, err := x.Warehouse.LoadCells(ctx, r.ID, r.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading the cells of release %s: %w", r.ID, err)
	}
	if p.Digest() != r.Digest || p.Release() != r.ID {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("the stored cells of release %s are not those that were built", r.ID)}
	}
	x.keep(r, p)
	return p, nil
}
