package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
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
	return reply{response.StatusCode, response.Header, body}, !errors.Is(err, os.ErrDeadlineExceeded)
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
