package warehouse

import (
	"context"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Corrupt makes the load believe that another value was sent in a column, which
// is what a value that the server stored wrongly looks like.
func (l *Load) Corrupt(column int) { l.sums[column]++ }

// TimedCount is Count with a clock, and another place for the cells.
func (w *Warehouse) TimedCount(ctx context.Context, b Build, add func(gateway.GroupingSet, []string, disclosure.Count) error) (derive, count time.Duration, err error) {
	c, err := w.newCounting(b)
	if err != nil {
		return 0, 0, err
	}
	defer c.drop(ctx)
	start := time.Now()
	err = c.derive(ctx)
	if err != nil {
		return 0, 0, err
	}
	derived := time.Now()
	err = c.cells(ctx, add, func(gateway.GroupingSet, []string, string, disclosure.Sum) error { return nil })
	return derived.Sub(start), time.Since(derived), err
}
