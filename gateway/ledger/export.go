package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is that of C2SP tlog-tiles: 256 hashes or entries a tile.
const tileHeight, tileWidth = 8, 256

var errExport = errors.New("ledger: an exported file is missing, damaged or of another size")

// tilePath is the path of a tile in C2SP tlog-tiles, which leaves out the height.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if t.L < 0 {
		path = strings.Replace(path, "data/", "entries/", 1)
	}
	return "tile/" + path
}

// A Trust is what whoever verifies an export believes beforehand.
type Trust struct {
	Key    note.Verifier // of the log
	Policy *Policy       // which witnesses must have signed; nil: none, and their lines are passed over
	Since  string        // a checkpoint that was kept earlier, or ""
	// Checkpoint is looked at instead of the export's own, or "".
	Checkpoint string
}

// Verified is what is proved of an export.
type Verified struct {
	Leaves       uint64
	Cosignatures []Cosignature // that the policy asks for; none without a policy
	Files        int           // whose every byte was checked
}

// A RangeError names the leaves of an export that are not what was logged, or cannot be
// told from what was, and the file.
type RangeError struct {
	First, Last uint64
	File        string
	Why         string // never quotes a leaf
}

// Error gives the range, the file and the reason.
func (e *RangeError) Error() string {
	if e.First == e.Last {
		return fmt.Sprintf("ledger: leaf %d (%s): %s", e.First, e.File, e.Why)
	}
	return fmt.Sprintf("ledger: leaves %d to %d (%s): %s", e.First, e.Last, e.File, e.Why)
}

// A FileError names a file of an export that does not belong to the log.
type FileError struct {
	File string
	Why  string
}

// Error gives the file and the reason.
func (e *FileError) Error() string { return "ledger: " + e.File + ": " + e.Why }

// VerifyExport checks every byte of a tlog-tiles directory: the checkpoint with its
// signatures, every leaf's form and place, every hash of every level, and partial tiles
// that earlier exports left. It streams: memory does not grow with the log.
func VerifyExport(dir fs.FS, trust Trust) (Verified, error) {
	text := []byte(trust.Checkpoint)
	if len(text) == 0 {
		var err error
		text, err = fs.ReadFile(dir, CheckpointPath)
		if err != nil || len(text) > maxCheckpoint {
			return Verified{}, &FileError{CheckpointPath, "it is missing or no checkpoint"}
		}
	}
	roots, size, err := (&Log{Checkpoint: string(text), Since: trust.Since}).signed(trust.Key)
	if err != nil {
		return Verified{}, err
	}
	v := Verified{Leaves: size, Files: 1}
	if trust.Policy != nil {
		if _, v.Cosignatures, err = trust.Policy.Open(string(text), trust.Key); err != nil {
			return v, err
		}
	}
	e := exported{dir: dir, size: size, roots: roots}
	if err := e.verify(); err != nil {
		return v, err
	}
	v.Files += e.files
	left, err := e.verifyLeftovers()
	v.Files += left
	return v, err
}

// exported is an export while it is verified, from the first leaf to the last.
type exported struct {
	dir    fs.FS
	size   uint64
	roots  signedRoots
	edge   frontier
	levels [8][]byte // the hashes since the last full tile, by level
	wrong  error     // of a root; said last, because what is wrong with a tile says more
	files  int
}

func (e *exported) verify() error {
	e.wrong = e.roots.check(&e.edge)
	for e.edge.size < e.size {
		if err := e.bundle(entriesTile(min(e.edge.size+tileWidth, e.size))); err != nil {
			return err
		}
	}
	for level := range e.levels {
		if len(e.levels[level]) > 0 {
			if err := e.tile(level); err != nil {
				return err
			}
		}
	}
	return e.wrong
}

