package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
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

// TestConnections opens more connections than may be open: those that are silent, or
// dribble a head, make way for whoever speaks, and those that are being answered
// stay; where all are, the next is told to come back (B34).
func TestConnections(t *testing.T) {
	entered, leave := make(chan struct{}, 9), make(chan struct{})
	server := httptest.NewUnstartedServer(nil)
	server.Config = api.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-leave
		}
		_, _ = io.WriteString(w, "ok")
	}), slog.New(slog.DiscardHandler), api.Heads{})
	server.Listener = api.Listener(server.Listener, 3)
	server.Start()
	t.Cleanup(server.Close)
	dial := func(say string) net.Conn {
		c := must(net.Dial("tcp", server.Listener.Addr().String()))(t)
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, say)
		return c
	}
	answer := func(c net.Conn) string {
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.TrimSpace(line)
	}
	slow := dial("GET /slow HTTP/1.1\r\nHost: g\r\n\r\n")
	<-entered
	for i := range 50 {
		dial([]string{"", "GET / HTTP/1.1\r\nHo"}[i%2])
		if got := answer(dial("GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")); got != "HTTP/1.1 200 OK" {
			t.Fatalf("beside %d silent connections the answer is %q", i+1, got)
		}
	}
	others := []net.Conn{dial("GET /slow HTTP/1.1\r\nHost: g\r\n\r\n"), dial("GET /slow HTTP/1.1\r\nHost: g\r\n\r\n")}
	<-entered
	<-entered
	if got := answer(dial("")); got != "HTTP/1.1 503 Service Unavailable" {
		t.Errorf("beside as many as are served the answer is %q", got)
	}
	close(leave)
	for _, c := range append(others, slow) {
		if got := answer(c); got != "HTTP/1.1 200 OK" {
			t.Errorf("a connection that was being answered got %q", got)
		}
	}
}
