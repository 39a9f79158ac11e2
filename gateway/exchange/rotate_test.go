package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A shelf is where a test's keyring lies.
type shelf struct {
	mu    sync.Mutex
	ring  *pseudonym.Keyring
	fails error
}

func (s *shelf) save(k *pseudonym.Keyring) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails == nil {
		s.ring = k
	}
	return s.fails
}

// rotatable is a gateway whose keys can be changed, with the same keys every time.
func rotatable(tb testing.TB, change ...func(*exchange.Options)) (*gate, *shelf) {
	tb.Helper()
	s := &shelf{}
	g := seeded(tb, noise(99), append([]func(*exchange.Options){func(o *exchange.Options) {
		s.ring, o.SaveKeys = o.Keys, s.save
	}}, change...)...)
	return g, s
}

// signed is a proposal that two people signed; epoch 0 is the newest.
func (g *gate) signed(tb testing.TB, action registry.KeyAction, epoch int) string {
	tb.Helper()
	if epoch == 0 {
		known, err := g.registry.KeyEpochs(tb.Context())
		ok(tb, err)
		epoch = known[len(known)-1].Epoch
	}
	p, err := g.ProposeKeys(tb.Context(), g.who["operator"], action, epoch, "for a test")
	ok(tb, err)
	for _, who := range []string{"officer", "operator"} {
		_, err = g.registry.Approve(tb.Context(), p.ID, g.people.Sign(tb, approval.Keys, who+"/"+who, p.Statement), g.who[who], "read")
		ok(tb, err)
	}
	return p.ID
}

func (g *gate) rotate(tb testing.TB) exchange.Rotated {
	tb.Helper()
	_, err := g.NewEpoch(tb.Context(), g.who["operator"])
	ok(tb, err)
	r, err := g.RotateKeys(tb.Context(), g.who["operator"], g.signed(tb, registry.RotateKeys, 0), nil)
	ok(tb, err)
	return r
}

// restart opens the gateway again, with the keyring of the shelf.
func (g *gate) restart(tb testing.TB, s *shelf) {
	tb.Helper()
	g.options.Keys = s.ring
	g.reopen(tb)
}

// pids are the distinct pids of the police that count, and how many rows each has.
func (g *gate) pids(tb testing.TB) map[[16]byte]int {
	tb.Helper()
	c := g.police(tb)
	generation, err := g.registry.Generation(tb.Context())
	ok(tb, err)
	loads, err := g.house.Visible(tb.Context(), c.ID, warehouse.Snapshot{Seq: 1 << 62, Generation: generation})
	ok(tb, err)
	found := map[[16]byte]int{}
	for _, load := range loads {
		free, full := make(chan *gateway.Block, 1), make(chan *gateway.Block)
		free <- gateway.NewBlock(c.Layout())
		failed := make(chan error, 1)
		go func() {
			defer close(full)
			failed <- g.house.ReadLoad(tb.Context(), c, load, free, full)
		}()
		for b := range full {
			for _, pid := range b.IDs(0)[:b.Rows()] {
				found[pid]++
			}
			free <- b
		}
		ok(tb, <-failed)
	}
	return found
}

func (g *gate) clean(tb testing.TB) {
	tb.Helper()
	report, err := g.Check(tb.Context())
	ok(tb, err)
	if len(report.Findings) != 0 {
		tb.Fatalf("fsck finds %v", report.Findings)
	}
}

// After a rotation every stored pid is what the new key makes of the same identifiers,
// registry and warehouse agree, nothing is left of the old rows, and a second rotation
// is like the first. The old key can be destroyed then, and not before.
func TestRotation(t *testing.T) {
	g, s := rotatable(t)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	before := g.pids(t)
	for epoch := 2; epoch <= 3; epoch++ {
		r := g.rotate(t)
		if r.From != epoch-1 || r.To != epoch || r.Batches != 2 || !r.Erased {
			t.Fatalf("rotated %+v", r)
		}
		g.clean(t)
		after := g.pids(t)
		if len(after) != len(before) {
			t.Fatalf("%d pids before, %d after", len(before), len(after))
		}
		for pid := range after {
			if before[pid] != 0 && pid != ([16]byte{}) {
				t.Fatal("a pid is what it was")
			}
		}
		ring, err := s.ring.At(epoch - 1)
		ok(t, err)
		move, err := ring.Rekey(epoch)
		ok(t, err)
		for pid, n := range before {
			moved := [][16]byte{pid}
			move(moved)
			if after[moved[0]] != n {
				t.Fatal("a pid is not what the new key makes of it")
			}
		}
		ok(t, g.DestroyEpoch(t.Context(), g.who["operator"], epoch-1, g.signed(t, registry.DestroyKey, epoch-1)))
		if slices.Contains(s.ring.Epochs(), epoch-1) {
			t.Fatal("the old key is on the shelf still")
		}
		before = after
		is(t, g.DestroyEpoch(t.Context(), g.who["operator"], epoch, ""), gateway.Conflict)
		is(t, g.DestroyEpoch(t.Context(), g.who["operator"], epoch-1, ""), gateway.Conflict)
		g.restart(t, s)
	}
	// The same children again: they link with what was rotated twice.
	g.send(t, "police", "k2", again(content["police"], "again"))
	if more := g.pids(t); len(more) != len(before) {
		t.Fatalf("%d pids, and %d when the file came again", len(before), len(more))
	}
	same(t, g.story(t, "pseudonyms/epoch-2"), "key.create done", "key.rotate intended", "key.rotate done",
		"key.use done", "key.destroy intended", "key.destroy done")
}

