package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/output"
)

// A form is how one sort of failure looks in HTTP.
type form struct {
	status int
	slug   string // of the problem type
	title  string
}

// forms has one entry a kind of error.
var forms = map[gateway.Kind]form{
	gateway.Internal:        {http.StatusInternalServerError, "internal", "The gateway failed"},
	gateway.Invalid:         {http.StatusBadRequest, "invalid", "The request is not valid"},
	gateway.Unauthenticated: {http.StatusUnauthorized, "unauthenticated", "A valid key is needed"},
	gateway.NotFound:        {http.StatusNotFound, "not-found", "Not found"},
	gateway.Forbidden:       {http.StatusForbidden, "forbidden", "Not allowed"},
	gateway.Conflict:        {http.StatusConflict, "conflict", "Not now"},
	gateway.Mismatch:        {http.StatusUnprocessableEntity, "mismatch", "Not the content that it was before"},
	gateway.Overloaded:      {http.StatusServiceUnavailable, "overloaded", "Try again later"},
	gateway.TooLarge:        {http.StatusRequestEntityTooLarge, "too-large", "Too large"},
	gateway.Unsupported:     {http.StatusUnsupportedMediaType, "unsupported", "Not a form we read"},
	gateway.Withheld:        {http.StatusConflict, "withheld", "The release does not answer"},
	gateway.Unwitnessed:     {http.StatusServiceUnavailable, "audit-evidence-missing", "No witness vouches for the ledger"},
	gateway.Unavailable:     {http.StatusServiceUnavailable, "unavailable", "A part of the gateway fails"},
}

// formOf chooses the form of an error: by its cause where HTTP has a status for
// that, by its kind else.
func formOf(err error, kind gateway.Kind, e *gateway.Error) form {
	f := plainForm(err, kind, e)
	if e != nil && e.Limit != "" {
		f.slug = "limit-" + e.Limit
	}
	return f
}

func plainForm(err error, kind gateway.Kind, e *gateway.Error) form {
	if f, ok := tusForm(err); ok {
		return f
	}
	switch {
	case errors.Is(err, errNoMethod):
		return form{http.StatusMethodNotAllowed, "method-not-allowed", "Not a method of this address"}
	case errors.Is(err, errNotAcceptable):
		return form{http.StatusNotAcceptable, "not-acceptable", "Not a form we write"}
	case errors.Is(err, errRate):
		return form{http.StatusTooManyRequests, "too-many-requests", "Too many requests"}
	case errors.Is(err, errSlow):
		return form{http.StatusRequestTimeout, "too-slow", "Too slow"}
	case kind == gateway.Invalid && e != nil && e.Problems != nil && e.Problems.Ended:
		return form{http.StatusBadRequest, "unreadable-file", "The file cannot be read to its end"}
	case kind == gateway.Invalid && e != nil && e.Problems != nil:
		return form{http.StatusUnprocessableEntity, "refused-batch", "The batch was refused"}
	}
	return forms[kind]
}

// limits are what a problem of type "limit-NAME" may name: each is a setting, or a
// group of settings, of gateway.yaml. The status is that of the error's kind.
var limits = []string{
	"body-bytes", "inside-bytes", "ratio", "held-bytes", "rows", "columns", "row-bytes",
	"uploads", "uploads-of-agency", "bytes-at-once", "disk", "inbox", "pieces", "rotation",
}

// Failures that HTTP has a status of its own for, and the domain no kind.
var (
	errNoMethod      = gateway.Errorf(gateway.Invalid, "this address does not take this method; the header Allow says which it takes")
	errNotAcceptable = gateway.Errorf(gateway.Unsupported, "tables are not written as any of what Accept names; they are as %s", strings.Join(output.Asked(), ", "))
	errRate          = gateway.Errorf(gateway.Overloaded, "too many requests from your address; wait a second")
	errSlow          = gateway.Errorf(gateway.Invalid, "the body came too slowly; send it again, a batch with the same Idempotency-Key")
)

var (
	errNoRoute     = gateway.Errorf(gateway.NotFound, "there is nothing at this address; what there is starts with /v1/contracts, /v1/batches, /v1/uploads, /v1/releases, /v1/policies, /v1/audit, /v1/access or /log")
	errCut         = gateway.Errorf(gateway.Invalid, "the body ended early or was malformed on its way; send it again, a batch with the same Idempotency-Key")
	errInterrupted = gateway.Errorf(gateway.Overloaded, "the request was interrupted before it was done; send it again")
)

// document is an RFC 9457 problem document.
type document struct {
	Type     string             `json:"type"`
	Title    string             `json:"title"`
	Status   int                `json:"status"`
	Detail   string             `json:"detail,omitempty"`
	Instance string             `json:"instance"`
	Errors   []gateway.RowError `json:"errors,omitempty"`
	Omitted  int                `json:"errors_omitted,omitempty"`
	Rows     int                `json:"rows_refused,omitempty"`
	Report   *gateway.Report    `json:"report,omitempty"` // of a file; its details are errors
}

// problem is the one place where errors become answers. What nobody classified
// is internal and says nothing.
func problem(err error, request string, describe func(gateway.ProblemCode) string) answer {
	kind, e := classify(err)
	f := formOf(err, kind, e)
	d := document{
		Type: "urn:pana:problem:" + f.slug, Title: f.title, Status: f.status,
		Instance: "urn:pana:request:" + request,
	}
	if e != nil {
		d.Detail = e.Detail
		if e.Problems != nil {
			d.Errors, d.Omitted, d.Rows = e.Problems.First, e.Problems.Omitted, e.Problems.Rows
		}
		if e.Report != nil {
			d.Report = e.Report.WithoutDetails().In(describe)
		}
	}
	body, encodeErr := json.Marshal(d)
	if encodeErr != nil {
		body = []byte(`{"type":"urn:pana:problem:internal","status":500}`)
	}
	a := answer{status: d.Status, media: "application/problem+json", body: append(body, '\n'), header: map[string]string{}}
	switch kind {
	case gateway.Unauthenticated:
		a.header["WWW-Authenticate"] = `Bearer realm="pana"`
	case gateway.Unwitnessed:
		a.header["Retry-After"] = "60"
	case gateway.Overloaded, gateway.Conflict, gateway.Unavailable:
		a.header["Retry-After"] = "5"
	default:
	}
	tusHeaders(err, a.header)
	return a
}

// classify returns the kind of an error, and the error whose detail the caller
// may read. An internal error has none.
func classify(err error) (gateway.Kind, *gateway.Error) {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		if e.Kind == gateway.Internal {
			return gateway.Internal, nil
		}
		return e.Kind, e
	}
	if k, ok := errors.AsType[gateway.Kind](err); ok {
		return k, nil
	}
	return gateway.Internal, nil
}
