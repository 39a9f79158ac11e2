package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// Whatever a gateway says of where an upload lies, the pieces and the key go to that
// gateway alone, and to nothing but an upload.
func TestUploadsGoWhereTheyShould(t *testing.T) {
	for location, good := range map[string]bool{
		"/v1/uploads/ABC234": true, "": false, "/v1/uploads/": false, "@other.example/v1/uploads/a": false, ".other.example/v1/uploads/a": false,
		"/v1/access/keys": false, "/v1/uploads/../access/keys": false, "/v1/uploads/a?b": false, "/v1/uploads/%2e%2e/keys": false,
		"//other.example/v1/uploads/a": false, "/v1/uploads/a/batch": false,
	} {
		var asked []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method+" "+r.URL.Path)
			if len(asked) == 1 {
				w.Header().Set("Location", location)
				w.Header().Set("Upload-Offset", "0")
				w.WriteHeader(http.StatusCreated)
				return
			}
			w.WriteHeader(http.StatusForbidden)
		}))
		defer server.Close()
		dir := t.TempDir()
		key, file := filepath.Join(dir, "key"), filepath.Join(dir, "file.csv")
		for path, text := range map[string]string{key: "pana_test_x", file: "a,b\n1,2\n"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, _, code := uploadRun(t.Context(), server.URL, key, file, "--resume", "--wait", "0s")
		if code == 0 || len(asked) == 0 || (len(asked) > 1) != good {
			t.Errorf("location %q: asked for %v", location, asked)
		}
	}
}
