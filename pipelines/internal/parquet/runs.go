package parquet

import "encoding/binary"

// A runs reads the hybrid of repeated and packed numbers (Parquet's RLE encoding).
type runs struct {
	data  []byte
	width int    // bits of a number, up to 32
	left  uint64 // numbers of the current run
	value uint32 // of a repeated one
	bits  []byte // of a packed one; nil: repeated
	at    uint64 // bit
}

// next returns the next number, and false where there is none.
func (r *runs) next() (uint32, bool) {
	for r.left == 0 {
		if !r.run() {
			return 0, false
		}
	}
	r.left--
	if r.bits == nil {
		return r.value, true
	}
	v := unpack(r.bits, r.at, r.width)
	r.at += uint64(r.width) //nolint:gosec // 32 at most
	return uint32(v), true  //nolint:gosec // of up to 32 bits
}

// run starts the next run.
func (r *runs) run() bool {
	head, n := binary.Uvarint(r.data)
	if n <= 0 {
		return false
	}
	r.data = r.data[n:]
	count := head >> 1
	if count > 1<<32 {
		return false
	}
	if head&1 == 0 {
		length := (r.width + 7) / 8
		if length > len(r.data) {
			return false
		}
		r.value = 0
		for i := range length {
			r.value |= uint32(r.data[i]) << (8 * i)
		}
		r.data, r.left, r.bits = r.data[length:], count, nil
		return true
	}
	r.left, r.at = 8*count, 0
	if r.width == 0 {
		r.value, r.bits = 0, nil
		return true
	}
	length := count * uint64(r.width)               //nolint:gosec // 32 at most
	if have := uint64(len(r.data)); length > have { // some writers leave out what is not needed of the last eight
		length, r.left = have, 8*have/uint64(r.width) //nolint:gosec // 32 at most
	}
	r.bits, r.data = r.data[:length], r.data[length:]
	return true
}

// unpack reads a number of some bits, the lowest first, that starts at a bit.
func unpack(bits []byte, at uint64, width int) uint64 {
	if width == 0 {
		return 0
	}
	from, shift := at>>3, at&7
	mask := ^uint64(0) >> (64 - width)
	if from+8 <= uint64(len(bits)) && int(shift)+width <= 64 {
		return binary.LittleEndian.Uint64(bits[from:]) >> shift & mask
	}
	v := uint64(bits[from]) >> shift
	for have := 8 - int(shift); have < width; have += 8 {
		from++
		v |= uint64(bits[from]) << have
	}
	return v & mask
}

// A deltas reads whole numbers as differences (DELTA_BINARY_PACKED).
type deltas struct {
	data   []byte
	block  int    // numbers of a block
	minis  int    // parts of a block
	left   uint64 // numbers yet to be read
	value  int64  // the next one
	base   int64  // least difference of the block
	widths []byte // of the parts of the block that are yet to be read
	inMini int    // numbers left of the part
	bits   []byte // of the part
	at     uint64
	width  int
}

// start reads the head. There are no more numbers than a page may have.
func (d *deltas) start(data []byte, most int64) bool {
	*d = deltas{data: data}
	block, minis, count := d.uvarint(), d.uvarint(), d.uvarint()
	first := d.uvarint()
	if d.data == nil || block == 0 || block > 1<<16 || block%128 != 0 || minis == 0 || minis > block/32 || block%minis != 0 || block/minis%32 != 0 || count > uint64(most) { //nolint:gosec // a count
		return false
	}
	d.block, d.minis, d.left = int(block), int(minis), count //nolint:gosec // bounded above
	d.value = int64(first>>1) ^ -int64(first&1)
	return true
}

// uvarint reads a number; without one there is no data any more.
func (d *deltas) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.data = nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

// next returns the next number, and false where there is none.
func (d *deltas) next() (int64, bool) {
	if d.left == 0 {
		return 0, false
	}
	v := d.value
	if d.left--; d.left > 0 && !d.step() {
		return 0, false
	}
	return v, true
}

// step reads one difference.
func (d *deltas) step() bool {
	if d.inMini == 0 && !d.mini() {
		return false
	}
	d.inMini--
	d.value += d.base + int64(unpack(d.bits, d.at, d.width)) //nolint:gosec // differences wrap around
	d.at += uint64(d.width)                                  //nolint:gosec // 64 at most
	return true
}

// mini starts the next part, of this block or of the next.
func (d *deltas) mini() bool {
	if len(d.widths) == 0 {
		base := d.uvarint()
		if d.minis > len(d.data) {
			return false
		}
		d.base = int64(base>>1) ^ -int64(base&1)
		d.widths, d.data = d.data[:d.minis], d.data[d.minis:]
	}
	d.width, d.widths = int(d.widths[0]), d.widths[1:]
	d.inMini, d.at = d.block/d.minis, 0
	length := d.inMini * d.width / 8
	if d.width > 64 || length > len(d.data) {
		return false
	}
	d.bits, d.data = d.data[:length], d.data[length:]
	return true
}

// rest returns what stands behind the numbers, reading them.
func (d *deltas) rest() ([]byte, bool) {
	ahead := *d
	for ahead.left > 0 {
		if _, ok := ahead.next(); !ok {
			return nil, false
		}
	}
	return ahead.data, true
}
