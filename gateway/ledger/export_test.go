package ledger

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func export(tb testing.TB, m *memory, size int, k key) fstest.MapFS {
	tb.Helper()
	checkpoint, err := SignCheckpoint(m.tree(tb, size), k)
	if err != nil {
		tb.Fatal(err)
	}
	dir := fstest.MapFS{CheckpointPath: {Data: []byte(checkpoint)}}
	for tile := range Tiles(uint64(size)) {
		dir[tile.Path()] = &fstest.MapFile{Data: m.file(tb, tile)}
	}
	return dir
}

// file is the content of a tile, from memory.
func (m *memory) file(tb testing.TB, tile Tile) []byte {
	tb.Helper()
	var data []byte
	var err error
	if tile.Entries() {
		first, _ := tile.Leaves()
		data, err = tile.Bundle(func(yield func([]byte, error) bool) {
			for _, leaf := range m.leaves[first:] {
				if !yield(leaf, nil) {
					return
				}
			}
		})
	} else {
		data, err = tile.Hashes(m)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return data
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
	if got := entriesTile(1234067*tileWidth + 1).Path(); got != "tile/entries/x001/x234/067.p/1" {
		t.Errorf("got %s", got)
	}
}

func TestParseTile(t *testing.T) {
	for _, path := range want(t) {
		tile, err := ParseTile(path)
		if err != nil || tile.Path() != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{
		"", "checkpoint", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/-1/000", "tile/64/000",
		"tile/data/000", "tile/8/0/000", "tile/entries/../000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p",
		"tile/0/x000/000", "tile/0/x001", "tile/0/x999/x999/x999/x999/x999/x999/x999/999", "/tile/0/000", "tile/0/000/", "tile/0/%30",
	} {
		if tile, err := ParseTile(path); err == nil {
			t.Errorf("%q is a tile: %v", path, tile)
		}
	}
}

func want(t *testing.T) []string {
	t.Helper()
	var paths []string
	for tile := range Tiles(70_000) {
		paths = append(paths, tile.Path())
	}
	// The example of C2SP tlog-tiles, "Partial Tiles".
	for _, path := range []string{"tile/0/272", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"} {
		if !slices.Contains(paths, path) {
			t.Errorf("70,000 leaves have no %s", path)
		}
	}
	return paths
}

func TestTileWithin(t *testing.T) {
	for _, c := range []struct {
		path string
		size uint64
		want bool
	}{
		{"tile/0/000.p/1", 0, false},
		{"tile/0/000.p/1", 1, true},
		{"tile/0/000", 255, false},
		{"tile/0/000", 256, true},
		{"tile/1/000.p/1", 255, false},
		{"tile/1/000.p/1", 256, true},
		{"tile/1/000.p/2", 300, false},
		{"tile/entries/001.p/44", 300, true},
		{"tile/entries/001.p/45", 300, false},
		{"tile/63/000.p/1", 1 << 52, false},
	} {
		tile, err := ParseTile(c.path)
		if err != nil || tile.Within(c.size) != c.want {
			t.Errorf("%s within %d: not %v, %v", c.path, c.size, c.want, err)
		}
	}
}

func TestExportVerifies(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 600)
	dir, since := fstest.MapFS{}, ""
	for _, size := range []int{0, 1, 255, 256, 257, 512, 600} {
		maps.Copy(dir, export(t, m, size, k)) // over what the smaller ones left
		got, err := VerifyExport(dir, Trust{Key: k, Since: since})
		if err != nil || got.Leaves != uint64(size) || got.Files != len(dir) {
			t.Fatalf("%d leaves in %d files: %+v, %v", size, len(dir), got, err)
		}
		since = string(dir[CheckpointPath].Data)
	}
	if _, err := VerifyExport(export(t, m, 512, k), Trust{Key: k, Since: since}); err == nil {
		t.Error("an older log continues a newer checkpoint")
	}
	if _, err := VerifyExport(export(t, filled(t, 700), 700, k), Trust{Key: k, Since: since}); err != nil {
		t.Error(err)
	}
}

// L1 of trust.md 6.6: any byte of any file of a log of 300 leaves, flipped, is found,
// and what is found names the file or the leaves. A flip of each bit in turn over the
// bytes is as good as eight times the work.
func TestFlippedByte(t *testing.T) {
	k, witness := newKey(t, "pana/a", "1"), newCosigner(t, "witness.example/w", "2")
	m := filled(t, 300)
	whole := export(t, m, 260, k)
	maps.Copy(whole, export(t, m, 300, k)) // partial tiles of an earlier export lie beside
	whole[CheckpointPath].Data = []byte(witness.cosign(t, string(whole[CheckpointPath].Data)))
	trust := Trust{Key: k, Policy: witness.policy(t)}
	if v, err := VerifyExport(whole, trust); err != nil || len(v.Cosignatures) != 1 || v.Files != len(whole) {
		t.Fatalf("%+v, %v", v, err)
	}
	step := 1
	if testing.Short() {
		step = 17
	}
	for path, file := range whole {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			dir := maps.Clone(whole)
			for i := 0; i < len(file.Data); i += step {
				data := slices.Clone(file.Data)
				data[i] ^= 1 << (i % 8)
				dir[path] = &fstest.MapFile{Data: data}
				_, err := VerifyExport(dir, trust)
				ranged, named := errors.AsType[*RangeError](err)
				switch {
				case err == nil:
					t.Errorf("byte %d: it verifies", i)
				case path != CheckpointPath && (!named || ranged.First > ranged.Last || ranged.Last >= 300):
					t.Errorf("byte %d: no range of leaves is named: %v", i, err)
				}
			}
		})
	}
}