// A release after a rotation has the cells that it would have had without one, to the
// byte: noise, thresholds and counts hang on the inner pseudonym (disclosure.md 2.2).
func TestRotationChangesNoCell(t *testing.T) {
	content := populatedFiles(t)
	var digests []string
	for rotations := range 3 {
		g, _ := rotatable(t)
		g.send(t, "police", "k1", content["police"])
		for range rotations {
			g.rotate(t)
		}
		g.send(t, "health", "k1", content["health"])
		digests = append(digests, g.build(t).Digest)
	}
	if digests[0] != digests[1] || digests[0] != digests[2] {
		t.Fatalf("cells without a rotation, after one, after two: %v", digests)
	}
}

// Snapshots of before a rotation mean the same batches after it: the next release of a
// lineage counts its closed quarters as the last one did.
func TestRotationKeepsSnapshots(t *testing.T) {
	g, _ := rotatable(t)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	first := g.build(t)
	g.approve(t, first)
	g.rotate(t)
	g.send(t, "health", "k1", content["health"]) // late: it must not count
	second := g.build(t)
	if second.Snapshot <= first.Snapshot {
		t.Fatal("the second release has no newer snapshot")
	}
	loads, err := g.house.Visible(t.Context(), "police", warehouse.Snapshot{Seq: first.Snapshot, Generation: 1})
	ok(t, err)
	if len(loads) != 1 || loads[0] != g.only(t, "police").Load {
		t.Fatalf("the old snapshot counts %v", loads)
	}
}

// again is a file under other record ids.
func again(file []byte, name string) []byte {
	lines := bytes.SplitAfter(file, []byte("\n"))
	other := bytes.Clone(lines[0])
	for i, line := range lines[1:] {
		if len(line) > 0 {
			other = append(other, renamed(line, fmt.Sprint(name, i))...)
		}
	}
	return other
}

// batches are those of an agency.
func (g *gate) batches(tb testing.TB, who string) []gateway.Batch {
	tb.Helper()
	page, err := g.Batches(tb.Context(), g.who[who], exchange.BatchFilter{Limit: 100})
	ok(tb, err)
	var list []gateway.Batch
	for _, b := range page.Batches {
		list = append(list, b.Batch)
	}
	return list
}

// only is the one batch of an agency.
func (g *gate) only(tb testing.TB, who string) gateway.Batch {
	tb.Helper()
	batches := g.batches(tb, who)
	if len(batches) != 1 {
		tb.Fatalf("%d batches", len(batches))
	}
	return batches[0]
}

