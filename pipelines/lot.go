package pipelines

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A lot is what one worker made of some records that follow one another. Pass 1
// decodes and checks every record, makes the image of each good one, and keeps its
// identifiers; then the lot is entered ([intake.enter]); pass 2 hashes the
// identifiers of the rows that are left, and completes their images. Blocks take
// rows from it.
type lot struct {
	records []entry
	events  []event
	dates   dateForms        // that were seen
	fatal   gateway.RowError // ended the reading behind the records; no code: nothing did

	text      []byte           // the identifiers
	recordIDs []pseudonym.Span // of each record; empty: none that is one
	recordIs  [][16]byte       // their pseudonyms

	rows   int // good records
	images []byte
	iins   []pseudonym.Span // of each row; empty: none
	rests  []pseudonym.Span // of each row of a blind file that is written
	names  []unnumbered     // rows that point to a child by name, ascending
	drops  []int            // rows, ascending
	pids   [][16]byte
	shifts []uint16
	checks []uint64
	laid   int // rows that blocks have
}

// An entry is what is told of one record.
type entry struct {
	key  uint64 // of its identifier; 0: none
	line int32  // of the lot
	good bool
	link linkClass
}

// An event is one problem or warning.
type event struct {
	record int32
	field  int16 // -1: the record
	warn   bool
	code   gateway.ProblemCode
}

// manyEvents is how many are kept room for: a lot in which everything is wrong has
// many more.
const manyEvents = 4096

func (l *lot) reset() {
	if cap(l.events) > manyEvents {
		l.events = nil
	}
	l.records, l.events, l.fatal = l.records[:0], l.events[:0], gateway.RowError{}
	l.text, l.recordIDs = l.text[:0], l.recordIDs[:0]
	l.empty()
}

// empty drops all rows.
func (l *lot) empty() {
	l.rows, l.laid = 0, 0
	l.images, l.iins, l.rests, l.drops = l.images[:0], l.iins[:0], l.rests[:0], l.drops[:0]
	l.names = l.names[:0]
}

// left is how many rows no block has yet.
func (l *lot) left() int { return l.rows - l.laid }

// keep copies an identifier.
func (l *lot) keep(id []byte) pseudonym.Span {
	start := len(l.text)
	l.text = append(l.text, id...)
	return pseudonym.Span{Start: int32(start), End: int32(len(l.text))} //nolint:gosec // a part of a file
}

// drop takes the row of a record back.
func (l *lot) drop(record int) {
	row := 0
	for i := range record {
		if l.records[i].good {
			row++
		}
	}
	l.drops = append(l.drops, row)
}

// pack closes the gaps that dropped rows leave.
func (l *lot) pack(width int) {
	l.keepNames(l.drops)
	to := 0
	for row := range l.rows {
		if len(l.drops) > 0 && l.drops[0] == row {
			l.drops = l.drops[1:]
			continue
		}
		if to < row {
			copy(l.images[to*width:][:width], l.images[row*width:])
			l.iins[to] = l.iins[row]
			if len(l.rests) > 0 {
				l.rests[to] = l.rests[row]
			}
		}
		to++
	}
	l.rows, l.images, l.iins = to, l.images[:to*width], l.iins[:to]
	l.rests = l.rests[:min(to, len(l.rests))]
}

// draw gives every row its random number. It is done in the lot's turn, so that
// a file and a source of randomness make the same rows whoever decodes.
func (l *lot) draw(r *randomness, width int) error {
	for row := range l.rows {
		if err := r.read(l.images[row*width+offsetRandom:][:8]); err != nil {
			return err
		}
	}
	return nil
}

// hash is pass 2.
func (st *stream) hash(ctx context.Context) error {
	l, width := st.lot, len(st.program.template)
	n := l.rows
	if st.blindTo != nil {
		err := st.writeBlind(ctx)
		l.empty()
		return err
	}
	l.checks = slices.Grow(l.checks[:0], n)[:n]
	if st.program.pid {
		l.pids, l.shifts = slices.Grow(l.pids[:0], n)[:n], slices.Grow(l.shifts[:0], n)[:n]
		if err := st.pseudonymise(ctx); err != nil {
			return err
		}
		for i, id := range l.iins {
			if id.Start < id.End {
				st.link(l.images[i*width:][:width], &l.pids[i], l.shifts[i])
			}
		}
		st.linkByName()
	}
	st.hasher.RowMACs(l.checks, l.images)
	return nil
}

// pseudonymise makes the pids of the lot. Their inner layer is the hasher's, the key
// server's, or stands in the file.
func (st *stream) pseudonymise(ctx context.Context) error {
	l := st.lot
	switch {
	case st.blind:
		l.decodeInner()
	case st.inner != nil:
		if err := st.askInner(ctx); err != nil {
			return err
		}
	default:
		st.hasher.PIDs(l.pids, l.shifts, l.text, l.iins)
		return nil
	}
	st.hasher.Outer(l.pids, l.shifts)
	return nil
}

// link writes a child's pseudonym into a row and shifts its dates.
func (st *stream) link(image []byte, pid *[16]byte, shift uint16) {
	*(*[16]byte)(image[offsetPID:]) = *pid
	for _, at := range st.program.days {
		day := int32(binary.LittleEndian.Uint32(image[at:])) //nolint:gosec // bits
		if day != int32(gateway.NoDay) {
			binary.LittleEndian.PutUint32(image[at:], uint32(day+int32(shift))) //nolint:gosec // a day
		}
	}
}
