package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/go-chi/chi/v5"

	"github.com/pana-exchange/pana/gateway/api"
)

// A spec is the document as a client has it, in the strict reading of these tests:
// what it does not name is not there.
type spec struct {
	doc    *openapi3.T
	router routers.Router
}

var described = sync.OnceValues(func() (*spec, error) {
	body, err := api.OpenAPI()
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(body)
	if err != nil {
		return nil, err
	}
	err = doc.Validate(loader.Context)
	if err != nil {
		return nil, err
	}
	closed := false
	for _, s := range doc.Components.Schemas {
		s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
	}
	for _, s := range doc.Paths.Map() { // it is a real host's, of any name
		s.Servers = nil
	}
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	return &spec{doc, router}, err
})

// TestOpenAPIRoutes finds each route of the gateway in the document, and nothing else.
func TestOpenAPIRoutes(t *testing.T) {
	s := newStack(t)
	routes, isChi := s.handler.(chi.Routes)
	if !isChi {
		t.Fatal("the handler is not chi's")
	}
	var have, want []string
	err := chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		for from, to := range map[string]string{"/log/tile/entries/*": "/log/tile/entries/{index}", "/log/tile/*": "/log/tile/{level}/{index}"} {
			if route == from {
				route = to
				break
			}
		}
		have = append(have, method+" "+strings.TrimSuffix(route, "/"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := must(described())(t).doc
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			want = append(want, method+" "+path)
			if operation.OperationID == "" || operation.Summary == "" || len(operation.Tags) != 1 {
				t.Errorf("%s %s lacks a name, a summary or a tag", method, path)
			}
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	for _, route := range have {
		if !slices.Contains(want, route) {
			t.Errorf("the document lacks %s", route)
		}
	}
	for _, route := range want {
		if !slices.Contains(have, route) {
			t.Errorf("there is no %s", route)
		}
	}
	// It is served to anybody, and is the very document.
	r := s.want(t, http.StatusOK, getting("", "/openapi.json"))
	if body := must(api.OpenAPI())(t); !bytes.Equal(r.body, body) || doc.OpenAPI != "3.1.0" {
		t.Error("another document is served")
	}
}

// conforms holds an exchange to the document: every answer, and every request that was
// taken, but for a loose one.
func (s *spec) conforms(request *http.Request, sent []byte, r reply, loose bool) error {
	method := request.Method
	if method == http.MethodHead && !strings.HasPrefix(request.URL.Path, "/v1/uploads/") {
		method = http.MethodGet // chi answers HEAD by the handler of GET
	}
	finding := request.Clone(request.Context())
	finding.Method = method
	finding.URL = &url.URL{Path: request.URL.Path, RawPath: request.URL.RawPath, RawQuery: request.URL.RawQuery}
	route, parameters, err := s.router.FindRoute(finding)
	if err != nil {
		if slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest}, r.status) || strings.HasPrefix(request.URL.Path, "/log/tile/") {
			return nil
		}
		return fmt.Errorf("an address that the document does not have got %d", r.status)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if r.status < http.StatusBadRequest && !loose {
		request.Body = io.NopCloser(bytes.NewReader(sent))
		err = openapi3filter.ValidateRequest(context.Background(), input)
		if err != nil {
			return fmt.Errorf("a request that is taken is not of the document: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: r.status, Header: r.header, Options: input.Options,
		Body: io.NopCloser(bytes.NewReader(r.body)),
	})
}

// TestOpenAPIRefuses shows that the document can be failed: by a member that it does
// not have or lacks, another media type, another status and a header that is missing.
func TestOpenAPIRefuses(t *testing.T) {
	s := must(described())(t)
	ask := func(body string) *http.Request {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/releases/demo-1/cubes/c/table", strings.NewReader(body)))(t)
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	const question, table = `{"measure":"children"}`, `{"release":"demo-1","cube":"c","question":"","measure":"children","dimensions":null,
		"cells":[{"nodes":["F"],"status":"value","value":5}],"variance":50,"base":5,"bottom_code":0,"digest":"","ptables":"","policy":"","decision":""}`
	good := func() reply {
		return reply{http.StatusOK, http.Header{"Content-Type": {"application/json"}, "Pana-Evidence": {":e30=:"}}, []byte(table)}
	}
	if err := s.conforms(ask(question), []byte(question), good(), false); err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]func(sent *string, r *reply){
		"another member": func(_ *string, r *reply) {
			r.body = bytes.Replace(r.body, []byte(`"cube"`), []byte(`"raw":1,"cube"`), 1)
		},
		"a text":          func(_ *string, r *reply) { r.body = bytes.Replace(r.body, []byte(`:50`), []byte(`:"50"`), 1) },
		"a cell's member": func(_ *string, r *reply) { r.body = bytes.Replace(r.body, []byte(`"value":5`), []byte(`"count":5`), 1) },
		"a member less":   func(_ *string, r *reply) { r.body = bytes.Replace(r.body, []byte(`"digest":"",`), nil, 1) },
		"media type":      func(_ *string, r *reply) { r.header.Set("Content-Type", "text/html") },
		"no evidence":     func(_ *string, r *reply) { r.header.Del("Pana-Evidence") },
		"status":          func(_ *string, r *reply) { r.status = http.StatusAccepted },
		"a problem":       func(_ *string, r *reply) { r.status, r.body = http.StatusTeapot, []byte(`{}`) },
		"a question":      func(sent *string, _ *reply) { *sent = `{"measure":"children","sql":"1"}` },
	} {
		sent, r := question, good()
		fault(&sent, &r)
		if err := s.conforms(ask(sent), []byte(sent), r, false); err == nil {
			t.Errorf("%s: nothing is refused", name)
		}
	}
}

// hold fails a test whose exchange is not of the document.
func (r reply) hold(t *testing.T, c call, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), c.method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.header {
		request.Header.Set(name, value)
	}
	err = must(described())(t).conforms(request, []byte(c.content), r, c.loose)
	if failed, ok := errors.AsType[*openapi3filter.ResponseError](err); ok && failed.Err != nil {
		err = failed.Err
	}
	if err != nil {
		t.Errorf("%s %s, %d: %.2000v", c.method, c.path, r.status, err)
	}
}

// TestOpenAPIWords looks for each schema that an address uses, and each that none does.
func TestOpenAPIWords(t *testing.T) {
	body := must(api.OpenAPI())(t)
	var doc struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	must(0, json.Unmarshal(body, &doc))(t)
	for name := range doc.Components.Schemas {
		if !bytes.Contains(body, []byte(`"#/components/schemas/`+name+`"`)) {
			t.Errorf("nothing uses %s", name)
		}
	}
	if len(doc.Components.Schemas) < 40 {
		t.Errorf("%d schemas", len(doc.Components.Schemas))
	}
}
