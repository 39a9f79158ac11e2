package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// A request for an erasure gets the same bytes whether anybody sent a record of the child
// or not, and reads no row for it: it is answered while the warehouse is away (trust.md
// 6.1). What is wrong with one is said without repeating it, and nothing that was sent is
// logged.
func TestErasureAnswersTheSame(t *testing.T) {
	s := newStack(t)
	file := small(t, 3)
	if r := s.do(t, sending("police", "police", file)); r.status != http.StatusCreated {
		t.Fatalf("the upload is answered %d", r.status)
	}
	lines := strings.Split(file, "\n")
	column := -1
	for i, name := range strings.Split(lines[0], ",") {
		if name == "child_iin" {
			column = i
		}
	}
	known, unheard := strings.Split(lines[1], ",")[column], "080229690004"
	if err := s.house.Close(); err != nil {
		t.Fatal(err)
	}
	ask := func(who, id, reason string) (int, http.Header, []byte) {
		r := s.do(t, posting(who, "/v1/erasures", `{"identifier":"`+id+`","reason":"`+reason+`"}`))
		if strings.Contains(string(r.body), id) {
			t.Error("the answer repeats the identifier")
		}
		r.header.Del("Date")
		r.header.Del("Request-Id")
		return r.status, r.header, r.body
	}
	status, header, body := ask("police", known, "request")
	status2, header2, body2 := ask("police", unheard, "request")
	if status != http.StatusAccepted || status2 != status || !bytes.Equal(body, body2) {
		t.Fatalf("a known child is answered %d %s, an unknown one %d %s", status, body, status2, body2)
	}
	if len(header) != len(header2) {
		t.Errorf("the headers are %v and %v", header, header2)
	}
	for name := range header {
		if header.Get(name) != header2.Get(name) {
			t.Errorf("header %s is %q and %q", name, header.Get(name), header2.Get(name))
		}
	}
	for _, c := range []struct {
		who, id, reason string
		status          int
	}{
		{"police", known[:11], "request", 400},
		{"police", known, canary, 400},
		{"officer", known, "request", 404},
		{"researcher", known, "request", 404},
	} {
		if status, _, body := ask(c.who, c.id, c.reason); status != c.status || strings.Contains(string(body), canary) {
			t.Errorf("%s is answered %d %s", c.who, status, body)
		}
	}
	for _, secret := range []string{known, unheard, canary} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("what was sent is in the log")
		}
	}
}
