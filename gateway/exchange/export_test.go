package exchange

import (
	"maps"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Held returns the releases whose cells lie in memory.
func (x *Exchange) Held() []gateway.ReleaseID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Sorted(maps.Keys(x.published))
}
