package pipelines

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/pana-exchange/pana/gateway"
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

// A sink is one column of the block that is being filled.
type sink struct {
	offset int // in the image; -1 for the check sum
	u8     []uint8
	u16    []uint16
	u64    []uint64
	i32    []int32
	id     [][16]byte
}

// bind points the sinks at the columns of a block.
func (st *stream) bind(b *gateway.Block) error {
	if !slices.Equal(b.Layout, st.program.layout) {
		return fmt.Errorf("reading into a block that is not laid out as contract %s", st.schema.contract.ID)
	}
	st.sinks = st.sinks[:0]
	for i, offset := range st.program.offsets {
		st.sinks = append(st.sinks, sink{offset, b.Uint8s(i), b.Uint16s(i), b.Uint64s(i), b.Int32s(i), b.IDs(i)})
	}
	return nil
}

// put makes the image of the current row, as the plan says, and lays it into the
// block's columns.
func (st *stream) put(row int) error {
	image := st.image
	copy(image, st.program.template)
	if err := st.random.read(image[offsetRandom : offsetRandom+8]); err != nil {
		return err
	}
	shift, linked := 0, st.program.pid && st.slots[st.schema.iin].ok
	if linked {
		shift = st.hasher.PID((*[16]byte)(image[offsetPID:]), st.cell(st.schema.iin))
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
			binary.LittleEndian.PutUint32(image[s.offset:], uint32(slot.v+int64(shift))) //nolint:gosec // a day
		case storeKey:
			st.hasher.Key((*[16]byte)(image[s.offset:]), s.domain, st.cell(s.field))
		case storeRecord:
			*(*[16]byte)(image[s.offset:]) = st.recordKey
		case storeBand:
		}
	}
	st.scatter(row, st.hasher.RowMAC(image))
	return nil
}

func (st *stream) scatter(row int, check uint64) {
	for i := range st.sinks {
		s := &st.sinks[i]
		if s.offset < 0 {
			s.u64[row] = check
			continue
		}
		from := st.image[s.offset:]
		switch {
		case s.u8 != nil:
			s.u8[row] = from[0]
		case s.i32 != nil:
			s.i32[row] = int32(binary.LittleEndian.Uint32(from)) //nolint:gosec // bits
		case s.id != nil:
			s.id[row] = [16]byte(from)
		case s.u64 != nil:
			s.u64[row] = binary.LittleEndian.Uint64(from)
		default:
			s.u16[row] = binary.LittleEndian.Uint16(from)
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
