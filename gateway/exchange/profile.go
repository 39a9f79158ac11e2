package exchange

import (
	"context"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// spendingOf is what a release takes from its lineage's privacy budget: nil where it
// has none.
func spendingOf(d *gateway.Definition) (*registry.Spending, error) {
	if d.Profile != gateway.Public {
		return nil, nil //nolint:nilnil // no budget is an answer
	}
	rho, yearly, err := disclosure.Spends(d)
	if err != nil {
		return nil, err
	}
	return &registry.Spending{Rho: int64(rho), Yearly: int64(yearly)}, nil
}

// protection is what protects a release by its profile. A public one gets no key:
// its noise must be such that nobody can draw it again (disclosure.md 2.10).
func (x *Exchange) protection(ctx context.Context, r gateway.Release, p *Pinned) (disclosure.Release, error) {
	rel := disclosure.Release{ID: r.ID, Number: r.Number, Lineage: r.Lineage, Rules: p.Rules, Coverage: p.Coverage}
	if p.Definition.Profile == gateway.Public {
		rel.Random = x.Rand
		return rel, nil
	}
	rel.Noise, rel.Gate, rel.Units = x.keys.ring().PRF(r.Lineage), p.Gate, p.Units
	if p.Definition.Profile != gateway.Standing || p.Definition.Standing.Mode != gateway.Exact {
		return rel, nil
	}
	public, err := x.Registry.PublicReleases(ctx)
	if err != nil {
		return rel, fmt.Errorf("reading the earlier releases of %s: %w", r.Lineage, err)
	}
	for _, e := range public {
		if e.Lineage != r.Lineage {
			continue
		}
		published, err := x.cells(ctx, e)
		if err != nil {
			return rel, fmt.Errorf("reading what release %s shows: %w", e.ID, err)
		}
		rel.Earlier = append(rel.Earlier, published)
	}
	return rel, nil
}

// privacy describes the ledger of a release's lineage; nil where it has none.
func (x *Exchange) privacy(ctx context.Context, r gateway.Release, p *Pinned) (*disclosure.Privacy, error) {
	if p.Definition == nil || p.Definition.Profile != gateway.Public {
		return nil, nil //nolint:nilnil // no budget is an answer
	}
	spent, err := x.Registry.PrivacySpent(ctx, r.Lineage, x.Now().UTC().Year())
	if err != nil {
		return nil, err
	}
	return disclosure.Account(p.Definition, spent.Year, spent.Ever)
}
