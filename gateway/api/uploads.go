package api

import (
	"crypto/sha1" //nolint:gosec // the protocol demands it of every server; it guards against lines, not against people
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// Resumable uploads speak tus 1.0.0 with the extensions creation, checksum,
// expiration and termination. What comes of an upload that is whole is asked for
// by POST to its address and /batch, which answers as an upload in one piece does:
// a tus server says 204 to the last piece, and a receipt has a body.
//
// tusd's handler is not used: it has no checksums (tusd issue 81), answers and logs
// by itself, past the problem documents and the one log event of this package, and
// writes what comes to a store in clear.

const tusVersion = "1.0.0"

// tusChecksum is the status of a piece that is not what its checksum says.
const tusChecksum = 460

var tusAlgorithms = map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New}

var errTusVersion = gateway.Errorf(gateway.Invalid, "send Tus-Resumable: %s", tusVersion)

// uploadRoutes are those of uploads in pieces.
func (s *server) uploadRoutes(r chi.Router) {
	r.Options("/uploads", s.public(s.tusOptions))
	r.Get("/uploads", s.handle(s.may(gateway.ActUpload, s.uploads)))
	r.Post("/uploads", s.handle(s.may(gateway.ActUpload, s.tus(s.beginUpload))))
	r.Get("/uploads/{upload}", s.handle(s.may(gateway.ActUpload, s.uploadProgress)))
	r.Head("/uploads/{upload}", s.handle(s.may(gateway.ActUpload, s.tus(s.headUpload))))
	r.Patch("/uploads/{upload}", s.handle(s.may(gateway.ActUpload, s.tus(s.appendUpload))))
	r.Delete("/uploads/{upload}", s.handle(s.may(gateway.ActUpload, s.tus(s.removeUpload))))
	r.Post("/uploads/{upload}/batch", s.handle(s.may(gateway.ActUpload, s.finishUpload)))
}

// tus demands the version of the protocol, and states it.
func (s *server) tus(h handler) handler {
	return func(r *http.Request, caller gateway.Caller) (answer, error) {
		if v := r.Header.Values("Tus-Resumable"); len(v) != 1 || v[0] != tusVersion {
			return answer{}, errTusVersion
		}
		return h(r, caller)
	}
}

func (s *server) tusOptions(*http.Request) (answer, error) {
	return answer{status: http.StatusNoContent, header: map[string]string{
		"Tus-Resumable": tusVersion, "Tus-Version": tusVersion, "Tus-Extension": "creation,checksum,expiration,termination",
		"Tus-Checksum-Algorithm": "sha1,sha256", "Tus-Max-Size": strconv.FormatInt(s.Limits.BodyBytes, 10),
	}}, nil
}

// tusAnswer says where an upload stands.
func tusAnswer(status int, p exchange.Held) answer {
	a := answer{status: status, header: map[string]string{
		"Tus-Resumable": tusVersion, "Upload-Offset": strconv.FormatInt(p.Bytes, 10), "Upload-Length": strconv.FormatInt(p.Length, 10),
	}}
	if p.Expires != nil {
		a.header["Upload-Expires"] = p.Expires.UTC().Format(http.TimeFormat)
	}
	return a
}

// tusError is a failure beside what an upload's sender must know to go on: the
// offset stands in the answer's headers.
type tusError struct {
	error
	at exchange.Held
}

// Unwrap returns the failure itself.
func (e *tusError) Unwrap() error { return e.error }

// tusForm chooses the form of what only the protocol has a status for.
func tusForm(err error) (form, bool) {
	_, elsewhere := errors.AsType[*exchange.OffsetError](err)
	switch {
	case errors.Is(err, exchange.ErrChecksum):
		return form{tusChecksum, "checksum", "Not the bytes that the checksum describes"}, true
	case errors.Is(err, errTusVersion):
		return form{http.StatusPreconditionFailed, "tus-version", "Not the version of the protocol"}, true
	case elsewhere:
		return form{http.StatusConflict, "offset", "Not where the upload goes on"}, true
	}
	return form{}, false
}

// tusHeaders are the protocol's headers beside a failure.
func tusHeaders(err error, header map[string]string) {
	if errors.Is(err, errTusVersion) {
		header["Tus-Version"] = tusVersion
	}
	if e, ok := errors.AsType[*tusError](err); ok {
		maps.Copy(header, tusAnswer(0, e.at).header)
	}
	if _, elsewhere := errors.AsType[*exchange.OffsetError](err); elsewhere {
		delete(header, "Retry-After") // the right offset may be tried at once
	}
}

func (s *server) beginUpload(r *http.Request, caller gateway.Caller) (answer, error) {
	length, err := tusNumber(r.Header, "Upload-Length")
	if err != nil {
		return answer{}, err
	}
	if length > s.Limits.BodyBytes {
		return answer{}, s.tooLarge()
	}
	d := exchange.Draft{Metadata: r.Header.Get("Upload-Metadata")}
	h, q, contract, err := uploadMetadata(r.Header)
	if err != nil {
		return answer{}, err
	}
	// A contract that the caller may not know of is refused before the rest is.
	_, err = s.Exchange.Contract(r.Context(), caller, contract)
	if err != nil {
		return answer{}, err
	}
	d.Upload, err = s.describedUpload(h, q, contract)
	if err != nil {
		return answer{}, err
	}
	d.Size = length
	p, err := s.Exchange.BeginUpload(r.Context(), caller, d)
	if err != nil {
		return answer{}, err
	}
	a := tusAnswer(http.StatusCreated, p)
	a.location = "/v1/uploads/" + url.PathEscape(p.ID)
	return a, nil
}

