package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
)

// FuzzIdempotencyKey: what is accepted means itself, plain and in quotes.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{"a", `"a"`, `""`, `"`, `"a`, `a"b`, "\\", "a b", "ы", strings.Repeat("k", 255), strings.Repeat("k", 256), ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := api.IdempotencyKey(http.Header{"Idempotency-Key": {header}})
		if err != nil {
			return
		}
		if key == "" || len(key) > 255 {
			t.Fatalf("accepted a key of %d bytes", len(key))
		}
		for _, again := range []string{key, `"` + key + `"`} {
			got, err := api.IdempotencyKey(http.Header{"Idempotency-Key": {again}})
			if err != nil || got != key {
				t.Fatalf("%q was accepted as %q, and %q is %q, %v", header, key, again, got, err)
			}
		}
		_, err = api.IdempotencyKey(http.Header{"Idempotency-Key": {header, header}})
		if err == nil {
			t.Fatal("accepted two headers")
		}
	})
}

// FuzzContentDigest: what is accepted has one canonical spelling, which is
// accepted as the same, and which is part of what was sent.
func FuzzContentDigest(f *testing.F) {
	one := "sha-256=:" + strings.Repeat("A", 43) + "=:"
	for _, seed := range []string{one, one + "," + one, "md5=:AAAA:, " + one, " " + one + " ", "sha-256=:AAAA:", "sha-256", "", "SHA-256" + one[7:], "sha-512=:,:," + one} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		digest, err := api.ContentDigest(http.Header{"Content-Digest": {header}})
		if err != nil {
			return
		}
		canonical := "sha-256=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":"
		again, err := api.ContentDigest(http.Header{"Content-Digest": {canonical}})
		if err != nil || again != digest || strings.Count(header, canonical) != 1 {
			t.Fatalf("%q was accepted as %s, %v", header, canonical, err)
		}
	})
}

// FuzzManifest: what is accepted can be written again and read as the same.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{
		"period_from=2025-01-01&period_to=2025-03-31", "period_from=2025-01-01&period_to=2025-01-01&reject=rows&kind=original",
		"period_from=2025-02-30&period_to=2025-03-31", "period_from=2025-01-01", "reject=x", "x=y", "period_from=2025-01-01&period_from=2025-01-01",
		"period_from=0000-01-01&period_to=9999-12-31", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		m, err := api.Manifest(q)
		if err != nil {
			return
		}
		if m.PeriodTo < m.PeriodFrom || m.Kind != gateway.Original || (m.Reject != gateway.RejectBatch && m.Reject != gateway.RejectRows) {
			t.Fatalf("accepted %+v", m)
		}
		again, err := api.Manifest(url.Values{
			"period_from": {m.PeriodFrom.String()}, "period_to": {m.PeriodTo.String()}, "kind": {string(m.Kind)}, "reject": {string(m.Reject)},
		})
		if err != nil || again != m {
			t.Fatalf("%q was accepted as %+v, which is read as %+v, %v", query, m, again, err)
		}
	})
}

// FuzzDecode: a body that is accepted says the same when it is written again, and
// says it with each name once.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"measure":"children","group_by":["a"],"filter":{"b":"c"}}`, `{"filter":{"a":"b","a":"c"}}`, `{"measure":"a","Measure":"b"}`,
		`{}}`, `{}{}`, `null`, `[]`, `{"group_by":null}`, `{"x":1}`, `{"filter":{"` + "\ufffd" + `":"` + "\xff" + `"}}`,
	} {
		f.Add([]byte(seed))
	}
	type question struct {
		Measure string            `json:"measure"`
		GroupBy []string          `json:"group_by"`
		Filter  map[string]string `json:"filter"`
	}
	read := func(body string) (q question, err error) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		err = api.Decode(r, &q)
		return q, err
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := read(string(body))
		if err != nil {
			return
		}
		text, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(string(text))
		if err != nil || !reflect.DeepEqual(q, again) {
			t.Fatalf("%q was accepted as %s, which is read as %+v, %v", body, text, again, err)
		}
	})
}

// FuzzLanguage: whatever is sent, the language is one that contracts have.
func FuzzLanguage(f *testing.F) {
	for _, seed := range []string{"", "ru", "kk-KZ;q=0.5, en", ";q=", "ru;q=NaN, kk", "ru;q=Inf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header["Accept-Language"] = []string{header}
		switch api.Language(r) {
		case "en", "kk", "ru":
		default:
			t.Fatalf("%q gives %q", header, api.Language(r))
		}
	})
}
