package pipelines

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/pana-exchange/pana/gateway"
)

// Rows are RowBytes, one after another, and a pid that is put in is where it belongs.
func TestRowsAreRowBytes(t *testing.T) {
	layout := []gateway.Column{
		{Name: gateway.ColumnPID, Type: gateway.ID},
		{Name: gateway.ColumnRandom, Type: gateway.Uint64},
		{Name: gateway.ColumnMAC, Type: gateway.Uint64},
		{Name: gateway.ColumnQuarter, Type: gateway.Uint16},
		{Name: "a", Type: gateway.Uint8},
		{Name: "b", Type: gateway.Int32},
		{Name: "c", Type: gateway.ID},
		{Name: "d", Type: gateway.Uint64},
	}
	rng := rand.New(rand.NewPCG(1, 2)) // of values that mean nothing
	b, rows := gateway.NewBlock(layout), NewRows(layout)
	for _, n := range []int{0, 1, 17, gateway.BlockRows} {
		b.SetRows(n)
		for row := range n {
			for i := range 16 {
				b.IDs(0)[row][i], b.IDs(6)[row][i] = byte(rng.Uint32()), byte(rng.Uint32())
			}
			b.Uint64s(1)[row], b.Uint64s(2)[row], b.Uint64s(7)[row] = rng.Uint64(), rng.Uint64(), rng.Uint64()
			b.Uint16s(3)[row], b.Uint8s(4)[row], b.Int32s(5)[row] = uint16(rng.Uint32()), uint8(rng.Uint32()), int32(rng.Uint32())
		}
		rows.Load(b)
		for range 2 {
			var want []byte
			for row := range n {
				want = RowBytes(want, b, row)
			}
			if !bytes.Equal(rows.Bytes(n), want) {
				t.Fatalf("the bytes of %d rows differ", n)
			}
			for row := range n {
				b.IDs(0)[row][0]++
			}
			rows.SetPIDs(b.IDs(0)[:n])
		}
	}
}
