package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/gowebpki/jcs"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/pana-exchange/pana/gateway"
)

// A key is a verifier that can also sign, made from a seed.
type key struct {
	note.Verifier
	signer note.Signer
}

func (k key) Sign(msg []byte) ([]byte, error) { return k.signer.Sign(msg) }

func newKey(tb testing.TB, name, seed string) key {
	tb.Helper()
	sum := sha256.Sum256([]byte(seed))
	private := ed25519.NewKeyFromSeed(sum[:])
	vkey, err := note.NewEd25519VerifierKey(name, private.Public().(ed25519.PublicKey))
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	// The form of a signer key: PRIVATE+KEY+name+hash+base64(1 || seed).
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, verifier.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{1}, sum[:]...)))
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	return key{verifier, signer}
}

func example(seq uint64) Leaf {
	return Leaf{
		Seq: seq, Time: time.Date(2026, 7, 1, 9, 30, 0, 123e6, time.UTC), Event: BatchCommit, Actor: "kqzj4", Object: "b2x7a",
		Policy: gateway.Revision(strings.Repeat("ab", 32)), Snapshot: 17, Outcome: Done, Commit: strings.Repeat("0f", 32),
	}
}

func TestLeafForm(t *testing.T) {
	got, err := example(42).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"actor":"kqzj4","commit":"` + strings.Repeat("0f", 32) + `","event":"batch.commit","object":"b2x7a","outcome":"done",` +
		`"policy":"` + strings.Repeat("ab", 32) + `","seq":42,"snapshot":17,"time":"2026-07-01T09:30:00.123Z","v":1}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func leaves() *rapid.Generator[Leaf] {
	id := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9._:/-]{0,60}`)
	digest := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "none") {
			return ""
		}
		return hex.EncodeToString(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "sum"))
	})
	return rapid.Custom(func(t *rapid.T) Leaf {
		return Leaf{
			Seq:      rapid.Uint64Range(0, maxInteger).Draw(t, "seq"),
			Time:     time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "ms")).UTC(),
			Event:    rapid.SampledFrom(events).Draw(t, "event"),
			Actor:    id.Draw(t, "actor"),
			Object:   rapid.OneOf(rapid.Just(""), id).Draw(t, "object"),
			Policy:   gateway.Revision(digest.Draw(t, "policy")),
			Snapshot: rapid.Uint64Range(0, maxInteger).Draw(t, "snapshot"),
			Outcome:  rapid.SampledFrom(outcomes).Draw(t, "outcome"),
			Commit:   digest.Draw(t, "commit"),
		}
	})
}

// Decoding undoes encoding, and the encoding is what RFC 8785 makes of it.
func TestLeafRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := leaves().Draw(t, "leaf")
		data, err := leaf.Encode()
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := jcs.Transform(data)
		if err != nil || !bytes.Equal(canonical, data) {
			t.Fatalf("RFC 8785 has %s, %v\nfor %s", canonical, err, data)
		}
		back, err := DecodeLeaf(data)
		if err != nil || back != leaf {
			t.Fatalf("got %+v, %v\nfor %+v", back, err, leaf)
		}
	})
}

func TestLeafRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Leaf){
		"an event of its own":        func(l *Leaf) { l.Event = "batch.lost" },
		"an outcome of its own":      func(l *Leaf) { l.Outcome = "good" },
		"no actor":                   func(l *Leaf) { l.Actor = "" },
		"an identification number":   func(l *Leaf) { l.Actor = "100203512345" },
		"an identifier as an object": func(l *Leaf) { l.Object = "100203512345" },
		"a name":                     func(l *Leaf) { l.Object = "Әлия" },
		"a sentence":                 func(l *Leaf) { l.Object = "the child said" },
		"a quote":                    func(l *Leaf) { l.Object = `a"b` },
		"an address":                 func(l *Leaf) { l.Actor = "a@example.org" },
		"a long object":              func(l *Leaf) { l.Object = strings.Repeat("a", maxID+1) },
		"a short policy":             func(l *Leaf) { l.Policy = "ab" },
		"an upper-case commitment":   func(l *Leaf) { l.Commit = strings.Repeat("AB", 32) },
		"a number beyond doubles":    func(l *Leaf) { l.Seq = maxInteger + 1 },
		"a time before computers":    func(l *Leaf) { l.Time = time.Time{} },
	} {
		leaf := example(1)
		spoil(&leaf)
		if data, err := leaf.Encode(); err == nil {
			t.Errorf("%s: logged as %s", name, data)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := example(42).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown field":  {`"v":1`, `"user_agent":"curl","v":1`},
		"missing field":  {`"snapshot":17,`, ``},
		"doubled field":  {`"seq":42`, `"seq":41,"seq":42`},
		"other case":     {`"seq"`, `"Seq"`},
		"space":          {`"seq":42`, `"seq": 42`},
		"exponent":       {`"seq":42`, `"seq":4.2e1`},
		"leading zero":   {`"seq":42`, `"seq":042`},
		"other version":  {`"v":1`, `"v":2`},
		"escape":         {`"b2x7a"`, `"b2x7\u0061"`},
		"other time":     {`.123Z`, `.12Z`},
		"null":           {`"b2x7a"`, `null`},
		"trailing bytes": {`"v":1}`, `"v":1} `},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed", name)
		}
		if leaf, err := DecodeLeaf([]byte(bad)); err == nil {
			t.Errorf("%s: read as %+v", name, leaf)
		}
	}
}

