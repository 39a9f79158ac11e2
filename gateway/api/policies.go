package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// governed lets a handler see only those who may sign, whatever policy says: a policy
// that denied it could never be changed again.
func (s *server) governed(h handler) handler {
	return func(r *http.Request, caller gateway.Caller) (answer, error) {
		if err := s.Exchange.Governs(caller); err != nil {
			return answer{}, err
		}
		return h(r, caller)
	}
}

// policyRoutes are the life of a policy: proposed, read, signed by two, in force.
func (s *server) policyRoutes(r chi.Router) {
	r.Get("/policies", s.handle(s.policies))
	r.Post("/policies", s.handle(s.governed(s.proposePolicy)))
	r.Get("/policies/proposals", s.handle(s.governed(s.proposals)))
	r.Get("/policies/signers", s.handle(s.governed(s.signers)))
	r.Post("/policies/signers", s.handle(s.governed(s.proposeSigners)))
	r.Get("/policies/{proposal}", s.handle(s.governed(s.proposal)))
	r.Get("/policies/{proposal}/bundle", s.handle(s.governed(s.proposalBundle)))
	r.Post("/policies/{proposal}/approval", s.handle(s.governed(s.approveProposal)))
	r.Post("/policies/{proposal}/rejection", s.handle(s.governed(s.rejectProposal)))
}

func proposalRef(r *http.Request) string { return chi.URLParam(r, "proposal") }

// policies returns the files in force.
func (s *server) policies(r *http.Request, caller gateway.Caller) (answer, error) {
	in, err := s.Exchange.PoliciesInForce(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, in)
}

func (s *server) proposePolicy(r *http.Request, caller gateway.Caller) (answer, error) {
	var draft exchange.PolicyDraft
	err := decode(r, &draft)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Exchange.ProposePolicy(r.Context(), caller, draft)
	return proposed(p, err)
}

func proposed(p exchange.Proposal, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	a, err := jsonAnswer(http.StatusCreated, p)
	a.location = "/v1/policies/" + p.ID
	return a, err
}

func (s *server) proposals(r *http.Request, caller gateway.Caller) (answer, error) {
	list, err := s.Exchange.Proposals(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return listAnswer("proposals", list)
}

func (s *server) signers(r *http.Request, caller gateway.Caller) (answer, error) {
	file, err := s.Exchange.SignersInForce(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return text(string(file)), nil
}

func (s *server) proposeSigners(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Signers string `json:"signers"`
		Reason  string `json:"reason"`
	}
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Exchange.ProposeSigners(r.Context(), caller, []byte(request.Signers), request.Reason)
	return proposed(p, err)
}

func (s *server) proposal(r *http.Request, caller gateway.Caller) (answer, error) {
	p, err := s.Exchange.Proposal(r.Context(), caller, proposalRef(r))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, p)
}

func (s *server) proposalBundle(r *http.Request, caller gateway.Caller) (answer, error) {
	bundle, err := s.Exchange.ProposalBundle(r.Context(), caller, proposalRef(r))
	return answer{media: "application/gzip", body: bundle}, err
}

func (s *server) approveProposal(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Signature string `json:"signature"` // armored, as ssh-keygen -Y sign makes it
		Reason    string `json:"reason"`
	}
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Exchange.ApproveProposal(r.Context(), caller, proposalRef(r), []byte(request.Signature), request.Reason)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, p)
}

func (s *server) rejectProposal(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Reason string `json:"reason"`
	}
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	p, err := s.Exchange.RejectProposal(r.Context(), caller, proposalRef(r), request.Reason)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, p)
}
