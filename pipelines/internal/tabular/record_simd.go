//go:build goexperiment.simd && amd64

package tabular

import (
	"math/bits"
	"slices"

	"simd/archsimd"

	"github.com/pana-exchange/pana/gateway"
)

func (s *CSV) record() (gateway.ProblemCode, bool) {
	if !archsimd.X86.AVX2() {
		return s.recordByWords()
	}
	return s.recordByMarks()
}

// stride is how many bytes recordByMarks looks at at once, one bit each.
const stride = 64

// recordByMarks is recordByWords, 64 bytes at a time, which in turn are looked at
// only where they are marked (BenchmarkScannerASCII: half of the time).
func (s *CSV) recordByMarks() (gateway.ProblemCode, bool) {
	buf, end := s.row.Buf, s.end
	if s.start < end && (buf[s.start] == '\n' || buf[s.start] == '\r' && buf[s.start+1] == '\n') {
		return "", false
	}
	cells := s.row.Cells[:0]
	from, form := s.start, Plain
	suspect := uint64(0)
	for pos := s.start; pos < end; {
		seps, quotes, ends, odd := marks((*[stride]byte)(buf[pos:]), s.sep)
		cells = slices.Grow(cells, stride+1)
		for {
			other := (quotes | ends) & -(quotes | ends)
			for m := seps & (other - 1); m != 0; m &= m - 1 {
				i := pos + bits.TrailingZeros64(m)
				cells = append(cells, Span{int32(from), int32(i), form}) //nolint:gosec // inside the buffer
				from, form = i+1, Plain
			}
			if other == 0 {
				suspect |= odd
				pos += stride
				break
			}
			i := pos + bits.TrailingZeros64(other)
			if ends&other != 0 {
				cells = append(cells, Span{int32(from), int32(i), form}) //nolint:gosec // inside the buffer
				s.row.Cells = cells
				return s.finish(i+1, suspect|odd&(other-1) != 0)
			}
			if quotes ^= other; i > from {
				seps &^= other - 1
				form = Bare
				continue
			}
			cell, next, whole := s.cellIn(pos, i, quotes, ends)
			if !whole && i > pos {
				suspect |= odd & (other - 1)
				pos = i // where more of it is seen
				break
			}
			if !whole {
				suspect = 1 // the strides inside are skipped
				cell, next = s.quoted(i + 1)
			}
			cells = append(cells, cell)
			if next >= end {
				return "", false
			}
			if buf[next] != s.sep {
				s.row.Cells = cells
				if buf[next] != '\n' {
					return QuoteForm, false
				}
				return s.finish(next+1, suspect != 0 || odd&(1<<(next-pos)-1) != 0)
			}
			if from = next + 1; from >= pos+stride {
				suspect |= odd
				pos = from
				break
			}
			rest := ^uint64(0) << (from - pos)
			seps, quotes, ends = seps&rest, quotes&rest, ends&rest
		}
	}
	return "", false
}

// cellIn is quoted where the stride at pos holds all of the cell whose quotation
// mark is at i, and no line feed and no other quotation mark is in it. The next
// marks are those behind i.
func (s *CSV) cellIn(pos, i int, quotes, ends uint64) (cell Span, next int, whole bool) {
	last := quotes & -quotes
	if last == 0 || ends&(last-1) != 0 {
		return Span{}, 0, false
	}
	end := pos + bits.TrailingZeros64(last)
	cell, next = Span{int32(i + 1), int32(end), Plain}, end+1 //nolint:gosec // inside the buffer
	if s.row.Buf[next] == '\r' && s.row.Buf[next+1] == '\n' {
		next++
	}
	return cell, next, s.row.Buf[next] == s.sep || s.row.Buf[next] == '\n'
}

// marks marks the separators, the quotation marks, the line feeds, and what is not
// ASCII or is NUL.
func marks(p *[stride]byte, sep byte) (seps, quotes, ends, odd uint64) {
	a, b := archsimd.LoadUint8x32((*[32]byte)(p[:])), archsimd.LoadUint8x32((*[32]byte)(p[32:]))
	x := archsimd.BroadcastUint8x32(sep)
	seps = uint64(a.Equal(x).ToBits()) | uint64(b.Equal(x).ToBits())<<32
	x = archsimd.BroadcastUint8x32('"')
	quotes = uint64(a.Equal(x).ToBits()) | uint64(b.Equal(x).ToBits())<<32
	x = archsimd.BroadcastUint8x32('\n')
	ends = uint64(a.Equal(x).ToBits()) | uint64(b.Equal(x).ToBits())<<32
	var zero archsimd.Int8x32
	plain := uint64(a.AsInt8x32().Greater(zero).ToBits()) | uint64(b.AsInt8x32().Greater(zero).ToBits())<<32
	archsimd.ClearAVXUpperBits()
	return seps, quotes, ends, ^plain
}
