package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/warehouse"
)

// TestUploadAndRetries sends a batch, sends it again in three ways, and sends the
// same under the other agency's key.
func TestUploadAndRetries(t *testing.T) {
	s := newStack(t)
	c := sending("police", "police", small(t, 20)).with("Idempotency-Key", "august")
	first := s.want(t, http.StatusCreated, c)
	var receipt gateway.Receipt
	first.decode(t, &receipt)
	if receipt.Stored != 20 || receipt.Agency != "police" || first.header.Get("Content-Type") != "application/json" {
		t.Errorf("the receipt is %+v", receipt)
	}
	location := first.header.Get("Location")
	if location != "/v1/batches/"+string(receipt.Batch) {
		t.Errorf("Location is %q", location)
	}
	for name, again := range map[string]call{
		"same": c, "quoted key": c.with("Idempotency-Key", `"august"`),
		"other digests beside": c.with("Content-Digest", "md5=:AAAA:, "+c.header["Content-Digest"]),
		"capitals":             c.with("Content-Type", "Text/CSV;charset=UTF-8"), "no charset": c.with("Content-Type", "text/csv"),
		"chunked": unmeasured(c), "explicit defaults": c.at(c.path + "&kind=original&reject=batch"),
		"another key for the same content": c.with("Idempotency-Key", "september"),
	} {
		r := s.want(t, http.StatusOK, again)
		if !bytes.Equal(r.body, first.body) || r.header.Get("Location") != location {
			t.Errorf("%s: the receipt is another", name)
		}
	}
	var batch gateway.Batch
	s.want(t, http.StatusOK, getting("police", location)).decode(t, &batch)
	if batch.ID != receipt.Batch || batch.State != gateway.BatchPublished || batch.Stored != 20 {
		t.Errorf("the batch is %+v", batch)
	}
	// B5: another agency's key is independent, and neither sees the other's batch.
	c.who = "other-police"
	other := s.want(t, http.StatusCreated, c)
	if bytes.Equal(other.body, first.body) {
		t.Error("two agencies have one receipt")
	}
	s.want(t, http.StatusNotFound, getting("other-police", location))
	s.want(t, http.StatusNotFound, call{method: "DELETE", path: location, who: "other-police"})
}

func TestWithdraw(t *testing.T) {
	s := newStack(t)
	r := s.want(t, http.StatusOK, getting("police", "/v1/batches"))
	if string(r.body) != `{"batches":[]}`+"\n" {
		t.Errorf("no batches are %s", r.body)
	}
	c := sending("police", "police", small(t, 20))
	location := s.want(t, http.StatusCreated, c).header.Get("Location")
	var batch gateway.Batch
	for range 2 { // withdrawing may be repeated
		s.want(t, http.StatusOK, call{method: "DELETE", path: location, who: "police"}).decode(t, &batch)
		if batch.State != gateway.BatchWithdrawn {
			t.Errorf("the batch is %s", batch.State)
		}
	}
	if left := must(s.house.Visible(t.Context(), "police", warehouse.Snapshot{Seq: 1 << 40}))(t); len(left) != 0 {
		t.Errorf("%d loads are visible", len(left))
	}
}

// TestRefusedRows finds every fault by line, column and code, in both ways to
// reject.
func TestRefusedRows(t *testing.T) {
	s := newStack(t)
	file := table(nil, map[string]string{"record_id": "R2", "violence_type": canary}, map[string]string{"record_id": "R3"},
		map[string]string{"record_id": "R4", "report_date": "2025-13-01"}, map[string]string{"record_id": "R5", "legal_basis": ""})
	want := []gateway.RowError{
		{Line: 3, Field: "violence_type", Code: "CODE_UNKNOWN"}, {Line: 5, Field: "report_date", Code: "DATE_FORM"}, {Line: 6, Field: "legal_basis", Code: "REQUIRED"},
	}
	p := s.want(t, http.StatusUnprocessableEntity, sending("police", "police", file)).problem(t)
	if diff := cmp.Diff(want, p.Errors); diff != "" || p.Rows != 3 {
		t.Errorf("%d rows, errors wanted (-) and got (+):\n%s", p.Rows, diff)
	}
	rows := sending("police", "police", file)
	var receipt gateway.Receipt
	s.want(t, http.StatusCreated, rows.at(rows.path+"&reject=rows")).decode(t, &receipt)
	if receipt.Records != 5 || receipt.Stored != 2 || receipt.Refused != 3 || !cmp.Equal(want, receipt.Problems.First) {
		t.Errorf("the receipt is %+v", receipt)
	}
}

