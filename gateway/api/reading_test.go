package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/registry"
)

func TestContracts(t *testing.T) {
	s := newStack(t)
	var list struct {
		Contracts []struct {
			Contract string
			Version  int
			Title    gateway.Text
			Fields   int
		}
	}
	s.want(t, http.StatusOK, getting("researcher", "/v1/contracts")).decode(t, &list)
	if len(list.Contracts) != 6 || list.Contracts[0].Contract != "police" || list.Contracts[0].Version != 1 || list.Contracts[0].Title.KK == "" {
		t.Errorf("the contracts are %+v", list)
	}
	s.want(t, http.StatusOK, getting("health", "/v1/contracts")).decode(t, &list)
	if len(list.Contracts) != 1 || list.Contracts[0].Contract != "health" {
		t.Errorf("an agency sees %+v", list)
	}
	template := s.want(t, http.StatusOK, getting("police", "/v1/contracts/police/template.csv"))
	header, _, _ := strings.Cut(string(template.body), "\n")
	if template.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(header, "record_id") {
		t.Errorf("the template is %q", template.body)
	}
	// The template is a file that the upload route understands.
	r := s.want(t, http.StatusUnprocessableEntity, sending("police", "police", string(template.body)))
	if p := r.problem(t); p.Errors[0].Code != "NO_RECORDS" {
		t.Errorf("the template is refused as %v", p.Errors)
	}
}

// TestLanguages asks for a contract in languages; titles come in the best one that
// there is.
func TestLanguages(t *testing.T) {
	s := newStack(t)
	c := must(configs.Contracts())(t)[0]
	for accept, want := range map[string]string{
		"": "en", "ru": "ru", "kk-KZ": "kk", "RU-ru": "ru", "de, ru;q=0.5": "ru", "de": "en", "ru;q=0.2, kk;q=0.9": "kk", "kk;q=0, ru;q=0.1": "ru",
		"*": "en", ";;;": "en", "ru;q=x": "en", "en;q=0.1,kk": "kk", "ru, kk": "ru",
	} {
		r := s.want(t, http.StatusOK, getting("police", "/v1/contracts/police").with("Accept-Language", accept))
		if !bytes.Equal(r.body, must(configs.TableSchema(c, want))(t)) {
			t.Errorf("%q does not give titles in %s", accept, want)
		}
	}
}

// TestHead asks for the heads of answers: the same but for the body.
func TestHead(t *testing.T) {
	s := newStack(t)
	for path, want := range map[string]int{"/healthz": 200, "/v1/contracts/police": 200, "/v1/batches": 200, "/v1/batches/x": 404, "/x": 404} {
		get := s.want(t, want, getting("police", path))
		head := s.want(t, want, call{method: http.MethodHead, path: path, who: "police"})
		if len(head.body) > 0 || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %v and %d bytes", path, head.header, len(head.body))
		}
	}
}

func TestHealth(t *testing.T) {
	var failure error
	s := newStack(t, func(p parts) { p.api.Ready = func() error { return failure } })
	s.want(t, http.StatusOK, getting("", "/readyz"))
	failure = errors.New(canary)
	r := s.want(t, http.StatusServiceUnavailable, getting("", "/readyz"))
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.want(t, http.StatusOK, getting("", "/healthz"))
}

// TestRequired leaves out what a handler cannot do without.
func TestRequired(t *testing.T) {
	_, err := api.New(api.Options{})
	if err == nil {
		t.Error("a handler without an exchange was made")
	}
}

const question = "/v1/releases/demo-1/cubes/pathways/table"

// TestRelease goes the way of a release: six uploads, the steward builds, the
// officer reads and approves, the researcher asks, the officer closes it.
func TestRelease(t *testing.T) {
	s := newStack(t)
	for sector, file := range must(country())(t) {
		s.want(t, http.StatusCreated, sending(sector, sector, file))
	}
	r := s.want(t, http.StatusCreated, posting("steward", "/v1/releases", `{"definition":"demo"}`))
	var built gateway.Release
	r.decode(t, &built)
	if built.ID != "demo-1" || built.State != gateway.ReleaseBuilt || r.header.Get("Location") != "/v1/releases/demo-1" {
		t.Fatalf("built %+v at %q", built, r.header.Get("Location"))
	}
	ask := posting("researcher", question, `{"measure":"children","group_by":["region"],"purpose":"evaluation"}`)
	s.want(t, http.StatusNotFound, ask) // not approved yet
	s.want(t, http.StatusNotFound, getting("researcher", "/v1/releases/demo-1"))
	s.approve(t, built)
	t.Run("spellings", s.spellings)
	t.Run("filtered", s.filtered)
	t.Run("media types", s.mediaTypes)
	t.Run("digests of answers", s.logged)
	t.Run("questions that are refused", s.wrongQuestions)
	t.Run("purposes", func(t *testing.T) {
		s.want(t, http.StatusNotFound, posting("researcher", question, `{"measure":"children","purpose":"curiosity"}`))
		s.want(t, http.StatusNotFound, posting("researcher", question, `{"measure":"children"}`))
	})
	t.Run("pages of the ledger", s.ledger)
	s.want(t, http.StatusOK, call{method: "DELETE", path: "/v1/releases/demo-1?reason=over", who: "officer"}).decode(t, &built)
	if built.State != gateway.ReleaseWithdrawn {
		t.Errorf("the closed release is %s", built.State)
	}
	if got := s.do(t, ask).status; got != http.StatusNotFound && got != http.StatusConflict {
		t.Errorf("a closed release answers with %d (B75)", got)
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats what was sent")
	}
}