// Whatever goes wrong before the flip, the old key is in force and nothing is left.
func TestInterruptedRotation(t *testing.T) {
	g, s := rotatable(t)
	content := populatedFiles(t)
	g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	before := g.pids(t)
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	// A gateway that is told to stop does not wait for the end of it.
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { g.Run(running); close(done) }()
	_, err = g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), func(uint64) { stop(); <-done })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled rotation: %v", err)
	}
	report, err := g.Check(t.Context()) // rows that were on their way may have come after the sweep
	ok(t, err)
	if !report.Clean() {
		t.Fatalf("fsck finds %v", report.Findings)
	}
	if after := g.pids(t); !equalPIDs(before, after) {
		t.Fatal("a cancelled rotation changed pids")
	}
	// A process that dies half-way leaves its copies to the next one.
	rot, err := g.registry.BeginRotation(t.Context(), "operator", g.signed(t, registry.RotateKeys, 0))
	ok(t, err)
	left, err := g.registry.Unrotated(t.Context(), rot.Generation)
	ok(t, err)
	k, err := g.registry.BeginRekey(t.Context(), rot.Generation, left[0])
	ok(t, err)
	ok(t, g.house.Publish(t.Context(), warehouse.Marker{
		Seq: k.Seq, Batch: k.Batch, Load: k.New, Contract: k.Contract, State: gateway.BatchPublished, Generation: rot.Generation,
	}))
	g.restart(t, s)
	g.clean(t)
	g.build(t) // markers and registry agree
	r, err := g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), nil)
	ok(t, err)
	if r.Batches != 2 || r.Generation <= rot.Generation {
		t.Fatalf("the rotation after it: %+v", r)
	}
	g.clean(t)
	same(t, g.story(t, "pseudonyms/epoch-2"), "key.create done", "key.rotate intended", "key.rotate cancelled",
		"key.rotate intended", "key.rotate expired", "key.rotate intended", "key.rotate done")
}

// Whoever hangs up does not cost two people their signatures again.
func TestRotationOutlivesItsCaller(t *testing.T) {
	g, _ := rotatable(t)
	g.send(t, "police", "k1", files(t)["police"])
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := g.RotateKeys(ctx, g.who["operator"], g.signed(t, registry.RotateKeys, 0), func(uint64) { hangUp() })
	ok(t, err)
	if r.To != 2 || !r.Erased {
		t.Errorf("rotated %+v", r)
	}
	same(t, g.story(t, "pseudonyms/epoch-2"), "key.create done", "key.rotate intended", "key.rotate done")
	g.clean(t)
}

func equalPIDs(a, b map[[16]byte]int) bool {
	for pid, n := range a {
		if b[pid] != n {
			return false
		}
	}
	return len(a) == len(b)
}

// Uploads under way when a rotation ends either finish before it, or are told to come
// again; what was acknowledged is there, under the new key.
func TestUploadsDuringRotation(t *testing.T) {
	g, _ := rotatable(t, func(o *exchange.Options) { o.Limits.Fence = 2 * time.Second })
	file := files(t)["police"]
	g.send(t, "police", "k0", many(t, 20))
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)

	// One that takes longer than the fence, and one that takes less.
	slow, quick := hold(file, len(file)/2), hold(again(many(t, 30), "quick"), 3000)
	slowDone := g.start(t.Context(), "slow", file, slow)
	quickDone := g.start(t.Context(), "quick", again(many(t, 30), "quick"), quick)
	<-slow.reached
	<-quick.reached
	rotated := make(chan error, 1)
	go func() {
		_, err := g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), nil)
		rotated <- err
	}()
	var turnedAway error
	eventually(t, "uploads are turned away", func() bool {
		_, turnedAway = g.Upload(t.Context(), g.who["police"], sending("police", "later", again(many(t, 40), "later")))
		return errors.Is(turnedAway, gateway.Overloaded)
	})
	close(quick.letGo)
	finished := <-quickDone
	ok(t, finished.err)
	ok(t, <-rotated)
	close(slow.letGo)
	fenced := <-slowDone
	is(t, fenced.err, gateway.Overloaded)
	if sent := g.send(t, "police", "slow", file); sent.Repeated {
		t.Fatal("an upload that was fenced off has a receipt")
	}
	g.send(t, "police", "later", again(many(t, 40), "later"))
	batches := g.batches(t, "police")
	for _, b := range batches {
		if b.State != gateway.BatchPublished {
			t.Fatalf("batch %s is %s", b.ID, b.State)
		}
	}
	if len(batches) != 4 && len(batches) != 5 {
		t.Fatalf("%d batches", len(batches))
	}
	known, err := g.registry.KeyEpochs(t.Context())
	ok(t, err)
	if known[1].State != registry.KeyActive || known[0].State != registry.KeyRetired {
		t.Fatalf("epochs %v", known)
	}
	// All of them, and the same child in each, whose pid is one.
	if n := len(g.pids(t)); n > 101 {
		t.Fatalf("%d pids of at most 100 children", n)
	}
}

// A row that somebody changed in the warehouse is not made right by a rotation.
func TestRotationRefusesAlteredRows(t *testing.T) {
	g, _ := rotatable(t)
	g.commit(t, files(t)["police"], 1) // whose sum of MACs is another
	ok(t, g.registry.PublishedBatch(t.Context(), g.newest(t)))
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	_, err = g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), nil)
	is(t, err, gateway.Conflict)
}

