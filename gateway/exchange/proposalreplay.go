package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/pipelines/disclosure"
	"github.com/pana-exchange/pana/policies"
)

// replayed is how many questions and uploads a proposal is replayed on.
const replayed = 1000

// A Replay says what proposed policies would have decided about what was asked and sent
// last, and what they would hide of what is shown.
type Replay struct {
	Questions        int `json:"questions"`
	QuestionsAllowed int `json:"questions_allowed"` // that were denied
	QuestionsDenied  int `json:"questions_denied"`  // that were allowed
	Unknown          int `json:"unknown"`           // with no input to replay: it was erased, or policy failed
	Uploads          int `json:"uploads"`
	UploadsDenied    int `json:"uploads_denied"`
	UploadsTreated   int `json:"uploads_treated"` // whose fields or rows would be treated otherwise than by the policies in force

	Releases []ReleaseReplay `json:"releases,omitempty"` // whose thresholds would change
}

// A ReleaseReplay is the shares of cells that would change, by grouping set. There is
// never a cell in it.
type ReleaseReplay struct {
	Release gateway.ReleaseID      `json:"release"`
	Sets    []disclosure.SetChange `json:"sets,omitempty"`
	Why     string                 `json:"not_replayed,omitempty"`
}

// replay puts the last questions and uploads to a proposed set. Questions are replayed
// from their logged input, as "pana policy why" does; of uploads no row is kept, so they
// are decided differently where what is done to their contract's fields and rows differs.
func (x *Exchange) replay(ctx context.Context, base, set *policies.Set) (*Replay, error) {
	last, err := x.Registry.LastDecisions(ctx, replayed)
	if err != nil {
		return nil, err
	}
	r := &replaying{x: x, base: base, set: set, allowed: map[string]bool{}, treated: map[gateway.ContractID]bool{}}
	for i := range last {
		err = r.one(ctx, &last[i])
		if err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.Definitions)) {
		err = r.release(ctx, x.Definitions[name])
		if err != nil {
			return nil, err
		}
	}
	return &r.result, nil
}

type replaying struct {
	x         *Exchange
	base, set *policies.Set
	allowed   map[string]bool // by input
	treated   map[gateway.ContractID]bool
	result    Replay
}

func (r *replaying) one(ctx context.Context, d *registry.Decision) error {
	if d.Contract != "" {
		return r.upload(ctx, d.Contract)
	}
	r.result.Questions++
	var detail ledger.Answered
	if json.Unmarshal(d.Detail, &detail) != nil || detail.Decided == nil {
		r.result.Unknown++
		return nil //nolint:nilerr // it is counted
	}
	allow, err := r.allows(ctx, detail.Decided.Input)
	switch {
	case err != nil:
		return err
	case allow && !detail.Decided.Allow:
		r.result.QuestionsAllowed++
	case !allow && detail.Decided.Allow:
		r.result.QuestionsDenied++
	}
	return nil
}

// allows asks the proposed set; the inputs are words of closed lists, so few differ.
func (r *replaying) allows(ctx context.Context, input json.RawMessage) (bool, error) {
	allow, known := r.allowed[string(input)]
	if known {
		return allow, nil
	}
	again, err := r.set.Replay(ctx, input)
	if err != nil {
		return false, err
	}
	r.allowed[string(input)] = again.Grant.Allow
	return again.Grant.Allow, nil
}

func (r *replaying) upload(ctx context.Context, id gateway.ContractID) error {
	r.result.Uploads++
	allow, err := r.allows(ctx, policies.OfUpload())
	if err != nil {
		return err
	}
	if !allow {
		r.result.UploadsDenied++
		return nil
	}
	contract := r.x.contracts[id]
	if contract == nil {
		return nil // nothing is sent under it any more
	}
	differs, known := r.treated[id]
	if !known {
		differs, err = r.differs(ctx, contract)
		if err != nil {
			return err
		}
		r.treated[id] = differs
	}
	if differs {
		r.result.UploadsTreated++
	}
	return nil
}

func (r *replaying) differs(ctx context.Context, c *gateway.Contract) (bool, error) {
	before, err := r.base.Plan(ctx, c)
	if err != nil {
		return false, err
	}
	after, err := r.set.Plan(ctx, c)
	return !reflect.DeepEqual(before.Fields, after.Fields) || !reflect.DeepEqual(before.Refuse, after.Refuse), err
}

// release replays the thresholds of a definition on the last release of its lineage that
// answers. Definitions whose law does not change are left out.
func (r *replaying) release(ctx context.Context, d *gateway.Definition) error {
	before, err := r.base.Rules(ctx, d)
	if err != nil {
		return nil //nolint:nilerr // it cannot be built under the policies in force: nothing to compare with
	}
	after, err := r.set.Rules(ctx, d)
	if err != nil || before.ThresholdMin == after.ThresholdMin && slices.Equal(before.Threshold, after.Threshold) {
		return nil //nolint:nilerr // the effects say that it could not be built
	}
	last, err := r.x.Registry.LastApproved(ctx, d.Lineage)
	if errors.Is(err, gateway.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	one := ReleaseReplay{Release: last.ID}
	switch {
	case last.State != gateway.ReleaseApproved:
		one.Why = "it does not answer any more"
	case d.Profile != gateway.Interactive:
		one.Why = "its tables are of another profile than questions"
	case !policies.AtLeastAsStrict(before, after):
		one.Why = "the thresholds are not at or above those in force"
	default:
		published, err := r.x.cells(ctx, last)
		if err != nil {
			return err
		}
		one.Sets, err = published.Stricter(after)
		if errors.Is(err, gateway.Conflict) {
			one.Sets, one.Why = nil, "the thresholds are not at or above those of the release"
		} else if err != nil {
			return err
		}
	}
	r.result.Releases = append(r.result.Releases, one)
	return nil
}