// approve has the officer approve, after everybody who must not was refused.
func (s *stack) approve(t *testing.T, built gateway.Release) {
	t.Helper()
	var page struct {
		Digest, Page string
		RiskPage     struct {
			Cells  string `json:"cells_digest"`
			Hidden struct{ Cells int }
		} `json:"risk_page"`
	}
	s.want(t, http.StatusOK, getting("officer", "/v1/releases/demo-1/risk")).decode(t, &page)
	if page.Digest != built.Digest || page.Page != built.Page || page.RiskPage.Cells != built.Digest || page.RiskPage.Hidden.Cells < 1000 {
		t.Errorf("the risk page is %+v", page)
	}
	approval := func(who, digest string) call {
		return posting(who, "/v1/releases/demo-1/approval", `{"digest":"`+digest+`","reason":"read"}`)
	}
	s.want(t, http.StatusNotFound, approval("steward", built.Page))
	s.want(t, http.StatusUnprocessableEntity, approval("officer", strings.Repeat("0", 64)))
	s.want(t, http.StatusUnprocessableEntity, approval("officer", built.Digest)) // of the cells
	s.grant(t, "both", registry.KeySpec{Role: gateway.RoleOfficer, Subject: "steward", Org: "org-of-steward"})
	s.want(t, http.StatusForbidden, approval("both", built.Page)).golden(t)
	s.want(t, http.StatusOK, approval("officer", built.Page))
	s.want(t, http.StatusOK, getting("researcher", "/v1/releases/demo-1"))
	s.cell(t)
}

// cell has two officers look at a cell.
func (s *stack) cell(t *testing.T) {
	t.Helper()
	look := func(who, confirm string) call {
		return posting(who, "/v1/releases/demo-1/cells", `{"cell":"region=61","reason":"a complaint"`+confirm+`}`)
	}
	s.want(t, http.StatusNotFound, look("steward", ""))
	if r := s.want(t, http.StatusAccepted, look("officer", "")); strings.Contains(string(r.body), "why") {
		t.Errorf("one officer learns %s", r.body)
	}
	s.want(t, http.StatusForbidden, look("officer", `,"confirm":true`))
	s.grant(t, "second", registry.KeySpec{Role: gateway.RoleOfficer, Subject: "second", Org: "org-of-officer"})
	if r := s.want(t, http.StatusOK, look("second", `,"confirm":true`)); !strings.Contains(string(r.body), `"why":"shown"`) {
		t.Errorf("two officers learn %s", r.body)
	}
}

// spellings asks one question in ten ways: the bytes of the answers are the same
// (disclosure.md 2.2).
func (s *stack) spellings(t *testing.T) {
	var first []byte
	for _, body := range []string{
		`{"measure":"children","group_by":["age_first","sex"],"filter":{"reached":"no"},"purpose":"evaluation"}`,
		`{"measure":"children","group_by":["sex","age_first"],"filter":{"reached":"no"},"purpose":"evaluation"}`,
		`{"measure":"children","group_by":["age_first@band","sex"],"filter":{"reached":"no"},"purpose":"evaluation"}`,
		`{"measure":"children","group_by":["age_first","sex@sex"],"filter":{"reached":"no"},"purpose":"evaluation"}`,
		`{"measure":"children","group_by":["sex@sex","age_first@band"],"filter":{"reached":"no"},"purpose":"evaluation"}`,
		`{"purpose":"evaluation","filter":{"reached":"no"},"group_by":["age_first","sex"],"measure":"children"}`,
		"{\n\t\"measure\": \"children\", \"group_by\": [\"age_first\", \"sex\"], \"filter\": {\"reached\": \"no\"}, \"purpose\": \"evaluation\"\n}\n",
		`{"MEASURE":"children","Group_By":["age_first","sex"],"Filter":{"reached":"no"},"Purpose":"evaluation"}`,
		`{"measure":"\u0063hildren","group_by":["a\u0067e_first","sex"],"filter":{"reached":"\u006eo"},"purpose":"evaluation"}`,
		`{"measure":"children","group_by":["age_first","sex"],"filter":{"r\u0065ached":"no"},"purpose":"evaluation"}`,
	} {
		c := posting("researcher", question, body)
		c.loose = strings.Contains(body, "MEASURE") // in capitals
		r := s.want(t, http.StatusOK, c)
		if first == nil {
			first = r.body
		}
		if !bytes.Equal(r.body, first) {
			t.Errorf("%s is answered otherwise:\n%.400s\n%.400s", body, r.body, first)
		}
	}
}

