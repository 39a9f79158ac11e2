package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// answerIn is how long a part may take to show that it is there.
	answerIn = 2 * time.Second
	// healthFor is how long a look at the parts stands: anybody may ask for it, and
	// must not make the engine work by asking.
	healthFor = time.Second
)

// health is what the last look at the parts found.
type health struct {
	mu     sync.Mutex // held while looking, so that one looks and the others wait
	err    error
	looked time.Time
}

// ready says whether the parts that uploads and questions need are there: the
// engine or cluster, the registry with its ledger, and room on the disk.
func (n *node) ready() error {
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	if !n.health.looked.IsZero() && time.Since(n.health.looked) < healthFor {
		return n.health.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerIn)
	defer cancel()
	n.health.err = n.look(ctx)
	n.health.looked = time.Now()
	return n.health.err
}

// look returns what is missing, in words of ours for the log: nothing of a server's
// text.
func (n *node) look(ctx context.Context) error {
	if n.engine != nil {
		select {
		case <-n.engine.Done():
			return errors.New("the engine has ended")
		default:
		}
	}
	err := n.house.Ping(ctx)
	if err != nil {
		return errors.New("the warehouse does not answer")
	}
	// A leaf is written as durably as this; nothing is done without one (trust.md 4.2).
	err = n.registry.Probe(ctx)
	if err != nil {
		return errors.New("the ledger cannot be written")
	}
	if n.witness != nil {
		if err := n.witness.Missing(); err != nil {
			return err
		}
	}
	free, err := n.freeDisk()
	if err != nil {
		return errors.New("the data directory cannot be looked at")
	}
	if free < n.diskReserve() {
		return fmt.Errorf("the disk has %d MiB left, and uploads need %d", free>>20, n.diskReserve()>>20)
	}
	return nil
}
