package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/api"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// rotationKills is how often TestRotationKilled kills:
// go test ./cmd/pana -run RotationKilled -rotation-kills 200 -timeout 2h is the long form.
var rotationKills = flag.Int("rotation-kills", 0, "kills of TestRotationKilled; 0 is 8, or 3 in short runs")

// Whenever a gateway is killed while it rotates keys, all pids are under the old key
// afterwards, or all are under the new one: each is what that key makes of the same
// child, every row that was accepted is there, fsck finds nothing, and the next rotation
// goes on from there (trust.md 5.3).
func TestRotationKilled(t *testing.T) {
	n := *rotationKills
	switch {
	case n == 0 && testing.Short():
		n = 3
	case n == 0:
		n = 8
	}
	r := newRotations(t)
	whole := r.measure()
	outcomes := map[string]int{}
	if err := r.verify(); err != nil {
		t.Fatal(err)
	}
	flip := whole / 4 // when the new key comes in force, as far as the kills have told
	for i := range n {
		delay := time.Duration(float64(flip) * (0.5 + mathrand.Float64()))
		anywhere := i%3 == 2 // in the erasure after the flip too, which takes most of the time, and a little beyond
		if anywhere {
			delay = time.Duration(float64(whole) * 1.2 * mathrand.Float64())
		}
		epoch := r.kill(delay)
		switch epoch {
		case r.epoch:
			outcomes["old key"]++
			if !anywhere {
				flip *= 2
			}
		case r.epoch + 1:
			outcomes["new key"]++
			if !anywhere {
				flip /= 2
			}
		default:
			t.Fatalf("after a kill at %v epoch %d is in force, %d was before", delay, epoch, r.epoch)
		}
		r.epoch = epoch
		if err := r.verify(); err != nil {
			t.Fatalf("after kill %d, at %v of %v: %v\n%s", i, delay, whole, err, r.gateway.output.String())
		}
	}
	t.Logf("%d kills within rotations of %v: %v", n, whole, outcomes)
	if !testing.Short() && (outcomes["old key"] == 0 || outcomes["new key"] == 0) {
		t.Errorf("the kills missed a side of the flip: %v", outcomes)
	}
	r.start()
	r.measure() // a rotation goes through after all that, and sweeps what was left
	if err := r.verify(); err != nil {
		t.Fatal(err)
	}
	out, err := command(self(t), "fsck", "--data", r.gateway.data).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(" 0 findings")) {
		t.Fatalf("fsck at the end: %v\n%s", err, out)
	}
}

// rotations are a gateway with some batches, whose keys are rotated, and what was stored
// at first.
type rotations struct {
	*campaign
	flags  map[string]string // a key file, by role
	pids   map[[16]byte]int  // rows by pid, as they were verified last
	under  int               // the epoch that these are of
	rows   int
	epoch  int // in force
	newest int
	oldest int // that is not destroyed
}

