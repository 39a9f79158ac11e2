package api_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// A bad input of the catalogue (trust.md 6.4), by its number there.
type bad struct {
	number int
	name   string
	send   func(t *testing.T, s *stack) reply
	status int
	slug   string // of the problem; "" where there is none, or net/http answers itself
	leaves int    // that the ledger grows by: an attempt that was begun has an intent and an end
}

// Limits of the gateway that the catalogue is sent to.
const (
	mostBytes = 1 << 20
	mostRows  = 40
	mostIdle  = 400 * time.Millisecond
)

// TestCatalogue sends every bad input of trust.md 6.4 from B1 to B38, and B61 to B66 as
// far as there is such a thing (there is no mTLS). Of each the status and the problem
// are those of the catalogue; the registry, the warehouse and, but for the attempt
// itself, the ledger are what they were; and neither the answer nor the log repeats
// anything that was sent.
func TestCatalogue(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits = api.Limits{BodyBytes: mostBytes, Rows: mostRows, Idle: mostIdle} })
	s.want(t, http.StatusCreated, sending("police", "police", small(t, 3)).with("Idempotency-Key", "taken"))
	s.grant(t, "revoked", registry.KeySpec{Role: gateway.RoleSteward, Subject: "b", Org: "b"})
	s.want(t, http.StatusOK, call{method: "DELETE", path: "/v1/access/keys/" + s.ids["revoked"], who: "operator"})
	dribbled := s.dribble(t)
	seen, golden := map[int]bool{21: true}, map[string]bool{}
	for _, slug := range []string{ // whose files are of the first that has them; other tests have the others
		"invalid", "mismatch", "unsupported", "refused-batch", "limit-body-bytes", "limit-rows", "not-found", "method-not-allowed", "unauthenticated",
	} {
		golden[slug] = true
	}
	for _, b := range slices.Concat(badHeaders(t), badBodies(t), badWire(t, s), badTimes(t), badKeys(t)) {
		seen[b.number] = true
		t.Run(fmt.Sprintf("B%d %s", b.number, b.name), func(t *testing.T) {
			before, size := s.counted(t), must(s.registry.Size(t.Context()))(t)
			r := b.send(t, s)
			if r.status != b.status {
				t.Fatalf("got %d, want %d: %.300s", r.status, b.status, r.body)
			}
			if b.slug != "" {
				r.check(t)
				if got := r.slug(t); got != b.slug {
					t.Errorf("the problem is %s, want %s", got, b.slug)
				}
				if golden[b.slug] {
					delete(golden, b.slug)
					r.golden(t)
				}
			}
			if after := s.counted(t); after != before {
				t.Errorf("something changed:\n%s\n%s", before, after)
			}
			if grown := int(must(s.registry.Size(t.Context()))(t) - size); grown != b.leaves {
				t.Errorf("the ledger grew by %d leaves, want %d: %s", grown, b.leaves, s.lastLeaves(t, size))
			}
			if strings.Contains(string(r.body), canary) || strings.Contains(s.log.String(), canary) {
				t.Error("the answer or the log repeats what was sent")
			}
		})
	}
	for n := 1; n <= 38; n++ {
		if !seen[n] {
			t.Errorf("B%d is not in the table", n)
		}
	}
	t.Run("B21 head that dribbles", func(t *testing.T) {
		if err := <-dribbled; err != nil {
			t.Error(err)
		}
	})
	t.Run("B34 hundreds of connections", func(t *testing.T) { s.crowd(t) })
}

// lastLeaves says what was logged from a leaf on.
func (s *stack) lastLeaves(t *testing.T, from uint64) (said []string) {
	t.Helper()
	for leaf, err := range s.registry.Leaves(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, fmt.Sprint(leaf.Event, " ", leaf.Outcome))
	}
	return said
}

// counted is the state that bad input must not change, and how many loads of each
// contract are visible.
func (s *stack) counted(t *testing.T) string {
	t.Helper()
	text := s.state(t)
	for _, c := range must(configs.Contracts())(t) {
		text += fmt.Sprintf("\n%s %d", c.ID, len(must(s.house.Visible(t.Context(), c.ID, warehouse.Snapshot{Seq: 1 << 62}))(t)))
	}
	return text
}

// doing sends a call.
func doing(c call) func(*testing.T, *stack) reply {
	return func(t *testing.T, s *stack) reply { t.Helper(); return s.do(t, c) }
}

