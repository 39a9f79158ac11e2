package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pana-exchange/pana/gateway/warehouse/engine"
)

// TestExternalServer has a gateway use a ClickHouse that it did not start: only
// the configuration differs.
func TestExternalServer(t *testing.T) {
	dir := t.TempDir()
	e, err := engine.Start(t.Context(), engine.Options{Dir: filepath.Join(dir, "clickhouse")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop() })
	data := filepath.Join(dir, "data")
	made := initialise(t, self(t), data)
	g := startGatewayWith(t, self(t), data, "--config", externalConfig(t, dir, e))
	g.ready(t)
	r := &canaryRunner{t: t, base: g.base()}
	r.register(made.OperatorKey)
	if status := r.send(file(goodRow()), "reject=batch"); status != http.StatusCreated {
		t.Fatalf("the upload got status %d\n%s", status, g.output.String())
	}
	if g.enginePid() != 0 {
		t.Error("the gateway started an engine of its own")
	}
	err = g.stop(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(filepath.Join(data, "engine"))
	if err == nil {
		t.Error("the gateway made an engine's directory")
	}
}

// externalConfig writes a configuration that names the server and its password
// files.
func externalConfig(t *testing.T, dir string, e *engine.Engine) string {
	t.Helper()
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "clickhouse:\n  addresses: [%q]\n  name: external\n  passwords:\n", e.Addr())
	for _, user := range []engine.User{engine.Admin, engine.Loader, engine.Builder, engine.Reader} {
		path := filepath.Join(dir, string(user)+".password")
		err := os.WriteFile(path, []byte(e.Password(user)+"\n"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&b, "    %s: %q\n", user, path)
	}
	path := filepath.Join(dir, "gateway.yaml")
	err := os.WriteFile(path, []byte(b.String()), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
