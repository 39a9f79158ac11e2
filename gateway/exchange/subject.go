package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// Erasure of one child (disclosure.md 2.8, trust.md 6.1).
//
// An agency asks with an identifier. The pid is computed in memory and stored sealed, as
// a proposal; nothing is looked for, so that the answer is the same, and takes as long,
// whether the child is known or not. When two people with two roles have signed, the
// worker of Run deletes the rows of every batch that was accepted until then, whoever
// sent it. A batch that is accepted later brings another record, if it names the child:
// whether it may is between the agency and the law, and to refuse it would keep a list of
// those who asked to be forgotten. The same bytes again are the same batch, and bring
// nothing back.
//
// The registry expects less of the loads from the same transaction on that logs the end.
// What was once said of a batch stays: its receipt and its status count what was
// accepted.

// aboutChild is what a sealed pid is about.
var aboutChild = []byte("a child to be erased")

// RequestErasure stores an agency's request to erase a child, for two people with two
// roles to sign. It tells nothing of the child, not even to the ledger.
func (x *Exchange) RequestErasure(ctx context.Context, caller gateway.Caller, identifier []byte, why ErasureReason) error {
	_, err := x.allow(ctx, caller, gateway.ActRequestErasure)
	if err != nil {
		return err
	}
	if code := pipelines.CheckIIN(identifier, gateway.DayOf(x.Now())); code != "" {
		return gateway.Errorf(gateway.Invalid, "the identifier is none: %s", code)
	}
	err = x.Registry.RoomForErasure(ctx, caller.Agency)
	if err != nil {
		return err
	}
	ring := x.keys.ring()
	pid, err := x.pidOf(ctx, ring, caller, identifier)
	if err != nil {
		return err
	}
	child := append(binary.BigEndian.AppendUint32(nil, uint32(ring.Epoch())), pid[:]...) //nolint:gosec // a count of keys
	sealed, err := ring.Envelope(x.Rand, "erasure").Seal(child, aboutChild)
	if err != nil {
		return fmt.Errorf("sealing a request: %w", err)
	}
	_, err = x.Registry.ProposeErasure(ctx, registry.ErasureRequest{Child: sealed, Epoch: ring.Epoch(), By: caller, Reason: why})
	return err
}

// pidOf makes the pid as rows have it: where the keyring names a key server, by that
// server, as for a file in clear. A gateway that takes blind batches only has no way to
// know a child by the identifier, and must say so: to erase nothing would be a lie.
func (x *Exchange) pidOf(ctx context.Context, ring *pseudonym.Keyring, caller gateway.Caller, identifier []byte) (pid [16]byte, err error) {
	hasher, err := ring.NewHasher(ring.Domain(), caller.Agency)
	if err != nil {
		return pid, err
	}
	if ring.KeyServer() == "" {
		hasher.PID(&pid, identifier)
		return pid, nil
	}
	if x.Inner == nil {
		return pid, gateway.Errorf(gateway.Conflict, "this gateway takes blind batches only, and cannot tell a child by the identifier")
	}
	inner, err := x.Inner(ctx, [][]byte{pseudonym.ChildInput(nil, ring.Domain(), identifier)})
	if err != nil {
		return pid, err
	}
	if len(inner) != 1 || inner[0] == ([16]byte{}) {
		return pid, &gateway.Error{Kind: gateway.Internal, Err: errors.New("the key server answered something else")}
	}
	hasher.Outer(inner, make([]uint16, 1))
	return inner[0], nil
}

// eraseChildren carries out what was signed. It waits for builds, which count the rows,
// and for changes of keys, which copy them: then it is for the next time.
func (x *Exchange) eraseChildren(ctx context.Context) error {
	err := x.Registry.ForgetErasures(ctx)
	if err != nil {
		return err
	}
	due, err := x.Registry.Erasures(ctx)
	if err != nil {
		return fmt.Errorf("looking for erasures: %w", err)
	}
	if len(due) == 0 || !x.keys.changing.TryLock() {
		return nil
	}
	defer x.keys.changing.Unlock()
	if !x.keys.builds.TryAcquire(allBuilds) {
		return nil
	}
	defer x.keys.builds.Release(allBuilds)
	x.keys.copying.Lock()
	defer x.keys.copying.Unlock()
	var errs []error
	for _, e := range due {
		err := guarded("an erasure", func() error { return x.eraseChild(ctx, e) })
		if err != nil { // the law gave every child a date: one that cannot be done holds up no other
			errs = append(errs, fmt.Errorf("carrying out erasure %s: %w", e.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (x *Exchange) eraseChild(ctx context.Context, e registry.Erasure) error {
	pid, err := x.childOf(e)
	if err != nil {
		return err
	}
	loads, err := x.Registry.ErasureLoads(ctx, e.ID)
	if err != nil {
		return err
	}
	parts := map[gateway.ContractID][]gateway.LoadID{}
	var plan []registry.Load
	for _, c := range x.Options.Contracts {
		if _, seen := parts[c.ID]; seen {
			continue // another version of the same contract
		}
		found, err := x.Warehouse.Child(ctx, c.ID, pid)
		if err != nil {
			return err
		}
		parts[c.ID] = nil
		for _, l := range loads {
			if l.Contract != c.ID {
				continue
			}
			parts[c.ID] = append(parts[c.ID], l.ID)
			if sums := found[l.ID]; sums != (warehouse.Sums{}) {
				plan = append(plan, registry.Load{ID: l.ID, Rows: int(sums.Rows), MAC: sums.MAC}) //nolint:gosec // rows of one child
			}
		}
	}
	for _, l := range loads {
		if _, known := parts[l.Contract]; !known {
			return gateway.Errorf(gateway.Conflict, "there is no contract %s any more; start a gateway that has it", l.Contract)
		}
	}
	err = x.Registry.PlanErasure(ctx, e.ID, plan)
	if err != nil {
		return err
	}
	for contract, all := range parts {
		err = x.Warehouse.EraseChild(ctx, contract, pid, all...)
		if err != nil {
			return err
		}
	}
	return x.Registry.FinishErasure(ctx, e.ID)
}

// childOf opens a sealed pid, and moves it to the key in force.
func (x *Exchange) childOf(e registry.Erasure) ([16]byte, error) {
	ring := x.keys.ring()
	content, err := ring.Envelope(x.Rand, "erasure").Open(e.Child, aboutChild)
	if err != nil || len(content) != 20 {
		return [16]byte{}, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("the request cannot be opened: %w", err)}
	}
	pids := [][16]byte{[16]byte(content[4:])}
	epoch := int(binary.BigEndian.Uint32(content))
	if epoch == ring.Epoch() {
		return pids[0], nil
	}
	old, err := ring.At(epoch)
	if err != nil {
		return [16]byte{}, err
	}
	move, err := old.Rekey(ring.Epoch())
	if err != nil {
		return [16]byte{}, err
	}
	move(pids)
	return pids[0], nil
}
