package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
)

// memoryBytes is the size of TestMemory's large upload: go test ./cmd/pana -run
// TestMemory -bytes 5e9 -timeout 2h is the law as it is stated.
var memoryBytes = flag.Float64("bytes", 0, "bytes of the large upload of TestMemory; 0 is 200e6, or 100e6 in short runs")

// memoryLimit is what a gateway must do with while it takes an upload of any size
// (trust.md 6.2, F24).
const memoryLimit = 256 << 20

// TestMemory demands that memory does not grow with the upload: the peak of a gateway
// that took a large one is within a tenth of the peak of one that took a hundredth of it
// (trust.md 6.7), and below 256 MiB, which is also the limit of its control group where
// the machine lets us make one. The short forms' small uploads end before the collector
// has its pace, and a quarter is allowed there. The rows are made as they are sent and
// lie nowhere.
func TestMemory(t *testing.T) {
	large, allowed := int64(*memoryBytes), 1.1
	switch {
	case large == 0 && testing.Short():
		large, allowed = 100e6, 1.25
	case large == 0:
		large, allowed = 200e6, 1.25
	}
	small := max(large/100, 20e6)
	// When the collector runs within some seconds is chance, within minutes it is not.
	var low footprint
	for range 3 {
		f := memoryOf(t, small)
		if f.peak > low.peak {
			low = f
		}
	}
	high := memoryOf(t, large)
	t.Logf("the large one peaks %+.1f %% over the small one", 100*(high.peak/low.peak-1))
	if high.peak > allowed*low.peak {
		t.Errorf("memory grows with the upload: %.1f MB against %.1f MB", high.peak/1e6, low.peak/1e6)
	}
	if high.peak > memoryLimit {
		t.Errorf("the gateway took %.1f MB", high.peak/1e6)
	}
}

type footprint struct{ peak, speed float64 }

// memoryOf uploads one batch to a new gateway and returns what the gateway took.
func memoryOf(t *testing.T, size int64) footprint {
	t.Helper()
	t.Setenv("PANA_LIMITS_ROWS", "1000000000")
	k := newCampaign(t, self(t))
	pid := k.gateway.pid()
	confine(t, pid)
	rest := peak(pid)
	hash := sha256.New()
	length, err := io.Copy(hash, k.stream(size))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		k.agency.base+"/v1/contracts/police/batches?period_from=2023-01-01&period_to=2025-12-31", k.stream(size))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = length
	request.Header.Set("Content-Type", "text/csv")
	request.Header.Set("Idempotency-Key", rand.Text())
	request.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(hash.Sum(nil))+":")
	begun := time.Now()
	answer, err := k.agency.do(request)
	if err != nil {
		t.Fatalf("%v\n%s", err, k.gateway.output.String())
	}
	took := time.Since(begun)
	if k.gateway.pid() != pid {
		t.Fatal("the gateway did not live through the upload")
	}
	var receipt gateway.Receipt
	err = json.Unmarshal(answer, &receipt)
	if err != nil {
		t.Fatal(err)
	}
	f := footprint{float64(peak(pid)), float64(receipt.Stored) / took.Seconds()}
	t.Logf("an upload of %d MB peaks at %.1f MB, of which %.1f are the program's own at rest; %.0f rows/s", length/1e6, f.peak/1e6, float64(rest)/1e6, f.speed)
	err = k.gateway.stop(syscall.SIGTERM)
	if err != nil {
		t.Fatal(err)
	}
	err = os.RemoveAll(k.gateway.data) // two of a large file need not lie there at once
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A rowStream makes rows as they are read: the campaign's records again and again,
// each time under other record ids.
type rowStream struct {
	block []byte
	ids   []int // where in the block each record's id lies
	next  uint64
	ready []byte // of the block, or of the header
	left  int64  // bytes until no block follows
}

const streamID = "r0000000000000000"

func (k *campaign) stream(size int64) io.Reader {
	s := &rowStream{ready: k.header, left: size}
	for _, line := range k.lines {
		_, rest, _ := bytes.Cut(line, []byte(",")) // record_id is the first column
		s.ids = append(s.ids, len(s.block)+1)
		s.block = append(append(s.block, streamID+","...), rest...)
	}
	return s
}

func (s *rowStream) Read(p []byte) (int, error) {
	if len(s.ready) == 0 {
		if s.left <= 0 {
			return 0, io.EOF
		}
		for _, at := range s.ids {
			s.next++
			copy(s.block[at:], fmt.Sprintf("%016x", s.next))
		}
		s.ready = s.block
	}
	n := copy(p, s.ready)
	s.ready, s.left = s.ready[n:], s.left-int64(n)
	return n, nil
}

// confine puts a process into a control group of its own with little memory, where
// that is allowed: whoever takes more is killed.
func confine(t *testing.T, pid int) {
	t.Helper()
	for root, limit := range map[string]string{"/sys/fs/cgroup": "memory.max", "/sys/fs/cgroup/memory": "memory.limit_in_bytes"} {
		group := filepath.Join(root, "pana-test-"+strconv.Itoa(pid))
		if os.Mkdir(group, 0o700) != nil {
			continue
		}
		write := func(name, value string) error { return os.WriteFile(filepath.Join(group, name), []byte(value), 0o600) }
		_, err := os.Stat(filepath.Join(group, limit))
		if err == nil {
			err = errors.Join(write(limit, strconv.Itoa(memoryLimit)), write("cgroup.procs", strconv.Itoa(pid)))
		}
		t.Cleanup(func() { _ = os.Remove(group) }) // the process has ended by then
		if err == nil {
			t.Logf("process %d may take no more than %d MiB", pid, memoryLimit>>20)
			return
		}
		_ = os.Remove(group)
	}
	t.Log("no control group for memory can be made here; only the peak is measured")
}
