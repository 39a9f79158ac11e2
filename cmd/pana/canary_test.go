package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
)

// The canaries: values that a record of one child holds, and that nothing but the
// uploaded file itself may hold (trust.md 6.5).
var canaries = map[string]string{
	"iin":           "120823590909",
	"birth date":    "2012-08-23",
	"family name":   "Канарейкина",
	"given name":    "Zolotinka-Қанат",
	"patronymic":    "Кенарьқызы",
	"record id":     "canary/record#4711",
	"narrative":     "the canary sang at the window on a Tuesday",
	"referral key":  "canary-slip-90210",
	"wrong in code": "canary-in-a-code",
	"header":        "canary_column_871231300019",
	"query":         "canary-in-a-query",
}

// forms are the shapes in which a canary may leak: by the name of the shape.
func forms(canary string) map[string][]byte {
	raw := []byte(canary)
	sum, md := sha256.Sum256(raw), md5.Sum(raw)
	reversed := slices.Clone(raw)
	slices.Reverse(reversed)
	escaped := strings.Trim(strconv.QuoteToASCII(canary), `"`)
	f := map[string][]byte{
		"plain": raw, "reversed": reversed, "hex": []byte(hex.EncodeToString(raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(raw))),
		"URL": []byte(url.QueryEscape(canary)), "path": []byte(url.PathEscape(canary)), "JSON": []byte(escaped),
		"SHA-256": sum[:], "SHA-256 in hex": []byte(hex.EncodeToString(sum[:])), "SHA-256 in base64": []byte(base64.StdEncoding.EncodeToString(sum[:])),
		"MD5": md[:], "MD5 in hex": []byte(hex.EncodeToString(md[:])),
	}
	// Base64 of a text that holds the canary at any of three alignments: the
	// characters that depend on the canary alone.
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		from, to := (shift*8+5)/6, (shift+len(raw))*8/6
		f[fmt.Sprintf("base64 at %d", shift)] = []byte(encoded[from:to])
	}
	return f
}

// leaks returns where a canary is found.
func leaks(where string, content []byte) []string {
	var found []string
	for name, canary := range canaries {
		for form, shape := range forms(canary) {
			if bytes.Contains(content, shape) {
				found = append(found, fmt.Sprintf("%s: the %s, %s", where, name, form))
			}
		}
	}
	return found
}

func TestFormsAreFound(t *testing.T) {
	for name, canary := range canaries {
		for form, shape := range forms(canary) {
			if len(shape) < 8 {
				t.Errorf("%s, %s: %d bytes could be chance", name, form, len(shape))
			}
		}
		for shift := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary + "y"))
			if len(leaks("text", []byte(text))) == 0 {
				t.Errorf("%s is not found in base64 at %d", name, shift)
			}
		}
	}
}

// TestCanary sends records and faults of every kind, kills the gateway in the
// middle of an upload, and looks for what they held in everything that the run
// produced: files, logs, answers, crash output.
func TestCanary(t *testing.T) {
	found := canaryRun(t, self(t))
	for _, leak := range found {
		t.Error(leak)
	}
}

// TestCanaryFindsALeak plants a leak and sees the canary found.
func TestCanaryFindsALeak(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a faulty gateway; the long form runs it")
	}
	faulty := plant(t, "gateway/exchange/upload.go", [2]string{
		"reader, err := pipelines.Open(ctx, io.TeeReader(l.upload.Body, l.hash), pipelines.Options{",
		`pr, pw := io.Pipe()
	go func() {
		b := make([]byte, 4096)
		n, _ := pr.Read(b)
		l.x.Log.Info(string(b[:n]))
		_, _ = io.Copy(io.Discard, pr)
	}()
	reader, err := pipelines.Open(ctx, io.TeeReader(l.upload.Body, io.MultiWriter(l.hash, pw)), pipelines.Options{`,
	})
	if len(canaryRun(t, faulty)) == 0 {
		t.Fatal("a record in the log was not found")
	}
}

func canaryRun(t *testing.T, binary string) []string {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(temp, "tmp"))
	t.Setenv("GOTRACEBACK", "all")
	err := os.Mkdir(filepath.Join(temp, "tmp"), 0o700)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(temp, "data")
	made := initialise(t, self(t), data)
	g := startGateway(t, binary, data)
	g.ready(t)
	r := &canaryRunner{t: t, base: g.base()}
	r.register(made.OperatorKey)
	r.sendAll()
	r.sendPieces()
	r.crash(g)
	err = g.stop(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	r.found = append(r.found, leaks("output", []byte(g.output.String()))...)
	return append(r.found, leaksInFiles(t, temp)...)
}

// leaksInFiles looks into every file below a directory: registry, ledger, parts of
// the engine, temporary files.
func leaksInFiles(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		found = append(found, leaks(path, content)...)
		return nil
	})
	if err != nil || files < 10 {
		t.Fatalf("looked into %d files: %v", files, err)
	}
	return found
}

type canaryRunner struct {
	t     *testing.T
	base  string
	key   string
	found []string
}