// A batch that is withdrawn while it is copied is gone for good, the copy too.
func TestWithdrawalDuringRotation(t *testing.T) {
	g, s := rotatable(t)
	content := populatedFiles(t)
	made := g.send(t, "police", "k1", content["police"])
	g.send(t, "health", "k1", content["health"])
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	withdrawn := false
	_, err = g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), func(uint64) {
		if !withdrawn {
			withdrawn = true
			_, err := g.registry.Batch(t.Context(), g.who["police"].Agency, made.Batch)
			ok(t, err)
			_, _, err = g.registry.WithdrawBatch(t.Context(), g.who["police"].Agency, g.who["police"].Key, made.Batch)
			ok(t, err)
		}
	})
	ok(t, err)
	running, stop := context.WithCancel(t.Context())
	g.options.Limits.Tick = 10 * time.Millisecond
	g.restart(t, s)
	done := make(chan struct{})
	go func() { g.Run(running); close(done) }()
	eventually(t, "the batch is erased", func() bool { return g.only(t, "police").State == gateway.BatchWithdrawn && g.rows(t, "police") == 0 })
	stop()
	<-done
	g.clean(t)
	if n := g.rows(t, "health"); n == 0 {
		t.Fatal("the other batch is gone")
	}
}

func (g *gate) rows(tb testing.TB, contract gateway.ContractID) uint64 {
	tb.Helper()
	loads, err := g.house.Loads(tb.Context(), contract)
	ok(tb, err)
	n := uint64(0)
	for _, sums := range loads {
		n += sums.Rows
	}
	return n
}

// A keyring that does not hold the key in force, or holds another under its number, is
// refused at the start (trust.md 6.2 F19); one that brings a destroyed key back has it
// taken out again.
func TestOldKeyringFiles(t *testing.T) {
	g, s := rotatable(t)
	g.send(t, "police", "k1", files(t)["police"])
	first := s.ring
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	both := s.ring
	copied, err := both.WithRecovery("") // another copy of the same keys: Forget zeroes one
	ok(t, err)
	_, err = g.RotateKeys(t.Context(), g.who["operator"], g.signed(t, registry.RotateKeys, 0), nil)
	ok(t, err)
	o := g.options
	o.Keys = first
	_, err = exchange.New(t.Context(), o)
	is(t, err, gateway.Conflict)
	ok(t, g.DestroyEpoch(t.Context(), g.who["operator"], 1, g.signed(t, registry.DestroyKey, 1)))
	s.ring = copied
	g.restart(t, s)
	if !slices.Equal(s.ring.Epochs(), []int{2}) {
		t.Fatalf("an old file brought back epochs %v", s.ring.Epochs())
	}
	// Another installation's key of the same number.
	other, _ := rotatable(t)
	stranger, err := other.keys.WithNewEpoch(noise(7))
	ok(t, err)
	o = g.options
	o.Keys = stranger
	_, err = exchange.New(t.Context(), o)
	is(t, err, gateway.Conflict)
}

// A key that cannot be saved does not come into being, and one that a crash left in the
// file alone is taken up.
func TestSavingKeysFails(t *testing.T) {
	g, s := rotatable(t)
	s.fails = errors.New("no space")
	_, err := g.NewEpoch(t.Context(), g.who["operator"])
	is(t, err, gateway.Internal)
	s.fails = nil
	ring, err := s.ring.WithNewEpoch(noise(3))
	ok(t, err)
	s.ring = ring
	g.restart(t, s)
	made, err := g.NewEpoch(t.Context(), g.who["operator"])
	ok(t, err)
	pending, err := ring.At(2)
	ok(t, err)
	if made.Epoch != 2 || made.KCV != pending.KCV() {
		t.Fatalf("made %+v", made)
	}
	_, err = g.NewEpoch(t.Context(), g.who["operator"])
	is(t, err, gateway.Conflict)
	for _, who := range []string{"officer", "steward", "researcher", "police"} {
		_, err = g.NewEpoch(t.Context(), g.who[who])
		is(t, err, gateway.NotFound)
		_, err = g.RotateKeys(t.Context(), g.who[who], "", nil)
		is(t, err, gateway.NotFound)
		is(t, g.DestroyEpoch(t.Context(), g.who[who], 2, ""), gateway.NotFound)
	}
	ok(t, g.DestroyEpoch(t.Context(), g.who["operator"], 2, g.signed(t, registry.DestroyKey, 2)))
	_, err = g.RotateKeys(t.Context(), g.who["operator"], "", nil)
	is(t, err, gateway.Conflict)
}
