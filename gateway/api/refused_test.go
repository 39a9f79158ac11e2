package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/registry"
)

// A refusal is a call that is refused, and how (trust.md 6.4).
type refusal struct {
	name   string
	call   call
	status int
	slug   string
}

// TestRefusals sends what must be refused. Each answer is a problem document that
// repeats nothing of the request, and changes nothing.
func TestRefusals(t *testing.T) {
	const most = 1 << 20
	s := newStack(t, func(p parts) { p.api.Limits = api.Limits{BodyBytes: most, Rows: 40} })
	s.want(t, http.StatusCreated, sending("police", "police", small(t, 3)).with("Idempotency-Key", "taken"))
	var built gateway.Release // for whoever may not ask it, and how
	s.want(t, http.StatusCreated, posting("steward", "/v1/releases", `{"definition":"demo","from":"2025Q1","to":"2025Q1"}`)).decode(t, &built)
	s.want(t, http.StatusOK, posting("officer", "/v1/releases/demo-1/approval", `{"digest":"`+built.Page+`","reason":"read"}`))
	before := s.state(t)
	for _, c := range append(uploadRefusals(t), otherRefusals()...) {
		t.Run(c.name, func(t *testing.T) {
			r := s.do(t, c.call)
			if r.status != c.status || r.slug(t) != c.slug {
				t.Fatalf("got %d %s, want %d %s: %s", r.status, r.slug(t), c.status, c.slug, r.body)
			}
			if c.slug == "conflict" || c.slug == "unreadable-file" { // the catalogue has the other files
				r.golden(t)
			}
		})
	}
	if s.state(t) != before {
		t.Error("a refused request changed something")
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats what was sent")
	}
}

func uploadRefusals(t *testing.T) []refusal {
	t.Helper()
	good := sending("police", "police", small(t, 3))
	const batches = "/v1/contracts/police/batches"
	return []refusal{
		{"a bad row", sending("police", "police", table(map[string]string{"report_date": canary})), 422, "refused-batch"},
		{"B49 unknown column", sending("police", "police", canary+",child_iin\nx,y\n"), 400, "unreadable-file"},
		{"no period", good.at(batches), 400, "invalid"},
		{"period backwards", good.at(batches + "?period_from=2025-02-01&period_to=2025-01-01"), 400, "invalid"},
		{"period of no day", good.at(batches + "?period_from=2025-02-30&period_to=" + canary), 400, "invalid"},
		{"misspelt parameter", good.at(good.path + "&" + canary + "=1"), 400, "invalid"},
		{"doubled parameter", good.at(good.path + "&reject=rows&reject=batch"), 400, "invalid"},
		{"pair that is not escaped", good.at(good.path + "&%zz=" + canary), 400, "invalid"},
		{"semicolon between pairs", good.at(good.path + "&x=1;y=" + canary), 400, "invalid"},
		{"unknown reject", good.at(good.path + "&reject=" + canary), 400, "invalid"},
		{"unknown kind", good.at(good.path + "&kind=" + canary), 400, "invalid"},
		{"unknown contract", good.at("/v1/contracts/" + canary + "/batches" + period), 404, "not-found"},
	}
}

// unmeasured is an upload whose Content-Length is not known ahead.
func unmeasured(c call) call {
	c.body, c.content = struct{ *strings.Reader }{strings.NewReader(c.content)}, ""
	return c
}