func newRotations(t *testing.T) *rotations {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	made := initialise(t, self(t), data)
	k := &campaign{t: t, gateway: startGateway(t, self(t), data), receipts: map[string][]byte{}}
	k.gateway.ready(t)
	operator := newClient(k.gateway.base(), made.OperatorKey)
	k.register(operator)
	k.records()
	r := &rotations{campaign: k, flags: map[string]string{}, under: 1, epoch: 1, newest: 1, oldest: 1}
	for _, role := range []gateway.Role{gateway.RoleOfficer, gateway.RoleOperator} {
		key := exchange.KeySpec{Role: role, Subject: "demo-" + string(role), Org: "of-" + string(role)}
		if err := operator.call(t.Context(), "POST", "/v1/access/keys", key, &key); err != nil {
			t.Fatal(err)
		}
		r.flags[string(role)] = filepath.Join(t.TempDir(), string(role)+".key")
		if err := os.WriteFile(r.flags[string(role)], []byte(key.Token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		receipt, err := k.send(t.Context(), "batch-"+strconv.Itoa(i), k.file(i), false)
		if err != nil {
			t.Fatal(err)
		}
		k.receipts[strconv.Itoa(i)] = receipt
	}
	r.rows = len(k.receipts) * len(k.lines)
	r.stop()
	state, err := r.look()
	if err != nil {
		t.Fatal(err)
	}
	r.pids = state.pids
	r.start()
	return r
}

func (r *rotations) start() {
	r.t.Helper()
	r.gateway = startGateway(r.t, r.gateway.binary, r.gateway.data)
	r.gateway.ready(r.t)
}

func (r *rotations) stop() {
	r.t.Helper()
	if err := r.gateway.stop(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
}

// pana runs a command as a role, as somebody types it.
func (r *rotations) pana(role string, args ...string) {
	r.t.Helper()
	out, err := command(r.gateway.binary, append(args, "--gateway", r.gateway.base(), "--key-file", r.flags[role])...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// signed makes the next key, proposes to rotate to it, and has two people sign.
func (r *rotations) signed() string {
	r.t.Helper()
	if r.newest == r.epoch {
		for ; r.oldest < r.epoch; r.oldest++ { // a keyring holds few keys
			r.pana("operator", "keys", "destroy", "--epoch", strconv.Itoa(r.oldest), "--proposal", r.agreed(registry.DestroyKey, r.oldest))
		}
		r.pana("operator", "keys", "new-epoch")
		r.newest++
	}
	return r.agreed(registry.RotateKeys, r.newest)
}

// agreed is a proposal that two people signed.
func (r *rotations) agreed(action registry.KeyAction, epoch int) string {
	r.t.Helper()
	var p api.KeyProposal
	err := r.client("operator").call(r.t.Context(), "POST", "/v1/keys/proposals", api.KeyRequest{Action: action, Epoch: epoch, Reason: "a test"}, &p)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, who := range []string{"officer", "operator"} {
		r.pana(who, "policy", "approve", p.ID, "--key", filepath.Join(r.gateway.data, "signers", who), "--reason", "read")
	}
	return p.ID
}

func (r *rotations) client(role string) *client {
	r.t.Helper()
	key, err := os.ReadFile(r.flags[role])
	if err != nil {
		r.t.Fatal(err)
	}
	return newClient(r.gateway.base(), string(key))
}

// measure is how long a rotation takes, with the erasure after it. It ends the gateway.
func (r *rotations) measure() time.Duration {
	r.t.Helper()
	proposal := r.signed()
	begun := time.Now()
	r.pana("operator", "keys", "rotate", "--proposal", proposal)
	took := time.Since(begun)
	r.epoch++
	r.stop()
	return took
}

// kill begins a rotation, kills the gateway and its engine after a while, lets a new
// process find what is there, and says which key is in force. It ends that process.
func (r *rotations) kill(after time.Duration) int {
	r.t.Helper()
	r.start()
	proposal := r.signed()
	operator := r.client("operator")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = operator.call(context.WithoutCancel(r.t.Context()), "POST", "/v1/keys/rotation", api.KeyRequest{Proposal: proposal}, nil)
	}()
	time.Sleep(after)
	_ = r.gateway.stop(syscall.SIGKILL)
	<-done
	r.start()
	var view exchange.KeyView
	if err := r.client("operator").call(r.t.Context(), "GET", "/v1/keys", nil, &view); err != nil {
		r.t.Fatal(err)
	}
	r.stop()
	for _, e := range view.Epochs {
		if e.State == registry.KeyActive {
			return e.Epoch
		}
	}
	return 0
}

// verify compares what is stored with what was: fsck, the number of rows, and each pid
// with what the key in force makes of what it was.
func (r *rotations) verify() error {
	out, err := command(self(r.t), "fsck", "--data", r.gateway.data).CombinedOutput()
	if err != nil { // leftovers are none: they are swept by and by
		return fmt.Errorf("fsck: %w\n%s", err, out)
	}
	now, err := r.look()
	if err != nil {
		return err
	}
	want, err := moved(now.keys, r.pids, r.under, r.epoch)
	if err != nil {
		return err
	}
	if now.rows != r.rows || !maps.Equal(now.pids, want) {
		return fmt.Errorf("%d rows of %d, and %d pids of which not all are those of epoch %d", now.rows, r.rows, len(now.pids), r.epoch)
	}
	r.pids, r.under = now.pids, r.epoch
	return nil
}

// moved is what the key of an epoch makes of the pids of another.
func moved(keys *pseudonym.Keyring, pids map[[16]byte]int, from, epoch int) (map[[16]byte]int, error) {
	if epoch == from {
		return pids, nil
	}
	ring, err := keys.At(from)
	if err != nil {
		return nil, err
	}
	move, err := ring.Rekey(epoch)
	if err != nil {
		return nil, err
	}
	to := map[[16]byte]int{}
	for pid, n := range pids {
		one := [][16]byte{pid}
		move(one)
		to[one[0]] = n
	}
	return to, nil
}

// A stored is what counts in the warehouse.
type stored struct {
	keys *pseudonym.Keyring
	pids map[[16]byte]int
	rows int
}

// look opens what the gateway left.
func (r *rotations) look() (s stored, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 2*time.Minute)
	defer cancel()
	p := pathsOf(r.gateway.data)
	s.keys, err = openKeyring(p.keyring, p.identity)
	if err != nil {
		return s, err
	}
	reg, err := openRegistry(ctx, p, s.keys, &cli{in: bytes.NewReader(nil), out: io.Discard, err: io.Discard, now: time.Now})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	generation, err := reg.Generation(ctx)
	if err != nil {
		return s, err
	}
	snapshot, err := reg.Snapshot(ctx)
	if err != nil {
		return s, err
	}
	e, err := engine.Start(ctx, engine.Options{Dir: p.engine})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, e.Stop()) }()
	house, err := warehouse.Open(ctx, warehouse.Options{
		Addresses: []string{e.Addr()}, Password: func(user string) string { return e.Password(engine.User(user)) },
	})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, house.Close()) }()
	visible, err := house.Visible(ctx, "police", warehouse.Snapshot{Seq: snapshot, Generation: generation})
	if err != nil {
		return s, err
	}
	s.pids, s.rows, err = pidsOf(ctx, house, visible)
	return s, err
}

func pidsOf(ctx context.Context, house *warehouse.Warehouse, loads []gateway.LoadID) (map[[16]byte]int, int, error) {
	contracts, err := configs.Contracts()
	if err != nil {
		return nil, 0, err
	}
	pids, rows := map[[16]byte]int{}, 0
	for _, c := range contracts {
		if c.ID != "police" {
			continue
		}
		for _, load := range loads {
			free, full, failed := make(chan *gateway.Block, 1), make(chan *gateway.Block), make(chan error, 1)
			free <- gateway.NewBlock(c.Layout())
			go func() {
				defer close(full)
				failed <- house.ReadLoad(ctx, c, load, free, full)
			}()
			for b := range full {
				for _, pid := range b.IDs(0)[:b.Rows()] {
					pids[pid]++
				}
				rows += b.Rows()
				free <- b
			}
			if err := <-failed; err != nil {
				return nil, 0, err
			}
		}
	}
	return pids, rows, nil
}
