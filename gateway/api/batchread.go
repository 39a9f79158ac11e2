package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// once refuses a query with other names than these, or with one twice: a misspelt one
// would be lost.
func once(q url.Values, names ...string) error {
	for name, values := range q {
		if len(values) != 1 || !slices.Contains(names, name) {
			return gateway.Errorf(gateway.Invalid, "the query takes %s, each once", strings.Join(names, ", "))
		}
	}
	return nil
}

// manifest reads the query parameters of an upload.
func manifest(q url.Values) (gateway.Manifest, error) {
	m := gateway.Manifest{Kind: gateway.Original, Reject: gateway.RejectBatch, Previous: gateway.BatchID(q.Get("previous"))}
	err := once(q, "period_from", "period_to", "kind", "reject", "records", "previous", "separator", "sheet", "blind")
	if err != nil {
		return m, err
	}
	var ok1, ok2 bool
	m.PeriodFrom, ok1 = gateway.ParseDay([]byte(q.Get("period_from")))
	m.PeriodTo, ok2 = gateway.ParseDay([]byte(q.Get("period_to")))
	if !ok1 || !ok2 {
		return m, gateway.Errorf(gateway.Invalid, "period_from and period_to are the first and the last day that the batch reports, as YYYY-MM-DD")
	}
	if kind := q.Get("kind"); kind != "" {
		m.Kind = gateway.BatchKind(kind)
	}
	if reject := q.Get("reject"); reject != "" {
		m.Reject = gateway.Reject(reject)
	}
	m.Records, err = number(q, "records", 0)
	if err != nil {
		return m, err
	}
	return m, m.Validate()
}

// number reads a number of a query that is 1 or more; absent is what it is without.
func number(q url.Values, name string, absent int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, gateway.Errorf(gateway.Invalid, "%s is a number from 1 on", name)
	}
	return int(n), nil
}

// pageOf is how many batches are on a page when nobody says.
const pageOf = 100

// batches lists batches: of a contract, a state, or quarters.
func (s *server) batches(r *http.Request, caller gateway.Caller) (answer, error) {
	q, err := query(r)
	if err == nil {
		err = once(q, "contract", "state", "from", "to", "after", "limit")
	}
	if err != nil {
		return answer{}, err
	}
	f := exchange.BatchFilter{
		Contract: gateway.ContractID(q.Get("contract")), State: gateway.BatchState(q.Get("state")), After: gateway.BatchID(q.Get("after")),
	}
	f.From, f.To, err = window(q.Get("from"), q.Get("to"))
	if err != nil {
		return answer{}, err
	}
	f.Limit, err = number(q, "limit", pageOf)
	if err != nil {
		return answer{}, err
	}
	page, err := s.Exchange.Batches(r.Context(), caller, f)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, page)
}

// window reads two quarters, each of which may be absent.
func window(first, last string) (from, to gateway.Quarter, err error) {
	if first != "" {
		from, err = gateway.ParseQuarter(first)
	}
	if last != "" && err == nil {
		to, err = gateway.ParseQuarter(last)
	}
	if err != nil {
		return 0, 0, gateway.Errorf(gateway.Invalid, "from and to are quarters, such as 2025Q3")
	}
	return from, to, nil
}

func (s *server) batch(r *http.Request, caller gateway.Caller) (answer, error) {
	b, err := s.Exchange.Batch(r.Context(), caller, gateway.BatchID(chi.URLParam(r, "batch")))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, b)
}

// receipt repeats the receipt of an accepted batch.
func (s *server) receipt(r *http.Request, caller gateway.Caller) (answer, error) {
	body, err := s.Exchange.Receipt(r.Context(), caller, gateway.BatchID(chi.URLParam(r, "batch")))
	if err != nil {
		return answer{}, err
	}
	return answer{media: "application/json", body: body}, nil
}

// coverage tells which quarters were reported, and which are missing.
func (s *server) coverage(r *http.Request, caller gateway.Caller) (answer, error) {
	c, err := s.Exchange.Coverage(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, c)
}
