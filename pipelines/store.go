package pipelines

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// RowBytes appends the stored bytes of one row of a block to dst: all columns in
// the order of the layout but the check sum, little endian. What
// pseudonym.Hasher.RowMAC makes of them is the row's check sum, so fsck and
// rotation recompute it with this.
func RowBytes(dst []byte, b *gateway.Block, row int) []byte {
	for i, column := range b.Layout {
		switch {
		case column.Name == gateway.ColumnMAC:
		case column.Type == gateway.Uint8:
			dst = append(dst, b.Uint8s(i)[row])
		case column.Type == gateway.Uint16:
			dst = binary.LittleEndian.AppendUint16(dst, b.Uint16s(i)[row])
		case column.Type == gateway.Uint64:
			dst = binary.LittleEndian.AppendUint64(dst, b.Uint64s(i)[row])
		case column.Type == gateway.Int32:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(b.Int32s(i)[row])) //nolint:gosec // bits
		case column.Type == gateway.ID:
			id := b.IDs(i)[row]
			dst = append(dst, id[:]...)
		}
	}
	return dst
}

// The sinks are the columns of the block that is being filled, by type.
type sinks struct {
	check []uint64
	u8    []sink[uint8]
	u16   []sink[uint16]
	u64   []sink[uint64]
	i32   []sink[int32]
	id    []sink[[16]byte]
}

// A sink is one column, and where its value is in the row's image.
type sink[T any] struct {
	offset int
	column []T
}

// bind points the sinks at the columns of a block.
func (st *stream) bind(b *gateway.Block) error {
	if !slices.Equal(b.Layout, st.program.layout) {
		return fmt.Errorf("reading into a block that is not laid out as contract %s", st.schema.contract.ID)
	}
	k := &st.sinks
	k.u8, k.u16, k.u64, k.i32, k.id = k.u8[:0], k.u16[:0], k.u64[:0], k.i32[:0], k.id[:0]
	for i, offset := range st.program.offsets {
		switch {
		case offset < 0:
			k.check = b.Uint64s(i)
		case b.Layout[i].Type == gateway.Uint8:
			k.u8 = append(k.u8, sink[uint8]{offset, b.Uint8s(i)})
		case b.Layout[i].Type == gateway.Uint16:
			k.u16 = append(k.u16, sink[uint16]{offset, b.Uint16s(i)})
		case b.Layout[i].Type == gateway.Uint64:
			k.u64 = append(k.u64, sink[uint64]{offset, b.Uint64s(i)})
		case b.Layout[i].Type == gateway.Int32:
			k.i32 = append(k.i32, sink[int32]{offset, b.Int32s(i)})
		case b.Layout[i].Type == gateway.ID:
			k.id = append(k.id, sink[[16]byte]{offset, b.IDs(i)})
		}
	}
	return nil
}

// lay lays rows of the lot into the block behind its first n rows, as many as
// there are and fit, and returns how many.
func (st *stream) lay(n int) int {
	l, k, width := st.lot, &st.sinks, len(st.program.template)
	rows := min(l.left(), gateway.BlockRows-n)
	images := l.images[l.laid*width:]
	copy(k.check[n:n+rows], l.checks[l.laid:])
	for _, s := range k.u8 {
		column, at := s.column[n:n+rows], s.offset
		for i := range column {
			column[i] = images[at]
			at += width
		}
	}
	for _, s := range k.u16 {
		column, at := s.column[n:n+rows], s.offset
		for i := range column {
			column[i] = binary.LittleEndian.Uint16(images[at:])
			at += width
		}
	}
	for _, s := range k.u64 {
		column, at := s.column[n:n+rows], s.offset
		for i := range column {
			column[i] = binary.LittleEndian.Uint64(images[at:])
			at += width
		}
	}
	for _, s := range k.i32 {
		column, at := s.column[n:n+rows], s.offset
		for i := range column {
			column[i] = int32(binary.LittleEndian.Uint32(images[at:])) //nolint:gosec // bits
			at += width
		}
	}
	for _, s := range k.id {
		column, at := s.column[n:n+rows], s.offset
		for i := range column {
			column[i] = [16]byte(images[at:])
			at += width
		}
	}
	l.laid += rows
	return rows
}