// A feed is a body that a test sends piece by piece.
type feed struct {
	*io.PipeWriter
	reply chan reply
	err   chan error
}

// start sends a call whose body the test feeds.
func (s *stack) start(ctx context.Context, c call) feed {
	r, w := io.Pipe()
	c.body, c.content = r, ""
	f := feed{w, make(chan reply, 1), make(chan error, 1)}
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) }) // the transport waits for its reading
	go func() {
		got, err := s.try(ctx, c)
		_ = r.CloseWithError(errors.New("answered"))
		f.err <- err
		f.reply <- got
	}()
	return f
}

func (f feed) send(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(f, text)
	if err != nil {
		t.Fatal(err)
	}
}

func (f feed) end(t *testing.T) reply {
	t.Helper()
	_ = f.Close()
	err := <-f.err
	if err != nil {
		t.Fatal(err)
	}
	return <-f.reply
}

// underWay waits until an upload is known to the registry as being loaded.
func (s *stack) underWay(t *testing.T, agency gateway.AgencyID, want gateway.BatchState) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		list := must(s.registry.Batches(t.Context(), agency))(t)
		if len(list) > 0 && list[0].State == want {
			return
		}
	}
	t.Fatalf("the newest batch is not %s", want)
}

// TestOneAtATime sends a batch while it is under way (B4) and while all places
// are taken.
func TestOneAtATime(t *testing.T) {
	s := newStack(t, func(p parts) { p.exchange.Limits.Uploads, p.exchange.Limits.OfAgency = 2, 2 })
	file := small(t, 20)
	c := sending("police", "police", file)
	slow := s.start(t.Context(), c)
	slow.send(t, file[:1000])
	s.underWay(t, "police", gateway.BatchLoading)
	r := s.want(t, http.StatusConflict, c)
	if r.slug(t) != "conflict" || r.header.Get("Retry-After") == "" {
		t.Errorf("the second is told %s, Retry-After %q", r.slug(t), r.header.Get("Retry-After"))
	}
	other := sending("health", "health", must(country())(t)["health"])
	second := s.start(t.Context(), other)
	second.send(t, other.content[:1000])
	s.underWay(t, "health", gateway.BatchLoading)
	r = s.want(t, http.StatusServiceUnavailable, sending("other-police", "police", file))
	if r.slug(t) != "limit-uploads" || r.header.Get("Retry-After") == "" {
		t.Errorf("the third is told %s, Retry-After %q", r.slug(t), r.header.Get("Retry-After"))
	}
	r.golden(t)
	slow.send(t, file[1000:])
	if got := slow.end(t); got.status != http.StatusCreated {
		t.Errorf("the first got %d: %.300s", got.status, got.body)
	}
	second.send(t, other.content[1000:])
	if got := second.end(t); got.status != http.StatusCreated {
		t.Errorf("the second got %d: %.300s", got.status, got.body)
	}
	s.want(t, http.StatusOK, c)
}

