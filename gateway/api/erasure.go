package api

import (
	"net/http"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// An ErasureRequest asks that the records of one child be erased. The identifier is in
// the body, never in an address, which is logged on the way.
type ErasureRequest struct {
	Identifier string                 `json:"identifier"`
	Reason     exchange.ErasureReason `json:"reason"`
}

// accepted is the whole answer to every request that could be one: it names nothing that
// was stored or found, so that two of them are the same bytes (trust.md 6.1).
var accepted = map[string]string{"status": "accepted", "next": "two people with two roles sign it; nobody is told whether there are records"}

func (s *server) requestErasure(r *http.Request, caller gateway.Caller) (answer, error) {
	var request ErasureRequest
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	identifier := []byte(request.Identifier)
	err = s.Exchange.RequestErasure(r.Context(), caller, identifier, request.Reason)
	clear(identifier)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusAccepted, accepted)
}
