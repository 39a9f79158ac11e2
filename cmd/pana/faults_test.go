package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// faults is how many faults TestFaults injects: go test ./cmd/pana -run TestFaults
// -faults 500 -timeout 2h is the long form.
var faults = flag.Int("faults", 0, "faults that TestFaults injects; 0 is 60, or 9 in short runs")

// TestFaults kills the gateway, its engine and both at random moments of uploads,
// stops the gateway for a while, asks it to end, breaks connections before the answer
// and delivers batches twice at once, and then finds every acknowledged batch exactly
// once, and nothing else (loading.md 3.1, trust.md 6.2 F1-F4, F12-F14, F29).
func TestFaults(t *testing.T) {
	n := *faults
	switch {
	case n == 0 && testing.Short():
		n = 9
	case n == 0:
		n = 60
	}
	k := newCampaign(t, self(t))
	err := k.run(n, max(10*time.Minute, time.Duration(n)*8*time.Second))
	if err != nil {
		t.Fatalf("%v\n%s", err, k.gateway.output.String())
	}
	t.Logf("%v; %d uploads under way meanwhile, %d answers thrown away, %d batches delivered twice at once, %d batches acknowledged, %d retries",
		k.injected, k.midway, k.dropped.Load(), k.doubled.Load(), len(k.receipts), k.retries.Load())
	total := 0
	for _, times := range k.injected {
		total += times
	}
	if total < n || len(k.receipts) < n/3 {
		t.Errorf("only %d faults and %d batches: the campaign says little", total, len(k.receipts))
	}
}

// TestFaultsFindAReusedLoad plants the fault of which exactly-once loading dies: a
// retry that uses its load id again adopts what a killed attempt left behind. The
// campaign must find it: a batch that is never accepted, because the verification
// sees more rows than were sent. Two campaigns found it at batches 19 and 40 of about
// 180, so one in some hundreds would not.
func TestFaultsFindAReusedLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a faulty gateway; the long form runs it")
	}
	faulty := plant(t, "gateway/registry/batch.go",
		[2]string{"load := gateway.LoadID(binary.BigEndian.Uint64(random))", `load := gateway.LoadID(binary.BigEndian.Uint64(random))
	if old.attempt > 0 {
		load = old.load
	}`},
		[2]string{"INSERT INTO load (id", "INSERT OR REPLACE INTO load (id"})
	k := newCampaign(t, faulty)
	k.faults = processFaults[:2] // the ones after which an attempt is repeated
	err := k.run(50, 90*time.Second)
	if err == nil {
		t.Fatal("the campaign did not find that a load id is used again")
	}
	t.Logf("found: %v", err)
}

// A campaign uploads batches of its own making while it kills what takes them.
type campaign struct {
	t       *testing.T
	gateway *gatewayProcess
	agency  *client
	header  []byte
	lines   [][]byte // records, each with "@" where the batch's name goes
	flying  atomic.Int64
	retries atomic.Int64

	dropped atomic.Int64 // answers that nobody read
	doubled atomic.Int64 // batches that were sent twice at once

	batches  int            // made by tests that make them one by one
	faults   []fault        // that take turns
	injected map[string]int // faults, by name
	midway   int            // uploads under way when a fault came

	mu       sync.Mutex // guards receipts
	receipts map[string][]byte
}

func newCampaign(t *testing.T, binary string) *campaign {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	made := initialise(t, self(t), data)
	k := &campaign{t: t, gateway: startGateway(t, binary, data), receipts: map[string][]byte{}, faults: processFaults, injected: map[string]int{}}
	k.gateway.ready(t)
	k.register(newClient(k.gateway.base(), made.OperatorKey))
	k.records()
	return k
}

