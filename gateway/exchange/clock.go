package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/pana-exchange/pana/gateway/ledger"
)

// maxStep is how far the time of day may be set without a leaf (trust.md 4.2).
const maxStep = time.Second

// A clock compares the time of day, which somebody can set, with one that nobody can.
type clock struct {
	now     func() time.Time
	elapsed func() time.Duration
	offset  time.Duration // of the time of day against the other, when it was last looked at
	start   time.Time
}

func newClock(now func() time.Time, elapsed func() time.Duration) *clock {
	if elapsed == nil {
		return nil
	}
	return &clock{now: now, elapsed: elapsed, start: now().Round(0), offset: elapsed()}
}

// step returns by how much the time of day was set since the last call.
func (c *clock) step() time.Duration {
	// Round(0) strips the reading of the monotonic clock, which Sub would prefer.
	offset := c.elapsed() - c.now().Round(0).Sub(c.start)
	step := c.offset - offset
	c.offset = offset
	return step
}

// watchClock logs a step of the clock. Leaf times, leases and the times of witnesses
// depend on it.
func (x *Exchange) watchClock(ctx context.Context) error {
	if x.clock == nil {
		return nil
	}
	if step := x.clock.step(); step.Abs() > maxStep {
		return x.logStep(ctx, step)
	}
	return nil
}

// clockAtStart logs a clock that stands before the newest leaf: it was set back while
// no gateway ran.
func (x *Exchange) clockAtStart(ctx context.Context) error {
	size, err := x.Registry.Size(ctx)
	if err != nil || size == 0 {
		return err
	}
	for leaf, err := range x.Registry.Leaves(ctx, size-1) {
		if err != nil {
			return err
		}
		if step := x.Now().Sub(leaf.Time); step < -maxStep {
			return x.logStep(ctx, step)
		}
	}
	return nil
}

func (x *Exchange) logStep(ctx context.Context, step time.Duration) error {
	_, err := x.Registry.Append(ctx, ledger.Entry{
		Event: ledger.ClockStep, Actor: "gateway", Outcome: ledger.Done, Detail: map[string]int64{"milliseconds": step.Milliseconds()},
	})
	if err != nil {
		return fmt.Errorf("logging a step of the clock: %w", err)
	}
	return nil
}
