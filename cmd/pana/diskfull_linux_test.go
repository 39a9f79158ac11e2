package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
)

// diskRounds is how often TestDiskFull fills the disk: go test ./cmd/pana -run
// TestDiskFull -diskrounds 400 -timeout 2h is the long form.
var diskRounds = flag.Int("diskrounds", 0, "rounds of TestDiskFull; 0 is 24, or 8 in short runs")

// TestDiskFull fills the engine's disk, a real one, when the engine begins a part of a
// batch or of a merge: all but a few pages are taken away, so that each round ends in
// another file. What was acknowledged must be there after a restart (trust.md 6.2, F9).
func TestDiskFull(t *testing.T) {
	k, disk := newDiskCampaign(t, self(t))
	err := k.fillDisk(disk, k.diskRounds(), "tmp_insert", "tmp_merge")
	if err != nil {
		t.Fatalf("%v\n%s", err, k.gateway.output.String())
	}
}

// TestDiskFullFindsUnguardedWrites plants the fault: the engine as its library is. Three
// batches of 49 were lost in such a campaign before there was a guard.
func TestDiskFullFindsUnguardedWrites(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a faulty gateway; the long form runs it")
	}
	faulty := plant(t, "gateway/warehouse/engine/child.go", [2]string{"err = guardWrites(library, handle)", "err = nil"})
	k, disk := newDiskCampaign(t, faulty)
	err := k.fillDisk(disk, 12, "tmp_insert")
	if err == nil {
		t.Fatal("the campaign did not find that batches are lost")
	}
	t.Logf("found: %v", err)
}

func (k *campaign) diskRounds() int {
	switch {
	case *diskRounds > 0:
		return *diskRounds
	case testing.Short():
		return 8
	}
	return 24
}

// newDiskCampaign is a gateway whose engine has a disk of its own.
func newDiskCampaign(t *testing.T, binary string) (*campaign, *enginetest.Disk) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	made := initialise(t, self(t), data)
	disk := enginetest.NewDisk(t, filepath.Join(data, "engine"), 192<<20)
	t.Setenv("PANA_LIMITS_DISK_RESERVE", "1MiB") // so that it is the engine's writes that meet the full disk
	k := &campaign{t: t, gateway: startGateway(t, binary, data), receipts: map[string][]byte{}}
	k.gateway.ready(t)
	k.register(newClient(k.gateway.base(), made.OperatorKey))
	k.records()
	k.lines = k.lines[:200:200]
	return k, disk
}

// fillDisk sends batches while the disk fills up, and the same ones again when there is
// space, and then looks for all of them.
func (k *campaign) fillDisk(disk *enginetest.Disk, rounds int, kinds ...string) error {
	err := k.insistOnNew() // which makes the directories that are watched
	if err != nil {
		return err
	}
	filled, refused, ended := map[string]int{}, 0, 0
	for i := range rounds {
		kind, pages := kinds[i%len(kinds)], i/len(kinds)%24
		k.gateway.ready(k.t)
		engine := k.gateway.enginePid()
		content, key := k.next()
		stop := disk.LeaveAt(k.t, kind, pages)
		receipt, err := k.send(k.t.Context(), key, content, false)
		if kind == "tmp_merge" {
			time.Sleep(time.Second)
		}
		if stop() {
			filled[kind]++
		}
		if k.gateway.enginePid() != engine {
			ended++
		}
		if p, answered := errors.AsType[*problem](err); answered {
			refused++
			if p.Status != http.StatusServiceUnavailable && p.Status != http.StatusInsufficientStorage {
				return fmt.Errorf("%s, %d pages left: status %d", kind, pages, p.Status)
			}
		}
		err = disk.Restore()
		if err == nil && receipt == nil {
			receipt, err = k.insist(key, content)
		}
		if err != nil {
			return fmt.Errorf("%s, %d pages left: the batch is not acknowledged when there is space: %w", kind, pages, err)
		}
		k.receipts[key] = receipt
	}
	k.t.Logf("%d batches: the disk was filled %v, %d batches were refused at first, the engine ended %d times", rounds, filled, refused, ended)
	if filled["tmp_insert"] < rounds/4 {
		k.t.Error("the disk was hardly ever full: the test says little")
	}
	return k.verify()
}

// next makes another batch.
func (k *campaign) next() (content []byte, key string) {
	k.batches++
	return k.file(k.batches), rand.Text()
}

func (k *campaign) insistOnNew() error {
	content, key := k.next()
	receipt, err := k.insist(key, content)
	k.receipts[key] = receipt
	return err
}

// TestDiskReadOnly makes the engine's disk, a real one, read-only in the middle of
// batches, as the kernel does when the device fails. The gateway must refuse while it is
// so, and have everything that it acknowledged afterwards (trust.md 6.2, F11).
func TestDiskReadOnly(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 1
	}
	data := filepath.Join(t.TempDir(), "data")
	made := initialise(t, self(t), data)
	disk := enginetest.NewExt4(t, filepath.Join(data, "engine"), 256<<20)
	t.Setenv("PANA_LIMITS_DISK_RESERVE", "1MiB")
	k := &campaign{t: t, receipts: map[string][]byte{}}
	k.records()
	k.lines = k.lines[:200:200]
	for i := range rounds {
		k.gateway = startGateway(t, self(t), data)
		k.gateway.ready(t)
		if i == 0 {
			k.register(newClient(k.gateway.base(), made.OperatorKey))
		} else {
			k.agency.base = k.gateway.base()
		}
		for range 3 {
			if err := k.insistOnNew(); err != nil {
				t.Fatalf("%v\n%s", err, k.gateway.output.String())
			}
		}
		k.breakDisk(disk, time.Duration(i)*5*time.Millisecond)
		disk.Repair(t)
	}
	k.gateway = startGateway(t, self(t), data)
	k.gateway.ready(t)
	if err := k.verify(); err != nil {
		t.Fatalf("%v\n%s", err, k.gateway.output.String())
	}
}

// breakDisk breaks the disk while a batch is under way, which must not be acknowledged
// unless it was before, and ends the gateway.
func (k *campaign) breakDisk(disk *enginetest.Disk, after time.Duration) {
	k.t.Helper()
	broken := make(chan error, 1)
	go func() {
		time.Sleep(after)
		broken <- disk.Break()
	}()
	content, key := k.next()
	receipt, err := k.send(k.t.Context(), key, content, false)
	k.t.Logf("broken after %v: %v", after, err)
	if err == nil {
		k.receipts[key] = receipt
	}
	if err := <-broken; err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), 5*time.Second)
	defer cancel()
	content, key = k.next()
	if _, err := k.send(ctx, key, content, false); err == nil {
		k.t.Error("a batch was acknowledged on a broken disk")
	}
	if err := k.gateway.stop(9); err != nil {
		k.t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // until the engine has ended too
}
