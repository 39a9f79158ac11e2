package pipelines

import (
	"encoding/binary"
	"math/bits"

	"github.com/pana-exchange/pana/gateway"
)

// A codeTable finds the number of a code: open addressing over codes of up to 16
// bytes, held as two words. Longer codes are asked of the list.
type codeTable struct {
	list  *gateway.CodeList
	own   map[string]uint16 // the agency's own values, which go before the list
	slots []codeSlot        // a power of two, at most half full
	shift uint
}

type codeSlot struct {
	low, high uint64 // the code's bytes, zero behind them
	number    uint16 // 0: the slot is free
}

// masks keep the first n of 16 bytes: without a branch, because the lengths of
// codes are as random as the codes.
var masks = func() (m [17][2]uint64) {
	for n := range m {
		m[n] = [2]uint64{1<<(8*min(n, 8)) - 1, 1<<(8*max(n-8, 0)) - 1} // a shift by 64 gives all ones
	}
	return m
}()

func newCodeTable(list *gateway.CodeList, own map[string]uint16) *codeTable {
	size := bits.Len(uint(len(list.Codes)+len(own))*2 + 1)
	t := &codeTable{list: list, own: own, slots: make([]codeSlot, 1<<size), shift: uint(64 - size)}
	for value, number := range own {
		t.add(value, number)
	}
	for i, c := range list.Codes {
		if _, taken := own[c.Code]; !taken {
			t.add(c.Code, uint16(i+1))
		}
	}
	return t
}

func (t *codeTable) add(code string, number uint16) {
	if len(code) > 16 {
		return
	}
	var text [16]byte
	copy(text[:], code)
	slot := codeSlot{binary.LittleEndian.Uint64(text[:8]), binary.LittleEndian.Uint64(text[8:]), number}
	at := t.place(slot.low, slot.high)
	for t.slots[at].number != 0 {
		at = (at + 1) & (len(t.slots) - 1)
	}
	t.slots[at] = slot
}

func (t *codeTable) place(low, high uint64) int {
	h := (low ^ bits.RotateLeft64(high, 29)) * 0x9e3779b97f4a7c15
	return int(h >> t.shift) //nolint:gosec // at most 17 bits
}

// number returns the number of a code, and 0 for what is not in the list. Behind
// the cell there must be 16 bytes to read, as there are in a scanner's buffer. A
// cell holds no NUL, so the bytes with zeros behind them tell codes apart.
func (t *codeTable) number(cell []byte) uint16 {
	n := len(cell)
	if n > 16 || cap(cell) < 16 {
		if number := t.own[string(cell)]; number != 0 {
			return number
		}
		number, _ := t.list.Number(cell)
		return number
	}
	words := cell[:16]
	low := binary.LittleEndian.Uint64(words) & masks[n][0]
	high := binary.LittleEndian.Uint64(words[8:]) & masks[n][1]
	for at := t.place(low, high); ; at = (at + 1) & (len(t.slots) - 1) {
		s := &t.slots[at]
		if s.number == 0 || s.low == low && s.high == high {
			return s.number
		}
	}
}
