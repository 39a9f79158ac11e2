package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

func (s *server) contracts(r *http.Request, caller gateway.Caller) (answer, error) {
	known, err := s.Exchange.Contracts(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	type entry struct {
		ID      gateway.ContractID `json:"contract"`
		Version int                `json:"version"`
		Title   gateway.Text       `json:"title"`
		Fields  int                `json:"fields"`
	}
	list := make([]entry, 0, len(known))
	for _, c := range known {
		list = append(list, entry{c.ID, c.Version, c.Title, len(c.Fields)})
	}
	return listAnswer("contracts", list)
}

func (s *server) contract(r *http.Request, caller gateway.Caller) (answer, error) {
	c, err := s.Exchange.Contract(r.Context(), caller, gateway.ContractID(chi.URLParam(r, "contract")))
	if err != nil {
		return answer{}, err
	}
	schema, err := s.TableSchema(c, language(r))
	if err != nil {
		return answer{}, err
	}
	return answer{media: "application/json", body: schema}, nil
}

func (s *server) template(r *http.Request, caller gateway.Caller) (answer, error) {
	c, err := s.Exchange.Contract(r.Context(), caller, gateway.ContractID(chi.URLParam(r, "contract")))
	if err != nil {
		return answer{}, err
	}
	return answer{media: "text/csv; charset=utf-8", body: s.Template(c)}, nil
}

// language is which of our languages Accept-Language likes best (RFC 9110 12.5.4),
// the first of those it likes as much.
func language(r *http.Request) string {
	best, most := "en", 0.0
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, weight, weighted := strings.Cut(part, ";")
		base, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		q := 1.0
		if weighted {
			text, _ := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			q, _ = strconv.ParseFloat(text, 64) // 0 where it is none: not wanted
		}
		if q > most && slices.Contains([]string{"kk", "ru", "en"}, base) {
			best, most = base, q
		}
	}
	return best
}

// upload takes one batch: 201 with the receipt, 200 with the same bytes for a
// retry (loading.md 3.1).
func (s *server) upload(r *http.Request, caller gateway.Caller) (answer, error) {
	// A contract that the caller may not know of is refused before its headers are.
	_, err := s.Exchange.Contract(r.Context(), caller, gateway.ContractID(chi.URLParam(r, "contract")))
	if err != nil {
		return answer{}, err
	}
	u, err := s.uploadRequest(r)
	if err != nil {
		return answer{}, err
	}
	done, err := s.Exchange.Upload(r.Context(), caller, u)
	if err != nil {
		return answer{}, err
	}
	return receiptAnswer(done), nil
}

// receiptAnswer is how a batch that was accepted, or accepted before, looks.
func receiptAnswer(done exchange.Uploaded) answer {
	a := answer{
		status: http.StatusCreated, media: "application/json", body: done.Receipt,
		location: "/v1/batches/" + url.PathEscape(string(done.Batch)),
	}
	if done.Repeated {
		a.status = http.StatusOK
	}
	return a
}

func (s *server) uploadRequest(r *http.Request) (exchange.Upload, error) {
	q, err := query(r)
	if err != nil {
		return exchange.Upload{}, err
	}
	u, err := s.describedUpload(r.Header, q, gateway.ContractID(chi.URLParam(r, "contract")))
	if err != nil {
		return u, err
	}
	if r.ContentLength > s.Limits.BodyBytes {
		return u, s.tooLarge()
	}
	u.Size = max(r.ContentLength, 0)
	b := r.Body.(*body) // limitBody made it one
	b.limit = s.Limits.BodyBytes
	u.Body = b
	return u, nil
}

func (s *server) tooLarge() error { return bodyTooLarge(s.Limits.BodyBytes) }

// describedUpload is what headers and query say of an upload.
func (s *server) describedUpload(h http.Header, q url.Values, contract gateway.ContractID) (u exchange.Upload, err error) {
	u = exchange.Upload{Contract: contract, MaxRows: s.Limits.Rows}
	u.Manifest, err = manifest(q)
	if err != nil {
		return u, err
	}
	switch q.Get("blind") {
	case "true":
		u.Blind = true
	case "", "false":
	default:
		return u, gateway.Errorf(gateway.Invalid, "blind is true or false")
	}
	if u.Manifest.Kind != gateway.Nothing { // which has no file
		u.Said, err = said(h, q)
		if err != nil {
			return u, err
		}
	}
	u.Key, err = idempotencyKey(h)
	if err != nil {
		return u, err
	}
	u.Digest, err = contentDigest(h)
	return u, err
}

// idempotencyKey reads the header of draft-ietf-httpapi-idempotency-key-header,
// with or without the quotes of a structured string.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) != 1 {
		return "", gateway.Errorf(gateway.Invalid, "send one Idempotency-Key header: a name of your own for this batch, the same for every retry")
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if key == "" || len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", gateway.Errorf(gateway.Invalid, "Idempotency-Key is 1 to 255 printable ASCII characters without spaces, quotes and backslashes")
	}
	return key, nil
}

// contentDigest reads the Content-Digest header (RFC 9530): a dictionary whose
// member sha-256 is a byte sequence. Other algorithms may stand beside it, but
// not instead of it.
func contentDigest(h http.Header) (digest [sha256.Size]byte, err error) {
	bad := gateway.Errorf(gateway.Invalid, "send Content-Digest: sha-256=:BASE64: of the body (RFC 9530)")
	found := false
	for member := range strings.SplitSeq(strings.Join(h.Values("Content-Digest"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		if name != "sha-256" {
			continue
		}
		if found || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
			return digest, bad
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(value[1 : len(value)-1])
		if err != nil || len(raw) != sha256.Size {
			return digest, bad
		}
		digest, found = [sha256.Size]byte(raw), true
	}
	if !found {
		return digest, bad
	}
	return digest, nil
}

// query reads the query of an address. A pair that cannot be read is refused:
// [url.URL.Query] drops it without a word.
func query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // whose text holds the pair
		return nil, gateway.Errorf(gateway.Invalid, "the query is not one: NAME=VALUE pairs with & between them, escaped with %%")
	}
	return q, nil
}

func (s *server) withdraw(r *http.Request, caller gateway.Caller) (answer, error) {
	b, err := s.Exchange.Withdraw(r.Context(), caller, gateway.BatchID(chi.URLParam(r, "batch")))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, b)
}
