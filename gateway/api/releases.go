package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/output"
)

func releaseID(r *http.Request) gateway.ReleaseID {
	return gateway.ReleaseID(chi.URLParam(r, "release"))
}

func (s *server) releases(r *http.Request, caller gateway.Caller) (answer, error) {
	list, err := s.Exchange.Releases(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return listAnswer("releases", list)
}

// build counts and protects a release. It answers when that is done.
func (s *server) build(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Definition string `json:"definition"`
		From       string `json:"from"`
		To         string `json:"to"`
		Revision   string `json:"revision"`
	}
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	b := exchange.Build{Definition: request.Definition, Revision: exchange.Revision(request.Revision)}
	for _, q := range []struct {
		text string
		to   *gateway.Quarter
	}{{request.From, &b.From}, {request.To, &b.To}} {
		if q.text == "" {
			continue
		}
		*q.to, err = gateway.ParseQuarter(q.text)
		if err != nil {
			return answer{}, gateway.Errorf(gateway.Invalid, "from and to are quarters, such as 2025Q3")
		}
	}
	release, err := s.Exchange.BuildRelease(r.Context(), caller, b)
	if err != nil {
		return answer{}, err
	}
	a, err := jsonAnswer(http.StatusCreated, release)
	a.location = "/v1/releases/" + url.PathEscape(string(release.ID))
	return a, err
}

func (s *server) release(r *http.Request, caller gateway.Caller) (answer, error) {
	catalogue, err := s.Exchange.Release(r.Context(), caller, releaseID(r))
	if err != nil {
		return answer{}, err
	}
	lang := language(r)
	catalogue.Guide = s.Exchange.Guide(catalogue, lang)
	a, err := jsonAnswer(http.StatusOK, catalogue)
	a.header = map[string]string{"Content-Language": lang, "Vary": "Accept-Language"}
	return a, err
}

// risk is what an officer reads before approving: by grouping set, never a cell.
func (s *server) risk(r *http.Request, caller gateway.Caller) (answer, error) {
	page, err := s.Exchange.Risk(r.Context(), caller, releaseID(r))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, page)
}

// cell asks why one cell is what it is, or confirms another officer's asking: 202
// while another officer has to confirm, 200 with the answer.
func (s *server) cell(r *http.Request, caller gateway.Caller) (answer, error) {
	var request exchange.CellRequest
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	view, err := s.Exchange.LookAtCell(r.Context(), caller, releaseID(r), request)
	if err != nil {
		return answer{}, err
	}
	status := http.StatusAccepted
	if view.Why != "" {
		status = http.StatusOK
	}
	return jsonAnswer(status, view)
}

func (s *server) approve(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Digest string `json:"digest"`
		Reason string `json:"reason"`
	}
	err := decode(r, &request)
	if err != nil {
		return answer{}, err
	}
	release, err := s.Exchange.Approve(r.Context(), caller, releaseID(r), request.Digest, request.Reason)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, release)
}

func (s *server) closeRelease(r *http.Request, caller gateway.Caller) (answer, error) {
	q, err := query(r)
	if err != nil {
		return answer{}, err
	}
	release, err := s.Exchange.CloseRelease(r.Context(), caller, releaseID(r), q.Get("reason"))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, release)
}

// table answers a question in the format that Accept asks for.
func (s *server) table(r *http.Request, caller gateway.Caller) (answer, error) {
	var request struct {
		Measure gateway.Measure   `json:"measure"`
		GroupBy []string          `json:"group_by"`
		Filter  map[string]string `json:"filter"`
		Purpose gateway.Purpose   `json:"purpose"`
	}
	err := decode(r, &request)
	if err != nil {
		// Which purpose is meant cannot be told, but whether there is such a release can.
		if gone := s.Exchange.MayOn(r.Context(), caller, gateway.ActReadRelease, releaseID(r)); gone != nil {
			return answer{}, gone
		}
		return answer{}, err
	}
	format, acceptable := output.Negotiate(r.Header.Get("Accept"))
	if !acceptable {
		return answer{}, errNotAcceptable
	}
	a := answer{media: format.MediaType()}
	encode := tableJSON
	if format != output.JSON {
		encode = func(t *gateway.Table) ([]byte, error) { return s.tableIn(r.Context(), caller, format, t) }
	}
	// The digest of these very bytes is in the ledger: nothing may change them.
	answered, err := s.Exchange.Answer(r.Context(), caller, releaseID(r), gateway.Question{
		Cube: chi.URLParam(r, "cube"), Measure: request.Measure, GroupBy: request.GroupBy,
		Filter: request.Filter, Purpose: request.Purpose,
	}, encode)
	if err != nil {
		return answer{}, err
	}
	evidence, err := json.Marshal(answered.Evidence)
	if err != nil {
		return answer{}, err
	}
	// A byte sequence of RFC 9651, beside the table: in it, it would change the bytes
	// that it proves.
	a.header = map[string]string{"Pana-Evidence": ":" + base64.StdEncoding.EncodeToString(evidence) + ":"}
	a.body = answered.Body
	return a, nil
}

func tableJSON(t *gateway.Table) ([]byte, error) {
	a, err := jsonAnswer(http.StatusOK, t)
	return a.body, err
}

// tableIn writes a table in another format than JSON, with the titles of its release.
func (s *server) tableIn(ctx context.Context, caller gateway.Caller, f output.Format, t *gateway.Table) ([]byte, error) {
	catalogue, err := s.Exchange.Release(ctx, caller, t.Release)
	if err != nil {
		return nil, err
	}
	canonical, err := tableJSON(t)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = output.Write(&b, f, &output.Document{
		Table: t, Definition: catalogue.Pinned.Definition, Built: catalogue.Built,
		Notice: catalogue.Notice, Answer: sha256.Sum256(canonical),
	})
	return b.Bytes(), err
}
