package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
)

// packed is an upload in an envelope.
func packed(t *testing.T, coding, text string) call {
	t.Helper()
	var b bytes.Buffer
	switch coding {
	case "gzip":
		w := gzip.NewWriter(&b)
		_ = must(w.Write([]byte(text)))(t)
		_ = w.Close()
	case "zstd":
		w := must(zstd.NewWriter(&b))(t)
		_ = must(w.Write([]byte(text)))(t)
		_ = w.Close()
	}
	return sending("police", "police", b.String()).with("Content-Encoding", coding)
}

// lines is an upload of one line of JSON.
func lines(cells map[string]any, more ...string) call {
	all := map[string]any{}
	for name, value := range record() {
		all[name] = value
	}
	maps.Copy(all, cells)
	text, _ := json.Marshal(all)
	return sending("police", "police", string(text)+"\n"+strings.Join(more, "")).with("Content-Type", "application/x-ndjson")
}

// contents are the entries of trust.md 6.4 about what a batch holds: B39 to
// B60. A slug of "" stands for a batch that is accepted.
func contents(t *testing.T) []refusal {
	t.Helper()
	police := func(change map[string]string) call { return sending("police", "police", table(change)) }
	one := table(map[string]string{})
	cell := func(name, value string) call { return police(map[string]string{name: value}) }
	gz := packed(t, "gzip", one)
	again := func(body string) call {
		return sending("police", "police", body).with("Content-Encoding", "gzip")
	}
	flipped := []byte(gz.content)
	flipped[len(flipped)-6] ^= 1
	head := func(name string) call {
		return sending("police", "police", name+","+strings.Replace(one, "\n", "\nx,", 1))
	}
	list := []refusal{
		{"not gzip", again(one), 400, "invalid"},
		{"B39 not UTF-8", cell("child_family_name", canary+"\xff"), 400, "unreadable-file"},
		{"B40 two marks", sending("police", "police", "\ufeff\ufeff"+one), 400, "unreadable-file"},
		{"B41 NUL in an id", cell("record_id", canary+"\x00"), 400, "unreadable-file"},
		{"B43 check digit", cell("child_iin", "120823590908"), 422, "refused-batch"},
		{"B47 id of 4 KiB", cell("record_id", strings.Repeat("x", 4096)), 422, "refused-batch"},
		{"B48 id doubled", head("record_id"), 400, "unreadable-file"},
		{"B48 id missing", sending("police", "police", strings.Replace(one, "record_id", canary, 1)), 400, "unreadable-file"},
		{"B49 unknown column", head(canary), 400, "unreadable-file"},
		{"B50 free text", head("narrative"), 400, "unreadable-file"},
		{"B51 a number in the region", cell("residence_kato", "943476591"), 422, "refused-batch"},
		{"B55 doubled record", sending("police", "police", table(map[string]string{}, map[string]string{})), 422, "refused-batch"},
		{"B56 formula", cell("legal_qualification", "=cmd|'"+canary), 422, "refused-batch"},
		{"B57 open quote", cell("child_family_name", `"`+canary), 400, "unreadable-file"},
		{"B59 key twice", lines(nil, `{"record_id":"`+canary+`","record_id":"2"}`), 400, "unreadable-file"},
		{"B59 nested", lines(map[string]any{"record_id": []string{canary}}), 400, "unreadable-file"},
		{"B59 deeply nested", lines(nil, `{"record_id":`+strings.Repeat("[", 10000)), 400, "unreadable-file"},
		{"B59 1e400", lines(nil, `{"record_id":1e400}`), 400, "unreadable-file"},
		{"B59 -0", lines(nil, `{"record_id":-0}`), 400, "unreadable-file"},
		{"B59 half a pair", lines(nil, `{"record_id":"\ud800`+canary+`"}`), 400, "unreadable-file"},
		{"a workbook as CSV", sending("police", "police", "PK\x03\x04"+canary), 400, "unreadable-file"},
		{"KOI8-R", sending("police", "police", table(map[string]string{"child_family_name": "\xeb\xc1\xc9\xd2\xcf\xd7\xc1"})).with("Content-Type", "text/csv"), 400, "unreadable-file"},
		{"not the charset that was said", cell("child_family_name", "\xcaи"), 400, "unreadable-file"},
		{"a workbook that is none", police(nil).with("Content-Type", workbookType), 400, "unreadable-file"},
		{"a workbook cut off", sending("police", "police", "PK\x03\x04"+canary).with("Content-Type", workbookType), 400, "unreadable-file"},
		{"mapping that is none", police(nil).with("Pana-Mapping", canary), 400, "invalid"},
		{"mapping of no field", police(nil).with("Pana-Mapping", ":eyJjb2x1bW5zIjp7ImEiOiJiIn19:"), 400, "invalid"},
		{"separator that is none", police(nil).at(batchesPath + "&separator=" + canary), 400, "invalid"},
	}
	for _, id := range []string{"   ", "", "NULL", "-", "0000000000", "unknown"} {
		list = append(list, refusal{"B42 id " + id, cell("record_id", id), 422, "refused-batch"})
	}
	for _, id := range []string{"Р-１２", "P\u00a01", "P\u200d1", "P\u200f1", "ﬁle"} {
		list = append(list, refusal{"B44 B46 id " + id, cell("record_id", id), 422, "refused-batch"})
	}
	for _, day := range []string{"0000-00-00", "9999-12-31", "2024-02-30", "1899-12-31", "03/04/2025", "31.04.2025", "45000"} {
		list = append(list, refusal{"B52 " + day, cell("report_date", day), 422, "refused-batch"})
	}
	for _, days := range []string{"-1", "256", "17.5", "1e3", "12 ", "1 000", "1,5"} {
		list = append(list, refusal{"B53 B54 " + days, sending("education", "education", absent(t, days)), 422, "refused-batch"})
	}
	return list
}

