package gateway

import "fmt"

// BlockRows is the most rows a [Block] holds. The server gathers blocks into large
// parts whatever their size, so they are small: several are in memory at once.
const BlockRows = 16384

// A Block is up to [BlockRows] rows after the plan, as columns: the only thing
// that can be stored. pipelines fills it, warehouse reads it; whoever asked for
// it gives it back to the pool it came from by [Block.Reset].
type Block struct {
	Layout []Column
	rows   int
	u8     map[int][]uint8
	u16    map[int][]uint16
	u64    map[int][]uint64
	i32    map[int][]int32
	id     map[int][][16]byte
}

// NewBlock returns an empty block with room for BlockRows rows of a layout.
func NewBlock(layout []Column) *Block {
	b := &Block{
		Layout: layout, u8: map[int][]uint8{}, u16: map[int][]uint16{}, u64: map[int][]uint64{},
		i32: map[int][]int32{}, id: map[int][][16]byte{},
	}
	for i, c := range layout {
		switch c.Type {
		case Uint8:
			b.u8[i] = make([]uint8, BlockRows)
		case Uint16:
			b.u16[i] = make([]uint16, BlockRows)
		case Uint64:
			b.u64[i] = make([]uint64, BlockRows)
		case Int32:
			b.i32[i] = make([]int32, BlockRows)
		case ID:
			b.id[i] = make([][16]byte, BlockRows)
		}
	}
	return b
}

// Rows returns how many rows the block holds.
func (b *Block) Rows() int { return b.rows }

// SetRows says that the first n rows of every column are filled.
func (b *Block) SetRows(n int) {
	if n < 0 || n > BlockRows {
		panic(fmt.Sprintf("gateway: internal error: a block of %d rows", n))
	}
	b.rows = n
}

// Reset empties the block for another use. Columns keep their old values until
// they are overwritten.
func (b *Block) Reset() { b.rows = 0 }

// Uint8s returns column i, all BlockRows of it, to fill or to read up to Rows.
func (b *Block) Uint8s(i int) []uint8 { return b.u8[i] }

// Uint16s is [Block.Uint8s] for a Uint16 column.
func (b *Block) Uint16s(i int) []uint16 { return b.u16[i] }

// Uint64s is [Block.Uint8s] for a Uint64 column.
func (b *Block) Uint64s(i int) []uint64 { return b.u64[i] }

// Int32s is [Block.Uint8s] for an Int32 column.
func (b *Block) Int32s(i int) []int32 { return b.i32[i] }

// IDs is [Block.Uint8s] for an ID column.
func (b *Block) IDs(i int) [][16]byte { return b.id[i] }
