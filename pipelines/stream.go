package pipelines

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A stream is one worker at a file: the state of decoding its lots.
type stream struct {
	intake  *intake
	schema  *schema // its own, because columns note what was seen
	program *program
	hasher  *pseudonym.Hasher
	rules   *RowRules
	src     tabular.Source
	cells   *tabular.Row // of src: the current record
	lot     *lot
	inner   Inner     // asks the key server; nil: the hasher makes the inner pseudonyms
	blind   bool      // the file has inner pseudonyms
	blindTo io.Writer // where a blind file is written; nil: blocks are filled

	fallback fallback

	today       gateway.Day
	from, to    gateway.Day
	rejectBatch bool
	maxProblems int
	maxRows     int
	width       int   // cells of the header
	conditional []int // fields with a condition
	dated       []int // fields whose codes are not always valid

	// Of the current row.
	slots        []slot // one a field, then the derived age and days
	facts        facts  // of row rules: the same slots
	iin          iinFacts
	birth        slot
	age, days    slot
	ageFromBirth bool
	disagrees    bool // birth date or sex with the IIN
	named        bool // the child is known by name, by this inner pseudonym
	innerByName  [16]byte
	bad          bool

	sinks sinks
}

var (
	noSlot    slot
	validUTF8 = utf8.Valid
)

// newStream compiles what all workers have in common.
func newStream(o *Options) (*stream, error) {
	s, err := newSchema(o.Contract, o.Said.Mapping)
	if err != nil {
		return nil, err
	}
	p, err := compilePlan(s, &o.Plan)
	if err != nil {
		return nil, err
	}
	rules, err := CompileRow(o.Contract, o.Plan.Refuse)
	if err != nil {
		return nil, err
	}
	st := &stream{
		schema: s, program: p, rules: rules, today: o.Today, from: o.Batch.PeriodFrom, to: o.Batch.PeriodTo,
		rejectBatch: o.Batch.Reject != gateway.RejectRows, maxProblems: o.MaxProblems, maxRows: o.Limits.Rows,
	}
	st.facts = facts{batch: batchWords(map[string]string{
		"period_from": o.Batch.PeriodFrom.String(), "period_to": o.Batch.PeriodTo.String(), "kind": string(o.Batch.Kind),
	})}
	for i := range s.columns {
		if s.columns[i].when.kind != never {
			st.conditional = append(st.conditional, i)
		}
		if s.columns[i].validity != nil {
			st.dated = append(st.dated, i)
		}
	}
	return st, nil
}

// cell returns the bytes of a field that is given.
func (st *stream) cell(field int) []byte { return st.cells.Cell(st.schema.columns[field].place) }

// fill lays rows into a block until it is full, and returns how many are in it.
func (st *stream) fill(ctx context.Context, b *gateway.Block) (int, error) {
	if err := st.bind(b); err != nil {
		return 0, err
	}
	n := 0
	for n < gateway.BlockRows {
		if st.lot.left() == 0 {
			if err := st.read(ctx); err != nil {
				return n, err
			}
		}
		n += st.lay(n)
		if st.intake.refusing.Load() {
			n = 0
		}
	}
	return n, nil
}

// decodePart is decodeLot of a part of the file.
func (st *stream) decodePart() error {
	err := st.decodeLot(context.Background(), int(^uint(0)>>1)) // of what is in memory
	if err == io.EOF {                                          //nolint:errorlint // a source returns io.EOF itself
		return nil
	}
	return err
}

// decodeLot is pass 1 over up to a number of records.
func (st *stream) decodeLot(ctx context.Context, most int) error {
	err := st.decodeRecords(ctx, most)
	if fault, ok := errors.AsType[*tabular.FileError](err); ok {
		st.fatal(fault.Code)
		err = nil
	}
	for i := range st.schema.columns {
		st.lot.dates |= st.schema.columns[i].seen
	}
	st.identifyRecords()
	return err
}

func (st *stream) decodeRecords(ctx context.Context, most int) error {
	l, refusing := st.lot, st.intake.refusing.Load()
	for range most {
		code, err := st.src.Next(ctx)
		if err != nil {
			return err
		}
		if code != "" {
			st.fatal(code)
			return nil
		}
		l.records = append(l.records, entry{line: int32(st.cells.Line)}) //nolint:gosec // of a part, or of a sheet
		if st.schema.record >= 0 {
			l.recordIDs = append(l.recordIDs, pseudonym.Span{})
		}
		if st.row() {
			st.innerByName, st.named = st.byName()
			last := &l.records[len(l.records)-1]
			last.good, last.link = true, st.linkOf()
			if !refusing {
				st.put()
			}
		}
	}
	return nil
}

// identifyRecords hashes the record identifiers of the lot.
func (st *stream) identifyRecords() {
	l, width := st.lot, len(st.program.template)
	if st.schema.record < 0 {
		return
	}
	l.recordIs = slices.Grow(l.recordIs[:0], len(l.recordIDs))[:len(l.recordIDs)]
	st.hasher.RecordKeys(l.recordIs, l.text, l.recordIDs)
	row := 0
	for i, id := range l.recordIDs {
		r := &l.records[i]
		if id.Start < id.End {
			if r.key = binary.LittleEndian.Uint64(l.recordIs[i][:8]); r.key == 0 {
				r.key = 1
			}
		}
		if r.good && row < l.rows {
			if r.key != 0 && st.program.record >= 0 {
				*(*[16]byte)(l.images[row*width+st.program.record:]) = l.recordIs[i]
			}
			row++
		}
	}
}

// fatal says what ends the reading at the current record.
func (st *stream) fatal(code gateway.ProblemCode) {
	field := gateway.FieldName("")
	if code == tabular.NUL || code == tabular.NotUTF8 {
		field = st.wrongCell(code)
	}
	st.lot.fatal = gateway.RowError{Line: st.cells.Line, Field: field, Code: code}
}
