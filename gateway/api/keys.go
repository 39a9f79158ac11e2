package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// keyRoutes are about the keys of pseudonyms, not those of callers. What two people
// have to sign is a proposal like any other: see /policies.
func (s *server) keyRoutes(r chi.Router) {
	r.Get("/keys", s.handle(s.keyView))
	r.Post("/keys/epochs", s.handle(s.may(gateway.ActManageKeys, s.newEpoch)))
	r.Post("/keys/proposals", s.handle(s.may(gateway.ActManageKeys, s.proposeKeys)))
	r.Post("/keys/rotation", s.handle(s.may(gateway.ActManageKeys, s.rotateKeys)))
	r.Post("/keys/destruction", s.handle(s.may(gateway.ActManageKeys, s.destroyKey)))
}

// A KeyRequest asks for something to be done to the key of an epoch.
type KeyRequest struct {
	Action   exchange.KeyAction `json:"action,omitempty"` // of a proposal: rotate, destroy or recover
	Epoch    int                `json:"epoch,omitempty"`
	Reason   string             `json:"reason,omitempty"`   // of a proposal
	Proposal string             `json:"proposal,omitempty"` // that two people signed
}

// A KeyProposal is what was proposed, and the statement to sign.
type KeyProposal struct {
	ID        string                 `json:"id"`
	Object    string                 `json:"object"`
	State     exchange.ProposalState `json:"state"`
	Statement string                 `json:"statement"`
}

func (s *server) keyView(r *http.Request, caller gateway.Caller) (answer, error) {
	view, err := s.Exchange.Keys(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, view)
}

func (s *server) newEpoch(r *http.Request, caller gateway.Caller) (answer, error) {
	made, err := s.Exchange.NewEpoch(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusCreated, made)
}

func (s *server) proposeKeys(r *http.Request, caller gateway.Caller) (answer, error) {
	var request KeyRequest
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Exchange.ProposeKeys(r.Context(), caller, request.Action, request.Epoch, request.Reason)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusCreated, KeyProposal{p.ID, p.Object, p.State, string(p.Statement)})
}

func (s *server) rotateKeys(r *http.Request, caller gateway.Caller) (answer, error) {
	var request KeyRequest
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	rotated, err := s.Exchange.RotateKeys(r.Context(), caller, request.Proposal, nil)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, rotated)
}

func (s *server) destroyKey(r *http.Request, caller gateway.Caller) (answer, error) {
	var request KeyRequest
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	err = s.Exchange.DestroyEpoch(r.Context(), caller, request.Epoch, request.Proposal)
	if err != nil {
		return answer{}, err
	}
	view, err := s.Exchange.Keys(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, view)
}
