package ledger

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func export(t *testing.T, m *memory, size int, k key) fstest.MapFS {
	t.Helper()
	checkpoint, err := SignCheckpoint(m.tree(t, size), k)
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{}
	for file, err := range Export(uint64(size), m.log(checkpoint), m) {
		if err != nil {
			t.Fatal(err)
		}
		dir[file.Path] = &fstest.MapFile{Data: file.Data}
	}
	return dir
}

func TestExportPaths(t *testing.T) {
	dir := export(t, filled(t, 600), 600, newKey(t, "pana/a", "1"))
	want := []string{
		"checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2",
		"tile/entries/000", "tile/entries/001", "tile/entries/002.p/88",
	}
	if got := slices.Sorted(maps.Keys(dir)); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := entriesPath(1234067*tileWidth + 1); got != "tile/entries/x001/x234/067.p/1" {
		t.Errorf("got %s", got)
	}
}

func TestExportVerifies(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 600)
	for _, size := range []int{0, 1, 255, 256, 257, 512, 600} {
		log, err := OpenExport(export(t, m, size, k))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := VerifyLog(log, k); n != uint64(size) || err != nil {
			t.Fatalf("%d leaves: %d, %v", size, n, err)
		}
	}
}

// Any damage to a file that leaves are proved by is found.
func TestDamagedExport(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	whole := export(t, filled(t, 300), 300, k)
	for path, file := range whole {
		if strings.HasPrefix(path, "tile/1/") {
			continue // only for partial readers; the leaves are proved without it
		}
		for name, change := range map[string]func([]byte) []byte{
			"a flipped bit":  func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
			"a missing byte": func(b []byte) []byte { return b[:len(b)-1] },
			"another byte":   func(b []byte) []byte { return append(b, 0) },
			"no bytes":       func([]byte) []byte { return nil },
		} {
			dir := maps.Clone(whole)
			dir[path] = &fstest.MapFile{Data: change(slices.Clone(file.Data))}
			log, err := OpenExport(dir)
			if err == nil {
				_, err = VerifyLog(log, k)
			}
			if err == nil {
				t.Errorf("%s in %s: passes", name, path)
			}
		}
	}
	bundle := whole["tile/entries/001.p/44"]
	bundle.Data = []byte(strings.Replace(string(bundle.Data), "batch.commit", "batch.intent", 1))
	log, err := OpenExport(whole)
	if err != nil {
		t.Fatal(err)
	}
	_, err = VerifyLog(log, k)
	if bad, named := errors.AsType[*LeafError](err); !named || bad.Index != 256 {
		t.Errorf("leaf 256 was rewritten: %v", err)
	}
}

func TestTlogProof(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 9)
	checkpoint, err := SignCheckpoint(m.tree(t, 9), k)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := InclusionProof(4, 9, m)
	if err != nil {
		t.Fatal(err)
	}
	text := Inclusion{m.leaves[4], 4, proof, checkpoint}.Text()
	if !strings.HasPrefix(text, "c2sp.org/tlog-proof@v1\nindex 4\n") || !strings.HasSuffix(text, "\n\n"+checkpoint) {
		t.Error(text)
	}
	back, err := ParseInclusion(text, m.leaves[4])
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := back.Verify(k); err != nil || leaf.Seq != 4 {
		t.Fatal(leaf, err)
	}
}

func FuzzParseInclusion(f *testing.F) {
	f.Add("c2sp.org/tlog-proof@v1\nindex 0\n\npana/a\n1\n\n")
	f.Add("c2sp.org/tlog-proof@v1\nindex 4\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\ncheckpoint")
	f.Add("c2sp.org/tlog-proof@v1\nindex 04\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParseInclusion(text, nil); err == nil && p.Text() != text {
			t.Fatalf("%q is read, but written %q", text, p.Text())
		}
	})
}
