package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// resumeFrom is from which size on files go in pieces.
const resumeFrom = 64 << 20

// The pieces of a file grow while they come through and shrink when one does not:
// what a broken line costs is one of them.
const (
	firstPiece = 1 << 20
	leastPiece = 16 << 10
	mostPiece  = 32 << 20
	quickly    = 3 * time.Second // in which the next may be larger
)

// A sending is one file on its way to one gateway.
//
// It keeps no state on disk: the gateway finds an upload again by the digest of its
// content and what was said of it, which a second run says too. A file of state
// would have to name the file that it is of, and names of files may name people.
type sending struct {
	*client
	uploading
	file     *os.File
	size     int64
	digest   []byte
	progress func(done, total int64)

	path    string // of the upload in pieces, once it has begun
	piece   int64  // bytes of the next one
	held    int64  // bytes that the gateway holds
	expires string
	passed  time.Time // when something came through last
	tries   int       // since then
	lived   bool      // the gateway answered once
}

// patiently tries again what may succeed when it is tried again, until nothing has
// come through for as long as the sender will wait.
func (s *sending) patiently(ctx context.Context, try func(context.Context) ([]byte, error)) ([]byte, error) {
	s.passed, s.piece = time.Now(), firstPiece
	for {
		receipt, err := try(ctx)
		if err == nil {
			return receipt, nil
		}
		if ctx.Err() != nil {
			return nil, s.interrupted(ctx.Err())
		}
		pause, again := s.again(err)
		if !again {
			return nil, err
		}
		s.note(fmt.Sprintf("%s; going on in %s", strings.TrimSuffix(brief(err), "."), pause))
		select {
		case <-ctx.Done():
			return nil, s.interrupted(ctx.Err())
		case <-time.After(pause):
		}
	}
}

// interrupted says what is left of the sending.
func (s *sending) interrupted(err error) error {
	if s.path != "" && s.held > 0 {
		s.note(fmt.Sprintf("the gateway holds %d%% until %s; the same command goes on from there", percent(s.held, s.size), s.expires))
	}
	return err
}

// again says whether, and after how long, to try once more.
func (s *sending) again(err error) (time.Duration, bool) {
	pause := min(500*time.Millisecond<<min(s.tries, 6), 30*time.Second)
	s.tries++
	line, broken := errors.AsType[*lineError](err)
	p, told := errors.AsType[*problem](err)
	switch {
	case s.wait == 0 || time.Since(s.passed) > s.wait:
		return 0, false
	case broken:
		s.lived = s.lived || line.once
		return pause, s.lived
	case !told:
		return 0, false
	}
	s.lived = true
	if after, err := strconv.Atoi(p.header.Get("Retry-After")); err == nil && after > 0 && after < 3600 {
		pause = max(pause, time.Duration(after)*time.Second)
	}
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return pause, true
	case http.StatusConflict:
		// An earlier try of ours may still be under way.
		return pause, s.path != "" || s.tries > 1
	case http.StatusNotFound:
		lost := s.path != "" // it expired, or was altered: begin it again
		s.path = ""
		return pause, lost
	case http.StatusInternalServerError, checksumMismatch:
		return pause, s.path != "" && s.tries < 10
	}
	return 0, false
}

// checksumMismatch is a status of tus.
const checksumMismatch = 460

// brief is what a line on the way says of a failure.
func brief(err error) string {
	if _, broken := errors.AsType[*lineError](err); broken {
		return "the line broke"
	}
	return err.Error()
}

// whole sends the file in one request.
func (s *sending) whole(ctx context.Context) ([]byte, error) {
	done := int64(0)
	s.progress(0, s.size)
	body := through{io.NewSectionReader(s.file, 0, s.size), func(n int64) { done += n; s.progress(done, s.size) }}
	request, err := s.request(ctx, s.base, body, s.size, s.digest)
	if err != nil {
		return nil, err
	}
	return s.do(request)
}

