package api_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

const offsetMedia = "application/offset+octet-stream"

// metadata writes Upload-Metadata.
func metadata(pairs map[string]string) string {
	var list []string
	for key, value := range pairs {
		list = append(list, key+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// beginning is a good call for an upload in pieces of what c sends in one.
func beginning(c call) call {
	address, _ := url.Parse(c.path)
	pairs := map[string]string{
		"contract": strings.Split(address.Path, "/")[3], "content_type": c.header["Content-Type"],
		"idempotency_key": c.header["Idempotency-Key"], "content_digest": c.header["Content-Digest"],
	}
	for name, values := range address.Query() {
		pairs[name] = values[0]
	}
	return tusCall(c.who, http.MethodPost, "/v1/uploads").
		with("Upload-Length", strconv.Itoa(len(c.content))).with("Upload-Metadata", metadata(pairs))
}

func tusCall(who, method, path string) call {
	return call{method: method, path: path, who: who, header: map[string]string{"Tus-Resumable": "1.0.0"}}
}

// sendingPiece is a good call for a piece.
func sendingPiece(who, path string, offset int, content string) call {
	c := tusCall(who, http.MethodPatch, path).with("Content-Type", offsetMedia).with("Upload-Offset", strconv.Itoa(offset))
	c.body = strings.NewReader(content)
	return c
}

// offset asks where an upload goes on.
func (s *stack) offset(t *testing.T, who, path string) int {
	t.Helper()
	r := s.want(t, http.StatusOK, tusCall(who, http.MethodHead, path))
	return must(strconv.Atoi(r.header.Get("Upload-Offset")))(t)
}

// begun begins an upload and returns its address.
func (s *stack) begun(t *testing.T, c call) string {
	t.Helper()
	r := s.want(t, http.StatusCreated, beginning(c))
	for _, name := range []string{"Upload-Expires", "Tus-Resumable", "Location"} {
		if r.header.Get(name) == "" {
			t.Errorf("a new upload has no %s", name)
		}
	}
	return r.header.Get("Location")
}

// ask is where an upload stands.
func (s *stack) ask(t *testing.T, path string) exchange.Held {
	t.Helper()
	var p exchange.Held
	s.want(t, http.StatusOK, getting("police", path)).decode(t, &p)
	return p
}

// rest sends what is missing of an upload, in one piece.
func (s *stack) rest(t *testing.T, c call, path string) {
	t.Helper()
	for range 5 {
		at := s.offset(t, c.who, path)
		// A piece whose line broke may come late, and then the one before the other.
		r, err := s.try(t.Context(), sendingPiece(c.who, path, at, c.content[at:]))
		if err == nil && r.status == http.StatusNoContent {
			return
		}
	}
	t.Fatal("the rest does not come through")
}

func finishing(who, path string) call {
	return call{method: http.MethodPost, path: path + "/batch", who: who}
}

// TestResumed sends a file whose line breaks at random bytes, and another in one
// piece: what the receipts say of the content is the same, and each repeats the
// other's bytes for the same content.
func TestResumed(t *testing.T) {
	s := newStack(t)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for round := range 4 {
		c := sending("police", "police", part(t, 50*round, 40+round))
		path := s.begun(t, c)
		for breaks := 0; ; breaks++ {
			at := s.offset(t, "police", path)
			if breaks == 12 || at == len(c.content) {
				break
			}
			n := 1 + random.IntN(len(c.content)/8)
			broken := sendingPiece("police", path, at, "")
			broken.body = io.MultiReader(strings.NewReader(c.content[at:min(len(c.content), at+n)]), failing{})
			_, err := s.try(t.Context(), broken)
			if err == nil {
				t.Fatal("a broken line was answered")
			}
		}
		s.rest(t, c, path)
		if p := s.ask(t, path); p.State != exchange.UploadReceived || p.Bytes != int64(len(c.content)) {
			t.Errorf("the whole is %+v", p)
		}
		first := s.want(t, http.StatusCreated, finishing("police", path))
		var receipt gateway.Receipt
		first.decode(t, &receipt)
		if receipt.Stored != 40+round || first.header.Get("Location") != "/v1/batches/"+string(receipt.Batch) {
			t.Errorf("the receipt is %+v", receipt)
		}
		for name, again := range map[string]reply{
			"finished again": s.want(t, http.StatusOK, finishing("police", path)),
			"in one piece":   s.want(t, http.StatusOK, c),
			"another key":    s.want(t, http.StatusOK, c.with("Idempotency-Key", "another-"+strconv.Itoa(round))),
		} {
			if !bytes.Equal(again.body, first.body) {
				t.Errorf("%s: the receipt is another", name)
			}
		}
		if p := s.ask(t, path); p.State != exchange.UploadAccepted || p.Batch != receipt.Batch {
			t.Errorf("the upload is %+v", p)
		}
	}
	if left := must(filepath.Glob(filepath.Join(s.inbox, "*.body")))(t); len(left) != 0 {
		t.Errorf("%d bodies are left", len(left))
	}
	// The other way round: what came in one piece is known when it comes in pieces.
	c := sending("police", "police", part(t, 300, 60))
	first := s.want(t, http.StatusCreated, c)
	path := s.begun(t, c)
	s.rest(t, c, path)
	if again := s.want(t, http.StatusOK, finishing("police", path)); !bytes.Equal(again.body, first.body) {
		t.Error("pieces of what was accepted: the receipt is another")
	}
}

// part is some lines of the country's police file, behind its header.
func part(t *testing.T, from, lines int) string {
	t.Helper()
	all := strings.SplitAfter(must(country())(t)["police"], "\n")
	return all[0] + strings.Join(all[1+from:1+from+lines], "")
}

// failing is a line that breaks.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line broke") }

// TestFoundAgain begins an upload again: it is the same one while it is under way,
// and when it was accepted; and another agency's is another.
func TestFoundAgain(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", small(t, 20))
	path := s.begun(t, c)
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 0, c.content[:100]))
	if again := s.begun(t, c.with("Idempotency-Key", "whatever")); again != path {
		t.Errorf("the upload begun again is %s, and was %s", again, path)
	}
	other := c
	other.who = "other-police"
	if theirs := s.begun(t, other); theirs == path {
		t.Error("two agencies share an upload")
	}
	otherwise := c.at(c.path + "&reject=rows")
	s.want(t, http.StatusUnprocessableEntity, beginning(otherwise)) // the key is taken
	if rows := s.begun(t, otherwise.with("Idempotency-Key", "rows")); rows == path {
		t.Error("what is said otherwise is the same upload")
	}
	s.rest(t, c, path)
	location := s.want(t, http.StatusCreated, finishing("police", path)).header.Get("Location")
	if again := s.begun(t, c); again != path {
		t.Error("an accepted upload is not found again")
	}
	s.want(t, http.StatusOK, call{method: "DELETE", path: location, who: "police"})
	fresh := s.begun(t, c.with("Idempotency-Key", "once-more"))
	if fresh == path {
		t.Error("a withdrawn batch is found again")
	}
	s.rest(t, c, fresh)
	s.want(t, http.StatusCreated, finishing("police", fresh))
}

// TestPiecesRefused sends pieces that are none.
func TestPiecesRefused(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", small(t, 20))
	path := s.begun(t, c)
	good := sendingPiece("police", path, 0, "")
	sum1, sum256 := sha1.Sum([]byte("abc")), sha256.Sum256([]byte("abc"))
	encode := base64.StdEncoding.EncodeToString
	for name, bad := range map[string]struct {
		change func(call) call
		status int
		slug   string
	}{
		"offset ahead":       {func(c call) call { return c.with("Upload-Offset", "1") }, 409, "offset"},
		"no offset":          {func(c call) call { return c.with("Upload-Offset", "") }, 400, "invalid"},
		"negative offset":    {func(c call) call { return c.with("Upload-Offset", "-1") }, 400, "invalid"},
		"signed offset":      {func(c call) call { return c.with("Upload-Offset", "+0") }, 400, "invalid"},
		"offset overflows":   {func(c call) call { return c.with("Upload-Offset", "99999999999999999999") }, 400, "invalid"},
		"no media type":      {func(c call) call { return c.with("Content-Type", "") }, 415, "unsupported"},
		"another media type": {func(c call) call { return c.with("Content-Type", "text/csv") }, 415, "unsupported"},
		"no version":         {func(c call) call { return c.with("Tus-Resumable", "") }, 412, "tus-version"},
		"another version":    {func(c call) call { return c.with("Tus-Resumable", "0.2.2") }, 412, "tus-version"},
		"other bytes, sha1": {func(c call) call {
			return c.with("Upload-Checksum", "sha1 "+encode(append([]byte{sum1[0] ^ 1}, sum1[1:]...)))
		}, 460, "checksum"},
		"other bytes, sha256": {func(c call) call {
			return c.with("Upload-Checksum", "sha256 "+encode(append([]byte{sum256[0] ^ 1}, sum256[1:]...)))
		}, 460, "checksum"},
		"unknown algorithm": {func(c call) call { return c.with("Upload-Checksum", "md5 "+encode(sum1[:16])) }, 400, "invalid"},
		"short checksum":    {func(c call) call { return c.with("Upload-Checksum", "sha256 "+encode(sum1[:])) }, 400, "invalid"},
		"no checksum":       {func(c call) call { return c.with("Upload-Checksum", "sha256") }, 400, "invalid"},
		"checksum of words": {func(c call) call { return c.with("Upload-Checksum", "sha256 "+canary) }, 400, "invalid"},
		"too long":          {func(c call) call { c.body = strings.NewReader(strings.Repeat("x", 1<<16)); return c }, 413, "too-large"},
		"nobody":            {func(c call) call { c.who = ""; return c }, 401, "unauthenticated"},
		"a reader":          {func(c call) call { c.who = "researcher"; return c }, 404, "not-found"},
		"others":            {func(c call) call { c.who = "other-police"; return c }, 404, "not-found"},
		"no such":           {func(c call) call { return c.at("/v1/uploads/" + canary) }, 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			bad2 := good
			bad2.body = strings.NewReader("abc")
			r := s.want(t, bad.status, bad.change(bad2))
			if r.slug(t) != bad.slug {
				t.Errorf("the problem is %s, want %s", r.slug(t), bad.slug)
			}
			if slices.Contains([]int{409, 412, 413, 460}, bad.status) {
				r.golden(t)
			}
			if bad.status == 409 && r.header.Get("Upload-Offset") != "0" {
				t.Error("a conflict does not say where to go on")
			}
		})
	}
	if at := s.offset(t, "police", path); at != 0 {
		t.Errorf("refused pieces left %d bytes", at)
	}
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 0, c.content[:3]).with("Upload-Checksum", "sha1 "+sumOf(sha1.New, c.content[:3])))
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 3, c.content[3:9]).with("Upload-Checksum", "sha256 "+sumOf(sha256.New, c.content[3:9])))
	s.want(t, http.StatusConflict, finishing("police", path)) // it is not whole
	for _, hidden := range []call{
		tusCall("other-police", http.MethodHead, path), tusCall("other-police", http.MethodDelete, path), getting("other-police", path), finishing("other-police", path),
		getting("researcher", "/v1/uploads"), beginning(c.at(c.path)).with("Upload-Metadata", metadata(map[string]string{"contract": "health"})),
	} {
		s.want(t, http.StatusNotFound, hidden)
	}
	var list struct{ Uploads []exchange.Held }
	s.want(t, http.StatusOK, getting("other-police", "/v1/uploads")).decode(t, &list)
	if len(list.Uploads) != 0 {
		t.Error("a list shows another's upload")
	}
	s.want(t, http.StatusNoContent, tusCall("police", http.MethodDelete, path))
	s.want(t, http.StatusNotFound, tusCall("police", http.MethodHead, path))
	if left := must(os.ReadDir(s.inbox))(t); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}