// saying sends bytes as they are; where the server must not use the connection again,
// it must have closed it.
func saying(text string, half, mustClose bool) func(*testing.T, *stack) reply {
	return func(t *testing.T, s *stack) reply {
		t.Helper()
		r, closed := s.say(t, text, half)
		if mustClose && !closed {
			t.Error("the connection may be used again")
		}
		return r
	}
}

func badHeaders(t *testing.T) []bad {
	t.Helper()
	good := sending("police", "police", small(t, 3))
	digest := good.header["Content-Digest"]
	wrong := "sha-256=:" + strings.Repeat("A", 43) + "=:"
	at := func(number int, name, header, value string, status int, slug string) bad {
		return bad{number, name, doing(good.with(header, value)), status, slug, 0}
	}
	list := []bad{
		at(1, "no Idempotency-Key", "Idempotency-Key", "", 400, "invalid"),
		at(2, "key of 256 characters", "Idempotency-Key", strings.Repeat("k", 256), 400, "invalid"),
		at(2, "key with a space", "Idempotency-Key", canary+" x", 400, "invalid"),
		at(2, "key with a tab", "Idempotency-Key", canary+"\tx", 400, "invalid"),
		at(2, "key beyond ASCII", "Idempotency-Key", canary+"ы", 400, "invalid"),
		at(2, "key with a quote inside", "Idempotency-Key", canary+`"x`, 400, "invalid"),
		at(2, "empty quoted key", "Idempotency-Key", `""`, 400, "invalid"),
		{3, "same key, other body", doing(sending("police", "police", small(t, 2)).with("Idempotency-Key", "taken")), 422, "mismatch", 0},
		{3, "same key, other period", doing(good.with("Idempotency-Key", "taken").at("/v1/contracts/police/batches?period_from=2023-01-01&period_to=2025-12-30")), 422, "mismatch", 0},
		{4, "same key in flight", inFlight, 409, "conflict", 2},
		// Independent: it is judged by its own content, which is bad, and is no mismatch.
		{5, "same key of another agency", doing(sending("other-police", "police", table(map[string]string{"report_date": canary})).with("Idempotency-Key", "taken")), 422, "refused-batch", 2},
		at(6, "no Content-Type", "Content-Type", "", 415, "unsupported"),
		at(7, "text/html", "Content-Type", "text/html", 415, "unsupported"),
		at(7, "no media type at all", "Content-Type", canary, 415, "unsupported"),
		at(8, "UTF-16", "Content-Type", "text/csv; charset=utf-16", 415, "unsupported"),
		at(8, "unknown parameter", "Content-Type", "text/csv; x="+canary, 415, "unsupported"),
		at(9, "brotli", "Content-Encoding", "br", 415, "unsupported"),
		at(9, "gzip twice", "Content-Encoding", "gzip, gzip", 415, "unsupported"),
		{10, "wrong digest", doing(good.with("Content-Digest", wrong)), 400, "invalid", 2},
		at(11, "md5 alone", "Content-Digest", "md5=:"+canary+":", 400, "invalid"),
		at(12, "two digests, one wrong", "Content-Digest", digest+", "+wrong, 400, "invalid"),
		at(12, "two digests, the first wrong", "Content-Digest", wrong+", "+digest, 400, "invalid"),
		at(12, "digest too short", "Content-Digest", "sha-256=:AAAA:", 400, "invalid"),
		at(12, "digest without colons", "Content-Digest", "sha-256="+strings.Repeat("A", 43)+"=", 400, "invalid"),
		at(12, "digest in base64 that is not strict", "Content-Digest", "sha-256=:"+strings.Repeat("A", 42)+"B=:", 400, "invalid"),
		at(13, "no digest", "Content-Digest", "", 400, "invalid"),
		{38, "spoofed X-Forwarded-For", doing(getting("police", "/v1/contracts").with("X-Forwarded-For", canary).with("Forwarded", "for="+canary)), 200, "", 0},
	}
	for _, path := range []string{"/v1/../admin/" + canary, "/v1/%2e%2e/admin", "/v1/contracts/..%2f..%2fbatches", "//v1/batches", "/v1//batches"} {
		list = append(list, bad{37, path, doing(getting("police", path)), 404, "not-found", 0})
	}
	for _, method := range []string{"FOO", "TRACE", "PUT", "OPTIONS"} {
		list = append(list, bad{35, method, doing(call{method: method, path: "/v1/batches", who: "police"}), 405, "method-not-allowed", 0})
	}
	return list
}

