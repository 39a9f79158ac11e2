package ledger

import (
	"errors"
	"testing"
)

// Every flipped bit of a log of 100 leaves is found, and its leaf named (trust.md L1).
func TestEveryFlippedByte(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 100)
	checkpoint, err := SignCheckpoint(m.tree(t, 100), k)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := VerifyLog(m.log(checkpoint), k); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	flips, step := 0, 1
	if testing.Short() {
		step = 7
	}
	for index, leaf := range m.leaves {
		for i := index % step; i < len(leaf); i += step {
			// Every byte, with one of its bits; which one differs from leaf to leaf.
			leaf[i] ^= 1 << ((i + index) % 8)
			n, err := VerifyLog(m.log(checkpoint), k)
			leaf[i] ^= 1 << ((i + index) % 8)
			bad, named := errors.AsType[*LeafError](err)
			if !named || bad.Index != uint64(index) || n != uint64(index)+1 && n != uint64(index) {
				t.Fatalf("byte %d of leaf %d was flipped: %v", i, index, err)
			}
			flips++
		}
	}
	t.Logf("%d flips found", flips)
	for i := range m.hashes {
		m.hashes[i][i%32] ^= 0x10
		if _, err := VerifyLog(m.log(checkpoint), k); err == nil {
			t.Fatalf("hash %d was flipped, and nobody saw", i)
		}
		m.hashes[i][i%32] ^= 0x10
	}
}

// A leaf rewritten together with all its hashes still has not the signed root.
func TestRewrittenHistory(t *testing.T) {
	k, other := newKey(t, "pana/a", "1"), newKey(t, "pana/a", "2")
	honest := filled(t, 20)
	checkpoint, err := SignCheckpoint(honest.tree(t, 20), k)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(change func(leaves [][]byte) [][]byte) *memory {
		m := &memory{}
		for _, data := range change(append([][]byte{}, honest.leaves...)) {
			m.add(t, data)
		}
		return m
	}
	rewritten := example(7)
	rewritten.Outcome = Denied
	data, err := rewritten.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]Log{
		"rewritten": forged(func(l [][]byte) [][]byte { l[7] = data; return l }).log(checkpoint),
		"removed":   forged(func(l [][]byte) [][]byte { return append(l[:7], l[8:]...) }).log(checkpoint),
		"inserted":  forged(func(l [][]byte) [][]byte { return append(l[:8:8], l[7:]...) }).log(checkpoint),
		"swapped":   forged(func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }).log(checkpoint),
		"truncated": forged(func(l [][]byte) [][]byte { return l[:19] }).log(checkpoint),
		"no hashes": {Leaves: each(forged(func(l [][]byte) [][]byte { l[7] = data; return l }).leaves), Checkpoint: checkpoint},
	} {
		if _, err := VerifyLog(log, k); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	if _, err := VerifyLog(honest.log(checkpoint), other); err == nil {
		t.Error("another key's log passes")
	}
	grown := forged(func(l [][]byte) [][]byte { return l })
	later, err := example(20).Encode()
	if err != nil {
		t.Fatal(err)
	}
	grown.add(t, later)
	_, err = VerifyLog(grown.log(checkpoint), k)
	if bad, named := errors.AsType[*LeafError](err); !named || bad.Index != 20 {
		t.Errorf("a leaf that nobody signed: %v", err)
	}
	if n, tail, err := VerifyGrowing(grown.log(checkpoint), k); n != 20 || tail != 1 || err != nil {
		t.Errorf("a log that grew: %d, %d, %v", n, tail, err)
	}
}

// The last leaf edited and three invented after it do not verify beside a checkpoint
// that is honest but shorter, and are never counted as verified.
func TestInventedTail(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	honest, forged := filled(t, 20), &memory{}
	checkpoint, err := SignCheckpoint(honest.tree(t, 19), k)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range honest.leaves[:19] {
		forged.add(t, data)
	}
	for i := uint64(19); i < 23; i++ {
		leaf := example(i)
		leaf.Outcome = Denied
		data, err := leaf.Encode()
		if err != nil {
			t.Fatal(err)
		}
		forged.add(t, data)
	}
	n, err := VerifyLog(forged.log(checkpoint), k)
	if bad, named := errors.AsType[*LeafError](err); !named || bad.Index != 19 || n != 19 {
		t.Errorf("%d leaves, %v", n, err)
	}
	if n, tail, err := VerifyGrowing(forged.log(checkpoint), k); n != 19 || tail != 4 || err != nil {
		t.Errorf("%d covered, %d not, %v", n, tail, err)
	}
}

// A log that was rewritten and signed anew, by whoever has the key, does not continue
// the checkpoint that an officer kept (trust.md 4.1).
func TestSince(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	honest, forged := filled(t, 20), &memory{}
	for i, data := range honest.leaves {
		if i == 7 {
			leaf := example(7)
			leaf.Outcome = Denied
			var err error
			if data, err = leaf.Encode(); err != nil {
				t.Fatal(err)
			}
		}
		forged.add(t, data)
	}
	sign := func(m *memory, n int) string {
		t.Helper()
		checkpoint, err := SignCheckpoint(m.tree(t, n), k)
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint
	}
	verify := func(m *memory, checkpoint, since string) error {
		log := m.log(checkpoint)
		log.Since = since
		_, err := VerifyLog(log, k)
		return err
	}
	for _, n := range []int{0, 1, 7, 8, 13, 20} {
		if err := verify(honest, sign(honest, 20), sign(honest, n)); err != nil {
			t.Errorf("since %d: %v", n, err)
		}
		want := error(nil)
		if n > 7 {
			want = errSince
		}
		if err := verify(forged, sign(forged, 20), sign(honest, n)); !errors.Is(err, want) {
			t.Errorf("rewritten since %d: %v", n, err)
		}
	}
	short := &memory{}
	for _, data := range honest.leaves[:10] {
		short.add(t, data)
	}
	if err := verify(short, sign(short, 10), sign(honest, 13)); !errors.Is(err, errOlder) {
		t.Errorf("cut off: %v", err)
	}
	if err := verify(honest, sign(honest, 20), "nonsense"); err == nil {
		t.Error("an earlier checkpoint that is none passes")
	}
}

// A leaf that was signed in a place that it does not name is no evidence.
func TestMisplacedLeaf(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 3)
	data, err := example(7).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.add(t, data)
	checkpoint, err := SignCheckpoint(m.tree(t, 4), k)
	if err != nil {
		t.Fatal(err)
	}
	_, err = VerifyLog(m.log(checkpoint), k)
	if bad, named := errors.AsType[*LeafError](err); !named || bad.Index != 3 {
		t.Fatalf("got %v", err)
	}
	proof, err := InclusionProof(3, 4, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Inclusion{data, 3, proof, checkpoint}).Verify(k); err == nil {
		t.Fatal("its inclusion is proved")
	}
}

func BenchmarkVerifyLog(b *testing.B) {
	k := newKey(b, "pana/a", "1")
	m := filled(b, 10000)
	checkpoint, err := SignCheckpoint(m.tree(b, 10000), k)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := VerifyLog(m.log(checkpoint), k); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/leaf")
}
