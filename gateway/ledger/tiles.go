package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// CheckpointPath is where a tlog-tiles log has its checkpoint.
const CheckpointPath = "checkpoint"

// ErrNoTile means that the log has no such file: the path is not one in C2SP
// tlog-tiles, or lies beyond the log's end.
var ErrNoTile = errors.New("ledger: there is no such tile")

// A Tile names one file of a tlog-tiles log: hashes of a level, or leaves.
type Tile struct{ tile tlog.Tile }

// ParseTile reads a path such as tile/0/x001/234 or tile/entries/000.p/7.
func ParseTile(path string) (Tile, error) {
	rest, found := strings.CutPrefix(path, "tile/")
	if !found || len(path) > 100 {
		return Tile{}, ErrNoTile
	}
	if entries, found := strings.CutPrefix(rest, "entries/"); found {
		rest = "data/" + entries
	} else if strings.HasPrefix(rest, "data/") {
		return Tile{}, ErrNoTile
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, rest))
	if err != nil || t.L > 63 || t.N < 0 || t.N > maxInteger/tileWidth || tilePath(t) != path {
		return Tile{}, ErrNoTile
	}
	return Tile{t}, nil
}

// Path is the tile's path in the log.
func (t Tile) Path() string { return tilePath(t.tile) }

// Entries reports whether the tile holds leaves.
func (t Tile) Entries() bool { return t.tile.L < 0 }

// Leaves are the first leaf of a bundle of leaves, and how many it holds.
func (t Tile) Leaves() (first, n uint64) {
	return unsigned(t.tile.N) * tileWidth, unsigned(int64(t.tile.W))
}

// Within reports whether a log of so many leaves has the tile, or a wider one.
func (t Tile) Within(size uint64) bool { return unsigned(int64(t.tile.W)) <= t.widest(size) }

// widest is how much of the tile's place a log of so many leaves fills.
func (t Tile) widest(size uint64) uint64 {
	level := max(t.tile.L, 0)
	if level >= 7 {
		return 0 // no log has 2^56 leaves
	}
	n := size >> (tileHeight * level)
	first := unsigned(t.tile.N) * tileWidth
	if n <= first {
		return 0
	}
	return min(n-first, tileWidth)
}

// span is which leaves the hash at a place of the tile stands for.
func (t Tile) span(place int) (first, last uint64) {
	width := uint64(1) << (tileHeight * max(t.tile.L, 0))
	first = (unsigned(t.tile.N)*tileWidth + unsigned(int64(place))) * width
	return first, first + width - 1
}

// Tiles are the files of a log of so many leaves, but for its checkpoint: hashes, then
// leaves.
func Tiles(size uint64) iter.Seq[Tile] {
	return func(yield func(Tile) bool) {
		for _, t := range tlog.NewTiles(tileHeight, 0, signed(size)) {
			if !yield(Tile{t}) {
				return
			}
		}
		for n := uint64(0); n < size; n += tileWidth {
			if !yield(entriesTile(min(n+tileWidth, size))) {
				return
			}
		}
	}
}

// entriesTile is the bundle that ends with leaf number n, from 1.
func entriesTile(n uint64) Tile {
	return Tile{tlog.Tile{H: tileHeight, L: -1, N: signed((n - 1) / tileWidth), W: int((n-1)%tileWidth) + 1}}
}

// Hashes returns the bytes of a tile of hashes.
func (t Tile) Hashes(stored tlog.HashReader) ([]byte, error) {
	if t.Entries() {
		return nil, ErrNoTile
	}
	data, err := tlog.ReadTileData(t.tile, stored)
	if err != nil {
		return nil, fmt.Errorf("reading a tile: %w", err)
	}
	return data, nil
}

// Bundle returns the bytes of a tile of leaves, which are given from its first on:
// each a length in 16 bits and the leaf.
func (t Tile) Bundle(leaves iter.Seq2[[]byte, error]) ([]byte, error) {
	var bundle []byte
	n := 0
	for leaf, err := range leaves {
		if err == nil && len(leaf) > MaxLeaf {
			err = errSize
		}
		if err != nil {
			return nil, fmt.Errorf("reading a bundle of leaves: %w", err)
		}
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf))) //nolint:gosec // at most MaxLeaf
		bundle = append(bundle, leaf...)
		if n++; n == t.tile.W {
			return bundle, nil
		}
	}
	return nil, errShort
}

// unbundle takes a bundle of leaves apart.
func unbundle(data []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for len(data) > 0 {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				yield(nil, errExport)
				return
			}
			length := 2 + int(binary.BigEndian.Uint16(data))
			if !yield(data[2:length:length], nil) {
				return
			}
			data = data[length:]
		}
	}
}
