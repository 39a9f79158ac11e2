package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// A call is a request.
type call struct {
	method, path string
	who          string // whose key is sent; "" sends none
	header       map[string]string
	body         io.Reader
	content      string // instead of body
	loose        bool   // taken, though the document of the API does not promise it
}

// A reply is what came back, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and holds its answer to what is promised of every answer.
func (s *stack) do(t *testing.T, c call) reply {
	t.Helper()
	r, err := s.try(t.Context(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	r.check(t)
	r.hold(t, c, s.url+c.path)
	return r
}

// want is do, and demands a status.
func (s *stack) want(t *testing.T, status int, c call) reply {
	t.Helper()
	r := s.do(t, c)
	if r.status != status {
		t.Fatalf("%s %s as %q got %d, want %d: %.300s", c.method, c.path, c.who, r.status, status, r.body)
	}
	return r
}

func (s *stack) try(ctx context.Context, c call) (reply, error) {
	if c.content != "" {
		c.body = strings.NewReader(c.content)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, s.url+c.path, c.body)
	if err != nil {
		return reply{}, err
	}
	if c.who != "" {
		request.Header.Set("Authorization", "Bearer "+s.keys[c.who])
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, body}, err
}

// check holds an answer to what is promised of every answer.
func (r reply) check(t *testing.T) {
	t.Helper()
	for name, want := range map[string]string{"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	id := r.header.Get("Request-Id")
	if id == "" {
		t.Error("the answer has no Request-Id")
	}
	headers := must(json.Marshal(r.header))(t)
	if bytes.Contains(r.body, []byte(canary)) || bytes.Contains(headers, []byte(canary)) {
		t.Errorf("the answer %d repeats what was sent", r.status)
	}
	if r.status < http.StatusBadRequest || len(r.body) == 0 {
		return
	}
	p := r.problem(t)
	if r.header.Get("Content-Type") != "application/problem+json" || p.Status != r.status || p.Title == "" || p.Instance != "urn:pana:request:"+id {
		t.Errorf("the answer %d is not a problem document of itself: %s", r.status, r.body)
	}
}

// A problem is an RFC 9457 document.
type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	Errors                        []gateway.RowError
	Rows                          int `json:"rows_refused"`
}

func (r reply) problem(t *testing.T) problem {
	t.Helper()
	var p problem
	err := json.Unmarshal(r.body, &p)
	if err != nil {
		t.Fatalf("the answer %d is not a problem document: %.300s", r.status, r.body)
	}
	return p
}

// slug is the last part of a problem's type.
func (r reply) slug(t *testing.T) string {
	t.Helper()
	slug, ok := strings.CutPrefix(r.problem(t).Type, "urn:pana:problem:")
	if !ok {
		t.Fatalf("the problem's type is %q", r.problem(t).Type)
	}
	return slug
}

// anonymous is the body without what tells one request from another.
func (r reply) anonymous() string {
	return strings.ReplaceAll(string(r.body), r.header.Get("Request-Id"), "REQUEST")
}

// golden holds a problem to the file that clients may rely on.
func (r reply) golden(t *testing.T) {
	t.Helper()
	path := filepath.Join("testdata", "problems", r.slug(t)+".json")
	if *update {
		err := os.WriteFile(path, []byte(r.anonymous()), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	want := must(os.ReadFile(path))(t)
	if diff := cmp.Diff(string(want), r.anonymous()); diff != "" {
		t.Errorf("%s, wanted (-) and got (+):\n%s", path, diff)
	}
}

func (r reply) decode(t *testing.T, v any) {
	t.Helper()
	err := json.Unmarshal(r.body, v)
	if err != nil {
		t.Fatalf("the answer %d is not JSON: %.300s", r.status, r.body)
	}
}

const period = "?period_from=2023-01-01&period_to=2025-12-31"

// sending is a good upload of a file.
func sending(who, contract, file string) call {
	digest := sha256.Sum256([]byte(file))
	return call{
		method: http.MethodPost, path: "/v1/contracts/" + contract + "/batches" + period, who: who, content: file,
		header: map[string]string{
			"Content-Type": "text/csv; charset=utf-8", "Idempotency-Key": rand.Text(),
			"Content-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":",
		},
	}
}

// with is the call with another header; "" takes it away.
func (c call) with(name, value string) call {
	header := map[string]string{name: value}
	for n, v := range c.header {
		if n != name {
			header[n] = v
		}
	}
	if value == "" {
		delete(header, name)
	}
	c.header = header
	return c
}

func (c call) at(path string) call { c.path = path; return c }

// posting is a JSON request.
func posting(who, path, body string) call {
	return call{method: http.MethodPost, path: path, who: who, content: body, header: map[string]string{"Content-Type": "application/json"}}
}

func getting(who, path string) call { return call{method: http.MethodGet, path: path, who: who} }

// country is the files of a small synthetic country, by sector.
var country = sync.OnceValues(func() (map[string]string, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, err
	}
	made, err := synth.New(synth.Options{Children: 1500, Seed: 3, Contracts: contracts})
	if err != nil {
		return nil, err
	}
	files := map[gateway.ContractID]*bytes.Buffer{}
	err = made.Write(func(id gateway.ContractID) (io.Writer, error) {
		files[id] = &bytes.Buffer{}
		return files[id], nil
	})
	texts := map[string]string{}
	for id, b := range files {
		texts[string(id)] = b.String()
	}
	return texts, err
})

// small is the first lines of the country's police file.
func small(t *testing.T, lines int) string {
	t.Helper()
	all := strings.SplitAfterN(must(country())(t)["police"], "\n", lines+2)
	return strings.Join(all[:lines+1], "")
}

// record is a good record of the police.
func record() map[string]string {
	return map[string]string{
		"record_id": "R1", "child_iin": "120823590909", "child_birth_date": "2012-08-23", "child_sex": "M",
		"child_family_name": "A", "child_given_name": "B", "child_patronymic": "C",
		"residence_kato": "611010000", "report_date": "2025-08-01", "event_type": "REPORT", "violence_type": "02",
		"report_channel": "102", "legal_qualification": "UK-110", "legal_basis": "LAW",
	}
}

// table is a file of records, each a change of the good one.
func table(changes ...map[string]string) string {
	names := []string{}
	for name := range record() {
		names = append(names, name)
	}
	slices.Sort(names)
	lines := []string{strings.Join(names, ",")}
	for _, change := range changes {
		var cells []string
		for _, name := range names {
			value, changed := change[name]
			if !changed {
				value = record()[name]
			}
			cells = append(cells, value)
		}
		lines = append(lines, strings.Join(cells, ","))
	}
	return strings.Join(lines, "\n") + "\n"
}

// state is all that requests may change, as one text.
func (s *stack) state(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	all := []any{
		must(s.registry.Published(ctx, 1<<40))(t), must(s.registry.Releases(ctx))(t),
		must(s.registry.Keys(ctx))(t), must(s.registry.Agencies(ctx))(t),
		must(s.house.Visible(ctx, "police", warehouse.Snapshot{Seq: must(s.registry.Snapshot(ctx))(t)}))(t),
	}
	return string(must(json.Marshal(all))(t))
}
