package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is that of C2SP tlog-tiles: 256 hashes or entries a tile.
const tileHeight, tileWidth = 8, 256

const proofHeader = "c2sp.org/tlog-proof@v1"

var (
	errTlogProof = errors.New("ledger: not a tlog-proof")
	errExport    = errors.New("ledger: an exported file is missing, damaged or of another size")
)

// Text returns the proof as a C2SP tlog-proof, which public tools verify beside the
// leaf.
func (p Inclusion) Text() string {
	var b strings.Builder
	b.WriteString(proofHeader + "\nindex " + strconv.FormatUint(p.Index, 10) + "\n")
	for _, h := range p.Proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
	}
	b.WriteString("\n" + p.Checkpoint)
	return b.String()
}

// ParseInclusion reads a proof that [Inclusion.Text] wrote for a leaf. It proves
// nothing until it is verified.
func ParseInclusion(text string, leaf []byte) (Inclusion, error) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || len(lines) > 2+64 || lines[0] != proofHeader {
		return Inclusion{}, errTlogProof
	}
	number, found := strings.CutPrefix(lines[1], "index ")
	index, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil {
		return Inclusion{}, errTlogProof
	}
	p := Inclusion{Leaf: leaf, Index: index, Checkpoint: checkpoint}
	for _, line := range lines[2:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return Inclusion{}, errTlogProof
		}
		p.Proof = append(p.Proof, h)
	}
	if p.Text() != text {
		return Inclusion{}, errTlogProof
	}
	return p, nil
}

// A File is one file of an export.
type File struct {
	Path string // with slashes, relative to the export's root
	Data []byte
}

// Export returns the files of a C2SP tlog-tiles log of the first size leaves: tiles
// of hashes (tile/L/N), the leaves (tile/entries/N) and, last, the checkpoint, so that
// whoever copies them in order never has a checkpoint without its tiles.
func Export(size uint64, log Log, stored tlog.HashReader) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, tile := range tlog.NewTiles(tileHeight, 0, signed(size)) {
			data, err := tlog.ReadTileData(tile, stored)
			if err != nil {
				yield(File{}, fmt.Errorf("exporting hashes: %w", err))
				return
			}
			if !yield(File{tilePath(tile), data}, nil) {
				return
			}
		}
		for file, err := range bundles(size, log.Leaves) {
			if !yield(file, err) || err != nil {
				return
			}
		}
		yield(File{"checkpoint", []byte(log.Checkpoint)}, nil)
	}
}

// bundles packs leaves as tlog-tiles entry bundles: each a length in 16 bits and the
// bytes.
func bundles(size uint64, leaves iter.Seq2[[]byte, error]) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		var bundle []byte
		n := uint64(0)
		for leaf, err := range leaves {
			if err == nil && len(leaf) > MaxLeaf {
				err = errSize
			}
			if err != nil {
				yield(File{}, fmt.Errorf("exporting leaf %d: %w", n, err))
				return
			}
			if n == size {
				break
			}
			bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf))) //nolint:gosec // at most MaxLeaf
			bundle = append(bundle, leaf...)
			n++
			if n%tileWidth == 0 || n == size {
				if !yield(File{entriesPath(n), bundle}, nil) {
					return
				}
				bundle = nil
			}
		}
		if n < size {
			yield(File{}, errShort)
		}
	}
}

// tilePath is the path of a tile in C2SP tlog-tiles, which leaves out the height.
func tilePath(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// entriesPath is the path of the bundle that ends with leaf number n, from 1.
func entriesPath(n uint64) string {
	return tilePath(tlog.Tile{H: tileHeight, L: -1, N: signed((n - 1) / tileWidth), W: int((n-1)%tileWidth) + 1})
}

// OpenExport returns an export as a log for [VerifyLog], which needs the directory
// and the public key alone. Bad leaves are named by the tiles of level 0.
func OpenExport(dir fs.FS) (Log, error) {
	checkpoint, err := fs.ReadFile(dir, "checkpoint")
	if err != nil || len(checkpoint) > maxCheckpoint {
		return Log{}, errExport
	}
	// The size is not to be trusted yet: VerifyLog checks the signature before it
	// reads anything.
	lines := strings.SplitN(string(checkpoint), "\n", 3)
	if len(lines) < 3 {
		return Log{}, errCheckpoint
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > maxInteger {
		return Log{}, errCheckpoint
	}
	return Log{
		Leaves:     exportedLeaves(dir, size),
		Hashes:     exportedHashes(dir, size),
		Checkpoint: string(checkpoint),
	}, nil
}

func exportedLeaves(dir fs.FS, size uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := uint64(0); n < size; {
			end := min(n+tileWidth, size)
			data, err := fs.ReadFile(dir, entriesPath(end))
			for ; err == nil && n < end; n++ {
				if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
					err = errExport
					break
				}
				length := 2 + int(binary.BigEndian.Uint16(data))
				if !yield(data[2:length:length], nil) {
					return
				}
				data = data[length:]
			}
			if err != nil || len(data) > 0 {
				yield(nil, errExport)
				return
			}
		}
	}
}

// exportedHashes computes the stored hashes from the tiles of level 0.
func exportedHashes(dir fs.FS, size uint64) iter.Seq2[tlog.Hash, error] {
	return func(yield func(tlog.Hash, error) bool) {
		var f frontier
		for f.size < size {
			end := min(f.size+tileWidth, size)
			tile := tlog.Tile{H: tileHeight, L: 0, N: signed(f.size / tileWidth), W: int((end-1)%tileWidth) + 1}
			data, err := fs.ReadFile(dir, tilePath(tile))
			if err != nil || len(data) != tile.W*tlog.HashSize {
				yield(tlog.Hash{}, errExport)
				return
			}
			for ; len(data) > 0; data = data[tlog.HashSize:] {
				for _, h := range f.add(tlog.Hash(data[:tlog.HashSize])) {
					if !yield(h, nil) {
						return
					}
				}
			}
		}
	}
}