// filtered gets each cell as a row of a larger table and as one of a filtered
// table: it is the same cell.
func (s *stack) filtered(t *testing.T) {
	ask := func(rest string) (cells map[string]gateway.Cell) {
		var table gateway.Table
		s.want(t, http.StatusOK, posting("researcher", question, `{"measure":"children","purpose":"evaluation",`+rest+`}`)).decode(t, &table)
		cells = map[string]gateway.Cell{}
		for _, cell := range table.Cells {
			cells[strings.Join(cell.Nodes, " ")] = cell
		}
		return cells
	}
	all := ask(`"group_by":["age_first","sex"],"filter":{"reached":"no"}`)
	for _, sex := range []string{"F", "M"} {
		for age, cell := range ask(`"group_by":["age_first"],"filter":{"reached":"no","sex":"` + sex + `"}`) {
			if row := all[age+" "+sex]; row.Status != cell.Status || !cmp.Equal(row.Value, cell.Value) {
				t.Errorf("age %s, sex %s: %v and %v", age, sex, row, cell)
			}
		}
	}
}

// mediaTypes gets one table as JSON and as CSV: they say the same.
func (s *stack) mediaTypes(t *testing.T) {
	ask := posting("researcher", question, `{"measure":"children","group_by":["age_first","sector"],"filter":{"sex":"F"},"purpose":"evaluation"}`)
	var table gateway.Table
	for accept, want := range map[string]string{
		"": "application/json", "*/*": "application/json", "application/json": "application/json", "text/html, */*;q=0.1": "application/json",
		"application/json, text/csv": "application/json", "text/csv": "text/csv; charset=utf-8; header=present",
		"text/html, Text/CSV;q=0.5": "text/csv; charset=utf-8; header=present", "text/csv;q=0.2, application/json;q=0.9": "application/json",
		"application/vnd.sdmx.data+csv; version=2.0.0": "application/vnd.sdmx.data+csv; version=2.0.0; charset=utf-8",
		"application/vnd.sdmx.data+json":               "application/vnd.sdmx.data+json; version=2.1.0",
		"application/vnd.apache.arrow.stream":          "application/vnd.apache.arrow.stream",
	} {
		r := s.want(t, http.StatusOK, ask.with("Accept", accept))
		if got := r.header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q gives %s", accept, got)
		}
	}
	s.want(t, http.StatusNotAcceptable, ask.with("Accept", "image/png")).golden(t)
	// There is no period of DHIS2 for a window of three years.
	s.want(t, http.StatusBadRequest, ask.with("Accept", "application/x.dhis2.datavalueset+json"))
	canonical := s.want(t, http.StatusOK, ask)
	digest := sha256.Sum256(canonical.body)
	canonical.decode(t, &table)
	notice := s.want(t, http.StatusOK, ask).header.Get("Pana-Policy-Notice")
	lines := must(csv.NewReader(bytes.NewReader(s.want(t, http.StatusOK, ask.with("Accept", "text/csv")).body)).ReadAll())(t)
	want := [][]string{{"release", "measure", "age_first", "sector", "status", "value", "variance", "sd", "base", "decision", "policy", "notice", "release_digest", "answer_digest", "proof"}}
	values := 0
	for _, cell := range table.Cells {
		line := append([]string{"demo-1", "children"}, cell.Nodes...)
		if cell.Value == nil {
			line = append(line, string(cell.Status), "", "", "")
		} else {
			values++
			line = append(line, string(cell.Status), strconv.FormatInt(*cell.Value, 10), strconv.FormatFloat(table.Variance, 'g', -1, 64), "")
		}
		want = append(want, append(line, strconv.Itoa(table.Base), table.Decision, string(table.Policy), notice, table.Digest, hex.EncodeToString(digest[:]), "beside this file (header Pana-Evidence); pana audit answer verifies both"))
	}
	if diff := cmp.Diff(want, lines); diff != "" || values == 0 || len(table.Cells) != 4*6 {
		t.Errorf("%d values in %d cells; JSON (-) and CSV (+):\n%s", values, len(table.Cells), diff)
	}
	if !slices.Contains(table.Notes, notice) {
		t.Error("the answer does not say whose policies are in force")
	}
}