// inFlight sends a batch while it is under way, and then gives up the first sending.
func inFlight(t *testing.T, s *stack) reply {
	t.Helper()
	file := small(t, 20)
	c := sending("police", "police", file)
	slow := s.start(t.Context(), c)
	slow.send(t, file[:1000])
	s.underWay(t, "police", gateway.BatchLoading)
	r := s.do(t, c)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	_ = slow.CloseWithError(io.ErrUnexpectedEOF)
	<-slow.err
	<-slow.reply
	s.underWay(t, "police", gateway.BatchAborted)
	return r
}

func badBodies(t *testing.T) []bad {
	t.Helper()
	one := table(map[string]string{})
	gz := packed(t, "gzip", one)
	flipped := []byte(gz.content)
	flipped[len(flipped)-6] ^= 1
	again := func(body string) call {
		return sending("police", "police", body).with("Content-Encoding", "gzip")
	}
	plain := func(body string) call { return sending("police", "police", body) }
	empty := call{method: "POST", path: batchesPath, who: "police", header: plain("").header}
	return []bad{
		{23, "gzip bomb", doing(packed(t, "gzip", one+strings.Repeat("\n", 48<<20))), 413, "limit-ratio", 2},
		{23, "zstd bomb", doing(packed(t, "zstd", one+strings.Repeat("\n", 48<<20))), 413, "limit-ratio", 2},
		{24, "gzip in gzip", doing(again(packed(t, "gzip", gz.content).content)), 400, "unreadable-file", 2},
		{25, "two members", doing(again(gz.content + gz.content)), 400, "invalid", 2},
		{26, "cut off", doing(again(gz.content[:len(gz.content)-5])), 400, "invalid", 2},
		{26, "wrong check sum", doing(again(string(flipped))), 400, "invalid", 2},
		{27, "window of 2 GB", doing(plain("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00").with("Content-Encoding", "zstd")), 400, "invalid", 2},
		{28, "one byte too many", doing(plain(strings.Repeat("x", mostBytes+1))), 413, "limit-body-bytes", 0},
		{28, "the same without a length", func(t *testing.T, s *stack) reply {
			t.Helper()
			return s.do(t, unmeasured(plain(strings.Repeat("\n", mostBytes+1))))
		}, 413, "limit-body-bytes", 2},
		{29, "empty", doing(empty), 422, "refused-batch", 2},
		{30, "header only", doing(plain(small(t, 0))), 422, "refused-batch", 2},
		{31, "too many rows", doing(plain(small(t, mostRows+1))), 413, "limit-rows", 2},
		{32, "line of half a limit", doing(plain(strings.Repeat("x", mostBytes-1))), 400, "limit-row-bytes", 2},
		{33, "1,000 columns", doing(plain(strings.TrimSuffix(strings.Repeat("a,", 1000), ",") + "\n")), 400, "limit-columns", 2},
		{34, "one upload too many", crowded, 503, "limit-uploads-of-agency", 8},
	}
}

// crowded takes every place of an agency and asks for one more.
func crowded(t *testing.T, s *stack) reply {
	t.Helper()
	var feeds []feed
	for i := range 4 { // half of the places there are
		file := table(map[string]string{"record_id": fmt.Sprint("crowd", i)})
		f := s.start(t.Context(), sending("police", "police", file))
		f.send(t, file[:40])
		s.underWay(t, "police", gateway.BatchLoading)
		feeds = append(feeds, f)
	}
	for end := time.Now().Add(10 * time.Second); s.loading(t) < len(feeds) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		continue
	}
	r := s.do(t, sending("police", "police", table(map[string]string{"record_id": "one-more"})))
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	for _, f := range feeds {
		_ = f.CloseWithError(io.ErrUnexpectedEOF)
		<-f.err
		<-f.reply
	}
	for end := time.Now().Add(10 * time.Second); s.loading(t) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		continue
	}
	return r
}

// loading is how many batches of the police are under way.
func (s *stack) loading(t *testing.T) (n int) {
	t.Helper()
	for _, b := range must(s.registry.Batches(t.Context(), "police"))(t) {
		if b.State == gateway.BatchLoading {
			n++
		}
	}
	return n
}

