package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// everyCall is the long form of TestFaultsAtCalls: go test ./cmd/pana -run
// TestFaultsAtCalls -every -timeout 2h.
var (
	everyCall = flag.Bool("every", false, "TestFaultsAtCalls meddles with every call, not with some drawn at random")
	callOnly  = flag.String("callfault", "", "only the faults of TestFaultsAtCalls whose names hold this")
	callSeed  = flag.Uint64("callseed", 0, "seed of what TestFaultsAtCalls draws; 0 is a new one")
)

// callFaults are what happens at a system call that changes what is durable, while a
// batch is loaded (trust.md 6.2: F6 and F7 kill, F8 and F10 fail one).
var callFaults = []callFault{
	{name: "gateway killed"},
	{name: "engine killed", engine: true},
	{name: "gateway: EIO", errno: syscall.EIO},
	{name: "gateway: ENOSPC", errno: syscall.ENOSPC},
	{name: "engine: EIO", engine: true, errno: syscall.EIO},
	{name: "engine: ENOSPC", engine: true, errno: syscall.ENOSPC},
}

type callFault struct {
	name   string
	engine bool
	errno  syscall.Errno // 0: the process is killed
}

// TestFaultsAtCalls meddles with the calls by which the gateway and its engine make a
// batch durable, one batch for each call. Each batch must be acknowledged in the end,
// be there exactly once, and its canary nowhere.
func TestFaultsAtCalls(t *testing.T) {
	seed := *callSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-callseed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	k := newCampaign(t, self(t))
	k.plantCanary()
	for _, f := range callFaults {
		if !strings.Contains(f.name, *callOnly) {
			continue
		}
		calls := k.meddleWith(f, 0).Calls
		points := 2
		if *everyCall {
			points = 3 * calls // or until there is no such call
		}
		hit := map[string]int{}
		for n := 1; n <= points; n++ {
			at := n
			if !*everyCall {
				at = 1 + random.IntN(calls)
			}
			result := k.meddleWith(f, at)
			if result.Hit == "" && *everyCall {
				break
			}
			hit[result.Hit]++
		}
		t.Logf("%s: %d calls in an undisturbed batch; meddled with %v", f.name, calls, hit)
	}
	k.clean()
}

// meddleWith sends a batch, has a fault at one of its calls, and sends the batch again
// until it is acknowledged.
func (k *campaign) meddleWith(f callFault, at int) meddled {
	k.t.Helper()
	k.gateway.ready(k.t)
	m := meddler{Pid: k.gateway.pid(), Below: k.gateway.data, Not: filepath.Join(k.gateway.data, "engine"), At: at, Errno: int(f.errno)}
	if f.engine {
		m.Pid, m.Below, m.Not = k.gateway.enginePid(), m.Not, ""
	}
	gateway := k.gateway.pid()
	k.batches++
	content, key := k.file(k.batches), rand.Text()
	end := m.start(k.t)
	receipt, err := k.send(k.t.Context(), key, content, false)
	result := end()
	what := fmt.Sprintf("%s at call %d (%s %s)", f.name, at, result.Hit, result.Path)
	switch p, answered := errors.AsType[*problem](err); {
	case result.Hit == "" && err != nil:
		k.t.Fatalf("%s: without a fault: %v\n%s", what, err, k.gateway.output.String())
	case answered && p.Status != http.StatusServiceUnavailable:
		k.t.Errorf("%s: status %d", what, p.Status)
	case f.errno != 0 && !f.engine && k.gateway.pid() != gateway:
		k.t.Errorf("%s: the gateway ended", what)
	}
	again, err := k.insist(key, content)
	if err != nil || receipt != nil && !bytes.Equal(receipt, again) {
		k.t.Fatalf("%s: the batch is not acknowledged, or twice: %v\n%s", what, err, k.gateway.output.String())
	}
	k.receipts[key] = again
	if f.engine {
		time.Sleep(200 * time.Millisecond) // a background write may have ended it just now
	}
	return result
}

// plantCanary makes the campaign's batches small, with the canary in each.
func (k *campaign) plantCanary() {
	row := goodRow()
	var cells []string
	for column := range strings.SplitSeq(strings.TrimSpace(string(k.header)), ",") {
		cells = append(cells, row[column])
	}
	k.lines = append(k.lines[:200:200], []byte(strings.Join(cells, ",")+"\n"))
}

// clean demands what every fault must leave: each acknowledged batch once, a ledger
// that verifies, and no canary in any file or in what was printed.
func (k *campaign) clean() {
	k.t.Helper()
	err := k.verify()
	if err != nil {
		k.t.Fatalf("%v\n%s", err, k.gateway.output.String())
	}
	found := append(leaks("output", []byte(k.gateway.output.String())), leaksInFiles(k.t, k.gateway.data)...)
	if len(found) > 0 {
		k.t.Errorf("canaries: %v", found)
	}
	k.t.Logf("%d batches acknowledged, %d retries", len(k.receipts), k.retries.Load())
}