func (k *campaign) register(operator *client) {
	k.t.Helper()
	err := operator.call(k.t.Context(), "POST", "/v1/access/agencies", exchange.Agency{
		ID: "agency-police", Contract: "police", Regions: []string{"61"}, From: "2023Q1",
	}, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	var key exchange.KeySpec
	err = operator.call(k.t.Context(), "POST", "/v1/access/keys", exchange.KeySpec{Role: gateway.RoleAgency, Agency: "agency-police"}, &key)
	if err != nil {
		k.t.Fatal(err)
	}
	k.agency = newClient(k.gateway.base(), key.Token)
}

// records makes the police's file of a small country once.
func (k *campaign) records() {
	k.t.Helper()
	country, err := newCountry(synth.Options{Children: 12000, Seed: 7})
	if err != nil {
		k.t.Fatal(err)
	}
	var police bytes.Buffer
	err = country.Write(func(id gateway.ContractID) (io.Writer, error) {
		if id == "police" {
			return &police, nil
		}
		return io.Discard, nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	all := bytes.SplitAfter(police.Bytes(), []byte("\n"))
	k.header, k.lines = all[0], all[1:len(all)-1]
}

// file is the content of batch number i: the same records under record ids of
// their own, so that no two batches are the same.
func (k *campaign) file(i int) []byte {
	var b bytes.Buffer
	b.Write(k.header)
	for n, line := range k.lines {
		_, rest, _ := bytes.Cut(line, []byte(",")) // record_id is the first column
		_, _ = fmt.Fprintf(&b, "batch-%d-%d,", i, n)
		b.Write(rest)
	}
	return b.Bytes()
}

// run uploads with three clients until there were enough kills, lets every upload
// come to its end, and checks what is stored.
func (k *campaign) run(kills int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(k.t.Context(), limit)
	defer cancel()
	enough := make(chan struct{})
	failed := make(chan error, 3)
	var clients sync.WaitGroup
	var next atomic.Int64
	for range cap(failed) {
		clients.Go(func() {
			for {
				err := k.upload(ctx, int(next.Add(1)))
				if err != nil {
					failed <- err
					return
				}
				select {
				case <-enough:
					return
				default:
				}
			}
		})
	}
	k.kill(ctx, kills)
	close(enough)
	clients.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	return k.verify()
}

// verify ends the gateway and looks at what it left, by fsck and by comparing it with
// what was acknowledged.
func (k *campaign) verify() error {
	err := k.gateway.stop(syscall.SIGTERM)
	if err != nil {
		return err
	}
	out, err := command(self(k.t), "fsck", "--data", k.gateway.data).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fsck: %w\n%s", err, out)
	}
	return k.check()
}

// A fault is one thing that goes wrong with the processes.
type fault struct {
	name   string
	inject func(*campaign) bool
}

// processFaults take turns. Connections that break and batches that come twice are
// the clients' doing, see upload.
var processFaults = []fault{
	{"gateway killed", func(k *campaign) bool { return strike(k.gateway.pid(), syscall.SIGKILL) }},
	{"engine killed", func(k *campaign) bool { return strike(k.gateway.enginePid(), syscall.SIGKILL) }},
	{"both killed", func(k *campaign) bool {
		engine := k.gateway.enginePid()
		return strike(k.gateway.pid(), syscall.SIGKILL) && strike(engine, syscall.SIGKILL)
	}},
	{"gateway stopped for a second", func(k *campaign) bool { return pause(k.gateway.pid()) }},
	{"engine stopped for a second", func(k *campaign) bool { return pause(k.gateway.enginePid()) }},
	{"gateway asked to end", func(k *campaign) bool { return strike(k.gateway.pid(), syscall.SIGTERM) }},
}

func strike(pid int, s syscall.Signal) bool { return pid > 0 && syscall.Kill(pid, s) == nil }

func pause(pid int) bool {
	if !strike(pid, syscall.SIGSTOP) {
		return false
	}
	time.Sleep(time.Second)
	return strike(pid, syscall.SIGCONT)
}

// kill injects faults at random moments while uploads are under way.
func (k *campaign) kill(ctx context.Context, n int) {
	for i := 0; i < n && ctx.Err() == nil; {
		time.Sleep(time.Duration(20+mathrand.IntN(1000)) * time.Millisecond)
		if k.flying.Load() == 0 {
			continue
		}
		f := k.faults[i%len(k.faults)]
		if !f.inject(k) {
			continue
		}
		k.injected[f.name]++
		k.midway += int(k.flying.Load())
		i++
		k.awaitReady(ctx)
	}
}

func (k *campaign) awaitReady(ctx context.Context) {
	time.Sleep(50 * time.Millisecond) // so that it is not the dying one that answers
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_ = newClient(k.gateway.base(), "").waitReady(ctx) // a gateway that does not come back shows in the uploads
}

// upload sends a batch until it is acknowledged, and once more afterwards: the
// receipt must be the same bytes.
func (k *campaign) upload(ctx context.Context, i int) error {
	content, key := k.file(i), rand.Text()
	var first []byte
	switch i % 4 {
	case 1:
		k.throwAway(ctx, key, content)
	case 2:
		k.doubled.Add(1)
		var twin sync.WaitGroup
		twin.Go(func() { _, _ = k.send(ctx, key, content, true) })
		defer twin.Wait()
	}
	for first == nil {
		receipt, err := k.send(ctx, key, content, true)
		if ctx.Err() != nil {
			return fmt.Errorf("batch %d was not accepted in time: %w", i, errors.Join(err, ctx.Err()))
		}
		if err != nil {
			k.retries.Add(1)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		first = receipt
	}
	k.mu.Lock()
	k.receipts[key] = first
	k.mu.Unlock()
	for ctx.Err() == nil {
		again, err := k.send(ctx, key, content, false)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if !bytes.Equal(again, first) {
			return fmt.Errorf("batch %d was acknowledged with two receipts", i)
		}
		return nil
	}
	return fmt.Errorf("batch %d could not be sent again: %w", i, ctx.Err())
}

// throwAway sends a batch and breaks the connection a moment after the last byte:
// the gateway may have accepted it, and the client cannot know.
func (k *campaign) throwAway(ctx context.Context, key string, content []byte) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body := &ending{r: bytes.NewReader(content), after: func() {
		time.AfterFunc(time.Duration(mathrand.IntN(150))*time.Millisecond, cancel)
	}}
	request, err := k.request(ctx, key, content, body)
	if err != nil {
		return
	}
	_, err = k.agency.do(request)
	if err != nil {
		k.dropped.Add(1)
	}
}

// ending says when its end was read.
type ending struct {
	r     io.Reader
	after func()
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil {
		e.after()
	}
	return n, err
}

// send uploads once; slowly, so that there is time to be killed in.
func (k *campaign) send(ctx context.Context, key string, content []byte, slowly bool) ([]byte, error) {
	var body io.Reader = bytes.NewReader(content)
	if slowly {
		k.flying.Add(1)
		defer k.flying.Add(-1)
		body = &trickle{r: body}
	}
	request, err := k.request(ctx, key, content, body)
	if err != nil {
		return nil, err
	}
	return k.agency.do(request)
}

// insist sends a batch until it is acknowledged.
func (k *campaign) insist(key string, content []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for {
		receipt, err := k.send(ctx, key, content, false)
		if err == nil || ctx.Err() != nil {
			return receipt, err
		}
		k.retries.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
}

func (k *campaign) request(ctx context.Context, key string, content []byte, body io.Reader) (*http.Request, error) {
	digest := sha256.Sum256(content)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		k.agency.base+"/v1/contracts/police/batches?period_from=2023-01-01&period_to=2025-12-31", body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = int64(len(content))
	request.Header.Set("Content-Type", "text/csv")
	request.Header.Set("Idempotency-Key", key)
	request.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":")
	return request, nil
}

// trickle reads slowly: what a transport asks for at once, 32 KiB or so, and a
// short sleep.
type trickle struct{ r io.Reader }

func (t *trickle) Read(p []byte) (int, error) {
	time.Sleep(3 * time.Millisecond)
	return t.r.Read(p)
}

// check opens what the campaign left and compares: each receipt has one visible
// load with exactly its rows, and no other load is visible.
func (k *campaign) check() (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(k.t.Context()), time.Minute)
	defer cancel()
	contracts, err := configs.Contracts()
	if err != nil {
		return err
	}
	c := &cli{in: bytes.NewReader(nil), out: io.Discard, err: io.Discard, now: time.Now}
	p := pathsOf(k.gateway.data)
	keys, err := openKeyring(p.keyring, p.identity)
	if err != nil {
		return err
	}
	reg, err := openRegistry(ctx, p, keys, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	e, err := engine.Start(ctx, engine.Options{Dir: p.engine})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	house, err := warehouse.Open(ctx, warehouse.Options{
		Addresses: []string{e.Addr()}, Password: func(user string) string { return e.Password(engine.User(user)) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	err = house.Prepare(ctx, contracts)
	if err != nil {
		return err
	}
	_, err = reg.Verify(ctx)
	if err != nil {
		return err
	}
	batches, err := reg.Batches(ctx, "agency-police")
	if err != nil {
		return err
	}
	snapshot, err := reg.Snapshot(ctx)
	if err != nil {
		return err
	}
	visible, err := house.Visible(ctx, "police", warehouse.Snapshot{Seq: snapshot})
	if err != nil {
		return err
	}
	stored, err := house.Loads(ctx, "police")
	if err != nil {
		return err
	}
	return k.compare(batches, visible, stored)
}

func (k *campaign) compare(batches []gateway.Batch, visible []gateway.LoadID, stored map[gateway.LoadID]warehouse.Sums) error {
	acknowledged := map[gateway.BatchID]gateway.Receipt{}
	for _, bytes := range k.receipts {
		var r gateway.Receipt
		err := json.Unmarshal(bytes, &r)
		if err != nil {
			return err
		}
		acknowledged[r.Batch] = r
	}
	if len(acknowledged) != len(k.receipts) {
		return fmt.Errorf("%d receipts name %d batches", len(k.receipts), len(acknowledged))
	}
	byLoad := map[gateway.LoadID]gateway.Batch{}
	for _, b := range batches {
		if b.State == gateway.BatchPublished {
			byLoad[b.Load] = b
		}
	}
	if len(byLoad) != len(acknowledged) || len(visible) != len(acknowledged) {
		return fmt.Errorf("%d batches acknowledged, %d published, %d loads visible", len(acknowledged), len(byLoad), len(visible))
	}
	for _, load := range visible {
		b, known := byLoad[load]
		r, sent := acknowledged[b.ID]
		if !known || !sent || stored[load].Rows != uint64(r.Stored) || r.Stored != len(k.lines) {
			return fmt.Errorf("batch %s: acknowledged %t with %d rows, %d of %d are visible", b.ID, sent, r.Stored, stored[load].Rows, len(k.lines))
		}
	}
	return nil
}
