package exchange

import (
	"context"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// Published cells of the release that answers lie in memory. Those of one that is
// superseded or withdrawn leave it in the moment of the decision, and do not come
// back: whoever held two could subtract them (disclosure.md 2.8). The warehouse keeps
// them, so that an officer can replay an answer of then: they were public.

// keep holds cells for the questions to come, unless their release was closed while
// they were read.
func (x *Exchange) keep(r gateway.Release, p *disclosure.Published) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.closed[r.ID] && !over(r.State) {
		x.published[r.ID] = p
	}
}

// forget drops the cells of a release for good.
func (x *Exchange) forget(id gateway.ReleaseID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed[id] = true
	delete(x.published, id)
}

// forgetSuperseded drops the cells of all releases that do not answer any more.
func (x *Exchange) forgetSuperseded(ctx context.Context) error {
	all, err := x.Registry.Releases(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if over(r.State) {
			x.forget(r.ID)
		}
	}
	return nil
}

// over reports whether a release is closed for good.
func over(s gateway.ReleaseState) bool {
	return s == gateway.ReleaseSuperseded || s == gateway.ReleaseWithdrawn
}
