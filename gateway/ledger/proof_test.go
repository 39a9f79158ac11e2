package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pana-exchange/pana/gateway"
)

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
	proof := Inclusion{Leaf: data, Index: 3}
	if proof.Proof, err = InclusionProof(3, 4, m); err != nil {
		t.Fatal(err)
	}
	if proof.Checkpoint, err = SignCheckpoint(m.tree(t, 4), k); err != nil {
		t.Fatal(err)
	}
	receipt.Proof = proof.Text()
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
