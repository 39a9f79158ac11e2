package registry

import (
	"context"

	"github.com/pana-exchange/pana/gateway"
)

// LastApproved returns the newest release of a lineage that an officer ever approved,
// whatever became of it since. It reports NotFound when there is none.
func (r *Registry) LastApproved(ctx context.Context, lineage string) (gateway.Release, error) {
	found, err := r.releases(ctx, `lineage = ? AND officer IS NOT NULL ORDER BY number DESC LIMIT 1`, lineage)
	if err != nil {
		return gateway.Release{}, err
	}
	if len(found) == 0 {
		return gateway.Release{}, gateway.Errorf(gateway.NotFound, "no release of that lineage was approved")
	}
	return found[0], nil
}
