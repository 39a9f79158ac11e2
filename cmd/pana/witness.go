package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/witness"
)

// openWitnesses asks the configured witnesses before anything else is opened: on
// another history than they know the gateway does not start.
func (n *node) openWitnesses(ctx context.Context, c *cli) error {
	if n.config.Witness.Policy == "" {
		return nil
	}
	policy, err := readPolicy(n.config.Witness.Policy)
	if err != nil {
		return err
	}
	n.witness, err = witness.New(ctx, witness.Options{
		Registry: n.registry, Key: n.keys.Verifier(), Policy: policy, Now: c.now, Log: n.log,
		Every: n.config.Witness.Every, StopAfter: n.config.Witness.StopAfter,
	})
	if err != nil {
		return err
	}
	return n.witness.Begin(ctx)
}

// readPolicy reads a C2SP tlog-policy.
func readPolicy(path string) (*ledger.Policy, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, usageError{errors.New("the witness policy cannot be read: " + path)}
	}
	policy, err := ledger.ParsePolicy(text)
	if err != nil {
		return nil, gateway.Errorf(gateway.Invalid, "%s", err.Error())
	}
	return policy, nil
}

// witnessed is what stops uploads and releases for want of a witness.
func (n *node) witnessed() func() error {
	if n.witness == nil {
		return nil
	}
	return n.witness.Missing
}

// elapsed is a clock that nobody sets: it runs from now on, whatever happens to the
// time of day.
func elapsed() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