// bundle checks the leaves of one file and, whenever they complete one, a tile.
func (e *exported) bundle(t Tile) error {
	first, n := t.Leaves()
	bad := func(first, last uint64, why string) error { return &RangeError{first, last, t.Path(), why} }
	data, err := fs.ReadFile(e.dir, t.Path())
	if err != nil {
		return bad(first, first+n-1, "the file is missing")
	}
	e.files++
	for leaf, err := range unbundle(data) {
		index := e.edge.size
		if err != nil || index == first+n {
			return bad(min(index, first+n-1), first+n-1, "the file is damaged or of another size")
		}
		if l, err := DecodeLeaf(leaf); err != nil {
			return bad(index, index, strings.TrimPrefix(err.Error(), "ledger: "))
		} else if l.Seq != index {
			return bad(index, index, "it stands in another place than it says")
		}
		if err := e.add(tlog.RecordHash(leaf)); err != nil {
			return err
		}
	}
	if e.edge.size != first+n {
		return bad(e.edge.size, first+n-1, "the file is damaged or of another size")
	}
	return nil
}

func (e *exported) add(record tlog.Hash) error {
	for height, h := range e.edge.add(record) {
		level := height / tileHeight
		if height%tileHeight != 0 || level >= len(e.levels) {
			continue
		}
		e.levels[level] = append(e.levels[level], h[:]...)
		if len(e.levels[level]) == tileWidth*tlog.HashSize {
			if err := e.tile(level); err != nil {
				return err
			}
		}
	}
	if e.wrong == nil {
		e.wrong = e.roots.check(&e.edge)
	}
	return nil
}

// tile holds the file of a level's newest hashes against those that the leaves have.
func (e *exported) tile(level int) error {
	want := e.levels[level]
	hashes := unsigned(int64(len(want) / tlog.HashSize))
	last := e.edge.size >> (tileHeight * level) // hashes of this level so far
	t := Tile{tlog.Tile{H: tileHeight, L: level, N: signed((last - hashes) / tileWidth), W: int(signed(hashes))}}
	e.levels[level] = want[:0]
	have, err := fs.ReadFile(e.dir, t.Path())
	from, _ := t.span(0)
	_, to := t.span(t.tile.W - 1)
	switch {
	case err != nil:
		return &RangeError{from, to, t.Path(), "the file is missing"}
	case len(have) != len(want):
		return &RangeError{from, to, t.Path(), "the file is damaged or of another size"}
	case bytes.Equal(have, want):
		e.files++
		return nil
	}
	place := 0
	for have[place] == want[place] {
		place++
	}
	from, to = t.span(place / tlog.HashSize)
	return &RangeError{from, to, t.Path(), "leaf and hash differ: one of them is not what was logged"}
}

// verifyLeftovers checks what else lies in the directory of tiles: partial tiles of
// earlier checkpoints, which must be the beginning of those that grew out of them.
func (e *exported) verifyLeftovers() (int, error) {
	n := 0
	err := fs.WalkDir(e.dir, "tile", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if errors.Is(err, fs.ErrNotExist) && e.size == 0 {
				return nil
			}
			return err
		}
		t, err := ParseTile(path)
		if err != nil {
			return &FileError{path, "it is no file of a log"}
		}
		widest := t.widest(e.size)
		switch w := unsigned(int64(t.tile.W)); {
		case w > widest:
			return &FileError{path, "it lies beyond the checkpoint: an export was interrupted, or it was added; export again"}
		case w == widest:
			return nil // checked with its leaves
		}
		n++
		return e.verifyPart(t, int(signed(widest)))
	})
	return n, err
}

func (e *exported) verifyPart(t Tile, width int) error {
	whole := t
	whole.tile.W = width
	have, err := fs.ReadFile(e.dir, t.Path())
	want, wholeErr := fs.ReadFile(e.dir, whole.Path())
	from, _ := t.span(0)
	_, to := t.span(t.tile.W - 1)
	n := len(have) / tlog.HashSize * tlog.HashSize
	if t.Entries() {
		from, _ = t.Leaves()
		to = from + unsigned(int64(t.tile.W)) - 1
		n = 0
		left := t.tile.W
		for leaf, err := range unbundle(have) {
			if err != nil {
				break
			}
			n += 2 + len(leaf)
			left--
		}
		if left != 0 {
			n = -1
		}
	} else if n != t.tile.W*tlog.HashSize {
		n = -1
	}
	if err != nil || wholeErr != nil || n != len(have) || !bytes.HasPrefix(want, have) {
		return &RangeError{from, to, t.Path(), "it is not the beginning of " + whole.Path()}
	}
	return nil
}
