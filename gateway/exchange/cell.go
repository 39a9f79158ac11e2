package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/disclosure"
)

// A CellRequest is for why one cell of a release is what it is.
type CellRequest struct {
	Cell    string `json:"cell"`   // canonical label: "region=61|sex=F", "" for the total
	Reason  string `json:"reason"` // for the record; required
	Confirm bool   `json:"confirm,omitempty"`
}

// A CellView says how a request stands and, once another officer has confirmed it,
// which rule decided about the cell. It never holds a count.
type CellView struct {
	Release   gateway.ReleaseID `json:"release"`
	Cell      string            `json:"cell"`
	AskedBy   string            `json:"asked_by"`
	Asked     time.Time         `json:"asked"`
	Until     time.Time         `json:"until"`
	Confirmed string            `json:"confirmed_by,omitempty"`
	Why       disclosure.Reason `json:"why,omitempty"`   // once it is confirmed
	Words     string            `json:"words,omitempty"` // the same for people
}

// LookAtCell lets an officer ask, or confirm another officer's asking, why one cell
// is what it is (disclosure.md 2.6 step 7: for officers only). Nobody learns it alone:
// who asks and who confirms are two persons, and every step is in the ledger before
// anything is told. The reasons are those that the build kept sealed: the rows of the
// snapshot may be gone by now, and other rows would give other reasons.
func (x *Exchange) LookAtCell(ctx context.Context, caller gateway.Caller, id gateway.ReleaseID, q CellRequest) (CellView, error) {
	act := gateway.ActAskCell
	if q.Confirm {
		act = gateway.ActConfirmCell
	}
	release, _, err := x.release(ctx, caller, act, "", id)
	if err != nil {
		return CellView{}, err
	}
	var pinned Pinned
	err = json.Unmarshal(release.Definition, &pinned)
	if err != nil || pinned.Definition == nil {
		return CellView{}, fmt.Errorf("reading the pinned definition of %s", id)
	}
	if !disclosure.HasCell(pinned.Definition, q.Cell) {
		return CellView{}, gateway.Errorf(gateway.Invalid,
			"the release has no such cell; name codes in the order of the dimensions' names, as in region=61|sex=F, and %q for the total", "")
	}
	request := x.Registry.AskCell
	if q.Confirm {
		request = x.Registry.ConfirmCell
	}
	v, err := request(ctx, id, q.Cell, caller, q.Reason)
	if err != nil {
		return CellView{}, err
	}
	view := CellView{Release: id, Cell: v.Cell, AskedBy: v.Asker, Asked: v.Asked, Until: v.Until, Confirmed: v.Confirmer}
	if v.Confirmed() {
		view.Why, err = x.why(ctx, v, pinned.Definition, caller)
		if err != nil {
			return CellView{}, err
		}
		view.Words = words[view.Why]
	}
	return view, nil
}

// why opens the reasons, and logs the answer before it is given.
func (x *Exchange) why(ctx context.Context, v registry.CellView, d *gateway.Definition, caller gateway.Caller) (disclosure.Reason, error) {
	reasons, err := x.Registry.ReleaseReasons(ctx, v.Release)
	if err != nil {
		return "", err
	}
	why, err := disclosure.Why(d, reasons, v.Cell)
	if err != nil {
		return "", fmt.Errorf("looking at a cell of %s: %w", v.Release, err)
	}
	err = x.Registry.ReadCell(ctx, v, caller)
	if err != nil {
		return "", err
	}
	return why, nil
}

// words say for people what the reasons mean.
var words = map[disclosure.Reason]string{
	disclosure.ReasonShown:       "it is shown",
	disclosure.ReasonSmall:       "it is hidden because too few children are in it, or none: rules 1 and 3",
	disclosure.ReasonUnit:        "it is hidden because one reporting unit brings nearly all of it: rule 2",
	disclosure.ReasonNear:        "it is hidden because nearly all children of a larger cell are in it: rule 4",
	disclosure.ReasonRemainder:   "it is hidden to guard another cell of its group against subtraction: rule 6",
	disclosure.ReasonGate:        "its whole table is closed, because most of it would be hidden or small: rule 7",
	disclosure.ReasonImpossible:  "the definition declares it impossible",
	disclosure.ReasonNotReported: "a sector's reports for it are not complete",
	disclosure.ReasonOmitted:     "its code is never published, by the definition",
	disclosure.ReasonHidden:      "it is hidden by another rule",
}