// TestUploadsRefused begins uploads that are none.
func TestUploadsRefused(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", small(t, 5))
	good := beginning(c)
	meta := good.header["Upload-Metadata"]
	for name, bad := range map[string]struct {
		call
		status int
	}{
		"no length":        {good.with("Upload-Length", ""), 400},
		"deferred length":  {good.with("Upload-Length", "").with("Upload-Defer-Length", "1"), 400},
		"length zero":      {good.with("Upload-Length", "0"), 400},
		"too long":         {good.with("Upload-Length", strconv.FormatInt(17<<30, 10)), 413},
		"no metadata":      {good.with("Upload-Metadata", ""), 400},
		"no contract":      {good.with("Upload-Metadata", metadata(map[string]string{"reject": "rows"})), 400},
		"a key twice":      {good.with("Upload-Metadata", meta+","+metadata(map[string]string{"contract": "police"})), 400},
		"a file's name":    {good.with("Upload-Metadata", meta+","+metadata(map[string]string{"filename": canary})), 400},
		"no base64":        {good.with("Upload-Metadata", meta+",reject "+canary), 400},
		"a bad period":     {beginning(c.at(strings.Replace(c.path, "2023-01-01", "2026-01-01", 1))), 400},
		"another media":    {beginning(c.with("Content-Type", "text/html")), 415},
		"no digest":        {beginning(c.with("Content-Digest", "")), 400},
		"unknown contract": {good.with("Upload-Metadata", metadata(map[string]string{"contract": canary})), 404},
		"no version":       {good.with("Tus-Resumable", ""), 412},
	} {
		t.Run(name, func(t *testing.T) { s.want(t, bad.status, bad.call) })
	}
	if left := must(os.ReadDir(s.inbox))(t); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
	r := s.want(t, http.StatusNoContent, call{method: http.MethodOptions, path: "/v1/uploads"})
	for name, want := range map[string]string{
		"Tus-Version": "1.0.0", "Tus-Extension": "creation,checksum,expiration,termination", "Tus-Checksum-Algorithm": "sha1,sha256", "Tus-Max-Size": strconv.FormatInt(16<<30, 10),
	} {
		if r.header.Get(name) != want {
			t.Errorf("%s is %q", name, r.header.Get(name))
		}
	}
}