// inPieces begins the upload, or finds it again, sends what is missing and asks for
// the receipt.
func (s *sending) inPieces(ctx context.Context) ([]byte, error) {
	err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	for s.held < s.size {
		err = s.next(ctx)
		if err != nil {
			s.piece = max(s.piece/4, leastPiece)
			return nil, err
		}
	}
	request, err := s.tus(ctx, http.MethodPost, s.path+"/batch", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Language", s.style.lang)
	receipt, err := s.do(request)
	if p, told := errors.AsType[*problem](err); told && p.Status == http.StatusConflict && s.loading(ctx) {
		s.passed = time.Now() // an earlier try is being loaded: that is no silence
	}
	return receipt, err
}

// loading asks whether the gateway is reading the upload.
func (s *sending) loading(ctx context.Context) bool {
	var at struct {
		State string `json:"state"`
	}
	err := s.call(ctx, http.MethodGet, s.path, nil, &at)
	return err == nil && at.State == "loading"
}

// find asks where the upload goes on, having begun it if need be.
func (s *sending) find(ctx context.Context) error {
	begun := s.path != ""
	method, path := http.MethodHead, s.path
	if !begun {
		method, path = http.MethodPost, "/v1/uploads"
	}
	request, err := s.tus(ctx, method, path, nil)
	if err != nil {
		return err
	}
	if !begun {
		text, err := s.metadata(ctx)
		if err != nil {
			return err
		}
		request.Header.Set("Upload-Length", strconv.FormatInt(s.size, 10))
		request.Header.Set("Upload-Metadata", text)
	}
	_, header, err := s.exchange(request)
	if err != nil {
		return err
	}
	err = s.heard(header)
	if err == nil && !begun {
		s.path, err = uploadPath(header.Get("Location"))
	}
	if err == nil && !begun {
		if s.held > 0 && s.held < s.size {
			s.note(fmt.Sprintf("the gateway holds %d%% of it already", percent(s.held, s.size)))
		}
	}
	return err
}

// uploadPath is where an upload lies, as the gateway says. It is joined to the gateway's
// address and the key goes there: "@host", "..", a query lead to somebody else.
func uploadPath(location string) (string, error) {
	id, ours := strings.CutPrefix(location, "/v1/uploads/")
	if !ours || id == "" || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_") != "" {
		return "", errors.New("the gateway's answer is not one of a resumable upload")
	}
	return location, nil
}

// heard takes the offset that the gateway says.
func (s *sending) heard(header http.Header) error {
	at, err := strconv.ParseInt(header.Get("Upload-Offset"), 10, 64)
	if err != nil || at < 0 || at > s.size {
		return errors.New("the gateway's answer is not one of a resumable upload")
	}
	if at > s.held {
		s.passed, s.tries = time.Now(), 0
	}
	s.held, s.lived = at, true
	if expires, err := http.ParseTime(header.Get("Upload-Expires")); err == nil {
		s.expires = expires.Local().Format(time.DateTime)
	}
	s.progress(s.held, s.size)
	return nil
}

// next sends one piece, with a checksum: what a line garbles is sent again, and not
// found out when all was sent.
func (s *sending) next(ctx context.Context) error {
	n := min(s.piece, s.size-s.held)
	hash := sha256.New()
	_, err := io.Copy(hash, io.NewSectionReader(s.file, s.held, n))
	if err != nil {
		return errors.New("the file cannot be read to its end: " + s.uploading.file)
	}
	done := s.held
	request, err := s.tus(ctx, http.MethodPatch, s.path, through{io.NewSectionReader(s.file, s.held, n), func(n int64) { done += n; s.progress(done, s.size) }})
	if err != nil {
		return err
	}
	request.ContentLength = n
	request.Header.Set("Content-Type", "application/offset+octet-stream")
	request.Header.Set("Upload-Offset", strconv.FormatInt(s.held, 10))
	request.Header.Set("Upload-Checksum", "sha256 "+base64.StdEncoding.EncodeToString(hash.Sum(nil)))
	start := time.Now()
	_, header, err := s.exchange(request)
	if err != nil {
		return err
	}
	if time.Since(start) < quickly {
		s.piece = min(2*s.piece, mostPiece)
	}
	return s.heard(header)
}

// tus is a request of the protocol.
func (s *sending) tus(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, usageError{errors.New("the gateway's address is not one: " + s.base)}
	}
	request.Header.Set("Tus-Resumable", "1.0.0")
	return request, nil
}

// metadata says of the upload what one in one piece says in headers and query.
func (s *sending) metadata(ctx context.Context) (string, error) {
	like, err := s.request(ctx, s.base, nil, s.size, s.digest)
	if err != nil {
		return "", err
	}
	said := url.Values{"contract": {s.contract}}
	for name, values := range like.URL.Query() {
		said.Set(name, values[0])
	}
	for key, name := range map[string]string{
		"content_type": "Content-Type", "content_encoding": "Content-Encoding", "content_digest": "Content-Digest",
		"idempotency_key": "Idempotency-Key", "mapping": "Pana-Mapping",
	} {
		if value := like.Header.Get(name); value != "" {
			said.Set(key, value)
		}
	}
	pairs := make([]string, 0, len(said))
	for key := range said {
		pairs = append(pairs, key+" "+base64.StdEncoding.EncodeToString([]byte(said.Get(key))))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ","), nil
}
