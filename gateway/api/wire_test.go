package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// say sends bytes as they are, half-closes if need be, and returns the first answer
// and whether the server closed the connection behind it.
func (s *stack) say(t *testing.T, text string, halfClose bool) (r reply, closed bool) {
	t.Helper()
	conn := must(net.Dial("tcp", s.addr))(t)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := io.WriteString(conn, text)
	if err == nil && halfClose {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body := must(io.ReadAll(response.Body))(t)
	_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, err = reader.ReadByte()
	return reply{response.StatusCode, response.Header, body}, errors.Is(err, io.EOF)
}

// TestOnTheWire sends what no client library would (trust.md 6.4).
func TestOnTheWire(t *testing.T) {
	s := newStack(t)
	before := s.state(t)
	c := sending("police", "police", small(t, 3))
	head := func(line string, more ...string) string {
		lines := append([]string{line, "Host: gateway", "Authorization: Bearer " + s.keys["police"]}, more...)
		for name, value := range c.header {
			lines = append(lines, name+": "+value)
		}
		return strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	post := "POST " + c.path + " HTTP/1.1"
	const chunked = "Transfer-Encoding: chunked"
	for _, w := range []struct {
		name, text string
		status     int
		ours       bool // the answer is the handler's, not net/http's
	}{
		{"B14 body cut short", head(post, "Content-Length: 10") + "abc", 400, true},
		{"B14 chunks cut short", head(post, chunked) + "5\r\nab", 400, true},
		{"B16 two lengths", head(post, "Content-Length: 3", "Content-Length: 4") + "abcd", 400, false},
		{"B17 unknown transfer coding", head(post, "Transfer-Encoding: xchunked"), 501, false},
		{"B18 chunk length that is none", head(post, chunked) + canary + "\r\n", 400, true},
		{"B18 chunk length that overflows", head(post, chunked) + "fffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400, true},
		{"B19 flood of chunk extensions", head(post, chunked) + strings.Repeat("1;"+strings.Repeat("e", 2000)+"\r\nx\r\n", 100), 400, true},
		{"B20 head of 30 KiB", head(post, "X: "+strings.Repeat("x", 30<<10)), 431, false},
		{"B35 preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405, true},
		{"B35 CONNECT", "CONNECT " + canary + ":443 HTTP/1.1\r\nHost: " + canary + "\r\n\r\n", 404, true},
		{"B35 OPTIONS of everything", "OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n", 200, false},
		{"B36 lines that end in LF", strings.ReplaceAll(head("GET /v1/batches HTTP/1.1"), "\r\n", "\n"), 200, true},
		{"B37 absolute address", head("GET http://elsewhere/v1/../admin HTTP/1.1"), 404, true},
		{"HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", 200, true},
		{"header line that is none", "GET /healthz HTTP/1.1\r\nHost: gateway\r\n" + canary + "\r\n\r\n", 400, false},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, false},
		{"two hosts", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, false},
	} {
		t.Run(w.name, func(t *testing.T) {
			r, _ := s.say(t, w.text, strings.Contains(w.name, "cut short"))
			if r.status != w.status || strings.Contains(string(r.body), canary) {
				t.Errorf("got %d, want %d: %.300s", r.status, w.status, r.body)
			}
			if w.ours {
				r.check(t)
			}
		})
	}
	if s.state(t) != before {
		t.Error("a malformed request changed something")
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats what was sent")
	}
}

// TestUnreadBody announces a body that never comes, to addresses that want none:
// the answer does not wait for it longer than the idle time.
func TestUnreadBody(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits.Idle = 200 * time.Millisecond })
	for start, want := range map[string]int{"POST /v1/releases": 401, "POST /nowhere": 404, "GET /healthz": 200} {
		begun := time.Now()
		r, closed := s.say(t, start+" HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\nabc", false)
		if took := time.Since(begun); r.status != want || !closed || took > 5*time.Second {
			t.Errorf("%s: got %d after %s, closed: %t", start, r.status, took, closed)
		}
	}
}

// TestSmuggling sends a length and chunks together (B15): whoever stands before
// the gateway may have believed the length, so the connection must not be used
// again.
func TestSmuggling(t *testing.T) {
	s := newStack(t)
	text := "POST /v1/releases HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer " + s.keys["steward"] +
		"\r\nContent-Type: application/json\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" +
		"GET /v1/contracts HTTP/1.1\r\nHost: gateway\r\n\r\n"
	r, closed := s.say(t, text, false)
	if !closed || r.status < 400 {
		t.Errorf("got %d, the connection was closed: %t", r.status, closed)
	}
}

// TestKeepAlive sends good and bad requests over one connection: none spoils the
// next.
func TestKeepAlive(t *testing.T) {
	s := newStack(t)
	conn := must(net.Dial("tcp", s.addr))(t)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	reader := bufio.NewReader(conn)
	for i, want := range []int{200, 404, 401, 400, 200} {
		request := []string{
			"GET /v1/contracts HTTP/1.1\r\nAuthorization: Bearer " + s.keys["police"] + "\r\n",
			"GET /nowhere HTTP/1.1\r\n",
			"POST /v1/releases HTTP/1.1\r\nContent-Length: 2\r\n",
			"POST /v1/releases HTTP/1.1\r\nAuthorization: Bearer " + s.keys["steward"] + "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
			"GET /healthz HTTP/1.1\r\n",
		}[i] + "Host: gateway\r\n\r\n"
		if strings.HasPrefix(request, "POST") {
			request += "[]"
		}
		_, _ = fmt.Fprint(conn, request)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("request %d got %d, want %d", i, response.StatusCode, want)
		}
	}
}
