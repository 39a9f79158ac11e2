package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
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
