package api_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
)

// FuzzUploadMetadata reads any header: what is accepted says each thing once, and
// written again it is read as the same; what is refused is not repeated.
func FuzzUploadMetadata(f *testing.F) {
	for _, seed := range []string{
		"", "contract cG9saWNl", "contract cG9saWNl,reject cm93cw==", "contract cG9saWNl, contract cG9saWNl", "contract", "contract ,x",
		"contract cG9saWNl,idempotency_key Yjg=,content_digest c2hhLTI1Nj06QUFBQTo=,mapping Og==", "contract cG9saWN\nl", "contract  cG9saWNl",
		"contract cG9saWNl,", ",", " ", "contract cG9saWNl,content_type dGV4dC9jc3Y=,period_from MjAyNS0wMS0wMQ==", "contract cG9saWNl;x eQ==",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h, q, contract, err := api.UploadMetadata(http.Header{"Upload-Metadata": {value}})
		if err != nil {
			if !errors.Is(err, gateway.Invalid) || len(value) > 20 && strings.Contains(err.Error(), value) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		pairs := map[string]string{"contract": string(contract)}
		for key, values := range q {
			if len(values) != 1 {
				t.Fatalf("%d values of one key", len(values))
			}
			pairs[key] = values[0]
		}
		for key, name := range map[string]string{
			"content_type": "Content-Type", "content_encoding": "Content-Encoding", "content_digest": "Content-Digest",
			"idempotency_key": "Idempotency-Key", "mapping": "Pana-Mapping",
		} {
			if values := h.Values(name); len(values) == 1 {
				pairs[key] = values[0]
			} else if len(values) > 1 {
				t.Fatalf("%d values of one header", len(values))
			}
		}
		if n := strings.Count(value, ",") + 1; len(pairs) != n || contract == "" {
			t.Fatalf("%d pairs are read of %d", len(pairs), n)
		}
		_, again, contractAgain, err := api.UploadMetadata(http.Header{"Upload-Metadata": {metadata(pairs)}})
		if err != nil || contractAgain != contract || again.Encode() != q.Encode() {
			t.Fatalf("written again it is another: %v", err)
		}
	})
}

// FuzzUploadChecksum reads any header: what is accepted is a sum of its algorithm's
// length, and written again it is the same header.
func FuzzUploadChecksum(f *testing.F) {
	for _, seed := range []string{
		"", "sha1", "sha1 ", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha256 " + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
		"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu1=", "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\n", "sha1 Kq5s\nNclPz7QV2+lfQIuc6R7oRu0=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		hash, want, err := api.UploadChecksum(http.Header{"Upload-Checksum": {value}})
		if err != nil {
			if !errors.Is(err, gateway.Invalid) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		name := map[int]string{20: "sha1", 32: "sha256"}[len(want)]
		if hash.Size() != len(want) || name+" "+base64.StdEncoding.EncodeToString(want) != value {
			t.Fatalf("a sum of %d bytes is read of a header that is another's", len(want))
		}
	})
}
