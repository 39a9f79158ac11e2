package main

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// An init that was stopped after any of its steps can be repeated, and keeps what it
// made before; one that came to its end cannot.
func TestStoppedInit(t *testing.T) {
	c := &cli{now: time.Now, out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	for done := range 4 {
		dir := t.TempDir() + "/data"
		err := os.Mkdir(dir, 0o700)
		if err != nil {
			t.Fatal(err)
		}
		p := pathsOf(dir)
		verifier := ""
		if done > 0 {
			keys, err := initKeyring(p, "ministry", "", sealing{})
			if err != nil {
				t.Fatal(err)
			}
			verifier = keys.VerifierKey()
			if done > 1 {
				reg, err := openRegistry(t.Context(), p, keys, c)
				if err != nil {
					t.Fatal(err)
				}
				if done > 2 {
					err = reg.Seal(t.Context(), keys.Epoch(), keys.KCV())
				}
				if err := errors.Join(err, reg.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
		made, err := initKeys(t.Context(), dir, "ministry", "", sealing{}, c)
		if err != nil || made.OperatorKey == "" || verifier != "" && made.LedgerKey != verifier {
			t.Fatalf("after %d steps: %v", done, err)
		}
		_, err = initKeys(t.Context(), dir, "ministry", "", sealing{}, c)
		if !errors.Is(err, gateway.Conflict) {
			t.Errorf("after all steps: %v", err)
		}
	}
}
