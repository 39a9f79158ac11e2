package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
)

// decision returns what was logged of a question.
func (s *server) decision(r *http.Request, caller gateway.Caller) (answer, error) {
	d, err := s.Exchange.Decision(r.Context(), caller, chi.URLParam(r, "decision"))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, d)
}
