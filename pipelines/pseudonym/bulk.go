package pseudonym

import "fmt"

// A Span is where an identifier is in a buffer: from Start up to End. An empty
// span stands for no identifier.
type Span struct{ Start, End int32 }

// PIDs is [Hasher.PID] of many identifiers in one buffer: it writes as many
// pseudonyms and shifts as there are ids. Where an id is empty both are zero:
// a row without a pid. Many at a time is faster than one by one.
func (h *Hasher) PIDs(dst [][16]byte, shifts []uint16, buf []byte, ids []Span) {
	h.pids(dst[:len(ids)], shifts[:len(ids)], buf, ids)
}

// RecordKeys is [Hasher.RecordKey] of many identifiers in one buffer, zero
// where an id is empty.
func (h *Hasher) RecordKeys(dst [][16]byte, buf []byte, ids []Span) {
	h.record.many(dst[:len(ids)], buf, ids)
}

// Keys is [Hasher.Key] of many identifiers in one buffer, zero where an id is
// empty.
func (h *Hasher) Keys(dst [][16]byte, domain string, buf []byte, ids []Span) {
	h.key(domain).many(dst[:len(ids)], buf, ids)
}

// RowMACs is [Hasher.RowMAC] of as many rows as dst has places, which are of one
// length and follow one another in rows.
func (h *Hasher) RowMACs(dst []uint64, rows []byte) {
	if len(dst) == 0 {
		return
	}
	width := len(rows) / len(dst)
	if len(rows) != width*len(dst) {
		panic(fmt.Sprintf("pseudonym: %d rows in %d bytes", len(dst), len(rows)))
	}
	for i := range dst {
		dst[i] = h.row(rows[i*width : (i+1)*width])
	}
}

// each makes, of a hash of one identifier, one of many, each normalised first.
func each(one func(id []byte) [16]byte) func(dst [][16]byte, buf []byte, ids []Span, normal func([]byte) []byte) {
	return func(dst [][16]byte, buf []byte, ids []Span, normal func([]byte) []byte) {
		for i, id := range ids {
			if id.Start == id.End {
				dst[i] = [16]byte{}
				continue
			}
			dst[i] = one(normal(buf[id.Start:id.End]))
		}
	}
}
