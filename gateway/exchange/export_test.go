package exchange

import (
	"context"
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// Held returns the releases whose cells lie in memory.
func (x *Exchange) Held() []gateway.ReleaseID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Sorted(maps.Keys(x.published))
}

// Order is how batches replace one another, for a build.
func Order(batches []gateway.Batch) []warehouse.Ordered { return order(batches) }

// Load is load.
func (x *Exchange) Load(ctx context.Context) error { return x.load(ctx) }

// HoldLoads makes loads of policies wait.
func (x *Exchange) HoldLoads() (release func()) {
	x.loading.Lock()
	return x.loading.Unlock
}