func TestFullDisk(t *testing.T) {
	s := newStack(t, func(p parts) { p.exchange.FreeDisk = func() (uint64, error) { return 1000, nil } })
	r := s.want(t, http.StatusServiceUnavailable, sending("police", "police", small(t, 3)))
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestClientLeaves cancels an upload in the middle: nothing of it is visible, and
// the same content is accepted afterwards.
func TestClientLeaves(t *testing.T) {
	s := newStack(t)
	before := s.state(t)
	file := small(t, 40)
	c := sending("police", "police", file)
	ctx, cancel := context.WithCancel(t.Context())
	f := s.start(ctx, c)
	f.send(t, file[:2000])
	s.underWay(t, "police", gateway.BatchLoading)
	cancel()
	if err := <-f.err; err == nil {
		t.Fatal("a cancelled upload was answered")
	}
	s.underWay(t, "police", gateway.BatchAborted)
	if s.state(t) != before {
		t.Error("an upload that was cancelled left something")
	}
	s.want(t, http.StatusCreated, c)
	for _, e := range s.log.requests(t) {
		if e["level"] == "ERROR" {
			t.Errorf("a client that leaves is no fault of the gateway: %v", e)
		}
	}
}

// TestSlowBody feeds bodies too slowly: each is given up after the idle time,
// whoever sends it (B22).
func TestSlowBody(t *testing.T) {
	const idle = 300 * time.Millisecond
	s := newStack(t, func(p parts) { p.api.Limits.Idle = idle })
	file := small(t, 40)
	good := sending("police", "police", file)
	stranger := good
	stranger.who = ""
	for name, c := range map[string]struct {
		call
		status int
	}{
		"upload":               {good, http.StatusRequestTimeout},
		"question":             {posting("researcher", "/v1/releases/demo-1/cubes/pathways/table", ""), http.StatusRequestTimeout},
		"body that nobody has": {call{method: "DELETE", path: "/v1/batches/x", who: "police"}, http.StatusNotFound},
		"stranger":             {stranger, http.StatusUnauthorized},
		"no address":           {call{method: "POST", path: "/nowhere"}, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			f := s.start(t.Context(), c.call)
			_, _ = io.WriteString(f, file[:100])
			err := <-f.err
			took := time.Since(start)
			if err != nil {
				t.Fatal(err)
			}
			r := <-f.reply
			r.check(t)
			if r.status != c.status || took > 20*idle {
				t.Errorf("got %d after %s: %.300s", r.status, took, r.body)
			}
			if r.status == http.StatusRequestTimeout {
				r.golden(t)
			}
		})
	}
}

// TestSteadyBody takes longer than the idle time in all, and comes steadily
// enough.
func TestSteadyBody(t *testing.T) {
	const idle = 300 * time.Millisecond
	s := newStack(t, func(p parts) { p.api.Limits.Idle = idle })
	file := strings.Join(strings.SplitAfterN(must(country())(t)["police"], "\n", 500)[:499], "")
	f := s.start(t.Context(), sending("police", "police", file))
	for rest := file; rest != ""; {
		n := min(len(rest), api.Pace)
		f.send(t, rest[:n])
		rest = rest[n:]
		time.Sleep(idle / 3)
	}
	if r := f.end(t); r.status != http.StatusCreated {
		t.Errorf("got %d: %.300s", r.status, r.body)
	}
}

// TestDeadlines reads a body under a clock of its own: waiting counts, working does
// not, and behind the end there is no deadline however often it is read.
func TestDeadlines(t *testing.T) {
	clock, last := time.Unix(1000, 0), time.Time{}
	source := io.MultiReader(strings.NewReader("a"), waiting(func() { clock = clock.Add(4 * time.Second) }),
		strings.NewReader(strings.Repeat("b", api.Pace)), strings.NewReader("c"))
	r := httptest.NewRequest(http.MethodPost, "/", source)
	b := api.Body(r, 10*time.Second, func() time.Time { return clock }, func(at time.Time) error { last = at; return nil })
	p := make([]byte, 2*api.Pace)
	for i, left := range []int{10, 10, 6, 10} {
		_, err := b.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := last.Sub(clock); i != 1 && got != time.Duration(left)*time.Second {
			t.Errorf("read %d may wait %s, want %d s", i, got, left)
		}
		clock = clock.Add(time.Minute) // of work
		last = last.Add(time.Minute)
	}
	for range 2 {
		_, err := b.Read(p)
		if !errors.Is(err, io.EOF) || !last.IsZero() {
			t.Errorf("behind the end: %v, deadline %s", err, last)
		}
	}
}

// waiting is a reader that does something and gives one byte.
type waiting func()

func (w waiting) Read(p []byte) (int, error) {
	w()
	p[0] = 'w'
	return 1, io.EOF
}

// TestWorkMayTakeLonger builds a release under an idle time that is much shorter
// than the work: only waiting for the body is limited.
func TestWorkMayTakeLonger(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits.Idle = 30 * time.Millisecond })
	start := time.Now()
	s.want(t, http.StatusCreated, posting("steward", "/v1/releases", `{"definition":"demo","from":"2025Q1","to":"2025Q1"}`))
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Fatalf("the build took %s only: this test needs a shorter idle time", took)
	}
}