// Any other damage to a file is found, and a rewritten leaf is named.
func TestDamagedExport(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	whole := export(t, filled(t, 300), 300, k)
	for path, file := range whole {
		for name, change := range map[string]func([]byte) []byte{
			"a missing byte": func(b []byte) []byte { return b[:len(b)-1] },
			"another byte":   func(b []byte) []byte { return append(b, 0) },
			"no bytes":       func([]byte) []byte { return nil },
		} {
			dir := maps.Clone(whole)
			dir[path] = &fstest.MapFile{Data: change(slices.Clone(file.Data))}
			if _, err := VerifyExport(dir, Trust{Key: k}); err == nil {
				t.Errorf("%s in %s: passes", name, path)
			}
		}
		dir := maps.Clone(whole)
		delete(dir, path)
		if _, err := VerifyExport(dir, Trust{Key: k}); err == nil {
			t.Errorf("without %s: passes", path)
		}
	}
	for _, path := range []string{"tile/0/002.p/1", "tile/0/001.p/45", "tile/2/000.p/1", "tile/0/note.txt", "tile/entries/000.p/0"} {
		dir := maps.Clone(whole)
		dir[path] = &fstest.MapFile{Data: make([]byte, 32)}
		if bad, ok := errors.AsType[*FileError](second(VerifyExport(dir, Trust{Key: k}))); !ok || bad.File != path {
			t.Errorf("with %s: passes", path)
		}
	}
	bundle := whole["tile/entries/001.p/44"]
	bundle.Data = []byte(strings.Replace(string(bundle.Data), "batch.commit", "batch.intent", 1))
	_, err := VerifyExport(whole, Trust{Key: k})
	if bad, named := errors.AsType[*RangeError](err); !named || bad.First != 256 || bad.Last != 256 {
		t.Errorf("leaf 256 was rewritten: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// L2 of trust.md 6.6: a leaf that is removed, inserted or swapped, with hashes made to
// fit, does not have the root that was signed; and L3 and L4: a checkpoint of another
// key, and a log cut off to an older size.
func TestRearrangedLog(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	signed := export(t, filled(t, 40), 40, k)
	checkpoint := signed[CheckpointPath]
	remade := func(leaves [][]byte) fstest.MapFS {
		m := &memory{}
		for _, leaf := range leaves {
			m.add(t, leaf)
		}
		dir := export(t, m, len(leaves), k)
		dir[CheckpointPath] = checkpoint
		return dir
	}
	good := filled(t, 41).leaves
	for at := range 40 {
		swapped := slices.Clone(good[:40])
		swapped[at], swapped[(at+1)%40] = swapped[(at+1)%40], swapped[at]
		for name, leaves := range map[string][][]byte{
			"removed":  slices.Delete(slices.Clone(good[:40]), at, at+1),
			"replaced": slices.Replace(slices.Clone(good[:40]), at, at+1, good[40]),
			"inserted": slices.Insert(slices.Clone(good[:40]), at, good[40]),
			"swapped":  swapped,
		} {
			if _, err := VerifyExport(remade(leaves), Trust{Key: k}); err == nil {
				t.Errorf("leaf %d %s: passes", at, name)
			}
		}
	}
	other := newKey(t, "pana/a", "2")
	if _, err := VerifyExport(signed, Trust{Key: other}); err == nil {
		t.Error("a checkpoint of another key passes")
	}
	older := export(t, filled(t, 39), 39, k)
	if _, err := VerifyExport(older, Trust{Key: k, Since: string(checkpoint.Data)}); !errors.Is(err, errOlder) {
		t.Errorf("a log that was cut off: %v", err)
	}
}

// B83 of trust.md 6.4: a checkpoint of a wrong origin, a smaller size or an unknown
// signer is refused, whoever reads it.
func TestForeignCheckpoint(t *testing.T) {
	k := newKey(t, "pana/a", "1")
	m := filled(t, 20)
	checkpointOf := func(size int, signer key) string {
		text, err := SignCheckpoint(m.tree(t, size), signer)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	kept := checkpointOf(20, k)
	path, err := InclusionProof(3, 20, m)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"wrong origin":    checkpointOf(20, newKey(t, "pana/b", "1")),
		"unknown signer":  checkpointOf(20, newKey(t, "pana/a", "2")),
		"smaller size":    checkpointOf(19, k),
		"other root":      strings.Replace(kept, "\n20\n", "\n21\n", 1),
		"no signature":    kept[:strings.Index(kept, "\n\n")+2],
		"nothing":         "",
		"a line too many": strings.Replace(kept, "\n\n", "\nmore\n\n", 1),
	} {
		dir := export(t, m, 20, k)
		dir[CheckpointPath] = &fstest.MapFile{Data: []byte(text)}
		if _, err := VerifyExport(dir, Trust{Key: k, Since: kept}); err == nil {
			t.Errorf("%s: the export verifies", name)
		}
		if _, err := (Inclusion{m.leaves[3], 3, path, text}).Verify(k); err == nil {
			t.Errorf("%s: the proof verifies", name)
		}
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
	made := Inclusion{m.leaves[4], 4, proof, checkpoint}
	text := made.Text()
	if !strings.HasPrefix(text, "c2sp.org/tlog-proof@v1\nindex 4\n") || !strings.HasSuffix(text, "\n\n"+checkpoint) {
		t.Error(text)
	}
	for _, text := range []string{text, made.Spicy()} {
		back, err := ParseInclusion(text, m.leaves[4])
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := back.Verify(k); err != nil || leaf.Seq != 4 {
			t.Fatal(leaf, err)
		}
	}
}

func FuzzParseInclusion(f *testing.F) {
	f.Add("c2sp.org/tlog-proof@v1\nindex 0\n\npana/a\n1\n\n")
	f.Add("c2sp.org/tlog-proof@v1\nindex 4\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\ncheckpoint")
	f.Add("c2sp.org/tlog-proof@v1\nindex 04\n\n")
	f.Add("index 4\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\ncheckpoint")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParseInclusion(text, nil); err == nil && p.Text() != text && p.Spicy() != text {
			t.Fatalf("%q is read, but written %q", text, p.Text())
		}
	})
}

func FuzzParseTile(f *testing.F) {
	f.Add("tile/0/x001/234")
	f.Add("tile/entries/000.p/7")
	f.Fuzz(func(t *testing.T, path string) {
		if tile, err := ParseTile(path); err == nil && tile.Path() != path {
			t.Fatalf("%q is read, but written %q", path, tile.Path())
		}
	})
}

// L7 of trust.md 6.6: a million leaves in under 30 s, without a time in a test.
func BenchmarkVerifyExport(b *testing.B) {
	k := newKey(b, "pana/a", "1")
	const leaves = 65_536
	dir := export(b, filled(b, leaves), leaves, k)
	b.ResetTimer()
	for b.Loop() {
		if _, err := VerifyExport(dir, Trust{Key: k}); err != nil {
			b.Fatal(err)
		}
	}
	perLeaf := b.Elapsed().Seconds() / float64(b.N) / leaves
	b.ReportMetric(perLeaf*1e6, "s/1M-leaves")
}