func FuzzDecodeLeaf(f *testing.F) {
	good, err := example(42).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{}`))
	f.Add(bytes.Replace(good, []byte("done"), []byte("dOne"), 1))
	f.Add(bytes.Repeat([]byte(`[`), 10000))
	f.Fuzz(func(t *testing.T, data []byte) {
		leaf, err := DecodeLeaf(data)
		if err != nil {
			return
		}
		again, err := leaf.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q was read, but is written %q, %v", data, again, err)
		}
	})
}

// A memory keeps a log in memory.
type memory struct {
	leaves [][]byte
	hashes []tlog.Hash
}

func (m *memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(m.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = m.hashes[index]
	}
	return out, nil
}

func (m *memory) add(tb testing.TB, data []byte) {
	tb.Helper()
	hashes, err := Append(uint64(len(m.leaves)), data, m)
	if err != nil {
		tb.Fatal(err)
	}
	m.leaves, m.hashes = append(m.leaves, data), append(m.hashes, hashes...)
}

func (m *memory) tree(tb testing.TB, size int) tlog.Tree {
	tb.Helper()
	root, err := tlog.TreeHash(int64(size), m)
	if err != nil {
		tb.Fatal(err)
	}
	return tlog.Tree{N: int64(size), Hash: root}
}

func filled(tb testing.TB, n int) *memory {
	tb.Helper()
	m := &memory{}
	for i := range n {
		data, err := example(uint64(i)).Encode()
		if err != nil {
			tb.Fatal(err)
		}
		m.add(tb, data)
	}
	return m
}

func (m *memory) log(checkpoint string) Log {
	return Log{Leaves: each(m.leaves), Hashes: each(m.hashes), Checkpoint: checkpoint}
}

func each[E any](list []E) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// The roots of the first n of eight inputs, from the tests of Certificate
// Transparency (google/certificate-transparency, merkle_tree_test.cc).
func TestTreeVectors(t *testing.T) {
	inputs := []string{
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
	}
	roots := []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var m memory
	var f frontier
	for i, input := range inputs {
		data, err := hex.DecodeString(input)
		if err != nil {
			t.Fatal(err)
		}
		m.add(t, data)
		f.add(tlog.RecordHash(data))
		if got := m.tree(t, i+1).Hash; hex.EncodeToString(got[:]) != roots[i] {
			t.Errorf("the stored tree of %d leaves has root %x, want %s", i+1, got[:], roots[i])
		}
		if got := f.root(); hex.EncodeToString(got[:]) != roots[i] {
			t.Errorf("the verified tree of %d leaves has root %x, want %s", i+1, got[:], roots[i])
		}
	}
}

func TestCheckpoint(t *testing.T) {
	ours, other, named := newKey(t, "pana/a", "1"), newKey(t, "pana/a", "2"), newKey(t, "pana/b", "1")
	tree := filled(t, 5).tree(t, 5)
	signed, err := SignCheckpoint(tree, ours)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(signed, ours); err != nil || got != tree {
		t.Fatalf("got %v, %v", got, err)
	}
	for name, k := range map[string]key{"another key": other, "another name": named} {
		if _, err := OpenCheckpoint(signed, k); err == nil {
			t.Errorf("%s opened it", name)
		}
	}
	cosigned, err := note.Sign(&note.Note{Text: signed[:strings.Index(signed, "\n\n")+1]}, named, ours)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(string(cosigned), ours); err != nil || got != tree {
		t.Errorf("with a witness's signature: %v, %v", got, err)
	}
	root := base64.StdEncoding.EncodeToString(tree.Hash[:])
	for _, text := range []string{
		"pana/b\n5\n" + root + "\n", "pana/a\n05\n" + root + "\n", "pana/a\n-5\n" + root + "\n", "pana/a\n+5\n" + root + "\n",
		"pana/a\n5\n" + root + "\nmore\n", "pana/a\n5\n" + root[:40] + "\n", "pana/a\n5\n", "pana/a\n99999999999999999999\n" + root + "\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, ours)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCheckpoint(string(signed), ours); err == nil {
			t.Errorf("opened %q", text)
		}
	}
}

// Whatever our own key signs is a checkpoint only in the one spelling we write.
func FuzzOpenCheckpoint(f *testing.F) {
	k := newKey(f, "pana/a", "1")
	f.Add("pana/a\n5\nR8Vh2Kj0hB8o1s0eR6GzvX3xN4T1b0kxkq0sJ7b4l2M=\n")
	f.Add("pana/a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	f.Add("pana/a\n007\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := OpenCheckpoint(text, k); err == nil {
			t.Fatalf("opened %q without a signature", text)
		}
		signed, err := note.Sign(&note.Note{Text: text}, k)
		if err != nil {
			return
		}
		tree, err := OpenCheckpoint(string(signed), k)
		if err != nil {
			return
		}
		if again, err := SignCheckpoint(tree, k); err != nil || again != string(signed) {
			t.Fatalf("%q is a checkpoint, but written %q, %v", signed, again, err)
		}
	})
}

func TestInclusion(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 20)
	for size := 1; size <= 20; size++ {
		checkpoint, err := SignCheckpoint(m.tree(t, size), k)
		if err != nil {
			t.Fatal(err)
		}
		for index := range size {
			proof, err := InclusionProof(uint64(index), uint64(size), m)
			if err != nil {
				t.Fatal(err)
			}
			good := Inclusion{m.leaves[index], uint64(index), proof, checkpoint}
			if leaf, err := good.Verify(k); err != nil || leaf != example(uint64(index)) {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
			refuseOthers(t, good, m, k)
		}
		if _, err := InclusionProof(uint64(size), uint64(size), m); err == nil {
			t.Fatal("proved a leaf that is not there")
		}
	}
}

func refuseOthers(t *testing.T, good Inclusion, m *memory, k key) {
	t.Helper()
	bad := []Inclusion{good, good, good}
	bad[0].Leaf = m.leaves[(good.Index+1)%20]
	bad[1].Index = good.Index + 1
	bad[2].Proof = append(bad[2].Proof, make([]byte, 32))
	for i, hash := range good.Proof {
		b := good
		b.Proof = append([][]byte{}, good.Proof...)
		b.Proof[i] = append([]byte{hash[0] ^ 1}, hash[1:]...)
		bad = append(bad, b)
	}
	for i, b := range bad {
		if _, err := b.Verify(k); err == nil {
			t.Fatalf("leaf %d: forgery %d passes", good.Index, i)
		}
	}
}

func TestConsistency(t *testing.T) {
	m := filled(t, 12)
	for size := 1; size <= 12; size++ {
		for earlier := 1; earlier <= size; earlier++ {
			proof, err := ConsistencyProof(uint64(earlier), uint64(size), m)
			if err != nil {
				t.Fatal(err)
			}
			from, to := m.tree(t, earlier), m.tree(t, size)
			if err := VerifyConsistency(proof, from, to); err != nil {
				t.Fatal(err)
			}
			from.Hash[0] ^= 1
			if VerifyConsistency(proof, from, to) == nil {
				t.Fatal("another history passes")
			}
		}
	}
	if VerifyConsistency(nil, tlog.Tree{}, m.tree(t, 3)) == nil {
		t.Fatal("nothing was proved, and it passes")
	}
}

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

func TestReceipt(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	receipt := gateway.Receipt{Batch: "b2x7a", Policy: example(0).Policy, Agency: "police-a", Records: 12, Salt: bytes.Repeat([]byte{7}, 16)}
	bare, err := json.Marshal(receipt)
	if err != nil {
		t.Fatal(err)
	}
	detail, err := ReceiptDetail(bare)
	if err != nil {
		t.Fatal(err)
	}
	m := filled(t, 3)
	leaf := example(3)
	leaf.Commit = Commitment(receipt.Salt, detail)
	data, err := leaf.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.add(t, data)
	receipt.Leaf, receipt.Index = data, 3
	if receipt.Proof, err = InclusionProof(3, 4, m); err != nil {
		t.Fatal(err)
	}
	if receipt.Checkpoint, err = SignCheckpoint(m.tree(t, 4), k); err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(receipt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(whole, k); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`"records":12`, `"records":13`}, {`police-a`, `police-b`}, {`"leaf_index":3`, `"leaf_index":2`}, {`{`, `{"note":"good",`}} {
		if _, err := VerifyReceipt([]byte(strings.Replace(string(whole), change[0], change[1], 1)), k); err == nil {
			t.Errorf("%s in place of %s passes", change[1], change[0])
		}
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