const workbookType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// absent is a file of one school with a number of days.
func absent(t *testing.T, days string) string {
	t.Helper()
	rows := must(csv.NewReader(strings.NewReader(must(country())(t)["education"])).ReadAll())(t)[:2]
	i := slices.Index(rows[0], "days_absent_30d")
	if i < 0 {
		t.Fatal("the schools' file has no days of absence")
	}
	rows[1][i] = days
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows)
	return b.String()
}

const batchesPath = "/v1/contracts/police/batches" + period

// TestContents sends each: the status and the problem's type are those of the
// catalogue, nothing changes, and nothing of the body is repeated.
func TestContents(t *testing.T) {
	s := newStack(t, func(p parts) { p.api.Limits = api.Limits{BodyBytes: 1 << 20} })
	before := s.state(t)
	for _, c := range append(contents(t), parquetContents(t)...) {
		t.Run(c.name, func(t *testing.T) {
			r := s.do(t, c.call)
			if r.status != c.status || r.slug(t) != c.slug {
				t.Errorf("got %d %s, want %d %s: %.600s", r.status, r.slug(t), c.status, c.slug, r.body)
			}
			if bytes.Contains(r.body, []byte(canary)) {
				t.Error("the answer repeats what was sent")
			}
		})
	}
	if s.state(t) != before {
		t.Error("a refused batch changed something")
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats what was sent")
	}
}

// The same records in any dialect are stored; the receipt says how they were read.
func TestDialectsAreAcceptedAndReported(t *testing.T) {
	s := newStack(t)
	semicolons := func(id string) string {
		return strings.ReplaceAll(table(map[string]string{"record_id": id, "child_family_name": "ИВАНОВА", "report_date": "01.08.2025"}), ",", ";")
	}
	windows := func(text string) string {
		return strings.NewReplacer("ИВАНОВА", "\xc8\xc2\xc0\xcd\xce\xc2\xc0").Replace(text)
	}
	for name, c := range map[string]struct {
		call call
		want gateway.Dialect
	}{
		"B40 one mark": {
			sending("police", "police", "\ufeff"+table(map[string]string{"record_id": "1"})),
			gateway.Dialect{Format: "csv", Encoding: "utf-8", BOM: true, Separator: "comma", Lines: "LF", Dates: []string{"YYYY-MM-DD"}},
		},
		"Windows-1251": {
			sending("police", "police", windows(semicolons("2"))).with("Content-Type", "text/csv"),
			gateway.Dialect{Format: "csv", Encoding: "windows-1251", Separator: "semicolon", Lines: "LF", Dates: []string{"DD.MM.YYYY", "YYYY-MM-DD"}},
		},
		"B58 CR": {
			sending("police", "police", strings.ReplaceAll(semicolons("3"), "\n", "\r")),
			gateway.Dialect{Format: "csv", Encoding: "utf-8", Separator: "semicolon", Lines: "CR", Dates: []string{"DD.MM.YYYY", "YYYY-MM-DD"}},
		},
		"gzip": {
			packed(t, "gzip", table(map[string]string{"record_id": "4"})),
			gateway.Dialect{Format: "csv", Compression: "gzip", Encoding: "utf-8", Separator: "comma", Lines: "LF", Dates: []string{"YYYY-MM-DD"}},
		},
		"NDJSON": {
			lines(map[string]any{"record_id": "5"}), gateway.Dialect{Format: "ndjson", Encoding: "utf-8", Dates: []string{"YYYY-MM-DD"}},
		},
	} {
		var receipt gateway.Receipt
		s.want(t, http.StatusCreated, c.call).decode(t, &receipt)
		got := *receipt.Report.ReadAs
		columns := got.Columns
		got.Columns = nil
		if !equalDialects(got, c.want) || receipt.Stored != 1 || len(columns) != len(record()) {
			t.Errorf("%s: %+v, %d columns", name, got, len(columns))
		}
	}
}

func equalDialects(a, b gateway.Dialect) bool {
	sameDates := slices.Equal(a.Dates, b.Dates)
	a.Dates, b.Dates = nil, nil
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return sameDates && bytes.Equal(x, y)
}

// A mapping comes with the batch, and its digest is in the receipt.
func TestMappingComesWithTheBatch(t *testing.T) {
	s := newStack(t)
	text := strings.Replace(table(map[string]string{"child_sex": "муж"}), "record_id", "Номер дела", 1)
	m := gateway.Mapping{
		Columns: map[string]gateway.FieldName{"номер дела": "record_id"}, Codes: map[gateway.FieldName]map[string]string{"child_sex": {"муж": "M"}},
	}
	header := must(json.Marshal(m))(t)
	c := sending("police", "police", text)
	s.want(t, http.StatusBadRequest, c)
	var receipt gateway.Receipt
	s.want(t, http.StatusCreated, c.with("Pana-Mapping", ":"+base64.StdEncoding.EncodeToString(header)+":")).decode(t, &receipt)
	sum := sha256.Sum256(header)
	if got := receipt.Report.ReadAs.Mapping; got != hex.EncodeToString(sum[:]) || receipt.Stored != 1 {
		t.Errorf("the receipt has the mapping %q and %d records", got, receipt.Stored)
	}
}
