package keyserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

const testToken = "a-token-of-the-test"

// A rig is a key server with a recording client.
type rig struct {
	key  *blind.Key
	url  string
	dir  string
	log  *bytes.Buffer
	mu   sync.Mutex
	now  time.Time
	sent bytes.Buffer
}

// RoundTrip records what goes over the line, in both directions.
func (r *rig) RoundTrip(request *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(request.Body)
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	back, _ := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(back))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent.Write(body)
	r.sent.Write(back)
	return answer, nil
}

func newRig(tb testing.TB, quota int) *rig {
	tb.Helper()
	key, err := blind.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{key: key, dir: tb.TempDir(), log: &bytes.Buffer{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.start(tb, quota)
	return r
}

func (r *rig) start(tb testing.TB, quota int) {
	tb.Helper()
	handler, err := New(Options{
		Key: r.key, Agencies: []Agency{{"police", Digest(testToken), quota}}, Dir: r.dir, Log: slog.New(slog.NewJSONHandler(r.log, nil)),
		Now: func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now },
	})
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	r.url = server.URL
}

func (r *rig) client(tb testing.TB, public blind.PublicKey, token string) *Client {
	tb.Helper()
	c, err := NewClient(ClientOptions{URL: r.url, Public: public, Token: token, HTTP: &http.Client{Transport: r}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func ids(n int) [][]byte {
	inputs := make([][]byte, n)
	for i := range inputs {
		inputs[i] = fmt.Appendf(nil, "%012d", 870000000000+i)
	}
	return inputs
}

// TestEvaluate: identifiers in several batches, some of them twice, each come to what
// they come to alone; and what went over the line has none of them.
func TestEvaluate(t *testing.T) {
	r := newRig(t, 10_000)
	c := r.client(t, r.key.PublicKey(), testToken)
	n := batchSize + 100
	if testing.Short() {
		n = 100
	}
	inputs := append(ids(n), ids(50)...)
	all, err := c.Evaluate(context.Background(), inputs)
	if err != nil || len(all) != n+50 {
		t.Fatal(err)
	}
	for i := range 50 {
		if all[i] != all[n+i] {
			t.Fatal("one identifier, two pseudonyms")
		}
	}
	alone, err := c.Evaluate(context.Background(), inputs[n-1:n])
	if err != nil || alone[0] != all[n-1] {
		t.Fatal("its batch changes a pseudonym", err)
	}
	for _, id := range inputs {
		if bytes.Contains(r.sent.Bytes(), id) {
			t.Fatal("an identifier went over the line")
		}
	}
	for _, y := range all {
		if bytes.Contains(r.sent.Bytes(), y[:]) {
			t.Fatal("a pseudonym went over the line")
		}
	}
	counted, err := os.ReadFile(filepath.Join(r.dir, "2026-03-01.json"))
	if want := fmt.Sprintf("{\"police\":%d}\n", n+1); err != nil || string(counted) != want {
		t.Fatalf("counted %s, %v", counted, err)
	}
}

func TestPinnedKey(t *testing.T) {
	r := newRig(t, 100)
	other, err := blind.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.client(t, other.PublicKey(), testToken).Evaluate(context.Background(), ids(1))
	if !errors.Is(err, blind.ErrProof) {
		t.Fatal(err)
	}
}

// TestQuota: an agency that used its quota is refused, and an alarm says so; a restart
// does not give it another, the next day does.
func TestQuota(t *testing.T) {
	r := newRig(t, 10)
	ask := func(n int) error {
		_, err := r.client(t, r.key.PublicKey(), testToken).Evaluate(context.Background(), ids(n))
		return err
	}
	if err := ask(9); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.log.String(), `"quota near"`) {
		t.Error("no alarm at nine tenths")
	}
	if err := ask(2); !errors.Is(err, gateway.Overloaded) || !strings.Contains(err.Error(), "quota") {
		t.Fatal(err)
	}
	if !strings.Contains(r.log.String(), `"quota refused"`) {
		t.Error("no alarm at a refusal")
	}
	r.start(t, 10)
	if ask(2) == nil {
		t.Fatal("a restart gives a new quota")
	}
	if err := ask(1); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.now = r.now.Add(12 * time.Hour)
	r.mu.Unlock()
	if err := ask(10); err != nil {
		t.Fatal(err)
	}
}

// TestUncounted: what cannot be counted is not answered.
func TestUncounted(t *testing.T) {
	r := newRig(t, 10)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	_, request, _ := blind.Blind(r.key.PublicKey(), ids(1))
	if status, _ := r.post(t, testToken, blind.MediaType, request); status != http.StatusServiceUnavailable {
		t.Fatal(status)
	}
}

func (r *rig) post(tb testing.TB, token, media string, body []byte) (int, string) {
	tb.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+"/v1/evaluate", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", media)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestRefused is B82 over HTTP: 400, and nothing counted.
func TestRefused(t *testing.T) {
	r := newRig(t, 100_000)
	_, good, _ := blind.Blind(r.key.PublicKey(), ids(1))
	head, element := good[:10], good[10:]
	changed := func(i int, b byte) []byte {
		m := bytes.Clone(good)
		m[i] = b
		return m
	}
	many := append(bytes.Clone(head[:6]), 0, 0, 0x27, 0x11)
	many = append(many, bytes.Repeat(element, blind.MaxBatch+1)...)
	for name, test := range map[string]struct {
		token, media string
		body         []byte
		status       int
	}{
		"good":            {testToken, blind.MediaType, good, 200},
		"no token":        {"", blind.MediaType, good, 401},
		"another token":   {testToken + "x", blind.MediaType, good, 401},
		"media":           {testToken, "application/json", good, 415},
		"identity":        {testToken, blind.MediaType, append(bytes.Clone(head), make([]byte, 32)...), 400},
		"not canonical":   {testToken, blind.MediaType, append(bytes.Clone(head), bytes.Repeat([]byte{255}, 32)...), 400},
		"33 bytes":        {testToken, blind.MediaType, append(bytes.Clone(good), 0), 400},
		"10,001 elements": {testToken, blind.MediaType, many, 400},
		"wrong mode":      {testToken, blind.MediaType, changed(5, 0), 400},
		"wrong suite":     {testToken, blind.MediaType, changed(4, 3), 400},
		"empty":           {testToken, blind.MediaType, nil, 400},
	} {
		if status, text := r.post(t, test.token, test.media, test.body); status != test.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	counted, err := os.ReadFile(filepath.Join(r.dir, "2026-03-01.json"))
	if err != nil || string(counted) != "{\"police\":1}\n" {
		t.Errorf("counted %s, %v", counted, err)
	}
	if strings.Contains(r.log.String(), testToken) || strings.Contains(r.log.String(), "127.0.0.1") {
		t.Error("the log tells a token or an address")
	}
}

// TestBusy: no agency takes more than its half of the queue, and no place is lost.
func TestBusy(t *testing.T) {
	s := &server{running: make(chan struct{}, 1), queued: make(chan struct{}, 2), places: map[gateway.AgencyID]chan struct{}{
		"police": make(chan struct{}, 1), "health": make(chan struct{}, 1), "school": make(chan struct{}, 1),
	}}
	leave, err := s.enter(&Agency{ID: "police"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.enter(&Agency{ID: "police"}); !errors.Is(err, gateway.Overloaded) || len(s.queued) != 1 {
		t.Fatal(err)
	}
	other, err := s.enter(&Agency{ID: "health"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.enter(&Agency{ID: "school"}); !errors.Is(err, gateway.Overloaded) || len(s.places["school"]) != 0 {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
	rest, err := s.run(request)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err = s.run(request); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	rest()
	leave()
	other()
	if len(s.queued)+len(s.running)+len(s.places["police"])+len(s.places["health"]) != 0 {
		t.Fatal("a place is lost")
	}
}

// A sender that is slow, and has a token, hinders no other.
func TestSlowSenderHoldsNoProcessor(t *testing.T) {
	key := newRig(t, 1).key
	handler, err := New(Options{
		Key: key, Agencies: []Agency{{"slow", Digest("slow"), 100}, {"quick", Digest(testToken), 100}}, Dir: t.TempDir(),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Parallel: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	for range 5 { // more of them than the server evaluates at once
		body, sender := io.Pipe()
		defer func() { _ = sender.Close() }()
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/evaluate", body)
		request.Header.Set("Content-Type", blind.MediaType)
		request.Header.Set("Authorization", "Bearer slow")
		go func() {
			if answer, err := http.DefaultClient.Do(request); err == nil {
				_ = answer.Body.Close()
			}
		}()
		go func() { _, _ = sender.Write([]byte("PVO1")) }()
	}
	time.Sleep(100 * time.Millisecond) // by then they are at their places, or turned away
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := NewClient(ClientOptions{URL: server.URL, Public: key.PublicKey(), Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Evaluate(ctx, ids(3)); err != nil {
		t.Fatal(err)
	}
}

func TestAddresses(t *testing.T) {
	key := newRig(t, 1).key.PublicKey()
	for address, good := range map[string]bool{
		"https://keys.example": true, "http://127.0.0.1:9": true, "http://[::1]:9": true, "http://localhost:9": true,
		"http://keys.example": false, "keys.example": false, "": false, "https://user:secret@keys.example": false, "ftp://127.0.0.1": false,
	} {
		_, err := NewClient(ClientOptions{URL: address, Public: key, Token: "t"})
		if (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}
