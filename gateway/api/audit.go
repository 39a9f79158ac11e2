package api

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// leaves returns leaves of the ledger from an index on, at most 1,000 at once.
func (s *server) leaves(r *http.Request, caller gateway.Caller) (answer, error) {
	q, err := query(r)
	if err != nil {
		return answer{}, err
	}
	from := uint64(0)
	if text := q.Get("from"); text != "" {
		from, err = strconv.ParseUint(text, 10, 63)
		if err != nil {
			return answer{}, gateway.Errorf(gateway.Invalid, "from is the index of a leaf")
		}
	}
	page, err := s.Exchange.Leaves(r.Context(), caller, from)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, page)
}

func (s *server) checkpoint(r *http.Request, caller gateway.Caller) (answer, error) {
	note, err := s.Exchange.Checkpoint(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return text(note), nil
}

func (s *server) agencies(r *http.Request, caller gateway.Caller) (answer, error) {
	list, err := s.Exchange.Agencies(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return listAnswer("agencies", list)
}

func (s *server) addAgency(r *http.Request, caller gateway.Caller) (answer, error) {
	var request exchange.Agency
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	err = s.Exchange.AddAgency(r.Context(), caller, request)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusCreated, request)
}

func (s *server) keys(r *http.Request, caller gateway.Caller) (answer, error) {
	list, err := s.Exchange.APIKeys(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return listAnswer("keys", list)
}

// addKey answers with the key, this once and never again.
func (s *server) addKey(r *http.Request, caller gateway.Caller) (answer, error) {
	var request exchange.KeySpec
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	key, err := s.Exchange.AddAPIKey(r.Context(), caller, request)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusCreated, key)
}

func (s *server) revokeKey(r *http.Request, caller gateway.Caller) (answer, error) {
	err := s.Exchange.RevokeAPIKey(r.Context(), caller, chi.URLParam(r, "key"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, media: "application/json", body: []byte("{}\n")}, nil
}
