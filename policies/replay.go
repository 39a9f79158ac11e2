package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// DecisionQuery is what a decision asks of OPA.
const DecisionQuery = "data.access.decision"

// unlogged stands for a purpose that is the caller's own text.
const unlogged gateway.Purpose = "-"

// Logged returns what [Set.Decide] asks a policy with, for the log: words of closed
// lists and of the key's grant. A purpose that the grant does not list is whatever the
// caller wrote; "-" stands for it, and redacted says so.
func Logged(caller gateway.Caller, act gateway.ActionName, purpose gateway.Purpose, release *gateway.Release) (input json.RawMessage, redacted bool) {
	if purpose != "" && !slices.Contains(caller.Purposes, purpose) {
		purpose, redacted = unlogged, true
	}
	input, err := json.Marshal(decisionInput(caller, act, purpose, release))
	if err != nil {
		return nil, redacted // strings have no such error
	}
	return input, redacted
}

// OfUpload returns what [Set.Decide] asks a policy with about an upload. It is the same
// for every agency: whose batch it is and what its key may send, the gateway compares.
func OfUpload() json.RawMessage {
	input, _ := Logged(gateway.Caller{Role: gateway.RoleAgency}, gateway.ActUpload, "", nil)
	return input
}

// A Replay is a decision made again from what was logged of it.
type Replay struct {
	Grant gateway.Grant `json:"-"`
	Fired []Fired       `json:"fired"`
}

// Replay makes a decision again: the logged input is put to the set as it is, with
// OPA's trace. Nothing is remembered, and nothing is taken from what was remembered.
func (s *Set) Replay(ctx context.Context, input json.RawMessage) (Replay, error) {
	var asked map[string]any
	decoder := json.NewDecoder(bytes.NewReader(input))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil || asked == nil {
		return Replay{}, invalid("the logged input is not a JSON object")
	}
	ctx, cancel := context.WithTimeout(ctx, decisionDeadline)
	defer cancel()
	answer, fired, err := s.trace(ctx, &s.decision, asked)
	if err != nil {
		return Replay{}, undecided(err)
	}
	grant, err := s.granted(answer)
	return Replay{grant, fired}, err
}
