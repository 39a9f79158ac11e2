package pipelines

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/internal/tabular"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
)

// A stream is the state of reading one file. It holds raw cells, so it is never
// handed out: a [Reader] reaches it through a closure only.
type stream struct {
	schema  *schema
	program *program
	hasher  *pseudonym.Hasher
	rules   *RowRules
	src     tabular.Source
	cells   *tabular.Row // of src: the current record
	seen    *keySet
	random  *randomness
	tally   *tally

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
	recordKey    [16]byte
	bad          bool

	image []byte
	sinks sinks
	ended error // what Next returned last of all
}

var (
	noSlot    slot
	validUTF8 = utf8.Valid
)

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
	domain := p.domain
	if !p.pid {
		domain = o.Keys.Domain()
	}
	hasher, err := o.Keys.NewHasher(domain, o.Agency)
	if err != nil {
		return nil, err
	}
	st := &stream{
		schema: s, program: p, hasher: hasher, rules: rules,
		seen: newKeySet(o.Limits.Unique), random: newRandomness(o.Rand),
		tally: &tally{}, today: o.Today, from: o.Batch.PeriodFrom, to: o.Batch.PeriodTo,
		rejectBatch: o.Batch.Reject != gateway.RejectRows, maxProblems: o.MaxProblems, maxRows: o.Limits.Rows,
		slots: make([]slot, len(o.Contract.Fields)+2), image: make([]byte, len(p.template)),
	}
	st.facts = facts{slots: st.slots, batch: batchWords(map[string]string{
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

// next is Reader.Next.
func (st *stream) next(ctx context.Context, b *gateway.Block) error {
	b.Reset()
	if st.ended != nil {
		return st.ended
	}
	if err := st.bind(b); err != nil {
		return err
	}
	n, err := st.fill(ctx)
	if err != nil && (err != io.EOF || n == 0) { //nolint:errorlint // fill returns io.EOF itself
		st.ended = err
		return err
	}
	b.SetRows(n)
	return nil
}

// fill reads records until the bound block is full, and returns how many rows are
// in it.
func (st *stream) fill(ctx context.Context) (int, error) {
	n := 0
	for n < gateway.BlockRows {
		switch code, err := st.src.Next(ctx); {
		case err == io.EOF && st.tally.rows+st.tally.refused == 0: //nolint:errorlint // a source returns io.EOF itself
			return 0, fatal(1, "", codeNoRecords, &st.tally.problems)
		case err != nil:
			return n, st.faulty(err)
		case code != "":
			return 0, st.fatal(code)
		case st.tally.rows+st.tally.refused == st.maxRows:
			return 0, st.fatal(codeTooManyRows)
		}
		if !st.row() {
			st.tally.refused++
			st.tally.problems.Rows++
			if st.rejectBatch {
				n = 0
			}
			continue
		}
		st.tally.rows++
		if st.rejectBatch && st.tally.refused > 0 {
			continue
		}
		if err := st.put(n); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// faulty is [faulty] with what was found before.
func (st *stream) faulty(err error) error {
	if fault, ok := errors.AsType[*tabular.FileError](err); ok {
		return st.fatal(fault.Code)
	}
	return err
}

// fatal ends the reading at the current record.
func (st *stream) fatal(code gateway.ProblemCode) error {
	field := gateway.FieldName("")
	if code == tabular.NUL || code == tabular.NotUTF8 {
		field = st.wrongCell(code)
	}
	st.tally.refused++
	st.tally.problems.Rows++
	return fatal(st.cells.Line, field, code, &st.tally.problems)
}
