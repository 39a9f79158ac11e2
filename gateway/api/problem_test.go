package api_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pana-exchange/pana/gateway/api"
)

// TestEveryLimitIsListed finds in the list of problem types every limit that the
// packages below name in a refusal.
func TestEveryLimitIsListed(t *testing.T) {
	named := regexp.MustCompile(`(?:busy\(|Limit = |Limit: +)"([a-z-]+)"`)
	found := map[string]bool{}
	for _, pattern := range []string{"*.go", "../exchange/*.go", "../inbox/*.go", "../../pipelines/*.go"} {
		for _, path := range must(filepath.Glob(pattern))(t) {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			for _, m := range named.FindAllStringSubmatch(string(must(os.ReadFile(path))(t)), -1) {
				found[m[1]] = true
			}
		}
	}
	if !found["rotation"] || !found["inbox"] {
		t.Fatalf("not found where they are: %v", found)
	}
	for limit := range found {
		if !slices.Contains(api.Slugs(), "limit-"+limit) {
			t.Errorf("problems of type limit-%s are sent and not listed", limit)
		}
	}
}