func (r *canaryRunner) register(operator string) {
	r.t.Helper()
	cl := newClient(r.base, operator)
	err := cl.call(r.t.Context(), "POST", "/v1/access/agencies", exchange.Agency{ID: "agency-police", Contract: "police", Regions: []string{"61"}, From: "2023Q1"}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	var key exchange.KeySpec
	err = cl.call(r.t.Context(), "POST", "/v1/access/keys", exchange.KeySpec{Role: gateway.RoleAgency, Agency: "agency-police"}, &key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.key = key.Token
}

// goodRow is a record that is accepted, of the canary child.
func goodRow() map[string]string {
	return map[string]string{
		"record_id": canaries["record id"], "child_iin": canaries["iin"], "child_birth_date": canaries["birth date"], "child_sex": "M",
		"child_family_name": canaries["family name"], "child_given_name": canaries["given name"], "child_patronymic": canaries["patronymic"],
		"residence_kato": "611010000", "report_date": "2025-08-01", "event_type": "REPORT", "violence_type": "02",
		"report_channel": "102", "legal_qualification": "UK-110", "legal_basis": "LAW",
		"referred_to": "social", "referral_date": "2025-08-02", "referral_key": canaries["referral key"],
	}
}

func file(rows ...map[string]string) []byte {
	columns := map[string]bool{}
	for _, row := range rows {
		for column := range row {
			columns[column] = true
		}
	}
	var b bytes.Buffer
	names := make([]string, 0, len(columns))
	for name := range columns {
		names = append(names, name)
	}
	slices.Sort(names)
	b.WriteString(strings.Join(names, ",") + "\n")
	for _, row := range rows {
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = row[name]
		}
		b.WriteString(strings.Join(cells, ",") + "\n")
	}
	return b.Bytes()
}

func with(row map[string]string, column, value string) map[string]string {
	changed := map[string]string{column: value}
	for k, v := range row {
		if k != column {
			changed[k] = v
		}
	}
	return changed
}

func (r *canaryRunner) sendAll() {
	r.t.Helper()
	good := goodRow()
	if status := r.send(file(good), "reject=batch"); status != http.StatusCreated {
		r.t.Fatalf("the good file got status %d", status)
	}
	for column := range good {
		for _, value := range []string{canaries["wrong in code"], canaries["iin"], canaries["narrative"], canaries["family name"], ""} {
			r.send(file(with(good, column, value)), "reject=rows")
		}
	}
	whole := file(good)
	for _, broken := range [][]byte{
		file(with(good, "narrative", canaries["narrative"])),
		file(with(good, canaries["header"], "x")),
		append(bytes.Clone(whole), []byte(`"`+canaries["narrative"])...),
		append(bytes.Clone(whole), []byte(canaries["iin"]+"\x00,\xff\xfe\n")...),
		[]byte(canaries["narrative"]), []byte(canaries["iin"] + "\n" + canaries["iin"] + "\n"),
		bytes.Replace(whole, []byte("\n"), []byte("\n"+canaries["iin"]+"\n"), 1),
		bytes.TrimSuffix(whole, []byte("\n")), whole[:len(whole)-20],
	} {
		r.send(broken, "reject=batch")
	}
	q := url.QueryEscape(canaries["query"])
	r.send(whole, "reject="+q)
	r.send(whole, q+"="+q)
	for _, path := range []string{"/v1/contracts/" + q, "/v1/batches/" + q, "/v1/releases/" + q, "/" + q, "/v1/audit/leaves?from=" + q} {
		r.do("GET", path, nil, r.key)
	}
	question, _ := json.Marshal(map[string]any{"measure": canaries["query"], "filter": map[string]string{canaries["query"]: canaries["iin"]}})
	r.do("POST", "/v1/releases/demo-1/cubes/"+q+"/table", question, r.key)
	r.do("POST", "/v1/releases", []byte(`{"`+canaries["query"]+`":1}`), r.key)
	r.do("GET", "/v1/batches", nil, canaries["query"])
}

func (r *canaryRunner) send(content []byte, query string) int {
	r.t.Helper()
	digest := sha256.Sum256(content)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost,
		r.base+"/v1/contracts/police/batches?period_from=2025-07-01&period_to=2025-09-30&"+query, bytes.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/csv")
	request.Header.Set("Idempotency-Key", rand.Text())
	request.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	return r.answer(request, r.key)
}

func (r *canaryRunner) do(method, path string, body []byte, key string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	r.answer(request, key)
}

// answer looks for canaries in the answer, its headers included.
func (r *canaryRunner) answer(request *http.Request, key string) int {
	r.t.Helper()
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	headers, _ := json.Marshal(response.Header)
	r.found = append(r.found, leaks(fmt.Sprintf("answer %d to %s", response.StatusCode, request.Method), append(body, headers...))...)
	return response.StatusCode
}

// crash aborts the gateway in the middle of an upload, with the canary in its
// memory; what it prints as it dies is part of its output.
func (r *canaryRunner) crash(g *gatewayProcess) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	content := file(goodRow())
	body := io.MultiReader(bytes.NewReader(content), &trickle{endless{}})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		r.base+"/v1/contracts/police/batches?period_from=2025-07-01&period_to=2025-09-30", body)
	if err != nil {
		r.t.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	request.Header.Set("Content-Type", "text/csv")
	request.Header.Set("Authorization", "Bearer "+r.key)
	request.Header.Set("Idempotency-Key", rand.Text())
	request.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
	}()
	time.Sleep(500 * time.Millisecond)
	pid := g.pid()
	err = syscall.Kill(pid, syscall.SIGABRT)
	if err != nil {
		r.t.Fatal(err)
	}
	<-ended
	g.ready(r.t)
	if !strings.Contains(g.output.String(), "SIGABRT") {
		r.t.Error("the gateway did not say that it was aborted")
	}
}

// endless is a body of empty lines.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '\n'
	}
	return len(p), nil
}
