package exchange

import (
	"context"
	"fmt"
	"math"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// What a finding of [Exchange.Check] says. The registry is the truth, the
// warehouse what is compared with it.
const (
	FindingLost      = "lost"      // an accepted batch has no rows, or other ones than were accepted: its agency must send it again
	FindingAltered   = "altered"   // the count holds, the sum of the rows' MACs does not: a row was changed
	FindingInvisible = "invisible" // an accepted batch does not count: its marker is missing
	FindingVisible   = "visible"   // rows count that no accepted batch has
	FindingLeftover  = "leftover"  // invisible rows of no batch; they are swept by and by
)

// A Finding is one load on which registry and warehouse do not agree.
type Finding struct {
	What     string             `json:"finding"`
	Contract gateway.ContractID `json:"contract"`
	Batch    gateway.BatchID    `json:"batch,omitempty"`
	Load     string             `json:"load"`
}

// A Report is the result of [Exchange.Check].
type Report struct {
	Leaves   uint64    `json:"leaves"`  // of the ledger, all verified
	Batches  int       `json:"batches"` // accepted, all compared
	Rows     uint64    `json:"rows"`    // of those batches
	Findings []Finding `json:"findings"`
}

// Clean reports whether nothing but leftovers was found.
func (r *Report) Clean() bool {
	for _, f := range r.Findings {
		if f.What != FindingLeftover {
			return false
		}
	}
	return true
}

// Check verifies the whole ledger and compares registry and warehouse, load by
// load: what was accepted is there, unaltered and visible, and nothing else is
// visible. Findings but leftovers are logged. Run it while no upload is under way:
// one that commits meanwhile may show as a finding.
func (x *Exchange) Check(ctx context.Context) (Report, error) {
	report := Report{Findings: []Finding{}}
	// One that a crash interrupted has less rows than are expected until it ends.
	err := x.eraseChildren(ctx)
	if err != nil {
		return report, err
	}
	report.Leaves, err = x.Registry.Verify(ctx)
	if err != nil {
		return report, fmt.Errorf("verifying the ledger: %w", err)
	}
	live, err := x.Registry.LiveLoads(ctx)
	if err != nil {
		return report, fmt.Errorf("reading the registry: %w", err)
	}
	for _, c := range x.Options.Contracts {
		stored, err := x.Warehouse.Loads(ctx, c.ID)
		if err != nil {
			return report, fmt.Errorf("reading the rows of %s: %w", c.ID, err)
		}
		// Of all batches: a snapshot stops before one whose marker is on its way.
		visible, err := x.Warehouse.Visible(ctx, c.ID, warehouse.Snapshot{Seq: math.MaxUint64, Generation: x.keys.generation()})
		if err != nil {
			return report, fmt.Errorf("reading the markers of %s: %w", c.ID, err)
		}
		report.compare(c.ID, live, stored, visible)
	}
	return report, x.logFindings(ctx, report)
}

// compare adds what is found about one contract.
func (r *Report) compare(id gateway.ContractID, live []registry.Load, stored map[gateway.LoadID]warehouse.Sums, visible []gateway.LoadID) {
	seen := map[gateway.LoadID]bool{}
	for _, load := range visible {
		seen[load] = true
	}
	known := map[gateway.LoadID]bool{}
	for _, l := range live {
		if l.Contract != id {
			continue
		}
		known[l.ID] = true
		if l.State != gateway.BatchPublished {
			continue // under way, or about to get its marker
		}
		sums := stored[l.ID]
		r.Batches++
		r.Rows += sums.Rows
		switch {
		case sums.Rows != uint64(l.Rows): //nolint:gosec // a count of rows
			r.add(FindingLost, id, l.Batch, l.ID)
		case sums.MAC != l.MAC:
			r.add(FindingAltered, id, l.Batch, l.ID)
		case !seen[l.ID]:
			r.add(FindingInvisible, id, l.Batch, l.ID)
		}
	}
	for load := range stored {
		switch {
		case known[load]:
		case seen[load]:
			r.add(FindingVisible, id, "", load)
		default:
			r.add(FindingLeftover, id, "", load)
		}
	}
}

func (r *Report) add(what string, id gateway.ContractID, batch gateway.BatchID, load gateway.LoadID) {
	r.Findings = append(r.Findings, Finding{what, id, batch, fmt.Sprintf("%016x", uint64(load))})
}

func (x *Exchange) logFindings(ctx context.Context, r Report) error {
	if r.Clean() {
		return nil
	}
	_, err := x.Registry.Append(ctx, ledger.Entry{Event: ledger.FsckFinding, Actor: "fsck", Outcome: ledger.Failed, Detail: r.Findings})
	if err != nil {
		return fmt.Errorf("logging the findings: %w", err)
	}
	return nil
}