func badWire(t *testing.T, s *stack) []bad {
	t.Helper()
	c := sending("police", "police", small(t, 5))
	head := func(line string, more ...string) string {
		lines := append([]string{line, "Host: gateway", "Authorization: Bearer " + s.keys["police"]}, more...)
		for _, name := range slices.Sorted(maps.Keys(c.header)) {
			lines = append(lines, name+": "+c.header[name])
		}
		return strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	post := "POST " + c.path + " HTTP/1.1"
	const chunked = "Transfer-Encoding: chunked"
	// Whoever stands before the gateway may have believed the length: the connection must
	// not be used again, and what follows the chunks must not be answered.
	both := "POST /v1/releases HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer " + s.keys["steward"] +
		"\r\nContent-Type: application/json\r\nContent-Length: 4\r\n" + chunked + "\r\n\r\n2\r\n{}\r\n0\r\n\r\n" +
		"GET /v1/contracts HTTP/1.1\r\nHost: gateway\r\n\r\n"
	return []bad{
		{2, "key with a control character", saying(strings.Replace(head(post, "Content-Length: 3"), "Idempotency-Key: ", "Idempotency-Key: \x01", 1)+"abc", false, false), 400, "", 0},
		{14, "body cut short", saying(head(post, "Content-Length: 10")+"abc", true, false), 400, "invalid", 2},
		{14, "chunks cut short", saying(head(post, chunked)+"5\r\nab", true, false), 400, "invalid", 2},
		{15, "length and chunks", saying(both, false, true), 404, "not-found", 0},
		{16, "two lengths", saying(head(post, "Content-Length: 3", "Content-Length: 4")+"abcd", false, true), 400, "", 0},
		{16, "two hosts", saying("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false, true), 400, "", 0},
		{16, "no host", saying("GET /healthz HTTP/1.1\r\n\r\n", false, true), 400, "", 0},
		{17, "unknown transfer coding", saying(head(post, "Transfer-Encoding: xchunked"), false, true), 501, "", 0},
		{18, "chunk length that is none", saying(head(post, chunked)+canary+"\r\n", false, true), 400, "invalid", 2},
		{18, "chunk length that overflows", saying(head(post, chunked)+"fffffffffffffffff\r\nabc\r\n0\r\n\r\n", false, true), 400, "invalid", 2},
		{19, "flood of chunk extensions", saying(head(post, chunked)+strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 100), false, true), 400, "invalid", 2},
		{20, "head of 30 KiB", saying(head(post, "X: "+strings.Repeat("x", 30<<10)), false, true), 431, "", 0},
		{35, "preface of HTTP/2", saying("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, false), 405, "method-not-allowed", 0},
		{35, "CONNECT", saying("CONNECT "+canary+":443 HTTP/1.1\r\nHost: "+canary+"\r\n\r\n", false, false), 404, "not-found", 0},
		{35, "OPTIONS of everything", saying("OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n", false, false), 200, "", 0},
		{36, "lines that end in LF", saying(strings.ReplaceAll(head("GET /v1/batches HTTP/1.1"), "\r\n", "\n"), false, false), 200, "", 0},
		{36, "header line that is none", saying("GET /healthz HTTP/1.1\r\nHost: gateway\r\n"+canary+"\r\n\r\n", false, true), 400, "", 0},
		{36, "HTTP/1.0", saying("GET /healthz HTTP/1.0\r\n\r\n", false, true), 200, "", 0},
		{37, "absolute address", saying(head("GET http://elsewhere/v1/../admin HTTP/1.1"), false, false), 404, "not-found", 0},
	}
}

func badTimes(t *testing.T) []bad {
	t.Helper()
	return []bad{
		{22, "body that stops", func(t *testing.T, s *stack) reply {
			t.Helper()
			f := s.start(t.Context(), sending("police", "police", small(t, 20)))
			f.send(t, small(t, 20)[:500])
			return f.answer(t)
		}, 408, "too-slow", 2},
		{22, "a byte whenever the time is nearly over", func(t *testing.T, s *stack) reply {
			t.Helper()
			f := s.start(t.Context(), sending("police", "police", small(t, 20)))
			sent := 0
			for ; sent < 200; sent++ {
				_, err := io.WriteString(f, "x")
				if err != nil {
					break
				}
				time.Sleep(mostIdle / 8)
			}
			if sent == 200 {
				t.Error("it is never given up")
			}
			return f.answer(t)
		}, 408, "too-slow", 2},
	}
}

// answer is the answer to a body that has no end.
func (f feed) answer(t *testing.T) reply {
	t.Helper()
	err := <-f.err
	if err != nil {
		t.Fatal(err)
	}
	return <-f.reply
}

func badKeys(t *testing.T) []bad {
	t.Helper()
	with := func(value string) call { return getting("", "/v1/batches").with("Authorization", value) }
	ask := `{"measure":"children","purpose":"evaluation"}`
	return []bad{
		// The first failure of a while is logged, the others are counted.
		{61, "no key", doing(getting("", "/v1/batches")), 401, "unauthenticated", 1},
		{61, "malformed key", doing(with("Bearer " + canary)), 401, "unauthenticated", 0},
		{61, "unknown key", doing(with("Bearer pana_live_k" + strings.Repeat("a", 16) + "_" + strings.Repeat("A", 43))), 401, "unauthenticated", 0},
		{62, "revoked key", doing(getting("revoked", "/v1/batches")), 401, "unauthenticated", 0},
		{63, "contract of another sector", doing(sending("health", "police", small(t, 3))), 404, "not-found", 0},
		{65, "a token that signs nothing", doing(with("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcGVyYXRvciJ9.")), 401, "unauthenticated", 0},
		{65, "a token of 12 KiB", doing(with("Bearer " + strings.Repeat("e", 12<<10))), 401, "unauthenticated", 0},
		{66, "researcher uploads", doing(sending("researcher", "police", small(t, 3))), 404, "not-found", 0},
		{66, "agency asks", doing(posting("police", "/v1/releases/demo-1/cubes/pathways/table", ask)), 404, "not-found", 0},
	}
}

// dribble sends a head byte by byte in the background: the connection must be closed in
// the time that a head may take, whatever comes (B21).
func (s *stack) dribble(t *testing.T) <-chan error {
	t.Helper()
	conn := must(net.Dial("tcp", s.addr))(t)
	ended := make(chan error, 1)
	go func() {
		defer func() { _ = conn.Close() }()
		gone := make(chan error, 1)
		go func() {
			_ = conn.SetReadDeadline(time.Now().Add(2 * s.server.ReadHeaderTimeout))
			_, err := io.Copy(io.Discard, conn)
			gone <- err
		}()
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nX: ")
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case err := <-gone:
				if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // of this connection
					ended <- fmt.Errorf("a head may take for ever")
					return
				}
				ended <- nil
				return
			case <-tick.C:
				_, _ = io.WriteString(conn, "x")
			}
		}
	}()
	return ended
}

// crowd opens hundreds of uploads that never go on: all but a few are refused at once,
// and whoever else asks is served meanwhile.
func (s *stack) crowd(t *testing.T) {
	t.Helper()
	before := s.counted(t)
	const many = 300
	c := sending("police", "police", small(t, 3))
	answered := make(chan int, many)
	for i := range many {
		conn := must(net.Dial("tcp", s.addr))(t)
		defer func() { _ = conn.Close() }()
		_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nIdempotency-Key: crowd-%d\r\nContent-Digest: sha-256=:%s=:\r\nContent-Length: 5000\r\n\r\nrecord_id,",
			c.path, s.keys["police"], i, strings.Repeat("A", 40)+fmt.Sprintf("%03d", i)[:2]+string("AEIMQUYcgk"[i%10]))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			head := make([]byte, 12)
			_, err := io.ReadFull(conn, head)
			status := 0
			if err == nil {
				_, _ = fmt.Sscanf(string(head), "HTTP/1.1 %d", &status)
			}
			answered <- status
		}()
	}
	for range 20 {
		start := time.Now()
		s.want(t, http.StatusOK, getting("health", "/v1/contracts"))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("a healthy client waited %s", took)
		}
	}
	statuses := map[int]int{}
	for range many {
		statuses[<-answered]++
	}
	for status := range statuses {
		if !slices.Contains([]int{http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable}, status) {
			t.Errorf("the crowd was answered %v", statuses)
		}
	}
	if statuses[http.StatusServiceUnavailable] == 0 {
		t.Errorf("nobody was refused a place: %v", statuses)
	}
	for end := time.Now().Add(10 * time.Second); s.loading(t) > 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		continue
	}
	if after := s.counted(t); after != before {
		t.Error("the crowd changed something")
	}
}

// TestHugeLine sends one line of 100 MB (B32): it is refused before it is there, and
// takes no memory.
func TestHugeLine(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", "x")
	c.body, c.content = io.LimitReader(xs{}, 100<<20), ""
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := s.want(t, http.StatusBadRequest, c)
	runtime.ReadMemStats(&after)
	if got := r.slug(t); got != "limit-row-bytes" {
		t.Errorf("the problem is %s", got)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("a line of 100 MB took %d MB of allocations", used>>20)
	}
}

// xs is a line that has no end.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