// logged finds in the ledger the digest of the very bytes that left, in each media
// type (trust.md 4.2).
func (s *stack) logged(t *testing.T) {
	for _, accept := range []string{"application/json", "text/csv"} {
		r := s.want(t, http.StatusOK, posting("researcher", question, `{"measure":"children","group_by":["sex"],"purpose":"evaluation"}`).with("Accept", accept))
		last := must(s.registry.Size(t.Context()))(t) - 1
		detail := must(s.registry.Detail(t.Context(), last))(t)
		digest := sha256.Sum256(r.body)
		if !strings.Contains(string(detail.Body), hex.EncodeToString(digest[:])) {
			t.Errorf("%s: the ledger has another digest than that of the %d bytes that came", accept, len(r.body))
		}
	}
}

// wrongQuestions are those of trust.md 6.4, B67 to B72; each is in the ledger and
// none is repeated.
func (s *stack) wrongQuestions(t *testing.T) {
	many := map[string]string{}
	for i := range 1000 {
		many["d"+strconv.Itoa(i)] = "x"
	}
	filters := string(must(json.Marshal(many))(t))
	for name, body := range map[string]string{
		"B67 unknown dimension": `"group_by":["` + canary + `"]`, "B67 unknown level": `"group_by":["region@` + canary + `"]`,
		"B67 ten dimensions":   `"group_by":["region","age_first","sex","first_sector","reached","sector","a","b","c","d"]`,
		"B67 dimension twice":  `"group_by":["region","region"]`,
		"B67 five dimensions":  `"group_by":["region","age_first","sex","first_sector","reached"]`,
		"B67 kept apart":       `"group_by":["sector","reached"]`,
		"B68 1,000 filters":    `"filter":` + filters,
		"B70 SQL":              `"filter":{"sex":"' OR 1=1 --` + canary + `"}`,
		"B70 parameter":        `"filter":{"sex":"{x:String}` + canary + `"}`,
		"B70 NUL":              `"filter":{"sex":"\u0000` + canary + `"}`,
		"B70 dimension in SQL": `"filter":{"sex) OR (1=1":"` + canary + `"}`,
		"B71 table":            `"group_by":["system.tables"]`,
		"B72 list":             `"filter":{"sex":"F,M"}`, "B72 not": `"filter":{"sex":"!F"}`, "B72 all": `"filter":{"sex":"*"}`,
		"empty filter": `"filter":{"sex":""}`,
	} {
		r := s.want(t, http.StatusBadRequest, posting("researcher", question, `{"measure":"children",`+body+`,"purpose":"evaluation"}`))
		if r.slug(t) != "invalid" || len(r.body) > 1000 {
			t.Errorf("%s: %.1000s", name, r.body)
		}
	}
	s.want(t, http.StatusBadRequest, posting("researcher", question, `{"measure":"`+canary+`","purpose":"evaluation"}`))
	s.want(t, http.StatusBadRequest, posting("researcher", question, `{"measure":"records","purpose":"evaluation"}`))
	r := s.do(t, posting("researcher", "/v1/releases/demo-1/cubes/"+canary+"/table", `{"measure":"children","purpose":"evaluation"}`))
	if r.status != http.StatusBadRequest && r.status != http.StatusNotFound {
		t.Errorf("an unknown cube got %d", r.status)
	}
}

// ledger reads the ledger page by page.
func (s *stack) ledger(t *testing.T) {
	var page struct {
		Size, From uint64
		Leaves     []json.RawMessage
	}
	s.want(t, http.StatusOK, getting("officer", "/v1/audit/leaves?from=3")).decode(t, &page)
	if page.From != 3 || uint64(len(page.Leaves)) != page.Size-3 {
		t.Errorf("from %d: %d leaves of %d", page.From, len(page.Leaves), page.Size)
	}
	s.want(t, http.StatusOK, getting("officer", "/v1/audit/leaves?from=9223372036854775807")).decode(t, &page)
	if page.Leaves == nil || len(page.Leaves) != 0 {
		t.Errorf("behind the end: %v", page.Leaves)
	}
	note := s.want(t, http.StatusOK, getting("officer", "/v1/audit/checkpoint"))
	if !strings.HasPrefix(string(note.body), "pana/") {
		t.Errorf("the checkpoint is %q", note.body)
	}
}
