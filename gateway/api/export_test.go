package api

import (
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// ErrTusVersion is errTusVersion.
var ErrTusVersion = errTusVersion

// Pace is how many bytes of a body must come in each idle time.
const Pace = 16 << 10

// IdempotencyKey, ContentDigest, Manifest, Decode and Language are the parsers of
// a request, for fuzzing.
func IdempotencyKey(h http.Header) (string, error) { return idempotencyKey(h) }

// ContentDigest is contentDigest.
func ContentDigest(h http.Header) ([sha256.Size]byte, error) { return contentDigest(h) }

// Manifest is manifest.
func Manifest(q url.Values) (gateway.Manifest, error) { return manifest(q) }

// Decode is decode.
func Decode(r *http.Request, v any) error { return decode(r, v) }

// Language is language.
func Language(r *http.Request) string { return language(r) }

// Body is the body of a request as handlers read it.
func Body(r *http.Request, idle time.Duration, now func() time.Time, deadline func(time.Time) error) io.Reader {
	return &body{ReadCloser: r.Body, ctx: r.Context, limit: 1 << 20, idle: idle, left: idle, pace: Pace, now: now, deadline: deadline}
}

// Slugs are the slugs of all problem types.
func Slugs() []string {
	slugs := []string{
		formOf(errNoMethod, gateway.Invalid, nil).slug, formOf(errSlow, gateway.Invalid, nil).slug, formOf(errRate, gateway.Overloaded, nil).slug,
		formOf(errNotAcceptable, gateway.Unsupported, nil).slug,
		formOf(nil, gateway.Invalid, &gateway.Error{Problems: &gateway.Problems{}}).slug,
		formOf(nil, gateway.Invalid, &gateway.Error{Problems: &gateway.Problems{Ended: true}}).slug,
	}
	for _, err := range []error{ErrTusVersion, exchange.ErrChecksum, &exchange.OffsetError{}} {
		f, _ := tusForm(err)
		slugs = append(slugs, f.slug)
	}
	for _, limit := range limits {
		slugs = append(slugs, "limit-"+limit)
	}
	for _, f := range forms {
		slugs = append(slugs, f.slug)
	}
	return slugs
}

// UploadMetadata is uploadMetadata.
func UploadMetadata(h http.Header) (http.Header, url.Values, gateway.ContractID, error) {
	return uploadMetadata(h)
}

// UploadChecksum is uploadChecksum.
func UploadChecksum(h http.Header) (hash.Hash, []byte, error) { return uploadChecksum(h) }