// TestRefusedInPieces refuses a file with a bad row, with the report that one piece
// gets, as often as it is asked; its bytes are gone.
func TestRefusedInPieces(t *testing.T) {
	s := newStack(t)
	for name, file := range map[string]string{
		"a bad code": table(nil, map[string]string{"record_id": "R2", "violence_type": canary}), "a quote left open": table(nil) + `"` + canary, "no records": table(),
	} {
		t.Run(name, func(t *testing.T) {
			c := sending("police", "police", file)
			whole := s.do(t, c)
			path := s.begun(t, c)
			s.rest(t, c, path)
			for range 2 {
				r := s.do(t, finishing("police", path))
				if r.status != whole.status || r.anonymous() != whole.anonymous() {
					t.Errorf("in pieces %d: %s\nin one %d: %s", r.status, r.anonymous(), whole.status, whole.anonymous())
				}
			}
			if p := s.ask(t, path); p.State != exchange.UploadRefused {
				t.Errorf("the upload is %s", p.State)
			}
			if left := must(filepath.Glob(filepath.Join(s.inbox, "*.body")))(t); len(left) != 0 {
				t.Errorf("%d bodies are left", len(left))
			}
			if again := s.begun(t, c.with("Idempotency-Key", "again "[:5])); again == path {
				t.Error("a refused upload is found again")
			}
			s.want(t, http.StatusNoContent, tusCall("police", http.MethodDelete, path))
			for _, u := range s.list(t) {
				s.want(t, http.StatusNoContent, tusCall("police", http.MethodDelete, "/v1/uploads/"+u.ID))
			}
		})
	}
	// Bytes that are not those of the digest: the whole is refused.
	c := sending("police", "police", small(t, 5))
	path := s.begun(t, c)
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 0, strings.ReplaceAll(c.content, "2", "3")))
	if r := s.do(t, finishing("police", path)); r.status < 400 || r.status >= 500 {
		t.Errorf("other bytes got %d", r.status)
	}
}