// put makes the image of the current row, as the plan says, but for what pass 2
// writes.
func (st *stream) put() {
	l := st.lot
	at := len(l.images)
	l.images = append(l.images, st.program.template...)
	image := l.images[at:]
	l.rows++
	linked := st.program.pid && st.slots[st.schema.iin].ok
	iin := pseudonym.Span{}
	if linked {
		iin = l.keep(st.cell(st.schema.iin))
	}
	l.iins = append(l.iins, iin)
	if st.named {
		l.names = append(l.names, unnumbered{l.rows - 1, st.innerByName})
		linked = true
	}
	if st.blindTo != nil {
		st.keepRest()
	}
	if st.program.quarter {
		event := st.slots[st.schema.event].ymd
		quarter := event/10000*4 + (event/100%100-1)/3
		binary.LittleEndian.PutUint16(image[offsetQuarter:], uint16(quarter)) //nolint:gosec // a gateway.Quarter
	}
	for i := range st.program.stores {
		s := &st.program.stores[i]
		if s.kind == storeBand {
			s.putCode(image, st.band())
			continue
		}
		slot := &st.slots[s.field]
		if !slot.given || s.kind == storeDay && !linked {
			continue
		}
		switch s.kind {
		case storeCode:
			s.putCode(image, s.coarse(uint16(slot.v))) //nolint:gosec // a number of a code
		case storeCodes:
			binary.LittleEndian.PutUint64(image[s.offset:], s.coarseSet(uint64(slot.v))) //nolint:gosec // bits
		case storeCount:
			binary.LittleEndian.PutUint32(image[s.offset:], uint32(s.bandOf(slot.v))) //nolint:gosec // a count
		case storeDay:
			binary.LittleEndian.PutUint32(image[s.offset:], uint32(slot.v)) //nolint:gosec // a day
		case storeKey:
			st.hasher.Key((*[16]byte)(image[s.offset:]), s.domain, st.cell(s.field))
		case storeRecord, storeBand:
		}
	}
}

func (s *store) putCode(image []byte, number uint16) {
	if s.wide {
		binary.LittleEndian.PutUint16(image[s.offset:], number)
		return
	}
	image[s.offset] = uint8(number) //nolint:gosec // the list has at most 255 codes
}

func (s *store) coarse(number uint16) uint16 {
	if s.remap == nil {
		return number
	}
	return s.remap[number]
}

func (s *store) coarseSet(set uint64) uint64 {
	if s.remap == nil {
		return set
	}
	coarse := uint64(0)
	for ; set != 0; set &= set - 1 {
		coarse |= 1 << (s.remap[bits.TrailingZeros64(set)+1] - 1)
	}
	return coarse
}

// bandOf returns the lower bound of the band of a count.
func (s *store) bandOf(n int64) int64 {
	if s.cuts == nil {
		return n
	}
	i := len(s.cuts) - 1
	for i > 0 && s.cuts[i] > n {
		i--
	}
	return s.cuts[i]
}

// band returns the number of the age band, 0 where the plan keeps none of what
// the age is known from.
func (st *stream) band() uint16 {
	switch {
	case !st.age.ok,
		st.ageFromBirth && !st.program.bandBirth,
		!st.ageFromBirth && !st.program.bandAge:
		return 0
	}
	return st.schema.bands[st.age.v]
}

// A randomness is a source of random bytes, read in large pieces.
type randomness struct {
	src  io.Reader
	buf  [4096]byte
	used int
}

func newRandomness(src io.Reader) *randomness { return &randomness{src: src, used: 4096} }

func (r *randomness) read(dst []byte) error {
	if r.used == len(r.buf) {
		if _, err := io.ReadFull(r.src, r.buf[:]); err != nil {
			return fmt.Errorf("reading randomness: %w", err)
		}
		r.used = 0
	}
	r.used += copy(dst, r.buf[r.used:])
	return nil
}
