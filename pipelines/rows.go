package pipelines

import (
	"encoding/binary"
	"slices"

	"github.com/pana-exchange/pana/gateway"
)

// Rows lays the stored bytes of a block's rows out one after another, as [RowBytes] does
// for one row, column by column and so many times faster. It is for one goroutine.
type Rows struct {
	PID, MAC int // the columns of these names
	layout   []gateway.Column
	offsets  []int // of each column in a row; -1: the check sum, which is not part of it
	width    int
	image    []byte
}

// NewRows returns rows of a layout.
func NewRows(layout []gateway.Column) *Rows {
	index := func(name string) int {
		return slices.IndexFunc(layout, func(c gateway.Column) bool { return c.Name == name })
	}
	r := &Rows{PID: index(gateway.ColumnPID), MAC: index(gateway.ColumnMAC), layout: layout}
	for i, column := range layout {
		if i == r.MAC {
			r.offsets = append(r.offsets, -1)
			continue
		}
		r.offsets = append(r.offsets, r.width)
		r.width += width(column.Type)
	}
	r.image = make([]byte, gateway.BlockRows*r.width)
	return r
}

// Bytes returns the bytes of the first n rows, all of one length, one after another:
// what pseudonym.Hasher.RowMACs takes. They are valid until the next Load.
func (r *Rows) Bytes(n int) []byte { return r.image[:n*r.width] }

// SetPIDs puts other pids into the first rows.
func (r *Rows) SetPIDs(pids [][16]byte) {
	at := r.offsets[r.PID]
	for i := range pids {
		copy(r.image[i*r.width+at:], pids[i][:])
	}
}

// Load takes the rows of a block, which must be laid out alike.
func (r *Rows) Load(b *gateway.Block) {
	n, w := b.Rows(), r.width
	for i, column := range r.layout {
		at := r.offsets[i]
		if at < 0 {
			continue
		}
		image := r.image[at:]
		switch column.Type {
		case gateway.Uint8:
			for row, v := range b.Uint8s(i)[:n] {
				image[row*w] = v
			}
		case gateway.Uint16:
			for row, v := range b.Uint16s(i)[:n] {
				binary.LittleEndian.PutUint16(image[row*w:], v)
			}
		case gateway.Uint64:
			for row, v := range b.Uint64s(i)[:n] {
				binary.LittleEndian.PutUint64(image[row*w:], v)
			}
		case gateway.Int32:
			for row, v := range b.Int32s(i)[:n] {
				binary.LittleEndian.PutUint32(image[row*w:], uint32(v)) //nolint:gosec // bits
			}
		case gateway.ID:
			for row, id := range b.IDs(i)[:n] {
				copy(image[row*w:], id[:])
			}
		}
	}
}
