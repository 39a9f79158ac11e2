package exchange

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/pipelines/disclosure/risk"
)

// A Twin attacks a release of invented children, made from a definition and the
// rules alone.
type Twin func(ctx context.Context, d *gateway.Definition, rules gateway.ReleaseRules) (*risk.Twin, error)

// protected are the cells of a build, and why each is what it is.
type protected struct {
	*disclosure.Published

	why *disclosure.Reasons
}

// finish describes a release whose cells are protected, once, and records it: from
// here on an officer may approve the page's digest.
func (x *Exchange) finish(ctx context.Context, r gateway.Release, p *Pinned, cells *protected) error {
	definition, err := json.Marshal(p) // again: the coverage is known now
	if err != nil {
		return fmt.Errorf("pinning the definition: %w", err)
	}
	page, err := x.page(ctx, r, p, cells.Published)
	if err != nil {
		return fmt.Errorf("describing release %s: %w", r.ID, err)
	}
	return x.Registry.FinishRelease(ctx, r.ID, registry.Finished{
		Digest: cells.Digest(), Definition: definition, Page: page, Reasons: cells.why.Bytes(),
	})
}

// page is the risk page in its canonical bytes.
func (x *Exchange) page(ctx context.Context, r gateway.Release, p *Pinned, published *disclosure.Published) ([]byte, error) {
	pinned, err := risk.Canonical(p)
	if err != nil {
		return nil, err
	}
	d := p.Definition
	page := risk.Page{
		Release: r.ID, Built: x.Now(), Snapshot: r.Snapshot, From: d.From.String(), To: d.To.String(),
		Cells: published.Digest(), Definition: risk.Digest(pinned), Policy: p.Rules.Revision, Notice: x.Notice(),
		K: p.Rules.ThresholdMin, V: d.V, Needed: p.Budget.Needed, Deviation: p.Budget.D1 + p.Budget.D2,
		Cubes: risk.Cubes(d), Hidden: published.Summary(), Attackers: risk.Attackers(p.Budget), Widths: published.Widths(),
		Reports: x.reports(p),
	}
	if d.Profile != gateway.Public { // beside the noisy numbers nothing may depend on true counts
		page.Rows, err = x.rows(ctx, r, p)
		if err != nil {
			return nil, err
		}
	}
	if d.Profile != gateway.Interactive {
		page.Profile, page.Protection = d.Profile, p.Budget.String()
		return page.Canonical() // what the twin's attacks try is another noise
	}
	if x.Twin != nil {
		page.Twin, err = x.Twin(ctx, d, p.Rules)
		if err != nil {
			return nil, fmt.Errorf("attacking a twin: %w", err)
		}
	}
	return page.Canonical()
}

// reports counts the regions and quarters of the window for which a sector's reports
// are complete, of those for which any sector's are expected.
func (x *Exchange) reports(p *Pinned) []risk.Reports {
	regions := map[string]bool{}
	for _, places := range p.Coverage.Full {
		for region := range places {
			regions[region] = true
		}
	}
	quarters := int(p.Definition.To-p.Definition.From) + 1
	var list []risk.Reports
	for _, c := range x.newest() {
		r := risk.Reports{Contract: c.ID, Title: c.Title, Places: len(regions) * quarters}
		for region := range regions {
			r.Complete += len(p.Coverage.Full[c.ID][region])
		}
		list = append(list, r)
	}
	return list
}

// A RiskPage is a release with the page that its approval names by Release.Page.
type RiskPage struct {
	gateway.Release
	RiskPage json.RawMessage `json:"risk_page"` // the canonical bytes of a [risk.Page], on the way maybe spaced
}

// Risk returns what an officer reads before approving, as it was made at the end of
// the build: by grouping set and never by cell, what is hidden and why.
func (x *Exchange) Risk(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID) (RiskPage, error) {
	c, err := x.Release(ctx, caller, id)
	if err != nil {
		return RiskPage{}, err
	}
	_, err = x.allow(ctx, caller, gateway.ActReadRisk)
	if err != nil {
		return RiskPage{}, err
	}
	if c.Page == "" {
		return RiskPage{}, gateway.Errorf(gateway.Withheld, "release %s is %s; it has no cells to describe", id, c.State)
	}
	page, err := x.Registry.ReleasePage(ctx, id)
	if err != nil {
		return RiskPage{}, err
	}
	return RiskPage{c.Release, page}, nil
}

// described returns the stored cells of a release, after a check that its page is
// the one that the registry names and describes them: an approval opens them next.
func (x *Exchange) described(ctx context.Context, r gateway.Release) (*disclosure.Published, error) {
	cells, err := x.cells(ctx, r)
	if err != nil {
		return nil, err
	}
	text, err := x.Registry.ReleasePage(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	page, canonical, err := risk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the risk page of %s: %w", r.ID, err)
	}
	if risk.Digest(canonical) != r.Page || page.Release != r.ID || page.Cells != cells.Digest() {
		return nil, &gateway.Error{Kind: gateway.Internal, Err: fmt.Errorf("the risk page of %s does not describe its cells", r.ID)}
	}
	return cells, nil
}
