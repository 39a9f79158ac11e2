package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
)

// TestUnreadAnswer asks for an answer larger than any buffer on its way and reads
// nothing: the gateway gives it up in time, and says so in its log.
func TestUnreadAnswer(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 64<<20)
	s := newStack(t, func(p parts) {
		p.api.Limits.Write = 300 * time.Millisecond
		p.api.Template = func(*gateway.Contract) []byte { return large }
	})
	conn := must(net.Dial("tcp", s.addr))(t)
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET /v1/contracts/police/template.csv HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer %s\r\n\r\n", s.keys["police"])
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if events := s.log.requests(t); len(events) == 1 {
			if events[0]["cut"] != true {
				t.Errorf("the event does not say that the answer was cut: %v", events[0])
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("an answer that nobody reads is never given up")
		}
	}
}

// TestDeadlineEndsWithItsAnswer waits on a connection longer than an answer may
// take: the next answer comes all the same, and so does the call for a body.
func TestDeadlineEndsWithItsAnswer(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits.Write = 200 * time.Millisecond })
	conn := must(net.Dial("tcp", s.addr))(t)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	reader := bufio.NewReader(conn)
	for i, request := range []string{
		"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n",
		"POST /v1/releases HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" +
			"Authorization: Bearer " + s.keys["steward"] + "\r\n\r\n",
	} {
		_, _ = io.WriteString(conn, request)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if want := []int{http.StatusOK, http.StatusContinue}[i]; response.StatusCode != want {
			t.Errorf("answer %d is %d, want %d", i, response.StatusCode, want)
		}
		time.Sleep(400 * time.Millisecond)
	}
}

// TestConnections opens more connections than are served at once: the last is
// served when another ends, and not before.
func TestConnections(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.Listener = api.Listener(server.Listener, 2)
	server.Start()
	t.Cleanup(server.Close)
	var idle []net.Conn
	for range 2 {
		conn := must(net.Dial("tcp", server.Listener.Addr().String()))(t)
		defer func() { _ = conn.Close() }()
		idle = append(idle, conn)
	}
	last := must(net.Dial("tcp", server.Listener.Addr().String()))(t)
	defer func() { _ = last.Close() }()
	_, _ = io.WriteString(last, "GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
	first := make([]byte, 12)
	_ = last.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, _ := last.Read(first); n > 0 {
		t.Fatal("a third connection was served beside two")
	}
	_ = idle[0].Close()
	_ = last.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(last, first); err != nil || !strings.HasPrefix(string(first), "HTTP/1.1 200") {
		t.Errorf("the waiting connection got %q, %v", first, err)
	}
}
