package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// sendPieces sends records in pieces: one upload that is finished, one that rests on
// the disk when it is searched, and faults of every kind.
func (r *canaryRunner) sendPieces() {
	r.t.Helper()
	content := file(with(goodRow(), "record_id", "pieces-"+rand.Text()))
	whole, rests := r.begin(content, nil), r.begin(append(bytes.Clone(content), '\n'), nil)
	for _, path := range []string{whole, rests} {
		if status := r.piece(path, 0, content[:len(content)-20], ""); status != http.StatusNoContent {
			r.t.Fatalf("a piece got status %d", status)
		}
	}
	r.piece(whole, len(content)-20, content[len(content)-20:], "sha256 "+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	r.piece(whole, 5, content, "")
	r.piece(whole, len(content)-20, content, canaries["narrative"])
	r.piece(whole, len(content)-20, append(content, content...), "")
	r.piece(whole, len(content)-20, content[len(content)-20:], "")
	r.do(http.MethodGet, whole, nil, r.key)
	r.do(http.MethodPost, whole+"/batch", nil, r.key)
	bad := file(with(goodRow(), "child_iin", canaries["narrative"]))
	path := r.begin(bad, nil)
	r.piece(path, 0, bad, "")
	r.do(http.MethodPost, path+"/batch", nil, r.key)
	for _, key := range []string{"filename", "contract", "content_type", "idempotency_key", "sheet", "reject", "mapping", canaries["query"]} {
		r.begin(content, map[string]string{key: canaries["query"]})
	}
	r.do(http.MethodGet, "/v1/uploads", nil, r.key)
	r.do(http.MethodGet, "/v1/uploads/"+canaries["iin"], nil, r.key)
}

// begin begins an upload in pieces, with something said otherwise, and returns its
// address.
func (r *canaryRunner) begin(content []byte, otherwise map[string]string) string {
	r.t.Helper()
	digest := sha256.Sum256(content)
	said := map[string]string{
		"contract": "police", "content_type": "text/csv", "idempotency_key": rand.Text(), "period_from": "2025-07-01", "period_to": "2025-09-30",
		"content_digest": "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":",
	}
	maps.Copy(said, otherwise)
	var pairs []string
	for key, value := range said {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	slices.Sort(pairs)
	request := r.tus(http.MethodPost, "/v1/uploads", nil)
	request.Header.Set("Upload-Length", strconv.Itoa(len(content)))
	request.Header.Set("Upload-Metadata", strings.Join(pairs, ","))
	request.Header.Set("Authorization", "Bearer "+r.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if otherwise == nil && response.StatusCode != http.StatusCreated {
		r.t.Fatalf("an upload got status %d", response.StatusCode)
	}
	r.answer(request.Clone(r.t.Context()), r.key) // once more, for its text: it is the same upload
	return response.Header.Get("Location")
}

func (r *canaryRunner) piece(path string, offset int, content []byte, checksum string) int {
	r.t.Helper()
	request := r.tus(http.MethodPatch, path, content)
	request.Header.Set("Content-Type", "application/offset+octet-stream")
	request.Header.Set("Upload-Offset", strconv.Itoa(offset))
	if checksum != "" {
		request.Header.Set("Upload-Checksum", checksum)
	}
	return r.answer(request, r.key)
}

func (r *canaryRunner) tus(method, path string, content []byte) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, bytes.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Tus-Resumable", "1.0.0")
	return request
}
