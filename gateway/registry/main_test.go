package registry

import (
	"flag"
	"os"
	"testing"
)

// TestMain becomes the victim of TestKill when it is asked to, and otherwise runs
// the tests, with fewer random sequences than rapid's own 100 unless told.
func TestMain(m *testing.M) {
	if path := os.Getenv("PANA_REGISTRY_VICTIM"); path != "" {
		victim(path)
	}
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("30")
	}
	os.Exit(m.Run())
}