func (s *server) headUpload(r *http.Request, caller gateway.Caller) (answer, error) {
	p, err := s.Exchange.PauseUpload(r.Context(), caller, chi.URLParam(r, "upload"))
	if err != nil {
		return answer{}, err
	}
	a := tusAnswer(http.StatusOK, p)
	if p.Metadata != "" {
		a.header["Upload-Metadata"] = p.Metadata
	}
	return a, nil
}

func (s *server) appendUpload(r *http.Request, caller gateway.Caller) (answer, error) {
	if r.Header.Get("Content-Type") != "application/offset+octet-stream" {
		return answer{}, gateway.Errorf(gateway.Unsupported, "send a piece as application/offset+octet-stream")
	}
	offset, err := tusNumber(r.Header, "Upload-Offset")
	if err != nil {
		return answer{}, err
	}
	b := r.Body.(*body) // limitBody made it one
	b.limit = s.Limits.BodyBytes
	p := exchange.Piece{Offset: offset, Length: r.ContentLength, Body: b, Stop: b.stop}
	p.Hash, p.Want, err = uploadChecksum(r.Header)
	if err != nil {
		return answer{}, err
	}
	progress, err := s.Exchange.AppendUpload(r.Context(), caller, chi.URLParam(r, "upload"), p)
	switch {
	case err != nil && progress.ID != "":
		return answer{}, &tusError{err, progress}
	case err != nil:
		return answer{}, err
	}
	return tusAnswer(http.StatusNoContent, progress), nil
}

func (s *server) removeUpload(r *http.Request, caller gateway.Caller) (answer, error) {
	err := s.Exchange.RemoveUpload(r.Context(), caller, chi.URLParam(r, "upload"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent, header: map[string]string{"Tus-Resumable": tusVersion}}, nil
}

func (s *server) finishUpload(r *http.Request, caller gateway.Caller) (answer, error) {
	done, err := s.Exchange.FinishUpload(r.Context(), caller, chi.URLParam(r, "upload"))
	if err != nil {
		return answer{}, err
	}
	return receiptAnswer(done), nil
}

func (s *server) uploads(r *http.Request, caller gateway.Caller) (answer, error) {
	list, err := s.Exchange.UploadsUnderWay(r.Context(), caller)
	if err != nil {
		return answer{}, err
	}
	return listAnswer("uploads", list)
}

func (s *server) uploadProgress(r *http.Request, caller gateway.Caller) (answer, error) {
	p, err := s.Exchange.UploadProgress(r.Context(), caller, chi.URLParam(r, "upload"))
	if err != nil {
		return answer{}, err
	}
	return jsonAnswer(http.StatusOK, p)
}

// tusNumber reads a header that is one number, not negative.
func tusNumber(h http.Header, name string) (int64, error) {
	values := h.Values(name)
	if len(values) == 1 && values[0] != "" && strings.Trim(values[0], "0123456789") == "" {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err == nil {
			return n, nil
		}
	}
	return 0, gateway.Errorf(gateway.Invalid, "send one %s header: a number of bytes", name)
}

// metadataHeaders are the keys of Upload-Metadata that say what an upload in one
// piece says in a header. Every other key is what that says in its query.
var metadataHeaders = map[string]string{
	"content_type": "Content-Type", "content_encoding": "Content-Encoding", "content_digest": "Content-Digest",
	"idempotency_key": "Idempotency-Key", "mapping": "Pana-Mapping",
}

// uploadMetadata reads the header Upload-Metadata: pairs of a key and a value in
// base64, with commas between them.
func uploadMetadata(header http.Header) (h http.Header, q url.Values, contract gateway.ContractID, err error) {
	bad := gateway.Errorf(gateway.Invalid, "send one Upload-Metadata header: KEY BASE64 pairs with commas between them, each key once, contract among them")
	values := header.Values("Upload-Metadata")
	if len(values) != 1 {
		return nil, nil, "", bad
	}
	h, q = http.Header{}, url.Values{}
	for pair := range strings.SplitSeq(values[0], ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || key == "" || q.Has(key) || strings.Contains(encoded, "\n") || strings.Contains(encoded, "\r") {
			return nil, nil, "", bad
		}
		q[key] = []string{string(value)}
	}
	contract = gateway.ContractID(q.Get("contract"))
	if contract == "" {
		return nil, nil, "", bad
	}
	q.Del("contract")
	for key, name := range metadataHeaders {
		if q.Has(key) {
			h.Set(name, q.Get(key))
			q.Del(key)
		}
	}
	return h, q, contract, nil
}

// uploadChecksum reads the header Upload-Checksum: an algorithm and a sum in base64.
func uploadChecksum(header http.Header) (hash.Hash, []byte, error) {
	values := header.Values("Upload-Checksum")
	if len(values) == 0 {
		return nil, nil, nil
	}
	bad := gateway.Errorf(gateway.Invalid, "send one Upload-Checksum header: sha256 BASE64 or sha1 BASE64")
	name, encoded, _ := strings.Cut(values[0], " ")
	algorithm := tusAlgorithms[name]
	if len(values) != 1 || algorithm == nil {
		return nil, nil, bad
	}
	sum := algorithm()
	want, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(want) != sum.Size() || len(encoded) != base64.StdEncoding.EncodedLen(sum.Size()) {
		return nil, nil, bad
	}
	return sum, want, nil
}