func otherRefusals() []refusal {
	ask := func(body string) call { return posting("researcher", "/v1/releases/demo-1/cubes/pathways/table", body) }
	return []refusal{
		{"no such path", getting("", "/"+canary), 404, "not-found"},
		{"no such path of ours", getting("", "/v1/"+canary), 404, "not-found"},
		{"unknown batch", getting("police", "/v1/batches/"+canary), 404, "not-found"},
		{"B75 unknown release", posting("researcher", "/v1/releases/demo-9/cubes/pathways/table", `{"measure":"children","purpose":"evaluation"}`), 404, "not-found"},
		{"unknown release and no question", posting("researcher", "/v1/releases/demo-9/cubes/pathways/table", "["), 404, "not-found"},
		{"unknown release and no approval", posting("officer", "/v1/releases/demo-9/approval", "["), 404, "not-found"},
		{"unknown release and no cell", posting("officer", "/v1/releases/demo-9/cells", "["), 404, "not-found"},
		{"unknown definition", posting("steward", "/v1/releases", `{"definition":"`+canary+`"}`), 404, "not-found"},
		{"quarter that is none", posting("steward", "/v1/releases", `{"definition":"demo","from":"`+canary+`"}`), 400, "invalid"},
		{"question that is no JSON", ask(canary), 400, "invalid"},
		{"question with an unknown name", ask(`{"` + canary + `":1}`), 400, "invalid"},
		{"question with a name twice", ask(`{"measure":"children","Measure":"records"}`), 400, "invalid"},
		{"filter with a name twice", ask(`{"filter":{"sex":"F","sex":"M"}}`), 400, "invalid"},
		{"filters that would be merged", ask(`{"filter":{"sex":"F"},"filter":{"reached":"no"}}`), 400, "invalid"},
		{"two questions", ask(`{"measure":"children"}{"measure":"records"}`), 400, "invalid"},
		{"a bracket too many", ask(`{"measure":"children"}}`), 400, "invalid"},
		{"B59 nested deeply", ask(strings.Repeat(`[`, 20000)), 400, "invalid"},
		{"B72 a list of codes", ask(`{"filter":{"sex":["F","M"]}}`), 400, "invalid"},
		{"B72 a range", ask(`{"filter":{"quarter":{"from":"2023Q1"}}}`), 400, "invalid"},
		{"B70 a filter of 1 MiB", ask(`{"filter":{"sex":"` + strings.Repeat("F", 1<<20) + `"}}`), 413, "limit-body-bytes"},
		{"question as a form", ask(`{}`).with("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported"},
		{"leaf that is none", getting("officer", "/v1/audit/leaves?from="+canary), 400, "invalid"},
		{"leaf in a pair that is not escaped", getting("officer", "/v1/audit/leaves?from=%zz"), 400, "invalid"},
		{"leaf behind a semicolon", getting("officer", "/v1/audit/leaves?x=1;from="+canary), 400, "invalid"},
		{"reason that is not escaped", call{method: "DELETE", path: "/v1/releases/demo-1?reason=%zz", who: "officer"}, 400, "invalid"},
		{"leaf before the first", getting("officer", "/v1/audit/leaves?from=-1"), 400, "invalid"},
		{"agency without contract", posting("operator", "/v1/access/agencies", `{"agency":"x","contract":"`+canary+`"}`), 400, "invalid"},
		{"key of no role", posting("operator", "/v1/access/keys", `{"role":"`+canary+`"}`), 400, "invalid"},
		{"unknown key", call{method: "DELETE", path: "/v1/access/keys/" + canary, who: "operator"}, 404, "not-found"},
		{"researcher of an agency", posting("operator", "/v1/access/keys", `{"role":"researcher","subject":"x","organisation":"police","purposes":["p"]}`), 409, "conflict"},
	}
}

// TestAllowNamesTheMethods finds in every 405 what the address does take.
func TestAllowNamesTheMethods(t *testing.T) {
	s := newStack(t)
	for path, allow := range map[string]string{
		"/healthz": "GET, HEAD", "/v1/batches": "GET, HEAD", "/v1/batches/b": "GET, HEAD, DELETE",
		"/v1/releases": "GET, HEAD, POST", "/v1/contracts/police/batches": "POST",
	} {
		for _, method := range []string{"PATCH", "FOO"} {
			r := s.want(t, http.StatusMethodNotAllowed, call{method: method, path: path, who: "police"})
			if got := r.header.Get("Allow"); got != allow {
				t.Errorf("%s: Allow is %q, want %q", path, got, allow)
			}
		}
	}
	r := s.do(t, call{method: http.MethodHead, path: "/v1/contracts/police/batches", who: "police"})
	if r.status != http.StatusMethodNotAllowed {
		t.Errorf("HEAD of what has no GET got %d", r.status)
	}
}

// TestKeysThatAreNone sends keys that are missing, malformed, unknown, altered,
// expired and revoked: the answers are the same bytes (B61, B62).
func TestKeysThatAreNone(t *testing.T) {
	s := newStack(t)
	s.grant(t, "expired", registry.KeySpec{Role: gateway.RoleSteward, Subject: "a", Org: "a", Expires: time.Now().Add(time.Minute)})
	s.grant(t, "revoked", registry.KeySpec{Role: gateway.RoleSteward, Subject: "b", Org: "b"})
	s.want(t, http.StatusOK, getting("expired", "/v1/contracts"))
	s.want(t, http.StatusOK, getting("revoked", "/v1/contracts"))
	s.want(t, http.StatusOK, call{method: "DELETE", path: "/v1/access/keys/" + s.ids["revoked"], who: "operator"})
	s.later.Store(int64(2 * time.Minute))
	police := s.keys["police"]
	last := map[bool]string{true: "1", false: "0"}[strings.HasSuffix(police, "0")]
	first := s.want(t, http.StatusUnauthorized, getting("", "/v1/contracts"))
	if first.header.Get("WWW-Authenticate") == "" {
		t.Error("a 401 says which scheme it wants (RFC 9110 11.6.1)")
	}
	for name, header := range map[string]string{
		"empty": "Bearer ", "word": "Bearer " + canary, "basic": "Basic " + police, "no scheme": police, "doubled": "Bearer " + police + " " + police,
		"altered": "Bearer " + police[:len(police)-1] + last, "cut": "Bearer " + police[:len(police)-1], "huge": "Bearer " + strings.Repeat("k", 12<<10),
		"expired": "Bearer " + s.keys["expired"], "revoked": "Bearer " + s.keys["revoked"], "binary": "Bearer \xff\xfe",
	} {
		r := s.want(t, http.StatusUnauthorized, getting("", "/v1/contracts").with("Authorization", header))
		if r.anonymous() != first.anonymous() || fmt.Sprint(len(r.header)) != fmt.Sprint(len(first.header)) {
			t.Errorf("%s: the answer differs: %s", name, r.body)
		}
	}
	s.want(t, http.StatusOK, getting("", "/v1/contracts").with("Authorization", "bearer "+police))
}

// TestStrangersLearnNothing asks every address with a key of every role: what the
// role may not do is not found, in the same words everywhere.
func TestStrangersLearnNothing(t *testing.T) {
	s := newStack(t)
	everybody := "police steward officer operator researcher"
	question := `{"measure":"children","purpose":"evaluation"}`
	upload := sending("police", "police", small(t, 3))
	for _, route := range []struct {
		call
		may string // who gets another answer than 404
	}{
		{getting("", "/v1/contracts"), everybody},
		{getting("", "/v1/contracts/police"), everybody},
		{getting("", "/v1/contracts/police/template.csv"), everybody},
		{getting("", "/v1/contracts/health"), "steward officer operator researcher"},
		{upload, "police"},
		{getting("", "/v1/batches"), "police steward officer"},
		{getting("", "/v1/releases"), "steward officer researcher"}, // researchers get the approved ones: none
		{posting("", "/v1/releases/demo-1/approval", `{}`), ""},
		{posting("", "/v1/releases/demo-1/cubes/pathways/table", question), ""},
		{getting("", "/v1/releases/demo-1/risk"), ""},
		{posting("", "/v1/releases/demo-1/cells", `{"cell":"","reason":"r"}`), ""},
		{getting("", "/v1/policies"), "steward officer operator"},
		{getting("", "/v1/audit/leaves"), "officer"},
		{getting("", "/v1/audit/checkpoint"), "officer"},
		{getting("", "/v1/access/agencies"), "operator"},
		{posting("", "/v1/access/agencies", `{"agency":"x","contract":"police","regions":["10"],"from":"2023Q1"}`), "operator"},
		{getting("", "/v1/access/keys"), "operator"},
		{posting("", "/v1/access/keys", `{"role":"steward","subject":"y","organisation":"y"}`), "operator"},
		{call{method: "DELETE", path: "/v1/access/keys/" + url.PathEscape(s.ids["other-police"])}, "operator"},
		{posting("", "/v1/releases", `{"definition":"demo","from":"2025Q1","to":"2025Q2"}`), "steward"}, // last: it builds one
	} {
		for who := range strings.FieldsSeq(everybody) {
			route.who = who
			r := s.do(t, route.call)
			if may := strings.Contains(route.may, who); may != (r.status != http.StatusNotFound) {
				t.Errorf("%s %s as %s got %d: %.300s", route.method, route.path, who, r.status, r.body)
			}
		}
	}
}

// TestRoleComesFirst sends what is wrong in every way to addresses that the key's
// role may not use: it hears that there is nothing, and not what was wrong.
func TestRoleComesFirst(t *testing.T) {
	s := newStack(t)
	for _, c := range []call{
		{method: "POST", path: "/v1/contracts/police/batches?%zz", who: "researcher"},
		{method: "POST", path: "/v1/contracts/police/batches?%zz", who: "health"},
		{method: "POST", path: "/v1/contracts/police/batches", who: "steward", header: map[string]string{"Content-Encoding": "br"}},
		posting("police", "/v1/releases", "["), posting("officer", "/v1/releases", "["), posting("police", "/v1/releases", strings.Repeat(" ", 2<<20)),
		posting("police", "/v1/releases/demo-1/cells", "["), posting("researcher", "/v1/releases/demo-1/cells", "["),
		posting("police", "/v1/releases/demo-1/approval", "["), posting("researcher", "/v1/releases/demo-1/approval", "["),
		posting("operator", "/v1/releases/demo-1/cubes/pathways/table", "["), posting("police", "/v1/releases/demo-1/cubes/pathways/table", "["),
		posting("steward", "/v1/access/agencies", "["), posting("officer", "/v1/access/keys", "["),
		getting("steward", "/v1/audit/leaves?from=x"),
		getting("researcher", "/v1/batches?limit=x"), getting("researcher", "/v1/batches?%zz"),
		{method: "DELETE", path: "/v1/releases/demo-1?%zz", who: "researcher"},
	} {
		if r := s.do(t, c); r.status != http.StatusNotFound {
			t.Errorf("%s %s as %s got %d: %.300s", c.method, c.path, c.who, r.status, r.body)
		}
	}
}

// TestWhosePolicies finds in every answer to a key which policies are in force and
// where they come from, and in no other.
func TestWhosePolicies(t *testing.T) {
	s := newStack(t)
	revision := string(must(embedded())(t).Revision())
	for who, want := range map[string]string{"police": revision, "officer": revision, "": ""} {
		for _, path := range []string{"/v1/contracts", "/v1/contracts/police/template.csv", "/v1/batches/b", "/v1/releases", "/v1/audit/checkpoint"} {
			r := s.do(t, getting(who, path))
			if got := r.header.Get("Pana-Policy"); got != want || strings.HasPrefix(r.header.Get("Pana-Policy-Notice"), "the policies in force were signed by officer/officer and steward/steward") != (want != "") {
				t.Errorf("%s as %q says %q", path, who, got)
			}
		}
	}
}

// TestEveryTypeHasItsFile finds a golden file for each type of problem and none
// besides.
func TestEveryTypeHasItsFile(t *testing.T) {
	have := map[string]bool{}
	for _, path := range must(filepath.Glob("testdata/problems/*.json"))(t) {
		have[strings.TrimSuffix(filepath.Base(path), ".json")] = true
	}
	for _, slug := range api.Slugs() {
		if !have[slug] {
			t.Errorf("no golden file for problems of type %s", slug)
		}
		delete(have, slug)
	}
	if len(have) > 0 {
		t.Errorf("golden files of types that do not exist: %v", have)
	}
}
