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
	if n, err := VerifyLog(grown.log(checkpoint), k); n != 21 || err != nil {
		t.Errorf("a log that grew: %d, %v", n, err)
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