func (s *stack) list(t *testing.T) []exchange.Held {
	t.Helper()
	var list struct{ Uploads []exchange.Held }
	s.want(t, http.StatusOK, getting("police", "/v1/uploads")).decode(t, &list)
	return list.Uploads
}

// TestAlteredOnDisk flips a byte of what is held: no batch comes of it, and the
// upload is gone.
func TestAlteredOnDisk(t *testing.T) {
	s := newStack(t)
	before := s.state(t)
	c := sending("police", "police", small(t, 20))
	path := s.begun(t, c)
	s.rest(t, c, path)
	body := must(filepath.Glob(filepath.Join(s.inbox, "*.body")))(t)[0]
	held := must(os.ReadFile(body))(t)
	held[len(held)/2] ^= 1
	err := os.WriteFile(body, held, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.want(t, http.StatusInternalServerError, finishing("police", path))
	s.want(t, http.StatusNotFound, tusCall("police", http.MethodHead, path))
	if s.state(t) != before {
		t.Error("something of it was stored")
	}
	path = s.begun(t, c)
	s.rest(t, c, path)
	s.want(t, http.StatusCreated, finishing("police", path))
}

// TestExpired lets an upload expire: it is not found, and can be begun again.
func TestExpired(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", small(t, 20))
	path := s.begun(t, c)
	s.want(t, http.StatusNoContent, sendingPiece("police", path, 0, c.content[:100]))
	s.later.Add(int64(25 * time.Hour))
	s.want(t, http.StatusNotFound, sendingPiece("police", path, 100, c.content[100:]))
	if again := s.begun(t, c); again == path || s.offset(t, "police", again) != 0 {
		t.Error("an expired upload goes on")
	}
}

// TestProgress asks while an upload in one piece is under way.
func TestProgress(t *testing.T) {
	s := newStack(t)
	file := must(country())(t)["police"]
	f := s.start(t.Context(), sending("police", "police", file))
	f.send(t, file[:len(file)/2])
	s.underWay(t, "police", gateway.BatchLoading)
	var p exchange.Held
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		list := s.list(t)
		if len(list) == 1 && list[0].Bytes >= int64(len(file)/4) {
			p = list[0]
			break
		}
	}
	if p.State != exchange.UploadLoading || p.Batch == "" || p.ID != string(p.Batch) {
		t.Errorf("the upload is %+v", p)
	}
	if one := s.ask(t, "/v1/uploads/"+p.ID); one.Batch != p.Batch {
		t.Errorf("asked for by its batch it is %+v", one)
	}
	s.want(t, http.StatusNotFound, getting("other-police", "/v1/uploads/"+p.ID))
	f.send(t, file[len(file)/2:])
	if r := f.end(t); r.status != http.StatusCreated {
		t.Errorf("got %d: %.300s", r.status, r.body)
	}
	if list := s.list(t); len(list) != 0 {
		t.Errorf("what has ended is under way: %+v", list)
	}
}

func sumOf(algorithm func() hash.Hash, content string) string {
	h := algorithm()
	_, _ = io.WriteString(h, content)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
